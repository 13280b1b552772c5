# pgbench with indexes of the tested access method only: its select-only and
# TPC-B-like scripts and one of ranges, with the plans they use.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = am();
my $seconds = 4;
my $node = new_node('pgbench');
$node->start;
load_helpers($node);
my ($code, $out, $err) = finish_command(start_command('pgbench', '-h', $node->host, '-p', $node->port, '-i', '-s', 3, '-I', 'dtgv', '-q', 'postgres'));
is($code, 0, 'pgbench -i without primary keys') or diag($err);
$node->safe_psql('postgres', <<SQL);
CREATE UNIQUE INDEX accounts_aid ON pgbench_accounts USING $am (aid);
CREATE UNIQUE INDEX tellers_tid ON pgbench_tellers USING $am (tid);
CREATE UNIQUE INDEX branches_bid ON pgbench_branches USING $am (bid);
CREATE INDEX accounts_abalance ON pgbench_accounts USING $am (abalance);
VACUUM ANALYZE;
SQL

plan_uses($node, 'SELECT abalance FROM pgbench_accounts WHERE aid = 12345', qr/^Index Scan using accounts_aid on pgbench_accounts\n\s+Index Cond: \(aid = 12345\)$/, 'select-only');
plan_uses($node, 'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 12345', qr/Index Scan using accounts_aid/, 'TPC-B-like update');
plan_uses($node, 'SELECT count(*) FROM pgbench_accounts WHERE aid BETWEEN 100 AND 300', am() eq 'alex' ? qr/AlexAggregate\)\n\s+Index Name: accounts_aid/ : qr/Index Only Scan using accounts_aid/, 'range');
plan_uses($node, 'SELECT * FROM pgbench_accounts WHERE aid >= 100 ORDER BY aid LIMIT 20', qr/Limit\n\s+->  Index Scan using accounts_aid/, 'ordered range');
plan_uses($node, 'SELECT max(aid) FROM pgbench_accounts', qr/Index Only Scan Backward using accounts_aid/, 'max');
# With a parameter, as prepared statements have it.
plan_uses($node, 'EXECUTE q(5)', qr/Index Scan using accounts_aid on pgbench_accounts\n\s+Index Cond: \(aid = \$1\)/, 'prepared', 'SET plan_cache_mode = force_generic_plan; PREPARE q(int) AS SELECT abalance FROM pgbench_accounts WHERE aid = $1;');

my $range = write_script(<<'SQL');
\set lo random(1, 299000)
SELECT count(*) AS n, min(aid) AS first, max(aid) AS last FROM pgbench_accounts WHERE aid BETWEEN :lo AND :lo + 100 \gset
SELECT 1 / (CASE WHEN :n = 101 AND :first = :lo AND :last = :lo + 100 THEN 1 ELSE 0 END);
SELECT aid, abalance FROM pgbench_accounts WHERE aid > :lo ORDER BY aid LIMIT 10;
SELECT aid, abalance FROM pgbench_accounts WHERE aid < :lo ORDER BY aid DESC LIMIT 10;
SQL
for my $run ([ 'select-only', '-S', '-M', 'prepared' ], [ 'TPC-B-like', '-b', 'tpcb-like' ], [ 'ranges', '-f', $range, '-M', 'extended' ],
	[ 'all together', '-b', 'tpcb-like@5', '-b', 'select-only@5', '-f', "$range\@2", '-M', 'prepared' ])
{
	my ($what, @args) = @$run;
	($code, $out, $err) = finish_command(start_command(pgbench_command($node, '-c', 4, '-j', 2, '-T', $seconds, @args)));
	is($code, 0, "$what ran") or diag($err);
	my ($tps) = $out =~ /^tps = (\d+)/m;
	cmp_ok($tps || 0, '>', 0, "$what: " . ($tps || '-') . ' tps');
}
is($node->safe_psql('postgres', 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)
	AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers)
	AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history)'), 't', 'balances agree');
$node->safe_psql('postgres', "VACUUM; SELECT alex_check(i, true) FROM unnest('{accounts_aid,tellers_tid,branches_bid,accounts_abalance}'::regclass[]) i");
is($node->safe_psql('postgres', q(SET enable_seqscan = off; SET enable_bitmapscan = off;
	SELECT count(*), min(aid), max(aid) FROM (SELECT aid FROM pgbench_accounts WHERE abalance > -100000000 ORDER BY abalance) s)), '300000|1|300000', 'scan in the order of the balances');
clean_log($node);
$node->stop;
done_testing();
