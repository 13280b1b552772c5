# Links that lead nowhere, back to where they came from, or behind the end of a file that was cut off: in alex indexes, and in omen tables.
#
# Nothing may hang (a wait for one's own page lock cannot be interrupted) or crash, and each statement works or raises the error that is
# documented, with a hint.

use strict;
use warnings;
use lib 'regress/t';
use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

use constant BLOCK => 8192;
use constant NO_BLOCK => 0xFFFFFFFF;
use constant FAR => 0x7FFFFFF0;    # in a segment that is not there

my $node = omen_node('main', no_data_checksums => 1);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION omen_alex');
sub sql { return $node->safe_psql('postgres', @_); }

# What a statement says: an error with SQLSTATE, detail and hint; empty; or 'hangs'.
sub try
{
	my ($statement) = @_;
	my ($stderr, $late);
	$node->psql('postgres', "\\set VERBOSITY verbose\nSET client_min_messages = error;\n$statement", stderr => \$stderr, timeout => 120, timed_out => \$late);
	return $late ? 'hangs' : $stderr;
}

sub slurp { my ($name) = @_; local $/; open(my $f, '<:raw', $name) or die "$name: $!"; return scalar <$f>; }
sub spew { my ($name, $data) = @_; open(my $f, '>:raw', $name) or die "$name: $!"; print $f $data; close $f or die "$name: $!"; }
sub path { return $node->data_dir . '/' . sql("SELECT pg_relation_filepath('$_[0]')"); }

# ---- alex ----

my $rows = 60000;
my @damage = (
	[ cut_1 => sub { $_[0] = substr($_[0], 0, -BLOCK) } ],
	[ cut_2 => sub { $_[0] = substr($_[0], 0, -2 * BLOCK()) } ],
	[ cut_9 => sub { $_[0] = substr($_[0], 0, -9 * BLOCK()) } ],
	[ cut_half => sub { $_[0] = substr($_[0], 0, int(length($_[0]) / BLOCK / 2) * BLOCK) } ],
	[ cut_root => sub { $_[0] = substr($_[0], 0, BLOCK) } ],
	[ cut_all => sub { $_[0] = '' } ],
	[ right_self => sub { link_to($_[0], 'right', sub { $_[0] }) } ],
	[ right_back => sub { link_to($_[0], 'right', sub { $_[1] }) } ],
	[ right_skip => sub { link_to($_[0], 'right', sub { $_[0] + 3 }) } ],
	[ right_end => sub { link_to($_[0], 'right', sub { length($_[3]) / BLOCK + 5 }) } ],
	[ right_far => sub { link_to($_[0], 'right', sub { FAR }) } ],
	[ right_root => sub { link_to($_[0], 'right', sub { 1 }) } ],
	[ left_self => sub { link_to($_[0], 'left', sub { $_[0] }) } ],
	[ left_end => sub { link_to($_[0], 'left', sub { length($_[3]) / BLOCK + 5 }) } ],
	[ left_far => sub { link_to($_[0], 'left', sub { FAR }) } ],
	[ btree => sub { $_[0] = slurp(path('other_k')) } ],
	[ fine => sub { } ]);

# Another index, of another access method.
sql("CREATE TABLE other (k int8); INSERT INTO other SELECT hashint8extended(i, 0) FROM generate_series(1, $rows) i; CREATE INDEX other_k ON other (k)");
my @names = map { $_->[0] } @damage;
for my $name (@names)
{
	sql("CREATE TABLE $name (k int8); INSERT INTO $name SELECT hashint8extended(i, 0) FROM generate_series(1, $rows) i; CREATE INDEX ${name}_k ON $name USING alex (k)");
}
my %path = map { $_ => path("${_}_k") } @names, 'other';

