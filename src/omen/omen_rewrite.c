/*
 * omen_rewrite.c - VACUUM FULL and CLUSTER: a table is written anew, without what nobody can need.
 *
 * Each row that is not dead gets a new TID. Its versions that some snapshot may still need come along, in its page or
 * in the store of the new file; aborted updates are left behind. Versions keep who wrote, deleted and locked them, and
 * are frozen where they are old enough.
 *
 * Rows that moved refer to their new place by TID. Where each came to lie is remembered for rows that a snapshot might
 * reach this way, and the references are put right when all rows are written.
 *
 * The caller holds AccessExclusiveLock on the old table, and nobody else knows the new one.
 */
#include "omen.h"

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/transam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "omen_peek.h"
#include "omen_private.h"

/* A version on its way, in memory of its own. */
typedef struct CopiedVersion
{
	HeapTupleData tuple;		/* t_self: the row in the old file */
	struct CopiedVersion *older;
} CopiedVersion;

/* One end of a move: the row at `tid` (in the old file) has a version written by `xmin`. */
typedef struct MoveKey
{
	ItemPointerData tid;
	TransactionId xmin;
} MoveKey;

typedef struct MoveTarget
{
	MoveKey		key;
	ItemPointerData new_tid;
} MoveTarget;

/* The other end: the row at new_tid moved there. */
typedef struct MoveSource
{
	MoveKey		target;
	ItemPointerData new_tid;
} MoveSource;

/* A page of the new file. Its block is taken at once, what is in it is written when it is full. */
typedef struct NewPage
{
	Buffer		buffer;			/* pinned; invalid: there is none */
	PGAlignedBlock image;
} NewPage;

typedef struct Rewrite
{
	Relation	old_rel;
	Relation	new_rel;
	TransactionId oldest_xmin;
	TransactionId xid_cutoff;
	MultiXactId multi_cutoff;
	Size		reserve;		/* room that the fill factor leaves in each page */

	/* the pages being filled */
	NewPage		rows;
	NewPage		store;

	HTAB	   *targets;
	MoveSource *sources;
	int			nsources;
	int			max_sources;

	MemoryContext row_context;	/* rows read; reset for each page read, and each row read singly */
	MemoryContext write_context;	/* reset for each row written */
	Datum	   *values;
	bool	   *isnull;

	double		live;
	double		dead;
	double		recently_dead;	/* rows and older versions */
} Rewrite;

/* ---- reading the old file ---- */

static CopiedVersion *
copy_version(Rewrite *rewrite, HeapTuple tuple)
{
	CopiedVersion *copy;
	const char *problem = omen_header_problem(rewrite->old_rel, tuple->t_data, tuple->t_len + OMEN_LINK_SIZE);

	/* sorting and forming it anew trust the lengths in it */
	if (problem == NULL)
		problem = omen_columns_problem(rewrite->old_rel, tuple);
	if (problem != NULL)
		omen_corrupted(rewrite->old_rel, ItemPointerGetBlockNumber(&tuple->t_self), ItemPointerGetOffsetNumber(&tuple->t_self), problem);
	copy = MemoryContextAlloc(rewrite->row_context, MAXALIGN(sizeof(CopiedVersion)) + tuple->t_len);
	copy->tuple = *tuple;
	copy->tuple.t_data = (HeapTupleHeader) ((char *) copy + MAXALIGN(sizeof(CopiedVersion)));
	memcpy(copy->tuple.t_data, tuple->t_data, tuple->t_len);
	copy->older = NULL;
	return copy;
}

/* Who locks a row is written in its head, and holds for the row: it comes along when an aborted head is left behind. */
static void
carry_xmax(HeapTupleHeader from, HeapTupleHeader to)
{
	HeapTupleHeaderSetXmax(to, HeapTupleHeaderGetRawXmax(from));
	to->t_infomask = (to->t_infomask & ~HEAP_XMAX_BITS) | (from->t_infomask & HEAP_XMAX_BITS);
	to->t_infomask2 = (to->t_infomask2 & ~HEAP_KEYS_UPDATED) | (from->t_infomask2 & HEAP_KEYS_UPDATED);
}

