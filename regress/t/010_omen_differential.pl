# The same random transactions on heap tables and on omen tables, statement
# by statement: four clients, each with a session for the one and a session
# for the other, in a random order that a seed fixes.  Every answer must be
# the same: rows, row counts, errors, and who has to wait for whom.
#
# At most one client at a time waits for a lock as long as it takes; all
# others give up soon, which is an error to compare like any other.  So there
# are no deadlocks; and nobody looks for them, who could take the wait of one
# of the others for a part of one, on one side only.
#
# Where a row is being updated, but not its key, heap lets a unique check wait
# for the update (it is the HOT chain that it meets), omen has no reason to.
# So heap's lock timeout may be omen's unique violation.  For the same reason
# ON CONFLICT DO NOTHING in a transaction with one snapshot does not fail if
# the row has been updated since: its key has not.
#
# In serializable rounds a serialization failure may come on one side only
# (predicate locks are on pages where there are many): both sides roll back then.
#
# DIFF_ROUNDS=n   default 60
# DIFF_STEPS=n    statements a round, default 150
# DIFF_SKIP=re    leave out kinds of statements, to look for what else there is
# SEED=n          another run (default 1); SEED=random prints which one it was

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest ();
use OmenStatements;
use OmenTest;
use Test::More;
use Time::HiRes qw(time);

my $rounds = $ENV{DIFF_ROUNDS} || 60;
my $steps = $ENV{DIFF_STEPS} || 150;
my $seed = AlexTest::seed();
srand($seed);
diag("SEED=$seed");

my $node = omen_node('differential');
$node->start;
omen_setup($node);
my %am = (h => 'heap', o => tam());
for my $side ('h', 'o')
{
	$node->safe_psql('postgres', "CREATE SCHEMA $side; SET search_path = $side, public; " . statement_tables($am{$side}));
}
is($node->safe_psql('postgres', q{SELECT DISTINCT amname FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relkind = 'r' AND relnamespace = 'o'::regnamespace}), tam(), 'tables of the access method');

my @history;
my %count;
my $failures = 0;

# Sessions exist in pairs.
sub pair
{
	my ($name, %set) = @_;

	return { name => $name, savepoints => [], cursors => {}, bag => {}, map {
		$_ => OmenTest::Session->new($node, "$name$_", search_path => "$_,public", lock_timeout => '25ms', deadlock_timeout => '1h', %set)
	} ('h', 'o') };
}
my @clients = map { pair($_) } ('a' .. 'd');
my $keeper = pair('v');
my $monitor = OmenTest::Session->new($node, 'monitor');
my $pending;

sub normal
{
	my ($c, $s, $r) = @_;
	my @rows = @{ $r->{rows} };

	return '(error of a statement that changes several rows)' if $r->{error} ne '' && $s->{many};
	# Whichever of the conflicts it is that is noticed first.
	return $r->{state} if $r->{state} eq '40001' && ($c->{iso} || '') eq 'SERIALIZABLE';
	return $r->{error} if $r->{error} ne '';
	@rows = $s->{ordered} ? order_ties(@rows) : sort @rows;
	return join("\n", @rows);
}

# A transaction that inserts a key again, which somebody else has deleted since its snapshot, sees two rows of one key.
# Which of them comes first is nobody's promise.
sub order_ties
{
	my @rows = @_;
	my @ordered;

	while (@rows)
	{
		my ($key) = split /\|/, $rows[0];
		my @ties;
		push @ties, shift @rows while @rows && (split /\|/, $rows[0])[0] eq $key;
		push @ordered, sort @ties;
	}
	return @ordered;
}

sub complain
{
	my ($what, $s, $h, $o) = @_;

	$failures++;
	note(join("\n", "all statements since the tables were the same:", @history));
	my @last = @history > 60 ? @history[ -60 .. -1 ] : @history;
	return fail("$what: $s->{kind}")
	  || diag("SEED=$seed, statement " . scalar(@history) . " of its round:\n$s->{sql}\n---- heap:\n" . substr($h, 0, 3000) . "\n---- $am{o}:\n" . substr($o, 0, 3000) . "\n---- before that:\n" . join("\n", @last));
}

# What a statement does to what we know of the session.
sub follow
{
	my ($c, $s, $r) = @_;
	my $effect = $s->{effect} || '';

	if ($effect eq 'end') { @$c{qw(in failed iso savepoints cursors bag)} = (0, 0, '', [], {}, {}); return; }
	if ($r->{error} ne '') { $c->{failed} = 1 if $c->{in}; return; }
	if ($effect eq 'begin') { $c->{in} = 1; $c->{iso} = $s->{level}; }
	if ($effect eq 'savepoint') { push @{ $c->{savepoints} }, $s->{name}; $c->{kept}{ $s->{name} } = { %{ $c->{cursors} } }; }
	if ($effect eq 'release') { pop @{ $c->{savepoints} }; }
	# Cursors declared since are gone.  Those from before are where they were, though with what had been fetched before.
	if ($effect eq 'rollback_to') { $c->{failed} = 0; $c->{cursors} = { %{ $c->{kept}{ $c->{savepoints}[-1] } } }; }
	if ($effect eq 'declare') { $c->{cursors}{ $s->{name} } = $s->{what}; $c->{bag}{ $s->{name} } = { h => [], o => [] }; }
	if ($s->{part} && $s->{last}) { delete $c->{cursors}{ $s->{part} }; delete $_->{ $s->{part} } for values %{ $c->{kept} }; }
	return;
}

