/*
 * omen_xmax.c - who locks, deletes or moves a row: reading and composing xmax.
 *
 * xmax and its bits mean what they mean in heap: a single transaction, or a multixact when several hold compatible locks.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/transam.h"
#include "storage/procarray.h"

#include "omen_private.h"

static LockTupleMode
status_mode(MultiXactStatus status)
{
	switch (status)
	{
		case MultiXactStatusForKeyShare:
			return LockTupleKeyShare;
		case MultiXactStatusForShare:
			return LockTupleShare;
		case MultiXactStatusForNoKeyUpdate:
		case MultiXactStatusNoKeyUpdate:
			return LockTupleNoKeyExclusive;
		case MultiXactStatusForUpdate:
		case MultiXactStatusUpdate:
			break;
	}
	return LockTupleExclusive;
}

static bool
modes_conflict(LockTupleMode a, LockTupleMode b)
{
	/* key share only with exclusive, share only with the two exclusive ones */
	if (a == LockTupleExclusive || b == LockTupleExclusive)
		return true;
	if (a == LockTupleNoKeyExclusive || b == LockTupleNoKeyExclusive)
		return a != LockTupleKeyShare && b != LockTupleKeyShare;
	return false;
}

static MultiXactStatus
mode_status(LockTupleMode mode, bool change)
{
	switch (mode)
	{
		case LockTupleKeyShare:
			return MultiXactStatusForKeyShare;
		case LockTupleShare:
			return MultiXactStatusForShare;
		case LockTupleNoKeyExclusive:
			return change ? MultiXactStatusNoKeyUpdate : MultiXactStatusForNoKeyUpdate;
		case LockTupleExclusive:
			break;
	}
	return change ? MultiXactStatusUpdate : MultiXactStatusForUpdate;
}

/* The lock a single xmax stands for. */
static LockTupleMode
single_mode(uint16 infomask, uint16 infomask2)
{
	if (!HEAP_XMAX_IS_LOCKED_ONLY(infomask))
		return (infomask2 & HEAP_KEYS_UPDATED) ? LockTupleExclusive : LockTupleNoKeyExclusive;
	if (HEAP_XMAX_IS_KEYSHR_LOCKED(infomask))
		return LockTupleKeyShare;
	if (HEAP_XMAX_IS_SHR_LOCKED(infomask))
		return LockTupleShare;
	return (infomask2 & HEAP_KEYS_UPDATED) ? LockTupleExclusive : LockTupleNoKeyExclusive;
}

TransactionId
omen_xmax_blocker(TransactionId xmax, uint16 infomask, uint16 infomask2, LockTupleMode mode)
{
	MultiXactMember *members;
	int			nmembers;
	TransactionId blocker = InvalidTransactionId;

	if ((infomask & HEAP_XMAX_INVALID) || HEAP_LOCKED_UPGRADED(infomask))
		return InvalidTransactionId;
	if (!(infomask & HEAP_XMAX_IS_MULTI))
		return !TransactionIdIsCurrentTransactionId(xmax) && TransactionIdIsInProgress(xmax) &&
			modes_conflict(single_mode(infomask, infomask2), mode) ? xmax : InvalidTransactionId;

	nmembers = GetMultiXactIdMembers(xmax, &members, false, HEAP_XMAX_IS_LOCKED_ONLY(infomask));
	for (int i = 0; i < nmembers && !TransactionIdIsValid(blocker); i++)
		if (modes_conflict(status_mode(members[i].status), mode) &&
			!TransactionIdIsCurrentTransactionId(members[i].xid) && TransactionIdIsInProgress(members[i].xid))
			blocker = members[i].xid;
	if (nmembers > 0)
		pfree(members);
	return blocker;
}

