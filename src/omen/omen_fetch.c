/*
 * omen_fetch.c - fetching rows by TID: for index scans, for the executor, for TID scans; and telling indexes which
 * entries are dead.
 */
#include "omen_scan.h"

#include "access/heapam_xlog.h"
#include "access/transam.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/procarray.h"

#include "omen_private.h"
#include "recent_page.h"

#if PG_VERSION_NUM < 160000
#define HeapTupleHeaderAdvanceConflictHorizon HeapTupleHeaderAdvanceLatestRemovedXid
#endif

/* Is there a row at this offset, as far as its line pointer says? */
static inline bool
has_row(Relation rel, Buffer buffer, OffsetNumber offnum)
{
	Page		page = BufferGetPage(buffer);

	if (offnum < FirstOffsetNumber || offnum > PageGetMaxOffsetNumber(page))
		return false;
	omen_require_rows(rel, BufferGetBlockNumber(buffer), page);
	return ItemIdIsNormal(PageGetItemId(page, offnum));
}

/* Pins and share-locks the page of a TID. */
static Buffer
lock_page_of(Relation rel, ItemPointer tid)
{
	Buffer		buffer = omen_pin(rel, ItemPointerGetBlockNumber(tid));

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	return buffer;
}

/* ---- one row --------------------------------------------------------------------------------------------------- */

/* Nearly always a snapshot sees the head of a row. Fills in a tuple that points to it, without copying anything. */
static inline bool
head_visible(Relation rel, Buffer buffer, OffsetNumber offnum, Snapshot snapshot, HeapTuple tuple)
{
	Page		page = BufferGetPage(buffer);

	if (!IsMVCCSnapshot(snapshot))
		return false;
	omen_head_tuple(rel, page, BufferGetBlockNumber(buffer), offnum, PageGetItemId(page, offnum), tuple);
	if (!omen_page_all_visible(page, snapshot) && !omen_satisfies(tuple, snapshot, buffer))
		return false;
	HeapCheckForSerializableConflictOut(true, rel, tuple, buffer, snapshot);
	return true;
}

/* The version that is not the head, or not for an MVCC snapshot. */
static pg_noinline bool
version_to_slot(Relation rel, Buffer buffer, OffsetNumber offnum, Snapshot snapshot, bool copy,
				TupleTableSlot *slot, TransactionId *xmin, bool *all_dead)
{
	OmenVersion version;

	if (!omen_visible_version(rel, buffer, offnum, snapshot, &version, all_dead))
		return false;
	*xmin = HeapTupleHeaderGetRawXmin(version.tuple.t_data);
	omen_store_slot(rel, buffer, &version, copy || !IsMVCCSnapshot(snapshot), slot);
	return true;
}

bool
omen_row_to_slot(Relation rel, Buffer buffer, OffsetNumber offnum, Snapshot snapshot, bool copy, bool lock,
				 TupleTableSlot *slot, bool *all_dead)
{
	BufferHeapTupleTableSlot *bslot = (BufferHeapTupleTableSlot *) slot;
	HeapTupleData tuple;
	TransactionId xmin;
	ItemPointerData target;

	Assert(TTS_IS_BUFFERTUPLE(slot));

	if (!has_row(rel, buffer, offnum))
	{
		if (all_dead)
			*all_dead = true;
		return false;
	}

	if (head_visible(rel, buffer, offnum, snapshot, &tuple))
	{
		xmin = HeapTupleHeaderGetRawXmin(tuple.t_data);
		if (copy)
			omen_copy_to_slot(&tuple, slot);
		else
		{
			/* the slot keeps a pointer to the tuple, so it has to be one that lives as long */
			bslot->base.tupdata = tuple;
			ExecStoreBufferHeapTuple(&bslot->base.tupdata, slot, buffer);
		}
		if (all_dead)
			*all_dead = false;
	}
	else if (!version_to_slot(rel, buffer, offnum, snapshot, copy, slot, &xmin, all_dead))
		return false;

	if (lock)
	{
		omen_predicate_target(&slot->tts_tid, xmin, &target);
		PredicateLockTID(rel, &target, snapshot, xmin);
	}
	return true;
}

