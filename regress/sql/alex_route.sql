--
-- A session's copies of the upper levels of alex indexes: made by statements one after the other, right whatever happens to the
-- index in between, and bounded by alex.route_memory.
--

SET enable_seqscan = off;
SET enable_bitmapscan = off;

-- Memory for copies, beyond what there is without any.
CREATE FUNCTION route_bytes() RETURNS int8 LANGUAGE sql AS
	$$ SELECT coalesce(sum(used_bytes), 0) FROM pg_backend_memory_contexts WHERE name = 'alex routes' $$;
CREATE FUNCTION has_routes() RETURNS bool LANGUAGE sql AS $$ SELECT route_bytes() > 10000 $$;

-- Statements that look up single keys: how many of them were found.
CREATE FUNCTION look_up(of_table regclass, first int8, last int8) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
	found_rows int8 := 0;
	n int8;
BEGIN
	FOR i IN first .. last LOOP
		EXECUTE format('SELECT count(*) FROM %s WHERE k = $1', of_table) INTO n USING i * 7919 % 100000;
		found_rows := found_rows + n;
	END LOOP;
	RETURN found_rows;
END
$$;

CREATE TABLE routed (k int8, v int8);
INSERT INTO routed SELECT (i * 7919) % 100000, i FROM generate_series(0, 99999) i;
CREATE UNIQUE INDEX routed_k ON routed USING alex (k) WITH (fillfactor = 10);
SELECT height, leaf_pages > 200 AS large FROM alex_stats('routed_k');

SHOW alex.route_memory;
SET alex.rout_memory = 1;

-- statements use what those before them made
SELECT has_routes();
SELECT look_up('routed', 1, 10);
SELECT has_routes();
SELECT look_up('routed', 11, 100);
SELECT has_routes();

-- ... and inserts, with the splits they make
INSERT INTO routed SELECT i, i FROM generate_series(100000, 130000) i;
DELETE FROM routed WHERE k % 3 = 0;
DO $$
BEGIN
	FOR i IN 1 .. 3000 LOOP
		INSERT INTO routed VALUES (-i * 37, i);
	END LOOP;
END
$$;
SELECT look_up('routed', 1, 1000), (SELECT count(*) FROM generate_series(1, 1000) i WHERE i * 7919 % 100000 % 3 <> 0);
VACUUM routed;
SELECT look_up('routed', 1, 1000);
SELECT alex_check('routed_k', true);

-- an insert that fails in between
DO $$
BEGIN
	FOR i IN 1 .. 40 LOOP
		BEGIN
			INSERT INTO routed VALUES (-37 * i, 0);
			RAISE 'inserted twice';
		EXCEPTION WHEN unique_violation THEN
			INSERT INTO routed VALUES (-37 * i - 1, i);
		END;
	END LOOP;
END
$$;
SELECT alex_check('routed_k', true);

-- the index gets another file, also in a transaction or subtransaction that is rolled back
SELECT look_up('routed', 1, 100);
REINDEX INDEX routed_k;
SELECT has_routes() AS none_looked_yet, look_up('routed', 1, 100);
BEGIN;
REINDEX INDEX routed_k;
SELECT look_up('routed', 1, 100);
SAVEPOINT s;
TRUNCATE routed;
SELECT look_up('routed', 1, 100);
INSERT INTO routed SELECT i * 7919 % 100000, i FROM generate_series(1, 50) i;
SELECT look_up('routed', 1, 100);
ROLLBACK TO s;
SELECT look_up('routed', 1, 100);
ROLLBACK;
SELECT look_up('routed', 1, 100);

-- it is truncated where it is: a table made in the same transaction
BEGIN;
CREATE TABLE fresh (k int8);
CREATE INDEX fresh_k ON fresh USING alex (k) WITH (fillfactor = 10);
INSERT INTO fresh SELECT i * 7919 % 100000 FROM generate_series(1, 30000) i;
SELECT look_up('fresh', 1, 100);
SELECT pg_relation_filenode('fresh_k') AS file \gset
TRUNCATE fresh;
SELECT pg_relation_filenode('fresh_k') = :file AS same_file;
SELECT look_up('fresh', 1, 100);
INSERT INTO fresh SELECT i * 7919 % 100000 FROM generate_series(1, 50) i;
SELECT look_up('fresh', 1, 100);
SELECT alex_check('fresh_k', true);
COMMIT;

-- ... and a temporary one, at every commit
CREATE TEMPORARY TABLE passing (k int8) ON COMMIT DELETE ROWS;
CREATE INDEX passing_k ON passing USING alex (k) WITH (fillfactor = 10);
BEGIN;
INSERT INTO passing SELECT i * 7919 % 100000 FROM generate_series(1, 30000) i;
SELECT look_up('passing', 1, 100);
COMMIT;
SELECT look_up('passing', 1, 100);
BEGIN;
INSERT INTO passing SELECT i * 7919 % 100000 FROM generate_series(1, 50) i;
SELECT look_up('passing', 1, 100);
ROLLBACK;
SELECT look_up('passing', 1, 100);
DROP TABLE passing;

-- several scans of one index at once, while it changes and gets another file
CREATE FUNCTION nested(with_changes bool) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
	one record;
	pairs int8 := 0;
BEGIN
	FOR one IN SELECT k FROM fresh ORDER BY k LOOP
		IF with_changes THEN
			INSERT INTO fresh SELECT one.k FROM generate_series(1, 40);
		END IF;
		pairs := pairs + (SELECT count(*) FROM routed a JOIN routed b ON b.k = a.k + 1 WHERE a.k BETWEEN one.k AND one.k + 100);
	END LOOP;
	RETURN pairs;
END
$$;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*) FROM fresh a JOIN fresh b USING (k) JOIN fresh c USING (k);
BEGIN;
DECLARE walk CURSOR FOR SELECT a.k FROM routed a JOIN routed b ON b.k = a.k WHERE a.k BETWEEN 0 AND 30 ORDER BY 1;
FETCH 10 FROM walk;
ANALYZE routed;
SELECT look_up('routed', 1, 100);
FETCH ALL FROM walk;
COMMIT;
SELECT nested(false) = nested(true) AS same;
SELECT alex_check('fresh_k', true);

-- the bound: for all indexes together; at once when it is lowered
CREATE TABLE routed2 AS SELECT * FROM routed;
CREATE INDEX routed2_k ON routed2 USING alex (k) WITH (fillfactor = 10);
SELECT look_up('routed', 1, 100);
SELECT has_routes();
SET alex.route_memory = 0;
SELECT look_up('routed', 1, 100);
SELECT has_routes();
SELECT look_up('routed2', 1, 2000);
SELECT has_routes();
SET alex.route_memory = '24kB';
SELECT look_up('routed', 1, 100) = look_up('routed2', 1, 100) AS same;
SELECT has_routes();
SELECT route_bytes() < 24 * 1024 + 10000 AS bounded;
RESET alex.route_memory;
SELECT look_up('routed', 1, 100) = look_up('routed2', 1, 100) AS same;

-- what was dropped takes no memory from the next lookup on
SELECT has_routes();
DROP TABLE routed, routed2;
SELECT look_up('fresh', 1, 1);
SELECT has_routes();

DROP TABLE fresh;
DROP FUNCTION nested(bool);
DROP FUNCTION look_up(regclass, int8, int8);
DROP FUNCTION has_routes();
DROP FUNCTION route_bytes();
