# The mix of statements that the stress, crash and standby tests run, as
# pgbench scripts, with checks that must hold at any moment.
#
# stress (id, k, v): a key column under two indexes of the access method, and a third one on all columns.
# Its regions of k:
#   0 .. 10^9              random keys, many of them several times; keys that
#                          are multiples of 100000 are there from the start,
#                          once each, and never change
#   -10^12 .. 0            ranges that fill up and are emptied as a whole
#   above 10^15            a queue: sequential inserts, deletes at the front
# uniq (id, k, v): a unique index; the multiples of 1000 below 10^6 never change.

package StressMix;

use strict;
use warnings;

use Exporter 'import';
use AlexTest;

our @EXPORT = qw(stress_setup stress_scripts stress_options stress_readers);

sub stress_setup
{
	my ($node) = @_;
	my $am = am();

	$node->safe_psql('postgres', <<SQL);
SET client_min_messages = warning;
CREATE TABLE stress (id bigserial, k int8, v int) WITH (fillfactor = 80);
CREATE TABLE uniq (id bigserial, k int8, v int);
CREATE SEQUENCE queue_pos;
INSERT INTO stress (k, v) SELECT i * 100000::int8, 0 FROM generate_series(0, 10000) i;
CREATE INDEX stress_k ON stress USING $am (k);
CREATE INDEX stress_kd ON stress USING $am (k DESC NULLS LAST);
CREATE INDEX stress_vk ON stress USING $am (v, k DESC, id);
CREATE UNIQUE INDEX uniq_k ON uniq USING $am (k);
INSERT INTO uniq (k, v) SELECT i * 1000, 0 FROM generate_series(0, 999) i;
CREATE INDEX stress_id ON stress USING btree (id);
VACUUM ANALYZE stress, uniq;

-- A range in one order: keys ascend or descend, and of the keys that never
-- change each one comes exactly once.
CREATE FUNCTION check_range(lo int8, hi int8, back bool) RETURNS int LANGUAGE plpgsql AS \$\$
DECLARE
	r record;
	before int8;
	fixed int8;
	want int8 := hi / 100000 - (lo + 99999) / 100000 + 1;
	seen int := 0;
	q text := format('SELECT k FROM stress WHERE k BETWEEN %s AND %s ORDER BY k %s', lo, hi, CASE WHEN back THEN 'DESC' ELSE '' END);
BEGIN
	FOR r IN EXECUTE q LOOP
		IF (CASE WHEN back THEN r.k > before ELSE r.k < before END) THEN
			RAISE EXCEPTION 'order: % after % in: %', r.k, before, q USING ERRCODE = 'XX001';
		END IF;
		before := r.k;
		CONTINUE WHEN r.k % 100000 <> 0;
		IF r.k = fixed THEN RAISE EXCEPTION 'key % found twice in: %', r.k, q USING ERRCODE = 'XX001'; END IF;
		fixed := r.k;
		seen := seen + 1;
	END LOOP;
	IF seen <> want THEN
		RAISE EXCEPTION 'found % of % keys in: %', seen, want, q USING ERRCODE = 'XX001';
	END IF;
	RETURN seen;
END \$\$;
CREATE FUNCTION check_key(i int8) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	n int;
BEGIN
	SELECT count(*) INTO n FROM stress WHERE k = i * 100000;
	IF n <> 1 THEN RAISE EXCEPTION 'key % found % times', i * 100000, n USING ERRCODE = 'XX001'; END IF;
	SELECT count(*) INTO n FROM stress WHERE k = ANY (ARRAY[i * 100000, (i + 1) % 10001 * 100000, (i + 7) % 10001 * 100000, i * 100000]);
	IF n <> 3 THEN RAISE EXCEPTION 'found % of 3 keys with IN from %', n, i * 100000 USING ERRCODE = 'XX001'; END IF;
	-- Whole rows too.
	PERFORM FROM stress WHERE k = i * 100000 AND v = 0;
	IF NOT FOUND THEN RAISE EXCEPTION 'row of key % not found', i * 100000 USING ERRCODE = 'XX001'; END IF;
END \$\$;
CREATE FUNCTION check_unique(lo int8, hi int8) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	n int;
	d int;
	f int;
BEGIN
	SELECT count(*), count(DISTINCT k), count(*) FILTER (WHERE k % 1000 = 0) INTO n, d, f FROM uniq WHERE k BETWEEN lo AND hi;
	IF n <> d THEN RAISE EXCEPTION '% of % keys twice between % and %', n - d, n, lo, hi USING ERRCODE = 'XX001'; END IF;
	IF f <> hi / 1000 - (lo + 999) / 1000 + 1 THEN
		RAISE EXCEPTION '% fixed keys between % and %', f, lo, hi USING ERRCODE = 'XX001';
	END IF;
END \$\$;
CREATE FUNCTION put_unique(key int8) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO uniq (k, v) VALUES (key, 1);
EXCEPTION WHEN unique_violation THEN
	UPDATE uniq SET v = v + 1 WHERE k = key;
END \$\$;
CREATE FUNCTION move_unique(old int8, new int8) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	UPDATE uniq SET k = new WHERE k = old AND k % 1000 <> 0;
EXCEPTION WHEN unique_violation THEN
	DELETE FROM uniq WHERE k = old AND k % 1000 <> 0;
END \$\$;
SQL
	return;
}

