/*
 * alex_aggregate_plan.c - when aggregates can be answered from an index, and what that costs.
 *
 * For a query over one table that aggregates, create_upper_paths_hook adds a path for each alex index of the table that
 * - finds all the rows of the WHERE clause, and no others: every clause is an index condition, and none has to be rechecked,
 * - tells the groups: GROUP BY names columns that begin the index, those with one value apart,
 * - has the columns that are aggregated.
 * The planner's own function says which clauses are index conditions (create_index_paths()), so what it knows of leakproofness, operators,
 * expressions and partial indexes holds here.
 */
#include "alex.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/xlog.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"
#include "utils/syscache.h"

#include "alex_aggregate.h"
#include "alex_index_path.h"
#include "alex_plan.h"

/* Rows of a group below which it is not worth to search its ends in a leaf. */
#define SMALL_GROUP 32

/* Entries that are read of each value, where one is enough. */
#define FIRST_ENTRIES 4

/* What a leaf costs that is answered in bulk, in comparisons, and a group or value that is searched within it. */
#define LEAF_OPERATORS 200
#define GROUP_OPERATORS 50

/* What an entry costs that is looked at, or of which a column is added up, in parts of an index tuple that is returned. */
#define ENTRY_PART 0.2

static bool enable_aggregate = true;
static create_upper_paths_hook_type next_hook;

/* A query that is to be answered from an index. */
typedef struct Question
{
	PlannerInfo *root;
	IndexOptInfo *index;
	uint32		fixed;			/* columns of the index with one value */
	uint32		grouped;		/* columns that are grouped by */
	int			group_columns;	/* how many, from the first, are one or the other, up to the last that is grouped by */
	List	   *group_exprs;	/* what the target calls the grouped ones */
	List	   *tlist;			/* of the scan: group columns and aggregates */
	List	   *answers;		/* for each of it a list of an answer, a column and a filter */
	List	   *filters;		/* expressions of FILTER */
	List	   *filter_scans;	/* for each a path of what passes it */
	int			columns;		/* that are added up */
} Question;

/* ---- conditions ---- */

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_float(Oid type)
{
	return type == FLOAT4OID || type == FLOAT8OID;
}

/* Does an index condition of these types hold for all that a scan finds? Some need a look at each row (alex_cuts.c). */
static bool
types_are_exact(Oid column, Oid argument)
{
	return column == argument || (is_integer(column) && is_integer(argument)) || (is_float(column) && is_float(argument)) ||
		((column == DATEOID || column == TIMESTAMPOID) && (argument == DATEOID || argument == TIMESTAMPOID));
}

/* An index condition, as the index is given it. "fixed" is set if it leaves one value. */
static bool
condition_is_exact(const IndexOptInfo *index, int column, const Expr *condition, bool *fixed)
{
	Oid			operator;
	Oid			left;
	Oid			right;
	int			strategy;

	*fixed = false;
	if (IsA(condition, NullTest))
	{
		*fixed = ((const NullTest *) condition)->nulltesttype == IS_NULL;
		return true;
	}
	if (IsA(condition, OpExpr))
		operator = ((const OpExpr *) condition)->opno;
	else if (IsA(condition, ScalarArrayOpExpr))
		operator = ((const ScalarArrayOpExpr *) condition)->opno;
	else
		return false;
	if (!op_in_opfamily(operator, index->opfamily[column]))
		return false;
	get_op_opfamily_properties(operator, index->opfamily[column], false, &strategy, &left, &right);
	*fixed = IsA(condition, OpExpr) && strategy == BTEqualStrategyNumber;
	return left == index->opcintype[column] && types_are_exact(left, right);
}

/* Are these index conditions all there is to the WHERE clause, and exact? Sets the columns that have one value. */
static bool
conditions_are_exact(const IndexOptInfo *index, const List *conditions, uint32 *fixed_columns)
{
	ListCell   *cell;

	foreach(cell, index->indrestrictinfo)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);

		if (clause->pseudoconstant || !is_redundant_with_indexclauses(clause, unconstify(List *, conditions)))
			return false;
	}
	*fixed_columns = 0;
	foreach(cell, conditions)
	{
		const IndexClause *condition = lfirst_node(IndexClause, cell);
		ListCell   *inner;

		if (condition->lossy)
			return false;
		foreach(inner, condition->indexquals)
		{
			bool		fixed;

			if (!condition_is_exact(index, condition->indexcol, lfirst_node(RestrictInfo, inner)->clause, &fixed))
				return false;
			if (fixed)
				*fixed_columns |= 1u << condition->indexcol;
		}
	}
	return true;
}

