--
-- Batches: scans of changing lengths, as on the inner side of a nested loop, in both directions, through both kinds of
-- index scan and through bitmaps, find the rows that a sort finds.
--
\set VERBOSITY terse
SET enable_memoize = off;
SET max_parallel_workers_per_gather = 0;

-- A page and more of rows: negative and positive keys, duplicates, NULLs; a part arrives after the index was built.
CREATE TABLE scans (id int8, k8 int8, k4 int4, k2 int2, f8 float8, f4 float4, u uuid, d date);
CREATE FUNCTION scans_fill(first int, last int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO scans SELECT i, (h - 2147483648) * 4294967296 + i, n, n % 100, n / 7.0::float8, n / 7.0::float4,
		md5(i::text)::uuid, date '2000-01-01' + n
	FROM (SELECT i, hashint4(i)::int8 + 2147483648 AS h, CASE WHEN i % 50 > 0 THEN hashint4(i) % 3000 END AS n
		FROM generate_series(first, last) i) s $$;
SELECT scans_fill(1, 6000);

-- 0 if ranges of changing lengths have the rows that a sort finds; the plan if it is not the one meant.
CREATE FUNCTION scans_differ(col text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q text;
	scan text;
	plan text := '';
	line text;
	dir text;
	differ int := 0;
	a text;
	b text;
BEGIN
	FOREACH dir IN ARRAY '{ASC NULLS LAST,DESC NULLS FIRST}'::text[] LOOP
		-- the lengths go up and down; each place is a row's key
		q := format('SELECT string_agg(r.a, ''|'' ORDER BY p.i) FROM
				(SELECT i, (''{1,3,4,5,100,2,700,33,2600,1,0,40}''::int[])[i] AS n,
					(SELECT %1$I FROM scans WHERE id = i * 37) AS k FROM generate_series(1, 12) i OFFSET 0) p,
			LATERAL (SELECT md5(string_agg(concat(%2$s), '','')) AS a FROM
				(SELECT * FROM scans t WHERE t.%1$I %3$s p.k ORDER BY t.%1$I %4$s LIMIT p.n) s) r', col,
			CASE what WHEN 'only' THEN 's.' || quote_ident(col) ELSE 's.' || quote_ident(col) || ', s.id IS NULL' END,
			CASE WHEN dir LIKE 'ASC%' THEN '>=' ELSE '<=' END, dir);
		SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
		FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || q LOOP
			plan := plan || line;
		END LOOP;
		EXECUTE q INTO a;
		SET LOCAL enable_sort = on; SET LOCAL enable_seqscan = on;
		SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off;
		EXECUTE q INTO b;
		SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on;
		differ := differ + (a IS DISTINCT FROM b)::int;
	END LOOP;
	scan := CASE what WHEN 'only' THEN 'Index Only Scan' ELSE 'Index Scan' END;
	RETURN CASE WHEN plan !~ (scan || ' using') OR plan !~ (scan || ' Backward') THEN plan ELSE differ::text END;
END
$$;

-- How many conditions find other rows through a bitmap.
CREATE FUNCTION scans_bitmap_differ(col text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q text;
	cond text;
	differ int := 0;
	a text;
	b text;
BEGIN
	FOREACH cond IN ARRAY ARRAY['%1$I IS NULL', '%1$I IS NOT NULL', '%1$I >= (SELECT %1$I FROM scans WHERE id = 77)',
		'%1$I = (SELECT %1$I FROM scans WHERE id = 78)'] LOOP
		q := format('SELECT concat(count(*), '' '', sum(id)) FROM scans WHERE ' || cond, col);
		SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off;
		EXECUTE q INTO a;
		SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = off;
		EXECUTE q INTO b;
		SET LOCAL enable_bitmapscan = on; SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on;
		differ := differ + (a IS DISTINCT FROM b)::int;
	END LOOP;
	RETURN differ;
END
$$;

CREATE FUNCTION scans_all(order_by text) RETURNS TABLE (col text, index_only text, fetched text, bitmap text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH col IN ARRAY '{k8,k4,k2,f8,f4,u,d}'::text[] LOOP
		EXECUTE format('CREATE INDEX scans_i ON scans USING alex (%I %s)', col, order_by);
		-- rows in the leaves' deltas, too
		PERFORM scans_fill(6001, 6100);
		index_only := scans_differ(col, 'only');
		fetched := scans_differ(col, 'fetch');
		bitmap := scans_bitmap_differ(col);
		RETURN NEXT;
		DELETE FROM scans WHERE id > 6000;
		DROP INDEX scans_i;
	END LOOP;
END
$$;

SELECT * FROM scans_all('');
SELECT * FROM scans_all('DESC');

-- NULLs in the batch, in front of the others, behind them, alone
CREATE INDEX scans_last ON scans USING alex (k4);
CREATE INDEX scans_desc ON scans USING alex (f4 DESC);
VACUUM ANALYZE scans;
SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT k4 FROM scans ORDER BY k4 DESC LIMIT 125;
SELECT count(*), count(k4), min(k4), max(k4) FROM (SELECT k4 FROM scans ORDER BY k4 DESC LIMIT 125) s;
SELECT count(*), count(k4), min(k4), max(k4) FROM (SELECT k4 FROM scans ORDER BY k4 OFFSET 5875) s;
SELECT count(*), count(k4) FROM (SELECT k4 FROM scans WHERE k4 IS NULL) s;
SELECT count(*), count(f4), min(f4), max(f4) FROM (SELECT f4 FROM scans ORDER BY f4 DESC LIMIT 125) s;
SELECT count(*), count(f4), min(f4), max(f4) FROM (SELECT f4 FROM scans ORDER BY f4 OFFSET 5875) s;

-- Many rows fetched in random order, again and again: scans look ahead in heaps, but not in other tables
CREATE TABLE scans_heap (k int8, v int8);
CREATE TEMP TABLE scans_temp (k int8, v int8);
CREATE TABLE scans_omen (k int8, v int8) USING omen;
CREATE FUNCTION scans_ahead(name text) RETURNS TABLE (plan text, sums numeric[]) LANGUAGE plpgsql AS $$
DECLARE
	q text := format('SELECT sum(v * g) FROM generate_series(1, 3) g, LATERAL (SELECT v FROM %I WHERE k >= g - 3000 ORDER BY k) s', name);
	c refcursor;
	r numeric;
BEGIN
	EXECUTE format('INSERT INTO %I SELECT hashint4(i), i FROM generate_series(1, 5000) i', name);
	EXECUTE format('CREATE INDEX ON %I USING alex (k)', name);
	EXECUTE format('UPDATE %I SET v = v + 1 WHERE v %% 3 = 0', name);
	FOR plan IN EXECUTE 'EXPLAIN (COSTS off) ' || q LOOP
		EXIT WHEN plan ~ 'Scan using';
	END LOOP;
	plan := substring(plan FROM '\w.*');
	EXECUTE q INTO r;
	sums := ARRAY[r];
	EXECUTE format('DELETE FROM %I WHERE v %% 5 = 0', name);
	EXECUTE q INTO r;
	sums := sums || r;
	-- there and back
	OPEN c SCROLL FOR EXECUTE format('SELECT v FROM %I ORDER BY k', name);
	MOVE FORWARD 3000 IN c;
	FETCH BACKWARD FROM c INTO r;
	sums := sums || r;
	MOVE BACKWARD 2000 IN c;
	FETCH FORWARD FROM c INTO r;
	sums := sums || r;
	CLOSE c;
	RETURN NEXT;
END
$$;
SELECT * FROM scans_ahead('scans_heap');
SELECT * FROM scans_ahead('scans_temp');
SELECT * FROM scans_ahead('scans_omen');
-- the same without an index
SELECT sum(v * g), sum(v * g) FILTER (WHERE v % 5 <> 0)
FROM (SELECT hashint4(i) k, CASE WHEN i % 3 = 0 THEN i + 1 ELSE i END v FROM generate_series(1, 5000) i) t,
	generate_series(1, 3) g WHERE k >= g - 3000;

DROP TABLE scans, scans_heap, scans_temp, scans_omen;
DROP FUNCTION scans_ahead;
DROP FUNCTION scans_fill, scans_differ, scans_bitmap_differ, scans_all;
