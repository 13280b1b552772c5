-- ALTER EXTENSION UPDATE from each older version leads to what CREATE EXTENSION makes: the same members, definitions, comments
-- and rights, whatever schema the extension is in.
CREATE DATABASE regress_extension_upgrade;
\c regress_extension_upgrade
SET client_min_messages = warning;

-- One row for each thing, without OIDs.
CREATE VIEW members AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS object
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'omen_alex' AND d.deptype = 'e';
CREATE VIEW state AS
SELECT object, 'comment' AS what, obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)) AS value FROM members
UNION ALL
SELECT object, 'first rights', initprivs::text FROM members JOIN pg_init_privs i ON (i.classoid, i.objoid) = (classid, objid)
UNION ALL
SELECT object, 'function', pg_get_functiondef(objid) || proacl::text
FROM members JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
UNION ALL
SELECT object, 'relation', concat_ws(' ', relkind, relacl, reloptions, (SELECT amname FROM pg_am WHERE oid = relam),
	(SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = objid AND attnum > 0), CASE WHEN relkind = 'v' THEN pg_get_viewdef(objid) END)
FROM members JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
UNION ALL
SELECT object, 'access method', concat_ws(' ', amtype, amhandler::regproc)
FROM members JOIN pg_am a ON a.oid = objid AND classid = 'pg_am'::regclass
UNION ALL
SELECT object, 'class', concat_ws(' ', opcdefault, opcintype::regtype, opckeytype::regtype, (SELECT opfname FROM pg_opfamily WHERE oid = opcfamily))
FROM members JOIN pg_opclass c ON c.oid = objid AND classid = 'pg_opclass'::regclass
UNION ALL
-- With what they depend on: members of a class belong to it, those that were added to a family later can be dropped alone.
SELECT object, 'operator', concat_ws(' ', amopstrategy, amopopr::regoperator, amoppurpose, amopsortfamily <> 0,
	(SELECT string_agg(concat(deptype, refclassid::regclass), ' ' ORDER BY refclassid) FROM pg_depend d WHERE d.classid = 'pg_amop'::regclass AND d.objid = o.oid))
FROM members m JOIN pg_amop o ON amopfamily = m.objid AND m.classid = 'pg_opfamily'::regclass
UNION ALL
SELECT object, 'support function', concat_ws(' ', amprocnum, amproclefttype::regtype, amprocrighttype::regtype, amproc::regprocedure,
	(SELECT string_agg(concat(deptype, refclassid::regclass), ' ' ORDER BY refclassid) FROM pg_depend d WHERE d.classid = 'pg_amproc'::regclass AND d.objid = f.oid))
FROM members m JOIN pg_amproc f ON amprocfamily = m.objid AND m.classid = 'pg_opfamily'::regclass
UNION ALL
SELECT 'extension', 'extension', concat_ws(' ', extversion, extrelocatable, extcondition,
	(SELECT string_agg(t::regclass::text, ' ' ORDER BY t::regclass::text) FROM unnest(extconfig) t))
FROM pg_extension WHERE extname = 'omen_alex';

-- Planted where a careless script would find it.
CREATE SCHEMA trap;
CREATE FUNCTION trap.btint8cmp(int8, int8) RETURNS int4 LANGUAGE sql AS 'SELECT 1 / 0';
CREATE DOMAIN trap.regclass AS text;
CREATE DOMAIN trap.int8 AS text;
CREATE SCHEMA home;
CREATE EXTENSION omen_alex SCHEMA home;
CREATE TABLE fresh AS SELECT * FROM state;
DROP EXTENSION omen_alex;

CREATE TABLE difference (version text, only_in text, object text, what text, value text);
CREATE FUNCTION compare_upgrade_from(version text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE EXTENSION omen_alex SCHEMA home VERSION %L', version);
	PERFORM set_config('search_path', 'trap, pg_catalog', true);
	ALTER EXTENSION omen_alex UPDATE;
	PERFORM set_config('search_path', 'public', true);
	INSERT INTO difference SELECT version, 'fresh', s.* FROM (SELECT * FROM fresh EXCEPT ALL SELECT * FROM state) s;
	INSERT INTO difference SELECT version, 'upgraded', s.* FROM (SELECT * FROM state EXCEPT ALL SELECT * FROM fresh) s;
	DROP EXTENSION omen_alex;
END $$;
SELECT count(*) > 200 AS much FROM fresh;
SELECT version, compare_upgrade_from(version) FROM pg_available_extension_versions
WHERE name = 'omen_alex' AND version <> (SELECT default_version FROM pg_available_extensions WHERE name = 'omen_alex') ORDER BY 1;
SELECT * FROM difference;

-- Settings of tables come along; those of tables that are gone, and of what is no omen table any more, do not.
CREATE EXTENSION omen_alex SCHEMA home VERSION '0.1.0';
CREATE TABLE eager () USING omen;
CREATE TABLE lazy () USING omen;
CREATE TABLE left_alone () USING omen;
CREATE TABLE gone () USING omen;
CREATE TABLE heap () USING omen;
INSERT INTO home.omen_table_options VALUES ('eager', true), ('lazy', false), ('left_alone', NULL), ('gone', true), ('heap', true);
DROP TABLE gone;
ALTER TABLE heap SET ACCESS METHOD heap;
\c
ALTER EXTENSION omen_alex UPDATE;
SELECT objoid::regclass, label FROM pg_seclabel WHERE provider = 'omen' ORDER BY 1;
SELECT eager_offload FROM home.omen_options('eager');

\c contrib_regression
DROP DATABASE regress_extension_upgrade;
