# omen_check(): sound tables pass, every kind of damage is found and named.
#
# One table with old versions in its pages and in its store, which a prepared transaction keeps needed, is built once. Its file then
# replaces those of many other tables of the same shape, each copy with one thing wrong. All of them wait for the same restart of the
# server, and omen_check() must report each one's damage, with the place and the reason.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant BLOCK => 8192;
use constant STORE_SPECIAL => BLOCK - 16;
use constant NO_BLOCK => 0xFFFFFFFF;

my $file;    # the file being damaged
my $map;     # and its visibility map; undefined: it has none

# ---- pages ----

sub slurp { my ($name) = @_; local $/; open(my $f, '<:raw', $name) or die "$name: $!"; return scalar <$f>; }
sub spew { my ($name, $data) = @_; open(my $f, '>:raw', $name) or die "$name: $!"; print $f $data; close $f or die "$name: $!"; }

# Bytes of the file, by block and offset.
sub get { my ($block, $at, $format) = @_; return unpack($format, substr($file, $block * BLOCK + $at, 8)); }

sub put
{
	my ($block, $at, $format, $value) = @_;
	my $bytes = pack($format, $value);
	substr($file, $block * BLOCK + $at, length $bytes) = $bytes;
}

# A line pointer: offset, flags and length of an item.
sub pointer
{
	my ($block, $row) = @_;
	my $bits = get($block, 24 + 4 * ($row - 1), 'L');
	return ($bits & 0x7FFF, ($bits >> 15) & 3, $bits >> 17);
}

sub put_pointer
{
	my ($block, $row, $offset, $flags, $length) = @_;
	put($block, 24 + 4 * ($row - 1), 'L', $offset | $flags << 15 | $length << 17);
}

sub rows { my ($block) = @_; return (get($block, 12, 'S') - 24) / 4; }
sub is_store { my ($block) = @_; return get($block, 16, 'S') == STORE_SPECIAL; }

# The link at the end of an item: block, offset, length.
sub link_of { my ($block, $at, $length) = @_; return unpack('LSS', substr($file, $block * BLOCK + $at + $length - 8, 8)); }

sub put_link
{
	my ($block, $at, $length, @link) = @_;
	substr($file, $block * BLOCK + $at + $length - 8, 8) = pack('LSS', @link);
}

# Where things are in a tuple's header.
my %header = (xmin => [ 0, 'L' ], xmax => [ 4, 'L' ], ctid_offset => [ 16, 'S' ], infomask2 => [ 18, 'S' ],
	infomask => [ 20, 'S' ], hoff => [ 22, 'C' ]);

sub get_header { my ($block, $at, $name) = @_; return get($block, $at + $header{$name}[0], $header{$name}[1]); }
sub put_header { my ($block, $at, $name, $value) = @_; return put($block, $at + $header{$name}[0], $header{$name}[1], $value); }

# ---- the template ----

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(no_data_checksums => 1);
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_prepared_transactions = 5");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION omen_alex');

sub check
{
	my ($table) = @_;
	my $stderr;
	$node->psql('postgres', "\\set VERBOSITY verbose\nSELECT omen_check('$table')", stderr => \$stderr);
	return $stderr;
}

# name, how to damage $file or $map, place and reason that must be named; filled below
my @damage;
my @names = qw(pointer_out redirected columns_many hoff heap_only xmin_future xmin_old xmax_future overlap text_long ctid_none
	updated_mark link_out link_store_out link_store_other link_no_block link_row_block link_own_block older_ctid older_xmin record_row record_superseder record_length
	store_fill store_newest store_lower store_future page_kind page_lower page_zero_map map_only map_lies map_store unharmed unharmed_map);
$node->safe_psql('postgres', join "\n", map { "CREATE TABLE x_$_ (id int, v int, pad text) USING omen;" } @names);
$node->safe_psql('postgres', q{
	CREATE TABLE template (id int, v int, pad text) USING omen;
	CREATE TABLE vacuumed (id int, v int, pad text) USING omen;
	INSERT INTO vacuumed SELECT i, i, repeat('p', 90) FROM generate_series(1, 400) i;
	VACUUM vacuumed;
	INSERT INTO template SELECT i, i, repeat('p', 90) FROM generate_series(1, 400) i;
	BEGIN;
	CREATE TABLE witness ();
	PREPARE TRANSACTION 'old';
	-- full pages: what is replaced goes to the store; then there is room in some
	UPDATE template SET v = v + 1 WHERE id <= 200;
	UPDATE template SET v = v + 1 WHERE id <= 100;
	INSERT INTO template SELECT i, i, repeat('q', 90) FROM generate_series(401, 420) i;
	UPDATE template SET v = v + 1 WHERE id > 400;
	DELETE FROM template WHERE id = 50;
});
is(check('template'), '', 'a sound table passes');
like($node->safe_psql('postgres', q{SELECT rows, versions_in_page > 0, versions_in_store > 0 FROM omen_stats('template')}),
	qr/^419\|t\|t$/, 'the table has what this test needs');
