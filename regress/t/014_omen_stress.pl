# Eight clients update, delete, insert, lock and abort on omen tables, with
# VACUUM running beside them, old snapshots open, and indexes built and rebuilt
# concurrently in the second half.  Whatever a snapshot sees, balances add up;
# in the end the tables are sound and the same by every way to read them.
#
# STRESS_SECONDS=n   default 60

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenMix;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{STRESS_SECONDS} || 60;
my $half = int($seconds / 2);
my $node = omen_node('stress');
$node->start;
omen_setup($node);
mix_setup($node);

# The checks notice what they are for.
my ($rc, $out, $err) = $node->psql('postgres', q(BEGIN; UPDATE acct SET bal = bal + 1 WHERE id = 7; SELECT check_total();));
like($err, qr/wrong total: \(600,600,1,1,600\)/, 'a wrong balance is noticed');
($rc, $out, $err) = $node->psql('postgres', q(BEGIN; DELETE FROM acct WHERE id = 7; SELECT check_row(7, 0);));
like($err, qr/account 7 found 0 times/, 'a missing row is noticed');
($rc, $out, $err) = $node->psql('postgres', q(SELECT fingerprint() AS a \gset
UPDATE acct SET note = note || 'x' WHERE id = 7;
SELECT check_same(:a, fingerprint());));
like($err, qr/one snapshot saw/, 'a change is noticed');

$ENV{PGOPTIONS} = options(deadlock_timeout => '20ms');
my $load = start_command(pgbench_command($node, '-c', 8, '-j', 2, '-T', $seconds, '--max-tries', 100, mix_scripts()));
my $vacuum = start_command(pgbench_command($node, '-c', 1, '-T', $seconds, mix_vacuum()));
delete $ENV{PGOPTIONS};

# Beside them: snapshots that get old, one after the other, and in the second half new indexes.
my $build_script = write_script(<<'SQL');
CREATE INDEX CONCURRENTLY acct_new ON acct USING alex (k) WHERE k IS NOT NULL;
\sleep 100 ms
DROP INDEX CONCURRENTLY acct_new;
REINDEX INDEX CONCURRENTLY acct_k;
REINDEX INDEX CONCURRENTLY acct_pkey;
CREATE INDEX CONCURRENTLY acct_new ON acct (n, id);
\sleep 100 ms
DROP INDEX CONCURRENTLY acct_new;
REINDEX INDEX CONCURRENTLY mark_acct;
SQL
my $build;
my $began = time;
my $kept = 0;
my @reader = map { OmenTest::Session->new($node, "old$_") } 1, 2;
my $bad = '';
while (time < $began + $seconds && $bad eq '')
{
	my ($first, $second) = @reader;
	my $until = time + 0.5 + rand($seconds / 10);
	$first->safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $seen = $first->safe('SELECT fingerprint()');
	# An old snapshot that first looks when it is old.
	$second->safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = off; SELECT 1});
	while (time < $until)
	{
		sleep 0.2;
		my $now = $first->safe('SELECT fingerprint()');
		$bad .= "an old snapshot saw $seen, and then $now\n" if $now ne $seen;
		my $r = $first->ask('SELECT check_total()');
		$bad .= $r->{text};
		$kept++;
		last if $bad ne '';
	}
	my $r = $second->ask('SELECT check_total()');
	$bad .= $r->{text};
	$_->ask('COMMIT') for @reader;
	if (!$build && time > $began + $half)
	{
		$build = start_command(pgbench_command($node, '-c', 1, '-T', $seconds - $half > 4 ? $seconds - $half - 4 : 1, '-f', $build_script));
	}
}
$_->quit for @reader;
is($bad, '', "old snapshots saw the same each of $kept times");

my ($code, $text, $errors) = finish_command($load);
is($code, 0, 'load ran to its end') or diag($errors);
my @real = grep { /ERROR/ && !/deadlock detected/ } split /\n/, $errors;
is(join("\n", @real), '', 'without errors');
my ($done) = $text =~ /number of transactions actually processed: (\d+)/;
cmp_ok($done || 0, '>', $seconds * 10, 'transactions');
($code, $text, $errors) = finish_command($vacuum);
is($code, 0, 'vacuum ran to its end') or diag($errors);
my ($vacuums) = $text =~ /number of transactions actually processed: (\d+)/;
cmp_ok($vacuums || 0, '>', 0, 'vacuums');
if ($build)
{
	($code, $text, $errors) = finish_command($build);
	is($code, 0, 'concurrent builds ran to their end') or diag($errors);
}
is($node->safe_psql('postgres', 'SELECT wrong_accounts()'), '', 'accounts have what the ledger says');
table_sound($node, 'after the load', mix_tables());
$node->safe_psql('postgres', 'VACUUM (FREEZE) acct, mark');
table_sound($node, 'after VACUUM', mix_tables());
$node->safe_psql('postgres', 'DROP INDEX IF EXISTS acct_new; VACUUM FULL acct; CLUSTER mark USING mark_pkey');
table_sound($node, 'rewritten', mix_tables());
is($node->safe_psql('postgres', 'SELECT check_total()'), '', 'totals');
is($node->safe_psql('postgres', 'SELECT wrong_accounts()'), '', 'accounts at the end');
diag("$done transactions, $vacuums rounds of vacuums");
clean_log($node);
$node->stop;
done_testing();
