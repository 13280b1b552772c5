# An index file that the library of version 0.1.0 wrote: a unique index of the keys 1 .. 1000. It is refused with an error that says what to
# do, by everything that would read or write it, and a REINDEX is all that is needed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use IO::Uncompress::Gunzip;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
$node->start;
load_helpers($node);
$node->safe_psql('postgres', <<SQL);
CREATE TABLE t (k int8);
INSERT INTO t SELECT generate_series(1, 1000);
CREATE UNIQUE INDEX t_k ON t USING alex (k);
VACUUM t;
SQL
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', q(SELECT pg_relation_filepath('t_k')));
$node->stop;
IO::Uncompress::Gunzip::gunzip("$FindBin::RealBin/../data/alex-format-4.gz", $file) or die "cannot write $file";
$node->start;

for my $statement (
	'SELECT k FROM t WHERE k = 5',
	'SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_seqscan = off; SELECT k FROM t WHERE k = 5',
	'INSERT INTO t VALUES (1001)',
	'INSERT INTO t VALUES (5) ON CONFLICT (k) DO NOTHING',
	'DELETE FROM t WHERE k = 5',
	'VACUUM (INDEX_CLEANUP on) t',
	q(SELECT alex_check('t_k')),
	q(SELECT alex_stats('t_k')))
{
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET enable_seqscan = off;\n$statement");

	like($err, qr/ERROR:  0A000: index "t_k" has format version 4, but this version of omen_alex knows only version \d+\n(.*\n)*?HINT:  REINDEX the index\./, $statement);
}
$node->safe_psql('postgres', 'REINDEX INDEX t_k');
is($node->safe_psql('postgres', q(SET enable_seqscan = off; SELECT count(*) FROM t WHERE k BETWEEN 5 AND 1000)), 996, 'after REINDEX all is there');
is($node->safe_psql('postgres', q(SELECT alex_check('t_k', true))), '', 'and sound');
$node->stop;
done_testing();
