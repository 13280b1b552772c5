/*
 * omen_prune.c - undoing aborted updates, and making room in row pages.
 */
#include "omen.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/procarray.h"

#include "compat_prune.h"
#include "omen_private.h"
#include "omen_options.h"

/* xmax, and the bits that say what it is, go from one header to another */
static void
copy_xmax(HeapTupleHeader from, HeapTupleHeader to)
{
	HeapTupleHeaderSetXmax(to, HeapTupleHeaderGetRawXmax(from));
	to->t_infomask = (to->t_infomask & ~HEAP_XMAX_BITS) | (from->t_infomask & HEAP_XMAX_BITS);
	to->t_infomask2 = (to->t_infomask2 & ~HEAP_KEYS_UPDATED) | (from->t_infomask2 & HEAP_KEYS_UPDATED);
}

/* Records of the store that a restore has passed, and will see off; should there be more, VACUUM will. */
#define MAX_PASSED 8

/* False: the row has no aborted update. *reclaimed: as in OmenPruneResult. */
static bool
restore_row(Relation rel, Buffer buffer, OffsetNumber offnum, int *reclaimed)
{
	Page		page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);
	ItemId		lp = PageGetItemId(page, offnum);
	OmenVersion head;
	OmenVersion version;
	OmenLink	link;
	WalRecord	record;
	Size		length;
	Size		room;
	bool		keep_room;
	uint16		place;
	int			gone = 0;
	int			npassed = 0;
	HeapTupleHeader header;
	struct
	{
		OmenLink	link;
		TransactionId superseder;
	}			passed[MAX_PASSED];

	if (!omen_head(rel, buffer, offnum, &head) || head.link.offset == 0 ||
		omen_xmin_state(head.tuple.t_data) != OMEN_XMIN_ABORTED)
		return false;

	memcpy(&version, &head, offsetof(OmenVersion, copy));
	do
	{
		link = version.link;
		if (!omen_older(rel, buffer, &version))
			return false;		/* inserted by who aborted, too: a dead row */
		/* the head or version after it goes; a record of the store is garbage from now on, but still there */
		gone += version.in_page;
		if (!version.in_page && npassed < MAX_PASSED)
		{
			passed[npassed].link = link;
			passed[npassed++].superseder = version.superseder;
		}
	} while (omen_xmin_state(version.tuple.t_data) == OMEN_XMIN_ABORTED);

	wal_begin(&record, rel);
	length = version.tuple.t_len + OMEN_LINK_SIZE;
	room = ItemIdGetLength(lp);
	/* one that may have to be undone itself keeps the room of the head it replaces: what is before it may be longer, and in the store */
	keep_room = omen_xmin_state(version.tuple.t_data) != OMEN_XMIN_COMMITTED && room > length;

	if (version.in_page && !keep_room)
	{
		place = link.offset;
		header = (HeapTupleHeader) ((char *) page + place);
		START_CRIT_SECTION();
		copy_xmax(head.tuple.t_data, header);
		header->t_ctid = head.tuple.t_self;
		ItemIdSetNormal(lp, place, length);
		wal_fragment(&record, buffer, header, SizeofHeapTupleHeader);
	}
	else
	{
		/*
		 * Into the room of the aborted head: nobody can see that. It is long enough, or the older version would not have left (README, "Aborted
		 * updates").
		 */
		PGAlignedBlock item;
		OmenItemChanges changes;

		place = ItemIdGetOffset(lp);
		if (MAXALIGN(length) > MAXALIGN(room))
			omen_corrupted(rel, block, offnum, "an aborted update left too little room for the version before it");
		memset(item.data, 0, MAXALIGN(room));
		memcpy(item.data, version.tuple.t_data, version.tuple.t_len);
		if (keep_room)
			length = room;
		memcpy(item.data + length - OMEN_LINK_SIZE, &version.link, OMEN_LINK_SIZE);
		header = (HeapTupleHeader) item.data;
		copy_xmax(head.tuple.t_data, header);
		header->t_ctid = head.tuple.t_self;
		/* what comes back may end in the alignment bytes of the head */
		omen_item_changes(&changes, page, place, room, item.data, MAXALIGN(room));
		START_CRIT_SECTION();
		memcpy((char *) page + place, item.data, MAXALIGN(room));
		omen_wal_item(&record, buffer, place, room, &changes);
		ItemIdSetNormal(lp, place, length);
	}
	omen_wal_line_pointer(&record, buffer, offnum);
	omen_wal_finish(&record, buffer);
	END_CRIT_SECTION();

	/* the row leads there no more */
	for (int i = 0; i < npassed; i++)
		omen_store_forget(rel, passed[i].link, &head.tuple.t_self, passed[i].superseder);
	*reclaimed += gone;
	return true;
}

