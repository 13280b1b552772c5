-- Uniqueness: unique indexes and exclusion constraints.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- Every type refuses a second copy of each of its values, -0.0 after 0.0
-- included, and takes any number of NULLs.
CREATE FUNCTION unique_type(ty text, nulls_distinct bool) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v text;
	ins text;
	taken int := 0;
	refused int := 0;
BEGIN
	EXECUTE format('CREATE TABLE u (k %s)', ty);
	EXECUTE format('CREATE UNIQUE INDEX u_k ON u USING %I (k) %s', t_am(),
				   CASE WHEN NOT nulls_distinct THEN 'NULLS NOT DISTINCT' END);
	FOR v IN SELECT unnest(vals || vals || NULL || NULL) FROM t_types WHERE typ = ty LOOP
		BEGIN
			EXECUTE format('INSERT INTO u VALUES (%s)', t_const(ty, v));
			taken := taken + 1;
		EXCEPTION WHEN unique_violation THEN
			refused := refused + 1;
		END;
	END LOOP;
	PERFORM alex_check('u_k', true);
	EXECUTE 'SELECT count(*) FROM u' INTO STRICT v;
	DROP TABLE u;
	IF v::int <> taken THEN RETURN format('%s rows after %s inserts', v, taken); END IF;
	RETURN format('%s taken, %s refused', taken, refused);
END $$;
SELECT typ, cardinality(vals) AS vals, unique_type(typ, true) AS "NULLs distinct",
	   unique_type(typ, false) AS "NULLs not distinct" FROM t_types ORDER BY 1;

-- What the user sees.
CREATE TABLE uniq (id int, k int8);
CREATE UNIQUE INDEX uniq_k ON uniq USING :am (k);
INSERT INTO uniq SELECT i, i FROM generate_series(1, 3000) i;
INSERT INTO uniq VALUES (0, 7);
UPDATE uniq SET k = 8 WHERE id = 7;
-- Not deferrable, so a shift fails at once.
UPDATE uniq SET k = k + 1;
-- Rows that only swap places with free keys are fine.
UPDATE uniq SET k = k + 10000;
UPDATE uniq SET k = k - 10000;
-- A key that was deleted is free again, in the same transaction and after
-- rolling back to a savepoint it is not.
BEGIN;
DELETE FROM uniq WHERE k = 5;
INSERT INTO uniq VALUES (5, 5);
SAVEPOINT s;
DELETE FROM uniq WHERE k = 5;
ROLLBACK TO s;
SAVEPOINT s;
INSERT INTO uniq VALUES (6, 5);
ROLLBACK TO s;
DELETE FROM uniq WHERE k = 5;
INSERT INTO uniq VALUES (7, 5);
COMMIT;
SELECT count(*), count(DISTINCT k), min(k), max(k) FROM uniq;
-- Aborted inserts do not take a key.
BEGIN;
INSERT INTO uniq VALUES (9, 9999);
ROLLBACK;
INSERT INTO uniq VALUES (5000, 9999);
-- Thousands of dead versions of the same two keys.
DO $$
BEGIN
	FOR i IN 1..3000 LOOP
		UPDATE uniq SET k = CASE k WHEN 9999 THEN 9998 ELSE 9999 END WHERE id = 5000;
	END LOOP;
END $$;
INSERT INTO uniq SELECT 5001, k FROM uniq WHERE id = 5000;
VACUUM uniq;
SELECT alex_check('uniq_k', true);
SELECT t_compare('uniq', '{uniq_k}', '{"",k = 9999,k >= 9998,k BETWEEN 5 AND 8}') > 0 AS same;

