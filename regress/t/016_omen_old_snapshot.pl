# Snapshots that are older than old_snapshot_threshold allows (PostgreSQL 15
# and 16): whatever VACUUM then removes, freezes or marks as visible to all,
# such a snapshot sees what it saw, or is told that it is too old; never
# anything else.  Later versions do not have the setting: there it sees what
# it saw.  Takes two minutes where there is the setting.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = tam();
my $node = omen_node('old_snapshot');
my $limited = $node->pg_version < 17;
$node->append_conf('postgresql.conf', "old_snapshot_threshold = 1min\n") if $limited;
$node->start;
omen_setup($node);

# How an old snapshot reads: settings, a query that counts and adds up what it must see, and its plan.
my $all = q{SELECT count(*), sum(n), sum(hashtext(pad)::int8), sum(k) FROM };
my %way = (
	'a sequential scan' => [ 'seqscan', "$all TAB", qr/Seq Scan/ ],
	'an index scan' => [ 'indexscan', "$all TAB WHERE k > 0", qr/Index Scan/ ],
	'a bitmap scan' => [ 'bitmapscan', "$all TAB WHERE k > 0", qr/Bitmap Heap Scan/ ],
	'an index-only scan' => [ 'indexonlyscan', 'SELECT count(k), sum(k) FROM TAB WHERE k > 0', qr/Index Only Scan/ ],
	'by TID' => [ 'tidscan', "$all TAB WHERE " . q{ctid = ANY (ARRAY(SELECT format('(%s,%s)', b, o)::tid FROM generate_series(0, 60) b, generate_series(1, 120) o WHERE b < pg_relation_size('TAB') / 8192))}, qr/Tid Scan/ ],
	'by a range of TIDs' => [ 'tidscan', "$all TAB WHERE ctid >= '(0,0)'", qr/Tid Range Scan/ ],
	'a sample' => [ 'seqscan', "$all TAB TABLESAMPLE SYSTEM (100)", qr/Sample Scan/ ],
);
sub settings
{
	my ($way) = @_;
	my %on = ($way->[0] => 1, $way->[0] eq 'indexonlyscan' ? (indexscan => 1) : ());

	return join('', map { "SET enable_$_ = " . ($on{$_} ? 'on' : 'off') . ';' } qw(seqscan indexscan bitmapscan indexonlyscan tidscan));
}
sub query { my ($way, $table) = @_; return $way->[1] =~ s/\bTAB\b/$table/gr; }

# What becomes of each table: changed in place or in every way there is, then cleaned up by one of these.
my %cleaned = (
	vacuumed => 'VACUUM TAB',
	frozen => 'VACUUM (FREEZE) TAB',
	uncleaned => 'VACUUM (INDEX_CLEANUP OFF) TAB',
	pruned => q{SELECT sum(n) FROM TAB; UPDATE TAB SET n = n + 1 WHERE id % 5 = 0},
);
my @tables = ('untouched', map { ($_, "${_}_all") } sort keys %cleaned);
for my $table (@tables)
{
	# Some rows have older versions from the beginning.
	$node->safe_psql('postgres', <<SQL);
CREATE TABLE $table (id int, k int8, n int8, pad text) USING $am;
CREATE INDEX ${table}_k ON $table (k);
INSERT INTO $table SELECT i, i, 0, repeat('p', i % 90) FROM generate_series(1, 1500) i;
VACUUM ANALYZE $table;
UPDATE $table SET n = n + 1 WHERE id % 2 = 0;
SQL
}
$node->safe_psql('postgres', 'CREATE TABLE other (i int); VACUUM untouched');
like($node->safe_psql('postgres', settings($way{$_}) . 'EXPLAIN (COSTS OFF) ' . query($way{$_}, 'vacuumed')), $way{$_}[2], $_) for sort keys %way;
my %want;
for my $name (sort keys %way)
{
	$want{$name}{$_} = $node->safe_psql('postgres', settings($way{$name}) . query($way{$name}, $_)) for @tables;
}
my %old = map { $_ => OmenTest::Session->new($node, $_) } sort keys %way;
$old{$_}->safe(settings($way{$_}) . 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM untouched') for sort keys %old;

for my $table (grep { $_ ne 'untouched' } @tables)
{
	# More than the pages have room for.
	$node->safe_psql('postgres', "UPDATE $table SET n = n + $_, pad = repeat('u', length(pad)) WHERE id % 3 <> $_ % 3") for 1 .. 4;
	next if $table !~ /_all/;
	$node->safe_psql('postgres', "UPDATE $table SET k = k + 10000 WHERE id % 7 = 0; DELETE FROM $table WHERE id % 11 = 0 OR id BETWEEN 400 AND 600; INSERT INTO $table SELECT i, i, 5, 'new' FROM generate_series(2001, 2300) i");
}
# The server keeps the account by whole minutes, and of transactions that there were in each.
for (1 .. ($limited ? 25 : 0))
{
	$node->safe_psql('postgres', "INSERT INTO other VALUES ($_)");
	sleep 5;
}
for my $table (grep { $_ ne 'untouched' } @tables)
{
	my $clean = $cleaned{ $table =~ s/_all$//r } =~ s/\bTAB\b/$table/gr;

	$node->safe_psql('postgres', $clean) for 1, 2;
	# The room is used again.
	$node->safe_psql('postgres', "UPDATE $table SET n = n + 1, pad = repeat('v', length(pad)) WHERE id % 4 = 1; INSERT INTO $table SELECT i, i, 6, 'newer' FROM generate_series(3001, 3400) i");
}

my $too_old = 0;
for my $name (sort keys %old)
{
	my @wrong;

	for my $table (@tables)
	{
		$old{$name}->safe('SAVEPOINT a');
		my $r = $old{$name}->ask(query($way{$name}, $table));
		$old{$name}->safe('ROLLBACK TO a; RELEASE a');
		next if $r->{error} eq '' && $r->{rows}[0] eq $want{$name}{$table};
		if ($limited && $table ne 'untouched' && $r->{error} =~ /^72000: snapshot too old/) { $too_old++; next; }
		push @wrong, "$table: $r->{error} @{ $r->{rows} }, not $want{$name}{$table}";
	}
	is(join("\n", @wrong), '', "$name with an old snapshot");
	$old{$name}->quit;
}
if ($limited) { cmp_ok($too_old, '>', 0, "$too_old times it was too old"); }
table_sound($node, 'in the end', @tables);
clean_log($node);
$node->stop('immediate');
done_testing();
