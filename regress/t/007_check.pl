# alex_check(): sound indexes pass, every kind of damage is found and named.
#
# One index with everything in it (three levels, deltas in leaves and inner nodes, entries removed in place, deleted pages) is built once. Its
# file then replaces those of many other indexes of the same shape, each copy with one thing wrong. All of them wait for
# the same restart of the server, and alex_check() must report each one's damage, with the block and the reason.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant BLOCK => 8192;
use constant WORDS => 2;    # key words of uuid
use constant NO_BLOCK => 0xFFFFFFFF;
use constant DELETED => 1;
use constant INCOMPLETE_SPLIT => 2;

# Where things are in a page; see alex_format.h. The fences are those of keys of two words.
my %field = (
	pd_lower => [ 12, 'S' ],
	pd_upper => [ 14, 'S' ],
	pd_special => [ 16, 'S' ],
	magic => [ 24, 'L' ],
	version => [ 28, 'S' ],
	level => [ 30, 'C' ],
	flags => [ 31, 'C' ],
	left => [ 32, 'L' ],
	right => [ 36, 'L' ],
	count => [ 40, 'L' ],
	radix => [ 44, 'S' ],
	words => [ 64, 'S' ],
	model_word => [ 62, 'C' ],
	removed => [ 46, 'S' ],
	key_frame_log2 => [ 80, 'C' ],
	key_start => [ 82, 'S' ],
	tie_start => [ 86, 'S' ],
	delta_bytes => [ 81, 'C' ],
	low_key => [ 96, 'Q' ],
	low_tie => [ 112, 'Q' ],
	high_key => [ 120, 'Q' ],
	high_tie => [ 136, 'Q' ],
	columns => [ 63, 'C' ],
	high_words => [ 72, 'S' ],
	meta_strings => [ 36, 'L' ],
	meta_rest => [ 60, 'L' ],);

my $file;    # the file being damaged

sub get
{
	my ($block, $name) = @_;
	my ($offset, $format) = @{ $field{$name} };
	return unpack($format, substr($file, $block * BLOCK + $offset, 8));
}

sub put
{
	my ($block, $name, $value) = @_;
	my ($offset, $format) = @{ $field{$name} };
	my $bytes = pack($format, $value);
	substr($file, $block * BLOCK + $offset, length $bytes) = $bytes;
}

sub get_page { return substr($file, $_[0] * BLOCK, BLOCK); }
sub put_page { substr($file, $_[0] * BLOCK, BLOCK) = $_[1]; }

# The slots of a node's delta: bytes of each column.
sub slot_columns
{
	my ($block) = @_;
	my $columns = get($block, 'columns');
	return map { unpack('C', substr($file, $block * BLOCK + 81 + 4 * $_, 1)) } 0 .. $columns - 1;
}

# Where the newest record of a delta is in the file, and how long it is: behind the empty slots, whose last column is zero.
sub newest
{
	my ($block) = @_;
	my @bytes = slot_columns($block);
	my $slot = 0;
	$slot += $_ for @bytes;
	my $at = $block * BLOCK + get($block, 'pd_upper');

	die "no record in the delta of block $block" if $slot == 0;
	$at += $slot while substr($file, $at + $slot - $bytes[-1], $bytes[-1]) =~ /^\0*$/;
	return ($at, $slot);
}

# Column i of it, as the slot has it.
sub newest_column
{
	my ($block, $column) = @_;
	my @bytes = slot_columns($block);
	my ($at) = newest($block);

	$at += $bytes[$_] for 0 .. $column - 1;
	return ($at, $bytes[$column]);
}
sub get_newest { my ($at, $bytes) = newest_column(@_); return unpack('Q', substr($file, $at, $bytes) . "\0" x (8 - $bytes)); }
sub put_newest { my $value = pop; my ($at, $bytes) = newest_column(@_); substr($file, $at, $bytes) = substr(pack('Q', $value), 0, $bytes); }
sub copy_newest { my ($at, $slot) = newest(@_); substr($file, $at, $slot) = substr($file, $at + $slot, $slot); }
sub remove_newest { my ($at, $slot) = newest(@_); substr($file, $at, $slot) = "\0" x $slot; }

sub slurp { my ($name) = @_; local $/; open(my $f, '<:raw', $name) or die "$name: $!"; return scalar <$f>; }
sub spew { my ($name, $data) = @_; open(my $f, '>:raw', $name) or die "$name: $!"; print $f $data; close $f or die "$name: $!"; }

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, no_data_checksums => 1);
$node->append_conf('postgresql.conf', "autovacuum = off\nmaintenance_work_mem = 64MB\nmax_wal_size = 4GB");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION omen_alex');

