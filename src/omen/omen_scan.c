/*
 * omen_scan.c - scans of the whole table or of a range of TIDs, also in parallel; and what every scan of a table begins
 * with.
 */
#include "omen_scan.h"

#include "access/syncscan.h"
#include "access/valid.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

/* Until 15 a macro with a result parameter. */
static inline bool
matches_keys(OmenScan scan)
{
#if PG_VERSION_NUM >= 160000
	return HeapKeyTest(&scan->tuple, RelationGetDescr(scan->base.rs_rd), scan->base.rs_nkeys, scan->base.rs_key);
#else
	bool		result;

	HeapKeyTest(&scan->tuple, RelationGetDescr(scan->base.rs_rd), scan->base.rs_nkeys, scan->base.rs_key, result);
	return result;
#endif
}

/* ---- which block is next --------------------------------------------------------------------------------------- */

/* Restricts a scan that has not begun to some blocks. It must not be a synchronized one. */
static void
set_limits(OmenScan scan, BlockNumber first, BlockNumber count)
{
	Assert(!scan->started);
	Assert(!(scan->base.rs_flags & SO_ALLOW_SYNC) || count == scan->nblocks);

	scan->first = first;
	scan->count = count;
	scan->last = count == 0 ? InvalidBlockNumber : (BlockNumber) (((uint64) first + count - 1) % scan->nblocks);
}

static BlockNumber
first_block(OmenScan scan)
{
	if (scan->nblocks == 0 || scan->count == 0)
		return InvalidBlockNumber;
	if (ScanDirectionIsForward(scan->direction))
		return scan->first;

	/* a scan that goes backward would only mislead the others */
	scan->base.rs_flags &= ~SO_ALLOW_SYNC;
	return scan->last;
}

static BlockNumber
following_block(OmenScan scan, BlockNumber block)
{
	BlockNumber next;

	if (ScanDirectionIsForward(scan->direction))
	{
		next = block + 1 < scan->nblocks ? block + 1 : 0;

		/* also at the end, so that the next scan begins where this one did */
		if (scan->base.rs_flags & SO_ALLOW_SYNC)
			ss_report_location(scan->base.rs_rd, next);
		return block == scan->last ? InvalidBlockNumber : next;
	}
	if (block == scan->first)
		return InvalidBlockNumber;
	return block > 0 ? block - 1 : scan->nblocks - 1;
}

BlockNumber
omen_scan_next_block(OmenScan scan)
{
	if (scan->base.rs_parallel != NULL)
	{
		ParallelBlockTableScanDesc shared = (ParallelBlockTableScanDesc) scan->base.rs_parallel;

		if (!scan->started)
		{
			bool		range = (scan->base.rs_flags & SO_TYPE_TIDRANGESCAN) != 0;	/* parallel from 19 on */

			compat_startblock_init(scan->base.rs_rd, scan->worker, shared,
								   range ? scan->first : InvalidBlockNumber, range ? scan->count : InvalidBlockNumber);
		}
		scan->ahead = table_block_parallelscan_nextpage(scan->base.rs_rd, scan->worker, shared);
	}
	else if (!scan->started)
		scan->ahead = first_block(scan);
	else if (BlockNumberIsValid(scan->ahead))
		scan->ahead = following_block(scan, scan->ahead);

	scan->started = true;
	return scan->ahead;
}

#if PG_VERSION_NUM >= 170000
static BlockNumber
stream_next_block(ReadStream *stream, void *private_data, void *per_buffer_data)
{
	return omen_scan_next_block((OmenScan) private_data);
}

/*
 * A stream pins pages ahead. Whoever writes to the table does without: it would hold these pins while it waits for row
 * locks, and keep others from their pages. Those that scan with SnapshotAny have locked out writers.
 */
