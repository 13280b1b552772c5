/*
 * omen_handler.c - the access method's routine: which function does what.
 *
 * It begins as a copy of heap's: what is not set here works on any relation of standard pages (size, copying files, TOAST, the planner's
 * estimates). TOAST tables are heap tables.
 */
#include "omen.h"
#include "omen_callbacks.h"

#include "catalog/pg_am_d.h"
#include "fmgr.h"

PG_FUNCTION_INFO_V1(omenhandler);

static Oid
omen_toast_am(Relation rel)
{
	return HEAP_TABLE_AM_OID;
}

static void
omen_set_new_file(Relation rel, const CompatLocator *locator, char persistence, TransactionId *freeze_xid,
				  MultiXactId *min_multi)
{
	omen_refuse_foreign_copy(rel);
	GetHeapamTableAmRoutine()->compat_relation_set_new_file(rel, locator, persistence, freeze_xid, min_multi);
}

static TableAmRoutine omen_routine;
static bool omen_routine_ready = false;

Datum
omenhandler(PG_FUNCTION_ARGS)
{
	/* the routine must live as long as the backend: relcache keeps pointers to it */
	if (!omen_routine_ready)
	{
		TableAmRoutine *routine = &omen_routine;

		*routine = *GetHeapamTableAmRoutine();

		omen_scan_callbacks(routine);
		omen_index_callbacks(routine);

		routine->index_fetch_begin = omen_callback(omen_index_fetch_begin);
		routine->index_fetch_reset = omen_index_fetch_reset;
		routine->index_fetch_end = omen_index_fetch_end;
		routine->index_fetch_tuple = omen_index_fetch_tuple;
		routine->index_delete_tuples = omen_index_delete_tuples;
		routine->tuple_fetch_row_version = omen_fetch_row_version;
		routine->tuple_tid_valid = omen_tid_valid;
		routine->tuple_get_latest_tid = omen_get_latest_tid;
		routine->tuple_satisfies_snapshot = omen_satisfies_snapshot;

		routine->tuple_insert = omen_callback(omen_tuple_insert);
		routine->tuple_insert_speculative = omen_callback(omen_tuple_insert_speculative);
		routine->tuple_complete_speculative = omen_tuple_complete_speculative;
		routine->multi_insert = omen_callback(omen_multi_insert);
		routine->tuple_update = omen_callback(omen_tuple_update);
		routine->tuple_delete = omen_callback(omen_tuple_delete);
		routine->tuple_lock = omen_tuple_lock;

		routine->compat_relation_set_new_file = omen_set_new_file;
		routine->relation_vacuum = omen_callback(omen_relation_vacuum);
		routine->relation_copy_for_cluster = omen_callback(omen_copy_for_cluster);
		routine->relation_toast_am = omen_toast_am;
		omen_routine_ready = true;
	}
	PG_RETURN_POINTER(&omen_routine);
}
