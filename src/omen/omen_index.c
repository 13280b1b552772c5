/*
 * omen_index.c - building indexes, and validating those built concurrently.
 *
 * A row is indexed by its TID, once, with the values of one version: the one that stands for the row now or, in a
 * concurrent build, the one the snapshot sees. Indexed columns never change in place, but before this index existed its
 * columns could: when an older version may still be needed, the index is marked as not to be used by older snapshots,
 * as heap does for broken HOT chains.
 *
 * Rows are gathered a page at a time under the share lock, into memory of our own; expressions and predicates run
 * without any lock or pin.
 */
#include "omen.h"

#include "catalog/index.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "omen_peek.h"

typedef struct GatheredRow
{
	HeapTupleData tuple;
	bool		alive;
} GatheredRow;

typedef struct BuildScan
{
	Relation	heap;
	Relation	index;
	IndexInfo  *info;
	Snapshot	snapshot;		/* NULL: whatever stands for the row */
	TransactionId oldest_xmin;	/* without a snapshot */
	bool		anyvisible;
	bool		check_unique;
	BufferAccessStrategy strategy;

	/* the rows of one page */
	MemoryContext page_context;
	char	   *page;			/* copy of the row page */
	GatheredRow *rows;
	int			nrows;
	int			max_rows;
	double		live;			/* of all pages so far */

	/* evaluation */
	EState	   *estate;
	ExprContext *econtext;
	TupleTableSlot *slot;
	ExprState  *predicate;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
} BuildScan;

/* Between 15 and 17 tuplesort_getdatum() learned not to copy. */
static bool
next_tid(Tuplesortstate *sort, ItemPointer tid)
{
	Datum		value;
	bool		isnull;

#if PG_VERSION_NUM >= 160000
	if (!tuplesort_getdatum(sort, true, false, &value, &isnull, NULL))
		return false;
#else
	if (!tuplesort_getdatum(sort, true, &value, &isnull, NULL))
		return false;
#endif
	itemptr_decode(tid, DatumGetInt64(value));
#if PG_VERSION_NUM < 160000 && !defined(USE_FLOAT8_BYVAL)
	pfree(DatumGetPointer(value));
#endif
	return true;
}

static void
begin_scan(BuildScan *scan, Relation heap, Relation index, IndexInfo *info)
{
	memset(scan, 0, sizeof(BuildScan));
	scan->heap = heap;
	scan->index = index;
	scan->info = info;
	scan->check_unique = info->ii_Unique || info->ii_ExclusionOps != NULL;
	if (RelationGetNumberOfBlocks(heap) > (BlockNumber) NBuffers / 4)
		scan->strategy = GetAccessStrategy(BAS_BULKREAD);
	scan->page_context = AllocSetContextCreate(CurrentMemoryContext, "omen index build", ALLOCSET_DEFAULT_SIZES);
	scan->page = palloc(BLCKSZ);
	scan->max_rows = MaxHeapTuplesPerPage;
	scan->rows = palloc(scan->max_rows * sizeof(GatheredRow));

	scan->estate = CreateExecutorState();
	scan->econtext = GetPerTupleExprContext(scan->estate);
	scan->slot = MakeSingleTupleTableSlot(RelationGetDescr(heap), &TTSOpsHeapTuple);
	scan->econtext->ecxt_scantuple = scan->slot;
	scan->predicate = ExecPrepareQual(info->ii_Predicate, scan->estate);
}

static void
end_scan(BuildScan *scan)
{
	ExecDropSingleTupleTableSlot(scan->slot);
	FreeExecutorState(scan->estate);
	/* they were in the executor state */
	scan->info->ii_ExpressionsState = NIL;
	scan->info->ii_PredicateState = NULL;

	MemoryContextDelete(scan->page_context);
	pfree(scan->rows);
	pfree(scan->page);
	if (scan->strategy != NULL)
		FreeAccessStrategy(scan->strategy);
}

