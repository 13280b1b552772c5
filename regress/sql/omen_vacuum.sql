-- VACUUM of omen tables, with every option that matters, beside heap tables that went through the same. Most tables are temporary: the
-- transactions of others do not keep what is dead in them, so that there is only one right result.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;

-- ---- helpers: each command names the table as %T, and is run on heap and on omen

CREATE PROCEDURE v_both(VARIADIC commands text[]) LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY commands LOOP
		EXECUTE replace(command, '%T', 'v_heap');
		EXECUTE replace(command, '%T', 'v_omen');
	END LOOP;
END $$;

-- undone at the end; %T as above
CREATE PROCEDURE v_undone(VARIADIC commands text[]) LANGUAGE plpgsql AS $$
BEGIN
	CALL v_both(VARIADIC commands);
	RAISE EXCEPTION 'undone';
EXCEPTION WHEN raise_exception THEN
	NULL;
END $$;

-- One result of one query over each kind of plan; as many lines as there are different ones.
CREATE FUNCTION v_results(name text, OUT "rows" int8, OUT sums text, OUT plans int8) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
	condition text;
BEGIN
	CREATE TEMP TABLE v_found (r int8, s text);
	FOREACH condition IN ARRAY '{true,id > 0,k >= 0,"k = ANY (SELECT generate_series(0, 99))","tags && ARRAY(SELECT generate_series(0, 9))","point(id, k) <@ box ''((-1,-1),(1000000,1000000))''","h = ANY (ARRAY(SELECT DISTINCT h FROM v_heap))"}'::text[] LOOP
		PERFORM set_config('enable_seqscan', (condition = 'true')::text, true);
		FOR bitmap IN 0..1 LOOP
			PERFORM set_config('enable_bitmapscan', (bitmap = 1)::text, true);
			EXECUTE format('INSERT INTO v_found SELECT count(*), concat_ws('','', sum(id), sum(k), sum(v), sum(length(pad))) FROM %I WHERE %s', name, condition);
		END LOOP;
	END LOOP;
	RETURN QUERY SELECT r, s, count(*) FROM v_found GROUP BY r, s;
	DROP TABLE v_found;
	PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true);
END $$;

-- The same rows in both tables, over every index, and nothing wrong with the omen table.
CREATE FUNCTION v_same(checked text DEFAULT 'v_omen') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text;
	b text;
BEGIN
	PERFORM omen_check(checked::regclass);
	SELECT string_agg(r::text, ' / ') INTO a FROM v_results('v_heap') r;
	SELECT string_agg(r::text, ' / ') INTO b FROM v_results('v_omen') r;
	RETURN CASE WHEN a = b AND a NOT LIKE '%/%' THEN 'ok' ELSE format('heap %s, omen %s', a, b) END;
END $$;

-- What VACUUM left behind, and says it left.
CREATE VIEW v_left AS
SELECT s.dead_rows, s.aborted_updates AS aborted, s.versions_in_page + s.versions_in_store AS older, s.store_pages,
	   s.rows = c.reltuples AS "reltuples right", c.relpages = pg_relation_size(c.oid) / current_setting('block_size')::int AS "relpages right",
	   c.relallvisible = c.relpages AS "all visible"
FROM pg_class c, omen_stats(c.oid) s
WHERE c.oid = to_regclass('v_omen');

-- the size, in units of what it was when first asked
CREATE FUNCTION v_size() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	now numeric := pg_relation_size('v_omen');
	first text := current_setting('v.first', true);
BEGIN
	IF coalesce(first, '') = '' THEN PERFORM set_config('v.first', now::text, false); RETURN 1; END IF;
	RETURN round(now / first::numeric, 1);
END $$;

