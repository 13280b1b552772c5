-- Life of an index: DDL, options, temporary and unlogged tables, cursors.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

SELECT opcname AS invalid FROM pg_opclass oc JOIN pg_am am ON am.oid = oc.opcmethod
WHERE am.amname = t_am() AND NOT amvalidate(oc.oid);

-- What the access method says it can do.
SELECT p, pg_indexam_has_property(a.oid, p) FROM pg_am a,
	   unnest('{can_order,can_unique,can_exclude}'::text[]) p WHERE amname = t_am();
-- Every property is that of btree, except what the release notes say.
CREATE TABLE prop (k int8);
CREATE INDEX prop_am ON prop USING :am (k DESC);
CREATE INDEX prop_btree ON prop USING btree (k DESC);
SELECT p, pg_indexam_has_property(a.oid, p) AS am, pg_indexam_has_property(b.oid, p) AS btree
FROM pg_am a, pg_am b, unnest('{can_order,can_unique,can_multi_col,can_exclude,can_include}'::text[]) p
WHERE a.amname = t_am() AND b.amname = 'btree' AND pg_indexam_has_property(a.oid, p) <> pg_indexam_has_property(b.oid, p)
ORDER BY p;
SELECT p FROM unnest('{clusterable,index_scan,bitmap_scan,backward_scan}'::text[]) p
WHERE pg_index_has_property('prop_am'::regclass, p) IS DISTINCT FROM pg_index_has_property('prop_btree'::regclass, p);
SELECT p FROM unnest('{asc,desc,nulls_first,nulls_last,orderable,distance_orderable,returnable,search_array,search_nulls}'::text[]) p
WHERE pg_index_column_has_property('prop_am'::regclass, 1, p) IS DISTINCT FROM pg_index_column_has_property('prop_btree'::regclass, 1, p);
DROP TABLE prop;
CREATE TABLE ddl (id int8 NOT NULL, k int8, f float8, t text, d date);
INSERT INTO ddl SELECT i, hashint8(i) % 20000, i * 0.5, i::text, date '2000-01-01' + (i % 1000)::int
FROM generate_series(1, 20000) i;
CREATE INDEX ddl_k ON ddl USING :am (k);
SELECT p, pg_index_has_property('ddl_k', p) FROM unnest('{clusterable,index_scan,bitmap_scan,backward_scan}'::text[]) p;
SELECT p, pg_index_column_has_property('ddl_k', 1, p)
FROM unnest('{asc,desc,nulls_first,nulls_last,orderable,distance_orderable,returnable,search_array,search_nulls}'::text[]) p;

-- Refused, with the right SQLSTATE.
SELECT t_refused(format('CREATE INDEX ON ddl USING %I (point(f, f))', t_am()), '42704') AS "point";
SELECT t_refused(format('CREATE INDEX ON ddl USING %I (k) WITH (fillfactor = 9)', t_am()), '22023') AS "fillfactor 9";
SELECT t_refused(format('CREATE INDEX ON ddl USING %I (k) WITH (fillfactor = 101)', t_am()), '22023') AS "fillfactor 101";
SELECT t_refused(format('CREATE INDEX ON ddl USING %I (k) WITH (fillfactor = many)', t_am()), '22023') AS "fillfactor many";
SELECT t_refused(format('CREATE INDEX ON ddl USING %I (k) WITH (no_such_option = 1)', t_am()), '22023') AS "unknown option";
SELECT t_refused('ALTER INDEX ddl_k SET (fillfactor = 1)', '22023') AS "alter index";
SELECT t_refused('SELECT alex_check(''ddl'')', '42809') AS "check of a table";
SELECT t_refused('SELECT alex_stats(''ddl'')', '42809') AS "stats of a table";
SELECT t_refused('SELECT alex_page(''ddl_k'', 1000000)', '22023') AS "page out of range";