/* Keeps a version. Those in the page are pointed to where they will be in our copy of it. */
static void
gather_version(BuildScan *scan, Page page, const OmenVersion *version, bool alive)
{
	GatheredRow *row;
	char	   *data;

	if (scan->nrows == scan->max_rows)
	{
		scan->max_rows *= 2;
		scan->rows = repalloc(scan->rows, scan->max_rows * sizeof(GatheredRow));
	}
	if (version->in_page)
		data = scan->page + ((char *) version->tuple.t_data - (char *) page);
	else
	{
		data = MemoryContextAlloc(scan->page_context, version->tuple.t_len);
		memcpy(data, version->tuple.t_data, version->tuple.t_len);
	}
	row = &scan->rows[scan->nrows++];
	row->tuple = version->tuple;
	row->tuple.t_data = (HeapTupleHeader) data;
	row->alive = alive;
}

/*
 * For an index that summarises a range of blocks: all versions anybody might see, as it must not miss any.
 */
static void
gather_all_versions(BuildScan *scan, Buffer buffer, OffsetNumber offnum, OmenVersion *version, bool alive)
{
	if (!omen_head(scan->heap, buffer, offnum, version))
		return;
	do
		gather_version(scan, BufferGetPage(buffer), version, alive);
	while (omen_step_needed(scan->heap, buffer, version, scan->oldest_xmin));
}

/* An insert or delete in progress: whose, and must we wait for it? Ours never. */
static bool
must_wait(BuildScan *scan, TransactionId xid, OffsetNumber offnum, BlockNumber block, const char *what)
{
	if (TransactionIdIsCurrentTransactionId(xid))
		return false;
	/* whoever builds an index has locked out writers */
	ereport(WARNING,
			(errmsg("a concurrent %s is in progress in table \"%s\"", what, RelationGetRelationName(scan->heap)),
			 errdetail("Transaction %u changed row (%u,%u).", xid, block, offnum)));
	/* its outcome decides whether the row counts as a duplicate */
	return scan->check_unique;
}

/* Gathers one row without a snapshot. Returns the transaction that must end first, if there is one. */
static TransactionId
gather_row(BuildScan *scan, Buffer buffer, OffsetNumber offnum, OmenVersion *version)
{
	BlockNumber block = BufferGetBlockNumber(buffer);
	HTSV_Result status = omen_row_status(scan->heap, buffer, offnum, scan->oldest_xmin, version);
	TransactionId xid;
	bool		alive = true;

	/* an update in progress that is not ours may have changed what the new index is about */
	if (!scan->anyvisible && status == HEAPTUPLE_LIVE && TransactionIdIsValid(version->superseder) &&
		TransactionIdIsInProgress(version->superseder) &&
		must_wait(scan, version->superseder, offnum, block, "update"))
		return version->superseder;

	switch (status)
	{
		case HEAPTUPLE_DEAD:
			return InvalidTransactionId;
		case HEAPTUPLE_LIVE:
			scan->live += 1;
			break;
		case HEAPTUPLE_RECENTLY_DEAD:
			/* older snapshots may see it, but it is nobody's duplicate */
			alive = false;
			break;
		case HEAPTUPLE_INSERT_IN_PROGRESS:
			xid = HeapTupleHeaderGetXmin(version->tuple.t_data);
			if (scan->anyvisible || TransactionIdIsCurrentTransactionId(xid))
				scan->live += 1;
			else if (must_wait(scan, xid, offnum, block, "insert"))
				return xid;
			break;
		case HEAPTUPLE_DELETE_IN_PROGRESS:
			xid = HeapTupleHeaderGetUpdateXid(version->tuple.t_data);
			alive = false;
			/* our own deletes count as done, those of others as not yet done; as ANALYZE counts */
			if (scan->anyvisible)
				scan->live += 1;
			else if (!TransactionIdIsCurrentTransactionId(xid))
			{
				if (must_wait(scan, xid, offnum, block, "delete"))
					return xid;
				scan->live += 1;
			}
			break;
	}

	if (scan->anyvisible)
		gather_all_versions(scan, buffer, offnum, version, alive);
	else
	{
		if (omen_peek_needed(version, scan->oldest_xmin))
			scan->info->ii_BrokenHotChain = true;
		gather_version(scan, BufferGetPage(buffer), version, alive);
	}
	return InvalidTransactionId;
}

