# sqlsmith writes queries at random, most of them absurd, against tables of both kinds with indexes of every kind. It looks for
# crashes and for errors that no query should be able to raise: internal errors, but for those of PostgreSQL itself, and messages of damage.
# The errors of the server's log are counted by their SQLSTATE.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../t";

use Torture;
use AlexTest;
use IPC::Run;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = omen_node('smith');
$node->append_conf('postgresql.conf', <<'CONF');
max_wal_size = 128MB
restart_after_crash = on
statement_timeout = 2s
min_parallel_table_scan_size = 0
min_parallel_index_scan_size = 0
parallel_setup_cost = 1
parallel_tuple_cost = 0
random_page_cost = 0.1
log_min_error_statement = error
temp_file_limit = 100MB
CONF
$node->start;
omen_setup($node);
my $tables = <<'SQL';
SET client_min_messages = warning;
CREATE TABLE a_omen (id int PRIMARY KEY, k int8, f float8, d date, ts timestamptz, u uuid, b bool, t text, j jsonb) USING omen;
INSERT INTO a_omen SELECT i, i * 7919 % 1000, i / 3.0, date '2020-01-01' + i % 400, timestamptz '2020-01-01' + i * interval '1 hour',
	md5(i::text)::uuid, i % 2 = 0, repeat('t', i % 60), jsonb_build_object('i', i) FROM generate_series(1, 400) i;
CREATE TABLE a_heap (LIKE a_omen INCLUDING ALL);
INSERT INTO a_heap SELECT * FROM a_omen;
CREATE TABLE parts (id int, r int, k int8) PARTITION BY RANGE (r);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50) USING omen;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (100);
INSERT INTO parts SELECT i, i % 100, -i FROM generate_series(1, 500) i;
CREATE MATERIALIZED VIEW seen USING omen AS SELECT id, k, ts FROM a_omen WHERE b;
CREATE VIEW both_of_them AS SELECT o.id, o.k, h.ts, h.u FROM a_omen o JOIN a_heap h ON o.k = h.id;
SELECT format('CREATE INDEX ON %s USING alex (%s)', t, c) FROM unnest('{a_omen,a_heap}'::text[]) t, unnest('{k,f,d,ts,u,b}'::text[]) c \gexec
CREATE INDEX ON a_omen USING gin (j); CREATE INDEX ON a_omen USING brin (ts); CREATE INDEX ON a_omen USING alex ((k % 10)) WHERE b;
CREATE INDEX ON parts USING alex (k); CREATE INDEX ON parts USING alex (r); CREATE INDEX ON seen USING alex (ts);
UPDATE a_omen SET f = -f WHERE id % 3 = 0; UPDATE a_omen SET k = k + 1 WHERE id % 5 = 0; DELETE FROM a_omen WHERE id % 31 = 0;
ANALYZE;
GRANT ALL ON ALL TABLES IN SCHEMA public TO smith;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO smith;
REVOKE EXECUTE ON FUNCTION pg_sleep(float8), pg_sleep_for(interval), pg_sleep_until(timestamptz) FROM public;
SQL
# Not a superuser: that one can end the server by plain function calls. But it may call what the extension has.
$node->safe_psql('postgres', "CREATE ROLE smith LOGIN; GRANT pg_stat_scan_tables TO smith;\n$tables");
$node->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE template0');
$node->safe_psql('plain', $tables =~ s/ USING (?:omen|alex)\b//gr);
# Queries that call the extension's functions find some there that do nothing.
$node->safe_psql('plain', $node->safe_psql('postgres', <<'SQL'));
SELECT format('CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE plpgsql AS $$BEGIN RETURN%s; END$$;', proname, pg_get_function_arguments(p.oid),
	pg_get_function_result(p.oid), CASE WHEN NOT proretset AND proargmodes IS NULL AND prorettype <> 'void'::regtype THEN ' NULL' END)
FROM pg_proc p JOIN pg_depend d ON classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e' JOIN pg_extension e ON e.oid = refobjid
WHERE extname = 'omen_alex' AND prokind = 'f' AND prorettype NOT IN (SELECT oid FROM pg_type WHERE typtype = 'p' AND typname NOT IN ('void', 'record'))
	AND NOT 'internal'::regtype = ANY (proargtypes);
SQL

my $log_from = 0;

# Is an internal error PostgreSQL's own? The same statement, on all rows of the same tables of plain PostgreSQL, raises one, too.
sub is_not_ours
{
	my ($line) = @_;
	my ($pid) = $line =~ /\[(\d+)\].* XX000 ERROR:  / or return 0;
	my $log = slurp_file($node->logfile, $log_from);
	my ($statement) = substr($log, index($log, $line)) =~ /^[^\n]*\[$pid\][^\n]* STATEMENT:  (.*\n(?:\t.*\n)*)/m or return 0;

	$statement =~ s/ tablesample (?:system|bernoulli) \([\d.]+\)//g;
	my ($code, $out, $err) = $node->psql('plain', "\\set VERBOSITY verbose\nBEGIN;\n$statement;\nROLLBACK", extra_params => [ '-U', 'smith' ]);
	return 0 if $err !~ /ERROR:  XX000/;
	count_up('internal errors of PostgreSQL itself');
	return 1;
}

my $runs = 0;
while (time_left() > 1)
{
	my $seed = int(rand(1000000));
	my $target = 'host=' . $node->host . ' port=' . $node->port . ' dbname=postgres user=smith';
	my ($out, $err) = ('', '');
	my $left = time_left() < 60 ? time_left() : 60;
	# Without the catalogs every second query has one of our tables in it.
	my @catalog = $runs++ % 2 == 0 ? '--exclude-catalog' : ();
	my $run = IPC::Run::start([ 'sqlsmith', "--target=$target", "--seed=$seed", '--verbose', @catalog ], '<', \undef, '>', \$out, '2>', \$err);
	my $end = time + $left;
	while (time < $end) { eval { $run->pump_nb; 1 } and $run->pumpable or last; sleep 0.2; }
	$run->kill_kill(grace => 2);
	# It shows each query by one character.
	my $queries = () = join('', grep { /^[.eStC]+$/ } split /\n/, $err) =~ /./g;
	count_up('queries', $queries);
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server is gone';
	$node->safe_psql('postgres', q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'smith'});

	my ($states) = log_states($node, $log_from);
	count_up("SQLSTATE $_", $states->{$_}) for sort keys %$states;
	my @bad = split /^/m, bad_log_lines($node, $log_from);
	for my $line (@bad)
	{
		next if is_not_ours($line);
		finding("sqlsmith --seed=$seed @catalog", $line);
	}
	# behind what is_not_ours has raised
	$log_from = -s $node->logfile;
	# It changes and deletes at random.
	$node->safe_psql('postgres', 'INSERT INTO a_omen SELECT i, i, i, date \'2021-01-01\', now(), md5(i::text)::uuid FROM generate_series(1, 400) i ON CONFLICT DO NOTHING') if chance(0.5);
	my $problems = unsound($node, 'public');
	finding("tables after sqlsmith --seed=$seed", $problems) if $problems ne '';
}
$node->stop;
finish(queries => 20);
