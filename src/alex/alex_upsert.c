/*
 * alex_upsert.c - INSERT ... ON CONFLICT on tables with unique alex indexes, before PostgreSQL 18.
 *
 * Core opens the indexes of an upsert's table when its first row comes, and refuses unique ones that are not btrees,
 * although all it needs to know of them is their equality operators. It opens none that are open already. So the
 * indexes are opened here when the statement starts, and told their operators.
 *
 * Rows of a partitioned table go to partitions that are found, and opened, row by row. Each row's partition is looked
 * up here as it leaves the subplan, before core does that, with a plan that says nothing of ON CONFLICT; what core
 * leaves out for such a plan is added here.
 *
 * This needs the library in the session before the statement starts. Whatever opens an alex index at planning sees to
 * that, as every conflict target does. What is left, DO NOTHING without a target as the first use of alex in a
 * session, gets an error that says what to do.
 */
#include "postgres.h"

#include "alex_upsert.h"

#ifdef COMPAT_UPSERT_KNOWS_BTREE

#include "access/attmap.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "alex.h"

static ExecutorStart_hook_type next_executor_start = NULL;

/* ---- indexes ---- */

/* What core looks for before it inserts a row: the equality operators of the index. */
static void
find_equality_operators(Relation index, IndexInfo *info)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(index);

	info->ii_UniqueOps = palloc(n * sizeof(Oid));
	info->ii_UniqueProcs = palloc(n * sizeof(Oid));
	info->ii_UniqueStrats = palloc(n * sizeof(uint16));
	for (int i = 0; i < n; i++)
	{
		Oid			type = index->rd_opcintype[i];
		Oid			equal = get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);

		if (!OidIsValid(equal))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("column %d of index \"%s\" has no equality operator", i + 1, RelationGetRelationName(index))));
		info->ii_UniqueOps[i] = equal;
		info->ii_UniqueProcs[i] = get_opcode(equal);
		info->ii_UniqueStrats[i] = BTEqualStrategyNumber;
	}
}

/* The same for all open indexes of a table. Others than ours are core's to accept or refuse. */
static void
prepare_indexes(ResultRelInfo *target)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		IndexInfo  *info = target->ri_IndexRelationInfo[i];
		Relation	index = target->ri_IndexRelationDescs[i];

		if (!info->ii_Unique)
			continue;
		if (index->rd_indam->aminsert == alexinsert)
			find_equality_operators(index, info);
		else
			BuildSpeculativeIndexInfo(index, info);
	}
}

/* ---- partitions ---- */

/* An upsert of a partitioned table. It lives as long as its executor state. */
typedef struct Routing
{
	ModifyTableState *upsert;
	ModifyTable *without_conflict; /* its plan without the ON CONFLICT clause */
	PlanState  *rows;			/* what the rows to insert come from */
	ExecProcNodeMtd next_row;	/* its own function */
	ResultRelInfo *last;		/* partition of the row before */
	List	   *prepared;		/* all partitions met so far */
	struct Routing *outer;		/* the next one in the list of all */
} Routing;

static Routing *routings = NULL;

static void
forget_routing(void *arg)
{
	Routing   **link = &routings;

	while (*link != arg)
		link = &(*link)->outer;
	*link = ((Routing *) arg)->outer;
}

/* The partition's indexes that belong to the arbiters of the whole table. */
static List *
partition_arbiters(ResultRelInfo *root, ResultRelInfo *leaf)
{
	List	   *arbiters = NIL;
	ListCell   *cell;

	if (root->ri_onConflictArbiterIndexes == NIL)
		return NIL;
	foreach(cell, RelationGetIndexList(leaf->ri_RelationDesc))
	{
		ListCell   *ancestor;

		foreach(ancestor, get_partition_ancestors(lfirst_oid(cell)))
		{
			if (list_member_oid(root->ri_onConflictArbiterIndexes, lfirst_oid(ancestor)))
				arbiters = lappend_oid(arbiters, lfirst_oid(cell));
		}
	}
	if (list_length(arbiters) != list_length(root->ri_onConflictArbiterIndexes))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partition \"%s\" lacks an index that ON CONFLICT needs", RelationGetRelationName(leaf->ri_RelationDesc))));
	return arbiters;
}

