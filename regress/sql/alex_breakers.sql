-- The data that breaks learned indexes: the index stays correct, its height
-- logarithmic, and its space within 1.3 times that of btree.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- The keys of each set as an expression of i = 1..n.  h scrambles.
CREATE TABLE breakers (name text, n int, expr text);
INSERT INTO breakers VALUES
('few equal keys', 2000, '42'),
('many equal keys', 700000, '42'),
('all NULL', 3000, 'NULL'),
('full range', 20000, 'CASE i WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807 ELSE hashint8extended(i, 1) END'),
('two ends', 10000, 'CASE WHEN i % 2 = 0 THEN -9223372036854775808 + i ELSE 9223372036854775807 - i END'),
('dense and one outlier', 20000, 'CASE WHEN i = 10000 THEN 9223372036854775807 ELSE i END'),
('outlier first', 20000, 'CASE WHEN i = 1 THEN -9223372036854775808 ELSE i END'),
('beyond doubles', 20000, '(1::int8 << 62) + i'),
('beyond doubles, scrambled', 20000, '(1::int8 << 62) + i::int8 * 7919 % 20011'),
('reverse', 20000, '1000000 - i'),
('clustered cells', 20000, '(hashint8extended(i, 2) & 31) * 288230376151711743 + (hashint8extended(i, 3) & 65535)'),
('powers', 20000, '(1::int8 << (i % 62)) + i / 62'),
('runs of equal keys', 20000, '(i / 1500) * 1000003'),
('zigzag', 20000, 'CASE WHEN i % 2 = 0 THEN i ELSE -i END::int8 * 100000000000');