-- Fill factors make a difference and survive.
CREATE INDEX ddl_f50 ON ddl USING :am (k) WITH (fillfactor = 50);
CREATE INDEX ddl_f10 ON ddl USING :am (k) WITH (fillfactor = 10);
CREATE INDEX ddl_f100 ON ddl USING :am (k DESC) WITH (fillfactor = 100);
SELECT pg_relation_size('ddl_f10') > pg_relation_size('ddl_f50') * 2 AS "10 is larger than 50",
	   pg_relation_size('ddl_f50') > pg_relation_size('ddl_f100') * 1.4 AS "50 is larger than 100";
ALTER INDEX ddl_f10 SET (fillfactor = 90);
REINDEX INDEX ddl_f10;
SELECT pg_relation_size('ddl_f10') < pg_relation_size('ddl_f50') AS "90 is smaller than 50", reloptions
FROM pg_class WHERE relname = 'ddl_f10';
SELECT alex_check('ddl_f10', true), alex_check('ddl_f50', true), alex_check('ddl_f100', true);
DROP INDEX ddl_f10, ddl_f50, ddl_f100;

-- Concurrent builds, in every order.
CREATE INDEX CONCURRENTLY ddl_kd ON ddl USING :am (k DESC NULLS LAST);
REINDEX INDEX ddl_k;
REINDEX INDEX CONCURRENTLY ddl_k;
REINDEX INDEX CONCURRENTLY ddl_kd;
UPDATE ddl SET k = k + 1 WHERE id % 7 = 0;
DELETE FROM ddl WHERE id % 11 = 0;
REINDEX TABLE CONCURRENTLY ddl;
SELECT alex_check('ddl_k', true), alex_check('ddl_kd', true);
SELECT t_compare('ddl', '{ddl_k,ddl_kd}', '{"",k < 0,k = 17,k BETWEEN 100 AND 5000,k IS NULL}') > 0 AS same;
DROP INDEX CONCURRENTLY ddl_kd;

-- Rewrites of the table.
VACUUM FULL ddl;
SELECT alex_check('ddl_k', true);
CLUSTER ddl USING ddl_k;
SELECT alex_check('ddl_k', true);
SELECT count(*) FILTER (WHERE k < before) AS "out of order" FROM (SELECT k, lag(k) OVER (ORDER BY ctid) AS before FROM ddl) s;
ALTER TABLE ddl ALTER k TYPE int4;
SELECT alex_check('ddl_k', true);
SELECT t_compare('ddl', '{ddl_k}', '{"",k < 0,k = 17,k = 17::int8}') > 0 AS same;
ALTER TABLE ddl ALTER k TYPE int8;
ALTER TABLE ddl ADD COLUMN extra int DEFAULT 5;
TRUNCATE ddl;
SELECT alex_check('ddl_k', true);
SELECT t_compare('ddl', '{ddl_k}', '{"",k < 0,k IS NULL}') > 0 AS same;
BEGIN;
INSERT INTO ddl (id, k) SELECT i, -i FROM generate_series(1, 1000) i;
TRUNCATE ddl;
INSERT INTO ddl (id, k) SELECT i, i FROM generate_series(1, 1000) i;
ROLLBACK;
INSERT INTO ddl (id, k, f, d) SELECT i, hashint8(i) % 2000, i * 0.5, date '2000-01-01' + (i % 1000)::int
FROM generate_series(1, 20000) i;
SELECT t_compare('ddl', '{ddl_k}', '{"",k < 0,k = 17}') > 0 AS same;

-- Index moved to another tablespace and back.
SET allow_in_place_tablespaces = true;
CREATE TABLESPACE regress_alex_space LOCATION '';
CREATE INDEX ddl_space ON ddl USING :am (k) TABLESPACE regress_alex_space;
ALTER INDEX ddl_k SET TABLESPACE regress_alex_space;
SELECT t_compare('ddl', '{ddl_k,ddl_space}', '{"",k < 0,k = 17}') > 0 AS same;
REINDEX (TABLESPACE pg_default) INDEX ddl_space;
ALTER INDEX ddl_k SET TABLESPACE pg_default;
INSERT INTO ddl (id, k) VALUES (0, 17);
SELECT t_compare('ddl', '{ddl_k,ddl_space}', '{"",k < 0,k = 17}') > 0 AS same;
DROP TABLESPACE regress_alex_space;
DROP INDEX ddl_space;

