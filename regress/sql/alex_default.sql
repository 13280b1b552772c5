-- alex.default_for_constraints: new PRIMARY KEY and UNIQUE constraints get alex indexes where alex can be.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
LOAD 'omen_alex';
SHOW alex.default_for_constraints;
SET alex.default_for_constraints = on;
SELECT current_setting('server_version_num')::int / 10000 = 17 AS refused \gset
\if :refused
\q
\endif
CREATE SCHEMA def;
SET search_path = def, public;
CREATE FUNCTION methods() RETURNS TABLE (what text, def text, method name, comment text) LANGUAGE sql AS $$
	SELECT conrelid::regclass || ' ' || conname, pg_get_constraintdef(s.oid), amname, obj_description(s.oid, 'pg_constraint')
	FROM pg_constraint s JOIN pg_class c ON c.oid = conindid JOIN pg_am a ON a.oid = relam
	WHERE connamespace = 'def'::regnamespace AND contype IN ('p', 'u') ORDER BY 1;
$$;
-- Of columns, of tables, of several columns, deferrable ones, of serial types, of domains.
CREATE DOMAIN positive AS int8 CHECK (VALUE > 0);
CREATE TABLE a1 (id bigserial PRIMARY KEY, k int4 UNIQUE DEFERRABLE INITIALLY DEFERRED, d positive UNIQUE, u uuid, at timestamptz,
	CONSTRAINT two UNIQUE (u, at) WITH (fillfactor = 80), parent int8 REFERENCES a1);
CREATE TABLE a2 (id int8 GENERATED ALWAYS AS IDENTITY, k int4 NOT NULL, PRIMARY KEY (k, id));
CREATE TABLE a3 (id int8, k int4, t text);
COMMENT ON TABLE a3 IS 'x';
ALTER TABLE a3 ADD PRIMARY KEY (id), ADD COLUMN n int2 UNIQUE, ADD CONSTRAINT kn UNIQUE NULLS NOT DISTINCT (k, n);
CREATE TEMP TABLE a4 (id int4 PRIMARY KEY);
CREATE UNLOGGED TABLE a5 (id int4 PRIMARY KEY);
CREATE TABLE a6 (id int4 PRIMARY KEY) USING omen;
CREATE TABLE heir (w int4 UNIQUE) INHERITS (a2);
CREATE TABLE copied (LIKE a1 INCLUDING ALL);
-- What stays a btree.
CREATE TABLE b1 (t jsonb PRIMARY KEY, i int4[] UNIQUE, k int4, UNIQUE (k, t));
CREATE TABLE b2 (id int4, v int4, PRIMARY KEY (id) INCLUDE (v), UNIQUE (v) WITH (deduplicate_items = off));
CREATE TABLE b3 (id int4 PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE b3_1 PARTITION OF b3 FOR VALUES FROM (0) TO (10);
CREATE TABLE b4 (k int4 NOT NULL);
CREATE UNIQUE INDEX b4_k ON b4 (k);
ALTER TABLE b4 ADD PRIMARY KEY USING INDEX b4_k;
CREATE TABLE b5 (UNIQUE (k), w text) INHERITS (a2);
CREATE TABLE b6 (id int4, parent int4);
ALTER TABLE b6 ADD PRIMARY KEY (id), ADD FOREIGN KEY (parent) REFERENCES b6;
CREATE TABLE b7 (id text);
ALTER TABLE b7 ALTER id TYPE int4 USING 1, ADD PRIMARY KEY (id);
CREATE TABLE b8 AS SELECT 1 AS id;
-- In functions, which keep their trees; in schemas; of what is there; of errors.
CREATE FUNCTION make(switch text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('alex.default_for_constraints', switch, true);
	CREATE TABLE f (id int4 PRIMARY KEY);
END $$;
SELECT make('on');
SELECT method FROM methods() WHERE what LIKE 'f %';
DROP TABLE f;
SELECT make('off');
SELECT method FROM methods() WHERE what LIKE 'f %';
SET alex.default_for_constraints = on;
DROP TABLE f;
SELECT make('on');
SET alex.default_for_constraints = on;
CREATE SCHEMA def_inner CREATE TABLE inner_t (id int4 PRIMARY KEY);
SELECT relam = (SELECT oid FROM pg_am WHERE amname = 'alex') FROM pg_class WHERE oid = 'def_inner.inner_t_pkey'::regclass;
CREATE TABLE IF NOT EXISTS f (id int4 PRIMARY KEY);
CREATE TABLE g (id nothing PRIMARY KEY);
CREATE TABLE g (id int4, PRIMARY KEY (nobody));
CREATE TABLE g (id int4 PRIMARY KEY, k int4 PRIMARY KEY);
ALTER TABLE f ADD PRIMARY KEY (id);
ALTER TABLE nobody ADD PRIMARY KEY (id);
ALTER TABLE IF EXISTS nobody ADD PRIMARY KEY (id);
SELECT * FROM methods();
-- They are what they look like.
INSERT INTO a1 (k, d, parent) SELECT i, i, NULLIF(i / 2, 0) FROM generate_series(1, 500) i;
INSERT INTO a1 (id) VALUES (7);
INSERT INTO a1 (id, k) VALUES (7, 1000) ON CONFLICT (id) DO UPDATE SET k = 1001 RETURNING id, k;
DELETE FROM a1 WHERE id = 7;
INSERT INTO a6 SELECT i FROM generate_series(1, 500) i;
INSERT INTO a6 VALUES (7) ON CONFLICT DO NOTHING;
SELECT alex_check(conindid, true) FROM pg_constraint WHERE conname IN ('a1_pkey', 'a1_k_key', 'a6_pkey', 'kn') AND connamespace = 'def'::regnamespace;
SET alex.default_for_constraints = off;
CREATE TABLE off (id int4 PRIMARY KEY);
CREATE TABLE off_copied (LIKE a2 INCLUDING ALL);
SELECT * FROM methods() WHERE what LIKE 'off%';
SET client_min_messages = error;
DROP SCHEMA def_inner CASCADE;
DROP SCHEMA def CASCADE;
DROP TABLE a4;
