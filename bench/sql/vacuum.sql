-- vacuum.sql - measures one VACUUM of a table, which no function can do. psql variables: set, work, system, round, units.

CHECKPOINT;
SELECT clock_timestamp() AS start, pg_current_wal_insert_lsn() AS lsn \gset
VACUUM (INDEX_CLEANUP ON, PARALLEL 0, TRUNCATE OFF) :system.t;
CALL bench.vacuumed(:'set', :'work', :'system', :round, :units, :'start', :'lsn');
