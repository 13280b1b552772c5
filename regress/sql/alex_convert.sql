-- alex_convert() and what goes with it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
RESET client_min_messages;
CREATE SCHEMA conv;
SET search_path = conv, public;
CREATE VIEW indexes AS SELECT c.relname, amname, indisunique AS uniq, indisprimary AS prim, indisexclusion AS excl, indimmediate AS imm,
	indisvalid AS valid, indisreplident AS ident, indisclustered AS clust, obj_description(c.oid) AS comment
FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam
WHERE c.relnamespace = 'conv'::regnamespace ORDER BY 1;

CREATE TABLE t (id int8 PRIMARY KEY, k int4, u uuid UNIQUE, d int4, e int8, r int8 NOT NULL, n int8, txt text, j jsonb, EXCLUDE (e WITH =));
ALTER TABLE t ADD CONSTRAINT t_d UNIQUE (d) DEFERRABLE;
CREATE INDEX t_k ON t (k DESC NULLS LAST) WITH (fillfactor = 70, deduplicate_items = off);
CREATE INDEX t_part ON t (k) WHERE id > 10;
CREATE INDEX t_expr ON t ((k * 2));
CREATE UNIQUE INDEX t_r ON t (r);
CREATE UNIQUE INDEX t_n ON t (n) NULLS NOT DISTINCT;
CREATE INDEX t_json ON t (j);
CREATE INDEX t_hash ON t USING hash (k);
ALTER TABLE t REPLICA IDENTITY USING INDEX t_r;
ALTER TABLE t CLUSTER ON t_k;
ALTER INDEX t_expr ALTER COLUMN 1 SET STATISTICS 500;
COMMENT ON INDEX t_pkey IS 'a comment';
COMMENT ON CONSTRAINT t_u_key ON t IS E'two\nlines';
INSERT INTO t SELECT i, i % 100, md5(i::text)::uuid, i, i, i, i, i, to_jsonb(i) FROM generate_series(1, 2000) i;
ANALYZE t;
CREATE TABLE child (id int8 REFERENCES t ON UPDATE CASCADE ON DELETE CASCADE, u uuid REFERENCES t (u));
INSERT INTO child SELECT id, u FROM t WHERE id <= 100;
CREATE VIEW depends AS SELECT id, txt FROM t GROUP BY id;

SELECT relname, alex_conversion_problem(format('%I', relname)::regclass) FROM indexes;
CALL alex_convert_all(schema => 'conv', dry_run => true);
SELECT count(*) FROM indexes WHERE amname = 'alex';
CALL alex_convert('t_pkey');
CALL alex_convert('t_u_key');
CALL alex_convert('t_d');
CALL alex_convert('t_e_excl');
CALL alex_convert('t_k');
SELECT * FROM indexes;
CALL alex_convert_all("table" => 't');
SELECT * FROM indexes;
\d t
SELECT conname, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n' ORDER BY 1;
SELECT attstattarget FROM pg_attribute WHERE attrelid = 't_expr'::regclass;
SELECT count(*) FROM pg_statistic WHERE starelid = 't_expr'::regclass;
SELECT reloptions FROM pg_class WHERE oid = 't_k'::regclass;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 't'::regclass;
SELECT count(*) FROM pg_stat_progress_create_index;
-- All of it goes on.
INSERT INTO t (id, r) VALUES (5, 3000);
INSERT INTO t (id, r, u) VALUES (3000, 3000, md5('7')::uuid);
INSERT INTO t (id, r, d) VALUES (3000, 3000, 7);
INSERT INTO t (id, r, e) VALUES (3000, 3000, 7);
INSERT INTO t (id, r) VALUES (3000, 7);
INSERT INTO t (id, r, n) VALUES (3000, 3000, NULL), (3001, 3001, NULL);
UPDATE t SET d = d + 1;
INSERT INTO child VALUES (5000);
INSERT INTO child VALUES (1, md5('nobody')::uuid);
INSERT INTO child VALUES (6, md5('6')::uuid);
UPDATE t SET id = 5001 WHERE id = 1;
DELETE FROM t WHERE id = 6 AND NOT EXISTS (SELECT FROM child WHERE u = t.u);
DELETE FROM t WHERE id = 7;
DELETE FROM child WHERE id = 7;
DELETE FROM t WHERE id = 7;
UPDATE child SET u = NULL;
DELETE FROM t WHERE id = 8;
SELECT count(*), max(id) FROM child;
INSERT INTO t (id, r) VALUES (9, 9) ON CONFLICT (id) DO UPDATE SET txt = 'upserted' RETURNING id, txt;
INSERT INTO t (id, r, e) VALUES (4000, 4000, 10) ON CONFLICT ON CONSTRAINT t_e_excl DO NOTHING RETURNING id;
MERGE INTO t USING (VALUES (10::int8), (6000)) v(id) ON t.id = v.id WHEN MATCHED THEN UPDATE SET txt = 'merged'
	WHEN NOT MATCHED THEN INSERT (id, r, n) VALUES (v.id, v.id, v.id);
