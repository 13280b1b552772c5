-- columns.sql - the measurements of bench/columns: indexes on several columns, alex beside btree. psql variables: rows, rounds, seed.

SET client_min_messages = warning;
SELECT setseed(:seed / 1000.0);

-- K1: tenants by Zipf, rows in the order of time. K2: 100 rows a user, in random order. K3: random, and two of 100 values.
CREATE TABLE k1 (tenant int4, at timestamptz);
INSERT INTO k1 SELECT exp(random() * ln(10000))::int4, timestamptz '2024-01-01 00:00+00' + (i + random()) * interval '1 ms'
	FROM generate_series(1, :rows) i;
CREATE TABLE k2 (u uuid, seq int8);
INSERT INTO k2 SELECT md5((i / 100)::text)::uuid, i % 100 FROM (SELECT i FROM generate_series(1, :rows) i ORDER BY random()) s;
CREATE TABLE k3 (a int4, b int4, c int4);
INSERT INTO k3 SELECT ((random() - 0.5) * 4294967295)::int8::int4, floor(random() * 100), floor(random() * 100) FROM generate_series(1, :rows);

CREATE TABLE tenants AS SELECT tenant FROM k1 ORDER BY random() LIMIT :rows / 100;
CREATE TABLE users AS SELECT u, seq FROM k2 ORDER BY random() LIMIT :rows / 10;
CREATE TABLE pairs AS SELECT a, b FROM k3 ORDER BY random() LIMIT :rows / 10;

CREATE TABLE figure (goal text, what text, system text, round int, value float8);

CREATE PROCEDURE timed(goal text, what text, system text, round int, query text) LANGUAGE plpgsql AS $$
DECLARE
	before timestamptz;
BEGIN
	before := clock_timestamp();
	EXECUTE query;
	INSERT INTO figure VALUES (goal, what, system, round, extract(epoch FROM clock_timestamp() - before) * 1000);
END $$;

-- The index of one system is shown to the planner, the other one is hidden.
CREATE PROCEDURE shown(system text) LANGUAGE sql AS $$
	UPDATE pg_index SET indisvalid = indexrelid::regclass::text ~ ('_' || system || '$')
	WHERE indrelid IN ('k1'::regclass, 'k2'::regclass, 'k3'::regclass)
$$;

-- Must be what is measured.
CREATE PROCEDURE uses(index text, query text) LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP plan := plan || line || E'\n'; END LOOP;
	IF plan !~ ('Index Only Scan (Backward )?using ' || index) THEN RAISE EXCEPTION 'another plan: %', plan; END IF;
END $$;

CREATE PROCEDURE build(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	s text;
	k record;
BEGIN
	FOR round IN 1 .. rounds LOOP
		FOR k IN SELECT * FROM (VALUES ('k1', 'tenant, at'), ('k2', 'u, seq'), ('k3', 'a, b, c')) v (name, columns) LOOP
			FOREACH s IN ARRAY CASE WHEN round % 2 = 1 THEN '{btree,alex}' ELSE '{alex,btree}' END::text[] LOOP
				EXECUTE format('DROP INDEX IF EXISTS %I', k.name || '_' || s);
				CALL timed(upper(k.name), 'CREATE INDEX, ms', s, round, format('CREATE INDEX %I ON %I USING %I (%s)', k.name || '_' || s, k.name, s, k.columns));
				COMMIT;
			END LOOP;
		END LOOP;
	END LOOP;
	INSERT INTO figure SELECT upper(substr(relname, 1, 2)), 'size, kB', substr(relname, 4), 1, pg_relation_size(oid) / 1024.0
		FROM pg_class WHERE relname ~ '^k[123]_';
END $$;

CREATE PROCEDURE probe(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	s text;
	q record;
BEGIN
	FOR round IN 0 .. rounds LOOP
		FOREACH s IN ARRAY CASE WHEN round % 2 = 1 THEN '{btree,alex}' ELSE '{alex,btree}' END::text[] LOOP
			CALL shown(s);
			COMMIT;
			FOR q IN SELECT * FROM (VALUES
				('K1', 'last 100 of a tenant, index-only, ms', 'k1', 'SELECT sum(n) FROM tenants p, LATERAL (SELECT count(at) AS n FROM (SELECT at FROM k1 WHERE k1.tenant = p.tenant ORDER BY at DESC LIMIT 100) x) y'),
				('K2', 'probes of one key, index-only, ms', 'k2', 'SELECT count(*) FROM users JOIN k2 USING (u, seq)'),
				('K3', 'prefix of two columns, index-only, ms', 'k3', 'SELECT count(*) FROM pairs JOIN k3 USING (a, b)'),
				('K5', 'b = const without the first column, ms', 'k3', 'SELECT count(*) FROM k3 WHERE b = 50')) v (goal, what, name, query) LOOP
				CALL uses(q.name || '_' || s, q.query);
				-- the first round warms up
				IF round > 0 THEN CALL timed(q.goal, q.what, s, round, q.query); ELSE EXECUTE q.query; END IF;
				COMMIT;
			END LOOP;
		END LOOP;
	END LOOP;
END $$;

CALL build(:rounds);
VACUUM (ANALYZE) k1, k2, k3;
ANALYZE tenants, users, pairs;
SET max_parallel_workers_per_gather = 0;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_bitmapscan = off;
SET enable_memoize = off;
SET enable_material = off;
SET enable_seqscan = off;
CALL probe(:rounds);
UPDATE pg_index SET indisvalid = true WHERE NOT indisvalid;

-- How many times better alex is: the median of the rounds, and their range.
\pset footer off
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only on
\echo '| | what | btree | alex | ratio | goal |'
\echo '|---|---|--:|--:|--:|--:|'
SELECT '| ' || goal AS goal, what, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY b.value)::numeric, 1) AS btree,
	round(percentile_cont(0.5) WITHIN GROUP (ORDER BY a.value)::numeric, 1) AS alex,
	format('**%s** (%s-%s)', round(percentile_cont(0.5) WITHIN GROUP (ORDER BY b.value / a.value)::numeric, 2),
		   round(min(b.value / a.value)::numeric, 2), round(max(b.value / a.value)::numeric, 2)) AS ratio,
	'>= ' || min(wanted) || ' |' AS wanted
FROM figure b JOIN figure a USING (goal, what, round)
JOIN (VALUES ('K1', 'size', 3), ('K1', 'CREATE', 3), ('K1', 'last', 2), ('K2', 'size', 2), ('K2', 'CREATE', 2.5), ('K2', 'probes', 3),
	('K3', 'size', 3), ('K3', 'CREATE', 3), ('K3', 'prefix', 2),
	('K5', 'b = const', CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 1.5 ELSE 5 END)) w (goal, starts, wanted)
	USING (goal)
WHERE b.system = 'btree' AND a.system = 'alex' AND what LIKE starts || '%'
GROUP BY goal, what ORDER BY goal, what DESC;
