/*
 * omen_logical.c - in-place updates for logical decoding.
 *
 * Decoding reads heap's records only. So where decoding may be wanted, an in-place update is logged twice: for replay, as always, and for decoding as a
 * heap update whose replay changes nothing. Of a heap update decoding reads which table it is of, and the row data; replay, if the page comes as an
 * image, restores that and does no more. So the record names a page that is known to be empty, and brings its image, which takes 24 bytes: one of the
 * visibility map so far behind the end of the table that it has no bits.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/lwlock.h"

#include "omen_options.h"
#include "omen_private.h"

/* Has this server a slot by which this database is decoded? */
static bool
database_has_slot(void)
{
	bool		found = false;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots && !found; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		/* a physical slot has no database */
		found = slot->in_use && slot->data.database == MyDatabaseId;
	}
	LWLockRelease(ReplicationSlotControlLock);
	return found;
}

/*
 * A slot decodes transactions that began after it was made: those that had their xid by then are waited for, and left out. Ours has its xid. So where there is no
 * slot now, none will ever want this transaction, and one answer holds for all of it.
 */
bool
omen_may_be_decoded(Relation rel)
{
	static FullTransactionId asked;
	static bool answer;
	FullTransactionId top = GetTopFullTransactionIdIfAny();

	Assert(FullTransactionIdIsValid(top));
	if (!RelationIsLogicallyLogged(rel))
		return false;
	if (omen_standbys_may_decode())
		return true;
	if (!FullTransactionIdEquals(top, asked))
	{
		answer = database_has_slot();
		asked = top;
	}
	return answer;
}

void
omen_register_old_key(HeapTuple old_key, xl_heap_header *header)
{
	header->t_infomask2 = old_key->t_data->t_infomask2;
	header->t_infomask = old_key->t_data->t_infomask;
	header->t_hoff = old_key->t_data->t_hoff;
	XLogRegisterData((char *) header, SizeOfHeapHeader);
	XLogRegisterData((char *) old_key->t_data + SizeofHeapTupleHeader, old_key->t_len - SizeofHeapTupleHeader);
}

BlockNumber
omen_unused_map_block(Relation rel)
{
	/* two bits a page; and one block more, as others extend the table meanwhile */
	return RelationGetNumberOfBlocks(rel) / ((BLCKSZ - MAXALIGN(SizeOfPageHeaderData)) * 4) + 2;
}

void
omen_logical_update(Relation rel, BlockNumber unused, ItemPointer tid, HeapTuple item, HeapTuple old_key)
{
	xl_heap_update record;
	xl_heap_header header;
	xl_heap_header key_header;
	CompatLocator locator = compat_locator(rel);
	static PGAlignedBlock empty;

	PageInit(empty.data, BLCKSZ, 0);
	record.old_xmax = record.new_xmax = InvalidTransactionId;
	record.old_infobits_set = 0;
	record.old_offnum = record.new_offnum = ItemPointerGetOffsetNumber(tid);
	record.flags = XLH_UPDATE_CONTAINS_NEW_TUPLE;
	if (old_key)
		record.flags |= rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL ?
			XLH_UPDATE_CONTAINS_OLD_TUPLE : XLH_UPDATE_CONTAINS_OLD_KEY;
	header.t_infomask2 = item->t_data->t_infomask2;
	header.t_infomask = item->t_data->t_infomask;
	header.t_hoff = item->t_data->t_hoff;

	XLogBeginInsert();
	XLogRegisterData((char *) &record, SizeOfHeapUpdate);
	XLogRegisterBlock(0, &locator, VISIBILITYMAP_FORKNUM, unused, empty.data,
					  REGBUF_STANDARD | REGBUF_FORCE_IMAGE | REGBUF_KEEP_DATA);
	XLogRegisterBufData(0, (char *) &header, SizeOfHeapHeader);
	XLogRegisterBufData(0, (char *) item->t_data + SizeofHeapTupleHeader, item->t_len - SizeofHeapTupleHeader);
	if (old_key)
		omen_register_old_key(old_key, &key_header);
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	XLogInsert(RM_HEAP_ID, XLOG_HEAP_UPDATE);
}
