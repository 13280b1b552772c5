# Keys that are written over and over: more dead entries of a leaf than can be marked, leaves that change while scans read
# them, the old end of a queue.  Whoever meets many dead entries gets rid of them, whether an insert comes to their leaf or not;
# old snapshots still see what they saw, on a standby too.

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
$node->append_conf('postgresql.conf', "wal_level = replica\nwal_consistency_checking = 'all'\nautovacuum = off\nwal_keep_size = 1GB\n");
$node->start;
load_helpers($node);

my $index_scan = 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SET enable_sort = off;';

# Pages that a statement touches when it comes for the third time, always with the same rows to find.
sub pages
{
	my ($on, $statement) = @_;

	$on->safe_psql('postgres', "$index_scan BEGIN; $statement; ROLLBACK") for 1 .. 2;
	my $plan = $on->safe_psql('postgres', "$index_scan BEGIN; EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) $statement; ROLLBACK");
	my ($pages) = $plan =~ /Buffers: shared hit=(\d+)/;
	return $pages;
}

sub entries
{
	my ($index) = @_;
	return $am eq 'alex' ? $node->safe_psql('postgres', "SELECT entries FROM alex_stats('$index')") : undef;
}

# Is what is left few pages, if this is alex?
sub few
{
	my ($pages, $most, $what) = @_;
	cmp_ok($pages, '<=', $most, "$what: $pages pages") if $am eq 'alex';
	return;
}

# ---- one key of a unique index, deleted and inserted again and again ----

for my $table ('heap', 'omen')
{
	my $make = <<SQL;
DROP TABLE IF EXISTS one;
CREATE TABLE one (k int8, id int, filler text) USING $table;
ALTER TABLE one ALTER filler SET STORAGE PLAIN;
INSERT INTO one SELECT i, 0 FROM generate_series(1, 100) i;
CREATE UNIQUE INDEX one_k ON one USING $am (k);
SQL
	my $insert = q{INSERT INTO one VALUES (50, 0, '')};

	# within one transaction, which nothing can go before the end of
	$node->safe_psql('postgres', <<SQL);
$make
DO \$\$ BEGIN
	FOR i IN 1 .. 6000 LOOP DELETE FROM one WHERE k = 50; INSERT INTO one VALUES (50, i, repeat('x', 200)); END LOOP;
	DELETE FROM one WHERE k = 50;
END \$\$;
SQL
	few(pages($node, $insert), 60, "$table: an insert of a key that was inserted 6,000 times");
	cmp_ok(entries('one_k'), '<', 2000, "$table: the index has " . entries('one_k') . ' entries left of 6,100') if $am eq 'alex';
	same_rows($node, 'one', "$table, one key");

	# with a snapshot that needs some of them, until it ends
	$node->safe_psql('postgres', <<SQL);
$make
CREATE OR REPLACE PROCEDURE again(n int) LANGUAGE plpgsql AS \$\$ BEGIN
	FOR i IN 1 .. n LOOP DELETE FROM one WHERE k = 50; INSERT INTO one VALUES (50, i, repeat('x', 200)); COMMIT; END LOOP;
END \$\$;
SQL
	my $old = $node->background_psql('postgres');
	my $query = "$index_scan SELECT count(*), sum(k), sum(id) FROM one WHERE k BETWEEN 40 AND 60;";
	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ;');
	my $saw = $old->query_safe($query);
	$node->safe_psql('postgres', 'CALL again(6000); DELETE FROM one WHERE k = 50');
	is($old->query_safe($query), $saw, "$table: an old snapshot sees what it saw");
	pages($node, $insert);
	is($old->query_safe($query), $saw, "$table: also after inserts have looked at what is dead");
	$old->query_safe('COMMIT;');
	$old->quit;
	few(pages($node, $insert), 60, "$table: when it is gone, an insert of that key");
	same_rows($node, 'one', "$table, one key and an old snapshot");
}

# ---- one key of an index that is not unique, and the old end of a queue: no insert comes to the leaf ----

