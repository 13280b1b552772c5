/*
 * omen_lock.c - row locks (SELECT FOR ..., foreign keys, and whoever must hold a row before changing it).
 *
 * The answers are heap_lock_tuple()'s, but it cannot be used: it remembers where the tuple is while it waits, and would then lock, and log, the
 * version before the head. Which version the caller gets, and when it is told TM_Updated, is in README.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"

#include "compat_vm.h"
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
	bool		conflict;		/* for ON CONFLICT, which asks the snapshot when it has the lock */
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

void
omen_take_lock(Relation rel, Buffer buffer, Buffer vmbuffer, HeapTuple head, LockTupleMode mode)
{
	HeapTupleHeader header = head->t_data;
	Page		page = BufferGetPage(buffer);
	TransactionId xmax;
	uint16		infomask;
	uint16		infomask2;
	bool		all_visible = PageIsAllVisible(page);
	bool		cleared = false;

	omen_new_xmax(HeapTupleHeaderGetRawXmax(header), header->t_infomask, header->t_infomask2, GetCurrentTransactionId(),
				  mode, false, &xmax, &infomask, &infomask2);

	if (all_visible)
		compat_vm_lock(vmbuffer);
	START_CRIT_SECTION();
	header->t_infomask &= ~HEAP_XMAX_BITS;
	/* left from a change that was undone; replay clears it, and in frozen rows nothing masks it when WAL is checked */
	if (HeapTupleHeaderXminFrozen(header))
		header->t_infomask &= ~HEAP_COMBOCID;
	header->t_infomask2 &= ~HEAP_KEYS_UPDATED;
	header->t_infomask |= infomask;
	header->t_infomask2 |= infomask2;
	HeapTupleHeaderSetXmax(header, xmax);
	/* no forward link but of a move that goes on, or happened */
	if (HEAP_XMAX_IS_LOCKED_ONLY(infomask))
		header->t_ctid = head->t_self;
	/* locked rows stay all-visible, but are not frozen */
	if (all_visible)
		cleared = compat_vm_clear(rel, BufferGetBlockNumber(buffer), vmbuffer, VISIBILITYMAP_ALL_FROZEN);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
	{
		xl_heap_lock record;
		XLogRecPtr	lsn;

		record.offnum = ItemPointerGetOffsetNumber(&head->t_self);
		COMPAT_LOCK_RECORD_XMAX(record) = xmax;
		record.infobits_set = omen_infobits(infomask, infomask2);
		record.flags = cleared ? XLH_LOCK_ALL_FROZEN_CLEARED : 0;
		XLogBeginInsert();
		XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
		XLogRegisterData((char *) &record, SizeOfHeapLock);
		if (cleared)
			compat_vm_register(vmbuffer);
		lsn = XLogInsert(RM_HEAP_ID, XLOG_HEAP_LOCK);
		PageSetLSN(page, lsn);
		if (cleared)
			compat_vm_set_lsn(vmbuffer, lsn);
	}
	END_CRIT_SECTION();
	if (all_visible)
		compat_vm_unlock(vmbuffer);
}

/* Waits, by the caller's policy, for a transaction that is in the way. False: it would block. */
static bool
wait_for(Lock *lock, TransactionId xid, bool queue)
{
	if (!lock->queued && queue)
	{
		if (!omen_queue(lock->rel, &lock->tid, lock->mode, lock->policy))
			return false;
		lock->queued = true;
	}
	return omen_wait(lock->rel, &lock->tid, xid, lock->policy, XLTW_Lock);
}

/* Written by somebody else, and not seen by the snapshot? */
static bool
newer_than_snapshot(Lock *lock, HeapTupleHeader header)
{
	if (omen_xmin_state(header) == OMEN_XMIN_OURS)
		return false;
	return lock->snapshot && lock->snapshot->snapshot_type == SNAPSHOT_MVCC &&
		!omen_xmin_visible(header, lock->snapshot);
}

/*
 * Locks the head of the row at lock->tid, whatever version it is. TM_Ok: the buffer is pinned and exclusively locked (so that the head can be
 * read), and nobody but us can change the row (for key share: change its key). With `prior` valid, the row must have a version
 * written by that transaction, or it is not the row that was looked for: TM_Deleted.
 */
