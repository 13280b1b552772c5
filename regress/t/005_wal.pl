# Every kind of page change survives a crash: each is made, the server is
# killed, and after recovery the index is what it was.
#
# Two passes: with full page images; and without them, so that every record
# is applied to the page that the last checkpoint wrote, and each page compared
# after replay.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = am();
my $node = new_node('wal');
$node->append_conf('postgresql.conf', "wal_level = replica\nsynchronous_commit = on\n");
$node->start;
load_helpers($node);

# Shape of the index, to see that a step did what it is named for.
sub stat_of
{
	my ($index, $column) = @_;
	return am() eq 'alex' ? $node->safe_psql('postgres', "SELECT $column FROM alex_stats('$index')") : undef;
}

sub crash
{
	kill_server($node);
	$node->start;
	return;
}

for my $pass ('page images', 'no page images')
{
	my %set = (full_page_writes => $pass eq 'no page images' ? 'off' : 'on',
		wal_consistency_checking => $pass eq 'no page images' ? "'all'" : "''");
	$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = $set{$_}") for sort keys %set;
	$node->restart;
	# Each step changes pages that are on disk as they were before it.
	my $step = sub {
		my ($what, $table, $sql) = @_;
		$node->safe_psql('postgres', 'CHECKPOINT');
		$node->safe_psql('postgres', $sql);
		crash();
		# Of the large table, parts: alex_check() looks at all of it.
		same_rows($node, $table, "$pass, $what", $table eq 'u' ? (conds =>
			q(ARRAY['k < ''08000000-0000-0000-0000-000000000000''', 'k > ''f8000000-0000-0000-0000-000000000000''',
				'k BETWEEN ''1e000000-0000-0000-0000-000000000000'' AND ''39000000-0000-0000-0000-000000000000'''])) : ());
	};
	# Two tables: random keys of one word, and of two words, which fill more
	# pages and so make a tree of more levels.
	$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS w, u;
CREATE TABLE w (id int8, k int8);
CREATE TABLE u (id int8, k uuid);
INSERT INTO w SELECT i, hashint8extended(i, 0) FROM generate_series(1, 5000) i;
SQL
	$step->('build', 'w', "CREATE INDEX w_k ON w USING $am (k)");
	$step->('build of an empty index', 'u', "CREATE INDEX u_k ON u USING $am (k, id)");
	$step->('first insert', 'u', "INSERT INTO u VALUES (0, md5('0')::uuid)");
	$step->('a few inserts', 'w', 'INSERT INTO w SELECT i, hashint8extended(i, 0) FROM generate_series(5001, 5020) i');
	$step->('one more insert', 'w', 'INSERT INTO w VALUES (1000000, 42)');
	$step->('inserts that merge', 'w', 'INSERT INTO w SELECT i, hashint8extended(i, 0) FROM generate_series(5021, 6000) i');
	$step->('root split', 'u', 'INSERT INTO u SELECT i, md5(i::text)::uuid FROM generate_series(1, 3000) i');
	my $leaves = stat_of('w_k', 'leaf_pages');
	$step->('leaf splits', 'w', 'INSERT INTO w SELECT i, hashint8extended(i, 0) FROM generate_series(6001, 30000) i');
	cmp_ok(stat_of('w_k', 'leaf_pages'), '>', $leaves, "$pass, leaves were split") if defined $leaves;
	$step->('inner splits', 'u', 'INSERT INTO u SELECT i, md5(i::text)::uuid FROM generate_series(3001, 350000) i');
	my $inner = stat_of('u_k', 'inner_pages');
	cmp_ok($inner, '>', 1, "$pass, inner pages were split") if defined $inner;
	$step->('append', 'w', 'INSERT INTO w SELECT i, 9200000000000000000 + i FROM generate_series(30001, 60000) i');
	$step->('prepend', 'w', 'INSERT INTO w SELECT i, -9200000000000000000 - i FROM generate_series(60001, 70000) i');
	$step->('equal keys and NULLs', 'w', 'INSERT INTO w SELECT i, CASE WHEN i % 2 = 0 THEN 42 END FROM generate_series(70001, 80000) i');
	$step->('vacuum of scattered entries', 'w', 'DELETE FROM w WHERE id % 3 = 0; VACUUM w');
	my $deleted = stat_of('u_k', 'deleted_pages + empty_pages');
	$step->('page deletion', 'u', q(DELETE FROM u WHERE k BETWEEN '20000000-0000-0000-0000-000000000000' AND '90000000-0000-0000-0000-000000000000'; VACUUM u));
	$step->('page deletion on the right', 'w', 'DELETE FROM w WHERE k > 9200000000000030000; VACUUM w');
	my $size = $node->safe_psql('postgres', q(SELECT pg_relation_size('u_k')));
	# The crash may have made the free space map forget the deleted pages; the
	# next vacuum that deletes something finds them again.
	$step->('recycling', 'u', q(DELETE FROM u WHERE id % 1000 = 7; VACUUM u; INSERT INTO u SELECT i, ('3' || substr(md5(i::text), 2))::uuid FROM generate_series(400001, 430000) i));
	cmp_ok($node->safe_psql('postgres', q(SELECT pg_relation_size('u_k'))), '<=', $size * (am() eq 'alex' ? 1.02 : 1.1), "$pass, pages were used again");
	# The lookup marks dead entries, the inserts make use of that.
	$step->('killed entries', 'w', q(
		DELETE FROM w WHERE id % 5 = 1;
		SET enable_seqscan = off; SET enable_bitmapscan = off;
		SELECT count(id) FROM (SELECT id FROM w WHERE k < 0 ORDER BY k) s;
		SELECT count(id) FROM (SELECT id FROM w WHERE k < 0 ORDER BY k) s;
		INSERT INTO w SELECT i, hashint8extended(i, 1) FROM generate_series(100001, 110000) i));
	# what VACUUM removes is listed, first and once more, and then has bits
	$step->('a few vacuumed', 'w', 'DELETE FROM w WHERE id % 90 = 3; VACUUM w; DELETE FROM w WHERE id % 90 = 47; VACUUM w');
	# Marks are on disk where VACUUM puts the bits of what it removes, and where it gives slots back.
	my $removed = am() eq 'alex' ? sub { $node->safe_psql('postgres', q{SELECT sum(removed_count)
		FROM generate_series(1, pg_relation_size('w_k') / 8192 - 1) b, alex_page('w_k', b)}) } : sub { undef };
	my $mark = q(
		SET enable_seqscan = off; SET enable_bitmapscan = off;
		SELECT count(id) FROM (SELECT id FROM w WHERE k > -9000000000000000000 ORDER BY k) s;
		SELECT count(id) FROM (SELECT id FROM w WHERE k > -9000000000000000000 ORDER BY k) s;
		CHECKPOINT);
	# fresh entries, some of which die
	$step->('killed entries vacuumed', 'w', qq(
		INSERT INTO w SELECT i, hashint8extended(i, 6) FROM generate_series(110001, 111500) i;
		DELETE FROM w WHERE id % 9 = 4; $mark; VACUUM w));
	cmp_ok($removed->(), '>', 1000, "$pass, entries were removed in place") if defined $removed->();
	$step->('killed and removed entries vacuumed', 'w', qq(DELETE FROM w WHERE id % 9 = 5; $mark; VACUUM w));
	# row pointers, and places in leaves, are used again
	$step->('inserts after vacuum', 'w', q(INSERT INTO w SELECT i, hashint8extended(i, 6) FROM generate_series(111501, 112500) i));
	$step->('only fresh entries vacuumed', 'w', qq(DELETE FROM w WHERE id > 111500 AND id % 2 = 0; $mark; VACUUM w));
	$step->('updates', 'w', 'UPDATE w SET k = k + 1 WHERE id % 2 = 0; UPDATE w SET k = k - 1 WHERE id % 2 = 0');
	$step->('all deleted', 'w', 'DELETE FROM w; VACUUM w');
	$step->('filled again', 'w', 'INSERT INTO w SELECT i, hashint8extended(i, 2) FROM generate_series(1, 20000) i');
	$step->('reindex', 'u', 'REINDEX INDEX u_k');
	$step->('concurrent reindex', 'u', 'REINDEX INDEX CONCURRENTLY u_k');
	$step->('truncate', 'w', 'TRUNCATE w; INSERT INTO w SELECT i, i FROM generate_series(1, 2000) i');
	$step->('rolled back', 'w', 'BEGIN; INSERT INTO w SELECT i, hashint8extended(i, 3) FROM generate_series(2001, 12000) i; ROLLBACK; VACUUM w; INSERT INTO w VALUES (0, 0)');
	$step->('rolled back build', 'w', "BEGIN; CREATE INDEX w_k2 ON w USING $am (k DESC); INSERT INTO w VALUES (1, 1); ROLLBACK");

	# Killed while an uncommitted statement runs.
	my $c = start_command('psql', '-Xq', '-h', $node->host, '-p', $node->port, '-d', 'postgres', '-c',
		'INSERT INTO w SELECT i, hashint8extended(i, 4) FROM generate_series(1, 100000000) i');
	select(undef, undef, undef, 1.0);
	crash();
	finish_command($c);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM w'), '2001', "$pass, nothing of a cut off statement");
	same_rows($node, 'w', "$pass, cut off statement");
	$step->('its remains vacuumed', 'w', 'VACUUM w; INSERT INTO w SELECT i, hashint8extended(i, 5) FROM generate_series(1, 5000) i');
}