bool
omen_restore_row(Relation rel, Buffer buffer, OffsetNumber offnum)
{
	int			reclaimed = 0;
	bool		restored = restore_row(rel, buffer, offnum, &reclaimed);

	omen_report_reclaimed(rel, reclaimed);
	return restored;
}

void
omen_report_reclaimed(Relation rel, int n)
{
	if (n > 0)
		pgstat_update_heap_dead_tuples(rel, n);
}

/* Of the xids that keep a page from being pruned further, the oldest: when it is removable, it is worth looking again. */
static void
note_prunable(TransactionId *oldest, TransactionId xid)
{
	if (TransactionIdIsNormal(xid) && (!TransactionIdIsValid(*oldest) || TransactionIdPrecedes(xid, *oldest)))
		*oldest = xid;
}

static void
note_conflict(TransactionId *newest, TransactionId xid)
{
	if (TransactionIdIsNormal(xid) && (!TransactionIdIsValid(*newest) || TransactionIdFollows(xid, *newest)))
		*newest = xid;
}

/* Is the row dead to all? Sets hint bits on the head. */
static bool
row_is_dead(OmenVersion *head, Buffer buffer, struct GlobalVisState *vistest, TransactionId oldest_xmin,
			TransactionId *conflict, TransactionId *prunable)
{
	TransactionId dead_after = InvalidTransactionId;
	HeapTupleHeader header = head->tuple.t_data;
	HeapTupleData copy;
	HeapTupleHeaderData copied;
	HTSV_Result status;

	/* most are not */
	if (HeapTupleHeaderXminCommitted(header) && (header->t_infomask & HEAP_XMAX_INVALID))
		return false;
	status = HeapTupleSatisfiesVacuumHorizon(omen_hintable(&head->tuple, &copy, &copied), buffer, &dead_after);
	if (status == HEAPTUPLE_RECENTLY_DEAD)
	{
		if (compat_is_removable(vistest, dead_after) ||
			(TransactionIdIsValid(oldest_xmin) && TransactionIdPrecedes(dead_after, oldest_xmin)))
			status = HEAPTUPLE_DEAD;
		else
			note_prunable(prunable, dead_after);
	}
	if (status == HEAPTUPLE_DELETE_IN_PROGRESS)
		note_prunable(prunable, HeapTupleHeaderGetUpdateXid(header));
	if (status != HEAPTUPLE_DEAD)
		return false;
	/* whose insert aborted nobody ever saw; the hint bit may not be set yet after an asynchronous commit */
	if (HeapTupleHeaderXminCommitted(header) ||
		(!HeapTupleHeaderXminInvalid(header) && TransactionIdDidCommit(HeapTupleHeaderGetXmin(header))))
	{
		note_conflict(conflict, HeapTupleHeaderGetUpdateXid(header));
		note_conflict(conflict, HeapTupleHeaderGetXmin(header));
	}
	return true;
}

/* One item on its way to its new place. */
typedef struct Move
{
	uint16		offset;			/* old */
	uint16		length;
	OffsetNumber offnum;		/* whose row */
	int			older;			/* index of the version before it, of those that stay in the page; -1: none */
	OmenLink	link;			/* if not */
	uint16		place;			/* new */
} Move;

