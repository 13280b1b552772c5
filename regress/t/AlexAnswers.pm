# What the tests of nodes that answer from an index share: random queries, each with the node, without it, and by a sequential scan, in one snapshot;
# tables t_heap and t_omen, which others change meanwhile; and a standby.

package AlexAnswers;

use strict;
use warnings;

use AlexTest;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(pick compare_setup run_queries begin_load end_load);

sub pick { return $_[int(rand(@_))]; }

# compare(query), which returns what differs. name: of the node in EXPLAIN; setting: what lets the planner have it; before: SQL of plpgsql
# that makes it want it. Sequences count the queries that were asked and that had the node, also where the transaction is rolled back.
sub compare_setup
{
	my ($node, %of) = @_;

	$node->safe_psql('postgres', <<SQL);
CREATE SEQUENCE asked;
CREATE SEQUENCE answered;
-- the rows of a query, in its order if it has one, in one text
CREATE FUNCTION rows_of(q text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
	result text;
BEGIN
	EXECUTE format(CASE WHEN q LIKE '%ORDER BY%' AND q NOT LIKE '%outside%' THEN 'SELECT string_agg(r::text, E''\\n'') FROM (%s) r' ELSE
		'SELECT string_agg(r::text, E''\\n'' ORDER BY r::text) FROM (%s) r' END, q) INTO result;
	RETURN coalesce(result, 'none');
END \$\$;
CREATE FUNCTION compare(q text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
	answered text; unanswered text; plain text; plan text := ''; line text;
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('$of{setting}', 'on', true);
	$of{before}
	FOR line IN EXECUTE 'EXPLAIN ' || q LOOP
		plan := plan || line;
	END LOOP;
	IF NOT pg_is_in_recovery() THEN
		PERFORM nextval('asked');
		IF plan LIKE '%$of{name}%' THEN
			PERFORM nextval('answered');
		END IF;
	END IF;
	answered := rows_of(q);
	PERFORM set_config('$of{setting}', 'off', true);
	unanswered := rows_of(q);
	PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true);
	plain := rows_of(q);
	PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_indexonlyscan', 'on', true);
	IF answered = plain AND unanswered = plain THEN
		RETURN NULL;
	END IF;
	RETURN format(E'%s\\n%s\\n answered:   %s\\n unanswered: %s\\n plain:      %s', q, plan, left(answered, 300), left(unanswered, 300), left(plain, 300));
END \$\$;
SQL
	return;
}

# n queries on a server, ten a transaction. query: what makes one for a table; changes: what makes those of the transaction itself, if given; commits: which
# part of the transactions.
sub run_queries
{
	my ($on, $name, $level, $n, %of) = @_;
	my $sql = '';

	for my $batch (1 .. int($n / 10))
	{
		my $table = pick('t_heap', 't_omen');

		$sql .= "BEGIN ISOLATION LEVEL $level; " . ($of{changes} ? $of{changes}->($table) : '') . "\n";
		for (1 .. 10)
		{
			my $query = $of{query}->($table);

			$query =~ s/'/''/g;
			$sql .= "SELECT compare('$query');\n";
		}
		$sql .= rand() < ($of{commits} || 0) ? "COMMIT;\n" : "ROLLBACK;\n";
	}
	my ($rc, $out, $err) = $on->psql('postgres', $sql);
	is(join("\n", grep { /\S/ } split(/\n/, $out)), '', "$name: all three ways agree");
	is($err, '', "$name: no error");
	return;
}

# Makes a standby with some settings; then rows numbered 1 to n of both tables are changed, also by these statements, and the tables are vacuumed, until
# end_load(). Returns the standby and the load.
sub begin_load
{
	my ($node, $name, $settings, $n, $statements) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$node->backup('base');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\nhot_standby_feedback = on\n$settings");
	$standby->start;

	my $writer = write_script(<<SQL);
\\set i random(1, $n)
\\set n random(1, 8)
BEGIN;
$statements
DELETE FROM t_heap WHERE i = :i + 1;
INSERT INTO t_heap SELECT * FROM t_omen WHERE i = :i + 1;
DELETE FROM t_omen WHERE i = :i + 2;
INSERT INTO t_omen SELECT * FROM t_heap WHERE i = :i + 2;
END;
SQL
	my $vacuum = write_script("VACUUM t_heap;\nVACUUM t_omen;\n\\sleep 50 ms\n");
	local $ENV{PGAPPNAME} = 'load';
	return ($standby, map { start_command(pgbench_command($node, '-T', 300, @{$_})) } ([ '-c', 2, '-f', $writer ], [ '-c', 1, '-f', $vacuum ]));
}

# Returns how many queries had the node, and how many were asked.
sub end_load
{
	my ($node, @load) = @_;

	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'load'");
	finish_command($_) for @load;
	return split /\|/, $node->safe_psql('postgres', 'SELECT a.last_value, b.last_value FROM answered a, asked b');
}

1;
