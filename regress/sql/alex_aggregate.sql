-- Aggregates answered from an index: which are, what EXPLAIN shows, and what must not be.
SET max_parallel_workers_per_gather = 0;
CREATE TABLE ag (k int8, g int4, v int4, f bool, x text);
INSERT INTO ag SELECT i, i % 10, CASE WHEN i % 7 = 0 THEN NULL ELSE i % 100 END, i % 3 = 0, 'x' FROM generate_series(1, 10000) i;
CREATE INDEX ag_k ON ag USING alex (k);
CREATE INDEX ag_g_v ON ag USING alex (g, v DESC);
CREATE INDEX ag_f ON ag USING alex (f);
VACUUM ANALYZE ag;

-- the plan of a query, without its costs
CREATE FUNCTION ag_plan(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || q;
END $$;
-- is it answered from the index?
CREATE FUNCTION ag_answered(q text) RETURNS bool LANGUAGE sql AS $$
	SELECT bool_or(line LIKE '%AlexAggregate%') FROM ag_plan(q) line $$;

EXPLAIN (COSTS OFF) SELECT count(*) FROM ag;
SELECT count(*) FROM ag;
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*), min(k), max(k), sum(k), avg(k) FROM ag WHERE k BETWEEN 100 AND 4000;
SELECT count(*), min(k), max(k), sum(k), avg(k) FROM ag WHERE k BETWEEN 100 AND 4000;
SELECT count(*), min(k), max(k), sum(k), avg(k) FROM ag WHERE k > 20000;
EXPLAIN (COSTS OFF) SELECT g, count(*), count(v), sum(v), avg(v), count(DISTINCT v) FROM ag GROUP BY g HAVING count(*) > 5 ORDER BY g;
SELECT g, count(*), count(v), sum(v), avg(v), count(DISTINCT v) FROM ag GROUP BY g HAVING count(*) > 5 ORDER BY g;
SELECT g, v, count(*) FROM ag WHERE g IN (3, 5) GROUP BY v, g ORDER BY g, v DESC LIMIT 4;
SELECT v, count(*) FROM ag WHERE g = 3 GROUP BY v ORDER BY v DESC LIMIT 3;
SELECT g + 1, count(*) * 2 FROM ag WHERE g < 3 GROUP BY g ORDER BY 1;
SELECT bool_and(f), bool_or(f), every(f), count(f) FROM ag WHERE f;
SELECT bool_and(f), bool_or(f), every(f), count(f) FROM ag;
SELECT count(*) FROM ag WHERE g = 4 AND v IS NULL;
SELECT g FROM ag GROUP BY g ORDER BY g DESC LIMIT 2;
-- each group once, though it is in several ranges
SELECT ag_answered('SELECT g FROM ag WHERE g = 3 AND v IN (3, 13, 23) GROUP BY g');
SELECT g FROM ag WHERE g = 3 AND v IN (3, 13, 23) GROUP BY g;
SELECT g FROM ag WHERE g IN (3, 5) AND v IN (3, 13, 23, 5, 15) GROUP BY g;
SELECT g, v FROM ag WHERE g = 3 AND v IN (3, 13, 23) GROUP BY g, v;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT JSON) SELECT count(*) FROM ag WHERE k < 0 \g /dev/null

-- conditions and outputs for which it is not
SELECT ag_answered('SELECT count(*) FROM ag') AS yes,
	ag_answered('SELECT count(*) FROM ag WHERE x = ''x''') AS filter,
	ag_answered('SELECT count(x) FROM ag') AS other_column,
	ag_answered('SELECT g, count(*) FROM ag WHERE k < 10 GROUP BY g') AS other_index,
	ag_answered('SELECT v, count(*) FROM ag GROUP BY v') AS no_prefix,
	ag_answered('SELECT count(*) FILTER (WHERE x = ''x'') FROM ag') AS filtered,
	ag_answered('SELECT g, count(*) FROM ag GROUP BY ROLLUP (g)') AS rollup,
	ag_answered('SELECT stddev(k) FROM ag') AS stddev,
	ag_answered('SELECT array_agg(k) FROM ag') AS array_agg,
	ag_answered('SELECT sum(DISTINCT k) FROM ag') AS sum_distinct,
	ag_answered('SELECT count(*) FROM ag TABLESAMPLE SYSTEM (50)') AS sample,
	ag_answered('SELECT count(*) FROM ag a JOIN ag b USING (k)') AS joined;
