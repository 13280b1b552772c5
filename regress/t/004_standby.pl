# A streaming standby follows the stress mix under
# wal_consistency_checking=all, answers the same as the primary, while it
# follows and after it caught up, and goes on after a promotion.
#
# STRESS_SECONDS=n   half of it is the length of the load; default 60

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use StressMix;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = int(($ENV{STRESS_SECONDS} || 60) / 2) || 1;
my $primary = new_node('primary', allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'CONF');
wal_consistency_checking = 'all'
max_wal_size = 2GB
CONF
$primary->start;
# With a slot, no WAL is removed that a slow standby still needs: checked records are large.
$primary->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('standby', true)});
load_helpers($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', <<'CONF');
primary_slot_name = 'standby'
max_standby_streaming_delay = 2s
hot_standby_feedback = on
CONF
$standby->start;

stress_setup($primary);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
plan_uses($standby, 'SELECT * FROM stress WHERE k BETWEEN 5 AND 500000 ORDER BY k', qr/Index Scan using stress_k /,
	'the standby uses the index', 'SET enable_seqscan = off; SET enable_bitmapscan = off;');

# Load, vacuums and builds on the primary, checks on the standby.  There,
# replay may cancel a query; such queries are repeated.
my $am = am();
$ENV{PGOPTIONS} = stress_options();
my $load = start_command(pgbench_command($primary, '-c', 6, '-j', 1, '-T', $seconds, stress_scripts()));
my $vacuum = start_command(pgbench_command($primary, '-c', 1, '-T', $seconds, '-f', write_script(<<"SQL")));
\\set ms random(1, 400)
VACUUM stress;
\\sleep :ms ms
VACUUM uniq;
\\sleep :ms ms
CREATE INDEX CONCURRENTLY stress_new ON stress USING $am (k NULLS FIRST);
DROP INDEX stress_new;
REINDEX INDEX uniq_k;
SQL
my $readers = start_command(pgbench_command($standby, '-c', 2, '-j', 1, '-T', $seconds, '--max-tries', 100, stress_readers()));
my ($code, $text, $errors) = finish_command($load);
is($code, 0, 'load ran to its end') or diag($errors);
my ($done) = $text =~ /number of transactions actually processed: (\d+)/;
($code, $text, $errors) = finish_command($vacuum);
is($code, 0, 'vacuum and builds ran to their end') or diag($errors);
($code, $text, $errors) = finish_command($readers);
my @real = grep { /ERROR|FATAL/ && !/conflict with recovery/ } split /\n/, $errors;
is(join("\n", @real), '', 'reads on the standby found what never changes');
my ($read) = $text =~ /number of transactions actually processed: (\d+)/;
cmp_ok($read || 0, '>', 0, 'reads on the standby');
delete $ENV{PGOPTIONS};
# From here on replay waits for the queries that compare.
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$standby->reload;

my $caught_up = eval { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('write')); 1 };
ok($caught_up, 'the standby caught up') or diag($@);

same_rows($primary, $_, 'primary') for qw(stress uniq);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
same_everywhere($primary, $standby, $_, 'caught up') for qw(stress uniq);
for my $index (qw(stress_k stress_kd stress_vk uniq_k))
{
	my ($rc, $out, $err) = $standby->psql('postgres', "SELECT alex_check('$index', true)");
	is($err, '', "alex_check of $index on the standby");
}

# Entries that replay removed are not seen by index-only scans of the standby.
$primary->safe_psql('postgres', 'DELETE FROM stress WHERE k < 0; VACUUM stress; VACUUM stress');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
same_everywhere($primary, $standby, 'stress', 'after the last vacuum');
clean_log($standby);
clean_log($primary);

# Page splits that the primary did not finish are finished by the new one.
$primary->stop('immediate');
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
same_rows($standby, $_, 'promoted') for qw(stress uniq);
plan_uses($standby, 'SELECT k FROM stress WHERE k BETWEEN 5 AND 500000 ORDER BY k', qr/Index Only Scan using stress_k /,
	'the promoted server makes index-only scans', 'SET enable_seqscan = off; SET enable_bitmapscan = off;');
$ENV{PGOPTIONS} = stress_options();
($code, $text, $errors) = finish_command(start_command(pgbench_command($standby, '-c', 4, '-j', 1, '-T', 3, stress_scripts())));
is($code, 0, 'load on the promoted server') or diag($errors);
delete $ENV{PGOPTIONS};
$standby->safe_psql('postgres', 'VACUUM stress, uniq');
same_rows($standby, $_, 'promoted, after load') for qw(stress uniq);
diag("$done transactions on the primary, $read on the standby");
clean_log($standby, 'nothing bad in the log after the promotion');
$standby->stop;
done_testing();
