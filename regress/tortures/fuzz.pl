# Random queries: what heap tables answer with sequential scans, they and omen tables must answer by every plan that settings
# can force out of the planner, most of all through alex indexes. Between queries random changes, the same on both tables, some of them
# rolled back. One type of key after the other, and one table whose alex index has more than a thousand leaves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../t";

use Torture;
use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = omen_node('fuzz');
$node->append_conf('postgresql.conf', <<'CONF');
max_wal_size = 128MB
min_parallel_table_scan_size = 0
min_parallel_index_scan_size = 0
parallel_setup_cost = 1
parallel_tuple_cost = 0
statement_timeout = 60s
CONF
$node->start;
omen_setup($node);
load_helpers($node);
$node->safe_psql('postgres', <<'SQL');
SET client_min_messages = warning;
-- The answer of a query as a text; or its error, as which one may depend on the plan only by its text.
CREATE FUNCTION answer(q text, settings text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	s text;
BEGIN
	FOREACH s IN ARRAY string_to_array(settings, ' ') LOOP
		PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), true);
	END LOOP;
	EXECUTE q INTO answer;
	RETURN answer;
EXCEPTION WHEN data_exception OR cardinality_violation OR division_by_zero THEN
	RETURN 'error';
END $$;
SQL

my @types = (qw(int8 int4 int2 float8 float4 timestamptz timestamp date uuid oid money time pg_lsn), qw(text name bytea numeric inet varbit), 'numeric(12,2)', 'char(12)');
my ($s, $type, @conds, $rows);

# T stands for either of the tables h (heap) and o (omen).
sub on_both
{
	my ($sql) = @_;

	$s->safe($sql =~ s/\bT(?=\b|_)/$_/gr) for 'h', 'o';
	return;
}

# The tables of one type, with n rows; deep: alex indexes with few entries on each leaf.
sub make_tables
{
	my ($ty, $n, $deep) = @_;
	my $fill = $deep ? 'WITH (fillfactor = 10)' : '';

	$type = $ty;
	$rows = $n;
	$s->safe("DROP SCHEMA IF EXISTS fuzz CASCADE; CREATE SCHEMA fuzz; SET search_path = fuzz, public; SET client_min_messages = warning; SET TimeZone = 'UTC'");
	$s->safe("SELECT t_make_gen('$type')");
	$s->safe('SELECT setseed(' . rand() . ')');
	my ($d1, $d2) = map { pick(0, 0, 1, 2, 3, 4, 5, 6) } 1, 2;
	# many rows of one key make joins that do not end
	($d1, $d2) = (0, 3) if $deep;
	$s->safe("CREATE TABLE h (id int PRIMARY KEY, k $type, k2 $type, v int, note text)");
	$s->safe("INSERT INTO h SELECT i, t_gen($d1, i), t_gen($d2, i), i % 13, CASE WHEN i % 5 = 0 THEN repeat('n', i % 70) END FROM generate_series(1, $n) i");
	$s->safe('CREATE TABLE o (LIKE h) USING omen');
	$s->safe('INSERT INTO o SELECT * FROM h');
	$s->safe('ALTER TABLE o ADD PRIMARY KEY (id)');
	on_both("CREATE INDEX T_k ON T USING alex (k) $fill");
	on_both("CREATE INDEX T_k2 ON T USING alex (k2 DESC NULLS LAST) $fill");
	on_both('CREATE INDEX T_part ON T USING alex (k) WHERE v < 5');
	on_both('CREATE INDEX T_v ON T USING alex (v)');
	on_both('CREATE INDEX T_expr ON T USING alex ((id % 1000))');
	on_both('CREATE INDEX T_both ON T USING alex (v, k DESC, k2)');
	on_both('CREATE INDEX T_more ON T USING alex (k2, id) INCLUDE (v, note)');
	on_both('VACUUM ANALYZE T');
	@conds = split /\n/, $s->safe("SELECT c FROM t_conds('$type', 3) c WHERE c <> ''");
	if ($deep)
	{
		my $leaves = $s->safe(q{SELECT min(leaf_pages) FROM alex_stats('h_k')});
		# Keys of some types and distributions take less room: as many rows more.
		return make_tables($ty, int($n * 1200 / $leaves) + 1, 1) if $leaves <= 1000 && $n < 1000000;
		cmp_ok($leaves, '>', 1000, "$leaves leaves");
		count_up('leaves', $leaves);
	}
	return;
}