# Compares the two answers; true if they are the same, or may differ.
sub compare
{
	my ($c, $s, $h, $o) = @_;

	if (($c->{iso} || '') eq 'SERIALIZABLE' && $h->{state} ne $o->{state} && ($h->{state} eq '40001' || $o->{state} eq '40001'))
	{
		$count{'serialization failures on one side'}++;
		# Committed here, failed there: the caller starts over.
		if (!$c->{in} || ($s->{effect} || '') eq 'end') { follow($c, { effect => 'end' }, $h); return 'resync'; }
		$_->ask('ROLLBACK') for @$c{qw(h o)};
		follow($c, { effect => 'end' }, $h);
		return 1;
	}
	my $nothing = $s->{kind} eq 'insert or nothing' && "@{ $o->{rows} }" eq 'INSERT 0 0';
	if (($h->{state} =~ /^(?:55P03|57014)$/ && ($o->{state} eq '23505' || $nothing)) || ($h->{state} eq '40001' && $nothing))
	{
		$count{'no need to wait'}++;
		$c->{o}->ask('SELECT 1 / 0') if $c->{in} && $o->{error} eq '';
		follow($c, $s, $h);
		return 1;
	}
	# A failed transaction's fetch position is of no interest.
	if ($s->{part} && $h->{error} eq '' && $o->{error} eq '')
	{
		my $bag = $c->{bag}{ $s->{part} };
		push @{ $bag->{h} }, @{ $h->{rows} };
		push @{ $bag->{o} }, @{ $o->{rows} };
		if ($s->{last}) { $_->{rows} = $bag->{ $_ == $h ? 'h' : 'o' } for $h, $o; }
		else { $_->{rows} = [ scalar @{ $_->{rows} } ] for $h, $o; }
	}
	$count{ $h->{state} || 'ok' }++;
	my ($nh, $no) = (normal($c, $s, $h), normal($c, $s, $o));
	if ($nh ne $no)
	{
		complain("$c->{name} got another answer", $s, $h->{text} . join("\n", $s->{ordered} ? @{ $h->{rows} } : sort @{ $h->{rows} }),
			$o->{text} . join("\n", $s->{ordered} ? @{ $o->{rows} } : sort @{ $o->{rows} }));
		return 0;
	}
	follow($c, $s, $h);
	return 1;
}

# Waits until a statement is done, or waits for a lock of somebody else; true if done.
sub settle
{
	my ($session) = @_;
	my $until = time + 600;

	while (!$session->done(0.002))
	{
		return 0 if $monitor->safe("SELECT wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0 FROM pg_stat_activity WHERE pid = $session->{backend}") eq 't';
		die "$session->{name} neither ends nor waits: $session->{sql}" if time > $until;
	}
	return 1;
}

# The client that waits, if any: is it still?
sub look_at_pending
{
	return 1 if !$pending;
	my ($c, $s) = @$pending;
	my $h = settle($c->{h});
	my $o = settle($c->{o});
	if ($o && !$h && $s->{kind} =~ /insert|unique/)
	{
		$monitor->ask("SELECT pg_cancel_backend($c->{h}{backend})");
		$h = $c->{h}->done(10);
	}
	if ($h != $o)
	{
		complain("$c->{name} waits on one side only", $s, $h ? 'done: ' . normal($c, $s, $c->{h}->result) : 'waits', $o ? 'done: ' . normal($c, $s, $c->{o}->result) : 'waits');
		return 0;
	}
	return 1 if !$h;
	undef $pending;
	push @history, "$c->{name}: (has got its lock)";
	my $same = compare($c, $s, $c->{h}->result, $c->{o}->result);
	return $same if $same ne '1' || $c->{failed} || !$c->{in};
	$_->ask(q{SET LOCAL lock_timeout = '25ms'}) for @$c{qw(h o)};
	return 1;
}

# One statement on both sides.
sub step
{
	my ($c, $s) = @_;

	if ($s->{single} && $c->{in} && !$c->{failed} && !$pending && rand() < 0.5)
	{
		# This one waits as long as it takes.
		$_->ask('SET LOCAL lock_timeout = 0') for @$c{qw(h o)};
		push @history, "$c->{name}: (waits) $s->{sql}";
		$c->{h}->start($s->{sql});
		settle($c->{h});
		$c->{o}->start($s->{sql});
		$pending = [ $c, $s ];
		my $same = look_at_pending();
		$count{'had to wait'}++ if $pending;
		return $same;
	}
	push @history, "$c->{name}: $s->{sql}";
	my $h = $c->{h}->ask($s->{sql});
	my $o = $c->{o}->ask($s->{sql});
	my $same = compare($c, $s, $h, $o);
	return $same if $same ne '1';
	return look_at_pending();
}

