-- goals.sql - the goals, what bench/goals measures beyond measure.sql, and its report. psql variable: cores.

-- ---- the goals ----

-- A line of the final table. What is compared with the goal is the ratio or value "system" of a measure (report.sql); it is
-- reached when it is at least, or with "most" at most, what is wanted. Lines without a goal are shown as details only.
CREATE TABLE bench.aim
(
	place serial PRIMARY KEY,
	goal text NOT NULL,
	work text NOT NULL,
	data_set text NOT NULL,
	measure text NOT NULL,
	system text NOT NULL DEFAULT 'btree/alex',
	wanted float8,
	most bool NOT NULL DEFAULT false
);

INSERT INTO bench.aim (goal, work, data_set, measure, system, wanted, most) VALUES
	('P1', 'random probes, index-only: nbtree', 'random', 'probe_us', 'btree/alex', 6, false),
	('P1', 'the same: SQLite', 'random', 'probe_us', 'sqlite/alex', 1.8, false),
	('P2', 'random probes with the row', 'random', 'fetch_us', 'btree/alex', 3, false),
	('P2', 'the same, alex on omen', 'random', 'fetch_us', 'btree/alex_omen', 3.5, false),
	('P2', 'the same: SQLite', 'random', 'fetch_us', 'sqlite/alex', NULL, false),
	('P3', 'pgbench -S -M prepared, 1 client', 'accounts', 'select_1_us', 'btree/alex', 1, false),
	('P3', format('pgbench -S -M prepared, %s clients', :cores), 'accounts', 'select_cores_us', 'btree/alex', 1, false),
	('P3', format('pgbench -S -M prepared, %s clients', 2 * :cores), 'accounts', 'select_2cores_us', 'btree/alex', 1, false),
	('P4', 'ranges of 100, index-only, forward', 'random', 'range_100_forward_us', 'btree/alex', 2, false),
	('P4', 'ranges of 100, index-only, backward', 'random', 'range_100_backward_us', 'btree/alex', 2, false),
	('P4', 'ranges of 10,000, index-only, forward', 'random', 'range_10000_forward_us', 'btree/alex', 2, false),
	('P4', 'ranges of 10,000, index-only, backward', 'random', 'range_10000_backward_us', 'btree/alex', 2, false),
	('P4', 'ranges of 100 with the rows, forward', 'random', 'range_fetch_100_forward_us', 'btree/alex', 1.3, false),
	('P4', 'ranges of 100 with the rows, backward', 'random', 'range_fetch_100_backward_us', 'btree/alex', 1.3, false),
	('P4', 'ranges of 10,000 with the rows, forward', 'random', 'range_fetch_10000_forward_us', 'btree/alex', 1.3, false),
	('P4', 'ranges of 10,000 with the rows, backward', 'random', 'range_fetch_10000_backward_us', 'btree/alex', 1.3, false),
	('P5', 'CREATE INDEX, serial', 'random', 'build_s', 'btree/alex', 4, false),
	('P5', 'CREATE INDEX, default parallel workers', 'random', 'build_parallel_s', 'btree/alex', 2.5, false),
	('P6', 'INSERT SELECT, random keys: time', 'random', 'insert_select_index_us', 'btree/alex', 2, false),
	('P6', 'INSERT SELECT, random keys: WAL', 'random', 'insert_select_index_wal', 'btree/alex', 1, false),
	('P6', 'COPY, random keys: time', 'random', 'insert_copy_index_us', 'btree/alex', 2, false),
	('P6', 'COPY, random keys: WAL', 'random', 'insert_copy_index_wal', 'btree/alex', 1, false),
	('P6', 'single-row INSERTs, random keys: time', 'random', 'insert_single_index_us', 'btree/alex', 2, false),
	('P6', 'single-row INSERTs, random keys: WAL', 'random', 'insert_single_index_wal', 'btree/alex', 1, false),
	('P6', 'INSERT SELECT, in sequence: time', 'bigserial', 'insert_select_index_us', 'btree/alex', 1.25, false),
	('P6', 'INSERT SELECT, in sequence: WAL', 'bigserial', 'insert_select_index_wal', 'btree/alex', 1, false),
	('P6', 'COPY, in sequence: time', 'bigserial', 'insert_copy_index_us', 'btree/alex', 1.25, false),
	('P6', 'COPY, in sequence: WAL', 'bigserial', 'insert_copy_index_wal', 'btree/alex', 1, false),
	('P6', 'single-row INSERTs, in sequence: time', 'bigserial', 'insert_single_index_us', 'btree/alex', 1.25, false),
	('P6', 'single-row INSERTs, in sequence: WAL', 'bigserial', 'insert_single_index_wal', 'btree/alex', 1, false),
	('P7', 'size: bigserial, rows of fixed width', 'bigserial', 'built_bytes', 'btree/alex', 100, false),
	('P7', 'size: bigserial, rows of varying width', 'bigserial_varying', 'built_bytes', 'btree/alex', 30, false),
	('P7', 'size: timestamps with jitter', 'timestamp', 'built_bytes', 'btree/alex', 12, false),
	('P7', 'size: random int8', 'random', 'built_bytes', 'btree/alex', 2.45, false),
	('P7', 'size: 1000 distinct values', 'distinct1000', 'built_bytes', 'btree/alex', 2.5, false),
	('P7', 'size: lognormal', 'lognormal', 'built_bytes', 'btree/alex', NULL, false),
	('P7', 'size: zipf', 'zipf', 'built_bytes', 'btree/alex', NULL, false),
	('P7', 'size: clustered', 'clustered', 'built_bytes', 'btree/alex', NULL, false),
	('P7', 'size: piecewise', 'piecewise', 'built_bytes', 'btree/alex', NULL, false),
	('P7', 'size: uuid4', 'uuid4', 'built_bytes', 'btree/alex', NULL, false),
	('P7', 'size: uuid7', 'uuid7', 'built_bytes', 'btree/alex', NULL, false),
	('P8', 'after random inserts: size', 'random', 'after_bytes', 'btree/alex', 2, false),
	('P8', 'after random inserts: probes', 'random', 'probe_after_us', 'btree/alex', 4, false),
	('P9', 'blocks read per probe of an index larger than shared buffers', 'random', 'reads_a_probe', 'alex', 1, true),
	('P9', 'the same: time', 'random', 'probe_cold_us', 'btree/alex', NULL, false),
	('R', 'rows of a range read from disk, effective_io_concurrency 1', 'random', 'disk_1_us', 'btree/alex', NULL, false),
	('R', 'the same, effective_io_concurrency 16', 'random', 'disk_16_us', 'btree/alex', NULL, false),
	('P10', 'backend memory after probes: alex''s contexts, MB', 'random', 'contexts_mb', 'alex', 8, true),
	('P10', 'the same: all contexts, more than with nbtree, MB', 'random', 'more_memory_mb', 'alex', 8, true),
	('V', 'VACUUM of a tenth, random keys: time', 'random', 'vacuum_index_us', 'btree/alex', 1, false),
	('V', 'the same: WAL', 'random', 'vacuum_index_wal', 'btree/alex', NULL, false),
	('V', 'the same, with the table: time', 'random', 'vacuum_us', 'btree/alex', NULL, false),
	('V', 'VACUUM with nothing to delete, random keys, with the table: time', 'random', 'clean_vacuum_us', 'btree/alex', NULL, false),
	('V', 'VACUUM of a tenth, bigserial: time', 'bigserial', 'vacuum_index_us', 'btree/alex', 1, false),
	('V', 'the same: WAL', 'bigserial', 'vacuum_index_wal', 'btree/alex', NULL, false),
	('V', 'the same, with the table: time', 'bigserial', 'vacuum_us', 'btree/alex', NULL, false),
	('V', 'VACUUM with nothing to delete, bigserial, with the table: time', 'bigserial', 'clean_vacuum_us', 'btree/alex', NULL, false);

