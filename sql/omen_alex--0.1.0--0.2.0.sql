/*
 * omen_alex--0.1.0--0.2.0.sql - from the objects of 0.1.0 to those that omen_alex--0.2.0.sql makes.
 *
 * What was there before 0.1.0 is schema-qualified; the extension's own objects are not, as it can be in any schema: it is
 * the first one of the search_path here. So whatever is called without a schema must be a member of the extension.
 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION omen_alex UPDATE" to load this file. \quit

CREATE FUNCTION omen_repair_access_method("table" pg_catalog.regclass)
RETURNS pg_catalog.text
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'omen_repair_access_method';
COMMENT ON FUNCTION omen_repair_access_method(pg_catalog.regclass) IS
	'give a table the access method, omen or heap, that its file is of, when a tool has put another one''s file under it; returns which that is. Changes no row';
REVOKE ALL ON FUNCTION omen_repair_access_method(pg_catalog.regclass) FROM PUBLIC;
