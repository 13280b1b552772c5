-- Index builds, CLUSTER and VACUUM FULL of omen tables, compared with heap tables that went through the same.
SET client_min_messages = warning;
SET max_parallel_maintenance_workers = 0;
CREATE EXTENSION IF NOT EXISTS omen_alex;

-- Runs a statement on both tables, whose name it has as $T.
CREATE FUNCTION dd_both(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(statement, '$T', 'dd_heap');
	EXECUTE replace(statement, '$T', 'dd_omen');
END $$;
-- Is the answer the same? Else what it is.
CREATE FUNCTION dd_same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text;
	b text;
BEGIN
	EXECUTE format('SELECT count(*) || '' rows, '' || coalesce(md5(string_agg(s::text, '';'' ORDER BY s::text)), '''') FROM (%s) s',
		replace(query, '$T', 'dd_heap')) INTO a;
	EXECUTE format('SELECT count(*) || '' rows, '' || coalesce(md5(string_agg(s::text, '';'' ORDER BY s::text)), '''') FROM (%s) s',
		replace(query, '$T', 'dd_omen')) INTO b;
	IF a IS DISTINCT FROM b THEN
		RETURN format('heap: %s, omen: %s', a, b);
	END IF;
	RETURN 'same';
END $$;
-- Does everything read the same, by every index? Is everything sound? Only what is wrong.
CREATE FUNCTION dd_wrong() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	query text;
	answer text;
BEGIN
	PERFORM omen_check('dd_omen');
	FOREACH query IN ARRAY ARRAY[
		'SELECT * FROM $T',
		'SELECT * FROM $T WHERE id > 0',
		'SELECT * FROM $T WHERE k BETWEEN 100 AND 700',
		'SELECT * FROM $T WHERE k BETWEEN 100 AND 120 AND k % 2 = 0',
		'SELECT * FROM $T WHERE t = ''t17'' OR t = ''u17''',
		'SELECT * FROM $T WHERE upper(t) >= ''T5''',
		'SELECT * FROM $T WHERE words @> ''{w3}''',
		'SELECT * FROM $T WHERE spot <@ box(point(0, 0), point(30, 30))',
		'SELECT * FROM $T WHERE k IN (SELECT k FROM $T WHERE id % 13 = 0)']
	LOOP
		PERFORM set_config('enable_seqscan', 'off', true);
		answer := dd_same(query);
		PERFORM set_config('enable_seqscan', 'on', true);
		IF answer <> 'same' THEN
			RETURN NEXT format('%s: %s', query, answer);
		END IF;
	END LOOP;
END $$;

SELECT format('CREATE TABLE %s (id int PRIMARY KEY, k int8, t text, gone text DEFAULT repeat(''g'', 20), words text[], spot point, long text) USING %s WITH (fillfactor = 70, autovacuum_enabled = off)', t, am)
FROM (VALUES ('dd_heap', 'heap'), ('dd_omen', 'omen')) v (t, am) \gexec
SELECT dd_both('ALTER TABLE $T ALTER long SET STORAGE external');
SELECT dd_both('INSERT INTO $T (id, k, t, words, spot, long)
	SELECT i, (i * 7919) % 1000, ''t'' || i, ARRAY[''w'' || i % 10, ''w'' || i % 7], point(i % 100, i % 50),
		CASE WHEN i % 50 = 0 THEN repeat(''long'' || i, 1000) END
	FROM generate_series(1, 3000) i');
SELECT dd_both('UPDATE $T SET t = ''u'' || id, k = k + 1 WHERE id % 3 = 0');
SELECT dd_both('UPDATE $T SET words = words || ''w3''::text WHERE id % 5 = 0');
SELECT dd_both('ALTER TABLE $T DROP COLUMN gone');
SELECT dd_both('ALTER TABLE $T ADD COLUMN late int DEFAULT 42');
SELECT dd_wrong();

-- Every index access method there is; expressions, predicates, and a second index of columns that have changed in place.
SELECT dd_both('CREATE INDEX $T_btree ON $T (k)');
SELECT dd_both('CREATE INDEX $T_expr ON $T (upper(t))');
SELECT dd_both('CREATE INDEX $T_part ON $T (k DESC) WHERE k % 2 = 0');
SELECT dd_both('CREATE INDEX $T_hash ON $T USING hash (t)');
SELECT dd_both('CREATE INDEX $T_gin ON $T USING gin (words)');
SELECT dd_both('CREATE INDEX $T_gist ON $T USING gist (spot)');
SELECT dd_both('CREATE INDEX $T_spgist ON $T USING spgist (spot)');
SELECT dd_both('CREATE INDEX $T_brin ON $T USING brin (id) WITH (pages_per_range = 4)');
SELECT dd_both('CREATE INDEX $T_alex ON $T USING alex (k)');
SELECT dd_wrong();
SELECT alex_check('dd_omen_alex', true);
SELECT c.relname, c.reltuples = (SELECT count(*) FROM dd_omen) AS counted FROM pg_class c
WHERE c.relname IN ('dd_omen_btree', 'dd_omen_hash') ORDER BY 1;
-- Unique indexes find duplicates, and are fooled neither by versions nor by rows that are gone.
SELECT dd_both('UPDATE $T SET late = id');
SELECT dd_both('UPDATE $T SET late = -id WHERE late < 100');
SELECT dd_both('DELETE FROM $T WHERE id BETWEEN 200 AND 300');
SELECT dd_both('CREATE UNIQUE INDEX $T_unique ON $T (late)');
UPDATE dd_omen SET late = 7 WHERE id = 7;
UPDATE dd_omen SET late = -7 WHERE id = 8;
UPDATE dd_omen SET late = 100 WHERE id = 101;
DROP INDEX dd_omen_unique;
UPDATE dd_omen SET late = 5000 WHERE id IN (8, 9);
CREATE UNIQUE INDEX dd_omen_unique ON dd_omen (late);
UPDATE dd_omen SET late = -id WHERE id IN (7, 8, 9);
CREATE UNIQUE INDEX dd_omen_unique ON dd_omen (late);
ALTER TABLE dd_omen ADD CONSTRAINT dd_omen_excl EXCLUDE USING gist (box(spot, spot) WITH &&);
DROP INDEX dd_heap_unique, dd_omen_unique;
SELECT dd_both('UPDATE $T SET late = id');
-- Built by the transaction that changed the rows.
BEGIN;
SELECT dd_both('INSERT INTO $T (id, k, t) SELECT i, i, ''t'' || i FROM generate_series(5001, 5100) i');
SELECT dd_both('UPDATE $T SET k = k + 1 WHERE id > 5050');
SELECT dd_both('DELETE FROM $T WHERE id > 5090');
SAVEPOINT s;
SELECT dd_both('UPDATE $T SET t = ''never'' || id, k = -1');
ROLLBACK TO s;
SELECT dd_both('CREATE INDEX $T_own ON $T (k)');
SELECT dd_wrong();
COMMIT;
SELECT dd_wrong();

-- Concurrently, and again.
CREATE INDEX CONCURRENTLY dd_omen_conc ON dd_omen (k) WHERE k > 50;
CREATE UNIQUE INDEX CONCURRENTLY dd_omen_conc2 ON dd_omen (t);
CREATE INDEX CONCURRENTLY dd_omen_conc3 ON dd_omen USING brin (k);
CREATE INDEX CONCURRENTLY dd_omen_conc4 ON dd_omen USING alex (k);
REINDEX INDEX CONCURRENTLY dd_omen_btree;
REINDEX TABLE CONCURRENTLY dd_omen;
REINDEX TABLE dd_omen;
REINDEX INDEX dd_omen_gin;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'dd_omen'::regclass AND NOT (indisvalid AND indisready);
SELECT dd_wrong();
SELECT alex_check('dd_omen_alex', true), alex_check('dd_omen_conc4', true);

-- In parallel.
SET max_parallel_maintenance_workers = 2;
SET min_parallel_table_scan_size = 0;
SELECT dd_both('CREATE INDEX $T_parallel ON $T (k, t)');
SELECT dd_wrong();
SET max_parallel_maintenance_workers = 0;
RESET min_parallel_table_scan_size;

-- Ranges that BRIN summarises later.
SELECT dd_both('INSERT INTO $T (id, k, t) SELECT i, i % 1000, ''t'' || i FROM generate_series(6001, 8000) i');
SELECT dd_both('UPDATE $T SET t = ''u'' || id WHERE id % 100 = 0');
SELECT brin_summarize_new_values('dd_omen_brin') > 0 AS summarised;
SELECT dd_wrong();
SELECT brin_desummarize_range('dd_omen_brin', 0), brin_summarize_range('dd_omen_brin', 0);
SELECT dd_wrong();

-- Written anew, in three ways.
SELECT dd_both('UPDATE $T SET t = ''v'' || id WHERE id % 2 = 0');
SELECT dd_both('DELETE FROM $T WHERE id % 11 = 0');
SELECT pg_relation_size('dd_omen') AS before \gset
VACUUM FULL dd_omen;
SELECT pg_relation_size('dd_omen') < :before AS smaller, s.rows = (SELECT count(*) FROM dd_omen) AS rows, dead_rows, aborted_updates,
	versions_in_page, versions_in_store, store_pages, new_pages, row_page_fill BETWEEN 0.6 AND 0.75 AS filled
FROM omen_stats('dd_omen') s;
SELECT dd_wrong();
SELECT c.reltuples = (SELECT count(*) FROM dd_omen) AS counted FROM pg_class c WHERE relname = 'dd_omen';
-- sorted by the index, and by a sort
SET enable_sort = off;
SET enable_seqscan = off;
CLUSTER dd_omen USING dd_omen_btree;
SELECT dd_wrong();
SELECT count(*) AS disorder FROM (SELECT k < lag(k) OVER (ORDER BY ctid) AS wrong FROM dd_omen) s WHERE wrong;
CLUSTER dd_omen USING dd_omen_pkey;
SELECT count(*) AS disorder FROM (SELECT id < lag(id) OVER (ORDER BY ctid) AS wrong FROM dd_omen) s WHERE wrong;
CLUSTER dd_omen USING dd_omen_gist;
SELECT dd_wrong();
RESET enable_sort;
SET enable_indexscan = off;
RESET enable_seqscan;
CLUSTER dd_omen USING dd_omen_btree;
SELECT dd_wrong();
SELECT count(*) AS disorder FROM (SELECT k < lag(k) OVER (ORDER BY ctid) AS wrong FROM dd_omen) s WHERE wrong;
CLUSTER dd_omen USING dd_omen_expr;
RESET enable_indexscan;
SELECT dd_wrong();

-- In a transaction that has changed the table, and changes it further; and all of that undone.
BEGIN;
SELECT dd_both('UPDATE $T SET t = ''x'' || id WHERE id % 7 = 0');
SAVEPOINT s;
SELECT dd_both('UPDATE $T SET k = k + 3 WHERE id % 7 < 2');
ROLLBACK TO s;
SELECT dd_both('UPDATE $T SET k = k + 5 WHERE id % 70 = 0');
SELECT dd_both('DELETE FROM $T WHERE id % 49 = 0');
SELECT dd_both('CLUSTER $T USING $T_btree');
SELECT dd_wrong();
SELECT dd_both('UPDATE $T SET t = ''y'' || id WHERE id % 14 = 0');
SELECT dd_wrong();
SAVEPOINT s;
SELECT dd_both('CLUSTER $T USING $T_pkey');
SELECT dd_both('UPDATE $T SET t = ''z'' || id WHERE id % 14 = 0');
ROLLBACK TO s;
SELECT dd_wrong();
SELECT dd_both('UPDATE $T SET long = ''short'' WHERE id % 100 = 0');
COMMIT;
SELECT dd_wrong();
BEGIN;
SELECT dd_both('UPDATE $T SET t = ''never'' || id, k = 1');
SELECT dd_both('CLUSTER $T USING $T_btree');
ROLLBACK;
SELECT dd_wrong();

-- While a transaction runs that might need old versions (a prepared one, so that this session can wait for it).
BEGIN;
CREATE TABLE dd_witness ();
PREPARE TRANSACTION 'dd_old';
SELECT dd_both('UPDATE $T SET late = late + 1');
SELECT dd_both('UPDATE $T SET late = late + 1, long = CASE WHEN id % 100 < 2 THEN repeat(''other'' || id, 1000) END');
SELECT dd_both('UPDATE $T SET k = k + 1 WHERE id % 10 = 0');
SELECT dd_both('DELETE FROM $T WHERE id % 20 = 0');
SELECT versions_in_page + versions_in_store > 0 AS versions, dead_rows > 0 AS dead, oldest_superseder IS NOT NULL AS superseder
FROM omen_stats('dd_omen');
SELECT rows AS rows_before, versions_in_page + versions_in_store AS versions_before FROM omen_stats('dd_omen') \gset
VACUUM FULL dd_omen;
SELECT rows - :rows_before AS more_rows, versions_in_page + versions_in_store - :versions_before AS more_versions,
	versions_in_page > 0 AS in_page, versions_in_store > 0 AS in_store FROM omen_stats('dd_omen');
SELECT dd_wrong();
CLUSTER dd_omen USING dd_omen_pkey;
SELECT rows - :rows_before AS more_rows, versions_in_page + versions_in_store - :versions_before AS more_versions
FROM omen_stats('dd_omen');
SELECT dd_wrong();
SET enable_sort = off;
CLUSTER dd_omen USING dd_omen_btree;
RESET enable_sort;
SELECT rows - :rows_before AS more_rows, versions_in_page + versions_in_store - :versions_before AS more_versions
FROM omen_stats('dd_omen');
SELECT dd_wrong();
SELECT dd_both('UPDATE $T SET late = late - 1');
VACUUM dd_omen;
SELECT dd_wrong();
-- An index that older snapshots must not use.
CREATE INDEX dd_omen_broken ON dd_omen (late);
SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'dd_omen_broken'::regclass;
ROLLBACK PREPARED 'dd_old';
REINDEX INDEX dd_omen_broken;
VACUUM FULL dd_omen;
SELECT dead_rows, versions_in_page, versions_in_store, oldest_superseder, store_pages FROM omen_stats('dd_omen');
SELECT dd_wrong();

-- Frozen, also the versions behind.
VACUUM FREEZE dd_omen;
SELECT dd_wrong();
VACUUM (FULL, FREEZE) dd_omen;
SELECT dd_wrong();

-- Materialized views, temporary and unlogged tables.
CREATE MATERIALIZED VIEW dd_matview USING omen AS SELECT id, k FROM dd_heap;
CREATE UNIQUE INDEX ON dd_matview (id);
REFRESH MATERIALIZED VIEW dd_matview;
REFRESH MATERIALIZED VIEW CONCURRENTLY dd_matview;
VACUUM FULL dd_matview;
SELECT omen_check('dd_matview'), (SELECT count(*) FROM dd_matview) = (SELECT count(*) FROM dd_heap) AS complete;
CREATE TEMP TABLE dd_temp USING omen AS SELECT * FROM dd_heap;
CREATE INDEX dd_temp_k ON dd_temp (k);
UPDATE dd_temp SET t = 'temp';
CLUSTER dd_temp USING dd_temp_k;
UPDATE dd_temp SET t = 'temp2';
VACUUM FULL dd_temp;
SELECT omen_check('dd_temp'), (SELECT count(*) FROM dd_temp WHERE t = 'temp2') = (SELECT count(*) FROM dd_heap) AS complete;
CREATE UNLOGGED TABLE dd_unlogged (LIKE dd_heap) USING omen;
INSERT INTO dd_unlogged SELECT * FROM dd_heap;
UPDATE dd_unlogged SET t = 'unlogged';
VACUUM FULL dd_unlogged;
CREATE INDEX ON dd_unlogged (k);
SELECT omen_check('dd_unlogged');
SELECT (SELECT count(*) FROM dd_unlogged WHERE k >= 0) = (SELECT count(*) FROM dd_heap) AS complete;

-- From one access method to the other.
CREATE TABLE dd_moved USING heap AS SELECT * FROM dd_omen;
ALTER TABLE dd_moved SET ACCESS METHOD omen;
UPDATE dd_moved SET t = 'moved';
SELECT omen_check('dd_moved'), (SELECT count(*) FROM dd_moved WHERE t = 'moved') = (SELECT count(*) FROM dd_heap) AS complete;
ALTER TABLE dd_moved SET ACCESS METHOD heap;
SELECT (SELECT count(*) FROM dd_moved WHERE t = 'moved') = (SELECT count(*) FROM dd_heap) AS complete;
-- Rewritten by a change of type.
ALTER TABLE dd_unlogged ALTER k TYPE text;
ALTER TABLE dd_unlogged SET LOGGED;
SELECT omen_check('dd_unlogged');

-- Settings.
SELECT * FROM omen_options('dd_omen');
SELECT * FROM omen_options('dd_omen', fillfactor => 90);
SELECT * FROM omen_options('dd_omen', eager_offload => true);
SELECT objoid::regclass, label FROM pg_seclabel WHERE provider = 'omen';
SELECT reloptions FROM pg_class WHERE relname = 'dd_omen';
BEGIN;
SELECT * FROM omen_options('dd_omen', 100, false);
ROLLBACK;
SELECT * FROM omen_options('dd_omen');
SELECT * FROM omen_options('dd_temp');
SET omen.eager_offload = on;
SELECT * FROM omen_options('dd_temp');
SELECT * FROM omen_options('dd_temp', eager_offload => false);
RESET omen.eager_offload;
SELECT * FROM omen_options('dd_temp', fillfactor => 5);
SELECT * FROM omen_options('dd_heap');
SELECT * FROM omen_options(NULL);
SELECT * FROM omen_options('dd_omen', eager_offload => false);
SET omen.no_such_setting = 1;
-- every update moves what it replaced, once the page is pruned
CREATE TABLE dd_eager (id int PRIMARY KEY, v int, pad text) USING omen;
INSERT INTO dd_eager SELECT i, i, repeat('p', 100) FROM generate_series(1, 1000) i;
SELECT * FROM omen_options('dd_eager', eager_offload => true);
UPDATE dd_eager SET v = -v;
UPDATE dd_eager SET v = v + 1;
SELECT omen_check('dd_eager');
SELECT count(*), sum(v) FROM dd_eager;
SELECT store_records > 0 AS moved FROM omen_stats('dd_eager');

DROP TABLE dd_heap, dd_omen, dd_temp, dd_unlogged, dd_moved, dd_eager CASCADE;
-- what was set for a table goes with it
SELECT count(*) FROM pg_seclabel WHERE provider = 'omen';

-- Where the setting is kept: a label, which SECURITY LABEL changes as well.
CREATE TABLE dd_label () USING omen;
CREATE VIEW dd_view AS SELECT 1 AS one;
SELECT * FROM omen_options('dd_label', eager_offload => true);
SECURITY LABEL FOR omen ON TABLE dd_label IS 'eager_offload=off';
SELECT * FROM omen_options('dd_label');
BEGIN;
SECURITY LABEL FOR omen ON TABLE dd_label IS 'eager_offload=on';
SELECT * FROM omen_options('dd_label');
ROLLBACK;
SELECT * FROM omen_options('dd_label');
SECURITY LABEL FOR omen ON TABLE dd_label IS 'eager_offload=perhaps';
SECURITY LABEL FOR omen ON TABLE dd_label IS 'lazy_offload=on';
SECURITY LABEL FOR omen ON TABLE dd_label IS '';
SECURITY LABEL FOR omen ON COLUMN dd_view.one IS 'eager_offload=on';
SECURITY LABEL FOR omen ON VIEW dd_view IS 'eager_offload=on';
SECURITY LABEL FOR omen ON SCHEMA public IS 'eager_offload=on';
-- through a heap table and back, and a new file
SELECT * FROM omen_options('dd_label', eager_offload => true);
ALTER TABLE dd_label SET ACCESS METHOD heap;
ALTER TABLE dd_label SET ACCESS METHOD omen;
VACUUM FULL dd_label;
SELECT * FROM omen_options('dd_label');
SECURITY LABEL FOR omen ON TABLE dd_label IS NULL;
SELECT * FROM omen_options('dd_label');
DROP TABLE dd_label;
DROP VIEW dd_view;
-- tools that list an application's relations find none of the extension's
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
WHERE deptype = 'e' AND classid = 'pg_class'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'omen_alex');
DROP FUNCTION dd_both, dd_same, dd_wrong;
