-- After pg_upgrade: what is marked USING alex is alex again; alex_restore() finds the rest by its file.
SET search_path = public, ext;
CREATE TEMP VIEW methods AS SELECT conname, amname FROM pg_constraint n JOIN pg_class c ON c.oid = conindid JOIN pg_am a ON a.oid = relam
WHERE conname ~ 'keyed_|forgotten_' AND contype IN ('p', 'u');
DO $$
BEGIN
	IF EXISTS (SELECT FROM methods WHERE (amname = 'btree') <> (conname ~ 'forgotten')) OR (SELECT count(*) FROM methods) <> 6 THEN
		RAISE EXCEPTION 'not what was expected: %', (SELECT string_agg(m::text, ' ' ORDER BY conname) FROM methods m);
	END IF;
END $$;
CALL alex_restore();
DO $$
BEGIN
	IF EXISTS (SELECT FROM methods WHERE amname = 'btree') THEN RAISE EXCEPTION 'something was not restored'; END IF;
	PERFORM alex_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'alex';
END $$;