SELECT ag_answered('SELECT count(*) FROM ag WHERE (k, 1) > (5, 2)') AS row_comparison,
	ag_answered('SELECT count(*) FROM ag WHERE k < 10 AND random() < 2') AS volatile,
	ag_answered('SELECT count(*) FROM ag WHERE k < 10 AND now() > ''2000-01-01''') AS gated;
-- FILTER: what the index decides
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*), count(*) FILTER (WHERE k < 100), sum(k) FILTER (WHERE k IN (7, 8, 9999, 10001)) FROM ag WHERE k > 5;
SELECT count(*), count(*) FILTER (WHERE k < 100), sum(k) FILTER (WHERE k IN (7, 8, 9999, 10001)) FROM ag WHERE k > 5;
SELECT count(*) FILTER (WHERE f), count(f) FILTER (WHERE NOT f), bool_or(f) FILTER (WHERE f IS NULL) FROM ag;
SELECT g, count(*), count(*) FILTER (WHERE v IS NULL) AS nulls, max(v) FILTER (WHERE v < 50), count(DISTINCT v) FILTER (WHERE v BETWEEN 3 AND 33) AS few,
	sum(v) FILTER (WHERE g > 2 AND v < 50), count(*) FILTER (WHERE v < 10 AND v > 20) AS none FROM ag WHERE g < 5 GROUP BY g HAVING count(v) FILTER (WHERE v < 50) > 0 ORDER BY g;
SELECT ag_answered('SELECT count(*) FILTER (WHERE f) FROM ag') AS yes,
	ag_answered('SELECT g, sum(v) FILTER (WHERE v > 5) FROM ag GROUP BY g') AS grouped,
	ag_answered('SELECT g, sum(v) FILTER (WHERE v + 1 > 5) FROM ag GROUP BY g') AS expression,
	ag_answered('SELECT count(*) FILTER (WHERE k > 5 AND random() < 2) FROM ag') AS volatile,
	ag_answered('SELECT count(*) FILTER (WHERE k > 5 OR k IS NULL) FROM ag') AS or_is_none,
	ag_answered('SELECT count(*) FILTER (WHERE (k, 1) > (5, 1)) FROM ag') AS row_comparison,
	ag_answered('SELECT count(*) FILTER (WHERE k > g) FROM ag') AS column;
SELECT y, n, m FROM generate_series(0, 3) y, LATERAL (SELECT count(*) FILTER (WHERE k < y * 100) AS n, max(k) FILTER (WHERE k <= y) AS m FROM ag) s;
SET alex.enable_aggregate = off;
SELECT ag_answered('SELECT count(*) FROM ag') AS off;
RESET alex.enable_aggregate;

-- counted as the scan it is
CREATE FUNCTION ag_counted(i regclass, OUT scans int8, OUT read int8, OUT fetched int8) LANGUAGE sql AS $$
	SELECT pg_stat_get_xact_numscans(i), pg_stat_get_xact_tuples_returned(i), pg_stat_get_xact_tuples_fetched(i) $$;
BEGIN;
SELECT * FROM ag_counted('ag_k') \gset
SELECT count(*) FROM ag WHERE k BETWEEN 5001 AND 7000;
SELECT scans - :scans AS scans, read - :read AS read, fetched - :fetched AS fetched FROM ag_counted('ag_k');
DELETE FROM ag WHERE k = 5005;
SELECT * FROM ag_counted('ag_k') \gset
SELECT count(*), sum(k) FROM ag WHERE k BETWEEN 5001 AND 5010;
SELECT scans - :scans AS scans, read - :read AS read, fetched - :fetched AS fetched FROM ag_counted('ag_k');
SELECT * FROM ag_counted('ag_g_v') \gset
SELECT g, count(DISTINCT v) FROM ag WHERE g IN (5, 6) GROUP BY g ORDER BY g;
SELECT scans - :scans AS scans, read - :read AS read FROM ag_counted('ag_g_v');
ROLLBACK;
DROP FUNCTION ag_counted;
VACUUM ag;

