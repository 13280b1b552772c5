# The load that the crash, standby and stress tests of the table access method
# run, as pgbench scripts, with checks that must hold for every snapshot.
#
# acct (id, bal, k, note, n): ids 1 .. 600 are always there, and their balances
# add up to 0; ids above 100000 come and go with balance 0.  n counts updates
# and never goes down.  ledger, a heap table, has every transfer: what an account should have.
# mark (id, acct, v): refers to acct.

package OmenMix;

use strict;
use warnings;

use AlexTest ();
use Exporter 'import';
use OmenTest;

our @EXPORT = qw(mix_setup mix_scripts mix_readers mix_vacuum mix_tables);

sub mix_tables { return qw(acct mark); }

sub mix_setup
{
	my ($node) = @_;
	my $am = tam();

	$node->safe_psql('postgres', <<SQL);
SET client_min_messages = warning;
SET default_table_access_method = $am;
CREATE TABLE acct (id int PRIMARY KEY, bal int8 NOT NULL, k int8, note text, n int8 NOT NULL DEFAULT 0);
INSERT INTO acct (id, bal, k, note) SELECT i, CASE WHEN i % 2 = 0 THEN 1000 ELSE -1000 END, i * 1000, repeat('n', i % 100) FROM generate_series(1, 600) i;
CREATE INDEX acct_k ON acct USING alex (k);
CREATE INDEX acct_kb ON acct (k DESC);
CREATE INDEX acct_note ON acct (md5(note)) WHERE id % 3 = 0;
CREATE TABLE ledger (acct int, delta int, what text) USING heap;
CREATE TABLE mark (id bigserial PRIMARY KEY, acct int NOT NULL REFERENCES acct ON DELETE CASCADE, v int);
CREATE INDEX mark_acct ON mark (acct);
RESET default_table_access_method;
VACUUM ANALYZE acct, mark;

-- What every snapshot must see.  Statements that are one: the way of the scan is the session's.
CREATE FUNCTION check_total() RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	r record;
BEGIN
	SELECT count(*) AS c, count(DISTINCT id) AS d, sum(bal) AS s, min(id) AS lo, max(id) AS hi INTO r FROM acct WHERE id BETWEEN 1 AND 600;
	IF (r.c, r.d, r.s, r.lo, r.hi) IS DISTINCT FROM (600::int8, 600::int8, 0::numeric, 1, 600) THEN
		RAISE EXCEPTION 'wrong total: %', r USING ERRCODE = 'XX001';
	END IF;
	SELECT sum(bal) AS s INTO r FROM acct WHERE id > 100000;
	IF r.s <> 0 THEN RAISE EXCEPTION 'balance of visitors: %', r USING ERRCODE = 'XX001'; END IF;
	SELECT count(*) AS c INTO r FROM mark m WHERE NOT EXISTS (SELECT FROM acct a WHERE a.id = m.acct);
	IF r.c <> 0 THEN RAISE EXCEPTION 'marks of nobody: %', r USING ERRCODE = 'XX001'; END IF;
END \$\$;
-- In the end: which accounts are not what the ledger says.
CREATE FUNCTION wrong_accounts() RETURNS TABLE (id int, has int8, should_have int8) LANGUAGE sql AS
	'SELECT id, bal, CASE WHEN id % 2 = 0 THEN 1000 ELSE -1000 END + coalesce(d, 0)
	FROM acct LEFT JOIN (SELECT acct, sum(delta) AS d FROM ledger GROUP BY 1) l ON acct = id
	WHERE id <= 600 AND bal <> CASE WHEN id % 2 = 0 THEN 1000 ELSE -1000 END + coalesce(d, 0)';
CREATE FUNCTION check_row(i int, least_n int8) RETURNS int8 LANGUAGE plpgsql AS \$\$
DECLARE
	r record;
	c int := 0;
BEGIN
	FOR r IN SELECT * FROM acct WHERE id = i LOOP c := c + 1; END LOOP;
	IF c <> 1 THEN RAISE EXCEPTION 'account % found % times', i, c USING ERRCODE = 'XX001'; END IF;
	IF r.n < least_n THEN RAISE EXCEPTION 'account % went back from % to %', i, least_n, r.n USING ERRCODE = 'XX001'; END IF;
	RETURN r.n;
END \$\$;
CREATE FUNCTION fingerprint() RETURNS int8 LANGUAGE sql AS
	'SELECT sum(hashint8extended(id, 1) + hashint8extended(bal, 2) % 1000000007 + coalesce(hashint8extended(k, 3), 0) % 1000000009 + coalesce(hashtextextended(note, 4), 0) % 1000000021 + n)::numeric % 4611686018427387847 FROM acct';
CREATE FUNCTION check_same(a int8, b int8) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	IF a <> b THEN RAISE EXCEPTION 'one snapshot saw % and then %', a, b USING ERRCODE = 'XX001'; END IF;
END \$\$;
-- An account leaves and comes back, in one transaction.  Whoever waits to update it finds it deleted, and not the new one; so no
-- transfer may need such an account.
CREATE FUNCTION come_back(i int) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	r acct;
BEGIN
	DELETE FROM acct WHERE id = i RETURNING * INTO r;
	IF FOUND THEN
		r.n := r.n + 1;
		INSERT INTO acct SELECT r.*;
	END IF;
END \$\$;
-- A transfer, part of which fails and is taken back.
CREATE FUNCTION failing_transfer(a int, b int, x int) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	UPDATE acct SET bal = bal - x, n = n + 1 WHERE id = a;
	BEGIN
		UPDATE acct SET bal = bal + x + 17, n = n + 1, note = note || 'x' WHERE id = b;
		UPDATE acct SET bal = bal + 5 WHERE id = a;
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		UPDATE acct SET bal = bal + x, n = n + 1 WHERE id = b;
	END;
	INSERT INTO ledger VALUES (a, -x, 'function'), (b, x, 'function');
END \$\$;
SQL
	return;
}

