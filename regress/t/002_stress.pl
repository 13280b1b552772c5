# Eight clients insert, update, delete and select, with VACUUM running beside
# them, and CREATE INDEX and REINDEX CONCURRENTLY in the second half.  What
# never changes must always be found, exactly once and in order; in the end
# the indexes hold what the tables hold.
#
# STRESS_SECONDS=n   default 60

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use StressMix;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{STRESS_SECONDS} || 60;
my $half = int($seconds / 2);
my $am = am();
my $node = new_node('stress');
$node->start;
load_helpers($node);
stress_setup($node);

my $set = join('', map { s/^(\S+)=(\S+) ?/SET $1 = '$2';/r } grep { $_ } split /-c /, stress_options());
plan_uses($node, 'SELECT k FROM stress WHERE k BETWEEN 5 AND 500000 ORDER BY k', qr/Index Only Scan using stress_k /, 'ranges by index-only scan', $set);
plan_uses($node, 'SELECT k FROM stress WHERE k BETWEEN 5 AND 500000 ORDER BY k DESC', qr/Index Only Scan Backward using stress_k /, 'backwards', $set);
plan_uses($node, 'SELECT * FROM uniq WHERE k = 17', qr/using uniq_k /, 'unique keys', $set);

# The checks notice what they are for.
my ($rc, $out, $err) = $node->psql('postgres', q(BEGIN; DELETE FROM stress WHERE k = 700000; SELECT check_key(7);));
like($err, qr/key 700000 found 0 times/, 'a missing key is noticed');
($rc, $out, $err) = $node->psql('postgres', q(BEGIN; INSERT INTO stress (k) VALUES (700000); SELECT check_range(600000, 800000, true);));
like($err, qr/key 700000 found twice/, 'a double key is noticed');

$ENV{PGOPTIONS} = stress_options();
my $load = start_command(pgbench_command($node, '-c', 8, '-j', 2, '-T', $seconds, '-M', 'simple', stress_scripts()));
my $vacuum = start_command(pgbench_command($node, '-c', 1, '-T', $seconds, '-f', write_script(<<'SQL')));
\set ms random(1, 300)
VACUUM stress;
\sleep :ms ms
VACUUM uniq;
SQL
my $build_script = write_script(<<SQL);
CREATE INDEX CONCURRENTLY stress_new ON stress USING $am (k NULLS FIRST);
\\sleep 200 ms
DROP INDEX CONCURRENTLY stress_new;
REINDEX INDEX CONCURRENTLY stress_kd;
REINDEX INDEX CONCURRENTLY stress_vk;
REINDEX INDEX CONCURRENTLY uniq_k;
\\sleep 500 ms
REINDEX INDEX CONCURRENTLY stress_k;
SQL
sleep $half;
my $build = start_command(pgbench_command($node, '-c', 1, '-T', $seconds - $half > 3 ? $seconds - $half - 2 : 1, '-f', $build_script));

my ($code, $text, $errors) = finish_command($load);
is($code, 0, 'load ran to its end') or diag($errors);
note($text);
my ($done) = $text =~ /number of transactions actually processed: (\d+)/;
cmp_ok($done || 0, '>', $seconds * 10, 'transactions');
($code, $text, $errors) = finish_command($vacuum);
is($code, 0, 'vacuum ran to its end') or diag($errors);
my ($vacuums) = $text =~ /number of transactions actually processed: (\d+)/;
cmp_ok($vacuums || 0, '>=', $seconds / 10, 'vacuums');
($code, $text, $errors) = finish_command($build);
is($code, 0, 'concurrent builds ran to their end') or diag($errors);
delete $ENV{PGOPTIONS};

my $conds = q(ARRAY['', 'k IS NULL', 'k < 0', 'k BETWEEN 400000000 AND 600000000', 'k > 1000000000', 'k = ANY (''{100000,100000,7,900000000}'')']);
same_rows($node, 'stress', 'after the load', conds => $conds);
same_rows($node, 'uniq', 'after the load');
$node->safe_psql('postgres', 'VACUUM stress, uniq');
same_rows($node, 'stress', 'after the last vacuum', conds => $conds);
same_rows($node, 'uniq', 'after the last vacuum');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT k) FROM stress WHERE k BETWEEN 0 AND 1000000000 AND k % 100000 = 0'), '10001|10001', 'fixed keys');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT k FROM uniq GROUP BY k HAVING count(*) > 1) s'), '0', 'unique keys are unique');
diag("$done transactions, $vacuums vacuums; " . $node->safe_psql('postgres',
	q(SELECT string_agg(relname || ' ' || pg_relation_size(oid) / 1024 || ' kB', ', ' ORDER BY relname) FROM pg_class WHERE relname ~ '^(stress|uniq)' AND relkind IN ('r', 'i'))));
clean_log($node);
$node->stop;
done_testing();