/* Nobody else should be at work here: we hold the strongest lock there is. What is in progress is copied as it is. */
static void
warn_in_progress(Rewrite *rewrite, TransactionId xid, ItemPointer tid)
{
	if (!TransactionIdIsCurrentTransactionId(xid))
		ereport(WARNING,
				(errmsg("a concurrent change is in progress in table \"%s\"", RelationGetRelationName(rewrite->old_rel)),
				 errdetail("Transaction %u changed row (%u,%u).", xid, ItemPointerGetBlockNumber(tid),
						   ItemPointerGetOffsetNumber(tid))));
}

/*
 * Copies a row with all its versions that are needed, newest first. NULL: it is dead, or was no row. Counts it if
 * asked.
 */
static CopiedVersion *
copy_row(Rewrite *rewrite, Buffer buffer, OffsetNumber offnum, bool count)
{
	Relation	rel = rewrite->old_rel;
	OmenVersion version;
	HTSV_Result status;
	HeapTupleHeader head;
	CopiedVersion *row;
	CopiedVersion *last;

	if (!ItemIdIsNormal(PageGetItemId(BufferGetPage(buffer), offnum)))
		return NULL;
	status = omen_row_status(rel, buffer, offnum, rewrite->oldest_xmin, &version);
	if (status == HEAPTUPLE_DEAD)
	{
		if (count)
			rewrite->dead += 1;
		return NULL;
	}

	/* an update in progress comes along, an aborted one does not */
	if (!omen_head(rel, buffer, offnum, &version))
		return NULL;
	head = version.tuple.t_data;
	while (omen_xmin_state(version.tuple.t_data) == OMEN_XMIN_ABORTED)
	{
		if (!omen_older(rel, buffer, &version))
			omen_corrupted(rel, BufferGetBlockNumber(buffer), offnum,
						   "all its versions were written by aborted transactions");
	}
	row = last = copy_version(rewrite, &version.tuple);
	if (TransactionIdIsValid(version.superseder))
	{
		carry_xmax(head, row->tuple.t_data);
		row->tuple.t_data->t_ctid = row->tuple.t_self;
	}
	if (count)
	{
		rewrite->live += 1;
		if (omen_xmin_state(row->tuple.t_data) == OMEN_XMIN_IN_PROGRESS)
			warn_in_progress(rewrite, HeapTupleHeaderGetXmin(row->tuple.t_data), &row->tuple.t_self);
		if (status == HEAPTUPLE_DELETE_IN_PROGRESS)
			warn_in_progress(rewrite, HeapTupleHeaderGetUpdateXid(row->tuple.t_data), &row->tuple.t_self);
		if (status == HEAPTUPLE_RECENTLY_DEAD || status == HEAPTUPLE_DELETE_IN_PROGRESS)
			rewrite->recently_dead += 1;
	}

	while (omen_step_needed(rel, buffer, &version, rewrite->oldest_xmin))
	{
		last->older = copy_version(rewrite, &version.tuple);
		last = last->older;
		if (count)
			rewrite->recently_dead += 1;
	}
	return row;
}

/* ---- writing the new file ---- */

static void
close_page(Rewrite *rewrite, NewPage *page)
{
	if (!BufferIsValid(page->buffer))
		return;
	LockBuffer(page->buffer, BUFFER_LOCK_EXCLUSIVE);
	START_CRIT_SECTION();
	memcpy(BufferGetPage(page->buffer), page->image.data, BLCKSZ);
	omen_wal_page(rewrite->new_rel, page->buffer);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(page->buffer);
	page->buffer = InvalidBuffer;
}

static void
next_page(Rewrite *rewrite, NewPage *page)
{
	close_page(rewrite, page);
	page->buffer = compat_extend_relation(rewrite->new_rel);
	LockBuffer(page->buffer, BUFFER_LOCK_UNLOCK);
}

/*
 * What a version becomes in the new file, but for t_ctid and the link: without the values of dropped columns, with its
 * out-of-line values in the new toast table, frozen if it is old enough.
 */