/* ---- index scans ----------------------------------------------------------------------------------------------- */

typedef struct OmenIndexFetch
{
	IndexFetchTableData base;	/* must be first */
	bool		copy;
	Buffer		buffer;			/* pinned from one row to the next, unless rows are copied and one was found */
	Buffer		recent;			/* if they are: where the page of the last row was */
	BlockNumber block;			/* of the last row */
} OmenIndexFetch;

struct IndexFetchTableData *
omen_index_fetch_begin(Relation rel)
{
	OmenIndexFetch *fetch = palloc0(sizeof(OmenIndexFetch));

	fetch->base.rel = rel;
	fetch->copy = omen_must_copy(rel);
	fetch->buffer = InvalidBuffer;
	fetch->recent = InvalidBuffer;
	fetch->block = InvalidBlockNumber;
	return &fetch->base;
}

void
omen_index_fetch_reset(struct IndexFetchTableData *data)
{
	OmenIndexFetch *fetch = (OmenIndexFetch *) data;

	if (BufferIsValid(fetch->buffer))
		ReleaseBuffer(fetch->buffer);
	fetch->buffer = InvalidBuffer;
	fetch->block = InvalidBlockNumber;
}

void
omen_index_fetch_end(struct IndexFetchTableData *data)
{
	omen_index_fetch_reset(data);
	pfree(data);
}

Buffer
omen_index_fetch_go(struct IndexFetchTableData *data, BlockNumber block, Buffer hint)
{
	OmenIndexFetch *fetch = (OmenIndexFetch *) data;
	Relation	rel = data->rel;

	if (unlikely(!BlockNumberIsValid(block)))
		omen_no_block(rel, block);
	if (block == fetch->block)
		return BufferIsValid(fetch->buffer) ? fetch->buffer : fetch->recent;
	if (BufferIsValid(fetch->buffer))
		ReleaseBuffer(fetch->buffer);
	fetch->buffer = InvalidBuffer;
	fetch->block = InvalidBlockNumber;
	if (unlikely(!BufferIsValid(hint) && !block_exists(rel, block)))
		omen_no_block(rel, block);
	fetch->buffer = recent_page(rel, block, hint);
	fetch->block = block;
	omen_prune_opt(rel, fetch->buffer);
	return fetch->buffer;
}

bool
omen_index_fetch_tuple(struct IndexFetchTableData *data, ItemPointer tid, Snapshot snapshot,
					   TupleTableSlot *slot, bool *call_again, bool *all_dead)
{
	OmenIndexFetch *fetch = (OmenIndexFetch *) data;
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	bool		found;

	if (block != fetch->block || !BlockNumberIsValid(block))
		omen_index_fetch_go(data, block, InvalidBuffer);
	else if (!BufferIsValid(fetch->buffer))
		fetch->buffer = recent_page(data->rel, block, fetch->recent);

	LockBuffer(fetch->buffer, BUFFER_LOCK_SHARE);
	compat_test_old_snapshot(snapshot, data->rel, BufferGetPage(fetch->buffer));
	found = omen_row_to_slot(data->rel, fetch->buffer, ItemPointerGetOffsetNumber(tid), snapshot, fetch->copy, true,
							 slot, all_dead);
	LockBuffer(fetch->buffer, BUFFER_LOCK_UNLOCK);
	/* dead rows come in runs, and a scan that meets one goes on, or ends and lets the page go */
	if (fetch->copy && found)
	{
		ReleaseBuffer(fetch->buffer);
		fetch->recent = fetch->buffer;
		fetch->buffer = InvalidBuffer;
	}

	if (found && snapshot->snapshot_type == SNAPSHOT_DIRTY)
		omen_memory_note_dirty(RelationGetRelid(data->rel), tid);

	/* an entry leads to one row, and a snapshot sees one version of it, whatever its kind */
	*call_again = false;
	return found;
}

