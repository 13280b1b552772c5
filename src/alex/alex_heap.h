/*
 * alex_heap.h - reading a table for an index build.
 */
#ifndef ALEX_HEAP_H
#define ALEX_HEAP_H

#include "postgres.h"

#include "access/tableam.h"

/*
 * table_index_build_scan(), faster for plain columns of heap tables. Rows do not come in the order of their TIDs where
 * there are chains of versions. With "shared", all processes that call it with that read the table together, and each gets
 * its share of the rows. "progress": report it.
 */
extern double alex_heap_scan(Relation heap, Relation rel, struct IndexInfo *info, ParallelTableScanDesc shared, bool progress,
							 IndexBuildCallback callback, void *state);

#endif							/* ALEX_HEAP_H */
