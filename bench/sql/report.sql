-- report.sql - views on what was measured; the report itself is bench.report().
--
-- Every figure is per unit. Rounds of different systems are compared pair by pair, because they ran one after the other.
-- Rounds that repeat the same work give a median. Rounds of inserts and of deletions do not: each finds the index the one
-- before left, and splits come in waves. Their figure is the sum of all rounds, kept here as round 0.

CREATE VIEW bench.run_or_sum AS
	TABLE bench.run
	UNION ALL
	SELECT data_set, work, system, 0, sum(units)::int8, sum(us), sum(wal) FROM bench.run WHERE work ~ '^(insert|vacuum)'
	GROUP BY data_set, work, system;

CREATE VIEW bench.sample AS
	SELECT data_set, CASE WHEN work LIKE 'build%' THEN work || '_s' ELSE work || '_us' END AS measure, system, round,
		CASE WHEN work LIKE 'build%' THEN us / 1e6 ELSE us / units END AS value
	FROM bench.run_or_sum
	UNION ALL
	SELECT data_set, work || '_wal', system, round, wal / units FROM bench.run_or_sum WHERE work ~ '^(insert|vacuum)'
	UNION ALL
	-- the index's share
	SELECT data_set, work || share.name, indexed.system, round, share.value
	FROM bench.run_or_sum indexed JOIN bench.run_or_sum bare USING (data_set, work, round),
		LATERAL (VALUES ('_index_us', (indexed.us - bare.us) / bare.units),
			('_index_wal', (indexed.wal - bare.wal) / bare.units)) share (name, value)
	WHERE bare.system = 'bare' AND indexed.system <> 'bare'
	UNION ALL
	SELECT data_set, stage || figure.name, system, 1, figure.value
	FROM bench.size, LATERAL (VALUES ('_bytes', bytes::float8), ('_bytes_per_key', bytes / keys::float8)) figure (name, value)
	UNION ALL
	SELECT data_set, measure, system, round, value FROM bench.figure;

-- NULL where an index's share is below zero, which is noise.
CREATE VIEW bench.ratio AS
	SELECT data_set, measure, theirs.system || '/' || ours.system AS system, round,
		CASE WHEN theirs.value > 0 AND ours.value > 0 THEN theirs.value / ours.value END AS value
	FROM bench.sample theirs JOIN bench.sample ours USING (data_set, measure, round)
	WHERE theirs.system IN ('btree', 'sqlite') AND ours.system IN ('alex', 'alex_omen');

-- The figure of all rounds, and the range of single ones. A sum with a round whose ratio cannot be told cannot be told either: the
-- range would leave that round out, and the sum would not.
CREATE VIEW bench.summary AS
	SELECT data_set, measure, system, count(value) FILTER (WHERE round > 0) AS rounds, bool_or(round = 0) AS is_sum,
		CASE WHEN bool_or(round = 0) THEN CASE WHEN bool_and(value IS NOT NULL) THEN max(value) FILTER (WHERE round = 0) END
			ELSE percentile_cont(0.5) WITHIN GROUP (ORDER BY value) END AS value,
		min(value) FILTER (WHERE round > 0) AS least, max(value) FILTER (WHERE round > 0) AS greatest
	FROM (TABLE bench.sample UNION ALL TABLE bench.ratio) s
	GROUP BY data_set, measure, system;

-- Three digits that count, and all before the point.
CREATE FUNCTION bench.digits(x float8) RETURNS text STABLE
	RETURN to_char(x, CASE WHEN abs(x) >= 99.95 THEN 'FM999,999,999,999,990' WHEN abs(x) >= 9.995 THEN 'FM90.0'
		WHEN abs(x) >= 0.9995 THEN 'FM0.00' ELSE 'FM0.000' END);

-- A cell of the tables: the figure; with the range of the rounds for ratios, with half of it as a percentage for medians.
CREATE FUNCTION bench.cell(set_name text, what text, of_system text) RETURNS text STABLE
BEGIN ATOMIC
	SELECT coalesce((SELECT bench.digits(value) || CASE
			WHEN rounds < 2 THEN ''
			WHEN system LIKE '%/%' THEN format(' (%s-%s)', bench.digits(least), bench.digits(greatest))
			WHEN is_sum THEN ''
			WHEN value = 0 THEN ''
			ELSE format(' ±%s%%', round((greatest - least) / value * 50)) END
		FROM bench.summary WHERE (data_set, measure, system) = (set_name, what, of_system)), '-');
END;

CREATE FUNCTION bench.cells(set_name text, what text) RETURNS text STABLE
	RETURN concat_ws(' | ', bench.cell(set_name, what, 'btree'), bench.cell(set_name, what, 'alex'),
		'**' || bench.cell(set_name, what, 'btree/alex') || '**');

-- A Markdown table: a row for every set that has all measures of "what". A column name in "heads" stands for
-- three columns: what btree takes, what alex takes, the ratio.
CREATE FUNCTION bench.markdown(title text, heads text[], what text[]) RETURNS SETOF text LANGUAGE sql STABLE AS $$
	SELECT format(E'\n## %s\n\n| data set | ', title) || string_agg(head || ': btree | alex | ratio', ' | ' ORDER BY place)
		|| E' |\n|---' || string_agg('|--:|--:|--:', '') || '|'
	FROM unnest(heads) WITH ORDINALITY h (head, place)
	UNION ALL
	(SELECT format('| %s | %s |', name, (SELECT string_agg(bench.cells(name, measure), ' | ' ORDER BY place)
			FROM unnest(what) WITH ORDINALITY w (measure, place)))
	FROM bench.data_set
	WHERE EXISTS (SELECT FROM bench.summary s WHERE s.data_set = name AND measure = what[array_length(what, 1)])
	ORDER BY place)
$$;

CREATE FUNCTION bench.report() RETURNS SETOF text LANGUAGE sql STABLE AS $$
	SELECT * FROM bench.markdown('Size and build', '{bytes,bytes a key,"CREATE INDEX, s"}',
		'{built_bytes,built_bytes_per_key,build_s}')
	UNION ALL
	SELECT * FROM bench.markdown('Probes and ranges of 100 keys, index-only',
		'{"us a probe","us a range, forward","us a range, backward"}', '{probe_us,range_forward_us,range_backward_us}')
	UNION ALL
	SELECT * FROM bench.markdown('Inserts in random order, until the table has doubled',
		'{"us a row","the index''s share, us a row","the index''s share, WAL bytes a row"}',
		'{insert_random_us,insert_random_index_us,insert_random_index_wal}')
	UNION ALL
	SELECT * FROM bench.markdown('After these inserts', '{bytes,bytes a key,"us a probe"}',
		'{after_bytes,after_bytes_per_key,probe_after_us}')
	UNION ALL
	SELECT * FROM bench.markdown('Inserts in sequence',
		'{"us a row","the index''s share, us a row","the index''s share, WAL bytes a row"}',
		'{insert_sequential_us,insert_sequential_index_us,insert_sequential_index_wal}')
$$;
