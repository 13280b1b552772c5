-- What CREATE EXTENSION makes: complete families, comments, and no dependence on search_path.

-- Every type, operator and support function of the btree families of the same names; nothing else.
CREATE VIEW members AS
SELECT am.amname, f.opfname, 'operator' AS what, o.amopstrategy AS number, o.amopopr::regoperator::text AS member,
	   o.amoplefttype::regtype AS l, o.amoprighttype::regtype AS r
FROM pg_amop o JOIN pg_opfamily f ON f.oid = o.amopfamily JOIN pg_am am ON am.oid = f.opfmethod
UNION ALL
SELECT am.amname, f.opfname, 'function', p.amprocnum, p.amproc::regprocedure::text,
	   p.amproclefttype::regtype, p.amprocrighttype::regtype
FROM pg_amproc p JOIN pg_opfamily f ON f.oid = p.amprocfamily JOIN pg_am am ON am.oid = f.opfmethod
WHERE p.amprocnum <= 2
UNION ALL
SELECT am.amname, f.opfname, 'class', c.opcdefault::int, c.opcname::text, c.opcintype::regtype, c.opcintype::regtype
FROM pg_opclass c JOIN pg_opfamily f ON f.oid = c.opcfamily JOIN pg_am am ON am.oid = f.opfmethod;

SELECT opfname, what, count(*) FROM members WHERE amname = 'alex' GROUP BY 1, 2 ORDER BY 1, 2;

-- Missing here, and then: here, but not in btree.
SELECT opfname, what, number, member, l, r FROM members
WHERE amname = 'btree' AND opfname IN (SELECT opfname FROM members WHERE amname = 'alex')
EXCEPT SELECT opfname, what, number, member, l, r FROM members WHERE amname = 'alex';
SELECT opfname, what, number, member, l, r FROM members WHERE amname = 'alex'
EXCEPT SELECT opfname, what, number, member, l, r FROM members WHERE amname = 'btree';
DROP VIEW members;

-- Everything has a comment, but operators and functions in a family cannot.
CREATE VIEW objects AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS object
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'omen_alex' AND d.deptype = 'e' AND d.classid <> 'pg_type'::regclass; -- row types of views and tables
SELECT count(*) > 0 AS objects,
	   count(*) FILTER (WHERE obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)) IS NULL) AS silent
FROM objects;
DROP VIEW objects;

-- It moves to another schema, and is created in one, whatever the caller's search_path and objects are.
CREATE DATABASE regress_alex_extension;
\c regress_alex_extension
CREATE SCHEMA trap;
CREATE FUNCTION trap.btint8cmp(int8, int8) RETURNS int4 LANGUAGE sql AS 'SELECT 1 / 0';
CREATE FUNCTION trap.int8lt(int8, int8) RETURNS bool LANGUAGE sql AS 'SELECT 1 / 0 > 0';
CREATE OPERATOR trap.< (FUNCTION = trap.int8lt, LEFTARG = int8, RIGHTARG = int8);
CREATE DOMAIN trap.int8 AS text;
CREATE DOMAIN trap.regclass AS text;
CREATE SCHEMA home;
SET search_path = trap, pg_catalog;
CREATE EXTENSION omen_alex SCHEMA home;
RESET search_path;
SELECT amopopr::regoperator FROM pg_amop JOIN pg_am am ON am.oid = amopmethod
WHERE amname = 'alex' AND amopstrategy = 1 AND amoplefttype = 'pg_catalog.int8'::regtype AND amoprighttype = amoplefttype;
SELECT proname, pg_get_function_identity_arguments(oid) FROM pg_proc WHERE pronamespace = 'home'::regnamespace
AND proname IN ('alex_check', 'alex_page') ORDER BY 1;
ALTER EXTENSION omen_alex SET SCHEMA public;
CREATE TABLE moved (k int8);
CREATE INDEX moved_k ON moved USING alex (k);
SELECT alex_check('moved_k');

-- A function of that name that is there before belongs to someone else: creation fails rather than replaces it.
DROP EXTENSION omen_alex CASCADE;
CREATE FUNCTION home.alex_check(pg_catalog.regclass, bool) RETURNS void LANGUAGE sql AS 'SELECT 1 / 0';
-- (18 adds a context)
\set VERBOSITY terse
CREATE EXTENSION omen_alex SCHEMA home;
\c contrib_regression
DROP DATABASE regress_alex_extension;
