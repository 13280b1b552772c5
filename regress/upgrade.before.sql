-- What regress/upgrade puts into the old cluster: every kind of omen table and alex index, in the state that work has left them
-- in. Nothing is vacuumed at the end.
SET client_min_messages = warning;
SET default_table_access_method = heap;
CREATE SCHEMA ext;
CREATE EXTENSION omen_alex SCHEMA ext;
SET search_path = public, ext;

-- The same rows in an omen table and in a heap table, to be changed alike.
CREATE PROCEDURE do_both(command text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(command, '%T', 'acct_heap');
	EXECUTE replace(command, '%T', 'acct');
END $$;
CREATE PROCEDURE undone(command text) LANGUAGE plpgsql AS $$
BEGIN
	CALL do_both(command);
	RAISE EXCEPTION 'undone';
EXCEPTION WHEN raise_exception THEN NULL;
END $$;
CREATE TABLE acct (id int PRIMARY KEY, gone text, bal numeric, k int8, note text, long text, tags text[], spot point,
	twice int8 GENERATED ALWAYS AS (k * 2) STORED) USING omen;
CREATE TABLE acct_heap (LIKE acct INCLUDING GENERATED, PRIMARY KEY (id));
CALL do_both('ALTER TABLE %T ALTER long SET STORAGE external');
CALL do_both('INSERT INTO %T SELECT i, ''gone'', i, (i * 7919) % 5000, repeat(''n'', i % 90), CASE WHEN i % 40 = 0 THEN repeat(md5(i::text), 100) END,
	ARRAY[''t'' || i % 7, ''t'' || i % 11], point(i % 100, i % 37) FROM generate_series(1, 5000) i');
CALL do_both('CREATE INDEX ON %T (k)');
CALL do_both('CREATE INDEX ON %T USING hash (k)');
CALL do_both('CREATE INDEX ON %T USING gin (tags)');
CALL do_both('CREATE INDEX ON %T USING gist (spot)');
CALL do_both('CREATE INDEX ON %T USING spgist (spot)');
CALL do_both('CREATE INDEX ON %T USING brin (id) WITH (pages_per_range = 2)');
CREATE INDEX acct_alex ON acct USING alex (k);
CREATE INDEX acct_alex_expr ON acct USING alex ((id % 1000) DESC NULLS LAST) WHERE id % 2 = 0;
CREATE INDEX acct_heap_alex ON acct_heap USING alex (k);
CREATE TABLE mark (id bigserial PRIMARY KEY, acct int REFERENCES acct ON UPDATE CASCADE ON DELETE CASCADE, v int) USING omen;
INSERT INTO mark (acct, v) SELECT i, i FROM generate_series(1, 500) i;
CREATE INDEX ON mark (acct);
CREATE UNIQUE INDEX mark_alex ON mark USING alex (id);
CALL do_both('ALTER TABLE %T DROP COLUMN gone');
CALL do_both('ALTER TABLE %T ADD COLUMN late text DEFAULT ''never written''');

-- Some of it is vacuumed and frozen before all that follows.
VACUUM (FREEZE, ANALYZE) acct, acct_heap, mark;
CALL do_both('UPDATE %T SET bal = bal + 1 WHERE id % 3 = 0');
VACUUM acct;
-- A transaction that may need old versions: they fill the store.
BEGIN;
CREATE TABLE witness ();
PREPARE TRANSACTION 'old';
CALL do_both('UPDATE %T SET bal = bal + 1, note = note || ''x''');
CALL do_both('UPDATE %T SET bal = bal + 1');
CALL do_both('UPDATE %T SET bal = bal + 1, long = repeat(''other'', 1000) WHERE id % 80 = 0');
CALL do_both('UPDATE %T SET k = k + 10000 WHERE id % 13 = 0');
CALL do_both('DELETE FROM %T WHERE id % 17 = 0 AND id > 500');
CALL undone('UPDATE %T SET bal = -1, note = ''undone''');
CALL undone('UPDATE %T SET k = -1 WHERE id % 5 = 0');
CALL undone('DELETE FROM %T WHERE id > 4500');
-- Lockers, and multixacts of subtransactions of one.
BEGIN;
SELECT count(*) FROM (SELECT FROM acct WHERE id % 6 = 0 FOR KEY SHARE) s \g /dev/null
SAVEPOINT a;
CALL do_both('UPDATE %T SET bal = bal + 1 WHERE id % 12 = 0');
SAVEPOINT b;
SELECT count(*) FROM (SELECT FROM acct WHERE id % 24 = 0 FOR UPDATE) s \g /dev/null
CALL do_both('UPDATE %T SET bal = bal + 100 WHERE id % 24 = 0');
ROLLBACK TO b;
COMMIT;
-- What a transaction that was running at the end of the old server leaves: nobody has seen it abort.
BEGIN;
UPDATE acct SET bal = bal + 1000 WHERE id % 9 = 0;
ROLLBACK;
ROLLBACK PREPARED 'old';

-- Options, partitions, inheritance, matviews, unlogged, empty tables; an index of each type alex knows on a heap table.
SELECT * FROM omen_options('mark', fillfactor => 70, eager_offload => true) \g /dev/null
SELECT * FROM omen_options('acct', eager_offload => false) \g /dev/null
CREATE TABLE part (id int, r int, v int, PRIMARY KEY (id, r)) PARTITION BY RANGE (r);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10) USING omen;
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20) USING omen;
CREATE TABLE part_3 PARTITION OF part DEFAULT USING heap;
INSERT INTO part SELECT i, i % 30, i FROM generate_series(1, 300) i;
UPDATE part SET v = v + 1;
UPDATE part SET r = r + 7 WHERE id % 5 = 0;
CREATE TABLE parent (id int, v int) USING omen;
CREATE TABLE child (extra text) INHERITS (parent) USING omen;
INSERT INTO child SELECT i, i, 'e' FROM generate_series(1, 100) i;
UPDATE parent SET v = -v;
CREATE MATERIALIZED VIEW mat USING omen AS SELECT id, k FROM acct WHERE id % 10 = 0;
CREATE UNIQUE INDEX ON mat (id);
REFRESH MATERIALIZED VIEW CONCURRENTLY mat;
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v int) USING omen;
INSERT INTO unlogged SELECT i, i FROM generate_series(1, 100) i;
UPDATE unlogged SET v = v + 1;
CREATE TABLE empty (id int PRIMARY KEY, long text) USING omen;
CREATE TABLE emptied (id int PRIMARY KEY, long text) USING omen;
INSERT INTO emptied SELECT i, repeat('e', 5000) FROM generate_series(1, 100) i;
UPDATE emptied SET long = '';
DELETE FROM emptied;
CREATE TABLE kinds (i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, d date, t timestamptz, u uuid, b bool, m money);
INSERT INTO kinds SELECT i % 30000, i, i * 3, i / 7.0, sqrt(i), date '2000-01-01' + i, timestamptz '2000-01-01' + i * interval '1 minute', md5(i::text)::uuid, i % 2 = 0, i
FROM generate_series(1, 3000) i;
SELECT format('CREATE INDEX ON kinds USING alex (%I)', attname) FROM pg_attribute WHERE attrelid = 'kinds'::regclass AND attnum > 0 \gexec
INSERT INTO kinds SELECT * FROM kinds WHERE i4 % 3 = 0;
DELETE FROM kinds WHERE i4 % 4 = 0;
-- Primary keys and unique constraints that are alex, with foreign keys; a dump knows them as constraints only.
CREATE TABLE keyed (id int8 NOT NULL, k int4, d int8);
INSERT INTO keyed SELECT i, i, i FROM generate_series(1, 2000) i;
CREATE UNIQUE INDEX keyed_pkey ON keyed USING alex (id);
CREATE UNIQUE INDEX keyed_k ON keyed USING alex (k);
CREATE UNIQUE INDEX keyed_d ON keyed USING alex (d);
SELECT alex_primary_key('keyed_pkey'), alex_unique('keyed_k'), alex_unique('keyed_d', "deferrable" => true) \g /dev/null
COMMENT ON CONSTRAINT keyed_k ON keyed IS E'of its own\nUSING alex';
CREATE TABLE of_keyed (id int8 REFERENCES keyed, k int4 REFERENCES keyed (k));
INSERT INTO of_keyed SELECT i, i FROM generate_series(1, 100) i;
DELETE FROM keyed WHERE id > 1900;
-- Some that are unlogged; of "forgotten" ones the comment is lost, so that only their files tell.
CREATE UNLOGGED TABLE unlogged_keyed (id int8 NOT NULL, v int);
INSERT INTO unlogged_keyed SELECT i, i FROM generate_series(1, 500) i;
CREATE UNIQUE INDEX unlogged_keyed_pkey ON unlogged_keyed USING alex (id);
CREATE UNLOGGED TABLE unlogged_forgotten (id int8 NOT NULL, v int);
INSERT INTO unlogged_forgotten SELECT i, i FROM generate_series(1, 500) i;
CREATE UNIQUE INDEX unlogged_forgotten_pkey ON unlogged_forgotten USING alex (id);
CREATE TABLE forgotten (id int8 NOT NULL, above int8);
INSERT INTO forgotten SELECT i, i / 2 + 1 FROM generate_series(1, 500) i;
CREATE UNIQUE INDEX forgotten_pkey ON forgotten USING alex (id);
SELECT alex_primary_key('unlogged_keyed_pkey'), alex_primary_key('unlogged_forgotten_pkey'), alex_primary_key('forgotten_pkey') \g /dev/null
ALTER TABLE forgotten ADD FOREIGN KEY (above) REFERENCES forgotten;
COMMENT ON CONSTRAINT unlogged_forgotten_pkey ON unlogged_forgotten IS NULL;
COMMENT ON CONSTRAINT forgotten_pkey ON forgotten IS NULL;
CREATE VIEW rich AS SELECT * FROM acct WHERE bal > 1000;
CHECKPOINT;
-- after the checkpoint, and without another
UPDATE mark SET v = v + 1;
