-- measure.sql - how one thing is measured.
--
-- A work is a statement with %1$s where the system goes: "btree", "alex", or "bare", which is no index at all; in bench/goals
-- also "alex_omen", an alex index of an omen table, and "sqlite". Each system has a schema of its own name with the table "t";
-- its index is called t_SYSTEM. The systems take turns, all in one session, so that a change of the machine's speed
-- meets all of them.

CREATE TABLE bench.run
(
	data_set text,
	work text,
	system text,
	round int,
	units int8,		-- rows, probes, ranges or transactions
	us float8,		-- microseconds, of all units
	wal float8		-- bytes, of all units
);

-- What is not a time.
CREATE TABLE bench.figure
(
	data_set text,
	measure text,
	system text,
	round int,
	value float8
);

CREATE TABLE bench.size
(
	data_set text,
	stage text,		-- built, after (random inserts)
	system text,
	bytes int8,
	keys int8
);

-- Every other round goes the other way round, so that no system always runs first.
CREATE FUNCTION bench.turns(systems text[], round int) RETURNS text[] IMMUTABLE
	RETURN CASE WHEN round % 2 = 1 THEN systems
		ELSE (SELECT array_agg(system ORDER BY place DESC) FROM unnest(systems) WITH ORDINALITY s (system, place)) END;

