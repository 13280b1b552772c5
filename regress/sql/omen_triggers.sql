-- Row triggers read the rows of their events by TID, some long after the statement. Whole transactions run on heap tables in one schema and on
-- omen tables in another; only what differs is printed, and how much the triggers wrote down.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
CREATE SCHEMA tg_heap;
CREATE SCHEMA tg_omen;

-- ---- helpers

\set heap 'SET search_path = tg_heap, public; SET default_table_access_method = heap;'
\set omen 'SET search_path = tg_omen, public; SET default_table_access_method = omen;'

-- All tables of both sides, the log among them; then the log is emptied. What the triggers saw is in the order in which they fired.
CREATE FUNCTION public.tg_compare() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	name text;
	a text;
	b text;
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'tg_heap'::regnamespace AND relkind = 'r' AND relname <> 'log' ORDER BY 1 LOOP
		EXECUTE format('SELECT string_agg(x::text, E''\n'' ORDER BY x::text) FROM tg_heap.%I x', name) INTO a;
		EXECUTE format('SELECT string_agg(x::text, E''\n'' ORDER BY x::text) FROM tg_omen.%I x', name) INTO b;
		IF a IS DISTINCT FROM b THEN
			RETURN NEXT format(E'%s\nheap: %s\nomen: %s', name, left(a, 500), left(b, 500));
		END IF;
		EXECUTE format('SELECT omen_check(%L)', 'tg_omen.' || name);
	END LOOP;
	SELECT string_agg(what, E'\n' ORDER BY n) FROM tg_heap.log INTO a;
	SELECT string_agg(what, E'\n' ORDER BY n) FROM tg_omen.log INTO b;
	IF a IS DISTINCT FROM b THEN
		RETURN NEXT format(E'log\nheap: %s\nomen: %s', left(a, 1500), left(b, 1500));
	ELSE
		RETURN NEXT format('%s lines', (SELECT count(*) FROM tg_heap.log));
	END IF;
	TRUNCATE tg_heap.log, tg_omen.log;
END $$;

\set script 'CREATE TABLE log (n int GENERATED ALWAYS AS IDENTITY, what text) USING heap; CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN INSERT INTO log (what) VALUES (concat_ws('' '', TG_NAME, TG_OP, CASE WHEN TG_OP <> ''INSERT'' THEN OLD::text END, CASE WHEN TG_OP <> ''DELETE'' THEN NEW::text END)); RETURN NULL; END $$;'
:heap :script
:omen :script

-- ---- a deferred trigger sees the row as it was inserted

