# A primary, its standby, and a standby of that one, under mixed load, with hot_standby_feedback on and off. The primary is killed,
# its standby promoted, and the old primary made the last in the row by pg_rewind; or the load ends, and all three must have the same rows; or a
# base backup is recovered to a name or a time. Replay compares pages with images of them in every second round.
# The first standby is synchronous, so what a client was told is there after the promotion.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../t";

use Torture;
use AlexTest;
use File::Copy qw(copy);
use OmenMix;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StressMix;
use Test::More;
use Time::HiRes qw(sleep time);

my @tables = (mix_tables(), qw(stress uniq));
my $a = omen_node('a', allows_streaming => 1, has_archiving => 1);
$a->append_conf('postgresql.conf', <<'CONF');
wal_log_hints = on
max_wal_size = 256MB
wal_keep_size = 256MB
checkpoint_timeout = 30s
deadlock_timeout = 20ms
backtrace_functions = 'alex_corrupt,omen_corrupted'
max_standby_streaming_delay = 2s
synchronous_commit = remote_write
hot_standby = on
CONF
$a->start;
omen_setup($a);
load_helpers($a);
stress_setup($a);
mix_setup($a);
$a->safe_psql('postgres', 'CREATE TABLE tick (round int, client int, seq int, at timestamptz DEFAULT clock_timestamp()) USING omen; CREATE INDEX ON tick USING alex (at)');
$a->backup('first');
my $archive = $a->archive_dir;
my @row = ($a);
for my $name ('b', 'c')
{
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init_from_backup($a, 'first', has_streaming => 1);
	$node->enable_streaming($row[-1]);
	$node->start;
	push @row, $node;
}
my %log_from = map { $_->name => 0 } @row;
my $round = 0;
my ($settings, $checked) = ('', '');

