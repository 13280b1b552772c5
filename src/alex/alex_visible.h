/*
 * alex_visible.h - which rows of the table a snapshot sees, for many index entries at once.
 */
#ifndef ALEX_VISIBLE_H
#define ALEX_VISIBLE_H

#include "postgres.h"

#include "access/relscan.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* Pages of the visibility map that stay pinned: each is for 256 MB of table (blocks of 8 KB). Power of two. */
#define ALEX_MAP_PAGES 16

/* Entries asked about at once. */
#define ALEX_VISIBLE_MOST 1024

typedef struct AlexMapPage
{
	BlockNumber number;			/* of the page of the map; InvalidBlockNumber: none */
	Buffer		buffer;
} AlexMapPage;

typedef struct AlexVisible
{
	Relation	heap;
	Relation	index;			/* whose entries they are */
	BlockNumber leaf;			/* where the entries asked about come from, set by the caller */
	Snapshot	snapshot;
	bool		is_heap;		/* read its pages ourselves */
	bool		trusted;		/* the map may be believed: not in recovery */
	bool		serializable;	/* what was read must be noted block by block */
	BlockNumber nblocks;		/* the table had so many when it was last looked */
	BlockNumber noted;			/* the last block that was noted */
	AlexMapPage pages[ALEX_MAP_PAGES];
	IndexFetchTableData *fetch; /* for tables that are no heap */
	TupleTableSlot *slot;
	uint64		fetches;		/* entries that the table was asked about */
	uint64	   *asked;			/* room for these */
} AlexVisible;

extern void alex_visible_begin(AlexVisible *visible, Relation heap, Relation index, Snapshot snapshot);
extern void alex_visible_end(AlexVisible *visible);

/*
 * Are all rows in these blocks visible to everyone? The entries that name them have been read before, and their leaf is still pinned.
 * "greatest" is only a bound, and may be beyond the end of the table. False if it would take more than "effort" bytes of the map to tell.
 * Where it is false *hidden is the first block that is not all-visible, if that is known, else InvalidBlockNumber.
 */
extern bool alex_blocks_visible(AlexVisible *visible, BlockNumber least, BlockNumber greatest, uint32 effort,
								BlockNumber *hidden);

/*
 * Clears the bits of those entries whose rows the snapshot does not see: n of them, at most ALEX_VISIBLE_MOST, of which the bits that are not
 * set are not looked at. Ties are those of entries that have been read before, and whose leaf is still pinned.
 */
extern void alex_entries_visible(AlexVisible *visible, const uint64 *ties, int stride, uint32 n, uint64 *bits);

#endif							/* ALEX_VISIBLE_H */
