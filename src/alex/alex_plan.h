/*
 * alex_plan.h - how the planner sees alex indexes.
 */
#ifndef ALEX_PLAN_H
#define ALEX_PLAN_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* Called once, when the library is loaded. */
extern void alex_install_planner_hook(void);

/* Is it one of ours? */
extern bool alex_shown_index(const IndexOptInfo *index);

/* Replaces row comparisons among the index conditions of a path by comparisons of their first columns. */
extern void alex_replace_row_comparisons(PlannerInfo *root, IndexPath *path);

#endif							/* ALEX_PLAN_H */