-- An index over duplicates is refused; dead rows are no duplicates.
CREATE TABLE dups (id int, k int4);
INSERT INTO dups SELECT i, i % 5000 FROM generate_series(1, 5001) i;
CREATE UNIQUE INDEX dups_k ON dups USING :am (k);
CREATE UNIQUE INDEX CONCURRENTLY dups_k ON dups USING :am (k);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'dups_k'::regclass;
DROP INDEX dups_k;
DELETE FROM dups WHERE id > 5000;
BEGIN;
INSERT INTO dups VALUES (1, 1);
ROLLBACK;
UPDATE dups SET id = id + 1;
CREATE UNIQUE INDEX dups_k ON dups USING :am (k);
SELECT alex_check('dups_k', true);
-- NULLs
INSERT INTO dups VALUES (1, NULL), (2, NULL);
CREATE UNIQUE INDEX dups_nnd ON dups USING :am (k) NULLS NOT DISTINCT;
REINDEX INDEX dups_k;
DELETE FROM dups WHERE id = 2 AND k IS NULL;
CREATE UNIQUE INDEX dups_nnd ON dups USING :am (k DESC) NULLS NOT DISTINCT;
INSERT INTO dups VALUES (3, NULL);
DROP INDEX dups_nnd;
INSERT INTO dups VALUES (3, NULL);
-- Dead rows of this transaction that others may still see.
BEGIN;
UPDATE dups SET k = k + 10000 WHERE k < 100;
UPDATE dups SET k = k - 10000 WHERE k >= 10000;
CREATE UNIQUE INDEX dups_k2 ON dups USING :am (k DESC NULLS LAST);
COMMIT;
SELECT alex_check('dups_k2', true);
-- Partial and on expressions.
CREATE UNIQUE INDEX dups_part ON dups USING :am ((k / 10)) WHERE k % 10 = 0;
INSERT INTO dups VALUES (1, 100001), (2, 100002), (3, 100010);
INSERT INTO dups VALUES (4, 100010);
DROP TABLE dups;

-- Exclusion constraints work with "=" and can be deferred.
DO $$ BEGIN EXECUTE format('CREATE TABLE excl (id int, k int8, CONSTRAINT excl_k EXCLUDE USING %I (k WITH =))', t_am()); END $$;
INSERT INTO excl SELECT i, i FROM generate_series(1, 100) i;
INSERT INTO excl VALUES (0, 50);
INSERT INTO excl VALUES (0, 50), (0, 101) ON CONFLICT DO NOTHING;
INSERT INTO excl VALUES (0, 50), (0, 102) ON CONFLICT ON CONSTRAINT excl_k DO NOTHING;
INSERT INTO excl VALUES (0, NULL), (0, NULL);
SELECT count(*) FROM excl;
DROP TABLE excl;
DO $$ BEGIN EXECUTE format('CREATE TABLE excl (id int, k float8, CONSTRAINT excl_k EXCLUDE USING %I (k WITH =) DEFERRABLE)', t_am()); END $$;
INSERT INTO excl SELECT i, i FROM generate_series(0, 1000) i;
-- A deferrable constraint is checked at the end of the statement.
UPDATE excl SET k = k + 1;
UPDATE excl SET k = k - 1;
INSERT INTO excl VALUES (2000, '-0');
BEGIN;
SET CONSTRAINTS excl_k DEFERRED;
INSERT INTO excl VALUES (2000, '-0');
DELETE FROM excl WHERE id = 0;
SET CONSTRAINTS excl_k IMMEDIATE;
COMMIT;
BEGIN;
SET CONSTRAINTS excl_k DEFERRED;
INSERT INTO excl VALUES (2001, 17);
INSERT INTO excl VALUES (2002, 5000);
COMMIT;
SELECT count(*), max(k) FROM excl;
SELECT alex_check('excl_k', true);
DROP TABLE excl;

-- Upserts; alex_upsert has more of them.
INSERT INTO uniq VALUES (100, 100) ON CONFLICT (k) DO UPDATE SET id = -1;
SELECT id FROM uniq WHERE k = 100;
INSERT INTO uniq VALUES (100, 100) ON CONFLICT DO NOTHING;
MERGE INTO uniq u USING (VALUES (100, 100), (200000, 200000)) n(id, k) ON u.k = n.k
WHEN MATCHED THEN UPDATE SET id = -2 WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.k);
SELECT * FROM uniq WHERE k IN (100, 200000) ORDER BY k;
SELECT alex_check('uniq_k', true);
