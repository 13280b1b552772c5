# Tables with a file of another access method, as pg_repack and its like leave them when their copy of a table has another access method
# than the table.
#
# omen must see it before it reads or writes a row, and omen_repair_access_method() must lose nothing. heap sees nothing, so omen refuses to make
# the copy. The exchange of files is done by hand, and by the real pg_repack where that is installed.

use strict;
use warnings;
use lib 'regress/t';
use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = omen_node('main');
$node->start;
omen_setup($node);
sub sql { return $node->safe_psql('postgres', @_); }

# (SQLSTATE and message, hint) of what a statement raises; empty: it works.
sub raises
{
	my ($statement) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");

	return ('') if $status == 0;
	my ($message) = $err =~ /ERROR:\s+(.*)/;
	my ($hint) = $err =~ /HINT:\s+(.*)/;
	return ($message, $hint // '');
}

# As pg_repack does it: the files of table, toast table and indexes, and what the catalog knows of them.
sql(<<'SQL');
CREATE FUNCTION rename_toast(toast oid, name text) RETURNS void LANGUAGE sql AS $$
	UPDATE pg_class SET relname = name WHERE oid = toast;
	UPDATE pg_class SET relname = name || '_index' WHERE oid = (SELECT indexrelid FROM pg_index WHERE indrelid = toast);
$$;
CREATE FUNCTION swap_files(a oid, b oid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	x pg_class;
	y pg_class;
	i record;
BEGIN
	SET LOCAL allow_system_table_mods = on;
	SELECT * INTO x FROM pg_class WHERE oid = a;
	SELECT * INTO y FROM pg_class WHERE oid = b;
	UPDATE pg_class SET relfilenode = y.relfilenode, relfrozenxid = y.relfrozenxid, relminmxid = y.relminmxid,
		relpages = y.relpages, reltuples = y.reltuples, relallvisible = y.relallvisible WHERE oid = a;
	UPDATE pg_class SET relfilenode = x.relfilenode, relfrozenxid = x.relfrozenxid, relminmxid = x.relminmxid,
		relpages = x.relpages, reltuples = x.reltuples, relallvisible = x.relallvisible WHERE oid = b;
	-- values name their toast table, and that is named after the table
	IF x.reltoastrelid <> 0 THEN
		UPDATE pg_class SET reltoastrelid = y.reltoastrelid WHERE oid = a;
		UPDATE pg_class SET reltoastrelid = x.reltoastrelid WHERE oid = b;
		UPDATE pg_depend SET refobjid = CASE refobjid WHEN a THEN b ELSE a END WHERE classid = 'pg_class'::regclass AND objid IN (x.reltoastrelid, y.reltoastrelid)
			AND refclassid = 'pg_class'::regclass AND refobjid IN (a, b);
		PERFORM rename_toast(x.reltoastrelid, 'pg_toast_x');
		PERFORM rename_toast(y.reltoastrelid, 'pg_toast_' || a);
		PERFORM rename_toast(x.reltoastrelid, 'pg_toast_' || b);
	END IF;
	FOR i IN SELECT p.indexrelid AS p, q.indexrelid AS q FROM pg_index p JOIN pg_index q ON p.indkey = q.indkey
		WHERE p.indrelid = a AND q.indrelid = b LOOP
		PERFORM swap_files(i.p, i.q);
	END LOOP;
END $$;

-- Two tables with the same rows, the first to be exchanged with the second.
CREATE PROCEDURE make(am text, copy_am text) LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS t, copy, truth;
	EXECUTE format('CREATE TABLE t (id int PRIMARY KEY, k int, v int, s text) USING %I', am);
	CREATE INDEX t_k ON t USING alex (k);
	INSERT INTO t SELECT i, i % 100, i, repeat('x', i % 200) FROM generate_series(1, 3000) i;
	INSERT INTO t SELECT i, i % 100, i, (SELECT string_agg(md5(j::text), '') FROM generate_series(1, 500) j) FROM generate_series(3001, 3010) i;
	DELETE FROM t WHERE id % 7 = 0;
	UPDATE t SET v = v + 1 WHERE id % 3 = 0;
	CREATE TABLE truth USING heap AS SELECT * FROM t;
	EXECUTE format('CREATE TABLE copy (id int PRIMARY KEY, k int, v int, s text) USING %I', copy_am);
	CREATE INDEX copy_k ON copy USING alex (k);
	INSERT INTO copy SELECT * FROM t;
	UPDATE copy SET v = v - 1 WHERE id % 5 = 0;
	UPDATE copy SET v = v + 1 WHERE id % 5 = 0;
END $$;
SQL

sub am { return sql(q{SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = 't'::regclass}); }

sub same
{
	my ($name) = @_;
	is(sql('SELECT count(*) FROM ((TABLE t EXCEPT ALL TABLE truth) UNION ALL (TABLE truth EXCEPT ALL TABLE t)) d'), 0, $name);
	is(sql("SET enable_seqscan = off; SELECT count(*), sum(v) FROM t WHERE k BETWEEN 0 AND 100"),
		sql("SELECT count(*), sum(v) FROM truth WHERE k BETWEEN 0 AND 100"), "$name, by the index");
}

sub digest { return sql("CHECKPOINT; SELECT md5(string_agg(md5(pg_read_binary_file(pg_relation_filepath(r))), ' ' ORDER BY r))
	FROM unnest(ARRAY['t', 't_pkey', 't_k']::regclass[]) r"); }

# ---- an omen table with a heap table's file ----

sql("CALL make('omen', 'heap'); SELECT swap_files('t'::regclass, 'copy'::regclass)");
my $before = digest();
my @statements = (
	[ 'a scan', 'SELECT * FROM t' ],
	[ 'an index scan', 'SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT * FROM t WHERE id = 5' ],
	[ 'an index-only scan', 'SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT k FROM t WHERE k = 5' ],
	[ 'a bitmap scan', 'SET enable_seqscan = off; SET enable_indexscan = off; SELECT * FROM t WHERE id < 50' ],
	[ 'a TID scan', q{SELECT * FROM t WHERE ctid = '(1,1)'} ],
	[ 'a sample', 'SELECT * FROM t TABLESAMPLE bernoulli (50)' ],
	[ 'a row lock', 'SELECT * FROM t WHERE id = 1 FOR UPDATE' ],
	[ 'INSERT', q{INSERT INTO t VALUES (-1, 1, 1, 'x')} ],
	[ 'INSERT SELECT', q{INSERT INTO t SELECT -i, 1, 1, 'x' FROM generate_series(1, 10) i} ],
	[ 'COPY', "COPY t FROM STDIN;\n-1\t1\t1\tx\n\\.\n" ],
	[ 'UPDATE', 'UPDATE t SET v = 0 WHERE id = 1' ],
	[ 'DELETE', 'DELETE FROM t WHERE id = 1' ],
	[ 'upsert', q{INSERT INTO t VALUES (-1, 1, 1, 'x') ON CONFLICT (id) DO UPDATE SET v = 0} ],
	[ 'VACUUM', 'VACUUM t' ],
	[ 'VACUUM FREEZE', 'VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) t' ],
	[ 'ANALYZE', 'ANALYZE t' ],
	[ 'VACUUM FULL', 'VACUUM FULL t' ],
	[ 'CLUSTER', 'CLUSTER t USING t_pkey' ],
	[ 'CREATE INDEX', 'CREATE INDEX ON t (v)' ],
	[ 'ALTER TABLE', 'ALTER TABLE t ALTER v TYPE bigint' ],
	[ 'omen_check()', q{SELECT omen_check('t')} ],
	[ 'omen_stats()', q{SELECT omen_stats('t')} ]);
for (@statements)
{
	my ($name, $statement) = @$_;
	my ($message, $hint) = raises($statement);

	like($message, qr/^XX001: block \d+ of table "t" is no page of an omen table/, "$name says what is wrong");
	like($hint, qr/omen_repair_access_method\('public.t'\)/, "$name says what to do");
}
is(digest(), $before, 'nothing was written');

is(sql(q{SELECT omen_repair_access_method('t')}), 'heap', 'the repair');
is(am(), 'heap', 'is of the catalog');
same('a heap table now, with all rows');
sql('ALTER TABLE t SET ACCESS METHOD omen');
is(am(), 'omen', 'and an omen table again');
same('with all rows');
is((raises(q{SELECT omen_check('t')}))[0], '', 'and sound');
is(sql(q{SELECT omen_repair_access_method('t')}), 'omen', 'where nothing is wrong nothing is done');
sql('DROP TABLE t');
is(sql(q{SELECT count(*) FROM pg_depend WHERE refobjid = (SELECT oid FROM pg_am WHERE amname = 'omen')
	AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = objid)}), 0, 'no dependency is left behind');

# ---- a heap table with an omen table's file ----

sql("CALL make('heap', 'omen'); SELECT swap_files('t'::regclass, 'copy'::regclass)");
same('heap reads the newest versions of an omen file');
sql('VACUUM t');
is(sql(q{SELECT omen_repair_access_method('t')}), 'omen', 'the repair');
is(am(), 'omen', 'is of the catalog');
same('an omen table, with all rows');
is((raises(q{SELECT omen_check('t')}))[0], '', 'and sound');
sql('UPDATE t SET v = v + 1');
is((raises(q{SELECT omen_check('t')}))[0], '', 'and stays so');

sql("CALL make('heap', 'omen'); SELECT swap_files('t'::regclass, 'copy'::regclass); UPDATE t SET v = v + 1 WHERE id = 5; UPDATE truth SET v = v + 1 WHERE id = 5");
like((raises(q{SELECT omen_repair_access_method('t')}))[0], qr/^XX001: table "t" is corrupt/, 'what heap has written to is no omen file');
is(am(), 'heap', 'the catalog stays as it was');
sql('VACUUM FULL t');
is(sql(q{SELECT omen_repair_access_method('t')}), 'heap', 'VACUUM FULL writes a heap file');
same('with all rows');

# ---- what else the repair is asked to do ----

like((raises(q{SELECT omen_repair_access_method('pg_class')}))[0], qr/^42809: "pg_class" is neither/, 'no catalogs');
like((raises(q{SELECT omen_repair_access_method('t_pkey')}))[0], qr/^42809: "t_pkey" is neither/, 'no indexes');
like((raises(q{SELECT omen_repair_access_method(4294967295)}))[0], qr/^42P01: relation with OID/, 'what is not there');
sql('CREATE TABLE empty () USING omen');
is(sql(q{SELECT omen_repair_access_method('empty')}), 'omen', 'a table without pages');
sql('CREATE ROLE anybody');
like((raises(q{SET ROLE anybody; SELECT omen_repair_access_method('t')}))[0], qr/^42501: permission denied/, 'not for everybody');

# ---- copies that would have been exchanged ----

sql('CREATE SCHEMA repack; CREATE TABLE h (a int) USING heap; CREATE TABLE o (a int) USING omen');
my %oid = map { $_ => sql("SELECT '$_'::regclass::oid") } qw(h o);
like(join(' ', raises("CREATE TABLE repack.table_$oid{h} USING omen AS SELECT 1")),
	qr/^0A000: pg_repack would give table "h" the file of an omen table.* default_table_access_method to heap/, 'an omen copy of a heap table is refused');
is(join(' ', raises("CREATE TABLE repack.table_$oid{o} USING omen AS SELECT 1")), '', 'of an omen table it is not');
is(join(' ', raises("CREATE TABLE repack.table_1 USING omen AS SELECT 1; CREATE TABLE repack.table_x USING omen AS SELECT 1")), '', 'nor are other tables');
sql('DROP SCHEMA repack CASCADE');

# ---- pg_repack ----

if ((raises('CREATE EXTENSION pg_repack'))[0] ne '')
{
	note('pg_repack is not installed for this server');
}
else
{
	my @command = ('pg_repack', '--no-order', '-h', $node->host, '-p', $node->port, '-t', 't', 'postgres');

	sql("CALL make('omen', 'omen')");
	{
		local $ENV{PGOPTIONS} = '-c default_table_access_method=omen';
		command_ok(\@command, 'pg_repack of an omen table, whose access method is the default');
	}
	is((raises(q{SELECT omen_check('t')}))[0], '', 'leaves a sound omen table');
	same('with all rows');
	# ends in an error of its last step, ANALYZE, unless its version gives the copy the table's access method
	IPC::Run::run(\@command, '>&', \my $output);
	note($output);
	if ((raises('SELECT * FROM t'))[0] ne '')
	{
		like((raises('SELECT * FROM t'))[0], qr/^XX001: block \d+ of table "t" is no page of an omen table/, 'leaves a heap file, which is seen');
		is(sql(q{SELECT omen_repair_access_method('t')}), 'heap', 'and repaired');
	}
	same('with all rows');
	sql("CALL make('heap', 'omen')");
	{
		local $ENV{PGOPTIONS} = '-c default_table_access_method=omen';
		command_fails_like(\@command, qr/pg_repack would give table "t" the file of an omen table/, 'pg_repack of a heap table is refused when omen is the default');
	}
	is(am(), 'heap', 'and leaves the table alone');
	same('with all rows');
}

done_testing();
