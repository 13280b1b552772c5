/*
 * omen_alex--0.2.0.sql - the objects of the extension.
 *
 * What changes here changes in omen_alex--0.1.0--0.2.0.sql, too: the test extension_upgrade compares the two ways.
 *
 * Rules kept in this file: every reference to something that exists already is schema-qualified, and
 * nothing is created with OR REPLACE or IF NOT EXISTS, so neither the caller's search_path nor objects
 * planted in the target schema can change what it does. No schema is named for what it creates, so the
 * extension is relocatable.
 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION omen_alex" to load this file. \quit

/*
 * Access methods
 */

CREATE FUNCTION alexhandler(pg_catalog.internal)
RETURNS pg_catalog.index_am_handler
LANGUAGE c
AS 'MODULE_PATHNAME', 'alexhandler';
COMMENT ON FUNCTION alexhandler(pg_catalog.internal) IS
	'alex index access method handler';

CREATE ACCESS METHOD alex TYPE INDEX HANDLER alexhandler;
COMMENT ON ACCESS METHOD alex IS
	'learned index: ordered, unique, crash-safe';

CREATE FUNCTION omenhandler(pg_catalog.internal)
RETURNS pg_catalog.table_am_handler
LANGUAGE c
AS 'MODULE_PATHNAME', 'omenhandler';
COMMENT ON FUNCTION omenhandler(pg_catalog.internal) IS
	'omen table access method handler';

CREATE ACCESS METHOD omen TYPE TABLE HANDLER omenhandler;
COMMENT ON ACCESS METHOD omen IS
	'versioned table: rows keep their TID, old versions live in a store of their own';

/*
 * Inspection
 *
 * They read the pages of an index the caller may have no right to read, so nobody may call them unless
 * granted. alex_stats shows counts only and follows the statistics role; the others show or depend
 * on keys. RESTRICTED because a parallel worker cannot see temporary indexes of its leader.
 */