SELECT id, txt FROM t WHERE id IN (9, 10, 6000) ORDER BY 1;
SELECT alex_check(format('%I', relname)::regclass, true) FROM indexes WHERE amname = 'alex';
REINDEX TABLE CONCURRENTLY t;
ALTER TABLE t DROP CONSTRAINT t_pkey;
ALTER TABLE t RENAME CONSTRAINT t_pkey TO t_renamed;
-- And back.
CALL alex_convert_all("table" => 't', method => 'btree');
SELECT * FROM indexes;
SELECT conname, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n' ORDER BY 1;
INSERT INTO t (id, r) VALUES (9, 7000);
INSERT INTO child VALUES (8000);
DROP VIEW depends;
DROP TABLE child, t;

-- Not inside of anything else.
CREATE TABLE small (id int8 PRIMARY KEY);
BEGIN;
CALL alex_convert('small_pkey');
ROLLBACK;
DO $$ BEGIN CALL alex_convert('small_pkey'); END $$;
CREATE PROCEDURE inner_call() LANGUAGE plpgsql AS $$ BEGIN COMMIT; CALL alex_convert_all(); END $$;
CALL inner_call();
CALL alex_convert('small_pkey') \; SELECT 1 AS one;
DROP PROCEDURE inner_call;
-- Not these.
CALL alex_convert('small');
CALL alex_convert('pg_class_oid_index');
CALL alex_convert('small_pkey', 'hash');
CALL alex_convert('small_pkey', 'omen');
CALL alex_convert('small_pkey', 'btree');
CALL alex_convert(NULL);
CALL alex_convert_all(method => NULL);
CREATE ROLE regress_alex_other;
SET ROLE regress_alex_other;
CALL alex_convert('conv.small_pkey');
RESET ROLE;
GRANT ALL ON SCHEMA conv TO regress_alex_other;
ALTER TABLE small OWNER TO regress_alex_other;
SET ROLE regress_alex_other;
CALL alex_convert('small_pkey');
RESET ROLE;
ALTER TABLE small OWNER TO CURRENT_USER;
DROP OWNED BY regress_alex_other;
DROP ROLE regress_alex_other;
SELECT * FROM indexes;
DROP TABLE small;

-- An attempt that fails leaves the old index; what the next one says of the rest.
CREATE FUNCTION fails(x int8) RETURNS int8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('conv.fail', true) = 'yes' THEN RAISE 'failed on purpose'; END IF;
	RETURN x;
END $$;
CREATE TABLE f (id int8);
INSERT INTO f SELECT generate_series(1, 10);
CREATE INDEX f_id ON f (fails(id));
SET conv.fail = 'yes';
CALL alex_convert('f_id');
SELECT relname, amname, valid FROM indexes;
RESET conv.fail;
CALL alex_convert('f_id');
SELECT relname, amname, valid FROM indexes;
DROP INDEX f_id_ccnew;
SELECT alex_check('f_id', true);
DROP TABLE f;

