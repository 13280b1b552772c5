/*
 * omen_change.c - what updates and deletes do first: find the head, wait for who is in the way, and decide whether the row may be changed.
 *
 * The answers are heap's; how they follow from one TID for all versions is in README, "What the executor expects".
 */
#include "omen.h"

#include "access/heaptoast.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_class.h"
#include "storage/predicate.h"
#include "utils/datum.h"

#include "omen_private.h"
#include "recent_page.h"

static TM_Result
refuse(OmenChange *change, TM_Result result, ItemPointer ctid, TransactionId xmax, CommandId cmax)
{
	change->tmfd->ctid = *ctid;
	change->tmfd->xmax = xmax;
	change->tmfd->cmax = cmax;
	change->tmfd->traversed = false;
	omen_release_change(change);
	return result;
}

void
omen_release_change(OmenChange *change)
{
	if (BufferIsValid(change->buffer))
		UnlockReleaseBuffer(change->buffer);
	if (BufferIsValid(change->vmbuffer))
		ReleaseBuffer(change->vmbuffer);
	change->buffer = change->vmbuffer = InvalidBuffer;
}

void
omen_check_writable(Relation rel)
{
	if (RelationIsAccessibleInLogicalDecoding(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" of access method omen cannot be a user catalog table", RelationGetRelationName(rel)),
				 errhint("Reset its storage parameter user_catalog_table, or use heap.")));
}

void
omen_lock_page(Relation rel, BlockNumber block, Buffer *buffer, Buffer *vmbuffer)
{
	static Buffer seen = InvalidBuffer; /* most likely the page of the row before */

	if (!BufferIsValid(*buffer))
	{
		if (unlikely(!block_exists(rel, block)))
			omen_no_block(rel, block);
		*buffer = seen = recent_page(rel, block, seen);
	}
	for (;;)
	{
		if (PageIsAllVisible(BufferGetPage(*buffer)))
			visibilitymap_pin(rel, block, vmbuffer);
		LockBuffer(*buffer, BUFFER_LOCK_EXCLUSIVE);
		if (BufferIsValid(*vmbuffer) || !PageIsAllVisible(BufferGetPage(*buffer)))
			return;
		LockBuffer(*buffer, BUFFER_LOCK_UNLOCK);
	}
}

/* Do the two tuples have the same value, bit for bit, in a column? */
static bool
same_value(TupleDesc desc, AttrNumber attnum, HeapTuple a, HeapTuple b)
{
	Datum		value_a,
				value_b;
	bool		null_a,
				null_b;
	Form_pg_attribute att;

	if (attnum == 0)
		return false;			/* the row as a whole */
	if (attnum < 0)
		return attnum == TableOidAttributeNumber;
	value_a = heap_getattr(a, attnum, desc, &null_a);
	value_b = heap_getattr(b, attnum, desc, &null_b);
	if (null_a || null_b)
		return null_a == null_b;
	att = TupleDescAttr(desc, attnum - 1);
	return datumIsEqual(value_a, value_b, att->attbyval, att->attlen);
}