my %path = map { my $t = $_; $t => $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$t')") }
	'template', 'vacuumed', map { "x_$_" } @names;
$node->stop;

my $template = slurp($path{template});
my $vacuumed = slurp($path{vacuumed});
my $vacuumed_map = slurp("$path{vacuumed}_vm");
$file = $template;
my $blocks = length($file) / BLOCK;

# A row whose older version is in its page, one whose is in the store, and one that has none; and a store page.
my (@in_page, @in_store, @single, $store);
for my $block (0 .. $blocks - 1)
{
	if (is_store($block)) { $store = $block unless defined $store; next; }
	for my $row (1 .. rows($block))
	{
		my ($at, $flags, $length) = pointer($block, $row);
		next if $flags != 1;
		my @link = link_of($block, $at, $length);
		my $place = { block => $block, row => $row, at => $at, length => $length, link => \@link };
		if ($link[1] == 0) { push @single, $place; }
		elsif ($link[0] == NO_BLOCK) { push @in_page, $place; }
		else { push @in_store, $place; }
	}
}
ok(@in_page && @in_store > 1 && @single > 1 && defined $store, 'found rows to damage');
my ($one, $two, $inpage, $instore, $other) = ($single[0], $single[1], $in_page[0], $in_store[0], $in_store[1]);

sub at_row { my ($r) = @_; return "row \\($r->{block},$r->{row}\\)"; }

# A damaged header of a row without older versions.
sub head_case
{
	my ($name, $field, $change, $reason) = @_;
	push @damage, [ $name, sub { put_header($one->{block}, $one->{at}, $field,
			$change->(get_header($one->{block}, $one->{at}, $field))) }, at_row($one), $reason ];
}

push @damage,
	[ pointer_out => sub { put_pointer($one->{block}, $one->{row}, 8, 1, $one->{length}) }, at_row($one), 'outside of the page' ],
	[ redirected => sub { put_pointer($one->{block}, $one->{row}, $two->{row}, 2, 0) }, at_row($one), 'redirection' ],
	[ overlap => sub { put_pointer($one->{block}, $one->{row}, $two->{at}, 1, $two->{length}) }, '(?:row|block) ', 'overlaps another' ],
	[ text_long => sub { put($one->{block}, $one->{at} + 24 + 8, 'L', 0x7FFFFFFC) }, at_row($one), 'columns need more room' ],
	[ ctid_none => sub { put_header($one->{block}, $one->{at}, 'ctid_offset', 0) }, at_row($one), 't_ctid is no place' ],
	[ updated_mark => sub { put_header($inpage->{block}, $inpage->{at}, 'infomask',
			get_header($inpage->{block}, $inpage->{at}, 'infomask') | 0x2000) }, at_row($inpage), 'first version at this place' ];
head_case(columns_many => 'infomask2', sub { $_[0] + 1 }, 'more columns');
head_case(hoff => 'hoff', sub { $_[0] + 8 }, 'header has the wrong length');
head_case(heap_only => 'infomask2', sub { $_[0] | 0x8000 }, 'heap-only chain');
head_case(xmin_future => 'xmin', sub { $_[0] + 1000000 }, 'xmin is in the future');
head_case(xmin_old => 'xmin', sub { 3 }, 'xmin is older than relfrozenxid');
push @damage, [ xmax_future => sub {
	put_header($one->{block}, $one->{at}, 'infomask', get_header($one->{block}, $one->{at}, 'infomask') & ~0x0800);
	put_header($one->{block}, $one->{at}, 'xmax', 1000000); }, at_row($one), 'xmax is in the future' ];

# links
sub link_case
{
	my ($name, $row, $link, $reason) = @_;
	push @damage, [ $name, sub { put_link($row->{block}, $row->{at}, $row->{length}, @$link) }, at_row($row), $reason ];
}
link_case(link_out => $inpage, [ NO_BLOCK, 64, $inpage->{link}[2] ], 'outside of the page');
link_case(link_own_block => $instore, [ $instore->{block}, @{ $instore->{link} }[ 1, 2 ] ], q{row's own block});
link_case(link_store_out => $instore, [ $instore->{link}[0], 8168, $instore->{link}[2] ], 'no place for a version');
link_case(link_store_other => $instore, $other->{link}, 'another record in its place');
link_case(link_no_block => $instore, [ $blocks + 5, @{ $instore->{link} }[ 1, 2 ] ], 'block the table does not have');
link_case(link_row_block => $instore, [ $instore->{block} == 0 ? 1 : 0, @{ $instore->{link} }[ 1, 2 ] ], 'no store page');

# older versions and records
my ($sblock, $sat) = @{ $instore->{link} };
push @damage,
	[ older_ctid => sub { put_header($inpage->{block}, $inpage->{link}[1], 'ctid_offset', $inpage->{row} + 1) },
		at_row($inpage), 't_ctid does not name its row' ],
	[ older_xmin => sub { put_header($inpage->{block}, $inpage->{link}[1], 'infomask',
			get_header($inpage->{block}, $inpage->{link}[1], 'infomask') & ~0x0300 | 0x0200) },
		at_row($inpage), 'not written by one' ],
	[ record_row => sub { put($sblock, $sat + 4, 'S', $instore->{row} + 1) }, at_row($instore), 'another record' ],
	[ record_superseder => sub { put($sblock, $sat + 8, 'L', get($sblock, $sat + 8, 'L') - 1) }, at_row($instore), 'another record' ],
	[ record_length => sub { put($sblock, $sat + 6, 'S', 8000) }, '(?:row|block) ', 'another record|do not fill' ],
	[ store_fill => sub { put($store, STORE_SPECIAL + 6, 'S', BLOCK) }, '(?:row|block) ', 'fuller than full|ends where it cannot' ],
	[ store_newest => sub { put($store, STORE_SPECIAL + 8, 'L', get($store, STORE_SPECIAL + 8, 'L') - 100) }, "block $store",
		'newer transaction than the page' ],
	[ store_future => sub { put($store, STORE_SPECIAL + 8, 'L', 1000000) }, "block $store", 'newest transaction is in the future' ],
	[ store_lower => sub { put($store, 12, 'S', 28); put($store, 14, 'S', 28) }, "block $store", 'does not look full' ];

# pages
push @damage,
	[ page_kind => sub { put($one->{block}, 16, 'S', BLOCK - 32) }, '\(', 'neither a row page nor a store page' ],
	[ page_lower => sub { put($one->{block}, 12, 'S', get($one->{block}, 12, 'S') + 2) }, "block $one->{block}", 'header is not sound' ],
	[ page_zero_map => sub { substr($file, 0, BLOCK) = "\0" x BLOCK; $map = $vacuumed_map; }, 'block 0', 'all zeroes' ],
	[ map_only => sub { $map = $vacuumed_map; }, 'block 0', 'by the visibility map, but not by the page' ],
	[ map_lies => sub {
		$map = $vacuumed_map;
		put($_, 10, 'S', get($_, 10, 'S') | 4) for 0 .. $blocks - 1; }, 'row \(', 'but it was deleted' ],
	[ map_store => sub { put($store, 10, 'S', get($store, 10, 'S') | 4) }, "block $store", 'store page is marked all-visible' ],
	[ unharmed => sub { }, undef, undef ],
	[ unharmed_map => sub { $file = $vacuumed; $map = $vacuumed_map; }, undef, undef ];

is(join(' ', sort map { $_->[0] } @damage), join(' ', sort @names), 'every table gets its damage');

# ---- damage ----

for my $case (@damage)
{
	my ($name, $damage) = @$case;

	$file = $template;
	$map = undef;
	$damage->();
	ok($file ne $template || defined $map, "$name is damaged") if defined $case->[2];
	spew($path{"x_$name"}, $file);
	spew($path{"x_$name"} . '_vm', $map) if defined $map;
}
$node->start;

for my $case (@damage)
{
	my ($name, undef, $place, $reason) = @$case;
	my $error = check("x_$name");

	if (!defined $place)
	{
		is($error, '', "$name passes");
		next;
	}
	like($error, qr/(?:ERROR|WARNING):  XX001: .*(?:$reason)/s, "$name is found");
	like($error, qr/XX001: .*$place/s, "$name: names the place");
	like($error, qr/HINT: /, "$name: says what to do");
}

# Nobody can need the old versions now: what the links lead to does not matter.
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'old'});
is(check("x_$_"), '', "$_ does not matter any more") for qw(link_out link_store_other link_no_block link_row_block older_ctid record_row record_superseder);
is($node->safe_psql('postgres', 'SELECT count(*), sum(v) FROM x_link_no_block'),
	$node->safe_psql('postgres', 'SELECT count(*), sum(v) FROM template'), 'and is not read');

done_testing();
