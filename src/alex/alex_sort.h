/*
 * alex_sort.h - external sort of leaf records for index builds.
 */
#ifndef ALEX_SORT_H
#define ALEX_SORT_H

#include "postgres.h"

#include "storage/fileset.h"

typedef struct AlexSort AlexSort;

/*
 * Sorts records of "words" words, that is of words - 1 key words and a tie, or of more, using about "work_mem" kilobytes. In memory all have
 * as many as the longest needs, and so do those of each run on disk; those handed out have alex_sort_words(). All memory comes from the current context. With a set of
 * files, the records are for alex_sort_give(), as the part of that number.
 */
extern AlexSort *alex_sort_begin(int words, int work_mem, FileSet *set, int part);

/* Adds a record of "key_words" key words and a tie. */
extern void alex_sort_put(AlexSort *sort, const uint64 *record, int key_words);

/* ---- several processes: all but one give their parts, that one takes them ---- */

/* What the taker must be told of a part. */
typedef struct AlexSortPart
{
	uint64		records;
	uint64		bytes;			/* of all its runs */
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

/* The words of every record then. */
extern int	alex_sort_words(const AlexSort *sort);

/*
 * The next records in order, one after the other in memory: *n of them, at least "wanted" unless there are no more, and at
 * most UINT32_MAX. The caller may change them. "wanted" is at most ALEX_SORT_WINDOW, of keys of more than ALEX_MAX_FIXED_WORDS an eighth
 * of that.
 */
#define ALEX_SORT_WINDOW (1 << 17)
extern uint64 *alex_sort_peek(AlexSort *sort, uint32 wanted, uint32 *n);

/* Leaves the next n records behind, which must have been peeked at. */
extern void alex_sort_skip(AlexSort *sort, uint32 n);

extern void alex_sort_end(AlexSort *sort);

#endif							/* ALEX_SORT_H */