/* ---- for the executor ------------------------------------------------------------------------------------------ */

/*
 * The version that was accepted: the newest but for what this command has made of it. If we have deleted or moved the row, it was that
 * version, too, whatever the snapshot sees.
 */
static bool
accepted_to_slot(Relation rel, Buffer buffer, OffsetNumber offnum, bool accepted, TupleTableSlot *slot)
{
	OmenVersion version;
	HeapTupleHeader header;

	if (!omen_head(rel, buffer, offnum, &version))
		return false;
	header = version.tuple.t_data;
	if (!accepted &&
		((header->t_infomask & HEAP_XMAX_INVALID) || HeapTupleHeaderIsOnlyLocked(header) ||
		 !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header))))
		return false;
	if (accepted && ActiveSnapshotSet() && version.link.offset != 0 && omen_xmin_state(header) == OMEN_XMIN_OURS &&
		HeapTupleHeaderGetCmin(header) >= GetActiveSnapshot()->curcid)
		omen_older(rel, buffer, &version);
	omen_store_slot(rel, buffer, &version, true, slot);
	return true;
}

/*
 * With SnapshotAny the executor asks for the version it has seen or locked a moment ago, see "What the executor
 * expects" in the README. Rows that the active snapshot does not see are those of this command, and, once it has
 * another snapshot, of deferred triggers.
 */
bool
omen_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot)
{
	ItemPointerData plain = *tid;
	bool		accepted = omen_plain_tid(tid, &plain);
	Buffer		buffer;
	OffsetNumber offnum = ItemPointerGetOffsetNumber(&plain);
	bool		found = false;

	/* marks come back from the executor with SnapshotAny only; a TID that a user made up has no row */
	if (accepted && snapshot->snapshot_type != SNAPSHOT_ANY)
		return false;
	buffer = lock_page_of(rel, &plain);
	compat_test_old_snapshot(snapshot, rel, BufferGetPage(buffer));
	if (has_row(rel, buffer, offnum))
	{
		if (snapshot->snapshot_type != SNAPSHOT_ANY)
			found = omen_row_to_slot(rel, buffer, offnum, snapshot, true, true, slot, NULL);
		else if (accepted_to_slot(rel, buffer, offnum, accepted, slot))
			found = true;
		else
		{
			/* ON CONFLICT DO NOTHING asks, of the row it has just found, whether a snapshot that stays the same sees the newest version */
			bool		newest = IsolationUsesXactSnapshot() && omen_memory_was_dirty(RelationGetRelid(rel), &plain);

			if (!newest && ActiveSnapshotSet() && IsMVCCSnapshot(GetActiveSnapshot()))
				found = omen_row_to_slot(rel, buffer, offnum, GetActiveSnapshot(), true, false, slot, NULL);
			if (!found)
				found = omen_row_to_slot(rel, buffer, offnum, snapshot, true, false, slot, NULL);
		}
	}
	UnlockReleaseBuffer(buffer);
	return found;
}

bool
omen_tid_valid(TableScanDesc scan, ItemPointer tid)
{
	return ItemPointerIsValid(tid) && ItemPointerGetBlockNumber(tid) < ((OmenScan) scan)->nblocks;
}

/* Slots rarely point into a page, but then its lock is needed to look at a header others may change. */
bool
omen_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot)
{
	BufferHeapTupleTableSlot *bslot = (BufferHeapTupleTableSlot *) slot;
	bool		visible;

	Assert(TTS_IS_BUFFERTUPLE(slot));
	if (!BufferIsValid(bslot->buffer))
		return omen_header_visible(bslot->base.tuple->t_data, snapshot);

	LockBuffer(bslot->buffer, BUFFER_LOCK_SHARE);
	visible = omen_header_visible(bslot->base.tuple->t_data, snapshot);
	LockBuffer(bslot->buffer, BUFFER_LOCK_UNLOCK);
	return visible;
}

