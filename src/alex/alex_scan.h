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

/* A position with its number of key words. */
typedef struct AlexPlace
{
	int			words;
	uint64	   *word;			/* room for the index's words, and the tie */
} AlexPlace;

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
	AlexPlace	low;			/* what is left of the range, beyond the batch */
	AlexPlace	high;

	/* repeated probes */
	uint64		fetched;		/* tuples returned in all, before the batch */
	AlexAhead  *ahead;			/* NULL: not yet, or not for this table */
	AlexReadahead readahead;

	/* the batch */
	uint64	   *tuples;			/* of "stride" words each (alex_tuples.h) */
	int			words;			/* key words of each: those of the leaf */
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
	AlexPlace	mark;
} AlexScan;

static inline void
alex_place_set(AlexPlace *place, const uint64 *position, int words)
{
	place->words = words;
	/* a call of memcpy() costs more than the copy */
	place->word[0] = position[0];
	if (words > 0)
		place->word[1] = position[1];
	if (words > 1)
		memcpy(place->word + 2, position + 2, (words - 1) * sizeof(uint64));
}

static inline void
alex_place_copy(AlexPlace *to, const AlexPlace *from)
{
	alex_place_set(to, from->word, from->words);
}

static inline int
alex_place_compare(const AlexPlace *a, const AlexPlace *b)
{
	return alex_compare_widths(a->word, a->words, b->word, b->words);
}

/* Gives a place all words of the index. */
static inline void
alex_place_widen(const AlexScan *so, AlexPlace *place)
{
	if (likely(place->words == so->index.words))
		return;
	alex_widen_position(place->word, place->words, place->word, so->index.words);
	place->words = so->index.words;
}

/* A fence of a node. */
static inline void
alex_place_low(AlexPlace *place, Page page)
{
	place->words = alex_cheader(page)->words;
	alex_low_fence(page, place->word);
}

static inline void
alex_place_high(AlexPlace *place, Page page)
{
	place->words = alex_cheader(page)->words;
	alex_high_fence(page, place->word);
}

/*
 * Of a plan that filters: moves the beginning of what is to come, in the direction of the scan, to the next position that can match, so
 * that no leaf is read for what comes before it.
 */
extern void alex_scan_skip(AlexScan *so);

/* Makes range i the current one, with all of it still to come that can match. False if there is none. */
extern bool alex_scan_enter_range(AlexScan *so, int i);

/*
 * The leaf where what is to come begins in this direction, pinned and share-locked: the hinted block if it covers that, else by route or
 * descent.
 */
extern Buffer alex_scan_find_leaf(IndexScanDesc scan, bool forward);

/*
 * The next part of a parallel scan for this process: what is to come of a range on one leaf, which becomes the current range.
 * False if nothing is left.
 */
extern bool alex_scan_claim(IndexScanDesc scan, bool forward);

#endif							/* ALEX_SCAN_H */
