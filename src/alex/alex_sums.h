/*
 * alex_sums.h - what an aggregate needs of a column, gathered, and its result.
 */
#ifndef ALEX_SUMS_H
#define ALEX_SUMS_H

#include "postgres.h"

#include "alex_aggregate.h"
#include "alex_answer.h"
#include "alex_keys.h"

/* A column of the index that is aggregated, and what has been gathered of it. */
typedef struct AlexColumnSums
{
	int			column;
	bool		summed;
	bool		extremes;
	bool		distinct;
	bool		floating;		/* the sum is that of floating-point numbers */
	bool		bulk;			/* gathered word by word: one word, no float, passed by value */

	uint64		count;			/* rows without NULL */
	AlexSum		sum;			/* of the images */
	double		float_sum;
	float		float4_sum;
	bool		infinite;		/* one of the numbers was, or was no number */
	uint64		values;			/* distinct ones */
	uint64	   *last;			/* record with the last of them */
	uint64	   *least;			/* record with the least value, where there is any */
	uint64	   *greatest;
} AlexColumnSums;

/* Room for the values of the result that are passed by reference comes from the current context. */
extern void alex_sums_begin(AlexColumnSums *sums, const AlexKeyInfo *info, int column);

/* Notes that an answer will be wanted. */
extern void alex_sums_want(AlexColumnSums *sums, AlexAnswer answer);

/* Forgets what was gathered. */
extern void alex_sums_reset(AlexColumnSums *sums);

/* Adds a record; those of distinct columns come in order. */
extern void alex_sums_add(AlexColumnSums *sums, const AlexKeyInfo *info, const uint64 *record);

/*
 * Adds n words of the column: those whose bit is set, none of them NULL. Only with "bulk".
 */
extern void alex_sums_add_words(AlexColumnSums *sums, const AlexKeyInfo *info, const uint64 *words, uint32 n, const uint64 *bits);

/* The result of an aggregate over the column, in the current context. */
extern Datum alex_sums_result(const AlexColumnSums *sums, const AlexKeyInfo *info, AlexAnswer answer, bool *isnull);

/* A column of a record, in the current context. */
extern Datum alex_record_value(const AlexKeyInfo *info, int column, const uint64 *record, bool *isnull);

#endif							/* ALEX_SUMS_H */
