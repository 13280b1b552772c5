/*
 * omen_version.c - walking the versions of a row, newest to oldest, and finding the one a snapshot sees.
 *
 * The page is pinned and locked throughout. Only heads get hint bits: older versions are judged by omen_xmin_visible(), which
 * writes nothing, because nothing masks their headers when WAL consistency is checked.
 */
#include "omen.h"

#include "access/subtrans.h"
#include "access/transam.h"
#include "storage/predicate.h"
#include "storage/procarray.h"

#include "omen_peek.h"
#include "omen_private.h"

void
omen_corrupted(Relation rel, BlockNumber block, OffsetNumber offnum, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s\" is inconsistent at row (%u,%u): %s",
					RelationGetRelationName(rel), block, offnum, what),
			 errhint("Run omen_check on the table; restore it from a backup if it reports errors.")));
}

/* Fills in a version from the bytes of an item. */
static void
set_version(OmenVersion *version, char *item, uint16 length)
{
	version->tuple.t_data = (HeapTupleHeader) item;
	version->tuple.t_len = length - OMEN_LINK_SIZE;
	memcpy(&version->link, item + length - OMEN_LINK_SIZE, OMEN_LINK_SIZE);
}

bool
omen_head(Relation rel, Buffer buffer, OffsetNumber offnum, OmenVersion *version)
{
	Page		page = BufferGetPage(buffer);
	ItemId		lp = PageGetItemId(page, offnum);

	omen_require_rows(rel, BufferGetBlockNumber(buffer), page);
	if (!ItemIdIsNormal(lp))
		return false;
	omen_require_item(rel, BufferGetBlockNumber(buffer), page, offnum, lp);
	ItemPointerSet(&version->tuple.t_self, BufferGetBlockNumber(buffer), offnum);
	version->tuple.t_tableOid = RelationGetRelid(rel);
	set_version(version, (char *) PageGetItem(page, lp), ItemIdGetLength(lp));
	version->superseder = InvalidTransactionId;
	version->in_page = true;
	return true;
}

bool
omen_older(Relation rel, Buffer buffer, OmenVersion *version)
{
	OmenLink	link = version->link;
	TransactionId superseder = HeapTupleHeaderGetRawXmin(version->tuple.t_data);

	if (link.offset == 0)
		return false;
	if (link.block == InvalidBlockNumber)
	{
		Page		page = BufferGetPage(buffer);

		if (unlikely(!omen_link_fits(link, ((PageHeader) page)->pd_upper, OMEN_ROWS_END) || !version->in_page))
			omen_corrupted(rel, BufferGetBlockNumber(buffer), ItemPointerGetOffsetNumber(&version->tuple.t_self),
						   "the link to its older version points outside of the page's items");
		set_version(version, (char *) page + link.offset, link.length);
	}
	else
	{
		omen_store_read(rel, version, version->copy.data);
		set_version(version, version->copy.data, link.length);
		version->in_page = false;
	}
	if (unlikely(version->tuple.t_data->t_hoff > version->tuple.t_len))
		omen_corrupted(rel, BufferGetBlockNumber(buffer), ItemPointerGetOffsetNumber(&version->tuple.t_self),
					   "the link to its older version leads to no version");
	version->superseder = superseder;
	return true;
}

OmenXminState
omen_xmin_state(HeapTupleHeader header)
{
	TransactionId xmin = HeapTupleHeaderGetRawXmin(header);

	if (HeapTupleHeaderXminCommitted(header))
		return OMEN_XMIN_COMMITTED;
	if (HeapTupleHeaderXminInvalid(header))
		return OMEN_XMIN_ABORTED;
	if (TransactionIdIsCurrentTransactionId(xmin))
		return OMEN_XMIN_OURS;
	if (TransactionIdIsInProgress(xmin))
		return OMEN_XMIN_IN_PROGRESS;
	return TransactionIdDidCommit(xmin) ? OMEN_XMIN_COMMITTED : OMEN_XMIN_ABORTED;
}

bool
omen_older_needed(HeapTupleHeader header, struct GlobalVisState *vistest)
{
	if (HeapTupleHeaderXminFrozen(header))
		return false;
	return omen_xmin_state(header) != OMEN_XMIN_COMMITTED ||
		!compat_is_removable(vistest, HeapTupleHeaderGetRawXmin(header));
}

bool
omen_satisfies_unhinted(HeapTuple tuple, Snapshot snapshot, Buffer buffer)
{
	HeapTupleHeaderData header = *tuple->t_data;
	HeapTupleData copy = *tuple;

	copy.t_data = &header;
	return HeapTupleSatisfiesVisibility(&copy, snapshot, buffer);
}

bool
omen_xmin_visible(HeapTupleHeader header, Snapshot snapshot)
{
	TransactionId xmin = HeapTupleHeaderGetRawXmin(header);

	if (HeapTupleHeaderXminFrozen(header))
		return true;
	if (HeapTupleHeaderXminInvalid(header))
		return false;
	if (!HeapTupleHeaderXminCommitted(header) && TransactionIdIsCurrentTransactionId(xmin))
		return HeapTupleHeaderGetCmin(header) < snapshot->curcid;
	if (XidInMVCCSnapshot(xmin, snapshot))
		return false;
	return HeapTupleHeaderXminCommitted(header) || TransactionIdDidCommit(xmin);
}