bool
omen_xmax_ours(TransactionId xmax, uint16 infomask, uint16 infomask2, LockTupleMode mode)
{
	MultiXactMember *members;
	int			nmembers;
	bool		ours = false;

	if ((infomask & HEAP_XMAX_INVALID) || HEAP_LOCKED_UPGRADED(infomask))
		return false;
	if (!(infomask & HEAP_XMAX_IS_MULTI))
		return TransactionIdIsCurrentTransactionId(xmax) && single_mode(infomask, infomask2) >= mode;

	nmembers = GetMultiXactIdMembers(xmax, &members, false, HEAP_XMAX_IS_LOCKED_ONLY(infomask));
	for (int i = 0; i < nmembers && !ours; i++)
		ours = status_mode(members[i].status) >= mode && TransactionIdIsCurrentTransactionId(members[i].xid);
	if (nmembers > 0)
		pfree(members);
	return ours;
}

/* The bits that go with a multixact: the strongest member, and whether one of them changed the row. */
static void
multi_bits(MultiXactId multi, uint16 *infomask, uint16 *infomask2)
{
	MultiXactMember *members;
	int			nmembers = GetMultiXactIdMembers(multi, &members, false, false);
	LockTupleMode strongest = LockTupleKeyShare;
	bool		changed = false;

	*infomask = HEAP_XMAX_IS_MULTI;
	*infomask2 = 0;
	for (int i = 0; i < nmembers; i++)
	{
		strongest = Max(strongest, status_mode(members[i].status));
		if (ISUPDATE_from_mxstatus(members[i].status))
			changed = true;
		if (members[i].status == MultiXactStatusForUpdate || members[i].status == MultiXactStatusUpdate)
			*infomask2 |= HEAP_KEYS_UPDATED;
	}
	if (strongest == LockTupleKeyShare)
		*infomask |= HEAP_XMAX_KEYSHR_LOCK;
	else if (strongest == LockTupleShare)
		*infomask |= HEAP_XMAX_SHR_LOCK;
	else
		*infomask |= HEAP_XMAX_EXCL_LOCK;
	if (!changed)
		*infomask |= HEAP_XMAX_LOCK_ONLY;
	if (nmembers > 0)
		pfree(members);
}

static void
single_bits(LockTupleMode mode, bool change, uint16 *infomask, uint16 *infomask2)
{
	*infomask = 0;
	*infomask2 = mode == LockTupleExclusive ? HEAP_KEYS_UPDATED : 0;
	if (change)
		return;
	*infomask = HEAP_XMAX_LOCK_ONLY;
	if (mode == LockTupleKeyShare)
		*infomask |= HEAP_XMAX_KEYSHR_LOCK;
	else if (mode == LockTupleShare)
		*infomask |= HEAP_XMAX_SHR_LOCK;
	else
		*infomask |= HEAP_XMAX_EXCL_LOCK;
}

/* Has the member that changed the row, if there is one, committed? */
static bool
multi_change_committed(MultiXactId multi)
{
	MultiXactMember *members;
	int			nmembers = GetMultiXactIdMembers(multi, &members, false, false);
	bool		committed = false;

	for (int i = 0; i < nmembers && !committed; i++)
		committed = ISUPDATE_from_mxstatus(members[i].status) && TransactionIdDidCommit(members[i].xid);
	if (nmembers > 0)
		pfree(members);
	return committed;
}

void
omen_new_xmax(TransactionId old_xmax, uint16 old_infomask, uint16 old_infomask2, TransactionId xid,
			  LockTupleMode mode, bool change, TransactionId *new_xmax, uint16 *new_infomask, uint16 *new_infomask2)
{
	if (!(old_infomask & HEAP_XMAX_INVALID) && !HEAP_LOCKED_UPGRADED(old_infomask) && TransactionIdIsValid(old_xmax))
	{
		if (old_infomask & HEAP_XMAX_IS_MULTI)
		{
			/* a row that moved may still be locked for key share: the move stays */
			if (MultiXactIdIsRunning(old_xmax, HEAP_XMAX_IS_LOCKED_ONLY(old_infomask)) ||
				(!HEAP_XMAX_IS_LOCKED_ONLY(old_infomask) && multi_change_committed(old_xmax)))
			{
				*new_xmax = MultiXactIdExpand(old_xmax, xid, mode_status(mode, change));
				multi_bits(*new_xmax, new_infomask, new_infomask2);
				return;
			}
		}
		else if (TransactionIdEquals(old_xmax, xid))
		{
			/* our own lock: the stronger of the two */
			if (HEAP_XMAX_IS_LOCKED_ONLY(old_infomask))
				mode = Max(mode, single_mode(old_infomask, old_infomask2));
		}
		else if (TransactionIdIsInProgress(old_xmax) ||
				 (!HEAP_XMAX_IS_LOCKED_ONLY(old_infomask) && TransactionIdDidCommit(old_xmax)))
		{
			/* another's, or that of another subtransaction of ours, which may outlive this one */
			LockTupleMode old_mode = single_mode(old_infomask, old_infomask2);

			*new_xmax = MultiXactIdCreate(old_xmax, mode_status(old_mode, !HEAP_XMAX_IS_LOCKED_ONLY(old_infomask)),
										  xid, mode_status(mode, change));
			multi_bits(*new_xmax, new_infomask, new_infomask2);
			return;
		}
	}
	*new_xmax = xid;
	single_bits(mode, change, new_infomask, new_infomask2);
}