/* ---- what is asked ---- */

/* The column of the index that an expression is, or -1. */
static int
index_column(const IndexOptInfo *index, Node *expr)
{
	for (int c = 0; c < index->nkeycolumns; c++)
		if (match_index_to_operand(expr, c, unconstify(IndexOptInfo *, index)) && exprType(expr) == index->opcintype[c])
			return c;
	return -1;
}

static bool
is_equality(const IndexOptInfo *index, int column, const SortGroupClause *clause)
{
	return get_op_opfamily_strategy(clause->eqop, index->opfamily[column]) == BTEqualStrategyNumber;
}

/* min() and max() have an operator by which they choose. */
static bool
is_extreme(const IndexOptInfo *index, int column, Oid aggregate, AlexAnswer *answer)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Oid			operator;
	int			strategy;

	if (!HeapTupleIsValid(tuple))
		return false;
	operator = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop;
	ReleaseSysCache(tuple);
	if (!OidIsValid(operator))
		return false;
	strategy = get_op_opfamily_strategy(operator, index->opfamily[column]);
	*answer = strategy == BTLessStrategyNumber ? ALEX_MIN : ALEX_MAX;
	return strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber;
}

/* What is asked of a column. Returns false if it is nothing that can be answered. */
static bool
answer_of_column(const IndexOptInfo *index, int column, const Aggref *aggregate, AlexAnswer *answer)
{
	switch (aggregate->aggfnoid)
	{
		case F_COUNT_ANY:
			*answer = ALEX_COUNT;
			return true;
		case F_SUM_INT2:
		case F_SUM_INT4:
		case F_SUM_INT8:
		case F_SUM_FLOAT4:
		case F_SUM_FLOAT8:
			*answer = ALEX_SUM;
			return true;
		case F_AVG_INT2:
		case F_AVG_INT4:
		case F_AVG_INT8:
		case F_AVG_FLOAT4:
		case F_AVG_FLOAT8:
			*answer = ALEX_AVG;
			return true;
		case F_BOOL_AND:
		case F_EVERY:
			*answer = ALEX_BOOL_AND;
			return true;
		case F_BOOL_OR:
			*answer = ALEX_BOOL_OR;
			return true;
		default:
			return is_extreme(index, column, aggregate->aggfnoid, answer) && index->canreturn[column];
	}
}

/*
 * Finds the number of a filter, or adds it: as a scan with the filter in the place of the WHERE clause. False if the index alone does not decide it.
 */
static bool
find_filter(Question *question, Expr *filter, int *number)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);
	List	   *conditions;
	bool		index_only;
	uint32		fixed;
	IndexPath  *scan;
	ListCell   *cell;

	*number = 0;
	foreach(cell, question->filters)
	{
		if (equal(lfirst(cell), filter))
			return true;
		(*number)++;
	}
	*index = *question->index;
	index->indrestrictinfo = NIL;
	foreach(cell, make_ands_implicit(filter))
		index->indrestrictinfo = lappend(index->indrestrictinfo, make_simple_restrictinfo(question->root, lfirst(cell)));
	conditions = alex_find_conditions(question->root, index->rel, index, &index_only);
	if (!conditions_are_exact(index, conditions, &fixed))
		return false;
	scan = create_index_path(question->root, index, conditions, NIL, NIL, NIL, ForwardScanDirection, false, NULL, 1.0, false);
	scan->path.pathtarget = create_empty_pathtarget();
	question->filters = lappend(question->filters, filter);
	question->filter_scans = lappend(question->filter_scans, scan);
	return true;
}

