# omen_check() after crashes and on standbys, where hint bits are missing: sound tables pass. And rows that are gone, page and all, are found
# by the entries that indexes of any kind have for them; nothing else would know.

use strict;
use warnings;
use lib 'regress/t';
use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

use constant BLOCK => 8192;

my $node = omen_node('main', allows_streaming => 1, no_data_checksums => 1);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\nwal_log_hints = off\nrestart_after_crash = on");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION omen_alex');
sub sql { return $node->safe_psql('postgres', @_); }

sub check
{
	my ($where, $table, $more) = @_;
	my $stderr;
	$where->psql('postgres', "\\set VERBOSITY verbose\nSELECT omen_check('$table'" . ($more // '') . ')', stderr => \$stderr);
	return $stderr;
}

# ---- what aborted, and what crashed ----

sql('CREATE TABLE base_copy (i int)');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;

# Rows that somebody tried to delete, move or lock, in all the ways there are to fail; their pages are all-visible afterwards.
my @tables = qw(rolled_back savepoint prepared moved shared share_then_delete crashed);
sql("CREATE TABLE $_ (id int PRIMARY KEY, v int, pad text) USING omen; INSERT INTO $_ SELECT i, i, repeat('p', 50) FROM generate_series(1, 500) i")
	for @tables;
sql('VACUUM');
sql('BEGIN; DELETE FROM rolled_back WHERE id % 2 = 0; ROLLBACK');
sql('BEGIN; SAVEPOINT a; DELETE FROM savepoint WHERE id % 2 = 0; ROLLBACK TO a; COMMIT');
sql(q{BEGIN; DELETE FROM prepared WHERE id % 2 = 0; PREPARE TRANSACTION 'p'});
sql(q{ROLLBACK PREPARED 'p'});
sql('BEGIN; UPDATE moved SET id = -id; ROLLBACK');
sql('BEGIN; SELECT FROM shared FOR SHARE; SAVEPOINT a; SELECT FROM shared FOR UPDATE; ROLLBACK TO a; COMMIT');
sql('BEGIN; SELECT FROM share_then_delete FOR SHARE; SAVEPOINT a; DELETE FROM share_then_delete WHERE id % 3 = 0; ROLLBACK TO a; COMMIT');
{
	my $session = OmenTest::Session->new($node, 'crashed');
	$session->safe('BEGIN');
	$session->safe('DELETE FROM crashed WHERE id % 2 = 0');
	sql('SELECT pg_switch_wal()');
	$node->stop('immediate');
	$node->start;
	eval { $session->quit };
}
sql("VACUUM $_") for @tables;
is(sql("SELECT count(*) FROM pg_class WHERE relname = ANY ('{" . join(',', @tables) . "}') AND relallvisible > 0"), scalar @tables, 'pages are all-visible');
is(check($node, $_), '', "$_ passes") for @tables;
$node->wait_for_catchup($standby);
is(check($standby, $_), '', "$_ passes on a standby") for @tables;
$node->stop('immediate');
$node->start;
is(check($node, $_), '', "$_ passes after a crash") for @tables;
is(sql("SELECT count(*), sum(v) FROM $_"), '500|125250', "$_ has all its rows") for @tables;
$standby->stop;

# ---- consistency checks without full page images ----

# Pages reach the disk after hints were set on them, by reads, by failed changes, and by VACUUM; recovery compares them with their last record.
{
	my $checked = omen_node('checked');
	$checked->append_conf('postgresql.conf', "wal_consistency_checking = all\nfull_page_writes = off\nshared_buffers = 1MB\nmax_connections = 10\nbgwriter_lru_maxpages = 0");
	$checked->start;
	$checked->safe_psql('postgres', q{CREATE EXTENSION omen_alex;
		CREATE TABLE a (id int PRIMARY KEY, v int, pad text) USING omen; INSERT INTO a SELECT i, i, repeat('p', 100) FROM generate_series(1, 300) i;
		CREATE TABLE evict (t text) USING heap});
	for my $last (
		'UPDATE a SET v = v + 1; SELECT sum(v) FROM a',
		'BEGIN; UPDATE a SET v = v + 1; ROLLBACK; SELECT sum(v) FROM a',
		'UPDATE a SET v = v + 1; SELECT count(*) FROM (SELECT FROM a FOR UPDATE) s; SELECT sum(v) FROM a',
		'DELETE FROM a WHERE id % 5 = 0; SELECT sum(v) FROM a; UPDATE a SET v = v + 1 WHERE id % 5 = 1; SELECT sum(v) FROM a',
		'UPDATE a SET v = v + 1; BEGIN; DELETE FROM a; ROLLBACK; SELECT sum(v) FROM a; ANALYZE a; VACUUM a',
		'UPDATE a SET v = v + 1; VACUUM a; SELECT sum(v) FROM a',
		'VACUUM (FREEZE) a; UPDATE a SET v = v + 1 WHERE id < 50; SELECT sum(v) FROM a')
	{
		my $sum;
		$checked->safe_psql('postgres', "CHECKPOINT; $last");
		$sum = $checked->safe_psql('postgres', "INSERT INTO evict SELECT repeat('x', 1000) FROM generate_series(1, 3000); TRUNCATE evict; SELECT sum(v) FROM a");
		$checked->stop('immediate');
		ok($checked->start(fail_ok => 1), "recovery after $last") or last;
		is($checked->safe_psql('postgres', 'SELECT sum(v) FROM a'), $sum, 'with all rows');
		is(check($checked, 'a'), '', 'and sound');
	}
	is($checked->safe_psql('postgres', q{VACUUM a; SELECT relallvisible > 0 FROM pg_class WHERE relname = 'a'}), 't', 'VACUUM marks pages as visible to all');
	$checked->stop('immediate');
}

# ---- rows that are gone ----

# Every kind of index there is on a server without contrib; each alone.
my %index = (btree => 'btree (id)', alex => 'alex (id)', hash => 'hash (id)', gin => 'gin (a)', gist => 'gist (b)', spgist => 'spgist (t)',
	partial => 'btree (v) WHERE id > 0', expression => 'btree ((id + 1))');
my @lost = map { ("zero_$_", "pointer_$_") } sort keys %index;
push @lost, qw(zero_brin zero_none cut store fine);

sub make_table
{
	my ($name, $index) = @_;
	sql(qq{CREATE TABLE $name (id int, v int, a int[], b box, t text) USING omen;
		INSERT INTO $name SELECT i, i, ARRAY[i], box(point(i, i), point(i, i)), 'x' || i FROM generate_series(1, 600) i});
	sql("CREATE INDEX ${name}_i ON $name USING $index") if defined $index;
}
for my $name (@lost)
{
	my ($kind) = $name =~ /_(\w+)$/;
	make_table($name, $kind && $kind eq 'none' ? undef : $kind && $kind eq 'brin' ? 'brin (id)' : $index{ $kind // 'alex' });
}
# an empty page that no row was ever in, in the midst of others, as a crash can leave it; and one that VACUUM has emptied
make_table('holes', 'alex (id)');
sql('DELETE FROM holes WHERE ctid >= $$(2,1)$$ AND ctid < $$(3,1)$$; VACUUM holes');
is(check($node, $_), '', "$_ passes") for @lost, 'holes';
my %path = map { my $t = $_; $t => $node->data_dir . '/' . sql("SELECT pg_relation_filepath('$t')") } @lost, 'holes';
my %sizes = map { my $t = $_; $t => sql("SELECT pg_relation_size('$t')") } @lost;
$node->stop;

sub change
{
	my ($name, $how) = @_;
	open(my $f, '+<:raw', $path{$name}) or die "$path{$name}: $!";
	local $/;
	my $data = <$f>;
	$how->($data);
	seek($f, 0, 0);
	print $f $data;
	truncate($f, length $data);
	close $f or die $!;
}
for my $name (@lost)
{
	next if $name eq 'fine';
	# row 3 of block 1 is not in use any more
	if ($name =~ /^pointer/) { change($name, sub { substr($_[0], BLOCK + 24 + 4 * 2, 4) = "\0" x 4 }); }
	elsif ($name eq 'cut') { change($name, sub { $_[0] = substr($_[0], 0, BLOCK * 2) }); }
	elsif ($name eq 'store')
	{
		change($name, sub { substr($_[0], BLOCK, BLOCK) = substr($_[0], BLOCK, 12) . pack('SSSS', 24, 24, BLOCK - 16, BLOCK | 4) . ("\0" x (BLOCK - 36)) .
				pack('LSSLL', 0x4F4D5653, 3, 24, 0, 0) });
	}
	else { change($name, sub { substr($_[0], BLOCK, BLOCK) = "\0" x BLOCK }); }
}
unlink("$path{holes}_vm");
change('holes', sub { substr($_[0], 2 * BLOCK, BLOCK) = "\0" x BLOCK });
$node->start;

for my $name (@lost)
{
	my $error = check($node, $name);

	if ($name eq 'fine' || $name eq 'zero_none' || $name eq 'zero_brin')
	{
		is($error, '', "$name: nothing can tell");
		next;
	}
	like($error, qr/XX001: index "${name}_i" has \d+ entries for rows that table "$name" does not have/, "$name is found");
	my $why = $name =~ /^zero/ ? 'as if it had never been used' : $name eq 'cut' ? 'does not have that block' :
		$name eq 'store' ? 'older versions' : 'line pointer is not in use';
	my $row = $name eq 'cut' ? '\(2,1\)' : $name =~ /^pointer/ ? '\(1,3\)' : '\(1,1\)';
	like($error, qr/DETAIL:  The first is for row $row: .*$why/, "$name: says which row and why");
	like($error, qr/HINT:  Rows of the table are lost.* restore the table from a backup.* REINDEX would only hide it/, "$name: says what to do");
	is(check($node, $name, ', false'), '', "$name: the table alone passes");
}
is(check($node, 'holes'), '', 'an empty page that no index names is none of these');
like((check($node, 'pointer_btree'))[0], qr/has 1 entries/, 'one entry of one row');

# what meets the loss by itself must not advise to hide it
{
	my ($stdout, $stderr);
	$node->psql('postgres', q{SET enable_seqscan = off; SET enable_bitmapscan = off; \set VERBOSITY verbose
		DELETE FROM zero_btree; INSERT INTO zero_btree (id) SELECT i FROM generate_series(1, 600) i, generate_series(1, 300)}, stderr => \$stderr);
	unlike($stderr, qr/HINT:  Rebuild the index/, 'no advice to rebuild the index');
}

# ---- while others change the table ----

sql(q{CREATE TABLE busy (id int PRIMARY KEY, v int) USING omen; CREATE INDEX ON busy USING alex (v);
	INSERT INTO busy SELECT i, i FROM generate_series(1, 2000) i});
my $script = AlexTest::write_script(q{
\set i random(1, 2000)
DELETE FROM busy WHERE id = :i;
INSERT INTO busy VALUES (:i, :i) ON CONFLICT (id) DO UPDATE SET v = busy.v + 1;
UPDATE busy SET v = v + 7 WHERE id = :i;
});
my $job = AlexTest::start_command(AlexTest::pgbench_command($node, '-T', 5, '-c', 3, '-f', $script));
my $problems = '';
for my $round (1 .. 20)
{
	$problems .= check($node, 'busy');
	sql('VACUUM busy') if $round % 5 == 0;
}
my ($code) = AlexTest::finish_command($job);
is($problems, '', 'no alarm while others insert, delete and update');
is($code, 0, 'and they go on');

# in a session that reads the table itself
{
	my ($stderr);
	$node->psql('postgres', q{\set VERBOSITY verbose
		BEGIN; DECLARE c CURSOR FOR SELECT v FROM busy ORDER BY v; FETCH c; SELECT omen_check('busy')}, stderr => \$stderr);
	like($stderr, qr/55006: cannot check index "busy_v_idx".*indexes => false/s, 'a cursor of our own is said to be in the way');
	is(check($node, 'busy', ', indexes => false'), '', 'the table alone can be checked');
}

# ---- the function of version 0.1.0 ----

sql(q{CREATE FUNCTION old_check(regclass) RETURNS void LANGUAGE c STRICT AS '$libdir/omen_alex', 'omen_check'});
is(sql(q{SELECT old_check('fine')}), '', 'with one argument it works, too');

done_testing();