CREATE FUNCTION breaker_sizes(what text, n bigint, idx regclass, bt regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	size bigint := pg_relation_size(idx);
	btsize bigint := pg_relation_size(bt);
	height int := (SELECT s.height FROM alex_stats(idx) s);
	entries bigint := (SELECT s.entries FROM alex_stats(idx) s);
BEGIN
	-- Eight pages are for what a small index cannot share: metapage, root and
	-- pages that have just been split.
	IF size > btsize * 1.3 + 8 * 8192 THEN
		RAISE WARNING '%: % bytes, btree takes %', what, size, btsize;
	END IF;
	IF height > 2 + ln(n + 1) / ln(100) THEN
		RAISE WARNING '%: height % for % entries', what, height, n;
	END IF;
	IF t_am() = 'alex' AND entries <> n THEN
		RAISE WARNING '%: % entries of %', what, entries, n;
	END IF;
END $$;

-- Lookups and whole scans; for small sets everything.
CREATE FUNCTION breaker_compare(what text, tab text, idx text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	a text;
	b text;
	q text;
BEGIN
	PERFORM alex_check(idx::regclass, true);
	PERFORM t_probe(tab, idx, 3000);
	IF (SELECT reltuples FROM pg_class WHERE oid = tab::regclass) < 100000 THEN
		PERFORM t_compare(tab, ARRAY[idx], '{"",k = 42,k < 0,k >= 10000,k IS NULL,"k > 4611686018427387904",
			"k BETWEEN 4611686018427387914 AND 4611686018427388000","k = ANY (''{42,-9223372036854775808,9223372036854775807,100,4611686018427387905}'')"}');
	ELSE
		PERFORM t_show_index(tab, idx);
		q := format('SELECT (count(*), sum(k), count(*) FILTER (WHERE k < before))::text FROM (SELECT k, lag(k) OVER () AS before FROM (SELECT k FROM %s ORDER BY k) s) t', tab);
		PERFORM t_force('only');
		IF t_misplanned(q, idx, 'only') IS NOT NULL THEN RAISE EXCEPTION 'not the wanted plan' USING DETAIL = t_plan(q); END IF;
		EXECUTE q INTO a;
		q := format('SELECT (count(*), sum(id))::text FROM %s WHERE k IS NOT NULL', tab);
		PERFORM t_force('index');
		EXECUTE q INTO b;
		PERFORM t_force('seq');
		a := a || b;
		q := format('SELECT (count(*), sum(k), 0)::text || (count(*), sum(id))::text FROM %s', tab);
		EXECUTE q INTO b;
		IF a <> b THEN RAISE EXCEPTION '%: expected %, found %', what, b, a; END IF;
		PERFORM t_show_index(tab, NULL);
		PERFORM t_unforce();
	END IF;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS a = PG_EXCEPTION_DETAIL;
	RAISE WARNING '%: % %', what, SQLERRM, a;
END $$;

CREATE TABLE brk (id int8, k int8);
CREATE FUNCTION breaker_fill(expr text, n int, first int DEFAULT 1) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	entries bigint;
BEGIN
	-- INSERT ... SELECT hands the rows to the index one by one.
	EXECUTE format('INSERT INTO brk SELECT i, %s FROM generate_series(%s, %s) i', expr, first, n);
	SELECT count(*) INTO entries FROM brk;
	RETURN entries;
END $$;

-- Build over the whole set, then half of the set inserted into a built index,
-- then all of it inserted into an empty one.
CREATE PROCEDURE breaker_build(what text, n int, expr text) LANGUAGE plpgsql AS $$
DECLARE
	entries bigint;
BEGIN
	TRUNCATE brk;
	DROP INDEX IF EXISTS brk_bt, brk_k;
	entries := breaker_fill(expr, n);
	EXECUTE format('CREATE INDEX brk_k ON brk USING %I (k)', t_am());
	CREATE INDEX brk_bt ON brk USING btree (k);
	ANALYZE brk;
	PERFORM breaker_sizes(what || ', built', entries, 'brk_k', 'brk_bt');
	PERFORM breaker_compare(what || ', built', 'brk', 'brk_k');
	COMMIT;
	TRUNCATE brk;
	DROP INDEX brk_k, brk_bt;
	entries := breaker_fill(expr, n / 2);
	EXECUTE format('CREATE INDEX brk_k ON brk USING %I (k)', t_am());
	CREATE INDEX brk_bt ON brk USING btree (k);
	entries := breaker_fill(expr, n, n / 2 + 1);
	ANALYZE brk;
	PERFORM breaker_sizes(what || ', half built', entries, 'brk_k', 'brk_bt');
	PERFORM breaker_compare(what || ', half built', 'brk', 'brk_k');
	COMMIT;
	TRUNCATE brk;
	entries := breaker_fill(expr, n);
	ANALYZE brk;
	PERFORM breaker_sizes(what || ', inserted', entries, 'brk_k', 'brk_bt');
	PERFORM breaker_compare(what || ', inserted', 'brk', 'brk_k');
	COMMIT;
END $$;

-- After a vacuum the index has lost the deleted rows, and takes new ones
-- without growing much.
CREATE PROCEDURE breaker_vacuumed(what text, part text) LANGUAGE plpgsql AS $$
BEGIN
	ANALYZE brk;
	PERFORM breaker_sizes(what || part, (SELECT count(*) FROM brk), 'brk_k', 'brk_bt');
	PERFORM breaker_compare(what || part, 'brk', 'brk_k');
END $$;

-- VACUUM cannot run inside a procedure, so the steps are printed and executed.
SET vacuum_freeze_min_age = 0;
SELECT format(c, name, n, expr) FROM breakers,
	 unnest(ARRAY['CALL breaker_build(%1$L, %2$s, %3$L)',
				  'DELETE FROM brk WHERE id %% 2 = 0', 'VACUUM brk', 'CALL breaker_vacuumed(%1$L, '', half deleted'')',
				  'INSERT INTO brk SELECT i, %3$s FROM generate_series(2, %2$s, 2) i', 'CALL breaker_vacuumed(%1$L, '', filled again'')',
				  'DELETE FROM brk WHERE id BETWEEN %2$s * 0.1 AND %2$s * 0.8', 'VACUUM brk', 'CALL breaker_vacuumed(%1$L, '', range deleted'')',
				  'DELETE FROM brk', 'VACUUM brk', 'CALL breaker_vacuumed(%1$L, '', all deleted'')',
				  'INSERT INTO brk SELECT i, %3$s FROM generate_series(1, 2000) i', 'CALL breaker_vacuumed(%1$L, '', begun again'')'])
		 WITH ORDINALITY x(c, step)
ORDER BY name, step
\set ECHO none
\gexec
\set ECHO all

-- One page after the other is emptied at the left and filled at the right, as
-- in a queue: the index must not grow.
CREATE TABLE queue (id int8, k int8);
CREATE INDEX queue_k ON queue USING :am (k);
CREATE TABLE queue_size (round int, bytes bigint);
SELECT format(c, r) FROM generate_series(1, 12) r,
	 unnest('{INSERT INTO queue SELECT i\, i::int8 * 1000003 FROM generate_series(%1$s * 10000\, %1$s * 10000 + 9999) i,
			  DELETE FROM queue WHERE k < (%1$s - 1) * 10000 * 1000003::int8,VACUUM queue,
			  INSERT INTO queue_size SELECT %1$s\, pg_relation_size(''queue_k'')}'::text[]) WITH ORDINALITY x(c, step) ORDER BY r, step
\set ECHO none
\gexec
\set ECHO all
SELECT count(*) AS "rounds that grew", max(bytes) FROM queue_size
WHERE round > 4 AND bytes > 1.5 * (SELECT bytes FROM queue_size WHERE round = 4) HAVING count(*) > 0;
SELECT alex_check('queue_k', true);
SELECT t_compare('queue', '{queue_k}', '{"",k < 110000000000,k >= 120000000000}') > 0 AS same;

-- Random keys one by one, in random order, and a two-word type.
CREATE TABLE rnd (id int8, k uuid);
CREATE INDEX rnd_k ON rnd USING :am (k);
CREATE INDEX rnd_bt ON rnd USING btree (k);
INSERT INTO rnd SELECT i, md5(i::text)::uuid FROM generate_series(1, 60000) i;
SELECT breaker_sizes('uuid', 60000, 'rnd_k', 'rnd_bt');
INSERT INTO rnd SELECT i, ('00000000-0000-0000-0000-' || lpad(to_hex(i), 12, '0'))::uuid FROM generate_series(1, 60000) i;
SELECT breaker_sizes('uuid', 120000, 'rnd_k', 'rnd_bt');
DELETE FROM rnd WHERE id BETWEEN 10000 AND 50000;
VACUUM ANALYZE rnd;
SELECT breaker_sizes('uuid', 39998, 'rnd_k', 'rnd_bt');
SELECT alex_check('rnd_k', true);
SELECT t_compare('rnd', '{rnd_k}', '{"",k < ''80000000-0000-0000-0000-000000000000'',k IS NULL}') > 0 AS same;
SELECT t_probe('rnd', 'rnd_k') > 0 AS found;
DROP TABLE brk, queue, queue_size, rnd, breakers;
