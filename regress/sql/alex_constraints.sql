-- PRIMARY KEY and UNIQUE constraints of alex indexes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;

CREATE TABLE con (id int8, k int8, v int, note text);
INSERT INTO con SELECT i, i * 10, i, 'note ' || i FROM generate_series(1, 1000) i;
CREATE UNIQUE INDEX con_id ON con USING alex (id);
CREATE UNIQUE INDEX con_k ON con USING alex (k);
CREATE INDEX con_v ON con USING alex (v);
SELECT alex_primary_key('con_id', 'con_pkey');
SELECT alex_unique('con_k');
\d con
SELECT conname, contype, pg_get_constraintdef(oid), conindid::regclass, condeferrable FROM pg_constraint
WHERE conrelid = 'con'::regclass AND contype <> 'n' ORDER BY 1;
SELECT indexrelid::regclass, indisprimary, indisunique, indimmediate, indisvalid FROM pg_index WHERE indrelid = 'con'::regclass ORDER BY 1;
-- They do what they are for.
INSERT INTO con VALUES (5, 1);
INSERT INTO con VALUES (NULL, 1);
INSERT INTO con VALUES (1001, 50);
INSERT INTO con VALUES (1001, NULL), (1002, NULL);
INSERT INTO con VALUES (5, 1) ON CONFLICT ON CONSTRAINT con_pkey DO UPDATE SET v = -5 RETURNING *;
INSERT INTO con VALUES (2000, 50) ON CONFLICT ON CONSTRAINT con_k DO NOTHING RETURNING *;
-- What depends on the primary key depends on it.
SELECT id, note, count(*) FROM con WHERE id < 3 GROUP BY id ORDER BY id;
CREATE VIEW con_view AS SELECT id, note, count(*) FROM con GROUP BY id;
ALTER TABLE con DROP CONSTRAINT con_pkey;
DROP INDEX con_pkey;
DROP INDEX con_k;
CREATE TABLE con_like (LIKE con INCLUDING ALL);
SELECT amname, relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = relam WHERE indrelid = 'con_like'::regclass ORDER BY 2;
DROP TABLE con_like;
-- REINDEX, CLUSTER, VACUUM FULL and ALTER TABLE keep them, unless the column itself changes.
REINDEX TABLE con;
REINDEX INDEX CONCURRENTLY con_pkey;
CLUSTER con USING con_pkey;
VACUUM FULL con;
ALTER TABLE con ALTER v TYPE int8;
ALTER TABLE con RENAME CONSTRAINT con_k TO con_key;
ALTER INDEX con_key RENAME TO con_k;
ALTER TABLE con REPLICA IDENTITY USING INDEX con_pkey;
SELECT alex_check('con_pkey', true), alex_check('con_k', true);
\d con
DROP VIEW con_view;
ALTER TABLE con DROP CONSTRAINT con_pkey;
SELECT to_regclass('con_pkey');
ALTER TABLE con DROP CONSTRAINT con_k;
DROP TABLE con;

-- Deferrable ones are checked at the end of the statement, or of the transaction.
CREATE TABLE def (id int4 NOT NULL, k int4);
CREATE UNIQUE INDEX def_id ON def USING alex (id);
CREATE UNIQUE INDEX def_k ON def USING alex (k);
INSERT INTO def SELECT i, i FROM generate_series(1, 500) i;
SELECT alex_primary_key('def_id');
SELECT alex_unique('def_k', "deferrable" => true);
\d def
UPDATE def SET id = id + 1;
UPDATE def SET k = k + 1;
INSERT INTO def VALUES (1000, 7);
BEGIN;
SET CONSTRAINTS def_k DEFERRED;
INSERT INTO def VALUES (1000, 7);
UPDATE def SET k = 1000 WHERE id = 1000;
COMMIT;
BEGIN;
SET CONSTRAINTS def_k DEFERRED;
INSERT INTO def VALUES (1001, 7);
COMMIT;
INSERT INTO def VALUES (1001, 7) ON CONFLICT (k) DO NOTHING;
SELECT count(*) FROM def;
ALTER TABLE def DROP CONSTRAINT def_k;
CREATE UNIQUE INDEX def_k ON def USING alex (k);
SELECT alex_unique('def_k', 'def_later', initially_deferred => true);
BEGIN;
UPDATE def SET k = 8 WHERE k = 7;
UPDATE def SET k = 7 WHERE id = 7;
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'def_later';
SELECT alex_check('def_later', true);
DROP TABLE def;

