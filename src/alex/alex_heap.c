/*
 * alex_heap.c - reading a heap for an index build.
 *
 * What the table access method offers for this locks a page, asks for visibility and fills a slot once for every row,
 * which is more than all the rest of a build. Here pages of heap on which every row is live, or dead to all, are read under
 * one lock; the rule is the same. Any other page (rows in progress, or dead but still visible to someone), and any table
 * or index that is not plain, is left to the access method.
 *
 * Of a parallel build each process reads chunks of the table, the next one that nobody has; so its blocks ascend, as in a
 * serial build, and rows that are in key order in the table come in key order.
 */
#include "alex.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "pgstat.h"
#include "storage/procarray.h"
#if PG_VERSION_NUM >= 170000
#include "storage/read_stream.h"
#endif

#include "alex_heap.h"

/*
 * Pages given to the access method at a time, which starts a scan for them: at first, and at most, where one such page
 * follows the other.
 */
#define FIRST_PAGES 16
#define MOST_PAGES 4096

/* Blocks of a chunk: many chunks, that all processes end at about the same time, but not too short for read-ahead. */
#define CHUNKS 1024
#define FIRST_CHUNK 16
#define MOST_CHUNK 1024

typedef struct HeapScan
{
	Relation	heap;
	Relation	rel;
	int			columns;
	const AttrNumber *attributes;	/* of the columns */
	Datum	   *values;			/* of the rows of a page */
	bool	   *isnull;
	TransactionId oldest_xmin;
	BlockNumber nblocks;
	ParallelBlockTableScanDesc shared;	/* NULL in a serial build, where all is one chunk */
	BlockNumber chunk;			/* blocks of a chunk */
	BlockNumber next;			/* to be read */
	BlockNumber end;			/* of the chunk it is in */
	BlockNumber done;			/* blocks before it need no reading any more */
	BufferAccessStrategy strategy;
#if PG_VERSION_NUM >= 170000
	ReadStream *stream;
#endif
	IndexBuildCallback callback;
	void	   *state;
} HeapScan;

static bool
is_plain(Relation heap, IndexInfo *info)
{
	if (heap->rd_tableam != GetHeapamTableAmRoutine() || info->ii_Expressions != NIL || info->ii_Predicate != NIL ||
		info->ii_Concurrent)
		return false;
	for (int i = 0; i < info->ii_NumIndexAttrs; i++)
		if (info->ii_IndexAttrNumbers[i] <= 0)
			return false;
	return true;
}

/* The next block to be read, or InvalidBlockNumber. */
static BlockNumber
draw_block(HeapScan *scan)
{
	if (scan->next >= scan->end)
	{
		uint64		first;

		if (scan->shared == NULL)
			return InvalidBlockNumber;
		first = pg_atomic_fetch_add_u64(&scan->shared->phs_nallocated, scan->chunk);
		if (first >= scan->nblocks)
			return InvalidBlockNumber;
		scan->next = (BlockNumber) first;
		scan->end = scan->next + Min(scan->chunk, scan->nblocks - scan->next);
	}
	return scan->next++;
}

/* The end of the chunk of a block. */
static BlockNumber
chunk_end(const HeapScan *scan, BlockNumber block)
{
	BlockNumber first = block - block % scan->chunk;

	return first + Min(scan->chunk, scan->nblocks - first);
}

#if PG_VERSION_NUM >= 170000
static BlockNumber
next_block(ReadStream *stream, void *callback_private_data, void *per_buffer_data)
{
	return draw_block((HeapScan *) callback_private_data);
}
#endif

static void
begin_reading(HeapScan *scan)
{
	/* as a sequential scan does, for tables that would push everything else out of shared buffers */
	scan->strategy = !RelationUsesLocalBuffers(scan->heap) && scan->nblocks > (BlockNumber) NBuffers / 4 ?
		GetAccessStrategy(BAS_BULKREAD) : NULL;
#if PG_VERSION_NUM >= 170000
	scan->stream = read_stream_begin_relation(READ_STREAM_SEQUENTIAL, scan->strategy, scan->heap, MAIN_FORKNUM,
											  next_block, scan, 0);
#endif
}

/* Pins the next block that needs reading; InvalidBuffer after the last. */
static Buffer
read_next(HeapScan *scan)
{
#if PG_VERSION_NUM >= 170000
	for (;;)
	{
		Buffer		buffer = read_stream_next_buffer(scan->stream, NULL);

		/* the stream may have been ahead of what was done otherwise */
		if (buffer == InvalidBuffer || BufferGetBlockNumber(buffer) >= scan->done)
			return buffer;
		ReleaseBuffer(buffer);
	}
#else
	BlockNumber block = draw_block(scan);

	return block == InvalidBlockNumber ? InvalidBuffer :
		ReadBufferExtended(scan->heap, MAIN_FORKNUM, block, RBM_NORMAL, scan->strategy);
#endif
}

