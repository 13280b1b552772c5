-- Text in the order of collations of ICU; nothing to see in a server without it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
SELECT count(*) = 0 AS no_icu FROM pg_collation WHERE collname = 'sv-x-icu' AND collprovider = 'i' \gset
\if :no_icu
\quit
\endif

CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
-- strings with equal sort keys that are not equal
CREATE COLLATION shifted (provider = icu, locale = 'und-u-ka-shifted', deterministic = false);
CREATE TABLE co_shifted (s text COLLATE shifted);
CREATE INDEX ON co_shifted USING alex (s);
CREATE TABLE words (id int8, en text COLLATE "en-x-icu", sv text COLLATE "sv-x-icu", nd text COLLATE nocase, v varchar(80) COLLATE "de-x-icu");
INSERT INTO words SELECT g, w, w, w, w FROM (SELECT g, (ARRAY['', 'a', 'A', 'ä', 'Ä', 'ae', 'z', 'Z', 'å', 'ö', 'ß', 'ss', '-', '_', 'a-b', 'ab', 'a b', '€', '😀', '10', '9', 'Ａ', 'é'])[1 + hashint8(g) & 15]
	|| (ARRAY['', 'x', 'X', '-', ' ', 'ä', 'Å', 'n', '.', '@example.com'])[1 + abs(hashint8(g + 7)) % 10]
	|| CASE WHEN g % 3 = 0 THEN g::text ELSE repeat('e', g % 5) END AS w FROM generate_series(1, 3000) g) AS x;
UPDATE words SET en = NULL, nd = NULL WHERE id % 100 = 3;
CREATE INDEX words_en ON words USING :am (en, id);
CREATE INDEX words_sv ON words USING :am (sv DESC, id);
CREATE INDEX words_nd ON words USING :am (nd NULLS FIRST, id);
CREATE INDEX words_v ON words USING :am (v, sv, id) INCLUDE (nd);
SELECT alex_check(indexrelid, true) FROM pg_index WHERE indrelid = 'words'::regclass;
SELECT pg_index_column_has_property(x::regclass, 1, 'returnable') AS returnable, x FROM unnest('{words_en,words_sv,words_nd,words_v}'::text[]) x;
VACUUM ANALYZE words;
SELECT t_differs('en, id FROM words ORDER BY en, id');
SELECT t_differs('en, id FROM words ORDER BY en DESC, id DESC');
SELECT t_differs('sv, id FROM words ORDER BY sv DESC, id');
SELECT t_differs('nd, id FROM words ORDER BY nd NULLS FIRST, id', 'index');
SELECT t_differs('v, sv, id, nd FROM words ORDER BY v, sv, id');
SELECT t_differs('en, id FROM words WHERE en >= ''aE'' AND en < ''ß'' ORDER BY en, id');
SELECT t_differs('sv, id FROM words WHERE sv >= ''z'' AND sv <= ''ö'' ORDER BY sv DESC, id');
SELECT t_differs('id FROM words WHERE en IN (''a'', ''Ä'', ''ß'', '''', NULL) ORDER BY en, id');
SELECT t_differs('id FROM words WHERE nd = ''AX'' ORDER BY nd, id', 'index');
SELECT t_differs('id FROM words WHERE nd > ''ÄX'' ORDER BY nd NULLS FIRST, id', 'index');
SELECT t_differs('count(*), min(en), max(en) FROM words WHERE en > ''b''');
SELECT sum((w.n <> i.n)::int) AS wrong FROM (SELECT DISTINCT en AS k FROM words) AS k, LATERAL (SELECT count(*) AS n FROM words WHERE en = k) AS i,
	LATERAL (SELECT count(*) AS n FROM words WHERE convert_to(en, 'UTF8') = convert_to(k, 'UTF8')) AS w;
SELECT t_force('only');
EXPLAIN (COSTS OFF) SELECT en FROM words WHERE en > 'z' ORDER BY en;
EXPLAIN (COSTS OFF) SELECT en FROM words WHERE en > 'z' COLLATE "C";
SELECT t_unforce();

-- One of all that are equal, to the collation that is asked for.
SET enable_seqscan = off;
SET random_page_cost = 0;
SET seq_page_cost = 0;
SET cpu_operator_cost = 0;
EXPLAIN (COSTS OFF) SELECT DISTINCT nd FROM words;
SELECT (SELECT count(*) FROM (SELECT DISTINCT nd FROM words) AS x) = count(*) AS same, count(*) < 2900 AS fewer FROM (SELECT DISTINCT nd FROM (SELECT nd FROM words OFFSET 0) AS w) AS x;
EXPLAIN (COSTS OFF) SELECT DISTINCT en FROM words;
EXPLAIN (COSTS OFF) SELECT DISTINCT en COLLATE nocase AS nc FROM words;
RESET enable_seqscan;
RESET random_page_cost;
RESET seq_page_cost;
RESET cpu_operator_cost;

-- Equal is what the collation says.
CREATE TABLE keys (en text COLLATE "en-x-icu", nd text COLLATE nocase);
CREATE UNIQUE INDEX keys_en ON keys USING :am (en);
CREATE UNIQUE INDEX keys_nd ON keys USING :am (nd);
INSERT INTO keys VALUES ('a', 'a'), ('A', 'b'), ('ä', 'ä');
INSERT INTO keys VALUES ('a', 'c');
INSERT INTO keys VALUES ('b', 'A');
INSERT INTO keys VALUES ('b', 'B') ON CONFLICT (nd) DO UPDATE SET en = 'changed' RETURNING *;
CREATE TABLE twice (nd text COLLATE nocase);
INSERT INTO twice VALUES ('x'), ('X');
CREATE UNIQUE INDEX ON twice USING :am (nd);
INSERT INTO keys VALUES (repeat('ä', 3000), NULL);
-- equal strings would not be found
CREATE INDEX ON keys USING :am (nd text_pattern_ops);
CREATE TABLE conv (k text COLLATE "de-x-icu" PRIMARY KEY);
INSERT INTO conv SELECT 'k' || g FROM generate_series(1, 300) g;
CALL alex_convert('conv_pkey');
SELECT alex_check('conv_pkey', true);
DROP TABLE words, keys, twice, conv;
