-- measure.sql - how one thing is measured.
--
-- A work is a statement with %1$s where the system goes: "btree", "alex", or "bare", which is no index at all. Each system
-- has a schema of its own name with the table "t"; its index is called t_btree or t_alex. The systems take turns,
-- all in one session, so that a change of the machine's speed meets all of them.

CREATE TABLE bench.run
(
	data_set text,
	work text,
	system text,
	round int,
	units int8,		-- rows, probes or ranges
	us float8,		-- microseconds, of all units
	wal float8		-- bytes, of all units
);

CREATE TABLE bench.size
(
	data_set text,
	stage text,		-- built, after (random inserts)
	system text,
	bytes int8,
	keys int8
);

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

-- Measures a query through both indexes. "scan" is what its plan must have: the scan, then its condition.
CREATE PROCEDURE bench.queries(data_set text, work text, rounds int, units int8, query text, scan text, condition text)
LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	expected text;
	system text;
BEGIN
	-- This is the warm-up too.
	FOREACH system IN ARRAY '{btree,alex}'::text[] LOOP
		CALL bench.check_plan(format(query, system), format('%s using t_%s on t[^\n]*\n *Index Cond: \(%s\)', scan, system, condition));
	END LOOP;
	FOR round IN 1 .. rounds LOOP
		FOREACH system IN ARRAY '{btree,alex}'::text[] LOOP
			answer := bench.timed(data_set, work, system, round, units, format(query, system));
			IF answer <> expected THEN
				RAISE EXCEPTION '%, %: % answers %, expected was %', data_set, work, system, answer, expected;
			END IF;
			expected := answer;
			COMMIT;
		END LOOP;
	END LOOP;
END
$$;

-- Probes for the keys in "keys": for each of them the executor asks the index once.
CREATE PROCEDURE bench.probes(set_name text, work text, rounds int, keys text)
LANGUAGE plpgsql AS $$
DECLARE
	units int8;
	query text;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', keys) INTO units;
	IF (SELECT repeated FROM bench.data_set WHERE name = set_name) THEN
		query := 'SELECT count(*) FROM %s p WHERE EXISTS (SELECT FROM %%1$s.t WHERE t.k = p.k)';
	ELSE
		query := 'SELECT count(*) FROM %s p JOIN %%1$s.t ON t.k = p.k';
	END IF;
	CALL bench.queries(set_name, work, rounds, units, format(query, keys), 'Nested Loop.*Index Only Scan', 'k = p\.k');
END
$$;

-- Ranges of 100 keys, from each key in "keys" on; the 100th is what the query looks at.
CREATE PROCEDURE bench.ranges(set_name text, rounds int, keys text)
LANGUAGE plpgsql AS $$
DECLARE
	units int8;
	query text := format('SELECT count(r.k) FROM %s p,
		LATERAL (SELECT k FROM %%%%1$s.t WHERE t.k %%s p.k ORDER BY t.k %%s OFFSET 99 LIMIT 1) r', keys);
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', keys) INTO units;
	CALL bench.queries(set_name, 'range_forward', rounds, units, format(query, '>=', 'ASC'), 'Index Only Scan', 'k >= p\.k');
	CALL bench.queries(set_name, 'range_backward', rounds, units, format(query, '<=', 'DESC'), 'Index Only Scan Backward', 'k <= p\.k');
END
$$;

-- CREATE INDEX, by both on the same table.
CREATE PROCEDURE bench.builds(data_set text, rounds int, n int8)
LANGUAGE plpgsql AS $$
DECLARE
	system text;
BEGIN
	FOR round IN 1 .. rounds LOOP
		FOREACH system IN ARRAY '{btree,alex}'::text[] LOOP
			PERFORM bench.timed(data_set, 'build', system, round, n, format('CREATE INDEX t_bare ON bare.t USING %s (k)', system));
			DROP INDEX bare.t_bare;
			COMMIT;
		END LOOP;
	END LOOP;
END
$$;

-- Inserts the rows of the tables source.WORK_1, source.WORK_2 ..., a table in every round.
CREATE PROCEDURE bench.inserts(data_set text, work text, rounds int)
LANGUAGE plpgsql AS $$
DECLARE
	source text;
	system text;
	units int8;
BEGIN
	FOR round IN 1 .. rounds LOOP
		source := format('source.%s_%s', work, round);
		EXECUTE format('SELECT count(*) FROM %s', source) INTO units;
		FOREACH system IN ARRAY '{bare,btree,alex}'::text[] LOOP
			PERFORM bench.timed(data_set, work, system, round, units, format('INSERT INTO %s.t SELECT * FROM %s', system, source));
			COMMIT;
		END LOOP;
	END LOOP;
END
$$;

CREATE PROCEDURE bench.sizes(data_set text, stage text)
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO bench.size
		SELECT data_set, stage, system, pg_relation_size(format('%1$s.t_%1$s', system)::regclass), (SELECT count(*) FROM bare.t)
		FROM unnest('{btree,alex}'::text[]) system;
END
$$;