-- YCSB's mixes, with the number of clients.
INSERT INTO bench.aim (goal, work, data_set, measure, wanted)
	SELECT 'P11', format('YCSB %s, %s, %s client%s', mix, what, clients, CASE clients WHEN 1 THEN '' ELSE 's' END), 'ycsb',
		format('%s_c%s_us', mix, clients), 1
	FROM (VALUES ('A', 'reads and updates'), ('B', 'reads, 5 % updates'), ('C', 'reads'), ('D', 'latest rows, 5 % inserts'),
			('E', 'short ranges, 5 % inserts'), ('F', 'reads and read-modify-writes')) m (mix, what),
		unnest('{1,4}'::int[]) clients
	ORDER BY clients, mix;

-- How two of them scale. More is better, so here the ratio is alex's divided by nbtree's.
INSERT INTO bench.aim (goal, work, data_set, measure, system, wanted)
	SELECT 'S', format('YCSB %s, %s, %s client%s: %s', mix, what, clients, CASE clients WHEN 1 THEN '' ELSE 's' END, figure),
		'scaling', format('%s_c%s_%s', mix, clients, measure), 'alex/btree', wanted
	FROM (VALUES ('A', 'reads and updates'), ('F', 'reads and read-modify-writes')) m (mix, what), unnest('{1,2,8}'::int[]) clients,
		(VALUES ('transactions a second', 'tps', NULL), ('scaling', 'scaling', 1)) f (figure, measure, wanted)
	WHERE clients > 1 OR measure = 'tps'
	ORDER BY mix, measure DESC, clients;

