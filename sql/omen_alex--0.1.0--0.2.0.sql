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

/*
 * The view and the table of settings lay where migration tools met them. The view becomes a function, the settings become
 * security labels of the tables, which omen_options() sets; rows of tables that are gone, or are no omen tables any more, go.
 */

DROP VIEW omen_tables;

CREATE FUNCTION omen_tables(
	OUT relation pg_catalog.regclass,
	OUT rows pg_catalog.int8,
	OUT dead_rows pg_catalog.int8,
	OUT aborted_updates pg_catalog.int8,
	OUT versions_in_page pg_catalog.int8,
	OUT versions_in_store pg_catalog.int8,
	OUT oldest_superseder pg_catalog.xid,
	OUT row_pages pg_catalog.int8,
	OUT store_pages pg_catalog.int8,
	OUT store_pages_free pg_catalog.int8,
	OUT store_records pg_catalog.int8,
	OUT new_pages pg_catalog.int8,
	OUT table_bytes pg_catalog.int8,
	OUT row_page_fill pg_catalog.float8)
RETURNS SETOF pg_catalog.record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT c.oid::pg_catalog.regclass, s.*
	FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_am AS a ON a.oid OPERATOR(pg_catalog.=) c.relam
		CROSS JOIN LATERAL omen_stats(c.oid::pg_catalog.regclass) AS s
	WHERE a.amname OPERATOR(pg_catalog.=) 'omen'::pg_catalog.name
		AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'm']::pg_catalog."char"[])
		AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace);
END;
COMMENT ON FUNCTION omen_tables() IS
	'omen_stats() of every omen table; reads all of them';
REVOKE ALL ON FUNCTION omen_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION omen_tables() TO pg_stat_scan_tables;

DO $$
BEGIN
	PERFORM omen_options(o."table", NULL::pg_catalog.int4, o.eager_offload)
	FROM omen_table_options AS o
		JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) o."table"
		JOIN pg_catalog.pg_am AS a ON a.oid OPERATOR(pg_catalog.=) c.relam
	WHERE a.amname OPERATOR(pg_catalog.=) 'omen'::pg_catalog.name AND o.eager_offload IS NOT NULL;
END $$;

-- Dropped alone it would stay among the tables whose rows pg_dump saves.
ALTER EXTENSION omen_alex DROP TABLE omen_table_options;
DROP TABLE omen_table_options;

DROP FUNCTION omen_check(pg_catalog.regclass);
CREATE FUNCTION omen_check("table" pg_catalog.regclass, indexes pg_catalog.bool DEFAULT true)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'omen_check';
COMMENT ON FUNCTION omen_check(pg_catalog.regclass, pg_catalog.bool) IS
	'verify every row, older version and store page of an omen table, and that every entry of its indexes leads to a row; raises an error on corruption. Others may read and write meanwhile, but not vacuum';
REVOKE ALL ON FUNCTION omen_check(pg_catalog.regclass, pg_catalog.bool) FROM PUBLIC;
-- constraints of alex indexes
CREATE FUNCTION alex_primary_key(index pg_catalog.regclass, name pg_catalog.name DEFAULT NULL)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'alex_primary_key';
COMMENT ON FUNCTION alex_primary_key(pg_catalog.regclass, pg_catalog.name) IS
	'make a unique alex index the primary key of its table, as ALTER TABLE ... ADD PRIMARY KEY USING INDEX does with a btree';

