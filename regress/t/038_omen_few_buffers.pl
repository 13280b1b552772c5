# A reader keeps pages of the store pinned while it reads a page of rows: not more of them than a small server has buffers for.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AlexTest;
use OmenTest;
use Test::More;

my $am = tam();
my $node = omen_node('main');
$node->append_conf('postgresql.conf', "autovacuum = off\nshared_buffers = 128kB\n");
$node->start;
omen_setup($node);

$node->safe_psql('postgres', "CREATE TABLE r (id int PRIMARY KEY, a int8, c text) USING $am;
	INSERT INTO r SELECT i, i, repeat('c', 20) FROM generate_series(1, 6000) i");
my $old = OmenTest::Session->new($node, 'old');
$old->safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
# in this order, so that a page's rows lead to all pages of the store
$node->safe_psql('postgres', 'DO $$ DECLARE x record; BEGIN FOR x IN SELECT id FROM r ORDER BY hashint4(id) LOOP
	UPDATE r SET a = a + 1 WHERE id = x.id; END LOOP; END $$');
cmp_ok($node->safe_psql('postgres', "SELECT store_pages FROM omen_stats('r')"), '>', 16, 'more pages of the store than buffers') if is_omen();
is($old->safe('SELECT count(*), sum(a) FROM r'), '6000|18003000', 'an old snapshot reads them');
$node->stop;
done_testing();