/* Column references of an expression over the whole table, to the table itself or to EXCLUDED, become the partition's. */
static List *
translate_columns(List *expressions, ModifyTableState *upsert, Relation partition, AttrMap *columns)
{
	Oid			row_type = RelationGetForm(partition)->reltype;
	Node	   *tree = (Node *) copyObject(expressions);
	bool		whole_row;

	tree = map_variable_attnos(tree, INNER_VAR, 0, columns, row_type, &whole_row);
	tree = map_variable_attnos(tree, upsert->resultRelInfo->ri_RangeTableIndex, 0, columns, row_type, &whole_row);
	return (List *) tree;
}

/* DO UPDATE in a partition. */
static OnConflictSetState *
partition_update(ModifyTableState *upsert, ResultRelInfo *root, ResultRelInfo *leaf)
{
	ModifyTable *plan = castNode(ModifyTable, upsert->ps.plan);
	Relation	partition = leaf->ri_RelationDesc;
	OnConflictSetState *update = makeNode(OnConflictSetState);
	AttrMap    *columns = compat_attrmap_if_different(RelationGetDescr(partition), RelationGetDescr(root->ri_RelationDesc));
	List	   *targets = NIL;
	ListCell   *cell;

	CheckCmdReplicaIdentity(partition, CMD_UPDATE);
	*update = *root->ri_onConflict;
	/* a slot of its own, as the partition's access method may be another */
	update->oc_Existing = table_slot_create(partition, &upsert->ps.state->es_tupleTable);
	if (columns == NULL)
		return update;

	foreach(cell, plan->onConflictCols)
		targets = lappend_int(targets, columns->attnums[lfirst_int(cell) - 1]);
	update->oc_ProjSlot = table_slot_create(partition, &upsert->ps.state->es_tupleTable);
	update->oc_ProjInfo = ExecBuildUpdateProjection(translate_columns(plan->onConflictSet, upsert, partition, columns), true,
													targets, RelationGetDescr(partition), upsert->ps.ps_ExprContext,
													update->oc_ProjSlot, &upsert->ps);
	if (plan->onConflictWhere != NULL)
		update->oc_WhereClause = ExecInitQual(translate_columns((List *) plan->onConflictWhere, upsert, partition, columns),
											  &upsert->ps);
	return update;
}

/* A foreign table's wrapper has read the plan without the ON CONFLICT clause: it begins anew with the true one. */
static void
begin_foreign_insert(ModifyTableState *upsert, ResultRelInfo *leaf)
{
	if (leaf->ri_FdwRoutine->EndForeignInsert != NULL)
		leaf->ri_FdwRoutine->EndForeignInsert(upsert->ps.state, leaf);
	leaf->ri_FdwState = NULL;
	if (leaf->ri_FdwRoutine->BeginForeignInsert != NULL)
		leaf->ri_FdwRoutine->BeginForeignInsert(upsert, leaf);
}

/* Finds the partition of a row, and sees to it that it is ready for ON CONFLICT when core finds it. */
static void
prepare_partition(Routing *routing, TupleTableSlot *row)
{
	ModifyTableState *upsert = routing->upsert;
	EState	   *estate = upsert->ps.state;
	ResultRelInfo *root = upsert->resultRelInfo;
	Plan	   *plan = upsert->ps.plan;
	ResultRelInfo *leaf;
	MemoryContext old;

	/* if this fails, nobody uses the state again */
	upsert->ps.plan = (Plan *) routing->without_conflict;
	leaf = ExecFindPartition(upsert, root, upsert->mt_partition_tuple_routing, row, estate);
	upsert->ps.plan = plan;
	if (leaf == routing->last)
		return;
	routing->last = leaf;
	if (list_member_ptr(routing->prepared, leaf))
		return;

	old = MemoryContextSwitchTo(estate->es_query_cxt);
	if (leaf->ri_FdwRoutine != NULL)
		begin_foreign_insert(upsert, leaf);
	else
	{
		prepare_indexes(leaf);
		leaf->ri_onConflictArbiterIndexes = partition_arbiters(root, leaf);
		if (root->ri_onConflict != NULL)
			leaf->ri_onConflict = partition_update(upsert, root, leaf);
	}
	routing->prepared = lappend(routing->prepared, leaf);
	MemoryContextSwitchTo(old);
}

