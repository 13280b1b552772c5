# INSERT ... ON CONFLICT through unique alex indexes: sessions that have not loaded the library yet, upserts that race with each
# other, with deletes and with VACUUM, by a ledger, through partitions too, and upserts that are replicated.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = am();
my $seconds = 6;
my $node = new_node('primary', allows_streaming => 'logical');
$node->start;
load_helpers($node);
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');
my $preloads = $version < 180000 && $am eq 'alex';

# ---- sessions that have not loaded the library ----

$node->safe_psql('postgres', <<SQL);
CREATE TABLE fresh (k int8, v int);
CREATE UNIQUE INDEX ON fresh USING $am (k);
INSERT INTO fresh VALUES (1, 1);
CREATE TABLE parts (k int8, v int) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE UNIQUE INDEX ON parts_1 USING $am (k);
SQL

is($node->safe_psql('postgres', 'INSERT INTO fresh VALUES (1, 2), (2, 2) ON CONFLICT (k) DO UPDATE SET v = 3 RETURNING k'), "1\n2",
	'with a conflict target the first statement works');
for my $table ('fresh', 'parts')
{
	my $do = "INSERT INTO $table VALUES (1, 2), (1, 3) ON CONFLICT DO NOTHING";
	my ($code, $out, $err) = $node->psql('postgres', "$do; $do;", on_error_stop => 0);

	if ($preloads)
	{
		is(() = $err =~ /ERROR/g, 1, "$table: without a target the first statement fails and the second works");
		like($err, qr/ERROR:  INSERT \.\.\. ON CONFLICT met a unique alex index in a session that had not loaded omen_alex\nDETAIL: .*\nHINT:  Repeat the statement/,
			"$table: and says what to do");
	}
	else
	{
		is($err, '', "$table: without a target the first statement works");
	}
	($code, $out, $err) = $node->psql('postgres', <<SQL);
DO \$\$
BEGIN
	FOR i IN 1..2 LOOP
		BEGIN
			$do;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			RAISE WARNING 'late';
		END;
	END LOOP;
END \$\$;
SQL
	is(() = $err =~ /late/g, $preloads ? 1 : 0, "$table: a function can catch it, and the second time it works");
	$node->safe_psql('postgres', q(ALTER DATABASE postgres SET session_preload_libraries = 'omen_alex'));
	is($node->safe_psql('postgres', "$do; SELECT count(*) FROM $table WHERE k = 1"), 1, "$table: with session_preload_libraries it works at once");
	$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET session_preload_libraries');
}
$node->safe_psql('postgres', 'DROP TABLE fresh, parts');
# the rest is not about that
$node->safe_psql('postgres', q(ALTER DATABASE postgres SET session_preload_libraries = 'omen_alex')) if $am eq 'alex';

# ---- upserts that race, by a ledger ----

# n counts what the ledger has of a key; rows come and go. "parts" has the same through partitions with different layouts.
$node->safe_psql('postgres', <<SQL);
CREATE TABLE counted (k int8, n int NOT NULL, pad text DEFAULT repeat('x', 50)) WITH (fillfactor = 70);
CREATE UNIQUE INDEX counted_k ON counted USING $am (k);
CREATE TABLE ledger (name text, k int8, n int);
CREATE TABLE parts (k int8 NOT NULL, n int NOT NULL, pad text DEFAULT 'x') PARTITION BY HASH (k);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parts_1 (gone int, pad text DEFAULT 'y', n int NOT NULL, k int8 NOT NULL);
ALTER TABLE parts_1 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 2);
ALTER TABLE parts ADD CONSTRAINT parts_k UNIQUE (k);
SQL
# One index for each partition: of two that are equal, only the one that belongs to the whole table's is looked at for conflicts, and
# the other's own check fails when two upserts race, with btree as well.
if ($am eq 'alex')
{
	$node->safe_psql('postgres', "CALL alex_convert('${_}_k_key')") for ('parts_0', 'parts_1');
	is($node->safe_psql('postgres', <<SQL), 'parts_0_k_key parts_1_k_key', 'two partitions have alex indexes');
SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_am a ON a.oid = relam
WHERE inhparent = 'parts_k'::regclass AND amname = 'alex'
SQL
}

