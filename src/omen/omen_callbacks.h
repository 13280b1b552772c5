/*
 * omen_callbacks.h - the routine's callbacks as PostgreSQL 19 declares them, in terms of ours, which are as 15 to 18 do.
 *
 * For omen_handler.c and omen_analyze.c only. Options are unsigned there; what they say of logical decoding is for the copies that REPACK
 * (CONCURRENTLY) makes, which omen refuses.
 */
#ifndef OMEN_ALEX_OMEN_CALLBACKS_H
#define OMEN_ALEX_OMEN_CALLBACKS_H

#include "omen.h"

#if PG_VERSION_NUM >= 190000

#define omen_callback(name) name##_19

static inline struct IndexFetchTableData *
omen_index_fetch_begin_19(Relation rel, uint32 flags)
{
	struct IndexFetchTableData *fetch = omen_index_fetch_begin(rel);

	fetch->flags = flags;
	return fetch;
}

static inline void
omen_tuple_insert_19(Relation rel, TupleTableSlot *slot, CommandId cid, uint32 options, struct BulkInsertStateData *bistate)
{
	omen_tuple_insert(rel, slot, cid, (int) options, bistate);
}

static inline void
omen_tuple_insert_speculative_19(Relation rel, TupleTableSlot *slot, CommandId cid, uint32 options,
								 struct BulkInsertStateData *bistate, uint32 token)
{
	omen_tuple_insert_speculative(rel, slot, cid, (int) options, bistate, token);
}

static inline void
omen_multi_insert_19(Relation rel, TupleTableSlot **slots, int nslots, CommandId cid, uint32 options,
					 struct BulkInsertStateData *bistate)
{
	omen_multi_insert(rel, slots, nslots, cid, (int) options, bistate);
}

static inline TM_Result
omen_tuple_update_19(Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid, uint32 options, Snapshot snapshot,
					 Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode, TU_UpdateIndexes *update_indexes)
{
	return omen_tuple_update(rel, otid, slot, cid, snapshot, crosscheck, wait, tmfd, lockmode, update_indexes);
}

static inline TM_Result
omen_tuple_delete_19(Relation rel, ItemPointer tid, CommandId cid, uint32 options, Snapshot snapshot, Snapshot crosscheck,
					 bool wait, TM_FailureData *tmfd)
{
	return omen_tuple_delete(rel, tid, cid, snapshot, crosscheck, wait, tmfd, (options & TABLE_DELETE_CHANGING_PARTITION) != 0);
}

static inline void
omen_relation_vacuum_19(Relation rel, const VacuumParams *params, BufferAccessStrategy strategy)
{
	VacuumParams copy = *params;

	omen_relation_vacuum(rel, &copy, strategy);
}

static inline void
omen_copy_for_cluster_19(Relation old_rel, Relation new_rel, Relation old_index, bool use_sort, TransactionId oldest_xmin,
						 Snapshot snapshot, TransactionId *xid_cutoff, MultiXactId *multi_cutoff, double *num_tuples,
						 double *tups_vacuumed, double *tups_recently_dead)
{
	if (snapshot != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot repack table \"%s\" concurrently", RelationGetRelationName(old_rel)),
				 errdetail("It is an omen table, whose changes meanwhile could not be applied to the copy."),
				 errhint("Omit CONCURRENTLY. Tables of omen seldom need it: their pages do not fill with old versions.")));
	omen_copy_for_cluster(old_rel, new_rel, old_index, use_sort, oldest_xmin, xid_cutoff, multi_cutoff, num_tuples,
						  tups_vacuumed, tups_recently_dead);
}

#else

#define omen_callback(name) name

#endif

#endif							/* OMEN_ALEX_OMEN_CALLBACKS_H */
