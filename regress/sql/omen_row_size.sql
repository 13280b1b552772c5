-- The longest row: 8144 bytes with its header, 16 less than heap's, as each version ends in a link, and each page in a mark. Whatever writes it says so of a longer one.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;

-- What a statement says, and of how many rows.
CREATE FUNCTION rs_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE statement;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

-- A row with n letters in t has 36 + n bytes. Nothing is compressed or moved out.
SELECT format('CREATE TABLE %s (id int PRIMARY KEY, v int, t text) USING %s WITH (autovacuum_enabled = off)', t, am),
	format('ALTER TABLE %s ALTER t SET STORAGE plain', t),
	format('CREATE INDEX ON %s (v)', t)
FROM (VALUES ('rs_heap', 'heap'), ('rs_omen', 'omen')) v (t, am) \gexec
CREATE FUNCTION rs_letters(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT repeat('x', n - 36) $$;

-- inserted
SELECT rs_try('INSERT INTO rs_heap VALUES (1, 0, rs_letters(8161))');
SELECT size, rs_try(format(statement, size)) FROM (VALUES (8145), (8160), (8161), (20000)) s (size),
	(VALUES ('INSERT INTO rs_omen VALUES (1, 0, rs_letters(%s))'),
		('INSERT INTO rs_omen VALUES (1, 0, rs_letters(%s)) ON CONFLICT DO NOTHING'),
		('INSERT INTO rs_omen SELECT i, 0, rs_letters(CASE WHEN i = 1 THEN %s ELSE 100 END) FROM generate_series(1, 3) i')) v (statement);
CREATE TABLE rs_as USING omen AS SELECT 1 AS id, 0 AS v, rs_letters(100) AS t;
ALTER TABLE rs_as ALTER t SET STORAGE plain;
SELECT rs_try('INSERT INTO rs_as SELECT 1, 0, rs_letters(8144)'), rs_try('INSERT INTO rs_as SELECT 1, 0, rs_letters(8145)');
SELECT pg_relation_size('rs_omen') AS nothing_yet;
SELECT rs_try('INSERT INTO rs_omen VALUES (1, 0, rs_letters(8144))');
SELECT rs_try('INSERT INTO rs_omen VALUES (2, 0, rs_letters(8137)) ON CONFLICT DO NOTHING');

-- many at once
SELECT rs_try(format('COPY rs_omen FROM PROGRAM ''printf "3,0,x\n4,0,%%%ss\n5,0,x\n" x'' (FORMAT csv)', n - 36)) FROM generate_series(8145, 8144, -1) n;
SELECT count(*), min(length(t)), max(length(t)) FROM rs_omen;

-- updated: in place; moved by its index; a row as long as can be; from short to long
SELECT rs_try('UPDATE rs_omen SET t = rs_letters(8145) WHERE id = 1'), rs_try('UPDATE rs_omen SET t = rs_letters(8145) WHERE id = 3');
SELECT rs_try('UPDATE rs_omen SET v = v + 1, t = rs_letters(8145) WHERE id = 1'), rs_try('UPDATE rs_omen SET v = v + 1, t = rs_letters(8145) WHERE id = 3');
SELECT rs_try('INSERT INTO rs_omen VALUES (3) ON CONFLICT (id) DO UPDATE SET t = rs_letters(8145)');
SELECT rs_try('UPDATE rs_heap SET t = rs_letters(8161)'), rs_try('INSERT INTO rs_heap VALUES (1, 0, rs_letters(8152))'), rs_try('UPDATE rs_heap SET t = rs_letters(8161)');
SELECT id, v, length(t) FROM rs_omen ORDER BY id;
SELECT rs_try('UPDATE rs_omen SET t = rs_letters(8144) WHERE id IN (1, 3)'), rs_try('UPDATE rs_omen SET v = v + 1, t = rs_letters(8144) WHERE id IN (2, 3)');
SELECT rs_try('UPDATE rs_omen SET t = rs_letters(8143)'), rs_try('UPDATE rs_omen SET t = rs_letters(8144)');
SELECT id, v, length(t) FROM rs_omen ORDER BY id;
SELECT omen_check('rs_omen');

-- values of storage main, which are moved out from heap's limit on: between the limits a row is not saved by that
CREATE TABLE rs_main (t text) USING omen;
ALTER TABLE rs_main ALTER t SET STORAGE main;
SELECT size, rs_try(format('INSERT INTO rs_main SELECT left(string_agg(md5(i::text), ''''), %s - 28) FROM generate_series(1, 300) i', size))
FROM (VALUES (8144), (8145), (8160), (8161)) s (size);

-- rewritten: as long as they were; longer, by a column whose default no row has yet
VACUUM FULL rs_omen;
CLUSTER rs_omen USING rs_omen_pkey;
SELECT rs_try('ALTER TABLE rs_omen ADD g int8 DEFAULT random()'), rs_try('ALTER TABLE rs_heap ADD g int8 DEFAULT random(), ADD h int8 DEFAULT random()');
ALTER TABLE rs_omen ADD g int8 DEFAULT 7;
VACUUM FULL rs_omen;
CLUSTER rs_omen USING rs_omen_pkey;
CLUSTER rs_omen USING rs_omen_v_idx;
SELECT id, v, length(t), g FROM rs_omen ORDER BY id;
SELECT omen_check('rs_omen');
UPDATE rs_omen SET t = rs_letters(8136);
VACUUM FULL rs_omen;
SELECT id, v, length(t), g FROM rs_omen ORDER BY id;
ALTER TABLE rs_omen ALTER v TYPE int8;
SELECT omen_check('rs_omen');

-- of another access method
SELECT size, rs_try(format('UPDATE rs_heap SET t = rs_letters(%s)', size)), rs_try('ALTER TABLE rs_heap SET ACCESS METHOD omen'),
	(SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relname = 'rs_heap')
FROM (VALUES (8160), (8145), (8144)) s (size);
SELECT id, v, length(t) FROM rs_heap;
SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relname = 'rs_heap';
SELECT omen_check('rs_heap');

DROP TABLE rs_heap, rs_omen, rs_as, rs_main;
DROP FUNCTION rs_try, rs_letters;
