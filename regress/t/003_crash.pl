# The server is killed, postmaster and all its children at once, in the
# middle of mixed load, again and again on one data directory.  After each
# recovery the indexes are sound, they hold what the tables hold, and every
# row whose commit was acknowledged is there, also when looked up through the
# index.
#
# CRASH_ROUNDS=n   default 20
# SEED=n           other lengths of the rounds (default 1); SEED=random prints which

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use StressMix;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{CRASH_ROUNDS} || 20;
my $seed = AlexTest::seed();
srand($seed);
diag("SEED=$seed");

my $am = am();
my $node = new_node('crash');
$node->append_conf('postgresql.conf', <<'CONF');
wal_level = replica
max_wal_size = 64MB
checkpoint_timeout = 30s
bgwriter_delay = 10ms
CONF
$node->start;
load_helpers($node);
stress_setup($node);

# The rows of clients that count: round, client and number make up one key
# that ascends and one that is scattered.
$node->safe_psql('postgres', <<SQL);
CREATE TABLE acked (id int8, k int8, scattered int8);
CREATE UNIQUE INDEX acked_k ON acked USING $am (k);
CREATE UNIQUE INDEX acked_s ON acked USING $am (scattered, id DESC);
CREATE FUNCTION scatter(i int8) RETURNS int8 LANGUAGE sql IMMUTABLE AS 'SELECT hashint8extended(i, 5)';
SQL

sub base { my ($round, $client) = @_; return ($round * 100 + $client) * 10000000; }

# Kill at a random moment of the round; what clients were told is in the
# transaction logs that pgbench writes.
my %told;
for my $round (1 .. $rounds)
{
	my $log = "$PostgreSQL::Test::Utils::tmp_check/acked$round";
	my $writer = write_script(<<SQL);
\\set seq :seq + 1
\\set i ($round * 100 + :client_id) * 10000000 + :seq
INSERT INTO acked VALUES (:i, :i, scatter(:i));
SQL
	local $ENV{PGOPTIONS} = stress_options();
	my @programs = (
		start_command(pgbench_command($node, '-c', 4, '-j', 1, '-T', 600, '-D', 'seq=0', '-f', $writer, '-l', "--log-prefix=$log")),
		start_command(pgbench_command($node, '-c', 4, '-j', 1, '-T', 600, stress_scripts())),
		start_command(pgbench_command($node, '-c', 1, '-T', 600, '-f', write_script(<<'SQL'))));
\set ms random(1, 200)
VACUUM stress;
\sleep :ms ms
VACUUM uniq;
SQL
	# Some rounds begin with full page images everywhere, some have hardly any,
	# and in every second one recovery compares each page it has changed with
	# an image of it.
	$node->psql('postgres', sprintf(q(ALTER SYSTEM SET wal_consistency_checking = '%s'; SELECT pg_reload_conf()), $round % 2 ? '' : 'all'));
	if ($round % 3 == 0)
	{
		sleep 0.5;
		$node->psql('postgres', 'CHECKPOINT');
	}
	$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM acked WHERE k >= ' . base($round, 0)) or die 'the load does not begin';
	sleep(1 + rand(1.5));
	kill_server($node);
	my @errors = map { my ($code, $out, $err) = finish_command($_); $err } @programs;
	# The load must have been cut off by the crash, not ended before.
	like($errors[0], qr/backend died|server closed the connection|terminat|connection to server|could not (?:receive|send) data/i, "round $round: clients were cut off");
	for my $i (1, 2)
	{
		my @real = grep { /ERROR/ && !/terminat|crash/ } split /\n/, $errors[$i];
		is(join("\n", @real), '', "round $round: load ran without errors until then");
	}

	my $n = 0;
	for my $file (glob("$log.*"))
	{
		for my $line (split /\n/, slurp_file($file))
		{
			# One line a transaction, in the order of each client; a line may
			# be cut.
			my @f = split / /, $line;
			next if @f < 6 || $f[2] eq 'failed';
			$told{"$round $f[0]"}++;
			$n++;
		}
	}
	cmp_ok($n, '>', 0, "round $round: commits acknowledged");

	delete local $ENV{PGOPTIONS};
	$node->start;
	same_rows($node, $_, "round $round") for qw(stress uniq);
	my $wanted = join(', ', map { my ($r, $c) = split / /; "(" . base($r, $c) . "::int8, $told{$_})" } sort keys %told);
	my $lost = $node->safe_psql('postgres', <<SQL);
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT count(*) || ' lost, first ' || min(w.base + s) FROM (VALUES $wanted) w(base, n), generate_series(1, w.n) s
WHERE NOT EXISTS (SELECT FROM acked a WHERE a.k = w.base + s AND a.id = a.k)
   OR NOT EXISTS (SELECT FROM acked a WHERE a.scattered = scatter(w.base + s) AND a.id = w.base + s)
HAVING count(*) > 0;
SQL
	is($lost, '', "round $round: every acknowledged row is there") or diag("SEED=$seed");
	my ($code, $out, $err) = $node->psql('postgres', "SELECT alex_check('acked_k', true), alex_check('acked_s', true)");
	is($err, '', "round $round: indexes of acknowledged rows");
	# Make the next rounds as fast as the first ones.
	$node->safe_psql('postgres', 'DELETE FROM stress WHERE id IN (SELECT id FROM stress WHERE k % 100000 <> 0 OR k IS NULL ORDER BY id LIMIT (SELECT greatest(0, count(*) - 60000) FROM stress)); VACUUM stress')
	  if $round % 4 == 0;
}
same_rows($node, 'acked', 'at the end');
is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT k) FROM acked'), '0', 'no row twice');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT k) FROM stress WHERE k BETWEEN 0 AND 1000000000 AND k % 100000 = 0'), '10001|10001', 'fixed keys');
$node->restart;
same_rows($node, $_, 'after a clean restart') for qw(stress uniq acked);
my $total = 0;
$total += $_ for values %told;
diag("$rounds crashes, $total acknowledged commits");
clean_log($node);
$node->stop;
done_testing();
