-- Helpers shared by the SQL tests and the TAP tests of the access method.
--
-- The access method under test is "alex", or the one named by the environment
-- variable ALEX_TEST_AM.  Running the tests with ALEX_TEST_AM=btree tests the
-- tests: everything must pass there too.

SET client_min_messages = warning;
SET extra_float_digits = 1;
\getenv am ALEX_TEST_AM
\if :{?am}
\else
\set am alex
\endif
SELECT :'am' = 'alex' AS is_alex \gset
\if :is_alex
CREATE EXTENSION IF NOT EXISTS omen_alex;
\else
-- Stand-ins for the extension's functions.
CREATE OR REPLACE FUNCTION alex_check(regclass, heapallindexed bool DEFAULT false)
RETURNS void LANGUAGE sql AS 'SELECT';
CREATE OR REPLACE FUNCTION alex_stats(index regclass, OUT height int,
	OUT leaf_pages int8, OUT inner_pages int8, OUT deleted_pages int8, OUT empty_pages int8,
	OUT entries int8, OUT delta_entries int8, OUT index_bytes int8,
	OUT bytes_per_key float8, OUT leaf_fill float8, OUT delta_fill float8,
	OUT model_error float8)
LANGUAGE sql AS 'SELECT 1, 1::int8, 0::int8, 0::int8, 0::int8, 0::int8, 0::int8,
	pg_relation_size($1), 0.0::float8, 1.0::float8, 0.0::float8, 0.0::float8';
