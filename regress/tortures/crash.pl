# The server is killed in the middle of everything at once: mixed load on heap tables with alex indexes and on omen tables,
# VACUUM, DDL, REINDEX CONCURRENTLY, changes of the access method, prepared transactions, old snapshots. After each recovery
# what clients were told is there, which their own logs say, nothing of an aborted transaction is, and everything is sound.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../t";

use Torture;
use AlexTest;
use OmenMix;
use OmenTest;
use StressMix;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = omen_node('crash');
$node->append_conf('postgresql.conf', <<'CONF');
wal_level = replica
min_wal_size = 32MB
max_wal_size = 64MB
checkpoint_timeout = 30s
bgwriter_delay = 10ms
max_prepared_transactions = 20
deadlock_timeout = 20ms
backtrace_functions = 'alex_corrupt,omen_corrupted'
CONF
$node->start;
omen_setup($node);
load_helpers($node);
stress_setup($node);
mix_setup($node);

# acked, counter: what clients count in; two: for prepared transactions. ddl_rows: all its rows have one n, whatever is done
# to the table.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE acked (id int8 PRIMARY KEY, client int, filler text) USING omen;
CREATE INDEX acked_alex ON acked USING alex (id);
CREATE TABLE counter (client int PRIMARY KEY, n int8, filler text) USING omen;
INSERT INTO counter SELECT i, 0, repeat('f', i % 37) FROM generate_series(0, 9) i;
CREATE TABLE two (id int PRIMARY KEY, n int, filler text) USING omen;
CREATE INDEX two_n ON two USING alex (n);
INSERT INTO two SELECT i, 0, repeat('2', i) FROM generate_series(1, 100) i;
CREATE TABLE ddl_rows (id int PRIMARY KEY, n int, filler text) USING omen;
INSERT INTO ddl_rows SELECT i, 0, repeat('d', i) FROM generate_series(1, 300) i;
CREATE INDEX ddl_rows_n ON ddl_rows USING alex (n);
CREATE UNIQUE INDEX ddl_rows_id ON ddl_rows USING alex (id);
SQL

my @ddl = (
	'REINDEX INDEX CONCURRENTLY acct_k', 'REINDEX INDEX CONCURRENTLY stress_k', 'REINDEX INDEX CONCURRENTLY uniq_k',
	'REINDEX TABLE CONCURRENTLY mark', 'REINDEX TABLE CONCURRENTLY counter',
	"DROP INDEX IF EXISTS acct_more;\nCREATE INDEX CONCURRENTLY acct_more ON acct USING alex (n)",
	'DROP INDEX CONCURRENTLY IF EXISTS acct_more',
	"UPDATE ddl_rows SET n = n + 1;\nALTER TABLE ddl_rows SET ACCESS METHOD heap;\nUPDATE ddl_rows SET n = n + 1",
	"UPDATE ddl_rows SET n = n + 1;\nALTER TABLE ddl_rows SET ACCESS METHOD omen;\nUPDATE ddl_rows SET n = n + 1",
	"BEGIN;\nALTER TABLE ddl_rows SET ACCESS METHOD heap;\nUPDATE ddl_rows SET n = -1;\nROLLBACK",
	"UPDATE ddl_rows SET n = n + 1;\nVACUUM FULL ddl_rows",
	"UPDATE ddl_rows SET n = n + 1;\nCLUSTER ddl_rows USING ddl_rows_pkey",
	"ALTER TABLE ddl_rows ADD COLUMN IF NOT EXISTS more int DEFAULT 7;\nUPDATE ddl_rows SET n = n + 1",
	"ALTER TABLE ddl_rows DROP COLUMN IF EXISTS more;\nUPDATE ddl_rows SET n = n + 1",
	"BEGIN;\nTRUNCATE ddl_rows;\nINSERT INTO ddl_rows SELECT i, 0 FROM generate_series(1, 300) i;\nCOMMIT",
	"BEGIN;\nTRUNCATE ddl_rows;\nINSERT INTO ddl_rows SELECT i, -1 FROM generate_series(1, 10) i;\nROLLBACK",
	"DROP TABLE IF EXISTS made;\nCREATE TABLE made USING omen AS SELECT g AS k FROM generate_series(1, 2000) g;\n" .
		"CREATE INDEX ON made USING alex (k);\nUPDATE made SET k = -k WHERE k % 7 = 0;\nDROP TABLE made",
	"BEGIN;\nCREATE TABLE made_not (k int) USING omen;\nCREATE INDEX ON made_not USING alex (k);\n" .
		"INSERT INTO made_not SELECT generate_series(1, 500);\nROLLBACK",
);
my (%two, @prepared);
# alex_check() waits for prepared writers.
sub tables { return (mix_tables(), qw(acked counter ddl_rows), @prepared ? () : 'two'); }
my $round = 0;