bool
omen_header_visible(HeapTupleHeader header, Snapshot snapshot)
{
	TransactionId xmax;

	if (snapshot->snapshot_type == SNAPSHOT_MVCC)
	{
		if (!omen_xmin_visible(header, snapshot))
			return false;
	}
	else
	{
		OmenXminState state = omen_xmin_state(header);

		if (state == OMEN_XMIN_ABORTED || state == OMEN_XMIN_IN_PROGRESS)
			return false;
	}

	if ((header->t_infomask & HEAP_XMAX_INVALID) || HeapTupleHeaderIsOnlyLocked(header))
		return true;
	xmax = HeapTupleHeaderGetUpdateXid(header);
	if (!TransactionIdIsValid(xmax))
		return true;
	if (TransactionIdIsCurrentTransactionId(xmax))
		return snapshot->snapshot_type == SNAPSHOT_MVCC && HeapTupleHeaderGetCmax(header) >= snapshot->curcid;
	if (snapshot->snapshot_type == SNAPSHOT_MVCC)
	{
		if (XidInMVCCSnapshot(xmax, snapshot))
			return true;
	}
	else if (TransactionIdIsInProgress(xmax))
		return true;
	return !TransactionIdDidCommit(xmax);
}

bool
omen_settled(Relation rel, Buffer buffer, OmenVersion *version)
{
	OffsetNumber offnum = ItemPointerGetOffsetNumber(&version->tuple.t_self);
	int			in_progress = 0;	/* how many steps to the newest such */
	bool		found = false;
	int			steps = 0;

	do
	{
		OmenXminState state = omen_xmin_state(version->tuple.t_data);

		if (state == OMEN_XMIN_COMMITTED || state == OMEN_XMIN_OURS)
			return true;
		if (state == OMEN_XMIN_IN_PROGRESS && !found)
		{
			in_progress = steps;
			found = true;
		}
		steps++;
	} while (omen_older(rel, buffer, version));

	omen_head(rel, buffer, offnum, version);
	while (in_progress-- > 0)
		omen_older(rel, buffer, version);
	return false;
}

/* Reading this row conflicts with what `xid` wrote. As heap does for the version it finds replaced. */
static void
conflict_out(Relation rel, TransactionId xid, Snapshot snapshot)
{
	if (!TransactionIdIsNormal(xid) || TransactionIdIsCurrentTransactionId(xid) ||
		TransactionIdPrecedes(xid, TransactionXmin))
		return;
	xid = SubTransGetTopmostTransaction(xid);
	if (!TransactionIdPrecedes(xid, TransactionXmin))
		CheckForSerializableConflictOut(rel, xid, snapshot);
}

static bool
visible_to_mvcc(Relation rel, Buffer buffer, Snapshot snapshot, OmenVersion *version, bool *all_dead)
{
	bool		check = CheckForSerializableConflictOutNeeded(rel, snapshot);
	bool		visible = omen_satisfies(&version->tuple, snapshot, buffer);
	TransactionId superseder;

	if (visible || omen_xmin_visible(version->tuple.t_data, snapshot))
	{
		if (check)
			HeapCheckForSerializableConflictOut(visible, rel, &version->tuple, buffer, snapshot);
		if (!visible && all_dead)
			*all_dead = HeapTupleIsSurelyDead(&version->tuple, GlobalVisTestFor(rel));
		return visible;
	}

	if (version->link.offset == 0)
	{
		if (check)
			HeapCheckForSerializableConflictOut(false, rel, &version->tuple, buffer, snapshot);
		if (all_dead)
			*all_dead = HeapTupleIsSurelyDead(&version->tuple, GlobalVisTestFor(rel));
		return false;
	}

	/* an update in progress, aborted, or newer than the snapshot: the first version it does see */
	do
	{
		superseder = HeapTupleHeaderGetRawXmin(version->tuple.t_data);
		if (!omen_older(rel, buffer, version))
		{
			if (check)
				conflict_out(rel, superseder, snapshot);
			return false;
		}
	} while (!omen_xmin_visible(version->tuple.t_data, snapshot));
	if (check)
		conflict_out(rel, superseder, snapshot);
	return true;
}