static HeapTuple
form_version(Rewrite *rewrite, HeapTuple old, bool is_head)
{
	TupleDesc	desc = RelationGetDescr(rewrite->new_rel);
	HeapTuple	new;
	HeapTupleHeader header;

	heap_deform_tuple(old, RelationGetDescr(rewrite->old_rel), rewrite->values, rewrite->isnull);
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			rewrite->isnull[i] = true;
	}
	new = heap_form_tuple(desc, rewrite->values, rewrite->isnull);
	header = new->t_data;

	header->t_choice.t_heap = old->t_data->t_choice.t_heap;
	header->t_infomask &= ~HEAP_XACT_MASK;
	header->t_infomask |= old->t_data->t_infomask & HEAP_XACT_MASK;
	header->t_infomask2 &= ~HEAP2_XACT_MASK;
	if (is_head)
		header->t_infomask2 |= old->t_data->t_infomask2 & HEAP_KEYS_UPDATED;
	else
	{
		/* nobody looks at the xmax of older versions, so nobody would see to it that it is frozen */
		header->t_infomask &= ~HEAP_XMAX_BITS;
		header->t_infomask |= HEAP_XMAX_INVALID;
		HeapTupleHeaderSetXmax(header, InvalidTransactionId);
	}
	heap_freeze_tuple(header, rewrite->old_rel->rd_rel->relfrozenxid, rewrite->old_rel->rd_rel->relminmxid,
					  rewrite->xid_cutoff, rewrite->multi_cutoff);
	ItemPointerSetInvalid(&header->t_ctid);

	if (HeapTupleHasExternal(new) || new->t_len > TOAST_TUPLE_THRESHOLD)
		new = heap_toast_insert_or_update(rewrite->new_rel, new, NULL, HEAP_INSERT_SKIP_FSM | HEAP_INSERT_NO_LOGICAL);
	omen_check_length(new);
	return new;
}

/* Writes a version as an item: with its link, padded. */
static void
put_item(char *at, HeapTuple tuple, ItemPointer ctid, OmenLink link)
{
	Size		length = tuple->t_len + OMEN_LINK_SIZE;

	tuple->t_data->t_ctid = *ctid;
	memcpy(at, tuple->t_data, tuple->t_len);
	memcpy(at + tuple->t_len, &link, OMEN_LINK_SIZE);
	memset(at + length, 0, MAXALIGN(length) - length);
}

/* Takes room for an item from the row page being filled. */
static OmenLink
place_version(Rewrite *rewrite, HeapTuple tuple, ItemPointer ctid, OmenLink link)
{
	PageHeader	page = (PageHeader) rewrite->rows.image.data;

	page->pd_upper -= MAXALIGN(tuple->t_len + OMEN_LINK_SIZE);
	put_item((char *) page + page->pd_upper, tuple, ctid, link);
	link.block = InvalidBlockNumber;
	link.offset = page->pd_upper;
	link.length = tuple->t_len + OMEN_LINK_SIZE;
	return link;
}

static void
open_store_page(Rewrite *rewrite)
{
	Page		page = (Page) rewrite->store.image.data;
	OmenStoreSpecial *special = omen_store_special(page);

	next_page(rewrite, &rewrite->store);
	PageInit(page, BLCKSZ, sizeof(OmenStoreSpecial));
	((PageHeader) page)->pd_lower = ((PageHeader) page)->pd_upper = SizeOfPageHeaderData;
	special->magic = OMEN_STORE_MAGIC;
	special->version = OMEN_FORMAT_VERSION;
	special->fill = OMEN_STORE_START;
}

/*
 * Appends an older version to the store of the new file. Not by omen_store_append(): that would use pages again which
 * no snapshot of this transaction needs, as the new file seems to be a table that others cannot see yet.
 */
