/*
 * alex_ranges.h - from scan keys to what a scan has to read.
 */
#ifndef ALEX_RANGES_H
#define ALEX_RANGES_H

#include "postgres.h"

#include "access/skey.h"

#include "alex_keys.h"
#include "key_ranges.h"

/*
 * What a scan reads: ranges of positions in index order, one for each of n intervals of one column. The columns before
 * it have one code each, which is in "prefix". Where keys restrict columns behind it, too, "filtered" is set, n is at most 1 and only
 * those records of the range count that are in the box.
 */
typedef struct AlexScanPlan
{
	int			column;
	int			n;
	bool		filtered;
	uint64		prefix[ALEX_MAX_WORDS + 1];
	int			base;			/* where the last string in it ends */
	AlexInterval *intervals;
	int			capacity;
	AlexBox		box;
	bool		box_recheck;	/* what is in the box may fail the scan keys */
	MemoryContext context;		/* of this scan: all that the plan points to */
	MemoryContext sets;			/* of the current keys: the box's sets; NULL while there are none */
} AlexScanPlan;

/* Begins a plan of an index, without any range. Its memory comes from the current context. */
extern void alex_begin_plan(AlexScanPlan *plan);

/*
 * Plans a scan for scan keys (implicitly ANDed: comparison operators with btree's strategy numbers, cross-type ones
 * through sk_subtype, SK_SEARCHARRAY, SK_SEARCHNULL, SK_SEARCHNOTNULL, row comparisons). Without scan keys it is one range that
 * covers everything, NULLs included; contradictory keys give none. Plain keys that leave one range allocate nothing.
 */
extern void alex_plan_scan(const AlexKeyInfo *info, ScanKey keys, int nkeys, AlexScanPlan *plan);

/* Range i of a plan: positions low <= p < high. */
extern void alex_plan_range(const AlexKeyInfo *info, const AlexScanPlan *plan, int i, uint64 *low, uint64 *high);

/* May records in range i fail the scan keys? */
static inline bool
alex_plan_recheck(const AlexScanPlan *plan, int i)
{
	return plan->filtered ? plan->box_recheck : plan->intervals[i].recheck;
}

extern void alex_end_plan(AlexScanPlan *plan);

#endif							/* ALEX_RANGES_H */
