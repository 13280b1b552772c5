# bench/sql/report.sql: what a ratio is when one of the rounds of a sum cannot be told.

use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $bench = dirname(__FILE__) . '/../../bench/sql';
my $node = PostgreSQL::Test::Cluster->new('report');
$node->init;
$node->start;

# Two works on one data set, three rounds each. In one of them a round of alex takes less time than the table without an index.
my $rows = join ', ', map {
	my ($work, @alex) = @$_;
	map {
		my $round = $_;
		map { "('random', '$work', '$_->[0]', $round, 1000, $_->[1], 0)" }
		  ([ 'bare', 1000 ], [ 'btree', 3000 ], [ 'alex', $alex[ $round - 1 ] ])
	} 1 .. 3
} [ 'insert_random', 1500, 2000, 2000 ], [ 'insert_single', 1500, 2000, 900 ];

my ($result, $out, $err) = $node->psql('postgres', <<"SQL", extra_params => [ '-v', 'seed=1' ]);
CREATE EXTENSION omen_alex;
\\i $bench/keys.sql
\\i $bench/measure.sql
\\i $bench/report.sql
INSERT INTO bench.run (data_set, work, system, round, units, us, wal) VALUES $rows;
\\echo result
SELECT value, least, greatest, bench.cell('random', measure, 'btree/alex') FROM bench.summary
	WHERE measure = 'insert_random_index_us' AND system = 'btree/alex';
SELECT value IS NULL, bench.cell('random', measure, 'btree/alex') FROM bench.summary
	WHERE measure = 'insert_single_index_us' AND system = 'btree/alex';
SQL
is($result, 0, 'the report is made') or diag($err);
my ($told, $untold) = (split /\n/, $out =~ s/.*result\n//sr);
is($told, '2.4|2|4|2.40 (2.00-4.00)', 'a sum within the range of its rounds');
is($untold, 't|-', 'a sum with a negative share in one of its rounds cannot be told');

$node->stop;
done_testing();