static OmenLink
store_version(Rewrite *rewrite, HeapTuple tuple, HeapTuple newer, ItemPointer row, TransactionId superseder, OmenLink link)
{
	Page		page = (Page) rewrite->store.image.data;
	OmenStoreSpecial *special = omen_store_special(page);
	Size		length = tuple->t_len + OMEN_LINK_SIZE;
	OmenFormed	formed;
	PGAlignedBlock item;

	if (OMEN_RECORD_SIZE(length) > OMEN_STORE_CAPACITY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an older version of a row of table \"%s\" is too long for the store",
						RelationGetRelationName(rewrite->old_rel)),
				 errdetail("It has %zu bytes, and no room in the page of its row.", length),
				 errhint("Try again when no transaction needs it any more.")));
	put_item(item.data, tuple, row, link);
	omen_form_record(&formed, row, item.data, length, link, superseder, newer->t_data, newer->t_len);
	if (!BufferIsValid(rewrite->store.buffer) || special->fill + formed.size > OMEN_STORE_END)
		open_store_page(rewrite);
	link.block = BufferGetBlockNumber(rewrite->store.buffer);
	link.offset = special->fill;
	link.length = length;
	memcpy((char *) page + special->fill, formed.bytes, formed.size);
	special->fill += formed.size;
	if (!TransactionIdIsValid(special->newest) || TransactionIdFollows(superseder, special->newest))
		special->newest = superseder;
	return link;
}

/* Says when it will be worth while to prune the page. */
static void
note_prunable(Rewrite *rewrite, TransactionId xid)
{
	PageHeader	page = (PageHeader) rewrite->rows.image.data;

	if (TransactionIdIsNormal(xid) &&
		(!TransactionIdIsValid(page->pd_prune_xid) || TransactionIdPrecedes(xid, page->pd_prune_xid)))
		page->pd_prune_xid = xid;
}

/* Remembers both kinds of ends of moves that a row may be. */
static void
note_moves(Rewrite *rewrite, CopiedVersion *row, ItemPointer new_tid)
{
	HeapTupleHeader head = row->tuple.t_data;
	MoveKey		key;

	/* here it came to: the version that carries the mark is the oldest, if it is needed at all */
	memset(&key, 0, sizeof(key));
	for (CopiedVersion *version = row; version != NULL; version = version->older)
	{
		TransactionId xmin = HeapTupleHeaderGetXmin(version->tuple.t_data);
		MoveTarget *target;

		if (!(version->tuple.t_data->t_infomask & HEAP_UPDATED) || TransactionIdPrecedes(xmin, rewrite->oldest_xmin))
			continue;
		key.tid = row->tuple.t_self;
		key.xmin = xmin;
		target = hash_search(rewrite->targets, &key, HASH_ENTER, NULL);
		target->new_tid = *new_tid;
	}

	/* from here it went away */
	if ((head->t_infomask & HEAP_XMAX_INVALID) || HeapTupleHeaderIsOnlyLocked(head) ||
		HeapTupleHeaderIndicatesMovedPartitions(head) || ItemPointerEquals(&head->t_ctid, &row->tuple.t_self))
		return;
	if (rewrite->nsources == rewrite->max_sources)
	{
		rewrite->max_sources *= 2;
		rewrite->sources = repalloc_huge(rewrite->sources, rewrite->max_sources * sizeof(MoveSource));
	}
	key.tid = head->t_ctid;
	key.xmin = HeapTupleHeaderGetUpdateXid(head);
	rewrite->sources[rewrite->nsources].target = key;
	rewrite->sources[rewrite->nsources].new_tid = *new_tid;
	rewrite->nsources++;
}

/* Writes the versions of a row behind the newest, oldest first. Returns the link to the newest of them. */
static OmenLink
write_older(Rewrite *rewrite, CopiedVersion *version, HeapTuple *formed, ItemPointer new_tid, bool in_page)
{
	OmenLink	link;
	TransactionId superseder = HeapTupleHeaderGetRawXmin(version->tuple.t_data);

	memset(&link, 0, sizeof(link));
	link.block = InvalidBlockNumber;
	if (version->older == NULL)
		return link;
	link = write_older(rewrite, version->older, formed + 1, new_tid, in_page);
	if (!in_page)
		return store_version(rewrite, formed[1], formed[0], new_tid, superseder, link);
	note_prunable(rewrite, superseder);
	return place_version(rewrite, formed[1], new_tid, link);
}

