# Aggregates answered from the index: random queries, each with AlexAggregate, without it, and by a sequential scan, in one snapshot, while
# others change the tables and VACUUM runs, and on a standby that replays this; and a ledger, whose sum nobody may ever see changed, there neither.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexAnswers;
use AlexTest;
use Test::More;

plan skip_all => 'only alex indexes answer aggregates' if am() ne 'alex';
my $queries = defined $ENV{AGGREGATE_QUERIES} ? $ENV{AGGREGATE_QUERIES} : 1000;
my $seconds = defined $ENV{AGGREGATE_SECONDS} ? $ENV{AGGREGATE_SECONDS} : 6;
my $node = new_node('aggregates', allows_streaming => 1);
$node->append_conf('postgresql.conf', "deadlock_timeout = 100ms\nmax_parallel_workers_per_gather = 0");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION omen_alex');
srand(AlexTest::seed());

# ---- random queries ----

# Numbers are halves, so that sums of floating-point ones are exact in any order.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION fill(t text, am text, n int, from_i int DEFAULT 0) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %I SELECT i, CASE WHEN random() < 0.1 THEN NULL ELSE (random() * 40)::int END, (random() * 4e9 - 2e9)::int8,
		CASE WHEN random() < 0.05 THEN NULL ELSE (random() * 200 - 100)::int2 END, (random() * 1000)::int / 2.0 - 100,
		''2026-01-01''::timestamptz + i * interval ''1 second'', random() < 0.7, md5((random() * 50)::int::text)::uuid,
		(random() * 6)::int, repeat(''x'', (random() * 60)::int)
		FROM generate_series(%s + 1, %s + %s) i', t, from_i, from_i, n);
END $$;
DO $$
DECLARE
	am text; t text;
BEGIN
	FOREACH am IN ARRAY ARRAY['heap', 'omen'] LOOP
		t := 't_' || am;
		EXECUTE format('CREATE TABLE %I (i int, a int, b int8, c int2, d float8, ts timestamptz, f bool, u uuid, g int, pad text) USING %I', t, am);
		EXECUTE format('CREATE INDEX ON %I USING alex (i)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (a, b DESC)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (b)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (c DESC NULLS LAST, g)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (d)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (ts)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (f, c NULLS FIRST)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (u)', t);
		EXECUTE format('CREATE INDEX ON %I USING alex ((a + g))', t);
		EXECUTE format('CREATE INDEX ON %I USING alex (g, a) WHERE c > 0', t);
		PERFORM fill(t, am, 20000);
	END LOOP;
END $$;
SQL

compare_setup($node, name => 'AlexAggregate', setting => 'alex.enable_aggregate', before => '');


# Indexes of the tables: columns; for each the conditions on it, as random ones.
sub int_condition
{
	my ($column, $least, $most) = @_;
	my $value = sub { return int($least + rand($most - $least + 1)); };
	my ($x, $y) = sort { $a <=> $b } ($value->(), $value->());

	return pick("$column = $x", "$column BETWEEN $x AND $y", "$column < $y", "$column > $x AND $column <= $y", "$column >= $x",
		"$column IN (" . join(', ', map { $value->() } 1 .. 4) . ')', "$column IS NULL", "$column IS NOT NULL", "$y > $column");
}
my %condition = (
	i => sub { int_condition('i', -10, 24000) },
	a => sub { int_condition('a', -2, 42) },
	b => sub { int_condition('b', -2.1e9, 2.1e9) },
	c => sub { int_condition('c', -105, 105) },
	g => sub { int_condition('g', 0, 6) },
	d => sub { int_condition('d', -110, 420) },
	'(a + g)' => sub { int_condition('(a + g)', -1, 48) },
	ts => sub { my $x = int(rand(20000)); pick("ts >= '2026-01-01'::timestamptz + $x * interval '1 second'", "ts < '2026-01-01 04:00:00+00'", 'ts IS NOT NULL') },
	f => sub { pick('f', 'NOT f', 'f IS NOT NULL', 'f IS NULL') },
	u => sub { sprintf("u %s md5('%d')::uuid", pick('=', '<', '>='), rand(50)) },
);
my @indexes = (['i'], ['a', 'b'], ['b'], ['c', 'g'], ['d'], ['ts'], ['f', 'c'], ['u'], ['(a + g)'], ['g', 'a', 'c > 0']);
my %sums = map { $_ => 1 } qw(i a b c g d (a+g));

