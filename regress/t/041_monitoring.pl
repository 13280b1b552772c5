# What monitoring/ is made of: the queries give what the exact functions give, postgres_exporter runs them, and every metric that
# the dashboard shows is one of theirs.

use strict;
use warnings;
use File::Basename;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = dirname(__FILE__) . '/../../monitoring';
my $queries = slurp_file("$folder/postgres_exporter.yaml");
my $dashboard = decode_json(slurp_file("$folder/grafana.json"));

my $node = PostgreSQL::Test::Cluster->new('watched');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION omen_alex;
	CREATE ROLE watcher LOGIN IN ROLE pg_stat_scan_tables;
	CREATE TABLE t (id int8, r int8);
	INSERT INTO t SELECT i, hashint8(i) FROM generate_series(1, 200000) i;
	CREATE INDEX t_id ON t USING alex (id);
	CREATE INDEX t_r ON t USING alex (r);
	CREATE INDEX t_none ON t USING alex (r) WHERE false;
	CREATE TABLE o (id int8 PRIMARY KEY, v int8) USING omen;
	INSERT INTO o SELECT i, 0 FROM generate_series(1, 100000) i;
	CREATE TABLE o_none (id int8) USING omen;
	CREATE UNLOGGED TABLE o_unlogged (id int8) USING omen;
	CREATE INDEX o_unlogged_id ON o_unlogged USING alex (id);
});
$node->safe_psql('postgres', 'UPDATE o SET v = v + 1');

# ---- the estimates ----

sub off_by { my ($a, $b) = @_; return $b == 0 ? abs($a) : abs($a / $b - 1); }

for my $index ('t_id', 't_r')
{
	my ($guess, $exact) = map { [ split /\|/, $node->safe_psql('postgres', "SELECT entries, leaf_pages, leaf_fill, height FROM $_") ] }
	  ("alex_overview() WHERE index = '$index'::regclass", "alex_stats('$index')");
	ok(off_by($guess->[$_], $exact->[$_]) < 0.1, "$index: column $_ is estimated") or diag("$guess->[$_], exactly $exact->[$_]") for 0 .. 2;
	is($guess->[3], $exact->[3], "$index: the height is exact");
}
my ($guess, $exact) = map { [ split /\|/, $node->safe_psql('postgres', "SELECT rows, row_pages, store_pages FROM $_") ] }
  ("omen_overview() WHERE \"table\" = 'o'::regclass", "omen_stats('o')");
ok(off_by($guess->[$_], $exact->[$_]) < 0.2, "omen: column $_ is estimated") or diag("$guess->[$_], exactly $exact->[$_]") for 0 .. 2;
is($node->safe_psql('postgres', "SELECT updates, updates_in_place FROM omen_overview() WHERE \"table\" = 'o'::regclass"),
	'100000|100000', 'updates and those in place');

# A small one is read as a whole, and then the estimate is exact.
is($node->safe_psql('postgres', q{SELECT (SELECT row(s.*) FROM alex_sampled_stats('t_id', 100000) s) = (SELECT row(s.*) FROM alex_stats('t_id') s),
	(SELECT row(s.*) FROM omen_sampled_stats('o', 100000) s)::text = (SELECT row(s.*) FROM omen_stats('o') s)::text}), 't|t', 'all pages are no sample');

# The pages read do not depend on the size.
my $pages = $node->safe_psql('postgres', q{EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, FORMAT JSON) SELECT * FROM alex_sampled_stats('t_r', 32)});
my $plan = decode_json($pages)->[0]{Plan};
cmp_ok($plan->{'Shared Hit Blocks'} + $plan->{'Shared Read Blocks'}, '<', 200, 'a fixed number of pages');

my ($result, $out, $err) = $node->psql('postgres', q{SELECT alex_sampled_stats('t_id', 0)});
like($err, qr/greater than zero/, 'no pages, no figures');
$node->psql('postgres', 'SET ROLE pg_read_all_data; SELECT * FROM alex_overview()', stderr => \$err);
like($err, qr/permission denied/, 'not for everybody');

# ---- the queries and the dashboard ----

my %metrics;
while ($queries =~ /^(\w+):\n  query: \|\n((?:    .*\n)+)  metrics:\n((?:    - .*\n)+)/mg)
{
	my ($name, $query, $metrics) = ($1, $2, $3);
	my %usage = $metrics =~ /- (\w+): \{usage: (\w+)/g;
	my $columns = $node->safe_psql('postgres', "SET ROLE watcher; CREATE TEMP VIEW q AS $query;
		SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'q'::regclass");
	is($columns, join(' ', sort keys %usage), "$name: every column is described");
	$metrics{"${name}_$_"} = 1 for grep { $usage{$_} ne 'LABEL' } keys %usage;
}
cmp_ok(scalar keys %metrics, '>', 20, 'queries were found');

my @shown = map { map { $_->{expr} } @{ $_->{targets} } } @{ $dashboard->{panels} };
my %used = map { $_ => 1 } map { /(omen_alex_\w+)/g } @shown;
is(join(' ', grep { !$metrics{$_} } sort keys %used), '', 'the dashboard shows metrics that exist');
is(scalar(grep { !@{ $_->{targets} } || !$_->{title} } @{ $dashboard->{panels} }), 0, 'every panel has a title and something to show');

# ---- the exporter ----

my ($exporter) = grep { -x } map { "$_/prometheus-postgres-exporter" } split /:/, "$ENV{PATH}:/usr/bin";
SKIP:
{
	skip 'prometheus-postgres-exporter is not installed', 2 unless $exporter;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	local $ENV{DATA_SOURCE_NAME} = 'user=watcher dbname=postgres sslmode=disable host=' . $node->host . ' port=' . $node->port;
	my ($stdout, $stderr) = ('', '');
	my $process = IPC::Run::start([ $exporter, '--web.listen-address', "127.0.0.1:$port", '--extend.query-path',
		"$folder/postgres_exporter.yaml", '--disable-default-metrics', '--disable-settings-metrics' ], '>', \$stdout, '2>', \$stderr);
	my $answer;
	for (1 .. 300)
	{
		$answer = HTTP::Tiny->new(timeout => 10)->get("http://127.0.0.1:$port/metrics");
		last if $answer->{success} && $answer->{content} =~ /omen_alex/;
		$process->pump_nb;
		select undef, undef, undef, 0.1;
	}
	my $body = $answer->{content} // '';
	my @missing = grep { $body !~ /^$_\{/m } sort keys %metrics;
	is("@missing", '', 'the exporter has all metrics') or diag($stderr . substr($body, 0, 2000));
	my ($bytes) = $body =~ /^omen_alex_index_bytes\{[^}]*index="t_r"[^}]*\} (\S+)/m;
	is(($bytes // 0) + 0, $node->safe_psql('postgres', q{SELECT pg_relation_size('t_r')}), 'with the right figure');
	$process->kill_kill;
}

$node->stop;
done_testing();
