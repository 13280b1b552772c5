# Entries of dead rows: scans and unique checks mark them, later scans leave
# them out, and inserts remove them, without VACUUM.  Old snapshots still see
# what they saw, on a standby too, and no crash brings a wrong mark.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = am();
my $node = new_node('primary', allows_streaming => 1);
$node->append_conf('postgresql.conf', "wal_level = replica\nwal_consistency_checking = 'all'\n");
$node->start;
load_helpers($node);

my $index_scan = 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SET enable_sort = off;';
my $seq_scan = 'SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off;';
my %way = (
	forward => "$index_scan SELECT md5(string_agg(id::text, ',')) FROM (SELECT id FROM d WHERE k BETWEEN 1000 AND 30000 ORDER BY k) s",
	backward => "$index_scan SELECT md5(string_agg(id::text, ',')) FROM (SELECT id FROM d WHERE k BETWEEN 1000 AND 30000 ORDER BY k DESC) s",
	probes => "$index_scan SELECT sum((SELECT id FROM d WHERE k = i)) FROM generate_series(1000, 30000) i",
	keys => 'SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT sum(k), count(*) FROM d WHERE k BETWEEN 1000 AND 30000',
	bitmap => 'SET enable_seqscan = off; SET enable_indexscan = off; SELECT sum(id), count(*) FROM d WHERE k BETWEEN 1000 AND 30000');

# Marks in the leaves of an index; nbtree would have to be asked otherwise.
sub killed
{
	my ($index, $on) = @_;
	return undef if $am ne 'alex';
	return ($on || $node)->safe_psql('postgres', "SELECT coalesce(sum(killed_count), 0)
		FROM generate_series(1, pg_relation_size('$index') / 8192 - 1) b, alex_page('$index', b) WHERE kind = 'leaf'");
}

sub entries
{
	my ($index) = @_;
	return $am eq 'alex' ? $node->safe_psql('postgres', "SELECT entries FROM alex_stats('$index')") : undef;
}

# Pages that a query touches.
sub pages
{
	my ($query) = @_;
	my ($set, $select) = $query =~ /^(.*;)\s*(SELECT.*)$/s;
	my $plan = $node->safe_psql('postgres', "$set EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) $select");
	my ($pages) = $plan =~ /Buffers: shared hit=(\d+)/;
	return $pages;
}

# ---- scans mark, and leave out what is marked ----

for my $table ('unlogged', 'logged')
{
	my $unlogged = $table eq 'unlogged' ? 'UNLOGGED' : '';

	for my $first (sort keys %way)
	{
		# fat rows: one or two a page, so that leaving out an entry spares a page
		$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS d;
CREATE $unlogged TABLE d (id int, k int8, filler text);
ALTER TABLE d ALTER filler SET STORAGE PLAIN;
INSERT INTO d SELECT i, i * 10, repeat('x', 1500) FROM generate_series(1, 4000) i;
CREATE INDEX d_k ON d USING $am (k);
DELETE FROM d WHERE id % 20 <> 0;
SQL
		my $before = pages($way{$first});
		my $killed = killed('d_k');

		if ($first eq 'bitmap')
		{
			is($killed, $am eq 'alex' ? '0' : undef, "$table: a bitmap scan does not know which rows are dead");
			next;
		}
		cmp_ok($killed, '>', 2500, "$table, $first: dead entries are marked") if $am eq 'alex';
		for my $way (sort keys %way)
		{
			my $pages = pages($way{$way});
			# of the pages that probes touch, most are the index's
			cmp_ok($pages, '<', $before / 3, "$table, $first: $way need not look at dead rows: $pages pages, before $before")
			  unless $way eq 'probes' || $first eq 'probes';
			(my $seq = $way{$way}) =~ s/^.*;\s*SELECT/$seq_scan SELECT/;
			is($node->safe_psql('postgres', $way{$way}), $node->safe_psql('postgres', $seq), "$table, $first: $way finds the same rows as a sequential scan");
		}
		same_rows($node, 'd', "$table, $first");
	}
}

# Nobody but all may have forgotten a row: what an old snapshot sees is not marked.
{
	$node->safe_psql('postgres', 'TRUNCATE d; INSERT INTO d SELECT i, i * 10 FROM generate_series(1, 4000) i');
	my $old = $node->background_psql('postgres');
	my $query = "$way{forward};";
	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ;');
	my $saw = $old->query_safe($query);
	$node->safe_psql('postgres', 'DELETE FROM d WHERE id % 20 <> 0');
	$node->safe_psql('postgres', $way{$_}) for sort keys %way;
	is(killed('d_k'), $am eq 'alex' ? '0' : undef, 'rows that an old snapshot sees are not marked');
	is($old->query_safe($query), $saw, 'the old snapshot sees what it saw');
	$old->query_safe('COMMIT;');
	$old->quit;
	$node->safe_psql('postgres', $way{forward});
	cmp_ok(killed('d_k'), '>', 2500, 'they are when it is gone') if $am eq 'alex';
}

# ---- inserts remove what is dead ----

# The only entry of a leaf, which the new one does not fit beside.
$node->safe_psql('postgres', <<SQL);
CREATE TABLE one (id int8, k int8);
CREATE INDEX one_k ON one USING $am (k);
INSERT INTO one VALUES (1, 9223372036854775807);
DELETE FROM one;
$index_scan
SELECT * FROM one WHERE k > 0;
SELECT * FROM one WHERE k > 0;
SQL
is(killed('one_k'), $am eq 'alex' ? '1' : undef, 'the only entry is marked');
$node->safe_psql('postgres', 'INSERT INTO one VALUES (2, NULL); INSERT INTO one VALUES (3, 3)');
same_rows($node, 'one', 'a leaf with one entry');
is(entries('one_k'), $am eq 'alex' ? '2' : undef, 'the dead one is gone');

# Every update of v makes a new entry in all indexes, as v is indexed.
sub hot_setup
{
	my ($on) = @_;

	$on->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS hot;
CREATE TABLE hot (id int8, k int8, v int);
INSERT INTO hot SELECT i, i, 0 FROM generate_series(1, 500) i;
CREATE UNIQUE INDEX hot_id ON hot USING $am (id);
CREATE INDEX hot_k ON hot USING $am (k);
CREATE INDEX hot_v ON hot (v);
CREATE INDEX nbtree_id ON hot USING btree (id);
SQL
	return;
}

my $updates = write_script("\\set id random(1, 500)\nUPDATE hot SET v = v + 1 WHERE id = :id;\n");
sub update_often
{
	my ($transactions) = @_;
	my ($code, $out, $err) = finish_command(start_command(
			pgbench_command($node, '-c', 4, '-j', 1, '-t', int($transactions / 4), '-M', 'prepared', '-f', $updates)));
	is($code, 0, 'updates ran to their end') or diag($err);
	return;
}

hot_setup($node);
update_often(20000);
for my $index ('hot_id', 'hot_k')
{
	# 20,500 if none had been removed
	cmp_ok(entries($index), '<', 6000, "$index: entries of earlier versions are removed: " . entries($index) . ' left') if $am eq 'alex';
	cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('$index')"), '<=',
		$node->safe_psql('postgres', q{SELECT pg_relation_size('nbtree_id') + 16384}), "$index is not larger than nbtree's");
}
same_rows($node, 'hot', 'after updates');
is($node->safe_psql('postgres', "$index_scan SELECT count(*), sum(id) FROM hot WHERE id > 0"), '500|125250', 'all rows are there');

