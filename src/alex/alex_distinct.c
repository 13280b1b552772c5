/*
 * alex_distinct.c - Custom Scan (AlexDistinct): one row for each value of the columns that begin an index.
 *
 * The plan below is a scan of the index, index-only or not, that is run as always: it looks at conditions, filters and visibility. From what it
 * returns the first row of each value is taken, and then the scan is told to go on behind all entries with this value (alex_skip.c).
 */
#include "alex_distinct.h"

#include "access/relscan.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "alex.h"
#include "alex_skip.h"
#include "compat_explain.h"

typedef struct DistinctState
{
	CustomScanState css;
	PlanState  *child;
	int			columns;
	bool		in_group;		/* the child has returned the row of a group, and no more has been asked of it */
	uint64		searches;		/* groups after which the next one had to be searched, for EXPLAIN */
} DistinctState;

/* The scan of the child; NULL: it has not begun. */
static IndexScanDesc
scan_of(PlanState *child)
{
	return IsA(child, IndexOnlyScanState) ? castNode(IndexOnlyScanState, child)->ioss_ScanDesc :
		castNode(IndexScanState, child)->iss_ScanDesc;
}

static TupleTableSlot *
next_row(ScanState *node)
{
	DistinctState *state = (DistinctState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	IndexScanDesc scan = scan_of(state->child);
	TupleTableSlot *row;

	ExecClearTuple(slot);
	if (state->in_group && scan != NULL)
		state->searches += alex_scan_skip_prefix(scan, state->columns);
	row = ExecProcNode(state->child);
	state->in_group = !TupIsNull(row);
	if (!state->in_group)
		return slot;
	slot_getallattrs(row);
	memcpy(slot->tts_values, row->tts_values, row->tts_tupleDescriptor->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, row->tts_isnull, row->tts_tupleDescriptor->natts * sizeof(bool));
	return ExecStoreVirtualTuple(slot);
}

/* Within EvalPlanQual the slot is ours to fill. */
static bool
recheck_row(ScanState *node, TupleTableSlot *slot)
{
	return !TupIsNull(next_row(node));
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck_row);
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	DistinctState *state = (DistinctState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;

	state->columns = list_nth_int(plan->custom_private, ALEX_DISTINCT_COLUMNS);
	state->child = ExecInitNode((Plan *) linitial(plan->custom_plans), estate, eflags & ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK));
	node->custom_ps = list_make1(state->child);
}

static void
rescan(CustomScanState *node)
{
	DistinctState *state = (DistinctState *) node;

	state->in_group = false;
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(state->child, node->ss.ps.chgParam);
	/* else its first ExecProcNode() does it */
	if (state->child->chgParam == NULL)
		ExecReScan(state->child);
	ExecScanReScan(&node->ss);
}

static void
end(CustomScanState *node)
{
	ExecEndNode(((DistinctState *) node)->child);
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	DistinctState *state = (DistinctState *) node;
	Plan	   *scan = state->child->plan;
	Oid			index = IsA(scan, IndexOnlyScan) ? castNode(IndexOnlyScan, scan)->indexid : castNode(IndexScan, scan)->indexid;
	List	   *names = NIL;

	for (int c = 1; c <= state->columns; c++)
		names = lappend(names, unconstify(char *, quote_identifier(get_attname(index, c, false))));
	ExplainPropertyList("Distinct Key", names, es);
	if (es->analyze)
		ExplainPropertyInteger("Searches", NULL, (int64) state->searches, es);
}

static const CustomExecMethods methods = {
	.CustomName = ALEX_DISTINCT_NAME,
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain,
};

Node *
alex_create_distinct_state(CustomScan *plan)
{
	DistinctState *state = (DistinctState *) newNode(sizeof(DistinctState), T_CustomScanState);

	state->css.methods = &methods;
	return (Node *) state;
}
