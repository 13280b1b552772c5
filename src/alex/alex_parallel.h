/*
 * alex_parallel.h - index builds by several processes.
 */
#ifndef ALEX_PARALLEL_H
#define ALEX_PARALLEL_H

#include "postgres.h"

#include "access/parallel.h"
#include "access/tableam.h"

#include "alex_sort.h"

struct IndexInfo;
typedef struct AlexBuildShared AlexBuildShared;

/* A build with workers, in the process that leads it. */
typedef struct AlexParallel
{
	ParallelContext *context;
	AlexBuildShared *shared;
	Snapshot	snapshot;
	ParallelTableScanDesc scan; /* shared: for alex_build_collect() */
	bool		leader_collects;	/* the leader, too, is to read a part of the table */
	int			collectors;		/* processes that read, and sort what they read */
	WalUsage   *wal_usage;
	BufferUsage *buffer_usage;
} AlexParallel;

/* Starts at most so many workers. NULL, with nothing begun, if there are none. */
extern AlexParallel *alex_parallel_begin(Relation heap, Relation rel, struct IndexInfo *info, int request);

/* Waits until all workers have read and sorted, and adds their records to the sort. Returns the rows they saw. */
extern double alex_parallel_finish(AlexParallel *parallel, Relation rel, struct IndexInfo *info, AlexSort *sort, bool *misfit);

/* After the end of the sort. */
extern void alex_parallel_end(AlexParallel *parallel);

/* ---- alex_build.c ---- */

/*
 * Puts a record for every row to be indexed into a sort of records of alex_build_sort_words(); of those that fall to this process, if
 * the scan is shared. Returns the number of live rows, as ambuild does. "misfit" is set if a row is too long in the codes of the metapage: the
 * records are of no use then.
 */
extern double alex_build_collect(Relation heap, Relation rel, struct IndexInfo *info, ParallelTableScanDesc scan, AlexSort *sort,
								 bool *misfit);
extern int	alex_build_sort_words(Relation rel);

#endif							/* ALEX_PARALLEL_H */