/*
 * Writes a row: the newest version to a row page, and the others behind it, if there is room for all; else they go to
 * the store. That the newest might have to be undone is no concern: that undoes the new file, too.
 */
static void
write_row(Rewrite *rewrite, CopiedVersion *row)
{
	PageHeader	page = (PageHeader) rewrite->rows.image.data;
	HeapTuple  *formed;
	int			nversions = 0;
	Size		head_need;
	Size		need = 0;
	ItemPointerData new_tid;
	ItemPointerData ctid;
	OmenLink	link;
	OffsetNumber offnum;
	ItemId		lp;
	bool		too_long = false;	/* for the store */
	MemoryContext caller;

	MemoryContextReset(rewrite->write_context);
	caller = MemoryContextSwitchTo(rewrite->write_context);
	for (CopiedVersion *version = row; version != NULL; version = version->older)
		nversions++;
	formed = palloc(nversions * sizeof(HeapTuple));
	for (CopiedVersion *version = row; version != NULL; version = version->older)
	{
		HeapTuple	tuple = form_version(rewrite, &version->tuple, version == row);

		*formed++ = tuple;
		need += MAXALIGN(tuple->t_len + OMEN_LINK_SIZE);
		if (version != row && OMEN_RECORD_SIZE(tuple->t_len + OMEN_LINK_SIZE) > OMEN_STORE_CAPACITY)
			too_long = true;
	}
	formed -= nversions;
	head_need = MAXALIGN(formed[0]->t_len + OMEN_LINK_SIZE) + sizeof(ItemIdData);
	need += sizeof(ItemIdData);

	if (!BufferIsValid(rewrite->rows.buffer) ||
		(too_long ? need : head_need) + rewrite->reserve > (Size) (page->pd_upper - page->pd_lower))
	{
		next_page(rewrite, &rewrite->rows);
		omen_init_rows((Page) page);
	}
	offnum = OffsetNumberNext(PageGetMaxOffsetNumber((Page) page));
	ItemPointerSet(&new_tid, BufferGetBlockNumber(rewrite->rows.buffer), offnum);

	link = write_older(rewrite, row, formed, &new_tid,
					   need + (too_long ? 0 : rewrite->reserve) <= (Size) (page->pd_upper - page->pd_lower));
	ctid = new_tid;
	if (HeapTupleHeaderIndicatesMovedPartitions(row->tuple.t_data))
		ctid = row->tuple.t_data->t_ctid;
	place_version(rewrite, formed[0], &ctid, link);
	page->pd_lower += sizeof(ItemIdData);
	lp = PageGetItemId((Page) page, offnum);
	ItemIdSetNormal(lp, page->pd_upper, formed[0]->t_len + OMEN_LINK_SIZE);
	if (!(formed[0]->t_data->t_infomask & HEAP_XMAX_INVALID) && !HeapTupleHeaderIsOnlyLocked(formed[0]->t_data))
		note_prunable(rewrite, HeapTupleHeaderGetUpdateXid(formed[0]->t_data));

	MemoryContextSwitchTo(caller);
	note_moves(rewrite, row, &new_tid);
}

static int
compare_sources(const void *a, const void *b)
{
	return ItemPointerCompare(&((MoveSource *) a)->new_tid, &((MoveSource *) b)->new_tid);
}

/*
 * Points moved rows to where they moved. Whose new place was not written was dead, or is seen by all who see the old
 * one: it stays as it is.
 */