static int
compare_moves(const void *a, const void *b)
{
	/* from the end of the page to its beginning */
	return (int) (*(Move *const *) b)->offset - (int) (*(Move *const *) a)->offset;
}

/*
 * Moves the older versions of a row to the store, oldest first. They are moves[first] .. moves[last], newest to oldest; returns
 * how many could be moved, from the end.
 */
static int
offload(Relation rel, Buffer buffer, Move *moves, int first, int last, ItemPointer row, OmenLink *link)
{
	Page		page = BufferGetPage(buffer);
	int			moved = 0;

	for (int i = last; i >= first; i--)
	{
		OmenFormed	formed;
		WalRecord	record;
		Buffer		store;
		HeapTupleHeader after = (HeapTupleHeader) ((char *) page + moves[i - 1].offset);

		/* what may have to come back must fit into the room of the head */
		if (omen_xmin_state(after) != OMEN_XMIN_COMMITTED && MAXALIGN(moves[i].length) > MAXALIGN(moves[first - 1].length))
			break;
		omen_form_record(&formed, row, (char *) page + moves[i].offset, moves[i].length, *link, HeapTupleHeaderGetRawXmin(after),
						 after, moves[i - 1].length - OMEN_LINK_SIZE);
		store = omen_store_lock(rel, formed.size);
		if (!BufferIsValid(store))
			break;
		*link = omen_store_place(store, &formed);
		wal_begin(&record, rel);
		START_CRIT_SECTION();
		omen_store_append(&record, store, &formed);
		wal_finish(&record);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(store);
		moved++;
	}
	return moved;
}

/*
 * Could core squeeze the page, which must not fail in a critical section? If it is sound, and has no item but the heads in `moves`, which stay, and those of
 * the dead rows.
 */
static bool
only_heads(Page page, const Move *moves, int nmoves, int ndead)
{
	PageHeader	header = (PageHeader) page;
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	int			nitems = 0;

	if (header->pd_lower < SizeOfPageHeaderData || header->pd_lower > header->pd_upper || header->pd_upper > header->pd_special)
		return false;
	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		ItemId		lp = PageGetItemId(page, offnum);

		if (!ItemIdHasStorage(lp))
			continue;
		if (!ItemIdIsNormal(lp) || ItemIdGetOffset(lp) < header->pd_upper)
			return false;
		nitems++;
	}
	for (int i = 0; i < nmoves; i++)
		if (moves[i].older >= 0 || (moves[i].link.offset != 0 && moves[i].link.block == InvalidBlockNumber))
			return false;
	return nitems == nmoves + ndead;
}

