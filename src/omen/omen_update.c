/*
 * omen_update.c - updates: in place, behind the row's line pointer, or, if that cannot be, by a new TID as in heap.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/heaptoast.h"
#include "access/hio.h"
#include "access/visibilitymap.h"
#include "access/xloginsert.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/fmgroids.h"
#include "utils/relcache.h"

#include "omen_private.h"

/* How often an update tries to get room in its page before the row moves. */
#define MAX_TRIES 4

typedef struct Update
{
	OmenChange	change;
	TransactionId xid;
	HeapTuple	stored;			/* the new version, toasted; or change.newtup */
	bool		in_place;
	Bitmapset  *blocking;		/* columns whose change makes the row move */
	Bitmapset  *identity;		/* columns of the replica identity */
	bool		decoded;		/* decoding may want to know of it, if it is done in place */
	bool		key_logged;		/* the identity changed, so that decoding must be told the old one */
} Update;

typedef enum PlaceResult
{
	PLACED,
	WANTS_STORE,				/* room in the store must be reserved first */
	NO_ROOM
} PlaceResult;

/* Which rows an update must not replace in place for the sake of triggers. */
typedef enum Readers
{
	READ_NONE,
	READ_INSERTED,				/* rows this transaction inserted */
	READ_ALL
} Readers;

/*
 * Row triggers and transition tables read the rows of their event by TID, row triggers perhaps much later: deferred, behind other triggers,
 * or behind functions of the same statement. Those of an update read what it replaced, too. Constraints do not mind: keys stay.
 */
static Readers
trigger_readers(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;
	Readers		result = READ_NONE;

	if (!triggers)
		return READ_NONE;
	if (triggers->trig_update_old_table || triggers->trig_update_new_table)
		return READ_ALL;
	if (!triggers->trig_update_after_row && !triggers->trig_insert_after_row)
		return READ_NONE;
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_NONE || trigger->tgfoid == F_UNIQUE_KEY_RECHECK)
			continue;
		if (TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER, TRIGGER_TYPE_UPDATE))
			return READ_ALL;
		if (TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER, TRIGGER_TYPE_INSERT))
			result = READ_INSERTED;
	}
	return result;
}

/*
 * Is this head what our transaction inserted, so that a trigger may wait for it? A head that came by a move is not; nor is one that has replaced
 * another in place, as then no trigger waited: none does for what was there before it was created, nor after it was dropped. The hint bits that
 * COPY FREEZE sets do not say who inserted a row.
 */
static bool
inserted_by_us(const OmenVersion *head)
{
	HeapTupleHeader header = head->tuple.t_data;

	return head->link.offset == 0 && !(header->t_infomask & HEAP_UPDATED) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(header));
}

/* Columns that must not change in place: of indexes (summarizing ones look again anyway) and of foreign keys. */
static Bitmapset *
blocking_columns(Relation rel)
{
	Bitmapset  *columns = RelationGetIndexAttrBitmap(rel, COMPAT_INDEX_ATTR_BLOCKING);
	ListCell   *lc;

	if (rel->rd_rel->relhastriggers)
	{
		foreach(lc, RelationGetFKeyList(rel))
		{
			ForeignKeyCacheInfo *fk = lfirst_node(ForeignKeyCacheInfo, lc);

			if (fk->conrelid != RelationGetRelid(rel))
				continue;
			for (int i = 0; i < fk->nkeys; i++)
				columns = bms_add_member(columns, fk->conkey[i] - FirstLowInvalidHeapAttributeNumber);
		}
	}
	return columns;
}