# ---- conditions and queries

sub cond
{
	my ($depth) = @_;
	my $r = rand();

	return '(' . cond($depth - 1) . (chance(0.6) ? ' AND ' : ' OR ') . cond($depth - 1) . ')' if $depth > 0 && $r < 0.5;
	return 'NOT (' . cond($depth - 1) . ')' if $depth > 0 && $r < 0.56;
	return 'id ' . pick('<', '>', '=', '<=') . ' ' . int(rand($rows)) if $r > 0.93;
	return 'id % 1000 = ' . int(rand(1000)) if $r > 0.9;
	return 'v ' . pick('<', '>', '=') . ' ' . int(rand(14)) if $r > 0.8;
	my $c = pick(@conds);
	$c =~ s/\bk\b/k2/g if chance(0.3);
	return "($c)";
}

# One key of the table
sub key { return '(SELECT ' . pick('k', 'k2') . ' FROM T x WHERE id = ' . (1 + int(rand($rows))) . ')'; }
sub some { return 'id BETWEEN ' . int(rand($rows)) . ' AND ' . int(rand($rows)); }
sub few { my $a = int(rand($rows)); return "id BETWEEN $a AND " . ($a + 60); }
sub where { return chance(0.2) ? some() : chance(0.3) ? 'k ' . pick('<', '<=', '=', '>=', '>') . ' ' . key() . ' AND ' . cond(1) : cond(2); }

# A query whose answer is one row of one text, whatever order its rows come in.
my $any = sub { my ($q) = @_; return "SELECT count(*) || ' ' || coalesce(md5(string_agg(r, ',' ORDER BY r)), '') FROM (SELECT md5(q::text) AS r FROM ($q) q) s"; };
my $ordered = sub { my ($q) = @_; return "SELECT count(*) || ' ' || coalesce(md5(string_agg(r, ',')), '') FROM (SELECT q::text AS r FROM ($q) q OFFSET 0) s"; };
# -0 and 0 are equal, and which comes first is free; so are 1.5 and 1.50
sub norm { my ($k) = @_; return $type =~ /float/ ? "$k + 0 AS $k" : $type eq 'numeric' ? "trim_scale($k) AS $k" : $k; }

