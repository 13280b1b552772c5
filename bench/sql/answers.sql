-- answers.sql - rows A1 to A5: aggregates and distinct values answered from an alex index, against the index-only scan of a btree on the same table.
--
--   psql -X -v rows=1000000 -f bench/sql/answers.sql DATABASE
--
-- Each query runs once to warm up and then five times with either, by turns; a row has the medians in milliseconds and their ratio.
\if :{?rows}
\else
	\set rows 1000000
\endif
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET synchronous_commit = on;
DROP SCHEMA IF EXISTS bench_answers CASCADE;
CREATE SCHEMA bench_answers;
SET search_path = bench_answers;
SELECT setseed(0.5) \g /dev/null
CREATE TABLE answers AS
	SELECT ((random() - 0.5) * 9e18)::int8 AS k, '2026-01-01'::timestamptz + i * interval '1 ms' + random() * interval '1 ms' AS ts,
		(i * 7919::int8 % 1000)::int4 AS g, (i * 7919::int8 % 10000)::int4 AS device, repeat('x', 40) AS pad
	FROM generate_series(1, :rows) i;
CREATE TABLE plain AS SELECT * FROM answers;
DO $$
DECLARE t text; c text;
BEGIN
	FOREACH c IN ARRAY '{k,ts,g}'::text[] LOOP
		EXECUTE format('CREATE INDEX ON answers USING alex (%I)', c);
		EXECUTE format('CREATE INDEX ON plain (%I)', c);
	END LOOP;
	CREATE INDEX ON answers USING alex (device, ts DESC);
	CREATE INDEX ON plain (device, ts DESC);
END $$;
CREATE TABLE result (n serial, goal text, work text, alex float8, btree float8);

CREATE FUNCTION measure(goal text, work text, query text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	times float8[][] := '{}'; start timestamptz; ms float8; t text; a float8[] := '{}'; b float8[] := '{}';
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
		set_config('enable_hashagg', 'off', true);
	FOR round IN 0 .. 5 LOOP
		FOREACH t IN ARRAY '{answers,plain}'::text[] LOOP
			start := clock_timestamp();
			EXECUTE replace(query, 'TAB', t);
			ms := extract(epoch FROM clock_timestamp() - start) * 1000;
			CONTINUE WHEN round = 0;
			IF t = 'answers' THEN a := a || ms; ELSE b := b || ms; END IF;
		END LOOP;
	END LOOP;
	INSERT INTO result (goal, work, alex, btree)
		SELECT measure.goal, measure.work, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM unnest(a) x),
			(SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM unnest(b) x);
END $$;

VACUUM ANALYZE answers;
VACUUM ANALYZE plain;
SELECT measure('A1 50', 'count(*), timestamps', 'SELECT count(*) FROM TAB WHERE ts IS NOT NULL') \g /dev/null
SELECT measure('A1 50', 'half of them', 'SELECT count(*) FROM TAB WHERE ts < (SELECT min(ts) + (max(ts) - min(ts)) / 2 FROM TAB)') \g /dev/null
SELECT measure('A1 20', 'count(*), random int8', 'SELECT count(*) FROM TAB WHERE k IS NOT NULL') \g /dev/null
SELECT measure('A1 20', 'half of them', 'SELECT count(*) FROM TAB WHERE k > 0') \g /dev/null
SELECT measure('A3 10', 'min, max, sum, avg of half, random int8', 'SELECT min(k), max(k), sum(k), avg(k) FROM TAB WHERE k > 0') \g /dev/null
SELECT measure('A4 20', 'count(*) of 1,000 groups', 'SELECT sum(n) FROM (SELECT g, count(*) AS n FROM TAB GROUP BY g) x') \g /dev/null
SELECT measure('A5 500', '1,000 distinct values', 'SELECT sum(g) FROM (SELECT DISTINCT g FROM TAB) x') \g /dev/null
SELECT measure('A5 500', 'the same by GROUP BY', 'SELECT sum(g) FROM (SELECT g FROM TAB GROUP BY g) x') \g /dev/null
SELECT measure('A5 500', 'count(DISTINCT) of them', 'SELECT count(DISTINCT g) FROM TAB') \g /dev/null
SELECT measure('A5 50', 'DISTINCT ON: the latest of 10,000 devices', 'SELECT sum(device), max(ts) FROM (SELECT DISTINCT ON (device) device, ts FROM TAB ORDER BY device, ts DESC) x') \g /dev/null
SELECT measure('A5 50', 'the same with the row', 'SELECT sum(device), max(ts) FROM (SELECT DISTINCT ON (device) * FROM TAB ORDER BY device, ts DESC) x') \g /dev/null
-- one block in a hundred is not all-visible
DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY '{answers,plain}'::text[] LOOP
		EXECUTE format('UPDATE %I SET pad = pad WHERE ctid = ANY (SELECT format(''(%%s,1)'', b)::tid
			FROM generate_series(0, pg_relation_size(%L) / current_setting(''block_size'')::int - 1, 100) b)', t, 'bench_answers.' || t);
	END LOOP;
END $$;
SELECT measure('A2 5', 'count(*), 1 % of blocks not all-visible, timestamps', 'SELECT count(*) FROM TAB WHERE ts IS NOT NULL') \g /dev/null
SELECT measure('A2 5', 'the same, random int8', 'SELECT count(*) FROM TAB WHERE k IS NOT NULL') \g /dev/null
\pset footer off
SELECT goal, work, round(alex::numeric, 2) AS "alex, ms", round(btree::numeric, 2) AS "btree, ms", round((btree / alex)::numeric, 1) AS ratio
FROM result ORDER BY n;
DROP SCHEMA bench_answers CASCADE;
