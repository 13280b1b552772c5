# Files are damaged as bad memory, disks and copies damage them: bits, bytes, pages of zeroes, pages that are swapped or
# doubled, files that are cut off or too long, headers, line pointers. Then a fixed set of statements runs. An answer may be an error;
# it must not be the end of the server, nor none at all. What btree and heap make of the same damage stands beside it.
#
# DAMAGE_SUBJECTS="alex omen"   only these
#
# The result counts, for each kind of file: trials, those that ended with an error, wrong answers without one,
# of these the ones that the check function did not find either ("silent"), hangs, and crashes. A wrong answer is no finding: there are no
# checksums here, and a changed byte of a value is a value.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin", "$FindBin::RealBin/../t";

use Torture;
use AlexTest;
use File::Copy qw(copy);
use IPC::Run;
use OmenTest;
use PostgreSQL::Test::Utils;
use Test::More;

use constant PAGE => 8192;

my $major = (split /\D+/, qx(pg_config --version) =~ s/^\D+//r)[0];
my $node = omen_node('damage', extra => [ $major >= 18 ? '--no-data-checksums' : () ]);
$node->append_conf('postgresql.conf', <<'CONF');
shared_buffers = 16MB
min_wal_size = 32MB
max_wal_size = 64MB
restart_after_crash = off
statement_timeout = 5s
CONF
$node->start;

# name => [ access methods of table and index, which of both is damaged ]
my %subject = (
	alex => [ 'heap', 'alex', 'k' ],
	btree => [ 'heap', 'btree', 'k' ],
	omen => [ 'omen', 'btree', '' ],
	heap => [ 'heap', 'btree', '' ]);

# Rows with long values and short ones, updated and deleted, some of it rolled back, some while an old snapshot keeps versions.
sub make_subjects
{
	$node->safe_psql('postgres', 'CREATE DATABASE base');
	$node->safe_psql('base', 'CREATE EXTENSION omen_alex; DO $$ BEGIN CREATE EXTENSION amcheck; EXCEPTION WHEN undefined_file OR feature_not_supported THEN NULL; END $$');
	for my $name (sort keys %subject)
	{
		my ($table_am, $index_am) = @{ $subject{$name} };
		my $t = "t_$name";
		$node->safe_psql('base', <<SQL);
CREATE TABLE $t (id int PRIMARY KEY, k int8, v int, t text) USING $table_am WITH (fillfactor = 90);
INSERT INTO $t SELECT i, hashint4(i)::int8 * 1000, i % 7, CASE WHEN i % 40 = 0 THEN repeat(md5(i::text) || 'abc', 30 + i % 20) ELSE md5(i::text) END
FROM generate_series(1, 6000) i;
CREATE INDEX ${t}_k ON $t USING $index_am (k);
INSERT INTO $t SELECT i, hashint4(i)::int8 * 1000, i % 7, 'later' FROM generate_series(6001, 9000) i;
SQL
		# in the other order they would be gone already
		$node->safe_psql('base', "SELECT omen_options('$t', eager_offload => true)") if $table_am eq 'omen';
		$node->safe_psql('base', <<SQL);
BEGIN; UPDATE $t SET v = -1 WHERE id % 4 = 0; ROLLBACK;
UPDATE $t SET v = v + 1 WHERE id % 3 = 0;
UPDATE $t SET t = t || 'u' WHERE id % 11 = 0;
UPDATE $t SET k = k + 1 WHERE id % 17 = 0;
DELETE FROM $t WHERE id % 19 = 0;
VACUUM $t;
SQL
	}
	# The snapshot is of another session, or it would end with the updates.
	my $open = OmenTest::Session->new($node, 'open');
	$open->safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT txid_current()');
	for my $name (sort keys %subject)
	{
		$node->safe_psql('base', "UPDATE t_$name SET v = v + 10 WHERE id % 5 = 0; UPDATE t_$name SET v = v + 10 WHERE id % 10 = 0; DELETE FROM t_$name WHERE id % 23 = 0; ANALYZE t_$name");
	}
	$open->safe('COMMIT');
	$open->quit;
	return;
}

# Reads first: what they should say is known whatever went wrong before.
my $all = 'count(*), sum(k), sum(v), sum(length(t)), md5(string_agg(id::text, \',\' ORDER BY id))';
my @index_only_off = ('SET enable_seqscan = off', 'SET enable_bitmapscan = off', 'SET enable_sort = off');
my @reads = (
	"SELECT $all FROM T",
	@index_only_off,
	"SELECT $all FROM (SELECT * FROM T ORDER BY k OFFSET 0) s",
	'SELECT count(*), md5(string_agg(k::text, \',\')) FROM (SELECT k FROM T WHERE k BETWEEN -900000000000 AND 900000000000 ORDER BY k DESC) s',
	'SELECT min(k), max(k) FROM T',
	"SELECT $all FROM T WHERE k = ANY (ARRAY(SELECT hashint4(g)::int8 * 1000 FROM generate_series(1, 9000, 7) g))",
	"SELECT $all FROM T WHERE id BETWEEN 1 AND 9000",
	'SET enable_bitmapscan = on', 'SET enable_indexscan = off', 'SET enable_indexonlyscan = off',
	"SELECT $all FROM T WHERE k > 0 OR k < -1000000000000",
	'RESET ALL', 'SET statement_timeout = \'5s\'');
my @writes = (
	'INSERT INTO T SELECT i, hashint4(i)::int8 * 1000, 0, md5(i::text) FROM generate_series(20001, 21000) i',
	'UPDATE T SET v = v + 1 WHERE id % 2 = 0',
	'UPDATE T SET k = k + 2, t = t || repeat(\'x\', 50) WHERE id % 9 = 0',
	'DELETE FROM T WHERE id % 13 = 0',
	'SELECT count(*) FROM (SELECT FROM T WHERE id < 3000 FOR UPDATE) s',
	'VACUUM T',
	'CHECK',
	"SELECT $all FROM T",
	'ANALYZE T',
	'INSERT INTO T SELECT i, hashint4(i)::int8 * 1000, 0, md5(i::text) FROM generate_series(30001, 33000) i',
	'VACUUM (FREEZE) T',
	'REINDEX INDEX T_k',
	'VACUUM FULL T',
	"SELECT $all FROM T");

sub script
{
	my ($name) = @_;
	my %check = (alex => "SELECT alex_check('T_k', true)", omen => "SELECT omen_check('T')",
		btree => "SELECT bt_index_check('T_k', true)", heap => "SELECT count(*) / (count(*) = 0)::int FROM verify_heapam('T')");
	my $n = 0;
	my $sql = '';

	for my $statement (@reads, 'CHECK', @writes)
	{
		my $s = $statement eq 'CHECK' ? $check{$name} : $statement;
		$s =~ s/\bT(?=\b|_)/t_$name/g;
		$sql .= "\\echo == $n\n\\warn == $n\n$s;\n";
		$n++;
	}
	return $sql;
}
my $checked = scalar @reads;

# Runs all statements; returns what each printed, what each complained about, and how it ended: '', 'hang', 'crash'.
sub try_it
{
	my ($name) = @_;
	my ($out, $err) = ('', '');
	my $script = script($name);
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-h', $node->host, '-p', $node->port, '-d', 'trial' ],
		'<', \$script, '>', \$out, '2>', \$err, my $timer = IPC::Run::timeout(90));
	my $end = eval { $run->finish; '' } // 'hang';

	if ($end eq 'hang') { $run->kill_kill(grace => 1); }
	elsif ($run->full_result(0) != 0 || $err =~ /server closed the connection|connection to server was lost/) { $end = 'crash'; }
	my (@out, @err);
	for ([ $out, \@out ], [ $err, \@err ])
	{
		my ($text, $to) = @$_;
		$to->[$1] = $2 while $text =~ /^== (\d+)\n(.*?)(?=^== \d+\n|\z)/msg;
	}
	return (\@out, \@err, $end);
}

