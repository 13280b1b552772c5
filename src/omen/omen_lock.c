/*
 * omen_lock.c - row locks (SELECT FOR ..., foreign keys, and whoever must hold a row before changing it).
 *
 * heap_lock_tuple() does the locking, waiting and queueing on heads it understands. What it does not know are heads whose update is in progress, or
 * aborted: those are waited for, locked or restored here. Which version the caller gets, and when it is told TM_Updated, is in README.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"

#include "omen_private.h"

typedef struct Lock
{
	Relation	rel;
	ItemPointerData tid;
	Snapshot	snapshot;
	CommandId	cid;
	LockTupleMode mode;
	LockWaitPolicy policy;
	uint8		flags;
	TM_FailureData *tmfd;
	bool		queued;
} Lock;

static TM_Result
fail(Lock *lock, TM_Result result, ItemPointer ctid, TransactionId xmax, CommandId cmax)
{
	lock->tmfd->ctid = *ctid;
	lock->tmfd->xmax = xmax;
	lock->tmfd->cmax = cmax;
	return result;
}

/*
 * Adds a key-share lock to a head whose update is in progress: no key changes in it, so neither has to wait for the other. As heap's record of a
 * lock. The page is exclusively locked.
 */
static void
key_share_head(Lock *lock, Buffer buffer, OmenVersion *head)
{
	HeapTupleHeader header = head->tuple.t_data;
	TransactionId xmax;
	uint16		infomask;
	uint16		infomask2;
	Page		page = BufferGetPage(buffer);

	if (omen_xmax_ours(HeapTupleHeaderGetRawXmax(header), header->t_infomask, header->t_infomask2, LockTupleKeyShare))
		return;
	omen_new_xmax(HeapTupleHeaderGetRawXmax(header), header->t_infomask, header->t_infomask2, GetCurrentTransactionId(),
				  LockTupleKeyShare, false, &xmax, &infomask, &infomask2);

	START_CRIT_SECTION();
	header->t_infomask &= ~HEAP_XMAX_BITS;
	header->t_infomask2 &= ~HEAP_KEYS_UPDATED;
	header->t_infomask |= infomask;
	header->t_infomask2 |= infomask2;
	HeapTupleHeaderSetXmax(header, xmax);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(lock->rel))
	{
		xl_heap_lock record;
		XLogRecPtr	lsn;

		record.offnum = ItemPointerGetOffsetNumber(&lock->tid);
		COMPAT_LOCK_RECORD_XMAX(record) = xmax;
		record.infobits_set = omen_infobits(infomask, infomask2);
		record.flags = 0;
		XLogBeginInsert();
		XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
		XLogRegisterData((char *) &record, SizeOfHeapLock);
		lsn = XLogInsert(RM_HEAP_ID, XLOG_HEAP_LOCK);
		PageSetLSN(page, lsn);
	}
	END_CRIT_SECTION();
}

/* Waits, by the caller's policy, for a transaction whose update is in progress. False: it would block. */
static bool
wait_for(Lock *lock, TransactionId xid)
{
	if (!lock->queued)
	{
		if (!omen_queue(lock->rel, &lock->tid, lock->mode, lock->policy))
			return false;
		lock->queued = true;
	}
	switch (lock->policy)
	{
		case LockWaitBlock:
			XactLockTableWait(xid, lock->rel, &lock->tid, XLTW_Lock);
			break;
		case LockWaitSkip:
			return compat_conditional_xact_wait(xid);
		case LockWaitError:
			if (!compat_conditional_xact_wait(xid))
				ereport(ERROR,
						(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						 errmsg("could not obtain lock on row in relation \"%s\"",
								RelationGetRelationName(lock->rel))));
			break;
	}
	return true;
}

static bool
newer_than_snapshot(Lock *lock, HeapTupleHeader header)
{
	return lock->snapshot && lock->snapshot->snapshot_type == SNAPSHOT_MVCC &&
		!omen_xmin_visible(header, lock->snapshot);
}

/*
 * Locks the head of the row at lock->tid, whatever version it is. TM_Ok: the buffer is pinned and share-locked (so that the head can be read), and
 * nobody but us can change the row (for key share: change its key). With `prior` valid, the row must have a version
 * written by that transaction, or it is not the row that was looked for: TM_Deleted.
 */