-- what the table does not show: own changes, savepoints, cursors, functions that see what is committed
BEGIN;
DELETE FROM ag WHERE k <= 1000;
SELECT count(*), min(k) FROM ag WHERE k BETWEEN 0 AND 2000;
SAVEPOINT s;
DELETE FROM ag WHERE k <= 2000;
INSERT INTO ag VALUES (-5, 3, 4, true, 'y');
SELECT count(*), min(k) FROM ag WHERE k < 3000;
ROLLBACK TO s;
SELECT count(*), min(k) FROM ag WHERE k < 3000;
DECLARE c CURSOR FOR SELECT g, count(*) FROM ag GROUP BY g ORDER BY g;
FETCH 2 FROM c;
DELETE FROM ag WHERE g > 1;
FETCH 2 FROM c;
SELECT g, count(*) FROM ag GROUP BY g ORDER BY g;
ROLLBACK;

-- parameters: prepared statements, subqueries, rescans
PREPARE p(int8) AS SELECT count(*), sum(k) FROM ag WHERE k < $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE p(50);
EXECUTE p(50);
EXECUTE p(NULL);
EXECUTE p(5000);
RESET plan_cache_mode;
SELECT y, (SELECT count(*) FROM ag WHERE k < y) FROM generate_series(0, 40, 10) y;
SELECT y, n FROM (VALUES (1), (3), (11)) t (y), LATERAL (SELECT count(*) AS n FROM ag WHERE g = y) s;
-- EXPLAIN knows whose columns parameters are, whatever it has shown before
SELECT btrim(line) FROM ag_plan('SELECT (SELECT count(*) FROM ag WHERE k = y.y) + s.n FROM generate_series(1, 3) y,
	(SELECT g, count(*) AS n FROM ag WHERE g < 5 GROUP BY g OFFSET 0) s WHERE s.g = y.y') line WHERE line LIKE '%Index Cond%' ORDER BY btrim(line) COLLATE "C";
SELECT count(*) FROM ag WHERE k < (SELECT max(g) FROM ag);
WITH a AS MATERIALIZED (SELECT g, count(*) AS n FROM ag GROUP BY g) SELECT sum(n) FROM a;
SELECT count(*) FROM ag WHERE k < 100 UNION ALL SELECT count(*) FROM ag WHERE g = 3;

-- an expression, a part of the table, a name that must be quoted
CREATE INDEX "Ag E" ON ag USING alex ((k % 5));
CREATE INDEX ag_part ON ag USING alex (k) WHERE v > 90;
VACUUM ANALYZE ag;
EXPLAIN (COSTS OFF) SELECT k % 5, count(*) FROM ag GROUP BY k % 5 ORDER BY 1;
SELECT k % 5, count(*) FROM ag GROUP BY k % 5 ORDER BY 1;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*), max(k) FROM ag WHERE v > 90 AND k < 5000;
SELECT count(*), max(k) FROM ag WHERE v > 90 AND k < 5000;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- values at the ends, sums beyond int8, zeroes with a sign, NaN
CREATE TABLE ag_ends (i int8, d float8, r float4, s int2);
INSERT INTO ag_ends SELECT 9223372036854775807, 0, 1, 32767 FROM generate_series(1, 3);
INSERT INTO ag_ends VALUES (-9223372036854775808, '-0', 2.5, -32768), (NULL, NULL, NULL, NULL), (NULL, 'NaN', 'Infinity', 0);
CREATE INDEX ON ag_ends USING alex (i);
CREATE INDEX ON ag_ends USING alex (d);
CREATE INDEX ON ag_ends USING alex (r);
CREATE INDEX ON ag_ends USING alex (s);
VACUUM ANALYZE ag_ends;
SET enable_seqscan = off;
-- 19 reckons that to read a few rows costs less
SET enable_indexonlyscan = off;
SELECT ag_answered('SELECT sum(i) FROM ag_ends');
SELECT sum(i), avg(i), min(i), max(i), count(i), count(*) FROM ag_ends;
SELECT sum(i), avg(i) FROM ag_ends WHERE i > 0;
SELECT sum(d), avg(d), count(*) FROM ag_ends WHERE d < 5;
SELECT d, count(*) FROM ag_ends GROUP BY d ORDER BY d;
SELECT sum(d), max(d), count(DISTINCT d) FROM ag_ends;
SELECT sum(r), avg(r), min(r) FROM ag_ends WHERE r < 100;
SELECT sum(s), avg(s), min(s), max(s) FROM ag_ends;
INSERT INTO ag_ends SELECT 1, '1e308', '3e38', 1 FROM generate_series(1, 3);
SELECT sum(d) FROM ag_ends WHERE d < 1.1e308;
SELECT sum(r) FROM ag_ends WHERE r < 3.1e38::float4;
DELETE FROM ag_ends WHERE i > 0;
SELECT ag_answered('SELECT sum(d), avg(d) FROM ag_ends WHERE d = 0');
SELECT sum(d), avg(d) FROM ag_ends WHERE d = 0;
RESET enable_indexonlyscan;
RESET enable_seqscan;

