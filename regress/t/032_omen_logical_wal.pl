# How much WAL in-place updates take with wal_level = logical, beside heap: an amount that goes with the row, not the page.
# Replay of it: after a crash, the rows, the indexes and the visibility map are what they were.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = omen_node('main', allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_wal_size = 4GB\ncheckpoint_timeout = 1h\n");
$node->start;
omen_setup($node);

my %bytes;
for my $am ('heap', tam())
{
	$node->safe_psql('postgres', "CREATE TABLE t_$am (id int PRIMARY KEY, n int, c text) USING $am; "
		  . "INSERT INTO t_$am SELECT i, 0, repeat('c', 60) FROM generate_series(1, 40000) i; VACUUM t_$am; CHECKPOINT");
	# the first one logs pages as wholes on both sides, as they come after a checkpoint
	$node->safe_psql('postgres', "UPDATE t_$am SET n = n + 1");
	my $start = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	$node->safe_psql('postgres', "UPDATE t_$am SET n = n + 1") for 1 .. 3;
	$bytes{$am} = $node->safe_psql('postgres', "SELECT pg_current_wal_insert_lsn() - '$start'::pg_lsn");
}
my $am = tam();
diag("WAL of three updates of 40,000 rows: heap $bytes{heap}, $am $bytes{$am}");
cmp_ok($bytes{$am}, '<', 3 * $bytes{heap}, 'an update in place logs no page');

# A row that was changed in place is what it was after a crash, and so is the map.
my $want = $node->safe_psql('postgres', "SELECT count(*), sum(n), md5(string_agg(c, '' ORDER BY id)) FROM t_$am");
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', "SELECT count(*), sum(n), md5(string_agg(c, '' ORDER BY id)) FROM t_$am"), $want, 'rows after a crash');
$node->safe_psql('postgres', "SELECT omen_check('t_$am')") if $am eq 'omen';
$node->safe_psql('postgres', "VACUUM t_$am; UPDATE t_$am SET n = n + 1 WHERE id % 1000 = 0");
is($node->safe_psql('postgres', "SELECT sum(n) FROM t_$am"), (split(/\|/, $want))[1] + 40, 'and it goes on');
$node->stop;
done_testing();
