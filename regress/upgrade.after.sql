-- What regress/upgrade does in the new cluster: everything is sound, and goes on as the heap table beside it. Any error ends it.
SET search_path = public, ext;
SET client_min_messages = warning;

CREATE PROCEDURE sound() LANGUAGE plpgsql AS $$
DECLARE
	r record;
	query text;
	a text;
	b text;
BEGIN
	PERFORM omen_check(c.oid) FROM pg_class c JOIN pg_am am ON am.oid = relam WHERE amname = 'omen' AND relkind IN ('r', 'm');
	PERFORM alex_check(c.oid, true) FROM pg_class c JOIN pg_am am ON am.oid = relam WHERE amname = 'alex';
	IF EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck') THEN
		FOR r IN SELECT i.indexrelid::regclass AS index FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_am am ON am.oid = relam
			WHERE amname = 'btree' AND relkind = 'i' AND relnamespace = 'public'::regnamespace LOOP
			PERFORM bt_index_check(r.index, true);
		END LOOP;
	END IF;
	FOREACH query IN ARRAY ARRAY['SELECT * FROM %T', 'SELECT * FROM %T WHERE id > 0', 'SELECT * FROM %T WHERE k BETWEEN 0 AND 20000', 'SELECT * FROM %T WHERE k = 4711',
		'SELECT * FROM %T WHERE tags @> ''{t3}''', 'SELECT * FROM %T WHERE spot <@ box(point(0, 0), point(30, 30))', 'SELECT * FROM %T WHERE id % 1000 < 300 AND id % 2 = 0'] LOOP
		FOR way IN 0..2 LOOP
			PERFORM set_config('enable_seqscan', (way = 0)::text, true), set_config('enable_indexscan', (way = 1)::text, true), set_config('enable_bitmapscan', (way = 2)::text, true);
			EXECUTE replace('SELECT count(*) || md5(string_agg(s::text, '','' ORDER BY s::text)) FROM (' || query || ') s', '%T', 'acct') INTO a;
			EXECUTE replace('SELECT count(*) || md5(string_agg(s::text, '','' ORDER BY s::text)) FROM (' || query || ') s', '%T', 'acct_heap') INTO b;
			IF a IS DISTINCT FROM b OR a IS NULL THEN RAISE EXCEPTION 'way % of % differs: % %', way, query, a, b; END IF;
		END LOOP;
	END LOOP;
	PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'on', true), set_config('enable_bitmapscan', 'on', true);
END $$;

-- amcheck where it is installed
DO $$ BEGIN CREATE EXTENSION amcheck; EXCEPTION WHEN undefined_file OR feature_not_supported THEN NULL; END $$;
CALL sound();
-- what was left undone before the upgrade meets all kinds of changes
CALL do_both('UPDATE %T SET bal = bal + 1 WHERE id % 2 = 0');
CALL do_both('UPDATE %T SET note = repeat(''y'', id % 200) WHERE id % 7 = 0');
CALL do_both('UPDATE %T SET k = k + 1, long = ''short'' WHERE id % 80 = 0');
CALL do_both('UPDATE %T SET id = id + 100000 WHERE id BETWEEN 100 AND 200');
CALL do_both('DELETE FROM %T WHERE id % 19 = 0');
CALL undone('UPDATE %T SET bal = 0');
CALL do_both('INSERT INTO %T (id, bal, k, tags, spot) SELECT i, 0, i, ''{t3}'', point(1, 1) FROM generate_series(10001, 12000) i');
CALL do_both('INSERT INTO %T (id, bal) VALUES (1, 5), (20001, 7) ON CONFLICT (id) DO UPDATE SET bal = %T.bal + 5') \g /dev/null
CALL sound();
VACUUM (ANALYZE) acct, mark, part, parent, child, mat, emptied, unlogged, empty, kinds;
CALL sound();
CALL do_both('UPDATE %T SET bal = bal + 1');
CALL do_both('UPDATE %T SET bal = bal + 1, note = note || ''z'' WHERE id % 3 = 0');
VACUUM (FREEZE);
CALL sound();
DO $$ BEGIN
	IF (SELECT count(*) FROM mark WHERE NOT EXISTS (SELECT FROM acct WHERE acct.id = mark.acct)) <> 0 THEN RAISE EXCEPTION 'marks of nobody'; END IF;
	IF (SELECT count(*) FROM mark WHERE acct > 100000) = 0 THEN RAISE EXCEPTION 'the cascade did not work'; END IF;
	IF (SELECT eager_offload FROM omen_options('mark')) IS NOT TRUE OR (SELECT fillfactor FROM omen_options('mark')) <> 70 THEN RAISE EXCEPTION 'options are lost'; END IF;
	IF (SELECT sum(dead_rows + aborted_updates + versions_in_page + versions_in_store + store_records) FROM omen_tables()) <> 0 THEN RAISE EXCEPTION 'not all was cleaned up'; END IF;
END $$;
DO $$ BEGIN
	INSERT INTO keyed VALUES (5, 5000, 5000) ON CONFLICT (id) DO UPDATE SET d = -5;
	IF (SELECT d FROM keyed WHERE id = 5) <> -5 THEN RAISE EXCEPTION 'the upsert did not meet its row'; END IF;
	BEGIN
		INSERT INTO of_keyed VALUES (1950, 1);
		RAISE EXCEPTION 'a foreign key is lost';
	EXCEPTION WHEN foreign_key_violation THEN NULL;
	END;
	UPDATE keyed SET d = d + 1;
	IF (SELECT count(*) FROM pg_depend WHERE objid = 'keyed_pkey'::regclass AND refclassid = 'pg_opclass'::regclass) <> 1 THEN
		RAISE EXCEPTION 'the index does not depend on its operator class';
	END IF;
END $$;
REFRESH MATERIALIZED VIEW CONCURRENTLY mat;
VACUUM FULL acct;
CLUSTER mark USING mark_pkey;
REINDEX TABLE acct;
REINDEX INDEX CONCURRENTLY acct_alex;
ALTER TABLE part_1 SET ACCESS METHOD heap;
ALTER TABLE part_3 SET ACCESS METHOD omen;
CALL sound();
