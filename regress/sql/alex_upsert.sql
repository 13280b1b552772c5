-- INSERT ... ON CONFLICT on tables with unique alex indexes: every form of the conflict target, every way to run it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE up (id int, k int8, v int DEFAULT 0);
CREATE UNIQUE INDEX up_k ON up USING :am (k);
INSERT INTO up SELECT i, i FROM generate_series(1, 100) i;

-- A session that has not met the index yet: the conflict target opens it at planning.
\c
SET client_min_messages = warning;
INSERT INTO up VALUES (0, 1) ON CONFLICT (k) DO UPDATE SET v = up.v + 1 RETURNING *;
INSERT INTO up VALUES (0, 1), (101, 101), (0, 2) ON CONFLICT (k) DO NOTHING RETURNING *;
INSERT INTO up VALUES (0, 1), (102, 102), (102, 102) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO up VALUES (0, 1), (0, 2) ON CONFLICT (k) DO UPDATE SET v = up.v + excluded.id + 10 WHERE up.id = 2 RETURNING *;
INSERT INTO up VALUES (0, NULL), (0, NULL) ON CONFLICT (k) DO UPDATE SET v = -1 RETURNING *;
-- twice the same row is core's error
INSERT INTO up VALUES (0, 7), (0, 7) ON CONFLICT (k) DO UPDATE SET v = 1;
INSERT INTO up VALUES (0, 500), (0, 500) ON CONFLICT (k) DO UPDATE SET v = 1;
-- targets that fit no index
INSERT INTO up VALUES (0, 1) ON CONFLICT (id) DO NOTHING;
INSERT INTO up VALUES (0, 1) ON CONFLICT (k int4_ops) DO NOTHING;
-- The key itself moves, and can collide.
INSERT INTO up VALUES (0, 5) ON CONFLICT (k) DO UPDATE SET k = 1005 RETURNING *;
INSERT INTO up VALUES (0, 6) ON CONFLICT (k) DO UPDATE SET k = 4 RETURNING *;
INSERT INTO up SELECT i, i FROM generate_series(90, 110) i ON CONFLICT (k) DO UPDATE SET v = up.v + 1;
SELECT count(*), count(DISTINCT k), sum(v) FROM up;
SELECT alex_check('up_k', true);

-- Another unique index: with or without being the target.
CREATE UNIQUE INDEX up_id ON up (id) WHERE id > 0;
INSERT INTO up VALUES (1, 3000) ON CONFLICT (k) DO NOTHING;
INSERT INTO up VALUES (3000, 1) ON CONFLICT (id) WHERE id > 0 DO NOTHING;
INSERT INTO up VALUES (1, 3000) ON CONFLICT (id) WHERE id > 0 DO UPDATE SET v = 77 RETURNING *;
INSERT INTO up VALUES (1, 3000), (3000, 1) ON CONFLICT DO NOTHING RETURNING *;
DROP INDEX up_id;
DROP TABLE up;

-- Expressions, predicates, NULLS NOT DISTINCT, all types of keys.
CREATE TABLE up (id int, a int4, f float8, u uuid, t timestamptz, PRIMARY KEY (id));
CREATE UNIQUE INDEX up_expr ON up USING :am ((a % 1000) DESC) WHERE a > 0;
CREATE UNIQUE INDEX up_f ON up USING :am (f) NULLS NOT DISTINCT;
CREATE UNIQUE INDEX up_u ON up USING :am (u);
CREATE UNIQUE INDEX up_t ON up USING :am (t DESC NULLS LAST);
INSERT INTO up SELECT i, i, i, md5(i::text)::uuid, timestamptz '2020-01-01Z' + i * interval '1 day' FROM generate_series(0, 50) i;
INSERT INTO up VALUES (51, 1007) ON CONFLICT ((a % 1000)) WHERE a > 0 DO UPDATE SET a = -up.a RETURNING id, a;
INSERT INTO up VALUES (51, 1007, 3) ON CONFLICT ((a % 1000)) WHERE a > 0 DO UPDATE SET a = -up.a RETURNING id, a;
INSERT INTO up VALUES (51, -7, '-0') ON CONFLICT (f) DO UPDATE SET f = 1000 RETURNING id, f;
INSERT INTO up VALUES (51, -7, NULL) ON CONFLICT (f) DO NOTHING RETURNING id, f;
INSERT INTO up VALUES (52, -7, NULL) ON CONFLICT (f) DO UPDATE SET a = -8 RETURNING id, a, f;
INSERT INTO up VALUES (52, -7, 'NaN') ON CONFLICT (f) DO NOTHING RETURNING id, f;
INSERT INTO up VALUES (53, -7, 'NaN') ON CONFLICT (f) DO UPDATE SET a = -9 RETURNING id, a, f;
INSERT INTO up VALUES (53, -7, 53, md5('9')::uuid) ON CONFLICT (u) DO UPDATE SET a = -10 RETURNING id, a;
INSERT INTO up VALUES (53, -7, 53, NULL, timestamptz '2020-01-11Z') ON CONFLICT (t) DO UPDATE SET a = -11 RETURNING id, a;
INSERT INTO up VALUES (7, -7, 53) ON CONFLICT (id) DO UPDATE SET a = -12 RETURNING id, a;
INSERT INTO up VALUES (7, -7, 53) ON CONFLICT ON CONSTRAINT up_pkey DO UPDATE SET a = -13 RETURNING id, a;
INSERT INTO up SELECT i, -7, 53 FROM generate_series(1, 60) i ON CONFLICT DO NOTHING RETURNING id;
SELECT count(*) FROM up;
DROP TABLE up;