# Calls alex_check and returns its error, with SQLSTATE and detail; empty if there was none.
sub check
{
	my ($on, $index, $rows) = @_;
	my $stderr;
	$on->psql('postgres', "\\set VERBOSITY verbose\nSELECT alex_check('$index', " . ($rows ? 'true' : 'false') . ')',
		stderr => \$stderr);
	return $stderr;
}

# ---- the template ----

$node->safe_psql('postgres', q{
	CREATE TABLE t (k uuid);
	INSERT INTO t SELECT md5(i::text)::uuid FROM generate_series(1, 350000) i;
	CREATE INDEX template ON t USING alex (k) WITH (fillfactor = 50);
	DELETE FROM t WHERE k BETWEEN 'c0000000-0000-0000-0000-000000000000' AND 'ca000000-0000-0000-0000-000000000000';
	DELETE FROM t WHERE k BETWEEN 'd0000000-0000-0000-0000-000000000000' AND 'd8000000-0000-0000-0000-000000000000' AND k::text ~ '[0-3]$';
	DELETE FROM t WHERE k BETWEEN 'd9000000-0000-0000-0000-000000000000' AND 'df000000-0000-0000-0000-000000000000' AND k::text ~ '[0-7]0$';
	VACUUM t;
	INSERT INTO t SELECT overlay(md5(i::text) placing '4000' from 1)::uuid FROM generate_series(1, 2500) i;
	INSERT INTO t SELECT overlay(md5(i::text) placing '6000' from 1)::uuid FROM generate_series(1, 5) i;
});

my $blocks = $node->safe_psql('postgres', q{SELECT pg_relation_size('template') / 8192});
is(check($node, 'template', 1), '', 'a sound index passes');
is( $node->safe_psql('postgres', q{SELECT height, deleted_pages > 0, inner_pages > 2,
		1 + leaf_pages + inner_pages + deleted_pages + empty_pages = pg_relation_size('template') / 8192,
		index_bytes = pg_relation_size('template'), entries = (SELECT count(*) FROM t),
		delta_entries > 0, abs(bytes_per_key * entries - index_bytes) < 1, leaf_fill BETWEEN 0.3 AND 1,
		delta_fill BETWEEN 0 AND 1, model_error BETWEEN 0 AND 200
	FROM alex_stats('template')}),
	'3|t|t|t|t|t|t|t|t|t|t', 'alex_stats: the index has what this test needs, and its figures agree');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FILTER (WHERE kind = 'meta'), count(*) FILTER (WHERE detail IS NOT NULL),
			count(*) FILTER (WHERE kind = 'leaf') = s.leaf_pages, count(*) FILTER (WHERE kind = 'inner') = s.inner_pages,
			count(*) FILTER (WHERE kind = 'deleted') = s.deleted_pages,
			sum(base_count + delta_count) FILTER (WHERE kind = 'leaf') = s.entries,
			sum(delta_count) FILTER (WHERE kind = 'leaf') = s.delta_entries
		FROM alex_stats('template') s, generate_series(0, pg_relation_size('template') / 8192 - 1) b, alex_page('template', b)
		GROUP BY s.leaf_pages, s.inner_pages, s.deleted_pages, s.entries, s.delta_entries}),
	'1|0|t|t|t|t|t', 'alex_page and alex_stats tell the same');

# Blocks to damage: an inner node with a fresh separator, the leaf it leads to, a leaf with fresh records ...
sub one_block
{
	return $node->safe_psql('postgres', "SELECT b FROM generate_series(0, $blocks - 1) b, alex_page('template', b)
		WHERE $_[0] ORDER BY b LIMIT 1");
}
my $inner = one_block(q{kind = 'inner' AND level = 1 AND delta_count > 0});
my $inner2 = one_block(q{kind = 'inner' AND level = 1 AND left_link IS NOT NULL});
my $leaf = one_block(q{kind = 'leaf' AND delta_count >= 2 AND low_fence < '6000' AND high_fence > '6000'});
my $first = one_block(q{kind = 'leaf' AND left_link IS NULL});
my $last = one_block(q{kind = 'leaf' AND right_link IS NULL});
my $deleted = one_block(q{kind = 'deleted'});
my $thinned = one_block(q{kind = 'leaf' AND removed_count > (base_count + removed_count) / 16 + 1 AND (base_count + removed_count) % 8 <> 0});
my $listed = one_block(q{kind = 'leaf' AND removed_count BETWEEN 2 AND (base_count + removed_count) / 20});
ok($_, 'found a block to damage') for $inner, $inner2, $leaf, $first, $last, $deleted, $thinned, $listed;
my $root = 1;

$node->safe_psql('postgres', 'CHECKPOINT');
my $data_dir = $node->data_dir;
my $template = "$data_dir/" . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('template')});
$file = slurp($template);
my ($left, $right) = (get($leaf, 'left'), get($leaf, 'right'));
my $right2 = get($right, 'right');
my $child = get_newest($inner, WORDS + 1);       # the right half of the latest split ...
my $parted = get($child, 'left');                # ... and its left half