/* Adds an aggregate to what is asked. */
static bool
add_aggregate(Question *question, Aggref *aggregate)
{
	const IndexOptInfo *index = question->index;
	AlexAnswer	answer = ALEX_COUNT_ROWS;
	int			column = 0;
	int			filter = -1;

	if (aggregate->agglevelsup != 0 || aggregate->aggsplit != AGGSPLIT_SIMPLE ||
		aggregate->aggorder != NIL || aggregate->aggdirectargs != NIL)
		return false;
	if (aggregate->aggfnoid != F_COUNT_)
	{
		if (list_length(aggregate->args) != 1)
			return false;
		column = index_column(index, (Node *) linitial_node(TargetEntry, aggregate->args)->expr);
		if (column < 0 || !answer_of_column(index, column, aggregate, &answer))
			return false;
		question->columns++;
	}
	if (aggregate->aggdistinct != NIL)
	{
		/* the values have to come one after the other */
		if (answer != ALEX_COUNT || !is_equality(index, column, linitial_node(SortGroupClause, aggregate->aggdistinct)))
			return false;
		for (int c = 0; c < column; c++)
			if (((question->fixed | question->grouped) & (1u << c)) == 0)
				return false;
		answer = ALEX_COUNT_DISTINCT;
	}
	if (aggregate->aggfilter != NULL && !find_filter(question, aggregate->aggfilter, &filter))
		return false;
	question->tlist = lappend(question->tlist, makeTargetEntry((Expr *) aggregate, list_length(question->tlist) + 1, NULL, false));
	question->answers = lappend(question->answers, list_make3_int(answer, column, filter));
	return true;
}

/* Adds the aggregates in an expression; true if there is something in it that cannot be answered. */
static bool
add_expression(Node *node, Question *question)
{
	ListCell   *cell;

	if (node == NULL || list_member(question->group_exprs, node))
		return false;
	if (IsA(node, Aggref))
	{
		foreach(cell, question->tlist)
			if (equal(lfirst_node(TargetEntry, cell)->expr, node))
				return false;
		return !add_aggregate(question, (Aggref *) node);
	}
	if (IsA(node, Var) || IsA(node, PlaceHolderVar) || IsA(node, GroupingFunc) || IsA(node, WindowFunc))
		return true;
	return expression_tree_walker(node, add_expression, question);
}

/* Finds the columns that are grouped by. */
static bool
find_groups(PlannerInfo *root, const PathTarget *target, Question *question)
{
	const IndexOptInfo *index = question->index;
	ListCell   *cell;

	foreach(cell, root->parse->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, cell);
		Node	   *expr = alex_target_expression(target, clause);
		int			column = expr ? index_column(index, expr) : -1;

		if (column < 0 || !index->canreturn[column] || !is_equality(index, column, clause))
			return false;
		if (list_member(question->group_exprs, expr))
			continue;
		question->grouped |= 1u << column;
		question->group_columns = Max(question->group_columns, column + 1);
		question->group_exprs = lappend(question->group_exprs, expr);
		question->tlist = lappend(question->tlist, makeTargetEntry((Expr *) expr, list_length(question->tlist) + 1, NULL, false));
		question->answers = lappend(question->answers, list_make3_int(ALEX_GROUP_COLUMN, column, -1));
	}
	for (int c = 0; c < question->group_columns; c++)
		if (((question->fixed | question->grouped) & (1u << c)) == 0)
			return false;
	return true;
}

/* Of keys with strings, and with INCLUDE columns, the places of columns differ: only their number can be told. */
static bool
is_answered_by_columns(const Question *question, const List *conditions)
{
	const IndexOptInfo *index = question->index;
	bool		fixed = index->ncolumns == index->nkeycolumns;

	for (int c = 0; c < index->nkeycolumns; c++)
		fixed = fixed && get_typlen(index->opcintype[c]) > 0 && index->opcintype[c] != NAMEOID;
	return fixed || (conditions == NIL && question->grouped == 0 && question->columns == 0 && question->filters == NIL);
}

/* ---- costs ---- */

/* The order of the result: that of the index, as far as it is of columns that are grouped by. */
static List *
order_of_groups(PlannerInfo *root, const Question *question)
{
	List	   *pathkeys = build_index_pathkeys(root, question->index, ForwardScanDirection);
	List	   *ordered = NIL;
	ListCell   *cell;

	foreach(cell, pathkeys)
	{
		PathKey    *key = lfirst_node(PathKey, cell);
		bool		grouped = false;
		ListCell   *inner;

		foreach(inner, key->pk_eclass->ec_members)
			grouped |= list_member(question->group_exprs, lfirst_node(EquivalenceMember, inner)->em_expr);
		if (!grouped)
			break;
		ordered = lappend(ordered, key);
	}
	return ordered;
}

