/*
 * alex_plan.c - what the planner is told about alex indexes.
 *
 * The planner does some things for btree indexes only: it finds the true ends of a column whose statistics are old,
 * it turns row comparisons into index conditions, and, up to version 17, it takes only operators of btree families as
 * the equality that a unique index proves. An alex index answers exactly as a btree of the families it mirrors, so
 * the planner is shown it as such a btree, by get_relation_info_hook. That hook is called after the table's indexes
 * were opened, which loads this library, so that the first query of a session sees it, too. Only plans depend on it:
 * the executor takes access method and operators from the index itself. So nothing may be shown that the index itself
 * would not take:
 *
 * - A btree family may have operators that were added by ALTER OPERATOR FAMILY, and that alex does not know. Such a
 *   family is not shown.
 * - The executor takes row comparisons of several columns for btree indexes only (up to 17).
 *   alex_replace_row_comparisons() makes them comparisons of the first column, with the row comparison itself as a
 *   filter.
 *
 * - The planner reads the ends of a column from a btree index. An alex index cannot return every type (intervals); then
 *   only the families are shown, for what a unique index proves.
 *
 * Everything else the planner learns from fields that are not touched: costs, parallel and index-only scans, order.
 */
#include "alex.h"

#include "access/amapi.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/plancat.h"
#include "optimizer/restrictinfo.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "alex_plan.h"

/* What is known about a family of ours and a type. */
typedef struct Mirror
{
	Oid			family;			/* the key, with the type */
	Oid			type;
	Oid			btree_family;	/* InvalidOid: none that can be shown */
} Mirror;

static compat_relation_hook_type next_hook;
static HTAB *mirrors;
static bool mirrors_outdated;

static void
operators_changed(Datum arg, int cache, uint32 hash)
{
	mirrors_outdated = true;
}

/* The btree family that sorts the type as our family does, or InvalidOid. Of several it is the oldest, as in core. */
static Oid
find_btree_family(Oid family, Oid type)
{
	Oid			less = get_opfamily_member(family, type, type, BTLessStrategyNumber);
	Oid			found = InvalidOid;
	CatCList   *list;

	if (!OidIsValid(less))
		return InvalidOid;
	list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(less));
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amop member = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		if (member->amopmethod == BTREE_AM_OID && member->amopstrategy == BTLessStrategyNumber &&
			member->amoplefttype == type && member->amoprighttype == type &&
			(!OidIsValid(found) || member->amopfamily < found))
			found = member->amopfamily;
	}
	ReleaseSysCacheList(list);
	return found;
}

/* Does our family have every operator of the btree family, with the same meaning? */
static bool
has_all_operators(Oid family, Oid btree_family)
{
	CatCList   *list = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(btree_family));
	bool		all = true;

	for (int i = 0; i < list->n_members && all; i++)
	{
		Form_pg_amop member = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		all = get_op_opfamily_strategy(member->amopopr, family) == member->amopstrategy;
	}
	ReleaseSysCacheList(list);
	return all;
}

