-- Foreign keys that refer to alex keys: made by every statement that can make one, checked from both sides.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
CREATE SCHEMA fk;
SET search_path = fk, public;

CREATE TABLE p (id int8 NOT NULL, k int4, u uuid, v int);
CREATE UNIQUE INDEX p_pkey ON p USING alex (id);
CREATE UNIQUE INDEX p_k ON p USING alex (k);
CREATE UNIQUE INDEX p_u ON p USING alex (u);
SELECT alex_primary_key('p_pkey');
SELECT alex_unique('p_u');
INSERT INTO p SELECT i, i * 10, md5(i::text)::uuid, 0 FROM generate_series(1, 1000) i;

-- In CREATE TABLE; the key of the column, others by name, with and without a constraint; other types of the family.
CREATE TABLE c (id int8 REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE, k int4, u uuid CONSTRAINT c_u REFERENCES p (u) ON DELETE SET NULL,
	FOREIGN KEY (k) REFERENCES p (k) ON DELETE RESTRICT DEFERRABLE);
CREATE TABLE c4 (id int4 REFERENCES fk.p (id));
-- In ALTER TABLE; validated, not valid, with a column.
CREATE TABLE d (id int8, k int4);
INSERT INTO d SELECT i, i * 10 FROM generate_series(500, 600) i;
ALTER TABLE d ADD FOREIGN KEY (id) REFERENCES p;
ALTER TABLE d ADD CONSTRAINT d_k FOREIGN KEY (k) REFERENCES p (k) NOT VALID, ADD COLUMN u uuid REFERENCES p (u);
ALTER TABLE d VALIDATE CONSTRAINT d_k;
ALTER TABLE d DROP CONSTRAINT d_k;
INSERT INTO d VALUES (NULL, 77);
ALTER TABLE d ADD CONSTRAINT d_k FOREIGN KEY (k) REFERENCES p (k);
ALTER TABLE d ADD CONSTRAINT d_k FOREIGN KEY (k) REFERENCES p (k) NOT VALID;
ALTER TABLE d VALIDATE CONSTRAINT d_k;
-- What core refuses for other reasons.
\set VERBOSITY terse
ALTER TABLE d ADD FOREIGN KEY (k) REFERENCES p (v);
ALTER TABLE d ADD FOREIGN KEY (k) REFERENCES nobody;
CREATE TABLE bad (id text REFERENCES p);
BEGIN;
SAVEPOINT s;
CREATE TABLE bad (id text REFERENCES p);
ROLLBACK TO s;
CREATE TABLE good (id int8 REFERENCES p);
ROLLBACK;
\set VERBOSITY default
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), conindid::regclass, convalidated FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'fk'::regnamespace ORDER BY 1, 2;
-- The index is what it was.
SELECT i.indexrelid::regclass, opcname, amname FROM pg_index i JOIN pg_opclass o ON o.oid = indclass[0] JOIN pg_am a ON a.oid = opcmethod
WHERE indrelid = 'p'::regclass ORDER BY 1;
SELECT alex_check('p_pkey', true), alex_check('p_k', true), alex_check('p_u', true);

INSERT INTO c VALUES (1, 10, md5('1')::uuid), (2, 20, md5('2')::uuid), (3, 30, NULL), (NULL, 40, NULL);
INSERT INTO c VALUES (2000, NULL, NULL);
INSERT INTO c VALUES (NULL, 11, NULL);
INSERT INTO c VALUES (NULL, NULL, md5('x')::uuid);
INSERT INTO c4 VALUES (5), (-5);
INSERT INTO c4 VALUES (5);
UPDATE p SET id = 3000 WHERE id = 1;
UPDATE p SET id = 3001 WHERE id = 5;
DELETE FROM p WHERE id = 2;
UPDATE c SET k = NULL;
DELETE FROM p WHERE id = 2;
DELETE FROM p WHERE u = md5('1')::uuid;
SELECT * FROM c ORDER BY 1;
INSERT INTO p VALUES (3, 0, NULL, 0) ON CONFLICT (id) DO UPDATE SET id = 4000, v = 1;
MERGE INTO p USING (VALUES (4000::int8), (4001)) v(id) ON p.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, k) VALUES (v.id, v.id);
SELECT * FROM c ORDER BY 1;
TRUNCATE p;
TRUNCATE p CASCADE;
INSERT INTO p SELECT i, i FROM generate_series(1, 10) i;

