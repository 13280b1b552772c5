-- Every kind of scan of an omen table, compared with a heap table of the same rows: all directions, restarts, parallel, of current and of
-- older versions. Only what agrees is printed as "ok".
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET synchronize_seqscans = off;

-- ---- helpers: each query names the table as %T, and is run on scan_heap and on scan_omen

-- the plans a setting leaves
CREATE PROCEDURE plans(VARIADIC wanted text[]) LANGUAGE plpgsql AS $$
DECLARE
	kind text;
BEGIN
	FOREACH kind IN ARRAY '{seqscan,indexscan,indexonlyscan,bitmapscan,tidscan,nestloop,hashjoin,mergejoin,material,memoize}'::text[] LOOP
		PERFORM set_config('enable_' || kind, (kind = ANY (wanted) OR wanted = '{all}')::text, false);
	END LOOP;
END $$;

CREATE FUNCTION uses(query text, node text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN plan ~ node;
END $$;

-- the same rows, in any order; and the omen table is read by this kind of node
CREATE FUNCTION same(query text, node text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	on_heap text := replace(query, '%T', 'scan_heap');
	on_omen text := replace(query, '%T', 'scan_omen');
	a text[];
	b text[];
BEGIN
	IF NOT uses(on_omen, node) THEN RETURN format('not a %s: %s', node, query); END IF;
	EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', on_heap) INTO a;
	EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', on_omen) INTO b;
	IF a IS NOT DISTINCT FROM b THEN RETURN 'ok'; END IF;
	RETURN format('%s: heap has %s rows, omen %s', query, cardinality(a), cardinality(b));
END $$;

-- the same rows on the omen table alone, however they are found
CREATE FUNCTION agree(query text, other text, node text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text[];
	b text[];
BEGIN
	IF NOT uses(query, node) THEN RETURN format('not a %s: %s', node, query); END IF;
	EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', query) INTO a;
	EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', other) INTO b;
	IF a IS NOT DISTINCT FROM b THEN RETURN 'ok'; END IF;
	RETURN format('%s: %s rows, %s: %s', query, cardinality(a), other, cardinality(b));
END $$;

-- both tables change alike
CREATE PROCEDURE do_both(command text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(command, '%T', 'scan_heap');
	EXECUTE replace(command, '%T', 'scan_omen');
END $$;

-- n rows of a cursor in one direction
CREATE FUNCTION rows_of(name text, direction text, n int) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := name;
	r record;
	result text[] := '{}';
BEGIN
	FOR i IN 1..n LOOP
		IF direction = 'forward' THEN FETCH NEXT FROM c INTO r; ELSE FETCH PRIOR FROM c INTO r; END IF;
		EXIT WHEN NOT FOUND;
		result := result || r::text;
	END LOOP;
	RETURN result;
END $$;

-- a cursor of the same query on each table
CREATE FUNCTION declare_both(query text, node text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF NOT uses(replace(query, '%T', 'scan_omen'), node) THEN RETURN format('not a %s: %s', node, query); END IF;
	EXECUTE 'DECLARE c_heap SCROLL CURSOR FOR ' || replace(query, '%T', 'scan_heap');
	EXECUTE 'DECLARE c_omen SCROLL CURSOR FOR ' || replace(query, '%T', 'scan_omen');
	RETURN 'ok';
END $$;

-- both cursors return the same rows; `ordered` also in the same order
CREATE FUNCTION same_rows(direction text, n int, ordered bool DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text[] := rows_of('c_heap', direction, n);
	b text[] := rows_of('c_omen', direction, n);
BEGIN
	IF NOT ordered THEN
		a := ARRAY(SELECT unnest(a) ORDER BY 1);
		b := ARRAY(SELECT unnest(b) ORDER BY 1);
	END IF;
	IF a = b THEN RETURN 'ok ' || cardinality(a); END IF;
	RETURN format('heap: %s rows, omen: %s', cardinality(a), cardinality(b));
END $$;

-- ---- rows as inserted

CREATE TABLE scan_heap (id int, k int, v int, filler text) USING heap WITH (autovacuum_enabled = off);
CREATE TABLE scan_omen (id int, k int, v int, filler text) USING omen WITH (autovacuum_enabled = off);
SELECT same('SELECT * FROM %T') AS empty;
SELECT same('SELECT * FROM %T TABLESAMPLE SYSTEM (100)', 'Sample Scan') AS empty_sample;
CALL do_both('INSERT INTO %T SELECT i, i * 7919 % 3000, 0, repeat(chr(97 + i % 26), 90) FROM generate_series(1, 3000) i');
CALL do_both('CREATE UNIQUE INDEX ON %T (id)');
CALL do_both('CREATE INDEX ON %T (k)');
CALL do_both('ANALYZE %T');

SELECT relname, reltuples FROM pg_class WHERE relname IN ('scan_heap', 'scan_omen') ORDER BY 1;

-- the kinds of scans, in a function to run them again later
CREATE FUNCTION all_kinds() RETURNS TABLE (kind text, result text) LANGUAGE plpgsql AS $$
BEGIN
	CALL plans('seqscan');
	kind := 'seq'; result := same('SELECT * FROM %T', 'Seq Scan'); RETURN NEXT;
	kind := 'seq where'; result := same('SELECT * FROM %T WHERE v % 2 = 0 AND id < 100', 'Seq Scan'); RETURN NEXT;
	kind := 'seq limit'; result := same('SELECT count(*) FROM (SELECT * FROM %T LIMIT 77) s', 'Seq Scan'); RETURN NEXT;

	CALL plans('indexscan');
	kind := 'index'; result := same('SELECT * FROM %T WHERE id BETWEEN 50 AND 2500', 'Index Scan'); RETURN NEXT;
	kind := 'index back'; result := same('SELECT array_agg((id, v)) FROM (SELECT * FROM %T ORDER BY id DESC) s', 'Index Scan Backward'); RETURN NEXT;
	kind := 'index one'; result := same('SELECT * FROM %T WHERE id = 1234', 'Index Scan'); RETURN NEXT;
	CALL plans('indexonlyscan', 'indexscan');
	kind := 'index only'; result := same('SELECT k FROM %T WHERE k < 1000', 'Index Only Scan'); RETURN NEXT;

	CALL plans('bitmapscan');
	kind := 'bitmap'; result := same('SELECT * FROM %T WHERE k BETWEEN 100 AND 1500', 'Bitmap Heap Scan'); RETURN NEXT;
	kind := 'bitmap or'; result := same('SELECT * FROM %T WHERE k BETWEEN 100 AND 1500 OR id IN (3, 5, 2000)', 'BitmapOr'); RETURN NEXT;
	kind := 'bitmap count'; result := same('SELECT count(*) FROM %T WHERE k > 100', 'Bitmap Heap Scan'); RETURN NEXT;

	CALL plans('tidscan', 'nestloop');
	kind := 'tid'; result := agree('SELECT * FROM scan_omen WHERE ctid = ANY (ARRAY(SELECT ctid FROM scan_omen WHERE id % 3 = 0))',
		'SELECT * FROM scan_omen WHERE id % 3 = 0', 'Tid Scan'); RETURN NEXT;
	kind := 'tid join'; result := agree('SELECT b.* FROM scan_omen a JOIN scan_omen b ON b.ctid = a.ctid WHERE a.id % 5 = 0',
		'SELECT * FROM scan_omen WHERE id % 5 = 0', 'Tid Scan'); RETURN NEXT;
	CALL plans('tidscan');
	kind := 'tid range'; result := agree('SELECT * FROM scan_omen WHERE ctid >= ''(3,2)'' AND ctid < ''(7,5)''',
		'SELECT * FROM scan_omen WHERE NOT (ctid < ''(3,2)'' OR ctid >= ''(7,5)'')', 'Tid Range Scan'); RETURN NEXT;
	kind := 'tid range open'; result := agree('SELECT * FROM scan_omen WHERE ctid > ''(5,1)''',
		'SELECT * FROM scan_omen WHERE NOT ctid <= ''(5,1)''', 'Tid Range Scan'); RETURN NEXT;
	kind := 'tid range empty'; result := agree('SELECT * FROM scan_omen WHERE ctid > ''(5,1)'' AND ctid < ''(4,1)''',
		'SELECT * FROM scan_omen WHERE false', 'Tid Range Scan'); RETURN NEXT;
	kind := 'tid range behind'; result := agree('SELECT * FROM scan_omen WHERE ctid > ''(1000000,1)''',
		'SELECT * FROM scan_omen WHERE false', 'Tid Range Scan'); RETURN NEXT;
	kind := 'no tid'; result := agree('SELECT * FROM scan_omen WHERE ctid IN (''(1000000,1)'', ''(0,0)'', ''(0,60000)'')',
		'SELECT * FROM scan_omen WHERE false', 'Tid Scan'); RETURN NEXT;

	CALL plans('all');
	kind := 'system 100'; result := same('SELECT * FROM %T TABLESAMPLE SYSTEM (100)', 'Sample Scan'); RETURN NEXT;
	kind := 'bernoulli 100'; result := same('SELECT * FROM %T TABLESAMPLE BERNOULLI (100)', 'Sample Scan'); RETURN NEXT;
	kind := 'bernoulli 50'; result := agree('SELECT s.* FROM scan_omen s TABLESAMPLE BERNOULLI (50) REPEATABLE (1)',
		'SELECT o.* FROM scan_omen o WHERE ctid IN (SELECT ctid FROM scan_omen TABLESAMPLE BERNOULLI (50) REPEATABLE (1))'); RETURN NEXT;
	kind := 'bernoulli 5'; result := agree('SELECT s.* FROM scan_omen s TABLESAMPLE BERNOULLI (5) REPEATABLE (2)',
		'SELECT o.* FROM scan_omen o WHERE ctid IN (SELECT ctid FROM scan_omen TABLESAMPLE BERNOULLI (5) REPEATABLE (2))'); RETURN NEXT;

	CALL plans('nestloop', 'seqscan');
	kind := 'seq again'; result := same('SELECT a.id, b.v FROM generate_series(1, 9) a(id) JOIN %T b ON b.id = a.id', 'Seq Scan'); RETURN NEXT;
	CALL plans('nestloop', 'bitmapscan');
	kind := 'bitmap again'; result := same('SELECT a.id, b.v FROM generate_series(1, 300) a(id) JOIN %T b ON b.k = a.id', 'Bitmap Heap Scan'); RETURN NEXT;
	CALL plans('nestloop', 'indexscan');
	kind := 'index again'; result := same('SELECT a.id, b.v FROM generate_series(1, 300) a(id) JOIN %T b ON b.k = a.id', 'Index Scan'); RETURN NEXT;
	CALL plans('nestloop', 'tidscan');
	kind := 'tid range again'; result := agree('SELECT n, (SELECT count(*) FROM scan_omen WHERE ctid >= format(''(%s,1)'', n)::tid AND ctid < format(''(%s,1)'', n + 1)::tid) FROM generate_series(0, 9) n',
		'SELECT n, (SELECT count(*) FROM scan_omen WHERE split_part(trim(''('' FROM ctid::text), '','', 1)::int = n) FROM generate_series(0, 9) n', 'Tid Range Scan'); RETURN NEXT;
	CALL plans('all');
	kind := 'sample again'; result := same('SELECT a.n, b.id FROM generate_series(1, 3) a(n), LATERAL (SELECT id FROM %T TABLESAMPLE SYSTEM (100 + 0 * a.n) WHERE k < 50) b', 'Sample Scan'); RETURN NEXT;

	PERFORM set_config('max_parallel_workers_per_gather', '2', false), set_config('min_parallel_table_scan_size', '0', false),
		set_config('min_parallel_index_scan_size', '0', false), set_config('parallel_setup_cost', '0', false),
		set_config('parallel_tuple_cost', '0', false);
	CALL plans('seqscan');
	kind := 'parallel seq'; result := same('SELECT count(*), sum(v), sum(length(filler)) FROM %T', 'Parallel Seq Scan'); RETURN NEXT;
	CALL plans('bitmapscan');
	kind := 'parallel bitmap'; result := same('SELECT count(*), sum(v) FROM %T WHERE k BETWEEN 100 AND 1500', 'Parallel Bitmap Heap Scan'); RETURN NEXT;
	CALL plans('indexscan');
	kind := 'parallel index'; result := same('SELECT count(*), sum(v) FROM %T WHERE k > 100', 'Parallel Index Scan'); RETURN NEXT;
	PERFORM set_config('max_parallel_workers_per_gather', '0', false);
	CALL plans('all');
END $$;
SELECT * FROM all_kinds();

-- ---- cursors, both tables in the order of insertion

BEGIN;
CALL plans('seqscan');
SELECT declare_both('SELECT * FROM %T', 'Seq Scan');
SELECT same_rows('backward', 3) AS before_first, same_rows('forward', 1500) AS forward, same_rows('backward', 700) AS back,
	same_rows('forward', 10) AS turn, same_rows('backward', 10) AS turn_again, same_rows('forward', 5000) AS to_end,
	same_rows('forward', 1) AS behind, same_rows('backward', 2000) AS from_end, same_rows('backward', 5000) AS to_start;
MOVE ABSOLUTE 2900 IN c_heap;
MOVE ABSOLUTE 2900 IN c_omen;
SELECT same_rows('backward', 1) AS absolute;
MOVE FIRST IN c_heap;
MOVE FIRST IN c_omen;
SELECT same_rows('forward', 1) AS second;
CLOSE c_heap;
CLOSE c_omen;

SELECT declare_both('SELECT * FROM %T WHERE id > 20 AND id % 1000 < 30', 'Seq Scan');
SELECT same_rows('forward', 15) AS forward, same_rows('backward', 9) AS back, same_rows('forward', 500) AS to_end, same_rows('backward', 500) AS to_start;
CLOSE c_heap;
CLOSE c_omen;

CALL plans('tidscan');
DECLARE c_heap SCROLL CURSOR FOR SELECT id FROM scan_heap WHERE ctid < '(9,1)';
DECLARE c_omen SCROLL CURSOR FOR SELECT id FROM scan_omen WHERE ctid > '(2,5)' AND ctid <= '(6,2)';
SELECT rows_of('c_omen', 'forward', 5000) = ARRAY(SELECT (id)::text FROM (SELECT ROW(id) AS id FROM scan_omen WHERE NOT (ctid <= '(2,5)' OR ctid > '(6,2)') ORDER BY ctid) s) AS forward,
	rows_of('c_omen', 'backward', 5000) = ARRAY(SELECT (id)::text FROM (SELECT ROW(id) AS id FROM scan_omen WHERE NOT (ctid <= '(2,5)' OR ctid > '(6,2)') ORDER BY ctid DESC) s) AS back,
	rows_of('c_omen', 'forward', 40) = ARRAY(SELECT (id)::text FROM (SELECT ROW(id) AS id FROM scan_omen WHERE NOT (ctid <= '(2,5)' OR ctid > '(6,2)') ORDER BY ctid LIMIT 40) s) AS again;
CLOSE c_heap;
CLOSE c_omen;

CALL plans('indexscan');
SELECT declare_both('SELECT * FROM %T WHERE k < 500 ORDER BY k', 'Index Scan');
SELECT same_rows('forward', 100) AS forward, same_rows('backward', 50) AS back, same_rows('forward', 1000) AS to_end, same_rows('backward', 1000) AS to_start;
CLOSE c_heap;
CLOSE c_omen;
CALL plans('all');
COMMIT;

-- ---- older versions: cursors that were opened before what they are not to see

-- each command makes another version, and there are more than fit the pages
CREATE PROCEDURE churn() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..4 LOOP
		CALL do_both('UPDATE %T SET v = v + 1');
		CALL do_both(format('UPDATE %%T SET filler = repeat(''%s'', 60 + id %% 80) WHERE id %% 4 = %s', chr(64 + i), i - 1));
	END LOOP;
	CALL do_both('UPDATE %T SET k = k + 1 WHERE id % 10 = 0');
	CALL do_both('DELETE FROM %T WHERE id % 50 = 7');
	BEGIN
		CALL do_both('UPDATE %T SET v = -1000');
		CALL do_both('DELETE FROM %T WHERE id % 7 = 0');
		RAISE EXCEPTION USING ERRCODE = 'P0099';
	EXCEPTION WHEN SQLSTATE 'P0099' THEN NULL;
	END;
	CALL do_both('UPDATE %T SET v = v + 100 WHERE id % 3 = 0');
	CALL do_both('INSERT INTO %T SELECT m + i, i, i, ''later'' FROM generate_series(1, 20) i, (SELECT max(id) AS m FROM %T) s');
END $$;

BEGIN;
CALL plans('seqscan');
SELECT declare_both('SELECT * FROM %T', 'Seq Scan');
SELECT same_rows('forward', 10, false) AS before;
CALL plans('all');
CALL churn();
SELECT same_rows('forward', 5000, false) AS old_forward, same_rows('backward', 5000, false) AS old_back;
CLOSE c_heap;
CLOSE c_omen;
SELECT * FROM all_kinds() WHERE result <> 'ok';
ROLLBACK;
SELECT * FROM all_kinds() WHERE result <> 'ok';

BEGIN;
CALL plans('indexscan');
SELECT declare_both('SELECT * FROM %T WHERE k BETWEEN 20 AND 2500', 'Index Scan');
CALL plans('all');
CALL churn();
SELECT same_rows('forward', 5000, false) AS old_forward, same_rows('backward', 5000, false) AS old_back;
CLOSE c_heap;
CLOSE c_omen;
ROLLBACK;

BEGIN;
CALL plans('bitmapscan');
DECLARE c_heap CURSOR FOR SELECT * FROM scan_heap WHERE k BETWEEN 20 AND 2500;
DECLARE c_omen CURSOR FOR SELECT * FROM scan_omen WHERE k BETWEEN 20 AND 2500;
CALL plans('all');
CALL churn();
SELECT same_rows('forward', 5000, false) AS old_bitmap;
CLOSE c_heap;
CLOSE c_omen;
ROLLBACK;

BEGIN;
CALL plans('tidscan');
DECLARE c_heap CURSOR FOR SELECT * FROM scan_heap WHERE ctid > '(0,0)';
DECLARE c_omen CURSOR FOR SELECT * FROM scan_omen WHERE ctid > '(0,0)';
CALL plans('all');
CALL churn();
SELECT same_rows('forward', 5000, false) AS old_tid_range;
CLOSE c_heap;
CLOSE c_omen;
DECLARE c_heap CURSOR FOR SELECT * FROM scan_heap TABLESAMPLE SYSTEM (100);
DECLARE c_omen CURSOR FOR SELECT * FROM scan_omen TABLESAMPLE SYSTEM (100);
CALL churn();
SELECT same_rows('forward', 5000, false) AS old_sample;
CLOSE c_heap;
CLOSE c_omen;
ROLLBACK;

BEGIN;
CREATE TEMP TABLE sampled AS SELECT s.* FROM scan_omen s TABLESAMPLE BERNOULLI (20) REPEATABLE (3);
DECLARE c_omen CURSOR FOR SELECT * FROM scan_omen TABLESAMPLE BERNOULLI (20) REPEATABLE (3);
MOVE 1 IN c_omen;
CALL churn();
SELECT 1 + cardinality(rows_of('c_omen', 'forward', 5000)) = count(*) AS all_rows FROM sampled;
CLOSE c_omen;
DECLARE c_omen CURSOR FOR SELECT * FROM scan_omen TABLESAMPLE BERNOULLI (20) REPEATABLE (3);
SELECT count(*) AS not_sampled FROM unnest(rows_of('c_omen', 'forward', 5000)) r WHERE NOT EXISTS (SELECT FROM scan_omen s WHERE s::text = r);
CLOSE c_omen;
ROLLBACK;

-- versions of several transactions, none of them undone; the table counts by rows, not by versions
CALL churn();
CALL churn();
SELECT * FROM all_kinds() WHERE result <> 'ok';
ANALYZE scan_omen;
SELECT reltuples = (SELECT count(*) FROM scan_omen) AS rows_counted FROM pg_class WHERE relname = 'scan_omen';

-- ---- scans that drive changes

CALL plans('seqscan', 'hashjoin');
CALL do_both('UPDATE %T SET v = v + 1 WHERE v % 2 = 0');
CALL do_both('UPDATE %T a SET v = a.v + b.v FROM %T b WHERE b.id = a.id + 1');
CALL plans('indexscan', 'nestloop');
CALL do_both('UPDATE %T SET v = v + 1 WHERE id BETWEEN 100 AND 900');
CALL do_both('UPDATE %T a SET v = a.v - 1 FROM %T b WHERE b.k = a.id AND b.id < 1000');
CALL plans('bitmapscan');
CALL do_both('UPDATE %T SET v = v + 1 WHERE k BETWEEN 100 AND 900');
CALL do_both('DELETE FROM %T WHERE k BETWEEN 150 AND 160');
CALL plans('tidscan', 'nestloop', 'seqscan');
CALL do_both('UPDATE %T SET v = v + 1 WHERE ctid = ANY (ARRAY(SELECT ctid FROM %T WHERE id % 9 = 0))');
CALL plans('all');
SELECT same('SELECT * FROM %T') AS changes;

-- what a cursor stands on
BEGIN;
DECLARE c_heap CURSOR FOR SELECT * FROM scan_heap WHERE id BETWEEN 300 AND 340 FOR UPDATE;
DECLARE c_omen CURSOR FOR SELECT * FROM scan_omen WHERE id BETWEEN 300 AND 340 FOR UPDATE;
DO $$
DECLARE
	h refcursor := 'c_heap';
	o refcursor := 'c_omen';
	r record;
BEGIN
	LOOP
		FETCH h INTO r;
		EXIT WHEN NOT FOUND;
		UPDATE scan_heap SET v = v + 7 WHERE CURRENT OF h;
		IF r.id % 3 = 0 THEN UPDATE scan_heap SET k = k + 1 WHERE CURRENT OF h; END IF;
		IF r.id % 5 = 0 THEN DELETE FROM scan_heap WHERE CURRENT OF h; END IF;
	END LOOP;
	LOOP
		FETCH o INTO r;
		EXIT WHEN NOT FOUND;
		UPDATE scan_omen SET v = v + 7 WHERE CURRENT OF o;
		IF r.id % 3 = 0 THEN UPDATE scan_omen SET k = k + 1 WHERE CURRENT OF o; END IF;
		IF r.id % 5 = 0 THEN DELETE FROM scan_omen WHERE CURRENT OF o; END IF;
	END LOOP;
END $$;
COMMIT;
SELECT same('SELECT * FROM %T') AS current_of;

-- the latest TID: unchanged by updates in place, followed where a row moved
BEGIN;
SELECT ctid AS was FROM scan_omen WHERE id = 500 \gset
UPDATE scan_omen SET v = v + 1 WHERE id = 500;
SELECT currtid2('scan_omen', :'was') = ctid AS latest FROM scan_omen WHERE id = 500;
UPDATE scan_omen SET k = k + 1 WHERE id = 500;
UPDATE scan_omen SET k = k + 1 WHERE id = 500;
UPDATE scan_omen SET v = v + 1 WHERE id = 500;
SELECT currtid2('scan_omen', :'was') = ctid AS latest, ctid <> :'was' AS moved FROM scan_omen WHERE id = 500;
ROLLBACK;

-- ---- system columns, whichever way the row was found

BEGIN;
UPDATE scan_omen SET v = v + 1 WHERE id < 20;
CALL plans('seqscan');
SELECT bool_and(xmin::text = (txid_current() % 4294967296)::text AND tableoid = 'scan_omen'::regclass) AS seq FROM scan_omen WHERE id < 20;
CALL plans('indexscan');
SELECT bool_and(xmin::text = (txid_current() % 4294967296)::text AND tableoid = 'scan_omen'::regclass) AS index FROM scan_omen WHERE id < 20;
CALL plans('bitmapscan');
SELECT bool_and(xmin::text = (txid_current() % 4294967296)::text AND tableoid = 'scan_omen'::regclass) AS bitmap FROM scan_omen WHERE id < 20;
CALL plans('all');
SELECT count(*) = count(DISTINCT ctid) AS own_tids FROM scan_omen;
DECLARE c_omen CURSOR FOR SELECT xmax::text::int8 > 0 AND cmax = cmin FROM scan_omen WHERE id = 30;
DELETE FROM scan_omen WHERE id = 30;
FETCH c_omen;
ROLLBACK;

-- ---- what is counted and locked, as for heap

CALL do_both('TRUNCATE %T');
CALL do_both('INSERT INTO %T SELECT i, i, 0, repeat(''x'', 100) FROM generate_series(1, 1000) i');
CALL do_both('ANALYZE %T');
CREATE FUNCTION counts(rel regclass) RETURNS int8[] LANGUAGE sql VOLATILE AS $$
	SELECT ARRAY[pg_stat_get_xact_numscans(rel), pg_stat_get_xact_tuples_returned(rel), pg_stat_get_xact_tuples_fetched(rel)]
$$;
CREATE FUNCTION counted(query text, node text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before int8[] := counts('scan_omen') || counts('scan_heap');
	after int8[];
BEGIN
	IF same(query, node) <> 'ok' THEN RETURN same(query, node); END IF;
	after := counts('scan_omen') || counts('scan_heap');
	RETURN CASE WHEN after[1] - before[1] = after[4] - before[4] AND after[2] - before[2] = after[5] - before[5] AND
		after[3] - before[3] = after[6] - before[6] THEN 'ok' ELSE format('%s, before %s', after, before) END;
END $$;
CALL plans('seqscan');
SELECT counted('SELECT sum(v) FROM %T', 'Seq Scan');
CALL plans('bitmapscan');
SELECT counted('SELECT sum(v) FROM %T WHERE k BETWEEN 10 AND 100', 'Bitmap Heap Scan');
CALL plans('indexscan');
SELECT counted('SELECT sum(v) FROM %T WHERE k BETWEEN 10 AND 100', 'Index Scan');
CALL plans('all');
SELECT counted('SELECT sum(v) FROM %T TABLESAMPLE SYSTEM (100)', 'Sample Scan');
CALL plans('tidscan');
SELECT counted('SELECT v FROM %T WHERE ctid < ''(0,20)''', 'Tid Range Scan');

CREATE FUNCTION predicate_locks() RETURNS SETOF text LANGUAGE sql VOLATILE AS $$
	SELECT relation::regclass || ': ' || string_agg(n || ' ' || locktype, ', ' ORDER BY locktype)
	FROM (SELECT relation, locktype, count(*) AS n FROM pg_locks WHERE mode = 'SIReadLock'
		AND relation IN ('scan_heap'::regclass, 'scan_omen'::regclass) GROUP BY 1, 2) l
	GROUP BY relation ORDER BY 1
$$;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL plans('indexscan');
SELECT same('SELECT * FROM %T WHERE id IN (10, 20, 30)', 'Index Scan');
SELECT predicate_locks();
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL plans('bitmapscan');
SELECT same('SELECT * FROM %T WHERE id IN (10, 500)', 'Bitmap Heap Scan');
SELECT predicate_locks();
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL plans('tidscan');
SELECT same('SELECT * FROM %T WHERE ctid IN (''(0,1)'', ''(0,2)'')', 'Tid Scan');
SELECT predicate_locks();
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL plans('seqscan');
SELECT same('SELECT * FROM %T', 'Seq Scan');
SELECT predicate_locks();
ROLLBACK;
CALL plans('all');

-- ---- pages that are all visible, and bitmaps that do not fit their memory

CALL do_both('INSERT INTO %T SELECT i, i * 7919 % 100000, i, repeat(''y'', 20) FROM generate_series(1001, 40000) i');
VACUUM scan_heap, scan_omen;
ANALYZE scan_heap, scan_omen;
SELECT relname, reltuples FROM pg_class WHERE relname IN ('scan_heap', 'scan_omen') ORDER BY 1;
SET work_mem = '64kB';
CALL plans('bitmapscan');
SELECT same('SELECT count(*), sum(v) FROM %T WHERE k % 3 = 1 AND k BETWEEN 100 AND 60000', 'Bitmap Heap Scan') AS lossy;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT same('SELECT count(*), sum(v) FROM %T WHERE k BETWEEN 100 AND 60000', 'Bitmap Heap Scan') AS lossy;
SELECT count(*) > 0 AS rows_are_locked FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'scan_omen'::regclass;
ROLLBACK;
CALL do_both('UPDATE %T SET v = v + 1 WHERE k BETWEEN 100 AND 60000');
CALL do_both('DELETE FROM %T WHERE k BETWEEN 1000 AND 1200');
SELECT same('SELECT count(*), sum(v) FROM %T WHERE k % 3 = 1 AND k BETWEEN 100 AND 60000', 'Bitmap Heap Scan') AS lossy;
RESET work_mem;
CALL plans('all');
SELECT * FROM all_kinds() WHERE result <> 'ok';
VACUUM scan_heap, scan_omen;
SELECT * FROM all_kinds() WHERE result <> 'ok';

-- ---- entries that indexes find out to be dead, so that they need not split

CREATE TABLE dead_omen (id int PRIMARY KEY, k int UNIQUE, v int) USING omen WITH (autovacuum_enabled = off);
INSERT INTO dead_omen SELECT i, i, 0 FROM generate_series(1, 300) i;
CALL plans('indexscan');
CREATE PROCEDURE make_dead(rounds int) LANGUAGE plpgsql AS $$
BEGIN
	FOR round IN 1..rounds LOOP
		UPDATE dead_omen SET k = -k, v = v + 1;
		COMMIT;
		PERFORM count(*) FROM dead_omen WHERE k BETWEEN -1000 AND 1000;
		COMMIT;
	END LOOP;
END $$;
CALL make_dead(60);
CALL plans('seqscan');
SELECT count(*), sum(v), sum(k) FROM dead_omen;
CALL plans('indexscan');
SELECT count(*), sum(v), sum(k) FROM dead_omen WHERE k BETWEEN -1000 AND 1000;
SELECT count(*), sum(v), sum(k) FROM dead_omen WHERE id > 0;
SELECT pg_relation_size('dead_omen_k_key') < 20 * 8192 AS index_stays_small;
CALL plans('all');

DROP TABLE scan_heap, scan_omen, dead_omen;
DROP PROCEDURE make_dead, plans, do_both, churn;
DROP FUNCTION uses, same, agree, rows_of, declare_both, same_rows, all_kinds, counts, counted, predicate_locks;
