# What the TAP tests of the access method share.
#
# ALEX_TEST_AM names the access method (default: alex); with btree everything
# must pass too, which tests the tests.

package AlexTest;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(am new_node load_helpers start_command finish_command pgbench_command
  kill_server same_rows same_everywhere plan_uses write_script clean_log);

# The seed of a test: the same for all runs, so that a change is judged by what it changes. SEED=random looks for what else there is.
sub seed
{
	return 1 if !defined $ENV{SEED};
	return $ENV{SEED} eq 'random' ? int(rand(1000000)) : $ENV{SEED};
}

sub am { return $ENV{ALEX_TEST_AM} || 'alex'; }

# A server with settings that make the tests quick and the log short.
sub new_node
{
	my ($name, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	# as regress/run's own server: the order of text is not the environment's
	$node->init(extra => [ '--no-locale', '--encoding=UTF8' ], %init);
	$node->append_conf('postgresql.conf', <<'CONF');
shared_buffers = 64MB
max_connections = 40
log_statement = none
log_checkpoints = off
log_line_prefix = '%m [%p] %q%a %e '
log_autovacuum_min_duration = -1
autovacuum = off
jit = off
fsync = off
max_wal_size = 1GB
random_page_cost = 1.1
CONF
	return $node;
}

sub load_helpers
{
	my ($node, $db) = @_;
	my $helpers = slurp_file(dirname(abs_path(__FILE__)) . '/../helpers.sql');

	$node->safe_psql($db || 'postgres', $helpers);
	return;
}

# A program in the background; finish_command() waits for it and returns its
# exit code (-1 after a signal), output and errors.
sub start_command
{
	my (@cmd) = @_;
	my $c = { cmd => \@cmd, out => '', err => '' };

	$c->{run} = IPC::Run::start(\@cmd, '<', \undef, '>', \$c->{out}, '2>', \$c->{err},
		IPC::Run::timeout(3000));
	return $c;
}

sub finish_command
{
	my ($c) = @_;

	eval { $c->{run}->finish; 1 } or $c->{err} .= "\n$@";
	my $code = $c->{run}->full_result(0);
	$code = $code & 127 ? -1 : $code >> 8;
	return ($code, $c->{out}, $c->{err});
}

sub pgbench_command
{
	my ($node, @args) = @_;

	return ('pgbench', '-n', '-h', $node->host, '-p', $node->port, @args, 'postgres');
}

my $scripts = 0;

# A file for pgbench -f.
sub write_script
{
	my ($text) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/script" . $scripts++ . '.sql';

	open(my $fh, '>', $file) or die "$file: $!";
	print $fh $text;
	close $fh;
	return $file;
}

# The state of a process as one letter, empty if there is none.
sub state
{
	my ($pid) = @_;

	open(my $fh, '<', "/proc/$pid/stat") or return '';
	my $line = <$fh> || '';
	close $fh;
	return $line =~ /^\d+ \(.*\) (\S) / ? $1 : '';
}

sub children
{
	my ($pid) = @_;
	my @found;

	for my $stat (glob('/proc/[0-9]*/stat'))
	{
		open(my $fh, '<', $stat) or next;
		my $line = <$fh>;
		close $fh;
		# pid (name) state ppid
		push @found, $1 if defined $line && $line =~ /^(\d+) \(.*\) (?!Z)\S (\d+) / && $2 == $pid;
	}
	return @found;
}

# SIGKILL to the whole server.  The postmaster is stopped first, so that it
# neither starts children nor reacts to their deaths, and goes last, so that
# no child notices its end and has time to exit in order.
sub kill_server
{
	my ($node) = @_;
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');

	kill('STOP', $pid);
	my @pids = children($pid);
	die 'cannot find the server processes' if !@pids;
	kill('KILL', @pids, $pid);
	$node->kill9;    # to tell the module
	my @left = (@pids, $pid);
	for (1 .. 1000)
	{
		@left = grep { state($_) !~ /^[ZX]?$/ } @left;
		last if !@left;
		sleep 0.01;
	}
	die "processes @left survived SIGKILL" if @left;
	# A new postmaster refuses to start as long as there is a process with the
	# old one's number, be it a dead one that init has not collected yet, which
	# takes seconds in some containers.
	unlink($node->data_dir . '/postmaster.pid', glob($node->host . '/.s.PGSQL.' . $node->port . '*'))
	  if state($pid) ne '';
	return;
}

# Every index on column k of a table with column id against a sequential
# scan: forwards, backwards, rows and keys, and alex_check() with the heap.
sub same_rows
{
	my ($node, $table, $what, %opts) = @_;
	my $conds = $opts{conds} || q('{""}'::text[]);
	my $check = $opts{standby} ? 'false' : 'true';
	my ($code, $out, $err) = $node->psql('postgres', <<SQL);
SET client_min_messages = warning;
DO \$\$
DECLARE
	idx text;
	columns text;
	n bigint := 0;
BEGIN
	FOR idx, columns IN SELECT indexrelid::regclass::text,
			(SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute x WHERE x.attrelid = indexrelid AND attnum > 0 HAVING count(*) > 1)
		FROM pg_index JOIN pg_class c ON c.oid = indexrelid
		JOIN pg_am am ON am.oid = c.relam
		JOIN pg_attribute a ON a.attrelid = indexrelid AND a.attname = 'k'
		WHERE indrelid = '$table'::regclass AND amname = t_am() ORDER BY 1 LOOP
		PERFORM alex_check(idx::regclass, true);
		n := n + CASE WHEN columns IS NULL THEN t_compare('$table', ARRAY[idx], $conds)
			ELSE t_columns_compare('$table', idx, columns, 10) END;
	END LOOP;
	IF n = 0 THEN RAISE EXCEPTION 'nothing compared'; END IF;
END \$\$;
SQL
	is($code == 0 ? '' : $err, '', "$what: $table is the same through the index and without");
	return $code == 0;
}

# For servers that cannot write, which t_compare() does: a few queries on both.
sub same_everywhere
{
	my ($primary, $standby, $table, $what) = @_;
	my $q = <<SQL;
SELECT count(*), sum(hashint8(id)), md5(string_agg(k::text, ',')) FROM (SELECT id, k FROM $table ORDER BY k) s;
SELECT count(*), sum(hashint8(id)), md5(string_agg(k::text, ',')) FROM (SELECT id, k FROM $table ORDER BY k DESC) s;
SELECT count(*), sum(hashint8(id)) FROM $table WHERE k BETWEEN -4000000000000000000 AND 4000000000000000000;
SELECT count(*), sum(hashint8(id)) FROM $table WHERE k > 4000000000000000000;
SQL
	my $index = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;\n$q";
	my $seq = "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;\n$q";
	my $want = $primary->safe_psql('postgres', $seq);

	is($primary->safe_psql('postgres', $index), $want, "$what: $table through the index of the primary");
	is($standby->safe_psql('postgres', $seq), $want, "$what: $table on the standby");
	is($standby->safe_psql('postgres', $index), $want, "$what: $table through the index of the standby");
	$index =~ s/enable_seqscan = off; SET enable_bitmapscan/enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan/;
	$index =~ s/SET enable_sort = off;//;
	is($standby->safe_psql('postgres', $index), $want, "$what: $table by bitmap scans of the standby");
	return;
}

sub plan_uses
{
	my ($node, $query, $regex, $name, $set) = @_;

	like($node->safe_psql('postgres', ($set || '') . "EXPLAIN (COSTS OFF) $query"), $regex, $name);
	return;
}

# Crashes and assertions can hide behind a test that passes.
sub clean_log
{
	my ($node, $name) = @_;
	my $log = slurp_file($node->logfile);
	my @bad = grep { /PANIC:|TRAP:|inconsistent page|was terminated by signal|invalid page| XX002 |is corrupt at block|WAL contains references/ } split /\n/, $log;

	is(join("\n", @bad), '', $name || 'nothing bad in the log of ' . $node->name);
	return;
}

1;