static void
link_moves(Rewrite *rewrite)
{
	Relation	rel = rewrite->new_rel;
	int			i = 0;

	qsort(rewrite->sources, rewrite->nsources, sizeof(MoveSource), compare_sources);
	while (i < rewrite->nsources)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&rewrite->sources[i].new_tid);
		Buffer		buffer = InvalidBuffer;

		CHECK_FOR_INTERRUPTS();
		for (; i < rewrite->nsources && ItemPointerGetBlockNumber(&rewrite->sources[i].new_tid) == block; i++)
		{
			MoveSource *source = &rewrite->sources[i];
			MoveTarget *target = hash_search(rewrite->targets, &source->target, HASH_FIND, NULL);
			Page		page;
			ItemId		lp;

			if (target == NULL)
				continue;
			if (!BufferIsValid(buffer))
			{
				buffer = ReadBuffer(rel, block);
				LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
			}
			page = BufferGetPage(buffer);
			lp = PageGetItemId(page, ItemPointerGetOffsetNumber(&source->new_tid));
			((HeapTupleHeader) PageGetItem(page, lp))->t_ctid = target->new_tid;
		}
		if (BufferIsValid(buffer))
		{
			START_CRIT_SECTION();
			omen_wal_page(rel, buffer);
			END_CRIT_SECTION();
			UnlockReleaseBuffer(buffer);
		}
	}
}

/* ---- the ways through the old file ---- */

/*
 * For the sort a row is its newest version. That there are more is marked by a bit that no version has: heap-only. They
 * are read again when the row's turn comes; that costs little, as they are few.
 */
static void
sort_row(CopiedVersion *row, Tuplesortstate *sort)
{
	if (row->older != NULL)
		HeapTupleHeaderSetHeapOnly(row->tuple.t_data);
	tuplesort_putheaptuple(sort, &row->tuple);
}

static void
report(Rewrite *rewrite, bool written)
{
	const int	index[] = {PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED, PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN};
	const int64 values[] = {rewrite->live, rewrite->live};

	pgstat_progress_update_multi_param(written ? 2 : 1, index, values);
}

/* In physical order, to the new file or to a sort. */
static void
read_table(Rewrite *rewrite, Tuplesortstate *sort)
{
	Relation	rel = rewrite->old_rel;
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);

	pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP);
	pgstat_progress_update_param(PROGRESS_CLUSTER_TOTAL_HEAP_BLKS, nblocks);

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		Page		page = BufferGetPage(buffer);
		CopiedVersion *rows[MaxHeapTuplesPerPage];
		int			nrows = 0;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(rewrite->row_context);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (omen_page_kind(rel, block, page) == OMEN_PAGE_ROWS)
		{
			OffsetNumber max = PageGetMaxOffsetNumber(page);

			for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max && nrows < MaxHeapTuplesPerPage; offnum++)
			{
				CopiedVersion *row = copy_row(rewrite, buffer, offnum, true);

				if (row != NULL)
					rows[nrows++] = row;
			}
		}
		UnlockReleaseBuffer(buffer);

		for (int i = 0; i < nrows; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (sort != NULL)
				sort_row(rows[i], sort);
			else
				write_row(rewrite, rows[i]);
		}
		report(rewrite, sort == NULL);
		pgstat_progress_update_param(PROGRESS_CLUSTER_HEAP_BLKS_SCANNED, block + 1);
	}
	FreeAccessStrategy(strategy);
}

/* Reads one row by its old TID, and writes it. */
static void
write_single(Rewrite *rewrite, ItemPointer tid, bool count)
{
	Relation	rel = rewrite->old_rel;
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	OffsetNumber offnum = ItemPointerGetOffsetNumber(tid);
	Buffer		buffer = ReadBuffer(rel, block);
	Page		page = BufferGetPage(buffer);
	CopiedVersion *row = NULL;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (omen_page_kind(rel, block, page) == OMEN_PAGE_ROWS && offnum <= PageGetMaxOffsetNumber(page))
		row = copy_row(rewrite, buffer, offnum, count);
	UnlockReleaseBuffer(buffer);
	if (row != NULL)
		write_row(rewrite, row);
}