bool
omen_visible_version(Relation rel, Buffer buffer, OffsetNumber offnum, Snapshot snapshot,
					 OmenVersion *version, bool *all_dead)
{
	OmenXminState state;

	if (all_dead)
		*all_dead = false;
	if (!omen_head(rel, buffer, offnum, version))
	{
		if (all_dead)
			*all_dead = true;
		return false;
	}

	if (snapshot->snapshot_type == SNAPSHOT_MVCC)
		return visible_to_mvcc(rel, buffer, snapshot, version, all_dead);

	/* an update that is not settled, and not ours: the other kinds of snapshots look at what is settled */
	state = omen_xmin_state(version->tuple.t_data);
	if ((state == OMEN_XMIN_ABORTED || state == OMEN_XMIN_IN_PROGRESS) && version->link.offset != 0)
	{
		if (snapshot->snapshot_type == SNAPSHOT_DIRTY)
		{
			OmenVersion newest;

			snapshot->xmin = snapshot->xmax = InvalidTransactionId;
			snapshot->speculativeToken = 0;
			/* in doubt, as a heap tuple whose updater is in progress; it may have updated once more, and undone that */
			memcpy(&newest, version, offsetof(OmenVersion, copy));
			while (state == OMEN_XMIN_ABORTED && omen_older(rel, buffer, &newest))
				state = omen_xmin_state(newest.tuple.t_data);
			if (state == OMEN_XMIN_IN_PROGRESS)
				snapshot->xmax = HeapTupleHeaderGetRawXmin(newest.tuple.t_data);
		}
		if (omen_settled(rel, buffer, version))
			return true;
	}

	if (TransactionIdIsValid(version->superseder) ?
		omen_satisfies_unhinted(&version->tuple, snapshot, buffer) : omen_satisfies(&version->tuple, snapshot, buffer))
		return true;
	/* not when an update was undone just now: what is before it lives */
	if (all_dead && !TransactionIdIsValid(version->superseder) &&
		(version->link.offset == 0 || omen_xmin_state(version->tuple.t_data) == OMEN_XMIN_COMMITTED))
		*all_dead = HeapTupleIsSurelyDead(&version->tuple, GlobalVisTestFor(rel));
	return false;
}

HTSV_Result
omen_row_status(Relation rel, Buffer buffer, OffsetNumber offnum, TransactionId oldest_xmin, OmenVersion *version)
{
	OmenXminState state;
	HTSV_Result result;

	if (!omen_head(rel, buffer, offnum, version))
		return HEAPTUPLE_DEAD;
	if (HeapTupleHeaderXminCommitted(version->tuple.t_data) && (version->tuple.t_data->t_infomask & HEAP_XMAX_INVALID))
		return HEAPTUPLE_LIVE;
	state = omen_xmin_state(version->tuple.t_data);
	if ((state == OMEN_XMIN_ABORTED || state == OMEN_XMIN_IN_PROGRESS) && version->link.offset != 0)
	{
		if (omen_settled(rel, buffer, version))
			return HEAPTUPLE_LIVE;
	}
	{
		HeapTupleData tuple = version->tuple;
		HeapTupleHeaderData header;

		/* hint bits on heads only, and not while replay is being checked */
		if (TransactionIdIsValid(version->superseder) || !omen_may_hint())
		{
			header = *tuple.t_data;
			tuple.t_data = &header;
		}
		result = HeapTupleSatisfiesVacuum(&tuple, oldest_xmin, buffer);
	}
	if (result == HEAPTUPLE_INSERT_IN_PROGRESS && state == OMEN_XMIN_OURS && version->link.offset != 0)
	{
		/* our own update of a row that others see; of a row we inserted, it stays an insert in progress */
		OmenVersion older;

		memcpy(&older, version, offsetof(OmenVersion, copy));
		while (omen_older(rel, buffer, &older))
		{
			if (omen_xmin_state(older.tuple.t_data) == OMEN_XMIN_COMMITTED)
				return HEAPTUPLE_LIVE;
		}
	}
	return result;
}

bool
omen_has_version_by(Relation rel, Buffer buffer, OmenVersion *version, TransactionId xmin)
{
	const char *problem;

	/* what we look for is there as long as our snapshot needs it; what is behind it may be gone */
	do
	{
		if (TransactionIdEquals(HeapTupleHeaderGetXmin(version->tuple.t_data), xmin))
			return true;
	} while (omen_peek_older(rel, buffer, version, &problem) == OMEN_PEEK_FOUND);
	return false;
}

bool
omen_newer_settled(Relation rel, Buffer buffer, OmenVersion *head, Snapshot snapshot)
{
	OmenVersion version;

	if (!snapshot || snapshot->snapshot_type != SNAPSHOT_MVCC)
		return false;
	memcpy(&version, head, offsetof(OmenVersion, copy));
	return omen_settled(rel, buffer, &version) && omen_xmin_state(version.tuple.t_data) == OMEN_XMIN_COMMITTED &&
		!omen_xmin_visible(version.tuple.t_data, snapshot);
}

void
omen_predicate_target(ItemPointer row, TransactionId raw_xmin, ItemPointer target)
{
	/* offsets need 9 bits; a version whose bits are equal by chance means a conflict more, never one less */
	StaticAssertDecl(MaxHeapTuplesPerPage < 512, "offsets fit into 9 bits");

	ItemPointerSet(target, ItemPointerGetBlockNumber(row),
				   ItemPointerGetOffsetNumber(row) | (raw_xmin % 127) << 9);
}