# ---- damage

sub random_bytes { return join('', map { chr(int(rand(256))) } 1 .. $_[0]); }

# kind => what it does to the content of a file; pages is how many there are.
my %damage = (
	bits => sub { my ($f, $pages) = @_; my $page = int(rand($pages));
		for (1 .. 1 + int(rand(4))) { vec($$f, ($page * PAGE + int(rand(PAGE))) * 8 + int(rand(8)), 1) ^= 1; } },
	bytes => sub { my ($f, $pages) = @_; my $len = 1 + int(rand(64)); substr($$f, int(rand($pages * PAGE - $len)), $len) = random_bytes($len); },
	garbage => sub { my ($f, $pages) = @_; substr($$f, int(rand($pages)) * PAGE, PAGE) = random_bytes(PAGE); },
	zeroes => sub { my ($f, $pages) = @_; substr($$f, int(rand($pages)) * PAGE, PAGE) = "\0" x PAGE; },
	half => sub { my ($f, $pages) = @_; substr($$f, int(rand($pages)) * PAGE + PAGE / 2, PAGE / 2) = "\0" x (PAGE / 2); },
	swapped => sub { my ($f, $pages) = @_; my ($a, $b) = map { int(rand($pages)) * PAGE } 1, 2; my $page = substr($$f, $a, PAGE);
		substr($$f, $a, PAGE) = substr($$f, $b, PAGE); substr($$f, $b, PAGE) = $page; },
	doubled => sub { my ($f, $pages) = @_; my ($a, $b) = map { int(rand($pages)) * PAGE } 1, 2; substr($$f, $a, PAGE) = substr($$f, $b, PAGE); },
	'cut off' => sub { my ($f, $pages) = @_; substr($$f, ($pages - 1 - int(rand($pages > 4 ? 4 : $pages))) * PAGE) = ''; },
	'cut within' => sub { my ($f, $pages) = @_; substr($$f, ($pages - 1) * PAGE + int(rand(PAGE))) = ''; },
	longer => sub { my ($f, $pages) = @_; $$f .= chance(0.5) ? "\0" x PAGE : substr($$f, int(rand($pages)) * PAGE, PAGE); },
	header => sub { my ($f, $pages) = @_; my $len = 1 + int(rand(4)); substr($$f, int(rand($pages)) * PAGE + int(rand(24 - $len)), $len) = random_bytes($len); },
	'line pointer' => sub { my ($f, $pages) = @_; substr($$f, int(rand($pages)) * PAGE + 24 + 4 * int(rand(60)), 4) = random_bytes(4); },
	special => sub { my ($f, $pages) = @_; my $len = 1 + int(rand(4)); substr($$f, int(rand($pages)) * PAGE + PAGE - 64 + int(rand(64 - $len)), $len) = random_bytes($len); },
);

