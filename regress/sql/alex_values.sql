-- Types of variable width that are no text: numeric, inet, bit strings and padded strings.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE types (id int8, n numeric, w numeric(12,2), m numeric(5,-2), i inet, c cidr, b varbit, f bit(9), p char(10) COLLATE "C");
INSERT INTO types SELECT g, (hashint8(g) / 1000.0)::numeric, (hashint8(g) / 100.0)::numeric(12,2), g * 10,
	set_masklen('10.0.0.0'::inet + g % 3000, 20 + (g % 13)::int), set_masklen('fe80::'::cidr + (g << 16), 112 - (g % 20)::int),
	substring(g::bit(20)::varbit, 1 + (g % 19)::int), g::int4::bit(9), left(md5(g::text), (g % 11)::int) FROM generate_series(1, 3000) g;
INSERT INTO types (id, n) SELECT 3000 + ord, v FROM unnest('{NaN,Infinity,-Infinity,0,0.00,1,1.0,1.00,-1.5,-1.50,99999999999999999999,1e1000,-1e1000,1e-1000}'::numeric[])
	WITH ORDINALITY AS x(v, ord);
UPDATE types SET w = 'NaN', i = NULL, b = NULL, p = NULL WHERE id % 100 = 7;
INSERT INTO types (id, p) VALUES (4000, 'äöü'), (4001, 'äöü€€€€€€€'), (4002, '');
CREATE INDEX types_n ON types USING :am (n);
CREATE INDEX types_w ON types USING :am (w DESC, id);
CREATE INDEX types_m ON types USING :am (m);
CREATE INDEX types_i ON types USING :am (i NULLS FIRST, w);
CREATE INDEX types_c ON types USING :am (c);
CREATE INDEX types_b ON types USING :am (b, id DESC);
CREATE INDEX types_f ON types USING :am (f DESC, i);
CREATE INDEX types_p ON types USING :am (p, n);
CREATE INDEX types_pattern ON types USING :am (p bpchar_pattern_ops);
SELECT pg_index_column_has_property(x::regclass, 1, 'returnable') AS returnable, x
FROM unnest('{types_n,types_w,types_m,types_i,types_c,types_b,types_f,types_p,types_pattern}'::text[]) x;
SELECT alex_check(indexrelid, true) FROM pg_index WHERE indrelid = 'types'::regclass;
VACUUM ANALYZE types;

-- Every column in the order of its index, with what else is in it, by the index and by a sort.
SELECT t_differs('trim_scale(n) FROM types ORDER BY n', 'index');
SELECT t_differs('w, id FROM types ORDER BY w DESC, id');
SELECT t_differs('m FROM types ORDER BY m DESC');
SELECT t_differs('i, w FROM types ORDER BY i NULLS FIRST, w');
SELECT t_differs('c FROM types ORDER BY c');
SELECT t_differs('b, id FROM types ORDER BY b, id DESC');
SELECT t_differs('f, i FROM types ORDER BY f DESC, i');
SELECT t_differs('p FROM types ORDER BY p, n', 'index');
SELECT t_differs('count(*), min(w), max(w) FROM types WHERE w > 1000.005 AND w <= 20000');
SELECT t_differs('w FROM types WHERE w IN (''NaN'', -1, NULL, (SELECT w FROM types WHERE id = 5)) ORDER BY w DESC, id');
SELECT t_differs('count(*) FROM types WHERE n = 1.000', 'index');
SELECT t_differs('count(*) FROM types WHERE n > 1e999', 'index');
SELECT t_differs('i FROM types WHERE i <<= ''10.0.4.0/22'' ORDER BY i NULLS FIRST, w');
SELECT t_differs('count(*) FROM types WHERE i IS NULL AND w < 0');
SELECT t_differs('count(*) FROM types WHERE c BETWEEN ''fe80::/100'' AND ''fe80::100:0/112''');
SELECT t_differs('b FROM types WHERE b >= B''0101'' AND b < B''011'' ORDER BY b, id DESC');
SELECT t_differs('count(*) FROM types WHERE f = B''000000101'' AND i > ''10.0.0.0''');
SELECT t_differs('count(*) FROM types WHERE p = ''ab''', 'index');
SELECT t_differs('count(*) FROM types WHERE p >= ''3'' AND p < ''8  ''', 'index');
SELECT t_force('only');
EXPLAIN (COSTS OFF) SELECT w FROM types WHERE w = 5 ORDER BY w DESC;
EXPLAIN (COSTS OFF) SELECT i FROM types WHERE i <<= '10.0.4.0/22';
SELECT p || '|' FROM types WHERE p LIKE 'c4%' ORDER BY p USING ~<~;
SELECT t_unforce();

