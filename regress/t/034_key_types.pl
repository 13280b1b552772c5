# Strings in every kind of order, with numbers, addresses, bits and bytes beside them: random changes of a table with one index of the
# tested access method for each shape of keys, one column or several, with INCLUDE, unique; then random queries by each of them and aggregates,
# compared with sequential scans. One database for each encoding and provider, one table for each collation; the strings are made to hurt.
#
# OPS=n       row operations a collation (default 3000; a long run is 100000)
# SEED=n      another run (default 1); SEED=random prints which one it was
# CLASSES=... only collations whose names, as utf8/C, match this expression

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $ops = $ENV{OPS} || 3000;
my $seed = AlexTest::seed();
diag("SEED=$seed OPS=$ops");

my $node = new_node('key_types');
$node->append_conf('postgresql.conf', "max_wal_size = 512MB\nwork_mem = 32MB");
$node->start;

my $version = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;
my $icu = $node->safe_psql('postgres', q{SELECT count(*) > 0 FROM pg_collation WHERE collname = 'sv-x-icu' AND collprovider = 'i'}) eq 't';

# name => how it is made, the collations of its tables, what strings are made of
my @utf8 = ("U&'\\00E4'", "U&'\\00C4'", "U&'a\\0308'", "U&'\\00E9'", "U&'e\\0301'", "U&'\\00DF'", "U&'\\FF21'", "U&'\\01C6'", "U&'\\20AC'",
	"U&'\\+01F600'", "U&'\\+10FFFF'", "U&'\\FFFD'", "U&'\\00AD'", "U&'\\200D'", "U&'\\0301'", "repeat(U&'\\00E4', 60)", "U&'\\4E2D\\6587'", "U&'\\0001'");
my @latin1 = ("chr(228)", "chr(196)", "chr(233)", "chr(223)", "chr(255)", "chr(160)", "chr(173)", "repeat(chr(228), 60)", "chr(128)");
my @ascii = ("chr(128)", "chr(228)", "chr(255)", "chr(195)", "chr(195) || chr(164)", "repeat(chr(255), 60)");
my @many = $icu ? ('en-x-icu', 'de-x-icu', 'sv-x-icu', 'nocase', 'base', 'numbers') : ();
my @databases = (
	[ utf8 => "ENCODING 'UTF8' LOCALE 'C'", \@utf8, 'C', ($version >= 17 ? 'pg_c_utf8' : 'ucs_basic'), @many ],
	[ latin1 => "ENCODING 'LATIN1' LOCALE 'C'", \@latin1, 'C', $icu ? ('sv-x-icu', 'nocase') : () ],
	[ ascii => "ENCODING 'SQL_ASCII' LOCALE 'C'", \@ascii, 'C' ]);
push @databases, [ swedish => "ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'sv'", \@utf8, 'default' ] if $icu;
push @databases, [ builtin => "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'", \@utf8, 'default' ] if $version >= 17;