CREATE PROCEDURE v_create(kind text, n int) LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS v_heap, v_omen;
	PERFORM set_config('v.first', '', false);
	EXECUTE format('CREATE %s TABLE v_heap (id int, k int, v int, h text, tags int[], pad text) USING heap WITH (autovacuum_enabled = off)', kind);
	EXECUTE format('CREATE %s TABLE v_omen (id int, k int, v int, h text, tags int[], pad text) USING omen WITH (autovacuum_enabled = off)', kind);
	CALL v_both(format('INSERT INTO %%T SELECT i, i %% 100, 0, md5((i %% 50)::text), ARRAY[i %% 10, i], repeat(''p'', i %% 150) FROM generate_series(1, %s) i', n),
		'CREATE UNIQUE INDEX ON %T (id)', 'CREATE INDEX ON %T (k)', 'CREATE INDEX ON %T USING hash (h)', 'CREATE INDEX ON %T USING gin (tags)',
		'CREATE INDEX ON %T USING gist (point(id, k))', 'CREATE INDEX ON %T USING brin (id)', 'CREATE INDEX ON %T USING spgist (point(k, id))');
	CREATE INDEX ON v_omen USING alex (k);
END $$;

-- ---- updates, moves, deletes, and what was undone

CALL v_create('TEMP', 2000);
SELECT v_size();
VACUUM v_omen;
SELECT * FROM v_left;
CALL v_both('UPDATE %T SET v = v + 1', 'UPDATE %T SET v = v + 1 WHERE id % 2 = 0');
SELECT v_size() > 1 AS "store in use", store_pages > 0 AS "store pages" FROM v_left;
VACUUM v_omen;
SELECT * FROM v_left;
SELECT v_same(), v_size();

-- keys: rows move
CALL v_both('UPDATE %T SET k = (k + 37) % 100 WHERE id % 3 = 0', 'DELETE FROM %T WHERE id % 7 = 0');
SELECT v_same();
VACUUM v_omen;
SELECT * FROM v_left;
SELECT v_same();
CALL v_both('INSERT INTO %T SELECT i, i % 100, 0, md5((i % 50)::text), ARRAY[i % 10, i], repeat(''n'', i % 150) FROM generate_series(3001, 3200) i');
SELECT v_same(), v_size() < 1.5 AS "room was used again";

-- undone updates, of each kind, in full pages
CALL v_undone('UPDATE %T SET v = v + 100', 'UPDATE %T SET v = v + 100 WHERE id % 2 = 0', 'DELETE FROM %T WHERE id % 5 = 0');
CALL v_undone('UPDATE %T SET k = k + 1 WHERE id % 5 = 1', 'UPDATE %T SET pad = repeat(pad, 2) WHERE id % 11 = 0');
SELECT aborted > 0 AS "undone there" FROM v_left;
SELECT v_same();
VACUUM v_omen;
SELECT * FROM v_left;
SELECT v_same();

-- undone within a transaction that goes on
BEGIN;
CALL v_both('UPDATE %T SET v = v + 1 WHERE id % 4 = 0');
SAVEPOINT a;
CALL v_both('UPDATE %T SET v = v + 1000', 'UPDATE %T SET v = v + 1000');
ROLLBACK TO a;
CALL v_both('UPDATE %T SET v = v + 1 WHERE id % 8 = 0');
COMMIT;
VACUUM (FREEZE) v_omen;
SELECT * FROM v_left;
SELECT v_same();

-- ---- freezing

-- heap's first: an xid that is used up in between does not matter
VACUUM (FREEZE) v_heap;
VACUUM (FREEZE) v_omen;
SELECT age(o.relfrozenxid) <= age(h.relfrozenxid) AS "relfrozenxid as heap's", mxid_age(o.relminmxid) <= mxid_age(h.relminmxid) AS "relminmxid as heap's"
FROM pg_class o, pg_class h WHERE o.oid = 'v_omen'::regclass AND h.oid = 'v_heap'::regclass;

