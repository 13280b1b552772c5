-- alex_advise() and alex_estimate(): what CREATE INDEX gives, without it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
RESET client_min_messages;
CREATE SCHEMA adv;
SET search_path = adv, public;
SET extra_float_digits = 1;

CREATE FUNCTION bits(i int8) RETURNS int8 IMMUTABLE PARALLEL SAFE RETURN hashint8extended(i, 7) & 9223372036854775807;

-- Large enough to be sampled. "mixed": one half is on a line, one is not.
CREATE TABLE large AS
	SELECT i AS serial, i + bits(i) % 5 * 100000000 AS lines, timestamp '2025-01-01' + (i * 1000 + bits(i) % 400) * interval '1 us' AS at,
		bits(i) AS random, (bits(i) % 1000)::int4 AS few, CASE WHEN i % 2 = 0 THEN i ELSE bits(i) END AS mixed,
		md5(i::text)::uuid AS uuid4, CASE WHEN i % 3 = 0 THEN NULL ELSE bits(i)::float8 END AS nulls
	FROM generate_series(1, 400000) i;
CREATE TABLE small AS SELECT * FROM large LIMIT 3000;
CREATE TABLE empty (k int8);

-- The estimate of every column's btree, and of several columns, with the size of the alex index: at most 15 percent apart, or two pages.
CREATE FUNCTION check_estimate(t regclass, columns text, OUT good bool, OUT report text) LANGUAGE plpgsql AS $$
DECLARE
	guessed int8;
	real int8;
BEGIN
	EXECUTE format('CREATE INDEX b ON %s (%s)', t, columns);
	guessed := (SELECT bytes FROM alex_estimate('b'));
	EXECUTE format('CREATE INDEX a ON %s USING alex (%s)', t, columns);
	real := pg_relation_size('a');
	good := abs(guessed - real) <= greatest(0.15 * real, 16384);
	report := CASE WHEN NOT good THEN format('%s estimated, %s real', guessed, real) END;
	DROP INDEX a, b;
END
$$;
SELECT t, c, good, report FROM (VALUES ('large'::regclass), ('small')) t (t),
	unnest('{serial,lines,at,random,few,mixed,uuid4,nulls,"few, random","serial DESC","at DESC NULLS LAST, few"}'::text[]) c, check_estimate(t, c);
SELECT * FROM check_estimate('empty', 'k');

-- Strings: the codes are chosen when an index is built, so the estimate is an upper bound. What is too long for a record is no error.
CREATE TABLE strings (s text COLLATE "C", n name);
INSERT INTO strings SELECT 'user' || bits(i) % 1000000 || '@example.com' || CASE WHEN i % 1000 = 0 THEN repeat(md5(i::text), 60) ELSE '' END, 'n' || i
	FROM generate_series(1, 5000) i;
CREATE INDEX strings_s ON strings (s);
CREATE INDEX strings_n ON strings (n);
SELECT index, alex_bytes BETWEEN 50000 AND bytes AS smaller, problem FROM alex_advise('adv', 'strings') WHERE index IS NOT NULL;
DROP TABLE strings;

-- A btree full of what nobody needs: its size says nothing.
CREATE INDEX bloated ON large (random);
DELETE FROM large WHERE serial % 4 <> 0;
VACUUM large;
SELECT pg_relation_size('bloated') > 8000000 AS bloated, bytes < 1400000 AS small FROM alex_estimate('bloated');
DROP INDEX bloated;

-- What cannot be converted, and why.
CREATE TABLE t (id int8 PRIMARY KEY, k int4, s jsonb, n int8 UNIQUE, c int8 CHECK (c > 0));
CREATE INDEX t_s ON t (s);
CREATE INDEX t_expr ON t ((k * 2)) WHERE id > 5;
CREATE INDEX "t Strange" ON t (k);
CREATE INDEX t_hash ON t USING hash (k);
CREATE INDEX t_alex ON t USING alex (k);
CREATE TABLE p (k int8, d date) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE INDEX p_k ON p (k);
INSERT INTO t SELECT i, i % 100, to_jsonb(i), i, i FROM generate_series(1, 20000) i;
SELECT index, saved = bytes - alex_bytes AS adds_up, command, problem IS NOT NULL AS cannot FROM alex_advise('adv', 't') ORDER BY index::text;
SELECT index, command, problem FROM alex_advise(schema => 'adv') WHERE index = 'p1_k_idx'::regclass;
SELECT count(*), count(problem) FROM alex_advise('pg_catalog');
SELECT count(*) FROM alex_estimate('p_k') WHERE problem IS NOT NULL;
SELECT problem FROM alex_estimate('t_alex');
SELECT problem FROM alex_estimate('t');
SELECT problem FROM alex_estimate(0);
SELECT (note IS NOT NULL) = (current_setting('server_version_num')::int < 180000) AS note FROM alex_advise('adv', 't')
	WHERE index = 't_pkey'::regclass;

-- Sorted by what is saved, and a total of all that can be converted.
SELECT bool_and(saved <= before OR before IS NULL) AS sorted, count(*) FROM
	(SELECT saved, lag(saved) OVER (ROWS UNBOUNDED PRECEDING) AS before FROM alex_advise('adv', 't') WHERE index IS NOT NULL AND problem IS NULL) s;
SELECT sum(a.saved) FILTER (WHERE index IS NOT NULL) = sum(a.saved) FILTER (WHERE index IS NULL) AS total FROM alex_advise('adv') a;

-- The command does what it says.
CREATE TABLE done (k int8);
CREATE INDEX done_k ON done (k);
SELECT command FROM alex_advise('adv', 'done') WHERE index IS NOT NULL \gset
:command;
SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relname = 'done_k';

-- Who may ask: those who watch, though they may not read the table; nobody else.
CREATE ROLE adv_watch IN ROLE pg_stat_scan_tables;
CREATE ROLE adv_nobody;
GRANT USAGE ON SCHEMA adv TO adv_watch, adv_nobody;
SET ROLE adv_watch;
SELECT count(*) > 5 AS rows, bool_and(bytes IS NOT NULL) AS sizes FROM alex_advise('adv');
SELECT alex_conversion_problem('t_pkey');
SET ROLE adv_nobody;
SELECT * FROM alex_advise('adv');
SELECT * FROM alex_estimate('t_pkey');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA adv CASCADE;
DROP ROLE adv_watch, adv_nobody;