\set script 'CREATE TABLE d (k int PRIMARY KEY, v int, w text); CREATE CONSTRAINT TRIGGER late AFTER INSERT ON d DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.v < 10) EXECUTE FUNCTION note();'
:heap :script
:omen :script
\set script 'BEGIN; INSERT INTO d VALUES (1, 1); UPDATE d SET v = 20; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- several updates, a new key, a deletion
\set script 'BEGIN; INSERT INTO d VALUES (2, 2), (3, 3), (4, 4), (5, 50); UPDATE d SET v = v + 1 WHERE k IN (2, 5); UPDATE d SET v = v + 1 WHERE k = 2; UPDATE d SET k = 30 WHERE k = 3; UPDATE d SET v = v + 1 WHERE k = 30; UPDATE d SET v = 9 WHERE k = 4; DELETE FROM d WHERE k = 4; UPDATE d SET v = 9 WHERE k = 1; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- rows of the same key, one after the other
\set script 'BEGIN; INSERT INTO d VALUES (6, 6); UPDATE d SET v = 7 WHERE k = 6; DELETE FROM d WHERE k = 6; INSERT INTO d VALUES (6, 8); UPDATE d SET v = 9 WHERE k = 6; SET CONSTRAINTS ALL IMMEDIATE; UPDATE d SET v = 1 WHERE k = 6; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- savepoints
\set script 'BEGIN; INSERT INTO d VALUES (7, 1); SAVEPOINT a; UPDATE d SET v = 2 WHERE k = 7; INSERT INTO d VALUES (8, 1); UPDATE d SET v = 2 WHERE k = 8; ROLLBACK TO a; SAVEPOINT b; INSERT INTO d VALUES (8, 3); RELEASE b; SAVEPOINT c; UPDATE d SET v = v + 2 WHERE k IN (7, 8); UPDATE d SET v = v + 2 WHERE k = 8; RELEASE c; SAVEPOINT e; UPDATE d SET v = 99 WHERE k = 8; ROLLBACK TO e; UPDATE d SET w = ''w'' WHERE k = 7; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- a statement that fails, and one that is done again
\set script 'BEGIN; INSERT INTO d VALUES (9, 1); DO $$ BEGIN UPDATE d SET v = 2 WHERE k = 9; UPDATE d SET v = 1 / 0 WHERE k = 9; EXCEPTION WHEN division_by_zero THEN UPDATE d SET v = 3 WHERE k = 9; END $$; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- the isolation levels
\set script 'BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO d VALUES (10, 1); UPDATE d SET v = 20 WHERE k = 10; UPDATE d SET v = 21 WHERE k = 2; COMMIT; BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO d VALUES (11, 1); UPDATE d SET v = 20 WHERE k = 11; UPDATE d SET v = 22 WHERE k = 11; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- COPY, upsert, MERGE, CTEs, a cursor
\set script 'BEGIN; COPY d FROM PROGRAM ''seq -f "%g,1,c" 100 160'' (FORMAT csv); UPDATE d SET v = k WHERE k >= 100 AND k % 2 = 0; UPDATE d SET w = repeat(w, 40) WHERE k >= 100; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
\set script 'BEGIN; INSERT INTO d VALUES (12, 1), (1, 1) ON CONFLICT (k) DO UPDATE SET v = d.v + 100; INSERT INTO d VALUES (12, 2), (13, 3) ON CONFLICT (k) DO UPDATE SET v = excluded.v + 100; INSERT INTO d VALUES (12, 2), (13, 3) ON CONFLICT (k) DO UPDATE SET v = d.v + 1; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
\set script 'BEGIN; MERGE INTO d USING generate_series(13, 16) i ON k = i WHEN MATCHED THEN UPDATE SET v = 5 WHEN NOT MATCHED THEN INSERT VALUES (i, 5, ''m''); MERGE INTO d USING generate_series(13, 17) i ON k = i WHEN MATCHED AND i = 14 THEN DELETE WHEN MATCHED THEN UPDATE SET v = v + 1 WHEN NOT MATCHED THEN INSERT VALUES (i, 6); COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
\set script 'BEGIN; WITH x AS (INSERT INTO d VALUES (18, 1), (19, 2) RETURNING *) UPDATE d SET v = x.v FROM x WHERE d.k = 1; DECLARE c CURSOR FOR SELECT * FROM d WHERE k >= 18 AND k < 100 ORDER BY k FOR UPDATE; FETCH c; UPDATE d SET v = 8 WHERE CURRENT OF c; UPDATE d SET v = 9 WHERE CURRENT OF c; FETCH c; DELETE FROM d WHERE CURRENT OF c; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- rows of plpgsql: locked, changed, looked at again; a held cursor
\set script 'BEGIN; INSERT INTO d VALUES (20, 1), (21, 1); DECLARE h CURSOR WITH HOLD FOR SELECT * FROM d WHERE k IN (20, 21) ORDER BY k; DO $$ DECLARE r d; BEGIN FOR r IN SELECT * FROM d WHERE k IN (20, 21) ORDER BY k FOR UPDATE LOOP UPDATE d SET v = r.v + 1 WHERE k = r.k; UPDATE d SET v = v + 1 WHERE k = r.k; END LOOP; END $$; COMMIT; FETCH ALL h; CLOSE h;'
:heap :script
:omen :script
SELECT tg_compare();
-- values out of line
\set script 'ALTER TABLE d ALTER w SET STORAGE EXTERNAL; BEGIN; INSERT INTO d VALUES (22, 1, repeat(''x'', 9000)); UPDATE d SET v = 2, w = repeat(''y'', 8000) WHERE k = 22; UPDATE d SET w = ''short'' WHERE k = 22; COMMIT; UPDATE log SET what = md5(what);'
:heap :script
:omen :script
SELECT tg_compare();
-- many rows, in pages that are full
\set script 'BEGIN; INSERT INTO d SELECT i, i % 10, repeat(''f'', 100) FROM generate_series(1000, 1999) i; UPDATE d SET v = 11 WHERE k >= 1000; UPDATE d SET v = 12 WHERE k >= 1000 AND k % 3 = 0; DELETE FROM d WHERE k >= 1000 AND k % 5 = 0; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- frozen when it is inserted
\set script 'BEGIN; CREATE TABLE fr (k int, v int); CREATE CONSTRAINT TRIGGER late AFTER INSERT ON fr DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note(); COPY fr FROM PROGRAM ''seq -f "%g,1" 1 3'' (FORMAT csv, FREEZE); UPDATE fr SET v = 2; UPDATE fr SET v = 3 WHERE k = 2; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();