/*
 * Gathers the rows of a block from *offnum on. Returns the transaction that has to end before the row at *offnum can be
 * judged; else invalid: that was the whole page.
 */
static TransactionId
gather_page(BuildScan *scan, BlockNumber block, OffsetNumber *offnum)
{
	Buffer		buffer;
	Page		page;
	OmenVersion version;
	TransactionId wait_for = InvalidTransactionId;

	MemoryContextReset(scan->page_context);
	scan->nrows = 0;

	buffer = ReadBufferExtended(scan->heap, MAIN_FORKNUM, block, RBM_NORMAL, scan->strategy);
	if (scan->snapshot != NULL && *offnum == FirstOffsetNumber)
		omen_prune_opt(scan->heap, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	if (scan->snapshot != NULL)
		compat_test_old_snapshot(scan->snapshot, scan->heap, page);
	if (omen_page_kind(scan->heap, block, page) == OMEN_PAGE_ROWS)
	{
		OffsetNumber last = PageGetMaxOffsetNumber(page);

		for (; *offnum <= last; *offnum = OffsetNumberNext(*offnum))
		{
			if (!ItemIdIsNormal(PageGetItemId(page, *offnum)))
				continue;
			if (scan->snapshot == NULL)
			{
				wait_for = gather_row(scan, buffer, *offnum, &version);
				if (TransactionIdIsValid(wait_for))
					break;
			}
			else if (omen_visible_version(scan->heap, buffer, *offnum, scan->snapshot, &version, NULL))
			{
				gather_version(scan, page, &version, true);
				scan->live += 1;
			}
		}
		memcpy(scan->page, page, BLCKSZ);
	}
	UnlockReleaseBuffer(buffer);
	return wait_for;
}

/* Computes what is to be indexed of a row. False: the predicate leaves it out. */
static bool
form_row(BuildScan *scan, GatheredRow *row)
{
	MemoryContextReset(scan->econtext->ecxt_per_tuple_memory);
	ExecStoreHeapTuple(&row->tuple, scan->slot, false);
	scan->slot->tts_tableOid = RelationGetRelid(scan->heap);
	if (scan->predicate != NULL && !ExecQual(scan->predicate, scan->econtext))
		return false;
	FormIndexDatum(scan->info, scan->slot, scan->estate, scan->values, scan->isnull);
	return true;
}

static void
build_block(BuildScan *scan, BlockNumber block, IndexBuildCallback callback, void *callback_state)
{
	OffsetNumber offnum = FirstOffsetNumber;
	TransactionId wait_for;

	do
	{
		CHECK_FOR_INTERRUPTS();
		wait_for = gather_page(scan, block, &offnum);
		for (int i = 0; i < scan->nrows; i++)
		{
			GatheredRow *row = &scan->rows[i];

			CHECK_FOR_INTERRUPTS();
			if (form_row(scan, row))
				callback(scan->index, &row->tuple.t_self, scan->values, scan->isnull, row->alive, callback_state);
		}
		if (TransactionIdIsValid(wait_for))
		{
			ItemPointerData tid;

			ItemPointerSet(&tid, block, offnum);
			XactLockTableWait(wait_for, scan->heap, &tid, XLTW_InsertIndexUnique);
		}
	} while (TransactionIdIsValid(wait_for));
}

static double
omen_index_build_range_scan(Relation heap, Relation index, IndexInfo *info, bool allow_sync, bool anyvisible,
							bool progress, BlockNumber start_block, BlockNumber nblocks,
							IndexBuildCallback callback, void *callback_state, TableScanDesc tscan)
{
	BuildScan	scan;
	ParallelBlockTableScanDesc shared = NULL;
	ParallelBlockTableScanWorkerData worker;
	BlockNumber table_blocks;
	BlockNumber first;
	BlockNumber end;			/* first block behind the range */
	BlockNumber block;
	bool		own_snapshot = false;

	begin_scan(&scan, heap, index, info);
	scan.anyvisible = anyvisible;
	Assert(!(anyvisible && scan.check_unique));

	/* no concurrent build: all rows that anybody might see, so dead ones too */
	if (!IsBootstrapProcessingMode() && !info->ii_Concurrent)
		scan.oldest_xmin = GetOldestNonRemovableTransactionId(heap);
	else if (tscan != NULL)
		scan.snapshot = tscan->rs_snapshot;
	else
	{
		scan.snapshot = RegisterSnapshot(GetTransactionSnapshot());
		own_snapshot = true;
	}
	Assert(tscan == NULL || (tscan->rs_snapshot == SnapshotAny) == (scan.snapshot == NULL));

	if (tscan != NULL && tscan->rs_parallel != NULL)
	{
		shared = (ParallelBlockTableScanDesc) tscan->rs_parallel;
		memset(&worker, 0, sizeof(worker));
		compat_startblock_init(heap, &worker, shared, InvalidBlockNumber, InvalidBlockNumber);
		table_blocks = shared->phs_nblocks;
		first = shared->phs_startblock;
		end = table_blocks;
	}
	else
	{
		table_blocks = RelationGetNumberOfBlocks(heap);
		first = Min(start_block, table_blocks);
		end = nblocks < table_blocks - first ? first + nblocks : table_blocks;
	}
	if (progress)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, table_blocks);

	block = first;
	for (;;)
	{
		BlockNumber done;

		if (shared != NULL)
			block = table_block_parallelscan_nextpage(heap, &worker, shared);
		if (block == InvalidBlockNumber || block >= end)
			break;
		done = block >= first ? block - first : block + table_blocks - first;
		if (progress)
			pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, done);
		build_block(&scan, block, callback, callback_state);
		block++;
	}
	if (progress)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, table_blocks);

	if (tscan != NULL)
		table_endscan(tscan);
	end_scan(&scan);
	if (own_snapshot)
		UnregisterSnapshot(scan.snapshot);
	return scan.live;
}

