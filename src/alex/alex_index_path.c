/*
 * alex_index_path.c - what the planner knows of a scan of one index, for plans that are made of it.
 */
#include "alex_index_path.h"

#include "catalog/pg_class.h"
#include "optimizer/paths.h"

bool
alex_is_one_table(PlannerInfo *root, const RelOptInfo *rel)
{
	const RangeTblEntry *rte;

	if ((rel->reloptkind != RELOPT_BASEREL && rel->reloptkind != RELOPT_OTHER_MEMBER_REL) || rel->rtekind != RTE_RELATION ||
		rel->indexlist == NIL || rel->relid == 0 || IS_DUMMY_REL(unconstify(RelOptInfo *, rel)) || root->parse->hasTargetSRFs)
		return false;
	rte = root->simple_rte_array[rel->relid];
	return !rte->inh && rte->tablesample == NULL && (rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_MATVIEW);
}

bool
alex_has_gate(const IndexOptInfo *index)
{
	ListCell   *cell;

	foreach(cell, index->indrestrictinfo)
		if (lfirst_node(RestrictInfo, cell)->pseudoconstant)
			return true;
	return false;
}

Node *
alex_target_expression(const PathTarget *target, const SortGroupClause *clause)
{
	int			i = 0;
	ListCell   *cell;

	foreach(cell, target->exprs)
		if (get_pathtarget_sortgroupref(target, i++) == clause->tleSortGroupRef)
			return (Node *) lfirst(cell);
	return NULL;
}

List *
alex_find_conditions(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index, bool *index_only)
{
	RelOptInfo	alone = *rel;
	bool		bitmaps = index->amhasgetbitmap;
	List	   *found = NIL;
	ListCell   *cell;

	alone.indexlist = list_make1(index);
	alone.pathlist = NIL;
	alone.partial_pathlist = NIL;
	alone.consider_parallel = false;
	alone.joininfo = NIL;
	alone.has_eclass_joins = false;
	/* a bitmap scan that is cheaper would take its place */
	index->amhasgetbitmap = false;
	create_index_paths(root, &alone);
	index->amhasgetbitmap = bitmaps;
	*index_only = false;
	foreach(cell, alone.pathlist)
	{
		Path	   *path = (Path *) lfirst(cell);

		if (!IsA(path, IndexPath) || path->param_info != NULL)
			continue;
		*index_only |= path->pathtype == T_IndexOnlyScan;
		if (list_length(((IndexPath *) path)->indexclauses) > list_length(found))
			found = ((IndexPath *) path)->indexclauses;
	}
	return found;
}