sub aggregate
{
	my ($column, $countable) = @_;
	my @all = ("count($column)");

	push @all, "min($column)", "max($column)" if $column ne 'f' && $column ne 'u';
	push @all, "sum($column)", "avg($column)" if $column =~ /^(i|a|b|c|g|d|\(a \+ g\))$/;
	push @all, "bool_and($column)", "bool_or($column)", "every($column)" if $column eq 'f';
	push @all, "count(DISTINCT $column)" if $countable;
	return pick(@all);
}

sub random_query
{
	my ($table) = @_;
	my @columns = @{ pick(@indexes) };
	my @where;

	push @where, pop @columns if $columns[-1] eq 'c > 0';
	for my $column (@columns)
	{
		push @where, $condition{$column}->() if rand() < 0.45;
	}
	my $grouped = pick(0, 0, 1 .. @columns);
	my @groups = @columns[0 .. $grouped - 1];
	my @aggregates = map { aggregate($columns[$_], $_ <= $grouped) } grep { rand() < 0.6 } 0 .. $#columns;
	push @aggregates, 'count(*)', 'count(*)' if rand() < 0.2;
	for my $aggregate (@aggregates)
	{
		next if rand() > 0.25;
		my @filter = map { $condition{ pick(@columns) }->() } 0 .. int(rand(2.3));
		$aggregate .= ' FILTER (WHERE ' . join(' AND ', @filter) . ')';
	}
	push @aggregates, 'count(*)' if rand() < 0.7 || (!@groups && !@aggregates);
	my $query = 'SELECT ' . join(', ', @groups, @aggregates) . " FROM $table";
	$query .= ' WHERE ' . join(' AND ', @where) if @where;
	$query .= ' GROUP BY ' . join(', ', rand() < 0.5 ? @groups : reverse @groups) if @groups;
	$query .= ' HAVING count(*) > ' . int(rand(20)) if @groups && rand() < 0.3;
	return $query;
}

# What a transaction has changed itself.
sub own_changes
{
	my ($table) = @_;

	return pick('', '', "DELETE FROM $table WHERE g = " . int(rand(7)) . " AND i % 10 = 3;", "UPDATE $table SET a = a + 1 WHERE i % 50 = 7;",
		"SELECT fill('$table', '', 200, " . (20000 + int(rand(3000))) . ");",
		"SAVEPOINT s; DELETE FROM $table WHERE i % 3 = 0; ROLLBACK TO s;");
}

my @random = (query => \&random_query, commits => 0.2);
my @changing = (@random, changes => \&own_changes);
$node->safe_psql('postgres', 'VACUUM ANALYZE');
run_queries($node, 'all visible', 'REPEATABLE READ', $queries / 4, @changing);
# some blocks, some entries
$node->safe_psql('postgres', <<'SQL');
DELETE FROM t_heap WHERE i % 97 = 0 OR i BETWEEN 5000 AND 5400; UPDATE t_heap SET b = b + 1 WHERE i % 53 = 0;
DELETE FROM t_omen WHERE i % 97 = 0 OR i BETWEEN 5000 AND 5400; UPDATE t_omen SET b = b + 1 WHERE i % 53 = 0;
SQL
run_queries($node, 'partly visible', 'REPEATABLE READ', $queries / 4, @changing);
$node->safe_psql('postgres', 'VACUUM');
$node->safe_psql('postgres', 'UPDATE t_heap SET c = c + 1 WHERE i > 19000; UPDATE t_omen SET c = c + 1 WHERE i > 19000');
run_queries($node, 'serializable', 'SERIALIZABLE', $queries / 8, @changing);