sub base { my ($client) = @_; return ($round * 100 + $client) * 1000000; }

# What clients were told: client => transactions, of what pgbench logged for each.
sub told
{
	my ($log) = @_;
	my %told;

	for my $file (glob("$log.*"))
	{
		for my $line (split /\n/, slurp_file($file))
		{
			# a line may be cut off
			my @f = split / /, $line;
			next if @f < 6 || $f[2] eq 'failed';
			$told{ $f[0] }++;
		}
		unlink($file);
	}
	return %told;
}

sub start_load
{
	my ($log) = @_;
	my $writer = write_script(<<SQL);
\\set seq :seq + 1
\\set base ($round * 100 + :client_id) * 1000000
\\set len random(1, 120)
BEGIN;
INSERT INTO acked VALUES (-(:base + :seq), :client_id, 'rolled back');
UPDATE counter SET n = -1, filler = 'rolled back' WHERE client = :client_id;
ROLLBACK;
BEGIN;
INSERT INTO acked VALUES (:base + :seq, :client_id, repeat('a', :len));
UPDATE counter SET n = :base + :seq, filler = repeat('c', :len) WHERE client = :client_id;
SAVEPOINT a;
UPDATE counter SET n = -2 WHERE client = :client_id;
ROLLBACK TO a;
UPDATE acked SET filler = filler || 'u' WHERE id = :base + :seq - 1;
COMMIT;
SQL
	my @programs = (
		start_command(pgbench_command($node, '-c', 3, '-j', 1, '-T', 600, '-D', 'seq=0', '-f', $writer, '-l', "--log-prefix=$log")),
		start_command(pgbench_command($node, '-c', 3, '-j', 1, '-T', 600, '--max-tries', 100, mix_scripts())),
		start_command(pgbench_command($node, '-c', 1, '-T', 600, mix_vacuum())),
		start_command(pgbench_command($node, '-c', 1, '-T', 600, '--max-tries', 100, map { ('-f', write_script("$_;\n")) } @ddl)));
	local $ENV{PGOPTIONS} = stress_options();
	push @programs, start_command(pgbench_command($node, '-c', 3, '-j', 1, '-T', 600, '--max-tries', 100, stress_scripts()));
	return @programs;
}

# Two rows to itself, one of them locked before and changed twice.
sub prepare_one
{
	my $id = $round * 2 % 100 + 1;
	my $name = "p$round";
	$node->safe_psql('postgres', <<SQL);
BEGIN;
SELECT FROM two WHERE id = $id FOR UPDATE;
UPDATE two SET n = n + 1 WHERE id IN ($id, $id + 1);
UPDATE two SET n = n + 10, filler = filler || 'p' WHERE id = $id;
PREPARE TRANSACTION '$name';
SQL
	push @prepared, [ $name, $id ];
	return;
}

