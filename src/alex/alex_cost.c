/*
 * alex_cost.c - planner support.
 *
 * An alex index is costed as the btree it replaces: the same selectivity and correlation estimates, over fewer pages.
 */
#include "alex.h"

#include "utils/index_selfuncs.h"
#include "utils/selfuncs.h"

#include "alex_plan.h"

/* Metapage, root and one leaf. */
#define ONE_LEAF_PAGES 3

/*
 * Levels above the leaves, counted as nbtree counts them, whose root may be a leaf. A node has hundreds of children,
 * so the page count tells: up to a few hundred leaves the root is their parent, and so on. Only the CPU cost of the
 * descent depends on it.
 */
static int
height_for_pages(BlockNumber pages)
{
	int			height = 0;

	if (pages <= ONE_LEAF_PAGES)
		return 0;
	for (double nodes = (double) pages - 1; nodes > 1; nodes /= 400)
		height++;
	return height;
}

int
alexgettreeheight(Relation rel)
{
	return height_for_pages(RelationGetNumberOfBlocks(rel));
}

void
alexcostestimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_cost, Cost *total_cost,
				 Selectivity *selectivity, double *correlation, double *pages)
{
	alex_replace_row_comparisons(root, path);
	/* before 18 the planner asks only btree indexes for their height, and leaves -1 here */
	if (path->indexinfo->tree_height < 0)
		path->indexinfo->tree_height = height_for_pages(path->indexinfo->pages);
	/* a btree of one leaf has no page above it; one more would keep the planner from indexes of small tables */
	if (path->indexinfo->pages == ONE_LEAF_PAGES)
		path->indexinfo->pages--;
	btcostestimate(root, path, loop_count, startup_cost, total_cost, selectivity, correlation, pages);
}
