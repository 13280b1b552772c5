/*
 * alex_sort.h - external sort of leaf records for index builds.
 */
#ifndef ALEX_SORT_H
#define ALEX_SORT_H

#include "postgres.h"

#include "storage/fileset.h"

typedef struct AlexSort AlexSort;

/*
 * Sorts records of "words" words, using about "work_mem" kilobytes. All memory comes from the current context. With a set of
 * files, the records are for alex_sort_give(), as the part of that number.
 */
extern AlexSort *alex_sort_begin(int words, int work_mem, FileSet *set, int part);

extern void alex_sort_put(AlexSort *sort, const uint64 *record);

/* ---- several processes: all but one give their parts, that one takes them ---- */

/* What the taker must be told of a part. */
typedef struct AlexSortPart
{
	uint64		records;
	uint32		runs;
} AlexSortPart;

/* Ends the input, leaves it sorted in the set of files, and ends the sort. */
extern void alex_sort_give(AlexSort *sort, AlexSortPart *part);

/* Adds a part to the input. */
extern void alex_sort_take(AlexSort *sort, FileSet *set, int number, const AlexSortPart *part);

/* Sorts what is in memory; worth while when alex_sort_perform() has to wait for others. */
extern void alex_sort_ahead(AlexSort *sort);

/* ---- the result ---- */

/* Ends the input. Returns the number of records. */
extern uint64 alex_sort_perform(AlexSort *sort);

/*
 * The next records in order, one after the other in memory: *n of them, at least "wanted" unless there are no more, and at
 * most UINT32_MAX. The caller may change them. "wanted" is at most ALEX_SORT_WINDOW.
 */
#define ALEX_SORT_WINDOW (1 << 17)
extern uint64 *alex_sort_peek(AlexSort *sort, uint32 wanted, uint32 *n);

/* Leaves the next n records behind, which must have been peeked at. */
extern void alex_sort_skip(AlexSort *sort, uint32 n);

extern void alex_sort_end(AlexSort *sort);

#endif							/* ALEX_SORT_H */
