# What whoever runs a server does with omen tables: counters that autovacuum goes by, autovacuum itself, the failsafe, unlogged
# tables, wal_level = minimal, tablespaces, locks of prepared transactions after a crash, pg_dump.  Everything is done to a
# heap table, too, and must have the same result.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $am = tam();
my $node = omen_node('operations');
$node->append_conf('postgresql.conf', <<'CONF');
max_prepared_transactions = 10
allow_in_place_tablespaces = on
autovacuum_naptime = 1
autovacuum_freeze_max_age = 100000
autovacuum_multixact_freeze_max_age = 100000
CONF
$node->start;
omen_setup($node);

# The statements for both kinds of tables: %T is h or o, the beginning of their names, %A the access method.
sub on_both
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $_->[0]) for map { my ($t, $a) = @$_; [ $sql =~ s/%T/$t/gr =~ s/%A/$a/gr ] } [ 'h', 'heap' ], [ 'o', $am ];
	return;
}

sub same_and_sound
{
	my ($what, @names) = @_;

	same_tables($node, "h_$_", $node, "o_$_", $what) for @names;
	return table_sound($node, $what, map { "o_$_" } @names);
}

# Creates and fills a table; with more updates than its pages have room for.
sub fill
{
	my ($name, $create) = @_;

	return ($create || 'CREATE TABLE') . qq{ %T_$name (id int PRIMARY KEY, k int8, v int, note text, long text) USING %A;
		ALTER TABLE %T_$name ALTER long SET STORAGE external;
		CREATE INDEX ON %T_$name (k);
		CREATE INDEX ON %T_$name USING alex (k);
		INSERT INTO %T_$name SELECT i, i * 10, 0, repeat('n', i % 80), CASE WHEN i % 100 = 0 THEN repeat(md5(i::text), 200) END FROM generate_series(1, 2000) i;
		UPDATE %T_$name SET v = v + 1;
		UPDATE %T_$name SET v = v + 1, note = 'other' WHERE id % 3 = 0;
		UPDATE %T_$name SET k = -k, long = repeat('m', 3000) WHERE id % 50 = 0;
		SAVEPOINT fill;
		UPDATE %T_$name SET v = -1, note = 'undone';
		DELETE FROM %T_$name WHERE id % 5 = 0;
		ROLLBACK TO fill;
		DELETE FROM %T_$name WHERE id % 7 = 0;};
}
sub crash { kill_server($node); $node->start; return; }

# ---- counters