-- Unique is by value: of 1.5 and 1.50 there can be one.
CREATE TABLE one (n numeric, w numeric(8,3), i inet, p char(4) COLLATE "C");
CREATE UNIQUE INDEX one_n ON one USING :am (n);
CREATE UNIQUE INDEX one_p ON one USING :am (p, i);
INSERT INTO one VALUES (1.5, 1, '10.0.0.1', 'a'), (-0.0, 2, '10.0.0.1/24', 'a'), ('NaN', 3, '10.0.0.1', 'b');
INSERT INTO one VALUES (1.500);
INSERT INTO one VALUES (0.00);
INSERT INTO one VALUES ('NaN');
INSERT INTO one VALUES (9, 9, '10.0.0.1/32', 'a   ');
INSERT INTO one VALUES (1.50, 7) ON CONFLICT (n) DO UPDATE SET w = excluded.w RETURNING *;
CREATE TABLE two (n numeric, a int) ;
INSERT INTO two VALUES (1.50, 1), (1.5, 2);
CREATE UNIQUE INDEX ON two USING :am (n);

-- A typmod can change without the index being made anew. The scale of a number without one is not known, so nothing is returned then.
CREATE TABLE mod (k numeric(6,2));
INSERT INTO mod SELECT g / 4.0 FROM generate_series(-2000, 2000) g;
CREATE INDEX mod_k ON mod USING :am (k);
SELECT pg_relation_filenode('mod_k') AS before \gset
ALTER TABLE mod ALTER k TYPE numeric(14,2);
INSERT INTO mod VALUES (123456789012.34), (-99999999999.99);
SELECT pg_relation_filenode('mod_k') = :before AS same_file, pg_index_column_has_property('mod_k', 1, 'returnable') AS returnable;
ALTER TABLE mod ALTER k TYPE numeric;
INSERT INTO mod VALUES (0.123456), (1e40), (-0.1), (250.00000000000000001), (4611686018427387904), ('Infinity');
SELECT pg_relation_filenode('mod_k') = :before AS same_file, pg_index_column_has_property('mod_k', 1, 'returnable') AS returnable;
SELECT alex_check('mod_k', true);
VACUUM ANALYZE mod;
SELECT t_differs('k FROM mod ORDER BY k', 'index');
SELECT t_differs('k FROM mod WHERE k > 249.9 ORDER BY k', 'index');

-- What is too long.
CREATE TABLE long (b varbit, p char(3000) COLLATE "C");
CREATE INDEX long_b ON long USING :am (b);
INSERT INTO long (b) VALUES (repeat('10', 300)::varbit);
INSERT INTO long (b) VALUES (repeat('10', 50000)::varbit);
SELECT count(*) FROM long WHERE b > repeat('10', 50000)::varbit;

-- Converted, and as a primary key.
CREATE TABLE conv (k numeric(10,2) PRIMARY KEY, i inet UNIQUE, v int);
INSERT INTO conv SELECT g, '10.0.0.0'::inet + g, g FROM generate_series(1, 500) g;
CALL alex_convert('conv_pkey');
CALL alex_convert('conv_i_key');
INSERT INTO conv VALUES (7.00, '10.1.1.1', 0);
INSERT INTO conv VALUES (7.01, '10.0.0.7', 0);
SELECT alex_check('conv_pkey', true), alex_check('conv_i_key', true);
DROP TABLE types, one, two, mod, long, conv;
