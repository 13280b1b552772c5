# Random statements for 010_omen_differential.pl, and the tables they are for.
#
# A statement is { sql, kind } with more keys as needed:
#   ordered   the order of its rows counts; otherwise they are a set
#   many      it changes several rows, in the order in which it meets them: which of several errors it ends in depends on
#             where rows lie, that it fails does not
#   single    it can wait for one lock only, so who waits for what does not depend on where rows lie either
#   part      rows of an unordered cursor: only all of them together are comparable; `last` with the last of them
#   effect    what becomes of the session: begin, commit, rollback, savepoint NAME, ..., done by the driver

package OmenStatements;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(statement_tables statement maintenance tables pick);

sub tables { return qw(t child tr trlog part part_1 part_2 part_3); }

# The tables, in the schema that is first in the search path.
sub statement_tables
{
	my ($am) = @_;

	return <<"SQL";
SET default_table_access_method = $am;
CREATE TABLE t (id int PRIMARY KEY, gone text, k int8, u int UNIQUE, n int NOT NULL DEFAULT 0, c text, w text, b int, p int);
INSERT INTO t SELECT i, 'dropped soon', i % 50, CASE WHEN i % 3 = 0 THEN NULL ELSE i END, i, repeat('c', i % 90), NULL, i / 10, i % 7 FROM generate_series(1, 150) i;
ALTER TABLE t DROP COLUMN gone;
ALTER TABLE t ADD COLUMN e int DEFAULT 42;
ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (n % 10) STORED;
CREATE INDEX t_k ON t USING alex (k);
CREATE INDEX t_kb ON t (k DESC, b);
CREATE INDEX t_b ON t USING brin (b) WITH (pages_per_range = 1);
CREATE INDEX t_p ON t (p) WHERE p > 3;
CREATE INDEX t_ke ON t ((k + e));
CREATE INDEX t_kh ON t USING hash (k);
CREATE TABLE child (cid int PRIMARY KEY, tid int REFERENCES t (id) ON UPDATE CASCADE ON DELETE SET NULL, v int, tu int REFERENCES t (u) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child SELECT i, i, i, NULL FROM generate_series(1, 30) i;
CREATE INDEX child_tid ON child (tid);
-- Triggers of all kinds, which write down what they see.
CREATE TABLE tr (id int PRIMARY KEY, n int, q int UNIQUE DEFERRABLE INITIALLY DEFERRED, c text);
CREATE TABLE trlog (what text, old text, new text);
INSERT INTO tr SELECT i, i, i, repeat('t', i) FROM generate_series(1, 40) i;
CREATE FUNCTION tr_row() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO trlog VALUES (TG_WHEN || ' ' || TG_OP, CASE WHEN TG_OP <> 'INSERT' THEN OLD::text END, CASE WHEN TG_OP <> 'DELETE' THEN NEW::text END);
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	IF TG_WHEN = 'BEFORE' AND NEW.n % 5 = 0 THEN NEW.c := NEW.c || '!'; END IF;
	RETURN NEW;
END \$\$;
CREATE TRIGGER tr_before BEFORE INSERT OR UPDATE OR DELETE ON tr FOR EACH ROW EXECUTE FUNCTION tr_row();
CREATE TRIGGER tr_after AFTER INSERT OR UPDATE OR DELETE ON tr FOR EACH ROW EXECUTE FUNCTION tr_row();
CREATE FUNCTION tr_statement() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO trlog SELECT 'statement', (SELECT string_agg(o::text, ';' ORDER BY id) FROM was o), (SELECT string_agg(o::text, ';' ORDER BY id) FROM now o);
	RETURN NULL;
END \$\$;
CREATE TRIGGER tr_all AFTER UPDATE ON tr REFERENCING OLD TABLE AS was NEW TABLE AS now FOR EACH STATEMENT EXECUTE FUNCTION tr_statement();
CREATE TABLE part (id int, r int, n int, c text, PRIMARY KEY (id, r)) PARTITION BY RANGE (r);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE part_3 PARTITION OF part DEFAULT;
INSERT INTO part SELECT i, i % 30, i, repeat('p', i) FROM generate_series(1, 60) i;
-- Changes a row below the feet of the statement that calls it.
CREATE FUNCTION bump(i int) RETURNS int LANGUAGE sql VOLATILE AS 'UPDATE t SET n = n + 100 WHERE id = \$1 RETURNING n';
CREATE FUNCTION bump_key(i int) RETURNS int8 LANGUAGE sql VOLATILE AS 'UPDATE t SET k = k + 1 WHERE id = \$1 RETURNING k';
ANALYZE;
RESET default_table_access_method;
SQL
}

sub pick { return $_[ int(rand(@_)) ]; }
sub num { my ($lo, $hi) = @_; return $lo + int(rand($hi - $lo + 1)); }
# A few rows are the favourites of all.
sub id { return rand() < 0.6 ? num(1, 8) : rand() < 0.8 ? num(1, 150) : num(151, 260); }
sub few { my $a = id(); return ($a, $a + num(0, 6)); }

my $row = 'id, k, u, n, c, length(w), md5(w), b, p, e, g';
my $uid = 1000;
# heap lets FOR KEY SHARE wait for who has locked a newer version, NOWAIT and SKIP LOCKED or not; omen does not.
my $lock = sub { pick('KEY SHARE', map { my $mode = $_; map { "$mode$_" } '', ' NOWAIT', ' SKIP LOCKED' } 'UPDATE', 'NO KEY UPDATE', 'SHARE') };

sub text
{
	my $len = pick(0, 3, 20, 60, 120, 300, 900);
	return "repeat('" . chr(97 + num(0, 25)) . "', $len)";
}

# Not compressible, of toast size or below.
sub wide
{
	my $chunks = pick(2, 20, 40, 100, 400);
	my $seed = num(1, 1000);
	return "(SELECT string_agg(md5((g * $seed)::text), '') FROM generate_series(1, $chunks) g)";
}

my @generators = (
	[ 6, sub { my $i = id(); { kind => 'insert', single => 1, sql => "INSERT INTO t (id, k, u, n, c, b, p) VALUES ($i, " . num(0, 99) . ', ' . pick('NULL', $uid++) . ', ' . num(0, 99) . ', ' . text() . ', ' . num(0, 20) . ', ' . num(0, 7) . ')' . pick('', " RETURNING $row") } } ],
	[ 2, sub { my ($a, $b) = few(); { kind => 'insert several', many => 1, sql => "INSERT INTO t (id, k, n, c) SELECT i, i % 50, i, " . text() . " FROM generate_series($a, $b) i" . pick('', ' RETURNING id, n') } } ],
	[ 1, sub { my $i = id(); { kind => 'insert wide', sql => "INSERT INTO t (id, n, w) VALUES ($i, 1, " . wide() . ") RETURNING id, md5(w)" } } ],
	[ 14, sub { my $i = id(); { kind => 'update', single => 1, sql => "UPDATE t SET n = n + " . num(1, 9) . " WHERE id = $i" . pick('', " RETURNING $row") } } ],
	[ 6, sub { my $i = id(); { kind => 'update text', single => 1, sql => "UPDATE t SET c = " . text() . " WHERE id = $i" . pick('', ' AND n % 2 = 0', " RETURNING $row") } } ],
	[ 4, sub { my ($a, $b) = few(); { kind => 'update several', many => 1, sql => "UPDATE t SET n = n + 1, c = left(c || 'x', 200) WHERE id BETWEEN $a AND $b" . pick('', " RETURNING $row") } } ],
	[ 1, sub { { kind => 'update most', many => 1, sql => "UPDATE t SET n = n + 1 WHERE n % 3 = " . num(0, 2) . pick('', ' RETURNING id, n') } } ],
	[ 3, sub { my $i = id(); { kind => 'update index', single => 1, sql => "UPDATE t SET k = " . pick('k + 1', num(0, 99), 'NULL') . ", n = n + 1 WHERE id = $i" . pick('', " RETURNING $row") } } ],
	[ 2, sub { my $i = id(); { kind => 'update predicate', single => 1, sql => "UPDATE t SET p = " . num(0, 7) . pick('', ', e = e + 1') . " WHERE id = $i RETURNING $row" } } ],
	[ 2, sub { my $i = id(); { kind => 'update brin', single => 1, sql => "UPDATE t SET b = b + " . num(0, 3) . " WHERE id = $i" } } ],
	[ 2, sub { my $i = id(); { kind => 'update unique', single => 1, sql => "UPDATE t SET u = " . pick('NULL', num(1, 30), $uid++) . " WHERE id = $i" . pick('', " RETURNING $row") } } ],
	[ 2, sub { my $i = id(); { kind => 'update key', sql => "UPDATE t SET id = " . id() . " WHERE id = $i" . pick('', " RETURNING $row") } } ],
	[ 1, sub { my $i = id(); { kind => 'update wide', sql => "UPDATE t SET w = " . pick(wide(), wide(), 'NULL', "w || 'x'") . " WHERE id = $i RETURNING id, md5(w)" } } ],
	[ 1, sub { my ($a, $b) = few(); { kind => 'update from', many => 1, sql => "UPDATE t SET n = t.n + s.x FROM (VALUES ($a, 5), ($b, 7), ($a, 5)) s(i, x) WHERE t.id = s.i RETURNING t.id, t.n, s.x" } } ],
	[ 1, sub { my $i = id(); { kind => 'update by ctid', sql => "UPDATE t SET n = n + 1 WHERE ctid = (SELECT ctid FROM t WHERE id = $i) RETURNING id, n" } } ],
	[ 1, sub { my ($a, $b) = few(); { kind => 'update by ctids', many => 1, sql => "UPDATE t SET n = n + 1 WHERE ctid = ANY (ARRAY(SELECT ctid FROM t WHERE id BETWEEN $a AND $b)) RETURNING id, n" } } ],
	[ 1, sub { my ($a, $b) = few(); { kind => 'function updates', ordered => 1, sql => "SELECT id, n, " . pick('bump', 'bump_key') . "(id), n FROM t WHERE id BETWEEN $a AND $b ORDER BY id" } } ],
	[ 1, sub { my $i = id(); { kind => 'update with function', sql => "UPDATE t SET n = " . pick('bump', 'bump_key') . "(id) WHERE id = $i" } } ],
	[ 1, sub { my $i = id(); { kind => 'update in WITH', sql => "WITH a AS (UPDATE t SET n = n + 1 WHERE id = $i RETURNING id, n) SELECT a.id, a.n, t.n FROM a JOIN t USING (id)" } } ],
	[ 5, sub { my $i = id(); { kind => 'delete', sql => "DELETE FROM t WHERE id = $i" . pick('', " RETURNING $row") } } ],
	[ 1, sub { my ($a, $b) = few(); { kind => 'delete several', many => 1, sql => "DELETE FROM t WHERE id BETWEEN $a AND $b RETURNING id, n" } } ],
	[ 4, sub { my $i = id(); { kind => 'select', sql => "SELECT $row FROM t WHERE id = $i" } } ],
	[ 3, sub { { kind => 'select all', sql => "SELECT $row FROM t" } } ],
	[ 2, sub { { kind => 'select ordered', ordered => 1, sql => "SELECT $row FROM t ORDER BY " . pick('id', 'k, id', 'k DESC, id DESC', 'u NULLS FIRST, id', 'p, id') . pick('', ' LIMIT 20') } } ],
	[ 2, sub { { kind => 'select by index', sql => "SELECT $row FROM t WHERE " . pick('k BETWEEN 5 AND 25', 'k = ANY (ARRAY[1, 5, 9])', 'p = 5', 'b < 7', 'k + e > 60', 'u < 500', 'k IS NULL', 'k = 7') } } ],
	[ 1, sub { { kind => 'counts', sql => "SELECT count(*), count(k), count(DISTINCT u), sum(n), sum(length(c)), min(k), max(k) FROM t" } } ],
	[ 1, sub { { kind => 'by ctid', sql => "SELECT count(*), sum(a.n) FROM t a JOIN t b ON a.ctid = b.ctid AND a.id = b.id AND a.n = b.n" } } ],
	[ 1, sub { { kind => 'ctid range', sql => "SELECT $row FROM t WHERE ctid >= '(0,0)' AND ctid < '(100000,1)'" } } ],
	[ 6, sub { my ($a, $b) = few(); { kind => 'lock', ordered => 1, sql => "SELECT $row FROM t WHERE id BETWEEN $a AND $b ORDER BY id" . pick('', ' LIMIT 3') . ' FOR ' . $lock->() } } ],
	[ 5, sub { my $i = id(); { kind => 'lock one', single => 1, sql => "SELECT id, n FROM t WHERE id = $i FOR " . $lock->() } } ],
	[ 1, sub { my ($a, $b) = few(); { kind => 'lock in join', ordered => 1, sql => "SELECT t.id, t.n, child.v FROM t JOIN child ON child.tid = t.id WHERE t.id BETWEEN $a AND $b ORDER BY t.id, cid FOR " . pick('UPDATE OF t', 'SHARE OF child', 'NO KEY UPDATE') . ' NOWAIT' } } ],
	[ 5, sub { my $i = id(); { kind => 'upsert', single => 1, sql => "INSERT INTO t (id, k, n, c) VALUES ($i, 3, 7, 'new') ON CONFLICT (id) DO UPDATE SET " . pick('n = t.n + excluded.n', 'n = t.n + 1, k = excluded.k', 'c = ' . text()) . pick('', ' WHERE t.n % 2 = 0') . pick('', " RETURNING $row") } } ],
	[ 1, sub { my $i = id(); { kind => 'upsert by unique', sql => "INSERT INTO t (id, u, n) VALUES (" . num(151, 300) . ", $i, 7) ON CONFLICT (u) DO UPDATE SET n = t.n + 1 RETURNING $row" } } ],
	[ 1, sub { my ($a, $b) = few(); { kind => 'upsert several', many => 1, sql => "INSERT INTO t (id, k, n) SELECT i, 3, 7 FROM generate_series($a, $b) i ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n RETURNING id, n" } } ],
	[ 1, sub { my $i = id(); { kind => 'upsert twice', sql => "INSERT INTO t (id, n) VALUES ($i, 1), ($i, 2) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n" } } ],
	[ 3, sub { my $i = id(); { kind => 'insert or nothing', single => 1, sql => "INSERT INTO t (id, k, n) VALUES ($i, 3, 7) ON CONFLICT " . pick('', '(id) ') . "DO NOTHING" . pick('', ' RETURNING id') } } ],
	[ 3, sub { my ($a, $b) = few(); { kind => 'merge', many => 1, sql => "MERGE INTO t USING (SELECT i, i % 3 AS x FROM generate_series($a, $b) i) s ON t.id = s.i WHEN MATCHED AND x = 0 AND t.n % 2 = 0 THEN DELETE WHEN MATCHED AND x = 1 THEN UPDATE SET n = t.n + 10, " . pick("c = 'm'", 'k = k + 1') . " WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, k, n) VALUES (s.i, 1, 2)" } } ],
	[ 1, sub { my $i = id(); { kind => 'merge twice', sql => "MERGE INTO t USING (VALUES ($i), ($i)) s(i) ON t.id = s.i WHEN MATCHED THEN UPDATE SET n = n + 1" } } ],
	[ 2, sub { { kind => 'insert child', single => 1, sql => "INSERT INTO child (cid, tid, v) VALUES (" . num(1, 90) . ', ' . id() . ', 1)' } } ],
	[ 1, sub { { kind => 'insert child of unique', sql => "INSERT INTO child (cid, v, tu) VALUES (" . num(1, 90) . ', 1, ' . num(1, 40) . ')' } } ],
	[ 2, sub { { kind => 'update child', sql => "UPDATE child SET " . pick('v = v + 1', 'tid = ' . id()) . " WHERE cid = " . num(1, 40) . " RETURNING *" } } ],
	[ 1, sub { { kind => 'delete child', sql => "DELETE FROM child WHERE cid = " . num(1, 90) } } ],
	[ 1, sub { { kind => 'select child', sql => "SELECT cid, tid, v, tu, n FROM child LEFT JOIN t ON id = tid" } } ],
	# Rows of tr move in omen, with new index entries, and stay (HOT) in heap: so nobody may have the q of a row whose q is not changed.
	[ 3, sub { { kind => 'update with triggers', sql => "UPDATE tr SET " . pick('n = n + 1', 'n = n + 1', 'c = ' . text()) . " WHERE id = " . num(1, 12) . pick('', ' RETURNING *') } } ],
	[ 1, sub { { kind => 'update unique deferred', sql => "UPDATE tr SET q = " . num(20, 60) . " WHERE id = " . num(13, 40) . pick('', ' RETURNING *') } } ],
	[ 1, sub { { kind => 'swap deferred', many => 1, sql => "UPDATE tr SET q = 100 - q WHERE id BETWEEN 20 AND " . num(21, 28) } } ],
	[ 1, sub { { kind => 'insert with triggers', sql => "INSERT INTO tr VALUES (" . num(13, 60) . ", 5, " . num(20, 99) . ", 'i') ON CONFLICT (id) DO UPDATE SET n = tr.n + 1, q = " . num(20, 99) . " RETURNING *" } } ],
	[ 1, sub { { kind => 'delete with triggers', sql => "DELETE FROM tr WHERE id = " . num(13, 60) . " RETURNING *" } } ],
	[ 1, sub { { kind => 'select with triggers', sql => 'SELECT * FROM ' . pick('tr', 'tr', 'trlog') } } ],
	[ 3, sub { { kind => 'update partitions', sql => "UPDATE part SET n = n + 1" . pick('', ', r = ' . num(0, 40)) . " WHERE id = " . num(1, 12) . pick('', ' RETURNING *') } } ],
	[ 1, sub { { kind => 'lock partitions', ordered => 1, sql => "SELECT * FROM part WHERE id < " . num(2, 20) . " ORDER BY id, r FOR " . $lock->() } } ],
	[ 1, sub { { kind => 'select partitions', sql => "SELECT * FROM part" } } ],
	[ 2, sub { { kind => 'settings', sql => 'SET enable_' . pick('seqscan', 'indexscan', 'bitmapscan', 'indexonlyscan', 'nestloop', 'hashjoin', 'tidscan', 'sort') . ' = ' . pick('on', 'off') } } ],
);
my $weights = 0;
$weights += $_->[0] for @generators;

my $cursors = 0;

# Cursors and transaction control: depends on what the session is in.
sub control
{
	my ($client) = @_;
	my $n = ++$cursors;

	if (!$client->{in})
	{
		my $level = $client->{level} || pick('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ');
		return { kind => 'begin', sql => "BEGIN ISOLATION LEVEL $level", effect => 'begin', level => $level };
	}
	if ($client->{failed})
	{
		return { kind => 'rollback to', sql => "ROLLBACK TO $client->{savepoints}[-1]", effect => 'rollback_to' } if @{ $client->{savepoints} } && rand() < 0.7;
		return { kind => 'rollback', sql => pick('ROLLBACK', 'COMMIT'), effect => 'end' };
	}
	my $r = rand();
	return { kind => 'commit', sql => 'COMMIT', effect => 'end' } if $r < 0.30;
	return { kind => 'rollback', sql => 'ROLLBACK', effect => 'end' } if $r < 0.38;
	return { kind => 'savepoint', sql => "SAVEPOINT s$n", effect => 'savepoint', name => "s$n" } if $r < 0.52;
	if ($r < 0.66)
	{
		return if !@{ $client->{savepoints} };
		return { kind => 'rollback to', sql => "ROLLBACK TO $client->{savepoints}[-1]", effect => 'rollback_to' } if $r < 0.60;
		return { kind => 'release', sql => "RELEASE $client->{savepoints}[-1]", effect => 'release' };
	}
	my @open = sort keys %{ $client->{cursors} };
	if (!@open || ($r < 0.75 && @open < 3))
	{
		my $what = pick('set', 'set', 'ordered', 'update', 'one');
		return { kind => 'declare', effect => 'declare', name => "c$n", what => $what, sql => "DECLARE c$n " . {
			set => "NO SCROLL CURSOR FOR SELECT $row FROM t",
			ordered => "SCROLL CURSOR FOR SELECT $row FROM t ORDER BY " . pick('id', 'k, id', 'k DESC, id'),
			update => 'CURSOR FOR SELECT id, n FROM t WHERE id < ' . num(5, 20) . ' ORDER BY id FOR ' . pick('UPDATE', 'NO KEY UPDATE', 'SHARE'),
			one => 'CURSOR FOR SELECT id, n FROM t WHERE id = ' . id() }->{$what} };
	}
	my $name = pick(@open);
	my $what = $client->{cursors}{$name};
	if ($what eq 'set')
	{
		my $last = rand() < 0.4;
		return { kind => 'fetch part', part => $name, last => $last, sql => 'FETCH ' . ($last ? 'ALL' : num(1, 40)) . " FROM $name" };
	}
	return { kind => 'fetch', ordered => 1, sql => 'FETCH ' . pick(num(1, 9), -num(1, 5), 'FIRST', 'LAST', 'PRIOR', 'ALL', 'ABSOLUTE 3', 'RELATIVE 0', 'NEXT') . " FROM $name" } if $what eq 'ordered';
	return pick({ kind => 'fetch', ordered => 1, sql => 'FETCH ' . num(1, 3) . " FROM $name" },
		{ kind => 'fetch', ordered => 1, sql => "FETCH NEXT FROM $name" },
		{ kind => 'update current', sql => 'UPDATE t SET ' . pick('n = n + 1', 'k = k + 1', 'c = ' . text()) . " WHERE CURRENT OF $name RETURNING id, n" },
		{ kind => 'update current', sql => "UPDATE t SET n = n + 1 WHERE CURRENT OF $name RETURNING id, n" },
		{ kind => 'delete current', sql => "DELETE FROM t WHERE CURRENT OF $name RETURNING id, n" });
}

sub statement
{
	my ($client) = @_;
	my $s;

	$s = control($client) if $client->{failed} || rand() < ($client->{in} ? 0.32 : 0.45);
	return $s if $s;
	my $at = rand($weights);
	for my $g (@generators)
	{
		$at -= $g->[0];
		return $g->[1]->() if $at < 0;
	}
	return $generators[0][1]->();
}

# What no client does, on a session of its own and in no transaction.  Open cursors and who waits for a row pin pages, and
# there is no timeout for the cleanup lock that freezing and cleaning an index wait for.  Truncation waits for seconds where
# a transaction has used the table.
sub maintenance
{
	my ($transactions_open, $cursors_open) = @_;
	my $r = rand();

	return { kind => 'vacuum', sql => 'VACUUM (INDEX_CLEANUP OFF, TRUNCATE OFF) ' . pick('t', 't', 'child', 'tr') } if $cursors_open;
	return { kind => 'vacuum', sql => 'VACUUM (' . pick('FREEZE, ', 'INDEX_CLEANUP ON, ', 'INDEX_CLEANUP OFF, ', 'ANALYZE, ', '') . ($transactions_open ? 'TRUNCATE OFF' : 'TRUNCATE ON') . ') ' . pick('t', 't', 't', 'child', 'tr', 'part') } if $r < 0.7;
	return { kind => 'rewrite', sql => pick('VACUUM FULL t', 'CLUSTER t USING t_pkey', 'VACUUM FULL tr', 'CLUSTER t USING t_kb') } if $r < 0.85;
	return { kind => 'index', sql => pick('REINDEX TABLE t', 'REINDEX INDEX t_k', 'DROP INDEX IF EXISTS t_extra', 'CREATE INDEX IF NOT EXISTS t_extra ON t (n)', 'CREATE INDEX IF NOT EXISTS t_extra ON t (c, k)') };
}

1;
