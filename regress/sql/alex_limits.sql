-- What PostgreSQL does not allow with an index that is not a btree, or alex cannot: the lines of docs/limits.md.
-- What works on some versions only has an expected file for these, so that a line that became wrong is seen.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
CREATE FUNCTION tries(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
BEGIN
	EXECUTE statement;
	RETURN 'works';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN sqlstate || ' ' || message;
END $$;
CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;

-- unique index on a partitioned table
CREATE TABLE lim_part (k int8 NOT NULL, v int) PARTITION BY RANGE (k);
SELECT tries('CREATE UNIQUE INDEX ON lim_part USING alex (k)') AS "unique on a partitioned table";
DROP TABLE lim_part;

-- a partition whose key is alex, of a table whose key is a btree
CREATE TABLE lim_part (k int8 PRIMARY KEY, v int) PARTITION BY RANGE (k);
CREATE TABLE lim_part_1 (k int8 NOT NULL, v int);
CREATE UNIQUE INDEX lim_part_1_key ON lim_part_1 USING alex (k);
SELECT alex_primary_key('lim_part_1_key');
SELECT tries('ALTER TABLE lim_part ATTACH PARTITION lim_part_1 FOR VALUES FROM (1) TO (10)') AS "ATTACH PARTITION";
CALL alex_convert('lim_part_1_key', 'btree');
SELECT tries('ALTER TABLE lim_part ATTACH PARTITION lim_part_1 FOR VALUES FROM (1) TO (10)') AS "as a btree";
CALL alex_convert('lim_part_1_key');
SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relname = 'lim_part_1_key';
DROP TABLE lim_part;

-- REFRESH MATERIALIZED VIEW CONCURRENTLY by an alex index
CREATE MATERIALIZED VIEW lim_view AS SELECT i::int8 AS k FROM generate_series(1, 10) i;
CREATE UNIQUE INDEX ON lim_view USING alex (k);
SELECT tries('REFRESH MATERIALIZED VIEW CONCURRENTLY lim_view') AS "REFRESH CONCURRENTLY";
CREATE UNIQUE INDEX ON lim_view (k);
SELECT tries('REFRESH MATERIALIZED VIEW CONCURRENTLY lim_view') AS "with a btree beside it";
DROP MATERIALIZED VIEW lim_view;

-- an enum, whose order ALTER TYPE can change
CREATE TYPE lim_enum AS ENUM ('b', 'c');
CREATE TABLE lim (k int8 NOT NULL, e lim_enum, i interval, f int4);
SELECT tries('CREATE INDEX ON lim USING alex (e)') AS "enum";

-- USING INDEX beside another change
CREATE UNIQUE INDEX lim_k ON lim USING alex (k);
SELECT tries('ALTER TABLE lim ADD UNIQUE USING INDEX lim_k, ADD z int') AS "USING INDEX and another change";

-- the type of a column that a foreign key refers to by an index without a constraint
CREATE TABLE lim_of (k int8 REFERENCES lim (k));
SELECT tries('ALTER TABLE lim ALTER k TYPE int4') AS "type of a key";
DROP TABLE lim_of;

-- an interval is not returned
CREATE INDEX lim_i ON lim USING alex (i);
INSERT INTO lim SELECT x, NULL, x * interval '1 hour' FROM generate_series(1, 1000) x;
VACUUM ANALYZE lim;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT explained('SELECT i FROM lim WHERE i < interval ''3 hours''');
-- of a row comparison the first column is a condition of the index
CREATE INDEX lim_kf ON lim USING alex (f, k);
SELECT explained('SELECT f, k FROM lim WHERE (f, k) > (5, 3) ORDER BY f, k');
DROP TABLE lim;
DROP TYPE lim_enum;
DROP FUNCTION tries(text), explained(text);