/* In the order of an index. */
static void
read_index(Rewrite *rewrite, Relation index)
{
	IndexScanDesc scan;
	ItemPointer tid;

	pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_INDEX_SCAN_HEAP);
	pgstat_progress_update_param(PROGRESS_CLUSTER_INDEX_RELID, RelationGetRelid(index));
	scan = compat_index_beginscan(rewrite->old_rel, index, SnapshotAny, 0);
	index_rescan(scan, NULL, 0, NULL, 0);
	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(rewrite->row_context);
		if (scan->xs_recheck)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("index \"%s\" cannot be used for CLUSTER", RelationGetRelationName(index)),
					 errdetail("What it returns has to be rechecked.")));
		write_single(rewrite, tid, true);
		report(rewrite, true);
	}
	index_endscan(scan);
}

/* In the order of a sort. */
static void
write_sorted(Rewrite *rewrite, Tuplesortstate *sort)
{
	HeapTuple	tuple;
	int64		written = 0;

	pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_SORT_TUPLES);
	tuplesort_performsort(sort);
	pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_WRITE_NEW_HEAP);

	while ((tuple = tuplesort_getheaptuple(sort, true)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(rewrite->row_context);
		if (HeapTupleHeaderIsHeapOnly(tuple->t_data))
			write_single(rewrite, &tuple->t_self, false);
		else
		{
			CopiedVersion row = {.tuple = *tuple};

			write_row(rewrite, &row);
		}
		pgstat_progress_update_param(PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN, ++written);
	}
}

void
omen_copy_for_cluster(Relation old_rel, Relation new_rel, Relation old_index, bool use_sort,
					  TransactionId oldest_xmin, TransactionId *xid_cutoff, MultiXactId *multi_cutoff,
					  double *num_tuples, double *tups_vacuumed, double *tups_recently_dead)
{
	Rewrite    *rewrite;
	HASHCTL		control = {0};
	MemoryContext context;
	MemoryContext caller;

	/* logical decoding would have to be told where the rows of such a table went */
	if (RelationIsAccessibleInLogicalDecoding(old_rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rewrite table \"%s\", which logical decoding uses as a catalog",
						RelationGetRelationName(old_rel)),
				 errhint("Set its storage parameter user_catalog_table to false, or use a heap table.")));

	context = AllocSetContextCreate(CurrentMemoryContext, "omen rewrite", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	rewrite = palloc0(sizeof(Rewrite));
	rewrite->old_rel = old_rel;
	rewrite->new_rel = new_rel;
	rewrite->oldest_xmin = oldest_xmin;
	rewrite->xid_cutoff = *xid_cutoff;
	rewrite->multi_cutoff = *multi_cutoff;
	rewrite->reserve = RelationGetTargetPageFreeSpace(new_rel, HEAP_DEFAULT_FILLFACTOR);
	rewrite->rows.buffer = rewrite->store.buffer = InvalidBuffer;
	rewrite->values = palloc(RelationGetNumberOfAttributes(new_rel) * sizeof(Datum));
	rewrite->isnull = palloc(RelationGetNumberOfAttributes(new_rel) * sizeof(bool));
	rewrite->max_sources = 64;
	rewrite->sources = palloc(rewrite->max_sources * sizeof(MoveSource));
	control.keysize = sizeof(MoveKey);
	control.entrysize = sizeof(MoveTarget);
	control.hcxt = context;
	rewrite->targets = hash_create("omen moved rows", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	rewrite->write_context = AllocSetContextCreate(context, "omen rewrite output", ALLOCSET_DEFAULT_SIZES);
	rewrite->row_context = AllocSetContextCreate(context, "omen rewrite row", ALLOCSET_DEFAULT_SIZES);

	if (use_sort)
	{
		Tuplesortstate *sort = tuplesort_begin_cluster(RelationGetDescr(old_rel), old_index, maintenance_work_mem,
													   NULL, TUPLESORT_NONE);

		read_table(rewrite, sort);
		write_sorted(rewrite, sort);
		tuplesort_end(sort);
	}
	else if (old_index != NULL)
		read_index(rewrite, old_index);
	else
		read_table(rewrite, NULL);

	close_page(rewrite, &rewrite->rows);
	close_page(rewrite, &rewrite->store);
	link_moves(rewrite);
	*num_tuples = rewrite->live;
	*tups_vacuumed = rewrite->dead;
	*tups_recently_dead = rewrite->recently_dead;

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