void
omen_prune_page(Relation rel, Buffer buffer, struct GlobalVisState *vistest, TransactionId oldest_xmin,
				bool offload_older, OmenPruneResult *result)
{
	Page		page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	Move		moves[BLCKSZ / 32];
	Move	   *order[BLCKSZ / 32];
	int			nmoves = 0;
	OffsetNumber dead[MaxHeapTuplesPerPage];
	int			ndead = 0;
	PGAlignedBlock image;
	TransactionId conflict = InvalidTransactionId;
	TransactionId prunable = InvalidTransactionId;
	Size		used = 0;
	uint16		upper;
	int			reclaimed = 0;
	bool		garbage = false;	/* there are versions in the page that nobody needs */

	memset(result, 0, sizeof(*result));

	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		OmenVersion version;
		int			first;
		bool		is_dead;

		if (!omen_head(rel, buffer, offnum, &version))
			continue;
		if (version.link.offset != 0 && restore_row(rel, buffer, offnum, &result->reclaimed))
		{
			result->restored++;
			omen_head(rel, buffer, offnum, &version);
		}
		/* who updated it may abort between two looks: then the row is what was before */
		while ((is_dead = row_is_dead(&version, buffer, vistest, oldest_xmin, &conflict, &prunable)) &&
			   restore_row(rel, buffer, offnum, &result->reclaimed))
		{
			result->restored++;
			omen_head(rel, buffer, offnum, &version);
		}
		if (is_dead)
		{
			dead[ndead++] = offnum;
			reclaimed += omen_count_behind(page, (char *) version.tuple.t_data + version.tuple.t_len);
			if (version.link.offset != 0 && version.link.block != InvalidBlockNumber)
				omen_store_candidate(rel, version.link.block);
			continue;
		}

		first = nmoves;
		for (;;)
		{
			Move	   *move = &moves[nmoves];
			TransactionId xmin = HeapTupleHeaderGetXmin(version.tuple.t_data);

			if (nmoves == lengthof(moves))
				omen_corrupted(rel, block, offnum, "the page has more versions than it has room for");
			move->offset = (char *) version.tuple.t_data - (char *) page;
			move->length = version.tuple.t_len + OMEN_LINK_SIZE;
			move->offnum = offnum;
			move->older = -1;
			move->link = version.link;
			nmoves++;
			if (version.link.offset == 0)
				break;
			if (!omen_older_needed(version.tuple.t_data, vistest))
			{
				/* nobody can need what is behind: forget where it is */
				note_conflict(&conflict, xmin);
				reclaimed += omen_count_behind(page, (char *) version.tuple.t_data + version.tuple.t_len);
				if (version.link.block != InvalidBlockNumber)
					omen_store_candidate(rel, version.link.block);
				else
					garbage = true;
				memset(&move->link, 0, sizeof(move->link));
				move->link.block = InvalidBlockNumber;
				result->dropped++;
				break;
			}
			if (version.link.block != InvalidBlockNumber)
				break;
			note_prunable(&prunable, xmin);
			move->older = nmoves;
			omen_older(rel, buffer, &version);
		}

		if (offload_older && nmoves - first > 1)
		{
			OmenLink	link = moves[nmoves - 1].link;
			ItemPointerData row;
			int			moved;

			ItemPointerSet(&row, block, offnum);
			moved = offload(rel, buffer, moves, first + 1, nmoves - 1, &row, &link);
			if (moved > 0)
			{
				nmoves -= moved;
				moves[nmoves - 1].older = -1;
				moves[nmoves - 1].link = link;
				result->offloaded += moved;
			}
		}
	}

	for (int i = 0; i < nmoves; i++)
	{
		used += MAXALIGN(moves[i].length);
		order[i] = &moves[i];
	}
	/* nothing to gain: all between pd_upper and the end is in use, and no row died */
	if (ndead == 0 && (Size) (OMEN_ROWS_END - ((PageHeader) page)->pd_upper) <= used)
	{
		if (((PageHeader) page)->pd_prune_xid != prunable && omen_may_hint())
		{
			((PageHeader) page)->pd_prune_xid = prunable;
			MarkBufferDirtyHint(buffer, true);
		}
		return;
	}

	if (used > (Size) (OMEN_ROWS_END - ((PageHeader) page)->pd_lower))
		omen_corrupted(rel, block, 0, "its versions overlap");

	/* links into the store may stay though nobody needs what they lead to: then line pointers are all that has to be logged */
	if (ndead > 0 && !garbage && result->offloaded == 0 && only_heads(page, moves, nmoves, ndead))
	{
		result->dropped = 0;
		result->ndead = ndead;
		result->reclaimed += reclaimed;
		START_CRIT_SECTION();
		((PageHeader) page)->pd_prune_xid = prunable;
		PageClearFull(page);
		compat_prune_dead(rel, buffer, conflict, dead, ndead);
		END_CRIT_SECTION();
		return;
	}

	/* the page as it shall be */
	memcpy(image.data, page, BLCKSZ);
	upper = OMEN_ROWS_END;
	qsort(order, nmoves, sizeof(order[0]), compare_moves);
	for (int i = 0; i < nmoves; i++)
	{
		upper -= MAXALIGN(order[i]->length);
		memset(image.data + upper, 0, MAXALIGN(order[i]->length));
		memcpy(image.data + upper, (char *) page + order[i]->offset, order[i]->length);
		order[i]->place = upper;
	}
	for (int i = 0; i < nmoves; i++)
	{
		Move	   *move = &moves[i];

		if (move->older >= 0)
		{
			move->link.block = InvalidBlockNumber;
			move->link.offset = moves[move->older].place;
			move->link.length = moves[move->older].length;
		}
		memcpy(image.data + move->place + move->length - OMEN_LINK_SIZE, &move->link, OMEN_LINK_SIZE);
		/* the first of a row is its head */
		if (i == 0 || moves[i - 1].offnum != move->offnum)
			ItemIdSetNormal(PageGetItemId((Page) image.data, move->offnum), move->place, move->length);
	}
	for (int i = 0; i < ndead; i++)
		ItemIdSetDead(PageGetItemId((Page) image.data, dead[i]));
	((PageHeader) image.data)->pd_upper = upper;
	((PageHeader) image.data)->pd_prune_xid = prunable;
	result->ndead = ndead;
	result->reclaimed += reclaimed;

	wal_conflict(rel, rel, block, conflict);
	START_CRIT_SECTION();
	memcpy(page, image.data, BLCKSZ);
	omen_wal_page(rel, buffer);
	END_CRIT_SECTION();
}