-- lockers, and multixacts of subtransactions of one
BEGIN;
SELECT count(*) FROM (SELECT FROM v_omen WHERE id % 2 = 0 FOR KEY SHARE) x;
SAVEPOINT a;
CALL v_both('UPDATE %T SET v = v + 1 WHERE id % 4 = 0');
SELECT count(*) FROM (SELECT FROM v_omen WHERE id % 6 = 0 FOR UPDATE) x;
SAVEPOINT b;
CALL v_both('UPDATE %T SET v = v + 1 WHERE id % 8 = 0', 'UPDATE %T SET k = k + 1 WHERE id % 12 = 0');
ROLLBACK TO b;
CALL v_both('DELETE FROM %T WHERE id % 100 = 0');
COMMIT;
SELECT v_same();
VACUUM (FREEZE) v_heap;
VACUUM (FREEZE) v_omen;
SELECT age(o.relfrozenxid) <= age(h.relfrozenxid) AS "relfrozenxid as heap's", mxid_age(o.relminmxid) <= mxid_age(h.relminmxid) AS "relminmxid as heap's"
FROM pg_class o, pg_class h WHERE o.oid = 'v_omen'::regclass AND h.oid = 'v_heap'::regclass;
SELECT count(*) AS "still locked" FROM v_omen WHERE xmax <> '0'::xid;
SELECT * FROM v_left;
SELECT v_same();

-- frozen rows change like others
CALL v_both('UPDATE %T SET v = v + 1 WHERE id % 3 = 0', 'DELETE FROM %T WHERE id % 10 = 3');
CALL v_undone('UPDATE %T SET v = v + 1', 'UPDATE %T SET v = v + 1', 'DELETE FROM %T');
SELECT v_same();
VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) v_omen;
SELECT * FROM v_left;
SELECT v_same();

-- ---- index cleanup

CALL v_create('TEMP', 5000);
VACUUM v_omen;
CALL v_both('DELETE FROM %T WHERE id BETWEEN 1000 AND 1002');
-- few dead rows are left for later, and their page is not all-visible
VACUUM v_omen;
SELECT "all visible" FROM v_left;
SELECT v_same();
VACUUM (INDEX_CLEANUP ON) v_omen;
SELECT "all visible" FROM v_left;
CALL v_both('DELETE FROM %T WHERE id % 2 = 0');
VACUUM (INDEX_CLEANUP OFF) v_omen;
SELECT "all visible" FROM v_left;
SELECT v_same();
CALL v_both('INSERT INTO %T SELECT i, i % 100, 0, md5((i % 50)::text), ARRAY[i % 10, i], '''' FROM generate_series(6001, 6500) i');
SELECT v_same();
VACUUM v_omen;
SELECT * FROM v_left;
SELECT v_same();

-- more dead rows than fit into memory: indexes are vacuumed more than once
SET maintenance_work_mem = '1MB';
CREATE TEMP TABLE v_many (id int, v int) USING omen;
INSERT INTO v_many SELECT i, 0 FROM generate_series(1, 210000) i;
CREATE INDEX ON v_many (id);
CREATE INDEX ON v_many USING alex (id);
DELETE FROM v_many WHERE id % 10 <> 0;
VACUUM v_many;
RESET maintenance_work_mem;
SELECT omen_check('v_many');
SELECT dead_rows, "rows" FROM omen_stats('v_many');
SET enable_seqscan = off;
SELECT count(*), sum(id) FROM v_many WHERE id > 0;
RESET enable_seqscan;
INSERT INTO v_many SELECT i, 1 FROM generate_series(300001, 480000) i;
SELECT count(*), sum(v) FROM v_many;
SELECT omen_check('v_many');
DROP TABLE v_many;

-- ---- the end of the file

CALL v_create('TEMP', 2000);
SELECT v_size();
CALL v_both('DELETE FROM %T WHERE id > 200');
VACUUM (TRUNCATE OFF) v_omen;
SELECT v_size();
VACUUM v_omen;
SELECT v_size() < 0.3 AS truncated;
SELECT * FROM v_left;
SELECT v_same();
-- nothing left but the store, and then nothing
CALL v_both('UPDATE %T SET v = v + 1', 'UPDATE %T SET v = v + 1', 'DELETE FROM %T');
VACUUM v_omen;
SELECT pg_relation_size('v_omen');
CALL v_both('INSERT INTO %T SELECT i, i % 100, 0, md5((i % 50)::text), ARRAY[i % 10, i], '''' FROM generate_series(1, 500) i', 'UPDATE %T SET v = v + 1');
SELECT v_same();
VACUUM v_omen;
SELECT * FROM v_left;