CREATE FUNCTION alex_unique(index pg_catalog.regclass, name pg_catalog.name DEFAULT NULL,
	"deferrable" pg_catalog.bool DEFAULT false, initially_deferred pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'alex_unique';
COMMENT ON FUNCTION alex_unique(pg_catalog.regclass, pg_catalog.name, pg_catalog.bool, pg_catalog.bool) IS
	'make a unique constraint of a unique alex index, as ALTER TABLE ... ADD UNIQUE USING INDEX does with a btree';
-- times of day with a zone

CREATE OPERATOR FAMILY timetz_ops USING alex;
COMMENT ON OPERATOR FAMILY timetz_ops USING alex IS
	'times of day with a zone; mirrors the btree family of the same name';

CREATE OPERATOR CLASS timetz_ops
DEFAULT FOR TYPE pg_catalog.timetz USING alex FAMILY timetz_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.timetz_cmp(pg_catalog.timetz, pg_catalog.timetz);
COMMENT ON OPERATOR CLASS timetz_ops USING alex IS
	'default operator class for timetz';

-- intervals

CREATE OPERATOR FAMILY interval_ops USING alex;
COMMENT ON OPERATOR FAMILY interval_ops USING alex IS
	'intervals; mirrors the btree family of the same name';

CREATE OPERATOR CLASS interval_ops
DEFAULT FOR TYPE pg_catalog.interval USING alex FAMILY interval_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.interval_cmp(pg_catalog.interval, pg_catalog.interval);
COMMENT ON OPERATOR CLASS interval_ops USING alex IS
	'default operator class for interval';

-- transaction numbers of 64 bits

CREATE OPERATOR FAMILY xid8_ops USING alex;
COMMENT ON OPERATOR FAMILY xid8_ops USING alex IS
	'transaction numbers of 64 bits; mirrors the btree family of the same name';

CREATE OPERATOR CLASS xid8_ops
DEFAULT FOR TYPE pg_catalog.xid8 USING alex FAMILY xid8_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.xid8cmp(pg_catalog.xid8, pg_catalog.xid8);
COMMENT ON OPERATOR CLASS xid8_ops USING alex IS
	'default operator class for xid8';

-- MAC addresses

CREATE OPERATOR FAMILY macaddr_ops USING alex;
COMMENT ON OPERATOR FAMILY macaddr_ops USING alex IS
	'MAC addresses; mirrors the btree family of the same name';

CREATE OPERATOR CLASS macaddr_ops
DEFAULT FOR TYPE pg_catalog.macaddr USING alex FAMILY macaddr_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.macaddr_cmp(pg_catalog.macaddr, pg_catalog.macaddr),
	FUNCTION 2 pg_catalog.macaddr_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS macaddr_ops USING alex IS
	'default operator class for macaddr';

-- MAC addresses of eight bytes

CREATE OPERATOR FAMILY macaddr8_ops USING alex;
COMMENT ON OPERATOR FAMILY macaddr8_ops USING alex IS
	'MAC addresses of eight bytes; mirrors the btree family of the same name';

CREATE OPERATOR CLASS macaddr8_ops
DEFAULT FOR TYPE pg_catalog.macaddr8 USING alex FAMILY macaddr8_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.macaddr8_cmp(pg_catalog.macaddr8, pg_catalog.macaddr8);
COMMENT ON OPERATOR CLASS macaddr8_ops USING alex IS
	'default operator class for macaddr8';


-- conversions
CREATE FUNCTION alex_conversion_problem(index pg_catalog.regclass, method pg_catalog.name DEFAULT 'alex')
RETURNS pg_catalog.text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'alex_conversion_problem_sql';
COMMENT ON FUNCTION alex_conversion_problem(pg_catalog.regclass, pg_catalog.name) IS
	'why alex_convert() cannot convert an index; NULL if it can';

CREATE PROCEDURE alex_convert(index pg_catalog.regclass, method pg_catalog.name DEFAULT 'alex')
LANGUAGE c
AS 'MODULE_PATHNAME', 'alex_convert';
COMMENT ON PROCEDURE alex_convert(pg_catalog.regclass, pg_catalog.name) IS
	'replace an index by one of another access method, alex or btree, while others read and write; constraints and foreign keys go with it';

CREATE PROCEDURE alex_convert_all(schema pg_catalog.regnamespace DEFAULT NULL, "table" pg_catalog.regclass DEFAULT NULL,
	method pg_catalog.name DEFAULT 'alex', dry_run pg_catalog.bool DEFAULT false)
LANGUAGE c
AS 'MODULE_PATHNAME', 'alex_convert_all';
COMMENT ON PROCEDURE alex_convert_all(pg_catalog.regnamespace, pg_catalog.regclass, pg_catalog.name, pg_catalog.bool) IS
	'alex_convert() for every index of a schema, a table or the database that can be converted; says what it does, or with dry_run what it would do';

CREATE PROCEDURE alex_restore()
LANGUAGE c
AS 'MODULE_PATHNAME', 'alex_restore';
COMMENT ON PROCEDURE alex_restore() IS
	'after a dump was restored or a cluster upgraded: primary keys and unique constraints that were alex become that again';

-- advice
CREATE FUNCTION alex_estimate(index pg_catalog.regclass, OUT bytes pg_catalog.int8, OUT problem pg_catalog.text)
RETURNS pg_catalog.record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'alex_estimate';
COMMENT ON FUNCTION alex_estimate(pg_catalog.regclass) IS
	'how large a btree would be as an alex index, estimated from a sample of its leaves, or why it cannot be one';
REVOKE ALL ON FUNCTION alex_estimate(pg_catalog.regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alex_estimate(pg_catalog.regclass) TO pg_stat_scan_tables;

CREATE FUNCTION alex_advise(schema pg_catalog.regnamespace DEFAULT NULL, "table" pg_catalog.regclass DEFAULT NULL,
	OUT index pg_catalog.regclass,
	OUT bytes pg_catalog.int8,
	OUT alex_bytes pg_catalog.int8,
	OUT saved pg_catalog.int8,
	OUT scans pg_catalog.int8,
	OUT command pg_catalog.text,
	OUT problem pg_catalog.text,
	OUT note pg_catalog.text)
RETURNS SETOF pg_catalog.record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	WITH candidate AS MATERIALIZED (
		SELECT c.oid, pg_catalog.pg_relation_size(c.oid::pg_catalog.regclass) AS bytes, e.bytes AS alex_bytes, e.problem,
			i.indisunique, pg_catalog.pg_stat_get_numscans(c.oid) AS scans,
			pg_catalog.format('CALL %I.alex_convert(%L)', (SELECT x.extnamespace::pg_catalog.regnamespace::pg_catalog.text
				FROM pg_catalog.pg_extension AS x WHERE x.extname OPERATOR(pg_catalog.=) 'omen_alex'::pg_catalog.name),
				pg_catalog.format('%I.%I', s.nspname, c.relname)) AS command
		FROM pg_catalog.pg_index AS i
			JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
			JOIN pg_catalog.pg_namespace AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
			JOIN pg_catalog.pg_am AS a ON a.oid OPERATOR(pg_catalog.=) c.relam
			CROSS JOIN LATERAL alex_estimate(c.oid::pg_catalog.regclass) AS e
		WHERE a.amname OPERATOR(pg_catalog.=) 'btree'::pg_catalog.name
			AND c.relkind OPERATOR(pg_catalog.=) 'i'::pg_catalog."char"
			AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
			AND s.nspname OPERATOR(pg_catalog.<>) 'pg_toast'::pg_catalog.name
			AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)
			AND (schema IS NULL OR c.relnamespace OPERATOR(pg_catalog.=) schema::pg_catalog.oid)
			AND ("table" IS NULL OR i.indrelid OPERATOR(pg_catalog.=) "table"::pg_catalog.oid)
	),
	advice AS (
		SELECT c.oid, c.bytes, c.alex_bytes, c.bytes OPERATOR(pg_catalog.-) c.alex_bytes AS saved, c.scans,
			CASE WHEN c.problem IS NULL THEN c.command END AS command, c.problem,
			CASE WHEN c.problem IS NULL AND c.indisunique
				AND pg_catalog.current_setting('server_version_num')::pg_catalog.int4 OPERATOR(pg_catalog.<) 180000
				THEN 'INSERT ... ON CONFLICT and new foreign keys need session_preload_libraries = ''omen_alex'' up to PostgreSQL 17' END AS note
		FROM candidate AS c
	)
	SELECT t.oid, t.bytes, t.alex_bytes, t.saved, t.scans, t.command, t.problem, t.note FROM (
		SELECT 1 AS part, a.oid::pg_catalog.regclass, a.bytes, a.alex_bytes, a.saved, a.scans, a.command, a.problem, a.note FROM advice AS a
		UNION ALL
		SELECT 2, NULL, pg_catalog.sum(a.bytes)::pg_catalog.int8, pg_catalog.sum(a.alex_bytes)::pg_catalog.int8,
			pg_catalog.sum(a.saved)::pg_catalog.int8, NULL, NULL, NULL, 'all that can be converted'
		FROM advice AS a WHERE a.alex_bytes IS NOT NULL
	) AS t
	ORDER BY t.part, t.saved DESC NULLS LAST, t.bytes DESC, t.oid;
END;
COMMENT ON FUNCTION alex_advise(pg_catalog.regnamespace, pg_catalog.regclass) IS
	'for the btrees of the database, a schema or a table: how large they would be as alex indexes, what converts them, or why nothing does; the last row is the total. Reads a sample of each';
REVOKE ALL ON FUNCTION alex_advise(pg_catalog.regnamespace, pg_catalog.regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alex_advise(pg_catalog.regnamespace, pg_catalog.regclass) TO pg_stat_scan_tables;

-- figures for a scrape: a fixed number of pages of each
CREATE FUNCTION alex_sampled_stats(index pg_catalog.regclass, pages pg_catalog.int4,
	OUT height pg_catalog.int4,
	OUT leaf_pages pg_catalog.int8,
	OUT inner_pages pg_catalog.int8,
	OUT deleted_pages pg_catalog.int8,
	OUT empty_pages pg_catalog.int8,
	OUT entries pg_catalog.int8,
	OUT delta_entries pg_catalog.int8,
	OUT index_bytes pg_catalog.int8,
	OUT bytes_per_key pg_catalog.float8,
	OUT leaf_fill pg_catalog.float8,
	OUT delta_fill pg_catalog.float8,
	OUT model_error pg_catalog.float8)
RETURNS pg_catalog.record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'alex_sampled_stats';
COMMENT ON FUNCTION alex_sampled_stats(pg_catalog.regclass, pg_catalog.int4) IS
	'alex_stats(), estimated from so many pages';
REVOKE ALL ON FUNCTION alex_sampled_stats(pg_catalog.regclass, pg_catalog.int4) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alex_sampled_stats(pg_catalog.regclass, pg_catalog.int4) TO pg_stat_scan_tables;

CREATE FUNCTION omen_sampled_stats("table" pg_catalog.regclass, pages pg_catalog.int4,
	OUT rows pg_catalog.int8,
	OUT dead_rows pg_catalog.int8,
	OUT aborted_updates pg_catalog.int8,
	OUT versions_in_page pg_catalog.int8,
	OUT versions_in_store pg_catalog.int8,
	OUT oldest_superseder pg_catalog.xid,
	OUT row_pages pg_catalog.int8,
	OUT store_pages pg_catalog.int8,
	OUT store_pages_free pg_catalog.int8,
	OUT store_records pg_catalog.int8,
	OUT new_pages pg_catalog.int8,
	OUT table_bytes pg_catalog.int8,
	OUT row_page_fill pg_catalog.float8)
RETURNS pg_catalog.record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'omen_sampled_stats';
COMMENT ON FUNCTION omen_sampled_stats(pg_catalog.regclass, pg_catalog.int4) IS
	'omen_stats(), estimated from so many pages';
REVOKE ALL ON FUNCTION omen_sampled_stats(pg_catalog.regclass, pg_catalog.int4) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION omen_sampled_stats(pg_catalog.regclass, pg_catalog.int4) TO pg_stat_scan_tables;

CREATE FUNCTION alex_overview(
	OUT index pg_catalog.regclass,
	OUT "table" pg_catalog.regclass,
	OUT height pg_catalog.int4,
	OUT leaf_pages pg_catalog.int8,
	OUT inner_pages pg_catalog.int8,
	OUT deleted_pages pg_catalog.int8,
	OUT empty_pages pg_catalog.int8,
	OUT entries pg_catalog.int8,
	OUT delta_entries pg_catalog.int8,
	OUT index_bytes pg_catalog.int8,
	OUT bytes_per_key pg_catalog.float8,
	OUT leaf_fill pg_catalog.float8,
	OUT delta_fill pg_catalog.float8,
	OUT model_error pg_catalog.float8,
	OUT scans pg_catalog.int8,
	OUT entries_read pg_catalog.int8,
	OUT rows_fetched pg_catalog.int8)
RETURNS SETOF pg_catalog.record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT i.indexrelid::pg_catalog.regclass, i.indrelid::pg_catalog.regclass, s.*, pg_catalog.pg_stat_get_numscans(c.oid),
		pg_catalog.pg_stat_get_tuples_returned(c.oid), pg_catalog.pg_stat_get_tuples_fetched(c.oid)
	FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_index AS i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
		JOIN pg_catalog.pg_am AS a ON a.oid OPERATOR(pg_catalog.=) c.relam
		CROSS JOIN LATERAL alex_sampled_stats(c.oid::pg_catalog.regclass, 32) AS s
	WHERE a.amname OPERATOR(pg_catalog.=) 'alex'::pg_catalog.name
		AND c.relkind OPERATOR(pg_catalog.=) 'i'::pg_catalog."char"
		AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace);
END;
COMMENT ON FUNCTION alex_overview() IS
	'every alex index, estimated from 32 of its pages, and how it is used; for a scrape, where alex_stats() would take too long';
REVOKE ALL ON FUNCTION alex_overview() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alex_overview() TO pg_stat_scan_tables;

CREATE FUNCTION omen_overview(
	OUT "table" pg_catalog.regclass,
	OUT rows pg_catalog.int8,
	OUT dead_rows pg_catalog.int8,
	OUT aborted_updates pg_catalog.int8,
	OUT versions_in_page pg_catalog.int8,
	OUT versions_in_store pg_catalog.int8,
	OUT oldest_superseder pg_catalog.xid,
	OUT row_pages pg_catalog.int8,
	OUT store_pages pg_catalog.int8,
	OUT store_pages_free pg_catalog.int8,
	OUT store_records pg_catalog.int8,
	OUT new_pages pg_catalog.int8,
	OUT table_bytes pg_catalog.int8,
	OUT row_page_fill pg_catalog.float8,
	OUT updates pg_catalog.int8,
	OUT updates_in_place pg_catalog.int8)
RETURNS SETOF pg_catalog.record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT c.oid::pg_catalog.regclass, s.*, pg_catalog.pg_stat_get_tuples_updated(c.oid), pg_catalog.pg_stat_get_tuples_hot_updated(c.oid)
	FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_am AS a ON a.oid OPERATOR(pg_catalog.=) c.relam
		CROSS JOIN LATERAL omen_sampled_stats(c.oid::pg_catalog.regclass, 32) AS s
	WHERE a.amname OPERATOR(pg_catalog.=) 'omen'::pg_catalog.name
		AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'm']::pg_catalog."char"[])
		AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace);
