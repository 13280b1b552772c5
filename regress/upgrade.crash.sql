-- After a crash: unlogged tables are empty, and their indexes work.
SET search_path = public, ext;
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY '{unlogged, unlogged_keyed, unlogged_forgotten}'::text[] LOOP
		EXECUTE format('INSERT INTO %s SELECT i, i FROM generate_series(1, 300) i', t);
		EXECUTE format('INSERT INTO %s VALUES (7, 8) ON CONFLICT (id) DO NOTHING', t);
		IF (SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE c.oid = (t || '_pkey')::regclass) = 'alex' THEN
			PERFORM alex_check(t || '_pkey', true);
		END IF;
	END LOOP;
END $$;