sub end_prepared
{
	my ($name, $id) = @{ shift @prepared };
	my $commit = chance(0.5);

	$node->safe_psql('postgres', ($commit ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$name'");
	return if !$commit;
	$two{$id} += 11;
	$two{ $id + 1 } += 1;
	return;
}

# Everything that must hold after a crash; returns what does not.
sub problems
{
	my (%told) = @_;
	my $bad = table_problems($node, tables());
	my $rows = join(', ', map { '(' . base($_) . "::int8, $told{$_})" } sort keys %told);
	my $counters = join(', ', map { "($_, " . (base($_) + $told{$_}) . '::int8)' } sort keys %told);
	my $want = join(',', map { $two{$_} || 0 } 1 .. 100);
	my ($code, $out, $err) = $node->psql('postgres', <<SQL);
SET client_min_messages = warning;
SELECT check_total();
SELECT 'account ' || id || ' has ' || has || ', should have ' || should_have FROM wrong_accounts();
SELECT 'lost row ' || w.base + s FROM (VALUES $rows) w(base, n), generate_series(1, w.n) s WHERE NOT EXISTS (SELECT FROM acked a WHERE a.id = w.base + s) LIMIT 3;
-- The last one may have been committed without the client being told.
SELECT 'counter ' || client || ' is ' || c.n || ', told: ' || w.n FROM (VALUES $counters) w(client, n) LEFT JOIN counter c USING (client) WHERE c.n IS NULL OR c.n - w.n NOT IN (0, 1);
SELECT 'rolled back, but there: ' || id FROM acked WHERE id < 0 OR filler ~ 'rolled' LIMIT 3;
SELECT 'ddl_rows: ' || count(*) || ' rows, ' || count(DISTINCT n) || ' values from ' || min(n) FROM ddl_rows HAVING count(*) <> 300 OR count(DISTINCT n) <> 1 OR min(n) < 0;
SELECT 'prepared, and gone' WHERE (SELECT count(*) FROM pg_prepared_xacts) <> @{[ scalar @prepared ]};
SELECT 'fixed keys' WHERE (SELECT (count(*), count(DISTINCT k)) <> (10001::int8, 10001::int8) FROM stress WHERE k BETWEEN 0 AND 1000000000 AND k % 100000 = 0);
SELECT alex_check(i, true) FROM unnest('{stress_k,stress_kd,uniq_k}'::regclass[]) i;
SELECT t_compare('stress', '{stress_k,stress_kd}', '{""}'), t_compare('uniq', '{uniq_k}', '{""}') \\g /dev/null
SQL
	$bad .= join("\n", grep { $_ ne '' } split /\n/, $out) . $err;
	if (!@prepared)
	{
		my $has = $node->safe_psql('postgres', q{SELECT string_agg(n::text, ',' ORDER BY id) FROM two});
		$bad .= "prepared transactions: $has, should be $want\n" if $has ne $want;
	}
	return $bad;
}

my $log_from = 0;
while (time_left() > 0)
{
	$round++;
	my $log = "$PostgreSQL::Test::Utils::tmp_check/acked$round";
	# Where pages are not logged as a whole after a checkpoint, the server must have time to end its writes: kill -9 can cut
	# one off in the middle of a page. Then all processes are told to exit at once instead.
	my $images = chance(0.6);
	my $checked = chance(0.5) ? 'all' : '';
	$node->safe_psql('postgres', "ALTER SYSTEM SET full_page_writes = " . ($images ? 'on' : 'off'));
	$node->safe_psql('postgres', "ALTER SYSTEM SET wal_consistency_checking = '$checked'; SELECT pg_reload_conf()");
	$node->poll_query_until('postgres', "SELECT current_setting('wal_consistency_checking') = '$checked'");
	# Records of before leave out what a comparison wants to be the same (src/omen/README.md, WAL).
	$node->safe_psql('postgres', 'CHECKPOINT');
	my $old = OmenTest::Session->new($node, 'old', default_transaction_isolation => 'repeatable read');
	$old->safe('BEGIN');
	my $seen = $old->safe('SELECT fingerprint()');
	my @programs = start_load($log);
	prepare_one();
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM acked WHERE id >= $round * 100 * 1000000::int8") or die 'the load does not begin';
	my $end = time + 0.5 + rand(2.5);
	sleep(0.2 + rand(1));
	$node->psql('postgres', 'CHECKPOINT') if chance(0.4);
	my $still = $old->safe('SELECT fingerprint()');
	finding("round $round: an old snapshot saw $seen, then $still") if $still ne $seen;
	sleep($end - time) if $end > time;
	if ($images) { kill_server($node); } else { $node->stop('immediate'); }
	for my $program (@programs)
	{
		my ($code, $out, $err) = finish_command($program);
		my $real = cut_off($err);
		finding("round $round: errors under load", $real) if $real ne '';
	}
	$old->quit;
	my %told = told($log);
	count_up('crashes');
	count_up('crashes without page images') if !$images;
	count_up('acknowledged commits', $_) for values %told;

	if (!$node->start(fail_ok => 1))
	{
		finding("round $round: no recovery (images $images, checked '$checked')", bad_log_lines($node, $log_from));
		last;
	}
	# Prepared transactions survive up to three crashes.
	while (@prepared && (@prepared > 3 || chance(0.5))) { end_prepared(); }
	my $bad = problems(%told);
	finding("round $round (images $images, checked '$checked')", $bad) if $bad ne '';
	# In some rounds the next load meets what the crash left, aborted updates and all.
	if (chance(0.6))
	{
		$node->safe_psql('postgres', pick('VACUUM', 'VACUUM (FREEZE) acct, counter, acked'));
		$bad = table_problems($node, tables());
		finding("round $round, after VACUUM", $bad) if $bad ne '';
	}
	# What the next rounds need is kept, so that they take no longer than the first ones.
	$node->safe_psql('postgres', 'DELETE FROM acked; DELETE FROM stress WHERE id IN (SELECT id FROM stress WHERE k % 100000 <> 0 OR k IS NULL ORDER BY id LIMIT (SELECT greatest(0, count(*) - 60000) FROM stress)); VACUUM stress, acked')
	  if $round % 4 == 0;
	my ($states, $to) = log_states($node, $log_from);
	my $lines = bad_log_lines($node, $log_from);
	finding("round $round: the server's log", $lines) if $lines ne '';
	$log_from = $to;
	pass("round $round");
}
$node->stop('immediate', fail_ok => 1);
finish('crashes' => 1, 'acknowledged commits' => 1);
