/*
 * omen_insert.c - new rows: single, many at once, speculative. heap's records; what differs is the link at the end of every item.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/heaptoast.h"
#include "access/hio.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/predicate.h"

#include "omen_private.h"

HeapTuple
omen_form_item(HeapTuple tuple, Size length, const OmenLink *link)
{
	HeapTuple	item = palloc(HEAPTUPLESIZE + MAXALIGN(length));

	Assert(length >= tuple->t_len + OMEN_LINK_SIZE);
	*item = *tuple;
	item->t_len = length;
	item->t_data = (HeapTupleHeader) ((char *) item + HEAPTUPLESIZE);
	memcpy(item->t_data, tuple->t_data, tuple->t_len);
	memset((char *) item->t_data + tuple->t_len, 0, MAXALIGN(length) - tuple->t_len);
	if (link)
		memcpy((char *) item->t_data + length - OMEN_LINK_SIZE, link, OMEN_LINK_SIZE);
	else
	{
		static const OmenLink none = {InvalidBlockNumber, 0, 0};

		memcpy((char *) item->t_data + length - OMEN_LINK_SIZE, &none, OMEN_LINK_SIZE);
	}
	return item;
}

/* Core would raise this, too, when it looks for a page; but it takes the link for a part of the row. */
void
omen_check_length(HeapTuple tuple)
{
	Size		length = MAXALIGN(tuple->t_len);

	if (unlikely(length > OMEN_MAX_ROW))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row is too big: size %zu, maximum size %zu", length, OMEN_MAX_ROW)));
}

/* Header and toast of a new row, and its item. */
static HeapTuple
prepare(Relation rel, HeapTuple tuple, TransactionId xid, CommandId cid, int options)
{
	HeapTuple	toasted = tuple;
	HeapTuple	item;
	HeapTupleHeader header = tuple->t_data;

	/* a leader's workers would not know of the new rows */
	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot insert tuples in a parallel worker")));

	header->t_infomask &= ~HEAP_XACT_MASK;
	header->t_infomask2 &= ~HEAP2_XACT_MASK;
	header->t_infomask |= HEAP_XMAX_INVALID;
	HeapTupleHeaderSetXmin(header, xid);
	if (options & HEAP_INSERT_FROZEN)
		HeapTupleHeaderSetXminFrozen(header);
	HeapTupleHeaderSetCmin(header, cid);
	HeapTupleHeaderSetXmax(header, InvalidTransactionId);
	tuple->t_tableOid = RelationGetRelid(rel);

	if (HeapTupleHasExternal(tuple) || tuple->t_len > TOAST_TUPLE_THRESHOLD)
		toasted = heap_toast_insert_or_update(rel, tuple, NULL, options);
	omen_check_length(toasted);

	item = omen_form_item(toasted, toasted->t_len + OMEN_LINK_SIZE, NULL);
	if (toasted != tuple)
		heap_freetuple(toasted);
	return item;
}

static void
insert_item(Relation rel, HeapTuple item, int options, BulkInsertState bistate)
{
	Buffer		vmbuffer = InvalidBuffer;
	Buffer		buffer = omen_get_page(rel, item->t_len, options, bistate, &vmbuffer, 0);
	Page		page = BufferGetPage(buffer);
	bool		speculative = (options & HEAP_INSERT_SPECULATIVE) != 0;

	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	omen_clear_all_visible(rel, buffer, vmbuffer);

	START_CRIT_SECTION();
	RelationPutHeapTuple(rel, buffer, item, speculative);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
	{
		xl_heap_insert record;
		xl_heap_header header;
		XLogRecPtr	lsn;
		int			flags = REGBUF_STANDARD;

		record.offnum = ItemPointerGetOffsetNumber(&item->t_self);
		record.flags = speculative ? XLH_INSERT_IS_SPECULATIVE : 0;
		if (RelationIsLogicallyLogged(rel) && !(options & HEAP_INSERT_NO_LOGICAL))
		{
			record.flags |= XLH_INSERT_CONTAINS_NEW_TUPLE;
			flags |= REGBUF_KEEP_DATA;
		}
		header.t_infomask2 = item->t_data->t_infomask2;
		header.t_infomask = item->t_data->t_infomask;
		header.t_hoff = item->t_data->t_hoff;

		XLogBeginInsert();
		XLogRegisterData((char *) &record, SizeOfHeapInsert);
		XLogRegisterBuffer(0, buffer, flags);
		XLogRegisterBufData(0, (char *) &header, SizeOfHeapHeader);
		XLogRegisterBufData(0, (char *) item->t_data + SizeofHeapTupleHeader, item->t_len - SizeofHeapTupleHeader);
		XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
		lsn = XLogInsert(RM_HEAP_ID, XLOG_HEAP_INSERT);
		PageSetLSN(page, lsn);
	}
	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
	pgstat_count_heap_insert(rel, 1);
}

static void
insert_slot(Relation rel, TupleTableSlot *slot, CommandId cid, int options, BulkInsertState bistate, uint32 token)
{
	bool		free_tuple;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, true, &free_tuple);
	HeapTuple	item;

	omen_check_writable(rel);
	slot->tts_tableOid = RelationGetRelid(rel);
	item = prepare(rel, tuple, GetCurrentTransactionId(), cid, options);
	if (options & HEAP_INSERT_SPECULATIVE)
		HeapTupleHeaderSetSpeculativeToken(item->t_data, token);
	insert_item(rel, item, options, bistate);
	tuple->t_self = item->t_self;
	ItemPointerCopy(&item->t_self, &slot->tts_tid);
	pfree(item);
	if (free_tuple)
		pfree(tuple);
}

