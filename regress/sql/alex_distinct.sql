-- Distinct values by skipping through an index: where it is done, what EXPLAIN shows, and what must not be.
SET max_parallel_workers_per_gather = 0;
CREATE TABLE di (k int8, g int4, v int4, s text COLLATE "C", w varchar(20) COLLATE "C", x text);
INSERT INTO di SELECT i, i % 10, CASE WHEN i % 7 = 0 THEN NULL ELSE i % 500 END, 's' || i % 5, repeat('w', i % 4), 'x' FROM generate_series(1, 10000) i;
INSERT INTO di SELECT i, NULL, i, NULL, NULL, 'y' FROM generate_series(10001, 10050) i;
CREATE INDEX di_k ON di USING alex (k);
CREATE INDEX di_g_v ON di USING alex (g, v DESC);
CREATE INDEX di_s_v ON di USING alex (s, v);
CREATE INDEX di_w ON di USING alex (w) INCLUDE (x);
VACUUM ANALYZE di;

-- the plan of a query, without its costs
CREATE FUNCTION di_plan(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || q;
END $$;
-- is it answered by skipping?
CREATE FUNCTION di_skips(q text) RETURNS bool LANGUAGE sql AS $$
	SELECT bool_or(line LIKE '%AlexDistinct%') FROM di_plan(q) line $$;

EXPLAIN (COSTS OFF) SELECT DISTINCT s FROM di;
SELECT DISTINCT s FROM di;
EXPLAIN (COSTS OFF, VERBOSE) SELECT DISTINCT g FROM di WHERE g > 5 ORDER BY g DESC;
SELECT DISTINCT g FROM di WHERE g > 5 ORDER BY g DESC;
SELECT DISTINCT g FROM di WHERE g > 5 OR g IS NULL ORDER BY g NULLS FIRST;
EXPLAIN (COSTS OFF) SELECT DISTINCT w FROM di ORDER BY w DESC NULLS LAST;
SELECT DISTINCT w FROM di ORDER BY w DESC NULLS LAST;
SELECT DISTINCT w FROM di ORDER BY w LIMIT 2 OFFSET 1;
-- no aggregate: a group is found by its first row. Fixed columns may be among the others
EXPLAIN (COSTS OFF) SELECT s || '!' FROM di WHERE x = 'x' GROUP BY s;
SELECT s || '!' FROM di WHERE x = 'x' GROUP BY s;
EXPLAIN (COSTS OFF) SELECT s FROM di WHERE v IS NULL GROUP BY s HAVING s > 's' || (random() * 0)::int ORDER BY s DESC;
SELECT s FROM di WHERE v IS NULL GROUP BY s HAVING s > 's' || (random() * 0)::int ORDER BY s DESC;
SET random_page_cost = 0;
SET seq_page_cost = 0;
SET cpu_operator_cost = 0;
EXPLAIN (COSTS OFF) SELECT DISTINCT v FROM di WHERE s = 's3' ORDER BY v;
SELECT DISTINCT v FROM di WHERE s = 's3' ORDER BY v LIMIT 3;
SELECT DISTINCT v, s FROM di WHERE s = 's3' ORDER BY v DESC LIMIT 2;
SELECT di_skips('SELECT s, v FROM di WHERE s = ''s3'' GROUP BY s, v');
RESET random_page_cost;
RESET seq_page_cost;
RESET cpu_operator_cost;

-- the first row of each value: in the order asked for, with columns the index does not have
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (g) g, v, k FROM di ORDER BY g, v DESC;
SELECT DISTINCT ON (g) g, v FROM di ORDER BY g, v DESC;
SELECT DISTINCT ON (g) g, v FROM di WHERE v < 300 ORDER BY g DESC, v;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (s) s, v, x FROM di WHERE v IS NOT NULL AND x = 'x' ORDER BY s DESC, v DESC;
SELECT DISTINCT ON (s) s, v, x FROM di WHERE v IS NOT NULL AND x = 'x' ORDER BY s DESC, v DESC;

-- each value once, though it is in several ranges
SELECT DISTINCT g FROM di WHERE g IN (3, 5) AND v IN (3, 13, 23, 5, 15) ORDER BY g;
SELECT DISTINCT ON (s) s, v FROM di WHERE s IN ('s1', 's3', 's9') AND v IN (11, 13, 3, 1) ORDER BY s DESC, v DESC;

SET random_page_cost = 0;
SET enable_bitmapscan = off;
SELECT s FROM di WHERE s = 's3' AND v IN (3, 13, 23, 28, 33) GROUP BY s;
SELECT s, v FROM di WHERE s = 's3' AND v IN (3, 13, 28) GROUP BY s, v ORDER BY v;
RESET random_page_cost;
RESET enable_bitmapscan;

-- where it is not done
SELECT di_skips('SELECT DISTINCT s FROM di') AS yes,
	di_skips('SELECT DISTINCT x FROM di') AS no_index,
	di_skips('SELECT DISTINCT v FROM di') AS no_prefix,
	di_skips('SELECT DISTINCT k FROM di') AS many,
	di_skips('SELECT DISTINCT g, random() FROM di') AS volatile,
	di_skips('SELECT DISTINCT ON (g) g, v FROM di ORDER BY g, v') AS other_order,
	di_skips('SELECT DISTINCT ON (g) g, v FROM di ORDER BY g, k') AS not_its_order,
	di_skips('SELECT DISTINCT g, generate_series(1, 2) FROM di') AS set_returning,
	di_skips('SELECT DISTINCT g, count(*) OVER () FROM di') AS window,
	di_skips('SELECT g, count(*) FROM di GROUP BY g') AS aggregate,
	di_skips('SELECT s FROM di GROUP BY ROLLUP (s)') AS rollup,
	di_skips('SELECT DISTINCT a.s FROM di a JOIN di b USING (k)') AS joined,
	di_skips('SELECT DISTINCT s FROM di TABLESAMPLE SYSTEM (50)') AS sample;
SELECT di_skips('SELECT DISTINCT s FROM di WHERE now() > ''2000-01-01''') AS gated,
	di_skips('SELECT DISTINCT s FROM di WHERE random() < 2') AS filtered,
	di_skips('SELECT DISTINCT s COLLATE "POSIX" FROM di') AS collation;
SET alex.enable_distinct = off;
SELECT di_skips('SELECT DISTINCT s FROM di') AS off;
SELECT DISTINCT s FROM di ORDER BY s;
RESET alex.enable_distinct;

-- what the table does not show: own changes, savepoints, cursors, values without a row
BEGIN;
DELETE FROM di WHERE s = 's2' OR g = 4;
INSERT INTO di VALUES (-1, 77, 1, 's77', '', '');
SELECT DISTINCT s FROM di ORDER BY s;
SAVEPOINT a;
DELETE FROM di WHERE s < 's4';
SELECT DISTINCT s FROM di ORDER BY s;
ROLLBACK TO a;
DECLARE c SCROLL CURSOR FOR SELECT DISTINCT s FROM di ORDER BY s;
FETCH 2 FROM c;
DELETE FROM di WHERE s > 's1';
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
SELECT DISTINCT s FROM di ORDER BY s;
CLOSE c;
ROLLBACK;

-- parameters: prepared statements, subqueries, rescans
PREPARE q(int4) AS SELECT DISTINCT ON (g) g, v FROM di WHERE g < $1 ORDER BY g, v DESC;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE q(3);
EXECUTE q(3);
EXECUTE q(NULL);
EXECUTE q(1);
RESET plan_cache_mode;
SELECT y, array(SELECT DISTINCT s FROM di WHERE s > 's' || y) FROM generate_series(1, 5) y;
SELECT y, z.* FROM generate_series(1, 3) y, LATERAL (SELECT DISTINCT ON (g) g, v FROM di WHERE g >= y AND g < y + 2 ORDER BY g, v DESC) z;
WITH a AS MATERIALIZED (SELECT DISTINCT g FROM di) SELECT count(*), sum(g) FROM a;
SELECT DISTINCT s FROM di WHERE s < 's2' UNION ALL SELECT DISTINCT w FROM di ORDER BY 1;
SELECT count(*) FROM di WHERE s IN (SELECT DISTINCT s FROM di WHERE s > 's2');

-- counting them is AlexAggregate's, which skips as well
SELECT di_skips('SELECT count(DISTINCT g) FROM di');
SELECT count(DISTINCT g) FROM di;
SELECT g, count(DISTINCT v) FROM di WHERE g > 6 GROUP BY g ORDER BY g;
SELECT count(DISTINCT g), count(DISTINCT v) FROM di WHERE g = 3;
BEGIN;
DELETE FROM di WHERE g IN (2, 5);
SELECT count(DISTINCT g) FROM di;
SELECT count(DISTINCT g) FROM di WHERE g IN (1, 2, 3) AND v IN (5, 11, 12, 13);
ROLLBACK;

-- several values in a batch
CREATE INDEX di_few ON di USING alex ((k / 3), v);
ANALYZE di;
SET random_page_cost = 0;
SET seq_page_cost = 0;
SET cpu_operator_cost = 0;
SET enable_seqscan = off;
SELECT di_skips('SELECT DISTINCT k / 3 FROM di'), di_skips('SELECT DISTINCT ON (k / 3) k / 3, v FROM di ORDER BY k / 3 DESC, v DESC');
SELECT count(*), sum(q) FROM (SELECT DISTINCT k / 3 AS q FROM di) x;
SELECT count(*), sum(q), sum(v) FROM (SELECT DISTINCT ON (k / 3) k / 3 AS q, v FROM di ORDER BY k / 3 DESC, v DESC) x;
RESET random_page_cost;
RESET seq_page_cost;
RESET cpu_operator_cost;
RESET enable_seqscan;
DROP INDEX di_few;

-- expressions, a part of the table
CREATE INDEX di_expr ON di USING alex ((k % 5), (upper(s)));
CREATE INDEX "di Part" ON di USING alex (w, g) WHERE v > 400;
VACUUM ANALYZE di;
EXPLAIN (COSTS OFF) SELECT DISTINCT k % 5, upper(s) FROM di ORDER BY 1, 2;
SELECT DISTINCT k % 5, upper(s) FROM di ORDER BY 1, 2;
EXPLAIN (COSTS OFF) SELECT DISTINCT w, g FROM di WHERE v > 400 AND w = 'www';
SELECT DISTINCT w, g FROM di WHERE v > 400 AND w = 'www';

-- zeroes with a sign, lengths of time that are equal, numbers with other scales: one of each
CREATE TABLE di_equal (d float8, i interval, n numeric, b bytea, t timestamptz, pad int);
INSERT INTO di_equal SELECT CASE j WHEN 1 THEN '-0' ELSE 0 END, CASE j WHEN 1 THEN interval '1 day' ELSE '24 hours' END, CASE j WHEN 1 THEN 1.0 ELSE 1.00 END,
	decode(repeat('00', j), 'hex'), '2026-01-01 00:00+00'::timestamptz + j * interval '1 hour', i FROM generate_series(1, 500) i, generate_series(1, 2) j;
CREATE INDEX ON di_equal USING alex (d);
CREATE INDEX ON di_equal USING alex (i);
CREATE INDEX ON di_equal USING alex (n);
CREATE INDEX ON di_equal USING alex (b, d);
CREATE INDEX ON di_equal USING alex (t);
VACUUM ANALYZE di_equal;
SET enable_seqscan = off;
SELECT bool_and(di_skips('SELECT DISTINCT ' || c || ' FROM di_equal')) FROM unnest(string_to_array('d i n b t', ' ')) c;
SELECT count(*), count(DISTINCT d) FROM (SELECT DISTINCT d FROM di_equal) x;
SELECT count(*), count(DISTINCT i) FROM (SELECT DISTINCT i FROM di_equal) x;
SELECT count(*), count(DISTINCT n) FROM (SELECT DISTINCT n FROM di_equal) x;
SELECT DISTINCT b FROM di_equal ORDER BY b DESC;
SELECT count(*) FROM (SELECT DISTINCT t FROM di_equal WHERE t >= '2025-12-31'::date) x;
RESET enable_seqscan;

-- nothing in it, and only NULL
CREATE TABLE di_empty (k int4, s text COLLATE "C");
CREATE INDEX ON di_empty USING alex (s, k);
SET enable_seqscan = off;
SELECT DISTINCT s FROM di_empty;
INSERT INTO di_empty SELECT i FROM generate_series(1, 300) i;
-- 19 has no idea of a column that is NULL everywhere
ALTER TABLE di_empty ALTER s SET (n_distinct = 1);
VACUUM ANALYZE di_empty;
SET cpu_operator_cost = 0;
SELECT di_skips('SELECT DISTINCT s FROM di_empty');
SELECT DISTINCT s FROM di_empty;
SELECT DISTINCT s FROM di_empty ORDER BY s DESC;
RESET cpu_operator_cost;
RESET enable_seqscan;

-- a partition of its own, and rows that are locked elsewhere
CREATE TABLE di_parts (k int8, g int4) PARTITION BY RANGE (g);
CREATE TABLE di_parts1 PARTITION OF di_parts FOR VALUES FROM (0) TO (5);
CREATE TABLE di_parts2 PARTITION OF di_parts FOR VALUES FROM (5) TO (10);
INSERT INTO di_parts SELECT k, g FROM di WHERE g IS NOT NULL;
CREATE INDEX ON di_parts USING alex (g, k);
VACUUM ANALYZE di_parts;
SELECT di_skips('SELECT DISTINCT g FROM di_parts1');
SELECT DISTINCT g FROM di_parts1 ORDER BY g;
SELECT DISTINCT g FROM di_parts ORDER BY g LIMIT 3;
SELECT k FROM di_parts WHERE g = 3 AND k IN (SELECT DISTINCT g FROM di_parts1) FOR UPDATE OF di_parts;

-- who may see what: as with any scan
CREATE ROLE regress_alex_distinct;
GRANT SELECT (g, s) ON di TO regress_alex_distinct;
ALTER TABLE di ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON di TO regress_alex_distinct USING (g < 3);
SET ROLE regress_alex_distinct;
SELECT DISTINCT g FROM di ORDER BY g;
SELECT DISTINCT s FROM di ORDER BY s;
SELECT DISTINCT w FROM di;
RESET ROLE;
DROP POLICY few ON di;
REVOKE ALL ON di FROM regress_alex_distinct;
DROP ROLE regress_alex_distinct;

-- a table that is changed under a plan that is kept
EXECUTE q(1);
DROP INDEX di_g_v;
EXECUTE q(1);
DROP TABLE di, di_equal, di_empty, di_parts;
DROP FUNCTION di_plan, di_skips;