# One setting of a server, in force.
sub set
{
	my ($node, $name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT current_setting('$name') = '$value'") or die "$name is not $value";
	return;
}

sub caught_up
{
	my ($primary, @standbys) = @row;
	my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');

	for my $node (@standbys)
	{
		# psql that finds no server ends before it is asked.
		next if eval { $node->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") };
		finding("round $round ($settings): " . $node->name . ' does not follow', bad_log_lines($node, $log_from{ $node->name }));
		return 0;
	}
	return 1;
}

sub check_invariants
{
	my ($node, $what) = @_;
	my ($code, $out, $err) = $node->psql('postgres', q{SELECT check_total(); SELECT 'account ' || id || ' has ' || has || ', should have ' || should_have FROM wrong_accounts();
SELECT 'fixed keys' WHERE (SELECT (count(*), count(DISTINCT k)) <> (10001::int8, 10001::int8) FROM stress WHERE k BETWEEN 0 AND 1000000000 AND k % 100000 = 0)});
	my $bad = join("\n", grep { $_ ne '' } split /\n/, $out) . $err . table_problems($node, @tables);

	finding("round $round ($settings): $what", $bad) if $bad ne '';
	return;
}

# False if there is a server that does not follow, or none.
sub check_same
{
	my ($what) = @_;

	caught_up() or return 0;
	my @content = map {
		my $node = $_;
		join("\n", map { "$_: " . $node->safe_psql('postgres', "SET statement_timeout = 0; SELECT count(*), md5(string_agg(r, ',' ORDER BY r)) FROM (SELECT md5(t::text) AS r FROM $_ t) s") } @tables, 'tick')
	} @row;
	finding("round $round ($settings): $what: different rows", join("\n\n", @content)) if $content[0] ne $content[1] || $content[0] ne $content[2];
	return 1;
}

# What clients were told: client => how many ticks.
sub told
{
	my ($log) = @_;
	my %told;

	for my $file (glob("$log.*"))
	{
		for my $line (split /\n/, slurp_file($file))
		{
			my @f = split / /, $line;
			$told{ $f[0] }++ if @f >= 6 && $f[2] ne 'failed';
		}
		unlink($file);
	}
	return %told;
}

# The names of three: the primary goes, the others move up, and it comes back as the last.
sub promote
{
	my ($old, $new, $last) = @row;

	if (chance(0.7)) { kill_server($old); } else { $old->stop('fast'); }
	$new->promote;
	$new->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no promotion';
	set($new, 'synchronous_standby_names', $last->name);
	count_up('promotions');
	return sub {
		# Writes of the old one that the new one does not have are to be undone, also by what the checkpoint writes.
		$new->safe_psql('postgres', 'CHECKPOINT');
		my $conf = $old->data_dir . '/postgresql.conf';
		copy($conf, "$conf.kept.tmp") or die;
		rename("$conf.kept.tmp", "$PostgreSQL::Test::Utils::tmp_check/conf") or die;
		my @rewind = ('pg_rewind', '--source-server', $new->connstr('postgres'), '--target-pgdata', $old->data_dir);
		my ($out, $err);
		if (!IPC::Run::run(\@rewind, '>', \$out, '2>', \$err)) { finding("round $round: pg_rewind", $err); die "pg_rewind: $err"; }
		copy("$PostgreSQL::Test::Utils::tmp_check/conf", $conf) or die;
		unlink($old->data_dir . '/postgresql.auto.conf');
		$old->append_conf('postgresql.auto.conf', "wal_consistency_checking = '$checked'");
		$old->enable_streaming($last);
		$old->set_standby_mode;
		$old->start;
		@row = ($new, $last, $old);
		count_up('rewinds');
	};
}

# Recovers the backup to a point between two counts of ticks.
sub recover
{
	my ($backup, $target, $least, $most) = @_;
	my $node = PostgreSQL::Test::Cluster->new("pitr$round");

	$node->init_from_backup($row[0], $backup, has_restoring => 1, standby => 0);
	$node->append_conf('postgresql.conf', "restore_command = 'cp \"$archive/%f\" \"%p\"'\n$target\nrecovery_target_action = promote\narchive_mode = off");
	# The primary's settings of synchronous standbys: it has none.
	unlink($node->data_dir . '/postgresql.auto.conf');
	if ($node->start(fail_ok => 1))
	{
		$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die "recovery does not end: $target";
		my $ticks = $node->safe_psql('postgres', 'SELECT count(*) FROM tick');
		finding("round $round: $target: $ticks ticks, should be between $least and $most") if $ticks < $least || $ticks > $most;
		check_invariants($node, $target);
		$node->safe_psql('postgres', 'VACUUM (FREEZE) acct, stress; UPDATE acct SET n = n + 1');
		check_invariants($node, "$target, after VACUUM");
		count_up('recoveries to a point');
	}
	else { finding("round $round ($settings): no recovery, $target", bad_log_lines($node)); }
	$node->stop('immediate', fail_ok => 1);
	system_or_bail('rm', '-rf', $node->basedir);
	return;
}

while (time_left() > 0)
{
	$round++;
	my ($primary, @standbys) = @row;
	my $what = pick('promote', 'promote', 'same', 'recover');
	$what = ('promote', 'recover', 'same')[ $round - 1 ] if $round <= 3;
	$checked = pick('', '', 'all', 'heap,heap2');
	my $feedback = pick('on', 'off');
	$settings = "$what, checked '$checked', feedback $feedback";
	set($primary, 'synchronous_standby_names', $standbys[0]->name);
	# Of the readers of a standby only its own setting keeps hints off its row pages: it comes first, the images of the checkpoint after it.
	set($_, 'wal_consistency_checking', $checked) for @standbys, $primary;
	$primary->safe_psql('postgres', 'CHECKPOINT');
	set($_, 'hot_standby_feedback', $feedback) for @standbys;
	$primary->backup("pitr$round", backup_options => [ '--checkpoint=fast' ]) if $what eq 'recover';

	my $log = "$PostgreSQL::Test::Utils::tmp_check/told$round";
	my $tick = write_script("\\set seq :seq + 1\nINSERT INTO tick VALUES ($round, :client_id, :seq);\n");
	my @load = (start_command(pgbench_command($primary, '-c', 2, '-j', 1, '-T', 600, '-D', 'seq=0', '-f', $tick, '-l', "--log-prefix=$log")),
		start_command(pgbench_command($primary, '-c', 3, '-j', 1, '-T', 600, '--max-tries', 100, mix_scripts())),
		start_command(pgbench_command($primary, '-c', 1, '-T', 600, mix_vacuum())));
	{
		local $ENV{PGOPTIONS} = stress_options();
		push @load, start_command(pgbench_command($primary, '-c', 2, '-j', 1, '-T', 600, '--max-tries', 100, stress_scripts()));
	}
	my @readers = map { start_command(pgbench_command($_, '-c', 1, '-T', 2, '--max-tries', 100, mix_readers())) } @standbys;
	sleep(1.5 + rand(2));
	my ($target, $least, $most);
	if ($what eq 'recover')
	{
		$least = $primary->safe_psql('postgres', 'SELECT count(*) FROM tick');
		if (chance(0.5))
		{
			$primary->safe_psql('postgres', "SELECT pg_create_restore_point('point$round')");
			$target = "recovery_target_name = 'point$round'";
		}
		else
		{
			sleep 0.1;
			$target = "recovery_target_time = '" . $primary->safe_psql('postgres', 'SELECT clock_timestamp()') . "'";
			sleep 0.1;
		}
		# Each of the two clients can have a commit in the WAL that nobody sees yet, as it waits for the standby.
		$most = 2 + $primary->safe_psql('postgres', 'SELECT count(*) FROM tick');
		sleep 0.5;
	}
	my $rewind = $what eq 'promote' ? promote() : undef;
	$primary->safe_psql('postgres', q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}) if !$rewind;
	for my $program (@load, @readers)
	{
		my ($code, $out, $err) = finish_command($program);
		my $real = join("\n", grep { !/conflict with recovery/ } split /\n/, cut_off($err));
		finding("round $round ($settings): errors under load", $real) if $real ne '';
	}
	my %told = told($log);
	count_up('acknowledged commits', $_) for values %told;
	if ($rewind)
	{
		my $new = $row[1];
		for my $client (sort keys %told)
		{
			my $has = $new->safe_psql('postgres', "SELECT count(*) FROM tick WHERE round = $round AND client = $client");
			finding("round $round ($settings): client $client was told of $told{$client} commits, there are $has") if $has < $told{$client};
		}
		check_invariants($new, 'promoted');
		my ($code, $out, $err) = finish_command(start_command(pgbench_command($new, '-c', 3, '-j', 1, '-T', 1, '--max-tries', 100, mix_scripts())));
		finding("round $round ($settings): load on the promoted server", $err) if $code != 0;
		$rewind->();
	}
	if ($what eq 'recover')
	{
		$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
		my $last = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn() - 1)');
		$primary->poll_query_until('postgres', "SELECT last_archived_wal COLLATE \"C\" >= '$last' FROM pg_stat_archiver") or die 'nothing is archived';
		recover("pitr$round", $target, $least, $most);
		system_or_bail('rm', '-rf', $primary->backup_dir . "/pitr$round");
	}
	check_invariants($_, $_->name) for check_same('in the end') ? @row : ();
	for my $node (@row)
	{
		my ($states, $to) = log_states($node, $log_from{ $node->name });
		my $lines = bad_log_lines($node, $log_from{ $node->name });
		finding("round $round ($settings): the log of " . $node->name, $lines) if $lines ne '';
		$log_from{ $node->name } = $to;
	}
	last if !Test::More->builder->is_passing;
	$row[0]->safe_psql('postgres', 'DELETE FROM tick; VACUUM tick');
	# Nobody needs it any more.
	unlink(grep { !/history/ } glob("$archive/*"));
	count_up('rounds');
}
$_->stop('immediate', fail_ok => 1) for reverse @row;
finish('rounds' => 1, 'acknowledged commits' => 1);
