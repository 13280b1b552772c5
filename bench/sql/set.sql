-- set.sql - everything that is measured on one data set.
-- psql variables: set (its name), rows, probes, rounds.

SET client_min_messages = warning;
-- The plans to measure: a nested loop whose inner side is the index.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
SET enable_bitmapscan = off;
SET max_parallel_workers_per_gather = 0;
-- All copies of a table get their rows in the same order.
SET synchronize_seqscans = off;

\echo '   keys and tables'
DROP SCHEMA IF EXISTS source, bare, btree, alex CASCADE;
CREATE SCHEMA source;
CREATE SCHEMA bare;
CREATE SCHEMA btree;
CREATE SCHEMA alex;
SELECT ordered FROM bench.data_set WHERE name = :'set' \gset

CALL bench.generate('source.load', :'set', :rows, 1, :rows, false);
SELECT format('CALL bench.generate(''source.insert_random_%s'', %L, %s, %s, %s, true)',
	round, :'set', :rows, :rows + :rows * (round - 1) / :rounds + 1, :rows + :rows * round / :rounds)
FROM generate_series(1::int8, :rounds) round \gexec
\if :ordered
SELECT format('CALL bench.generate(''source.insert_sequential_%s'', %L, %s, %s, %s, false)',
	round, :'set', :rows, :rows + :rows / 5 * (round - 1) / :rounds + 1, :rows + :rows / 5 * round / :rounds)
FROM generate_series(1::int8, :rounds) round \gexec
\endif

CREATE TABLE bare.t (LIKE source.load);
CREATE TABLE btree.t (LIKE source.load);
CREATE TABLE alex.t (LIKE source.load);
INSERT INTO bare.t SELECT * FROM source.load;
INSERT INTO btree.t SELECT * FROM source.load;
INSERT INTO alex.t SELECT * FROM source.load;
CALL bench.pick('source.probe', 'source.load', :probes);
CALL bench.pick('source.range_start', 'source.load', greatest(:probes / 20, 1));
-- Of all tables: nobody shall have hint bits to set later, while something is measured.
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;

\echo '   build'
CALL bench.builds(:'set', :rounds, :rows);
CREATE INDEX t_btree ON btree.t USING btree (k);
CREATE INDEX t_alex ON alex.t USING alex (k);
CALL bench.sizes(:'set', 'built');

\echo '   probes'
CALL bench.probes(:'set', 'probe', :rounds, 'source.probe');
\echo '   ranges'
CALL bench.ranges(:'set', :rounds, 'source.range_start');

\echo '   inserts in random order'
CHECKPOINT;
CALL bench.inserts(:'set', 'insert_random', :rounds);
CALL bench.pick('source.probe_after', 'bare.t', :probes);
VACUUM (FREEZE, ANALYZE) bare.t, btree.t, alex.t, source.probe_after;
CALL bench.sizes(:'set', 'after');
\echo '   probes after the inserts'
CALL bench.probes(:'set', 'probe_after', :rounds, 'source.probe_after');

\if :ordered
\echo '   inserts in sequence'
CHECKPOINT;
CALL bench.inserts(:'set', 'insert_sequential', :rounds);
\endif

\echo '   alex_check'
DO $$ BEGIN PERFORM alex_check('alex.t_alex', true); END $$;
