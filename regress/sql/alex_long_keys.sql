-- Keys of thousands of bytes, and what many of them have in common.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE long_keys (id int4, k text COLLATE "C", raw bytea);
CREATE UNIQUE INDEX long_keys_k ON long_keys USING :am (k);
-- 1,000 equal bytes and a few others; short ones; anything; pairs that differ in the last byte
INSERT INTO long_keys SELECT i, repeat('p', 1000) || i, decode(repeat('ab', 900) || lpad(to_hex(i), 8, '0'), 'hex') FROM generate_series(1, 1000) i;
INSERT INTO long_keys SELECT i, 'short' || i, decode(md5(i::text), 'hex') FROM generate_series(1001, 2000) i;
INSERT INTO long_keys SELECT i, left(repeat(md5(i::text), 60), i % 1200 + 40) || i, decode(left(repeat(md5(i::text), 80), i % 800 * 2 + 20), 'hex')
FROM generate_series(2001, 2600) i;
INSERT INTO long_keys SELECT i + 1000 * b, (SELECT string_agg(md5((i * 100 + j)::text), '') FROM generate_series(1, 38) j) || b,
	decode((SELECT string_agg(md5((i * 100 + j)::text), '') FROM generate_series(1, 50) j) || '0' || b, 'hex')
FROM generate_series(3001, 3150) i, generate_series(0, 1) b;
CREATE INDEX long_keys_raw ON long_keys USING :am (raw DESC, id);
VACUUM ANALYZE long_keys;
SELECT alex_check('long_keys_k', true), alex_check('long_keys_raw', true);
SELECT t_force('only');
EXPLAIN (COSTS OFF) SELECT k FROM long_keys WHERE k >= '';
CREATE TABLE long_seen AS SELECT k, row_number() OVER () r FROM long_keys WHERE k >= '';
SELECT t_unforce();
-- All of them, and in order.
SELECT count(*), count(DISTINCT long_keys.k) FROM long_keys JOIN long_seen USING (k);
SELECT count(*) FROM (SELECT k, lag(k) OVER (ORDER BY r) before FROM long_seen) s WHERE before >= k;
SELECT t_force('index');
SELECT count(*) FROM long_keys a WHERE EXISTS (SELECT FROM long_keys b WHERE b.k = a.k AND b.id = a.id);
SELECT count(*), min(id), max(id) FROM long_keys WHERE raw BETWEEN decode(repeat('ab', 900) || '00000064', 'hex') AND decode(repeat('ab', 900) || '000000c8', 'hex');
SELECT id FROM long_keys WHERE k LIKE repeat('p', 1000) || '77%' ORDER BY k DESC LIMIT 3;
SELECT t_unforce();
-- Unique, whatever they begin with.
INSERT INTO long_keys (k) VALUES (repeat('p', 1000) || 500);
INSERT INTO long_keys (k) VALUES (repeat('p', 1000) || 500 || 'x');
-- Too long: nothing is lost.
\set VERBOSITY sqlstate
INSERT INTO long_keys (k) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 250) i;
INSERT INTO long_keys (raw) SELECT decode(string_agg(md5(i::text), ''), 'hex') FROM generate_series(1, 120) i;
INSERT INTO long_keys (k) VALUES (repeat('x', 100000));
\set VERBOSITY default
SELECT alex_check('long_keys_k', true), alex_check('long_keys_raw', true);
-- Updates, removal of most, and room for others.
UPDATE long_keys SET k = k || 'y' WHERE id % 5 = 0;
DELETE FROM long_keys WHERE id % 7 <> 0;
VACUUM long_keys;
SELECT alex_check('long_keys_k', true), alex_check('long_keys_raw', true);
INSERT INTO long_keys SELECT i, repeat('p', 1000) || 'z' || i FROM generate_series(1, 300) i ORDER BY md5(i::text);
SELECT alex_check('long_keys_k', true), alex_check('long_keys_raw', true);
-- One by one, in any order.
CREATE TABLE long_one (LIKE long_keys INCLUDING INDEXES);
INSERT INTO long_one SELECT id, CASE WHEN k LIKE 'p%' THEN substr(k, 800) ELSE k END FROM long_keys ORDER BY md5(k);
SELECT alex_check('long_one_k_idx', true);
DELETE FROM long_one WHERE id % 3 <> 0;
VACUUM long_one;
INSERT INTO long_one SELECT id, CASE WHEN k LIKE 'p%' THEN substr(k, 800) ELSE k END FROM long_keys WHERE id % 3 = 1 ORDER BY k DESC;
SELECT alex_check('long_one_k_idx', true);
SELECT count(*) FROM long_one;
REINDEX TABLE long_keys;
SELECT alex_check('long_keys_k', true), alex_check('long_keys_raw', true);
SELECT count(*), sum(id) FROM long_keys;
SELECT t_force('index');
SELECT count(*), sum(id) FROM long_keys WHERE k >= '';
SELECT t_unforce();
DROP TABLE long_keys, long_seen, long_one;