-- ---- what measure.sql does not measure ----

-- Probes, counting the blocks of the index that had to be read.
CREATE PROCEDURE bench.reads(rounds int, keys text)
LANGUAGE plpgsql AS $$
DECLARE
	system text;
	index_oid oid;
	probes int8;
	before int8;
	query text := format('SELECT count(*) FROM %s p JOIN %%1$s.t ON t.k = p.k', keys);
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', keys) INTO probes;
	FOR round IN 1 .. rounds LOOP
		FOREACH system IN ARRAY bench.turns('{btree,alex}', round) LOOP
			index_oid := format('%1$s.t_%1$s', system)::regclass;
			IF round = 1 THEN
				CALL bench.check_plan(format(query, system), format('Nested Loop.*Index Only Scan using t_%s', system));
			END IF;
			-- What pg_statio_user_indexes will have as idx_blks_read, but up to date.
			before := pg_stat_get_xact_blocks_fetched(index_oid) - pg_stat_get_xact_blocks_hit(index_oid);
			PERFORM bench.timed('random', 'probe_cold', system, round, probes, format(query, system));
			INSERT INTO bench.figure VALUES ('random', 'reads_a_probe', system, round,
				(pg_stat_get_xact_blocks_fetched(index_oid) - pg_stat_get_xact_blocks_hit(index_oid) - before) / probes::float8);
			COMMIT;
		END LOOP;
	END LOOP;
END
$$;

-- So many rows from a key on, once.
CREATE PROCEDURE bench.cold_range(set_name text, work text, round int, system text, start int8, length int8)
LANGUAGE plpgsql AS $$
DECLARE
	query text := format('SELECT sum(v) FROM (SELECT v FROM %s.t WHERE k >= %s ORDER BY k LIMIT %s) r', system, start, length);
	line text;
	plan text := '';
BEGIN
	-- Planning also reads the catalogs, which are not to be measured.
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	IF plan !~ format('Index Scan using t_%s', system) THEN
		RAISE EXCEPTION E'the plan is not the one to measure:\n%', plan;
	END IF;
	PERFORM bench.timed(set_name, work, system, round, length, query);
END
$$;

-- The memory of this backend while a nested loop over all of "keys" stands before its last row: in contexts of alex,
-- and in all.
CREATE FUNCTION bench.memory(of_system text, keys text, OUT ours int8, OUT everything int8) LANGUAGE plpgsql AS $$
DECLARE
	probes int8;
	answer record;
	loop_over refcursor;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', keys) INTO probes;
	CALL bench.check_plan(format('SELECT t.k FROM %s p JOIN %s.t ON t.k = p.k', keys, of_system),
		format('Nested Loop.*Index Only Scan using t_%s', of_system));
	PERFORM set_config('cursor_tuple_fraction', '1', true);
	OPEN loop_over FOR EXECUTE format('SELECT t.k FROM %s p JOIN %s.t ON t.k = p.k', keys, of_system);
	MOVE FORWARD probes - 2 IN loop_over;
	FETCH loop_over INTO answer;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the nested loop ended early';
	END IF;
	-- What lies in a context is compared with other sessions; what it took from the system comes in large steps.
	SELECT coalesce(sum(total_bytes) FILTER (WHERE name LIKE 'alex%'), 0), sum(used_bytes) INTO ours, everything
	FROM pg_backend_memory_contexts;
	CLOSE loop_over;
