/*
 * alex_sort.h - external sort of leaf records for index builds.
 */
#ifndef ALEX_SORT_H
#define ALEX_SORT_H

#include "postgres.h"

typedef struct AlexSort AlexSort;

/* Sorts records of "words" words, using about "work_mem" kilobytes. All memory comes from the current context. */
extern AlexSort *alex_sort_begin(int words, int work_mem);

extern void alex_sort_put(AlexSort *sort, const uint64 *record);

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
