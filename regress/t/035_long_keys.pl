# Keys of 5 to 133 words, short ones between them, and many that begin with the same 1,000 bytes: a mix of statements, VACUUM and
# REINDEX CONCURRENTLY under wal_consistency_checking = all, with a streaming standby. The primary is killed in the middle of that
# again and again. After each recovery both servers have what the table has, and the standby has met no page that differs.
#
# CRASH_ROUNDS=n   default 4
# SEED=n           other lengths of the rounds (default 1); SEED=random prints which

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{CRASH_ROUNDS} || 4;
my $seed = AlexTest::seed();
srand($seed);
diag("SEED=$seed");

my $am = am();
my $primary = new_node('primary', allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'CONF');
wal_consistency_checking = 'all'
checkpoint_timeout = 30s
deadlock_timeout = 20ms
CONF
$primary->start;
$primary->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('standby', true)});
load_helpers($primary);

# longs: rows whose v is a multiple of 50 are there from the start and never change. long_uniq: a unique index.
# Bounds of ranges are keys, too: of "ppp..." some are equal but for the last bytes.
$primary->safe_psql('postgres', <<SQL);
CREATE FUNCTION long_key(n int8) RETURNS text LANGUAGE sql IMMUTABLE AS \$\$
	SELECT CASE n % 8
		WHEN 0 THEN repeat('p', 1000) || n
		WHEN 1 THEN repeat('p', 1000) || md5(n::text)
		WHEN 2 THEN (SELECT string_agg(md5((n * 100 + j)::text), '') FROM generate_series(1, 38) j)
		WHEN 3 THEN left(repeat(md5(n::text), 40), (n % 1200)::int + 20) || n
		WHEN 4 THEN left(md5((n % 97)::text), 2) || repeat('q', (n % 1100)::int) || n
		ELSE 's' || md5(n::text) END
\$\$;
CREATE TABLE longs (id bigserial, k text COLLATE "C", v int8, w int8 GENERATED ALWAYS AS (v % 8) STORED) WITH (fillfactor = 70);
CREATE TABLE long_uniq (id bigserial, k text COLLATE "C", v int8);
INSERT INTO longs (k, v) SELECT long_key(i * 50), i * 50 FROM generate_series(0, 999) i;
CREATE INDEX longs_k ON longs USING $am (k);
CREATE INDEX longs_wk ON longs USING $am (w, k DESC, id);
CREATE UNIQUE INDEX long_uniq_k ON long_uniq USING $am (k);
CREATE INDEX longs_v ON longs USING btree (v);
VACUUM ANALYZE longs, long_uniq;
CREATE FUNCTION check_long(i int8) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	n int;
	r record;
	before text;
BEGIN
	SELECT count(*) INTO n FROM longs WHERE k = long_key(i * 50) AND v = i * 50;
	IF n <> 1 THEN RAISE EXCEPTION 'key % found % times', i * 50, n USING ERRCODE = 'XX001'; END IF;
	FOR r IN SELECT k FROM longs WHERE k >= long_key(i * 50) ORDER BY k LIMIT 50 LOOP
		IF r.k < before THEN RAISE EXCEPTION 'order: % after %', r.k, before USING ERRCODE = 'XX001'; END IF;
		before := r.k;
	END LOOP;
	before := NULL;
	FOR r IN SELECT k FROM longs WHERE k <= long_key(i * 50) ORDER BY k DESC LIMIT 50 LOOP
		IF r.k > before THEN RAISE EXCEPTION 'order: % before %', r.k, before USING ERRCODE = 'XX001'; END IF;
		before := r.k;
	END LOOP;
END \$\$;
CREATE FUNCTION put_long(n int8) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO long_uniq (k, v) VALUES (long_key(n), n);
EXCEPTION WHEN unique_violation THEN
	UPDATE long_uniq SET k = long_key(n + 8) WHERE k = long_key(n) AND NOT EXISTS (SELECT FROM long_uniq WHERE k = long_key(n + 8));
END \$\$;
SQL

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', <<'CONF');
primary_slot_name = 'standby'
max_standby_streaming_delay = -1
wal_retrieve_retry_interval = 100ms
CONF
$standby->start;

