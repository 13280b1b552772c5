-- omen_check(), omen_stats() and omen_tables(): what they refuse, and that sound tables pass, whatever happened to them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;

-- Refused.
CREATE TABLE oc_heap (id int PRIMARY KEY) USING heap;
CREATE TABLE oc_parts (id int) PARTITION BY RANGE (id);
CREATE TABLE oc_part PARTITION OF oc_parts FOR VALUES FROM (0) TO (100) USING omen;
CREATE VIEW oc_view AS SELECT 1 AS one;
CREATE SEQUENCE oc_sequence;
SELECT omen_check('oc_heap');
SELECT omen_check('oc_heap_pkey');
SELECT omen_check('oc_parts');
SELECT omen_check('oc_view');
SELECT omen_check('oc_sequence');
SELECT omen_stats('oc_heap');
SELECT omen_stats('oc_parts');
SELECT omen_check(0);
SELECT omen_stats(0) IS NULL AS "not known";
SELECT omen_check(NULL), omen_stats(NULL);

-- Who may.
CREATE ROLE oc_nobody;
CREATE ROLE oc_monitor IN ROLE pg_monitor;
SET ROLE oc_nobody;
SELECT omen_check('oc_part');
SELECT omen_stats('oc_part');
SELECT count(*) FROM omen_tables();
SELECT omen_options('oc_part', 90);
SELECT omen_options('oc_part', eager_offload => true);
SECURITY LABEL FOR omen ON TABLE oc_part IS 'eager_offload=on';
SELECT * FROM omen_options('oc_part');
SET ROLE oc_monitor;
SELECT omen_check('oc_part');
SELECT rows FROM omen_stats('oc_part');
SELECT rows FROM omen_tables() WHERE relation = 'oc_part'::regclass;
RESET ROLE;
DROP ROLE oc_nobody, oc_monitor;

-- Empty.
CREATE TABLE oc (id int PRIMARY KEY, v int, t text) USING omen WITH (autovacuum_enabled = off);
SELECT omen_check('oc');
SELECT * FROM omen_stats('oc');

-- Updated, moved, deleted, aborted at every level.
INSERT INTO oc SELECT i, i, repeat('t', i % 200) FROM generate_series(1, 1000) i;
SELECT omen_check('oc');
UPDATE oc SET v = v + 1;
SELECT omen_check('oc');
UPDATE oc SET id = -id WHERE id % 3 = 0;
UPDATE oc SET t = repeat('u', 3000) WHERE id % 50 = 0;
DELETE FROM oc WHERE id % 7 = 0;
SELECT omen_check('oc');
BEGIN;
UPDATE oc SET v = v + 1;
SELECT omen_check('oc');
SAVEPOINT a;
UPDATE oc SET v = v + 1 WHERE id % 2 = 0;
SAVEPOINT b;
UPDATE oc SET id = id + 10000 WHERE id % 10 = 0;
SELECT omen_check('oc');
ROLLBACK TO a;
SELECT omen_check('oc');
UPDATE oc SET v = v + 1 WHERE id % 4 = 0;
SELECT omen_check('oc');
ROLLBACK;
SELECT omen_check('oc');
SELECT count(*), sum(v) FROM oc;
-- aborted updates wait for whoever comes next
SELECT rows, aborted_updates > 0 AS aborted FROM omen_stats('oc');
VACUUM oc;
SELECT omen_check('oc');
SELECT rows, dead_rows, aborted_updates, versions_in_page, versions_in_store FROM omen_stats('oc');
-- inserted and updated by one transaction that aborted
BEGIN;
INSERT INTO oc SELECT i, i, 'never' FROM generate_series(20000, 20100) i;
UPDATE oc SET v = -v WHERE id >= 20000;
SELECT omen_check('oc');
ROLLBACK;
SELECT omen_check('oc');
VACUUM oc;
SELECT omen_check('oc');

-- While a transaction runs that might need old versions.
BEGIN;
CREATE TABLE oc_witness ();
PREPARE TRANSACTION 'oc_old';
DO $$ BEGIN FOR i IN 1..5 LOOP UPDATE oc SET v = v + 1; PERFORM omen_check('oc'); END LOOP; END $$;
DO $$ BEGIN FOR i IN 1..5 LOOP UPDATE oc SET v = v + 1, t = t || 'x'; PERFORM omen_check('oc'); END LOOP; END $$;
DELETE FROM oc WHERE id % 5 = 0;
SELECT omen_check('oc');
SELECT rows = (SELECT count(*) FROM oc) AS rows, dead_rows > 0 AS dead, versions_in_page > 0 AS in_page,
	versions_in_store > 0 AS in_store, oldest_superseder IS NOT NULL AS superseder, store_pages > 0 AS store_pages,
	store_pages_free, store_records >= versions_in_store AS records, table_bytes = pg_relation_size('oc') AS bytes,
	row_pages + store_pages + new_pages = pg_relation_size('oc') / current_setting('block_size')::int AS pages
FROM omen_stats('oc');
VACUUM FREEZE oc;
SELECT omen_check('oc');
ROLLBACK PREPARED 'oc_old';
SELECT omen_check('oc');
SELECT versions_in_page, versions_in_store, oldest_superseder, store_pages > 0 AS store_pages, store_pages = store_pages_free AS free
FROM omen_stats('oc');
VACUUM FREEZE oc;
SELECT omen_check('oc');
SELECT dead_rows, aborted_updates, versions_in_page, versions_in_store, store_pages FROM omen_stats('oc');

-- omen_tables() lists them all, but for partitioned ones and heaps.
INSERT INTO oc_part VALUES (1);
SELECT relation, rows FROM omen_tables() WHERE relation::text ~ '^oc' ORDER BY relation::text;
DROP TABLE oc, oc_heap, oc_parts;
DROP VIEW oc_view;
DROP SEQUENCE oc_sequence;
