/*
 * alex_distinct.h - Custom Scan (AlexDistinct): one row for each value of the columns that begin an index.
 */
#ifndef ALEX_DISTINCT_H
#define ALEX_DISTINCT_H

#include "postgres.h"

#include "nodes/extensible.h"

/* What the planner hands to the executor, CustomScan.custom_private: a list of one integer. The scan is custom_plans. */
enum AlexDistinctPrivate
{
	ALEX_DISTINCT_COLUMNS,		/* columns of the index, from the first, that tell rows apart */
};

/* Called once, when the library is loaded. */
extern void alex_install_distinct(void);

/* alex_distinct.c */
extern Node *alex_create_distinct_state(CustomScan *plan);

/* alex_distinct_plan.c; the executor's node has its name, too */
extern const CustomScanMethods alex_distinct_scan;
#define ALEX_DISTINCT_NAME "AlexDistinct"

#endif							/* ALEX_DISTINCT_H */
