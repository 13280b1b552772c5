/*
 * alex_distinct_plan.c - when DISTINCT can be answered by skipping from value to value in an index, and what that costs.
 *
 * For a query over one table with SELECT DISTINCT, DISTINCT ON or GROUP BY without aggregates, create_upper_paths_hook adds a path for each
 * alex index of the table that has the distinct columns first; columns fixed by a condition may be among them. Below is a path of a scan
 * of this index, as the planner would have made it, so that WHERE may be anything. For DISTINCT ON it has to return the rows of each value in the
 * order that is asked for.
 */
#include "alex_distinct.h"

#include "access/stratnum.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "alex.h"
#include "alex_index_path.h"
#include "alex_plan.h"
#include "compat.h"

/* What it costs to search the next value, in comparisons. */
#define SEARCH_OPERATORS 100

static bool enable_distinct = true;
static create_upper_paths_hook_type next_hook;

/* ---- which columns ---- */

/* Do values that are equal to the clause have equal images in the index, and the other way round? */
static bool
is_equality(const IndexOptInfo *index, int column, const SortGroupClause *clause, Node *expr)
{
	Oid			collation = exprCollation(expr);
	Oid			ours = index->indexcollations[column];

	if (get_op_opfamily_strategy(clause->eqop, index->opfamily[column]) != BTEqualStrategyNumber)
		return false;
	/* of those that are deterministic all agree on what is equal */
	return collation == ours || (OidIsValid(collation) && OidIsValid(ours) && get_collation_isdeterministic(collation) &&
								 get_collation_isdeterministic(ours));
}

/* The columns of the index that conditions leave one value, and the query has so to be told apart by no more. */
static uint32
fixed_columns(const IndexOptInfo *index, const List *conditions)
{
	uint32		fixed = 0;
	ListCell   *cell;

	foreach(cell, conditions)
	{
		const IndexClause *condition = lfirst_node(IndexClause, cell);
		ListCell   *inner;

		foreach(inner, condition->indexquals)
		{
			const Expr *clause = lfirst_node(RestrictInfo, inner)->clause;

			if (IsA(clause, NullTest) ? ((const NullTest *) clause)->nulltesttype == IS_NULL : IsA(clause, OpExpr) &&
				get_op_opfamily_strategy(((const OpExpr *) clause)->opno, index->opfamily[condition->indexcol]) == BTEqualStrategyNumber)
				fixed |= 1u << condition->indexcol;
		}
	}
	return fixed;
}

/* The column of the index that an expression is, or -1. */
static int
index_column(const IndexOptInfo *index, const SortGroupClause *clause, Node *expr)
{
	for (int c = 0; c < index->nkeycolumns; c++)
		if (match_index_to_operand(expr, c, unconstify(IndexOptInfo *, index)) && is_equality(index, c, clause, expr))
			return c;
	return -1;
}

/*
 * How many columns of the index, from the first, tell the rows of the result apart; 0 if it is not so. Adds the expressions to *exprs.
 */
static int
distinct_columns(const IndexOptInfo *index, const List *clauses, const List *conditions, List **exprs)
{
	uint32		known = 0;
	int			columns = 0;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		const SortGroupClause *clause = lfirst_node(SortGroupClause, cell);
		Node	   *expr = alex_target_expression(index->rel->reltarget, clause);
		int			column = expr ? index_column(index, clause, expr) : -1;

		if (column < 0)
			return 0;
		known |= 1u << column;
		columns = Max(columns, column + 1);
		*exprs = list_append_unique(*exprs, expr);
	}
	known |= fixed_columns(index, conditions);
	for (int c = 0; c < columns; c++)
		if ((known & (1u << c)) == 0)
			return 0;
	return columns;
}

/* ---- costs ---- */

/*
 * Of each value entries are read until one is the entry of a row that passes the filter: a part of what the whole scan costs. To that comes a search
 * for each value, which reads another page of the index, and other pages of the table, unless there are so many values that all are read.
 */
static void
set_costs(const IndexPath *scan, double groups, Path *path)
{
	const IndexOptInfo *index = scan->indexinfo;
	const RelOptInfo *rel = index->rel;
	double		entries = clamp_row_est(scan->indexselectivity * index->tuples);
	double		read = Min(entries, groups * Max(entries / scan->path.rows, 1));
	double		leaves = clamp_row_est(scan->indexselectivity * index->pages);
	double		hidden = scan->path.pathtype == T_IndexOnlyScan ? 1 - rel->allvisfrac : 1;
	Cost		cost = (scan->path.total_cost - scan->path.startup_cost) * (read / entries);
	double		spc_random;
	double		spc_seq;

	get_tablespace_page_costs(index->reltablespace, &spc_random, &spc_seq);
	cost += groups < leaves ? groups * spc_random : leaves * spc_seq;
	get_tablespace_page_costs(rel->reltablespace, &spc_random, &spc_seq);
	cost += Min(read * hidden, rel->pages) * spc_random;
	cost += groups * (SEARCH_OPERATORS * cpu_operator_cost + cpu_tuple_cost);

	path->rows = groups;
	path->startup_cost = scan->path.startup_cost;
	path->total_cost = scan->path.startup_cost + cost;
	compat_disable_as(path, &scan->path);
}

static void
add_having_costs(PlannerInfo *root, List *having, Path *path)
{
	QualCost	cost;

	cost_qual_eval(&cost, having, root);
	path->startup_cost += cost.startup;
	path->total_cost += cost.startup + path->rows * cost.per_tuple;
	path->rows = clamp_row_est(path->rows * clauselist_selectivity(root, having, 0, JOIN_INNER, NULL));
}