END;
COMMENT ON FUNCTION omen_overview() IS
	'every omen table, estimated from 32 of its pages, and how many updates stayed in place; for a scrape, where omen_tables() would take too long';
REVOKE ALL ON FUNCTION omen_overview() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION omen_overview() TO pg_stat_scan_tables;

-- strings
CREATE OPERATOR FAMILY text_ops USING alex;
COMMENT ON OPERATOR FAMILY text_ops USING alex IS
	'text, varchar and name; mirrors the btree family of the same name';

CREATE OPERATOR CLASS text_ops
DEFAULT FOR TYPE pg_catalog.text USING alex FAMILY text_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.bttextcmp(pg_catalog.text, pg_catalog.text),
	FUNCTION 2 pg_catalog.bttextsortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS text_ops USING alex IS
	'default operator class for text and varchar';

CREATE OPERATOR CLASS varchar_ops
FOR TYPE pg_catalog.text USING alex FAMILY text_ops AS
	STORAGE pg_catalog.text;
COMMENT ON OPERATOR CLASS varchar_ops USING alex IS
	'the same as text_ops';

CREATE OPERATOR CLASS name_ops
DEFAULT FOR TYPE pg_catalog.name USING alex FAMILY text_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btnamecmp(pg_catalog.name, pg_catalog.name),
	FUNCTION 2 pg_catalog.btnamesortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS name_ops USING alex IS
	'default operator class for name';