# ---- what can be wrong ----
#
# name, does it take the rows to notice, how to damage $file, block that must be named, reason that must be given

my @damage = (
	# the metapage
	[ 'meta_magic', 0, sub { put(0, 'magic', 0) }, 0, qr/The metapage is missing/ ],
	[ 'meta_strings', 0, sub { put(0, 'meta_strings', 1) }, 0, qr/The metapage has no codes for the string columns/ ],
	[ 'meta_rest', 0, sub { put(0, 'meta_rest', 1) }, 0, qr/The metapage differs/ ],
	[ 'meta_zero', 0, sub { put_page(0, "\0" x BLOCK) }, 0, qr/The metapage is missing/ ],

	# the file
	[ 'file_empty', 0, sub { $file = '' }, 0, qr/only 0 blocks/ ],
	[ 'file_short', 0, sub { $file = substr($file, 0, BLOCK) }, 1, qr/only 1 blocks/ ],
	[ 'file_cut', 0, sub { $file = substr($file, 0, length($file) - 20 * BLOCK) }, '\d+', qr/leads to block \d+, .* has \d+ blocks/ ],
	[ 'swapped', 0, sub { my $a = get_page($leaf); put_page($leaf, get_page($right2)); put_page($right2, $a) },
		"(?:$leaf|$right2|$right)", qr/left link/ ],

	# one node by itself
	[ 'root_zero', 0, sub { put_page($root, "\0" x BLOCK) }, $root, qr/all zeroes/ ],
	[ 'root_deleted', 0, sub { put($root, 'flags', DELETED) }, $root, qr/root is deleted/ ],
	[ 'root_sibling', 0, sub { put($root, 'right', $leaf); put($root, 'high_words', 2); put($root, 'high_key', ~0) }, $root, qr/root has a sibling/ ],
	[ 'magic', 0, sub { put($leaf, 'magic', 1) }, $leaf, qr/not an alex node/ ],
	[ 'version', 0, sub { put($leaf, 'version', 9) }, $leaf, qr/another format version/ ],
	[ 'words', 0, sub { put($leaf, 'words', 1) }, $leaf, qr/another number of key words/ ],
	[ 'upper', 0, sub { put($leaf, 'pd_upper', get($leaf, 'pd_upper') - 8) }, $leaf, qr/whole number of records/ ],
	[ 'slots', 0, sub { put($leaf, 'delta_bytes', 9) }, $leaf, qr/delta has an impossible layout/ ],
	[ 'gap', 0, sub { put($leaf, 'pd_upper', get($leaf, 'pd_upper') - (newest($leaf))[1]); substr($file, $leaf * BLOCK + get($leaf, 'pd_upper'), 1) = 'x' },
		$leaf, qr/empty slot before one that is not/ ],
	[ 'hole', 0, sub { substr($file, $leaf * BLOCK + get($leaf, 'pd_upper') - 1, 1) = 'x' }, $leaf, qr/free space of the node is not zeroed/ ],
	[ 'lower', 0, sub { put($leaf, 'pd_lower', get($leaf, 'pd_lower') - 64) }, $leaf, qr/outside the base/ ],
	[ 'count', 0, sub { put($leaf, 'count', 50000) }, $leaf, qr/record count is impossible/ ],
	[ 'radix', 0, sub { put($leaf, 'radix', 0) }, $leaf, qr/TID radix/ ],
	[ 'model', 0, sub { put($leaf, 'model_word', 9) }, $leaf, qr/model is impossible/ ],
	[ 'column', 0, sub { put($leaf, 'tie_start', BLOCK - 8) }, $leaf, qr/frame directory lies outside/ ],
	[ 'removed', 0, sub { put($thinned, 'removed', get($thinned, 'removed') - 8) }, $thinned, qr/note of removed records has an impossible length/ ],
	[ 'removed_lost', 0, sub { put($thinned, 'removed', 0); put($thinned, 'pd_lower', get($thinned, 'pd_lower') + 7 & ~7) }, $thinned, qr/base has a wrong size/ ],
	[ 'removed_odd', 0, sub { put($thinned, 'removed', 0); put($thinned, 'pd_lower', get($thinned, 'pd_lower') | 1) }, $thinned, qr/base is not whole words/ ],
	[ 'removed_none', 0, sub { substr($file, $thinned * BLOCK + get($thinned, 'pd_lower') - 1, 1) |= "\x80" }, $thinned, qr/record that is not there is removed/ ],
	[ 'listed_half', 0, sub { put($listed, 'pd_lower', get($listed, 'pd_lower') + 1) }, $listed, qr/note of removed records has an impossible length/ ],
	[ 'listed_none', 0, sub { substr($file, $listed * BLOCK + get($listed, 'pd_lower') - 1, 1) |= "\x80" }, $listed, qr/list of removed records is out of order/ ],
	[ 'listed_twice', 0, sub { my $at = $listed * BLOCK + get($listed, 'pd_lower'); substr($file, $at - 4, 2) = substr($file, $at - 2, 2) },
		$listed, qr/list of removed records is out of order/ ],
	[ 'flags', 0, sub { put($leaf, 'flags', 0x40) }, $leaf, qr/unknown flags 0x40/ ],
	[ 'fences', 0, sub { put($leaf, 'high_key', 0) }, $leaf, qr/fences are out of order/ ],
	[ 'outside', 0, sub { put_newest($leaf, 0, ~0) }, $leaf, qr/outside the fences/ ],
	[ 'twice', 0, sub { copy_newest($leaf) }, $leaf, qr/stored twice/ ],
	[ 'tid', 0, sub { put_newest($leaf, WORDS, get_newest($leaf, WORDS) & ~0x7FF) }, $leaf, qr/impossible TID/ ],
	[ 'no_offset', 0, sub { put_newest($leaf, WORDS, 1 << 11) }, $leaf, qr/impossible TID/ ],
	[ 'no_offset_read', 1, sub { put_newest($leaf, WORDS, 1 << 11) }, $leaf, qr/impossible TID/ ],
	[ 'child', 0, sub { put_newest($inner, WORDS + 1, NO_BLOCK) }, $inner, qr/child block is impossible/ ],
	[ 'child_far', 0, sub { put_newest($inner, WORDS + 1, $blocks) }, $inner, qr/leads to block $blocks.* has $blocks blocks/ ],
	[ 'child_root', 0, sub { put_newest($inner, WORDS + 1, 1) }, $inner, qr/leads to block 1,/ ],
	[ 'split_of_last', 0, sub { put($last, 'flags', INCOMPLETE_SPLIT) }, $last, qr/unfinished split but no right sibling/ ],
	[ 'first_separator', 0, sub { put($inner2, 'low_key', get($inner2, 'low_key') - 1) }, $inner2, qr/first separator is not the low fence/ ],
	[ 'no_left', 0, sub { put($leaf, 'left', NO_BLOCK) }, $leaf, qr/no left sibling/ ],
	[ 'left_of_first', 0, sub { put($first, 'left', $last) }, $first, qr/has a left sibling/ ],
	[ 'left_self', 0, sub { put($leaf, 'left', $leaf) }, $leaf, qr/left link leads to block $leaf,/ ],
	[ 'right_self', 0, sub { put($leaf, 'right', $leaf) }, $leaf, qr/right link leads to block $leaf,/ ],
	[ 'right_meta', 0, sub { put($leaf, 'right', 0) }, $leaf, qr/right link leads to block 0,/ ],
	[ 'right_far', 0, sub { put($leaf, 'right', $blocks) }, $leaf, qr/right link leads to block $blocks,/ ],

	# siblings
	[ 'zero', 0, sub { put_page($right, "\0" x BLOCK) }, $right, qr/all zeroes, but block $leaf/ ],
	[ 'deleted', 0, sub { put($right, 'flags', DELETED) }, $right, qr/deleted, but block $leaf/ ],
	[ 'left', 0, sub { put($right, 'left', $left) }, $right, qr/left link is $left, but the left sibling is block $leaf/ ],
	[ 'skip', 0, sub { put($leaf, 'right', $right2) }, $right2, qr/left link is $right, but the left sibling is block $leaf/ ],
	[ 'low', 0, sub { put($right, 'low_tie', 0); put($right, 'low_key', get($right, 'low_key') - 1) }, $right, qr/low fence is not the high fence/ ],
	[ 'high', 0, sub { put($leaf, 'high_key', get($leaf, 'high_key') + 1) }, $right, qr/low fence is not the high fence/ ],
	[ 'cycle', 0, sub { put($right, 'right', $leaf) }, $leaf, qr/reached a second time, from block $right/ ],
	[ 'other_level', 0, sub { put($leaf, 'right', $inner) }, $inner, qr/reached a second time/ ],
	[ 'level', 0, sub { put($inner2, 'level', 3) }, $inner2, qr/level 3, but block \d+ leads to it as one of level 1/ ],
	[ 'end', 0, sub { put($leaf, 'right', NO_BLOCK) }, '\d+', qr/separator leads to block $right, which/ ],

	# parents
	[ 'bypassed', 0, sub {
			put($leaf, 'right', $right2);
			put($right2, 'left', $leaf);
			put($leaf, $_, get($right, $_)) for 'high_key', 'high_tie';
		}, $right2, qr/No separator leads to the node: the next one, in block \d+, leads to block $right/ ],
	[ 'lost_separator', 0, sub { remove_newest($inner) }, $child, qr/No separator leads to the node/ ],
	[ 'wrong_child', 0, sub { put_newest($inner, WORDS + 1, $deleted) }, $child, qr/in block $inner, leads to block $deleted/ ],
	[ 'wrong_separator', 0, sub { put_newest($inner, 0, get_newest($inner, 0) + 1) }, $child, qr/low fence is not the separator that leads here from block $inner/ ],

	# pages out of the tree
	[ 'orphan', 0, sub { put($deleted, 'flags', 0) }, $deleted, qr/not deleted, but nothing leads to it/ ],
	[ 'deleted_magic', 0, sub { put($deleted, 'magic', 1) }, $deleted, qr/not an alex node/ ],

	# rows
	[ 'row', 1, sub { remove_newest($leaf) }, undef, qr/lacks the record of row \(\d+,\d+\) in table "t"/ ],
	[ 'row_removed', 1, sub { substr($file, $thinned * BLOCK + get($thinned, 'removed'), 1) = "\xff" }, undef, qr/lacks the record of row \(\d+,\d+\) in table "t"/ ],
	[ 'row_tid', 1, sub { put_newest($leaf, WORDS, get_newest($leaf, WORDS) ^ (1 << 20)) }, undef, qr/lacks the record of row \(\d+,\d+\) in table "t"/ ],
	[ 'row_killed', 1, sub { substr($file, $leaf * BLOCK + get($leaf, 'pd_lower'), 2) = "\1\1" }, undef, qr/lacks the record of row \(\d+,\d+\) in table "t"/ ],
	[ 'row_key', 1, sub { put_newest($leaf, 1, get_newest($leaf, 1) ^ 1) }, undef, qr/lacks the record of row \(\d+,\d+\) in table "t"/ ],

	# sound, though they may look odd
	[ 'mark_without_marks', 1, sub { substr($file, $leaf * BLOCK + get($leaf, 'pd_lower') + 1, 1) = "\1" } ],
	[ 'zero_at_end', 1, sub { $file .= "\0" x (2 * BLOCK) } ],
	[ 'zero_for_deleted', 1, sub { put_page($deleted, "\0" x BLOCK) } ],
	[ 'split_done', 1, sub { put($parted, 'flags', INCOMPLETE_SPLIT) } ],
	[ 'split_unfinished', 1, sub {
			put($parted, 'flags', INCOMPLETE_SPLIT);
			remove_newest($inner);
		} ],
);