/* ---- paths and plans ---- */

static Plan *
plan_distinct(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses, List *plans)
{
	CustomScan *plan = makeNode(CustomScan);
	Plan	   *scan = (Plan *) linitial(plans);

	if (!IsA(scan, IndexScan) && !IsA(scan, IndexOnlyScan))
		elog(ERROR, "the scan below %s is a node of type %d", ALEX_DISTINCT_NAME, (int) nodeTag(scan));
	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = (List *) copyObject(lsecond(path->custom_private));
	plan->scan.scanrelid = 0;
	plan->flags = path->flags;
	plan->custom_plans = plans;
	plan->custom_scan_tlist = (List *) copyObject(scan->targetlist);
	plan->custom_private = (List *) linitial(path->custom_private);
	plan->methods = &alex_distinct_scan;
	return &plan->scan.plan;
}

static const CustomPathMethods path_methods = {
	.CustomName = ALEX_DISTINCT_NAME,
	.PlanCustomPath = plan_distinct,
};

const CustomScanMethods alex_distinct_scan = {
	.CustomName = ALEX_DISTINCT_NAME,
	.CreateCustomScanState = alex_create_distinct_state,
};

/* What a query asks for, of which of these an index can answer some. */
typedef struct Question
{
	const List *clauses;		/* of columns */
	bool		ordered;		/* in each group the first row is asked for */
	List	   *having;
	PathTarget *target;			/* of the result */
} Question;

static void
add_path_of_scan(PlannerInfo *root, RelOptInfo *output_rel, const Question *question, IndexPath *scan, int columns, List *exprs)
{
	CustomPath *path = makeNode(CustomPath);
	RelOptInfo *rel = scan->path.parent;

	path->path.pathtype = T_CustomScan;
	path->path.parent = output_rel;
	path->path.pathtarget = question->target;
	path->path.parallel_safe = output_rel->consider_parallel && rel->consider_parallel;
	path->path.pathkeys = scan->path.pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(scan);
	path->custom_private = list_make2(list_make1_int(columns), question->having);
	path->methods = &path_methods;
	set_costs(scan, estimate_num_groups(root, exprs, scan->path.rows, NULL, NULL), &path->path);
	if (question->having != NIL)
		add_having_costs(root, question->having, &path->path);
	path->path.startup_cost += question->target->cost.startup;
	path->path.total_cost += question->target->cost.startup + path->path.rows * question->target->cost.per_tuple;
	add_path(output_rel, &path->path);
}

static void
add_paths_of_index(PlannerInfo *root, RelOptInfo *rel, RelOptInfo *output_rel, const Question *question, IndexOptInfo *index)
{
	bool		index_only;
	List	   *exprs = NIL;
	List	   *conditions;
	int			columns;

	if ((index->indpred != NIL && !index->predOK) || alex_has_gate(index))
		return;
	conditions = alex_find_conditions(root, rel, index, &index_only);
	columns = distinct_columns(index, question->clauses, conditions, &exprs);
	if (columns == 0)
		return;
	for (int forward = 1; forward >= 0; forward--)
	{
		ScanDirection direction = forward ? ForwardScanDirection : BackwardScanDirection;
		List	   *order = build_index_pathkeys(root, index, direction);
		bool		is_ordered = pathkeys_contained_in(root->sort_pathkeys, order);
		IndexPath  *scan;

		/* backwards only where that is the order asked for */
		if (!is_ordered && (question->ordered || !forward))
			continue;
		scan = create_index_path(root, index, conditions, NIL, NIL, order, direction, index_only, NULL, 1.0, false);
		add_path_of_scan(root, output_rel, question, scan, columns, exprs);
		if (is_ordered)
			break;
	}
}

static void
add_distinct_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra)
{
	const Query *query = root->parse;
	Question	question = {0};
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, stage, input_rel, output_rel, extra);
	/* others have no input */
	if (!enable_distinct || (stage != UPPERREL_DISTINCT && stage != UPPERREL_GROUP_AGG) || !alex_is_one_table(root, input_rel))
		return;
	if (stage == UPPERREL_DISTINCT)
	{
		question.clauses = query->distinctClause;
		question.ordered = query->hasDistinctOn;
		question.target = input_rel->reltarget;
	}
	else if (extra != NULL && !query->hasAggs && query->groupingSets == NIL &&
			 ((GroupPathExtraData *) extra)->patype != PARTITIONWISE_AGGREGATE_PARTIAL)
	{
		question.clauses = compat_group_clause(root);
		question.having = (List *) ((GroupPathExtraData *) extra)->havingQual;
		question.target = output_rel->reltarget;
	}
	else
		return;
	foreach(cell, input_rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (alex_shown_index(index))
			add_paths_of_index(root, input_rel, output_rel, &question, index);
	}
}

void
alex_install_distinct(void)
{
	DefineCustomBoolVariable("alex.enable_distinct",
							 "Lets the planner answer DISTINCT by skipping from value to value in alex indexes.",
							 "Of all entries with a value then only the first ones are read, up to one whose row is wanted.",
							 &enable_distinct, true, PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	RegisterCustomScanMethods(&alex_distinct_scan);
	next_hook = create_upper_paths_hook;
	create_upper_paths_hook = add_distinct_paths;
}