-- ---- tables without an index: dead rows go at once

CREATE TEMP TABLE v_bare (id int, v int) USING omen;
INSERT INTO v_bare SELECT i, 0 FROM generate_series(1, 3000) i;
DELETE FROM v_bare WHERE id % 2 = 0;
UPDATE v_bare SET v = 1;
VACUUM v_bare;
SELECT dead_rows, "rows", store_pages FROM omen_stats('v_bare');
SELECT pg_relation_size('v_bare') AS before \gset
INSERT INTO v_bare SELECT i, 2 FROM generate_series(1, 1500) i;
SELECT pg_relation_size('v_bare') = :before AS "room was used again", count(*), sum(v) FROM v_bare;
VACUUM (FREEZE) v_bare;
SELECT omen_check('v_bare');
DROP TABLE v_bare;

-- ---- updates that were rolled back: their pages of the store are used again, without VACUUM

CREATE TABLE v_undone (id int PRIMARY KEY, v char(200)) USING omen;
INSERT INTO v_undone SELECT i, '0' FROM generate_series(1, 2000) i;
CREATE PROCEDURE v_undo(rounds int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..rounds LOOP
		UPDATE v_undone SET v = 'undone';
		ROLLBACK;
		UPDATE v_undone SET v = i::text;
		COMMIT;
	END LOOP;
END $$;
CALL v_undo(3);
SELECT row_pages, store_pages FROM omen_stats('v_undone') \gset after_3_
CALL v_undo(9);
SELECT row_pages <= :after_3_row_pages * 1.1 AS "row pages", store_pages <= :after_3_store_pages * 1.2 AS "store pages", aborted_updates,
	omen_check('v_undone') FROM omen_stats('v_undone');
SELECT count(*), min(v::text), max(v::text) FROM v_undone;
-- subtransactions, several updates of a row in each
CREATE PROCEDURE v_undo_parts(rounds int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..rounds LOOP
		UPDATE v_undone SET v = 'kept ' || i;
		BEGIN
			UPDATE v_undone SET v = 'undone';
			UPDATE v_undone SET v = 'undone as well';
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
		UPDATE v_undone SET v = 'kept again ' || i WHERE id % 2 = 0;
		COMMIT;
	END LOOP;
END $$;
CALL v_undo_parts(3);
SELECT row_pages, store_pages FROM omen_stats('v_undone') \gset after_3_
CALL v_undo_parts(9);
SELECT row_pages <= :after_3_row_pages * 1.1 AS "row pages", store_pages <= :after_3_store_pages * 1.2 AS "store pages", omen_check('v_undone') FROM omen_stats('v_undone');
SELECT count(*), min(v::text), max(v::text) FROM v_undone;
-- rows one after the other, in random order
CREATE PROCEDURE v_undo_single(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	row_id int;
BEGIN
	FOR i IN 1..rounds LOOP
		UPDATE v_undone SET v = 'undone';
		ROLLBACK;
		FOR row_id IN SELECT id FROM generate_series(1, 2000) id ORDER BY random() LOOP
			UPDATE v_undone SET v = i::text WHERE id = row_id;
			UPDATE v_undone SET v = 'again ' || i WHERE id = row_id;
		END LOOP;
		COMMIT;
	END LOOP;
END $$;
CALL v_undo_single(3);
SELECT row_pages, store_pages FROM omen_stats('v_undone') \gset after_3_
CALL v_undo_single(9);
SELECT row_pages <= :after_3_row_pages * 1.1 AS "row pages", store_pages <= :after_3_store_pages * 1.2 AS "store pages", omen_check('v_undone') FROM omen_stats('v_undone');
SELECT count(*), min(v::text), max(v::text) FROM v_undone;
DROP PROCEDURE v_undo, v_undo_parts, v_undo_single;
DROP TABLE v_undone;

-- ---- nothing to do

CREATE TABLE v_empty (id int PRIMARY KEY) USING omen;
VACUUM v_empty;
VACUUM (FREEZE, DISABLE_PAGE_SKIPPING, INDEX_CLEANUP ON) v_empty;
SELECT relpages, reltuples FROM pg_class WHERE relname = 'v_empty';
DROP TABLE v_empty;

-- ---- values out of line

CREATE TEMP TABLE v_long (id int PRIMARY KEY, v int, long text) USING omen;
ALTER TABLE v_long ALTER long SET STORAGE EXTERNAL;
INSERT INTO v_long SELECT i, 0, repeat(md5(i::text), 200) FROM generate_series(1, 60) i;
UPDATE v_long SET v = 1;
UPDATE v_long SET long = repeat('l', 7000) WHERE id % 3 = 0;
BEGIN;
UPDATE v_long SET long = repeat('m', 9000) WHERE id % 2 = 0;
DELETE FROM v_long WHERE id % 5 = 0;
ROLLBACK;
VACUUM (FREEZE) v_long;
SELECT omen_check('v_long');
SELECT count(*), sum(v), sum(length(long)), count(*) FILTER (WHERE long = repeat(md5(id::text), 200)) AS unchanged FROM v_long;
DROP TABLE v_long;

-- ---- statistics

CALL v_create('TEMP', 1000);
CALL v_both('DELETE FROM %T WHERE id % 4 = 0');
SELECT pg_stat_force_next_flush();
VACUUM v_heap;
VACUUM v_omen;
SELECT n_live_tup, n_dead_tup, vacuum_count FROM pg_stat_all_tables WHERE relid = 'v_heap'::regclass;
SELECT n_live_tup, n_dead_tup, vacuum_count FROM pg_stat_all_tables WHERE relid = 'v_omen'::regclass;
SELECT count(*) AS "in progress" FROM pg_stat_progress_vacuum WHERE pid = pg_backend_pid();

-- ---- permanent and unlogged tables: others may keep what is dead, so only the rows are compared

CALL v_create('', 1000);
CALL v_both('UPDATE %T SET v = v + 1', 'UPDATE %T SET k = (k + 50) % 100 WHERE id % 3 = 0', 'DELETE FROM %T WHERE id % 7 = 0');
CALL v_undone('UPDATE %T SET v = v + 1', 'DELETE FROM %T');
VACUUM v_omen;
SELECT v_same();
CALL v_both('UPDATE %T SET v = v + 1');
VACUUM (FREEZE, INDEX_CLEANUP ON) v_omen;
SELECT v_same();
CALL v_both('DELETE FROM %T WHERE id > 10');
VACUUM (ANALYZE, PARALLEL 2) v_omen;
SELECT v_same();
CALL v_create('UNLOGGED', 1000);
CALL v_both('UPDATE %T SET v = v + 1', 'UPDATE %T SET k = (k + 50) % 100 WHERE id % 3 = 0', 'DELETE FROM %T WHERE id % 7 = 0');
CALL v_undone('UPDATE %T SET v = v + 1', 'DELETE FROM %T');
VACUUM v_omen;
SELECT v_same();
CALL v_both('UPDATE %T SET v = v + 1');
VACUUM (FREEZE, INDEX_CLEANUP ON) v_omen;
SELECT v_same();

DROP VIEW v_left;
DROP TABLE v_heap, v_omen;
DROP FUNCTION v_results, v_same, v_size;
DROP PROCEDURE v_both, v_undone, v_create;