/*
 * Might pruning give a page's worth of room for updates or inserts: bytes that are no head's, or rows that were deleted or moved? The rest
 * is found by updates themselves (omen_find_gap), without logging the page.
 */
static bool
worth_pruning(Page page, Size minimum)
{
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	Size		heads = 0;

	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		ItemId		lp = PageGetItemId(page, offnum);
		HeapTupleHeader header;

		if (!ItemIdIsNormal(lp))
			continue;
		header = (HeapTupleHeader) PageGetItem(page, lp);
		if (!(header->t_infomask & HEAP_XMAX_INVALID) && !HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
			return true;
		heads += MAXALIGN(ItemIdGetLength(lp));
	}
	return (Size) (OMEN_ROWS_END - ((PageHeader) page)->pd_upper) >= heads + minimum;
}

void
omen_prune_opt(Relation rel, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	TransactionId prune_xid;
	struct GlobalVisState *vistest;
	Size		minimum;
	OmenPruneResult result;
	bool		eager;

	if (RecoveryInProgress() || ((PageHeader) page)->pd_special != OMEN_ROWS_END)
		return;
	prune_xid = ((PageHeader) page)->pd_prune_xid;
	if (!TransactionIdIsNormal(prune_xid))
		return;

	/* reading these without a lock is only to see whether it is worth one */
	minimum = RelationGetTargetPageFreeSpace(rel, HEAP_DEFAULT_FILLFACTOR);
	minimum = Max(minimum, BLCKSZ / 10);
	if (PageGetHeapFreeSpace(page) >= minimum)
		return;
	vistest = GlobalVisTestFor(rel);
	eager = omen_eager(rel);
	if (!eager && !compat_is_removable(vistest, prune_xid))
		return;

	if (eager && !omen_store_reserve(rel, BLCKSZ / 4))
		eager = false;
	if (!ConditionalLockBufferForCleanup(buffer))
		return;
	if (((PageHeader) page)->pd_special == OMEN_ROWS_END && PageGetHeapFreeSpace(page) < minimum)
	{
		if (eager || worth_pruning(page, minimum))
		{
			omen_prune_page(rel, buffer, vistest, InvalidTransactionId, eager, &result);
			omen_report_reclaimed(rel, result.reclaimed);
		}
		else if (omen_may_hint())
		{
			/* until something changes nobody need look again */
			((PageHeader) page)->pd_prune_xid = InvalidTransactionId;
			MarkBufferDirtyHint(buffer, true);
		}
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
}