static ReadStream *
begin_stream(OmenScan scan)
{
	int			flags = READ_STREAM_SEQUENTIAL;

	if (scan->copy && !RecoveryInProgress() && scan->base.rs_snapshot != SnapshotAny)
		return NULL;
#if PG_VERSION_NUM >= 180000
	if (scan->base.rs_flags & SO_TYPE_BITMAPSCAN)
		return omen_bitmap_stream(scan);
	/* the callback takes no lock that anybody holds while waiting for a read */
	flags |= READ_STREAM_USE_BATCHING;
#endif
	if (!(scan->base.rs_flags & (SO_TYPE_SEQSCAN | SO_TYPE_TIDRANGESCAN)))
		return NULL;
	return read_stream_begin_relation(flags, scan->strategy, scan->base.rs_rd, MAIN_FORKNUM,
									  stream_next_block, scan, 0);
}
#endif

/* Releases the current page and pins the next one, in scan->block and scan->buffer. False: there is none. */
static bool
enter_next_page(OmenScan scan, ScanDirection direction)
{
	BlockNumber block;

	if (BufferIsValid(scan->buffer))
	{
		ReleaseBuffer(scan->buffer);
		scan->buffer = InvalidBuffer;
	}
	CHECK_FOR_INTERRUPTS();

	if (unlikely(direction != scan->direction))
	{
		/* go on from where the rows came from, not from where the reading was; from behind the end start anew */
		Assert(scan->base.rs_parallel == NULL);
		scan->direction = direction;
		scan->ahead = scan->block;
		scan->started = BlockNumberIsValid(scan->block);
#if PG_VERSION_NUM >= 170000
		if (scan->stream != NULL)
			read_stream_reset(scan->stream);
#endif
	}

#if PG_VERSION_NUM >= 170000
	if (scan->stream != NULL)
	{
		scan->buffer = read_stream_next_buffer(scan->stream, NULL);
		scan->block = BufferIsValid(scan->buffer) ? BufferGetBlockNumber(scan->buffer) : InvalidBlockNumber;
		return BufferIsValid(scan->buffer);
	}
#endif

	block = omen_scan_next_block(scan);
	scan->block = block;
	if (!BlockNumberIsValid(block))
		return false;
	scan->buffer = ReadBufferExtended(scan->base.rs_rd, MAIN_FORKNUM, block, RBM_NORMAL, scan->strategy);
	return true;
}

/* ---- the visible rows of a page -------------------------------------------------------------------------------- */

/* The head is not what the snapshot sees: is there an older version that is? */
static pg_noinline bool
collect_older(OmenScan scan, OffsetNumber offnum, OmenRow *row)
{
	OmenVersion version;

	if (!omen_visible_version(scan->base.rs_rd, scan->buffer, offnum, scan->base.rs_snapshot, &version, NULL))
		return false;

	row->line = offnum;
	row->length = version.tuple.t_len;
	row->in_page = version.in_page;
	if (version.in_page)
		row->data = version.tuple.t_data;
	else
	{
		if (scan->versions == NULL)
			scan->versions = AllocSetContextCreate(GetMemoryChunkContext(scan), "omen versions",
												   ALLOCSET_START_SMALL_SIZES);
		row->data = MemoryContextAlloc(scan->versions, version.tuple.t_len);
		memcpy(row->data, version.tuple.t_data, version.tuple.t_len);
	}
	return true;
}

/*
 * The loop over the rows; called with constants so that what a page does not need is compiled away. `all_visible`: no
 * row has to be looked at. `check`: the transaction is serializable. `heads`: the snapshot may see a head just like a
 * heap tuple.
 */
static pg_attribute_always_inline int
collect_rows(OmenScan scan, Page page, const OffsetNumber *offsets, int noffsets,
			 bool all_visible, bool check, bool heads)
{
	Relation	rel = scan->base.rs_rd;
	Snapshot	snapshot = scan->base.rs_snapshot;
	int			nrows = 0;

	for (int i = 0; i < noffsets; i++)
	{
		OffsetNumber offnum = offsets != NULL ? offsets[i] : i + 1;
		OmenRow    *row = &scan->rows[nrows];
		HeapTupleData tuple;
		ItemId		lp;

		if (offsets != NULL && offnum > scan->lines)
			continue;
		lp = PageGetItemId(page, offnum);
		if (!ItemIdIsNormal(lp))
			continue;
		omen_head_tuple(rel, page, scan->block, offnum, lp, &tuple);

		if (all_visible || (heads && omen_satisfies(&tuple, snapshot, scan->buffer)))
		{
			if (check)
				HeapCheckForSerializableConflictOut(true, rel, &tuple, scan->buffer, snapshot);
			row->data = tuple.t_data;
			row->length = tuple.t_len;
			row->line = offnum;
			row->in_page = true;
		}
		else if (!collect_older(scan, offnum, row))
			continue;

		/* the other scans have locked the table */
		if (check && (scan->base.rs_flags & SO_TYPE_BITMAPSCAN))
		{
			TransactionId xmin = HeapTupleHeaderGetRawXmin(row->data);
			ItemPointerData target;

			omen_predicate_target(&tuple.t_self, xmin, &target);
			PredicateLockTID(rel, &target, snapshot, xmin);
		}
		nrows++;
	}
	return nrows;
}

