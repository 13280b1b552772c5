# A disk that is full, and temp_file_limit: tables with their indexes lie on a small disk in memory ($SMALL_DISK), most of which
# a file takes. Statements that need room fail there with SQLSTATE 53100; nothing is lost, nothing half done is there, and when there is
# room again everything goes on, after a crash as well. The log of changes is on another disk: full, that ends any server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../t";

use Torture;
use AlexTest;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $disk = $ENV{SMALL_DISK} or die 'SMALL_DISK is not set: regress/torture full mounts one';
my $node = omen_node('full');
$node->append_conf('postgresql.conf', <<'CONF');
shared_buffers = 8MB
max_wal_size = 128MB
statement_timeout = 60s
CONF
$node->start;
omen_setup($node);
mkdir("$disk/space") or die "$disk/space: $!";
$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE h (id int PRIMARY KEY USING INDEX TABLESPACE small, k int8, t text) USING heap TABLESPACE small;
CREATE TABLE o (id int PRIMARY KEY USING INDEX TABLESPACE small, k int8, t text) USING omen TABLESPACE small;
INSERT INTO h SELECT i, hashint4(i), md5(i::text) FROM generate_series(1, 10000) i;
INSERT INTO o SELECT * FROM h;
CREATE INDEX h_k ON h USING alex (k) TABLESPACE small;
CREATE INDEX o_k ON o USING alex (k) TABLESPACE small;
CREATE SEQUENCE ids START 100000;
SQL

my $ballast = "$disk/ballast";
sub free_bytes { my ($free) = (qx(df -B1 --output=avail '$disk'))[1] =~ /(\d+)/; return $free; }
# Leaves so many bytes free.
sub leave
{
	my ($bytes) = @_;

	unlink($ballast);
	my $size = free_bytes() - $bytes;
	return if $size <= 0;
	open(my $fh, '>', $ballast) or die "$ballast: $!";
	my $mega = 'b' x 65536;
	for (my $left = $size; $left > 0; $left -= 65536)
	{
		syswrite($fh, $mega, $left < 65536 ? $left : 65536) or last;
	}
	close $fh;
	return;
}

my @statements = (
	"INSERT INTO T SELECT nextval('ids'), hashint4(i), repeat('f', i % 200) FROM generate_series(1, 30000) i",
	"INSERT INTO T SELECT nextval('ids'), hashint4(i), repeat('f', 100) FROM generate_series(1, 3000) i",
	"INSERT INTO T SELECT nextval('ids'), i, (SELECT string_agg(md5((g * i)::text), '') FROM generate_series(1, 200) g) FROM generate_series(1, 2000) i",
	'UPDATE T SET t = t || \'u\'', 'UPDATE T SET k = k + 1', 'UPDATE T SET t = repeat(\'w\', 300) WHERE id % 3 = 0', 'UPDATE T SET id = -id',
	'DELETE FROM T WHERE id % 7 = 0',
	'VACUUM T', 'VACUUM (FREEZE) T', 'VACUUM FULL T', 'CLUSTER T USING T_pkey', 'REINDEX INDEX T_k', 'REINDEX INDEX CONCURRENTLY T_k',
	'CREATE INDEX T_more ON T USING alex (k) TABLESPACE small', 'CREATE INDEX CONCURRENTLY T_more ON T USING alex (id) TABLESPACE small',
	'DROP INDEX IF EXISTS T_more', 'DROP INDEX IF EXISTS T_more',
	'ALTER TABLE T ADD COLUMN more text DEFAULT random()::text', 'ALTER TABLE T DROP COLUMN IF EXISTS more',
	"SET temp_file_limit = '1MB'; SET work_mem = '64kB'; SELECT count(*) FROM (SELECT * FROM T ORDER BY t, k OFFSET 0) s; CREATE INDEX T_temp ON T USING alex (k)",
	"SET maintenance_work_mem = '1MB'; SET temp_file_limit = '100kB'; CREATE INDEX T_temp ON T USING alex (k)",
	'DROP INDEX IF EXISTS T_temp',
);
sub state_of { return $node->safe_psql('postgres', "SELECT count(*), sum(hashtext(x.id::text || x.k || x.t)) FROM $_[0] x"); }
my %expected = map { $_ => 1 } qw(53100 53400 42P07 42701);
my $log_from = 0;

sub check_log
{
	my ($states, $to) = log_states($node, $log_from);
	my $lines = bad_log_lines($node, $log_from);
	finding('the log', $lines) if $lines ne '';
	$log_from = $to;
	return;
}

while (time_left() > 0)
{
	leave(int(rand() ** 2 * 8 * 1024 * 1024));
	# With an old snapshot open updates need room for what it sees.
	my $old = chance(0.5) ? OmenTest::Session->new($node, 'old') : undef;
	if ($old) { $old->safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1'); }
	for (1 .. 6)
	{
		my $t = pick('h', 'o', 'o');
		my $sql = pick(@statements) =~ s/\bT(?=\b|_)/$t/gr;
		# REINDEX CONCURRENTLY and the like wait for old snapshots
		next if $old && $sql =~ /CONCURRENTLY/;
		my $before = state_of($t);
		my $s = OmenTest::Session->new($node, 'full');
		my $r = $s->ask($sql);
		$s->quit;
		count_up('statements');
		if ($r->{error} eq '') { next; }
		count_up("SQLSTATE $r->{state}");
		finding("$sql: $r->{error}", $r->{text}) if !$expected{ $r->{state} };
		my $after = state_of($t);
		finding("$sql failed ($r->{error}), but has changed something", "$before before, $after after") if $before ne $after;
	}
	$old->quit if $old;
	check_log();
	if (chance(0.3))
	{
		$node->stop('immediate');
		leave(16 * 1024 * 1024);
		$node->start;
		count_up('crashes');
	}
	leave(24 * 1024 * 1024);
	my $bad = table_problems($node, 'h', 'o');
	finding('tables', $bad) if $bad ne '';
	my ($code, $out, $err) = $node->psql('postgres', q{SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid AND indrelid IN ('h'::regclass, 'o'::regclass) \gexec});
	# Room for the next round.
	for my $t ('h', 'o')
	{
		($code, $out, $err) = $node->psql('postgres', "DELETE FROM $t WHERE id > 12000 OR id < -12000; VACUUM FULL $t");
		finding("$t: there is room, but not for VACUUM FULL", $err) if $code != 0 && $err ne '';
	}
	count_up('rounds');
}
$node->stop;
finish('rounds' => 1, 'SQLSTATE 53100' => 1);
