-- What regress/upgrade compares before and after: the rows of all tables, their TIDs, versions, access methods and options.
SET search_path = public, ext;
SET client_min_messages = warning;
CREATE TEMP TABLE found (name text, what text);
DO $$
DECLARE
	t regclass;
	answer text;
BEGIN
	FOR t IN SELECT c.oid FROM pg_class c WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace LOOP
		EXECUTE format('SELECT format(''%%s rows, md5 %%s'', count(*), md5(string_agg(r, '','' ORDER BY r))) FROM (SELECT md5(x::text || ctid::text) AS r FROM %s x) s', t) INTO answer;
		INSERT INTO found VALUES (t, answer);
	END LOOP;
	INSERT INTO found SELECT s.relation, format('%s rows, %s in store', s.rows, s.store_records) FROM omen_tables() s;
	INSERT INTO found SELECT c.oid::regclass, amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relnamespace = 'public'::regnamespace;
	INSERT INTO found SELECT objoid::regclass, 'option ' || label FROM pg_seclabel WHERE provider = 'omen';
	INSERT INTO found SELECT c.oid::regclass, reloptions::text FROM pg_class c WHERE reloptions IS NOT NULL AND relnamespace = 'public'::regnamespace;
	INSERT INTO found SELECT 'member', pg_describe_object(classid, objid, 0) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'omen_alex') AND deptype = 'e' AND classid <> 'pg_type'::regclass;
END $$;
SELECT * FROM found ORDER BY name COLLATE "C", what COLLATE "C";