my $upsert = write_script(<<'SQL');
\set k random(1, 60)
\set end random(1, 10)
BEGIN;
INSERT INTO counted (k, n) VALUES (:k, 1) ON CONFLICT (k) DO UPDATE SET n = counted.n + excluded.n;
INSERT INTO ledger VALUES ('counted', :k, 1);
\if :end > 2
COMMIT;
\else
ROLLBACK;
\endif
SQL
my $nothing = write_script(<<'SQL');
\set k random(1, 60)
WITH new AS (INSERT INTO counted (k, n) VALUES (:k, 5) ON CONFLICT DO NOTHING RETURNING k)
INSERT INTO ledger SELECT 'counted', k, 5 FROM new;
SQL
my $delete = write_script(<<'SQL');
\set k random(1, 60)
WITH gone AS (DELETE FROM counted WHERE k = :k RETURNING k, n) INSERT INTO ledger SELECT 'counted', k, -n FROM gone;
SQL
my $many = write_script(<<'SQL');
\set k random(1, 50)
BEGIN;
INSERT INTO counted (k, n) SELECT i, 1 FROM generate_series(:k, :k + 10) i ON CONFLICT (k) DO UPDATE SET n = counted.n + 1;
INSERT INTO ledger SELECT 'counted', i, 1 FROM generate_series(:k, :k + 10) i;
COMMIT;
SQL
my $parts = write_script(<<'SQL');
\set k random(1, 60)
\set end random(1, 10)
BEGIN;
INSERT INTO parts (k, n) VALUES (:k, 1), (:k + 100, 2) ON CONFLICT (k) DO UPDATE SET n = parts.n + excluded.n;
INSERT INTO ledger VALUES ('parts', :k, 1), ('parts', :k + 100, 2);
\if :end > 2
COMMIT;
\else
ROLLBACK;
\endif
SQL
my $parts_delete = write_script(<<'SQL');
\set k random(1, 160)
WITH gone AS (DELETE FROM parts WHERE k = :k RETURNING k, n) INSERT INTO ledger SELECT 'parts', k, -n FROM gone;
SQL
my $vacuum = write_script("VACUUM counted;\n\\sleep 50 ms\n");

for my $mode ('simple', 'prepared')
{
	my ($code, $out, $err) = finish_command(start_command(pgbench_command($node, '-c', 6, '-j', 2, '-T', $seconds, '-M', $mode, '--max-tries', 100,
		'-f', "$upsert\@6", '-f', "$nothing\@2", '-f', "$delete\@2", '-f', "$many\@1", '-f', "$parts\@4", '-f', "$parts_delete\@1", '-f', "$vacuum\@1")));
	is($code, 0, "$mode: the mix ran") or diag($err);
	diag("$mode: $1 transactions") if $out =~ /actually processed: (\d+)/;
	for my $table ('counted', 'parts')
	{
		is($node->safe_psql('postgres', <<SQL), '', "$mode: $table is what the ledger says");
SELECT k, t.n, l.n FROM $table t FULL JOIN (SELECT k, sum(n) AS n FROM ledger WHERE name = '$table' GROUP BY k HAVING sum(n) <> 0) l USING (k)
WHERE t.n IS DISTINCT FROM l.n
SQL
		is($node->safe_psql('postgres', "SELECT count(*) - count(DISTINCT k) FROM $table"), 0, "$mode: no key is in $table twice");
	}
	$node->safe_psql('postgres', "SELECT alex_check(i, true) FROM unnest('{counted_k, parts_0_k_key, parts_1_k_key}'::regclass[]) i");
}
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM ledger'), '>', 100, 'there was something to race for');

# ---- into foreign partitions, whose wrapper must learn of the ON CONFLICT clause ----

