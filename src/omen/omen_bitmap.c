/*
 * omen_bitmap.c - the table's side of bitmap scans.
 *
 * A bitmap names rows, not versions, so each offset gives at most one row. The pages are collected as those of any
 * scan. Until 17 the executor walks the bitmap and prefetches, from 18 on we do.
 */
#include "omen_scan.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/tidbitmap.h"
#include "pgstat.h"

/*
 * Blocks behind the end of the table as it was when the scan began hold nothing the snapshot sees. Serializable
 * transactions look nevertheless: they must notice the rows they do not see.
 */
static inline bool
out_of_range(OmenScan scan, BlockNumber block)
{
	return block >= scan->nblocks && (!IsolationIsSerializable() || !block_exists(scan->base.rs_rd, block));
}

/* Hands out the next row of the current page; false: there is none. */
static bool
next_row(OmenScan scan, TupleTableSlot *slot)
{
	OmenRow    *row;

	if (scan->current >= scan->nrows)
		return false;
	row = &scan->rows[scan->current++];

	scan->tuple.t_data = row->data;
	scan->tuple.t_len = row->length;
	ItemPointerSet(&scan->tuple.t_self, scan->block, row->line);
	pgstat_count_heap_fetch(scan->base.rs_rd);
	if (likely(row->in_page))
		ExecStoreBufferHeapTuple(&scan->tuple, slot, scan->buffer);
	else
		omen_copy_to_slot(&scan->tuple, slot);
	return true;
}

#if PG_VERSION_NUM >= 180000

/* The next block the bitmap names. */
static BlockNumber
next_block(OmenScan scan, TBMIterateResult *result)
{
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (!tbm_iterate(&scan->base.st.rs_tbmiterator, result))
			return InvalidBlockNumber;
	} while (out_of_range(scan, result->blockno));
	return result->blockno;
}

static BlockNumber
stream_next_block(ReadStream *stream, void *private_data, void *per_buffer_data)
{
	return next_block((OmenScan) private_data, per_buffer_data);
}

ReadStream *
omen_bitmap_stream(OmenScan scan)
{
	/* the callback takes no lock that anybody holds while waiting for a read */
	return read_stream_begin_relation(READ_STREAM_DEFAULT | READ_STREAM_USE_BATCHING, scan->strategy,
									  scan->base.rs_rd, MAIN_FORKNUM, stream_next_block, scan,
									  sizeof(TBMIterateResult));
}

static bool
next_page(OmenScan scan, bool *recheck, uint64 *lossy_pages, uint64 *exact_pages)
{
	TBMIterateResult own;
	TBMIterateResult *result = &own;
	OffsetNumber offsets[TBM_MAX_TUPLES_PER_PAGE];

	if (BufferIsValid(scan->buffer))
	{
		ReleaseBuffer(scan->buffer);
		scan->buffer = InvalidBuffer;
	}
	scan->nrows = 0;
	scan->current = 0;

	if (scan->stream != NULL)
	{
		void	   *per_buffer_data;

		scan->buffer = read_stream_next_buffer(scan->stream, &per_buffer_data);
		if (!BufferIsValid(scan->buffer))
			return false;
		result = per_buffer_data;
	}
	else
	{
		if (!BlockNumberIsValid(next_block(scan, result)))
			return false;
		scan->buffer = ReadBufferExtended(scan->base.rs_rd, MAIN_FORKNUM, result->blockno, RBM_NORMAL, scan->strategy);
	}
	scan->block = result->blockno;
	*recheck = result->recheck;

	if (result->lossy)
	{
		omen_scan_collect(scan, true, NULL, 0);
		(*lossy_pages)++;
	}
	else
	{
		int			noffsets = tbm_extract_page_tuple(result, offsets, TBM_MAX_TUPLES_PER_PAGE);

		omen_scan_collect(scan, true, offsets, noffsets);
		(*exact_pages)++;
	}
	return true;
}

static bool
omen_scan_bitmap_next_tuple(TableScanDesc sscan, TupleTableSlot *slot, bool *recheck,
							uint64 *lossy_pages, uint64 *exact_pages)
{
	OmenScan	scan = (OmenScan) sscan;

	while (!next_row(scan, slot))
	{
		if (!next_page(scan, recheck, lossy_pages, exact_pages))
			return false;
	}
	return true;
}

#else

static bool
omen_scan_bitmap_next_block(TableScanDesc sscan, struct TBMIterateResult *result)
{
	OmenScan	scan = (OmenScan) sscan;

	scan->nrows = 0;
	scan->current = 0;
	if (out_of_range(scan, result->blockno))
		return false;

	scan->buffer = ReleaseAndReadBuffer(scan->buffer, sscan->rs_rd, result->blockno);
	scan->block = result->blockno;
	if (result->ntuples >= 0)
		omen_scan_collect(scan, true, result->offsets, result->ntuples);
	else
		omen_scan_collect(scan, true, NULL, 0);
	return scan->nrows > 0;
}

static bool
omen_scan_bitmap_next_tuple(TableScanDesc sscan, struct TBMIterateResult *result, TupleTableSlot *slot)
{
	return next_row((OmenScan) sscan, slot);
}

#endif

void
omen_bitmap_callbacks(TableAmRoutine *routine)
{
#if PG_VERSION_NUM < 180000
	routine->scan_bitmap_next_block = omen_scan_bitmap_next_block;
#endif
	routine->scan_bitmap_next_tuple = omen_scan_bitmap_next_tuple;
}