# A bit of the packed keys of some leaf: the record that changed is out of order or its row has none.
srand(7);
my $packed = get($leaf, 'key_start');
for my $i (0 .. 7)
{
	push @damage, [ "bit$i", 1, sub {
			my $block;
			do { $block = 2 + int(rand($blocks - 2)) } until get($block, 'level') == 0 && get($block, 'count') > 100;
			my $frames = int((get($block, 'count') - 1) / 2**get($block, 'key_frame_log2')) + 1;
			my $start = get($block, 'key_start') + 16 * $frames;
			# the first frame only, every bit of which is in use if it is full
			my $at = $block * BLOCK + $start + int(rand(64));
			substr($file, $at, 1) = chr(ord(substr($file, $at, 1)) ^ (1 << int(rand(8))));
		}, 'any', qr/is corrupt at block \d+|lacks the record of row/ ];
}

$_->[0] = "x_$_->[0]" for @damage;    # some are SQL's words

# ---- damage ----

# Indexes that need not have rows are partial ones without any: quickly built, and their files are replaced anyway.
$node->safe_psql('postgres', join ';', map {
		"CREATE INDEX $_->[0] ON t USING alex (k)" . ($_->[1] ? '' : ' WHERE false')
	} @damage);
my %path = map { split /\|/ } split /\n/, $node->safe_psql('postgres',
	q{SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relkind = 'i' AND relam = (SELECT oid FROM pg_am WHERE amname = 'alex')});
