# CREATE INDEX with parallel workers: they take part, whoever else works on the
# table; without any the leader builds alone; errors, cancelled and terminated
# processes leave neither workers nor files behind.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $am = am();
my $node = new_node('primary');
$node->append_conf('postgresql.conf', <<'CONF');
log_min_messages = debug1
min_parallel_table_scan_size = 0
max_parallel_maintenance_workers = 2
max_worker_processes = 8
max_parallel_workers = 8
compute_query_id = on
# so that the workers have all of the work, however late they start
parallel_leader_participation = off
CONF
$node->start;
load_helpers($node);

my $seen = -s $node->logfile;

# What the log says since the last call: how many workers a build had, and how many entries they found.
sub workers
{
	my $log = slurp_file($node->logfile, $seen);
	$seen = -s $node->logfile;
	return $log =~ /index "\w+" is built with (\d+) parallel workers, which found (\d+) entries/ ? ($1, $2) : (0, 0);
}

sub statement
{
	my ($sql) = @_;
	my ($code, $out, $err) = $node->psql('postgres', $sql);
	return $err;
}

sub leftovers
{
	my $workers = $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'");
	my @files = glob($node->data_dir . '/base/pgsql_tmp/*');
	return "$workers workers, " . @files . ' files';
}

sub nothing_left
{
	my ($name) = @_;
	# a worker that was sent away may still be on its way out
	for (1 .. 1000)
	{
		last if leftovers() eq '0 workers, 0 files';
		sleep 0.02;
	}
	is(leftovers(), '0 workers, 0 files', "$name: nothing is left");
	return;
}

# ---- they take part ----

my %tables = (heap => 'heap');
$tables{omen} = 'omen' if $am eq 'alex';
for my $kind (sort keys %tables)
{
	my $table = "t_$kind";

	$node->safe_psql('postgres', <<SQL);
CREATE TABLE $table (id int8, k int8) USING $tables{$kind} WITH (parallel_workers = 2);
INSERT INTO $table SELECT i, hashint8extended(i, 0) FROM generate_series(1, 50000) i;
SQL
	my %how = (
		unique => "CREATE UNIQUE INDEX ${table}_unique ON $table USING $am (k)",
		small => "SET maintenance_work_mem = '1MB'; CREATE INDEX ${table}_small ON $table USING $am (k)",
		expression => "CREATE INDEX ${table}_expression ON $table USING $am ((k + 1)) WHERE id > 0",
		concurrent => "CREATE INDEX CONCURRENTLY ${table}_concurrent ON $table USING $am (k)");
	for my $how (sort keys %how)
	{
		workers();
		$node->safe_psql('postgres', $how{$how});
		my ($workers, $found) = workers();
		is("$workers $found", '2 50000', "$kind, $how: all entries come from two workers") if $am eq 'alex';
		$node->safe_psql('postgres', "SELECT alex_check('${table}_$how', true)");
		nothing_left("$kind, $how");
	}
}
same_rows($node, 't_heap', 'parallel');

# ---- fewer than were asked for, or none ----

for my $limit (1, 0)
{
	workers();
	$node->safe_psql('postgres', <<SQL);
SET max_parallel_workers = $limit;
CREATE INDEX t_limit ON t_heap USING $am (k);
SELECT alex_check('t_limit', true);
DROP INDEX t_limit;
SQL
	my ($workers, $found) = workers();
	is("$workers $found", $limit ? '1 50000' : '0 0', "$limit of two workers are to be had") if $am eq 'alex';
}
$node->safe_psql('postgres', <<SQL);
SET max_parallel_maintenance_workers = 0;
CREATE INDEX t_limit ON t_heap USING $am (k);
DROP INDEX t_limit;
SQL
is((workers())[0], 0, 'serial if that is asked for');

$node->safe_psql('postgres', <<SQL);
CREATE TEMP TABLE t (k int8) WITH (parallel_workers = 2);
INSERT INTO t SELECT generate_series(1, 1000);
CREATE INDEX t_k ON t USING $am (k);
SELECT alex_check('t_k', true);
SQL
is((workers())[0], 0, 'serial for a temporary table');
$node->safe_psql('postgres', <<SQL);
CREATE FUNCTION unsafe(int8) RETURNS int8 LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS 'BEGIN RETURN \$1; END';
CREATE INDEX t_unsafe ON t_heap USING $am (unsafe(k));
DROP INDEX t_unsafe;
SQL
is((workers())[0], 0, 'serial for an expression that is not safe in workers');

# ---- what an old snapshot still sees is indexed, but is no duplicate ----

{
	my $old = $node->background_psql('postgres');
	$node->safe_psql('postgres', <<'SQL');
CREATE TABLE recent (id int8, k int8) WITH (parallel_workers = 2);
INSERT INTO recent SELECT i, i FROM generate_series(1, 20000) i;
SQL
	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ;');
	my $query = 'SELECT sum(id), count(*) FROM recent WHERE k BETWEEN 100 AND 19000;';
	my $saw = $old->query_safe($query);
	$node->safe_psql('postgres', <<'SQL');
DELETE FROM recent WHERE id % 10 = 0;
INSERT INTO recent SELECT -i, i FROM generate_series(10, 20000, 10) i;
SQL
	workers();
	my $err = statement("CREATE UNIQUE INDEX recent_k ON recent USING $am (k)");
	is($err, '', 'dead rows that a snapshot still sees are no duplicates');
	is(join(' ', workers()), '2 22000', 'they are indexed') if $am eq 'alex';
	$old->query_safe('SET enable_seqscan = off;');
	is($old->query_safe($query), $saw, 'and found by the snapshot');
	$old->query_safe('COMMIT;');
	$old->quit;
	like(statement('INSERT INTO recent VALUES (0, 10)'), qr/duplicate key value/, 'the living one is a duplicate');
}