my $functions = <<'SQL';
-- A string of the kinds that trees of strings find hard, made of some that come in the place of STEMS; some are as long as the limit allows, and a bit more.
CREATE FUNCTION hurtful(variety int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	stems text[] := ARRAY['', '', ' ', '  ', 'a', 'A', 'ab', 'aB', 'Ab', 'b', 'co-op', 'coop', 'CO-OP', '-', '_', '.', '''', '0', '00', '1', '10', '9', '1e5', '~', 'z',
		'resume', 'Resume', 'strasse', 'https://www.example.com/', repeat('p', 60), repeat('p', 180), repeat('-', 90), E'\t', E'\x7f', STEMS];
	s text := '';
	r float8 := random();
BEGIN
	IF r < 0.02 THEN RETURN NULL; END IF;
	FOR i IN 1 .. 1 + floor(random() * 3)::int LOOP
		s := s || stems[1 + floor(random() * cardinality(stems))::int];
	END LOOP;
	IF r < 0.5 THEN s := s || floor(random() * variety)::int; END IF;
	IF r > 0.9 THEN s := stems[30 + floor(random() * 2)::int] || lpad(floor(random() * variety)::text, 12, 'p'); END IF;
	IF r BETWEEN 0.6 AND 0.63 THEN s := rpad('q', 300 + floor(random() * 12)::int * 100, 'q') || chr(97 + floor(random() * 26)::int); END IF;
	IF r BETWEEN 0.63 AND 0.65 THEN s := rpad(s || 'u', 200 + floor(random() * 500)::int, s || 'u') || chr(97 + floor(random() * 26)::int); END IF;
	RETURN s;
END $$;
CREATE FUNCTION any_row(id int8, variety int) RETURNS d LANGUAGE plpgsql AS $$
DECLARE
	r d;
	u float8[] := ARRAY(SELECT random() FROM generate_series(1, 10));
BEGIN
	r.id := id;
	r.s := hurtful(variety);
	r.n := CASE WHEN u[1] < 0.03 THEN NULL WHEN u[1] < 0.1 THEN ('{NaN,Infinity,-Infinity,0.00,1e300,-1e300,1e-200,1.50,1.5}'::numeric[])[1 + id % 9]
		WHEN u[1] < 0.5 THEN floor(u[2] * variety)::numeric ELSE ((u[2] - 0.5) * exp(u[3] * 30))::numeric + 0.25 END;
	r.m := CASE WHEN u[4] < 0.03 THEN NULL ELSE floor((u[4] - 0.5) * variety)::numeric(12,3) / 8 END;
	r.i := CASE WHEN u[5] < 0.03 THEN NULL WHEN u[5] < 0.3 THEN ('2001:db8::'::inet + floor(u[6] * variety)::int8)
		ELSE set_masklen('10.0.0.0'::inet + floor(u[6] * u[6] * variety)::int8, CASE WHEN u[5] < 0.6 THEN 32 ELSE 8 + (id % 25)::int END) END;
	r.b := CASE WHEN u[7] < 0.03 THEN NULL ELSE substring((floor(u[7] * variety)::int8)::bit(40)::varbit, 1 + (id % 41)::int) END;
	r.y := CASE WHEN u[8] < 0.03 THEN NULL ELSE substr(decode(md5(floor(u[8] * variety)::text), 'hex'), 1, (id % 17)::int) || decode(repeat('00', (id % 3)::int), 'hex') END;
	r.p := CASE WHEN u[9] < 0.03 THEN NULL ELSE left(hurtful(variety), 12) END;
	r.a := CASE WHEN u[10] < 0.03 THEN NULL ELSE floor(u[10] * u[9] * 12) END;
	r.v := floor(u[1] * 1000);
	RETURN r;
END $$;

-- n random operations, one of which may be refused as too long; returns how many changed something.
CREATE FUNCTION work(variety int, n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	done int := 0;
	changed int;
	r float8;
	x d;
	last int8 := (SELECT last_value FROM d_id);
	pick int8;
BEGIN
	FOR i IN 1..n LOOP
		r := random();
		pick := last - floor(power(random(), 2) * last);
		changed := 0;
		IF r < 0.65 THEN
			IF r < 0.45 THEN
				pick := nextval('d_id');
				last := pick;
			END IF;
			x := any_row(pick, variety);
			-- what one index refuses, none has
			BEGIN
				IF r < 0.45 THEN INSERT INTO d VALUES (x.*);
				ELSIF r < 0.55 THEN UPDATE d SET s = x.s, n = x.n, i = x.i, p = x.p WHERE id = pick;
				ELSE UPDATE d SET a = x.a, m = x.m, b = x.b, y = x.y WHERE id = pick; END IF;
				GET DIAGNOSTICS changed = ROW_COUNT;
			EXCEPTION WHEN program_limit_exceeded THEN
				UPDATE total SET refused = refused + 1;
			END;
		ELSIF r < 0.8 THEN
			UPDATE d SET v = v + 1 WHERE id = pick;
			GET DIAGNOSTICS changed = ROW_COUNT;
		ELSIF r < 0.998 THEN
			DELETE FROM d WHERE id = pick;
			GET DIAGNOSTICS changed = ROW_COUNT;
		ELSIF r < 0.999 THEN
			DELETE FROM d WHERE s >= (SELECT s FROM d WHERE id >= pick ORDER BY id LIMIT 1) AND s < (SELECT s FROM d WHERE id >= pick ORDER BY id OFFSET 1 LIMIT 1);
			GET DIAGNOSTICS changed = ROW_COUNT;
		ELSE
			BEGIN
				INSERT INTO d (id, s) VALUES (-1, repeat('1 MB of x', 120000));
				RAISE EXCEPTION 'one megabyte as a key';
			EXCEPTION WHEN program_limit_exceeded THEN
				changed := 1;
			END;
		END IF;
		done := done + changed;
	END LOOP;
	RETURN done;
END $$;
CREATE PROCEDURE round(variety int, wanted int) LANGUAGE plpgsql AS $$
DECLARE
	done int := 0;
BEGIN
	WHILE done < wanted LOOP
		done := done + work(variety, 1 + floor(random() * 300)::int);
		IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
	UPDATE total SET n = n + done;
END $$;
CREATE TABLE total (n int8, refused int8, aggregates int8);
INSERT INTO total VALUES (0, 0, 0);

-- Strings in the order of their bytes, by the index of text_pattern_ops.
CREATE FUNCTION compare_patterns(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	c text;
	q text;
	want text;
	got text;
	v text[];
	kind text;
BEGIN
	PERFORM t_show_index('d', 'd_pattern');
	FOR i IN 1 .. n LOOP
		SELECT array_agg(quote_literal(t_near(s, 'text'))) INTO v FROM (SELECT (SELECT s FROM d WHERE id >= t_place AND s IS NOT NULL ORDER BY id LIMIT 1)
			FROM (SELECT floor(random() * (SELECT max(id) FROM d))::int8 AS t_place FROM generate_series(1, 3) OFFSET 0) y) x(s);
		c := format((ARRAY['s = %1$s', 's ~<~ %1$s', 's ~>=~ %1$s AND s ~<~ %2$s', 's ~>~ %1$s AND a > 2', 's = ANY (ARRAY[%1$s, %2$s, %3$s])', 's ~<=~ %1$s AND s ~>~ %2$s', 's IS NULL AND a < 3'])
			[1 + floor(random() * 7)::int], coalesce(v[1], 'NULL'), coalesce(v[2], 'NULL'), coalesce(v[3], 'NULL'));
		q := format('SELECT md5(coalesce(string_agg(x::text, '';''), '''')) || count(*) FROM (SELECT s, a FROM d WHERE %s ORDER BY s USING ~<~, a) x', c);
		PERFORM t_force('seq');
		EXECUTE q INTO want;
		FOREACH kind IN ARRAY '{index,only,bitmap}'::text[] LOOP
			PERFORM t_force(kind);
			IF kind = 'bitmap' THEN SET enable_sort = on; END IF;
			EXECUTE q INTO got;
			IF got IS DISTINCT FROM want THEN RAISE EXCEPTION 'wrong answer from % scan for: %', kind, q USING DETAIL = t_plan(q); END IF;
		END LOOP;
	END LOOP;
	PERFORM t_show_index('d', NULL);
	PERFORM t_unforce();
	RETURN n;
END $$;

-- The columns of an index of d; included ones have no collation there.
CREATE FUNCTION columns_of(idx text) RETURNS TABLE (attname name, attnum int2, atttypid oid, attcollation oid) LANGUAGE sql STABLE AS $$
	SELECT a.attname, a.attnum, a.atttypid, t.attcollation FROM pg_attribute a JOIN pg_attribute t USING (attname)
	WHERE a.attrelid = idx::regclass AND t.attrelid = 'd'::regclass
$$;

-- n random aggregates by one index and without it; returns how many of them were answered from its leaves.
CREATE FUNCTION compare_aggregates(idx text, n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	cond text;
	q text;
	want text;
	got text;
	groups text[];
	answers text[];
	done int := 0;
	many float8;
BEGIN
	PERFORM t_show_index('d', idx);
	FOR i IN 1 .. n LOOP
		cond := CASE WHEN random() < 0.6 THEN t_columns_cond('d', idx) ELSE '' END;
		SELECT array_agg(attname ORDER BY attnum), array_agg(t_normal(attname, atttypid, attcollation) ORDER BY attnum) INTO groups, answers
		FROM columns_of(idx), (SELECT floor(random() * 3) AS k OFFSET 0) x WHERE attnum <= k;
		-- of indexes with strings only count(*) is answered
		many := floor(random() * 2) * 0.6;
		answers := answers || ARRAY(SELECT CASE floor(random() * 5)
				WHEN 0 THEN 'count(DISTINCT ' || attname || ')' WHEN 1 THEN t_normal('min(' || attname || ')', atttypid, attcollation)
				WHEN 2 THEN t_normal('max(' || attname || ')', atttypid, attcollation)
				WHEN 3 THEN CASE WHEN atttypid IN ('numeric'::regtype, 'int4'::regtype) THEN t_normal('sum(' || attname || ')', 'numeric'::regtype, 0) ELSE 'count(*)' END
				ELSE 'count(' || attname || ')' END
			FROM columns_of(idx) WHERE atttypid NOT IN ('varbit'::regtype, 'bytea'::regtype)
				AND random() < many);
		q := format('SELECT md5(coalesce(string_agg(x::text, '';'' ORDER BY x::text), '''')) || count(*) FROM (SELECT %s FROM d %s %s OFFSET 0) x',
			array_to_string(answers || 'count(*)'::text, ', '), 'WHERE ' || nullif(cond, ''), 'GROUP BY ' || array_to_string(groups, ', '));
		PERFORM t_force('seq');
		EXECUTE q INTO want;
		PERFORM t_force('only'), set_config('alex.enable_aggregate', 'on', false), set_config('enable_sort', 'on', false);
		IF t_plan(q) LIKE '%AlexAggregate%' THEN done := done + 1; END IF;
		EXECUTE q INTO got;
		IF got IS DISTINCT FROM want THEN RAISE EXCEPTION 'wrong aggregate by %: %', idx, q USING DETAIL = t_plan(q); END IF;
	END LOOP;
	PERFORM t_show_index('d', NULL);
	PERFORM t_unforce();
	UPDATE total SET aggregates = aggregates + done;
	RETURN done;
END $$;
SQL

my @shapes = ('s', 's DESC NULLS LAST, id', 'n, s, id', 'i DESC, a, s', 'b, n DESC', 'y NULLS FIRST, s DESC', 'p, m', 's, id) INCLUDE (a, n, y', 'a, p DESC, id) INCLUDE (s', 'm DESC, i, b, id', 'i', 'm', 'a, m');

sub script
{
	my ($collation, $stems, $n) = @_;
	my $padded = $collation =~ m{^(?:C|pg_c_utf8|ucs_basic)$} ? $collation : "C";
	my $am = am();
	my $rounds = 6;
	my $round_ops = int($ops / $rounds) + 1;
	my $queries = $ops >= 50000 ? 12 : 3;
	my $setup = $functions =~ s/STEMS(?=\])/join(', ', @$stems)/er;
	# which collations that are not deterministic do not have
	my $pattern = $collation =~ /^(?:nocase|base)$/ ? '' : "CREATE INDEX d_pattern ON d USING $am (s text_pattern_ops, a);";
	my $sql = <<SQL;
\\set ON_ERROR_STOP 1
\\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA class_$n;
SET search_path = class_$n, public;
CREATE TABLE d (id int8, s text COLLATE "$collation", n numeric, m numeric(9,3), i inet, b varbit, y bytea, p char(12) COLLATE "$padded", a int4, v int);
CREATE SEQUENCE d_id;
CREATE UNIQUE INDEX d_unique ON d USING $am (id);
CREATE UNIQUE INDEX d_unique_s ON d USING $am (s, id);
$pattern
$setup
SELECT setseed(@{[ (($seed * 31 + $n * 7) % 1000003) / 1000003 ]});
SQL
	$sql .= "CREATE INDEX d_$_ ON d USING $am ($shapes[$_]);\n" for 0 .. $#shapes;
	for my $round (0 .. $rounds - 1)
	{
		my $variety = (2, 10, 300, 5000, 40, 30000)[$round];
		$sql .= "\\echo round $round\nCALL round($variety, $round_ops);\nANALYZE d;\n";
		$sql .= "VACUUM d;\n" if $round % 2 == 1;
		# codes of their own
		$sql .= "REINDEX TABLE d;\n" if $round == 2;
		$sql .= <<SQL;
SELECT alex_check(indexrelid, true), t_columns_compare('d', indexrelid::regclass::text, t_columns_keys(indexrelid::regclass::text), $queries)
FROM pg_index WHERE indrelid = 'd'::regclass AND indexrelid IS DISTINCT FROM to_regclass('d_pattern');
SELECT compare_patterns($queries), alex_check(indexrelid, true) FROM pg_index WHERE indexrelid = to_regclass('d_pattern');
SELECT compare_aggregates(indexrelid::regclass::text, $queries) FROM pg_index WHERE indrelid = 'd'::regclass;
SQL
	}
	$sql .= <<SQL;
VACUUM FULL d;
SELECT alex_check(indexrelid, true) FROM pg_index WHERE indrelid = 'd'::regclass;
SELECT 'done: ' || n || ' operations, ' || (SELECT count(*) FROM d) || ' rows, ' || refused || ' refused, ' || aggregates || ' aggregates from the index' FROM total;
SQL
	return $sql;
}

my (@queue, @running);
my $n = 0;
for my $database (@databases)
{
	my ($name, $how, $stems, @collations) = @$database;
	my @wanted = grep { "$name/$_" =~ /$ENV{CLASSES}/ } @collations if $ENV{CLASSES};
	@wanted = @collations if !$ENV{CLASSES};
	next if !@wanted;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0 $how");
	load_helpers($node, $name);
	$node->safe_psql($name, <<'SQL') if $icu && $name ne 'ascii';
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION base (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE COLLATION numbers (provider = icu, locale = 'en-u-kn-true');
SQL
	push @queue, map { [ $name, $_, $stems, $n++ ] } @wanted;
}

# Two server processes at a time.
while (@queue || @running)
{
	while (@queue && @running < 2)
	{
		my ($name, $collation, $stems, $class) = @{ shift @queue };
		push @running, [ "$name/$collation", start_command('psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', $name, '-f', write_script(script($collation, $stems, $class))) ];
	}
	my ($class, $c) = @{ shift @running };
	my ($code, $out, $err) = finish_command($c);
	my ($done) = $out =~ /^(done: .*)$/m;
	my ($rounds) = $out =~ /.*^(round \d+)$/ms;

	is($code, 0, "$class: " . ($done || 'failed')) or diag("SEED=$seed OPS=$ops CLASSES='$class', in " . ($rounds || 'the set-up') . ":\n" . substr($err, 0, 3000));
	cmp_ok(($done || '') =~ /^done: (\d+)/ ? $1 : 0, '>=', $ops, "$class: operations");
	cmp_ok(($done || '') =~ /(\d+) aggregates/ ? $1 : 0, '>', 0, "$class: aggregates answered from the index") if am() eq 'alex';
}
clean_log($node);
$node->stop;
done_testing();