CREATE FUNCTION alex_check(index pg_catalog.regclass, heapallindexed pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'alex_check';
COMMENT ON FUNCTION alex_check(pg_catalog.regclass, pg_catalog.bool) IS
	'verify every invariant of an alex index, and on request that every table row is in it; raises an error on corruption. Blocks writes to the table meanwhile';
REVOKE ALL ON FUNCTION alex_check(pg_catalog.regclass, pg_catalog.bool) FROM PUBLIC;

CREATE FUNCTION alex_stats(index pg_catalog.regclass,
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
AS 'MODULE_PATHNAME', 'alex_stats';
COMMENT ON FUNCTION alex_stats(pg_catalog.regclass) IS
	'shape, size and model quality of an alex index; reads all of it. fill: shares of the room there is; model_error: mean distance, in records, of a leaf record from where its model expects it';
REVOKE ALL ON FUNCTION alex_stats(pg_catalog.regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alex_stats(pg_catalog.regclass) TO pg_stat_scan_tables;

CREATE FUNCTION alex_page(index pg_catalog.regclass, block pg_catalog.int8,
	OUT kind pg_catalog.text,
	OUT level pg_catalog.int4,
	OUT flags pg_catalog.text[],
	OUT left_link pg_catalog.int8,
	OUT right_link pg_catalog.int8,
	OUT base_count pg_catalog.int4,
	OUT delta_count pg_catalog.int4,
	OUT removed_count pg_catalog.int4,
	OUT killed_count pg_catalog.int4,
	OUT free_bytes pg_catalog.int4,
	OUT low_fence pg_catalog.text,
	OUT high_fence pg_catalog.text,
	OUT detail pg_catalog.text)
RETURNS pg_catalog.record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'alex_page';
COMMENT ON FUNCTION alex_page(pg_catalog.regclass, pg_catalog.int8) IS
	'header, fences and counts of one page of an alex index (removed: taken out by VACUUM, but still taking room; killed: known to be dead to everyone); detail says what is wrong with it, if anything';
REVOKE ALL ON FUNCTION alex_page(pg_catalog.regclass, pg_catalog.int8) FROM PUBLIC;

/*
 * omen tables
 *
 * omen_check depends on values and takes a lock that VACUUM waits for; nobody may call it unless granted. omen_stats and
 * omen_tables show counts only and follow the statistics role. omen_options checks that the caller owns the table, so all may
 * call it. There is no table or view among them: tools that look for an application's relations would take it for one.
 */

CREATE FUNCTION omen_check("table" pg_catalog.regclass, indexes pg_catalog.bool DEFAULT true)
RETURNS pg_catalog.void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'omen_check';
COMMENT ON FUNCTION omen_check(pg_catalog.regclass, pg_catalog.bool) IS
	'verify every row, older version and store page of an omen table, and that every entry of its indexes leads to a row; raises an error on corruption. Others may read and write meanwhile, but not vacuum';
REVOKE ALL ON FUNCTION omen_check(pg_catalog.regclass, pg_catalog.bool) FROM PUBLIC;

CREATE FUNCTION omen_repair_access_method("table" pg_catalog.regclass)
RETURNS pg_catalog.text
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'omen_repair_access_method';
COMMENT ON FUNCTION omen_repair_access_method(pg_catalog.regclass) IS
	'give a table the access method, omen or heap, that its file is of, when a tool has put another one''s file under it; returns which that is. Changes no row';
REVOKE ALL ON FUNCTION omen_repair_access_method(pg_catalog.regclass) FROM PUBLIC;

CREATE FUNCTION omen_stats("table" pg_catalog.regclass,
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
AS 'MODULE_PATHNAME', 'omen_stats';
COMMENT ON FUNCTION omen_stats(pg_catalog.regclass) IS
	'what an omen table consists of; reads all of it. versions: those some snapshot may need, besides the newest; oldest_superseder: the oldest transaction whose update keeps one; store_pages_free: of store_pages, those that nobody needs and that will be used again';
REVOKE ALL ON FUNCTION omen_stats(pg_catalog.regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION omen_stats(pg_catalog.regclass) TO pg_stat_scan_tables;

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

CREATE FUNCTION omen_options("table" pg_catalog.regclass,
	INOUT fillfactor pg_catalog.int4 DEFAULT NULL,
	INOUT eager_offload pg_catalog.bool DEFAULT NULL)
RETURNS pg_catalog.record
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'omen_options';
COMMENT ON FUNCTION omen_options(pg_catalog.regclass, pg_catalog.int4, pg_catalog.bool) IS
	'set what is not NULL for an omen table, whose owner may; returns what is in force. fillfactor: as ALTER TABLE; eager_offload: overrides the setting omen.eager_offload';

/*
 * Operator families
 *
 * They mirror the btree families of the same names: the same types, every cross-type operator, btree's
 * strategy numbers (1 <, 2 <=, 3 =, 4 >=, 5 >) and support numbers (1 comparison, 2 sort support).
 * Two reasons. A query such as bigint_column = 5::int4 uses the index only if its operator is a member.
 * And since version 18 the planner merges equivalence classes by the families an operator is
 * in, so a family that lacks operators btree has would worsen the plans of tables without any alex index.
 */

-- integers

CREATE OPERATOR FAMILY integer_ops USING alex;
COMMENT ON OPERATOR FAMILY integer_ops USING alex IS
	'integers; mirrors the btree family of the same name';

CREATE OPERATOR CLASS int2_ops
DEFAULT FOR TYPE pg_catalog.int2 USING alex FAMILY integer_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btint2cmp(pg_catalog.int2, pg_catalog.int2),
	FUNCTION 2 pg_catalog.btint2sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS int2_ops USING alex IS
	'default operator class for int2';

CREATE OPERATOR CLASS int4_ops
DEFAULT FOR TYPE pg_catalog.int4 USING alex FAMILY integer_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btint4cmp(pg_catalog.int4, pg_catalog.int4),
	FUNCTION 2 pg_catalog.btint4sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS int4_ops USING alex IS
	'default operator class for int4';

CREATE OPERATOR CLASS int8_ops
DEFAULT FOR TYPE pg_catalog.int8 USING alex FAMILY integer_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btint8cmp(pg_catalog.int8, pg_catalog.int8),
	FUNCTION 2 pg_catalog.btint8sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS int8_ops USING alex IS
	'default operator class for int8';

ALTER OPERATOR FAMILY integer_ops USING alex ADD
	OPERATOR 1 pg_catalog.< (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 3 pg_catalog.= (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 5 pg_catalog.> (pg_catalog.int2, pg_catalog.int4),
	FUNCTION 1 (pg_catalog.int2, pg_catalog.int4) pg_catalog.btint24cmp(pg_catalog.int2, pg_catalog.int4),

	OPERATOR 1 pg_catalog.< (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 3 pg_catalog.= (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 5 pg_catalog.> (pg_catalog.int2, pg_catalog.int8),
	FUNCTION 1 (pg_catalog.int2, pg_catalog.int8) pg_catalog.btint28cmp(pg_catalog.int2, pg_catalog.int8),

	OPERATOR 1 pg_catalog.< (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 3 pg_catalog.= (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 5 pg_catalog.> (pg_catalog.int4, pg_catalog.int2),
	FUNCTION 1 (pg_catalog.int4, pg_catalog.int2) pg_catalog.btint42cmp(pg_catalog.int4, pg_catalog.int2),

	OPERATOR 1 pg_catalog.< (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 3 pg_catalog.= (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 5 pg_catalog.> (pg_catalog.int4, pg_catalog.int8),
	FUNCTION 1 (pg_catalog.int4, pg_catalog.int8) pg_catalog.btint48cmp(pg_catalog.int4, pg_catalog.int8),

	OPERATOR 1 pg_catalog.< (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 3 pg_catalog.= (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 5 pg_catalog.> (pg_catalog.int8, pg_catalog.int2),
	FUNCTION 1 (pg_catalog.int8, pg_catalog.int2) pg_catalog.btint82cmp(pg_catalog.int8, pg_catalog.int2),

	OPERATOR 1 pg_catalog.< (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 3 pg_catalog.= (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 5 pg_catalog.> (pg_catalog.int8, pg_catalog.int4),
	FUNCTION 1 (pg_catalog.int8, pg_catalog.int4) pg_catalog.btint84cmp(pg_catalog.int8, pg_catalog.int4);

-- object identifiers

CREATE OPERATOR FAMILY oid_ops USING alex;
COMMENT ON OPERATOR FAMILY oid_ops USING alex IS
	'object identifiers; mirrors the btree family of the same name';

CREATE OPERATOR CLASS oid_ops
DEFAULT FOR TYPE pg_catalog.oid USING alex FAMILY oid_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btoidcmp(pg_catalog.oid, pg_catalog.oid),
	FUNCTION 2 pg_catalog.btoidsortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS oid_ops USING alex IS
	'default operator class for oid';

-- floating point

CREATE OPERATOR FAMILY float_ops USING alex;
COMMENT ON OPERATOR FAMILY float_ops USING alex IS
	'floating point; mirrors the btree family of the same name';

CREATE OPERATOR CLASS float4_ops
DEFAULT FOR TYPE pg_catalog.float4 USING alex FAMILY float_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btfloat4cmp(pg_catalog.float4, pg_catalog.float4),
	FUNCTION 2 pg_catalog.btfloat4sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS float4_ops USING alex IS
	'default operator class for float4';

CREATE OPERATOR CLASS float8_ops
DEFAULT FOR TYPE pg_catalog.float8 USING alex FAMILY float_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btfloat8cmp(pg_catalog.float8, pg_catalog.float8),
	FUNCTION 2 pg_catalog.btfloat8sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS float8_ops USING alex IS
	'default operator class for float8';

ALTER OPERATOR FAMILY float_ops USING alex ADD
	OPERATOR 1 pg_catalog.< (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 3 pg_catalog.= (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 5 pg_catalog.> (pg_catalog.float4, pg_catalog.float8),
	FUNCTION 1 (pg_catalog.float4, pg_catalog.float8) pg_catalog.btfloat48cmp(pg_catalog.float4, pg_catalog.float8),

	OPERATOR 1 pg_catalog.< (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 3 pg_catalog.= (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 5 pg_catalog.> (pg_catalog.float8, pg_catalog.float4),
	FUNCTION 1 (pg_catalog.float8, pg_catalog.float4) pg_catalog.btfloat84cmp(pg_catalog.float8, pg_catalog.float4);

-- booleans

CREATE OPERATOR FAMILY bool_ops USING alex;
COMMENT ON OPERATOR FAMILY bool_ops USING alex IS
	'booleans; mirrors the btree family of the same name';

CREATE OPERATOR CLASS bool_ops
DEFAULT FOR TYPE pg_catalog.bool USING alex FAMILY bool_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btboolcmp(pg_catalog.bool, pg_catalog.bool);
COMMENT ON OPERATOR CLASS bool_ops USING alex IS
	'default operator class for bool';

-- single bytes

CREATE OPERATOR FAMILY char_ops USING alex;
COMMENT ON OPERATOR FAMILY char_ops USING alex IS
	'single bytes; mirrors the btree family of the same name';

CREATE OPERATOR CLASS char_ops
DEFAULT FOR TYPE pg_catalog."char" USING alex FAMILY char_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.btcharcmp(pg_catalog."char", pg_catalog."char");
COMMENT ON OPERATOR CLASS char_ops USING alex IS
	'default operator class for "char"';

-- money

CREATE OPERATOR FAMILY money_ops USING alex;
COMMENT ON OPERATOR FAMILY money_ops USING alex IS
	'money; mirrors the btree family of the same name';

CREATE OPERATOR CLASS money_ops
DEFAULT FOR TYPE pg_catalog.money USING alex FAMILY money_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.cash_cmp(pg_catalog.money, pg_catalog.money);
COMMENT ON OPERATOR CLASS money_ops USING alex IS
	'default operator class for money';

-- dates and timestamps

CREATE OPERATOR FAMILY datetime_ops USING alex;
COMMENT ON OPERATOR FAMILY datetime_ops USING alex IS
	'dates and timestamps; mirrors the btree family of the same name';

CREATE OPERATOR CLASS date_ops
DEFAULT FOR TYPE pg_catalog.date USING alex FAMILY datetime_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.date_cmp(pg_catalog.date, pg_catalog.date),
	FUNCTION 2 pg_catalog.date_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS date_ops USING alex IS
	'default operator class for date';

CREATE OPERATOR CLASS timestamp_ops
DEFAULT FOR TYPE pg_catalog.timestamp USING alex FAMILY datetime_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.timestamp_cmp(pg_catalog.timestamp, pg_catalog.timestamp),
	FUNCTION 2 pg_catalog.timestamp_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS timestamp_ops USING alex IS
	'default operator class for timestamp';

CREATE OPERATOR CLASS timestamptz_ops
DEFAULT FOR TYPE pg_catalog.timestamptz USING alex FAMILY datetime_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.timestamptz_cmp(pg_catalog.timestamptz, pg_catalog.timestamptz),
	FUNCTION 2 pg_catalog.timestamp_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS timestamptz_ops USING alex IS
	'default operator class for timestamptz';

ALTER OPERATOR FAMILY datetime_ops USING alex ADD
	OPERATOR 1 pg_catalog.< (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 2 pg_catalog.<= (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 3 pg_catalog.= (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 4 pg_catalog.>= (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 5 pg_catalog.> (pg_catalog.date, pg_catalog.timestamp),
	FUNCTION 1 (pg_catalog.date, pg_catalog.timestamp) pg_catalog.date_cmp_timestamp(pg_catalog.date, pg_catalog.timestamp),

	OPERATOR 1 pg_catalog.< (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 2 pg_catalog.<= (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 3 pg_catalog.= (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 4 pg_catalog.>= (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 5 pg_catalog.> (pg_catalog.date, pg_catalog.timestamptz),
	FUNCTION 1 (pg_catalog.date, pg_catalog.timestamptz) pg_catalog.date_cmp_timestamptz(pg_catalog.date, pg_catalog.timestamptz),

	OPERATOR 1 pg_catalog.< (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamp, pg_catalog.date),
	FUNCTION 1 (pg_catalog.timestamp, pg_catalog.date) pg_catalog.timestamp_cmp_date(pg_catalog.timestamp, pg_catalog.date),

	OPERATOR 1 pg_catalog.< (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamp, pg_catalog.timestamptz),
	FUNCTION 1 (pg_catalog.timestamp, pg_catalog.timestamptz) pg_catalog.timestamp_cmp_timestamptz(pg_catalog.timestamp, pg_catalog.timestamptz),

	OPERATOR 1 pg_catalog.< (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamptz, pg_catalog.date),
	FUNCTION 1 (pg_catalog.timestamptz, pg_catalog.date) pg_catalog.timestamptz_cmp_date(pg_catalog.timestamptz, pg_catalog.date),

	OPERATOR 1 pg_catalog.< (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamptz, pg_catalog.timestamp),
	FUNCTION 1 (pg_catalog.timestamptz, pg_catalog.timestamp) pg_catalog.timestamptz_cmp_timestamp(pg_catalog.timestamptz, pg_catalog.timestamp);

-- times of day

CREATE OPERATOR FAMILY time_ops USING alex;
COMMENT ON OPERATOR FAMILY time_ops USING alex IS
	'times of day; mirrors the btree family of the same name';

CREATE OPERATOR CLASS time_ops
DEFAULT FOR TYPE pg_catalog.time USING alex FAMILY time_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.time_cmp(pg_catalog.time, pg_catalog.time);
COMMENT ON OPERATOR CLASS time_ops USING alex IS
	'default operator class for time';

-- write-ahead log positions

CREATE OPERATOR FAMILY pg_lsn_ops USING alex;
COMMENT ON OPERATOR FAMILY pg_lsn_ops USING alex IS
	'write-ahead log positions; mirrors the btree family of the same name';

CREATE OPERATOR CLASS pg_lsn_ops
DEFAULT FOR TYPE pg_catalog.pg_lsn USING alex FAMILY pg_lsn_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.pg_lsn_cmp(pg_catalog.pg_lsn, pg_catalog.pg_lsn);
COMMENT ON OPERATOR CLASS pg_lsn_ops USING alex IS
	'default operator class for pg_lsn';

-- UUIDs

CREATE OPERATOR FAMILY uuid_ops USING alex;
COMMENT ON OPERATOR FAMILY uuid_ops USING alex IS
	'UUIDs; mirrors the btree family of the same name';

CREATE OPERATOR CLASS uuid_ops
DEFAULT FOR TYPE pg_catalog.uuid USING alex FAMILY uuid_ops AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 pg_catalog.uuid_cmp(pg_catalog.uuid, pg_catalog.uuid),
	FUNCTION 2 pg_catalog.uuid_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS uuid_ops USING alex IS
	'default operator class for uuid';

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
