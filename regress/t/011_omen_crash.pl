# The server is killed, postmaster and all its children at once, in the
# middle of mixed load on omen tables while old snapshots are open, again and
# again on one data directory.  After each recovery whatever was acknowledged
# is there, nothing of an aborted transaction is, the tables are sound and the
# same by every way to read them, and transactions that were prepared can
# still be committed or rolled back.
#
# CRASH_ROUNDS=n   default 20
# SEED=n           other lengths of the rounds (default 1); SEED=random prints which

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenMix;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{CRASH_ROUNDS} || 20;
my $seed = AlexTest::seed();
srand($seed);
diag("SEED=$seed");

my $am = tam();
my $node = omen_node('crash');
$node->append_conf('postgresql.conf', <<'CONF');
wal_level = replica
max_wal_size = 64MB
checkpoint_timeout = 30s
bgwriter_delay = 10ms
max_prepared_transactions = 10
CONF
$node->start;
omen_setup($node);
mix_setup($node);

# Clients that count: a row each, updated again and again, and a new row each time.
# What is rolled back has a negative number.
$node->safe_psql('postgres', <<SQL);
CREATE TABLE acked (id int8 PRIMARY KEY, client int, filler text) USING $am;
CREATE TABLE counter (client int PRIMARY KEY, n int8, filler text) USING $am;
INSERT INTO counter SELECT i, 0, repeat('f', i % 37) FROM generate_series(0, 300) i;
CREATE TABLE two (id int PRIMARY KEY, n int, filler text) USING $am;
INSERT INTO two SELECT i, 0, repeat('2', i) FROM generate_series(1, 100) i;
SQL