-- Expressions and predicates.
CREATE INDEX ddl_expr ON ddl USING :am ((k % 10 + f::int));
CREATE INDEX ddl_part ON ddl USING :am (k) WHERE id % 2 = 0;
CREATE INDEX ddl_bool ON ddl USING :am ((k > 17)) WHERE k IS NOT NULL;
ANALYZE ddl;
SELECT t_force('index');
SELECT t_misplanned('SELECT * FROM ddl WHERE k % 10 + f::int = 100', 'ddl_expr', 'index') AS misplanned;
SELECT (SELECT sum(id) FROM ddl WHERE k % 10 + f::int BETWEEN 100 AND 200) AS via_index \gset
SELECT t_show_index('ddl', 'ddl_part');
SELECT t_misplanned('SELECT k FROM ddl WHERE k < 0 AND id % 2 = 0 ORDER BY k DESC', 'ddl_part', 'index', true) ~ 'Filter|Sort|Seq' AS misplanned;
SELECT (SELECT sum(id) FROM ddl WHERE k < 0 AND id % 2 = 0) AS via_part \gset
SELECT t_show_index('ddl', NULL);
SELECT t_force('seq');
SELECT :via_index = (SELECT sum(id) FROM ddl WHERE k % 10 + f::int BETWEEN 100 AND 200) AS same_expr,
	   :via_part = (SELECT sum(id) FROM ddl WHERE k < 0 AND id % 2 = 0) AS same_part;
SELECT t_unforce();
UPDATE ddl SET f = f + 1, id = id + 1 WHERE k < 100;
VACUUM ddl;
SELECT alex_check('ddl_expr', true), alex_check('ddl_part', true), alex_check('ddl_bool', true);

-- Unlogged and temporary tables; a table that becomes logged.
CREATE UNLOGGED TABLE ddl_u (id int8, k int8);
CREATE INDEX ddl_u_empty ON ddl_u USING :am (k);
INSERT INTO ddl_u SELECT i, hashint8(i) FROM generate_series(1, 5000) i;
CREATE INDEX ddl_u_full ON ddl_u USING :am (k);
DELETE FROM ddl_u WHERE id % 3 = 0;
VACUUM ddl_u;
SELECT t_compare('ddl_u', '{ddl_u_empty,ddl_u_full}', '{"",k < 0,k IS NULL}') > 0 AS same;
ALTER TABLE ddl_u SET LOGGED;
INSERT INTO ddl_u SELECT i, i FROM generate_series(1, 1000) i;
SELECT t_compare('ddl_u', '{ddl_u_empty,ddl_u_full}', '{"",k < 0,k IS NULL}') > 0 AS same;
ALTER TABLE ddl_u SET UNLOGGED;
SELECT alex_check('ddl_u_empty', true);
DROP TABLE ddl_u;

CREATE TEMP TABLE ddl_t (id int8, k int8);
CREATE INDEX ddl_t_k ON ddl_t USING :am (k);
INSERT INTO ddl_t SELECT i, hashint8(i) FROM generate_series(1, 20000) i;
DELETE FROM ddl_t WHERE id BETWEEN 3000 AND 12000;
VACUUM ddl_t;
INSERT INTO ddl_t SELECT i, hashint8(i) FROM generate_series(20001, 30000) i;
SELECT t_compare('ddl_t', '{ddl_t_k}', '{"",k < 0,k IS NULL,k >= 0}') > 0 AS same;
SELECT alex_check('ddl_t_k', true);
-- Vacuum deletes while a cursor of the same session stands in the index.
BEGIN;
DECLARE c CURSOR FOR SELECT k FROM ddl_t ORDER BY k;
MOVE 100 IN c;
CLOSE c;
COMMIT;
DROP TABLE ddl_t;
CREATE TEMP TABLE ddl_t (id int8, k int8) ON COMMIT DELETE ROWS;
CREATE INDEX ddl_t_k ON ddl_t USING :am (k);
BEGIN;
INSERT INTO ddl_t SELECT i, hashint8(i) FROM generate_series(1, 2000) i;
SELECT t_compare('ddl_t', '{ddl_t_k}', '{"",k < 0}') > 0 AS same;
COMMIT;
SELECT t_compare('ddl_t', '{ddl_t_k}', '{"",k < 0}') > 0 AS same;
DROP TABLE ddl_t;

