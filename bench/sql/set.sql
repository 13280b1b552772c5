-- set.sql - everything that is measured on one data set.
-- psql variables: set (its name), rows, probes, rounds.

\ir session.sql

\echo '   keys and tables'
DROP SCHEMA IF EXISTS source, bare, btree, alex CASCADE;
CREATE SCHEMA source;
CREATE SCHEMA bare;
CREATE SCHEMA btree;
CREATE SCHEMA alex;
SELECT ordered FROM bench.data_set WHERE name = :'set' \gset

CALL bench.generate('source.load', :'set', :rows, 1, :rows, false);
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
CALL bench.builds(:'set', 'build', :rounds, 'bare.t');
CREATE INDEX t_btree ON btree.t USING btree (k);
CREATE INDEX t_alex ON alex.t USING alex (k);
CALL bench.sizes(:'set', 'built', '%1$s.t_%1$s', :rows);

\echo '   probes'
CALL bench.probes(:'set', 'probe', :rounds, 'source.probe');
\echo '   ranges'
CALL bench.ranges(:'set', 'range', :rounds, 'source.range_start');

\echo '   inserts in random order'
CALL bench.generate_inserts(:'set', :rows, :rounds, :rows + 1, :rows * 2::int8, true);
CALL bench.inserts(:'set', 'insert_random', :rounds);
CALL bench.pick('source.probe_after', 'bare.t', :probes);
VACUUM (FREEZE, ANALYZE) bare.t, btree.t, alex.t, source.probe_after;
CALL bench.sizes(:'set', 'after', '%1$s.t_%1$s', :rows * 2::int8);
\echo '   probes after the inserts'
CALL bench.probes(:'set', 'probe_after', :rounds, 'source.probe_after');

\if :ordered
\echo '   inserts in sequence'
CALL bench.generate_inserts(:'set', :rows, :rounds, :rows + 1, :rows + :rows / 5, false);
CALL bench.inserts(:'set', 'insert_sequential', :rounds);
\endif

\echo '   alex_check'
DO $$ BEGIN PERFORM alex_check('alex.t_alex', true); END $$;