# The content of all tables of one side.
sub contents
{
	my ($side) = @_;

	return $monitor->safe(join(' UNION ALL ', map { "SELECT '$_', count(*), md5(string_agg(r, ',' ORDER BY r)) FROM (SELECT md5(t::text) AS r FROM $side.$_ t) s" } tables()));
}

# After a serialization failure of a COMMIT on one side.
sub start_over
{
	$count{'started over'}++;
	undef $pending;
	# An old snapshot ends here, too: TRUNCATE would wait for it.
	$_->ask('ROLLBACK') for @$keeper{qw(h o)};
	follow($keeper, { effect => 'end' }, {});
	for my $c (@clients)
	{
		for my $session (@$c{qw(h o)})
		{
			$session->ask('ROLLBACK') if !$session->{busy};
		}
	}
	for my $c (@clients)
	{
		for my $session (@$c{qw(h o)})
		{
			next if !$session->{busy};
			$session->result;
			$session->ask('ROLLBACK');
		}
		follow($c, { effect => 'end' }, {});
	}
	$node->safe_psql('postgres', q{SET session_replication_role = replica; TRUNCATE o.t, o.child, o.tr, o.trlog, o.part;
		INSERT INTO o.t (id, k, u, n, c, w, b, p, e) SELECT id, k, u, n, c, w, b, p, e FROM h.t; INSERT INTO o.child SELECT * FROM h.child;
		INSERT INTO o.tr SELECT * FROM h.tr; INSERT INTO o.trlog SELECT * FROM h.trlog; INSERT INTO o.part SELECT * FROM h.part});
	return;
}

sub finish_round
{
	# Whoever does not wait ends; then nobody does.
	for my $c (sort { rand() <=> 0.5 } @clients)
	{
		next if $pending && $pending->[0] == $c;
		next if !$c->{in};
		my $same = step($c, { kind => 'end', sql => $c->{failed} || rand() < 0.3 ? 'ROLLBACK' : 'COMMIT', effect => 'end' });
		return $same if $same ne '1';
	}
	if ($pending)
	{
		complain('nobody is left to wait for', $pending->[1], '', '');
		return 0;
	}
	for my $c (@clients)
	{
		next if !$c->{in};
		my $same = step($c, { kind => 'end', sql => 'COMMIT', effect => 'end' });
		return $same if $same ne '1';
	}
	return 1;
}

my $began = time;
ROUND: for my $round (1 .. $rounds)
{
	# One round in four is serializable; one in six keeps a snapshot of its beginning in an otherwise idle session.
	my $level = $round % 4 == 0 ? 'SERIALIZABLE' : '';
	$_->{level} = $level for @clients;
	@history = ();
	push @history, "round $round";
	my $old = $round % 3 == 0;
	if ($old)
	{
		step($keeper, $_) || last ROUND for { kind => 'begin', sql => 'BEGIN ISOLATION LEVEL REPEATABLE READ', effect => 'begin', level => 'REPEATABLE READ' },
		  { kind => 'old snapshot', sql => 'SELECT count(*), sum(n), md5(string_agg(t::text, \',\' ORDER BY id)) FROM t' };
	}
	for my $step (1 .. $steps)
	{
		my $same;
		if (rand() < 0.03 && !$old) { $same = step($keeper, maintenance(scalar(grep { $_->{in} } @clients), $pending || grep { %{ $_->{cursors} } } @clients)); }
		elsif (rand() < 0.03 && $old) { $same = step($keeper, { kind => 'old snapshot', sql => "SELECT count(*), sum(n), md5(string_agg(t::text, ',' ORDER BY id)) FROM t" }); }
		else
		{
			my @free = grep { !$pending || $pending->[0] != $_ } @clients;
			my $c = pick(@free);
			my $s = statement($c);
			next if defined $ENV{DIFF_SKIP} && $s->{kind} =~ /$ENV{DIFF_SKIP}/;
			$same = step($c, $s);
		}
		if ($same eq 'resync') { start_over(); next; }
		last ROUND if !$same;
	}
	my $same = finish_round();
	if ($same eq 'resync') { start_over(); $same = 1; }
	last if !$same;
	if ($old)
	{
		step($keeper, $_) || last ROUND for { kind => 'old snapshot', sql => 'SELECT count(*), sum(n), md5(string_agg(t::text, \',\' ORDER BY id)) FROM t' },
		  { kind => 'end', sql => 'COMMIT', effect => 'end' };
	}
	is(contents('o'), contents('h'), "round $round: the tables are the same") or last;
	next if $round % 4 != 0 && $round != $rounds;
	table_sound($node, "round $round", map { "o.$_" } grep { $_ ne 'part' } tables()) or last;
}
is($failures, 0, 'all answers were the same') or diag("SEED=$seed");
diag(sprintf('%.0f s; %s', time - $began, join(', ', map { "$_: $count{$_}" } sort keys %count)));
cmp_ok($count{'had to wait'} || 0, '>', 0, 'some had to wait') if !$failures;
AlexTest::clean_log($node);
$_->quit for $monitor, map { @$_{qw(h o)} } @clients, $keeper;
$node->stop('immediate');
done_testing();