-- Partitions, copies of a definition, materialized views.
CREATE TABLE ddl_p (id int8, k int8) PARTITION BY RANGE (id);
CREATE TABLE ddl_p1 PARTITION OF ddl_p FOR VALUES FROM (0) TO (1000);
CREATE INDEX ddl_p_k ON ddl_p USING :am (k);
CREATE TABLE ddl_p2 PARTITION OF ddl_p FOR VALUES FROM (1000) TO (3000);
INSERT INTO ddl_p SELECT i, hashint8(i) FROM generate_series(0, 2999) i;
SELECT c.relname, am.amname = t_am() AS same_am FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
JOIN pg_am am ON am.oid = c.relam WHERE inhparent = 'ddl_p_k'::regclass ORDER BY 1;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT t_plan('SELECT k FROM ddl_p ORDER BY k') ~ '^Merge Append' AND t_plan('SELECT k FROM ddl_p ORDER BY k') !~ '->  Sort' AS "merge append";
SELECT count(*) FILTER (WHERE k < before) AS "out of order", count(*) FROM (SELECT k, lag(k) OVER () AS before FROM (SELECT k FROM ddl_p ORDER BY k) s) t;
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP TABLE ddl_p;
CREATE TABLE ddl_like (LIKE ddl INCLUDING ALL);
SELECT am.amname = t_am() AS same_am, count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am am ON am.oid = c.relam WHERE indrelid = 'ddl_like'::regclass GROUP BY 1;
DROP TABLE ddl_like;
CREATE MATERIALIZED VIEW ddl_m AS SELECT id, k FROM ddl;
CREATE INDEX ddl_m_k ON ddl_m USING :am (k);
REFRESH MATERIALIZED VIEW ddl_m;
SELECT t_compare('ddl_m', '{ddl_m_k}', '{"",k < 0}') > 0 AS same;
DROP MATERIALIZED VIEW ddl_m;

