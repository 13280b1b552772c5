/*
 * omen_analyze.c - ANALYZE: rows of sampled blocks, and how many there are.
 *
 * A row counts once, by the version that stands for it; older versions are dead, as those of heap's rows are. Store pages and
 * new pages are blocks without rows: skipping them would overestimate the table.
 */
#include "omen_scan.h"

#include "pgstat.h"
#include "storage/procarray.h"

#include "omen_private.h"

/* The page stays pinned and locked until next_tuple returns false. */
static void
enter_page(OmenScan scan)
{
	Page		page = BufferGetPage(scan->buffer);

	LockBuffer(scan->buffer, BUFFER_LOCK_SHARE);
	scan->block = BufferGetBlockNumber(scan->buffer);
	scan->lines = 0;
	if (omen_page_kind(scan->base.rs_rd, scan->block, page) == OMEN_PAGE_ROWS)
		scan->lines = PageGetMaxOffsetNumber(page);
	scan->line = InvalidOffsetNumber;
	scan->horizon = compat_analyze_horizon(scan->base.rs_rd);
}

#if PG_VERSION_NUM >= 170000
static bool
omen_scan_analyze_next_block(TableScanDesc sscan, ReadStream *stream)
{
	OmenScan	scan = (OmenScan) sscan;

	/* false ends the sample, so also blocks without rows are entered */
	scan->buffer = read_stream_next_buffer(stream, NULL);
	if (!BufferIsValid(scan->buffer))
		return false;
	enter_page(scan);
	return true;
}
#else
static bool
omen_scan_analyze_next_block(TableScanDesc sscan, BlockNumber block, BufferAccessStrategy strategy)
{
	OmenScan	scan = (OmenScan) sscan;

	scan->buffer = ReadBufferExtended(sscan->rs_rd, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	enter_page(scan);
	return true;
}
#endif

/*
 * Does a row in this state belong to the sample, and how is it counted? What other transactions are doing has not
 * happened yet: they will report it when they end. What we did ourselves has: pgstat_report_analyze() takes it back
 * from the counts.
 */
static bool
count_row(HTSV_Result status, HeapTupleHeader header, double *live, double *dead)
{
	bool		ours;

	switch (status)
	{
		case HEAPTUPLE_LIVE:
			*live += 1;
			return true;

		case HEAPTUPLE_INSERT_IN_PROGRESS:
			ours = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(header));
			if (ours)
				*live += 1;
			return ours;

		case HEAPTUPLE_DELETE_IN_PROGRESS:
			ours = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header));
			*(ours ? dead : live) += 1;
			return !ours;

		case HEAPTUPLE_DEAD:
		case HEAPTUPLE_RECENTLY_DEAD:
			break;
	}
	*dead += 1;
	return false;
}

static bool
omen_scan_analyze_next_tuple(TableScanDesc sscan, COMPAT_ANALYZE_HORIZON double *live, double *dead, TupleTableSlot *slot)
{
	OmenScan	scan = (OmenScan) sscan;
	Relation	rel = sscan->rs_rd;
	Page		page = BufferGetPage(scan->buffer);
	OmenVersion version;

	if (scan->line == InvalidOffsetNumber && omen_page_kind(rel, scan->block, page) == OMEN_PAGE_STORE)
		*dead += omen_store_count(rel, scan->block, page);
	while (scan->line < scan->lines)
	{
		OffsetNumber offnum = ++scan->line;
		ItemId		lp = PageGetItemId(page, offnum);
		HTSV_Result status;

		if (!ItemIdIsNormal(lp))
		{
			/* a vacuum is needed to get rid of it */
			if (ItemIdIsDead(lp))
				*dead += 1;
			continue;
		}

		*dead += omen_count_behind(page, (char *) PageGetItem(page, lp) + ItemIdGetLength(lp) - OMEN_LINK_SIZE);
		status = omen_row_status(rel, scan->buffer, offnum, COMPAT_ANALYZE_OLDEST(scan), &version);
		if (count_row(status, version.tuple.t_data, live, dead))
		{
			/* the lock keeps the bytes where they are while the caller copies them */
			omen_store_slot(rel, scan->buffer, &version, false, slot);
			return true;
		}
	}

	UnlockReleaseBuffer(scan->buffer);
	scan->buffer = InvalidBuffer;
	ExecClearTuple(slot);
	return false;
}

void
omen_analyze_callbacks(TableAmRoutine *routine)
{
	routine->scan_analyze_next_block = omen_scan_analyze_next_block;
	routine->scan_analyze_next_tuple = omen_scan_analyze_next_tuple;
}