# The planner must use the indexes whatever the statistics say; locks of
# writers that wait for each other are not what is tested here.
sub stress_options
{
	return '-c enable_seqscan=off -c enable_sort=off -c jit=off -c deadlock_timeout=20ms';
}

my %reader = (
	keys => [ 6, <<'SQL' ],
\set i random(0, 10000)
SELECT check_key(:i);
\set i random(0, 10000)
SELECT check_key(:i);
SQL
	range => [ 3, <<'SQL' ],
\set lo random(0, 990000000)
\set hi :lo + random(0, 10000000)
SELECT check_range(:lo, :hi, false);
SELECT check_range(:lo, :hi, true);
SQL
	unique_range => [ 2, <<'SQL' ],
\set lo random(0, 900000)
SELECT check_unique(:lo, :lo + 50000);
SQL
	slow_cursor => [ 1, <<'SQL' ],
\set lo random(0, 900000000)
\set ms random(1, 30)
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k FROM stress WHERE k BETWEEN :lo AND :lo + 50000000 ORDER BY k;
FETCH 10 FROM c;
\sleep :ms ms
MOVE 1000 IN c;
\sleep :ms ms
MOVE BACKWARD 500 IN c;
MOVE FORWARD ALL IN c;
COMMIT;
SQL
);

my %writer = (
	insert => [ 8, <<'SQL' ],
\set k random(0, 999999999)
INSERT INTO stress (k, v) SELECT CASE WHEN (:k + g) % 100000 = 0 THEN NULL ELSE :k + g END, 1 FROM generate_series(1, 5) g;
\set z random_zipfian(1, 99999, 1.1)
INSERT INTO stress (k, v) VALUES (500000000 + :z, 1);
SQL
	update => [ 4, <<'SQL' ],
\set k random(0, 999999999)
UPDATE stress SET k = k + 100001, v = v + 1 WHERE id IN (SELECT id FROM stress WHERE k > :k AND k % 100000 BETWEEN 1 AND 99998 ORDER BY k LIMIT 3 FOR UPDATE SKIP LOCKED);
SQL
	delete => [ 4, <<'SQL' ],
\set k random(0, 999999999)
DELETE FROM stress WHERE id IN (SELECT id FROM stress WHERE k > :k AND k % 100000 <> 0 AND k < 1000000000 ORDER BY k LIMIT 6 FOR UPDATE SKIP LOCKED);
SQL
	fill_range => [ 1, <<'SQL' ],
\set r random(1, 200)
INSERT INTO stress (k, v) SELECT -(:r::int8 * 1000000000) + g * 1009, 2 FROM generate_series(1, 300) g;
SQL
	empty_range => [ 1, <<'SQL' ],
\set r random(1, 200)
DELETE FROM stress WHERE k >= -(:r::int8 * 1000000000) AND k < -((:r - 4)::int8 * 1000000000) AND k < 0;
SQL
	queue => [ 4, <<'SQL' ],
INSERT INTO stress (k, v) SELECT 1000000000000000 + nextval('queue_pos'), 3 FROM generate_series(1, 20) g;
DELETE FROM stress WHERE id IN (SELECT id FROM stress WHERE k > 1000000000000000 ORDER BY k LIMIT 22 FOR UPDATE SKIP LOCKED);
SQL
	rollback => [ 1, <<'SQL' ],
\set k random(0, 999999999)
BEGIN;
INSERT INTO stress (k, v) SELECT :k + g * 7 - (:k + g * 7) % 100000 + 1 + g % 99999, 4 FROM generate_series(1, 50) g;
SAVEPOINT a;
DELETE FROM stress WHERE k BETWEEN :k AND :k + 100000 AND k % 100000 <> 0;
ROLLBACK TO a;
ROLLBACK;
SQL
	unique => [ 6, <<'SQL' ],
\set k random(0, 999999)
\set d random(1, 3000)
SELECT put_unique(:k);
SELECT move_unique(:k, :k + :d - (:k + :d) % 1000 + 1 + :d % 999);
DELETE FROM uniq WHERE k BETWEEN :k + 500 AND :k + 600 AND k % 1000 <> 0 AND v < 3;
SQL
	nulls => [ 1, <<'SQL' ],
DELETE FROM stress WHERE id IN (SELECT id FROM stress WHERE k IS NULL LIMIT 5 FOR UPDATE SKIP LOCKED);
SQL
	pause => [ 1, <<'SQL' ],
\set ms random(1, 40)
SELECT pg_sleep(:ms / 1000.0);
SQL
);

sub files
{
	my (%scripts) = @_;

	return map { my ($weight, $text) = @{ $scripts{$_} }; ('-f', write_script($text) . "\@$weight") } sort keys %scripts;
}

sub stress_scripts { return files(%reader, %writer); }
sub stress_readers { return files(%reader); }

1;