/*
 * Follows a row to where it has moved; *tid becomes the last TID at which the snapshot sees it. A row that is gone, or
 * another one at the place it moved to, ends the search: not an error, as nothing keeps the target of t_ctid in place.
 */
void
omen_get_latest_tid(TableScanDesc scan, ItemPointer tid)
{
	Relation	rel = scan->rs_rd;
	ItemPointerData next = *tid;
	TransactionId mover = InvalidTransactionId;
	bool		moved;

	do
	{
		Buffer		buffer;
		OffsetNumber offnum = ItemPointerGetOffsetNumber(&next);
		OmenVersion version;

		CHECK_FOR_INTERRUPTS();
		moved = false;
		buffer = lock_page_of(rel, &next);
		compat_test_old_snapshot(scan->rs_snapshot, rel, BufferGetPage(buffer));

		if (has_row(rel, buffer, offnum) &&
			omen_head(rel, buffer, offnum, &version) &&
			(!TransactionIdIsValid(mover) || omen_has_version_by(rel, buffer, &version, mover)))
		{
			HeapTupleHeader head;

			if (omen_visible_version(rel, buffer, offnum, scan->rs_snapshot, &version, NULL))
				*tid = next;

			omen_head(rel, buffer, offnum, &version);
			head = version.tuple.t_data;
			if (!(head->t_infomask & HEAP_XMAX_INVALID) && !HeapTupleHeaderIsOnlyLocked(head) &&
				!HeapTupleHeaderIndicatesMovedPartitions(head) && !ItemPointerEquals(&head->t_ctid, &next))
			{
				next = head->t_ctid;
				mover = HeapTupleHeaderGetUpdateXid(head);
				moved = true;
			}
		}
		UnlockReleaseBuffer(buffer);
	} while (moved);
}

/* ---- which index entries are dead ------------------------------------------------------------------------------ */

/* How many blocks an index may make us look at for the sake of one of its pages. As heap. */
#define MAX_BOTTOMUP_BLOCKS 6

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) &((const TM_IndexDelete *) a)->tid,
							  (ItemPointer) &((const TM_IndexDelete *) b)->tid);
}

/* The entries of one block, and how good its prospects are. */
typedef struct BlockEntries
{
	int			first;
	int			count;
	int			promising;
} BlockEntries;

static int
compare_prospects(const void *a, const void *b)
{
	const BlockEntries *left = a;
	const BlockEntries *right = b;

	if (left->promising != right->promising)
		return left->promising > right->promising ? -1 : 1;
	if (left->count != right->count)
		return left->count > right->count ? -1 : 1;
	return left->first < right->first ? -1 : 1;
}

/* Reorders sorted entries so that the most promising blocks come first, and forgets all but a few blocks. */
static void
keep_best_blocks(TM_IndexDeleteOp *op)
{
	BlockEntries *blocks = palloc(op->ndeltids * sizeof(BlockEntries));
	TM_IndexDelete *kept = palloc(op->ndeltids * sizeof(TM_IndexDelete));
	BlockNumber last = InvalidBlockNumber;
	int			nblocks = 0;
	int			nkept = 0;

	for (int i = 0; i < op->ndeltids; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&op->deltids[i].tid);
		BlockEntries *current;

		if (block != last)
			blocks[nblocks++] = (BlockEntries) {.first = i};
		last = block;
		current = &blocks[nblocks - 1];
		current->count++;
		if (op->status[op->deltids[i].id].promising)
			current->promising++;
	}

	qsort(blocks, nblocks, sizeof(BlockEntries), compare_prospects);
	for (int i = 0; i < nblocks && i < MAX_BOTTOMUP_BLOCKS; i++)
	{
		memcpy(&kept[nkept], &op->deltids[blocks[i].first], blocks[i].count * sizeof(TM_IndexDelete));
		nkept += blocks[i].count;
	}
	memcpy(op->deltids, kept, nkept * sizeof(TM_IndexDelete));
	op->ndeltids = nkept;
	pfree(kept);
	pfree(blocks);
}