-- ---- triggers behind others, and behind functions of the same statement

\set script 'CREATE TABLE b (k int PRIMARY KEY, v int); CREATE FUNCTION raise_it() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN UPDATE b SET v = v + 100 WHERE k = NEW.k; RETURN NULL; END $$; CREATE FUNCTION raised(int) RETURNS int LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN UPDATE b SET v = v + 1000 WHERE k <= $1; RETURN $1; END $$; CREATE TRIGGER a AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION raise_it(); CREATE TRIGGER b AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION note(); CREATE TRIGGER c AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION raise_it(); CREATE TRIGGER d AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION note();'
:heap :script
:omen :script
\set script 'INSERT INTO b VALUES (1, 1); INSERT INTO b VALUES (2, 2), (3, 3) RETURNING *; INSERT INTO b SELECT i, raised(i - 1) FROM generate_series(4, 7) i; INSERT INTO b VALUES (8, 8), (9, 9) RETURNING k, raised(k); INSERT INTO b VALUES (8, 8), (10, 10) ON CONFLICT (k) DO UPDATE SET v = raised(9); WITH x AS (INSERT INTO b VALUES (11, 11) RETURNING k) SELECT raised(k) FROM x;'
:heap :script
:omen :script
SELECT tg_compare();
\set script 'BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO b VALUES (21, 1), (22, 2) RETURNING raised(k); UPDATE b SET v = 0 WHERE k = 21; COPY b FROM PROGRAM ''seq -f "%g,1" 30 35'' (FORMAT csv); COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- a trigger that deletes the row, one that inserts it again
\set script 'CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN UPDATE b SET v = -1 WHERE k = NEW.k; DELETE FROM b WHERE k = NEW.k; IF NEW.v = 1 THEN INSERT INTO b VALUES (NEW.k, 2); END IF; RETURN NULL; END $$; CREATE TRIGGER a0 AFTER INSERT ON b FOR EACH ROW EXECUTE FUNCTION gone(); CREATE TRIGGER e AFTER DELETE ON b FOR EACH ROW EXECUTE FUNCTION note(); INSERT INTO b VALUES (40, 1); INSERT INTO b VALUES (41, 3), (42, 1);'
:heap :script
:omen :script
SELECT tg_compare();

-- ---- triggers for all events, deferred, and those of transition tables