END
$$;

-- Deletes from all systems' tables those rows of the set that are "round" of "rounds" by chance; says how many.
CREATE FUNCTION bench.delete_part(systems text[], round int, rounds int) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
	system text;
	deleted int8;
	expected int8;
BEGIN
	FOREACH system IN ARRAY systems LOOP
		EXECUTE format('DELETE FROM %s.t WHERE bench.bits(k, 93) %% %s = %s', system, rounds, round - 1);
		GET DIAGNOSTICS deleted = ROW_COUNT;
		IF deleted <> expected OR deleted = 0 THEN
			RAISE EXCEPTION '%: % rows deleted, expected were %', system, deleted, expected;
		END IF;
		expected := deleted;
	END LOOP;
	RETURN deleted;
END
$$;

-- Notes a VACUUM that has just ended; stops if it had to leave dead rows.
CREATE PROCEDURE bench.vacuumed(data_set text, work text, system text, round int, units int8, start timestamptz, lsn pg_lsn)
LANGUAGE plpgsql AS $$
DECLARE
	us float8 := extract(epoch FROM clock_timestamp() - start) * 1e6;
	left_over int8 := pg_stat_get_dead_tuples(format('%s.t', system)::regclass);
BEGIN
	INSERT INTO bench.run VALUES (data_set, work, system, round, units, us, pg_current_wal_insert_lsn() - lsn);
	IF left_over <> 0 THEN
		RAISE EXCEPTION '%, %: VACUUM of % left % dead rows', data_set, work, system, left_over;
	END IF;
END
$$;

-- Transactions a second, how they grow with the number of clients, and both beside nbtree's, from what pgbench did.
CREATE PROCEDURE bench.scaling()
LANGUAGE sql AS $$
	WITH tps AS (SELECT split_part(work, '_', 1) AS mix, work, system, round, units / us * 1e6 AS value
			FROM bench.run WHERE data_set = 'scaling'),
		figure AS (SELECT work || '_tps' AS measure, system, round, value FROM tps
			UNION ALL
			SELECT t.work || '_scaling', t.system, t.round, t.value / one.value FROM tps t JOIN tps one USING (mix, system, round)
			WHERE one.work = mix || '_c1' AND t.work <> one.work)
	INSERT INTO bench.figure
		SELECT 'scaling', measure, system, round, value FROM figure
		UNION ALL
		SELECT 'scaling', measure, 'alex/btree', round, alex.value / btree.value
		FROM figure alex JOIN figure btree USING (measure, round) WHERE alex.system = 'alex' AND btree.system = 'btree'
$$;

-- Spreads 1, 2, 3 ... over all of int8, each to a place of its own. The scripts of pgbench do the same.
CREATE FUNCTION bench.scatter(i int8) RETURNS int8 IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
	SELECT c # (c << 17) FROM (SELECT b # (b >> 7) AS c FROM (SELECT a # (a << 13) AS b FROM (SELECT $1 * 8589934609 AS a) x) y) z
$$;

-- Looks, twenty times a second, what the backends of pgbench wait for.
CREATE TABLE bench.wait (data_set text, work text, system text, round int, active int8, waiting int8, events text);
CREATE PROCEDURE bench.sample_waits(data_set text, work text, system text, round int, seconds float8)
LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + make_interval(secs => seconds);
BEGIN
	WHILE clock_timestamp() < until LOOP
		PERFORM pg_sleep(0.05);
		INSERT INTO bench.wait
			SELECT data_set, work, system, round, count(*), count(*) FILTER (WHERE wait_event_type IN ('Lock', 'LWLock', 'BufferPin', 'Buffer')),
				string_agg(wait_event_type || ':' || wait_event, ' ') FILTER (WHERE wait_event_type IN ('Lock', 'LWLock', 'BufferPin', 'Buffer'))
			FROM pg_stat_activity WHERE application_name = 'pgbench' AND state = 'active';
		COMMIT;
	END LOOP;
END
$$;

-- ---- the report ----