-- Ways to run it.
CREATE TABLE up (id int, k int8, v int DEFAULT 0);
CREATE UNIQUE INDEX up_k ON up USING :am (k);
PREPARE upsert(int8) AS INSERT INTO up VALUES (1, $1) ON CONFLICT (k) DO UPDATE SET v = up.v + 1 RETURNING v;
EXECUTE upsert(1); EXECUTE upsert(1); EXECUTE upsert(1); EXECUTE upsert(1); EXECUTE upsert(1); EXECUTE upsert(1); EXECUTE upsert(1);
PREPARE forget(int8) AS INSERT INTO up VALUES (1, $1) ON CONFLICT DO NOTHING RETURNING k;
EXECUTE forget(1); EXECUTE forget(2); EXECUTE forget(2);
-- Plans that were made before the index was.
CREATE TABLE later (k int8, v int DEFAULT 0);
PREPARE early AS INSERT INTO later VALUES (1) ON CONFLICT DO NOTHING RETURNING k;
EXECUTE early;
CREATE UNIQUE INDEX later_k ON later USING :am (k);
EXECUTE early;
DROP TABLE later;
CREATE FUNCTION upsert(key int8) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	result int;
BEGIN
	INSERT INTO up VALUES (1, key) ON CONFLICT (k) DO UPDATE SET v = up.v + 1 RETURNING v INTO result;
	INSERT INTO up VALUES (1, key) ON CONFLICT DO NOTHING;
	IF FOUND THEN RAISE EXCEPTION 'twice'; END IF;
	EXECUTE 'INSERT INTO up VALUES (1, $1) ON CONFLICT (k) DO UPDATE SET v = up.v + 100 RETURNING v' INTO result USING key;
	RETURN result;
END $$;
SELECT upsert(i % 3) FROM generate_series(1, 9) i;
CREATE FUNCTION upsert_sql(key int8) RETURNS SETOF int LANGUAGE sql AS
'INSERT INTO up VALUES (1, key), (1, key + 1) ON CONFLICT (k) DO UPDATE SET v = -up.v RETURNING v';
SELECT * FROM upsert_sql(1);
SELECT upsert_sql(1) LIMIT 1;
WITH a AS (INSERT INTO up VALUES (2, 50), (2, 1) ON CONFLICT (k) DO UPDATE SET v = 7 RETURNING k, v),
	b AS (INSERT INTO up VALUES (3, 51), (3, 2) ON CONFLICT DO NOTHING RETURNING k, v)