/* Stands before the function of the node that the rows come from. The columns of a row are the table's; more may follow. */
static TupleTableSlot *
next_row(PlanState *rows)
{
	Routing    *routing = routings;
	TupleTableSlot *row;

	while (routing->rows != rows)
		routing = routing->outer;
	row = routing->next_row(rows);
	if (!TupIsNull(row))
		prepare_partition(routing, row);
	return row;
}

static void
watch_rows(ModifyTableState *upsert)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	Routing    *routing = palloc0(sizeof(Routing));

	routing->upsert = upsert;
	routing->without_conflict = palloc(sizeof(ModifyTable));
	*routing->without_conflict = *castNode(ModifyTable, upsert->ps.plan);
	routing->without_conflict->onConflictAction = ONCONFLICT_NONE;
	routing->rows = outerPlanState(upsert);
	routing->next_row = routing->rows->ExecProcNodeReal;
	routing->outer = routings;
	routings = routing;
	callback->func = forget_routing;
	callback->arg = routing;
	MemoryContextRegisterResetCallback(upsert->ps.state->es_query_cxt, callback);
	ExecSetExecProcNode(routing->rows, next_row);
}

/* ---- the start of a statement ---- */

static void
prepare_upsert(ModifyTableState *upsert)
{
	ResultRelInfo *target = upsert->resultRelInfo;

	if (castNode(ModifyTable, upsert->ps.plan)->onConflictAction == ONCONFLICT_NONE)
		return;
	if (upsert->mt_partition_tuple_routing != NULL)
		watch_rows(upsert);
	else if (target->ri_RelationDesc->rd_rel->relhasindex && target->ri_IndexRelationDescs == NULL)
	{
		ExecOpenIndices(target, false);
		prepare_indexes(target);
	}
}

static void
start_executor(QueryDesc *query, int flags)
{
	EState	   *estate;
	MemoryContext old;
	ListCell   *cell;

	if (next_executor_start != NULL)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if ((flags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;

	/* one is the statement itself, others are in its WITH clause */
	estate = query->estate;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	if (IsA(query->planstate, ModifyTableState))
		prepare_upsert((ModifyTableState *) query->planstate);
	foreach(cell, estate->es_auxmodifytables)
	{
		if (lfirst(cell) != query->planstate)
			prepare_upsert(lfirst_node(ModifyTableState, cell));
	}
	MemoryContextSwitchTo(old);
}

/* ---- loaded too late ---- */

/*
 * The statement that loads the library by its first row has started without us. Its error is core's, about an internal
 * matter; this gives it the words. It goes with the callers of the moment, which were there before the library.
 */
static void
explain_late_loading(void *arg)
{
	MemoryContext old;
	ErrorData  *error;

	if (geterrcode() != ERRCODE_INTERNAL_ERROR)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	MemoryContextSwitchTo(old);
	if (strcmp(error->message, "unexpected non-btree speculative unique index") == 0)
	{
		errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
		errmsg("INSERT ... ON CONFLICT met a unique alex index in a session that had not loaded omen_alex");
		errdetail("Up to PostgreSQL 17 the library must be there when the statement starts. It is now.");
		errhint("Repeat the statement. To have the library in all sessions: "
				"ALTER DATABASE ... SET session_preload_libraries = 'omen_alex'.");
	}
	FreeErrorData(error);
}

void
alex_watch_upserts(void)
{
	static ErrorContextCallback late = {.callback = explain_late_loading};

	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	if (IsTransactionState())
	{
		late.previous = error_context_stack;
		error_context_stack = &late;
	}
}

#else

void
alex_watch_upserts(void)
{
}

#endif