$node->safe_psql('postgres', q{
	CREATE UNLOGGED TABLE unlogged (k int);
	CREATE INDEX unlogged_k ON unlogged USING alex (k);
});
$node->backup('standby');
$node->stop;
for my $case (@damage)
{
	my ($name, undef, $how) = @$case;
	$file = slurp($template);
	my $before = $file;
	$how->();
	ok($file ne $before, "$name is damaged");
	spew("$data_dir/$path{$name}", $file);
}
$node->start;

is(check($node, 'template', 1), '', 'the index the copies are of still passes');
for my $case (@damage)
{
	my ($name, $rows, undef, $block, $reason) = @$case;
	my $error = check($node, $name, $rows);

	if (!$reason)
	{
		is($error, '', "$name passes");
		next;
	}
	like($error, qr/ERROR:  XX002: .*$reason/s, "$name is found");
	like($error, qr/index "$name" is corrupt at block $block\n/, "$name: names the block") if defined $block && $block ne 'any';
	like($error, qr/HINT:  REINDEX/, "$name: says what to do");
}
is(check($node, 'x_row', 0), '', 'a missing row takes heapallindexed to notice');

# alex_page describes what alex_check stops at.
is($node->safe_psql('postgres', "SELECT kind, detail FROM alex_page('x_outside', $leaf)"),
	'leaf|record lies outside the fences', 'alex_page: a node that is not sound');