# Unlogged tables are empty after a crash, and their indexes too.
$node->safe_psql('postgres', <<SQL);
CREATE UNLOGGED TABLE ul (id int8, k int8);
CREATE INDEX ul_k ON ul USING $am (k);
INSERT INTO ul SELECT i, hashint8(i) FROM generate_series(1, 20000) i;
CREATE UNIQUE INDEX ul_late ON ul USING $am (k DESC) WHERE id < 1000;
CHECKPOINT;
INSERT INTO ul SELECT i, i FROM generate_series(1, 1000) i;
SQL
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM ul'), '21000', 'unlogged rows survive a clean restart');
$node->safe_psql('postgres', q(SELECT alex_check('ul_k', true), alex_check('ul_late', true)));
crash();
is($node->safe_psql('postgres', 'SELECT count(*) FROM ul'), '0', 'unlogged rows do not survive a crash');
$node->safe_psql('postgres', 'DROP INDEX ul_late');
same_rows($node, 'ul', 'unlogged, empty after a crash');
$node->safe_psql('postgres', 'INSERT INTO ul SELECT i, hashint8(i) FROM generate_series(1, 20000) i');
same_rows($node, 'ul', 'unlogged, filled again');
# Created just before the crash, without a checkpoint in between.
$node->safe_psql('postgres', "CREATE UNLOGGED TABLE ul2 (id int8, k int8); CREATE INDEX ul2_k ON ul2 USING $am (k); INSERT INTO ul2 SELECT i, i FROM generate_series(1, 3000) i");
crash();
same_rows($node, 'ul2', 'unlogged, created just before the crash');
$node->safe_psql('postgres', 'ALTER TABLE ul2 SET LOGGED; INSERT INTO ul2 SELECT i, i FROM generate_series(1, 3000) i');
crash();
is($node->safe_psql('postgres', 'SELECT count(*) FROM ul2'), '3000', 'set logged, rows are there');
same_rows($node, 'ul2', 'set logged');

