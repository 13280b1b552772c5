-- Who may look at pages and statistics.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

CREATE ROLE regress_alex_anyone;
CREATE ROLE regress_alex_monitor IN ROLE pg_stat_scan_tables;
CREATE TABLE priv (k int8);
CREATE INDEX priv_k ON priv USING :am (k);
INSERT INTO priv SELECT generate_series(1, 100);

-- No function that shows page contents is open to everyone, whatever its
-- arguments.
SELECT p.oid::regprocedure::text ~ '^alex_(check|page)' AS internal,
	   bool_or(has_function_privilege('regress_alex_anyone', p.oid, 'EXECUTE')) AS anyone
FROM pg_proc p WHERE proname IN ('alex_check', 'alex_page') GROUP BY 1;
SELECT bool_or(has_function_privilege('regress_alex_anyone', p.oid, 'EXECUTE')) AS anyone,
	   bool_and(has_function_privilege('regress_alex_monitor', p.oid, 'EXECUTE')) AS monitor
FROM pg_proc p WHERE proname = 'alex_stats';

SET ROLE regress_alex_anyone;
SELECT alex_check('priv_k');
SELECT alex_check('priv_k', true);
SELECT * FROM alex_stats('priv_k');
RESET ROLE;
SET ROLE regress_alex_monitor;
SELECT height >= 0 AS height, index_bytes >= 8192 AS size FROM alex_stats('priv_k');
SELECT alex_check('priv_k');
RESET ROLE;

-- The index works for roles that may not look into it, and under any
-- search_path.
GRANT SELECT, INSERT ON priv TO regress_alex_anyone;
SET ROLE regress_alex_anyone;
SET search_path = pg_temp;
SET enable_seqscan = off;
INSERT INTO public.priv VALUES (1000);
SELECT count(*) FROM public.priv WHERE k = 1000;
SELECT count(*) FROM public.priv WHERE k BETWEEN 10 AND 19;
RESET enable_seqscan;
RESET search_path;
RESET ROLE;

-- Functions of the extension do not depend on the caller's search_path.
CREATE SCHEMA regress_alex_trap;
CREATE FUNCTION regress_alex_trap.int8lt(int8, int8) RETURNS bool LANGUAGE sql AS 'SELECT 1 / 0 > 0';
SET search_path = regress_alex_trap, public;
SELECT alex_check('priv_k', true);
RESET search_path;
SELECT alex_check('priv_k', true);

DROP TABLE priv;
DROP SCHEMA regress_alex_trap CASCADE;
DROP ROLE regress_alex_anyone, regress_alex_monitor;
