# Random inserts, updates, deletes, rollbacks, savepoints and vacuums on
# tables that have a btree index and two indexes of the tested access method
# on the same column, one table a type.  Then every operator, order and
# direction must give the same rows through each index and without.
#
# OPS=n       row operations a type (default 100000)
# SEED=n      another run (default 1); SEED=random prints which one it was
# TYPES=...   only these types, separated by blanks; "columns": indexes on several columns

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $ops = $ENV{OPS} || 100000;
my $seed = AlexTest::seed();
diag("SEED=$seed OPS=$ops");

my $node = new_node('differential');
$node->start;
load_helpers($node);
my @types = split /\n/, $node->safe_psql('postgres', 'SELECT typ FROM t_types ORDER BY 1');
@types = grep { $_ ne 'columns' } split / /, $ENV{TYPES} if $ENV{TYPES};

# Everything below is one psql script a type, in a schema of its own.
sub script
{
	my ($type, $n) = @_;
	my $am = am();
	(my $schema = "diff_$type") =~ s/\W//g;
	my $rounds = 8;
	my $round_ops = int($ops / $rounds) + 1;
	my $sql = <<SQL;
\\set ON_ERROR_STOP 1
\\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA $schema;
SET search_path = $schema, public;
SET TimeZone = 'UTC';
SELECT t_make_gen('$type');
CREATE TABLE d (id int8 PRIMARY KEY, k $type, v int);
CREATE SEQUENCE d_id;
CREATE INDEX d_bt ON d USING btree (k);
CREATE INDEX d_asc ON d USING $am (k);
CREATE INDEX d_desc ON d USING $am (k DESC NULLS LAST);

-- n random operations; returns the rows changed.
CREATE FUNCTION work(dist int, n int) RETURNS int LANGUAGE plpgsql AS \$\$
DECLARE
	done int := 0;
	changed int;
	r float8;
	last int8 := (SELECT last_value FROM d_id);
	pick int8;
BEGIN
	FOR i IN 1..n LOOP
		r := random();
		-- Young rows are picked more often than old ones.
		pick := last - floor(power(random(), 2) * last);
		IF r < 0.5 THEN
			pick := nextval('d_id');
			INSERT INTO d VALUES (pick, t_gen(dist, pick), 0);
			last := pick;
		ELSIF r < 0.65 THEN
			UPDATE d SET k = t_gen(dist, pick), v = v + 1 WHERE id = pick;
		ELSIF r < 0.75 THEN
			UPDATE d SET v = v + 1 WHERE id = pick;
		ELSIF r < 0.998 THEN
			DELETE FROM d WHERE id = pick;
		ELSIF r < 0.999 THEN
			-- A statement with many rows.
			INSERT INTO d SELECT nextval('d_id'), t_gen(dist, last + g), 1 FROM generate_series(1, 200) g;
		ELSE
			-- Neighbouring keys, to empty pages.
			DELETE FROM d WHERE id IN (SELECT id FROM d WHERE k >= (SELECT k FROM d WHERE id >= pick ORDER BY id LIMIT 1)
				ORDER BY k LIMIT 300);
		END IF;
		GET DIAGNOSTICS changed = ROW_COUNT;
		done := done + changed;
	END LOOP;
	RETURN done;
END \$\$;

-- Transactions of random length, some of them rolled back, with savepoints,
-- some of them rolled back to.
CREATE PROCEDURE round(dist int, wanted int) LANGUAGE plpgsql AS \$\$
DECLARE
	done int := 0;
	len int;
BEGIN
	WHILE done < wanted LOOP
		len := 1 + floor(random() * random() * 20);
		WHILE len > 0 LOOP
			IF random() < 0.3 THEN
				BEGIN
					done := done + work(dist, 1 + floor(random() * 30)::int);
					IF random() < 0.5 THEN RAISE EXCEPTION 'back' USING ERRCODE = 'ZZ001'; END IF;
				EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
				END;
			ELSE
				done := done + work(dist, 1 + floor(random() * 100)::int);
			END IF;
			len := len - 1;
		END LOOP;
		IF random() < 0.15 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
	UPDATE total SET n = n + done;
END \$\$;
CREATE TABLE total (n int8);
INSERT INTO total VALUES (0);

SELECT setseed(@{[ (($seed * 31 + $n * 7) % 1000003) / 1000003 ]});
SQL
	for my $round (0 .. $rounds - 1)
	{
		my $dist = $round % 7;
		$sql .= "\\echo round $round\nCALL round($dist, $round_ops);\n";
		$sql .= "VACUUM d;\n" if $round % 2 == 1 || $round > 4;
		$sql .= <<SQL;
SELECT alex_check('d_asc', true), alex_check('d_desc', true);
SELECT t_compare('d', '{d_asc,d_desc}', ARRAY['', 'k IS NULL'], t_norm('$type'), t_scans('$type'));
SELECT t_probe('d', 'd_asc', 500), t_probe('d', 'd_desc', 500);
SQL
	}
	my $shape = am() eq 'alex' ? q(', height ' || (SELECT height FROM alex_stats('d_asc')) || ', leaves ' || (SELECT leaf_pages FROM alex_stats('d_asc'))) : q('');
	$sql .= <<SQL;
\\echo final comparison
VACUUM ANALYZE d;
SELECT t_compare('d', '{d_bt}', conds, t_norm('$type'), '{index}') AS bt,
	   t_compare('d', '{d_asc,d_desc}', conds, t_norm('$type'), t_scans('$type')) AS tested
FROM (SELECT array_agg(c) AS conds FROM t_conds('$type', 2) c) s \\gset
SELECT 'done: ' || n || ' operations, ' || (SELECT count(*) FROM d) || ' rows, ' || :bt + :tested || ' comparisons' || $shape FROM total;
SQL
	return $sql;
}