for my $table ('heap', 'omen')
{
	for my $kind ('', 'UNLOGGED')
	{
		my $what = $table . ($kind ? ', unlogged' : '');

		$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS many;
CREATE $kind TABLE many (k int8, id int, filler text) USING $table;
ALTER TABLE many ALTER filler SET STORAGE PLAIN;
INSERT INTO many SELECT 7, i, repeat('x', 500) FROM generate_series(1, 8000) i;
CREATE INDEX many_k ON many USING $am (k);
DELETE FROM many WHERE id % 400 <> 0;
SQL
		few(pages($node, 'SELECT count(id) FROM many WHERE k = 7'), 60, "$what: a scan of a key with 20 rows and 7,980 dead ones");
		same_rows($node, 'many', $what);

		$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS queue;
CREATE $kind TABLE queue (k int8, id int, filler text) USING $table;
ALTER TABLE queue ALTER filler SET STORAGE PLAIN;
INSERT INTO queue SELECT i, i, repeat('x', 500) FROM generate_series(1, 12000) i;
CREATE INDEX queue_k ON queue USING $am (k);
DELETE FROM queue WHERE k < 10000;
SQL
		my $head = 'SELECT k, filler FROM queue ORDER BY k LIMIT 1';
		few(pages($node, $head), 12, "$what: the head of a queue of which 10,000 are done");
		few(pages($node, 'SELECT k, filler FROM queue ORDER BY k DESC LIMIT 1 OFFSET 2001'), 310, "$what: backwards");
		for my $to (10020, 10040, 10060, 10080)
		{
			$node->safe_psql('postgres', "DELETE FROM queue WHERE k < $to");
			few(pages($node, $head), 12, "$what: as it goes on to $to");
		}
		same_rows($node, 'queue', $what);
	}
}

# In a temporary table, whose index nobody logs.
if ($am eq 'alex')
{
	my $plans = $node->safe_psql('postgres', <<SQL);
$index_scan
CREATE TEMP TABLE mine (k int8, filler text);
INSERT INTO mine SELECT 7, repeat('x', 500) FROM generate_series(1, 8000) i;
CREATE INDEX ON mine USING $am (k);
DELETE FROM mine;
INSERT INTO mine VALUES (8, '');
SELECT count(filler) FROM mine WHERE k = 7;
SELECT count(filler) FROM mine WHERE k = 7;
EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) SELECT count(filler) FROM mine WHERE k = 7;
SQL
	my ($pages) = $plans =~ /Buffers: local hit=(\d+)/;
	few($pages, 12, 'a temporary table');
}

# ---- the leaf changes between the reading of a batch and the marking ----

my $killed = sub {
	return $node->safe_psql('postgres', "SELECT coalesce(sum(killed_count), 0)
		FROM generate_series(1, pg_relation_size('busy_k') / 8192 - 1) b, alex_page('busy_k', b) WHERE kind = 'leaf'");
};

for my $table ('heap', 'omen')
{
	last if $am ne 'alex';
	my $make = <<SQL;
DROP TABLE IF EXISTS busy;
CREATE TABLE busy (k int8, id int, filler text) USING $table;
ALTER TABLE busy ALTER filler SET STORAGE PLAIN;
INSERT INTO busy SELECT i * 10, i, repeat('x', 2500) FROM generate_series(1, 100) i;
CREATE INDEX busy_k ON busy USING $am (k);
SQL
	$node->safe_psql('postgres', "$make DELETE FROM busy WHERE k IN (20, 30, 40)");
	my $reader = $node->background_psql('postgres');
	$reader->query_safe("$index_scan BEGIN; DECLARE c CURSOR FOR SELECT k, id FROM busy WHERE k > 0 ORDER BY k;");
	is($reader->query_safe('FETCH 1 FROM c;'), '10|1', "$table: the first row; a batch has four");
	$node->safe_psql('postgres', 'INSERT INTO busy VALUES (55, 0)');
	is($reader->query_safe('FETCH 1 FROM c;'), '50|5', "$table: the fifth is the next that lives");
	is($killed->(), '3', "$table: those between are marked, though the leaf has changed");
	$reader->query_safe('COMMIT;');

	# other rows at the same TIDs, with the same keys; the cursor has another page pinned
	$node->safe_psql('postgres', "$make DELETE FROM busy WHERE k IN (20, 30)");
	$reader->query_safe('BEGIN; DECLARE c CURSOR FOR SELECT k, id FROM busy WHERE k > 0 ORDER BY k;');
	is($reader->query_safe('FETCH 2 FROM c;'), "10|1\n40|4", "$table: two dead rows noted, the batch not left");
	my $tids = 'SELECT string_agg(ctid::text, $$ $$ ORDER BY k) FROM busy WHERE k IN (20, 30)';
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) busy');
	$node->safe_psql('postgres', q{INSERT INTO busy SELECT k, 0, repeat('x', 2500) FROM unnest('{20,30}'::int[]) k});
	is($node->safe_psql('postgres', $tids), '(0,2) (0,3)', "$table: new rows have their places");
	$reader->query_safe('COMMIT;');
	$reader->quit;
	is($killed->(), '0', "$table: they are not taken for dead");
	is($node->safe_psql('postgres', "$index_scan SELECT count(id) FROM busy WHERE k IN (20, 30)"), '2', "$table: a scan finds them");
	same_rows($node, 'busy', "$table, a leaf that changed");
}

