# What the TAP tests of the table access method share: servers, checks of a
# whole table, and OmenTest::Session, a session that waits for its answer only
# when asked to.
#
# OMEN_TEST_AM names the access method (default: omen); with heap everything
# must pass too, which tests the tests.

package OmenTest;

use strict;
use warnings;

use AlexTest ();
use Exporter 'import';
use Test::More;

our @EXPORT = qw(tam is_omen omen_node omen_setup table_sound table_problems same_tables options);

sub tam { return $ENV{OMEN_TEST_AM} || 'omen'; }
sub is_omen { return tam() eq 'omen'; }

# A server with the settings of AlexTest::new_node; tables are heap unless they say otherwise.
sub omen_node
{
	my ($name, %init) = @_;

	return AlexTest::new_node($name, %init);
}

# The extension, amcheck where it is installed, and t_problems(table): whatever is wrong with a table and its indexes.
sub omen_setup
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS omen_alex;
DO $$ BEGIN
	CREATE EXTENSION IF NOT EXISTS amcheck;
EXCEPTION WHEN undefined_file OR feature_not_supported THEN NULL;
END $$;
-- One query by every way there is to read the table, the index named or not.  Nothing may differ.
CREATE FUNCTION t_read(q text, way text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	w text;
BEGIN
	FOREACH w IN ARRAY '{seqscan,indexscan,bitmapscan,indexonlyscan}'::text[] LOOP
		PERFORM set_config('enable_' || w, (w = way OR (way = 'indexscan' AND w = 'indexonlyscan'))::text, true);
	END LOOP;
	EXECUTE q INTO answer;
	FOREACH w IN ARRAY '{seqscan,indexscan,bitmapscan,indexonlyscan}'::text[] LOOP
		PERFORM set_config('enable_' || w, 'on', true);
	END LOOP;
	RETURN answer;
END $$;
CREATE FUNCTION t_problems(tab regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	i record;
	way text;
	q text;
	range text;
	want text;
	got text;
	amcheck bool := EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck');
BEGIN
	IF to_regprocedure('omen_check(regclass)') IS NOT NULL
		AND (SELECT amname FROM pg_am a JOIN pg_class c ON c.relam = a.oid WHERE c.oid = tab) = 'omen' THEN
		BEGIN
			EXECUTE 'SELECT omen_check($1)' USING tab;
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT format('omen_check(%s): %s: %s', tab, SQLSTATE, SQLERRM);
		END;
	END IF;
	FOR i IN SELECT x.indexrelid::regclass AS index, am.amname, pg_get_indexdef(x.indexrelid, 1, false) AS key,
			coalesce('(' || pg_get_expr(x.indpred, x.indrelid) || ')', 'true') AS pred, x.indisvalid
		FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am am ON am.oid = c.relam
		WHERE x.indrelid = tab ORDER BY 1::text LOOP
		IF NOT i.indisvalid THEN
			CONTINUE;
		END IF;
		BEGIN
			IF i.amname = 'btree' AND amcheck THEN
				PERFORM bt_index_check(i.index, true);
			ELSIF i.amname = 'alex' THEN
				PERFORM alex_check(i.index, true);
			END IF;
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT format('check of %s: %s: %s', i.index, SQLSTATE, SQLERRM);
		END;
		CONTINUE WHEN i.amname NOT IN ('btree', 'alex');
		-- Between the least and the greatest key: the planner drops IS NOT NULL where it can.
		EXECUTE format('SELECT format(''BETWEEN %%L AND %%L'', min(%s), max(%1$s)) FROM %s t WHERE %s', i.key, tab, i.pred) INTO range;
		CONTINUE WHEN range ~ 'NULL';
		q := format('SELECT count(*) || '' rows, md5 '' || coalesce(md5(string_agg(r, '','' ORDER BY r)), '''') FROM (SELECT md5(t::text) AS r FROM %s t WHERE %s %s AND %s OFFSET 0) s',
			tab, i.key, range, i.pred);
		want := t_read(q, 'seqscan');
		FOREACH way IN ARRAY '{indexscan,bitmapscan}'::text[] LOOP
			got := t_read(q, way);
			IF got IS DISTINCT FROM want THEN
				RETURN NEXT format('%s by %s: %s; without: %s', i.index, way, got, want);
			END IF;
		END LOOP;
	END LOOP;
END $$;
SQL
	return;
}

# What is wrong with the tables, as text.
sub table_problems
{
	my ($node, @tables) = @_;
	my $found = '';

	for my $table (@tables)
	{
		my ($code, $out, $err) = $node->psql('postgres', "SET client_min_messages = warning; SELECT t_problems('$table')");
		$found .= "$out\n" if $out ne '';
		$found .= "$table: $err\n" if $code != 0 || $err ne '';
	}
	return $found;
}

sub table_sound
{
	my ($node, $what, @tables) = @_;

	return is(table_problems($node, @tables), '', "$what: @tables: sound, and the same by every way to read");
}

# Do two tables, on the same server or on two, have the same rows?
sub same_tables
{
	my ($node1, $table1, $node2, $table2, $what) = @_;
	my @md5 = map {
		$_->[0]->safe_psql('postgres', "SELECT count(*), md5(string_agg(r, ',' ORDER BY r)) FROM (SELECT md5(t::text) AS r FROM $_->[1] t) s")
	} ([ $node1, $table1 ], [ $node2, $table2 ]);

	return is($md5[1], $md5[0], "$what: $table2 has the rows of $table1");
}

# PGOPTIONS from a list of name => value.
sub options
{
	my (%set) = @_;

	return join(' ', map { my $v = $set{$_}; $v =~ s/([\\ ])/\\$1/g; "-c $_=$v" } sort keys %set);
}

package OmenTest::Session;

use IPC::Open3;
use IO::Select;
use Symbol 'gensym';
use Time::HiRes qw(time);

# One psql.  Settings are for the session: search_path => 'a', ...
sub new
{
	my ($class, $node, $name, %set) = @_;
	my $self = bless { name => $name, n => 0, seen => 0, out => '', err => '', busy => 0 }, $class;

	$self->{stderr} = gensym;
	local $ENV{PGOPTIONS} = OmenTest::options(%set);
	$self->{pid} = open3($self->{stdin}, $self->{stdout}, $self->{stderr}, 'psql', '-XAt', '-h', $node->host, '-p', $node->port, '-d', 'postgres');
	$self->{stdin}->autoflush(1);
	$self->{select} = IO::Select->new($self->{stdout}, $self->{stderr});
	$self->ask('\set VERBOSITY verbose');
	$self->{backend} = $self->safe('SELECT pg_backend_pid()');
	return $self;
}

# Sends a statement, does not wait for it.
sub start
{
	my ($self, $sql) = @_;

	die "$self->{name} is still busy" if $self->{busy};
	$self->{n}++;
	$self->{sql} = $sql;
	return if $self->{lost} && !$self->{select}->count;
	$self->{busy} = 1;
	my $end = $sql =~ /^\\/ ? '' : ';';
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{stdin} } "$sql$end\n\\echo ==end $self->{n}\n\\warn ==end $self->{n}\n";
	return;
}

# Has the answer come?  Waits up to so many seconds.
sub done
{
	my ($self, $seconds) = @_;
	my $until = time + $seconds;
	my $mark = "==end $self->{n}\n";

	while ($self->{busy})
	{
		my $marks = ($self->{out} =~ s/\Q$mark\E\z//) + ($self->{err} =~ s/\Q$mark\E\z//);
		$self->{seen} += $marks;
		if ($self->{seen} == 2)
		{
			$self->{busy} = $self->{seen} = 0;
			last;
		}
		my $left = $until - time;
		my @ready = $self->{select}->can_read($left > 0 ? $left : 0);
		return 0 if !@ready && $left <= 0;
		for my $fh (@ready)
		{
			my $got = sysread($fh, my $bytes, 65536);
			if (!$got)
			{
				$self->{lost} = 1;
				$self->{select}->remove($fh);
				if (!$self->{select}->count) { $self->{busy} = 0; last; }
				next;
			}
			if ($fh == $self->{stdout}) { $self->{out} .= $bytes; } else { $self->{err} .= $bytes; }
		}
	}
	return 1;
}

# The answer: rows (lines, with the command tag), error ("SQLSTATE: message" or empty), and all that psql said about it.
sub result
{
	my ($self, $seconds) = @_;

	$self->done($seconds || 600) or die "$self->{name}: no answer to: $self->{sql}";
	my %r = (rows => [ split /\n/, $self->{out} ], text => $self->{err}, error => '');
	if ($self->{err} =~ /^(?:psql:.*?)?(?:ERROR|FATAL|PANIC):  ([0-9A-Z]{5}: .*)$/m) { $r{error} = $1; }
	elsif ($self->{err} =~ /^(?:psql:.*?)?(?:ERROR|FATAL|PANIC):  (.*)$/m) { $r{error} = "?????: $1"; }
	elsif ($self->{lost}) { $r{error} = '08006: connection lost'; }
	$r{state} = substr($r{error}, 0, 5);
	$self->{out} = $self->{err} = '';
	return \%r;
}

sub ask
{
	my ($self, $sql) = @_;

	$self->start($sql);
	return $self->result;
}

# The same, but an error is fatal; returns the rows as one text.
sub safe
{
	my ($self, $sql) = @_;
	my $r = $self->ask($sql);

	die "$self->{name}: $sql: $r->{text}" if $r->{error} ne '';
	return join("\n", @{ $r->{rows} });
}

sub quit
{
	my ($self) = @_;

	local $SIG{PIPE} = 'IGNORE';
	close $self->{stdin};
	kill 'TERM', $self->{pid} if $self->{busy};
	waitpid($self->{pid}, 0);
	return;
}

1;
