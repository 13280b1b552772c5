/*
 * omen_memory.c - which row INSERT ... ON CONFLICT has found last. See omen_private.h.
 */
#include "omen.h"

#include "storage/proc.h"

#include "omen_private.h"

/* The row that a fetch with SnapshotDirty gave last, and the transaction that asked. */
static Oid last_dirty_relid;
static ItemPointerData last_dirty_tid;
static LocalTransactionId last_dirty_owner = InvalidLocalTransactionId;

void
omen_memory_note_dirty(Oid relid, ItemPointer tid)
{
	last_dirty_relid = relid;
	last_dirty_tid = *tid;
	last_dirty_owner = compat_my_lxid();
}

bool
omen_memory_was_dirty(Oid relid, ItemPointer tid)
{
	return last_dirty_owner == compat_my_lxid() && last_dirty_relid == relid && ItemPointerEquals(&last_dirty_tid, tid);
}

bool
omen_memory_take_dirty(Oid relid, ItemPointer tid)
{
	if (!omen_memory_was_dirty(relid, tid))
		return false;
	last_dirty_owner = InvalidLocalTransactionId;
	return true;
}