static TM_Result
lock_head(Lock *lock, TransactionId prior, Buffer *buffer, OmenVersion *head)
{
	Relation	rel = lock->rel;
	OffsetNumber offnum = ItemPointerGetOffsetNumber(&lock->tid);

	for (;;)
	{
		HeapTupleHeader header;
		TransactionId xmin;
		OmenXminState state;
		HeapTupleData tuple;
		TM_Result	result;

		CHECK_FOR_INTERRUPTS();
		*buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(&lock->tid));
		LockBuffer(*buffer, BUFFER_LOCK_EXCLUSIVE);
		if (offnum > PageGetMaxOffsetNumber(BufferGetPage(*buffer)) || !omen_head(rel, *buffer, offnum, head))
		{
			UnlockReleaseBuffer(*buffer);
			return fail(lock, TM_Deleted, &lock->tid, InvalidTransactionId, InvalidCommandId);
		}
		if (omen_restore_row(rel, *buffer, offnum))
			omen_head(rel, *buffer, offnum, head);
		if (TransactionIdIsValid(prior))
		{
			if (!omen_has_version_by(rel, *buffer, head, prior))
			{
				UnlockReleaseBuffer(*buffer);
				return fail(lock, TM_Deleted, &lock->tid, prior, InvalidCommandId);
			}
			omen_head(rel, *buffer, offnum, head);
		}
		header = head->tuple.t_data;
		xmin = HeapTupleHeaderGetXmin(header);
		state = omen_xmin_state(header);

		if (state == OMEN_XMIN_IN_PROGRESS && head->link.offset != 0)
		{
			if (lock->mode == LockTupleKeyShare &&
				((header->t_infomask & HEAP_XMAX_INVALID) || HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask)))
			{
				key_share_head(lock, *buffer, head);
				LockBuffer(*buffer, BUFFER_LOCK_UNLOCK);
				LockBuffer(*buffer, BUFFER_LOCK_SHARE);
				omen_head(rel, *buffer, offnum, head);
				return TM_Ok;
			}
			UnlockReleaseBuffer(*buffer);
			if (!wait_for(lock, xmin))
				return fail(lock, TM_WouldBlock, &lock->tid, xmin, InvalidCommandId);
			continue;
		}

		if (state == OMEN_XMIN_OURS && HeapTupleHeaderGetCmin(header) >= lock->cid &&
			(head->link.offset != 0 || TransactionIdIsValid(prior)))
		{
			CommandId	cmin = HeapTupleHeaderGetCmin(header);

			UnlockReleaseBuffer(*buffer);
			return fail(lock, TM_SelfModified, &lock->tid, xmin, cmin);
		}

		/* transactions that must not see the newer version need no lock on it */
		if (IsolationUsesXactSnapshot() && lock->mode != LockTupleKeyShare && newer_than_snapshot(lock, header))
		{
			UnlockReleaseBuffer(*buffer);
			return fail(lock, TM_Updated, &lock->tid, xmin, InvalidCommandId);
		}

		LockBuffer(*buffer, BUFFER_LOCK_UNLOCK);
		ReleaseBuffer(*buffer);
		tuple.t_self = lock->tid;
		result = heap_lock_tuple(rel, &tuple, lock->cid, lock->mode, lock->policy, false, buffer, lock->tmfd);
		if (result == TM_Ok)
		{
			LockBuffer(*buffer, BUFFER_LOCK_SHARE);
			if (!omen_head(rel, *buffer, offnum, head))
				omen_corrupted(rel, BufferGetBlockNumber(*buffer), offnum, "a locked row disappeared");
			return TM_Ok;
		}
		ReleaseBuffer(*buffer);
		if (result != TM_Invisible || state == OMEN_XMIN_IN_PROGRESS || state == OMEN_XMIN_ABORTED ||
			(state == OMEN_XMIN_OURS && head->link.offset == 0))
			return result;
		/* replaced in place between our look and heap's: look again */
	}
}

/*
 * A key-share lock on a row that moved, without its key changing, must hold at its new place, too: whoever finds it there must see the
 * lock. *tid is where it moved, `prior` who moved it.
 */
static TM_Result
follow_key_share(Lock *lock, ItemPointerData tid, TransactionId prior)
{
	Lock		next = *lock;
	TM_Result	result;

	for (;;)
	{
		Buffer		buffer;
		OmenVersion head;
		HeapTupleHeader header;

		next.tid = tid;
		next.queued = false;
		result = lock_head(&next, prior, &buffer, &head);
		if (next.queued)
			omen_unqueue(next.rel, &next.tid, next.mode);
		if (result == TM_Deleted && TransactionIdEquals(lock->tmfd->xmax, prior))
			return TM_Ok;		/* the move was undone, or the row is gone for all: the end of the chain */
		if (result != TM_Ok)
			return result;
		header = head.tuple.t_data;
		if ((header->t_infomask & HEAP_XMAX_INVALID) || HeapTupleHeaderIsOnlyLocked(header) ||
			ItemPointerEquals(&header->t_ctid, &tid) || HeapTupleHeaderIndicatesMovedPartitions(header))
		{
			UnlockReleaseBuffer(buffer);
			return TM_Ok;
		}
		tid = header->t_ctid;
		prior = HeapTupleHeaderGetUpdateXid(header);
		UnlockReleaseBuffer(buffer);
	}
}