-- Temporary, unlogged, materialized; tables of omen; a domain, and a name that has to be quoted.
CREATE DOMAIN whole AS int8 CHECK (VALUE >= 0);
CREATE TEMP TABLE tmp (id int8 PRIMARY KEY) ON COMMIT DELETE ROWS;
CREATE UNLOGGED TABLE unl (id whole PRIMARY KEY);
CREATE TABLE omn (id int8 PRIMARY KEY, "A b" int4 UNIQUE) USING omen;
INSERT INTO omn SELECT i, i FROM generate_series(1, 1000) i;
CREATE MATERIALIZED VIEW mat AS SELECT id FROM omn;
CREATE UNIQUE INDEX mat_id ON mat (id);
CALL alex_convert('tmp_pkey');
INSERT INTO tmp VALUES (1), (1);
CALL alex_convert_all('conv');
SELECT * FROM indexes;
INSERT INTO unl VALUES (-1);
INSERT INTO unl VALUES (1), (1);
INSERT INTO omn VALUES (1, 5000);
SELECT alex_check('"omn_A b_key"', true);
DROP MATERIALIZED VIEW mat;
DROP TABLE tmp, unl, omn;

-- Partitions: primary keys and unique constraints one by one or together, other indexes of the whole not.
CREATE TABLE p (id int8 PRIMARY KEY, k int8) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (300) PARTITION BY RANGE (id);
CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (100) TO (200);
CREATE INDEX p_k ON p (k);
CREATE TABLE pc (id int8 REFERENCES p);
INSERT INTO p SELECT i, i FROM generate_series(0, 199) i;
INSERT INTO pc VALUES (1), (150);
CALL alex_convert('p1_pkey');
CALL alex_convert('p_pkey');
CALL alex_convert('p1_k_idx');
CALL alex_convert('p_k');
SELECT relname, amname, prim, valid, relispartition FROM indexes JOIN pg_class USING (relname) WHERE relnamespace = 'conv'::regnamespace;
INSERT INTO p VALUES (1, 1);
INSERT INTO p VALUES (150, 1) ON CONFLICT (id) DO UPDATE SET k = -1 RETURNING tableoid::regclass, *;
INSERT INTO pc VALUES (250);
DO $$ BEGIN DELETE FROM p WHERE id = 150; EXCEPTION WHEN foreign_key_violation THEN RAISE NOTICE 'referenced'; END $$;
CREATE TABLE p2b PARTITION OF p2 FOR VALUES FROM (200) TO (300);
SELECT inhrelid::regclass, inhparent::regclass FROM pg_inherits WHERE inhparent IN ('p_pkey'::regclass, 'p2_pkey'::regclass) ORDER BY 1;
CALL alex_convert('p_pkey', 'btree');
SELECT count(*) FROM indexes WHERE amname = 'alex';
DROP TABLE pc, p;

-- After a dump was restored: the comments tell. (Here they are written by hand.)
CREATE TABLE restored (id int8 PRIMARY KEY, k int8 UNIQUE, j int8 UNIQUE, json jsonb UNIQUE);
COMMENT ON CONSTRAINT restored_pkey ON restored IS 'USING alex';
COMMENT ON CONSTRAINT restored_k_key ON restored IS E'mine\nUSING alex';
COMMENT ON CONSTRAINT restored_j_key ON restored IS 'not USING alex';
COMMENT ON CONSTRAINT restored_json_key ON restored IS 'USING alex';
CALL alex_restore();
SELECT relname, amname FROM indexes;
CALL alex_restore();
-- A column that changes its type has a btree again.
ALTER TABLE restored ALTER id TYPE int4;
SELECT relname, amname FROM indexes;
CALL alex_restore();
SELECT relname, amname FROM indexes;
DROP TABLE restored;
SET client_min_messages = warning;
DROP SCHEMA conv CASCADE;
