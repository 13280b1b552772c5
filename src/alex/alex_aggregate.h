/*
 * alex_aggregate.h - Custom Scan (AlexAggregate): aggregates answered from an index.
 */
#ifndef ALEX_AGGREGATE_H
#define ALEX_AGGREGATE_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/pathnodes.h"

/* Where a column of the node's result comes from. */
typedef enum AlexAnswer
{
	ALEX_GROUP_COLUMN,			/* a column of the index that is grouped by */
	ALEX_COUNT_ROWS,			/* count(*) */
	ALEX_COUNT,					/* all below: of a column of the index */
	ALEX_COUNT_DISTINCT,
	ALEX_MIN,
	ALEX_MAX,
	ALEX_SUM,
	ALEX_AVG,
	ALEX_BOOL_AND,
	ALEX_BOOL_OR,
} AlexAnswer;

/*
 * What the planner hands to the executor, CustomScan.custom_private: a list of integers, and for each column of custom_scan_tlist a list of
 * an AlexAnswer, a column of the index, from 0, and the number of a filter or -1. custom_plans are the scan of the index, and for each filter one of what
 * passes it; none of them is run.
 */
enum AlexAggregatePrivate
{
	ALEX_AGGREGATE_SETTINGS,	/* list of integers, as below */
	ALEX_AGGREGATE_ANSWERS,		/* list of lists of three integers */
};

enum AlexAggregateSettings
{
	ALEX_GROUPED,				/* is there a GROUP BY? */
	ALEX_GROUP_COLUMNS,			/* columns of the index, from the first, that tell groups apart */
	ALEX_SMALL_GROUPS,			/* groups are expected to be small */
	ALEX_SKIP_COLUMNS,			/* of all rows with the same values of so many columns one is enough; 0: it is not so */
};

/* Called once, when the library is loaded. */
extern void alex_install_aggregate(void);

/* alex_aggregate.c */
extern Node *alex_create_aggregate_state(CustomScan *plan);

/* alex_aggregate_plan.c; the executor's node has its name, too */
extern const CustomScanMethods alex_aggregate_scan;
#define ALEX_AGGREGATE_NAME "AlexAggregate"

#endif							/* ALEX_AGGREGATE_H */
