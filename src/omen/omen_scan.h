/*
 * omen_scan.h - what the scans of a table share: their state, the visible rows of a page, and the quick test of a head.
 *
 * A scan with an MVCC snapshot takes a page at a time: under the share lock it notes where the visible versions are,
 * and then hands them out from the pinned page. A scan that must copy takes the page along and lets go of the pin; see
 * "When bytes may be overwritten" in the README. Other snapshots are asked row by row, as heap asks them: SnapshotDirty
 * says who to wait for.
 */
#ifndef OMEN_ALEX_OMEN_SCAN_H
#define OMEN_ALEX_OMEN_SCAN_H

#include "omen.h"

#include "storage/predicate.h"

#if PG_VERSION_NUM >= 170000
#include "storage/read_stream.h"
#endif

/* A visible version of a row of the current page. */
typedef struct OmenRow
{
	HeapTupleHeader data;
	uint16		length;			/* without the link */
	OffsetNumber line;
	bool		in_page;		/* data points into the page in scan->buffer; otherwise into memory of the scan */
} OmenRow;

typedef struct OmenScanData
{
	TableScanDescData base;		/* must be first */

	bool		copy;			/* no pin is kept while rows are handed out, and slots hold copies */
	bool		pagewise;		/* the rows of a page are collected at once */

	/* which blocks: `first` to `last`, wrapping around at the end of the table; none if `nblocks` or `count` is 0 */
	BlockNumber nblocks;
	BlockNumber first;
	BlockNumber last;
	BlockNumber count;
	ItemPointerData min_tid;	/* of a scan of a TID range */
	ItemPointerData max_tid;

	BufferAccessStrategy strategy;
	ParallelBlockTableScanWorkerData *worker;
#if PG_VERSION_NUM >= 170000
	ReadStream *stream;			/* NULL: blocks are read one by one */
#endif

	/* how far it is */
	ScanDirection direction;
	bool		started;
	BlockNumber ahead;			/* the block asked for last: of a stream, ahead of `block`; invalid: no more */
	BlockNumber block;			/* the current one; invalid: before the first, or after the last */
	Buffer		buffer;			/* the pin on it, if one is held */
	OffsetNumber lines;			/* line pointers it had */
	OffsetNumber line;			/* row by row: where we are in the block; invalid: the block is done */
	TransactionId horizon;		/* of ANALYZE, from 19 on: as it was when the block was entered */

	/* page at a time */
	HeapTupleData tuple;		/* the current row; slots point to it */
	int			nrows;
	int			current;
	char	   *page_copy;		/* the page, if rows are copied; made when first needed */
	MemoryContext versions;		/* holds versions from the store; made when first needed */
	OmenRow		rows[MaxHeapTuplesPerPage]; /* ascending by line for scans of all rows */
} OmenScanData;

/* ---- omen_scan.c ---- */

/* The next block a scan of the table is to read; invalid: no more. */
extern BlockNumber omen_scan_next_block(OmenScan scan);

/*
 * Collects the visible versions of the page in scan->buffer, which is pinned and not locked: of all rows, or of those
 * at `offsets`. If rows are copied the pin is gone afterwards.
 */
extern void omen_scan_collect(OmenScan scan, bool prune, const OffsetNumber *offsets, int noffsets);

/* ---- omen_bitmap.c, omen_sample.c, omen_analyze.c: fill in their callbacks ---- */
extern void omen_bitmap_callbacks(TableAmRoutine *routine);
extern void omen_sample_callbacks(TableAmRoutine *routine);
extern void omen_analyze_callbacks(TableAmRoutine *routine);
#if PG_VERSION_NUM >= 180000
extern ReadStream *omen_bitmap_stream(OmenScan scan);
#endif

/* ---- omen_fetch.c ---- */

/*
 * Puts the version of a row that a snapshot sees into a slot; false: none. The page is pinned and share-locked. With
 * `lock` a serializable transaction gets a predicate lock on the row. `all_dead` as for omen_visible_version.
 */
extern bool omen_row_to_slot(Relation rel, Buffer buffer, OffsetNumber offnum, Snapshot snapshot, bool copy, bool lock,
							 TupleTableSlot *slot, bool *all_dead);

/* ---- omen_slot.c ---- */

/* Copies a tuple into a slot of TTSOpsBufferHeapTuple. Sets tts_tid and tts_tableOid. */
extern void omen_copy_to_slot(HeapTuple tuple, TupleTableSlot *slot);

/* ---- small things ---- */

/* Is every head of a page visible to an MVCC snapshot, whichever it is? In recovery the flag is not to be trusted. */
static inline bool
omen_page_all_visible(Page page, Snapshot snapshot)
{
	return PageIsAllVisible(page) && !snapshot->takenDuringRecovery;
}

/* Fills in a tuple from the item of a head. */
static inline void
omen_head_tuple(Relation rel, Page page, BlockNumber block, OffsetNumber offnum, ItemId lp, HeapTuple tuple)
{
	omen_require_item(rel, block, page, offnum, lp);
	tuple->t_data = (HeapTupleHeader) PageGetItem(page, lp);
	tuple->t_len = ItemIdGetLength(lp) - OMEN_LINK_SIZE;
	tuple->t_tableOid = RelationGetRelid(rel);
	ItemPointerSet(&tuple->t_self, block, offnum);
}

#endif							/* OMEN_ALEX_OMEN_SCAN_H */