sub scripts
{
	my %scripts = (
		insert => [ 6, <<'SQL' ],
\set n random(0, 49990)
INSERT INTO longs (k, v) SELECT long_key(g), g FROM generate_series(:n, :n + 9) g WHERE g % 50 <> 0;
SQL
		fill => [ 1, <<'SQL' ],
\set n random(0, 6000)
INSERT INTO longs (k, v) SELECT long_key(g * 8), g * 8 + 1 FROM generate_series(:n, :n + 60) g WHERE (g * 8 + 1) % 50 <> 0;
SQL
		update => [ 4, <<'SQL' ],
\set n random(0, 49990)
UPDATE longs SET k = long_key(v + 1) || 'u', v = v + 1 WHERE id IN
	(SELECT id FROM longs WHERE k > long_key(:n) AND v % 50 BETWEEN 1 AND 48 ORDER BY k LIMIT 4 FOR UPDATE SKIP LOCKED);
SQL
		delete => [ 5, <<'SQL' ],
\set n random(0, 49990)
DELETE FROM longs WHERE id IN
	(SELECT id FROM longs WHERE k > long_key(:n) AND v % 50 <> 0 ORDER BY k LIMIT 14 FOR UPDATE SKIP LOCKED);
SQL
		empty => [ 1, <<'SQL' ],
\set d random(0, 9)
DELETE FROM longs WHERE k >= repeat('p', 1000) || :d AND k < repeat('p', 1000) || (:d) || 'g' AND v % 50 <> 0;
SQL
		rollback => [ 1, <<'SQL' ],
\set n random(0, 49990)
BEGIN;
INSERT INTO longs (k, v) SELECT long_key(g), 1 FROM generate_series(:n, :n + 40) g;
ROLLBACK;
SQL
		unique => [ 4, <<'SQL' ],
\set n random(0, 2000)
SELECT put_long(:n);
DELETE FROM long_uniq WHERE k = long_key(:n + 3);
SQL
		check => [ 3, <<'SQL' ],
\set n random(0, 999)
SELECT check_long(:n);
SQL
	);
	return map { my ($weight, $text) = @{ $scripts{$_} }; ('-f', write_script($text) . "\@$weight") } sort keys %scripts;
}