is($node->safe_psql('postgres', "SELECT kind, level, detail FROM alex_page('x_magic', $leaf)"),
	'invalid||page is not an alex node', 'alex_page: a page that is no node');
is($node->safe_psql('postgres', "SELECT kind, level, detail FROM alex_page('x_root_zero', 1)"), 'empty||', 'alex_page: an empty page');
is($node->safe_psql('postgres', "SELECT kind, detail FROM alex_page('x_meta_magic', 0)"),
	'invalid|page is not an alex metapage', 'alex_page: a broken metapage');
is($node->safe_psql('postgres', "SELECT kind, level, flags FROM alex_page('template', $deleted)"), 'deleted|0|{deleted}', 'alex_page: a deleted page');
is($node->safe_psql('postgres', "SELECT flags FROM alex_page('x_flags', $leaf)"), '{0x40}', 'alex_page: an unknown flag');
like($node->safe_psql('postgres', "SELECT low_fence FROM alex_page('template', $leaf)"),
	qr/^[0-9a-f]{16} [0-9a-f]{16} \(\d+,\d+\)$/, 'alex_page: a fence');
my ($status, $out, $err) = $node->psql('postgres', "SELECT alex_stats('x_magic')");
like($err, qr/is corrupt at block $leaf/, 'alex_stats stops at a damaged page');
($status, $out, $err) = $node->psql('postgres', "SELECT alex_page('template', $blocks)");
like($err, qr/block number $blocks is out of range/, 'alex_page: no such block');

# Scans do not hand out an address that is none: the table's access method would assert that it is one, or grow the table.
$node->safe_psql('postgres', q{UPDATE pg_index SET indisvalid = indexrelid = 'x_no_offset_read'::regclass WHERE indrelid = 't'::regclass});
for my $way ('indexscan', 'indexonlyscan', 'bitmapscan')
{
	($status, $out, $err) = $node->psql('postgres', "SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
		SET enable_$way = on; " . ($way eq 'indexonlyscan' ? 'SET enable_indexscan = on; ' : '') .
		"\\set VERBOSITY verbose\nSELECT count(" . ($way eq 'indexonlyscan' ? 'k' : 't.*') . q{) FROM t WHERE k < '70000000-0000-0000-0000-000000000000'});
	like($err, qr/XX002: index "x_no_offset_read" is corrupt at block $leaf\nDETAIL:  A record has an impossible TID/, "an impossible address, by $way");
}
$node->safe_psql('postgres', q{UPDATE pg_index SET indisvalid = true WHERE indrelid = 't'::regclass});

# An insert finishes the split that was left unfinished.
$node->safe_psql('postgres', join ';', map { "DROP INDEX $_->[0]" } grep { $_->[0] ne 'x_split_unfinished' } @damage);
is($node->safe_psql('postgres', "SELECT flags FROM alex_page('x_split_unfinished', $parted)"), '{incomplete_split}', 'a split is unfinished');
$node->safe_psql('postgres', q{INSERT INTO t SELECT overlay(md5(i::text) placing '4000' from 1)::uuid FROM generate_series(2501, 4000) i});
is($node->safe_psql('postgres', "SELECT flags FROM alex_page('x_split_unfinished', $parted)"), '{}', 'inserts finish it');
is(check($node, 'x_split_unfinished', 1), '', 'and the index passes');

