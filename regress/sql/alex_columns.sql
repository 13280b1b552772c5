-- Indexes on several columns: every kind of condition on every subset of them, in both directions, compared with a sequential scan.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
SET TimeZone = 'UTC';
SELECT setseed(0.25);

SELECT t_columns_table('cols', t_am());
DO $$
BEGIN
	FOR i IN 1 .. 4000 LOOP
		EXECUTE 'INSERT INTO cols SELECT * FROM t_columns_row($1, $2) AS r(id int8, a int2, b int8, c timestamptz, d uuid, e float8, f bool, g int4, h interval, i text, j varchar)'
			USING i, CASE WHEN i % 3 = 0 THEN 3 ELSE 40 END;
	END LOOP;
END $$;
VACUUM ANALYZE cols;
SELECT n, t_columns_compare('cols', 'cols_' || n, t_columns_keys('cols_' || n), 60) > 100 AS compared
FROM generate_series(1, (SELECT count(*) FROM t_columns_shapes())::int) n ORDER BY n;

-- The same after the entries have moved about: fresh, removed, dead.
UPDATE cols SET b = b + 1, a = NULL WHERE id % 5 = 0 AND b < 1000;
DELETE FROM cols WHERE id % 7 = 0;
VACUUM cols;
UPDATE cols SET g = g / 2 WHERE id % 2 = 0;
SELECT n, t_columns_compare('cols', 'cols_' || n, t_columns_keys('cols_' || n), 20) > 30 AS compared, alex_check(('cols_' || n)::regclass, true)
FROM generate_series(1, (SELECT count(*) FROM t_columns_shapes())::int) n ORDER BY n;

-- Index-only scans return what was stored.
CREATE TABLE zero (f float8, k int4, g float4, b bool, m macaddr, t timetz);
INSERT INTO zero VALUES ('-0', 2, '0', true, '08:00:2b:01:02:03', '10:00+02'), ('0', 1, '-0', false, NULL, '09:00+01'), (NULL, 3, '-0', NULL, 'ff:ff:ff:ff:ff:ff', NULL),
	('NaN', 4, 'NaN', true, '00:00:00:00:00:00', '24:00-15:59');
CREATE INDEX zero_all ON zero USING :am (f, k, g DESC, b NULLS FIRST, m, t);
VACUUM ANALYZE zero;
SELECT t_force('only');
SELECT * FROM zero ORDER BY f, k;
SELECT * FROM zero WHERE f = 0 ORDER BY f DESC, k DESC;
SELECT count(*) FROM zero WHERE f = '-0' AND k >= 1 AND g = 0;
SELECT t_unforce();

-- Uniqueness is that of all columns together.
CREATE TABLE uniq (a int4, b int8, f float8);
CREATE UNIQUE INDEX uniq_ab ON uniq USING :am (a, b DESC);
CREATE UNIQUE INDEX uniq_fa ON uniq USING :am (f, a);
INSERT INTO uniq VALUES (1, 1, 0), (1, 2, 1), (2, 1, 0), (NULL, 1, 0), (NULL, 1, 0), (1, NULL, 5), (1, NULL, 6);
INSERT INTO uniq VALUES (1, 2, 7);
INSERT INTO uniq VALUES (2, 9, '-0');
SELECT a, b, f FROM uniq ORDER BY a, b, f;
CREATE UNIQUE INDEX uniq_nulls ON uniq USING :am (a, b) NULLS NOT DISTINCT;
DELETE FROM uniq WHERE a IS NULL OR b IS NULL;
CREATE UNIQUE INDEX uniq_nulls ON uniq USING :am (a, b) NULLS NOT DISTINCT;
INSERT INTO uniq VALUES (NULL, 1, 10), (NULL, 1, 11);
INSERT INTO uniq VALUES (5, 9223372036854775807, 12), (5, NULL, 13);
CREATE UNIQUE INDEX ON uniq USING :am ((a / 10), f);

-- Keyset pagination.
CREATE INDEX cols_page ON cols USING :am (a, b, id);
VACUUM ANALYZE cols;
SELECT count(*) AS wrong FROM generate_series(0, 900, 100) o
CROSS JOIN LATERAL (SELECT a, b, id FROM cols WHERE a IS NOT NULL AND b IS NOT NULL ORDER BY a, b, id OFFSET o LIMIT 1) f
CROSS JOIN LATERAL (SELECT array_agg(id) AS ids FROM (SELECT id FROM cols WHERE (a, b, id) > (f.a, f.b, f.id) ORDER BY a, b, id LIMIT 10) x) p
CROSS JOIN LATERAL (SELECT array_agg(id) AS ids FROM (SELECT id FROM cols WHERE a > f.a OR a = f.a AND (b > f.b OR b = f.b AND id > f.id)
	ORDER BY a + 0, b + 0, id LIMIT 10) x) w
WHERE p.ids IS DISTINCT FROM w.ids;

-- As many columns as an index can have.
SELECT format('CREATE TABLE wide (%s)', string_agg('c' || i || CASE i % 4 WHEN 0 THEN ' uuid' WHEN 1 THEN ' int8' WHEN 2 THEN ' int2' ELSE ' timestamptz' END, ', ' ORDER BY i))
FROM generate_series(1, 32) i \gexec
SELECT format('INSERT INTO wide SELECT %s FROM generate_series(1, 500) g', string_agg(CASE i % 4 WHEN 0 THEN 'md5((g % ' || i || ')::text)::uuid'
	WHEN 1 THEN 'g % ' || i WHEN 2 THEN '(g % 7)::int2' ELSE 'timestamptz ''2020-01-01'' + (g % ' || i * 3 || ') * interval ''1 day''' END, ', ' ORDER BY i))
FROM generate_series(1, 32) i \gexec
SELECT format('CREATE INDEX wide_all ON wide USING %I (%s)', t_am(), string_agg('c' || i || CASE i % 3 WHEN 0 THEN ' DESC' ELSE '' END, ', ' ORDER BY i)) FROM generate_series(1, 32) i \gexec
VACUUM ANALYZE wide;
SELECT alex_check('wide_all', true);
SELECT t_force('index');
SELECT count(*) FROM wide WHERE c1 = 0 AND c2 = 3;
SELECT count(*) FROM wide WHERE c32 = md5('4')::uuid;
SELECT count(*) FROM wide WHERE c31 > '2020-02-01' AND c2 IN (1, 2);
SELECT t_unforce();
SELECT count(*) FROM wide WHERE c1 = 0 AND c2 = 3;
SELECT count(*) FROM wide WHERE c32 = md5('4')::uuid;
SELECT count(*) FROM wide WHERE c31 > '2020-02-01' AND c2 IN (1, 2);
INSERT INTO wide SELECT * FROM wide;
DELETE FROM wide WHERE c2 = 3;
VACUUM wide;
SELECT alex_check('wide_all', true);
DROP TABLE cols, zero, uniq, wide;