# The same with indexes on several columns, all shapes of them on one table: so many operations on each.
sub columns_script
{
	my ($n) = @_;
	my $am = am();
	my $rounds = 6;
	my $round_ops = int($ops / $rounds) + 1;
	my $sql = <<SQL;
\\set ON_ERROR_STOP 1
\\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA diff_columns;
SET search_path = diff_columns, public;
SET TimeZone = 'UTC';
SELECT t_columns_table('d', '$am');
CREATE SEQUENCE d_id;

CREATE FUNCTION work(variety int, n int) RETURNS int LANGUAGE plpgsql AS \$\$
DECLARE
	done int := 0;
	changed int;
	r float8;
	last int8 := (SELECT last_value FROM d_id);
	pick int8;
BEGIN
	FOR i IN 1..n LOOP
		r := random();
		pick := last - floor(power(random(), 2) * last);
		IF r < 0.5 THEN
			last := nextval('d_id');
			INSERT INTO d SELECT * FROM t_columns_row(last, variety)
				AS x(id int8, a int2, b int8, c timestamptz, d uuid, e float8, f bool, g int4, h interval, i text, j varchar);
		ELSIF r < 0.65 THEN
			UPDATE d SET b = x.b, c = x.c, e = x.e, f = x.f FROM t_columns_row(pick, variety)
				AS x(id int8, a int2, b int8, c timestamptz, d uuid, e float8, f bool, g int4, h interval, i text, j varchar) WHERE d.id = pick;
		ELSIF r < 0.75 THEN
			UPDATE d SET g = g / 2, a = NULL WHERE id = pick;
		ELSIF r < 0.999 THEN
			DELETE FROM d WHERE id = pick;
		ELSE
			DELETE FROM d WHERE a = (SELECT a FROM d WHERE id >= pick ORDER BY id LIMIT 1) AND b % 3 = 0;
		END IF;
		GET DIAGNOSTICS changed = ROW_COUNT;
		done := done + changed;
	END LOOP;
	RETURN done;
END \$\$;
CREATE PROCEDURE round(variety int, wanted int) LANGUAGE plpgsql AS \$\$
DECLARE
	done int := 0;
BEGIN
	WHILE done < wanted LOOP
		done := done + work(variety, 1 + floor(random() * 500)::int);
		IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
	UPDATE total SET n = n + done;
END \$\$;
CREATE TABLE total (n int8);
INSERT INTO total VALUES (0);
SELECT setseed(@{[ (($seed * 31 + $n * 7) % 1000003) / 1000003 ]});
SQL
	for my $round (0 .. $rounds - 1)
	{
		my $variety = (2, 10, 40, 300, 5000, 30000)[$round];
		$sql .= "\\echo round $round\nCALL round($variety, $round_ops);\nANALYZE d;\n";
		$sql .= "VACUUM d;\n" if $round % 2 == 1;
		$sql .= "SELECT alex_check(('d_' || n)::regclass, true), t_columns_compare('d', 'd_' || n, t_columns_keys('d_' || n), 8) FROM generate_series(1, 14) n;\n";
	}
	$sql .= <<SQL;
\\echo final comparison
VACUUM ANALYZE d;
SELECT sum(t_columns_compare('d', 'd_' || n, t_columns_keys('d_' || n), 40)) AS tested FROM generate_series(1, 14) n \\gset
SELECT 'done: ' || n || ' operations, ' || (SELECT count(*) FROM d) || ' rows, ' || :tested || ' comparisons' FROM total;
SQL
	return $sql;
}

# Two servers processes at a time.
my @queue = map { [ $types[$_], $_ ] } 0 .. $#types;
unshift @queue, [ 'columns', scalar @types ] if !$ENV{TYPES} || $ENV{TYPES} =~ /\bcolumns\b/;
my @running;
while (@queue || @running)
{
	while (@queue && @running < 2)
	{
		my ($type, $n) = @{ shift @queue };
		push @running,
		  [ $type, start_command('psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', 'postgres', '-f',
				write_script($type eq 'columns' ? columns_script($n) : script($type, $n))) ];
	}
	my ($type, $c) = @{ shift @running };
	my ($code, $out, $err) = finish_command($c);
	my ($done) = $out =~ /^(done: .*)$/m;
	my ($rounds) = $out =~ /.*^(round \d+|final comparison)$/ms;

	is($code, 0, "$type: " . ($done || 'failed'))
	  or diag("SEED=$seed OPS=$ops TYPES='$type', in " . ($rounds || 'the set-up') . ":\n$err");
	cmp_ok(($done || '') =~ /^done: (\d+)/ ? $1 : 0, '>=', $ops, "$type: operations");
}
clean_log($node);
$node->stop;
done_testing();
