-- Strings as keys: what is more than order, which alex_types and alex_columns compare.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE strings (id int4, email text COLLATE "C", n name, code varchar(40) COLLATE "C", raw bytea);
INSERT INTO strings SELECT i, 'user' || i || '@example.com', 'n' || i % 50, CASE WHEN i % 10 > 0 THEN 'c' || i % 7 END, decode(md5(i::text), 'hex')
FROM generate_series(1, 2000) i;
CREATE UNIQUE INDEX strings_email ON strings USING :am (email);
CREATE INDEX strings_code ON strings USING :am (code DESC, n, id);
CREATE INDEX strings_raw ON strings USING :am (raw);
VACUUM ANALYZE strings;

-- Beginnings of strings are ranges, for LIKE and regular expressions.
SELECT t_force('only');
EXPLAIN (COSTS OFF) SELECT email FROM strings WHERE email LIKE 'user199%';
SELECT count(*), min(email), max(email) FROM strings WHERE email LIKE 'user199%';
SELECT count(*), min(email), max(email) FROM strings WHERE email ~ '^user199[0-4]@';
SELECT count(*) FROM strings WHERE code = 'c3' AND n >= 'n4' AND n < 'n5';
SELECT count(*) FROM strings WHERE code IS NULL AND n = 'n10'::text;
SELECT id, code FROM strings WHERE n = 'n7' AND id < 300 ORDER BY code DESC, n, id;
SELECT count(*) FROM strings WHERE raw > '\x80' AND raw < '\x81';
SELECT t_unforce();

-- Uniqueness, by values of any form: short, compressed, out of line.
INSERT INTO strings (email) VALUES ('user7@example.com');
INSERT INTO strings (id, email) VALUES (-7, 'user7@example.com') ON CONFLICT (email) DO UPDATE SET id = excluded.id;
SELECT id FROM strings WHERE email = 'user7@example.com';
INSERT INTO strings (email) VALUES (repeat('ab', 100)), ('');
INSERT INTO strings (email) VALUES (repeat('ab', 100));
INSERT INTO strings (email) VALUES ('');
CREATE TABLE strings_child (email text COLLATE "C" REFERENCES strings (email) ON UPDATE CASCADE);
INSERT INTO strings_child VALUES ('user8@example.com');
INSERT INTO strings_child VALUES ('nobody');
UPDATE strings SET email = 'other' WHERE email = 'user8@example.com';
SELECT * FROM strings_child;
CREATE TABLE strings_excluded (t text COLLATE "C", EXCLUDE USING :am (t WITH =));
INSERT INTO strings_excluded VALUES ('a'), ('b');
INSERT INTO strings_excluded VALUES ('a');

-- Too long: nothing is lost, and the error is that of a limit.
SELECT t_refused(format('INSERT INTO strings (email) VALUES (%L)', repeat('xyz', 100000)), '54000') AS "1 MB";
SELECT t_refused($$INSERT INTO strings (email) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) i$$, '54000') AS "out of line";
SELECT t_force('index');
SELECT count(*) FROM strings WHERE email = repeat('xyz', 100000) OR email > repeat('xyz', 100000);
SELECT count(*) FROM strings WHERE email < (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) i);
SELECT t_unforce();

-- What an index took it takes when it is built again, too: where the codes it would choose make a row too long, it has the usual ones.
CREATE TABLE strings_rare (t text COLLATE "C");
CREATE INDEX strings_rare_t ON strings_rare USING :am (t);
INSERT INTO strings_rare SELECT md5(i::text) FROM generate_series(1, 20000) i;
ANALYZE strings_rare;
CREATE INDEX strings_rare_own ON strings_rare USING :am (t);
SELECT pg_relation_size('strings_rare_own') AS own_codes \gset
DROP INDEX strings_rare_own;
-- in these 700 times 15 bits, which is more than 133 words
INSERT INTO strings_rare VALUES (repeat('z', 700));
REINDEX INDEX strings_rare_t;
SELECT alex_check('strings_rare_t', true);
SELECT pg_relation_size('strings_rare_t') - 8192 > :own_codes AS usual_codes;
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 2;
SET parallel_leader_participation = off;
REINDEX INDEX strings_rare_t;
RESET min_parallel_table_scan_size;
RESET max_parallel_maintenance_workers;
RESET parallel_leader_participation;
SELECT alex_check('strings_rare_t', true);
SELECT pg_relation_size('strings_rare_t') - 8192 > :own_codes AS usual_codes;
-- The rows have been read twice, and count once (18 leaves the number as it was where autovacuum is off).
SELECT reltuples IN (20000, 20001) AS once FROM pg_class WHERE relname = 'strings_rare';
DROP TABLE strings_rare;

-- Codes made for what is there and the usual ones give the same answers.
DELETE FROM strings WHERE id % 3 = 0;
REINDEX TABLE strings;
TRUNCATE strings_child;
SELECT alex_check('strings_email', true), alex_check('strings_code', true), alex_check('strings_raw', true);
BEGIN;
TRUNCATE strings, strings_child;
INSERT INTO strings SELECT i, repeat(chr(64 + i % 64), i % 30) || i, NULL, NULL, NULL FROM generate_series(1, 500) i;
COMMIT;
SELECT alex_check('strings_email', true), count(*), count(DISTINCT email) FROM strings;
DROP TABLE strings, strings_child, strings_excluded;