/* Has a tuple values out of line in these columns? Of those decoding gets only pointers, even if they do not change. */
static bool
has_external(Relation rel, HeapTuple tuple, Bitmapset *columns)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			member = -1;

	if (!HeapTupleHasExternal(tuple))
		return false;
	while ((member = bms_next_member(columns, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;
		bool		isnull;
		Datum		value;

		if (attnum <= 0 || TupleDescAttr(desc, attnum - 1)->attlen != -1)
			continue;
		value = heap_getattr(tuple, attnum, desc, &isnull);
		if (!isnull && VARATT_IS_EXTERNAL(DatumGetPointer(value)))
			return true;
	}
	return false;
}

/* The header of a new version; xmax takes over lockers of the old one. */
static void
fill_header(Update *update, HeapTupleHeader header, bool moved)
{
	HeapTupleHeader given = update->change.newtup->t_data;
	TransactionId xmax;
	uint16		infomask;
	uint16		infomask2;

	omen_carry_lockers(update->change.head.tuple.t_data, &xmax, &infomask, &infomask2);
	header->t_infomask &= ~HEAP_XACT_MASK;
	header->t_infomask2 &= ~HEAP2_XACT_MASK;
	header->t_infomask |= infomask;
	header->t_infomask2 |= infomask2;
	if (moved)
		header->t_infomask |= HEAP_UPDATED;
	HeapTupleHeaderSetXmin(header, update->xid);
	HeapTupleHeaderSetCmin(header, update->change.cid);
	HeapTupleHeaderSetXmax(header, xmax);
	header->t_ctid = update->change.tid;

	/* the caller reads xmin and the like from the tuple it gave us, which may not be the one that is stored */
	given->t_infomask = (given->t_infomask & ~HEAP_XACT_MASK) | (header->t_infomask & HEAP_XACT_MASK);
	given->t_infomask2 = (given->t_infomask2 & ~HEAP2_XACT_MASK) | (header->t_infomask2 & HEAP2_XACT_MASK);
	given->t_choice = header->t_choice;
}

/* ---- in place ---- */

/*
 * Writes the new version at `place` and re-points the row to it. `store`: this store page, locked, takes the old one, whose record is `formed`, and the new one
 * takes its room. `map`: place is a gap, and the links into gaps are cut.
 */
static void
replace_head(Update *update, uint16 place, Size length, OmenLink link, Buffer store, const OmenFormed *formed,
			 const OmenPageMap *map)
{
	static const OmenLink none = {InvalidBlockNumber, 0, 0};
	Relation	rel = update->change.rel;
	Buffer		buffer = update->change.buffer;
	Page		page = BufferGetPage(buffer);
	OffsetNumber offnum = ItemPointerGetOffsetNumber(&update->change.tid);
	HeapTuple	item;
	Size		old_length = update->change.head.tuple.t_len + OMEN_LINK_SIZE;
	OmenItemChanges changes;
	HeapTuple	old_key = NULL;
	bool		old_key_copied = false;
	BlockNumber unused = InvalidBlockNumber;
	int			reclaimed = 0;
	WalRecord	record;

	if (BufferIsValid(store))
		link = omen_store_place(store, formed);
	item = omen_form_item(update->stored, length, &link);
	fill_header(update, item->t_data, false);
	if (update->decoded)
	{
		unused = omen_unused_map_block(rel);
		old_key = omen_old_key(rel, &update->change.head.tuple, update->key_logged, &old_key_copied);
	}
	/* the new version may take the place of the old one */
	if (old_key == &update->change.head.tuple)
	{
		old_key = heap_copytuple(old_key);
		old_key_copied = true;
	}
	omen_clear_all_visible(rel, buffer, update->change.vmbuffer);
	for (int i = 0; map && i < map->ncut; i++)
		reclaimed += omen_count_behind(page, (char *) page + map->cut[i]);
	omen_report_reclaimed(rel, reclaimed);
	if (BufferIsValid(store))
		omen_item_changes(&changes, page, place, old_length, (char *) item->t_data, length);
	wal_begin(&record, rel);

	START_CRIT_SECTION();
	/* the row page is mentioned first: replay locks pages in this order, and readers of a standby lock row pages first */
	if (!BufferIsValid(store))
		omen_wal_header(&record, buffer);
	else
		omen_wal_item(&record, buffer, place, length, &changes);
	if (BufferIsValid(store))
		omen_store_append(&record, store, formed);
	else if (!ItemPointerEquals(&update->change.head.tuple.t_data->t_ctid, &update->change.tid))
	{
		/* the end of a move that aborted; older versions all name their row */
		update->change.head.tuple.t_data->t_ctid = update->change.tid;
		wal_fragment(&record, buffer, &update->change.head.tuple.t_data->t_ctid, sizeof(ItemPointerData));
	}
	for (int i = 0; map && i < map->ncut; i++)
	{
		memcpy((char *) page + map->cut[i], &none, OMEN_LINK_SIZE);
		wal_fragment(&record, buffer, (char *) page + map->cut[i], OMEN_LINK_SIZE);
	}
	memcpy((char *) page + place, item->t_data, MAXALIGN(length));
	/* gaps are found by the next update; the hole is worth pruning for */
	if (place < ((PageHeader) page)->pd_upper)
	{
		((PageHeader) page)->pd_upper = place;
		PageSetPrunable(page, update->xid);
	}
	ItemIdSetNormal(PageGetItemId(page, offnum), place, length);

	if (!BufferIsValid(store))
		wal_fragment(&record, buffer, (char *) page + place, MAXALIGN(length));
	if (!BufferIsValid(store) || length != old_length)
		omen_wal_line_pointer(&record, buffer, offnum);
	omen_wal_finish(&record, buffer);
	if (update->decoded)
		omen_logical_update(rel, unused, &update->change.tid, item, old_key);
	END_CRIT_SECTION();

	if (old_key_copied)
		heap_freetuple(old_key);
	pfree(item);
}

/* The room between line pointers and items. */
static Size
hole_size(Page page)
{
	return ((PageHeader) page)->pd_upper - ((PageHeader) page)->pd_lower;
}

/*
 * The last resort in a page full of live rows: the old version goes to the store, the new one takes its room. The cleanup lock is held.
 */
static PlaceResult
take_old_room(Update *update, Size length, struct GlobalVisState *vistest, bool may_reserve)
{
	OmenChange *change = &update->change;
	Relation	rel = change->rel;
	Page		page = BufferGetPage(change->buffer);
	HeapTuple	old = &change->head.tuple;
	Size		old_length = old->t_len + OMEN_LINK_SIZE;
	OmenLink	link = change->head.link;
	int			forgotten = 0;
	OmenFormed	formed;
	Buffer		store;

	if (MAXALIGN(length) > MAXALIGN(old_length))
		return NO_ROOM;
	if (link.offset != 0 && !omen_older_needed(old->t_data, vistest))
	{
		if (link.block != InvalidBlockNumber)
			omen_store_candidate(rel, link.block);
		forgotten = omen_count_behind(page, (char *) old->t_data + old->t_len);
		wal_conflict(rel, rel, BufferGetBlockNumber(change->buffer), HeapTupleHeaderGetXmin(old->t_data));
		link.block = InvalidBlockNumber;
		link.offset = link.length = 0;
	}
	if (link.offset != 0 && link.block == InvalidBlockNumber)
		return may_reserve ? WANTS_STORE : NO_ROOM; /* what is before it must leave first */
	omen_form_record(&formed, &change->tid, (char *) old->t_data, old_length, link, update->xid,
					 update->stored->t_data, update->stored->t_len);
	store = omen_store_lock(rel, formed.size);
	if (!BufferIsValid(store))
		return may_reserve ? WANTS_STORE : NO_ROOM;
	replace_head(update, (char *) old->t_data - (char *) page, Max(length, old_length), link, store, &formed, NULL);
	UnlockReleaseBuffer(store);
	omen_report_reclaimed(rel, forgotten);
	return PLACED;
}

/* Prunes the page for the sake of an update, moving older versions to the store unless the gaps are enough. PLACED: it has become enough for `length`. */
static PlaceResult
prune_for_update(OmenChange *change, Size length, struct GlobalVisState *vistest, bool gaps_enough, bool may_reserve)
{
	Relation	rel = change->rel;
	OmenPruneResult pruned;

	if (!gaps_enough)
	{
		Buffer		store = omen_store_lock(rel, BLCKSZ / 8);

		if (BufferIsValid(store))
			UnlockReleaseBuffer(store);
		else if (may_reserve)
			return WANTS_STORE;
	}
	omen_prune_page(rel, change->buffer, vistest, InvalidTransactionId, !gaps_enough, &pruned);
	omen_report_reclaimed(rel, pruned.reclaimed);
	omen_head(rel, change->buffer, ItemPointerGetOffsetNumber(&change->tid), &change->head);
	return hole_size(BufferGetPage(change->buffer)) >= MAXALIGN(length) ? PLACED : NO_ROOM;
}

/* Writes the new version into the hole, which has room for it. */
static void
place_in_hole(Update *update, Size length)
{
	OmenChange *change = &update->change;
	Page		page = BufferGetPage(change->buffer);
	OmenLink	link;

	link.block = InvalidBlockNumber;
	link.offset = (char *) change->head.tuple.t_data - (char *) page;
	link.length = change->head.tuple.t_len + OMEN_LINK_SIZE;
	replace_head(update, ((PageHeader) page)->pd_upper - MAXALIGN(length), length, link, InvalidBuffer, NULL, NULL);
}

/* Is the version before it in the page, too, needed or not? */
static inline bool
links_within_page(const OmenVersion *version)
{
	return version->link.offset != 0 && version->link.block == InvalidBlockNumber;
}

static PlaceResult
update_in_place(Update *update, bool may_reserve)
{
	OmenChange *change = &update->change;
	Relation	rel = change->rel;
	Page		page = BufferGetPage(change->buffer);
	Size		length = update->stored->t_len + OMEN_LINK_SIZE;
	Size		old_length = change->head.tuple.t_len + OMEN_LINK_SIZE;
	struct GlobalVisState *vistest;
	OmenPageMap map;
	Size		room;			/* of which the hole is a part */
	bool		alone = true;	/* there is nothing else to be had */
	PlaceResult result;

	/* a version that left the page while uncommitted must find room again if this one is undone */
	if (change->head.link.offset != 0 && omen_xmin_state(change->head.tuple.t_data) == OMEN_XMIN_OURS)
		length = Max(length, old_length);
	Assert(length <= OMEN_MAX_ITEM);

	if (hole_size(page) >= MAXALIGN(length))
	{
		place_in_hole(update, length);
		return PLACED;
	}

	/* from here on bytes are overwritten or moved */
	if (!IsBufferCleanupOK(change->buffer))
		return NO_ROOM;
	vistest = GlobalVisTestFor(rel);
	if (links_within_page(&change->head) || !omen_known_room(rel, change->buffer, &room) || room >= MAXALIGN(length))
	{
		uint16		place;

		omen_map_page(rel, change->buffer, vistest, &map);
		place = omen_find_gap(page, &map, length);
		if (place != 0)
		{
			OmenLink	link = {InvalidBlockNumber, (char *) change->head.tuple.t_data - (char *) page, old_length};

			wal_conflict(rel, rel, BufferGetBlockNumber(change->buffer), map.conflict);
			replace_head(update, place, length, link, InvalidBuffer, NULL, &map);
			return PLACED;
		}
		room = OMEN_ROWS_END - ((PageHeader) page)->pd_lower - map.used;
		if (room >= MAXALIGN(length) || map.nolder > 0)
		{
			alone = false;
			result = prune_for_update(change, length, vistest, room >= MAXALIGN(length), may_reserve);
			if (result == PLACED)
				place_in_hole(update, length);
			if (result != NO_ROOM)
				return result;
		}
	}

	result = take_old_room(update, length, vistest, may_reserve);
	if (result == PLACED && alone)
		omen_note_room(rel, change->buffer, room);
	return result;
}

/* ---- by a new TID ---- */

static void
log_move(Relation rel, Buffer old_buffer, ItemPointer old_tid, HeapTupleHeader old_header, Buffer new_buffer,
		 HeapTuple item, HeapTuple old_key)
{
	Page		new_page = BufferGetPage(new_buffer);
	xl_heap_update record;
	xl_heap_header header;
	xl_heap_header key_header;
	XLogRecPtr	lsn;
	int			flags = REGBUF_STANDARD;

	record.old_offnum = ItemPointerGetOffsetNumber(old_tid);
	record.old_xmax = HeapTupleHeaderGetRawXmax(old_header);
	record.old_infobits_set = omen_infobits(old_header->t_infomask, old_header->t_infomask2);
	record.new_offnum = ItemPointerGetOffsetNumber(&item->t_self);
	record.new_xmax = HeapTupleHeaderGetRawXmax(item->t_data);
	record.flags = 0;
	if (RelationIsLogicallyLogged(rel))
	{
		record.flags |= XLH_UPDATE_CONTAINS_NEW_TUPLE;
		flags |= REGBUF_KEEP_DATA;
		if (old_key)
			record.flags |= rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL ?
				XLH_UPDATE_CONTAINS_OLD_TUPLE : XLH_UPDATE_CONTAINS_OLD_KEY;
	}
	header.t_infomask2 = item->t_data->t_infomask2;
	header.t_infomask = item->t_data->t_infomask;
	header.t_hoff = item->t_data->t_hoff;

	XLogBeginInsert();
	XLogRegisterData((char *) &record, SizeOfHeapUpdate);
	XLogRegisterBuffer(0, new_buffer, flags);
	XLogRegisterBufData(0, (char *) &header, SizeOfHeapHeader);
	XLogRegisterBufData(0, (char *) item->t_data + SizeofHeapTupleHeader, item->t_len - SizeofHeapTupleHeader);
	if (new_buffer != old_buffer)
		XLogRegisterBuffer(1, old_buffer, REGBUF_STANDARD);
	if (old_key)
		omen_register_old_key(old_key, &key_header);
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	lsn = XLogInsert(RM_HEAP_ID, XLOG_HEAP_UPDATE);
	if (new_buffer != old_buffer)
		PageSetLSN(BufferGetPage(old_buffer), lsn);
	PageSetLSN(new_page, lsn);
}

/*
 * Finds a page with room for a row that moves; it may be the row's own, which is pinned but not locked. On return both are exclusively locked, and
 * the map pages pinned of those that are all-visible.
 *
 * RelationGetBufferForTuple could lock two pages at once, but what it tries first may have become a store page, and who waits for a row page with a
 * store page locked can wait for ever. So it finds one page, and only when that is known to hold rows the other is waited for.
 */
static Buffer
lock_both_pages(OmenChange *change, Size length, Buffer *new_vmbuffer)
{
	Relation	rel = change->rel;
	BlockNumber block = ItemPointerGetBlockNumber(&change->tid);

	for (;;)
	{
		Buffer		new_buffer;
		Page		new_page;

		CHECK_FOR_INTERRUPTS();
		/* the room that the fill factor keeps in each page is for updates, but insertions are what the search for a page knows */
		omen_lock_page(rel, block, &change->buffer, &change->vmbuffer);
		if (PageGetHeapFreeSpace(BufferGetPage(change->buffer)) >= MAXALIGN(length))
			return change->buffer;
		LockBuffer(change->buffer, BUFFER_LOCK_UNLOCK);

		new_buffer = omen_get_page(rel, length, 0, NULL, new_vmbuffer, 0);
		new_page = BufferGetPage(new_buffer);
		if (new_buffer == change->buffer)
		{
			UnlockReleaseBuffer(new_buffer);	/* it has room by now; one pin stays */
			continue;
		}
		if (BufferGetBlockNumber(new_buffer) < block)
			LockBuffer(change->buffer, BUFFER_LOCK_EXCLUSIVE);
		else
		{
			/* row pages in the order of their blocks; meanwhile it may have been filled, or gone to the store */
			LockBuffer(new_buffer, BUFFER_LOCK_UNLOCK);
			LockBuffer(change->buffer, BUFFER_LOCK_EXCLUSIVE);
			LockBuffer(new_buffer, BUFFER_LOCK_EXCLUSIVE);
		}
		if (PageGetHeapFreeSpace(new_page) >= MAXALIGN(length) &&
			(BufferIsValid(change->vmbuffer) || !PageIsAllVisible(BufferGetPage(change->buffer))) &&
			(visibilitymap_pin_ok(BufferGetBlockNumber(new_buffer), *new_vmbuffer) || !PageIsAllVisible(new_page)))
			return new_buffer;
		LockBuffer(change->buffer, BUFFER_LOCK_UNLOCK);
		UnlockReleaseBuffer(new_buffer);
	}
}

/* The row is locked by us, its page pinned but not locked. Sets item->t_self. */
static HeapTuple
move_row(Update *update)
{
	OmenChange *change = &update->change;
	Relation	rel = change->rel;
	OffsetNumber offnum = ItemPointerGetOffsetNumber(&change->tid);
	HeapTuple	item = omen_form_item(update->stored, update->stored->t_len + OMEN_LINK_SIZE, NULL);
	Buffer		new_buffer;
	Buffer		new_vmbuffer = InvalidBuffer;
	HeapTupleHeader header;
	HeapTuple	old_key;
	bool		old_key_copied;
	CommandId	cmax = change->cid;
	bool		combo;
	TransactionId xmax;
	uint16		infomask;
	uint16		infomask2;

	new_buffer = lock_both_pages(change, item->t_len, &new_vmbuffer);
	/* the row is what it was, as we hold its lock */
	if (!omen_head(rel, change->buffer, offnum, &change->head))
		omen_corrupted(rel, BufferGetBlockNumber(change->buffer), offnum, "a locked row disappeared");
	header = change->head.tuple.t_data;

	fill_header(update, item->t_data, true);
	old_key = omen_old_key(rel, &change->head.tuple, update->key_logged, &old_key_copied);
	omen_new_xmax(HeapTupleHeaderGetRawXmax(header), header->t_infomask, header->t_infomask2, update->xid,
				  change->mode, true, &xmax, &infomask, &infomask2);
	HeapTupleHeaderAdjustCmax(header, &cmax, &combo);
	omen_clear_all_visible(rel, change->buffer, change->vmbuffer);
	if (new_buffer != change->buffer)
		omen_clear_all_visible(rel, new_buffer, new_vmbuffer);

	START_CRIT_SECTION();
	PageSetPrunable(BufferGetPage(change->buffer), update->xid);
	RelationPutHeapTuple(rel, new_buffer, item, false);
	header->t_infomask &= ~(HEAP_XMAX_BITS | HEAP_MOVED);
	header->t_infomask2 &= ~HEAP_KEYS_UPDATED;
	header->t_infomask |= infomask;
	header->t_infomask2 |= infomask2;
	HeapTupleHeaderSetXmax(header, xmax);
	HeapTupleHeaderSetCmax(header, cmax, combo);
	header->t_ctid = item->t_self;
	MarkBufferDirty(change->buffer);
	if (new_buffer != change->buffer)
		MarkBufferDirty(new_buffer);
	if (RelationNeedsWAL(rel))
		log_move(rel, change->buffer, &change->tid, header, new_buffer, item, old_key);
	END_CRIT_SECTION();

	if (new_buffer != change->buffer)
		UnlockReleaseBuffer(new_buffer);
	if (BufferIsValid(new_vmbuffer))
		ReleaseBuffer(new_vmbuffer);
	if (old_key && old_key_copied)
		heap_freetuple(old_key);
	return item;
}

/* ---- both ---- */

TM_Result
omen_tuple_update(Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot,
				  Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode,
				  OmenUpdateIndexes *update_indexes)
{
	bool		free_tuple;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, true, &free_tuple);
	Update		update = {0};
	OmenChange *change = &update.change;
	Bitmapset  *summarized;
	Readers		readers = trigger_readers(rel);
	bool		moved = false;
	TM_Result	result;

	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot update tuples during a parallel operation")));
	omen_check_writable(rel);

	slot->tts_tableOid = RelationGetRelid(rel);
	tuple->t_tableOid = slot->tts_tableOid;
	update.xid = GetCurrentTransactionId();
	update.decoded = omen_may_be_decoded(rel);
	MultiXactIdSetOldestMember();
	update.stored = tuple;

	/* relcache lookups may need locks of their own: before any page is locked */
	update.blocking = blocking_columns(rel);
	update.identity = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	summarized = COMPAT_SUMMARIZED_COLUMNS(rel);
	change->rel = rel;
	change->accepted = omen_plain_tid(otid, &change->tid);
	change->cid = cid;
	change->snapshot = snapshot;
	change->crosscheck = crosscheck;
	change->wait = wait;
	change->tmfd = tmfd;
	change->newtup = tuple;
	change->key_attrs = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	change->watched = bms_union(update.blocking, change->key_attrs);
	change->watched = bms_add_members(change->watched, update.identity);
	change->watched = bms_add_members(change->watched, summarized);

	for (int tries = 0;; tries++)
	{
		bool		may_reserve = tries < MAX_TRIES;

		CHECK_FOR_INTERRUPTS();
		result = omen_prepare_change(change);
		*lockmode = change->mode;
		if (result == TM_Invisible)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("attempted to update invisible tuple")));
		if (result != TM_Ok)
			break;

		update.in_place = readers != READ_ALL && !(readers == READ_INSERTED && inserted_by_us(&change->head)) &&
			!bms_overlap(change->changed, update.blocking);
		update.key_logged = bms_overlap(change->changed, update.identity) ||
			has_external(rel, &change->head.tuple, update.identity);

		/* toasting is done with the row locked, but not its page */
		if (update.stored == tuple && rel->rd_rel->relkind != RELKIND_TOASTVALUE &&
			(HeapTupleHasExternal(&change->head.tuple) || HeapTupleHasExternal(tuple) ||
			 tuple->t_len > TOAST_TUPLE_THRESHOLD))
		{
			HeapTuple	old = heap_copytuple(&change->head.tuple);

			omen_lock_for_change(change);
			update.stored = heap_toast_insert_or_update(rel, tuple, old, 0);
			if (update.stored == tuple)
				update.stored = heap_copytuple(tuple);
			ReleaseBuffer(change->buffer);
			change->buffer = InvalidBuffer;
			omen_release_change(change);
			heap_freetuple(old);
			continue;
		}
		omen_check_length(update.stored);

		if (update.in_place)
		{
			PlaceResult placed = update_in_place(&update, may_reserve);

			if (placed == PLACED)
			{
				omen_release_change(change);
				slot->tts_tid = change->tid;
				break;
			}
			if (placed == WANTS_STORE)
			{
				omen_release_change(change);
				if (!omen_store_reserve(rel, Max(BLCKSZ / 8, OMEN_RECORD_SIZE(change->head.tuple.t_len + OMEN_LINK_SIZE))))
					tries = MAX_TRIES;
				continue;
			}
		}

		omen_lock_for_change(change);
		{
			HeapTuple	item = move_row(&update);

			slot->tts_tid = item->t_self;
			pfree(item);
			omen_release_change(change);
			moved = true;
		}
		break;
	}

	if (result == TM_Ok)
	{
		ItemPointerCopy(&slot->tts_tid, &tuple->t_self);
		compat_count_update(rel, !moved);
		COMPAT_SET_UPDATE_INDEXES(update_indexes, moved, bms_overlap(change->changed, summarized));
	}
	else
		COMPAT_SET_UPDATE_INDEXES(update_indexes, false, false);
	if (update.stored != tuple)
		heap_freetuple(update.stored);
	if (free_tuple)
		pfree(tuple);
	return result;
}