{
	my @columns = qw(n_tup_ins n_tup_upd n_tup_del n_live_tup n_mod_since_analyze n_ins_since_vacuum n_dead_tup);
	my $undone = 0;
	my $reads = 'SELECT coalesce(sum(' . join('), 0), coalesce(sum(', @columns) . "), 0) FROM pg_stat_all_tables WHERE relname ~ ";
	my $session = OmenTest::Session->new($node, 'counting');

	on_both(<<'SQL');
CREATE TABLE %T_count (id int PRIMARY KEY, k int, v int) USING %A;
CREATE INDEX ON %T_count (k);
CREATE TABLE %T_child (id int PRIMARY KEY, p int REFERENCES %T_count ON UPDATE CASCADE ON DELETE CASCADE) USING %A;
CREATE TABLE %T_parts (id int, r int) PARTITION BY LIST (r);
CREATE TABLE %T_part1 PARTITION OF %T_parts FOR VALUES IN (1) USING %A;
CREATE TABLE %T_part2 PARTITION OF %T_parts FOR VALUES IN (2) USING %A;
SQL
	# Nothing is pruned meanwhile, which takes from what is dead in heap tables.
	my $old = OmenTest::Session->new($node, 'old');
	$old->safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	for my $step (
		'INSERT INTO %T_count SELECT i, i, 0 FROM generate_series(1, 1000) i',
		"COPY %T_count FROM PROGRAM 'seq -f \"%%.0f,1,2\" 2001 2500' (FORMAT csv)",
		'INSERT INTO %T_count VALUES (3001, 1, 1)',
		'UPDATE %T_count SET v = 1 WHERE id <= 100',
		'UPDATE %T_count SET v = v',
		'UPDATE %T_count SET k = k + 1 WHERE id <= 50',
		'UPDATE %T_count SET id = id + 10000 WHERE id BETWEEN 60 AND 70',
		'DELETE FROM %T_count WHERE id BETWEEN 500 AND 530',
		'BEGIN; INSERT INTO %T_count SELECT i FROM generate_series(4001, 4100) i; ROLLBACK',
		'BEGIN; UPDATE %T_count SET v = 2 WHERE id <= 100; ROLLBACK',
		'BEGIN; UPDATE %T_count SET v = 2 WHERE id <= 100; UPDATE %T_count SET v = 3 WHERE id <= 10; COMMIT',
		'BEGIN; UPDATE %T_count SET k = 2 WHERE id <= 100; DELETE FROM %T_count WHERE id > 900; ROLLBACK',
		'BEGIN; UPDATE %T_count SET v = 3 WHERE id < 20; SAVEPOINT a; UPDATE %T_count SET v = 4 WHERE id < 30; INSERT INTO %T_count VALUES (4001); ROLLBACK TO a; DELETE FROM %T_count WHERE id < 5; COMMIT',
		'BEGIN; INSERT INTO %T_count SELECT i FROM generate_series(5001, 5010) i; UPDATE %T_count SET v = 1 WHERE id > 5000; DELETE FROM %T_count WHERE id > 5005 AND id < 6000; COMMIT',
		'INSERT INTO %T_count VALUES (100, 0, 0), (6001, 0, 0) ON CONFLICT DO NOTHING',
		'INSERT INTO %T_count VALUES (100, 0, 0), (6002, 0, 0) ON CONFLICT (id) DO UPDATE SET v = 77',
		'INSERT INTO %T_count VALUES (100, 0, 0), (6003, 0, 0) ON CONFLICT (id) DO UPDATE SET k = 77',
		'MERGE INTO %T_count USING generate_series(90, 99) s (i) ON id = i WHEN MATCHED AND i < 93 THEN DELETE WHEN MATCHED THEN UPDATE SET v = i WHEN NOT MATCHED THEN INSERT VALUES (i)',
		'SELECT FROM %T_count WHERE id < 200 FOR UPDATE',
		'BEGIN; SELECT FROM %T_count WHERE id < 200 FOR UPDATE; UPDATE %T_count SET v = 5 WHERE id < 150; COMMIT',
		'INSERT INTO %T_child SELECT i, i FROM generate_series(201, 300) i',
		'UPDATE %T_count SET v = 8 WHERE id BETWEEN 201 AND 250',
		'UPDATE %T_count SET id = id + 20000 WHERE id BETWEEN 201 AND 210',
		'DELETE FROM %T_count WHERE id BETWEEN 220 AND 230',
		'INSERT INTO %T_parts SELECT i, 1 FROM generate_series(1, 100) i',
		'UPDATE %T_parts SET r = 2 WHERE id <= 10',
		'BEGIN; UPDATE %T_parts SET r = 1; ROLLBACK',
		"BEGIN; UPDATE %T_count SET v = 9 WHERE id > 2400; INSERT INTO %T_count VALUES (7001); PREPARE TRANSACTION '%T_p'",
		"COMMIT PREPARED '%T_p'",
		"BEGIN; UPDATE %T_count SET v = 10 WHERE id > 2400; INSERT INTO %T_count VALUES (7002); PREPARE TRANSACTION '%T_p'",
		"ROLLBACK PREPARED '%T_p'",
		'ANALYZE %T_child',
		'BEGIN; UPDATE %T_child SET id = id + 1000 WHERE id < 260; ANALYZE %T_child; DELETE FROM %T_child WHERE id < 270; COMMIT',
		'BEGIN; TRUNCATE %T_child; INSERT INTO %T_child VALUES (1); ROLLBACK',
		'BEGIN; INSERT INTO %T_child VALUES (2); TRUNCATE %T_child; INSERT INTO %T_child VALUES (3); COMMIT',
		'TRUNCATE %T_parts',
		'VACUUM %T_count, %T_child, %T_parts',
		'UPDATE %T_count SET v = 11 WHERE id < 100',
		'DELETE FROM %T_count WHERE id BETWEEN 700 AND 720',
		'VACUUM FULL %T_count')
	{
		my %count;
		$old->ask('COMMIT') if $step =~ /VACUUM/;
		# Whoever meets undone updates in place takes them off n_dead_tup: from here on that is not heap's.
		$undone = $step !~ /VACUUM/ && ($undone || $step =~ /UPDATE.*ROLLBACK/) ? 1 : 0;
		for my $t ('h', 'o')
		{
			$session->safe($step =~ s/%T/$t/gr =~ s/%%/%/gr);
			$session->safe('SELECT pg_stat_force_next_flush()');
			$count{$t} = $session->safe("$reads'^${t}_(count|child|part)'");
		}
		s/\|\d+$// for $undone ? @count{qw(h o)} : ();
		is($count{o}, $count{h}, join(', ', @columns[0 .. $#columns - $undone]) . ": $step");
	}
	like($session->safe(q{SELECT n_tup_hot_upd > 500 FROM pg_stat_all_tables WHERE relname = 'o_count'}), qr/^t/, 'updates in place count as updates that need no index');

	# What vanishes without VACUUM is not counted any more: a row that is updated often leaves little.
	for my $t ('h', 'o')
	{
		my $kind = $t eq 'h' ? 'heap' : $am;
		$session->safe($_) for "CREATE TABLE ${t}_hot (id int PRIMARY KEY, v int) USING $kind", "INSERT INTO ${t}_hot SELECT i, 0 FROM generate_series(1, 100) i",
		  "DO \$\$ BEGIN FOR i IN 1..3000 LOOP UPDATE ${t}_hot SET v = v + 1 WHERE id = 7; COMMIT; END LOOP; END \$\$", 'SELECT pg_stat_force_next_flush()';
	}
	is($session->safe("SELECT string_agg(relname || CASE WHEN n_tup_upd = 3000 AND n_dead_tup < 500 THEN ' ok' ELSE ' ' || n_dead_tup END, ',' ORDER BY relname) FROM pg_stat_all_tables WHERE relname ~ '^[ho]_hot\$'"),
		'h_hot ok,o_hot ok', 'n_dead_tup of a row that is updated often');
	# And what is counted is what ANALYZE finds, by looking at every page of a small table: nothing is forgotten or counted twice.
	if (is_omen())
	{
		$session->safe(<<'SQL');
CREATE TABLE o_load (id int PRIMARY KEY, k int, v int, t text) USING omen;
CREATE INDEX ON o_load (k);
INSERT INTO o_load SELECT i, i, 0, repeat('x', i % 100) FROM generate_series(1, 2000) i;
CREATE PROCEDURE load(aborts bool) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..120 LOOP
		UPDATE o_load SET v = v + 1 WHERE id % 10 = i % 10;
		IF aborts AND i % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
		UPDATE o_load SET v = v + 1, t = t || 'y' WHERE id % 50 = i % 50;
		UPDATE o_load SET v = v + 1 WHERE id % 100 = i % 50;
		IF aborts AND i % 5 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
		IF i % 20 = 0 THEN UPDATE o_load SET k = k + 1 WHERE id % 100 = i % 100; END IF;
		IF i % 15 = 0 THEN DELETE FROM o_load WHERE id % 300 = i; END IF;
		COMMIT;
		IF aborts THEN
			BEGIN UPDATE o_load SET v = v + 1 WHERE id % 30 = 1; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
			COMMIT;
		END IF;
	END LOOP;
END $$
SQL
		for my $aborts ('false', 'true', 'true, an old snapshot open')
		{
			$old->safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1') if $aborts =~ /old/;
			$session->safe('CALL load(' . ($aborts =~ /true/ ? 'true' : 'false') . ')');
			my @dead;
			for ('SELECT 1', 'ANALYZE o_load')
			{
				$session->safe($_);
				$session->safe('SELECT pg_stat_force_next_flush()');
				push @dead, $session->safe(q{SELECT n_dead_tup FROM pg_stat_all_tables WHERE relname = 'o_load'});
			}
			is($dead[0], $dead[1], "n_dead_tup is what ANALYZE finds, aborts: $aborts");
			cmp_ok($dead[0], '>', 0, 'which is something');
			$old->ask('COMMIT');
			$session->safe('VACUUM o_load');
		}
	}
	$_->quit for $session, $old;
}

# ---- unlogged tables

on_both('BEGIN;' . fill('ul', 'CREATE UNLOGGED TABLE') . 'COMMIT;');
on_both('BEGIN;' . fill('ul2', 'CREATE UNLOGGED TABLE') . 'COMMIT;');
on_both('BEGIN;' . fill('ul3') . 'COMMIT;');
on_both('UPDATE %T_ul SET v = v + 1 WHERE id % 2 = 0');
$node->restart;
same_and_sound('unlogged, after a clean restart', 'ul');
on_both('ALTER TABLE %T_ul2 SET LOGGED; UPDATE %T_ul2 SET v = v + 1; ALTER TABLE %T_ul3 SET UNLOGGED; UPDATE %T_ul3 SET v = v + 1');
crash();
same_and_sound('unlogged, after a crash', qw(ul ul2 ul3));
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM o_ul), (SELECT count(*) > 1000 FROM o_ul2), (SELECT count(*) FROM o_ul3)'), '0|t|0', 'unlogged tables are empty');
on_both(q{INSERT INTO %T_ul SELECT i, i, 0, 'again' FROM generate_series(1, 1000) i; UPDATE %T_ul SET v = 1; UPDATE %T_ul SET v = 2});
same_and_sound('unlogged, filled again', 'ul');

# ---- tablespaces, while an old snapshot needs what moves

$node->safe_psql('postgres', "CREATE TABLESPACE $_ LOCATION ''") for 'elsewhere', 'further';
on_both('BEGIN;' . fill('space') . 'COMMIT;');
{
	my $old = OmenTest::Session->new($node, 'old');
	$old->safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $query = q{SELECT count(*), sum(v), sum(k), md5(string_agg(t::text, ',' ORDER BY id)) FROM %T_space t};
	# a snapshot, but no lock on the tables
	$old->safe('SELECT count(*) FROM pg_class');
	my $seen = $node->safe_psql('postgres', $query =~ s/%T/o/r);
	on_both('UPDATE %T_space SET v = v + 1; UPDATE %T_space SET v = v + 1, note = note || note WHERE id % 2 = 0; UPDATE %T_space SET k = k + 1 WHERE id % 9 = 0; DELETE FROM %T_space WHERE id % 11 = 0');
	is($node->safe_psql('postgres', "SELECT versions_in_store > 0 FROM omen_stats('o_space')"), 't', 'older versions in the store') if is_omen();
	on_both('ALTER TABLE %T_space SET TABLESPACE elsewhere; ALTER INDEX %T_space_pkey SET TABLESPACE elsewhere; UPDATE %T_space SET v = v + 1');
	is($old->safe($query =~ s/%T/o/r), $seen, 'an old snapshot reads the table in its new tablespace');
	is($old->safe($query =~ s/%T/h/r), $seen, 'and the heap table');
	$old->ask('COMMIT');
	$old->quit;
}
same_and_sound('in another tablespace', 'space');
crash();
same_and_sound('in another tablespace, after a crash', 'space');
on_both('REINDEX (TABLESPACE further) TABLE %T_space; BEGIN; ALTER TABLE %T_space SET TABLESPACE further; ROLLBACK; UPDATE %T_space SET v = v + 2');
$node->safe_psql('postgres', 'ALTER TABLE ALL IN TABLESPACE elsewhere SET TABLESPACE further; DROP TABLESPACE elsewhere');
same_and_sound('and in a third', 'space');

# ---- prepared transactions keep their locks through a crash

on_both(<<'SQL');
CREATE TABLE %T_two (id int PRIMARY KEY, k int UNIQUE, v int, pad text) USING %A;
INSERT INTO %T_two SELECT i, i, 0, repeat('p', 60) FROM generate_series(1, 200) i;
BEGIN;
SELECT FROM %T_two WHERE id = 1 FOR UPDATE;
SELECT FROM %T_two WHERE id = 2 FOR NO KEY UPDATE;
SELECT FROM %T_two WHERE id = 3 FOR SHARE;
SELECT FROM %T_two WHERE id = 4 FOR KEY SHARE;
UPDATE %T_two SET v = v + 1 WHERE id = 5;
UPDATE %T_two SET k = -k WHERE id = 6;
DELETE FROM %T_two WHERE id = 7;
SELECT FROM %T_two WHERE id = 8 FOR KEY SHARE;
SAVEPOINT a;
UPDATE %T_two SET v = v + 1 WHERE id = 8;
SAVEPOINT b;
UPDATE %T_two SET v = v + 1 WHERE id = 9;
ROLLBACK TO b;
UPDATE %T_two SET v = v + 1, pad = 'long' || pad WHERE id > 100;
PREPARE TRANSACTION '%T_two';
SQL
crash();
# the same row may also be locked by somebody who is gone after the next crash
for my $round ('crashed once', 'crashed twice')
{
	my (%locked, %left);
	for my $t ('h', 'o')
	{
		my $session = OmenTest::Session->new($node, $t);
		for my $mode ('KEY SHARE', 'SHARE', 'NO KEY UPDATE', 'UPDATE')
		{
			$locked{$t} .= "$mode $_: " . ($session->ask("SELECT id, v FROM ${t}_two WHERE id = $_ FOR $mode NOWAIT")->{state} || 'free') . "\n" for 1 .. 10;
		}
		$left{$t} = $session->safe("SELECT string_agg(id || '-' || k || '-' || v, ',' ORDER BY id) FROM ${t}_two");
		$session->quit;
	}
	is($locked{o}, $locked{h}, "$round: rows that prepared transactions lock");
	like($locked{o}, qr/UPDATE 5: 55P03.*UPDATE 10: free/s, "$round: some are locked, others free");
	is($left{o}, $left{h}, "$round: what prepared transactions have not committed");
	$node->safe_psql('postgres', 'CHECKPOINT');
	crash();
}
$node->safe_psql('postgres', "COMMIT PREPARED '${_}_two'") for 'h', 'o';
same_and_sound('committed what was prepared', 'two');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT FROM o_two FOR UPDATE NOWAIT) s'), '199', 'no locks are left');

# ---- pg_dump

$node->safe_psql('postgres', <<'SQL');
CREATE MATERIALIZED VIEW dumped USING omen AS SELECT id, k FROM o_space WHERE id % 2 = 0;
CREATE TABLE mixed (id int, r int, PRIMARY KEY (id, r)) PARTITION BY LIST (r);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES IN (1) USING omen;
CREATE TABLE mixed_2 PARTITION OF mixed FOR VALUES IN (2) USING heap;
INSERT INTO mixed SELECT i, i % 2 + 1 FROM generate_series(1, 100) i;
SELECT omen_options('o_space', 80, true), omen_options('mixed_1', eager_offload => false);
SQL
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
$node->command_ok([ 'pg_dump', '-Fd', '-j', 2, '-f', $dump, $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE template0") for 'restored', 'as_heap';
$node->command_ok([ 'pg_restore', '-j', 2, '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'restored');
$node->command_ok([ 'pg_restore', '--no-table-access-method', '--exit-on-error', '-d', $node->connstr('as_heap'), $dump ], 'restored as heap tables');
my $content = q{SET search_path = public; SET client_min_messages = warning;
CREATE FUNCTION pg_temp.content(t regclass) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN EXECUTE format('SELECT count(*) || md5(string_agg(x::text, chr(10) ORDER BY x::text)) FROM %s x', t) INTO r; RETURN r; END $$;
SELECT c.oid::regclass, AM reloptions, pg_temp.content(c.oid) FROM pg_class c LEFT JOIN pg_am am ON am.oid = relam
WHERE relkind IN ('r', 'p', 'm') AND relnamespace = 'public'::regnamespace ORDER BY c.oid::regclass::text};
my $names = $content =~ s/AM/amname,/r;
my $before = $node->safe_psql('postgres', $names);
like($before, qr/^o_space\|$am\|/m, 'what is compared');
is($node->safe_psql('restored', $names), $before, 'restored with the same access methods and content');
is($node->safe_psql('restored', q{SELECT string_agg(objoid::regclass || ' ' || label, ', ' ORDER BY objoid::regclass::text) FROM pg_seclabel}), 'mixed_1 eager_offload=off, o_space eager_offload=on', 'and settings');
is($node->safe_psql('restored', q{SELECT * FROM omen_options('o_space')}), '80|t', 'which are in force') if is_omen();
is($node->safe_psql('as_heap', $content =~ s/AM//r), $node->safe_psql('postgres', $content =~ s/AM//r), 'and as heap tables with the same content');
is($node->safe_psql('as_heap', q{SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname = 'omen'}), '0', 'none of which is an omen table');
$node->safe_psql('postgres', "DROP DATABASE $_") for 'restored', 'as_heap';

# ---- autovacuum

# Tables for each reason there is, and one without a reason.
my $options = 'autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000, autovacuum_analyze_threshold = 1000000';
for my $name ('deleted', 'moved', 'undone', 'inserted', 'analyzed', 'quiet')
{
	my $o = $name eq 'inserted' ? $options =~ s/insert_threshold = \d+/insert_threshold = 500/r : $name eq 'analyzed' ? $options =~ s/analyze_threshold = \d+/analyze_threshold = 500/r : $options;
	on_both("CREATE TABLE %T_$name (id int PRIMARY KEY, v int) USING %A WITH ($o); INSERT INTO %T_$name SELECT i, 0 FROM generate_series(1, 1000) i; VACUUM (FREEZE, ANALYZE) %T_$name");
}
# Only to prevent wraparound may these be vacuumed.
on_both($_) for q{CREATE TABLE %T_rough (id int PRIMARY KEY, k int, v int) USING %A WITH (autovacuum_enabled = off);
	CREATE INDEX %T_rough_k ON %T_rough USING alex (k);
	-- which counts its entries whenever it is asked to clean up
	CREATE INDEX %T_rough_g ON %T_rough USING gist (point(k, id));
	INSERT INTO %T_rough SELECT i, i, 0 FROM generate_series(1, 1000) i; UPDATE %T_rough SET v = 1; DELETE FROM %T_rough WHERE id % 2 = 0;
	UPDATE %T_rough SET k = -k WHERE id % 5 = 0;},
  q{CREATE TABLE %T_wrap (id int PRIMARY KEY, v int, long text) USING %A WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
	INSERT INTO %T_wrap SELECT i, 0, CASE WHEN i % 50 = 0 THEN (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 200) g) END FROM generate_series(1, 1000) i;
	UPDATE %T_wrap SET v = 1; DELETE FROM %T_wrap WHERE id % 2 = 0};

on_both($_) for 'DELETE FROM %T_deleted WHERE id > 700', 'UPDATE %T_moved SET id = -id WHERE id > 700', 'BEGIN; INSERT INTO %T_undone SELECT i FROM generate_series(2001, 2300) i; ROLLBACK',
  'INSERT INTO %T_inserted SELECT i FROM generate_series(2001, 2600) i', 'UPDATE %T_analyzed SET v = 1 WHERE id < 150; UPDATE %T_analyzed SET v = 2 WHERE id < 20; INSERT INTO %T_analyzed SELECT i FROM generate_series(2001, 2400) i',
  'DELETE FROM %T_quiet WHERE id > 900; UPDATE %T_quiet SET v = 1 WHERE id < 50';
$node->append_conf('postgresql.conf', "autovacuum = on\n");
$node->reload;
for my $t ('h', 'o')
{
	ok($node->poll_query_until('postgres', "SELECT autovacuum_count > 0 FROM pg_stat_all_tables WHERE relname = '${t}_$_'"), "$t: autovacuum finds what was $_") for 'deleted', 'moved', 'undone', 'inserted';
	ok($node->poll_query_until('postgres', "SELECT autoanalyze_count > 0 FROM pg_stat_all_tables WHERE relname = '${t}_analyzed'"), "$t: and analyzes");
}
is($node->safe_psql('postgres', q{SELECT string_agg(relname, ',') FROM pg_stat_all_tables WHERE relname ~ '^[ho]_(quiet|analyzed|rough|wrap)$' AND autovacuum_count > 0 OR relname ~ '^[ho]_(deleted|moved|undone|inserted|quiet|rough|wrap)$' AND autoanalyze_count > 0}), '', 'and leaves alone what needs nothing');
is($node->safe_psql('postgres', q{SELECT string_agg(relname || ' ' || n_dead_tup, ',') FROM pg_stat_all_tables WHERE relname ~ '^[ho]_(deleted|moved|undone|inserted)$' AND n_dead_tup > 0}), '', 'nothing is dead any more');
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->reload;

# ---- the failsafe, and autovacuum that prevents wraparound

# Many transactions, soon: exception blocks that write.
$node->safe_psql('postgres', q{CREATE UNLOGGED TABLE burned () USING heap;
CREATE PROCEDURE burn(thousands int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..thousands LOOP
		FOR j IN 1..1000 LOOP
			BEGIN INSERT INTO burned DEFAULT VALUES; EXCEPTION WHEN division_by_zero THEN NULL; END;
		END LOOP;
		TRUNCATE burned;
		COMMIT;
	END LOOP;
END $$});
$node->safe_psql('postgres', 'CALL burn(106)');
cmp_ok($node->safe_psql('postgres', q{SELECT age(relfrozenxid) FROM pg_class WHERE relname = 'o_rough'}), '>', 105000, 'the tables are old');
# Both at once: at the end of a VACUUM, autovacuum is called for help.
my (undef, undef, $said) = $node->psql('postgres', 'SET vacuum_failsafe_age = 0; VACUUM h_rough, o_rough;');
for my $t ('h', 'o')
{
	like($said, qr/WARNING:.*table "postgres.public.${t}_rough" as a failsafe after 0 index scans/, "$t: the failsafe is noticed");
	cmp_ok($node->safe_psql('postgres', "SELECT age(relfrozenxid) FROM pg_class WHERE relname = '${t}_rough'"), '<', 60000, "$t: and relfrozenxid advances");
	cmp_ok($node->safe_psql('postgres', "SELECT entries FROM alex_stats('${t}_rough_k')"), '>=', 1100, "$t: index entries of dead rows are left to the next VACUUM");
	is($node->safe_psql('postgres', "SELECT string_agg(relname, ',') FROM pg_class WHERE relname ~ '^${t}_rough_' AND reltuples > 0"), '', "$t: and nothing else is done to the indexes");
}
same_and_sound('after the failsafe', 'rough');
$node->safe_psql('postgres', 'VACUUM h_rough, o_rough');
is($node->safe_psql('postgres', "SELECT (SELECT entries FROM alex_stats('${_}_rough_k')), reltuples FROM pg_class WHERE relname = '${_}_rough_g'"), '500|500', "$_: which removes them") for 'h', 'o';

$node->append_conf('postgresql.conf', "autovacuum = on\n");
$node->reload;
for my $t ('h', 'o')
{
	ok($node->poll_query_until('postgres', "SELECT max(age(relfrozenxid)) < 100000 FROM pg_class WHERE relname = '${t}_wrap' OR oid = (SELECT reltoastrelid FROM pg_class WHERE relname = '${t}_wrap')"), "$t: autovacuum prevents wraparound");
}
$node->append_conf('postgresql.conf', "autovacuum = off\n");
$node->reload;
same_and_sound('after autovacuum', qw(deleted moved undone inserted analyzed quiet rough wrap));

# ---- wal_level = minimal: what a transaction has created is not logged

$node->append_conf('postgresql.conf', "wal_level = minimal\nmax_wal_senders = 0\n");
for my $threshold ('0', '1GB')
{
	my $what = "wal_level = minimal, threshold $threshold";

	$node->safe_psql('postgres', "ALTER SYSTEM SET wal_skip_threshold = '$threshold'");
	$node->restart;
	on_both('DROP TABLE IF EXISTS ' . join(', ', map { "%T_m$_" } 1 .. 9));
	on_both('BEGIN;' . fill("m$_") . 'COMMIT;') for 2 .. 6;
	$node->safe_psql('postgres', 'CHECKPOINT');
	# created; truncated and filled by COPY; rewritten in three ways; moved; of another access method; from a query
	on_both('BEGIN;' . fill('m1') . 'COMMIT;');
	on_both(q{BEGIN; TRUNCATE %T_m2; COPY %T_m2 FROM PROGRAM 'seq -f "%.0f,1,2,,x" 1 3000' (FORMAT csv, FREEZE); UPDATE %T_m2 SET v = v + 1; UPDATE %T_m2 SET v = v + 1, note = repeat('y', 50); COMMIT});
	on_both('BEGIN; CLUSTER %T_m3 USING %T_m3_k_idx; UPDATE %T_m3 SET v = v + 1; UPDATE %T_m3 SET v = v + 1; COMMIT; UPDATE %T_m3 SET v = v + 1 WHERE id % 3 = 0');
	on_both('BEGIN; ALTER TABLE %T_m4 ALTER v TYPE int8; UPDATE %T_m4 SET v = v + 1; SAVEPOINT a; UPDATE %T_m4 SET v = -1; ROLLBACK TO a; UPDATE %T_m4 SET v = v + 1; COMMIT; VACUUM FULL %T_m4; UPDATE %T_m4 SET v = v + 1 WHERE id % 3 = 0');
	on_both('BEGIN; UPDATE %T_m5 SET v = v + 1; ALTER TABLE %T_m5 SET TABLESPACE further; UPDATE %T_m5 SET v = v + 1; UPDATE %T_m5 SET v = v + 1; COMMIT; UPDATE %T_m5 SET v = v + 1 WHERE id % 3 = 0');
	$node->safe_psql('postgres', 'BEGIN; ALTER TABLE o_m6 SET ACCESS METHOD heap; UPDATE o_m6 SET v = v + 1; COMMIT') if is_omen();
	$node->safe_psql('postgres', "BEGIN; ALTER TABLE o_m6 SET ACCESS METHOD $am; UPDATE o_m6 SET v = v + 1; UPDATE o_m6 SET v = v + 1; COMMIT");
	$node->safe_psql('postgres', 'UPDATE h_m6 SET v = v + ' . (is_omen() ? 3 : 2));
	on_both('CREATE TABLE %T_m7 USING %A AS SELECT * FROM %T_m4; UPDATE %T_m7 SET v = v + 1');
	on_both('BEGIN;' . fill('m8') . 'SAVEPOINT a; TRUNCATE %T_m8; INSERT INTO %T_m8 VALUES (1); UPDATE %T_m8 SET v = 1; ROLLBACK TO a; UPDATE %T_m8 SET v = v + 1; COMMIT');
	# what changes after a checkpoint, and still is not logged, has to be written once more
	on_both('BEGIN;' . fill('m9') . q{CHECKPOINT; UPDATE %T_m9 SET v = v + 1; CHECKPOINT; UPDATE %T_m9 SET v = v + 1, note = 'later' WHERE id % 3 = 0; COMMIT});
	crash();
	same_and_sound($what, map { "m$_" } 1 .. 9);
	on_both("UPDATE %T_m$_ SET v = v + 1; DELETE FROM %T_m$_ WHERE id % 4 = 0") for 1 .. 9;
	crash();
	same_and_sound("$what, and changed", map { "m$_" } 1 .. 9);
}
clean_log($node);
$node->stop('immediate');
done_testing();