ALTER OPERATOR FAMILY text_ops USING alex ADD
	OPERATOR 1 pg_catalog.< (pg_catalog.name, pg_catalog.text),
	OPERATOR 2 pg_catalog.<= (pg_catalog.name, pg_catalog.text),
	OPERATOR 3 pg_catalog.= (pg_catalog.name, pg_catalog.text),
	OPERATOR 4 pg_catalog.>= (pg_catalog.name, pg_catalog.text),
	OPERATOR 5 pg_catalog.> (pg_catalog.name, pg_catalog.text),
	FUNCTION 1 (pg_catalog.name, pg_catalog.text) pg_catalog.btnametextcmp(pg_catalog.name, pg_catalog.text),

	OPERATOR 1 pg_catalog.< (pg_catalog.text, pg_catalog.name),
	OPERATOR 2 pg_catalog.<= (pg_catalog.text, pg_catalog.name),
	OPERATOR 3 pg_catalog.= (pg_catalog.text, pg_catalog.name),
	OPERATOR 4 pg_catalog.>= (pg_catalog.text, pg_catalog.name),
	OPERATOR 5 pg_catalog.> (pg_catalog.text, pg_catalog.name),
	FUNCTION 1 (pg_catalog.text, pg_catalog.name) pg_catalog.bttextnamecmp(pg_catalog.text, pg_catalog.name);

