-- INCLUDE: columns that are returned, and no part of the key.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
SET TimeZone = 'UTC';

CREATE TABLE inc (id int8, k int4, a int2, f float8, g float4, u uuid, i interval, tz timetz, b bool, m macaddr, p point, t text, n numeric, j jsonb, bx box, ar int8[], nm name);
INSERT INTO inc SELECT g, g % 50, g % 7 - 3, CASE g % 5 WHEN 0 THEN '-0' WHEN 1 THEN 'NaN' ELSE -g::float8 END, CASE WHEN g % 3 > 0 THEN '-0'::float4 END,
	md5(g::text)::uuid, CASE WHEN g % 2 = 0 THEN '1 day'::interval ELSE '24 hours' END, ('10:00:00+0' || g % 9)::timetz, g % 2 = 0,
	'01:02:03:04:05:06', point(g, -g), repeat('e', g::int % 150), g / 100.0, jsonb_build_object('a', g), box(point(g, g), point(0, -g)), ARRAY[g, NULL, -g], 'n' || g FROM generate_series(1, 4000) g;
UPDATE inc SET a = NULL, u = NULL, b = NULL WHERE id % 11 = 0;
UPDATE inc SET k = NULL, p = NULL WHERE id % 13 = 0;
CREATE INDEX inc_all ON inc USING :am (k, id DESC) INCLUDE (a, f, g, u, i, tz, b, m, p);
CREATE INDEX inc_strings ON inc USING :am (k, id DESC) INCLUDE (t, a, n, j, f, bx, ar, nm);
CREATE UNIQUE INDEX inc_u ON inc USING :am (u) INCLUDE (k, u, m);
CREATE UNIQUE INDEX inc_id ON inc USING :am (id) INCLUDE (k, t);
CREATE VIEW plain AS SELECT k, id, a, f, g, u, i, tz, b, m, p::text FROM inc;
CREATE VIEW strings AS SELECT k, id, t, a, n, j, f, bx::text, ar, nm FROM inc;
SELECT c, pg_index_column_has_property('inc_all', c, 'returnable') AS returnable, pg_index_column_has_property('inc_all', c, 'orderable') AS orderable
FROM generate_series(2, 3) c;

-- What an index-only scan returns is what the table has, in the order of the key.
CREATE FUNCTION differences(source text) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
	n int8;
BEGIN
	PERFORM t_force('only');
	EXECUTE format('CREATE TEMP TABLE by_index AS SELECT row_number() OVER () AS number, * FROM (SELECT * FROM %I WHERE k BETWEEN 3 AND 40 ORDER BY k, id DESC) AS x', source);
	PERFORM t_force('seq');
	EXECUTE format('CREATE TEMP TABLE by_table AS SELECT row_number() OVER () AS number, * FROM (SELECT * FROM %I WHERE k BETWEEN 3 AND 40 ORDER BY k, id DESC) AS x', source);
	SELECT count(*) INTO n FROM (SELECT by_index::text FROM by_index EXCEPT ALL SELECT by_table::text FROM by_table) AS x;
	SELECT n + abs((SELECT count(*) FROM by_index) - (SELECT count(*) FROM by_table)) INTO n;
	DROP TABLE by_index, by_table;
	PERFORM t_unforce();
	RETURN n;
END $$;
VACUUM ANALYZE inc;
SELECT t_force('only');
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE k BETWEEN 3 AND 40 ORDER BY k, id DESC;
EXPLAIN (COSTS OFF) SELECT * FROM strings WHERE k BETWEEN 3 AND 40 ORDER BY k, id DESC;
SELECT t_unforce();
SELECT differences('plain'), differences('strings');

-- Unique is the key alone.
INSERT INTO inc (id, k) VALUES (5, -1);
INSERT INTO inc (id, u, m) VALUES (5000, md5('7')::uuid, NULL);
INSERT INTO inc (id, u) VALUES (5001, NULL), (5002, NULL);
INSERT INTO inc (id, k) VALUES (5001, 7) ON CONFLICT (id) DO UPDATE SET k = excluded.k RETURNING id, k;
CREATE UNIQUE INDEX inc_k ON inc USING :am (k) INCLUDE (id);
CREATE UNIQUE INDEX inc_nulls ON inc USING :am (u) INCLUDE (id) NULLS NOT DISTINCT;

-- After changes of included columns, and of keys.
UPDATE inc SET a = id, f = f / 2, t = NULL, j = '[]', n = n / 3, p = point(k, k) WHERE id % 3 = 0;
UPDATE inc SET id = id + 10000, tz = NULL WHERE id % 5 = 0;
DELETE FROM inc WHERE id % 7 = 0;
VACUUM ANALYZE inc;
SELECT differences('plain'), differences('strings'), alex_check('inc_all', true), alex_check('inc_strings', true), alex_check('inc_u', true), alex_check('inc_id', true);

-- Conversion takes them along.
CREATE INDEX inc_bt ON inc USING btree (k) INCLUDE (p, id);
CREATE INDEX inc_bt_text ON inc USING btree (k) INCLUDE (t);
SELECT alex_conversion_problem('inc_bt'), alex_conversion_problem('inc_bt_text');
CALL alex_convert('inc_bt');
SELECT pg_get_indexdef('inc_bt'::regclass), alex_check('inc_bt', true);
CALL alex_convert('inc_bt', 'btree');
SELECT pg_get_indexdef('inc_bt'::regclass);
SELECT alex_primary_key('inc_id');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'inc'::regclass AND contype = 'p';

-- As many as there can be.
SELECT format('CREATE TABLE many (%s)', string_agg('c' || i || ' int8', ', ')) FROM generate_series(1, 32) i \gexec
SELECT format('CREATE UNIQUE INDEX many_1 ON many USING %I (c1) INCLUDE (%s)', t_am(), string_agg('c' || i, ', ')) FROM generate_series(2, 32) i \gexec
INSERT INTO many (c1, c32) SELECT i, -i FROM generate_series(1, 500) i;
INSERT INTO many (c1) VALUES (7);
VACUUM ANALYZE many;
SELECT t_force('only');
SELECT sum(c1), sum(c32), count(c2) FROM many WHERE c1 > 100;
SELECT t_unforce();
SELECT alex_check('many_1', true);

-- Too long together.
CREATE TABLE long (k int8, t text);
CREATE INDEX long_k ON long USING :am (k) INCLUDE (t);
INSERT INTO long VALUES (1, repeat('x', 100)), (2, '');
INSERT INTO long SELECT 3, string_agg(md5(i::text), '') FROM generate_series(1, 300) i;
SELECT alex_check('long_k', true);
DROP TABLE inc, many, long CASCADE;
