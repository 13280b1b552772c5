/*
 * omen_wait.c - waiting for other transactions, in the order in which one came.
 *
 * As in heap: who is the first to wait for a row takes a heavyweight lock on its TID before, and those who come later wait for that. No page is
 * locked or pinned meanwhile.
 */
#include "omen.h"

#include "storage/lmgr.h"

#include "omen_private.h"

/* The four row locks map to four table lock modes that conflict in the same way. */
static const LOCKMODE queue_mode[] = {
	[LockTupleKeyShare] = AccessShareLock,
	[LockTupleShare] = RowShareLock,
	[LockTupleNoKeyExclusive] = ExclusiveLock,
	[LockTupleExclusive] = AccessExclusiveLock
};

pg_noreturn static void
not_available(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not obtain lock on row in relation \"%s\"", RelationGetRelationName(rel))));
}

bool
omen_queue(Relation rel, ItemPointer tid, LockTupleMode mode, LockWaitPolicy policy)
{
	if (policy == LockWaitBlock)
	{
		LockTuple(rel, tid, queue_mode[mode]);
		return true;
	}
	if (compat_conditional_lock_tuple(rel, tid, queue_mode[mode]))
		return true;
	if (policy == LockWaitError)
		not_available(rel);
	return false;
}

void
omen_unqueue(Relation rel, ItemPointer tid, LockTupleMode mode)
{
	UnlockTuple(rel, tid, queue_mode[mode]);
}

bool
omen_wait(Relation rel, ItemPointer tid, TransactionId xid, LockWaitPolicy policy, XLTW_Oper oper)
{
	if (policy == LockWaitBlock)
	{
		XactLockTableWait(xid, rel, tid, oper);
		return true;
	}
	if (compat_conditional_xact_wait(xid))
		return true;
	if (policy == LockWaitError)
		not_available(rel);
	return false;
}
