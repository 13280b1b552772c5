-- base.sql - makes the rows of a data set, and the keys to probe. psql variables: set, rows, probes.

\ir session.sql

DROP SCHEMA IF EXISTS source, bare, btree, alex, alex_omen CASCADE;
CREATE SCHEMA source;
CALL bench.generate('source.load', :'set', :rows, 1, :rows, false);
CALL bench.pick('source.probe', 'source.load', :probes);
CREATE UNLOGGED TABLE source.start_100 AS SELECT k FROM source.probe LIMIT greatest(:probes / 20, 1);
CREATE UNLOGGED TABLE source.start_10000 AS SELECT k FROM source.probe LIMIT greatest(:probes / 2000, 1);