/*
 * The pages of the index that hold the range are read, one after the other; of the table those that are not all-visible, as an index scan
 * would read them. If one row for each of so many "values" is enough, a leaf is searched for each, unless there are fewer leaves.
 */
static void
set_costs(PlannerInfo *root, const Question *question, const IndexPath *scan, double groups, double values, List *having, Path *path)
{
	const IndexOptInfo *index = question->index;
	RelOptInfo *rel = index->rel;
	double		entries = clamp_row_est(scan->indexselectivity * index->tuples);
	double		leaves = ceil(Max(scan->indexselectivity * index->pages, 1));
	double		hidden = RecoveryInProgress() ? 1 : 1 - rel->allvisfrac;
	double		asked = entries * hidden;
	double		looked_at = entries * (question->columns + 2 * list_length(question->filters));
	Cost		cost = scan->path.startup_cost;
	QualCost	having_cost;
	double		spc_random;
	double		spc_seq;

	get_tablespace_page_costs(index->reltablespace, &spc_random, &spc_seq);
	if (values > 0 && values * FIRST_ENTRIES < entries)
	{
		entries = values * FIRST_ENTRIES;
		asked = entries * hidden;
		looked_at = entries * question->columns;
		cost += values * GROUP_OPERATORS * cpu_operator_cost;
		if (values < leaves)
		{
			cost += (values - 1) * (spc_random - spc_seq);
			leaves = values;
		}
	}
	cost += spc_random + (leaves - 1) * spc_seq + leaves * LEAF_OPERATORS * cpu_operator_cost;
	if (hidden > 0)
		looked_at += entries;
	get_tablespace_page_costs(rel->reltablespace, &spc_random, &spc_seq);
	if (asked >= 1)
		cost += asked * cpu_tuple_cost +
			ceil(index_pages_fetched(entries, rel->pages, index->pages, root) * hidden) * spc_random;
	if (groups > 1 && entries / groups < SMALL_GROUP)
		looked_at += entries;
	cost += looked_at * cpu_index_tuple_cost * ENTRY_PART;
	cost += groups * (cpu_tuple_cost + GROUP_OPERATORS * cpu_operator_cost + list_length(question->tlist) * cpu_operator_cost);

	path->rows = groups;
	path->startup_cost = root->parse->groupClause ? scan->path.startup_cost : cost;
	path->total_cost = cost;
	if (having != NIL)
	{
		cost_qual_eval(&having_cost, having, root);
		path->startup_cost += having_cost.startup;
		path->total_cost += having_cost.startup + groups * having_cost.per_tuple;
		path->rows = clamp_row_est(groups * clauselist_selectivity(root, having, 0, JOIN_INNER, NULL));
	}
	path->startup_cost += path->pathtarget->cost.startup;
	path->total_cost += path->pathtarget->cost.startup + path->rows * path->pathtarget->cost.per_tuple;
}

/*
 * How many columns tell apart what one row is enough of: those of the groups, if nothing is asked of these, and of the column of which distinct values are
 * counted, if nothing else is. 0 if that is not so, or not worth it. Sets the number of values.
 */
static int
columns_to_skip(PlannerInfo *root, const Question *question, const IndexPath *scan, double *values)
{
	int			columns = question->group_columns;
	List	   *exprs = list_copy(question->group_exprs);
	ListCell   *cell;
	ListCell   *target;

	*values = 0;
	forboth(cell, question->answers, target, question->tlist)
	{
		const List *answer = (const List *) lfirst(cell);
		Expr	   *expr = lfirst_node(TargetEntry, target)->expr;

		if (linitial_int(answer) == ALEX_GROUP_COLUMN)
			continue;
		if (linitial_int(answer) != ALEX_COUNT_DISTINCT || lthird_int(answer) >= 0)
			return 0;
		columns = Max(columns, lsecond_int(answer) + 1);
		exprs = list_append_unique(exprs, linitial_node(TargetEntry, castNode(Aggref, expr)->args)->expr);
	}
	if (columns == 0)
		return 0;
	*values = estimate_num_groups(root, exprs, scan->path.rows, NULL, NULL);
	if (columns > question->group_columns && scan->path.rows / *values < SMALL_GROUP)
		return *values = 0;
	return columns;
}

