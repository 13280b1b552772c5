-- VACUUM takes entries out of leaves in place; what it took out is gone for everything that reads them.
\set VERBOSITY terse
CREATE SCHEMA alex_vacuum;
SET search_path = alex_vacuum, public;

CREATE FUNCTION removed(index regclass) RETURNS int8 LANGUAGE sql SET search_path = alex_vacuum, public AS
$$ SELECT sum(removed_count) FROM generate_series(1, pg_relation_size(index) / current_setting('block_size')::int - 1) b, alex_page(index, b) $$;

-- The same with nbtree and with alex: every row, ranges in both directions, single keys.
CREATE FUNCTION same(what text) RETURNS text LANGUAGE plpgsql SET search_path = alex_vacuum, public AS $$
DECLARE
	query text;
	kind text;
	answers text[];
	answer text;
	low int8;
BEGIN
	FOR low IN SELECT i * 7919 % 30000 FROM generate_series(1, 40) i UNION ALL SELECT -1 LOOP
		FOREACH query IN ARRAY ARRAY[
			'SELECT array_agg((k, id) ORDER BY k, id) FROM %I WHERE k >= %L',
			'SELECT array_agg((k, id) ORDER BY k, id) FROM %I WHERE k = %L',
			'SELECT array_agg(k) FROM (SELECT k FROM %I WHERE k >= %L ORDER BY k LIMIT 300) s',
			'SELECT array_agg(k) FROM (SELECT k FROM %I WHERE k <= %L ORDER BY k DESC LIMIT 300) s',
			'SELECT max(k) FROM %I WHERE k < %L'] LOOP
			answers := '{}';
			FOREACH kind IN ARRAY ARRAY['btree_', 'alex_'] LOOP
				EXECUTE format(query, kind || what, low) INTO answer;
				answers := answers || coalesce(md5(answer), '');
			END LOOP;
			IF answers[1] <> answers[2] THEN
				RETURN format('%s: %s differs for %s', what, query, low);
			END IF;
		END LOOP;
	END LOOP;
	RETURN 'same';
END $$;

-- Keys on a line, in random order, and with duplicates; some in the delta.
CREATE TABLE kinds (what text, expression text);
INSERT INTO kinds VALUES ('serial', 'i'), ('random', 'hashint4(i) & 32767'), ('equal', 'i / 50');
DO $$
DECLARE kind text; w text; e text;
BEGIN
	FOR w, e IN SELECT * FROM kinds LOOP
		FOREACH kind IN ARRAY ARRAY['btree', 'alex'] LOOP
			EXECUTE format('CREATE TABLE %1$s_%2$s (id int8, k int8) WITH (autovacuum_enabled = off)', kind, w);
			EXECUTE format('INSERT INTO %1$s_%2$s SELECT i, %3$s FROM generate_series(1, 20000) i', kind, w, e);
			EXECUTE format('CREATE INDEX %1$s_%2$s_k ON %1$s_%2$s USING %1$s (k)', kind, w);
			EXECUTE format('INSERT INTO %1$s_%2$s SELECT i, %3$s FROM generate_series(20001, 24000) i', kind, w, e);
		END LOOP;
	END LOOP;
END $$;
SET enable_seqscan = off;

-- Few are listed, later more have bits. VACUUM cannot run in a function, so each step is written out.
SELECT format('DELETE FROM %s_%s WHERE hashint8(id) %% 100 = 1', kind, what) FROM kinds, unnest('{btree,alex}'::text[]) kind \gexec
VACUUM btree_serial, alex_serial, btree_random, alex_random, btree_equal, alex_equal;
SELECT what, removed('alex_' || what || '_k') > 0 AS in_place,
	(SELECT entries FROM alex_stats(('alex_' || what || '_k')::regclass)) = (SELECT count(*) FROM btree_serial) AS entries,
	same(what), alex_check(('alex_' || what || '_k')::regclass, true) FROM kinds;
SELECT format('DELETE FROM %s_%s WHERE hashint8(id) %% 10 = 0', kind, what) FROM kinds, unnest('{btree,alex}'::text[]) kind \gexec
VACUUM btree_serial, alex_serial, btree_random, alex_random, btree_equal, alex_equal;
SELECT what, removed('alex_' || what || '_k') > 0 AS in_place,
	(SELECT entries FROM alex_stats(('alex_' || what || '_k')::regclass)) = (SELECT count(*) FROM btree_serial) AS entries,
	same(what), alex_check(('alex_' || what || '_k')::regclass, true) FROM kinds;