-- Cursors that walk at random, forwards and backwards, over keys with
-- duplicates, while the same transaction inserts and deletes around them.
-- The cursor sees none of that.
CREATE TABLE walk (id int8, k int4);
CREATE INDEX walk_k ON walk USING :am (k);
-- btree's posting lists keep their order in backward scans, so that equal keys
-- would change places.
\if :is_alex
\else
ALTER INDEX walk_k SET (deduplicate_items = off);
REINDEX INDEX walk_k;
\endif
INSERT INTO walk SELECT i, CASE WHEN i % 50 > 0 THEN hashint8(i) % 700 END FROM generate_series(1, 3000) i;
VACUUM ANALYZE walk;
CREATE FUNCTION walk(kind text, cond text, ord text, steps int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q text := format('SELECT %s FROM walk %s ORDER BY k %s', CASE kind WHEN 'only' THEN 'k' ELSE 'k, id' END, cond, ord);
	want text[];
	known text[] := '{}';
	c refcursor;
	r record;
	pos int := 0;
	way int;
	ends int := 0;
	plan text;
BEGIN
	PERFORM t_force('seq');
	EXECUTE format('SELECT array_agg(coalesce(k::text, ''NULL'')) FROM (SELECT k FROM walk %s ORDER BY k %s) s', cond, ord) INTO want;
	PERFORM t_force(kind);
	plan := t_misplanned(q, 'walk_k', kind, ord ~ 'DESC');
	IF plan IS NOT NULL THEN RETURN plan; END IF;
	OPEN c SCROLL FOR EXECUTE q;
	FOR i IN 1..steps LOOP
		-- Long runs in one direction and nervous ones.
		IF i % 400 < 250 THEN
			way := CASE WHEN (i / 400) % 3 < 2 THEN 1 ELSE -1 END;
		ELSE
			way := CASE WHEN random() < 0.5 THEN 1 ELSE -1 END;
		END IF;
		IF way = 1 THEN FETCH NEXT FROM c INTO r; ELSE FETCH PRIOR FROM c INTO r; END IF;
		pos := greatest(0, least(cardinality(want) + 1, pos + way));
		IF pos = 0 OR pos > cardinality(want) THEN
			ends := ends + 1;
			IF FOUND THEN RETURN format('step %s: row %s beyond the end', i, r); END IF;
			CONTINUE;
		END IF;
		IF NOT FOUND THEN RETURN format('step %s: no row at %s', i, pos); END IF;
		IF coalesce(r.k::text, 'NULL') <> want[pos] THEN
			RETURN format('step %s: at %s expected %s, found %s', i, pos, want[pos], r);
		END IF;
		-- The same place shows the same row each time.
		IF known[pos] <> r::text THEN
			RETURN format('step %s: at %s was %s, is %s', i, pos, known[pos], r);
		END IF;
		known[pos] := r::text;
		IF i % 10 = 0 THEN
			INSERT INTO walk SELECT 10000 + i, hashint8(i + j) % 700 FROM generate_series(1, 20) j;
			DELETE FROM walk WHERE id = i % 3000;
		END IF;
	END LOOP;
	CLOSE c;
	PERFORM t_unforce();
	RETURN format('%s of %s rows seen', (SELECT count(x) FROM unnest(known) x) > 200, cardinality(want) > 200);
END $$;
SELECT setseed(0.17);
BEGIN; SELECT walk('index', '', 'ASC', 4000); ROLLBACK;
BEGIN; SELECT walk('index', '', 'DESC', 4000); ROLLBACK;
BEGIN; SELECT walk('only', '', 'ASC', 4000); ROLLBACK;
BEGIN; SELECT walk('only', '', 'DESC', 4000); ROLLBACK;
BEGIN; SELECT walk('index', 'WHERE k BETWEEN 100 AND 200', 'ASC', 4000); ROLLBACK;
BEGIN; SELECT walk('only', 'WHERE k BETWEEN 100 AND 200', 'DESC', 4000); ROLLBACK;
BEGIN; SELECT walk('only', 'WHERE k >= ANY(''{500,400}'') AND k < 600', 'ASC', 4000); ROLLBACK;
BEGIN; SELECT walk('index', 'WHERE k = ANY(''{0,5,5,NULL,-7,699,100,101,102,103,104,105,106,107,300,301,302,303,304,305,306,307,308,309,310,311,312,313,314,315,316,317,318,319,320,321,322,323,324,325,326,327,328,329,330,331,332,333,334,335,336,337,338,339,340,341,342,343,344,345,346,347,348,349,350,351,352,353,354,355,356,357,358,359,360,361,362,363,364,365,366,367,368,369,370,371,372,373,374,375,376,377,378,379,380,381,382,383,384,385,386,387,388,389,390}'')', 'DESC', 4000); ROLLBACK;
BEGIN; SELECT walk('index', '', 'ASC', 4000); COMMIT;
SELECT alex_check('walk_k', true);
SELECT t_compare('walk', '{walk_k}', '{"",k < 100,k IS NULL,k > 100 AND k < 105}') > 0 AS same;

-- Mark and restore: merge joins over runs of duplicates.
CREATE TABLE mark1 (id int8, k int4);
CREATE TABLE mark2 (id int8, k int8);
INSERT INTO mark1 SELECT i, CASE WHEN i % 97 > 0 THEN (i * 7919) % 211 END FROM generate_series(1, 2000) i;
INSERT INTO mark2 SELECT i, CASE WHEN i % 89 > 0 THEN (i * 104729) % 307 END FROM generate_series(1, 3000) i;
CREATE INDEX mark1_k ON mark1 USING :am (k);
CREATE INDEX mark2_k ON mark2 USING :am (k);
CREATE INDEX mark2_kd ON mark2 USING :am (k DESC);
VACUUM ANALYZE mark1, mark2;
CREATE FUNCTION mark_join(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text;
	b text;
BEGIN
	PERFORM t_force('seq');
	SET LOCAL enable_mergejoin = off;
	SET LOCAL enable_nestloop = off;
	EXECUTE q INTO a;
	PERFORM t_force('only');
	SET LOCAL enable_mergejoin = on;
	SET LOCAL enable_hashjoin = off;
	SET LOCAL enable_material = off;
	IF t_plan(q) !~ 'Merge (Left )?Join' OR t_plan(q) ~ 'Materialize|Sort|Seq' THEN RETURN t_plan(q); END IF;
	EXECUTE q INTO b;
	PERFORM t_unforce();
	RETURN CASE WHEN a = b THEN 'same' ELSE format('expected %s, found %s', a, b) END;
END $$;
BEGIN; SELECT mark_join('SELECT (count(*), sum(a.id), sum(b.id), sum(a.id * b.id))::text FROM mark1 a JOIN mark2 b USING (k)'); ROLLBACK;
BEGIN; SELECT mark_join('SELECT (count(*), sum(a.k), sum(b.k))::text FROM mark1 a JOIN mark2 b USING (k)'); ROLLBACK;
BEGIN; SELECT mark_join('SELECT (count(*), sum(a.id), sum(b.id), sum(a.id * b.id))::text FROM mark2 a JOIN mark1 b USING (k)'); ROLLBACK;
BEGIN; SELECT mark_join('SELECT (count(*), sum(a.id * b.id))::text FROM mark2 a JOIN mark2 b USING (k)'); ROLLBACK;
BEGIN; SELECT mark_join('SELECT (count(*), sum(a.id), sum(b.id), count(b.id))::text FROM mark1 a LEFT JOIN mark2 b USING (k)'); ROLLBACK;
BEGIN; SELECT mark_join('SELECT (count(*), sum(id))::text FROM (SELECT a.id FROM mark1 a JOIN mark2 b USING (k) ORDER BY a.k DESC OFFSET 0) s'); ROLLBACK;

DROP TABLE ddl, walk, mark1, mark2;

-- A build that does not fit its memory sorts on disk, and gives the same index.
CREATE TABLE spill AS SELECT hashint8extended(i, 7) AS k FROM generate_series(1, 600000) i;
SET maintenance_work_mem = '1MB';
CREATE INDEX spill_disk ON spill USING :am (k);
SET maintenance_work_mem = '256MB';
CREATE INDEX spill_memory ON spill USING :am (k);
RESET maintenance_work_mem;
SELECT alex_check('spill_disk', true);
SELECT pg_relation_size('spill_disk') = pg_relation_size('spill_memory') AS same_size;
DROP TABLE spill;

-- Input in order needs no sorting and may fill the memory for it: until a row is out of order, soon or late, or never.
CREATE FUNCTION t_build(last_in_order int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	CREATE TABLE ordered AS
		SELECT CASE WHEN i <= last_in_order THEN i ELSE hashint4(i) % last_in_order END AS k FROM generate_series(1, 200000) i;
	SET LOCAL maintenance_work_mem = '2MB';
	EXECUTE format('CREATE INDEX ordered_k ON ordered USING %s (k)', t_am());
	PERFORM alex_check('ordered_k', true);
	SET LOCAL enable_seqscan = off;
	SELECT format('%s rows, %s', count(*), CASE WHEN bool_and(k >= before) THEN 'in order' ELSE 'out of order' END) INTO found
		FROM (SELECT k, lag(k, 1, k) OVER () AS before FROM (SELECT k FROM ordered ORDER BY k OFFSET 0) s) r;
	DROP TABLE ordered;
	RETURN found;
END $$;
SELECT i, t_build(i) FROM unnest('{1,40000,70000,100000,140000,199999,200000}'::int[]) i;
DROP FUNCTION t_build(int);