void
omen_carry_lockers(HeapTupleHeader old_header, TransactionId *xmax, uint16 *infomask, uint16 *infomask2)
{
	TransactionId old_xmax = HeapTupleHeaderGetRawXmax(old_header);
	uint16		bits = old_header->t_infomask;
	MultiXactMember *members;
	int			nmembers;
	int			kept = 0;

	*xmax = InvalidTransactionId;
	*infomask = HEAP_XMAX_INVALID;
	*infomask2 = 0;
	if ((bits & HEAP_XMAX_INVALID) || HEAP_LOCKED_UPGRADED(bits) || !TransactionIdIsValid(old_xmax))
		return;
	if (!(bits & HEAP_XMAX_IS_MULTI))
	{
		if (HEAP_XMAX_IS_LOCKED_ONLY(bits) && TransactionIdIsInProgress(old_xmax))
		{
			*xmax = old_xmax;
			*infomask = bits & HEAP_XMAX_BITS;
			*infomask2 = old_header->t_infomask2 & HEAP_KEYS_UPDATED;
		}
		return;
	}

	/* of several, those who still run and only lock; one among them may have changed the row and been undone */
	nmembers = GetMultiXactIdMembers(old_xmax, &members, false, HEAP_XMAX_IS_LOCKED_ONLY(bits));
	for (int i = 0; i < nmembers; i++)
		if (!ISUPDATE_from_mxstatus(members[i].status) && TransactionIdIsInProgress(members[i].xid))
			members[kept++] = members[i];
	if (kept == 1)
	{
		*xmax = members[0].xid;
		single_bits(status_mode(members[0].status), false, infomask, infomask2);
	}
	else if (kept > 1)
	{
		*xmax = kept == nmembers ? old_xmax : MultiXactIdCreateFromMembers(kept, members);
		multi_bits(*xmax, infomask, infomask2);
	}
	if (nmembers > 0)
		pfree(members);
}

TM_Result
omen_settled_change(HeapTuple head)
{
	HeapTupleHeader header = head->t_data;
	TransactionId updater;

	if ((header->t_infomask & HEAP_XMAX_INVALID) || HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		return TM_Ok;
	updater = HeapTupleHeaderGetUpdateXid(header);
	if (!TransactionIdIsValid(updater) || !TransactionIdDidCommit(updater))
		return TM_Ok;
	return ItemPointerEquals(&head->t_self, &header->t_ctid) ? TM_Deleted : TM_Updated;
}

uint8
omen_infobits(uint16 infomask, uint16 infomask2)
{
	return ((infomask & HEAP_XMAX_IS_MULTI) ? XLHL_XMAX_IS_MULTI : 0) |
		((infomask & HEAP_XMAX_LOCK_ONLY) ? XLHL_XMAX_LOCK_ONLY : 0) |
		((infomask & HEAP_XMAX_EXCL_LOCK) ? XLHL_XMAX_EXCL_LOCK : 0) |
		((infomask & HEAP_XMAX_KEYSHR_LOCK) ? XLHL_XMAX_KEYSHR_LOCK : 0) |
		((infomask2 & HEAP_KEYS_UPDATED) ? XLHL_KEYS_UPDATED : 0);
}