# ---- a standby's snapshots, and a crash ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\nhot_standby_feedback = off\n");
$standby->start;
my $catch_up = sub { $node->wait_for_catchup($standby, 'replay', $node->lsn('write')) };

# pages with room, which nobody prunes: so it is the removal of entries that an old snapshot of the standby could not bear
$node->safe_psql('postgres', <<SQL);
CREATE TABLE few (k int8, id int, filler text) WITH (fillfactor = 10);
INSERT INTO few SELECT 7, i, repeat('x', 100) FROM generate_series(1, 6000) i;
ALTER TABLE few RESET (fillfactor);
CREATE INDEX few_k ON few USING $am (k);
SQL
$catch_up->();
my $count = "$index_scan SELECT count(id), sum(id) FROM few WHERE k = 7;";
my $old = $standby->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ;');
is($old->query_safe($count), '6000|18003000', 'an old snapshot on the standby');
$node->safe_psql('postgres', 'DELETE FROM few WHERE id % 100 <> 0');
is($node->safe_psql('postgres', $count), '60|183000', 'a scan on the primary');
if ($am eq 'alex')
{
	cmp_ok(entries('few_k'), '<', 5000, 'has removed entries: ' . entries('few_k') . ' are left');
	ok( $standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'RecoveryConflictSnapshot'}),
		'replay waits for the old snapshot');
}
is($old->query_safe($count), '6000|18003000', 'which sees what it saw, through the index');
$old->query_safe('COMMIT;');
$old->quit;
$catch_up->();
is($standby->safe_psql('postgres', $count), '60|183000', 'the standby goes on');

for my $images ('on', 'off')
{
	$node->safe_psql('postgres', "ALTER SYSTEM SET full_page_writes = $images");
	$node->restart;
	for my $round (1 .. 3)
	{
		$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS many;
CREATE TABLE many (k int8, id int);
INSERT INTO many SELECT 7, i FROM generate_series(1, 9000) i;
CREATE INDEX many_k ON many USING $am (k);
DELETE FROM many WHERE id % 5 <> $round;
CHECKPOINT;
$index_scan
SELECT count(id) FROM many WHERE k = 7 AND id < 5000;
INSERT INTO many SELECT 7, i FROM generate_series(10000, 10999) i;
SELECT count(id) FROM many WHERE k = 7;
DELETE FROM many WHERE id % 3 = 0;
SELECT count(id) FROM many WHERE k = 7;
SQL
		kill_server($node);
		$node->start;
		same_rows($node, 'many', "full_page_writes $images, crash $round");
	}
}
$catch_up->();
if ($am eq 'alex')
{
	for my $index ('few_k', 'many_k', 'queue_k', 'one_k')
	{
		next if $index eq 'queue_k';	# unlogged
		my ($code, $out, $err) = $standby->psql('postgres', "SELECT alex_check('$index', true)");
		is($err, '', "alex_check('$index') on the standby");
	}
}

clean_log($_) for $node, $standby;
$_->stop for $node, $standby;
done_testing();
