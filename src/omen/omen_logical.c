/*
 * omen_logical.c - in-place updates for logical decoding.
 *
 * Decoding reads heap's records only. So where decoding may be wanted, an in-place update is logged as a heap update whose page comes as an image:
 * replay restores the image and does nothing else, decoding finds the row data it expects. It costs an image of the
 * page for each update, and only in tables that are decoded (wal_level = logical).
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_class.h"

#include "omen_private.h"

void
omen_register_old_key(HeapTuple old_key, xl_heap_header *header)
{
	header->t_infomask2 = old_key->t_data->t_infomask2;
	header->t_infomask = old_key->t_data->t_infomask;
	header->t_hoff = old_key->t_data->t_hoff;
	XLogRegisterData((char *) header, SizeOfHeapHeader);
	XLogRegisterData((char *) old_key->t_data + SizeofHeapTupleHeader, old_key->t_len - SizeofHeapTupleHeader);
}

void
omen_logical_update(Relation rel, Buffer buffer, ItemPointer tid, HeapTuple item, HeapTuple old_key)
{
	xl_heap_update record;
	xl_heap_header header;
	xl_heap_header key_header;
	XLogRecPtr	lsn;

	MarkBufferDirty(buffer);
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
	XLogRegisterBuffer(0, buffer, REGBUF_STANDARD | REGBUF_FORCE_IMAGE | REGBUF_KEEP_DATA);
	XLogRegisterBufData(0, (char *) &header, SizeOfHeapHeader);
	XLogRegisterBufData(0, (char *) item->t_data + SizeofHeapTupleHeader, item->t_len - SizeofHeapTupleHeader);
	if (old_key)
		omen_register_old_key(old_key, &key_header);
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	lsn = XLogInsert(RM_HEAP_ID, XLOG_HEAP_UPDATE);
	PageSetLSN(BufferGetPage(buffer), lsn);
}
