# What the programs of regress/torture share: the time they have, what they count, and what they find.
#
# TORTURE_SECONDS=n   how long to go on; default 20, and 12 in regress/run
# SEED=n              another run; default: a new one each time, which is printed
#
# A program ends with finish(). Whatever it calls a finding() fails it; the counters are its result, in one line.

package Torture;

use strict;
use warnings;

use AlexTest;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(time_left pick chance count_up counted finding finish cut_off log_states bad_log_lines unsound);

my $seed = !defined $ENV{SEED} || $ENV{SEED} eq 'random' ? int(rand(1000000)) : $ENV{SEED};
srand($seed);
diag("SEED=$seed");

# The time runs from the first question: making servers and tables is not part of it.
my $end;
sub time_left
{
	$end //= time + ($ENV{TORTURE_SECONDS} || 20);
	return $end > time ? $end - time : 0;
}
sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }

my (%count, @order);
my $findings = 0;

sub count_up
{
	my ($what, $n) = @_;

	push @order, $what if !exists $count{$what};
	$count{$what} += $n // 1;
	return;
}
sub counted { return $count{ $_[0] } || 0; }

sub finding
{
	my ($what, $text) = @_;

	$findings++;
	fail($what);
	# The log has all of it; a run of hours that finds one thing again and again does not fill the disk.
	diag(substr($text // '', 0, 4000)) if $findings < 50;
	return;
}

# Without these counted (or more, if a number is given) nothing was tested: name => least.
sub finish
{
	my (%least) = @_;

	for my $what (sort keys %least)
	{
		cmp_ok(counted($what), '>=', $least{$what}, "enough of: $what");
	}
	is($findings, 0, 'findings');
	diag('torture: ' . join(', ', map { "$_ $count{$_}" } @order) . ", findings $findings");
	done_testing();
	return;
}

# Of what pgbench or psql wrote to stderr: errors that neither the end of the server nor a deadlock explains.
sub cut_off
{
	my ($err) = @_;

	return join("\n", grep { /ERROR|FATAL/ && !/terminat|crash|deadlock detected|shutting down|starting up|recovery mode|connection/ } split /\n/, $err);
}

# How often each SQLSTATE is in a server's log from a position on: ({ state => count }, the new position).
sub log_states
{
	my ($node, $from) = @_;
	my %states;

	open(my $fh, '<', $node->logfile) or die $node->logfile . ": $!";
	seek($fh, $from || 0, 0);
	while (my $line = <$fh>)
	{
		$states{$1}++ if $line =~ / ([0-9A-Z]{5}) (?:ERROR|FATAL|PANIC):  /;
	}
	my $to = tell($fh);
	close $fh;
	return (\%states, $to);
}

# What the check functions say about all omen tables and alex indexes of a schema.
sub unsound
{
	my ($node, $schema) = @_;
	my ($code, $out, $err) = $node->psql('postgres', <<SQL);
SELECT omen_check(c.oid) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'omen' AND relnamespace = '$schema'::regnamespace;
SELECT alex_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'alex' AND relnamespace = '$schema'::regnamespace AND relkind = 'i';
SQL
	return $err;
}

# Lines of a server's log that should never be there.
sub bad_log_lines
{
	my ($node, $from) = @_;
	my @bad;

	open(my $fh, '<', $node->logfile) or die $node->logfile . ": $!";
	seek($fh, $from || 0, 0);
	while (my $line = <$fh>)
	{
		push @bad, $line if $line =~ /PANIC:|TRAP:|inconsistent page|was terminated by signal (?!9)|invalid page|WAL contains references| XX[0-9A-Z]{3} (?:ERROR|FATAL)/;
		last if @bad > 20;
	}
	close $fh;
	return join('', @bad);
}

1;