/* ---- paths and plans ---- */

static Plan *
plan_aggregate(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses, List *plans)
{
	CustomScan *scan = makeNode(CustomScan);
	ListCell   *cell;

	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = (List *) copyObject(lthird(path->custom_private));
	scan->scan.scanrelid = 0;
	scan->flags = path->flags;
	scan->custom_plans = plans;
	scan->custom_scan_tlist = (List *) copyObject(linitial(path->custom_private));
	scan->custom_private = (List *) lsecond(path->custom_private);
	scan->methods = &alex_aggregate_scan;

	/* the conditions were seen to be exact */
	foreach(cell, plans)
		if (lfirst_node(IndexScan, cell)->scan.plan.qual != NIL)
			elog(ERROR, "an index scan for aggregates has a filter");
	return &scan->scan.plan;
}

static const CustomPathMethods path_methods = {
	.CustomName = ALEX_AGGREGATE_NAME,
	.PlanCustomPath = plan_aggregate,
};

const CustomScanMethods alex_aggregate_scan = {
	.CustomName = ALEX_AGGREGATE_NAME,
	.CreateCustomScanState = alex_create_aggregate_state,
};

static void
add_path_of_index(PlannerInfo *root, RelOptInfo *rel, RelOptInfo *grouped_rel, IndexOptInfo *index, List *having)
{
	Question	question = {.root = root, .index = index};
	List	   *conditions = NIL;
	bool		index_only;
	IndexPath  *scan;
	CustomPath *path;
	double		groups = 1;
	double		values;
	int			skip;
	bool		is_grouped = root->parse->groupClause != NIL;
	List	   *settings;

	if (index->indpred != NIL && !index->predOK)
		return;
	if (index->indrestrictinfo != NIL)
		conditions = alex_find_conditions(root, rel, index, &index_only);
	if (!conditions_are_exact(index, conditions, &question.fixed) || !find_groups(root, grouped_rel->reltarget, &question) ||
		add_expression((Node *) grouped_rel->reltarget->exprs, &question) || add_expression((Node *) having, &question) ||
		!is_answered_by_columns(&question, conditions))
		return;

	scan = create_index_path(root, index, conditions, NIL, NIL, NIL, ForwardScanDirection, false, NULL, 1.0, false);
	scan->path.pathtarget = create_empty_pathtarget();
	if (is_grouped)
		groups = estimate_num_groups(root, question.group_exprs, scan->path.rows, NULL, NULL);
	skip = columns_to_skip(root, &question, scan, &values);
	settings = list_make4_int(is_grouped, question.group_columns, is_grouped && scan->path.rows / groups < SMALL_GROUP, skip);

	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = grouped_rel;
	path->path.pathtarget = grouped_rel->reltarget;
	path->path.parallel_safe = grouped_rel->consider_parallel && rel->consider_parallel;
	path->path.pathkeys = is_grouped ? order_of_groups(root, &question) : NIL;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = lcons(scan, question.filter_scans);
	path->custom_private = list_make3(question.tlist, list_make2(settings, question.answers), having);
	path->methods = &path_methods;
	set_costs(root, &question, scan, groups, values, having, &path->path);
	add_path(grouped_rel, &path->path);
}

static void
add_aggregate_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra)
{
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, stage, input_rel, output_rel, extra);
	if (stage != UPPERREL_GROUP_AGG || !enable_aggregate || extra == NULL || root->parse->groupingSets != NIL ||
		((GroupPathExtraData *) extra)->patype == PARTITIONWISE_AGGREGATE_PARTIAL || !alex_is_one_table(root, input_rel))
		return;
	foreach(cell, input_rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (alex_shown_index(index))
			add_path_of_index(root, input_rel, output_rel, index, (List *) ((GroupPathExtraData *) extra)->havingQual);
	}
}

void
alex_install_aggregate(void)
{
	DefineCustomBoolVariable("alex.enable_aggregate",
							 "Lets the planner answer aggregates from alex indexes.",
							 "Counts, extremes and sums are then taken from the leaves of an index, without a row for each entry.",
							 &enable_aggregate, true, PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	RegisterCustomScanMethods(&alex_aggregate_scan);
	next_hook = create_upper_paths_hook;
	create_upper_paths_hook = add_aggregate_paths;
}
