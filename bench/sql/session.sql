-- session.sql - settings of the session that measures.

SET client_min_messages = warning;
-- The plans to measure: a nested loop whose inner side is the index.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
SET enable_bitmapscan = off;
-- scans are measured, not what does without them
SET alex.enable_aggregate = off;
SET max_parallel_workers_per_gather = 0;
-- All copies of a table get their rows in the same order.
SET synchronize_seqscans = off;