-- Refused, as ALTER TABLE does with btrees.
CREATE TABLE bad (a int8, b int8, c int8);
CREATE INDEX bad_plain ON bad USING alex (a);
CREATE UNIQUE INDEX bad_btree ON bad (a);
CREATE UNIQUE INDEX bad_desc ON bad USING alex (a DESC);
CREATE UNIQUE INDEX bad_expr ON bad USING alex ((a + 1));
CREATE UNIQUE INDEX bad_part ON bad USING alex (a) WHERE b > 0;
CREATE UNIQUE INDEX bad_nulls ON bad USING alex (b) NULLS NOT DISTINCT;
CREATE UNIQUE INDEX bad_null ON bad USING alex (c);
CREATE UNIQUE INDEX bad_good ON bad USING alex (a);
INSERT INTO bad VALUES (1, 1, NULL);
SELECT alex_primary_key('bad');
SELECT alex_primary_key('bad_plain');
SELECT alex_primary_key('bad_btree');
SELECT alex_primary_key('bad_desc');
SELECT alex_primary_key('bad_expr');
SELECT alex_primary_key('bad_part');
SELECT alex_primary_key('bad_nulls');
SELECT alex_primary_key('bad_null');
SELECT alex_primary_key(NULL);
SELECT alex_primary_key('bad_good', 'bad_btree');
SELECT alex_primary_key('bad_good', 'Bad "name"');
SELECT alex_primary_key('bad_null');
SELECT alex_unique('"Bad ""name"""');
SELECT alex_unique('bad_nulls');
\d bad
CREATE ROLE regress_alex_other;
SET ROLE regress_alex_other;
SELECT alex_unique('bad_null');
RESET ROLE;
DROP ROLE regress_alex_other;
DROP TABLE bad;

-- ALTER TABLE ... USING INDEX takes an alex index as it takes a btree.
SET client_min_messages = notice;
CREATE TABLE made (id int8, k int4, d int4, e int4);
CREATE TABLE made_child () INHERITS (made);
INSERT INTO made SELECT i, i, i, i FROM generate_series(1, 300) i;
CREATE UNIQUE INDEX made_id ON made USING alex (id);
CREATE UNIQUE INDEX made_k ON made USING alex (k);
CREATE UNIQUE INDEX made_d ON made USING alex (d);
CREATE UNIQUE INDEX made_e ON made USING alex (e DESC);
CREATE FUNCTION made_told() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told of %', tg_tag; END $$;
CREATE EVENT TRIGGER made_told ON ddl_command_end EXECUTE FUNCTION made_told();
ALTER TABLE made ADD CONSTRAINT made_pkey PRIMARY KEY USING INDEX made_id;
ALTER TABLE IF EXISTS ONLY made ADD UNIQUE USING INDEX made_k;
ALTER TABLE made ADD UNIQUE USING INDEX made_d DEFERRABLE INITIALLY DEFERRED;
DROP EVENT TRIGGER made_told;
ALTER TABLE made ADD UNIQUE USING INDEX made_k;
ALTER TABLE made ADD UNIQUE USING INDEX made_e;
ALTER TABLE made ADD UNIQUE USING INDEX made_e, ALTER k SET NOT NULL;
ALTER TABLE made ADD UNIQUE USING INDEX no_such;
CREATE ROLE alex_made_other;
SET ROLE alex_made_other;
ALTER TABLE made ADD UNIQUE USING INDEX made_e;
RESET ROLE;
DROP ROLE alex_made_other;
SELECT conname, contype, pg_get_constraintdef(oid), condeferrable, condeferred, obj_description(oid, 'pg_constraint') FROM pg_constraint
WHERE conrelid = 'made'::regclass AND contype <> 'n' ORDER BY 1;
INSERT INTO made VALUES (5, 1000, 1000);
INSERT INTO made VALUES (NULL, 1000, 1000);
BEGIN;
INSERT INTO made VALUES (1000, 1000, 7);
COMMIT;
-- by a plan that is used again
CREATE PROCEDURE made_again() LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE made ADD CONSTRAINT made_again UNIQUE USING INDEX made_again; END $$;
CREATE UNIQUE INDEX made_again ON made USING alex (k, d);
CALL made_again();
ALTER TABLE made DROP CONSTRAINT made_again;
CREATE UNIQUE INDEX made_again ON made USING alex (k, d);
CALL made_again();
ALTER TABLE made DROP CONSTRAINT made_again;
CREATE UNIQUE INDEX made_again ON made (k, d);
CALL made_again();
\d made
DROP TABLE made, made_child;
DROP FUNCTION made_told();
DROP PROCEDURE made_again();