CREATE OPERATOR FAMILY text_pattern_ops USING alex;
COMMENT ON OPERATOR FAMILY text_pattern_ops USING alex IS
	'text and varchar in the order of their bytes, whatever the collation; mirrors the btree family of the same name';

CREATE OPERATOR CLASS text_pattern_ops
FOR TYPE pg_catalog.text USING alex FAMILY text_pattern_ops AS
	OPERATOR 1 pg_catalog.~<~,
	OPERATOR 2 pg_catalog.~<=~,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.~>=~,
	OPERATOR 5 pg_catalog.~>~,
	FUNCTION 1 pg_catalog.bttext_pattern_cmp(pg_catalog.text, pg_catalog.text),
	FUNCTION 2 pg_catalog.bttext_pattern_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS text_pattern_ops USING alex IS
	'text and varchar, for LIKE and regular expressions in any collation';

CREATE OPERATOR CLASS varchar_pattern_ops
FOR TYPE pg_catalog.text USING alex FAMILY text_pattern_ops AS
	STORAGE pg_catalog.text;
COMMENT ON OPERATOR CLASS varchar_pattern_ops USING alex IS
	'the same as text_pattern_ops';

CREATE OPERATOR FAMILY bytea_ops USING alex;
COMMENT ON OPERATOR FAMILY bytea_ops USING alex IS
	'bytea; mirrors the btree family of the same name';