CREATE OR REPLACE FUNCTION alex_page(regclass, block int8)
RETURNS SETOF record LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION alex_check(regclass, bool), alex_page(regclass, int8),
	alex_stats(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alex_stats(regclass) TO pg_stat_scan_tables;
\endif

SELECT format('CREATE OR REPLACE FUNCTION t_am() RETURNS text LANGUAGE sql IMMUTABLE AS %L',
			  format('SELECT %L::text', :'am')) \gexec

-- Every supported type: values at the edges of the type and of its
-- neighbours, an expression that maps u in [0,1) to the whole range, and one
-- that maps a counter s to consecutive keys.  Values of "char" are written as
-- integers, because its input function differs between versions.
CREATE TABLE IF NOT EXISTS t_types (typ text PRIMARY KEY, vals text[], u_expr text, s_expr text);
TRUNCATE t_types;
INSERT INTO t_types VALUES
('int2', '{-32768,-32767,-256,-1,0,1,2,255,256,32766,32767}',
 '(-32768 + floor(u * 65536))::int2', '(s % 32768)::int2'),
('int4', '{-2147483648,-2147483647,-32769,-32768,-1,0,1,2,32767,32768,2147483646,2147483647}',
 '(-2147483648 + floor(u * 4294967296))::int4', 's::int4'),
('int8', '{-9223372036854775808,-9223372036854775807,-4611686018427387904,-2147483649,-2147483648,-1,0,1,2,32768,2147483648,4611686018427387905,9223372036854775806,9223372036854775807}',
 '((u - 0.5) * 18446744073709549568)::int8', 's'),
('oid', '{0,1,2,255,16384,2147483647,2147483648,4294967294,4294967295}',
 'floor(u * 4294967296)::int8::oid', 's::oid'),
('float4', '{-Infinity,-3.4028235e38,-1.5,-1.1754944e-38,-1e-45,-0,0,1e-45,0.1,1,1.5,16777216,3.4028235e38,Infinity,NaN}',
 '((CASE WHEN s % 2 = 0 THEN 1 ELSE -1 END) * exp((u - 0.5) * 160))::float4', '(s * 0.25)::float4'),
('float8', '{-Infinity,-1.7976931348623157e308,-3.5e38,-1.5,-2.2250738585072014e-308,-5e-324,-0,0,5e-324,0.1,0.10000000149011612,1,1.5,16777217,1.7976931348623157e308,Infinity,NaN}',
 '(CASE WHEN s % 2 = 0 THEN 1 ELSE -1 END) * exp((u - 0.5) * 1400)', 's * 0.25::float8'),
('bool', '{false,true}', 'u < 0.5', 's % 2 = 0'),
('date', '{-infinity,4714-11-24 BC,1970-01-01,1999-12-31,2000-01-01,2024-03-10,2024-03-11,294276-12-31,294277-01-01,5874897-12-31,infinity}',
 'date ''2000-01-01'' + ((u - 0.5) * 3000000)::int', 'date ''2000-01-01'' + (s % 1000000)::int'),
('time', '{00:00,00:00:00.000001,12:00,23:59:59.999999,24:00}',
 'time ''00:00'' + u * interval ''24 hours''', 'time ''00:00'' + s * interval ''1 ms'''),
('timestamp', '{-infinity,4714-11-24 00:00:00 BC,1999-12-31 23:59:59.999999,2000-01-01 00:00:00,2024-03-10 02:30:00,2024-03-11 00:00:00,294276-12-31 00:00:00,294276-12-31 23:59:59.999999,infinity}',
 'timestamp ''2000-01-01'' + (u - 0.5) * interval ''200000 days''', 'timestamp ''2020-01-01'' + s * interval ''1 ms'''),
('timestamptz', '{-infinity,4714-11-24 12:00:00+00 BC,1999-12-31 23:59:59.999999+00,2000-01-01 00:00:00+00,2024-03-10 07:00:00+00,2024-03-11 05:00:00+00,294276-12-31 00:00:00+00,294276-12-31 20:00:00+00,infinity}',
 'timestamptz ''2000-01-01 00:00+00'' + (u - 0.5) * interval ''4800000 hours''', 'timestamptz ''2020-01-01 00:00+00'' + s * interval ''1 ms'''),
('money', '{-92233720368547758.08,-1.00,-0.01,0,0.01,1.00,92233720368547758.07}',
 '''0.01''::money * ((u - 0.5) * 1.8e19::float8)', '''0.01''::money * s'),
('"char"', '{-128,-1,0,1,65,97,126,127}',
 '(floor(u * 256)::int - 128)::"char"', '((s % 256)::int - 128)::"char"'),
('pg_lsn', '{0/0,0/1,0/FFFFFFFF,1/0,7FFFFFFF/FFFFFFFF,80000000/0,FFFFFFFF/FFFFFFFE,FFFFFFFF/FFFFFFFF}',
 '''0/0''::pg_lsn + floor(u * 1.8446744073709549568e19::float8)::numeric', '''0/0''::pg_lsn + s::numeric'),
('uuid', '{00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000001,00000000-0000-0000-ffff-ffffffffffff,00000000-0000-0001-0000-000000000000,7fffffff-ffff-ffff-ffff-ffffffffffff,80000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}',
 '(to_hex(((u - 0.5) * 18446744073709549568)::int8) || md5(u::text))::varchar(32)::uuid', 'lpad(to_hex(s), 32, ''0'')::uuid'),
('timetz', '{00:00+15:59:59,00:00-15:59:59,24:00+15:59:59,24:00-15:59:59,00:00+00,12:00:00+02,11:00:00+01,10:00:00+00,23:59:59.999999+00}',
 '(timetz ''00:00+00'' + u * interval ''24 hours'') AT TIME ZONE (interval ''1 hour'' * (s % 24 - 12))', 'timetz ''00:00+00'' + s * interval ''1 ms'''),
('interval', '{-177000000 years -2000000000 days -2000000000:00:00,-1 mon,-30 days,-720:00:00,-1 day,-24:00:00,-00:00:00.000001,0,00:00:00.000001,24:00:00,1 day,720:00:00,30 days,1 mon,177000000 years 2000000000 days 2000000000:00:00}',
 '(u - 0.5) * interval ''2000000 days''', 's * interval ''1 ms'''),
('xid8', '{0,1,4294967295,4294967296,9223372036854775807,9223372036854775808,18446744073709551614,18446744073709551615}',
 'floor(u * 1.8446744073709549568e19::float8)::numeric::text::xid8', 's::text::xid8'),
('macaddr', '{00:00:00:00:00:00,00:00:00:00:00:01,7f:ff:ff:ff:ff:ff,80:00:00:00:00:00,ff:ff:ff:ff:ff:fe,ff:ff:ff:ff:ff:ff}',
 'left(md5(u::text), 12)::macaddr', 'lpad(to_hex(s), 12, ''0'')::macaddr'),
('macaddr8', '{00:00:00:00:00:00:00:00,00:00:00:00:00:00:00:01,7f:ff:ff:ff:ff:ff:ff:ff,80:00:00:00:00:00:00:00,ff:ff:ff:ff:ff:ff:ff:fe,ff:ff:ff:ff:ff:ff:ff:ff}',
 'left(md5(u::text), 16)::macaddr8', 'lpad(to_hex(s), 16, ''0'')::macaddr8'),
('text', '{"","A","a"," "," a","a ","a  ","aa","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab","ab","abc","abd","10","9","é","éa","zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz~","~","~~"}',
 '(CASE s % 4 WHEN 0 THEN md5(u::text) WHEN 1 THEN ''https://www.example.com/'' || floor(u * 30) || ''/'' || md5(u::text)
	WHEN 2 THEN chr(97 + floor(u * 26)::int) || repeat(''x'', floor(u * 190)::int % 40) ELSE (u * 1000000)::int::text END)', '''key'' || lpad(s::text, 12, ''0'')'),
('name', '{"","A","a"," ","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab","ab","abc","pg_class","é","~"}',
 '(chr(97 + floor(u * 26)::int) || repeat(''_'', (s % 40)::int) || floor(u * 1000))::name', '(''t_'' || lpad(s::text, 9, ''0''))::name'),
('bytea', '{"","\\x00","\\x0000","\\x0001","\\x01","\\x61","\\x7f","\\x80","\\xfe","\\xff","\\xff00","\\xffff","\\xffffffffffffffffffffffffffffffff"}',
 'substr(decode(md5(u::text) || md5(s::text), ''hex''), 1, 1 + (s % 32)::int)', 'int8send(s)'),
('numeric', '{NaN,-Infinity,Infinity,0,0.00,1,1.0,1.00,1.5,1.50,-1,-1.5,-1.4999999999,-2,0.0001,0.00010,0.00001,-0.00001,9999.9999,10000,1e30,-1e30,1e-30,461168601842738.7895,461168601842738.7896,99999999999999999999}',
 '((u - 0.5) * exp((s % 40 - 10)::float8))::numeric', '(s * 0.25)::numeric'),
('numeric(12,2)', '{NaN,0,0.01,-0.01,1,1.5,-1.5,9999999999.99,-9999999999.99}',
 '((u - 0.5) * 1e6)::numeric(12,2)', '(s * 0.01)::numeric(12,2)'),
('inet', '{0.0.0.0/0,0.0.0.0,10.0.0.0/8,10.0.0.0/24,10.0.0.1/24,10.0.0.0,10.0.0.1,255.255.255.255,255.255.255.255/31,::/0,::,::1,fe80::/10,fe80::1/64,fe80::1,ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff}',
 'set_masklen(''10.0.0.0''::inet + floor(u * 70000)::int8, CASE s % 3 WHEN 0 THEN 16 + (s % 17)::int ELSE 32 END)', '''::ffff:0''::inet + s'),
('varbit', '{"",0,1,00,01,10,11,00000,000000,0000000,00000000,000000000,11111,111110,111111,11111111,111111110,111111111}',
 'substring(floor(u * 16777216)::int::bit(24)::varbit, 1, (s % 25)::int)', 's::bit(40)::varbit'),
('char(12)', '{"",a,A,"a b"," a",aa,aaaaaaaaaaaa,aaaaaaaaaaa,é,ab,b,~}',
 'left(md5(u::text), (s % 13)::int)::char(12)', 'lpad(s::text, 10, ''0'')::char(12)');
-- to_hex() leaves out leading zeros, so the digits after it move; the cut to
-- 32 digits keeps every value valid.

-- A constant of a type as SQL.
CREATE OR REPLACE FUNCTION t_const(typ text, val text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN val IS NULL THEN 'NULL::' || typ
				WHEN typ = '"char"' THEN format('(%s)::"char"', val)
				ELSE format('%L::%s', val, typ) END
$$;

-- The key as it is compared in ordered results: -0.0 and 0.0 are equal, so
-- their order is free, and so are one day and 24 hours, 1.5 and 1.50.
CREATE OR REPLACE FUNCTION t_norm(typ text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN typ IN ('float4', 'float8') THEN 'k + 0' WHEN typ = 'interval' THEN 'interval_hash(k)'
		WHEN typ = 'numeric' THEN 'trim_scale(k)' ELSE 'k' END
$$;

-- The kinds of scan that can return a type: an index knows how long an interval is, not how it was written, and of a number without a scale
-- not how many zeroes are at its end.
CREATE OR REPLACE FUNCTION t_scans(typ text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN typ IN ('interval', 'numeric') AND t_am() = 'alex' THEN '{index,bitmap}' ELSE '{index,only,bitmap}' END::text[]
$$;

-- Random keys of one type: t_gen(dist, s) in the current schema.
-- dist: 0 uniform, 1 skewed, 2 twenty distinct values, 3 ascending,
-- 4 descending, 5 half NULLs, 6 edge values.
CREATE OR REPLACE FUNCTION t_make_gen(ty text) RETURNS void LANGUAGE plpgsql AS $fn$
DECLARE
	t t_types := (SELECT x FROM t_types x WHERE x.typ = ty);
	vals text := (SELECT string_agg(t_const(ty, v), ', ') FROM unnest(t.vals) v);
BEGIN
	EXECUTE format($body$
		CREATE OR REPLACE FUNCTION t_gen(dist int, s int8) RETURNS %1$s LANGUAGE plpgsql AS $$
		DECLARE
			u float8 := random();
			vals %1$s[] := ARRAY[%2$s];
		BEGIN
			IF random() < (CASE dist WHEN 5 THEN 0.5 ELSE 0.02 END) THEN RETURN NULL; END IF;
			IF dist = 6 OR random() < 0.01 THEN
				RETURN vals[1 + floor(random() * array_length(vals, 1))];
			END IF;
			IF dist = 4 THEN s := 1000000000 - s; END IF;
			IF dist IN (3, 4) THEN RETURN %3$s; END IF;
			u := CASE dist WHEN 1 THEN power(u, 10) WHEN 2 THEN floor(u * 20) / 20 ELSE u END;
			IF dist = 2 THEN s := 0; END IF;
			RETURN %4$s;
		END $$ $body$, ty, vals, t.s_expr, t.u_expr);
END $fn$;

-- Force one kind of scan: seq, index, only (index-only) or bitmap.
CREATE OR REPLACE FUNCTION t_force(kind text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('enable_seqscan', (kind = 'seq')::text, false),
			set_config('enable_indexscan', (kind IN ('index', 'only'))::text, false),
			set_config('enable_indexonlyscan', (kind = 'only')::text, false),
			set_config('enable_bitmapscan', (kind = 'bitmap')::text, false),
			set_config('enable_sort', (kind = 'seq')::text, false),
			set_config('enable_incremental_sort', 'off', false),
			set_config('max_parallel_workers_per_gather', '0', false),
			-- scans are to be tested, not what does without them
			set_config('alex.enable_aggregate', 'off', false);
END $$;

CREATE OR REPLACE FUNCTION t_unforce() RETURNS void LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
	FOREACH s IN ARRAY '{enable_seqscan,enable_indexscan,enable_indexonlyscan,enable_bitmapscan,enable_sort,enable_incremental_sort,max_parallel_workers_per_gather}'::text[] LOOP
		EXECUTE 'RESET ' || s;
	END LOOP;
	PERFORM set_config('alex.enable_aggregate', 'on', false);
END $$;

CREATE OR REPLACE FUNCTION t_plan(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || q LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN plan;
END $$;

-- NULL when the plan of q scans index idx the wanted way with all its quals
-- inside the index and without a sort, else the plan.
CREATE OR REPLACE FUNCTION t_misplanned(q text, idx text, kind text, backward bool DEFAULT false)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan text := t_plan(q);
	-- With one value the order means nothing, and the scan goes forward.
	dir text := CASE WHEN q ~ 'k = (?!ANY)' THEN '(Backward )?' WHEN backward THEN 'Backward ' ELSE '' END;
	want text := CASE kind
		WHEN 'seq' THEN 'Seq Scan on'
		WHEN 'bitmap' THEN 'Bitmap Index Scan on ' || idx
		WHEN 'only' THEN 'Index Only Scan ' || dir || 'using ' || idx
		ELSE 'Index Scan ' || dir || 'using ' || idx END;
BEGIN
	IF plan ~ 'One-Time Filter: false' THEN RETURN NULL; END IF;
	IF plan !~ (want || '\M') THEN RETURN plan; END IF;
	IF kind <> 'seq' AND (plan ~ '(^|\n) *Filter:' OR plan ~ 'Sort Key:') THEN RETURN plan; END IF;
	RETURN NULL;
END $$;

-- Leave only one index of a table visible to the planner; NULL shows all.
-- Invisible ones are still maintained.
CREATE OR REPLACE FUNCTION t_show_index(tab text, idx text) RETURNS void LANGUAGE sql AS $$
	UPDATE pg_index SET indisvalid = (idx IS NULL OR indexrelid = idx::regclass)
	WHERE indrelid = tab::regclass AND indisvalid <> (idx IS NULL OR indexrelid = idx::regclass);
$$;

-- Conditions on column k of type ty: every operator of the type's btree
-- family with every argument type it takes, then combinations.  With per_op,
-- that many random constants an operator, otherwise all constants.
-- A name makes the collation of a comparison "C", which is not that of a text column.
CREATE OR REPLACE FUNCTION t_conds(ty text, per_op int DEFAULT NULL)
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	o record;
	c text[];
	n int;
	i int;
	rts text[];
	rt text;
BEGIN
	RETURN QUERY VALUES (''), ('k IS NULL'), ('k IS NOT NULL');

	FOR o IN
		SELECT op.oprname, ao.amopstrategy, t.typ AS rtyp
		FROM pg_opclass oc
		JOIN pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
		JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
		JOIN pg_operator op ON op.oid = ao.amopopr
		JOIN t_types t ON t.typ::regtype = ao.amoprighttype AND NOT (ty = 'text' AND t.typ = 'name')
		WHERE oc.opcdefault AND oc.opcintype = ty::regtype
		ORDER BY rtyp, ao.amopstrategy
	LOOP
		n := 0;
		FOR rt IN SELECT t_const(o.rtyp, v) FROM t_types t, unnest(t.vals) WITH ORDINALITY x(v, ord)
				  WHERE t.typ = o.rtyp
				  ORDER BY CASE WHEN per_op IS NULL THEN ord ELSE random() END LIMIT per_op
		LOOP
			-- Constants known when planning and at run time take turns.  A
			-- constant compared with a bool column becomes "k" or "NOT k",
			-- which PostgreSQL 15 offers to its own access methods only.
			n := n + 1;
			RETURN NEXT format(CASE WHEN ty = 'bool' OR n % 2 = 0 THEN 'k %s (SELECT %s)' ELSE 'k %s %s' END,
							   o.oprname, rt);
		END LOOP;
		RETURN NEXT format('k %s (SELECT NULL::%s)', o.oprname, o.rtyp);
	END LOOP;

	SELECT array_agg(DISTINCT t.typ) INTO rts
	FROM pg_opclass oc
	JOIN pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'
	JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
	JOIN t_types t ON t.typ::regtype = ao.amoprighttype AND NOT (ty = 'text' AND t.typ = 'name')
	WHERE oc.opcdefault AND oc.opcintype = ty::regtype;

	FOREACH rt IN ARRAY rts LOOP
		FOR i IN 1 .. coalesce(per_op, 3) LOOP
			SELECT array_agg(format('(SELECT %s)', t_const(rt, t.vals[1 + (CASE WHEN per_op IS NULL THEN (i * 7 + g * (i + 2)) % array_length(t.vals, 1)
				ELSE floor(random() * array_length(t.vals, 1)) END)::int])) ORDER BY g)
			INTO c FROM t_types t, generate_series(1, 5) g WHERE t.typ = rt;
			RETURN NEXT format('k BETWEEN %s AND %s', c[1], c[2]);
			RETURN NEXT format('k BETWEEN %s AND %s', c[3], c[3]);
			RETURN NEXT format('k > %s AND k < %s AND k >= %s', c[1], c[2], c[3]);
			RETURN NEXT format('k >= %s AND k > %s AND k <= %s AND k < %s', c[1], c[1], c[2], c[4]);
			RETURN NEXT format('k IS NOT NULL AND k <= %s', c[1]);
			RETURN NEXT format('k IS NULL AND k >= %s', c[1]);
			RETURN NEXT format('k = ANY (ARRAY[%s, %s, %s, NULL, %s])', c[1], c[2], c[2], c[3]);
			RETURN NEXT format('k = ANY (ARRAY[%s, %s, %s]) AND k > %s', c[4], c[2], c[3], c[5]);
			RETURN NEXT format('k = ANY (ARRAY[%s, %s]) AND k = ANY (ARRAY[%s, %s, %s])', c[1], c[2], c[3], c[2], c[4]);
			RETURN NEXT format('k < ANY (ARRAY[%s, NULL, %s])', c[1], c[2]);
			RETURN NEXT format('k >= ANY (ARRAY[%s, %s])', c[1], c[2]);
			RETURN NEXT format('k = %s AND k = ANY (ARRAY[%s, %s])', c[1], c[1], c[2]);
			RETURN NEXT format('k = %s AND k >= %s', c[1], c[2]);
		END LOOP;
		RETURN NEXT (SELECT format('k IN (%s, %s, NULL)', t_const(rt, t.vals[2]), t_const(rt, t.vals[1]))
					 FROM t_types t WHERE t.typ = rt);
		RETURN NEXT format('k = ANY ((SELECT ''{}''::%s[])::%s[])', rt, rt);
		RETURN NEXT format('k = ANY ((SELECT ''{NULL,NULL}''::%s[])::%s[])', rt, rt);
		RETURN NEXT format('k = ANY ((SELECT NULL::%s[])::%s[])', rt, rt);
	END LOOP;
END $$;

-- The answer of one query as text: what must agree in every ordered scan, in
-- scans that return whole rows, and in scans that return keys.
CREATE OR REPLACE FUNCTION t_answer(tab text, cond text, ord text, norm text, whole bool,
	OUT ordered text, OUT rows text, OUT keys text) LANGUAGE plpgsql AS $$
BEGIN
	-- The subquery keeps its order: it is not flattened, and the aggregates
	-- have no order of their own.
	EXECUTE format('SELECT count(*) || '' rows, keys in order '' || coalesce(md5(string_agg(coalesce((%s)::text, ''null''), '','')), ''-''),
						   count(*) || '' rows, ids '' || coalesce(%s, 0),
						   count(*) || '' rows, keys '' || coalesce(sum(hashtext(k::text)), 0)
					FROM (SELECT %s FROM %s %s %s) s',
				   norm,
				   CASE WHEN whole THEN 'sum(hashint8(id))' ELSE '0' END,
				   CASE WHEN whole THEN 'id, k' ELSE 'k' END,
				   tab, CASE WHEN cond <> '' THEN 'WHERE ' || cond END,
				   CASE WHEN ord <> '' THEN 'ORDER BY k ' || ord END)
	INTO ordered, rows, keys;
	IF NOT whole THEN rows := NULL; END IF;
	IF ord = '' THEN ordered := NULL; END IF;
END $$;

-- Which rows differ, for the error message.
CREATE OR REPLACE FUNCTION t_difference(tab text, cond text, ord text, kind text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q text := format('SELECT array_agg(%s) FROM (SELECT * FROM %s %s %s) s',
					 CASE kind WHEN 'only' THEN 'k::text' ELSE '(id, k)::text' END,
					 tab, CASE WHEN cond <> '' THEN 'WHERE ' || cond END, CASE WHEN ord <> '' THEN 'ORDER BY k ' || ord END);
	a text[];
	b text[];
	missing text;
	extra text;
	place int;
BEGIN
	IF kind = 'only' THEN q := replace(q, 'SELECT *', 'SELECT k'); END IF;
	EXECUTE q INTO b;
	PERFORM t_force('seq');
	EXECUTE q INTO a;
	PERFORM t_force(kind);
	SELECT string_agg(x, ' ') INTO missing FROM (SELECT unnest(a) EXCEPT ALL SELECT unnest(b) LIMIT 5) d(x);
	SELECT string_agg(x, ' ') INTO extra FROM (SELECT unnest(b) EXCEPT ALL SELECT unnest(a) LIMIT 5) d(x);
	SELECT min(i) INTO place FROM generate_subscripts(a, 1) i WHERE a[i] IS DISTINCT FROM b[i];
	RETURN format('expected %s rows, found %s; missing: %s; too many: %s; first difference in sequence at row %s: expected %s, found %s',
				  coalesce(cardinality(a), 0), coalesce(cardinality(b), 0), coalesce(missing, 'none'), coalesce(extra, 'none'),
				  place, a[place], b[place]);
END $$;

-- Compare every index in idxs with a sequential scan, for all conditions.
-- scans lists what to try with the first index: any of index, only, bitmap,
-- each forward and backward.  With the others, which differ in order only,
-- half of that is tried, and the plan is looked at once.  Returns the number
-- of comparisons; the first difference is an error.
CREATE OR REPLACE FUNCTION t_compare(tab text, idxs text[], conds text[], norm text DEFAULT 'k',
	scans text[] DEFAULT '{index,only,bitmap}') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	wanted jsonb := '{}';
	want text[];
	idx text;
	cond text;
	kind text;
	back bool;
	opts int;
	ord text;
	q text;
	plan text;
	a record;
	n bigint := 0;
	nidx int := 0;
BEGIN
	FOREACH idx IN ARRAY idxs LOOP
		nidx := nidx + 1;
		PERFORM t_show_index(tab, idx);
		SELECT indoption[0] INTO opts FROM pg_index WHERE indexrelid = idx::regclass;
		FOREACH cond IN ARRAY conds LOOP
			FOREACH kind IN ARRAY scans LOOP
				FOREACH back IN ARRAY '{f,t}'::bool[] LOOP
					CONTINUE WHEN back AND kind = 'bitmap';
					-- A bitmap scan needs a condition and knows no order: once is enough.
					CONTINUE WHEN kind = 'bitmap' AND (cond = '' OR nidx > 1);
					CONTINUE WHEN nidx > 1 AND back <> ((kind = 'only') = (nidx % 2 = 0));
					-- Reading backwards turns both the order and the place of NULLs.
					ord := CASE WHEN kind = 'bitmap' THEN ''
						ELSE CASE WHEN (opts & 1 = 1) <> back THEN 'DESC' ELSE 'ASC' END
							 || CASE WHEN (opts & 2 = 2) <> back THEN ' NULLS FIRST' ELSE ' NULLS LAST' END END;

					IF wanted->(cond || '/' || ord) IS NULL THEN
						PERFORM t_force('seq');
						SELECT * INTO a FROM t_answer(tab, cond, ord, norm, true);
						wanted := wanted || jsonb_build_object(cond || '/' || ord, jsonb_build_array(a.ordered, a.rows, a.keys));
					END IF;
					SELECT array_agg(x) INTO want FROM jsonb_array_elements_text(wanted->(cond || '/' || ord)) x;

					PERFORM t_force(kind);
					q := format('SELECT %s FROM %s %s %s', CASE kind WHEN 'only' THEN 'k' ELSE 'id, k' END, tab,
								CASE WHEN cond <> '' THEN 'WHERE ' || cond END, CASE WHEN ord <> '' THEN 'ORDER BY k ' || ord END);
					plan := CASE WHEN nidx = 1 OR cond = conds[1] THEN t_misplanned(q, idx, kind, back) END;
					IF plan IS NOT NULL THEN
						RAISE EXCEPTION 'not the wanted plan (% scan of %) for: %', kind, idx, q USING DETAIL = plan;
					END IF;
					SELECT * INTO a FROM t_answer(tab, cond, ord, norm, kind <> 'only');
					IF a.ordered IS DISTINCT FROM want[1]
					   OR (kind <> 'only' AND a.rows <> want[2])
					   OR a.keys <> want[3] THEN
						RAISE EXCEPTION 'wrong answer from % scan of % for: %', kind, idx, q
							USING DETAIL = t_difference(tab, cond, ord, kind);
					END IF;
					n := n + 1;
				END LOOP;
			END LOOP;
		END LOOP;
	END LOOP;
	PERFORM t_show_index(tab, NULL);
	PERFORM t_unforce();
	RETURN n;
END $$;

-- Look up each of the keys by a nested loop and compare with a hash join.
CREATE OR REPLACE FUNCTION t_probe(tab text, idx text, sample int DEFAULT 2000) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	q text;
	bad text;
	n bigint;
BEGIN
	PERFORM t_force('seq');
	DROP TABLE IF EXISTS t_probes;
	EXECUTE format('CREATE TEMP TABLE t_probes AS SELECT k, count(*) AS n FROM %s WHERE k IS NOT NULL GROUP BY k
					ORDER BY hashtext(k::text) LIMIT %s', tab, sample);
	PERFORM t_show_index(tab, idx);
	PERFORM t_force('only');
	-- Reading the probes themselves needs a sequential scan, whatever it costs.
	q := format('SELECT p.k, p.n AS want, (SELECT count(*) FROM %s t WHERE t.k = p.k) AS got FROM t_probes p', tab);
	IF t_plan(q) !~ ('Index ' || CASE WHEN pg_index_column_has_property(idx::regclass, 1, 'returnable') THEN 'Only ' ELSE '' END || 'Scan using ' || idx) THEN
		RAISE EXCEPTION 'not the wanted plan for: %', q USING DETAIL = t_plan(q);
	END IF;
	EXECUTE format('SELECT count(*), string_agg(format(''key %%s: expected %%s rows, found %%s'', k, want, got), ''; '')
					FILTER (WHERE want <> got) FROM (%s) s', q) INTO n, bad;
	IF bad IS NOT NULL THEN
		RAISE EXCEPTION 'wrong answer of lookups through %: %', idx, left(bad, 1000);
	END IF;
	PERFORM t_show_index(tab, NULL);
	PERFORM t_unforce();
	RETURN n;
END $$;

-- Run a command that must fail: 'ok' when it fails with the wanted SQLSTATE
-- (a like pattern), otherwise what happened.  The stand-in may accept it.
CREATE OR REPLACE FUNCTION t_refused(cmd text, state text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE cmd;
	-- To undo it.
	RAISE EXCEPTION USING ERRCODE = 'ZZ002';
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE LIKE state OR t_am() <> 'alex' THEN RETURN 'ok'; END IF;
	IF SQLSTATE = 'ZZ002' THEN RETURN 'accepted: ' || cmd; END IF;
	RETURN format('refused with %s instead of %s: %s', SQLSTATE, state, SQLERRM);
END $$;

-- ---- several columns ----

-- The columns of an index with their order, as ORDER BY has it; backwards, too.
CREATE OR REPLACE FUNCTION t_order(idx text, backward bool) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT string_agg(format('%I %s', a.attname, CASE WHEN (i.indoption[n - 1] & 1 = 1) <> backward THEN 'DESC' ELSE 'ASC' END
							 || CASE WHEN (i.indoption[n - 1] & 2 = 2) <> backward THEN ' NULLS FIRST' ELSE ' NULLS LAST' END), ', ' ORDER BY n)
	FROM pg_index i CROSS JOIN generate_series(1, i.indnkeyatts) n
	JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = n
	WHERE i.indexrelid = idx::regclass
$$;

-- A string, or one near it.
CREATE OR REPLACE FUNCTION t_near(v text, typ text) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN typ NOT IN ('text', 'character varying', 'character', 'bpchar') OR r > 0.25 THEN v
		WHEN r < 0.05 THEN left(v, -1) WHEN r < 0.10 THEN v || 'a' WHEN r < 0.13 THEN v || ' '
		WHEN r < 0.16 THEN repeat('p', 20000) WHEN r < 0.19 THEN v || repeat('x', 3000) ELSE left(v, floor(random() * 9)::int) END
	FROM (SELECT random() AS r OFFSET 0) x
$$;

-- A random condition on some columns of an index, with values of its table. Leading columns are asked for most often.
CREATE OR REPLACE FUNCTION t_columns_cond(tab text, idx text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	r float8;
	v text[];
	conds text[] := '{}';
	gap float8 := random();
BEGIN
	FOR c IN SELECT a.attnum AS n, a.attname AS name, format_type(a.atttypid, NULL) AS typ
			 FROM pg_attribute a WHERE a.attrelid = idx::regclass AND a.attnum > 0 ORDER BY 1 LOOP
		CONTINUE WHEN random() < gap * 0.7;
		EXECUTE format('SELECT array_agg(coalesce(quote_literal(t_near(v, %4$L)), ''NULL'') || %1$L) FROM
						(SELECT (SELECT %2$I::text FROM %3$s WHERE id >= t_place ORDER BY id LIMIT 1) AS v
						 FROM (SELECT floor(random() * (SELECT max(id) FROM %3$s))::int8 AS t_place FROM generate_series(1, 4) OFFSET 0) y) x',
					   '::' || c.typ, c.name, tab, c.typ) INTO v;
		r := random();
		conds := conds || format(CASE
			WHEN r < 0.35 THEN '%1$I = %2$s'
			WHEN r < 0.45 THEN '%1$I %6$s %2$s'
			WHEN r < 0.55 THEN '%1$I BETWEEN %2$s AND %3$s'
			WHEN r < 0.60 THEN '%1$I >= %2$s AND %1$I < %3$s AND %1$I <> %4$s'
			WHEN r < 0.80 THEN '%1$I = ANY (ARRAY[%2$s, %3$s, %4$s, %5$s])'
			WHEN r < 0.84 THEN '%1$I %6$s (SELECT %2$s)'
			WHEN r < 0.88 THEN '%1$I < ANY (ARRAY[%2$s, %3$s])'
			WHEN r < 0.92 THEN '%1$I IS NULL'
			WHEN r < 0.96 THEN '%1$I IS NOT NULL'
			ELSE '%1$I = ANY (ARRAY[%2$s, %3$s]) AND %1$I %6$s %4$s' END,
			c.name, v[1], v[2], v[3], v[4], (ARRAY['<', '<=', '>', '>='])[1 + floor(random() * 4)::int]);
	END LOOP;
	RETURN coalesce(array_to_string(conds, ' AND '), '');
END $$;

-- n random queries on a table with several columns through one of its indexes, by every kind of scan in its order and against it, compared with
-- a sequential scan and a sort. "keys" are the columns shown, as text that is the same for equal values. Returns how many answers were
-- compared, and raises an error at the first that is wrong.
CREATE OR REPLACE FUNCTION t_columns_compare(tab text, idx text, keys text, n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	cond text;
	ord text;
	kind text;
	back bool;
	q text;
	want text;
	got text;
	done bigint := 0;
BEGIN
	PERFORM t_show_index(tab, idx);
	FOR i IN 1 .. n LOOP
		cond := t_columns_cond(tab, idx);
		back := random() < 0.5;
		ord := t_order(idx, back);
		q := format('SELECT md5(coalesce(string_agg(x::text, '';''), '''')) || count(*) FROM (SELECT %s FROM %s %s ORDER BY %s) x',
					keys, tab, CASE WHEN cond <> '' THEN 'WHERE ' || cond END, ord);
		PERFORM t_force('seq');
		EXECUTE q INTO want;
		FOREACH kind IN ARRAY '{index,only,bitmap}'::text[] LOOP
			CONTINUE WHEN kind = 'bitmap' AND cond = '';
			PERFORM t_force(kind);
			IF kind = 'bitmap' THEN SET enable_sort = on; END IF;
			EXECUTE q INTO got;
			IF got IS DISTINCT FROM want THEN
				RAISE EXCEPTION 'wrong answer from % scan of % for: %', kind, idx, q
					USING DETAIL = format('expected %s rows, found %s', substr(want, 33), substr(got, 33)) || E'\n' || t_plan(q);
			END IF;
			done := done + 1;
		END LOOP;
	END LOOP;
	PERFORM t_show_index(tab, NULL);
	PERFORM t_unforce();
	RETURN done;
END $$;

-- The shapes of indexes on several columns that tests use, on a table made by t_columns_table().
CREATE OR REPLACE FUNCTION t_columns_shapes() RETURNS SETOF text LANGUAGE sql AS $$
	VALUES ('a, b DESC, c'), ('b, a NULLS FIRST, g'), ('b DESC NULLS LAST, c, d'), ('f, e DESC, a'), ('d, b'), ('g DESC, h, e NULLS FIRST'),
		('c NULLS FIRST, b NULLS FIRST'), ('e, f, b DESC'), ('a, b, c DESC, d, e, f NULLS FIRST, g, h DESC'),
		('i, b'), ('b, i DESC, a'), ('i DESC NULLS LAST, f, j'), ('f, j NULLS FIRST, i, e'), ('j, c DESC, i DESC, d, h')
$$;

-- A table of columns of all widths, with few values and many of them equal, extreme or NULL, and an index of each shape: name_1 and so on.
CREATE OR REPLACE FUNCTION t_columns_table(name text, am text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s text;
	n int := 0;
BEGIN
	EXECUTE format('CREATE TABLE %I (id int8 PRIMARY KEY, a int2, b int8, c timestamptz, d uuid, e float8, f bool, g int4, h interval, i text, j varchar)', name);
	FOR s IN SELECT t_columns_shapes() LOOP
		n := n + 1;
		EXECUTE format('CREATE INDEX %I ON %I USING %I (%s)', name || '_' || n, name, am, s);
	END LOOP;
END $$;

-- Random values of the columns of such a table, as a row of it with this id.
CREATE OR REPLACE FUNCTION t_columns_row(id int8, variety int) RETURNS record LANGUAGE plpgsql AS $$
DECLARE
	u float8[] := ARRAY(SELECT random() FROM generate_series(1, 10));
	nulls bool[] := ARRAY(SELECT random() < 0.04 FROM generate_series(1, 10));
	odd bool[] := ARRAY(SELECT random() < 0.03 FROM generate_series(1, 10));
BEGIN
	RETURN ROW (id,
		CASE WHEN nulls[1] THEN NULL WHEN odd[1] THEN (ARRAY[-32768, 32767])[1 + (id % 2)::int]::int2 ELSE floor(u[1] * u[1] * variety)::int2 END,
		CASE WHEN nulls[2] THEN NULL WHEN odd[2] THEN (ARRAY[-9223372036854775808, 9223372036854775807])[1 + (id % 2)::int] ELSE floor(u[2] * variety)::int8 END,
		CASE WHEN nulls[3] THEN NULL WHEN odd[3] THEN (ARRAY['-infinity', 'infinity'])[1 + (id % 2)::int]::timestamptz
			ELSE timestamptz '2024-01-01 00:00+00' + floor(u[3] * variety) * interval '1 hour' END,
		CASE WHEN nulls[4] THEN NULL WHEN odd[4] THEN (ARRAY['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'])[1 + (id % 2)::int]::uuid
			ELSE md5(floor(u[4] * variety)::text)::uuid END,
		CASE WHEN nulls[5] THEN NULL WHEN odd[5] THEN (ARRAY['-0', '0', 'NaN', 'Infinity', '-Infinity'])[1 + (id % 5)::int]::float8 ELSE floor((u[5] - 0.5) * variety) END,
		CASE WHEN nulls[6] THEN NULL ELSE u[6] < 0.5 END,
		CASE WHEN nulls[7] THEN NULL WHEN odd[7] THEN (ARRAY[-2147483648, 2147483647])[1 + (id % 2)::int] ELSE floor(u[7] * u[8] * variety)::int4 END,
		CASE WHEN nulls[8] THEN NULL ELSE floor((u[8] - 0.5) * variety) * interval '12 hours' END,
		CASE WHEN nulls[9] THEN NULL WHEN odd[9] THEN (ARRAY['', repeat('b', 60), repeat('b', 60) || 'a'])[1 + (id % 3)::int]
			ELSE repeat('b', (floor(u[9] * variety)::int % 7) * 6) || floor(u[9] * variety) END,
		CASE WHEN nulls[10] THEN NULL ELSE chr(97 + floor(u[10] * least(variety, 26))::int) END::varchar);
END $$;

-- An expression as text that is the same for equal values of its type and collation.
CREATE OR REPLACE FUNCTION t_normal(expr text, typ oid, coll oid) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN typ IN ('float4'::regtype, 'float8'::regtype) THEN format('(%s + 0)', expr)
		WHEN typ = 'interval'::regtype THEN format('interval_hash(%s)', expr)
		WHEN typ = 'numeric'::regtype THEN format('trim_scale(%s)', expr)
		WHEN EXISTS (SELECT FROM pg_collation c WHERE c.oid = coll AND NOT collisdeterministic) THEN format('hashtextextended(%s, 0)', expr)
		ELSE expr END
$$;

-- The columns of an index as text that is the same for equal values.
CREATE OR REPLACE FUNCTION t_columns_keys(idx text) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT string_agg(t_normal(a.attname, a.atttypid, coalesce(t.attcollation, a.attcollation)) || ' AS ' || a.attname, ', ' ORDER BY a.attnum)
	FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
	LEFT JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attname = a.attname	-- included columns have no collation
	WHERE i.indexrelid = idx::regclass AND a.attnum > 0
$$;

-- Does "SELECT what" give other rows, or the same in another order, one way (as t_force() has it) than by a sequential scan?
CREATE OR REPLACE FUNCTION t_rows(what text, way text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM t_force(way);
	EXECUTE format('SELECT count(*) || '' '' || coalesce(md5(string_agg(x::text, ''|'')), '''') FROM (SELECT %s) AS x', what) INTO result;
	PERFORM t_unforce();
	RETURN result;
END $$;
CREATE OR REPLACE FUNCTION t_differs(what text, way text DEFAULT 'only') RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN t_rows(what, way) = t_rows(what, 'seq') THEN 'same' ELSE 'differs' END
$$;
