# Statements are stopped at random moments, in every way there is: cancelled, their session ended, by timeouts, by a limit of
# memory that a session runs into. What they did is undone as a whole; no other session, and no page, comes to harm.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../t";

use Torture;
use AlexTest;
use OmenMix;
use OmenTest;
use PostgreSQL::Test::Utils;
use StressMix;
use Test::More;
use Time::HiRes qw(sleep);

my $node = omen_node('interrupt');
$node->append_conf('postgresql.conf', <<'CONF');
max_connections = 60
max_wal_size = 128MB
deadlock_timeout = 20ms
backtrace_functions = 'alex_corrupt,omen_corrupted'
CONF
$node->start;
omen_setup($node);
load_helpers($node);
stress_setup($node);
mix_setup($node);

# A client that an error ends begins again. COMMIT of what has failed is no error, so what a transaction did is all or nothing.
my $stop = "$PostgreSQL::Test::Utils::tmp_check/stop";
my @ways = ('', '-c statement_timeout=7', '-c statement_timeout=40', '-c lock_timeout=3', '-c idle_in_transaction_session_timeout=15');
sub start_client
{
	my ($options, @args) = @_;
	my $command = join(' ', map { "'$_'" } pgbench_command($node, '-T', 5, '--max-tries', 100, @args));

	return start_command('sh', '-c', "while [ ! -e '$stop' ] && kill -0 $$; do PGAPPNAME=victim PGOPTIONS='$options' $command >/dev/null 2>&1; done");
}
my @clients;
for my $way (@ways)
{
	push @clients, start_client($way, '-c', 1, mix_scripts());
	push @clients, start_client(stress_options() . " $way", '-c', 1, stress_scripts()) if $way !~ /7|lock/;
}
push @clients, start_client('', '-c', 1, mix_vacuum());
push @clients, start_client('', '-c', 1, map { ('-f', write_script("$_;\n")) } 'VACUUM stress', 'VACUUM (FREEZE) uniq', 'REINDEX INDEX stress_k', 'VACUUM FULL mark',
	'REINDEX TABLE acct', 'CREATE INDEX again ON acct USING alex (n)', 'DROP INDEX IF EXISTS again', 'CLUSTER mark USING mark_pkey', 'ANALYZE acct');

# All sessions of pgbench, some of them in the middle of something.
my $killer = OmenTest::Session->new($node, 'killer');
my $victims = q{SELECT pid FROM pg_stat_activity WHERE application_name = 'victim' ORDER BY random() LIMIT 1};
sub limit_memory
{
	my ($pid) = @_;

	# What it has, and so much more. A limit of the whole address space would stop the stack from growing, too, which is a SIGSEGV.
	my ($kb) = eval { slurp_file("/proc/$pid/status") =~ /^VmData:\s+(\d+) kB/m } or return;
	my $bytes = $kb * 1024 + int(rand(1024 * 1024));
	system("prlimit --pid $pid --data=$bytes 2>/dev/null") == 0 and count_up('memory limits');
	return;
}
while (time_left() > 0)
{
	my $r = rand();
	if ($r < 0.55) { count_up('cancelled') if $killer->safe("SELECT pg_cancel_backend(pid) FROM ($victims) v") eq 't'; }
	elsif ($r < 0.75) { count_up('ended') if $killer->safe("SELECT pg_terminate_backend(pid) FROM ($victims) v") eq 't'; }
	else { my $pid = $killer->safe($victims); limit_memory($pid) if $pid ne ''; }
	sleep(rand(0.05));
}
open(my $fh, '>', $stop) or die;
close $fh;
$killer->safe(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'victim'});
finish_command($_) for @clients;
$killer->quit;

# 58P01: a library that a memory limit kept from being loaded
my ($states) = log_states($node);
for my $state (sort keys %$states)
{
	count_up("SQLSTATE $state", $states->{$state});
	finding("$states->{$state} errors $state") if $state =~ /^(?:58|XX)/ && $state ne '58P01';
}
my $lines = bad_log_lines($node);
finding("the server's log", $lines) if $lines ne '';
my ($code, $out, $err) = $node->psql('postgres', <<'SQL');
SELECT check_total();
SELECT 'account ' || id || ' has ' || has || ', should have ' || should_have FROM wrong_accounts();
SELECT 'fixed keys' WHERE (SELECT (count(*), count(DISTINCT k)) <> (10001::int8, 10001::int8) FROM stress WHERE k BETWEEN 0 AND 1000000000 AND k % 100000 = 0);
SELECT alex_check(i, true) FROM unnest('{stress_k,stress_kd,uniq_k}'::regclass[]) i;
SELECT t_compare('stress', '{stress_k,stress_kd}', '{""}'), t_compare('uniq', '{uniq_k}', '{""}') \g /dev/null
SQL
my $bad = join("\n", grep { $_ ne '' } split /\n/, $out) . $err . table_problems($node, mix_tables());
finding('in the end', $bad) if $bad ne '';
$node->safe_psql('postgres', 'VACUUM');
$bad = table_problems($node, mix_tables());
finding('after VACUUM', $bad) if $bad ne '';
finding('the server does not stop') if !$node->stop('fast', fail_ok => 1);
finish(cancelled => 10, ended => 3, 'memory limits' => 3);