\set script 'CREATE TABLE a (k int PRIMARY KEY, v int, w int); CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note(); CREATE TRIGGER now AFTER INSERT OR UPDATE OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION note();'
:heap :script
:omen :script
\set script 'INSERT INTO a SELECT i, 0, 0 FROM generate_series(1, 5) i; BEGIN; INSERT INTO a VALUES (6, 1, 1), (7, 1, 1); UPDATE a SET v = v + 1 WHERE k IN (1, 6); UPDATE a SET w = w + 1 WHERE k IN (1, 6); UPDATE a SET w = w + 1 WHERE k = 7; DELETE FROM a WHERE k IN (6, 2); SAVEPOINT s; UPDATE a SET v = 77 WHERE k IN (3, 7); ROLLBACK TO s; UPDATE a SET v = 78 WHERE k IN (3, 7); INSERT INTO a VALUES (6, 2, 2), (1, 5, 5) ON CONFLICT (k) DO UPDATE SET v = excluded.v; UPDATE a SET k = k + 10 WHERE k = 4; UPDATE a SET v = 4 WHERE k = 14; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- triggers that come, and are switched off and on, in the middle of a transaction
\set script 'BEGIN; INSERT INTO a VALUES (20, 1, 1); UPDATE a SET v = 2 WHERE k = 20; SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE a DISABLE TRIGGER ALL; INSERT INTO a VALUES (21, 1, 1); UPDATE a SET v = 3 WHERE k IN (20, 21); UPDATE a SET v = 4 WHERE k IN (20, 21); ALTER TABLE a ENABLE TRIGGER late; UPDATE a SET v = 5 WHERE k IN (20, 21); SET CONSTRAINTS ALL DEFERRED; UPDATE a SET v = 6 WHERE k IN (20, 21); UPDATE a SET v = 7 WHERE k IN (20, 21); SET LOCAL session_replication_role = replica; UPDATE a SET v = 8 WHERE k IN (20, 21); COMMIT; ALTER TABLE a ENABLE TRIGGER ALL;'
:heap :script
:omen :script
SELECT tg_compare();
\set script 'DROP TRIGGER now ON a; DROP TRIGGER late ON a; BEGIN; INSERT INTO a VALUES (30, 1, 1); UPDATE a SET v = 2 WHERE k IN (30, 20); CREATE CONSTRAINT TRIGGER later AFTER INSERT OR DELETE ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note(); UPDATE a SET v = 3 WHERE k IN (30, 20); INSERT INTO a VALUES (31, 1, 1); UPDATE a SET v = 4 WHERE k IN (30, 31); UPDATE a SET v = 5 WHERE k IN (30, 31); DELETE FROM a WHERE k IN (30, 31, 20); COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
-- dropped, which takes the events along, and not dropped after all
\set script 'BEGIN; INSERT INTO a VALUES (40, 1, 1); SAVEPOINT s; DROP TRIGGER later ON a; UPDATE a SET v = 2 WHERE k = 40; UPDATE a SET v = 3 WHERE k = 40; ROLLBACK TO s; UPDATE a SET v = 4 WHERE k = 40; UPDATE a SET v = 5 WHERE k = 40; COMMIT; BEGIN; INSERT INTO a VALUES (41, 1, 1); SAVEPOINT s; DROP TRIGGER later ON a; UPDATE a SET v = 2 WHERE k = 41; ROLLBACK TO s; COMMIT; BEGIN; INSERT INTO a VALUES (42, 1, 1); DROP TRIGGER later ON a; UPDATE a SET v = 2 WHERE k = 42; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();
\set script 'CREATE TABLE tt (k int PRIMARY KEY, v int); CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN IF TG_OP <> ''INSERT'' THEN INSERT INTO log (what) SELECT ''old '' || string_agg(o::text, '' '' ORDER BY k) FROM o; END IF; IF TG_OP <> ''DELETE'' THEN INSERT INTO log (what) SELECT ''new '' || string_agg(n::text, '' '' ORDER BY k) FROM n; END IF; RETURN NULL; END $$; CREATE TRIGGER i AFTER INSERT ON tt REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION seen(); CREATE TRIGGER ir AFTER INSERT ON tt REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION seen(); CREATE TRIGGER d AFTER DELETE ON tt REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION seen(); CREATE FUNCTION changed(int) RETURNS int LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN UPDATE tt SET v = v + 1 WHERE k <= $1; RETURN $1; END $$; BEGIN; INSERT INTO tt VALUES (1, 1), (2, 2); INSERT INTO tt SELECT i, changed(i - 1) FROM generate_series(3, 5) i; INSERT INTO tt VALUES (6, 6), (7, 7) RETURNING changed(k); UPDATE tt SET v = 0 WHERE k = 1; DELETE FROM tt WHERE k < 4; DELETE FROM tt WHERE k = 5 RETURNING changed(4); COMMIT; CREATE TRIGGER u AFTER UPDATE ON tt REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION seen(); BEGIN; INSERT INTO tt VALUES (8, 8); UPDATE tt SET v = changed(0) WHERE k > 5; UPDATE tt SET v = 9 WHERE k > 5; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();

-- ---- triggers of partitions, and rows that change theirs

\set script 'CREATE TABLE p (k int, v int, w int) PARTITION BY RANGE (k); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200); CREATE CONSTRAINT TRIGGER late AFTER INSERT OR DELETE ON p DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note(); INSERT INTO p SELECT i, 0, 0 FROM generate_series(1, 5) i;'
:heap :script
:omen :script
\set script 'BEGIN; INSERT INTO p VALUES (10, 1, 1), (110, 1, 1); UPDATE p SET v = 2 WHERE k IN (1, 10, 110); UPDATE p SET k = k + 100 WHERE k IN (2, 10); UPDATE p SET v = 3 WHERE k IN (2, 10, 102, 110); UPDATE p1 SET w = 4 WHERE k = 1; COMMIT; BEGIN; COPY p FROM PROGRAM ''seq -f "%g,1,1" 50 25 150'' (FORMAT csv); UPDATE p SET v = 2 WHERE k >= 50; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();

-- ---- deferred constraints read rows by TID, too: only their keys, which stay what they are as long as the row keeps its TID

