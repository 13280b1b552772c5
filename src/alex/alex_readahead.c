/*
 * alex_readahead.c - reading blocks from disk before the scan gets there.
 */
#include "alex_readahead.h"

#include "access/itup.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"
#include "utils/spccache.h"

/* So many blocks in a row that were in shared buffers end it. */
#define ENOUGH_FOUND 16

void
alex_readahead_begin(AlexReadahead *ahead)
{
	memset(ahead, 0, sizeof(*ahead));
	ahead->limit = -1;
	ahead->reads = pgBufferUsage.shared_blks_read;
}

/* As for bitmap heap scans: tables that have these have their rows in the blocks that TIDs name. Temporary tables count apart. */
static int
limit_of(IndexScanDesc scan)
{
	Relation	heap = scan->heapRelation;

	if (heap == NULL || heap->rd_tableam->scan_bitmap_next_tuple == NULL || RelationUsesLocalBuffers(heap))
		return 0;
	return get_tablespace_io_concurrency(heap->rd_rel->reltablespace);
}

bool
alex_block_exists(Relation rel, BlockNumber block, BlockNumber *nblocks)
{
	if (block >= *nblocks)
		*nblocks = smgrnblocks(RelationGetSmgr(rel), MAIN_FORKNUM);
	return block < *nblocks;
}

static inline BlockNumber
block_at(const uint64 *tuples, int stride, uint32 i)
{
	return ItemPointerGetBlockNumberNoCheck(&((IndexTuple) (tuples + (Size) i * stride))->t_tid);
}

void
alex_readahead(AlexReadahead *ahead, IndexScanDesc scan, const uint64 *tuples, int stride, uint32 i, uint32 n, bool fresh)
{
	bool		missed = alex_blocks_were_read(ahead);

	ahead->reads = pgBufferUsage.shared_blks_read;
	if (scan->xs_want_itup)
		return;
	if (ahead->limit < 0)
		ahead->limit = limit_of(scan);

	if (fresh || ahead->next <= i)
	{
		ahead->next = i + 1;
		ahead->pending = 0;
	}
	else if (ahead->pending > 0 && i > 0 && block_at(tuples, stride, i) != block_at(tuples, stride, i - 1))
		ahead->pending--;

	if (missed)
		ahead->distance = Min(Max(2 * ahead->distance, 1), ahead->limit);
	for (; ahead->next < n && ahead->pending < ahead->distance; ahead->next++)
	{
		BlockNumber block = block_at(tuples, stride, ahead->next);
		PrefetchBufferResult result;

		if (block == block_at(tuples, stride, ahead->next - 1) || !alex_block_exists(scan->heapRelation, block, &ahead->nblocks))
			continue;
		result = PrefetchBuffer(scan->heapRelation, MAIN_FORKNUM, block);
		if (!BufferIsValid(result.recent_buffer) && !result.initiated_io)
			ahead->limit = ahead->distance = 0; /* it cannot be asked for: direct I/O, or a system that has no such call */
		ahead->pending++;
		ahead->found = BufferIsValid(result.recent_buffer) ? ahead->found + 1 : 0;
		if (ahead->found >= ENOUGH_FOUND)
			ahead->distance = ahead->found = 0;
	}
	/* not called again before there is a reason to: by then it may be another array */
	if (ahead->distance == 0)
		ahead->next = 0;
}