# With wal_level = minimal what is created in a transaction is not logged but
# synced at its end.
$node->append_conf('postgresql.conf', "wal_level = minimal\nmax_wal_senders = 0\n");
for my $threshold ('0', '1GB')
{
	$node->safe_psql('postgres', "ALTER SYSTEM SET wal_skip_threshold = '$threshold'");
	$node->restart;
	$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS m1, m2, m3, m4;
CREATE TABLE m3 (id int8, k int8);
CREATE INDEX m3_k ON m3 USING $am (k);
INSERT INTO m3 SELECT i, i FROM generate_series(1, 1000) i;
CREATE TABLE m4 (id int8, k int8);
INSERT INTO m4 SELECT i, hashint8(i) FROM generate_series(1, 10000) i;
CHECKPOINT;
BEGIN;
CREATE TABLE m1 (id int8, k int8);
CREATE INDEX m1_k ON m1 USING $am (k);
INSERT INTO m1 SELECT i, hashint8(i) FROM generate_series(1, 20000) i;
DELETE FROM m1 WHERE id % 5 = 0;
COMMIT;
BEGIN;
CREATE TABLE m2 (id int8, k int8);
INSERT INTO m2 SELECT i, hashint8(i) FROM generate_series(1, 20000) i;
CREATE INDEX m2_k ON m2 USING $am (k);
SAVEPOINT a;
INSERT INTO m2 SELECT i, i FROM generate_series(1, 2000) i;
ROLLBACK TO a;
INSERT INTO m2 SELECT i, i FROM generate_series(1, 2000) i;
COMMIT;
BEGIN;
TRUNCATE m3;
INSERT INTO m3 SELECT i, hashint8(i) FROM generate_series(1, 20000) i;
COMMIT;
BEGIN;
CREATE INDEX m4_k ON m4 USING $am (k);
INSERT INTO m4 SELECT i, hashint8(i) FROM generate_series(10001, 20000) i;
COMMIT;
INSERT INTO m1 SELECT i, i FROM generate_series(1, 100) i;
INSERT INTO m4 SELECT i, i FROM generate_series(1, 100) i;
SQL
	crash();
	is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM m1), (SELECT count(*) FROM m2), (SELECT count(*) FROM m3), (SELECT count(*) FROM m4)'),
		'16100|22000|20000|20100', "wal_level minimal, threshold $threshold: rows");
	same_rows($node, $_, "wal_level minimal, threshold $threshold") for qw(m1 m2 m3 m4);
}
clean_log($node);
$node->stop;
done_testing();