/* The rows of a page of which some are not visible to all: what is in the store is read with the store's pages kept. */
static int
collect_some(OmenScan scan, Page page)
{
	int			nrows;

	PG_TRY();
	{
		omen_store_keep();
		nrows = collect_rows(scan, page, NULL, scan->lines, false, false, true);
		omen_store_let_go(false);
	}
	PG_CATCH();
	{
		omen_store_let_go(true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return nrows;
}

/* Takes along the part of the page that holds items, and lets the collected rows point into it. */
static void
copy_page(OmenScan scan, Page page)
{
	Size		start = ((PageHeader) page)->pd_upper;

	if (scan->page_copy == NULL)
		scan->page_copy = MemoryContextAlloc(GetMemoryChunkContext(scan), BLCKSZ);
	memcpy(scan->page_copy + start, (char *) page + start, BLCKSZ - start);

	for (int i = 0; i < scan->nrows; i++)
	{
		OmenRow    *row = &scan->rows[i];

		if (row->in_page)
		{
			row->data = (HeapTupleHeader) (scan->page_copy + ((char *) row->data - (char *) page));
			row->in_page = false;
		}
	}
}

void
omen_scan_collect(OmenScan scan, bool prune, const OffsetNumber *offsets, int noffsets)
{
	Relation	rel = scan->base.rs_rd;
	Snapshot	snapshot = scan->base.rs_snapshot;
	Page		page = BufferGetPage(scan->buffer);

	scan->nrows = 0;
	scan->lines = 0;
	if (scan->versions != NULL)
		MemoryContextReset(scan->versions);

	if (prune)
		omen_prune_opt(rel, scan->buffer);
	LockBuffer(scan->buffer, BUFFER_LOCK_SHARE);
	compat_test_old_snapshot(snapshot, rel, page);

	if (omen_page_kind(rel, scan->block, page) == OMEN_PAGE_ROWS)
	{
		bool		check = CheckForSerializableConflictOutNeeded(rel, snapshot);
		bool		mvcc = IsMVCCSnapshot(snapshot);

		scan->lines = PageGetMaxOffsetNumber(page);
		if (unlikely(scan->lines > MaxHeapTuplesPerPage))
			omen_corrupted(rel, scan->block, scan->lines, "the page has too many rows");

		if (offsets != NULL)
			scan->nrows = collect_rows(scan, page, offsets, noffsets,
									   mvcc && omen_page_all_visible(page, snapshot), check, mvcc);
		else if (!mvcc)
			scan->nrows = collect_rows(scan, page, NULL, scan->lines, false, false, false);
		else if (check)
			scan->nrows = collect_rows(scan, page, NULL, scan->lines,
									   omen_page_all_visible(page, snapshot), true, true);
		else if (omen_page_all_visible(page, snapshot))
			scan->nrows = collect_rows(scan, page, NULL, scan->lines, true, false, true);
		else
			scan->nrows = collect_some(scan, page);

		if (scan->copy && scan->nrows > 0)
			copy_page(scan, page);
	}

	LockBuffer(scan->buffer, BUFFER_LOCK_UNLOCK);
	if (scan->copy)
	{
		ReleaseBuffer(scan->buffer);
		scan->buffer = InvalidBuffer;
	}
}

/* ---- begin and end --------------------------------------------------------------------------------------------- */

/* Everything that depends on flags, key and the size of the table; for a new scan and for one that starts again. */
static void
start_scan(OmenScan scan, struct ScanKeyData *key, bool keep_first)
{
	Relation	rel = scan->base.rs_rd;
	bool		mvcc = scan->base.rs_snapshot != NULL && IsMVCCSnapshot(scan->base.rs_snapshot);
	BlockNumber first = 0;
	bool		large;

	/* few rows of a page: heap looks at them one by one; but what is copied is copied page by page */
	scan->pagewise = mvcc && (scan->copy || (scan->base.rs_flags & SO_ALLOW_PAGEMODE) ||
							  !(scan->base.rs_flags & SO_TYPE_SAMPLESCAN));

	/* Rows added later are visible to no MVCC snapshot, and the others protect themselves by locks. */
	if (scan->base.rs_parallel != NULL)
		scan->nblocks = ((ParallelBlockTableScanDesc) scan->base.rs_parallel)->phs_nblocks;
	else
		scan->nblocks = RelationGetNumberOfBlocks(rel);

	/* the limit at which heap, and table_block_parallelscan_initialize(), call a table large */
	large = !RelationUsesLocalBuffers(rel) && scan->nblocks > (BlockNumber) NBuffers / 4;

	if (large && (scan->base.rs_flags & SO_ALLOW_STRAT))
	{
		if (scan->strategy == NULL)
			scan->strategy = GetAccessStrategy(BAS_BULKREAD);
	}
	else if (scan->strategy != NULL)
	{
#if PG_VERSION_NUM >= 170000
		/* a stream keeps using the strategy it began with */
		if (scan->stream == NULL)
#endif
		{
			FreeAccessStrategy(scan->strategy);
			scan->strategy = NULL;
		}
	}

	if (scan->base.rs_parallel != NULL)
	{
		if (scan->base.rs_parallel->phs_syncscan)
			scan->base.rs_flags |= SO_ALLOW_SYNC;
		else
			scan->base.rs_flags &= ~SO_ALLOW_SYNC;
	}
	else
	{
		if (!large || !synchronize_seqscans)
			scan->base.rs_flags &= ~SO_ALLOW_SYNC;

		/* a cursor that is rewound returns the same rows in the same order */
		if (keep_first)
			first = scan->first;
		else if (scan->base.rs_flags & SO_ALLOW_SYNC)
			first = ss_get_location(rel, scan->nblocks);
	}

	scan->started = false;
	set_limits(scan, first, scan->nblocks);

	scan->direction = ForwardScanDirection;
	scan->ahead = InvalidBlockNumber;
	scan->block = InvalidBlockNumber;
	scan->buffer = InvalidBuffer;
	scan->lines = 0;
	scan->line = InvalidOffsetNumber;
	scan->nrows = 0;
	scan->current = 0;

	if (key != NULL && scan->base.rs_nkeys > 0)
		memcpy(scan->base.rs_key, key, scan->base.rs_nkeys * sizeof(ScanKeyData));

	if (scan->base.rs_flags & SO_TYPE_SEQSCAN)
		pgstat_count_heap_scan(rel);
}

static TableScanDesc
omen_scan_begin(Relation rel, Snapshot snapshot, int nkeys, struct ScanKeyData *key,
				ParallelTableScanDesc parallel, uint32 flags)
{
	OmenScan	scan;

	RelationIncrementReferenceCount(rel);

	/* the array of rows is large, and never read where it was not written */
	scan = palloc(sizeof(OmenScanData));
	memset(scan, 0, offsetof(OmenScanData, rows));
	scan->base.rs_rd = rel;
	scan->base.rs_snapshot = snapshot;
	scan->base.rs_nkeys = nkeys;
	scan->base.rs_key = nkeys > 0 ? palloc(sizeof(ScanKeyData) * nkeys) : NULL;
	scan->base.rs_flags = flags;
	scan->base.rs_parallel = parallel;
	scan->tuple.t_tableOid = RelationGetRelid(rel);
	if (parallel != NULL)
		scan->worker = palloc(sizeof(ParallelBlockTableScanWorkerData));

	scan->copy = snapshot == NULL || !IsMVCCSnapshot(snapshot) || omen_must_copy(rel);

	/* index and TID scans lock what they find; there is nothing smaller that keeps new rows out of these */
	if (flags & (SO_TYPE_SEQSCAN | SO_TYPE_SAMPLESCAN | SO_TYPE_TIDRANGESCAN))
	{
		Assert(snapshot != NULL);
		PredicateLockRelation(rel, snapshot);
	}

	start_scan(scan, key, false);
#if PG_VERSION_NUM >= 170000
	scan->stream = begin_stream(scan);
#endif
	return (TableScanDesc) scan;
}

static void
omen_scan_rescan(TableScanDesc sscan, struct ScanKeyData *key, bool set_params,
				 bool allow_strat, bool allow_sync, bool allow_pagemode)
{
	OmenScan	scan = (OmenScan) sscan;

	if (set_params)
	{
		sscan->rs_flags &= ~(SO_ALLOW_STRAT | SO_ALLOW_SYNC | SO_ALLOW_PAGEMODE);
		sscan->rs_flags |= (allow_strat ? SO_ALLOW_STRAT : 0) | (allow_sync ? SO_ALLOW_SYNC : 0) |
			(allow_pagemode ? SO_ALLOW_PAGEMODE : 0);
	}

	if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
#if PG_VERSION_NUM >= 170000
	/* before the state it reads from changes */
	if (scan->stream != NULL)
		read_stream_reset(scan->stream);
#endif
	start_scan(scan, key, true);
}

static void
omen_scan_end(TableScanDesc sscan)
{
	OmenScan	scan = (OmenScan) sscan;

	if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
#if PG_VERSION_NUM >= 170000
	/* before the strategy it uses */
	if (scan->stream != NULL)
		read_stream_end(scan->stream);
#endif
	if (scan->strategy != NULL)
		FreeAccessStrategy(scan->strategy);
	RelationDecrementReferenceCount(sscan->rs_rd);
	if (sscan->rs_flags & SO_TEMP_SNAPSHOT)
		UnregisterSnapshot(sscan->rs_snapshot);

	if (scan->versions != NULL)
		MemoryContextDelete(scan->versions);
	if (scan->page_copy != NULL)
		pfree(scan->page_copy);
	if (scan->worker != NULL)
		pfree(scan->worker);
	if (sscan->rs_key != NULL)
		pfree(sscan->rs_key);
	pfree(scan);
}

/* ---- one row after the other ----------------------------------------------------------------------------------- */

/* Behind the last row, or before the first. */
static bool
no_more_rows(OmenScan scan, TupleTableSlot *slot)
{
	scan->nrows = 0;
	scan->current = 0;
	ExecClearTuple(slot);
	return false;
}

static bool
next_of_pages(OmenScan scan, ScanDirection direction, TupleTableSlot *slot)
{
	int			i = scan->current + direction;

	for (;;)
	{
		for (; i >= 0 && i < scan->nrows; i += direction)
		{
			OmenRow    *row = &scan->rows[i];

			scan->tuple.t_data = row->data;
			scan->tuple.t_len = row->length;
			ItemPointerSet(&scan->tuple.t_self, scan->block, row->line);
			if (scan->base.rs_nkeys > 0 && !matches_keys(scan))
				continue;

			scan->current = i;
			if (likely(row->in_page))
				ExecStoreBufferHeapTuple(&scan->tuple, slot, scan->buffer);
			else
				omen_copy_to_slot(&scan->tuple, slot);
			return true;
		}

		if (!enter_next_page(scan, direction))
			return no_more_rows(scan, slot);
		omen_scan_collect(scan, true, NULL, 0);
		i = ScanDirectionIsForward(direction) ? 0 : scan->nrows - 1;
	}
}

/* For snapshots that must be asked when the row is wanted. Only the number of the block is kept between rows. */
static pg_noinline bool
next_of_rows(OmenScan scan, ScanDirection direction, TupleTableSlot *slot)
{
	Relation	rel = scan->base.rs_rd;
	OmenVersion version;

	for (;;)
	{
		bool		entered = !OffsetNumberIsValid(scan->line);
		Page		page;
		int			last = 0;
		int			i;

		if (!entered)
			scan->buffer = ReadBufferExtended(rel, MAIN_FORKNUM, scan->block, RBM_NORMAL, scan->strategy);
		else if (!enter_next_page(scan, direction))
			return no_more_rows(scan, slot);

		LockBuffer(scan->buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(scan->buffer);
		if (omen_page_kind(rel, scan->block, page) == OMEN_PAGE_ROWS)
			last = PageGetMaxOffsetNumber(page);

		/* the page may have fewer rows than when we left it */
		if (ScanDirectionIsForward(direction))
			i = entered ? 1 : scan->line + 1;
		else
			i = entered ? last : Min(scan->line - 1, last);

		for (; i >= 1 && i <= last; i += direction)
		{
			if (!omen_visible_version(rel, scan->buffer, i, scan->base.rs_snapshot, &version, NULL))
				continue;
			scan->tuple = version.tuple;
			if (scan->base.rs_nkeys > 0 && !matches_keys(scan))
				continue;

			omen_copy_to_slot(&version.tuple, slot);
			scan->line = i;
			UnlockReleaseBuffer(scan->buffer);
			scan->buffer = InvalidBuffer;
			return true;
		}

		scan->line = InvalidOffsetNumber;
		UnlockReleaseBuffer(scan->buffer);
		scan->buffer = InvalidBuffer;
	}
}

static inline bool
next_row(OmenScan scan, ScanDirection direction, TupleTableSlot *slot)
{
	if (likely(scan->pagewise))
		return next_of_pages(scan, direction, slot);
	return next_of_rows(scan, direction, slot);
}

static bool
omen_scan_getnextslot(TableScanDesc sscan, ScanDirection direction, TupleTableSlot *slot)
{
	if (!next_row((OmenScan) sscan, direction, slot))
		return false;
	pgstat_count_heap_getnext(sscan->rs_rd);
	return true;
}

/* ---- a range of TIDs ------------------------------------------------------------------------------------------- */

static void
omen_scan_set_tidrange(TableScanDesc sscan, ItemPointer min_tid, ItemPointer max_tid)
{
	OmenScan	scan = (OmenScan) sscan;
	BlockNumber first;
	BlockNumber last;

	scan->min_tid = *min_tid;
	scan->max_tid = *max_tid;

	first = ItemPointerGetBlockNumberNoCheck(min_tid);
	last = ItemPointerGetBlockNumberNoCheck(max_tid);
	if (first >= scan->nblocks || ItemPointerCompare(max_tid, min_tid) < 0)
	{
		set_limits(scan, 0, 0);
		return;
	}
	last = Min(last, scan->nblocks - 1);
	set_limits(scan, first, last - first + 1);
}

static bool
omen_scan_getnextslot_tidrange(TableScanDesc sscan, ScanDirection direction, TupleTableSlot *slot)
{
	OmenScan	scan = (OmenScan) sscan;

	while (next_row(scan, direction, slot))
	{
		bool		low = ItemPointerCompare(&slot->tts_tid, &scan->min_tid) < 0;
		bool		high = ItemPointerCompare(&slot->tts_tid, &scan->max_tid) > 0;

		if (!low && !high)
		{
			pgstat_count_heap_getnext(sscan->rs_rd);
			return true;
		}
	}
	return false;
}

static const TupleTableSlotOps *
omen_slot_callbacks(Relation rel)
{
	return &TTSOpsBufferHeapTuple;
}

void
omen_scan_callbacks(TableAmRoutine *routine)
{
	routine->slot_callbacks = omen_slot_callbacks;

	routine->scan_begin = omen_scan_begin;
	routine->scan_end = omen_scan_end;
	routine->scan_rescan = omen_scan_rescan;
	routine->scan_getnextslot = omen_scan_getnextslot;
	routine->scan_set_tidrange = omen_scan_set_tidrange;
	routine->scan_getnextslot_tidrange = omen_scan_getnextslot_tidrange;

	routine->parallelscan_estimate = table_block_parallelscan_estimate;
	routine->parallelscan_initialize = table_block_parallelscan_initialize;
	routine->parallelscan_reinitialize = table_block_parallelscan_reinitialize;

	omen_bitmap_callbacks(routine);
	omen_sample_callbacks(routine);
	omen_analyze_callbacks(routine);
}
