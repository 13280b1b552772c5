-- CREATE INDEX with parallel workers, alone and together with the leader, builds what it builds without. Whether workers start is
-- not for this test to say: 019_parallel_build.pl sees to it that they do.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
\set SHOW_CONTEXT never
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 2;

-- What a query by an index finds, by key and by row, or without it.
CREATE FUNCTION p_found(tab regclass, key text, cond text, indexed bool) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	PERFORM set_config('enable_seqscan', (NOT indexed)::text, true), set_config('enable_sort', (NOT indexed)::text, true),
		set_config('enable_indexscan', indexed::text, true), set_config('enable_bitmapscan', 'off', true),
		set_config('max_parallel_workers_per_gather', '0', true);
	EXECUTE format('SELECT (count(*), count(x), sum(hashtext(x::text) * n), sum(hashtext(r.ctid::text || x::text)::int8))::text
		FROM (SELECT ctid, x, (rank() OVER (ORDER BY x)) %% 1000 AS n FROM
			(SELECT ctid, %s AS x FROM %s WHERE %s ORDER BY %1$s OFFSET 0) q) r', key, tab, cond) INTO found;
	RETURN found;
END $$;

-- Builds an index in all ways, checks it, and compares what it finds with what is there.
CREATE FUNCTION p_build(tab regclass, key text, "unique" text DEFAULT '', cond text DEFAULT 'true', options text DEFAULT '')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	expected text := p_found(tab, key, cond, false);
	found text;
	workers int;
	leader text;
	result text := '';
	rows float4[];				-- of the index and, as the build counts them, of the table
	counted float4[];
BEGIN
	EXECUTE format('CREATE INDEX counted ON %s USING btree (%s) WHERE %s', tab, key, cond);
	SELECT array_agg(reltuples ORDER BY relname = 'counted') INTO rows FROM pg_class WHERE relname = 'counted' OR oid = tab;
	DROP INDEX counted;
	FOREACH workers IN ARRAY ARRAY[0, 2] LOOP
		FOREACH leader IN ARRAY ARRAY['on', 'off'] LOOP
			EXECUTE format('ALTER TABLE %s SET (parallel_workers = %s)', tab, workers);
			PERFORM set_config('parallel_leader_participation', leader, true);
			EXECUTE format('CREATE %s INDEX built ON %s USING %s (%s) %s WHERE %s', "unique", tab, t_am(), key, options, cond);
			PERFORM alex_check('built', true);
			SELECT array_agg(reltuples ORDER BY relname = 'built') INTO counted FROM pg_class WHERE relname = 'built' OR oid = tab;
			found := p_found(tab, key, cond, true);
			DROP INDEX built;
			IF found <> expected THEN
				RETURN format('%s workers, leader %s: expected %s, found %s', workers, leader, expected, found);
			ELSIF counted <> rows THEN
				RETURN format('%s workers, leader %s: expected %s rows, counted %s', workers, leader, rows, counted);
			END IF;
		END LOOP;
	END LOOP;
	RETURN 'same';
END $$;

CREATE TABLE par (id int8, k int8, f float8, u uuid, t text) WITH (autovacuum_enabled = off, parallel_workers = 2);
SELECT p_build('par', 'k') AS empty;
INSERT INTO par VALUES (0, 1, 2, NULL, 'one');
SELECT p_build('par', 'k') AS one;
INSERT INTO par SELECT i, nullif(hashint4(i) % 5000, 7), (i % 7 - 3) * ('[0:2]={-0,1,1e-300}'::float8[])[i % 3],
	md5(i::text)::uuid, repeat('x', i % 50) FROM generate_series(1, 40000) i;
SELECT p_build('par', 'id', 'UNIQUE') AS in_order, p_build('par', 'k') AS duplicates, p_build('par', 'k', options => 'WITH (fillfactor = 50)') AS loose;
SELECT p_build('par', 'f') AS zeroes, p_build('par', 'u', 'UNIQUE') AS uuids;
SELECT p_build('par', '(-id)', 'UNIQUE') AS expression, p_build('par', 'k', cond => 'id % 3 = 0') AS part,
	p_build('par', '(length(t) + id)', cond => 'k IS NOT NULL') AS both;
VACUUM par;
SELECT p_build('par', 'k') AS vacuumed;

-- several runs in the file of each
SET maintenance_work_mem = '1MB';
CREATE TABLE par_many AS SELECT hashint8extended(i, 0) AS k, i AS id FROM generate_series(1, 160000) i;
SELECT p_build('par_many', 'k', 'UNIQUE') AS many;
SELECT p_build('par_many', 'id') AS in_order;
-- out of order from somewhere on
UPDATE par_many SET id = -id WHERE id BETWEEN 100000 AND 100010;
SELECT p_build('par_many', 'id') AS mixed;
DROP TABLE par_many;
RESET maintenance_work_mem;

-- rows of every age: chains, dead rows, what never was, what this transaction did
UPDATE par SET t = t || 'y' WHERE id % 7 = 0;
DELETE FROM par WHERE id % 11 = 0 OR id BETWEEN 5000 AND 8000;
BEGIN;
INSERT INTO par SELECT i, i FROM generate_series(1, 500) i;
ROLLBACK;
SELECT p_build('par', 'k') AS changed;
BEGIN;
DELETE FROM par WHERE id BETWEEN 10000 AND 10100;
INSERT INTO par SELECT i, i FROM generate_series(10000, 10100) i;
UPDATE par SET t = 'z' WHERE id % 1000 = 5;
SELECT p_build('par', 'id', 'UNIQUE') AS own_changes;
COMMIT;
SELECT p_build('par', 'id', 'UNIQUE') AS committed;

-- a chain of versions that the index cannot follow
BEGIN;
CREATE TABLE par_chain (id int, k int) WITH (fillfactor = 50, parallel_workers = 2);
INSERT INTO par_chain SELECT i, i FROM generate_series(1, 5000) i;
COMMIT;
BEGIN;
UPDATE par_chain SET k = -k WHERE id = 4000;
SET LOCAL parallel_leader_participation = off;
CREATE INDEX par_chain_k ON par_chain USING :am (k);
SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'par_chain_k'::regclass;
ROLLBACK;
BEGIN;
UPDATE par_chain SET k = -k WHERE id = 4000;
SET LOCAL max_parallel_maintenance_workers = 0;
CREATE INDEX par_chain_k ON par_chain USING :am (k);
SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'par_chain_k'::regclass;
ROLLBACK;
DROP TABLE par_chain;

-- violations, far apart and side by side, by leader and workers or by workers alone
TRUNCATE par;
INSERT INTO par SELECT i, i FROM generate_series(1, 20000) i;
INSERT INTO par VALUES (-1, 10);
CREATE UNIQUE INDEX par_k ON par USING :am (k);
SET parallel_leader_participation = off;
CREATE UNIQUE INDEX par_k ON par USING :am (k);
CREATE UNIQUE INDEX par_k ON par USING :am ((k + 1));
CREATE UNIQUE INDEX CONCURRENTLY par_k ON par USING :am (k);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'par_k'::regclass;
DROP INDEX par_k;
CREATE UNIQUE INDEX par_k ON par USING :am (k) WHERE id > 0;
SELECT alex_check('par_k', true);
DROP INDEX par_k;
UPDATE par SET k = NULL WHERE k = 10;
CREATE UNIQUE INDEX par_k ON par USING :am (k);
SELECT alex_check('par_k', true);
DROP INDEX par_k;
CREATE UNIQUE INDEX par_k ON par USING :am (k) NULLS NOT DISTINCT;
DELETE FROM par WHERE id = -1;
CREATE UNIQUE INDEX par_k ON par USING :am (k) NULLS NOT DISTINCT;
SELECT alex_check('par_k', true);

-- errors of a worker's own
CREATE INDEX par_e ON par USING :am ((1 / (id - 17777)));

-- other ways to build
REINDEX INDEX par_k;
REINDEX INDEX CONCURRENTLY par_k;
CREATE INDEX CONCURRENTLY par_c ON par USING :am (id) WHERE k % 2 = 0;
REINDEX TABLE CONCURRENTLY par;
CLUSTER par USING par_k;
VACUUM FULL par;
SELECT alex_check('par_k', true), alex_check('par_c', true);
TRUNCATE par;
BEGIN;
CREATE TABLE par_new (k int8) WITH (parallel_workers = 2);
INSERT INTO par_new SELECT i % 100 FROM generate_series(1, 10000) i;
CREATE INDEX par_new_k ON par_new USING :am (k);
SELECT alex_check('par_new_k', true);
TRUNCATE par_new;
SELECT alex_check('par_new_k', true);
COMMIT;
INSERT INTO par_new SELECT i % 100 FROM generate_series(1, 10000) i;
SELECT alex_check('par_new_k', true);
DROP TABLE par, par_new;
RESET parallel_leader_participation;

-- other tables; workers see no temporary ones
CREATE UNLOGGED TABLE par AS SELECT i AS k FROM generate_series(1, 10000) i;
SELECT p_build('par', 'k') AS unlogged;
CREATE TEMP TABLE par_temp AS SELECT * FROM par;
SELECT p_build('par_temp', 'k') AS temporary;
DROP TABLE par;
CREATE TABLE par (k int8) PARTITION BY RANGE (k);
CREATE TABLE par1 PARTITION OF par FOR VALUES FROM (0) TO (5000);
CREATE TABLE par2 PARTITION OF par FOR VALUES FROM (5000) TO (10001);
INSERT INTO par SELECT i AS k FROM generate_series(1, 10000) i;
CREATE INDEX par_k ON par USING :am (k);
SELECT alex_check('par1_k_idx', true), alex_check('par2_k_idx', true);
DROP TABLE par;
DROP FUNCTION p_build, p_found;
