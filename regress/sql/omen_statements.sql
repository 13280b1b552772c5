-- Statements of all kinds, on heap tables in one schema and omen tables in another. Only answers that differ are printed, and errors that
-- are the same.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
CREATE SCHEMA st_heap;
CREATE SCHEMA st_omen;

-- ---- helpers

-- The answer to a statement on one side: rows, sorted if it does not order them, or their number, or the error. %S is the side.
CREATE FUNCTION st_run(side text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text[] := '{}';
	r record;
	n int8;
BEGIN
	PERFORM set_config('search_path', side || ', public', true), set_config('default_table_access_method', substr(side, 4), true);
	statement := replace(statement, '%S', substr(side, 4));
	IF statement ~* '^(SELECT|FETCH|TABLE)' OR statement ~* '\yRETURNING[^()]*$' OR statement ~* '^WITH.*SELECT [^()]*$' OR statement ~* '^WITH .* SELECT count' THEN
		FOR r IN EXECUTE statement LOOP
			found := found || r::text;
		END LOOP;
		IF statement !~* 'ORDER BY|^FETCH' THEN
			found := ARRAY(SELECT unnest(found) ORDER BY 1);
		END IF;
		RETURN replace(array_to_string(found, E'\n'), side, '%S');
	END IF;
	EXECUTE statement;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
EXCEPTION WHEN OTHERS THEN
	RETURN replace(format('error %s: %s', SQLSTATE, SQLERRM), substr(side, 4), '%S');
END $$;
CREATE FUNCTION st(VARIADIC statements text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	a text;
	b text;
BEGIN
	FOREACH statement IN ARRAY statements LOOP
		a := st_run('st_heap', statement);
		b := st_run('st_omen', statement);
		IF a IS DISTINCT FROM b THEN
			RETURN NEXT format(E'%s\nheap: %s\nomen: %s', statement, left(a, 500), left(b, 500));
		ELSIF a ~ '^error' THEN
			RETURN NEXT format('%s: %s', statement, a);
		END IF;
	END LOOP;
END $$;
-- The same from a version on.
CREATE FUNCTION st_since(version int, VARIADIC statements text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('server_version_num')::int / 10000 >= version THEN
		RETURN QUERY SELECT st(VARIADIC statements);
	END IF;
END $$;
-- What all tables have; and they are sound.
CREATE FUNCTION st_tables() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'st_heap'::regnamespace AND relkind IN ('r', 'm', 'p') ORDER BY 1 LOOP
		RETURN QUERY SELECT st(format('SELECT t.* FROM %I t', name));
	END LOOP;
	PERFORM omen_check(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relnamespace = 'st_omen'::regnamespace AND amname = 'omen' AND relkind IN ('r', 'm');
END $$;
-- the helpers notice what is different
CREATE TABLE st_heap.x AS SELECT 1 AS a;
CREATE TABLE st_omen.x USING omen AS SELECT 2 AS a;
SELECT st('SELECT a FROM x', 'UPDATE x SET a = 1 / (2 - a)', 'SELECT 1 / 0');
SELECT st_tables();
DROP TABLE st_heap.x, st_omen.x;

SELECT st('CREATE TABLE t (id int PRIMARY KEY, k int, v int, note text, g int GENERATED ALWAYS AS (v * 2) STORED) WITH (fillfactor = 100)',
	'CREATE INDEX ON t (k)', 'CREATE INDEX ON t ((v / 100)) WHERE note = ''indexed''',
	'INSERT INTO t SELECT i, i % 10, i, repeat(''n'', i % 50) FROM generate_series(1, 300) i',
	'CREATE TABLE s (id int, a int)', 'INSERT INTO s SELECT i, i % 7 FROM generate_series(1, 400, 3) i');
SELECT relname, amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relnamespace = 'st_omen'::regnamespace AND relkind = 'r' ORDER BY 1;

-- ---- MERGE

SELECT st('MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND a = 0 THEN DELETE WHEN MATCHED AND a = 1 THEN UPDATE SET v = v + 1000
		WHEN MATCHED AND a = 2 THEN UPDATE SET k = k + 1, note = ''moved'' WHEN MATCHED AND a = 3 THEN DO NOTHING
		WHEN NOT MATCHED AND a = 4 THEN INSERT (id, v) VALUES (s.id, a) WHEN NOT MATCHED AND a = 5 THEN DO NOTHING
		WHEN NOT MATCHED THEN INSERT VALUES (s.id, a, DEFAULT, ''new'', DEFAULT) WHEN MATCHED THEN UPDATE SET note = note || ''x''',
	'MERGE INTO t USING (SELECT * FROM s UNION ALL SELECT * FROM s) s ON t.id = s.id WHEN MATCHED AND a = 6 THEN UPDATE SET v = v + 1',
	'MERGE INTO t USING (SELECT * FROM s UNION ALL SELECT * FROM s) s ON t.id = s.id WHEN MATCHED AND a = 6 THEN DELETE',
	'MERGE INTO t USING (VALUES (1000), (1000)) s (i) ON t.id = s.i WHEN NOT MATCHED THEN INSERT (id) VALUES (i)',
	'MERGE INTO t USING t u ON t.id = u.id + 1 WHEN MATCHED AND u.v % 2 = 0 THEN UPDATE SET v = t.v + u.v',
	'MERGE INTO t USING (SELECT id FROM t WHERE id < 20) u ON t.id = u.id WHEN MATCHED THEN UPDATE SET id = -t.id',
	'WITH w AS (UPDATE t SET v = 0 WHERE id < 0 RETURNING id) MERGE INTO s USING w ON s.id = -w.id WHEN MATCHED THEN UPDATE SET a = 99 WHEN NOT MATCHED THEN INSERT VALUES (w.id, 98)');
SELECT st_since(17, 'MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND a = 5 THEN UPDATE SET v = v + 1 WHEN MATCHED AND a = 6 THEN DELETE WHEN MATCHED AND a = 4 THEN UPDATE SET k = k + 1
		WHEN NOT MATCHED BY SOURCE AND t.v % 5 = 0 THEN UPDATE SET note = ''no source'' WHEN NOT MATCHED BY SOURCE AND t.v % 5 = 1 THEN DELETE WHEN NOT MATCHED BY TARGET AND a = 5 THEN INSERT (id) VALUES (s.id)
		RETURNING merge_action(), t.*, s.*',
	'WITH m AS (MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND a = 2 THEN UPDATE SET v = -v RETURNING t.id, t.v) SELECT m.id, m.v, t.v AS before FROM m JOIN t USING (id)');
SELECT st_since(18, 'MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND a = 3 THEN UPDATE SET v = v + 1 WHEN MATCHED AND a = 1 THEN UPDATE SET k = -k WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id) RETURNING old.*, new.*',
	'UPDATE t SET v = v + 1 WHERE id % 10 = 0 RETURNING old.v, new.v, old.g, new.g', 'UPDATE t SET k = k + 1 WHERE id % 20 = 0 RETURNING old.*, new.*',
	'DELETE FROM t WHERE id % 30 = 0 RETURNING old.*, new.*', 'INSERT INTO t (id, v) VALUES (40, 1), (2000, 2) ON CONFLICT (id) DO UPDATE SET v = excluded.v + t.v RETURNING old.*, new.*');
SELECT st_tables();

-- ---- cursors: rows change in place, and otherwise, between fetches

BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_sort = off;
SELECT st('UPDATE t SET v = id', 'DECLARE c_%S SCROLL CURSOR FOR SELECT id, v FROM t WHERE id BETWEEN 100 AND 150 ORDER BY id', 'FETCH 3 FROM c_%S', 'UPDATE t SET v = v + 1',
	'FETCH PRIOR FROM c_%S', 'UPDATE t SET v = v + 1 WHERE id = 105', 'FETCH RELATIVE 3 FROM c_%S', 'FETCH ABSOLUTE 5 FROM c_%S', 'DELETE FROM t WHERE id BETWEEN 110 AND 115', 'FETCH LAST FROM c_%S',
	'FETCH BACKWARD ALL FROM c_%S', 'UPDATE t SET k = k + 1 WHERE id < 130', 'FETCH ALL FROM c_%S', 'FETCH FIRST FROM c_%S', 'UPDATE t SET v = 7 WHERE CURRENT OF c_%S', 'CLOSE c_%S');
SELECT st('DECLARE d_%S CURSOR FOR SELECT id, v FROM t WHERE id BETWEEN 120 AND 122 ORDER BY id', 'FETCH d_%S', 'UPDATE t SET v = v + 1 WHERE CURRENT OF d_%S RETURNING *', 'UPDATE t SET v = v + 1 WHERE CURRENT OF d_%S RETURNING *',
	'UPDATE t SET k = k + 1 WHERE CURRENT OF d_%S RETURNING *', 'UPDATE t SET v = v + 1 WHERE CURRENT OF d_%S RETURNING *', 'FETCH d_%S', 'UPDATE t SET v = 0 WHERE id = 121', 'UPDATE t SET v = v + 5 WHERE CURRENT OF d_%S RETURNING *',
	'DELETE FROM t WHERE CURRENT OF d_%S RETURNING *', 'DELETE FROM t WHERE CURRENT OF d_%S RETURNING *', 'UPDATE t SET v = 1 WHERE CURRENT OF d_%S RETURNING *', 'FETCH ALL FROM d_%S', 'UPDATE t SET v = 1 WHERE CURRENT OF d_%S',
	'CLOSE d_%S', 'DECLARE e_%S CURSOR FOR SELECT id, v FROM t WHERE id > 200 ORDER BY id FOR UPDATE', 'FETCH 2 FROM e_%S', 'UPDATE t SET v = v + 1 WHERE CURRENT OF e_%S RETURNING *', 'UPDATE t SET v = v + 1 WHERE id = 204', 'FETCH 1 FROM e_%S',
	'DELETE FROM t WHERE CURRENT OF e_%S RETURNING *', 'FETCH 3 FROM e_%S', 'UPDATE t SET k = 100 WHERE CURRENT OF e_%S RETURNING *', 'UPDATE t SET v = v - 1 WHERE CURRENT OF e_%S RETURNING *', 'FETCH NEXT FROM e_%S');
SAVEPOINT a;
SELECT st('UPDATE t SET v = -1 WHERE CURRENT OF e_%S RETURNING *', 'FETCH 2 FROM e_%S');
ROLLBACK TO a;
SELECT st('FETCH 2 FROM e_%S', 'UPDATE t SET v = v + 1 WHERE CURRENT OF e_%S RETURNING *',
	'DECLARE j_%S CURSOR FOR SELECT t.id, s.a FROM t JOIN s ON s.id = t.id WHERE t.id > 210 ORDER BY t.id FOR UPDATE OF t', 'FETCH 3 FROM j_%S', 'UPDATE t SET v = 4711 WHERE CURRENT OF j_%S RETURNING *', 'FETCH 3 FROM j_%S',
	'DECLARE h_%S CURSOR WITH HOLD FOR SELECT id, v FROM t WHERE id > 220 ORDER BY id', 'FETCH 2 FROM h_%S', 'UPDATE t SET v = v + 1');
COMMIT;
SELECT st('FETCH ALL FROM h_%S', 'UPDATE t SET v = 1 WHERE CURRENT OF h_%S', 'CLOSE h_%S');
SELECT st_tables();

-- ---- TOAST: kept, replaced, compressed or not; with new access methods and rewrites

SELECT st('CREATE TABLE long (id int PRIMARY KEY, v int, e text, x text, m text, p text)', 'ALTER TABLE long ALTER e SET STORAGE external, ALTER m SET STORAGE main, ALTER p SET STORAGE plain',
	'INSERT INTO long SELECT i, 0, repeat(md5(i::text), 300), (SELECT string_agg(md5((i * g)::text), '''') FROM generate_series(1, 200) g), repeat(''m'', 3000), repeat(''p'', i) FROM generate_series(1, 60) i',
	'UPDATE long SET v = v + 1', 'UPDATE long SET v = v + 1 WHERE id % 2 = 0', 'UPDATE long SET e = e || ''tail'' WHERE id % 3 = 0', 'UPDATE long SET x = NULL WHERE id % 5 = 0', 'UPDATE long SET x = e, e = x WHERE id % 7 = 0',
	'UPDATE long SET p = repeat(''q'', 7000) WHERE id = 1', 'UPDATE long SET e = ''short'' WHERE id % 11 = 0', 'DELETE FROM long WHERE id % 13 = 0');
SELECT st_tables();
BEGIN;
SELECT st('UPDATE long SET e = repeat(''undone'', 1000), v = -1', 'DELETE FROM long WHERE id > 30');
ROLLBACK;
SELECT st_tables();
ALTER TABLE st_heap.long SET ACCESS METHOD omen;
ALTER TABLE st_omen.long SET ACCESS METHOD heap;
SELECT st_tables();
SELECT st('UPDATE long SET v = v + 1', 'UPDATE long SET e = e || ''again'' WHERE id % 4 = 0', 'DELETE FROM long WHERE id % 17 = 0');
BEGIN;
SELECT st('UPDATE long SET v = v + 1, x = repeat(md5(v::text), 100) WHERE id % 5 = 0');
ALTER TABLE st_heap.long SET ACCESS METHOD heap;
ALTER TABLE st_omen.long SET ACCESS METHOD omen;
SELECT st('UPDATE long SET v = v + 1', 'UPDATE long SET e = NULL WHERE id % 9 = 0');
SAVEPOINT a;
ALTER TABLE st_omen.long SET ACCESS METHOD heap;
UPDATE st_omen.long SET v = 0, e = repeat('undone', 1000);
ROLLBACK TO a;
SELECT st('UPDATE long SET v = v + 1 WHERE id % 2 = 1');
COMMIT;
SELECT st_tables();
SELECT st('ALTER TABLE long ALTER v TYPE numeric, ADD late text DEFAULT md5(''late''), ADD volatile float8 DEFAULT random() * 0, DROP p', 'UPDATE long SET late = ''changed'' WHERE id < 10', 'CREATE INDEX long_v ON long (v)', 'CLUSTER long USING long_v',
	'UPDATE long SET v = v + 1', 'ALTER TABLE long ALTER e TYPE bytea USING e::bytea', 'UPDATE long SET v = v + 1', 'ALTER TABLE long SET UNLOGGED', 'UPDATE long SET m = ''m'' WHERE id < 20', 'ALTER TABLE long SET LOGGED', 'UPDATE long SET v = v + 1');
SELECT st_tables();

-- ---- triggers: in place where no row trigger needs both versions

SELECT st('CREATE TABLE log (n bigint GENERATED ALWAYS AS IDENTITY, what text)', 'CREATE TABLE tr (id int PRIMARY KEY, v int, k int, note text)', 'CREATE INDEX ON tr (k)', 'INSERT INTO tr SELECT i, i, i, ''n'' FROM generate_series(1, 30) i',
	$q$CREATE FUNCTION tr_row() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	INSERT INTO log (what) VALUES (concat_ws(' ', TG_NAME, TG_WHEN, TG_OP, CASE WHEN TG_OP <> 'INSERT' THEN OLD::text END, CASE WHEN TG_OP <> 'DELETE' THEN NEW::text END, (SELECT sum(v) FROM tr)));
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	IF TG_WHEN = 'BEFORE' AND NEW.v % 7 = 0 THEN RETURN NULL; END IF;
	IF TG_WHEN = 'BEFORE' AND NEW.v % 5 = 0 THEN NEW.note := NEW.note || '!'; NEW.k := NEW.k + 1; END IF;
	RETURN NEW;
END $$$q$,
	$q$CREATE FUNCTION tr_statement() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	INSERT INTO log (what) VALUES (concat_ws(' ', TG_NAME, TG_WHEN, TG_OP, (SELECT sum(v) FROM tr)));
	RETURN NULL;
END $$$q$,
	$q$CREATE FUNCTION tr_transition() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN INSERT INTO log (what) SELECT TG_NAME || ' old ' || string_agg(o::text, ';' ORDER BY o.id) FROM o; END IF;
	IF TG_OP <> 'DELETE' THEN INSERT INTO log (what) SELECT TG_NAME || ' new ' || string_agg(n::text, ';' ORDER BY n.id) FROM n; END IF;
	RETURN NULL;
END $$$q$,
	$q$CREATE FUNCTION tr_self() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE tr SET note = 'by the trigger' WHERE id = NEW.id;
	RETURN NEW;
END $$$q$);
CREATE FUNCTION st_work() RETURNS SETOF text LANGUAGE sql AS $f$
	SELECT st('UPDATE tr SET v = v + 1 WHERE id = 3', 'UPDATE tr SET v = v + 1 WHERE id IN (4, 5) RETURNING *', 'UPDATE tr SET k = k + 100 WHERE id = 6 RETURNING *', 'UPDATE tr SET v = v WHERE id = 7', 'UPDATE tr SET note = ''only'' WHERE id = 8',
		'INSERT INTO tr VALUES (100, 1, 1, ''i''), (101, 7, 1, ''i'') RETURNING *', 'INSERT INTO tr VALUES (100, 2, 2, ''c''), (9, 3, 3, ''c'') ON CONFLICT (id) DO UPDATE SET v = excluded.v + 1 RETURNING *', 'DELETE FROM tr WHERE id IN (10, 100, 101) RETURNING *',
		'MERGE INTO tr USING generate_series(11, 14) i ON id = i WHEN MATCHED AND i = 11 THEN DELETE WHEN MATCHED THEN UPDATE SET v = v + 1', 'INSERT INTO tr SELECT i, i, i, ''again'' FROM generate_series(10, 11) i ON CONFLICT DO NOTHING',
		'WITH w AS (UPDATE tr SET v = v + 1 WHERE id = 20 RETURNING *) UPDATE tr SET v = v + 100 WHERE id = 21 RETURNING *', 'UPDATE tr SET v = tr.v + u.v FROM tr u WHERE u.id = tr.id + 1 AND tr.id = 22 RETURNING tr.*')
	UNION ALL SELECT st_tables() UNION ALL SELECT st('TRUNCATE log')
$f$;
SELECT st('CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON tr FOR EACH ROW EXECUTE FUNCTION tr_row()', 'CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tr EXECUTE FUNCTION tr_statement()',
	'CREATE TRIGGER sb BEFORE UPDATE ON tr EXECUTE FUNCTION tr_statement()', 'CREATE TRIGGER ai AFTER INSERT OR DELETE ON tr FOR EACH ROW EXECUTE FUNCTION tr_row()');
SELECT st_work();
SELECT st('CREATE TRIGGER au AFTER UPDATE ON tr FOR EACH ROW EXECUTE FUNCTION tr_row()');
SELECT st_work();
SELECT st('DROP TRIGGER au ON tr', 'CREATE TRIGGER w AFTER UPDATE OF v ON tr FOR EACH ROW WHEN (OLD.v IS DISTINCT FROM NEW.v) EXECUTE FUNCTION tr_row()', 'CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON tr DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tr_row()');
BEGIN;
SELECT st_work();
COMMIT;
SELECT st_tables();
SELECT st('DROP TRIGGER w ON tr', 'DROP TRIGGER late ON tr', 'TRUNCATE log', 'CREATE TRIGGER tu AFTER UPDATE ON tr REFERENCING OLD TABLE AS o NEW TABLE AS n EXECUTE FUNCTION tr_transition()',
	'CREATE TRIGGER ti AFTER INSERT ON tr REFERENCING NEW TABLE AS n EXECUTE FUNCTION tr_transition()', 'CREATE TRIGGER td AFTER DELETE ON tr REFERENCING OLD TABLE AS o EXECUTE FUNCTION tr_transition()');
SELECT st_work();
SELECT st('DROP TRIGGER tu ON tr', 'CREATE TRIGGER a_self BEFORE UPDATE ON tr FOR EACH ROW WHEN (NEW.v = 4711) EXECUTE FUNCTION tr_self()', 'UPDATE tr SET v = 4711 WHERE id = 3', 'DROP TRIGGER a_self ON tr',
	'CREATE TRIGGER z_self AFTER UPDATE ON tr FOR EACH ROW WHEN (NEW.v = 4711) EXECUTE FUNCTION tr_self()', 'UPDATE tr SET v = 4711 WHERE id = 3', 'CREATE VIEW tv AS SELECT id, v FROM tr WHERE v < 1000 WITH CHECK OPTION',
	'UPDATE tv SET v = v + 1 WHERE id = 6 RETURNING *', 'UPDATE tv SET v = 2000 WHERE id = 5', 'DELETE FROM tv WHERE id = 5');
SELECT st_tables();

-- ---- foreign keys, on both sides, between omen tables and between both kinds

SELECT st('CREATE TABLE pa (id int PRIMARY KEY, u int UNIQUE, v int, up int REFERENCES pa ON DELETE CASCADE)', 'INSERT INTO pa SELECT i, i * 10, 0, CASE WHEN i > 1 THEN i / 2 END FROM generate_series(1, 60) i',
	'CREATE TABLE fc (id int PRIMARY KEY, p int REFERENCES pa ON UPDATE CASCADE ON DELETE CASCADE, n int REFERENCES pa ON UPDATE SET NULL ON DELETE SET NULL, d int DEFAULT 1 REFERENCES pa ON UPDATE SET DEFAULT ON DELETE SET DEFAULT,
		r int REFERENCES pa (u) ON DELETE RESTRICT, l int REFERENCES pa (u) DEFERRABLE INITIALLY DEFERRED, v int)',
	'CREATE TABLE fh (id int PRIMARY KEY, p int REFERENCES pa ON UPDATE CASCADE ON DELETE CASCADE, v int) USING heap', 'CREATE INDEX ON fc (p)', 'INSERT INTO fc SELECT i, i, i, i, CASE WHEN i % 9 = 0 THEN i * 10 END, CASE WHEN i % 5 = 0 THEN i * 10 END, 0 FROM generate_series(1, 60) i',
	'INSERT INTO fh SELECT i, i, 0 FROM generate_series(1, 60) i', 'UPDATE pa SET v = v + 1', 'UPDATE fc SET v = v + 1', 'UPDATE pa SET id = id + 1000 WHERE id IN (41, 42)', 'UPDATE fc SET p = p + 1 WHERE id = 1', 'UPDATE fc SET p = 77777 WHERE id = 1',
	'UPDATE fc SET v = v + 1, p = p WHERE id < 10', 'DELETE FROM pa WHERE id = 18', 'DELETE FROM pa WHERE id = 60', 'DELETE FROM pa WHERE id IN (31, 32)', 'UPDATE pa SET u = u + 1 WHERE id = 9', 'UPDATE pa SET u = u + 1 WHERE id = 50',
	'INSERT INTO fc VALUES (100, 1, 2, 3, 90, 100)', 'DO ''BEGIN INSERT INTO fc VALUES (102, 1, 2, 3, 90, 12345); UPDATE fc SET v = 1 WHERE id = 102; SET CONSTRAINTS ALL IMMEDIATE; END''', 'DO ''BEGIN UPDATE fc SET l = 12345 WHERE id = 3; UPDATE fc SET l = 100 WHERE id = 3; SET CONSTRAINTS ALL IMMEDIATE; END''', 'INSERT INTO fc (id, p) VALUES (101, 5000)', 'UPDATE fc SET l = NULL WHERE id = 50', 'UPDATE pa SET u = u + 1 WHERE id = 50', 'SELECT FROM pa FOR UPDATE', 'UPDATE fh SET v = v + 1, p = p + 0', 'TRUNCATE pa', 'TRUNCATE pa CASCADE');
SELECT st_tables();
BEGIN;
SELECT st('INSERT INTO pa SELECT i, i * 10, 0, NULL FROM generate_series(1, 20) i', 'INSERT INTO fc (id, l) VALUES (1, 999)', 'UPDATE fc SET v = 1', 'INSERT INTO pa VALUES (99, 999, 0, NULL)', 'UPDATE pa SET v = 1', 'UPDATE pa SET v = 2');
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT;
SELECT st_tables();

-- ---- partitions and inheritance; in the schema of omen, one partition is a heap table

SELECT st('CREATE TABLE part (id int, r int, v int DEFAULT 0, c text, PRIMARY KEY (id, r)) PARTITION BY RANGE (r)', 'CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10)', 'CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20) USING heap',
	'CREATE TABLE part_3 (c text, gone int, v int, r int NOT NULL, id int NOT NULL)', 'ALTER TABLE part_3 DROP gone', 'ALTER TABLE part ATTACH PARTITION part_3 DEFAULT', 'INSERT INTO part SELECT i, i % 30, 0, repeat(''c'', i) FROM generate_series(1, 90) i',
	'UPDATE part SET v = v + 1 RETURNING tableoid::regclass::text, *', 'UPDATE part SET r = r + 10 WHERE r < 10 AND id % 2 = 0 RETURNING tableoid::regclass::text, *', 'UPDATE part SET r = r - 10, v = v + 1 WHERE r >= 20 AND id % 3 = 0 RETURNING *', 'UPDATE part SET r = 5 WHERE id = 25',
	'MERGE INTO part USING generate_series(1, 100, 7) i ON id = i WHEN MATCHED AND i % 2 = 0 THEN UPDATE SET r = (r + 10) % 30 WHEN MATCHED THEN UPDATE SET v = v + 1 WHEN NOT MATCHED THEN INSERT (id, r) VALUES (i, i % 30)',
	'INSERT INTO part (id, r) VALUES (3, 3), (900, 9) ON CONFLICT (id, r) DO UPDATE SET v = part.v + 100 RETURNING *', 'COPY part (id, r) FROM PROGRAM ''seq -f "%.0f,15" 1001 1100'' (FORMAT csv)', 'COPY part (id, r) FROM PROGRAM ''seq -f "%.0f,5" 1001 4000'' (FORMAT csv) WHERE id % 2 = 0',
	'DELETE FROM part WHERE id % 4 = 0', 'ALTER TABLE part DETACH PARTITION part_2', 'UPDATE part SET v = v + 1', 'UPDATE part_2 SET v = v + 1', 'ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (10) TO (20)', 'UPDATE part SET r = 12 WHERE id = 25',
	'SELECT id, r FROM part WHERE id < 10 ORDER BY id, r FOR UPDATE', 'CREATE TABLE inh (id int, v int)', 'CREATE TABLE inh_1 (more text) INHERITS (inh)', 'CREATE TABLE inh_2 (v int, id int, x int DEFAULT 5)', 'ALTER TABLE inh_2 INHERIT inh', 'INSERT INTO inh SELECT i, i FROM generate_series(1, 20) i',
	'INSERT INTO inh_1 SELECT i, i, ''m'' FROM generate_series(21, 40) i', 'INSERT INTO inh_2 SELECT i, i FROM generate_series(41, 60) i', 'UPDATE inh SET v = v + 1 RETURNING tableoid::regclass::text, *', 'UPDATE inh SET v = inh.v + 1 FROM s WHERE s.id = inh.id', 'DELETE FROM inh WHERE id % 9 = 0 RETURNING *', 'UPDATE ONLY inh SET v = 0');
SELECT st_tables();

-- ---- COPY, with and without what forbids many rows at once; and one that fails in the middle

SELECT st('CREATE TABLE co (id int PRIMARY KEY, v int CHECK (v <> 13), t text DEFAULT ''t'', n bigint GENERATED BY DEFAULT AS IDENTITY, twice int GENERATED ALWAYS AS (v * 2) STORED)', 'COPY co (id, v) FROM PROGRAM ''seq -f "%.0f,1" 1 5000'' (FORMAT csv)', 'UPDATE co SET v = v + 1',
	'COPY co (id, v) FROM PROGRAM ''seq -f "%.0f,1" 5001 7000; echo 1,1'' (FORMAT csv)', 'COPY co (id, v) FROM PROGRAM ''seq -f "%.0f,1" 5001 6000; echo 6001,13'' (FORMAT csv)', 'COPY co (id, v) FROM PROGRAM ''seq -f "%.0f,2" 5001 6000'' (FORMAT csv)',
	'CREATE FUNCTION co_before() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN IF NEW.id % 10 = 0 THEN RETURN NULL; END IF; NEW.t := NEW.id; RETURN NEW; END''', 'CREATE TRIGGER co_before BEFORE INSERT ON co FOR EACH ROW EXECUTE FUNCTION co_before()',
	'COPY co (id, v) FROM PROGRAM ''seq -f "%.0f,3" 7001 8000'' (FORMAT csv)', 'COPY (UPDATE co SET v = v + 1 WHERE id % 2 = 0 RETURNING id, v) TO PROGRAM ''cat > /dev/null''', 'COPY co TO PROGRAM ''cat > /dev/null''', 'DELETE FROM co WHERE id % 3 = 0', 'INSERT INTO co SELECT id + 10000, v FROM co ORDER BY id',
	'CREATE TABLE co2 AS SELECT * FROM co', 'SELECT count(*), sum(v) FROM co2', 'INSERT INTO co2 SELECT * FROM co2');
SELECT st_since(17, 'COPY co (id, v) FROM PROGRAM ''seq -f "%.0f,4" 30001 30100; echo x,1; echo 30200,y; seq -f "%.0f,5" 30201 30300'' (FORMAT csv, ON_ERROR ignore)');
SELECT st_tables();

-- ---- ON CONFLICT, exclusion, deferred uniqueness

SELECT st('CREATE TABLE oc (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY IMMEDIATE, p int, v int, r int4range, EXCLUDE USING gist (r WITH &&))', 'CREATE UNIQUE INDEX oc_p ON oc (p) WHERE v > 0', 'INSERT INTO oc SELECT i, i, i, i % 2, int4range(i * 10, i * 10 + 5) FROM generate_series(1, 50) i',
	'UPDATE oc SET v = v + 2', 'UPDATE oc SET u = 51 - u', 'UPDATE oc SET id = 51 - id', 'INSERT INTO oc VALUES (500, 500, 5, 1) ON CONFLICT (p) WHERE v > 0 DO UPDATE SET v = oc.v + 10 RETURNING *', 'INSERT INTO oc VALUES (5, 500, 600, 1) ON CONFLICT ON CONSTRAINT oc_pkey DO UPDATE SET v = oc.v + 10 WHERE oc.v > 1000 RETURNING *',
	'INSERT INTO oc VALUES (501, 501, 501, 1, ''[12,13]'') ON CONFLICT ON CONSTRAINT oc_r_excl DO NOTHING RETURNING *', 'INSERT INTO oc VALUES (501, 501, 501, 1, ''[12,13]'')', 'UPDATE oc SET r = ''[22,23]'' WHERE id = 50', 'UPDATE oc SET r = int4range(lower(r) + 1000, upper(r) + 1000)',
	'INSERT INTO oc (id, v) SELECT i, 1 FROM generate_series(45, 55) i ON CONFLICT (id) DO UPDATE SET v = -excluded.v RETURNING *', 'INSERT INTO oc (id) VALUES (7), (7) ON CONFLICT (id) DO UPDATE SET v = 0', 'INSERT INTO oc (id, u) VALUES (700, 1) ON CONFLICT (u) DO NOTHING', 'INSERT INTO oc (id, u) VALUES (700, 1)');
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
SELECT st('UPDATE oc SET u = 30 WHERE id = 20', 'UPDATE oc SET u = 99 WHERE u = 30 AND id <> 20', 'UPDATE oc SET v = v + 1');
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT;
SELECT st_tables();

-- ---- the rest of what one session can do

SELECT st('WITH w AS (UPDATE t SET v = v + 1 RETURNING id, v) SELECT count(*), sum(w.v), sum(t.v) FROM w JOIN t USING (id)', 'WITH a AS (DELETE FROM t WHERE id = 60 RETURNING *), b AS (UPDATE t SET v = 0 WHERE id = 60 RETURNING *) SELECT * FROM a, b', 'WITH a AS (UPDATE t SET v = 1 WHERE id = 61 RETURNING v), b AS (UPDATE t SET v = 2 WHERE id = 62 RETURNING v) SELECT * FROM a, b',
	'UPDATE t SET v = (SELECT max(v) FROM t) WHERE id % 7 = 0', 'UPDATE t SET v = t.v + x.v FROM (SELECT k, sum(v) AS v FROM t GROUP BY k) x WHERE x.k = t.k', 'UPDATE t SET (v, note) = (SELECT a, ''sub'' FROM s WHERE s.id = t.id) WHERE id % 4 = 1', 'DELETE FROM t USING s WHERE s.id = t.id AND s.a = 6',
	'SELECT id FROM t WHERE id IN (SELECT id FROM t WHERE v > 5 FOR UPDATE) ORDER BY id FOR SHARE', 'SELECT * FROM t WHERE id < 50 ORDER BY v DESC, id LIMIT 5 FOR UPDATE SKIP LOCKED', 'SELECT * FROM t ORDER BY id OFFSET 3 LIMIT 2 FOR NO KEY UPDATE NOWAIT',
	'INSERT INTO t (id, g) VALUES (5000, 1)', 'UPDATE t SET g = 1', 'UPDATE t SET g = DEFAULT, v = v + 1', 'INSERT INTO t SELECT * FROM t', 'UPDATE t SET id = 1', 'UPDATE t SET id = NULL WHERE id = 62', 'CREATE RULE ru AS ON DELETE TO s DO ALSO UPDATE t SET v = -1 WHERE id = OLD.id', 'DELETE FROM s WHERE a = 1',
	'CREATE MATERIALIZED VIEW mv AS SELECT k, count(*) AS n, sum(v) AS v FROM t GROUP BY k', 'CREATE UNIQUE INDEX ON mv (k)', 'UPDATE t SET v = v + 1 WHERE k < 3', 'DELETE FROM t WHERE k = 5', 'REFRESH MATERIALIZED VIEW CONCURRENTLY mv', 'TABLE mv', 'UPDATE t SET v = v + 1 WHERE k < 2', 'REFRESH MATERIALIZED VIEW CONCURRENTLY mv', 'UPDATE t SET k = k + 1', 'REFRESH MATERIALIZED VIEW mv', 'UPDATE mv SET n = 0',
	'ALTER TABLE t ENABLE ROW LEVEL SECURITY', 'CREATE POLICY po ON t USING (v > 0) WITH CHECK (v < 1000000)', 'TRUNCATE s', 'SELECT count(*) FROM s');
SELECT st_since(18, 'ALTER TABLE t ADD virtual int GENERATED ALWAYS AS (v + k) VIRTUAL', 'UPDATE t SET v = v + 1 WHERE virtual % 2 = 0 RETURNING *');
SELECT st_tables();
SELECT count(*) AS matview_is_omen FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relname = 'mv' AND amname = 'omen';

-- ---- temporary tables: at the end of a transaction their rows stay, or go, or the table goes

CREATE TEMP TABLE tt_stay (id int PRIMARY KEY, v int) USING omen ON COMMIT PRESERVE ROWS;
CREATE TEMP TABLE tt_go (id int PRIMARY KEY, v int, long text) USING omen ON COMMIT DELETE ROWS;
INSERT INTO tt_go VALUES (1, 1);
SELECT count(*) FROM tt_go;
BEGIN;
CREATE TEMP TABLE tt_gone (id int, v int) USING omen ON COMMIT DROP;
INSERT INTO tt_stay SELECT i, i FROM generate_series(1, 1000) i;
INSERT INTO tt_go SELECT i, i, repeat(md5(i::text), 100) FROM generate_series(1, 1000) i;
INSERT INTO tt_gone SELECT i, i FROM generate_series(1, 1000) i;
UPDATE tt_stay SET v = v + 1;
UPDATE tt_go SET v = v + 1;
UPDATE tt_gone SET v = v + 1;
SAVEPOINT a;
UPDATE tt_stay SET v = -1;
UPDATE tt_go SET v = -1;
DELETE FROM tt_gone;
ROLLBACK TO a;
SELECT (SELECT sum(v) FROM tt_stay), (SELECT sum(v) FROM tt_go), (SELECT sum(v) FROM tt_gone);
COMMIT;
SELECT (SELECT sum(v) FROM tt_stay), (SELECT sum(v) FROM tt_go), to_regclass('tt_gone');
SELECT pg_relation_size('tt_go'), omen_check('tt_go'), omen_check('tt_stay');
-- again, with store pages remembered of before
BEGIN;
INSERT INTO tt_go SELECT i, i, repeat('x', 100) FROM generate_series(1, 1000) i;
UPDATE tt_go SET v = v + 1;
UPDATE tt_go SET v = v + 1;
SELECT sum(v), count(*), omen_check('tt_go') FROM tt_go;
COMMIT;
UPDATE tt_stay SET v = v + 1;
DISCARD TEMP;

SET client_min_messages = error;
DROP SCHEMA st_heap, st_omen CASCADE;
DROP FUNCTION st_run, st, st_since, st_tables, st_work;