my $cut_off = qr/terminat|crash|server closed|connection|backend died|could not (?:receive|send)/i;
my $options = '-c enable_seqscan=off -c enable_sort=off -c enable_bitmapscan=off';
my $done = 0;
for my $round (1 .. $rounds)
{
	local $ENV{PGOPTIONS} = $options;
	my $from = $primary->safe_psql('postgres', q(SELECT nextval('longs_id_seq')));
	my @programs = (
		start_command(pgbench_command($primary, '-c', 4, '-j', 1, '-T', 600, scripts())),
		start_command(pgbench_command($primary, '-c', 1, '-T', 600, '-f', write_script(<<SQL))));
VACUUM longs;
\\sleep 100 ms
VACUUM long_uniq;
REINDEX INDEX CONCURRENTLY longs_k;
REINDEX INDEX CONCURRENTLY long_uniq_k;
VACUUM longs;
REINDEX INDEX CONCURRENTLY longs_wk;
SQL
	$primary->poll_query_until('postgres', "SELECT count(*) > 0 FROM longs WHERE id > $from") or die 'the load does not begin';
	sleep(2 + rand(3));
	kill_server($primary);
	for my $program (@programs)
	{
		my ($code, $out, $err) = finish_command($program);
		is(join("\n", grep { /ERROR/ && !/$cut_off/ } split /\n/, $err), '', "round $round: load ran without errors until it was cut off");
	}
	delete local $ENV{PGOPTIONS};
	$primary->start;
	$done += $primary->safe_psql('postgres', q(SELECT nextval('longs_id_seq'))) - $from;
	# what REINDEX left
	my $left = $primary->safe_psql('postgres', q(SELECT string_agg('DROP INDEX ' || indexrelid::regclass, ';')
		FROM pg_index WHERE indrelid IN ('longs'::regclass, 'long_uniq'::regclass) AND NOT indisvalid));
	$primary->safe_psql('postgres', $left) if $left ne '';
	same_rows($primary, $_, "round $round") for qw(longs long_uniq);
	is($primary->safe_psql('postgres', 'SELECT count(*), count(DISTINCT v), count(*) FILTER (WHERE k <> long_key(v)) FROM longs WHERE v % 50 = 0'),
		'1000|1000|0', "round $round: rows that never change");
	ok(eval { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('write')); 1 }, "round $round: the standby caught up") or diag($@);
	for my $table (qw(longs long_uniq))
	{
		my $q = "SELECT count(*), md5(string_agg(k, ',')) FROM (SELECT k FROM $table WHERE k >= '' ORDER BY k) s;
			SELECT count(*), md5(string_agg(k, ',')) FROM (SELECT k FROM $table WHERE k > repeat('p', 1000) ORDER BY k DESC) s";
		my $set = join('', map { s/^(\S+)=(\S+) ?/SET $1 = $2;/r } grep { $_ } split /-c /, $options);

		is($standby->safe_psql('postgres', "$set $q"), $primary->safe_psql('postgres', "SET enable_indexscan = off; SET enable_indexonlyscan = off;
			SET enable_bitmapscan = off; $q"), "round $round: $table through the index of the standby");
	}
	is(($standby->psql('postgres', "SELECT alex_check('$_', true)"))[2], '', "round $round: alex_check of $_ on the standby") for qw(longs_k longs_wk long_uniq_k);
}
# The test is of long keys, and of nodes that are divided and go.
if ($am eq 'alex')
{
	my $words = $primary->safe_psql('postgres', q(SELECT max(length(k)), count(*) FILTER (WHERE length(k) > 1000) > 500 FROM longs));
	like($words, qr/^1[2-9]\d\d\|t$/, 'keys are long');
}
cmp_ok($done, '>', 500 * $rounds, 'rows were inserted');
diag("$done rows in $rounds rounds; " . $primary->safe_psql('postgres',
	q(SELECT string_agg(relname || ' ' || pg_relation_size(oid) / 1024 || ' kB', ', ' ORDER BY relname) FROM pg_class WHERE relname ~ '^longs?_' AND relkind = 'i')));
clean_log($_) for $standby, $primary;

# And the standby goes on where the primary ended.
$primary->stop('immediate');
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
{
	local $ENV{PGOPTIONS} = $options;
	my ($code, $text, $errors) = finish_command(start_command(pgbench_command($standby, '-c', 4, '-j', 1, '-T', 3, scripts())));
	is($code, 0, 'load on the promoted server') or diag($errors);
}
$standby->safe_psql('postgres', 'VACUUM longs, long_uniq');
same_rows($standby, $_, 'promoted, after load') for qw(longs long_uniq);

# Builds that sort on disk: a long key takes the room of a long one, and those beside it do not.
$standby->safe_psql('postgres', <<SQL);
CREATE TABLE few_long (id int8, k text COLLATE "C") WITH (parallel_workers = 2);
INSERT INTO few_long SELECT i, CASE WHEN i % 50000 = 1 THEN long_key(i * 8 + 2) ELSE substr(md5(i::text), 1, 12) END FROM generate_series(1, 200000) i;
SQL
for my $workers (0, 2)
{
	my ($code, $out, $log) = $standby->psql('postgres', <<SQL);
SET maintenance_work_mem = '1MB'; SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = $workers;
SET log_temp_files = 0; SET client_min_messages = log;
CREATE UNIQUE INDEX few_long_k ON few_long USING $am (k, id);
SQL
	my $bytes = 0;
	$bytes += $1 while $log =~ /temporary file: path .* size (\d+)/g;
	is($code, 0, "$workers workers: long keys among short ones");
	# of runs of 65536 records, or 4 MB, some have 133 words a record
	cmp_ok($bytes, '<', 60_000_000, "$workers workers: few long keys do not make all long") if $am eq 'alex' && $workers == 0;
	cmp_ok($bytes, '>', 0, "$workers workers: sorted on disk") if $workers == 0;
	same_rows($standby, 'few_long', "$workers workers: build");
	$standby->safe_psql('postgres', 'DROP INDEX few_long_k');
}
clean_log($standby, 'nothing bad in the log after the promotion');
$standby->stop;
done_testing();
