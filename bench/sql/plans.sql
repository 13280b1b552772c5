-- plans.sql - measures the plans a query can have, and judges the one the planner takes. See bench/plans.

CREATE SCHEMA plans;

-- One way to run one query on one system's table.
CREATE TABLE plans.timing (
	system text,
	keys text,					-- how the keys lie in the table
	rows int,
	query text,
	part float8,				-- of the table
	way text,					-- which plans were allowed
	plan text,
	ms float8					-- the least of some runs
);

-- The plan the planner takes with some setting, beside those above.
CREATE TABLE plans.choice (LIKE plans.timing, page_cost float8);

CREATE FUNCTION plans.shape(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	shape text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || q LOOP
		-- 18 says which nodes the settings advised against
		IF line !~ 'Disabled:' THEN shape := shape || line || E'\n'; END IF;
	END LOOP;
	RETURN shape;
END $$;

-- Processor time of this backend, as of the last tick, in milliseconds.
CREATE FUNCTION plans.processor_ms() RETURNS float8 LANGUAGE sql AS $$
	SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::float8 / 1e6
$$;

-- Milliseconds a run takes, without planning. Of short ones the least time counts; long ones are interrupted on a busy machine, so that for
-- them it is the processor time of many.
CREATE FUNCTION plans.run(q text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	explained json;
	ms float8;
	least_ms float8;
	began float8 := plans.processor_ms();
	spent float8 := 0;
	runs int := 0;
BEGIN
	WHILE runs < 3 OR runs < 30 AND spent < 100 LOOP
		EXECUTE 'EXPLAIN (ANALYZE, TIMING off, BUFFERS off, FORMAT json) ' || q INTO explained;
		ms := (explained->0->>'Execution Time')::float8;
		least_ms := least(least_ms, ms);
		runs := runs + 1;
		spent := plans.processor_ms() - began;
	END LOOP;
	RETURN CASE WHEN spent < 100 THEN least_ms ELSE least(least_ms, spent / runs) END;
END $$;

-- Only some kinds of nodes, or all: SQL that sets it.
CREATE FUNCTION plans.allow(way text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	kind text;
	kinds text[] := '{seqscan,indexscan,indexonlyscan,bitmapscan,hashjoin,mergejoin,nestloop}';
	off text[] := CASE way
		WHEN 'seq' THEN '{indexscan,indexonlyscan,bitmapscan}'
		WHEN 'index' THEN '{seqscan,bitmapscan}'
		WHEN 'bitmap' THEN '{seqscan,indexscan,indexonlyscan}'
		WHEN 'hash' THEN '{mergejoin,nestloop}'
		WHEN 'merge' THEN '{hashjoin,nestloop}'
		WHEN 'nested loop' THEN '{hashjoin,mergejoin}'
		ELSE '{}' END;
BEGIN
	FOREACH kind IN ARRAY kinds LOOP
		PERFORM set_config('enable_' || kind, CASE WHEN kind = ANY (off) THEN 'off' ELSE 'on' END, false);
	END LOOP;
END $$;

-- The queries. Ranges begin at a random key; the rows of joins are chosen at random.
CREATE FUNCTION plans.queries(keys text, rows int)
RETURNS TABLE (query text, part float8, ways text[], statement text) LANGUAGE plpgsql AS $$
DECLARE
	t text := format('%s_%s', keys, rows);
	p text := format('source.probe_%s_%s', keys, rows);
	low int8;
	high int8;
	n int;
BEGIN
	FOREACH part IN ARRAY '{0.0001,0.001,0.003,0.01,0.03,0.1,0.3,1}'::float8[] LOOP
		n := round(part * rows);
		CONTINUE WHEN n < 1;
		EXECUTE format('SELECT min(k), max(k) FROM (SELECT k FROM source.%I ORDER BY k LIMIT %s OFFSET %s) s', t, n, (rows - n) / 3)
			INTO low, high;
		ways := '{seq,index,bitmap}';
		query := 'range, with the rows';
		statement := format('SELECT sum(x) FROM %I WHERE k BETWEEN %s AND %s', t, low, high);
		RETURN NEXT;
		query := 'range, index-only';
		statement := format('SELECT count(*) FROM %I WHERE k BETWEEN %s AND %s', t, low, high);
		RETURN NEXT;
		query := 'range in order';
		statement := format('SELECT sum(x) FROM (SELECT x FROM %I WHERE k BETWEEN %s AND %s ORDER BY k OFFSET 0) s', t, low, high);
		RETURN NEXT;
		ways := '{hash,merge,nested loop}';
		query := 'join, with the rows';
		statement := format('SELECT sum(t.x) FROM %s_%s p JOIN %I t ON t.k = p.k', p, n, t);
		RETURN NEXT;
		query := 'semi join, index-only';
		statement := format('SELECT count(*) FROM %s_%s p WHERE EXISTS (SELECT FROM %I t WHERE t.k = p.k)', p, n, t);
		RETURN NEXT;
	END LOOP;
END $$;

CREATE PROCEDURE plans.make(keys text, rows int) LANGUAGE plpgsql AS $$
DECLARE
	t text := format('%s_%s', keys, rows);
	part float8;
	system text;
BEGIN
	EXECUTE format('CREATE TABLE source.%I AS SELECT CASE WHEN %L THEN i ELSE hashint8extended(i, 1) END AS k FROM generate_series(1, %s::int8) i',
				   t, keys = 'serial', rows);
	FOREACH part IN ARRAY '{0.0001,0.001,0.003,0.01,0.03,0.1,0.3,1}'::float8[] LOOP
		CONTINUE WHEN round(part * rows) < 1;
		EXECUTE format('CREATE TABLE source.probe_%s_%s AS SELECT k FROM source.%I ORDER BY hashint8extended(k, 2) LIMIT %2$s',
					   t, round(part * rows), t);
	END LOOP;
	FOREACH system IN ARRAY '{btree,alex}'::text[] LOOP
		EXECUTE format('CREATE TABLE %I.%I (k int8 NOT NULL, x int4 NOT NULL, v char(80) NOT NULL)', system, t);
		EXECUTE format('INSERT INTO %I.%I SELECT k, 1, '''' FROM source.%2$I', system, t);
		EXECUTE format('CREATE UNIQUE INDEX ON %I.%I USING %1$I (k)', system, t);
	END LOOP;
END $$;

-- Systems in turns, query by query.
CREATE PROCEDURE plans.measure(keys text, rows int) LANGUAGE plpgsql AS $$
DECLARE
	q record;
	system text;
	way text;
BEGIN
	FOR q IN SELECT * FROM plans.queries(keys, rows) LOOP
		FOREACH system IN ARRAY '{btree,alex}'::text[] LOOP
			PERFORM set_config('search_path', system, false);
			FOREACH way IN ARRAY q.ways LOOP
				PERFORM plans.allow(way);
				INSERT INTO plans.timing
					VALUES (system, keys, rows, q.query, q.part, way, plans.shape(q.statement), plans.run(q.statement));
			END LOOP;
			PERFORM plans.allow('all');
		END LOOP;
		COMMIT;
	END LOOP;
END $$;

-- What the planner takes. A plan that was measured above is not measured again: so what differs is the choice, not the noise.
CREATE PROCEDURE plans.choose(keys text, rows int) LANGUAGE plpgsql AS $$
DECLARE
	q record;
	sys text;
	cost float8;
	taken text;
	known record;
BEGIN
	FOREACH cost IN ARRAY '{4,1.1}'::float8[] LOOP
		PERFORM set_config('random_page_cost', cost::text, false);
		FOR q IN SELECT * FROM plans.queries(keys, rows) LOOP
			FOREACH sys IN ARRAY '{btree,alex}'::text[] LOOP
				PERFORM set_config('search_path', sys, false);
				taken := plans.shape(q.statement);
				SELECT t.way, t.ms INTO known FROM plans.timing t
					WHERE (t.system, t.keys, t.rows, t.query, t.part, t.plan) = (sys, choose.keys, choose.rows, q.query, q.part, taken)
					ORDER BY ms LIMIT 1;
				IF NOT FOUND THEN
					SELECT 'other' AS way, plans.run(q.statement) AS ms INTO known;
					INSERT INTO plans.timing VALUES (sys, keys, rows, q.query, q.part, known.way, taken, known.ms);
				END IF;
				INSERT INTO plans.choice VALUES (sys, keys, rows, q.query, q.part, known.way, taken, known.ms, cost);
			END LOOP;
			COMMIT;
		END LOOP;
	END LOOP;
	RESET random_page_cost;
END $$;

-- Choices beside the best plan of the same query and system. A misjudgement takes a quarter and ten microseconds longer, at least.
CREATE VIEW plans.judged AS
	SELECT c.*, best.way AS best_way, best.ms AS best_ms, c.ms / best.ms AS loss, c.ms > 1.25 * best.ms + 0.01 AS misjudged
	FROM plans.choice c, LATERAL (
		SELECT t.way, t.ms FROM plans.timing t
		WHERE (t.system, t.keys, t.rows, t.query, t.part) = (c.system, c.keys, c.rows, c.query, c.part)
		ORDER BY t.ms LIMIT 1) best;