TM_Result
omen_tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot, CommandId cid,
				LockTupleMode mode, LockWaitPolicy wait_policy, uint8 flags, TM_FailureData *tmfd)
{
	Lock		lock = {0};
	TransactionId prior = InvalidTransactionId;
	bool		traversed = false;
	TM_Result	result;
	Buffer		buffer;
	OmenVersion head;
	HeapTupleHeader header;
	bool		newer;

	MultiXactIdSetOldestMember();
	lock.rel = rel;
	lock.tid = *tid;
	lock.snapshot = snapshot;
	lock.cid = cid;
	lock.mode = mode;
	lock.policy = wait_policy;
	lock.flags = flags;
	lock.tmfd = tmfd;
	tmfd->traversed = false;

	for (;;)
	{
		result = lock_head(&lock, prior, &buffer, &head);
		if (lock.queued)
			omen_unqueue(rel, &lock.tid, mode);
		lock.queued = false;

		if (result == TM_Updated && (flags & TUPLE_LOCK_FLAG_FIND_LAST_VERSION))
		{
			if (ItemPointerIndicatesMovedPartitions(&tmfd->ctid))
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("tuple to be locked was already moved to another partition due to concurrent update")));
			if (ItemPointerEquals(&tmfd->ctid, &lock.tid))
				return TM_Deleted;
			/* it moved: on to where it is now */
			traversed = true;
			lock.tid = tmfd->ctid;
			prior = tmfd->xmax;
			continue;
		}
		if (result != TM_Ok)
		{
			tmfd->traversed = traversed;
			return result;
		}
		break;
	}

	header = head.tuple.t_data;
	newer = newer_than_snapshot(&lock, header);
	if (mode == LockTupleKeyShare)
	{
		/* its key is the same in all versions: the caller gets the one it came for */
		if ((flags & TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS) && !(header->t_infomask & HEAP_XMAX_INVALID) &&
			!HeapTupleHeaderIsOnlyLocked(header) && !ItemPointerEquals(&header->t_ctid, &lock.tid) &&
			!HeapTupleHeaderIndicatesMovedPartitions(header))
		{
			ItemPointerData next = header->t_ctid;
			TransactionId mover = HeapTupleHeaderGetUpdateXid(header);

			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			result = follow_key_share(&lock, next, mover);
			if (result != TM_Ok)
			{
				ReleaseBuffer(buffer);
				tmfd->traversed = traversed;
				return result;
			}
			LockBuffer(buffer, BUFFER_LOCK_SHARE);
			if (!omen_head(rel, buffer, ItemPointerGetOffsetNumber(&lock.tid), &head))
				omen_corrupted(rel, BufferGetBlockNumber(buffer), ItemPointerGetOffsetNumber(&lock.tid),
							   "a locked row disappeared");
			header = head.tuple.t_data;
			newer = newer_than_snapshot(&lock, header);
		}
		while (newer && !traversed && omen_older(rel, buffer, &head))
			newer = newer_than_snapshot(&lock, head.tuple.t_data);
		/* a row that came to be after the snapshot: the newest there is */
		if (newer)
		{
			OmenXminState state;

			omen_head(rel, buffer, ItemPointerGetOffsetNumber(&lock.tid), &head);
			state = omen_xmin_state(head.tuple.t_data);
			while ((state == OMEN_XMIN_IN_PROGRESS || state == OMEN_XMIN_ABORTED) && omen_older(rel, buffer, &head))
				state = omen_xmin_state(head.tuple.t_data);
		}
	}
	else if (newer)
	{
		/* replaced while we waited for its lock */
		if (IsolationUsesXactSnapshot())
		{
			tmfd->ctid = lock.tid;
			tmfd->xmax = HeapTupleHeaderGetXmin(header);
			tmfd->cmax = InvalidCommandId;
			UnlockReleaseBuffer(buffer);
			return TM_Updated;
		}
		if (flags & TUPLE_LOCK_FLAG_FIND_LAST_VERSION)
			traversed = true;
		/* whoever locks to change the row next has accepted this version; LockRows alone has not */
		if (!(flags & TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS))
			omen_memory_accept(RelationGetRelid(rel), &lock.tid, cid, HeapTupleHeaderGetXmin(header));
	}

	tmfd->traversed = traversed;
	*tid = lock.tid;
	omen_store_slot(rel, buffer, &head, true, slot);
	UnlockReleaseBuffer(buffer);
	return TM_Ok;
}