SELECT * FROM a UNION ALL SELECT * FROM b ORDER BY 1;
WITH a AS (INSERT INTO up VALUES (2, 52), (2, 1) ON CONFLICT (k) DO NOTHING RETURNING k)
INSERT INTO up SELECT 4, k FROM a UNION ALL SELECT 4, 2 ON CONFLICT (k) DO UPDATE SET v = 8 RETURNING id, k, v;
WITH a AS (INSERT INTO up VALUES (2, 1) ON CONFLICT (k) DO NOTHING) SELECT 'not read';
EXPLAIN (COSTS OFF) INSERT INTO up VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = 8;
EXPLAIN (COSTS OFF) INSERT INTO up VALUES (1, 1) ON CONFLICT DO NOTHING;
EXPLAIN (ANALYZE) INSERT INTO up VALUES (1, 1), (1, 9) ON CONFLICT (k) DO UPDATE SET v = 8 \g /dev/null
CREATE TABLE copied AS SELECT * FROM up WITH NO DATA;
COPY (INSERT INTO up VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = 9 RETURNING k, v) TO STDOUT;
-- No row at all, and an error in a subtransaction.
INSERT INTO up SELECT 1, 1 WHERE false ON CONFLICT (k) DO NOTHING;
DO $$
BEGIN
	INSERT INTO up SELECT 1, 1 / (i - 1) FROM generate_series(0, 2) i ON CONFLICT (k) DO UPDATE SET v = -99;
EXCEPTION WHEN division_by_zero THEN NULL;
END $$;
SELECT count(*) FROM up WHERE v = -99;
-- Triggers see what they see with btree, and may upsert themselves.
CREATE TABLE seen (n serial, what text, k int8);
CREATE UNIQUE INDEX ON seen USING :am (k) WHERE what = 'AFTER UPDATE';
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO seen (what, k) VALUES (TG_WHEN || ' ' || TG_OP, CASE TG_OP WHEN 'DELETE' THEN OLD.k ELSE NEW.k END) ON CONFLICT DO NOTHING;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER see_before BEFORE INSERT OR UPDATE ON up FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER see_after AFTER INSERT OR UPDATE ON up FOR EACH ROW EXECUTE FUNCTION see();
INSERT INTO up VALUES (1, 1), (1, 60), (1, 2) ON CONFLICT (k) DO UPDATE SET v = 10;
INSERT INTO up VALUES (1, 1), (1, 61), (1, 2) ON CONFLICT (k) DO UPDATE SET v = 11;
INSERT INTO up VALUES (1, 1), (1, 62), (1, 2) ON CONFLICT DO NOTHING;
SELECT what, k FROM seen ORDER BY n;
DROP TRIGGER see_before ON up;
DROP TRIGGER see_after ON up;
-- Views, and the rights and policies of a table.
CREATE VIEW upv AS SELECT k, id, v FROM up WHERE id > 0 WITH CHECK OPTION;
INSERT INTO upv (k, id) VALUES (1, 5) ON CONFLICT (k) DO UPDATE SET v = 12 RETURNING *;
INSERT INTO upv (k, id) VALUES (1, 5) ON CONFLICT (k) DO UPDATE SET id = -1;
DROP VIEW upv;
SELECT alex_check('up_k', true);
-- Temporary and unlogged tables.
CREATE TEMP TABLE tup (k int8, v int DEFAULT 0);
CREATE UNIQUE INDEX ON tup USING :am (k);
INSERT INTO tup SELECT i % 10 FROM generate_series(1, 100) i ON CONFLICT DO NOTHING;
INSERT INTO tup SELECT i FROM generate_series(1, 20) i ON CONFLICT (k) DO UPDATE SET v = 1;
SELECT count(*), sum(v) FROM tup;
DROP TABLE copied, seen;
DROP FUNCTION upsert, upsert_sql, see CASCADE;

-- Partitions are found row by row. Their layouts differ, their indexes too; a default one, and partitions of a partition.
CREATE TABLE parts (id int, r int, k int8, v int DEFAULT 0, PRIMARY KEY (id, r)) PARTITION BY RANGE (r);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 (junk text, v int DEFAULT 0, k int8, r int NOT NULL, id int NOT NULL);
ALTER TABLE parts_2 DROP COLUMN junk;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30) PARTITION BY LIST (r);
CREATE TABLE parts_3_1 PARTITION OF parts_3 FOR VALUES IN (20, 21, 22);
CREATE TABLE parts_3_2 PARTITION OF parts_3 DEFAULT;
CREATE TABLE parts_4 PARTITION OF parts DEFAULT;
CREATE UNIQUE INDEX ON parts_1 USING :am (k);
CREATE UNIQUE INDEX ON parts_2 USING :am (k);
CREATE UNIQUE INDEX ON parts_3_2 USING :am (k);
INSERT INTO parts SELECT i, i, i FROM generate_series(0, 40) i ON CONFLICT DO NOTHING;
INSERT INTO parts SELECT 100 + i, i, i FROM generate_series(0, 40) i ON CONFLICT DO NOTHING;
SELECT tableoid::regclass, count(*) FROM parts GROUP BY 1 ORDER BY 1;
INSERT INTO parts SELECT i, i, i FROM generate_series(0, 40, 3) i ON CONFLICT (id, r) DO UPDATE SET v = parts.v + excluded.r WHERE excluded.k <> 6
	RETURNING tableoid::regclass, *;
