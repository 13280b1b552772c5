# A streaming standby follows mixed load on omen tables, with old snapshots
# open on both servers, VACUUM, freezing and truncation, under
# wal_consistency_checking=all.  Queries on the standby get the right answer
# or are cancelled because of a conflict with recovery, and in the end both
# servers have the same rows.  Then the standby is promoted and goes on.
#
# STRESS_SECONDS=n   half of it is the length of the load; default 60

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenMix;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = int(($ENV{STRESS_SECONDS} || 60) / 2) || 1;
my $am = tam();
my $primary = omen_node('primary', allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'CONF');
# all that replica writes, and what decoding wants
wal_level = logical
wal_consistency_checking = 'all'
max_wal_size = 2GB
CONF
$primary->start;
# With slots, no WAL is removed that a slow standby still needs: checked records are large.
$primary->safe_psql('postgres', qq{SELECT pg_create_physical_replication_slot('$_', true)}) for 'patient', 'hasty';
omen_setup($primary);
$primary->backup('base');
# One standby tells the primary what its queries need, the other lets its queries be cancelled.
my %standby;
for my $name ('patient', 'hasty')
{
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init_from_backup($primary, 'base', has_streaming => 1);
	$node->append_conf('postgresql.conf', "primary_slot_name = '$name'\nhot_standby_feedback = " . ($name eq 'patient' ? 'on' : 'off') .
		"\nmax_standby_streaming_delay = " . ($name eq 'patient' ? '10s' : '100ms'));
	$node->start;
	$standby{$name} = $node;
}
mix_setup($primary);
$primary->safe_psql('postgres', <<SQL);
CREATE TABLE grown (id int PRIMARY KEY, n int, c text) USING $am;
CREATE UNLOGGED TABLE forgotten (id int PRIMARY KEY, n int) USING $am;
INSERT INTO forgotten VALUES (1, 1);
SQL

# What the reader did not get because of replay.
my $conflict = qr/conflict with recovery|terminating connection due to conflict/;

sub caught_up
{
	my ($what) = @_;

	for my $name (sort keys %standby)
	{
		my $ok = eval { $primary->wait_for_catchup($standby{$name}, 'replay', $primary->lsn('write')); 1 };
		ok($ok, "$what: $name has caught up") or diag($@), return 0;
	}
	return 1;
}
sub same_rows_everywhere
{
	my ($what, @tables) = @_;

	for my $name (sort keys %standby)
	{
		for my $table (@tables)
		{
			same_tables($primary, $table, $standby{$name}, $table, "$what, $name");
		}
		table_sound($standby{$name}, "$what, $name", @tables);
	}
	return;
}

caught_up('at first') or BAIL_OUT('the standby does not follow');
$ENV{PGOPTIONS} = options(deadlock_timeout => '20ms');
my $load = start_command(pgbench_command($primary, '-c', 5, '-j', 1, '-T', $seconds, '--max-tries', 100, mix_scripts()));
my $vacuum = start_command(pgbench_command($primary, '-c', 1, '-T', $seconds, mix_vacuum(), '-f', write_script(<<'SQL')));
-- A table that grows while nobody can forget the old versions, and is then cut off.
INSERT INTO grown SELECT i, i, repeat('g', 100) FROM generate_series(1, 2000) i ON CONFLICT (id) DO UPDATE SET n = grown.n + 1;
UPDATE grown SET n = n + 1, c = c || 'x' WHERE id % 3 = 0;
\sleep 20 ms
DELETE FROM grown WHERE id > 50;
VACUUM (TRUNCATE) grown;
VACUUM (FREEZE, TRUNCATE) grown;
SQL
my $readers = start_command(pgbench_command($standby{patient}, '-c', 2, '-j', 1, '-T', $seconds, '--max-tries', 100, mix_readers()));
delete $ENV{PGOPTIONS};

# Old snapshots: on the primary (so that versions go to the store) and on both standbys, asked again and again.
my %old = (primary => OmenTest::Session->new($primary, 'primary'), map { $_ => OmenTest::Session->new($standby{$_}, $_) } keys %standby);
my (%seen, %asked, %cancelled, %until);
my $bad = '';
my $end = time + $seconds;

