/*
 * alex_index_path.h - what the planner knows of a scan of one index, for plans that are made of it.
 */
#ifndef ALEX_INDEX_PATH_H
#define ALEX_INDEX_PATH_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* Is what is to be aggregated, or made distinct, all that a scan of one table returns? */
extern bool alex_is_one_table(PlannerInfo *root, const RelOptInfo *rel);

/* Is there a clause without columns? It would be decided before the scan, by a node above it. */
extern bool alex_has_gate(const IndexOptInfo *index);

/* The expression of a clause of GROUP BY or DISTINCT in the target, or NULL. */
extern Node *alex_target_expression(const PathTarget *target, const SortGroupClause *clause);

/* The index conditions that the planner finds: those of the path that has most. Can it be an index-only scan? */
extern List *alex_find_conditions(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index, bool *index_only);

#endif							/* ALEX_INDEX_PATH_H */
