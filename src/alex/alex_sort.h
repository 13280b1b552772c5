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
 * Copies the next (at most) n records in order to out; returns how many, 0 at the end.
 */
extern uint32 alex_sort_get(AlexSort *sort, uint64 *out, uint32 n);

extern void alex_sort_end(AlexSort *sort);

#endif							/* ALEX_SORT_H */