# The answer; or nothing if replay was in the way: it cancels statements, and throws sessions out, also between two statements.
sub ask_old
{
	my ($name, $sql) = @_;
	my $s = $old{$name};
	my $r = $s->ask($sql);

	if ($name eq 'primary' || !($s->{lost} || $r->{text} =~ $conflict))
	{
		$bad .= "$name: $r->{error}: $r->{text}" if $r->{error} ne '';
		return $r;
	}
	$cancelled{$name}++;
	$s->ask('ROLLBACK');
	# A connection can be lost before the reason has come through. After a crash the log tells it, which is read in the end.
	if ($s->{lost}) { $s->quit; $old{$name} = OmenTest::Session->new($standby{$name}, $name); }
	undef $until{$name};
	return;
}
while (time < $end && $bad eq '')
{
	for my $name (sort keys %old)
	{
		if (!defined $until{$name} || time > $until{$name})
		{
			if (defined $until{$name}) { ask_old($name, 'COMMIT') or next; }
			ask_old($name, 'BEGIN ISOLATION LEVEL REPEATABLE READ') or next;
			$until{$name} = time + 0.3 + rand(3);
			delete $seen{$name};
		}
		my $r = ask_old($name, 'SELECT fingerprint(), check_total()') or next;
		next if $r->{error} ne '';
		my $now = $r->{rows}[0];
		$seen{$name} = $now if !defined $seen{$name};
		$bad .= "$name: one snapshot saw $seen{$name} and then $now\n" if $seen{$name} ne $now;
		$asked{$name}++;
	}
	sleep 0.1;
}
$_->quit for values %old;
is($bad, '', 'what old snapshots saw stayed the same: ' . join(', ', map { "$_ $asked{$_} times, " . ($cancelled{$_} || 0) . ' cancelled' } sort keys %asked));
cmp_ok($asked{hasty} || 0, '>', 0, 'queries on the hasty standby');

my ($code, $text, $errors) = finish_command($load);
is($code, 0, 'load ran to its end') or diag($errors);
my ($done) = $text =~ /number of transactions actually processed: (\d+)/;
($code, $text, $errors) = finish_command($vacuum);
is($code, 0, 'vacuum and truncation ran to their end') or diag($errors);
($code, $text, $errors) = finish_command($readers);
my @real = grep { /ERROR|FATAL/ && !/conflict/ } split /\n/, $errors;
is(join("\n", @real), '', 'reads on the standby found what must be');
my ($read) = $text =~ /number of transactions actually processed: (\d+)/;
cmp_ok($read || 0, '>', 0, 'reads on the standby');

# From here on replay waits for the queries that compare.
for my $node (values %standby)
{
	$node->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
	$node->reload;
}
my @tables = (mix_tables(), 'grown');
table_sound($primary, 'primary', @tables);
if (caught_up('after the load'))
{
	same_rows_everywhere('after the load', @tables);
	# Everything that needs no old version: frozen, cut off, rewritten; indexes built anew.
	$primary->safe_psql('postgres', 'VACUUM (FREEZE, TRUNCATE) acct, mark, grown');
	caught_up('frozen') and same_rows_everywhere('frozen', @tables);
	$primary->safe_psql('postgres', 'VACUUM FULL acct; CLUSTER mark USING mark_acct; REINDEX TABLE grown; ALTER TABLE grown ADD COLUMN added int DEFAULT 7; UPDATE grown SET added = 8 WHERE id % 2 = 0');
	caught_up('rewritten') and same_rows_everywhere('rewritten', @tables);
}
my ($rc, $out, $err) = $standby{patient}->psql('postgres', 'SELECT * FROM forgotten');
like($err, qr/cannot access temporary or unlogged relations during recovery/, 'an unlogged table is not to be read on a standby');

# A row whose change has not ended when the primary goes is as it was.
my $open = OmenTest::Session->new($primary, 'open');
$open->safe(q{BEGIN; UPDATE acct SET bal = bal + 5, note = 'never' WHERE id BETWEEN 1 AND 50; DELETE FROM acct WHERE id BETWEEN 51 AND 60});
$primary->safe_psql('postgres', 'CHECKPOINT');
caught_up('with a transaction open');
clean_log($_) for $primary, values %standby;
my $node = $standby{patient};
$primary->stop('immediate');
$open->quit;
$standby{hasty}->stop;
$node->promote;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is($node->safe_psql('postgres', 'SELECT check_total()'), '', 'promoted: totals');
is($node->safe_psql('postgres', q{SELECT count(*) FROM acct WHERE note = 'never'}), '0', 'promoted: nothing of the open transaction');
is($node->safe_psql('postgres', 'SELECT count(*) FROM forgotten'), '0', 'promoted: the unlogged table is empty');
$node->safe_psql('postgres', 'INSERT INTO forgotten SELECT i, i FROM generate_series(1, 100) i; UPDATE forgotten SET n = n + 1');
table_sound($node, 'promoted', @tables, 'forgotten');
$ENV{PGOPTIONS} = options(deadlock_timeout => '20ms');
($code, $text, $errors) = finish_command(start_command(pgbench_command($node, '-c', 4, '-j', 1, '-T', 3, '--max-tries', 100, mix_scripts())));
delete $ENV{PGOPTIONS};
is($code, 0, 'load on the promoted server') or diag($errors);
$node->safe_psql('postgres', 'VACUUM (FREEZE)');
table_sound($node, 'promoted, after load', @tables, 'forgotten');
diag("$done transactions on the primary, $read on the standby");
clean_log($node, 'nothing bad in the log after the promotion');
$node->stop;
done_testing();