static TM_Result
lock_head(Lock *lock, TransactionId prior, Buffer *buffer, OmenVersion *head)
{
	Relation	rel = lock->rel;
	BlockNumber block = ItemPointerGetBlockNumber(&lock->tid);
	OffsetNumber offnum = ItemPointerGetOffsetNumber(&lock->tid);
	Buffer		vmbuffer = InvalidBuffer;
	TM_Result	result;

	for (;;)
	{
		HeapTupleHeader header;
		TransactionId xmin;
		TransactionId xmax;
		TransactionId blocker;
		OmenXminState state;
		bool		holder;
		HeapTupleData copy;
		HeapTupleHeaderData copied;

		CHECK_FOR_INTERRUPTS();
		*buffer = InvalidBuffer;
		omen_lock_page(rel, block, buffer, &vmbuffer);
		if (offnum > PageGetMaxOffsetNumber(BufferGetPage(*buffer)) || !omen_head(rel, *buffer, offnum, head))
		{
			result = fail(lock, TM_Deleted, &lock->tid, InvalidTransactionId, InvalidCommandId);
			break;
		}
		/* once more if its update is undone just now: what follows goes by one state */
		do
		{
			omen_head(rel, *buffer, offnum, head);
			header = head->tuple.t_data;
			xmin = HeapTupleHeaderGetXmin(header);
			state = omen_xmin_state(header);
		} while (state == OMEN_XMIN_ABORTED && omen_restore_row(rel, *buffer, offnum));
		if (TransactionIdIsValid(prior))
		{
			if (!omen_has_version_by(rel, *buffer, head, prior))
			{
				result = fail(lock, TM_Deleted, &lock->tid, InvalidTransactionId, InvalidCommandId);
				break;
			}
			omen_head(rel, *buffer, offnum, head);
			header = head->tuple.t_data;
		}
		xmax = HeapTupleHeaderGetRawXmax(header);
		holder = omen_xmax_ours(xmax, header->t_infomask, header->t_infomask2, LockTupleKeyShare);

		/* in progress: an update in place, or the end of a move that we followed */
		if (state == OMEN_XMIN_IN_PROGRESS && (head->link.offset != 0 || TransactionIdIsValid(prior)))
		{
			/*
			 * No key changes in place, so key share need not wait; unless the same transaction went on to delete the row or change its key, or
			 * locked it for that.
			 */
			TransactionId updater = xmin;

			if (lock->mode == LockTupleKeyShare)
				updater = omen_xmax_blocker(xmax, header->t_infomask, header->t_infomask2, LockTupleKeyShare);
			if (!TransactionIdIsValid(updater))
			{
				if (!holder)
					omen_take_lock(rel, *buffer, vmbuffer, &head->tuple, LockTupleKeyShare);
				result = TM_Ok;
				break;
			}
			/* nothing to wait for if it will be refused in any case */
			if (IsolationUsesXactSnapshot() && lock->mode != LockTupleKeyShare && !lock->conflict &&
				omen_newer_settled(rel, *buffer, head, lock->snapshot))
			{
				result = fail(lock, TM_Updated, &lock->tid, xmin, InvalidCommandId);
				break;
			}
			UnlockReleaseBuffer(*buffer);
			*buffer = InvalidBuffer;
			if (wait_for(lock, updater, !holder))
				continue;
			result = fail(lock, TM_WouldBlock, &lock->tid, updater, InvalidCommandId);
			break;
		}

		if (state == OMEN_XMIN_OURS && HeapTupleHeaderGetCmin(header) >= lock->cid &&
			(head->link.offset != 0 || TransactionIdIsValid(prior)))
		{
			result = fail(lock, TM_SelfModified, &lock->tid, xmin, HeapTupleHeaderGetCmin(header));
			break;
		}

		/* transactions that must not see the newer version need no lock on it */
		if (IsolationUsesXactSnapshot() && lock->mode != LockTupleKeyShare && !lock->conflict &&
			newer_than_snapshot(lock, header))
		{
			result = fail(lock, TM_Updated, &lock->tid, xmin, InvalidCommandId);
			break;
		}

		result = HeapTupleSatisfiesUpdate(omen_hintable(&head->tuple, &copy, &copied), lock->cid, *buffer);
		if (result == TM_Invisible)
		{
			result = fail(lock, TM_Invisible, &lock->tid, xmin, InvalidCommandId);
			break;
		}
		if (result == TM_BeingModified || result == TM_Updated || result == TM_Deleted)
		{
			if (omen_xmax_ours(xmax, header->t_infomask, header->t_infomask2, lock->mode))
			{
				result = TM_Ok;
				break;
			}
			/* a move that left the key alone is no reason to wait or to fail, even if it is committed */
			if (lock->mode == LockTupleKeyShare && !(header->t_infomask2 & HEAP_KEYS_UPDATED))
				blocker = InvalidTransactionId;
			else if (result != TM_BeingModified)
				goto refused;
			else
				blocker = omen_xmax_blocker(xmax, header->t_infomask, header->t_infomask2, lock->mode);
			if (TransactionIdIsValid(blocker))
			{
				UnlockReleaseBuffer(*buffer);
				*buffer = InvalidBuffer;
				/* who holds a weaker lock must not queue behind those who wait for it */
				if (wait_for(lock, blocker, !holder))
					continue;
				result = fail(lock, TM_WouldBlock, &lock->tid, blocker, InvalidCommandId);
				break;
			}
			result = TM_Ok;
			if (lock->mode != LockTupleKeyShare || (header->t_infomask2 & HEAP_KEYS_UPDATED))
				result = omen_settled_change(&head->tuple);
			if (result != TM_Ok)
				goto refused;
		}
		if (result == TM_Ok)
		{
			omen_take_lock(rel, *buffer, vmbuffer, &head->tuple, lock->mode);
			break;
		}

refused:
		result = fail(lock, result, &header->t_ctid, HeapTupleHeaderGetUpdateXid(header),
					  result == TM_SelfModified ? HeapTupleHeaderGetCmax(header) : InvalidCommandId);
		break;
	}

	if (result != TM_Ok && BufferIsValid(*buffer))
		UnlockReleaseBuffer(*buffer);
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
	return result;
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
		/* the move was undone, or the row is gone for all: the end of the chain */
		if (result == TM_Invisible || (result == TM_Deleted && !TransactionIdIsValid(lock->tmfd->xmax)))
			return TM_Ok;
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

/* follow_key_share for a row that lock_head has locked, with its head, which may be another afterwards. On failure the buffer is gone. */
static TM_Result
lock_moved(Lock *lock, Buffer buffer, OmenVersion *head)
{
	HeapTupleHeader header = head->tuple.t_data;
	ItemPointerData next = header->t_ctid;
	TransactionId mover;
	TM_Result	result;

	if ((header->t_infomask & HEAP_XMAX_INVALID) || HeapTupleHeaderIsOnlyLocked(header) || ItemPointerEquals(&next, &lock->tid) ||
		HeapTupleHeaderIndicatesMovedPartitions(header))
		return TM_Ok;

	mover = HeapTupleHeaderGetUpdateXid(header);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	result = follow_key_share(lock, next, mover);
	if (result != TM_Ok)
	{
		ReleaseBuffer(buffer);
		return result;
	}
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (!omen_head(lock->rel, buffer, ItemPointerGetOffsetNumber(&lock->tid), head))
		omen_corrupted(lock->rel, BufferGetBlockNumber(buffer), ItemPointerGetOffsetNumber(&lock->tid), "a locked row disappeared");
	return TM_Ok;
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
	bool		accepted;

	/*
	 * Logical replication without an index copies a slot that owns its tuple, which in core loses the TID, and has the copy's TID locked.
	 */
	if (!ItemPointerIsValid(tid) && tid == &slot->tts_tid && !TTS_EMPTY(slot))
		*tid = ((BufferHeapTupleTableSlot *) slot)->base.tuple->t_self;

	MultiXactIdSetOldestMember();
	lock.rel = rel;
	accepted = omen_plain_tid(tid, &lock.tid);
	lock.snapshot = snapshot;
	lock.cid = cid;
	lock.mode = mode;
	lock.policy = wait_policy;
	lock.flags = flags;
	lock.tmfd = tmfd;
	lock.conflict = flags == 0 && omen_memory_take_dirty(RelationGetRelid(rel), &lock.tid);
	tmfd->traversed = false;

	for (;;)
	{
		result = lock_head(&lock, prior, &buffer, &head);
		if (lock.queued)
			omen_unqueue(rel, &lock.tid, mode);
		lock.queued = false;
		if (result == TM_Ok && mode == LockTupleKeyShare && (flags & TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS))
			result = lock_moved(&lock, buffer, &head);

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

		/* ON CONFLICT: a row of its own command is invisible, and whose it is it reads from the slot */
		if (result == TM_SelfModified && lock.conflict)
			result = TM_Invisible;
		if (result == TM_Invisible)
		{
			buffer = omen_pin(rel, ItemPointerGetBlockNumber(&lock.tid));
			LockBuffer(buffer, BUFFER_LOCK_SHARE);
			if (omen_head(rel, buffer, ItemPointerGetOffsetNumber(&lock.tid), &head))
				omen_store_slot(rel, buffer, &head, true, slot);
			else
				result = TM_Deleted;
			UnlockReleaseBuffer(buffer);
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
		if ((flags & TUPLE_LOCK_FLAG_FIND_LAST_VERSION) && !accepted)
			traversed = true;
		/* whoever locks to change the row next has accepted this version; LockRows alone has not */
		if (!(flags & TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS))
			accepted = true;
	}

	tmfd->traversed = traversed;
	omen_store_slot(rel, buffer, &head, true, slot);
	UnlockReleaseBuffer(buffer);
	*tid = lock.tid;
	if (accepted)
		omen_mark_accepted(tid);
	/* MERGE takes it from here */
	tmfd->ctid = *tid;
	return TM_Ok;
}
