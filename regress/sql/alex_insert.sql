-- alex_insert - fresh records of leaves whose neighbours go.

-- A deleted leaf's range goes to its right sibling, whose fresh records are stored relative to its low fence.
CREATE TABLE alex_takeover (k int8);
INSERT INTO alex_takeover SELECT hashint8extended(i, 7) FROM generate_series(1, 5000) i;
CREATE INDEX alex_takeover_k ON alex_takeover USING alex (k);
CREATE TABLE alex_takeover_first AS
	SELECT ('x' || left(p.high_fence, 16))::bit(64)::int8 # (-9223372036854775808) AS high
	FROM generate_series(1, pg_relation_size('alex_takeover_k') / current_setting('block_size')::int - 1) b,
		alex_page('alex_takeover_k', b) p
	WHERE p.kind = 'leaf' AND p.left_link IS NULL;
INSERT INTO alex_takeover SELECT high + i FROM alex_takeover_first, generate_series(1, 20) i;
DELETE FROM alex_takeover USING alex_takeover_first WHERE k < high;
VACUUM alex_takeover;
SELECT deleted_pages FROM alex_stats('alex_takeover_k');
SELECT alex_check('alex_takeover_k', true);
SET enable_seqscan = off;
SELECT count(*) FROM alex_takeover, alex_takeover_first WHERE k BETWEEN high + 1 AND high + 20;
RESET enable_seqscan;
DROP TABLE alex_takeover, alex_takeover_first;
