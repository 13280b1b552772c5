-- system.sql - the table of one system, with the rows of base.sql. psql variables: system, method ('' for no index), am.
-- Only for sets of int8 keys.

\ir session.sql

CREATE SCHEMA :system;
CREATE TABLE :system.t (k int8, v int4 DEFAULT 0) USING :am;
INSERT INTO :system.t SELECT k, (k & 1023)::int4 FROM source.load;
SELECT format('CREATE INDEX t_%1$s ON %1$s.t USING %2$s (k)', :'system', :'method') WHERE :'method' <> '' \gexec
-- Nobody shall have hint bits to set later, while something is measured.
VACUUM (FREEZE, ANALYZE) :system.t, source.load, source.probe, source.start_100, source.start_10000;
CHECKPOINT;