# ---- errors, in the leader and in workers ----

$node->safe_psql('postgres', 'CREATE TABLE dup WITH (parallel_workers = 2) AS SELECT i AS id, i % 30000 AS k FROM generate_series(1, 30001) i');
like(statement("SET maintenance_work_mem = '1MB'; CREATE UNIQUE INDEX dup_k ON dup USING $am (k)"),
	qr/could not create unique index "dup_k"\n.*DETAIL:  Key \(k\)=\(1\) is duplicated/s, 'a violation');
nothing_left('a violation');
like(statement("CREATE INDEX dup_e ON dup USING $am ((1 / (id - 29000)))"), qr/division by zero/, 'an error of a worker');
nothing_left('an error of a worker');

# A build that goes on until something stops it: the table is read to its middle.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
	IF i > 15000 THEN PERFORM pg_sleep(0.2); END IF;
	RETURN i;
END $$;
SQL

sub slow_build
{
	my ($participation) = @_;
	my $build = start_command('psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET parallel_leader_participation = $participation",
		'-c', "CREATE INDEX dup_slow ON dup USING $am (slow(id))");
	my $processes = $participation eq 'on' ? 3 : 2;
	$node->poll_query_until('postgres', "SELECT count(*) = $processes FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event = 'PgSleep'")
	  or die 'the build does not begin';
	return $build;
}

for my $participation ('on', 'off')
{
	my $build = slow_build($participation);
	if ($participation eq 'on')
	{
		is( $node->safe_psql('postgres', "SELECT count(*), count(DISTINCT query), count(DISTINCT query_id), count(DISTINCT coalesce(leader_pid, pid))
			FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'"),
			'3|1|1|1', 'leader and workers are shown with the statement');
		is($node->safe_psql('postgres', "SELECT phase, blocks_done > 0, blocks_total > blocks_done FROM pg_stat_progress_create_index"),
			'building index: scanning table|t|t', 'progress is reported')
		  if $am eq 'alex';
	}
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND leader_pid IS NULL");
	my ($code, $out, $err) = finish_command($build);
	like($err, qr/canceling statement due to user request/, "leader $participation: a build is cancelled");
	nothing_left("leader $participation: a build is cancelled");

	$build = slow_build($participation);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker' LIMIT 1");
	($code, $out, $err) = finish_command($build);
	like($err, qr/terminating (connection|background worker)/, "leader $participation: a worker is terminated");
	nothing_left("leader $participation: a worker is terminated");
}
$node->safe_psql('postgres', "CREATE INDEX dup_id ON dup USING $am (id); SELECT alex_check('dup_id', true)");

# ---- everyone at work ----

$node->safe_psql('postgres', <<SQL);
CREATE TABLE busy (id int8, k int8) WITH (parallel_workers = 2, fillfactor = 80);
INSERT INTO busy SELECT i, hashint8extended(i, 0) FROM generate_series(1, 30000) i;
CREATE INDEX busy_id ON busy USING btree (id);
SQL
my $script = write_script(<<'SQL');
\set id random(1, 30000)
UPDATE busy SET k = hashint8extended(:id, random(1, 1000000000)::int) WHERE id = :id;
\set id random(1, 30000)
DELETE FROM busy WHERE id = :id;
INSERT INTO busy VALUES (:id, -:id);
SQL
$script = write_script(<<'SQL');
\set id random(1, 30000)
\set new random(1, 1000000000)
UPDATE busy SET k = hashint8extended(:id, :new) WHERE id = :id;
\set id random(1, 30000)
BEGIN;
DELETE FROM busy WHERE id = :id;
INSERT INTO busy VALUES (:id, -:id);
END;
SQL
my $bench = start_command(pgbench_command($node, '-c', 3, '-T', 8, '-f', $script));
my $builds = 0;
my $found = 0;
workers();
while ($bench->{run}->pumpable)
{
	$bench->{run}->pump_nb;
	$node->safe_psql('postgres', "CREATE INDEX CONCURRENTLY busy_k ON busy USING $am (k)");
	$found += (workers())[1];
	$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY busy_k');
	$found += (workers())[1];
	$node->safe_psql('postgres', "SELECT alex_check('busy_k', true)");
	$node->safe_psql('postgres', 'DROP INDEX CONCURRENTLY busy_k');
	workers();
	$builds++;
}
my ($code, $out, $err) = finish_command($bench);
is($code, 0, 'writers are not disturbed') or diag($err);
cmp_ok($found, '>', 0, 'workers built') if $am eq 'alex';
note("$builds builds");
$node->safe_psql('postgres', "CREATE INDEX CONCURRENTLY busy_k ON busy USING $am (k)");
same_rows($node, 'busy', 'with writers');
nothing_left('with writers');

$node->stop;
clean_log($node);
done_testing();
