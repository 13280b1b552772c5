-- What CREATE INDEX finds in a table: pages of every kind, rows of every age.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- Builds the index, checks it, and compares what it finds with what is there, by key and by row.
CREATE FUNCTION t_build(tab regclass, col name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q text := format('SELECT (count(*), count(%1$I), sum(hashtext(%1$I::text)::int8), sum(hashtext(r.ctid::text || %1$I::text)::int8))::text
		FROM (SELECT ctid, %1$I FROM %2$s ORDER BY %1$I OFFSET 0) r', col, tab);
	expected text;
	found text;
BEGIN
	EXECUTE format('CREATE INDEX built ON %s USING %s (%I)', tab, t_am(), col);
	PERFORM alex_check('built', true);
	PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'on', true);
	EXECUTE q INTO expected;
	PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
	EXECUTE q INTO found;
	PERFORM set_config('enable_seqscan', 'on', true);
	DROP INDEX built;
	RETURN CASE WHEN found = expected THEN 'same' ELSE format('expected %s, found %s', expected, found) END;
END $$;

CREATE TABLE build (id int8, t text, k int4, u uuid) WITH (fillfactor = 70, autovacuum_enabled = off);
SELECT t_build('build', 'k') AS empty;
INSERT INTO build SELECT i, repeat('x', i % 50), nullif(hashint4(i) % 5000, 7), gen_random_uuid() FROM generate_series(1, 20000) i;
SELECT t_build('build', 'k') AS fresh;
VACUUM build;
SELECT t_build('build', 'k') AS vacuumed, t_build('build', 'u') AS uuids;

-- chains of versions: the index has the TID of the first, the row of the last
UPDATE build SET t = t || 'y' WHERE id % 7 = 0;
SELECT t_build('build', 'k') AS updated;
UPDATE build SET t = t || 'z' WHERE id % 21 = 0;
VACUUM build;
SELECT t_build('build', 'k') AS chains, t_build('build', 'u') AS uuids;

-- dead rows, nothing left on some pages
DELETE FROM build WHERE id % 3 = 0 OR id BETWEEN 5000 AND 8000;
SELECT t_build('build', 'k') AS deleted;
VACUUM build;
SELECT t_build('build', 'k') AS holes;

-- what never was
BEGIN;
UPDATE build SET t = t || 'a' WHERE id % 5 = 0;
INSERT INTO build SELECT i, 'b', i, NULL FROM generate_series(1, 500) i;
ROLLBACK;
SELECT t_build('build', 'k') AS rolled_back;

-- what this transaction did, here and there
BEGIN;
DELETE FROM build WHERE id BETWEEN 1000 AND 1100;
UPDATE build SET t = t || 'c' WHERE id BETWEEN 12000 AND 12010;
UPDATE build SET k = -k WHERE id BETWEEN 15000 AND 15010;
INSERT INTO build SELECT i, 'd', i, NULL FROM generate_series(1, 500) i;
SELECT t_build('build', 'k') AS own_changes;
COMMIT;
SELECT t_build('build', 'k') AS committed;

BEGIN;
CREATE TABLE build_own AS SELECT i AS k FROM generate_series(1, 2000) i;
SAVEPOINT s;
INSERT INTO build_own SELECT i FROM generate_series(2001, 3000) i;
ROLLBACK TO s;
INSERT INTO build_own SELECT i FROM generate_series(2001, 2500) i;
SELECT t_build('build_own', 'k') AS own_rows;
UPDATE build_own SET k = -k WHERE k % 500 = 0;
SELECT t_build('build_own', 'k') AS own_rows;
ROLLBACK;

-- columns that rows have only in name
ALTER TABLE build ADD n int8 DEFAULT 42, ADD m timestamp, DROP t;
SELECT t_build('build', 'n') AS missing, t_build('build', 'm') AS nulls, t_build('build', 'k') AS dropped;
VACUUM FULL build;
SELECT t_build('build', 'n') AS missing, t_build('build', 'm') AS nulls, t_build('build', 'k') AS dropped;

-- the number of rows is the same as with btree
DELETE FROM build WHERE k % 2 = 0;
CREATE INDEX counted ON build USING btree (k);
SELECT reltuples FROM pg_class WHERE relname = 'build' \gset
DROP INDEX counted;
CREATE INDEX counted ON build USING :am (k);
SELECT reltuples = :reltuples AS counted FROM pg_class WHERE relname = 'build';

-- not plain: parts of the table, an expression, with everyone working on it
CREATE INDEX part ON build USING :am (k) WHERE id % 2 = 0;
SELECT alex_check('part', true);
CREATE INDEX negative ON build USING :am ((-k));
SELECT alex_check('negative', true);
CREATE INDEX CONCURRENTLY concurrent ON build USING :am (k);
SELECT alex_check('concurrent', true);

-- duplicates are found on pages of both kinds; rows of the past do not count
CREATE TABLE dup AS SELECT i AS k, 0 AS n FROM generate_series(1, 20000) i;
VACUUM dup;
CREATE UNIQUE INDEX dup_k ON dup USING :am (k);
DROP INDEX dup_k;
BEGIN;
DELETE FROM dup WHERE k BETWEEN 100 AND 110;
INSERT INTO dup SELECT i FROM generate_series(100, 110) i;
UPDATE dup SET n = 1 WHERE k = 15000;
CREATE UNIQUE INDEX dup_k ON dup USING :am (k);
SELECT alex_check('dup_k', true);
ROLLBACK;
INSERT INTO dup VALUES (17777);
CREATE UNIQUE INDEX dup_k ON dup USING :am (k);
DELETE FROM dup WHERE n IS NULL;
VACUUM dup;
UPDATE dup SET k = 12 WHERE k = 13;
CREATE UNIQUE INDEX dup_k ON dup USING :am (k);

CREATE TEMP TABLE build_temp AS SELECT * FROM build;
SELECT t_build('build_temp', 'k') AS temporary;
DROP TABLE build, dup;
DROP FUNCTION t_build(regclass, name);