/* The btree family as which a column can be shown, or InvalidOid. Remembered until somebody changes operators. */
static Oid
mirrored_family(Oid family, Oid type)
{
	Mirror		key = {.family = family, .type = type};
	Mirror	   *mirror;
	Oid			btree_family;
	bool		found;

	if (mirrors_outdated)
	{
		hash_destroy(mirrors);
		mirrors = NULL;
		mirrors_outdated = false;
	}
	if (mirrors == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = offsetof(Mirror, btree_family);
		control.entrysize = sizeof(Mirror);
		control.hcxt = TopMemoryContext;
		mirrors = hash_create("alex mirrored families", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	mirror = hash_search(mirrors, &key, HASH_FIND, NULL);
	if (mirror != NULL)
		return mirror->btree_family;

	/* An error in here leaves no half-made entry; a change of operators meanwhile makes the new one outdated. */
	btree_family = find_btree_family(family, type);
	if (OidIsValid(btree_family) && !has_all_operators(family, btree_family))
		btree_family = InvalidOid;
	mirror = hash_search(mirrors, &key, HASH_ENTER, &found);
	mirror->btree_family = btree_family;
	return btree_family;
}

/* Indexes of partitioned tables carry nothing of their access method but its OID. */
bool
alex_shown_index(const IndexOptInfo *index)
{
	CompatIndexRoutine am;
	bool		ours;

	if (index->amcostestimate != NULL || index->relam < FirstNormalObjectId)
		return index->amcostestimate == alexcostestimate;
	am = GetIndexAmRoutineByAmId(index->relam, false);
	ours = am->amcostestimate == alexcostestimate;
	compat_free_routine(am);
	return ours;
}

/* Only indexes whose columns all have a family that can be shown: half a btree is none. */
static void
show_as_btree(IndexOptInfo *index)
{
	Oid			families[INDEX_MAX_KEYS];
	Oid			type;
	Oid			collation;
	int32		typmod;

	for (int i = 0; i < index->nkeycolumns; i++)
	{
		families[i] = mirrored_family(index->opfamily[i], index->opcintype[i]);
		if (!OidIsValid(families[i]))
			return;
	}
	memcpy(index->opfamily, families, index->nkeycolumns * sizeof(Oid));
	get_atttypetypmodcoll(index->indexoid, 1, &type, &typmod, &collation);
	if (alex_returnable(index->opcintype[0], typmod, collation))
		index->relam = BTREE_AM_OID;
}

static void
show_indexes(COMPAT_RELATION_HOOK_ARGS)
{
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(COMPAT_RELATION_HOOK_PASS);
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (alex_shown_index(index))
			show_as_btree(index);
	}
}

void
alex_install_planner_hook(void)
{
	next_hook = compat_relation_hook;
	compat_relation_hook = show_indexes;
	CacheRegisterSyscacheCallback(AMOPOPID, operators_changed, (Datum) 0);
}

/* "(a, b) > (1, 2)" can only hold where "a >= 1" does. The index's column is on the left already. */
static RestrictInfo *
first_comparison(PlannerInfo *root, const IndexOptInfo *index, int column, const RowCompareExpr *row)
{
	Oid			family = index->opfamily[column];
	Oid			operator = linitial_oid(row->opnos);
	Oid			left;
	Oid			right;
	int			strategy;
	Expr	   *clause;

	get_op_opfamily_properties(operator, family, false, &strategy, &left, &right);
	if (strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber)
	{
		strategy = strategy == BTLessStrategyNumber ? BTLessEqualStrategyNumber : BTGreaterEqualStrategyNumber;
		operator = get_opfamily_member(family, left, right, strategy);
		if (!OidIsValid(operator))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("operator family %u has no operator of strategy %d for types %s and %s", family, strategy,
							format_type_be(left), format_type_be(right))));
	}
	clause = make_opclause(operator, BOOLOID, false, copyObject(linitial(row->largs)), copyObject(linitial(row->rargs)),
						   InvalidOid, linitial_oid(row->inputcollids));
	return make_simple_restrictinfo(root, clause);
}

/*
 * A path's conditions are shared by all paths of the index, and made before any of them is costed, so this is done by
 * who costs them. "lossy" keeps the row comparison as a filter.
 */
void
alex_replace_row_comparisons(PlannerInfo *root, IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		IndexClause *condition = lfirst_node(IndexClause, cell);
		RestrictInfo *qual = linitial_node(RestrictInfo, condition->indexquals);

		if (!IsA(qual->clause, RowCompareExpr))
			continue;
		qual = first_comparison(root, path->indexinfo, condition->indexcol, (RowCompareExpr *) qual->clause);
		condition->indexquals = list_make1(qual);
		condition->indexcols = NIL;
		condition->lossy = true;
	}
}