-- Runs a statement and notes how long it took and how much WAL it wrote. Returns what a SELECT returns.
CREATE FUNCTION bench.timed(data_set text, work text, system text, round int, units int8, statement text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	lsn pg_lsn := pg_current_wal_insert_lsn();
	start timestamptz := clock_timestamp();
	us float8;
BEGIN
	IF starts_with(statement, 'SELECT') THEN
		EXECUTE statement INTO answer;
	ELSE
		EXECUTE statement;
	END IF;
	us := extract(epoch FROM clock_timestamp() - start) * 1e6;
	INSERT INTO bench.run VALUES (data_set, work, system, round, units, us, pg_current_wal_insert_lsn() - lsn);
	RETURN answer;
END
$$;

-- Runs a query and stops unless its plan matches the regular expression and never looks into the table.
CREATE PROCEDURE bench.check_plan(query text, expected text)
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	IF plan !~ expected THEN
		RAISE EXCEPTION E'the plan is not the one to measure (%):\n%', expected, plan;
	END IF;
	IF plan ~ 'Heap Fetches: [1-9]' THEN
		RAISE EXCEPTION E'an index-only scan reads the table:\n%', plan;
	END IF;
END
$$;

-- Runs a query in SQLite, on the file and with the program that bench/goals names in settings: once to fill SQLite's cache, once
-- to be timed, by its own clock.
CREATE FUNCTION bench.sqlite(data_set text, work text, round int, units int8, query text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers text[];
	plan text;
	seconds float8;
BEGIN
	CREATE TEMP TABLE IF NOT EXISTS sqlite_says (place serial, line text);
	TRUNCATE sqlite_says;
	query := replace(query, 'source.', '');
	EXECUTE format('COPY sqlite_says (line) FROM PROGRAM %L',
		format('printf "%%s\n" "PRAGMA cache_size = -8000000;" "EXPLAIN QUERY PLAN %1$s;" "%1$s;" ".timer on" "%1$s;" | sqlite3 -batch %2$s 2>&1',
			query, current_setting('bench.sqlite_file')));
	SELECT string_agg(line, E'\n' ORDER BY place) INTO plan FROM sqlite_says;
	SELECT array_agg(line ORDER BY place) FILTER (WHERE line ~ '^[0-9]+$'),
		max(substring(line FROM '^Run Time: real ([0-9.]+)')::float8)
		INTO answers, seconds FROM sqlite_says;
	IF array_length(answers, 1) IS DISTINCT FROM 2 OR answers[1] <> answers[2] OR seconds IS NULL
		OR plan !~ 'SCAN p.*SEARCH main.t USING INTEGER PRIMARY KEY' THEN
		RAISE EXCEPTION E'this is not what SQLite should say:\n%', plan;
	END IF;
	INSERT INTO bench.run VALUES (data_set, work, 'sqlite', round, units, seconds * 1e6, 0);
	RETURN answers[1];
END
$$;

-- Measures a query through several indexes. "scan" is what its plan must have: the scan, then its condition.
CREATE PROCEDURE bench.queries(data_set text, work text, rounds int, units int8, query text, scan text, condition text,
	systems text[] DEFAULT '{btree,alex}')
LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	expected text;
	system text;
BEGIN
	-- This is the warm-up too.
	FOREACH system IN ARRAY array_remove(systems, 'sqlite') LOOP
		CALL bench.check_plan(format(query, system), format('%s using t_%s on t[^\n]*\n *Index Cond: \(%s\)', scan, system, condition));
	END LOOP;
	FOR round IN 1 .. rounds LOOP
		FOREACH system IN ARRAY bench.turns(systems, round) LOOP
			IF system = 'sqlite' THEN
				answer := bench.sqlite(data_set, work, round, units, format(query, 'main'));
			ELSE
				answer := bench.timed(data_set, work, system, round, units, format(query, system));
			END IF;
			IF answer <> expected THEN
				RAISE EXCEPTION '%, %: % answers %, expected was %', data_set, work, system, answer, expected;
			END IF;
			expected := answer;
			COMMIT;
		END LOOP;
	END LOOP;
END
$$;

-- Probes for the keys in "keys": for each of them the executor asks the index once, and with "with_rows" the table.
CREATE PROCEDURE bench.probes(set_name text, work text, rounds int, keys text, with_rows bool DEFAULT false,
	systems text[] DEFAULT '{btree,alex}')
LANGUAGE plpgsql AS $$
DECLARE
	units int8;
	query text;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', keys) INTO units;
	IF (SELECT repeated FROM bench.data_set WHERE name = set_name) THEN
		query := 'SELECT count(*) FROM %s p WHERE EXISTS (SELECT FROM %%1$s.t WHERE t.k = p.k)';
	ELSIF with_rows THEN
		query := 'SELECT sum(t.v) FROM %s p JOIN %%1$s.t ON t.k = p.k';
	ELSE
		query := 'SELECT count(*) FROM %s p JOIN %%1$s.t ON t.k = p.k';
	END IF;
	CALL bench.queries(set_name, work, rounds, units, format(query, keys),
		CASE WHEN with_rows THEN 'Nested Loop.*Index Scan' ELSE 'Nested Loop.*Index Only Scan' END, 'k = p\.k', systems);
END
$$;

-- Ranges of so many keys, from each key in "keys" on; the last is what the query looks at: its key or, with "with_rows", its row.
CREATE PROCEDURE bench.ranges(set_name text, work text, rounds int, keys text, length int DEFAULT 100, with_rows bool DEFAULT false)
LANGUAGE plpgsql AS $$
DECLARE
	units int8;
	query text := format('SELECT %s FROM %s p,
		LATERAL (SELECT %s AS x FROM %%%%1$s.t WHERE t.k %%s p.k ORDER BY t.k %%s OFFSET %s LIMIT 1) r',
		CASE WHEN with_rows THEN 'sum(x)' ELSE 'count(x)' END, keys, CASE WHEN with_rows THEN 'v' ELSE 'k' END, length - 1);
	scan text := CASE WHEN with_rows THEN 'Index Scan' ELSE 'Index Only Scan' END;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', keys) INTO units;
	CALL bench.queries(set_name, work || '_forward', rounds, units, format(query, '>=', 'ASC'), scan, 'k >= p\.k');
	CALL bench.queries(set_name, work || '_backward', rounds, units, format(query, '<=', 'DESC'), scan || ' Backward', 'k <= p\.k');
END
$$;

-- CREATE INDEX, by both on the same table, with so many parallel workers allowed.
CREATE PROCEDURE bench.builds(data_set text, work text, rounds int, on_table text, workers int DEFAULT 0)
LANGUAGE plpgsql AS $$
DECLARE
	system text;
	units int8;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', on_table) INTO units;
	PERFORM set_config('max_parallel_maintenance_workers', workers::text, false);
	FOR round IN 1 .. rounds LOOP
		FOREACH system IN ARRAY bench.turns('{btree,alex}', round) LOOP
			EXECUTE 'CHECKPOINT';
			PERFORM bench.timed(data_set, work, system, round, units, format('CREATE INDEX t_built ON %s USING %s (k)', on_table, system));
			EXECUTE format('DROP INDEX %s.t_built', split_part(on_table, '.', 1));
			COMMIT;
		END LOOP;
	END LOOP;
	PERFORM set_config('max_parallel_maintenance_workers', '0', false);
END
$$;

-- Runs a statement that inserts the rows of the table %2$s, which is source.insert_1, source.insert_2 ... in turn, a table in
-- every round.
CREATE PROCEDURE bench.inserts(data_set text, work text, rounds int, statement text DEFAULT 'INSERT INTO %1$s.t SELECT * FROM %2$s')
LANGUAGE plpgsql AS $$
DECLARE
	source text;
	system text;
	units int8;
BEGIN
	FOR round IN 1 .. rounds LOOP
		source := format('source.insert_%s', round);
		EXECUTE format('SELECT count(*) FROM %s', source) INTO units;
		EXECUTE 'CHECKPOINT';
		FOREACH system IN ARRAY bench.turns('{bare,btree,alex}', round) LOOP
			PERFORM bench.timed(data_set, work, system, round, units, format(statement, system, source));
			COMMIT;
		END LOOP;
	END LOOP;
END
$$;

-- Makes the tables source.insert_N of so many rounds: "late" rows at random places, or the next ones in sequence, draws
-- "first" to "last" in both cases.
CREATE PROCEDURE bench.generate_inserts(set_name text, n int8, rounds int, first int8, last int8, late bool)
LANGUAGE plpgsql AS $$
BEGIN
	FOR round IN 1 .. rounds LOOP
		EXECUTE format('DROP TABLE IF EXISTS source.insert_%s', round);
		CALL bench.generate(format('source.insert_%s', round), set_name, n,
			first + (last - first + 1) * (round - 1) / rounds, first - 1 + (last - first + 1) * round / rounds, late);
	END LOOP;
END
$$;

-- Sizes of the indexes "NAME_btree" and "NAME_alex", for a format with one place for the system.
CREATE PROCEDURE bench.sizes(data_set text, stage text, index_name text, keys int8)
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO bench.size
		SELECT data_set, stage, system, pg_relation_size(format(index_name, system)::regclass), keys
		FROM unnest('{btree,alex}'::text[]) system;
END
$$;
