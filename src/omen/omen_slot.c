/*
 * omen_slot.c - versions into slots; when they must be copied.
 */
#include "omen_scan.h"

#include "access/xlog.h"
#include "storage/lmgr.h"

bool
omen_must_copy(Relation rel)
{
	return RecoveryInProgress() || CheckRelationLockedByMe(rel, RowExclusiveLock, true);
}

void
omen_copy_to_slot(HeapTuple tuple, TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *bslot = (BufferHeapTupleTableSlot *) slot;
	HeapTuple	own = bslot->base.tuple;

	Assert(TTS_IS_BUFFERTUPLE(slot));

	if (TTS_SHOULDFREE(slot) && tuple->t_len <= own->t_len)
	{
		/* into the slot's copy of the row before: half of what copying costs is getting memory */
		HeapTupleHeader data = own->t_data;

		memcpy(data, tuple->t_data, tuple->t_len);
		*own = *tuple;
		own->t_data = data;
		bslot->base.off = 0;
		slot->tts_nvalid = 0;
	}
	else
		ExecForceStoreHeapTuple(tuple, slot, false);

	slot->tts_tid = tuple->t_self;
	slot->tts_tableOid = tuple->t_tableOid;
}

void
omen_store_slot(Relation rel, Buffer buffer, OmenVersion *version, bool copy, TupleTableSlot *slot)
{
	if (copy || !version->in_page)
		omen_copy_to_slot(&version->tuple, slot);
	else
	{
		BufferHeapTupleTableSlot *bslot = (BufferHeapTupleTableSlot *) slot;

		/* the slot keeps a pointer to the tuple, so it has to be one that lives as long */
		bslot->base.tupdata = version->tuple;
		ExecStoreBufferHeapTuple(&bslot->base.tupdata, slot, buffer);
	}
}
