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
DROP TABLE op;
DROP FUNCTION op_build;