# ---- the same while others write, and on a standby ----

# what all have to read, the rows, would decide on the standby
my ($standby, @load) = begin_load($node, 'aggregates_standby', "random_page_cost = 0\nseq_page_cost = 0", 20000, <<'SQL');
UPDATE t_heap SET a = :n, c = c - 1 WHERE i = :i;
UPDATE t_omen SET b = b + :n, pad = 'y' WHERE i = :i;
SQL
run_queries($node, 'under load', 'REPEATABLE READ', $queries / 4, @random);
like($standby->safe_psql('postgres', 'SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN SELECT count(*), sum(b) FROM t_heap WHERE b > 0'),
	qr/AlexAggregate/, 'a standby answers from the index, too');
run_queries($standby, 'standby', 'REPEATABLE READ', $queries / 5, @random);
my ($answered, $asked) = end_load($node, @load);
cmp_ok($answered, '>', $asked / 3, "$answered of $asked queries were answered from the index");

# ---- a ledger ----

for my $am ('heap', 'omen')
{
	$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS ledger;
CREATE TABLE ledger (id int, balance int8) USING $am WITH (fillfactor = 60);
INSERT INTO ledger SELECT i, 1000 FROM generate_series(1, 3000) i;
CREATE INDEX ON ledger USING alex (balance);
VACUUM ANALYZE ledger;
SQL
	like($node->safe_psql('postgres', 'EXPLAIN SELECT sum(balance), count(*) FROM ledger'), qr/AlexAggregate/, "$am: a sum from the index");

	# By updates, and by deletions and insertions; not at once, as an update that has waited for a deletion changes nothing.
	my $transfer = write_script(<<'SQL');
\set a random(1, 3000)
\set b random(1, 3000)
\set x random(1, 500)
BEGIN;
SELECT pg_advisory_xact_lock_shared(1);
UPDATE ledger SET balance = balance - :x WHERE id = least(:a, :b);
UPDATE ledger SET balance = balance + :x WHERE id = greatest(:a, :b) AND :a <> :b;
UPDATE ledger SET balance = balance + :x WHERE id = :a AND :a = :b;
END;
BEGIN;
SELECT pg_advisory_xact_lock(1);
WITH gone AS (DELETE FROM ledger WHERE id = :a RETURNING *) INSERT INTO ledger SELECT * FROM gone;
END;
SQL
	my $look = write_script(<<'SQL');
SET enable_seqscan = off;
SET enable_indexonlyscan = off;
SELECT sum(balance) AS s, count(*) AS n, count(balance) AS c FROM ledger \gset
SELECT 1 / (:s = 3000000 AND :n = 3000 AND :c = 3000)::int;
SELECT sum(s) AS s, sum(n) AS n FROM (SELECT balance, sum(balance) AS s, count(*) AS n FROM ledger GROUP BY balance) x \gset
SELECT 1 / (:s = 3000000 AND :n = 3000)::int;
SQL
	my $clean = write_script("VACUUM ledger;\n\\sleep 20 ms\n");
	$node->safe_psql('postgres', 'CREATE INDEX ON ledger USING alex (id)');
	$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
	my @runs = map { start_command(pgbench_command($node, '-T', $seconds, @{$_})) }
	  ([ '-c', 2, '-f', $transfer ], [ '-c', 1, '-f', $look ], [ '-c', 1, '-f', $clean ]);
	push @runs, start_command(pgbench_command($standby, '-n', '-T', $seconds, '-c', 1, '-f', $look));
	for my $run (@runs)
	{
		my ($rc, $out, $err) = finish_command($run);

		is($rc, 0, "$am: " . join(' ', grep { /sql$/ } @{ $run->{cmd} }) . ' went on to its end') or diag($err);
		note(grep { /processed|tps/ } split /^/, $out);
	}
	is($node->safe_psql('postgres', 'SELECT sum(balance), count(*) FROM ledger'), '3000000|3000', "$am: nothing was lost");
}
$standby->stop;
$node->stop;
done_testing();
