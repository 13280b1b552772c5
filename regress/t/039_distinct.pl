# Distinct values from the index: random queries, each with AlexDistinct, without it, and by a sequential scan, in one snapshot, while others
# change the tables and VACUUM runs, and on a standby that replays this.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexAnswers;
use AlexTest;
use Test::More;

plan skip_all => 'only alex indexes are skipped through' if am() ne 'alex';
my $queries = defined $ENV{DISTINCT_QUERIES} ? $ENV{DISTINCT_QUERIES} : 1000;
my $node = new_node('distinct', allows_streaming => 1);
$node->append_conf('postgresql.conf', "max_parallel_workers_per_gather = 0\nwal_level = replica\nmax_wal_senders = 4");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION omen_alex');
srand(AlexTest::seed());

# ---- random queries ----

# Few values of each column, strings that begin like others and strings of many words; where equal values look the same.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION str(i int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT repeat(chr(97 + i % 3), i / 3 * (1 + i % 2 * 9)) $$;
CREATE FUNCTION some_int(n int) RETURNS int LANGUAGE sql AS $$ SELECT CASE WHEN random() > 0.06 THEN floor(random() * n)::int END $$;
CREATE FUNCTION fill(t text, n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %I SELECT i, some_int(40), (random() * 2000)::int8, str(some_int(30)), str(some_int(30)), some_int(20) / 4.0,
		(''10.0.'' || some_int(9) || ''.0/24'')::inet, decode(str(some_int(8)), ''escape''), md5(some_int(12)::text)::uuid, some_int(2)::bool, some_int(25) / 2.0,
		''2026-01-01''::timestamptz + some_int(12) * interval ''1 hour'', some_int(7), str(some_int(20)), some_int(9) * interval ''1 hour'',
		repeat(''x'', (random() * 60)::int) FROM generate_series(1, %s) i', t, n);
END $$;
DO $$
DECLARE
	am text; t text;
BEGIN
	FOREACH am IN ARRAY ARRAY['heap', 'omen'] LOOP
		t := 't_' || am;
		EXECUTE format('CREATE TABLE %I (i int, a int, b int8, s text COLLATE "C", v varchar(500) COLLATE "C", n numeric(8,2), ip inet, y bytea, u uuid, f bool, d float8,
			ts timestamptz, g int2, c char(60) COLLATE "C", iv interval, pad text) USING %I', t, am);
		EXECUTE format('CREATE INDEX ON %I USING alex (a, b DESC)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (s, a)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (s DESC NULLS LAST, g, v)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (a, v NULLS FIRST, g)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (n DESC, s)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (ip, y)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (y DESC, u)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (u, f)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (f, g NULLS FIRST, d)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (d DESC)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (ts, a)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (c, g)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (iv, b)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (g) INCLUDE (s)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex ((upper(v)), g)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (g, s) WHERE a > 10', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (i)', t);
		PERFORM fill(t, 12000);
	END LOOP;
END $$;
SQL

# so skipping costs nothing
compare_setup($node, name => 'AlexDistinct', setting => 'alex.enable_distinct', before => <<'SQL');
	PERFORM set_config('alex.enable_aggregate', 'off', true), set_config('enable_indexonlyscan', (random() < 0.7)::text, true);
	PERFORM set_config('random_page_cost', '0', true), set_config('seq_page_cost', '0', true), set_config('cpu_operator_cost', '0', true);
SQL

# A random value of a column.
my %value = (
	a => sub { int(rand(42)) },
	b => sub { int(rand(2100)) },
	g => sub { int(rand(8)) },
	s => sub { 'str(' . int(rand(30)) . ')' },
	v => sub { 'str(' . int(rand(30)) . ')' },
	'upper(v)' => sub { 'upper(str(' . int(rand(30)) . '))' },
	c => sub { 'str(' . int(rand(20)) . ')::char(60)' },
	n => sub { int(rand(22)) / 4 },
	ip => sub { "'10.0." . int(rand(10)) . ".0/24'::inet" },
	y => sub { 'decode(str(' . int(rand(8)) . "), 'escape')" },
	u => sub { "md5('" . int(rand(12)) . "')::uuid" },
	f => sub { pick('true', 'false') },
	d => sub { int(rand(27)) / 2 },
	ts => sub { pick("'2026-01-01 00:00'::timestamptz + interval '" . int(rand(12)) . " hours'", "'2026-01-01'::date") },
	iv => sub { "interval '" . int(rand(10)) . " hours'" },
);

sub condition
{
	my ($column) = @_;
	my $x = sub { return $value{$column}->() };

	return pick("$column = " . $x->(), "$column < " . $x->(), "$column >= " . $x->(), "$column > " . $x->() . " AND $column <= " . $x->(),
		"$column IN (" . join(', ', map { $x->() } 1 .. 4) . ')', "$column IS NULL", "$column IS NOT NULL");
}

my @indexes = (
	['a', 'b'], ['s', 'a'], ['s', 'g', 'v'], ['a', 'v', 'g'], ['n', 's'], ['ip', 'y'], ['y', 'u'], ['u', 'f'], ['f', 'g', 'd'], ['d'], ['ts', 'a'], ['c', 'g'], ['iv', 'b'],
	['g'], ['upper(v)', 'g'], ['g', 's', 'a > 10']);

sub random_query
{
	my ($table) = @_;
	my @columns = @{ pick(@indexes) };
	my @where;
	my $query;

	push @where, pop @columns if $columns[-1] eq 'a > 10';
	for my $column (@columns)
	{
		push @where, condition($column) if rand() < 0.35;
	}
	push @where, pick('i % 3 = 0', "pad <> 'x'", 'i < 300') if rand() < 0.2;
	# "from" on: a query for each value of the first column
	my $from = @columns > 1 && rand() < 0.15 ? 1 : 0;
	my $last = $from + int(rand(@columns - $from));
	my @distinct = @columns[$from .. $last];
	my @next = rand() < 0.4 && $last < $#columns ? ($columns[ $last + 1 ]) : ();
	push @where, "$columns[0] = outside.x" if $from;
	my $rest = " FROM $table" . (@where ? ' WHERE ' . join(' AND ', @where) : '');
	my $order = pick('', ' DESC');
	my $numbers = sub { join(', ', map { $_ . $order . pick('', '', ' NULLS FIRST', ' NULLS LAST') } @_) };
	if (@next)
	{
		$query = 'SELECT DISTINCT ON (' . join(', ', @distinct) . ') ' . join(', ', @distinct, @next) . "$rest ORDER BY " .
		  join(', ', (map { "$_$order" } @distinct), $next[0] . pick('', ' DESC'));
	}
	elsif (rand() < 0.3)
	{
		$query = 'SELECT ' . join(', ', @distinct) . "$rest GROUP BY " . join(', ', rand() < 0.5 ? @distinct : reverse @distinct);
	}
	else
	{
		$query = 'SELECT DISTINCT ' . join(', ', @distinct) . $rest;
		$query .= ' ORDER BY ' . $numbers->(@distinct) if rand() < 0.6;
		$query .= ' LIMIT ' . int(rand(8)) if $query =~ /ORDER/ && rand() < 0.3;
	}
	return $query if !$from;
	# twice for some, as a rescan
	return "SELECT * FROM (SELECT x FROM (SELECT DISTINCT $columns[0] AS x FROM $table) o, generate_series(1, 2)) outside, LATERAL ($query) inside";
}

# What a transaction has changed itself.
sub own_changes
{
	my ($table) = @_;

	return pick('', '', "DELETE FROM $table WHERE g = " . int(rand(7)) . ';', "DELETE FROM $table WHERE s = str(" . int(rand(30)) . ');',
		"UPDATE $table SET a = a + 1, v = str(31) WHERE i % 50 = 7;", "SELECT fill('$table', 200);",
		"SAVEPOINT s; DELETE FROM $table WHERE i % 3 = 0; ROLLBACK TO s;");
}

my @random = (query => \&random_query, changes => \&own_changes);
$node->safe_psql('postgres', 'VACUUM ANALYZE');
run_queries($node, 'all visible', 'REPEATABLE READ', $queries / 4, @random);
# some blocks, some entries, and values of which no row is left
$node->safe_psql('postgres', <<'SQL');
DELETE FROM t_heap WHERE i % 97 = 0 OR i BETWEEN 5000 AND 5400 OR a IN (7, 8) OR s = str(9); UPDATE t_heap SET b = b + 1 WHERE i % 53 = 0;
DELETE FROM t_omen WHERE i % 97 = 0 OR i BETWEEN 5000 AND 5400 OR a IN (7, 8) OR s = str(9); UPDATE t_omen SET b = b + 1 WHERE i % 53 = 0;
SQL
run_queries($node, 'partly visible', 'REPEATABLE READ', $queries / 4, @random);
$node->safe_psql('postgres', 'VACUUM');
run_queries($node, 'serializable', 'SERIALIZABLE', $queries / 10, @random);

# ---- the same while others write, and on a standby ----

my ($standby, @load) = begin_load($node, 'distinct_standby', '', 12000, <<'SQL');
UPDATE t_heap SET a = :n, s = str(:n), g = g - 1 WHERE i = :i;
UPDATE t_omen SET b = b + :n, v = str(:n * 3), pad = 'y' WHERE i = :i;
SQL
run_queries($node, 'under load', 'REPEATABLE READ', $queries / 5, query => \&random_query);
like($standby->safe_psql('postgres', 'SET enable_seqscan = off; EXPLAIN SELECT DISTINCT s FROM t_heap'), qr/AlexDistinct.*Index Scan/s,
	'a standby skips, too, and asks the table');
run_queries($standby, 'standby', 'REPEATABLE READ', $queries / 5, query => \&random_query);
my ($answered, $asked) = end_load($node, @load);
cmp_ok($answered, '>', $asked / 2, "$answered of $asked queries were answered by skipping");
$standby->stop;
$node->stop;
done_testing();