# With an old snapshot nothing may go.
{
	my $old = $node->background_psql('postgres');
	my $query = "$index_scan SELECT md5(string_agg(format('%s %s', id, v), ',')) FROM (SELECT id, v FROM hot WHERE k > 0 ORDER BY k) s;";
	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ;');
	my $saw = $old->query_safe($query);
	update_often(4000);
	is($old->query_safe($query), $saw, 'an old snapshot finds its versions through the index');
	$old->query_safe('COMMIT;');
	$old->quit;
}

# One row updated over and over while an old snapshot needs all its versions: their entries fill leaves to the brim, where marks
# have no room. Once the snapshot is gone a few more updates must be enough to be rid of them.
{
	# fat rows: an entry passed over spares a page, or nearly
	$node->safe_psql('postgres', <<SQL);
CREATE TABLE brim (id int8, k int8, v int, filler text) WITH (fillfactor = 100);
ALTER TABLE brim ALTER filler SET STORAGE PLAIN;
INSERT INTO brim SELECT i, hashint8extended(i, 0), i, repeat('x', 1500) FROM generate_series(1, 4000) i;
CREATE INDEX brim_k ON brim USING $am (k);
CREATE INDEX ON brim (v);
SQL
	my $key = $node->safe_psql('postgres', 'SELECT hashint8extended(1, 0)');
	my $read = "$index_scan SELECT v FROM brim WHERE k = $key";
	my $update = write_script("UPDATE brim SET v = v + 1 WHERE k = $key;\n");
	my $often = sub {
		my ($code, $out, $err) = finish_command(start_command(pgbench_command($node, '-c', 1, '-t', $_[0], '-M', 'prepared', '-f', $update)));
		is($code, 0, "$_[0] updates of one row") or diag($err);
	};

	for my $updates (500, 700, 1000)
	{
		my $old = $node->background_psql('postgres');
		$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM brim;');
		$often->($updates);
		$old->query_safe('COMMIT;');
		$old->quit;
		my $before = pages($read);
		$often->(40);
		pages($read);
		my $after = pages($read);
		cmp_ok($after, '<', 60, "after $updates updates: few pages to read the row: $after, before $before") if $am eq 'alex';
	}
	same_rows($node, 'brim', 'after updates of one row');
}