CREATE OPERATOR CLASS bytea_ops
DEFAULT FOR TYPE pg_catalog.bytea USING alex FAMILY bytea_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.byteacmp(pg_catalog.bytea, pg_catalog.bytea),
	FUNCTION 2 pg_catalog.bytea_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS bytea_ops USING alex IS
	'default operator class for bytea';

-- decimal numbers

CREATE OPERATOR FAMILY numeric_ops USING alex;
COMMENT ON OPERATOR FAMILY numeric_ops USING alex IS
	'decimal numbers; mirrors the btree family of the same name';

CREATE OPERATOR CLASS numeric_ops
DEFAULT FOR TYPE pg_catalog.numeric USING alex FAMILY numeric_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.numeric_cmp(pg_catalog.numeric, pg_catalog.numeric),
	FUNCTION 2 pg_catalog.numeric_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS numeric_ops USING alex IS
	'default operator class for numeric';

-- IP addresses and networks

CREATE OPERATOR FAMILY network_ops USING alex;
COMMENT ON OPERATOR FAMILY network_ops USING alex IS
	'IP addresses and networks; mirrors the btree family of the same name';

CREATE OPERATOR CLASS inet_ops
DEFAULT FOR TYPE pg_catalog.inet USING alex FAMILY network_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.network_cmp(pg_catalog.inet, pg_catalog.inet),
	FUNCTION 2 pg_catalog.network_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS inet_ops USING alex IS
	'default operator class for inet';