static Bitmapset *
changed_columns(OmenChange *change)
{
	TupleDesc	desc = RelationGetDescr(change->rel);
	Bitmapset  *changed = NULL;
	int			member = -1;

	while ((member = bms_next_member(change->watched, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (!same_value(desc, attnum, &change->head.tuple, change->newtup))
			changed = bms_add_member(changed, member);
	}
	return changed;
}

/* The place in the queue of those who wait for a row. */
typedef struct Place
{
	bool		taken;
	LockTupleMode mode;
} Place;

/*
 * Lets go of the row's page and waits for who is in the way, behind whoever waits already; but who holds a weaker lock (`holder`) must not queue
 * behind those who wait for it.
 */
static void
wait_for(OmenChange *change, TransactionId xid, bool holder, Place *place)
{
	omen_release_change(change);
	if (!place->taken && !holder)
	{
		place->mode = change->mode;
		omen_queue(change->rel, &change->tid, place->mode, LockWaitBlock);
		place->taken = true;
	}
	omen_wait(change->rel, &change->tid, xid, LockWaitBlock, change->newtup ? XLTW_Update : XLTW_Delete);
}

TM_Result
omen_prepare_change(OmenChange *change)
{
	Relation	rel = change->rel;
	ItemPointer tid = &change->tid;
	OffsetNumber offnum = ItemPointerGetOffsetNumber(tid);
	Place		place = {false};
	TM_Result	result;

	change->buffer = change->vmbuffer = InvalidBuffer;
	change->changed = NULL;
	change->mode = LockTupleExclusive;

	for (;;)
	{
		HeapTupleHeader header;
		TransactionId xmin;
		OmenXminState state;
		HeapTupleData copy;
		HeapTupleHeaderData copied;
		ItemPointerData target;
		bool		holder;

		omen_lock_page(rel, ItemPointerGetBlockNumber(tid), &change->buffer, &change->vmbuffer);
		if (offnum > PageGetMaxOffsetNumber(BufferGetPage(change->buffer)) ||
			!omen_head(rel, change->buffer, offnum, &change->head))
		{
			result = refuse(change, TM_Deleted, tid, InvalidTransactionId, InvalidCommandId);
			break;
		}
		/* once more if its update is undone just now: what follows goes by one state */
		do
		{
			omen_head(rel, change->buffer, offnum, &change->head);
			header = change->head.tuple.t_data;
			xmin = HeapTupleHeaderGetXmin(header);
			state = omen_xmin_state(header);
		} while (state == OMEN_XMIN_ABORTED && omen_restore_row(rel, change->buffer, offnum));
		holder = omen_xmax_ours(HeapTupleHeaderGetRawXmax(header), header->t_infomask, header->t_infomask2,
								LockTupleKeyShare);

		if (change->newtup)
		{
			bms_free(change->changed);
			change->changed = changed_columns(change);
			change->mode = bms_overlap(change->changed, change->key_attrs) ? LockTupleExclusive : LockTupleNoKeyExclusive;
		}

		/* an update by somebody else is in progress: as heap, wait for it, behind whoever waits already */
		if (state == OMEN_XMIN_IN_PROGRESS && change->head.link.offset != 0)
		{
			/* nothing to wait for if the row has been changed before that, as well */
			if (!change->accepted && omen_newer_settled(rel, change->buffer, &change->head, change->snapshot))
			{
				result = refuse(change, TM_Updated, tid, xmin, InvalidCommandId);
				break;
			}
			if (!change->wait)
			{
				result = refuse(change, TM_BeingModified, tid, xmin, InvalidCommandId);
				break;
			}
			wait_for(change, xmin, holder, &place);
			continue;
		}

		/* our own update, by this command or a later one, of the version that was to be changed */
		if (state == OMEN_XMIN_OURS && change->head.link.offset != 0 && HeapTupleHeaderGetCmin(header) >= change->cid)
		{
			result = refuse(change, TM_SelfModified, tid, xmin, HeapTupleHeaderGetCmin(header));
			break;
		}

		/* an update that the snapshot does not see, unless this command has accepted it */
		if (state == OMEN_XMIN_COMMITTED && change->snapshot && change->snapshot->snapshot_type == SNAPSHOT_MVCC &&
			!change->accepted && !omen_xmin_visible(header, change->snapshot))
		{
			result = refuse(change, TM_Updated, tid, xmin, InvalidCommandId);
			break;
		}

		result = HeapTupleSatisfiesUpdate(omen_hintable(&change->head.tuple, &copy, &copied), change->cid, change->buffer);
		if (result == TM_BeingModified)
		{
			TransactionId xmax = HeapTupleHeaderGetRawXmax(header);
			TransactionId blocker = omen_xmax_blocker(xmax, header->t_infomask, header->t_infomask2, change->mode);

			if (TransactionIdIsValid(blocker))
			{
				if (!change->wait)
				{
					result = refuse(change, TM_BeingModified, &header->t_ctid, HeapTupleHeaderGetUpdateXid(header),
									InvalidCommandId);
					break;
				}
				wait_for(change, blocker, holder, &place);
				continue;
			}
			result = omen_settled_change(&change->head.tuple);
		}

		if (result == TM_Ok && change->crosscheck != InvalidSnapshot &&
			!omen_satisfies(&change->head.tuple, change->crosscheck, change->buffer))
		{
			/* as heap reports it: replaced, by whoever wrote what we see now */
			result = refuse(change, TM_Updated, &header->t_ctid, xmin, InvalidCommandId);
			break;
		}

		if (result != TM_Ok)
		{
			TransactionId xmax = InvalidTransactionId;
			CommandId	cmax = InvalidCommandId;

			if (result == TM_Invisible)
			{
				omen_release_change(change);
				break;
			}
			xmax = HeapTupleHeaderGetUpdateXid(header);
			if (result == TM_SelfModified)
				cmax = HeapTupleHeaderGetCmax(header);
			result = refuse(change, result, &header->t_ctid, xmax, cmax);
			break;
		}

		omen_predicate_target(tid, HeapTupleHeaderGetRawXmin(header), &target);
		CheckForSerializableConflictIn(rel, &target, ItemPointerGetBlockNumber(tid));
		break;
	}

	if (place.taken)
		omen_unqueue(rel, tid, place.mode);
	return result;
}

void
omen_lock_for_change(OmenChange *change)
{
	HeapTupleHeader header = change->head.tuple.t_data;

	if (!omen_xmax_ours(HeapTupleHeaderGetRawXmax(header), header->t_infomask, header->t_infomask2, change->mode))
		omen_take_lock(change->rel, change->buffer, change->vmbuffer, &change->head.tuple, change->mode);
	LockBuffer(change->buffer, BUFFER_LOCK_UNLOCK);
}

/*
 * What logical decoding must be told of the row as it was: nothing when the replica identity did not change (unless all columns are
 * the identity), else the identity's columns.
 */
HeapTuple
omen_old_key(Relation rel, HeapTuple tuple, bool key_required, bool *copy)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Bitmapset  *identity;
	Datum		values[MaxHeapAttributeNumber];
	bool		nulls[MaxHeapAttributeNumber];
	HeapTuple	key;

	*copy = false;
	if (!RelationIsLogicallyLogged(rel) || rel->rd_rel->relreplident == REPLICA_IDENTITY_NOTHING)
		return NULL;
	if (rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL)
	{
		/* decoding has no way to fetch toasted values of the old row */
		if (HeapTupleHasExternal(tuple))
		{
			*copy = true;
			tuple = toast_flatten_tuple(tuple, desc);
		}
		return tuple;
	}
	if (!key_required)
		return NULL;
	identity = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	if (bms_is_empty(identity))
		return NULL;

	heap_deform_tuple(tuple, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
		if (!bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, identity))
			nulls[i] = true;
	bms_free(identity);
	key = heap_form_tuple(desc, values, nulls);
	*copy = true;
	if (HeapTupleHasExternal(key))
	{
		HeapTuple	flat = toast_flatten_tuple(key, desc);

		heap_freetuple(key);
		key = flat;
	}
	return key;
}
