/*
 * omen_delete.c - deleting rows: xmax of the head, as in heap, by heap's record.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/heaptoast.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "pgstat.h"

#include "omen_private.h"

TM_Result
omen_tuple_delete(Relation rel, ItemPointer tid, CommandId cid, Snapshot snapshot, Snapshot crosscheck, bool wait,
				  TM_FailureData *tmfd, bool changing_part)
{
	TransactionId xid;
	OmenChange	change = {0};
	TM_Result	result;
	HeapTupleHeader header;
	HeapTuple	old_key;
	HeapTuple	toasted = NULL;
	bool		old_key_copied;
	bool		combo;
	TransactionId new_xmax;
	uint16		infomask;
	uint16		infomask2;
	Page		page;

	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot delete tuples during a parallel operation")));
	omen_check_writable(rel);
	xid = GetCurrentTransactionId();
	/* before we may become a member of one */
	MultiXactIdSetOldestMember();

	change.rel = rel;
	change.accepted = omen_plain_tid(tid, &change.tid);
	change.cid = cid;
	change.snapshot = snapshot;
	change.crosscheck = crosscheck;
	change.wait = wait;
	change.tmfd = tmfd;
	result = omen_prepare_change(&change);
	if (result == TM_Invisible)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attempted to delete invisible tuple")));
	if (result != TM_Ok)
		return result;

	page = BufferGetPage(change.buffer);
	header = change.head.tuple.t_data;
	old_key = omen_old_key(rel, &change.head.tuple, true, &old_key_copied);
	if (HeapTupleHasExternal(&change.head.tuple))
		toasted = heap_copytuple(&change.head.tuple);
	omen_new_xmax(HeapTupleHeaderGetRawXmax(header), header->t_infomask, header->t_infomask2, xid,
				  LockTupleExclusive, true, &new_xmax, &infomask, &infomask2);
	HeapTupleHeaderAdjustCmax(header, &cid, &combo);
	omen_clear_all_visible(rel, change.buffer, change.vmbuffer);

	START_CRIT_SECTION();
	PageSetPrunable(page, xid);
	header->t_infomask &= ~(HEAP_XMAX_BITS | HEAP_MOVED);
	header->t_infomask2 &= ~HEAP_KEYS_UPDATED;
	header->t_infomask |= infomask;
	header->t_infomask2 |= infomask2;
	HeapTupleHeaderSetXmax(header, new_xmax);
	HeapTupleHeaderSetCmax(header, cid, combo);
	if (changing_part)
		HeapTupleHeaderSetMovedPartitions(header);
	else
		header->t_ctid = change.tid;
	MarkBufferDirty(change.buffer);

	if (RelationNeedsWAL(rel))
	{
		xl_heap_delete record;
		xl_heap_header key_header;
		XLogRecPtr	lsn;

		record.flags = changing_part ? XLH_DELETE_IS_PARTITION_MOVE : 0;
		record.infobits_set = omen_infobits(infomask, infomask2);
		record.offnum = ItemPointerGetOffsetNumber(&change.tid);
		record.xmax = new_xmax;
		if (old_key)
			record.flags |= rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL ?
				XLH_DELETE_CONTAINS_OLD_TUPLE : XLH_DELETE_CONTAINS_OLD_KEY;

		XLogBeginInsert();
		XLogRegisterData((char *) &record, SizeOfHeapDelete);
		XLogRegisterBuffer(0, change.buffer, REGBUF_STANDARD);
		if (old_key)
			omen_register_old_key(old_key, &key_header);
		XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
		lsn = XLogInsert(RM_HEAP_ID, XLOG_HEAP_DELETE);
		PageSetLSN(page, lsn);
	}
	END_CRIT_SECTION();

	omen_release_change(&change);
	if (toasted)
	{
		heap_toast_delete(rel, toasted, false);
		heap_freetuple(toasted);
	}
	if (old_key && old_key_copied)
		heap_freetuple(old_key);
	pgstat_count_heap_delete(rel);
	return TM_Ok;
}