-- To itself; of a column that changes its type, on either side; of partitions.
CREATE TABLE tree (id int8 NOT NULL, parent int8);
CREATE UNIQUE INDEX tree_pkey ON tree USING alex (id);
SELECT alex_primary_key('tree_pkey');
ALTER TABLE tree ADD FOREIGN KEY (parent) REFERENCES tree ON DELETE CASCADE;
INSERT INTO tree SELECT i, NULLIF(i / 2, 0) FROM generate_series(1, 100) i;
DELETE FROM tree WHERE id = 3;
SELECT count(*) FROM tree;
INSERT INTO tree VALUES (1000, 3);
ALTER TABLE tree ALTER parent TYPE int4;
INSERT INTO tree VALUES (1000, 3);
ALTER TABLE tree ALTER id TYPE int4;
INSERT INTO tree VALUES (1000, 3);
ALTER TABLE c4 ALTER id TYPE int8;
INSERT INTO c4 VALUES (11);
ALTER TABLE p ALTER v TYPE int8;
-- Of a column that changes its type in tables that inherit it, and only of a column that changes.
CREATE TABLE base (id int4, v int4);
CREATE TABLE heir (FOREIGN KEY (id) REFERENCES p) INHERITS (base);
ALTER TABLE base ALTER id TYPE int8;
INSERT INTO heir VALUES (11, 1);
BEGIN;
ALTER TABLE base ALTER v TYPE int8;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'p'::regclass;
COMMIT;
CREATE TABLE parts (id int8 REFERENCES p) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5);
CREATE TABLE parts_2 (id int8);
INSERT INTO parts_2 VALUES (7);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (5) TO (100);
INSERT INTO parts VALUES (1), (20);
INSERT INTO parts VALUES (1), (8);
DELETE FROM p WHERE id = 8;
CREATE SCHEMA fk_inner CREATE TABLE inner_c (id int8 REFERENCES fk.p);
CREATE TABLE copied (LIKE p INCLUDING ALL);
CREATE TABLE of_copied (id int8 REFERENCES copied);
INSERT INTO of_copied VALUES (1);
-- Several columns.
CREATE TABLE two (a int8 NOT NULL, b int4 NOT NULL);
CREATE UNIQUE INDEX two_pkey ON two USING alex (a, b);
SELECT alex_primary_key('two_pkey');
CREATE TABLE of_two (b int4, a int8, FOREIGN KEY (a, b) REFERENCES two MATCH FULL ON UPDATE CASCADE);
INSERT INTO two VALUES (1, 2);
INSERT INTO of_two VALUES (2, 1);
INSERT INTO of_two VALUES (1, 2);
INSERT INTO of_two VALUES (1, NULL);
UPDATE two SET b = 3;
SELECT * FROM of_two;
SELECT i.indexrelid::regclass, amname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_opclass o ON o.oid = indclass[0] JOIN pg_am a ON a.oid = opcmethod
WHERE relnamespace = 'fk'::regnamespace AND relam <> opcmethod;
-- The owner of the table that refers needs a right, and nothing else.
CREATE ROLE regress_alex_other;
GRANT ALL ON SCHEMA fk TO regress_alex_other;
SET ROLE regress_alex_other;
CREATE TABLE others (id int8 REFERENCES p);
RESET ROLE;
GRANT REFERENCES ON p TO regress_alex_other;
SET ROLE regress_alex_other;
CREATE TABLE others (id int8 REFERENCES p);
INSERT INTO others VALUES (1);
INSERT INTO others VALUES (1000);
RESET ROLE;
DROP OWNED BY regress_alex_other;
DROP ROLE regress_alex_other;
DROP SCHEMA fk_inner CASCADE;
DROP SCHEMA fk CASCADE;
