# Scans that go to the pages of rows where they saw them last, without looking them up: they count as many pages read as nbtree's scans do, prune the
# pages they come to as these do, and return the same rows, also when the pages have gone elsewhere.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = am();
my $rows = 20000;
my $node = new_node('main');

$node->start;
load_helpers($node);
my $scan = 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET enable_hashjoin = off;
	SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;';
my %query = (
	'ranges' => 'SELECT md5(string_agg(id::text, $$,$$)) FROM (SELECT id FROM %s ORDER BY k) s',
	'probes' => 'SELECT sum(t.id) FROM probe p JOIN %s t USING (k)');

# Blocks of the table that a query asks for.
sub blocks
{
	my ($table, $query) = @_;
	my $out = $node->safe_psql('postgres', qq{
		$scan
		BEGIN;
		$query;
		SELECT 'blocks ' || pg_stat_get_xact_blocks_fetched('$table'::regclass);
		COMMIT});

	die "no answer: $out" if $out !~ /blocks (\d+)/;
	return $1;
}

# What VACUUM still finds to remove.
sub removed
{
	my ($table) = @_;
	my ($stdout, $stderr);

	$node->psql('postgres', "VACUUM (VERBOSE) $table", stdout => \$stdout, stderr => \$stderr, on_error_die => 1);
	die "no figure: $stderr" if $stderr !~ /tuples: (\d+) removed/;
	return $1;
}

$node->safe_psql('postgres', "CREATE TABLE probe AS SELECT hashint8extended(1 + i * 7919 % $rows, 1) AS k FROM generate_series(1, 15000) i");
for my $kind ('heap', 'omen')
{
	for my $index ($am eq 'btree' ? $am : ($am, 'btree'))
	{
		my $table = "${kind}_of_$index";

		$node->safe_psql('postgres', qq{
			CREATE TABLE $table (k int8, id int, v int) USING $kind WITH (fillfactor = 45);
			INSERT INTO $table SELECT hashint8extended(i, 1), i, 0 FROM generate_series(1, $rows) i;
			CREATE INDEX ON $table USING $index (k);
			VACUUM (FREEZE) $table; ANALYZE $table});
	}
	for my $name (sort keys %query)
	{
		my ($ours, $theirs) = map { sprintf($query{$name}, "${kind}_of_$_") } ($am, 'btree');

		is($node->safe_psql('postgres', "$scan $ours"), $node->safe_psql('postgres', "$scan $theirs"), "$kind, $name: the same rows");
		is(blocks("${kind}_of_$am", $ours), blocks("${kind}_of_btree", $theirs), "$kind, $name: as many blocks counted");
	}
}

# A scan sees all pages while an old snapshot keeps old versions there, and comes to them again when it is gone.
for my $kind ('heap', 'omen')
{
	my $old = $node->background_psql('postgres');
	my $session = $node->background_psql('postgres');

	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	$node->safe_psql('postgres', "UPDATE ${kind}_of_$am SET v = v + 1");
	$session->query_safe("$scan BEGIN; DECLARE c CURSOR FOR SELECT id FROM ${kind}_of_$am ORDER BY k");
	$session->query_safe("MOVE " . $rows / 2 . " IN c");
	$old->query_safe('COMMIT');
	$old->quit;
	# a new snapshot tells that the old one is gone, if there have been transactions since
	$node->safe_psql('postgres', 'SELECT pg_current_xact_id()');
	$session->query_safe('SELECT 1; MOVE ALL IN c; COMMIT');
	$session->quit;
	cmp_ok(removed("${kind}_of_$am"), '<', $rows / 10, "$kind: pages are pruned on the way");
}

# The table moves while a cursor remembers where its pages were.
{
	my $session = $node->background_psql('postgres');
	$session->query_safe("$scan BEGIN; DECLARE c CURSOR FOR SELECT id FROM heap_of_$am ORDER BY k");
	my $got = $session->query_safe('FETCH 9000 FROM c');
	# every other table goes through shared buffers
	$node->safe_psql('postgres', "CREATE TABLE other_$_ AS SELECT i, repeat('x', 700) AS x FROM generate_series(1, 30000) i; SELECT count(x) FROM other_$_") for 1 .. 3;
	$node->safe_psql('postgres', "UPDATE heap_of_$am SET v = v + 1, id = -id");
	$got .= "\n" . $session->query_safe('FETCH ALL FROM c');
	$session->quit;
	is($got, $node->safe_psql('postgres', "SELECT -id FROM heap_of_$am ORDER BY k"), 'a cursor goes on where pages have been replaced and changed');
}

$node->stop;
done_testing();