INSERT INTO parts VALUES (200, 15, 15) ON CONFLICT (id, r) DO NOTHING;
INSERT INTO parts AS p VALUES (15, 15, 99, 1) ON CONFLICT (id, r) DO UPDATE SET (k, v) = (SELECT p.k + excluded.k, (p).v + (excluded).v) RETURNING *;
PREPARE into_parts(int) AS INSERT INTO parts VALUES ($1, $1, $1) ON CONFLICT (id, r) DO UPDATE SET v = parts.v + 1000 RETURNING tableoid::regclass, *;
EXECUTE into_parts(5); EXECUTE into_parts(12); EXECUTE into_parts(28); EXECUTE into_parts(-3); EXECUTE into_parts(-3); EXECUTE into_parts(21); EXECUTE into_parts(5);
WITH a AS (INSERT INTO parts VALUES (5, 5, 5), (12, 12, 12) ON CONFLICT DO NOTHING RETURNING id),
	b AS (INSERT INTO parts VALUES (6, 6, 6), (13, 13, 13) ON CONFLICT (id, r) DO UPDATE SET v = -1 RETURNING tableoid::regclass, id, v)
SELECT * FROM b WHERE NOT EXISTS (SELECT FROM a);
-- through a partition, and one that has to be left again
INSERT INTO parts_3 VALUES (28, 28, 28), (20, 20, 20), (1028, 28, 1028) ON CONFLICT (id, r) DO UPDATE SET v = parts_3.v + 7 RETURNING tableoid::regclass, *;
INSERT INTO parts_3 VALUES (28, 35, 28) ON CONFLICT (id, r) DO NOTHING;
INSERT INTO parts VALUES (5, 5, 5) ON CONFLICT (id, r) DO UPDATE SET r = 15;
-- The rows come through a projection with a column that is no part of them.
INSERT INTO parts (id, r, k) SELECT i, i % 20, i FROM generate_series(1, 30) i ORDER BY md5(i::text) ON CONFLICT (id, r) DO UPDATE SET v = 5;
SELECT tableoid::regclass, count(*), sum(v) FROM parts GROUP BY 1 ORDER BY 1;
-- A portal that is not read to its end.
CREATE FUNCTION first_only() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	one text;
BEGIN
	INSERT INTO parts SELECT i, i, i FROM generate_series(0, 40) i ON CONFLICT (id, r) DO UPDATE SET v = 0 RETURNING parts::text INTO one;
	RETURN one;
EXCEPTION WHEN too_many_rows THEN
	RETURN 'too many rows';
END $$;
SELECT first_only();
-- A trigger of one partition upserts into the whole.
CREATE FUNCTION into_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.r < 10 THEN
		INSERT INTO parts VALUES (NEW.id, NEW.r + 10, NEW.k), (NEW.id, NEW.r + 20, NEW.k) ON CONFLICT (id, r) DO UPDATE SET v = parts.v + 1;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER onward AFTER INSERT ON parts_1 FOR EACH ROW EXECUTE FUNCTION into_parts();
INSERT INTO parts SELECT 5000 + i, i, 5000 + i FROM generate_series(0, 3) i ON CONFLICT (id, r) DO UPDATE SET v = -5;
INSERT INTO parts SELECT 5000 + i, i, 5000 + i FROM generate_series(0, 4) i ON CONFLICT (id, r) DO UPDATE SET v = -5;
SELECT * FROM parts WHERE id >= 5000 ORDER BY id, r;
SELECT alex_check(i::regclass, true) FROM unnest('{parts_1_k_idx, parts_2_k_idx, parts_3_2_k_idx}'::text[]) i;
DROP TABLE parts CASCADE;
DROP FUNCTION first_only, into_parts;
DROP TABLE up;