# ---- crashes: marks reach the disk, but no record says so ----

for my $images ('on', 'off')
{
	$node->safe_psql('postgres', "ALTER SYSTEM SET full_page_writes = $images");
	$node->restart;
	$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS w;
CREATE TABLE w (id int8, k int8);
INSERT INTO w SELECT i, hashint8extended(i, 0) FROM generate_series(1, 20000) i;
CREATE INDEX w_k ON w USING $am (k) WITH (fillfactor = 85);
SQL
	for my $round (1 .. 4)
	{
		my $from = 20000 + $round * 3000;
		$node->safe_psql('postgres', "DELETE FROM w WHERE id % 7 = $round");
		$node->safe_psql('postgres', "$index_scan SELECT count(id) FROM (SELECT id FROM w ORDER BY k) s");
		cmp_ok(killed('w_k'), '>', 100, "full_page_writes $images, round $round: marks before the crash: " . killed('w_k')) if $am eq 'alex';
		$node->safe_psql('postgres', 'CHECKPOINT');
		# appends beside marks and over them, then merges that remove what is marked
		$node->safe_psql('postgres', "INSERT INTO w SELECT i, hashint8extended(i, 0) FROM generate_series($from, $from + 2999) i");
		kill_server($node);
		$node->start;
		same_rows($node, 'w', "full_page_writes $images, round $round");
	}
}

# ---- a standby ----

$node->safe_psql('postgres', 'ALTER SYSTEM RESET full_page_writes');
$node->restart;
# Marks go into the backup.
$node->safe_psql('postgres', 'TRUNCATE d; INSERT INTO d SELECT i, i * 10 FROM generate_series(1, 4000) i; DELETE FROM d WHERE id % 20 <> 0');
$node->safe_psql('postgres', $way{forward});
cmp_ok(killed('d_k'), '>', 2500, 'marks before the backup') if $am eq 'alex';
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\nhot_standby_feedback = off\n");
$standby->start;
my $catch_up = sub { $node->wait_for_catchup($standby, 'replay', $node->lsn('write')) };
$catch_up->();
is($standby->safe_psql('postgres', $way{forward}), $node->safe_psql('postgres', $way{forward}), 'the standby finds the same rows');

# Rows on few, half empty pages, which nobody prunes; so the one change that an old snapshot of the standby could not bear is that
# inserts remove index entries.
$node->safe_psql('postgres', <<SQL);
CREATE TABLE few (id int, k int8);
CREATE INDEX few_k ON few USING $am (k);
INSERT INTO few SELECT i, i FROM generate_series(1, 100) i;
SQL
$catch_up->();
my $count = "$index_scan SELECT count(id), sum(id) FROM few WHERE k BETWEEN 1 AND 100;";
my $old = $standby->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ;');
is($old->query_safe($count), '100|5050', 'an old snapshot on the standby');
$node->safe_psql('postgres', 'DELETE FROM few WHERE id % 2 = 0');
$node->safe_psql('postgres', $count);
is(killed('few_k'), $am eq 'alex' ? '50' : undef, 'the primary marks what is dead there');
$node->safe_psql('postgres', 'INSERT INTO few SELECT i, i FROM generate_series(1000, 3000) i');
cmp_ok(entries('few_k'), '==', 2051, 'an insert has removed it') if $am eq 'alex';
ok( $standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'RecoveryConflictSnapshot'}),
	'replay waits for the old snapshot');
is($old->query_safe($count), '100|5050', 'which sees what it saw, through the index');
$old->query_safe('COMMIT;');
$old->quit;
$catch_up->();
is($standby->safe_psql('postgres', $count), '50|2500', 'the standby goes on');
if ($am eq 'alex')
{
	for my $index ('few_k', 'd_k', 'w_k', 'hot_id')
	{
		my ($code, $out, $err) = $standby->psql('postgres', "SELECT alex_check('$index', true)");
		is($err, '', "alex_check('$index') on the standby");
	}
}
hot_setup($node);
update_often(8000);
$catch_up->();
is($standby->safe_psql('postgres', "$index_scan SELECT count(*), sum(id) FROM hot WHERE id > 0"), '500|125250', 'all rows are on the standby');

$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO d SELECT i, i * 10 FROM generate_series(4001, 9000) i; INSERT INTO few SELECT i, i FROM generate_series(3001, 5000) i');
same_rows($standby, $_, 'promoted') for 'd', 'few', 'w', 'hot';

clean_log($_) for $node, $standby;
$_->stop for $node, $standby;
done_testing();