my (%told, %two);
my $prepared = 0;
for my $round (1 .. $rounds)
{
	my $log = "$PostgreSQL::Test::Utils::tmp_check/acked$round";
	my $writer = write_script(<<SQL);
\\set seq :seq + 1
\\set base ($round * 100 + :client_id) * 1000000
\\set row $round % 10 * 10 + :client_id
\\set len random(1, 120)
BEGIN;
INSERT INTO acked VALUES (-(:base + :seq), :row, 'rolled back');
UPDATE counter SET n = -1, filler = 'rolled back' WHERE client = :row;
UPDATE acked SET filler = 'rolled back' WHERE id = :base + :seq - 1;
ROLLBACK;
BEGIN;
INSERT INTO acked VALUES (:base + :seq, :row, repeat('a', :len));
UPDATE counter SET n = :base + :seq, filler = repeat('c', :len) WHERE client = :row;
SAVEPOINT a;
UPDATE counter SET n = -2 WHERE client = :row;
ROLLBACK TO a;
UPDATE acked SET filler = filler || 'u' WHERE id = :base + :seq - 1;
COMMIT;
SQL
	# Old snapshots: of before the load, and of a moment in it.
	my @old = map { OmenTest::Session->new($node, "old$_", default_transaction_isolation => 'repeatable read') } 1 .. 2;
	# In every second round recovery compares each page it has changed with an image of it. Records of before leave out what such a
	# comparison wants to be the same (src/omen/README.md, WAL), so it begins with a checkpoint, and with nobody still at it.
	my $checked = $round % 2 ? '' : 'all';
	$node->psql('postgres', "ALTER SYSTEM SET wal_consistency_checking = '$checked'; SELECT pg_reload_conf()");
	$node->poll_query_until('postgres', "SELECT current_setting('wal_consistency_checking') = '$checked'");
	$node->psql('postgres', 'CHECKPOINT') if $checked;
	$old[0]->safe('BEGIN');
	my $seen = $old[0]->safe('SELECT fingerprint()');
	my @programs = (
		start_command(pgbench_command($node, '-c', 3, '-j', 1, '-T', 600, '-D', 'seq=0', '-f', $writer, '-l', "--log-prefix=$log")),
		start_command(pgbench_command($node, '-c', 4, '-j', 1, '-T', 600, mix_scripts())),
		start_command(pgbench_command($node, '-c', 1, '-T', 600, mix_vacuum())));
	# Some rounds have full page images everywhere twice.
	if ($round % 3 == 0)
	{
		sleep 0.3;
		$node->psql('postgres', 'CHECKPOINT');
	}
	# Prepared transactions have two rows to themselves, one of them locked before and changed twice.
	my $id = $round * 2 % 100 + 1;
	my $name = "p$round";
	$node->safe_psql('postgres', <<SQL);
BEGIN;
SELECT FROM two WHERE id = $id FOR UPDATE;
UPDATE two SET n = n + 1 WHERE id IN ($id, $id + 1);
UPDATE two SET n = n + 10, filler = filler || 'p' WHERE id = $id;
PREPARE TRANSACTION '$name';
SQL
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM acked WHERE id >= $round * 100 * 1000000::int8") or die 'the load does not begin';
	sleep(0.5 + rand(1.0));
	$old[1]->safe('BEGIN; SELECT fingerprint()');
	is($old[0]->safe('SELECT fingerprint()'), $seen, "round $round: an old snapshot sees what it saw");
	sleep(0.2 + rand(0.5));
	kill_server($node);
	my @errors = map { my ($code, $out, $err) = finish_command($_); $err } @programs;
	$_->quit for @old;
	like($errors[0], qr/backend died|server closed the connection|terminat|connection to server|could not (?:receive|send) data/i, "round $round: clients were cut off");
	for my $i (0 .. 2)
	{
		my @real = grep { /ERROR/ && !/terminat|crash|deadlock detected/ } split /\n/, $errors[$i];
		is(join("\n", @real), '', "round $round: load ran without errors until then");
	}
	my $n = 0;
	for my $file (glob("$log.*"))
	{
		for my $line (split /\n/, slurp_file($file))
		{
			# One line a transaction, in the order of each client; a line may be cut.
			my @f = split / /, $line;
			next if @f < 6 || $f[2] eq 'failed';
			$told{$round}{ $f[0] }++;
			$n++;
		}
	}
	cmp_ok($n, '>', 0, "round $round: commits acknowledged");

	$node->start;
	table_sound($node, "round $round", mix_tables(), qw(acked counter two));
	is($node->safe_psql('postgres', 'SELECT check_total()'), '', "round $round: totals");

	my (@rows, @counters);
	for my $r (($round < 3 ? 1 : $round - 2) .. $round)
	{
		for my $client (sort keys %{ $told{$r} })
		{
			my $base = ($r * 100 + $client) * 1000000;
			push @rows, "($base\::int8, $told{$r}{$client})";
			push @counters, '(' . ($r % 10 * 10 + $client) . ', ' . ($base + $told{$r}{$client}) . '::int8)' if $r == $round;
		}
	}
	my $lost = $node->safe_psql('postgres', sprintf(<<'SQL', join(', ', @rows), join(', ', @counters)));
SELECT 'lost row ' || w.base + s FROM (VALUES %s) w(base, n), generate_series(1, w.n) s WHERE NOT EXISTS (SELECT FROM acked a WHERE a.id = w.base + s) LIMIT 3;
-- The last one may have been committed without the client being told.
SELECT 'counter ' || client || ' is ' || c.n || ', told: ' || w.n FROM (VALUES %s) w(client, n) LEFT JOIN counter c USING (client) WHERE c.n IS NULL OR c.n - w.n NOT IN (0, 1) LIMIT 3;
SELECT 'counter ' || client || ' twice' FROM counter GROUP BY client HAVING count(*) <> 1 LIMIT 3;
SELECT 'rolled back, but there: ' || id FROM acked WHERE id < 0 OR filler ~ 'rolled' LIMIT 3;
SELECT 'rolled back, but there: ' || client FROM counter WHERE n < 0 OR filler ~ 'rolled' LIMIT 3;
SQL
	is($lost, '', "round $round: what was acknowledged is there, what was rolled back is not") or diag("SEED=$seed");

	# Every second prepared transaction survives one more crash.
	if ($round % 2 == 0)
	{
		for my $p ($round - 1, $round)
		{
			my $commit = rand() < 0.5;
			$node->safe_psql('postgres', ($commit ? 'COMMIT' : 'ROLLBACK') . " PREPARED 'p$p'");
			next if !$commit;
			my $i = $p * 2 % 100 + 1;
			$two{$i} += 11;
			$two{ $i + 1 } += 1;
		}
		my $want = join(',', map { $two{$_} || 0 } 1 .. 100);
		is($node->safe_psql('postgres', q{SELECT string_agg(n::text, ',' ORDER BY id) FROM two}), $want, "round $round: prepared transactions");
	}
	# In every third round the next load meets what the crash left, aborted updates and all; otherwise VACUUM has seen it.
	if ($round % 3 != 0)
	{
		$node->safe_psql('postgres', $round % 3 == 1 ? 'VACUUM' : 'VACUUM (FREEZE) acct, counter, acked');
		table_sound($node, "round $round, after VACUUM", mix_tables(), qw(counter));
	}
	last if !Test::More->builder->is_passing;
}
$node->restart;
table_sound($node, 'after a clean restart', mix_tables(), qw(acked counter two)) if Test::More->builder->is_passing;
my $total = 0;
for my $r (values %told) { $total += $_ for values %$r; }
diag("$rounds crashes, $total acknowledged commits");
clean_log($node);
$node->stop('immediate');
done_testing();