CREATE VIEW bench.outcome AS
	SELECT a.*, s.value, s.least, s.greatest, s.rounds, count(value) OVER (PARTITION BY goal) > 0 AS measured, CASE
		WHEN value IS NULL THEN 'cannot be told'	-- an index's share below zero is noise
		WHEN most AND value <= wanted THEN CASE WHEN greatest <= wanted THEN 'yes' ELSE 'yes, but not in every round' END
		WHEN most THEN CASE WHEN least > wanted THEN 'no' ELSE 'no, but in some rounds' END
		WHEN value >= wanted THEN CASE WHEN least >= wanted THEN 'yes' ELSE 'yes, but not in every round' END
		ELSE CASE WHEN greatest < wanted THEN 'no' ELSE 'no, but in some rounds' END END AS reached
	FROM bench.aim a LEFT JOIN bench.summary s USING (data_set, measure, system);

CREATE FUNCTION bench.goals_report() RETURNS SETOF text LANGUAGE sql STABLE AS $$
	SELECT E'\n## The goals\n\n| goal | work | goal value | measured (min-max) | reached? |\n|---|---|--:|--:|---|'
	UNION ALL
	(SELECT format('| %s | %s | %s %s | %s | %s |', goal, work, CASE WHEN most THEN '<=' ELSE '>=' END, wanted,
		coalesce('**' || bench.digits(value) || '** (' || bench.digits(least) || '-' || bench.digits(greatest) || ')', '-'), reached)
	FROM bench.outcome WHERE wanted IS NOT NULL AND measured ORDER BY place)
	UNION ALL
	SELECT E'\nNot measured: ' || string_agg(goal, ', ' ORDER BY place) FROM
		(SELECT goal, min(place) AS place FROM bench.outcome WHERE NOT measured GROUP BY goal) missing
	HAVING count(*) > 0
	UNION ALL
	SELECT E'\n## In detail\n\n| goal | work | measure | nbtree | alex | alex on omen | SQLite | ratio |\n|---|---|---|--:|--:|--:|--:|--:|'
	UNION ALL
	(SELECT format('| %s | %s | %s | %s |', goal, work, measure, concat_ws(' | ', bench.cell(data_set, measure, 'btree'),
			bench.cell(data_set, measure, 'alex'), bench.cell(data_set, measure, 'alex_omen'), bench.cell(data_set, measure, 'sqlite'),
			CASE WHEN system LIKE '%/%' THEN system || ' **' || bench.cell(data_set, measure, system) || '**' ELSE '-' END))
	FROM bench.outcome WHERE rounds IS NOT NULL ORDER BY place)
	UNION ALL
	SELECT E'\n## What clients waited for\n\nOf the moments looked at, those in which an active backend waited for a lock, a buffer or an LWLock.\n\n' ||
		E'| data set | work | system | active | waiting | most often |\n|---|---|---|--:|--:|---|'
	WHERE EXISTS (SELECT FROM bench.wait)
	UNION ALL
	(SELECT format('| %s | %s | %s | %s | %s %% | %s |', data_set, work, system, sum(active), round(100 * sum(waiting) / greatest(sum(active), 1), 1),
		coalesce((SELECT string_agg(format('%s %s', event, times), ', ' ORDER BY times DESC) FROM
			(SELECT event, count(*) AS times FROM bench.wait e, regexp_split_to_table(e.events, ' ') event
			WHERE (e.data_set, e.work, e.system) = (w.data_set, w.work, w.system) GROUP BY event ORDER BY 2 DESC LIMIT 3) o), '-'))
	FROM bench.wait w GROUP BY data_set, work, system ORDER BY data_set DESC, work, system)
$$;

-- For the plot: label, the figure and its range as shares of the goal; better is further right.
CREATE VIEW bench.plotted AS
	SELECT row_number() OVER (ORDER BY place DESC) AS y, goal || ' ' || work AS label,
		CASE WHEN most THEN wanted / greatest(value, 1e-3) ELSE value / wanted END AS share,
		CASE WHEN most THEN wanted / greatest(greatest, 1e-3) ELSE least / wanted END AS least,
		CASE WHEN most THEN wanted / greatest(least, 1e-3) ELSE greatest / wanted END AS greatest,
		format('%s%s', bench.digits(value), CASE WHEN system LIKE '%/%' THEN 'x' ELSE '' END) AS text
	FROM bench.outcome WHERE wanted IS NOT NULL AND value IS NOT NULL;