-- nothing in it
CREATE TABLE ag_empty (k int4);
CREATE INDEX ON ag_empty USING alex (k);
SET enable_seqscan = off;
SELECT count(*), sum(k), min(k) FROM ag_empty;
SELECT k, count(*) FROM ag_empty GROUP BY k;
RESET enable_seqscan;

-- partitions, each from its index
CREATE TABLE ag_parts (k int8, g int4) PARTITION BY RANGE (g);
CREATE TABLE ag_parts1 PARTITION OF ag_parts FOR VALUES FROM (0) TO (5);
CREATE TABLE ag_parts2 PARTITION OF ag_parts FOR VALUES FROM (5) TO (10);
INSERT INTO ag_parts SELECT k, g FROM ag;
CREATE INDEX ON ag_parts USING alex (g, k);
VACUUM ANALYZE ag_parts;
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF) SELECT g, count(*), sum(k) FROM ag_parts GROUP BY g;
SELECT g, count(*), sum(k) FROM ag_parts GROUP BY g HAVING g > 2 ORDER BY g LIMIT 4;
RESET enable_partitionwise_aggregate;

-- who may see what: as with any scan
CREATE ROLE regress_alex_answers;
GRANT SELECT (g) ON ag TO regress_alex_answers;
ALTER TABLE ag ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON ag TO regress_alex_answers USING (g < 3);
SET ROLE regress_alex_answers;
SELECT count(*) FROM ag;
SELECT g, count(*) FROM ag GROUP BY g ORDER BY g;
SELECT sum(k) FROM ag;
RESET ROLE;
GRANT SELECT ON ag TO regress_alex_answers;
CREATE AGGREGATE ag_least(int4) (SFUNC = int4smaller, STYPE = int4, SORTOP = <);
REVOKE EXECUTE ON FUNCTION ag_least FROM PUBLIC;
SELECT ag_answered('SELECT ag_least(g), count(*) FROM ag');
SET ROLE regress_alex_answers;
SELECT ag_least(g), count(*) FROM ag;
RESET ROLE;
DROP AGGREGATE ag_least(int4);
DROP POLICY few ON ag;
ALTER TABLE ag DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON ag FROM regress_alex_answers;
DROP ROLE regress_alex_answers;

-- a table that is dropped under a plan that is kept
EXECUTE p(50);
DROP INDEX ag_k, ag_part;
EXECUTE p(50);
DROP TABLE ag, ag_ends, ag_empty, ag_parts;
DROP FUNCTION ag_plan, ag_answered;