# ---- what can be checked at all ----

$node->safe_psql('postgres', q{
	CREATE TABLE plain (k int);
	CREATE INDEX plain_btree ON plain (k);
	CREATE TABLE parted (k int) PARTITION BY RANGE (k);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
	CREATE INDEX parted_k ON parted USING alex (k);
	CREATE INDEX plain_invalid ON plain USING alex (k);
	UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'plain_invalid'::regclass;
	CREATE INDEX plain_unbuilt ON plain USING alex (k);
	UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = 'plain_unbuilt'::regclass;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE watcher LOGIN;
	GRANT pg_stat_scan_tables TO watcher;
});
for my $case (
	[ 'plain', '42809', 'a table' ],
	[ 'plain_btree', '42809', 'an index of another kind' ],
	[ 'parted_k', '42809', 'a partitioned index' ],
	[ 'plain_unbuilt', '55000', 'an index not built' ])
{
	my ($index, $state, $what) = @$case;
	for my $call ("alex_check('$index')", "alex_check('$index', true)", "alex_stats('$index')", "alex_page('$index', 1)")
	{
		($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $call");
		like($err, qr/ERROR:  $state: /, "$call: $what");
	}
}
like(check($node, 'plain_invalid', 0), qr/ERROR:  55000: .*is not valid/, 'an invalid index');
($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT alex_check(999999)");
like($err, qr/ERROR:  42P01: relation with OID/, 'no such relation');
is($node->safe_psql('postgres', q{SELECT alex_check(NULL) IS NULL, (SELECT height FROM alex_stats(NULL)) IS NULL, (SELECT kind FROM alex_page(NULL, 0)) IS NULL}),
	't|t|t', 'NULL');
my $other = $node->background_psql('postgres');
$other->query_safe('CREATE TEMP TABLE their_own (k int); CREATE INDEX their_own_k ON their_own USING alex (k)');
my $theirs = $node->safe_psql('postgres', q{SELECT oid FROM pg_class WHERE relname = 'their_own_k'});
for my $call ("alex_check($theirs)", "alex_stats($theirs)", "alex_page($theirs, 1)")
{
	($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $call");
	like($err, qr/ERROR:  0A000: cannot access temporary/, "$call: a temporary index of another session");
}
$other->quit;
is(check($node, 'parted_1_k_idx', 1), '', 'an empty index passes');
is($node->safe_psql('postgres', q{SELECT height, leaf_pages, entries, bytes_per_key IS NULL, model_error IS NULL FROM alex_stats('parted_1_k_idx')}),
	'2|1|0|t|t', 'alex_stats of an empty index');

for my $call ("alex_check('template')", "alex_page('template', 1)", "alex_stats('template')")
{
	($status, $out, $err) = $node->psql('postgres', "SELECT $call", extra_params => [ '-U', 'stranger' ]);
	like($err, qr/permission denied/, "$call is not for everybody");
}
is($node->safe_psql('postgres', "SELECT height FROM alex_stats('template')", extra_params => [ '-U', 'watcher' ]), '3', 'alex_stats is for pg_stat_scan_tables');

# Rows through expressions and predicates, as the owner of the table; NULLs and DESC; all types of tuples a table has.
$node->safe_psql('postgres', q{
	CREATE ROLE owner;
	CREATE FUNCTION f(a int) RETURNS int8 LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF current_user <> 'owner' THEN RAISE 'called by %', current_user; END IF;
		RETURN a::int8 * a;
	END $$;
	CREATE TABLE owned (a int, b int, filler text) WITH (fillfactor = 80);
	ALTER TABLE owned OWNER TO owner;
	CREATE INDEX owned_f ON owned USING alex (f(a) DESC NULLS LAST) WHERE b % 2 = 0;
	CREATE UNIQUE INDEX owned_a ON owned USING alex (a NULLS FIRST);
	SET ROLE owner;
	INSERT INTO owned SELECT nullif(i, 10), i, 'x' FROM generate_series(1, 5000) i;
	UPDATE owned SET filler = 'y' WHERE b % 3 = 0;
	UPDATE owned SET b = b + 1 WHERE b % 5 = 0;
	DELETE FROM owned WHERE b % 7 = 0;
	UPDATE owned SET filler = 'z' WHERE b % 11 = 0;
	BEGIN;
	INSERT INTO owned SELECT i, i, 'x' FROM generate_series(6000, 7000) i;
	ROLLBACK;
	RESET ROLE;
	CREATE INDEX CONCURRENTLY owned_b ON owned USING alex (b);
});
is(check($node, $_, 1), '', "$_ passes") for 'owned_f', 'owned_a', 'owned_b';
is($node->safe_psql('postgres', q{
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	CREATE TEMP TABLE s AS SELECT i::float8 / 7 AS k FROM generate_series(1, 1000) i;
	CREATE INDEX s_k ON s USING alex (k);
	UPDATE s SET k = k + 1 WHERE k < 20;
	SELECT alex_check('s_k', true) IS NOT NULL;
	COMMIT;}), 't', 'a temporary index passes, in the transaction that made it');

# ---- a standby, while it follows ----

my $standby = PostgreSQL::Test::Cluster->new('standby');
$node->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('standby', true)});
$standby->init_from_backup($node, 'standby', has_streaming => 1);
$standby->append_conf('postgresql.conf', q{primary_slot_name = 'standby'});
$standby->start;
$node->safe_psql('postgres', q{
	CREATE TABLE busy (k int8, i int);
	INSERT INTO busy SELECT i * 1000, i FROM generate_series(1, 20000) i;
	CREATE INDEX busy_k ON busy USING alex (k);
	ALTER TABLE busy SET (autovacuum_enabled = false);
});
$node->wait_for_catchup($standby);
is(check($standby, 'busy_k', 1), '', 'an index passes on a standby');
is($standby->safe_psql('postgres', q{SELECT entries FROM alex_stats('busy_k')}), '20000', 'alex_stats on a standby');
like(check($standby, 'unlogged_k', 1), qr/NOTICE: .*cannot be checked during recovery/, 'an unlogged index on a standby');
for my $call ("alex_stats('unlogged_k')", "alex_page('unlogged_k', 0)")
{
	($status, $out, $err) = $standby->psql('postgres', "SELECT $call");
	like($err, qr/ERROR: .*cannot be read during recovery/, "$call on a standby");
}

my $script = PostgreSQL::Test::Utils::tempdir() . '/busy.sql';
spew($script, <<'SQL');
\set k random(1, 20000000)
INSERT INTO busy SELECT :k + i * i, i FROM generate_series(1, 20) i;
UPDATE busy SET i = i + 1 WHERE k BETWEEN :k AND :k + 20000;
DELETE FROM busy WHERE k BETWEEN :k - 10000 AND :k;
SQL
my $seconds = $ENV{ALEX_TEST_SECONDS} || 8;
my $pgbench = IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-T', $seconds, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $pgbench_out, '2>', \my $pgbench_err);
my ($checks, $failures) = (0, '');
my $end = time + $seconds;
while (time < $end)
{
	my $error = check($standby, 'busy_k', 1);
	# replay may have to cancel a check, which is no finding
	$failures .= "$error\n" if $error ne '' && $error !~ /canceling statement due to conflict with recovery/;
	$checks++;
	$node->safe_psql('postgres', 'VACUUM busy') if $checks % 4 == 0;
}
$pgbench->finish;
is($failures, '', "$checks checks on a standby that follows a busy primary find nothing");
is(check($node, 'busy_k', 1), '', 'the busy index passes on the primary');
$node->wait_for_catchup($standby);
is(check($standby, 'busy_k', 1), '', 'and on the standby');

# Damage that one page shows by itself is found there too; so is a row without a record.
my $busy = $standby->data_dir . '/' . $standby->safe_psql('postgres', q{SELECT pg_relation_filepath('busy_k')});
$node->safe_psql('postgres', "INSERT INTO busy VALUES ($_, 0)") for 5001 .. 5003;
$node->wait_for_catchup($standby);
my $victim = $standby->safe_psql('postgres', q{SELECT b FROM generate_series(1, pg_relation_size('busy_k') / 8192 - 1) b, alex_page('busy_k', b)
	WHERE kind = 'leaf' AND delta_count > 0 AND low_fence <= '800000000000138b (0,0)' AND high_fence > '800000000000138c'});
$node->stop;
# It must not begin before the primary's last checkpoint again, and replay page images over the damage.
$standby->poll_query_until('postgres', 'SELECT pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()') or die 'the standby does not replay all it has';
$standby->stop;
$file = slurp($busy);
put($victim, 'flags', 0x20);
spew($busy, $file);
$standby->start;
like(check($standby, 'busy_k', 0), qr/ERROR:  XX002: index "busy_k" is corrupt at block $victim\n.*unknown flags 0x20/s, 'damage is found on a standby');
$standby->stop;
put($victim, 'flags', 0);
remove_newest($victim);
spew($busy, $file);
$standby->start;
like(check($standby, 'busy_k', 1), qr/ERROR:  XX002: index "busy_k" lacks the record of row/, 'a missing record is found on a standby');
$standby->stop;

done_testing();