# The leaf in the middle whose links are changed; where they are in its header follows from what they are.
my ($leaf, $left, $right) = split /\|/, sql("SELECT b, left_link, right_link FROM generate_series(2, pg_relation_size('fine_k') / 8192 - 1) b, alex_page('fine_k', b)
	WHERE kind = 'leaf' AND left_link IS NOT NULL AND right_link IS NOT NULL ORDER BY b OFFSET 10 LIMIT 1");
sql('CHECKPOINT');
my $at = index(substr(slurp($path{fine}), $leaf * BLOCK + 24, 64), pack('LL', $left, $right));
ok($at >= 0, 'found the links of a leaf');
$at += 24;

sub link_to
{
	my (undef, $which, $to) = @_;
	my $value = $to->($leaf, $left, $right, $_[0]);
	substr($_[0], $leaf * BLOCK + $at + ($which eq 'right' ? 4 : 0), 4) = pack('L', $value);
}
$node->stop;
my $btree = slurp($path{other});
for my $case (@damage)
{
	my ($name, $change) = @$case;
	my $data = $name eq 'btree' ? $btree : slurp($path{$name});
	$change->($data) unless $name eq 'btree';
	spew($path{$name}, $data);
}
$node->start;

# Reads, and then writes that split every leaf, and VACUUM, which goes through them all.
my @statements = (
	[ 'a probe', 'SELECT count(*) FROM %1$s WHERE k = hashint8extended(77, 0)' ],
	[ 'a scan', 'SELECT count(*), sum(k::numeric) FROM %1$s WHERE k > -9e18' ],
	[ 'a scan backward', 'SELECT count(*) FROM (SELECT k FROM %1$s ORDER BY k DESC) s' ],
	[ 'probes', 'SELECT count(t.k) FROM generate_series(1, 60000) i LEFT JOIN LATERAL (SELECT k FROM %1$s WHERE k = hashint8extended(i, 0) OFFSET 0) t ON true' ],
	[ 'inserts', 'INSERT INTO %1$s SELECT hashint8extended(i, 0) FROM generate_series(60001, 120000) i' ],
	[ 'more inserts', 'INSERT INTO %1$s SELECT hashint8extended(i, 0) FROM generate_series(120001, 180000) i' ],
	[ 'VACUUM', 'DELETE FROM %1$s WHERE k %% 3 = 0; VACUUM %1$s' ],
	[ 'alex_check()', q{SELECT alex_check('%1$s_k')} ]);

for my $name (@names)
{
	my $raised = 0;
	for my $s (@statements)
	{
		my ($what, $statement) = @$s;
		my $error = try("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; " . sprintf($statement, $name));

		like($error, qr/^$|ERROR:  XX002: index "${name}_k" .*HINT:  REINDEX/s, "$name: $what");
		$raised++ if $error ne '';
		BAIL_OUT("$name: $what hangs") if $error eq 'hangs';
	}
	is($raised > 0, $name ne 'fine', "$name: " . ($name eq 'fine' ? 'nothing is wrong' : 'something is said to be wrong'));
	sql("REINDEX INDEX ${name}_k");
	is(try("SELECT alex_check('${name}_k', true)"), '', "$name: REINDEX mends it");
}

# ---- omen: where older versions are ----

# All rows were updated by a transaction that was rolled back, in full pages: what counts is behind the links.
sub make_table
{
	my ($name) = @_;
	sql(qq{CREATE TABLE $name (id int, v int, pad text) USING omen WITH (autovacuum_enabled = off);
		INSERT INTO $name SELECT i, i, repeat('p', 90) FROM generate_series(1, 400) i;
		CREATE INDEX ${name}_id ON $name (id);
		BEGIN; UPDATE $name SET } . ($name eq 'text_long_older' ? q{pad = repeat('q', 20)} : 'v = -v') . '; ROLLBACK');
}
my %links = (link_end => sub { (length($_[0]) / BLOCK + 5, 24) }, link_far => sub { (FAR, 24) }, link_own => sub { (0, 24) },
	link_rows => sub { (1, 24) }, link_out => sub { ($_[1], 8176) }, link_page => sub { (NO_BLOCK, 8184 - 16) });
my @tables = (sort(keys %links), qw(text_long text_long_older cut));
make_table($_) for @tables;
%path = map { $_ => path($_) } @tables;
$node->stop;

# The head of row 1, in block 0: its offset, length and link.
sub head
{
	my $bits = unpack('L', substr($_[0], 24, 4));
	my ($at, $length) = ($bits & 0x7FFF, $bits >> 17);
	return ($at, $length, unpack('LSS', substr($_[0], $at + $length - 8, 8)));
}
for my $name (@tables)
{
	my $data = slurp($path{$name});
	my ($at, $length, $block, $offset, $older) = head($data);

	die "row 1 of $name has no version in the store" if $block == NO_BLOCK || $offset == 0;
	if ($links{$name}) { substr($data, $at + $length - 8, 8) = pack('LSS', $links{$name}->($data, $block), $older); }
	elsif ($name eq 'cut') { $data = substr($data, 0, 3 * BLOCK); }
	# the length of the text, behind two integers
	elsif ($name eq 'text_long') { substr($data, $at + 24 + 8, 4) = pack('L', 0x7FFFFFFC); }
	# what is stored of the older version is what differs from the newer one, its text with the byte of its length
	else
	{
		my $text = index($data, 'p' x 80, $block * BLOCK + $offset);
		die "the older version's text is not where it should be" if $text < 0 || $text > $block * BLOCK + $offset + 100;
		substr($data, $text - 1, 4) = pack('L', 0x7FFFFFFC);
	}
	spew($path{$name}, $data);
}
$node->start;

my $documented = qr/ERROR:  XX001: (?:table|index) .*HINT:  /s;
for my $name (sort keys %links)
{
	for my $s ([ 'a scan', 'SELECT sum(v) FROM %s' ], [ 'an index scan', 'SET enable_seqscan = off; SELECT sum(v) FROM %s WHERE id < 10' ],
		[ 'an update', 'UPDATE %s SET v = 0 WHERE id = 1' ], [ 'a delete', 'DELETE FROM %s WHERE id = 1' ],
		[ 'a lock', 'SELECT * FROM %s WHERE id = 1 FOR UPDATE' ], [ 'VACUUM', 'VACUUM %s' ], [ 'VACUUM FULL', 'VACUUM FULL %s' ],
		[ 'omen_check()', q{SELECT omen_check('%s')} ])
	{
		my ($what, $statement) = @$s;
		my $error = try(sprintf($statement, $name));

		like($error, $documented, "$name: $what");
		BAIL_OUT("$name: $what hangs") if $error eq 'hangs';
	}
}
for my $name (qw(text_long text_long_older))
{
	# the head was rolled back, so that only the version behind it is copied, which is made of the head's bytes where they are the same
	like(try("VACUUM FULL $name"), $documented, "$name: VACUUM FULL");
	like(try("CLUSTER $name USING ${name}_id"), $documented, "$name: CLUSTER");
}

# rows that the index still names
like(try('SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT sum(v) FROM cut WHERE id > 0'), $documented, 'cut: an index scan');
like(try('SET enable_seqscan = off; SET enable_indexscan = off; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(v) FROM cut WHERE id > 0'),
	qr/^$|$documented/, 'cut: a bitmap scan');
like(try('SET enable_seqscan = off; SET enable_bitmapscan = off; UPDATE cut SET v = 1 WHERE id > 0'), $documented, 'cut: an update');
like(try(q{SELECT omen_check('cut')}), $documented, 'cut: omen_check()');

ok(!$node->log_contains('terminated by signal|PANIC'), 'nothing crashed') if $node->can('log_contains');
unlike(slurp($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'nothing crashed, the log says');

done_testing();
