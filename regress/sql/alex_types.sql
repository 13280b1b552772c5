-- Every type, operator, argument type, order, direction and kind of scan,
-- compared with a sequential scan.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- The default operator classes mirror those of btree, cross-type operators
-- included.
SELECT t.typ AS missing_or_different
FROM t_types t
WHERE (SELECT coalesce(array_agg((ao.amoplefttype, ao.amoprighttype, ao.amopstrategy, ao.amopopr)::text ORDER BY ao.amoplefttype, ao.amoprighttype, ao.amopstrategy), '{}')
	   FROM pg_opclass oc JOIN pg_am am ON am.oid = oc.opcmethod
	   JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily
	   WHERE am.amname = t_am() AND oc.opcdefault AND oc.opcintype = t.typ::regtype
		 AND ao.amoplefttype IN (SELECT typ::regtype FROM t_types) AND ao.amoprighttype IN (SELECT typ::regtype FROM t_types))
   <> (SELECT array_agg((ao.amoplefttype, ao.amoprighttype, ao.amopstrategy, ao.amopopr)::text ORDER BY ao.amoplefttype, ao.amoprighttype, ao.amopstrategy)
	   FROM pg_opclass oc JOIN pg_am am ON am.oid = oc.opcmethod
	   JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily
	   WHERE am.amname = 'btree' AND oc.opcdefault AND oc.opcintype = t.typ::regtype
		 AND ao.amoplefttype IN (SELECT typ::regtype FROM t_types) AND ao.amoprighttype IN (SELECT typ::regtype FROM t_types));

SELECT opcname AS invalid FROM pg_opclass oc JOIN pg_am am ON am.oid = oc.opcmethod
WHERE am.amname = t_am() AND NOT amvalidate(oc.oid);

-- One table a type: edge values 1, 2 or 3 times, random keys, consecutive
-- keys and NULLs.  Half of the rows are there when the indexes are built.
CREATE PROCEDURE types_fill(ty text, part int) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %I SELECT %s + row_number() OVER (), k FROM (
		SELECT (%s) AS k FROM (SELECT random() AS u, s::int8 FROM generate_series(1, 60) s) r
		UNION ALL SELECT %s FROM generate_series(%s::int8, %s::int8) s
		UNION ALL SELECT NULL FROM generate_series(1, 5)) x',
		'types_' || regexp_replace(ty, '\W', '', 'g'), part * 1000, (SELECT u_expr FROM t_types WHERE typ = ty),
		(SELECT s_expr FROM t_types WHERE typ = ty), part * 40, part * 40 + 50);
	EXECUTE format('INSERT INTO %I SELECT %s + row_number() OVER (), k FROM (%s) x(k, n), generate_series(1, n)',
		'types_' || regexp_replace(ty, '\W', '', 'g'), part * 1000 + 500,
		(SELECT string_agg(format('SELECT %s, %s', t_const(ty, v), 1 + (n + part) % 3), ' UNION ALL ')
		 FROM t_types t, unnest(t.vals) WITH ORDINALITY x(v, n) WHERE typ = ty));
END $$;

DO $$
DECLARE
	ty text;
BEGIN
	PERFORM setseed(0.42);
	SET TimeZone = 'UTC';
	FOR ty IN SELECT typ FROM t_types ORDER BY 1 LOOP
		EXECUTE format('CREATE TABLE %I (id int8, k %s)', 'types_' || regexp_replace(ty, '\W', '', 'g'), ty);
		CALL types_fill(ty, 1);
		EXECUTE format('CREATE INDEX types_al ON %I USING %I (k)', 'types_' || regexp_replace(ty, '\W', '', 'g'), t_am());
		EXECUTE format('CREATE INDEX types_af ON %I USING %I (k NULLS FIRST)', 'types_' || regexp_replace(ty, '\W', '', 'g'), t_am());
		EXECUTE format('CREATE INDEX types_df ON %I USING %I (k DESC)', 'types_' || regexp_replace(ty, '\W', '', 'g'), t_am());
		EXECUTE format('CREATE INDEX types_dl ON %I USING %I (k DESC NULLS LAST)', 'types_' || regexp_replace(ty, '\W', '', 'g'), t_am());
		CALL types_fill(ty, 2);
		-- Index names are unique in a schema: keep them short in the messages.
		EXECUTE format('ALTER INDEX types_al RENAME TO %I', regexp_replace(ty, '\W', '', 'g') || '_al');
		EXECUTE format('ALTER INDEX types_af RENAME TO %I', regexp_replace(ty, '\W', '', 'g') || '_af');
		EXECUTE format('ALTER INDEX types_df RENAME TO %I', regexp_replace(ty, '\W', '', 'g') || '_df');
		EXECUTE format('ALTER INDEX types_dl RENAME TO %I', regexp_replace(ty, '\W', '', 'g') || '_dl');
	END LOOP;
END $$;
VACUUM ANALYZE;

CREATE FUNCTION types_compare(ty text, per_op int DEFAULT NULL) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
	i text;
	idxs text[] := ARRAY[regexp_replace(ty, '\W', '', 'g') || '_al', regexp_replace(ty, '\W', '', 'g') || '_af', regexp_replace(ty, '\W', '', 'g') || '_df', regexp_replace(ty, '\W', '', 'g') || '_dl'];
	done bigint;
BEGIN
	done := t_compare(quote_ident('types_' || regexp_replace(ty, '\W', '', 'g')), idxs, (SELECT array_agg(c) FROM t_conds(ty, per_op) c), t_norm(ty), t_scans(ty));
	FOREACH i IN ARRAY idxs LOOP
		PERFORM alex_check(i::regclass, true);
		done := done + t_probe(quote_ident('types_' || regexp_replace(ty, '\W', '', 'g')), i);
	END LOOP;
	RETURN done > 250;
END $$;

SET TimeZone = 'UTC';
SELECT typ, types_compare(typ) FROM t_types ORDER BY 1;

-- The order of date against timestamptz depends on the time zone, which may be
-- another one than at insertion.
SET TimeZone = 'America/New_York';
SELECT typ, types_compare(typ, 3) FROM t_types WHERE typ IN ('date', 'timestamp', 'timestamptz') ORDER BY 1;
RESET TimeZone;

-- The comparison itself notices a wrong answer: compare a table whose index
-- does not hold all rows.
CREATE TABLE types_wrong (id int8, k int4);
INSERT INTO types_wrong SELECT i, i FROM generate_series(1, 100) i;
CREATE INDEX wrong_k ON types_wrong USING :am (k) WHERE k <> 50;
UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'wrong_k'::regclass;
DO $$
BEGIN
	PERFORM t_compare('types_wrong', '{wrong_k}', '{k = 50}');
	RAISE 'difference not noticed';
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', regexp_replace(SQLERRM, ' for:.*', '');
END $$;
DO $$
BEGIN
	PERFORM t_probe('types_wrong', 'wrong_k');
	RAISE 'difference not noticed';
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', SQLERRM;
END $$;
DROP TABLE types_wrong;
