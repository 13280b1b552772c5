# A crash between a split and the record that tells the parent leaves the split
# unfinished.  Recovery is stopped at just that place: the server must find
# everything, and finish the split when it next changes the node.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'a split is found by the WAL records of alex' if am() ne 'alex';

my $primary = new_node('primary', allows_streaming => 1, has_archiving => 1);
$primary->append_conf('postgresql.conf', 'full_page_writes = off');
$primary->start;
load_helpers($primary);
# Committed rows of odd keys; rows of even keys come in a transaction that recovery cuts off.
$primary->safe_psql('postgres', q{
	CREATE TABLE half (id int8, k int8);
	INSERT INTO half SELECT i, (hashint8(i)::int8 * 2 + 1) * 1000 FROM generate_series(1, 40000) i;
	CREATE INDEX half_k ON half USING alex (k);
	CREATE INDEX half_kd ON half USING alex (k DESC);
	DROP INDEX half_kd;
	CHECKPOINT});
my $file = $primary->safe_psql('postgres', q{SELECT pg_relation_filenode('half_k')});
$primary->backup('base');
my $from = $primary->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
$primary->safe_psql('postgres', q{INSERT INTO half SELECT i, hashint8(i)::int8 * 2000 FROM generate_series(40001, 120000) i});
my $to = $primary->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
my $segment = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
$primary->poll_query_until('postgres', "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver") or die 'WAL was not archived';

# Splits: two or three blocks of the index, two of them whole; the root is not among them.  What follows is the
# record with the separator.
my ($dump, $errors) = run_command([ 'pg_waldump', '-p', $primary->data_dir . '/pg_wal', '-s', $from, '-e', $to ]);
my @targets;
my $split;
for my $line (split /\n/, $dump)
{
	my ($lsn) = $line =~ m{lsn: ([0-9A-F]+/[0-9A-F]+)} or next;

	push @targets, $lsn if $split;
	$split = 0;
	next unless $line =~ /rmgr: Generic/ && $line =~ m{rel \d+/\d+/$file };
	my @whole = $line =~ m{blk (\d+) FPW}g;
	$split = @whole == 2 && !grep { $_ == 1 } @whole;
}
cmp_ok(scalar @targets, '>', 10, 'the load split nodes') or diag($errors);

my $flagged = q{SELECT count(*) FROM generate_series(1, pg_relation_size('half_k') / 8192 - 1) b, alex_page('half_k', b) p
	WHERE 'incomplete_split' = ANY (p.flags)};

# Different places of the load; each finished by another kind of change.
my %finish = (
	insert => q{INSERT INTO half SELECT i, hashint8(i)::int8 * 2000 FROM generate_series(200001, 280000) i},
	vacuum => q{DELETE FROM half WHERE id % 2 = 0; VACUUM half},
);
my $at = 0;
for my $how (sort keys %finish)
{
	my $target = $targets[ $at += int(@targets / 3) ];
	my $node = PostgreSQL::Test::Cluster->new("stopped_$how");

	$node->init_from_backup($primary, 'base', has_restoring => 1, standby => 0);
	$node->append_conf('postgresql.conf', <<"CONF");
recovery_target_lsn = '$target'
recovery_target_inclusive = off
recovery_target_action = promote
# its own time line must not get into the archive that the next one reads
archive_mode = off
recovery_target_timeline = current
CONF
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery did not end';
	is($node->safe_psql('postgres', $flagged), '1', "$how: one split is unfinished, at $target");
	is($node->safe_psql('postgres', q{SELECT alex_check('half_k', true)}), '', "$how: alex_check allows it");
	same_rows($node, 'half', "$how: unfinished");
	# A nested loop, whose private copy of the inner nodes cannot know the right half either.
	is($node->safe_psql('postgres', q{
		SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off; SET enable_seqscan = off; SET enable_bitmapscan = off;
		SELECT count(*) = (SELECT count(*) FROM half WHERE id <= 40000) FROM (SELECT k FROM half WHERE id <= 40000 OFFSET 0) a
		WHERE EXISTS (SELECT FROM half b WHERE b.k = a.k)}), 't', "$how: a nested loop finds every row");
	$node->safe_psql('postgres', $_) for split /; /, $finish{$how};
	is($node->safe_psql('postgres', $flagged), '0', "$how: finished by it");
	is($node->safe_psql('postgres', q{SELECT alex_check('half_k', true)}), '', "$how: sound afterwards");
	same_rows($node, 'half', "$how: finished");
	clean_log($node);
	$node->stop;
}
$primary->stop;

done_testing();
