# What replay finds in a page need not be what the primary had there: the bytes between the end of an item and the next are in no record of heap's. So a
# record of an in-place update must bring all bytes of the new item that lie behind the old one's end, be they equal on the primary or not.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = tam();
my $node = omen_node('main');
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_wal_size = 4GB\ncheckpoint_timeout = 1h\n");
$node->start;
omen_setup($node);
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Items of 312 bytes with links to the store, whose lengths are 312, too. Half of them go; what takes their room is shorter by 1 to 7 bytes, and inserted by
# heap's records, so that on the primary the end of an old link is left behind each. After a crash there are zeroes. (No checkpoint: pages would be logged whole.)
sub leave_links
{
	my ($table, $shorter) = @_;
	my $length = 272 - $shorter;

	sql("CREATE TABLE $table (id int, v text) USING $am;
		 INSERT INTO $table SELECT i, repeat('a', 272) FROM generate_series(1, 100) i; UPDATE $table SET v = repeat('b', 272)");
	sql("DELETE FROM $table WHERE (ctid::text::point)[1] > 12");
	sql("VACUUM $table");
	sql("INSERT INTO $table SELECT i, repeat('s', $length) FROM generate_series(101, 400) i");
}

my %want;
for my $shorter (1 .. 7)
{
	leave_links("t$shorter", $shorter);
	$want{"t$shorter"} = sql("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t$shorter t");
}
my $session = OmenTest::Session->new($node, 'undone');
$session->safe('BEGIN');
$session->safe("UPDATE t$_ SET v = repeat('s', 272)") for 1 .. 7;
# gets all of it to the disk
sql('CREATE TABLE other ()');
$node->stop('immediate');
$node->start;
for my $table (sort keys %want)
{
	is(sql("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM $table t"), $want{$table}, "$table after a crash");
	is(sql("SELECT omen_check('$table')"), '', "$table, omen_check") if is_omen();
}

# What is undone goes back into the room of what is longer, or shorter by its alignment.
sql("UPDATE $_ SET v = v || '' WHERE id % 3 = 0") for sort keys %want;
$node->stop('immediate');
$node->start;
for my $table (sort keys %want)
{
	is(sql("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM $table t"), $want{$table}, "$table after another");
	is(sql("SELECT omen_check('$table')"), '', "$table, omen_check") if is_omen();
}

$node->stop;
done_testing();