/* ---- the second pass of concurrent builds ---- */

/* Inserts a row that the build did not see. */
static void
insert_missing(BuildScan *scan, GatheredRow *row, ValidateIndexState *state)
{
	if (!form_row(scan, row))
		return;
	/* also rows that died meanwhile are checked: their successors are in the index already, or will be */
	index_insert(scan->index, scan->values, scan->isnull, &row->tuple.t_self, scan->heap,
				 scan->info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, scan->info);
	state->tups_inserted += 1;
}

/* The TIDs in the index come sorted, and so do the rows: one pass over both finds those that are missing. */
static void
omen_index_validate_scan(Relation heap, Relation index, IndexInfo *info, Snapshot snapshot,
						 ValidateIndexState *state)
{
	BuildScan	scan;
	BlockNumber table_blocks = RelationGetNumberOfBlocks(heap);
	ItemPointerData indexed;
	bool		more = next_tid(state->tuplesort, &indexed);

	begin_scan(&scan, heap, index, info);
	scan.snapshot = snapshot;
	pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, table_blocks);

	for (BlockNumber block = 0; block < table_blocks; block++)
	{
		OffsetNumber offnum = FirstOffsetNumber;

		CHECK_FOR_INTERRUPTS();
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, block);
		gather_page(&scan, block, &offnum);
		for (int i = 0; i < scan.nrows; i++)
		{
			GatheredRow *row = &scan.rows[i];

			CHECK_FOR_INTERRUPTS();
			state->htups += 1;
			while (more && ItemPointerCompare(&indexed, &row->tuple.t_self) < 0)
				more = next_tid(state->tuplesort, &indexed);
			if (!more || !ItemPointerEquals(&indexed, &row->tuple.t_self))
				insert_missing(&scan, row, state);
		}
	}

	end_scan(&scan);
}

void
omen_index_callbacks(TableAmRoutine *routine)
{
	routine->index_build_range_scan = omen_index_build_range_scan;
	routine->index_validate_scan = omen_index_validate_scan;
}
