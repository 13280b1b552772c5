# Scans whose rows are not in shared buffers ask for blocks ahead of themselves: they return what they always do, and the blocks are in
# the operating system's cache before the scan gets there, as many as effective_io_concurrency says.

use strict;
use warnings;

use FindBin;
use POSIX ();
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = am();
my $node = new_node('main');

# so few buffers that hardly a row is found in them
$node->append_conf('postgresql.conf', "shared_buffers = 1MB\nmax_connections = 10\neffective_io_concurrency = 40\n");
$node->start;
load_helpers($node);

$node->safe_psql('postgres', q{
	CREATE FUNCTION pages(t regclass) RETURNS int8 LANGUAGE sql AS $$ SELECT pg_relation_size(t) / 8192 $$;
	CREATE TABLE probe AS SELECT hashint8extended(i, 1) AS k FROM generate_series(1, 60000, 61) i});
for my $kind ('heap', 'omen')
{
	$node->safe_psql('postgres', qq{
		CREATE TABLE $kind (k int8, id int, filler text) USING $kind;
		INSERT INTO $kind SELECT hashint8extended(i, 1), i, repeat('x', 200) FROM generate_series(1, 60000) i;
		UPDATE $kind SET filler = filler || 'y' WHERE id % 7 = 0;
		DELETE FROM $kind WHERE id % 11 = 0;
		CREATE INDEX ${kind}_k ON $kind USING $am (k);
		VACUUM ANALYZE $kind});
	cmp_ok($node->safe_psql('postgres', "SELECT pages('$kind')"), '>', 1000, "$kind: the table is larger than shared buffers");
}

# ---- the same rows ----

my $index_scan = 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET enable_hashjoin = off; SET enable_material = off;';
my $seq_scan = 'SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off;';
my %query = (
	forward => q{SELECT md5(string_agg(id::text, ',')) FROM (SELECT id FROM %s WHERE k > 0 ORDER BY k) s},
	backward => q{SELECT md5(string_agg(id::text, ',')) FROM (SELECT id FROM %s WHERE k < 0 ORDER BY k DESC) s},
	first => q{SELECT id FROM %s WHERE k > 1000 ORDER BY k LIMIT 1},
	joined => q{SET enable_nestloop = off; SELECT sum(a.id), count(*) FROM %1$s a JOIN %1$s b USING (k) WHERE b.k > 6000000000000000000 AND b.id > 0},
	probes => q{SET enable_mergejoin = off; SELECT sum(id), count(*) FROM probe p JOIN %s t USING (k)},
	ranges => q{SELECT sum(s) FROM (SELECT k FROM probe WHERE k %% 12 = 0) p, LATERAL (SELECT sum(id) AS s FROM (SELECT id FROM %s t WHERE t.k >= p.k ORDER BY t.k LIMIT 9) l) r});

for my $kind ('heap', 'omen')
{
	for my $name (sort keys %query)
	{
		my $query = sprintf($query{$name}, $kind);
		my $expected = $node->safe_psql('postgres', "$seq_scan $query");

		for my $blocks (0, 1, 40, 1000)
		{
			is($node->safe_psql('postgres', "$index_scan SET effective_io_concurrency = $blocks; $query"), $expected,
				"$kind, $name, $blocks blocks ahead");
		}
	}
	# to and fro
	my $moves = 'FETCH 300 FROM c; FETCH BACKWARD 120 FROM c; FETCH 5 FROM c; FETCH BACKWARD 3 FROM c; MOVE ABSOLUTE 2000 IN c; FETCH 40 FROM c; FETCH BACKWARD 1 FROM c';
	my $cursor = "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM $kind ORDER BY k; $moves; COMMIT";
	is($node->safe_psql('postgres', "$index_scan $cursor"), $node->safe_psql('postgres', "$seq_scan SET enable_sort = on; $cursor"),
		"$kind, a cursor to and fro");
}

# ---- they are asked for ahead ----

# Blocks of a table in the operating system's cache.
sub cached
{
	my ($file) = @_;
	my ($pages, $stderr);

	IPC::Run::run([ qw(fincore --noheadings --output PAGES), $file ], ">", \$pages, "2>", \$stderr) or return undef;
	return $pages =~ /^\s*(\d+)\s*$/ ? int($1 * POSIX::sysconf(POSIX::_SC_PAGESIZE()) / 8192) : undef;
}

# Starts the server again with nothing of the table cached anywhere; undef if that cannot be.
sub cold
{
	my ($file) = @_;

	$node->stop;
	system('sync');
	system("dd 'if=$file' iflag=nocache count=0 status=none");
	my $left = cached($file);
	$node->start;
	return defined $left && $left < 50 ? 1 : undef;
}

# How many blocks are cached after the first rows of a range.
sub cached_after
{
	my ($kind, $rows, $blocks) = @_;
	my $file = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$kind')");

	return undef unless cold($file);
	my $before = cached($file);
	my $session = $node->background_psql('postgres');
	$session->query_safe("$index_scan SET effective_io_concurrency = $blocks; BEGIN; DECLARE c CURSOR FOR SELECT id FROM $kind ORDER BY k");
	$session->query_safe("MOVE $rows IN c");
	my $blocks_cached = cached($file) - $before;
	$session->quit;
	return $blocks_cached;
}

SKIP:
{
	skip 'nbtree does not read ahead', 4 if $am ne 'alex';
	skip 'the files cannot be taken out of the operating system\'s cache', 4 unless defined cached_after('heap', 1, 0);
	for my $kind ('heap', 'omen')
	{
		my ($none, $some) = (cached_after($kind, 100, 0), cached_after($kind, 100, 40));

		cmp_ok($none, '<', 110, "$kind: without, blocks are read when their rows are asked for ($none for 100 rows)");
		cmp_ok($some - $none, '>', 30, "$kind: else some 40 blocks more have been asked for ($some)");
	}
}

$node->stop;
done_testing();