sub damage_file
{
	my ($path, $kind) = @_;
	my $content = slurp_file($path);

	$damage{$kind}->(\$content, length($content) / PAGE);
	open(my $fh, '>', $path) or die "$path: $!";
	binmode($fh);
	print $fh $content;
	close $fh;
	return;
}

# ---- trials

make_subjects();
$node->stop;
my $data = $node->data_dir;
my $saved = "$data.saved";
sub restore
{
	$node->stop('immediate', fail_ok => 1);
	system_or_bail('rm', '-rf', $data);
	system_or_bail('cp', '-r', $saved, $data);
	$node->start;
	return;
}
system_or_bail('cp', '-r', $data, $saved);
$node->start;

# The copy is made file by file, so no page of it is in shared buffers.
sub make_trial
{
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS trial WITH (FORCE); CREATE DATABASE trial TEMPLATE base STRATEGY file_copy');
	return;
}
my (%want, %path);
my @names = split / /, $ENV{DAMAGE_SUBJECTS} || 'alex btree omen heap';
for my $name (@names)
{
	$path{$name} = $node->safe_psql('base', "SELECT pg_relation_filenode('t_$name" . ($subject{$name}[2] && '_k') . q{')});
	make_trial();
	my ($out, $err, $end) = try_it($name);
	my $bad = $end . join('', grep { defined && /ERROR/ && !/42883/ } @$err);
	is($bad, '', "$name: no error without damage");
	$want{$name} = $out;
}

while (time_left() > 0)
{
	my $kind = pick(sort keys %damage);
	for my $name (@names)
	{
		make_trial();
		my $db = $node->safe_psql('postgres', q{SELECT oid FROM pg_database WHERE datname = 'trial'});
		my $file = "$data/base/$db/$path{$name}";
		my $keep = "$PostgreSQL::Test::Utils::tmp_check/damaged";
		damage_file($file, $kind);
		copy($file, $keep);
		my ($out, $err, $end) = try_it($name);
		my $log = bad_log_lines($node);
		my ($wrong, $errors) = (0, 0);
		for my $n (0 .. $#{ $want{$name} })
		{
			my $error = ($err->[$n] // '') =~ /ERROR:/;
			$errors++ if $error && $n != $checked;
			# after an error in a change nothing is known any more
			last if $n > $checked && $errors;
			$wrong++ if !$error && $end eq '' && $n != $checked && ($out->[$n] // '') ne $want{$name}[$n];
		}
		my $told = ($err->[$checked] // '') =~ /ERROR:/;
		count_up("$name: trials");
		count_up("$name: errors") if $errors;
		count_up("$name: wrong") if $wrong;
		count_up("$name: silent") if $wrong && !$told;
		count_up("$name: $end") if $end ne '';
		my ($last) = grep { !defined $out->[ $_ + 1 ] } 0 .. $#{ $want{$name} };
		if ($end ne '')
		{
			note("$name: $end after damage of kind $kind, statement " . ($last // 'unknown') . "\n$log");
			finding("$name: $end after damage of kind $kind, in statement $last", join('', grep { defined } @$err) . $log)
			  if $name eq 'alex' || $name eq 'omen';
			system_or_bail('cp', $keep, "$PostgreSQL::Test::Utils::log_path/damaged-$name-" . counted("$name: $end")) if counted("$name: $end") < 10;
			$node->stop('immediate', fail_ok => 1);
			unlink($node->logfile);
			restore();
		}
		elsif ($errors || $wrong || $told)
		{
			my @vague = map { /ERROR:  (XX000: [^\n]*)/ ? $1 : () } grep { defined } @$err;
			count_up("$name: internal errors") if @vague;
			note("$name: $kind: errors $errors, wrong $wrong, check " . ($told ? 'tells' : 'silent') . ($wrong && !$told ? ' !' : '') . "\n" . join("\n", @vague));
		}
		# what it says next time was said then
		truncate($node->logfile, 0);
	}
}
$node->stop('immediate');
finish(map { ("$_: trials" => 1) } @names);
