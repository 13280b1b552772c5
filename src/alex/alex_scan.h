/*
 * alex_scan.h - the state of an index scan.
 */
#ifndef ALEX_SCAN_H
#define ALEX_SCAN_H

#include "alex.h"

#include "access/itup.h"

#include "alex_ahead.h"
#include "alex_ranges.h"
#include "alex_readahead.h"

/* Records of the first batch of a scan of which nothing is known. */
#define ALEX_FIRST_BATCH 4

/* What the processes of a parallel scan share; alex_scan_parallel.c. */
typedef struct AlexSharedScan AlexSharedScan;

typedef struct AlexScan
{
	AlexIndex	index;
	MemoryContext context;
	bool		index_only;

	/* what to scan */
	bool		prepared;		/* the plan is that of the current scan keys */
	AlexScanPlan plan;

	/* where it is */
	bool		started;
	bool		forward;		/* direction of the batch */
	int			current;		/* range, -1 before the first, plan.n behind the last */
	bool		recheck;		/* of the range */
	uint64		low[ALEX_MAX_WORDS + 1];	/* what is left of the range, beyond the batch */
	uint64		high[ALEX_MAX_WORDS + 1];

	/* repeated probes */
	uint64		fetched;		/* tuples returned in all, before the batch */
	AlexAhead  *ahead;			/* NULL: not yet, or not for this table */
	AlexReadahead readahead;

	/* the batch */
	uint64	   *tuples;			/* of "stride" words each (alex_tuples.h) */
	int			stride;
	int			header;			/* the word with the TID */
	IndexTuple	formed;			/* what an index-only scan returned last, where "tuples" are not it */
	uint32		ntuples;
	uint32		next;			/* the tuple to return next */
	uint32		batch_size;
	uint32		returned;		/* tuples of the batches before this one */
	Size		allocated;		/* words */

	/* the leaf it came from */
	BlockNumber leaf;
	XLogRecPtr	leaf_lsn;		/* when it was read */
	Buffer		pin;			/* its pin, if kept */
	uint32		nkilled;
	uint16	   *killed;			/* tuples of the batch whose rows are dead to everyone */
	BlockNumber crowded;		/* leaf in which such were met last */
	uint32		unmarked;		/* how many of them could not be marked */

	/* the leaf to read next */
	BlockNumber block;			/* invalid: descend */

	/* a scan in parallel */
	AlexSharedScan *shared;		/* NULL: it is none */

	/* marked place */
	bool		marked;
	bool		at_mark;		/* the mark was restored and nothing returned since */
	int			mark_current;
	uint64		mark[ALEX_MAX_WORDS + 1];
} AlexScan;

static inline void
alex_copy_position(const AlexScan *so, uint64 *to, const uint64 *from)
{
	/* a call of memcpy() costs more than the copy */
	to[0] = from[0];
	to[1] = from[1];
	if (so->index.words > 1)
		memcpy(to + 2, from + 2, (so->index.words - 1) * sizeof(uint64));
}

/* The position before a position; there is one, as the caller knows of a smaller position. */
static inline void
alex_scan_previous(const AlexScan *so, const uint64 *position, uint64 *previous)
{
	alex_copy_position(so, previous, position);
	for (int i = so->index.words; i >= 0; i--)
		if (previous[i]-- != 0)
			break;
}

/*
 * Of a plan that filters: moves the beginning of what is to come, in the direction of the scan, to the next position that can match, so
 * that no leaf is read for what comes before it.
 */
extern void alex_scan_skip(AlexScan *so);

/* Makes range i the current one, with all of it still to come that can match. False if there is none. */
extern bool alex_scan_enter_range(AlexScan *so, int i);

/* The leaf that covers the position, pinned and share-locked: the hinted block if it does, else by route or descent. */
extern Buffer alex_scan_find_leaf(IndexScanDesc scan, const uint64 *position);

/*
 * The next part of a parallel scan for this process: what is to come of a range on one leaf, which becomes the current range.
 * False if nothing is left.
 */
extern bool alex_scan_claim(IndexScanDesc scan, bool forward);

#endif							/* ALEX_SCAN_H */
