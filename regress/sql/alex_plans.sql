-- The planner: what it picks when the index is the only one, with its default
-- settings.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE plans (id int8, k int8, i4 int4, filler text);
INSERT INTO plans SELECT i, hashint8extended(i, 0), i, repeat('x', 80) FROM generate_series(1, 50000) i;
CREATE INDEX plans_k ON plans USING :am (k);
CREATE INDEX plans_i4 ON plans USING :am (i4);
VACUUM ANALYZE plans;
CREATE FUNCTION plan_of(q text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(substring(l FROM '(Index Only Scan Backward|Index Only Scan|Bitmap Heap Scan|Bitmap Index Scan|Index Scan Backward|Index Scan|Seq Scan|Merge Join|Hash Join|Nested Loop|Sort$|Limit)'), ', ')
	FROM regexp_split_to_table(t_plan(q), E'\n') l
$$;
SELECT plan_of(q), q FROM unnest(ARRAY[
	'SELECT * FROM plans WHERE k = 17',
	'SELECT * FROM plans WHERE i4 = 17::int8',
	'SELECT k FROM plans WHERE k = 17',
	'SELECT i4 FROM plans WHERE i4 BETWEEN 100 AND 200',
	'SELECT * FROM plans WHERE i4 IN (1, 2, 3)',
	'SELECT * FROM plans WHERE i4 IS NULL',
	'SELECT i4 FROM plans WHERE i4 = ANY (ARRAY[3, 1, 2]) ORDER BY i4',
	'SELECT * FROM plans ORDER BY k LIMIT 10',
	'SELECT * FROM plans ORDER BY k DESC LIMIT 10',
	'SELECT * FROM plans WHERE k > 0 ORDER BY k LIMIT 10',
	'SELECT k FROM plans ORDER BY k OFFSET 49990',
	'SELECT min(k) FROM plans',
	'SELECT max(k) FROM plans',
	'SELECT max(i4) FROM plans WHERE i4 < 1000',
	'SELECT * FROM plans WHERE id = 5',
	'SELECT * FROM plans WHERE k > -9000000000000000000 AND filler = ''''',
	'SELECT * FROM (SELECT generate_series(1, 10) AS g) s JOIN plans ON i4 = g'
	]) q;
-- Ranges that are neither one row nor most of the table.
SELECT t_plan('SELECT * FROM plans WHERE k BETWEEN 0 AND 100000000000000000') ~ 'plans_k' AS "uses the index";
-- Joins in the order of the index.
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT plan_of('SELECT count(*) FROM plans a JOIN plans b ON a.i4 = b.i4');
SELECT plan_of('SELECT count(*) FROM plans a JOIN plans b ON a.i4 = b.k');
RESET enable_hashjoin;
RESET enable_nestloop;
-- The estimates are those of btree, so that both are comparable.
CREATE INDEX plans_bt ON plans USING btree (i4);
ANALYZE plans;
CREATE FUNCTION plan_rows(q text, idx text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE j json;
BEGIN
	PERFORM t_show_index('plans', idx);
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_bitmapscan = off;
	EXECUTE 'EXPLAIN (FORMAT json) ' || q INTO j;
	PERFORM t_show_index('plans', NULL);
	RETURN j->0->'Plan'->>'Plan Rows';
END $$;
SELECT q, plan_rows(q, 'plans_i4') = plan_rows(q, 'plans_bt') AS same FROM unnest(ARRAY[
	'SELECT * FROM plans WHERE i4 = 17', 'SELECT * FROM plans WHERE i4 < 17000', 'SELECT * FROM plans WHERE i4 IN (1, 2, 3)']) q;
DROP TABLE plans;

-- What the planner does for btree indexes only, it does for alex: each query, in which TABLE is a table with alex indexes and then one
-- with btree indexes, otherwise the same, has the same plan.
CREATE FUNCTION as_btree(q text) RETURNS TABLE (same bool, plan text) LANGUAGE plpgsql AS $$
DECLARE
	alex text := replace(t_plan(replace(q, 'TABLE', 'like_a')), 'like_a', 'TABLE');
	btree text := replace(t_plan(replace(q, 'TABLE', 'like_b')), 'like_b', 'TABLE');
BEGIN
	RETURN QUERY SELECT alex = btree, CASE WHEN alex <> btree THEN E'alex\n' || alex || E'btree\n' || btree ELSE alex END;
END $$;
CREATE FUNCTION make_like(am text, tab text, n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %s (k int8, v int4, f bool)', tab);
	EXECUTE format('INSERT INTO %s SELECT i, i %% 100, i %% 50 = 0 FROM generate_series(1, %s) i', tab, n);
	EXECUTE format('CREATE UNIQUE INDEX %s_k ON %1$s USING %s (k)', tab, am);
	EXECUTE format('CREATE INDEX %s_v ON %1$s USING %s (v)', tab, am);
	EXECUTE format('CREATE INDEX %s_f ON %1$s USING %s (f)', tab, am);
	EXECUTE format('CREATE INDEX %s_e ON %1$s USING %s ((k + v)) WHERE v < 10', tab, am);
END $$;
SELECT make_like(t_am(), 'like_a', 20000), make_like('btree', 'like_b', 20000);
VACUUM ANALYZE like_a, like_b;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
\pset format unaligned
-- Joins that prove to add nothing, in an order of two columns of which one is the index's, to a column that is unique.
SELECT * FROM as_btree('SELECT x.v FROM TABLE x LEFT JOIN TABLE y ON y.k = x.v');
SELECT * FROM as_btree('SELECT * FROM TABLE ORDER BY v, k LIMIT 10');
SELECT same FROM as_btree('SELECT min(k), max(k) FROM TABLE WHERE k < 5000');
SELECT same FROM as_btree('SELECT count(*) FROM TABLE x JOIN TABLE y ON y.k = x.v');
SELECT same FROM as_btree('SELECT x.* FROM TABLE x JOIN TABLE y USING (k) WHERE x.v = 5 ORDER BY k');
SELECT same FROM as_btree('SELECT k, v, count(*) FROM TABLE WHERE k > 19000 GROUP BY k, v');
-- Row comparisons.
SELECT * FROM as_btree('SELECT * FROM TABLE WHERE (k, v) > (19000, 5) ORDER BY k LIMIT 10');
SELECT * FROM as_btree('SELECT * FROM TABLE WHERE (19000, 5) >= (k, v) ORDER BY k DESC LIMIT 10');
-- Booleans as conditions, IS NULL, partial indexes and expressions.
SELECT * FROM as_btree('SELECT * FROM TABLE WHERE f');
SELECT * FROM as_btree('SELECT * FROM TABLE WHERE NOT f ORDER BY f');
SELECT * FROM as_btree('SELECT * FROM TABLE WHERE v IS NULL');
SELECT * FROM as_btree('SELECT * FROM TABLE WHERE k + v = 17 AND v < 5');
-- Partitions of which one has alex indexes and one btree indexes.
CREATE TABLE like_p (k int8, v int4, f bool) PARTITION BY RANGE (k);
ALTER TABLE like_p ATTACH PARTITION like_a FOR VALUES FROM (0) TO (30000);
CREATE TABLE like_p2 PARTITION OF like_p FOR VALUES FROM (30000) TO (60000);
INSERT INTO like_p2 SELECT k + 30000, v, f FROM like_b;
CREATE INDEX like_p2_v ON like_p2 (v);
ANALYZE like_p2;
SELECT t_plan('SELECT * FROM like_p ORDER BY v LIMIT 10');
ALTER TABLE like_p DETACH PARTITION like_a;
DROP TABLE like_p;
\pset format aligned
RESET enable_seqscan;
RESET enable_bitmapscan;
-- A comparison of two columns is one of the index's column twice here, which no executor but 18's takes for others than btree indexes.
SELECT array_agg(k) FROM (SELECT k FROM like_a WHERE (k, k) > (19990, 19995) ORDER BY k LIMIT 3) s;
SELECT array_agg(k) FROM (SELECT k FROM like_a WHERE (10, 5) >= (k, k) ORDER BY k DESC LIMIT 3) s;
PREPARE paged(int8, int8) AS SELECT count(*), min(k) FROM like_a WHERE (k, k) > ($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE paged(19990, 19995);
EXECUTE paged(19990, NULL);
EXECUTE paged(NULL, 1);
EXPLAIN (COSTS off) EXECUTE paged(1, 1);
RESET plan_cache_mode;
-- A unique index on several columns, one of which it cannot return: joins that add nothing, and pages of row comparisons, forward, backward,
-- of columns in the index's order, in another, and of a part of them.
CREATE TABLE like_c (i interval, v int4, k int8, w int4);
INSERT INTO like_c SELECT i % 7 * interval '1 hour', i % 10, i, i FROM generate_series(1, 2000) i;
CREATE UNIQUE INDEX like_c_ivk ON like_c USING :am (i, v, k);
CREATE UNIQUE INDEX like_c_kv ON like_c USING :am (k, v);
VACUUM ANALYZE like_c;
SELECT t_plan('SELECT x.v FROM like_c x LEFT JOIN like_c y ON y.i = x.i AND y.v = x.w AND y.k = x.w') !~ 'Join|Loop' AS "join removed",
	   t_plan('SELECT x.v FROM like_c x LEFT JOIN like_c y ON y.k = x.w AND y.v = x.w') !~ 'Join|Loop' AS "this too",
	   t_plan('SELECT x.v FROM like_c x LEFT JOIN like_c y ON y.k = x.w') ~ 'Join|Loop' AS "but not this";
CREATE FUNCTION paged(cond text, ord text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	kind text;
	found text;
	first text;
BEGIN
	FOREACH kind IN ARRAY '{seq,index,only,bitmap}'::text[] LOOP
		PERFORM t_force(kind);
		EXECUTE format('SELECT count(*) || %L || md5(string_agg(r::text, %L)) FROM (SELECT k, v FROM like_c WHERE %s ORDER BY %s) r',
					   ' rows, ', ',', cond, ord) INTO found;
		first := coalesce(first, found);
		IF found <> first THEN RETURN format('%s scan: %s, sequential: %s', kind, found, first); END IF;
	END LOOP;
	PERFORM t_unforce();
	RETURN split_part(first, ',', 1);
END $$;
SELECT paged('(k, v) > (1000, 0)', 'k, v'), paged('(k, v) >= (1000, 0)', 'k, v'), paged('(k, v) < (1000, 0)', 'k DESC, v DESC'),
	   paged('(1000, 0) <= (k, v)', 'k'), paged('(v, k) > (5, 1000)', 'k, v'), paged('(k, v, w) > (1000, 0, 1)', 'k, v'),
	   paged('(k, w) > (1000, 1)', 'k'), paged('(k, v) > (1000, NULL)', 'k'), paged('(k, v) > (1000, 0) AND (k, v) < (1010, 5)', 'k');
SELECT t_plan('SELECT k FROM like_c WHERE (k, v) > (1990, 0) ORDER BY k') ~ 'Index Cond: .*1990' AS "a condition of the index";
DROP TABLE like_c;
-- The true end of a column whose statistics are old: the estimate is btree's.
INSERT INTO like_a SELECT i, 0, false FROM generate_series(20001, 60000) i;
INSERT INTO like_b SELECT i, 0, false FROM generate_series(20001, 60000) i;
CREATE FUNCTION estimate(q text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE j json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || q INTO j;
	RETURN j->0->'Plan'->>'Plan Rows';
END $$;
SELECT a = b AS "same estimate", a > 100 AS "more than the histogram says"
	FROM estimate('SELECT * FROM like_a WHERE k > 30000') a, estimate('SELECT * FROM like_b WHERE k > 30000') b;
-- The first query of a session loads the library while it is planned, and is planned like the others.
\c
EXPLAIN (COSTS off) SELECT x.v FROM like_b x LEFT JOIN like_a y ON y.k = x.v;
DROP TABLE like_a, like_b;

-- Small tables, whose indexes have one leaf.
SELECT make_like(t_am(), 'like_a', 300), make_like('btree', 'like_b', 300);
VACUUM ANALYZE like_a, like_b;
SELECT q, as_btree.* FROM unnest(ARRAY[
	'SELECT * FROM TABLE WHERE k = 17',
	'SELECT k FROM TABLE WHERE k BETWEEN 17 AND 30',
	'SELECT * FROM TABLE WHERE k < 100',
	'SELECT * FROM TABLE WHERE v = 17',
	'SELECT * FROM TABLE ORDER BY k',
	'SELECT * FROM TABLE x JOIN TABLE y ON x.v = y.k',
	'SELECT * FROM TABLE x JOIN TABLE y ON x.k = y.k WHERE x.v < 5',
	'SELECT * FROM TABLE x WHERE EXISTS (SELECT FROM TABLE y WHERE y.v = x.k)',
	'SELECT * FROM TABLE x, LATERAL (SELECT * FROM TABLE y WHERE y.k > x.k ORDER BY y.k LIMIT 1) z'
	]) q, LATERAL as_btree(q) WHERE NOT same;
DROP TABLE like_a, like_b;

-- What alex saves is in its costs. A descent costs the same at any height, and less than btree's; rows in random places, which scans ask for
-- ahead, cost less, so that a scan that gives the order anyway is taken where btree sorts; small tables see no difference (above).
CREATE TABLE cost_a (k int8, x int4, filler text);
INSERT INTO cost_a SELECT hashint8extended(i, 0), i, repeat('x', 80) FROM generate_series(1, 30000) i;
CREATE TABLE cost_b AS TABLE cost_a;
CREATE UNIQUE INDEX cost_a_k ON cost_a USING :am (k);
CREATE UNIQUE INDEX cost_b_k ON cost_b USING btree (k);
VACUUM ANALYZE cost_a, cost_b;
CREATE FUNCTION cost(q text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE j json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || q INTO j;
	RETURN j->0->'Plan'->>'Total Cost';
END $$;
SELECT cost('SELECT k FROM cost_a WHERE k = 17') < cost('SELECT k FROM cost_b WHERE k = 17') AS "a probe costs less";
CREATE TABLE probes AS SELECT k FROM cost_a ORDER BY x LIMIT 3000;
ANALYZE probes;
SELECT t_plan(format('SELECT x FROM %s WHERE k > 9170000000000000000 ORDER BY k', t)) FROM unnest('{cost_a,cost_b}'::text[]) t;
SELECT t, t_plan(format('SELECT FROM probes p WHERE EXISTS (SELECT FROM %s t WHERE t.k = p.k)', t)) ~ 'Nested Loop' AS "nested loop"
	FROM unnest('{cost_a,cost_b}'::text[]) t;
DROP TABLE cost_a, cost_b, probes;

-- Unrelated tables plan as without the extension: a constant still reaches the other side of a join between integer types.
CREATE TABLE plans_other (a int4, b int8);
CREATE INDEX plans_other_b ON plans_other (b);
SELECT t_plan('SELECT * FROM plans_other x JOIN plans_other y ON x.a = y.b WHERE x.a = 42') ~ 'b = 42' AS derived;
-- So they do when somebody has added a type to a btree family that alex mirrors; and nothing of that type is asked of an alex index.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE TYPE int8_like;
CREATE FUNCTION int8_like_in(cstring) RETURNS int8_like STRICT IMMUTABLE LANGUAGE internal AS 'int8in';
CREATE FUNCTION int8_like_out(int8_like) RETURNS cstring STRICT IMMUTABLE LANGUAGE internal AS 'int8out';
CREATE TYPE int8_like (INPUT = int8_like_in, OUTPUT = int8_like_out, LIKE = int8);
CREATE FUNCTION int8_like_eq(int8, int8_like) RETURNS bool STRICT IMMUTABLE LANGUAGE internal AS 'int8eq';
CREATE FUNCTION int8_like_eq(int8_like, int8_like) RETURNS bool STRICT IMMUTABLE LANGUAGE internal AS 'int8eq';
CREATE OPERATOR = (PROCEDURE = int8_like_eq, LEFTARG = int8, RIGHTARG = int8_like, RESTRICT = eqsel, JOIN = eqjoinsel, MERGES);
CREATE OPERATOR = (PROCEDURE = int8_like_eq, LEFTARG = int8_like, RIGHTARG = int8_like, RESTRICT = eqsel, JOIN = eqjoinsel, MERGES);
CREATE TABLE like_l (k int8, l int8_like);
CREATE TABLE like_a (k int8, v int4);
CREATE UNIQUE INDEX like_a_k ON like_a USING :am (k);
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT t_plan('SELECT FROM like_a x LEFT JOIN like_a y ON y.k = x.v') !~ 'Join|Nested' AS "join removed";
ALTER OPERATOR FAMILY integer_ops USING btree ADD OPERATOR 3 = (int8, int8_like), OPERATOR 3 = (int8_like, int8_like);
SELECT t_plan('SELECT FROM plans_other x, like_l y WHERE x.b = y.k AND y.k = y.l AND y.l = ''42''')
	~ 'Index Cond: \(b = ''42''::int8_like\)' AS derived;
SELECT t_plan('SELECT FROM like_a WHERE k = ''42''::int8_like') ~ 'Filter: \(k = ''42''::int8_like\)' AS "no condition of the index";
SELECT k FROM like_a WHERE k = '42'::int8_like;
SELECT t_plan('SELECT FROM like_a WHERE k = 42') ~ 'Index Cond: \(k = 42\)' AS "the index's own";
ROLLBACK;
DROP TABLE plans_other;
