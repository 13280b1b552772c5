# An index-only scan that stands in a page while VACUUM removes entries it has
# read already must not return them: once VACUUM has marked the table page
# all-visible, the scan no longer looks at the table.  So VACUUM has to wait
# for the scan, or the scan has to notice.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenTest ();
use PostgreSQL::Test::Utils;
use Test::More;

my $am = am();
my $node = new_node('pins');
$node->start;
load_helpers($node);
$node->safe_psql('postgres', "CREATE TABLE p (id int8, k int8); CREATE INDEX p_k ON p USING $am (k)");

for my $case (
	[ 'forwards', 'ASC', '', 'i', 1 ],
	[ 'backwards', 'DESC', '', 'i', 1 ],
	[ 'with IN', 'ASC', 'WHERE k = ANY (ARRAY(SELECT generate_series(1, 2000)))', 'i', 1 ],
	# keys that fill several leaves, of which the scan has left the first
	[ 'in a later leaf', 'ASC', '', 'hashint8extended(i, 1) & 9223372036854775807', 600 ])
{
	my ($what, $order, $where, $key, $fetched) = @$case;
	$node->safe_psql('postgres', 'TRUNCATE p; INSERT INTO p SELECT i, ' . $key . ' FROM generate_series(1, 2000) i');
	$node->safe_psql('postgres', 'VACUUM ANALYZE p');
	# Dead for every snapshot from now on, but still in the index.
	$node->safe_psql('postgres', 'DELETE FROM p WHERE k % 2 = 0');
	my $left = $node->safe_psql('postgres', 'SELECT count(*) FROM p');
	cmp_ok($left, '>', $fetched, "$what: rows to come");
	cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('p_k') / current_setting('block_size')::int"), '>', 5, "$what: leaves") if $fetched > 1;
	my $query = "SELECT k FROM p $where ORDER BY k $order";
	my $set = 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET enable_material = off;';
	plan_uses($node, $query, qr/Index Only Scan (?:Backward )?using p_k/, "$what: index-only scan", $set);
	my $gate = OmenTest::Session->new($node, 'gate');
	$gate->safe('SELECT pg_advisory_lock(1)');
	my $scan = start_command('psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', 'postgres', '-c', $set,
		'-c', 'BEGIN', '-c', "DECLARE c NO SCROLL CURSOR FOR $query", '-c', "FETCH $fetched FROM c",
		'-c', 'SELECT NULL FROM pg_advisory_xact_lock_shared(1)', '-c', 'FETCH ALL FROM c', '-c', 'COMMIT');
	ok($node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ 'pg_advisory_xact_lock_shared' AND wait_event = 'advisory')), "$what: the scan has begun");
	# Twice: what the first one could not remove, and the visibility map.
	my $vacuum = start_command('psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', 'postgres', '-c', 'VACUUM p', '-c', 'CREATE TABLE vacuumed ()', '-c', 'INSERT INTO p SELECT -i, -i FROM generate_series(1, 500) i', '-c', 'VACUUM p');
	# The scan goes on when VACUUM is through with the index, or waits for what the scan has pinned.
	ok($node->poll_query_until('postgres', q(SELECT to_regclass('vacuumed') IS NOT NULL OR EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^VACUUM' AND wait_event IN ('BufferPin', 'BufferCleanup')))), "$what: VACUUM has come as far as it can");
	$gate->quit;
	my ($code, $out, $err) = finish_command($scan);
	is($code, 0, "$what: the scan ended") or diag($err);
	my @keys = grep { /\d/ } split /\n/, $out;
	is(scalar(@keys), $left, "$what: rows");
	is(join(' ', grep { $_ % 2 == 0 || $_ < 0 } @keys), '', "$what: no deleted row, none of later");
	($code, $out, $err) = finish_command($vacuum);
	is($code, 0, "$what: VACUUM ended") or diag($err);
	same_rows($node, 'p', $what);
	$node->safe_psql('postgres', 'DROP TABLE vacuumed');
}
clean_log($node);
$node->stop;
done_testing();