my ($host, $port) = ($node->host, $node->port);
my ($code, $out, $err) = $node->psql('postgres', <<SQL);
SET client_min_messages = warning;
CREATE EXTENSION postgres_fdw;
CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER self;
CREATE TABLE far_rows (k int8, v int);
CREATE UNIQUE INDEX ON far_rows USING $am (k);
CREATE TABLE mixed (k int8, v int) PARTITION BY RANGE (k);
CREATE TABLE mixed_near PARTITION OF mixed FOR VALUES FROM (0) TO (100);
CREATE UNIQUE INDEX ON mixed_near USING $am (k);
CREATE FOREIGN TABLE mixed_far PARTITION OF mixed FOR VALUES FROM (100) TO (200) SERVER self OPTIONS (table_name 'far_rows');
INSERT INTO mixed VALUES (1, 1), (101, 1);
INSERT INTO mixed SELECT k, 2 FROM unnest('{1, 2, 101, 102, 102}'::int8[]) k ON CONFLICT DO NOTHING;
SELECT string_agg(k || ':' || v, ' ' ORDER BY k) FROM mixed;
SQL
is("$out$err", '1:1 2:2 101:1 102:2', 'DO NOTHING in near and far partitions');

# ---- replicated ----

my $subscriber = new_node('subscriber', allows_streaming => 'logical');
$subscriber->start;
load_helpers($subscriber);
for my $n ($node, $subscriber)
{
	$n->safe_psql('postgres', <<SQL);
CREATE TABLE told (k int8 NOT NULL, v int);
CREATE UNIQUE INDEX told_k ON told USING $am (k);
SQL
}
# 17 cannot look rows up by an identity that is not a btree
$subscriber->safe_psql('postgres', 'CREATE UNIQUE INDEX told_btree ON told (k)') if $version >= 170000 && $version < 180000;
my $identity = $version >= 170000 && $version < 180000 ? 'told_btree' : 'told_k';
$subscriber->safe_psql('postgres', "ALTER TABLE told REPLICA IDENTITY USING INDEX $identity");
$node->safe_psql('postgres', "ALTER TABLE told REPLICA IDENTITY USING INDEX told_k; CREATE PUBLICATION told FOR TABLE told");
$subscriber->safe_psql('postgres', q(CREATE SUBSCRIPTION told CONNECTION ') . $node->connstr . q( dbname=postgres' PUBLICATION told));
$subscriber->wait_for_subscription_sync($node, 'told');
$node->safe_psql('postgres', <<SQL);
INSERT INTO told SELECT i, 0 FROM generate_series(1, 100) i ON CONFLICT (k) DO NOTHING;
INSERT INTO told SELECT i, 1 FROM generate_series(50, 150) i ON CONFLICT (k) DO UPDATE SET v = told.v + 1;
INSERT INTO told SELECT i, 1 FROM generate_series(100, 200) i ON CONFLICT DO NOTHING;
INSERT INTO told VALUES (7, 7) ON CONFLICT (k) DO UPDATE SET k = 1007;
DELETE FROM told WHERE k % 10 = 0;
SQL
$node->wait_for_catchup('told');
my $rows = 'SELECT count(*), sum(k), sum(v) FROM told';
is($subscriber->safe_psql('postgres', $rows), $node->safe_psql('postgres', $rows), 'the subscriber has what the publisher has');
# and it upserts itself, beside the apply worker
$subscriber->safe_psql('postgres', 'INSERT INTO told VALUES (1, 1), (5000, 1) ON CONFLICT (k) DO UPDATE SET v = -1; INSERT INTO told VALUES (1, 1) ON CONFLICT DO NOTHING');
$node->safe_psql('postgres', 'UPDATE told SET v = 9');
$node->wait_for_catchup('told');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM told WHERE v <> 9'), 1, 'and goes on');
$subscriber->safe_psql('postgres', q(SELECT alex_check('told_k', true)));
clean_log($node);
clean_log($subscriber);
$subscriber->stop;
$node->stop;
done_testing();