-- Row pointers are used again, by the same keys and others.
SELECT format('INSERT INTO %s_%s SELECT i, %s FROM generate_series(1, 24000) i WHERE hashint8(i) %% 10 = 0 AND i %% 2 = 0', kind, what, expression)
	FROM kinds, unnest('{btree,alex}'::text[]) kind \gexec
SELECT what, same(what), alex_check(('alex_' || what || '_k')::regclass, true) FROM kinds;

-- Most of what is left: leaves are rewritten, and nothing of what was removed is kept.
SELECT format('DELETE FROM %s_%s WHERE hashint8(id) %% 10 NOT IN (0, 7)', kind, what) FROM kinds, unnest('{btree,alex}'::text[]) kind \gexec
VACUUM btree_serial, alex_serial, btree_random, alex_random, btree_equal, alex_equal;
SELECT what, removed('alex_' || what || '_k'), same(what), alex_check(('alex_' || what || '_k')::regclass, true) FROM kinds;

-- All of it: leaves are deleted.
DELETE FROM alex_serial;
DELETE FROM alex_random;
DELETE FROM alex_equal;
VACUUM alex_serial, alex_random, alex_equal;
SELECT what, entries, deleted_pages > 0 AS deleted, alex_check(('alex_' || what || '_k')::regclass, true)
	FROM kinds, alex_stats(('alex_' || what || '_k')::regclass);

-- Leaves with more than ten thousand entries have no room for as many bits, but for a list of some.
CREATE TABLE many (k int8, x text) WITH (autovacuum_enabled = off);
INSERT INTO many SELECT i, repeat('x', (hashint4(i) & 63)) FROM generate_series(1, 60000) i;
CREATE INDEX many_k ON many USING alex (k);
SELECT pg_relation_size('many_k') AS before \gset
SELECT entries / leaf_pages > 10000 AS large_leaves FROM alex_stats('many_k');
DELETE FROM many WHERE hashint8(k) % 500 = 0;
VACUUM many;
SELECT removed('many_k') = 60000 - count(*) AS in_place, pg_relation_size('many_k') = :before AS no_split, alex_check('many_k', true) FROM many;
SELECT count(*) FROM many WHERE k > 0 AND hashint8(k) % 500 = 0;

-- Unique: a key that was removed is free, one that was not is taken.
CREATE TABLE u (k int8, x int) WITH (autovacuum_enabled = off);
INSERT INTO u SELECT i, 1 FROM generate_series(1, 5000) i;
CREATE UNIQUE INDEX u_k ON u USING alex (k);
DELETE FROM u WHERE k % 5 = 0;
VACUUM u;
SELECT removed('u_k');
INSERT INTO u SELECT i, 2 FROM generate_series(5, 5000, 5) i;
INSERT INTO u VALUES (5, 3);
INSERT INTO u VALUES (6, 3);
SELECT count(*), sum(x), alex_check('u_k', true) FROM u;
SELECT k, x FROM u WHERE k BETWEEN 9 AND 11 ORDER BY k;

-- NULLs, and keys of several words
CREATE TABLE n (k uuid) WITH (autovacuum_enabled = off);
INSERT INTO n SELECT CASE WHEN i % 3 > 0 THEN md5(i::text)::uuid END FROM generate_series(1, 6000) i;
CREATE INDEX n_k ON n USING alex (k);
DELETE FROM n WHERE (ctid::text::point)[1]::int % 4 = 0;
VACUUM n;
SELECT removed('n_k') > 0 AS in_place, alex_check('n_k', true);
SELECT count(*) FROM n WHERE k IS NULL;
SELECT count(*) FROM n WHERE k > '80000000-0000-0000-0000-000000000000';
SET enable_seqscan = on;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM n WHERE k IS NULL;
SELECT count(*) FROM n WHERE k > '80000000-0000-0000-0000-000000000000';

SET client_min_messages = warning;
DROP SCHEMA alex_vacuum CASCADE;
