/*
 * alex_cost.c - costs of index scans.
 *
 * An alex index is costed as the btree it replaces, with the same estimates of selectivity and correlation, over its
 * own pages, of which it has fewer. What differs beyond that is said here; bench/plans measures what comes of it.
 */
#include "alex.h"

#include <math.h>

#include "utils/index_selfuncs.h"
#include "utils/selfuncs.h"

#include "alex_plan.h"

/* Metapage, root and one leaf. */
#define ONE_LEAF_PAGES 3

/*
 * What a scan saves of the cost of rows at random places, by asking for them ahead of itself. A third is the least that
 * was measured: rows read from disk with effective_io_concurrency 1 (bench/goals R). In memory, and with 16, it is more
 * than half (bench/goals P4, R).
 */
#define AHEAD_SAVES (1.0 / 3)

/*
 * Levels above the leaves. The planner charges 50 comparisons for the page of each, and for the leaf. An alex scan
 * finds its leaf through the backend's own copies of inner nodes, and visits that page only, at any height: index-only
 * probes take 0.29 microseconds with the executor's part in 30,000 random keys, and 0.28 in 300,000, as long as the
 * processor's caches hold what they touch (nbtree 0.53 and 0.67; bench/plans).
 */
int
alexgettreeheight(Relation rel)
{
	return 0;
}

void
alexcostestimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_cost, Cost *total_cost,
				 Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *index = path->indexinfo;

	alex_replace_row_comparisons(root, path);
	/* before 18 the planner asks only btree indexes for their height, and leaves -1 here */
	index->tree_height = 0;
	/* a btree of one leaf has no page above it; one more would keep the planner from indexes of small tables */
	if (index->pages == ONE_LEAF_PAGES)
		index->pages--;
	btcostestimate(root, path, loop_count, startup_cost, total_cost, selectivity, correlation, pages);

	/*
	 * The square of the correlation tells the planner where between random and sequential the rows' pages cost. Indexes
	 * of one leaf are left out: plans of small tables are those of btree.
	 */
	if (index->pages >= ONE_LEAF_PAGES)
		*correlation = sqrt(*correlation * *correlation * (1 - AHEAD_SAVES) + AHEAD_SAVES);
}