void
omen_tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, int options, BulkInsertState bistate)
{
	insert_slot(rel, slot, cid, options, bistate, 0);
}

void
omen_tuple_insert_speculative(Relation rel, TupleTableSlot *slot, CommandId cid, int options,
							  BulkInsertState bistate, uint32 token)
{
	insert_slot(rel, slot, cid, options | HEAP_INSERT_SPECULATIVE, bistate, token);
}

void
omen_tuple_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded)
{
	if (succeeded)
		heap_finish_speculative(rel, &slot->tts_tid);
	else
		heap_abort_speculative(rel, &slot->tts_tid);
}

/* How many pages the items from `done` on will fill, for extending by as many at once. */
static int
pages_needed(HeapTuple *items, int done, int nitems, Size keep_free)
{
	Size		page_free = OMEN_ROWS_END - SizeOfPageHeaderData - keep_free;
	int			npages = 1;

	for (int i = done; i < nitems; i++)
	{
		Size		need = MAXALIGN(items[i]->t_len) + sizeof(ItemIdData);

		if (page_free < need)
		{
			npages++;
			page_free = OMEN_ROWS_END - SizeOfPageHeaderData - keep_free;
		}
		page_free -= Min(need, page_free);
	}
	return npages;
}

static void
log_multi_insert(Relation rel, Buffer buffer, HeapTuple *items, int nitems, bool last, int options)
{
	Page		page = BufferGetPage(buffer);
	PGAlignedBlock scratch;
	xl_heap_multi_insert *record = (xl_heap_multi_insert *) scratch.data;
	char	   *data;
	char	   *at;
	int			flags = REGBUF_STANDARD;
	XLogRecPtr	lsn;

	at = scratch.data + SizeOfHeapMultiInsert + nitems * sizeof(OffsetNumber);
	record->flags = last ? XLH_INSERT_LAST_IN_MULTI : 0;
	record->ntuples = nitems;
	if (RelationIsLogicallyLogged(rel) && !(options & HEAP_INSERT_NO_LOGICAL))
	{
		record->flags |= XLH_INSERT_CONTAINS_NEW_TUPLE;
		flags |= REGBUF_KEEP_DATA;
	}
	data = at;
	for (int i = 0; i < nitems; i++)
	{
		HeapTuple	item = items[i];
		xl_multi_insert_tuple *header;
		Size		length = item->t_len - SizeofHeapTupleHeader;

		record->offsets[i] = ItemPointerGetOffsetNumber(&item->t_self);
		header = (xl_multi_insert_tuple *) SHORTALIGN(at);
		at = (char *) header + SizeOfMultiInsertTuple;
		header->t_infomask2 = item->t_data->t_infomask2;
		header->t_infomask = item->t_data->t_infomask;
		header->t_hoff = item->t_data->t_hoff;
		header->datalen = length;
		memcpy(at, (char *) item->t_data + SizeofHeapTupleHeader, length);
		at += length;
	}
	Assert(at - scratch.data < BLCKSZ);

	XLogBeginInsert();
	XLogRegisterData((char *) record, data - scratch.data);
	XLogRegisterBuffer(0, buffer, flags);
	XLogRegisterBufData(0, data, at - data);
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	lsn = XLogInsert(RM_HEAP2_ID, XLOG_HEAP2_MULTI_INSERT);
	PageSetLSN(page, lsn);
}

void
omen_multi_insert(Relation rel, TupleTableSlot **slots, int nslots, CommandId cid, int options, BulkInsertState bistate)
{
	TransactionId xid = GetCurrentTransactionId();
	HeapTuple  *items = palloc(nslots * sizeof(HeapTuple));
	Size		keep_free = RelationGetTargetPageFreeSpace(rel, HEAP_DEFAULT_FILLFACTOR);
	Buffer		vmbuffer = InvalidBuffer;
	int			done = 0;

	omen_check_writable(rel);
	for (int i = 0; i < nslots; i++)
	{
		HeapTuple	tuple = ExecFetchSlotHeapTuple(slots[i], true, NULL);

		slots[i]->tts_tableOid = RelationGetRelid(rel);
		items[i] = prepare(rel, tuple, xid, cid, options);
	}

	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);

	while (done < nslots)
	{
		Buffer		buffer;
		Page		page;
		int			n;

		CHECK_FOR_INTERRUPTS();
		buffer = omen_get_page(rel, items[done]->t_len, options, bistate, &vmbuffer,
							   pages_needed(items, done, nslots, keep_free));
		page = BufferGetPage(buffer);
		omen_clear_all_visible(rel, buffer, vmbuffer);

		START_CRIT_SECTION();
		/* the first fits, it was asked for; the others as long as the fill factor is kept */
		RelationPutHeapTuple(rel, buffer, items[done], false);
		for (n = 1; done + n < nslots; n++)
		{
			HeapTuple	item = items[done + n];

			if (PageGetHeapFreeSpace(page) < MAXALIGN(item->t_len) + keep_free)
				break;
			RelationPutHeapTuple(rel, buffer, item, false);
		}
		MarkBufferDirty(buffer);
		if (RelationNeedsWAL(rel))
			log_multi_insert(rel, buffer, items + done, n, done + n == nslots, options);
		END_CRIT_SECTION();

		UnlockReleaseBuffer(buffer);
		done += n;
	}
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);

	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	for (int i = 0; i < nslots; i++)
	{
		slots[i]->tts_tid = items[i]->t_self;
		pfree(items[i]);
	}
	pfree(items);
	pgstat_count_heap_insert(rel, nslots);
}