# The two accounts in one order, or there would be nothing but deadlocks.
my $two = <<'SQL';
\set x random(1, 50)
\set i random_zipfian(1, 490, 1.1)
\set j :i + random(1, 10)
SQL

my %reader = (
	total => [ 3, "SELECT check_total();\n" ],
	total_index => [ 2, "BEGIN;\nSET LOCAL enable_seqscan = off;\nSELECT check_total();\nCOMMIT;\n" ],
	total_no_bitmap => [ 1, "BEGIN;\nSET LOCAL enable_seqscan = off;\nSET LOCAL enable_bitmapscan = off;\nSELECT check_total();\nCOMMIT;\n" ],
	row => [ 6, <<'SQL' ],
\set i random(1, 600)
SELECT check_row(:i, 0) AS n \gset
SELECT check_row(:i, :n);
SQL
	keep => [ 2, <<'SQL' ],
\set ms random(1, 60)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT fingerprint() AS a \gset
\sleep :ms ms
SELECT check_same(:a, fingerprint());
SELECT check_total();
\sleep :ms ms
SET LOCAL enable_seqscan = off;
SELECT check_same(:a, fingerprint());
SELECT check_total();
COMMIT;
SQL
	cursor => [ 1, <<'SQL' ],
\set ms random(1, 30)
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT * FROM acct;
FETCH 10 FROM c;
\sleep :ms ms
MOVE 200 IN c;
\sleep :ms ms
MOVE FORWARD ALL IN c;
COMMIT;
SQL
);