static void
end_reading(HeapScan *scan)
{
#if PG_VERSION_NUM >= 170000
	read_stream_end(scan->stream);
#endif
	if (scan->strategy)
		FreeAccessStrategy(scan->strategy);
}

/*
 * Hands the rows of a page to the callback; returns how many, or -1, having done nothing, if it is not a page for us. The
 * callback runs without the lock: what it gets stays where it is while the page is pinned.
 */
static int
read_page(HeapScan *scan, Buffer buffer)
{
	TupleDesc	desc = RelationGetDescr(scan->heap);
	Page		page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);
	OffsetNumber roots[MaxHeapTuplesPerPage];
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	bool		have_roots = false;
	bool		all_visible;
	int			n = 0;
	OffsetNumber last;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	all_visible = PageIsAllVisible(page);
	last = PageGetMaxOffsetNumber(page);
	if (last > MaxHeapTuplesPerPage)
		goto not_ours;			/* a damaged page */
	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset = OffsetNumberNext(offset))
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tuple;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(scan->heap);
		ItemPointerSet(&tuple.t_self, block, offset);
		if (!all_visible)
		{
			HTSV_Result result = HeapTupleSatisfiesVacuum(&tuple, scan->oldest_xmin, buffer);

			if (result == HEAPTUPLE_DEAD)
				continue;
			/* what this transaction inserted is live if the index is */
			if (result != HEAPTUPLE_LIVE &&
				!(result == HEAPTUPLE_INSERT_IN_PROGRESS &&
				  TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple.t_data))))
				goto not_ours;
		}
		offsets[n] = offset;
		if (HeapTupleIsHeapOnly(&tuple))
		{
			/* the index has the TID that begins the chain of versions */
			if (!have_roots)
				heap_get_root_tuples(page, roots);
			have_roots = true;
			if (!OffsetNumberIsValid(roots[offset - 1]))
				goto not_ours;
			offsets[n] = roots[offset - 1];
		}
		for (int c = 0, i = n * scan->columns; c < scan->columns; c++, i++)
			scan->values[i] = heap_getattr(&tuple, scan->attributes[c], desc, &scan->isnull[i]);
		n++;
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);

	for (int i = 0; i < n; i++)
	{
		ItemPointerData tid;

		ItemPointerSet(&tid, block, offsets[i]);
		pgstat_count_heap_getnext(scan->heap);
		scan->callback(scan->rel, &tid, &scan->values[i * scan->columns], &scan->isnull[i * scan->columns], true, scan->state);
	}
	return n;

not_ours:
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return -1;
}

double
alex_heap_scan(Relation heap, Relation rel, IndexInfo *info, ParallelTableScanDesc shared, bool progress,
			   IndexBuildCallback callback, void *state)
{
	HeapScan	scan = {.heap = heap, .rel = rel, .callback = callback, .state = state};
	BlockNumber pages = FIRST_PAGES;
	double		live = 0;
	Buffer		buffer;

	if (!is_plain(heap, info))
		return table_index_build_scan(heap, rel, info, true, progress, callback, state,
									  shared ? compat_beginscan_parallel(heap, shared) : NULL);

	scan.columns = info->ii_NumIndexAttrs;
	scan.attributes = info->ii_IndexAttrNumbers;
	scan.values = palloc(MaxHeapTuplesPerPage * scan.columns * sizeof(Datum));
	scan.isnull = palloc(MaxHeapTuplesPerPage * scan.columns * sizeof(bool));
	scan.oldest_xmin = GetOldestNonRemovableTransactionId(heap);
	if (shared)
	{
		scan.shared = (ParallelBlockTableScanDesc) shared;
		scan.nblocks = scan.shared->phs_nblocks;
		scan.chunk = Min(Max(scan.nblocks / CHUNKS, FIRST_CHUNK), MOST_CHUNK);
	}
	else
	{
		scan.nblocks = RelationGetNumberOfBlocks(heap);
		scan.chunk = Max(scan.nblocks, 1);
		scan.end = scan.nblocks;
	}
	pgstat_count_heap_scan(heap);
	if (progress)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, scan.nblocks);
	begin_reading(&scan);
	while ((buffer = read_next(&scan)) != InvalidBuffer)
	{
		BlockNumber block = BufferGetBlockNumber(buffer);
		int			n;

		CHECK_FOR_INTERRUPTS();
		n = read_page(&scan, buffer);
		ReleaseBuffer(buffer);
		if (n >= 0)
		{
			live += n;
			scan.done = block + 1;
			pages = FIRST_PAGES;
		}
		else
		{
			scan.done = block + Min(pages, chunk_end(&scan, block) - block);
			live += table_index_build_range_scan(heap, rel, info, false, false, false, block, scan.done - block, callback,
												 state, NULL);
			scan.next = Max(scan.next, scan.done);
			pages = Min(pages * 2, MOST_PAGES);
		}
		if (progress)
			pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, scan.done);
	}
	end_reading(&scan);
	pfree(scan.values);
	pfree(scan.isnull);
	return live;
}