CREATE OPERATOR CLASS cidr_ops
FOR TYPE pg_catalog.inet USING alex FAMILY network_ops AS
	STORAGE pg_catalog.inet;
COMMENT ON OPERATOR CLASS cidr_ops USING alex IS
	'the same as inet_ops';

-- bit strings of fixed length

CREATE OPERATOR FAMILY bit_ops USING alex;
COMMENT ON OPERATOR FAMILY bit_ops USING alex IS
	'bit strings of fixed length; mirrors the btree family of the same name';

CREATE OPERATOR CLASS bit_ops
DEFAULT FOR TYPE pg_catalog."bit" USING alex FAMILY bit_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.bitcmp(pg_catalog."bit", pg_catalog."bit");
COMMENT ON OPERATOR CLASS bit_ops USING alex IS
	'default operator class for bit';

-- bit strings

CREATE OPERATOR FAMILY varbit_ops USING alex;
COMMENT ON OPERATOR FAMILY varbit_ops USING alex IS
	'bit strings; mirrors the btree family of the same name';

CREATE OPERATOR CLASS varbit_ops
DEFAULT FOR TYPE pg_catalog.varbit USING alex FAMILY varbit_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.varbitcmp(pg_catalog.varbit, pg_catalog.varbit);
COMMENT ON OPERATOR CLASS varbit_ops USING alex IS
	'default operator class for varbit';

-- padded strings

CREATE OPERATOR FAMILY bpchar_ops USING alex;
COMMENT ON OPERATOR FAMILY bpchar_ops USING alex IS
	'padded strings; mirrors the btree family of the same name';

CREATE OPERATOR CLASS bpchar_ops
DEFAULT FOR TYPE pg_catalog.bpchar USING alex FAMILY bpchar_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.bpcharcmp(pg_catalog.bpchar, pg_catalog.bpchar),
	FUNCTION 2 pg_catalog.bpchar_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS bpchar_ops USING alex IS
	'default operator class for bpchar';

-- padded strings in the order of their bytes

CREATE OPERATOR FAMILY bpchar_pattern_ops USING alex;
COMMENT ON OPERATOR FAMILY bpchar_pattern_ops USING alex IS
	'padded strings in the order of their bytes; mirrors the btree family of the same name';

CREATE OPERATOR CLASS bpchar_pattern_ops
FOR TYPE pg_catalog.bpchar USING alex FAMILY bpchar_pattern_ops AS
	OPERATOR 1 pg_catalog.~<~,
	OPERATOR 2 pg_catalog.~<=~,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.~>=~,
	OPERATOR 5 pg_catalog.~>~,
	FUNCTION 1 pg_catalog.btbpchar_pattern_cmp(pg_catalog.bpchar, pg_catalog.bpchar),
	FUNCTION 2 pg_catalog.btbpchar_pattern_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS bpchar_pattern_ops USING alex IS
	'operator class for bpchar';