/* The index page is locked while we read: ask for all blocks at once. */
static void
prefetch_entries(Relation rel, const TM_IndexDeleteOp *op)
{
	BlockNumber last = InvalidBlockNumber;

	for (int i = 0; i < op->ndeltids; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&op->deltids[i].tid);

		if (block != last)
			PrefetchBuffer(rel, MAIN_FORKNUM, block);
		last = block;
	}
}

/* No vacuum frees a line pointer that an index still knows. */
static void
check_entry(const TM_IndexDeleteOp *op, Page page, const TM_IndexDelete *entry)
{
	OffsetNumber offnum = ItemPointerGetOffsetNumber(&entry->tid);

	if (offnum >= FirstOffsetNumber && offnum <= PageGetMaxOffsetNumber(page) &&
		ItemIdIsUsed(PageGetItemId(page, offnum)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" has an entry for row (%u,%u), which does not exist",
					RelationGetRelationName(op->irel), ItemPointerGetBlockNumber(&entry->tid), offnum),
			 errdetail("The entry is item %u in block %u of the index.",
					   op->status[entry->id].idxoffnum, op->iblknum),
			 errhint("If omen_check() finds more such rows, the table has lost them: restore it from a backup. REINDEX would only hide it.")));
}

/*
 * Snapshots older than this transaction may see a dead row. Heap's rule leaves out rows whose deleter wrote them; but
 * if there is an older version, the deleter has updated a row that others saw.
 */
static void
advance_horizon(const OmenVersion *head, TransactionId *horizon)
{
	TransactionId xmax;

	if (head->link.offset == 0)
	{
		HeapTupleHeaderAdvanceConflictHorizon(head->tuple.t_data, horizon);
		return;
	}
	xmax = HeapTupleHeaderGetUpdateXid(head->tuple.t_data);
	if (TransactionIdFollows(xmax, *horizon))
		*horizon = xmax;
}

TransactionId
omen_index_delete_tuples(Relation rel, TM_IndexDeleteOp *op)
{
	TransactionId horizon = InvalidTransactionId;
	SnapshotData vacuumable;
	Buffer		buffer = InvalidBuffer;
	int			ndeletable = 0;
	int			freed = 0;
	int			freed_before = -1;	/* when the current block was entered */

	Assert(op->ndeltids > 0);
	InitNonVacuumableSnapshot(vacuumable, GlobalVisTestFor(rel));
	qsort(op->deltids, op->ndeltids, sizeof(TM_IndexDelete), compare_tids);
	if (op->bottomup)
		keep_best_blocks(op);
	prefetch_entries(rel, op);

	for (int i = 0; i < op->ndeltids; i++)
	{
		TM_IndexDelete *entry = &op->deltids[i];
		TM_IndexStatus *status = &op->status[entry->id];
		OffsetNumber offnum = ItemPointerGetOffsetNumber(&entry->tid);
		OmenVersion version;
		bool		all_dead;

		if (!BufferIsValid(buffer) || BufferGetBlockNumber(buffer) != ItemPointerGetBlockNumber(&entry->tid))
		{
			/* an index that only hopes for room: enough, or the hope was in vain */
			if (op->bottomup && (freed >= op->bottomupfreespace || freed == freed_before))
				break;
			freed_before = freed;
			if (BufferIsValid(buffer))
				UnlockReleaseBuffer(buffer);
			buffer = lock_page_of(rel, &entry->tid);
		}
		check_entry(op, BufferGetPage(buffer), entry);

		if (!status->knowndeletable)
		{
			if (omen_visible_version(rel, buffer, offnum, &vacuumable, &version, &all_dead) || !all_dead)
				continue;
			status->knowndeletable = true;
			freed += status->freespace;
		}

		/* who made a row LP_DEAD has logged the conflict */
		if (omen_head(rel, buffer, offnum, &version))
			advance_horizon(&version, &horizon);
		ndeletable = i + 1;
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);

	op->ndeltids = ndeletable;
	return horizon;
}