\set script 'CREATE TABLE pk (id int PRIMARY KEY, v int); INSERT INTO pk VALUES (1, 1), (2, 2); CREATE TABLE fk (k int, r int REFERENCES pk DEFERRABLE INITIALLY DEFERRED, u int UNIQUE DEFERRABLE INITIALLY DEFERRED, c int, v int, EXCLUDE (c WITH =) DEFERRABLE INITIALLY DEFERRED);'
:heap :script
:omen :script
\set script 'BEGIN; INSERT INTO fk VALUES (1, 3, 1, 1, 1), (2, 1, 1, 1, 1); UPDATE fk SET v = 2; UPDATE fk SET r = 1 WHERE k = 1; UPDATE fk SET v = 3; UPDATE fk SET u = 2, c = 2 WHERE k = 2; UPDATE fk SET v = 4; COMMIT; BEGIN; INSERT INTO fk VALUES (3, 9, 3, 3, 1); UPDATE fk SET v = 2 WHERE k = 3; COMMIT; BEGIN; INSERT INTO fk VALUES (4, 1, 1, 4, 1); UPDATE fk SET v = 2 WHERE k = 4; COMMIT; BEGIN; INSERT INTO fk VALUES (5, 1, 5, 1, 1); UPDATE fk SET v = 2 WHERE k = 5; COMMIT; BEGIN; INSERT INTO fk VALUES (6, 9, 1, 1, 1); UPDATE fk SET v = 2 WHERE k = 6; DELETE FROM fk WHERE k = 6; COMMIT; BEGIN; INSERT INTO fk VALUES (7, 3, 7, 7, 1); UPDATE fk SET v = 2 WHERE k = 7; INSERT INTO pk VALUES (3, 3); UPDATE pk SET v = 4 WHERE id = 3; UPDATE fk SET v = 3 WHERE k = 7; COMMIT; BEGIN; INSERT INTO fk VALUES (9, 9, 9, 9, 1); SAVEPOINT s; UPDATE fk SET v = 2 WHERE k = 9; ROLLBACK TO s; COMMIT; BEGIN; INSERT INTO fk VALUES (9, 1, 7, 9, 1); SAVEPOINT s; UPDATE fk SET v = 2 WHERE k = 9; ROLLBACK TO s; COMMIT; BEGIN; DELETE FROM pk WHERE id = 3; INSERT INTO pk VALUES (3, 5); UPDATE pk SET v = 6 WHERE id = 3; COMMIT;'
:heap :script
:omen :script
SELECT tg_compare();

-- ---- what keeps its place all the same

SET search_path = tg_omen, public;
CREATE FUNCTION tg_places(tab regclass, keys int[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	EXECUTE format('SELECT string_agg(k || ctid::text, '' '' ORDER BY k) FROM %s WHERE k = ANY ($1)', tab) INTO r USING keys;
	RETURN r;
END $$;
-- rows of other transactions, as often as it may be; and of our own, one that moved already
CREATE TABLE pl (k int PRIMARY KEY, v int) WITH (fillfactor = 50);
INSERT INTO pl SELECT i, 0 FROM generate_series(1, 20) i;
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR DELETE ON pl DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
SELECT tg_places('pl', '{1,2,3}') AS before \gset
BEGIN;
UPDATE pl SET v = 1 WHERE k < 4;
SAVEPOINT a;
UPDATE pl SET v = 2 WHERE k < 4;
ROLLBACK TO a;
UPDATE pl SET v = 3 WHERE k < 4;
INSERT INTO pl VALUES (100, 0);
SELECT tg_places('pl', '{100}') AS inserted \gset
UPDATE pl SET v = 1 WHERE k = 100;
SELECT tg_places('pl', '{100}') AS moved \gset
UPDATE pl SET v = 2 WHERE k = 100;
SELECT :'moved' <> :'inserted' AS moved, tg_places('pl', '{100}') = :'moved' AS once;
COMMIT;
UPDATE pl SET v = 4 WHERE k < 4 OR k = 100;
SELECT tg_places('pl', '{1,2,3}') = :'before' AS others, tg_places('pl', '{100}') = :'moved' AS committed;
-- with foreign keys and deferred constraints only, all rows
SELECT tg_places('fk', '{1,2,7}') AS before \gset
BEGIN;
UPDATE fk SET v = v + 1;
UPDATE fk SET v = v + 1;
INSERT INTO fk VALUES (8, 1, 8, 8, 1);
SELECT tg_places('fk', '{8}') AS inserted \gset
UPDATE fk SET v = v + 1;
UPDATE fk SET v = v + 1;
SELECT tg_places('fk', '{1,2,7}') = :'before' AS others, tg_places('fk', '{8}') = :'inserted' AS own;
COMMIT;

RESET search_path;
DROP SCHEMA tg_heap, tg_omen CASCADE;
DROP FUNCTION tg_compare;