my %writer = (
	transfer => [ 20, $two . <<'SQL' ],
BEGIN;
UPDATE acct SET bal = bal - :x, n = n + 1 WHERE id = :i;
UPDATE acct SET bal = bal + :x, n = n + 1 WHERE id = :j;
INSERT INTO ledger VALUES (:i, -:x, 'transfer'), (:j, :x, 'transfer');
COMMIT;
SQL
	abort => [ 4, $two . <<'SQL' ],
BEGIN;
UPDATE acct SET bal = bal - :x, n = n + 1, note = 'gone' WHERE id = :i;
UPDATE acct SET bal = bal - :x, n = n + 1, k = -1 WHERE id = :j;
ROLLBACK;
SQL
	savepoint => [ 4, $two . <<'SQL' ],
BEGIN;
UPDATE acct SET bal = bal - :x, n = n + 1 WHERE id = :i;
SAVEPOINT a;
UPDATE acct SET bal = bal + 1, n = n + 1, note = repeat('s', 300) WHERE id = :i;
UPDATE acct SET bal = bal + 1000, n = n + 1 WHERE id = :j;
ROLLBACK TO a;
UPDATE acct SET bal = bal + :x, n = n + 1 WHERE id = :j;
INSERT INTO ledger VALUES (:i, -:x, 'savepoint'), (:j, :x, 'savepoint');
COMMIT;
SQL
	function => [ 2, $two . "SELECT failing_transfer(:i, :j, :x);\n" ],
	note => [ 4, <<'SQL' ],
\set i random(1, 600)
\set len random(0, 200)
UPDATE acct SET note = repeat('t', :len), n = n + 1 WHERE id = :i;
SQL
	wide => [ 1, <<'SQL' ],
\set i random(1, 600)
\set s random(1, 1000)
UPDATE acct SET note = (SELECT string_agg(md5((g * :s)::text), '') FROM generate_series(1, 100) g), n = n + 1 WHERE id = :i;
SQL
	key => [ 3, <<'SQL' ],
\set i random(1, 600)
\set k random(1, 1000000)
UPDATE acct SET k = :k, n = n + 1 WHERE id = :i;
SQL
	twice => [ 2, <<'SQL' ],
\set i random(1, 600)
BEGIN;
UPDATE acct SET n = n + 1, note = 'a' WHERE id = :i;
UPDATE acct SET n = n + 1, note = 'b' WHERE id = :i;
UPDATE acct SET n = n + 1, k = k + 1 WHERE id = :i;
COMMIT;
SQL
	many => [ 1, <<'SQL' ],
\set i random(1, 590)
UPDATE acct SET n = n + 1 WHERE id IN (SELECT id FROM acct WHERE id BETWEEN :i AND :i + 9 ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
SQL
	lock => [ 4, <<'SQL' ],
\set i random_zipfian(1, 600, 1.1)
BEGIN;
SELECT n FROM acct WHERE id = :i FOR KEY SHARE;
UPDATE mark SET v = v + 1 WHERE acct = :i AND id = (SELECT max(id) FROM mark WHERE acct = :i);
COMMIT;
SQL
	share => [ 2, <<'SQL' ],
\set i random_zipfian(1, 600, 1.1)
BEGIN;
SELECT count(*) FROM (SELECT n FROM acct WHERE id = :i FOR SHARE SKIP LOCKED) s;
SAVEPOINT a;
SELECT count(*) FROM (SELECT n FROM acct WHERE id = :i FOR NO KEY UPDATE SKIP LOCKED) s;
ROLLBACK TO a;
COMMIT;
SQL
	locked_update => [ 2, <<'SQL' ],
\set i random_zipfian(1, 600, 1.1)
BEGIN;
SELECT n FROM acct WHERE id = :i FOR UPDATE;
SAVEPOINT a;
UPDATE acct SET n = n + 1 WHERE id = :i;
RELEASE a;
COMMIT;
SQL
	mark => [ 3, <<'SQL' ],
\set i random_zipfian(1, 600, 1.1)
INSERT INTO mark (acct, v) SELECT id, 0 FROM acct WHERE id = :i FOR KEY SHARE;
DELETE FROM mark WHERE id IN (SELECT id FROM mark ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED) AND (SELECT count(*) FROM mark) > 500;
SQL
	come_back => [ 3, "\\set i random(501, 600)\nSELECT come_back(:i);\n" ],
	visitors => [ 3, <<'SQL' ],
\set i random(100001, 104000)
INSERT INTO acct (id, bal, k, note) SELECT :i + g, 0, :i, repeat('v', g * 10) FROM generate_series(1, 8) g ON CONFLICT DO NOTHING;
DELETE FROM acct WHERE id IN (SELECT id FROM acct WHERE id > 100000 AND id % 7 = :i % 7 ORDER BY id LIMIT 9 FOR UPDATE SKIP LOCKED);
SQL
	upsert => [ 3, <<'SQL' ],
\set i random(100001, 100100)
INSERT INTO acct (id, bal, k) VALUES (:i, 0, 7) ON CONFLICT (id) DO UPDATE SET n = acct.n + 1;
SQL
);

sub files
{
	my (%scripts) = @_;

	return map { my ($weight, $text) = @{ $scripts{$_} }; ('-f', AlexTest::write_script($text) . "\@$weight") } sort keys %scripts;
}

sub mix_scripts { return files(%reader, %writer); }
sub mix_readers { return files(%reader); }

# For a client of its own.
sub mix_vacuum
{
	return ('-f', AlexTest::write_script(<<'SQL'));
\set ms random(1, 200)
VACUUM acct;
\sleep :ms ms
VACUUM (FREEZE) mark;
\sleep :ms ms
VACUUM (FREEZE) acct;
\sleep :ms ms
VACUUM (INDEX_CLEANUP OFF) acct;
SQL
}

1;
