# How much WAL in-place updates take with wal_level = logical, beside heap and beside wal_level = replica: as much as with replica while nobody can decode them, else an
# amount that goes with the row, not the page. What a slot decodes when it is made beside transactions that have logged nothing for it.
# Replay of it: after a crash, the rows, the indexes and the visibility map are what they were.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = omen_node('main', allows_streaming => 1);
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_wal_size = 4GB\ncheckpoint_timeout = 1h\n");
$node->start;
omen_setup($node);
sub sql { return $node->safe_psql('postgres', $_[0]); }

my $am = tam();
my $standbys_decode = sql("SELECT current_setting('server_version_num')::int >= 160000") eq 't';
my @tables = map { "t_$_" } 'heap', $am;
for my $table (@tables)
{
	sql("CREATE TABLE $table (id int PRIMARY KEY, n int, c text) USING " . substr($table, 2));
	sql("INSERT INTO $table SELECT i, 0, repeat('c', 60) FROM generate_series(1, 20000) i");
	sql("VACUUM $table");
	# until every page is full and has an older version of every row
	sql("UPDATE $table SET n = n + 1") for 1 .. 3;
}

# Bytes of WAL of three updates of all rows. The one before them logs pages as wholes, if there was a checkpoint.
sub measure
{
	my ($table) = @_;

	sql("UPDATE $table SET n = n + 1");
	my $start = sql('SELECT pg_current_wal_insert_lsn()');
	sql("UPDATE $table SET n = n + 1") for 1 .. 3;
	return sql("SELECT pg_current_wal_insert_lsn() - '$start'::pg_lsn");
}

my %replica = map { $_ => measure($_) } @tables;
$node->append_conf('postgresql.conf', "wal_level = logical\nmax_replication_slots = 5\nomen.standby_decoding = off\n");
$node->restart;
my %alone = map { $_ => measure($_) } @tables;
sql('CREATE DATABASE other');
$node->safe_psql('other', "SELECT pg_create_logical_replication_slot('other', 'pgoutput')");
my $beside = measure("t_$am");
sql("SELECT pg_create_logical_replication_slot('slot', 'pgoutput')");
my %slot = map { $_ => measure($_) } @tables;
sql("SELECT pg_drop_replication_slot('slot')");
my $again = measure("t_$am");
for my $table (@tables)
{
	diag("WAL of three updates of 20,000 rows, $table: replica $replica{$table}, logical $alone{$table}, with a slot $slot{$table}");
}
if (is_omen())
{
	cmp_ok($alone{"t_$am"}, '<', 1.05 * $replica{"t_$am"}, 'logical, without a slot');
	cmp_ok($beside, '<', 1.05 * $replica{"t_$am"}, 'with a slot of another database');
	cmp_ok($again, '<', 1.05 * $replica{"t_$am"}, 'when the slot is gone');
}
cmp_ok($slot{"t_$am"}, '<', 2 * $slot{t_heap}, 'with a slot: an update in place logs no page');
if ($standbys_decode)
{
	sql("ALTER SYSTEM SET omen.standby_decoding = on; SELECT pg_reload_conf()");
	cmp_ok(measure("t_$am"), '>', 0.95 * $slot{"t_$am"}, 'where standbys may decode, all is logged');
	sql("ALTER SYSTEM RESET omen.standby_decoding; SELECT pg_reload_conf()");
}

# A row that was changed in place is what it was after a crash, and so is the map.
my $want = sql("SELECT count(*), sum(n), md5(string_agg(c, '' ORDER BY id)) FROM t_$am");
$node->stop('immediate');
$node->start;
is(sql("SELECT count(*), sum(n), md5(string_agg(c, '' ORDER BY id)) FROM t_$am"), $want, 'rows after a crash');
sql("SELECT omen_check('t_$am')") if is_omen();
sql("VACUUM t_$am");
sql("UPDATE t_$am SET n = n + 1 WHERE id % 1000 = 0");
is(sql("SELECT sum(n) FROM t_$am"), (split(/\|/, $want))[1] + 20, 'and it goes on');

# A slot made while transactions run. Those that have changed something are waited for and not decoded, whatever they do yet; those that have not are decoded.
SKIP:
{
	my ($rc) = $node->psql('postgres', "SELECT pg_create_logical_replication_slot('probe', 'test_decoding')");
	skip('test_decoding is not installed', 3) if $rc != 0;
	sql("SELECT pg_drop_replication_slot('probe')");
	my $changed = OmenTest::Session->new($node, 'changed');
	my $began = OmenTest::Session->new($node, 'began');
	my $maker = OmenTest::Session->new($node, 'maker');

	$changed->safe("BEGIN; UPDATE t_$am SET n = 11 WHERE id = 1");
	$began->safe("BEGIN; SELECT FROM t_$am WHERE id = 3");
	$maker->start("SELECT pg_create_logical_replication_slot('slot', 'test_decoding')");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'");
	$changed->safe("SAVEPOINT s; UPDATE t_$am SET n = 12 WHERE id = 2");
	$began->safe("UPDATE t_$am SET n = 13 WHERE id = 3");
	$changed->safe('COMMIT');
	$began->safe('COMMIT');
	$maker->result;
	$_->quit for $changed, $began, $maker;
	sql("BEGIN; UPDATE t_$am SET n = 14 WHERE id = 4; SAVEPOINT s; UPDATE t_$am SET n = 15 WHERE id = 5; COMMIT");
	my $decoded = sql("SELECT data FROM pg_logical_slot_get_changes('slot', NULL, NULL, 'include-xids', '0')");
	like($decoded, qr/UPDATE: id\[integer\]:4 n\[integer\]:14 .*UPDATE: id\[integer\]:5 n\[integer\]:15/s, 'a transaction that began later is decoded');
	unlike($decoded, qr/n\[integer\]:1[12] /, 'one that had begun is not');
	# it began to change rows beside the making of the slot; whether it is waited for is a matter of chance, but never is half of it there
	is(() = $decoded =~ /BEGIN/g, () = $decoded =~ /COMMIT/g, 'all that is decoded ends');
}
$node->stop;
done_testing();
