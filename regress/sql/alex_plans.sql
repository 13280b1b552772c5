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
-- Unrelated tables plan as without the extension: a constant still reaches
-- the other side of a join between integer types.
CREATE TABLE plans_other (a int4, b int8);
SELECT t_plan('SELECT * FROM plans_other x JOIN plans_other y ON x.a = y.b WHERE x.a = 42') ~ 'b = 42' AS derived;
DROP TABLE plans, plans_other;