my @shapes = (
	sub { $any->('SELECT * FROM T WHERE ' . where()) },
	sub { $any->('SELECT ' . norm('k') . ' FROM T WHERE ' . where() =~ s/\bk2\b/k/gr) },
	sub { my $k = pick('k', 'k2'); my $dir = pick('', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST');
		$ordered->('SELECT ' . norm($k) . " FROM T WHERE " . where() . " ORDER BY $k $dir" . (chance(0.6) ? ' LIMIT ' . int(rand(200)) . (chance(0.3) ? ' OFFSET ' . int(rand(50)) : '') : '')) },
	sub { my $dir = pick('', 'DESC'); $ordered->('SELECT id, v FROM T WHERE ' . where() . " ORDER BY v $dir, id LIMIT " . (1 + int(rand(300)))) },
	sub { $any->('SELECT v, count(*), count(DISTINCT k) FROM T WHERE ' . where() . ' GROUP BY v') },
	sub { 'SELECT (SELECT ' . pick('count(k)', 'count(*)') . ' FROM T WHERE ' . where() . ")::text || coalesce((SELECT (k IS NULL)::text FROM T WHERE " . where() . ' ORDER BY k LIMIT 1), \'-\')' },
	sub { $any->('SELECT DISTINCT ' . norm(pick('k', 'k2')) . ' FROM T WHERE ' . where()) },
	sub { 'SELECT count(*) || \' \' || coalesce(sum(a.id::int8 * b.id), 0) FROM (SELECT * FROM T WHERE ' . few() . ') a JOIN T b ON a.k ' . pick('=', '=', '=') . ' b.' . pick('k', 'k2') . ' WHERE ' . (cond(1) =~ s/\b(k2?|v|id)\b/b.$1/gr) },
	sub { 'SELECT count(*) || \' \' || coalesce(sum(a.id::int8), 0) FROM (SELECT * FROM T WHERE ' . few() . ') a LEFT JOIN T b ON a.k = b.k AND b.v < ' . int(rand(13)) . ' WHERE b.id IS ' . pick('', 'NOT') . ' NULL' },
	sub { $any->('SELECT id FROM T a WHERE ' . some() . ' AND ' . pick('', 'NOT') . ' EXISTS (SELECT FROM T b WHERE b.k = a.k2 AND b.v = ' . int(rand(13)) . ')') },
	sub { $any->('SELECT id FROM T WHERE k IN (SELECT k2 FROM T WHERE ' . few() . ')') },
	sub { $any->('SELECT id FROM T WHERE k = ANY (ARRAY[' . join(', ', map { key() } 0 .. int(rand(8))) . ']) AND ' . cond(0)) },
	sub { $any->("SELECT id, (SELECT count(*) FROM T b WHERE b.k = a.k AND b.v <> a.v) FROM T a WHERE " . few()) },
	sub { my $op = pick('<', '>'); my $f = $op eq '<' ? 'DESC NULLS LAST' : 'ASC'; $any->("SELECT id, (SELECT " . norm('k') . " FROM T b WHERE b.k $op a.k ORDER BY b.k $f LIMIT 1) FROM T a WHERE " . few()) },
	sub { $ordered->('SELECT ' . norm('k') . ' FROM (SELECT k FROM T WHERE ' . where() . ' UNION ALL SELECT k2 FROM T WHERE ' . where() . ') u ORDER BY k LIMIT 500') },
	sub { 'SELECT count(*) || \' \' || coalesce(sum(r), 0) FROM (SELECT rank() OVER (ORDER BY k) AS r FROM T WHERE ' . where() . ') s' },
	sub { $any->('SELECT id FROM T WHERE id % 1000 IN (' . join(', ', map { int(rand(1000)) } 0 .. int(rand(5))) . ') AND ' . cond(1)) },
	sub { $any->('(SELECT id FROM T WHERE ' . where() . ') ' . pick('INTERSECT', 'EXCEPT') . ' (SELECT id FROM T WHERE ' . where() . ')') },
	sub { $any->('WITH w AS (SELECT id FROM T WHERE ' . where() . ' ORDER BY id LIMIT 20) SELECT T.id, T.v FROM T JOIN w USING (id)') },
);

my @switches = qw(enable_seqscan enable_indexscan enable_indexonlyscan enable_bitmapscan enable_sort enable_hashjoin enable_mergejoin
	enable_nestloop enable_material enable_memoize enable_hashagg enable_incremental_sort);
sub settings
{
	my @set = ('enable_seqscan=off');

	push @set, map { "$_=off" } grep { chance(0.25) } @switches;
	push @set, 'max_parallel_workers_per_gather=' . pick(0, 0, 0, 2), 'work_mem=' . pick('64kB', '4MB', '4MB');
	return join(' ', @set);
}
my $plain = 'enable_indexscan=off enable_indexonlyscan=off enable_bitmapscan=off max_parallel_workers_per_gather=0';

# ---- changes

my $fresh;
sub change
{
	my $where = chance(0.5) ? few() : 'id % 997 = ' . int(rand(997));
	my $dist = pick(0 .. 6);
	my $sql = pick(
		'UPDATE T SET v = v + 1 WHERE V',
		'UPDATE T SET note = repeat(\'m\', v) WHERE V',
		'UPDATE T SET k = k2 WHERE V', 'UPDATE T SET k2 = k, v = -v WHERE V',
		'UPDATE T SET k = NULL WHERE V AND v = 3',
		'DELETE FROM T WHERE V AND v % 3 = 0',
		'DELETE FROM T WHERE V AND ' . cond(1),
		'INSERT INTO T SELECT * FROM fresh', 'INSERT INTO T SELECT * FROM fresh',
		'UPDATE T SET k = fresh_k FROM (SELECT id AS fresh_id, k AS fresh_k FROM fresh) f WHERE id % 1009 = fresh_id % 1009 AND V') =~ s/\bV\b/$where/r;

	if ($sql =~ /fresh/)
	{
		$fresh += 50;
		$s->safe("DROP TABLE IF EXISTS fresh; CREATE TEMP TABLE fresh AS SELECT i AS id, t_gen($dist, i) AS k, t_gen(0, i) AS k2, i % 13 AS v, NULL::text AS note FROM generate_series($fresh, $fresh + 49) i");
	}
	my $end = chance(0.15) ? 'ROLLBACK' : 'COMMIT';
	for my $t ('h', 'o')
	{
		$s->safe('BEGIN');
		my $r = $s->ask($sql =~ s/\bT(?=\b|_)/$t/gr);
		# a condition may be one that fails, on both alike
		die "$type: $sql: $r->{text}" if $r->{error} ne '' && $r->{state} !~ /^2[12]/;
		$s->safe($end);
	}
	count_up('changes');
	on_both(pick('VACUUM T', 'VACUUM ANALYZE T', 'SELECT count(*) FROM T')) if chance(0.15);
	return;
}

sub compare
{
	my $q = pick(@shapes)->();
	my $settings = settings();
	my %seen;

	for my $t ('h', 'o')
	{
		for my $set ($plain, $settings)
		{
			my $text = $q =~ s/\bT\b/$t/gr;
			my $r = $s->ask("SELECT answer(\$q\$$text\$q\$, '$set')");
			if ($r->{error} ne '')
			{
				# A condition of a type it cannot have, or too slow without an index: not what is looked for, unless it comes often.
				count_up("queries with error $r->{state}");
				finding("$type: $r->{error}: $text\n$set") if $r->{state} =~ /^(?:XX|08|57P)/;
				return if $r->{state} !~ /^(?:XX|08)/;
				die "connection lost\n" if $s->{lost};
			}
			$seen{ ($t eq 'h' ? 'heap' : 'omen') . ($set eq $plain ? ' plain' : ' planned') } = $r->{rows}[0] // '';
		}
	}
	my %answers = map { $_ => 1 } values %seen;
	count_up('queries');
	count_up('answers with rows') if ($seen{'heap plain'}) !~ /^(?:0|error)/;
	finding("$type: $q\nwith $settings", join("\n", map { "$_: $seen{$_}" } sort keys %seen)) if keys %answers > 1;
	return;
}

$s = OmenTest::Session->new($node, 'fuzz');
# A deep one at first, and then every fifth.
my $deep = 1;
make_tables('int8', 120000, 1);
while (time_left() > 0)
{
	$fresh = 1000000;
	count_up('tables');
	my $n = $deep ? 25 : 400;
	while ($n-- > 0 && time_left() > 0)
	{
		compare();
		change() if chance($deep ? 0.1 : 0.2);
	}
	my $bad = unsound($node, 'fuzz');
	finding("$type: tables", $bad) if $bad ne '';
	my $same = $s->safe('SELECT count(*) FROM ((TABLE h EXCEPT TABLE o) UNION ALL (TABLE o EXCEPT TABLE h)) x');
	finding("$type: rows that differ between heap and omen", $same) if $same ne '0';
	$s->safe('SELECT pg_stat_force_next_flush()');
	count_up('scans of alex indexes', $node->safe_psql('postgres', q{SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_indexes i JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam WHERE schemaname = 'fuzz' AND amname = 'alex'}));
	last if time_left() == 0;
	$deep = chance(0.2);
	make_tables(pick(@types), $deep ? 120000 : 500 + int(rand(6000)), $deep);
}
my $lines = bad_log_lines($node);
finding("the server's log", $lines) if $lines ne '';
$node->stop;
finish('queries' => 1, 'answers with rows' => 1, 'scans of alex indexes' => 1);
