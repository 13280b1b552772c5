-- Indexes of an omen table built with parallel workers.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 2;
CREATE TABLE op (id int8, k int8, t text) USING omen WITH (parallel_workers = 2);
INSERT INTO op SELECT i, hashint4(i) % 1000, repeat('x', i % 40) FROM generate_series(1, 20000) i;
UPDATE op SET t = t || 'y' WHERE id % 3 = 0;
DELETE FROM op WHERE id % 10 = 0;

CREATE FUNCTION op_build(what text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	leader text;
BEGIN
	FOREACH leader IN ARRAY ARRAY['on', 'off'] LOOP
		PERFORM set_config('parallel_leader_participation', leader, true);
		EXECUTE format('CREATE %s', format(what, 'op_new'));
		PERFORM alex_check('op_new', true);
		DROP INDEX op_new;
	END LOOP;
END $$;
SELECT op_build('UNIQUE INDEX %s ON op USING alex (id)');
SELECT op_build('INDEX %s ON op USING alex (k)');
SELECT op_build('INDEX %s ON op USING alex ((length(t))) WHERE id > 100');

-- with changes of its own transaction, some of them to keys
BEGIN;
UPDATE op SET t = t || 'z' WHERE id % 5 = 1;
UPDATE op SET k = -k, id = -id WHERE id % 7 = 1;
DELETE FROM op WHERE id % 100 = 3;
INSERT INTO op SELECT i, i FROM generate_series(100003, 100200) i;
SELECT op_build('UNIQUE INDEX %s ON op USING alex (id)');
SELECT op_build('INDEX %s ON op USING alex (k)');
COMMIT;

SET parallel_leader_participation = off;
CREATE INDEX CONCURRENTLY op_k ON op USING alex (k);
SELECT alex_check('op_k', true);
REINDEX INDEX CONCURRENTLY op_k;
SELECT alex_check('op_k', true);
SELECT op_build('UNIQUE INDEX %s ON op USING alex (k)');
INSERT INTO op VALUES (15557);
CREATE UNIQUE INDEX op_id ON op USING alex (id);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT sum(k), count(*) FROM op WHERE k BETWEEN -100 AND 100;
SET enable_seqscan = on;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT sum(k), count(*) FROM op WHERE k BETWEEN -100 AND 100;
RESET enable_indexscan;
RESET enable_indexonlyscan;

-- Our functions in queries with a Gather, or that would have one; and for OIDs of nothing.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2;
ANALYZE op;
CREATE FUNCTION op_gathers(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Gather' THEN RETURN true; END IF;
	END LOOP;
	RETURN false;
END $$;
SELECT what, op_gathers(format('SELECT count(*), %s FROM op', what)) FROM (VALUES ('1'), ('alex_check(''op_k'', true)'),
	('(SELECT entries FROM alex_stats(''op_k''))'), ('(SELECT kind FROM alex_page(''op_k'', 0))'), ('omen_check(''op'')'),
	('(SELECT rows FROM omen_stats(''op''))'), ('(SELECT fillfactor FROM omen_options(''op''))'), ('omen_repair_access_method(''op'')')) v (what);
SELECT count(*), alex_check('op_k', true) FROM op;
SELECT count(*), (SELECT entries >= 18000 FROM alex_stats('op_k')), (SELECT kind FROM alex_page('op_k', 0)) FROM op;
SELECT count(*), omen_check('op') FROM op;
SELECT count(*), (SELECT rows FROM omen_stats('op')) FROM op;
SELECT count(*), (SELECT fillfactor FROM omen_options('op')) FROM op;
\set VERBOSITY sqlstate
SELECT alex_check(4294967295);
SELECT alex_check(4294967295, true);
SELECT alex_stats(4294967295);
SELECT alex_page(4294967295, 0);
SELECT omen_check(4294967295);
SELECT omen_stats(4294967295);
SELECT omen_options(4294967295);
SELECT omen_options(4294967295, 50);
SELECT omen_repair_access_method(4294967295);
SELECT alex_check('op'), alex_check('pg_class_oid_index');
SELECT omen_check('op_k');
DROP TABLE op;
DROP FUNCTION op_build, op_gathers;
