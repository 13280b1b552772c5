/*
 * omen.h - what the files of the omen table access method share: page formats, and the functions one file offers another.
 *
 * The algorithm, the locking order and the rules behind these functions are in src/omen/README.md.
 */
#ifndef OMEN_ALEX_OMEN_H
#define OMEN_ALEX_OMEN_H

#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/relscan.h"
#include "access/rmgr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "linked_page.h"
#include "omen_core.h"

/* ---- page formats ------------------------------------------------------------------------------------------------
 *
 * Row page: a standard page whose special area is a mark, by which it is known as ours: pages of a heap table have none, and
 * else look the same. A line pointer is a row, its item the newest version (the head):
 *
 *   +-----------------+-------+-----------+-----+-----------+
 *   | HeapTupleHeader | nulls | user data | pad | OmenLink  |      lp_len counts all of it
 *   +-----------------+-------+-----------+-----+-----------+
 *
 * The link is the last 8 bytes of every item, and not aligned. It says where the version is that this one replaced. Tuples
 * handed out have a t_len without it, so outside this access method nobody ever sees a link.
 * An older version still in the page has the same form, but no line pointer.
 */
StaticAssertDecl(sizeof(OmenLink) == 8, "the link is part of the disk format");
StaticAssertDecl(OMEN_SAME_PAGE == InvalidBlockNumber, "a link within the page names no block");

typedef struct OmenRowMark
{
	uint32		magic;			/* OMEN_ROWS_MAGIC */
	uint16		version;		/* OMEN_FORMAT_VERSION */
	uint16		unused;
} OmenRowMark;

#define OMEN_ROWS_MAGIC 0x4F4D5257 /* "OMRW" */
#define OMEN_MARK_SIZE MAXALIGN(sizeof(OmenRowMark))
#define OMEN_ROWS_END (BLCKSZ - OMEN_MARK_SIZE)

/* The longest item of a row: heap's limit less the mark, its link included; and the longest row. */
#define OMEN_MAX_ITEM (MaxHeapTupleSize - OMEN_MARK_SIZE)
#define OMEN_MAX_ROW ((Size) OMEN_MAX_ITEM - OMEN_LINK_SIZE)
#define OMEN_MIN_ITEM (SizeofHeapTupleHeader + OMEN_LINK_SIZE)

StaticAssertDecl(OMEN_MIN_ITEM == OMEN_SHORTEST_ITEM && OMEN_BODY == offsetof(HeapTupleHeaderData, t_hoff),
				 "the core knows the header of a tuple");

/*
 * Store page: older versions moved out of row pages. pd_lower = pd_upper = SizeOfPageHeaderData, so that it looks full
 * and empty to whoever looks for room or for line pointers; records follow each other from there to `fill`.
 */
typedef struct OmenStoreSpecial
{
	uint32		magic;			/* OMEN_STORE_MAGIC */
	uint16		version;		/* OMEN_FORMAT_VERSION */
	uint16		fill;			/* where the next record begins */
	TransactionId newest;		/* the newest superseder of any record here; invalid: no record */
	uint32		generation;		/* counts how often the page was recycled */
} OmenStoreSpecial;

#define OMEN_STORE_MAGIC 0x4F4D5653 /* "OMVS" */
#define OMEN_FORMAT_VERSION 3

/* The records (OmenRecord): versions, most as what the version after each of them changed. */
StaticAssertDecl(sizeof(OmenRecord) == 28, "the record header is part of the disk format");

#define OMEN_STORE_START MAXALIGN(SizeOfPageHeaderData)
#define OMEN_STORE_END (BLCKSZ - MAXALIGN(sizeof(OmenStoreSpecial)))
#define OMEN_STORE_CAPACITY (OMEN_STORE_END - OMEN_STORE_START)

typedef enum OmenPageKind
{
	OMEN_PAGE_NEW,				/* all zeroes, or a page without line pointers that core has just made: nobody's yet */
	OMEN_PAGE_ROWS,
	OMEN_PAGE_STORE
} OmenPageKind;

/* Is this what a link from a version of `row`, with xmin `superseder`, leads to? */
static inline bool
omen_record_is(const OmenRecord *record, const ItemPointerData *row, TransactionId superseder)
{
	return memcmp(record->row, row, sizeof(record->row)) == 0 && record->superseder == superseder;
}

static inline OmenStoreSpecial *
omen_store_special(Page page)
{
	return (OmenStoreSpecial *) ((char *) page + OMEN_STORE_END);
}

/* ---- pages (omen_page.c) ------------------------------------------------------------------------------------------ */

/* What page this is; an error (ERRCODE_DATA_CORRUPTED) if it is none of ours. The page is locked. */
extern OmenPageKind omen_page_kind(Relation rel, BlockNumber block, Page page);

/* Makes an empty row page of it. */
extern void omen_init_rows(Page page);

/* The error that says that a page is none of ours, and, if it is heap's, how that may have come. */
pg_noreturn extern void omen_foreign_page(Relation rel, BlockNumber block, Page page);

/* The error that says that a row, or an entry of an index, names a block that is not there. */
pg_noreturn extern void omen_no_block(Relation rel, BlockNumber block);

/* ReadBuffer() for a block that a row or an entry names. */
static inline Buffer
omen_pin(Relation rel, BlockNumber block)
{
	if (unlikely(!block_exists(rel, block)))
		omen_no_block(rel, block);
	return ReadBuffer(rel, block);
}

/* Whoever has found a line pointer makes sure that it is one of ours before the row is looked at. The mark itself is read by omen_page_kind(). */
static inline void
omen_require_rows(Relation rel, BlockNumber block, Page page)
{
	if (unlikely(((PageHeader) page)->pd_special != OMEN_ROWS_END))
		omen_foreign_page(rel, block, page);
}

/* Raised whenever a chain or page is not what it must be. */
pg_noreturn extern void omen_corrupted(Relation rel, BlockNumber block, OffsetNumber offnum, const char *what);

/* Lies the item of a line pointer within the page, and its header within the item? */
static inline void
omen_require_item(Relation rel, BlockNumber block, Page page, OffsetNumber offnum, ItemId lp)
{
	Size		length = ItemIdGetLength(lp);

	if (unlikely(length < OMEN_MIN_ITEM || ItemIdGetOffset(lp) + length > OMEN_ROWS_END ||
				 ((HeapTupleHeader) PageGetItem(page, lp))->t_hoff + OMEN_LINK_SIZE > length))
		omen_corrupted(rel, block, offnum, "its line pointer leads to no row");
}

/*
 * RelationGetBufferForTuple() for one row page, which has room for an item of `length` bytes. It is pinned and exclusively locked, and marked as ours if it is
 * new; with the map's page pinned if it is all-visible.
 */
extern Buffer omen_get_page(Relation rel, Size length, int options, struct BulkInsertStateData *bistate,
							Buffer *vmbuffer, int npages);

/* An error if a table that is being created is to exchange its file with one of another access method (omen_repair.c). */
extern void omen_refuse_foreign_copy(Relation copy);

/* What the free space map is told: an empty page counts as wholly free, as in heap, so that rows of any length find it. */
extern Size omen_page_room(Page page);

/* ---- versions (omen_version.c) ------------------------------------------------------------------------------------ */

/* One version of a row. */
typedef struct OmenVersion
{
	HeapTupleData tuple;		/* t_self: the row; t_len: without the link; t_data: in the page, or in `copy` */
	OmenLink	link;			/* to the version before it */
	TransactionId superseder;	/* xmin of the version after it; invalid: this is the head */
	bool		in_page;		/* t_data points into the row page */
	PGAlignedBlock copy;		/* of a version that came from the store */
} OmenVersion;

/*
 * All of these: the buffer of the row page is pinned and at least share-locked, and stays so while versions are walked.
 */

/* The head of a row. False: the line pointer is unused or dead. */
extern bool omen_head(Relation rel, Buffer buffer, OffsetNumber offnum, OmenVersion *version);

/* Steps to the version before. False: there is none. Only legal while somebody may still need that version: see README. */
extern bool omen_older(Relation rel, Buffer buffer, OmenVersion *version);

/*
 * The version of a row that a snapshot sees; false: none. For serializable transactions it also notes the conflicts
 * that reading the row makes (but takes no predicate lock). SnapshotDirty gets its xmin, xmax, token set as heap would.
 * For other than MVCC snapshots: SnapshotAny gives the newest version that is committed or our own; SnapshotSelf likewise, unless it is deleted.
 * With `all_dead` not NULL: set to whether the row is dead to all.
 */
extern bool omen_visible_version(Relation rel, Buffer buffer, OffsetNumber offnum, Snapshot snapshot,
								 OmenVersion *version, bool *all_dead);

/* Does a snapshot see the effects of xmin (of a version with this header)? Sets no hint bits. MVCC snapshots. */
extern bool omen_xmin_visible(HeapTupleHeader header, Snapshot snapshot);

/* tuple_satisfies_snapshot, by the header alone; any snapshot type it makes sense for */
extern bool omen_header_visible(HeapTupleHeader header, Snapshot snapshot);

/*
 * The state of a row as a whole, as HeapTupleSatisfiesVacuum says it of a tuple, and the version that stands for it: the head or, if
 * the head's inserter aborted or (unless it is us) is in progress and there is an older version, the newest that is not such.
 * An update in progress is not an insert in progress: the row is LIVE, by its older version.
 */
extern HTSV_Result omen_row_status(Relation rel, Buffer buffer, OffsetNumber offnum, TransactionId oldest_xmin,
								   OmenVersion *version);

/* HeapTupleSatisfiesVisibility, but hint bits are not set. */
extern bool omen_satisfies_unhinted(HeapTuple tuple, Snapshot snapshot, Buffer buffer);

/*
 * Are row pages compared with what records say? Records of heap's are, too, and their masks know heap's rows only, not what is behind them
 * in an omen page.
 */
static inline bool
omen_pages_checked(void)
{
	return unlikely(wal_consistency_checking[RM_GENERIC_ID] || wal_consistency_checking[RM_HEAP_ID] || wal_consistency_checking[RM_HEAP2_ID]);
}

/*
 * May hint bits be set, and other bytes that are not logged? Not while row pages are checked: nothing masks them in a page that is compared with
 * what its last record says, be it on a standby between replay and check, or in the recovery of a server that had them on disk.
 */
static inline bool
omen_may_hint(void)
{
	return !omen_pages_checked();
}

/* A tuple for one of heap's functions that set hint bits: itself, or, where they may not, one with a header of its own, in *copy and *header. */
static inline HeapTuple
omen_hintable(HeapTuple tuple, HeapTuple copy, HeapTupleHeader header)
{
	if (omen_may_hint())
		return tuple;
	*copy = *tuple;
	memcpy(header, tuple->t_data, SizeofHeapTupleHeader);
	copy->t_data = header;
	return copy;
}

/* Is a head visible to a snapshot? Sets hint bits as heap does. */
static inline bool
omen_satisfies(HeapTuple tuple, Snapshot snapshot, Buffer buffer)
{
	if (!omen_may_hint())
		return omen_satisfies_unhinted(tuple, snapshot, buffer);
	return HeapTupleSatisfiesVisibility(tuple, snapshot, buffer);
}

/*
 * What serializable transactions lock when they read a version, and check when they replace it: not the row, or who reads an old version
 * would be in conflict with who replaces a newer one.
 */
extern void omen_predicate_target(ItemPointer row, TransactionId raw_xmin, ItemPointer target);

/* ---- slots (omen_slot.c) ------------------------------------------------------------------------------------------ */

/*
 * Must tuples be copied into slots? Yes if we may want the cleanup lock on pages that our own slots would pin, or in recovery, where
 * replay compacts pages under pins. Asked once, when a scan begins.
 */
extern bool omen_must_copy(Relation rel);

/*
 * Puts a version into a slot, which must be of TTSOpsBufferHeapTuple. Unless `copy` is given or the version came from the store, the
 * slot points into the page and pins it (the caller's own pin stays its own). Sets tts_tid and tts_tableOid.
 */
extern void omen_store_slot(Relation rel, Buffer buffer, OmenVersion *version, bool copy, TupleTableSlot *slot);

/* ---- pruning (omen_prune.c) --------------------------------------------------------------------------------------- */

typedef struct OmenPruneResult
{
	int			restored;		/* aborted updates undone */
	int			ndead;			/* rows newly made LP_DEAD */
	int			offloaded;		/* versions moved to the store */
	int			dropped;		/* versions forgotten */
	int			reclaimed;		/* of what n_dead_tup counts, how much is gone */
} OmenPruneResult;

/*
 * On entering a row page: prune it if it is nearly full and it looks worth it, and the cleanup lock is to be had at once. The buffer is
 * pinned once by the caller, and not locked. Never waits. Does nothing in recovery.
 */
extern void omen_prune_opt(Relation rel, Buffer buffer);

/*
 * Makes all the room there is to be made in a row page without touching what anybody can need: restores aborted heads, makes rows dead
 * to all LP_DEAD, drops versions older than `horizon`, squeezes out the gaps; with `offload`, moves remaining older versions to the
 * store (as far as a place for them was reserved). The cleanup lock is held. WAL and snapshot conflicts are done here.
 */
extern void omen_prune_page(Relation rel, Buffer buffer, struct GlobalVisState *vistest, TransactionId oldest_xmin,
							bool offload, OmenPruneResult *result);

/*
 * Undoes an aborted update, if the row has one: its head's xmin is aborted and there is an older version. Exclusive lock held.
 * Returns whether it did.
 */
extern bool omen_restore_row(Relation rel, Buffer buffer, OffsetNumber offnum);

/* Tells the statistics how many dead versions are gone that they had counted (README, "Statistics"). */
extern void omen_report_reclaimed(Relation rel, int n);

/* ---- changes --------------------------------------------------------------------------------------------------------
 * The callbacks of the routine, by file. */

/* omen_insert.c */
extern void omen_tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, int options,
							  struct BulkInsertStateData *bistate);
extern void omen_tuple_insert_speculative(Relation rel, TupleTableSlot *slot, CommandId cid, int options,
										  struct BulkInsertStateData *bistate, uint32 token);
extern void omen_tuple_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded);
extern void omen_multi_insert(Relation rel, TupleTableSlot **slots, int nslots, CommandId cid, int options,
							  struct BulkInsertStateData *bistate);

/* omen_update.c, omen_delete.c, omen_lock.c */
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes OmenUpdateIndexes;
#else
typedef bool OmenUpdateIndexes;
#endif
extern TM_Result omen_tuple_update(Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid,
								   Snapshot snapshot, Snapshot crosscheck, bool wait, TM_FailureData *tmfd,
								   LockTupleMode *lockmode, OmenUpdateIndexes *update_indexes);
extern TM_Result omen_tuple_delete(Relation rel, ItemPointer tid, CommandId cid, Snapshot snapshot,
								   Snapshot crosscheck, bool wait, TM_FailureData *tmfd, bool changing_part);
extern TM_Result omen_tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot,
								 CommandId cid, LockTupleMode mode, LockWaitPolicy wait_policy, uint8 flags,
								 TM_FailureData *tmfd);

/* omen_fetch.c: index scans and fetches by TID */
extern struct IndexFetchTableData *omen_index_fetch_begin(Relation rel);
extern void omen_index_fetch_reset(struct IndexFetchTableData *data);
extern void omen_index_fetch_end(struct IndexFetchTableData *data);
/* Pins the page of the row to be fetched next, first looking where it may be; returns where it is. */
extern Buffer omen_index_fetch_go(struct IndexFetchTableData *data, BlockNumber block, Buffer hint);
extern bool omen_index_fetch_tuple(struct IndexFetchTableData *data, ItemPointer tid, Snapshot snapshot,
								   TupleTableSlot *slot, bool *call_again, bool *all_dead);
extern bool omen_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot);
extern bool omen_tid_valid(TableScanDesc scan, ItemPointer tid);
extern void omen_get_latest_tid(TableScanDesc scan, ItemPointer tid);
extern bool omen_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot);
extern TransactionId omen_index_delete_tuples(Relation rel, TM_IndexDeleteOp *delstate);

/* omen_scan.c, omen_bitmap.c, omen_sample.c, omen_analyze.c: the scan callbacks share this */
typedef struct OmenScanData *OmenScan;

/* every callback of scans, filled into the routine by omen_scan_callbacks() */
extern void omen_scan_callbacks(TableAmRoutine *routine);

/* omen_index.c: build, validate; omen_vacuum.c; omen_rewrite.c */
extern void omen_index_callbacks(TableAmRoutine *routine);
extern void omen_relation_vacuum(Relation rel, struct VacuumParams *params, BufferAccessStrategy bstrategy);
extern void omen_copy_for_cluster(Relation old_rel, Relation new_rel, Relation old_index, bool use_sort,
								  TransactionId oldest_xmin, TransactionId *xid_cutoff, MultiXactId *multi_cutoff,
								  double *num_tuples, double *tups_vacuumed, double *tups_recently_dead);

/* ---- the store (omen_store.c) -------------------------------------------------------------------------------------- */

/*
 * Lock order: row page before store page, never two row pages (but for a row that moves: lower block first), never a row page while
 * a store page is locked.
 */

/*
 * Rebuilds the item whose record the link of `newer` points to; the row page is locked. Error if that is not the version before `newer`. `item` may be where
 * `newer` has its bytes.
 */
extern void omen_store_read(Relation rel, const OmenVersion *newer, char *item);

/*
 * Between these store pages stay locked once they are read: for a reader of many rows of a page, which it has locked all the time, and which reads the store
 * by nothing else. `failed`: an error ended it.
 */
extern void omen_store_keep(void);
extern void omen_store_let_go(bool failed);

/* After an aborted update was undone: the record says from now on that nobody needs it. The row page is locked, and no link leads to the record. */
extern void omen_store_forget(Relation rel, OmenLink link, ItemPointer row, TransactionId superseder);

/* Is every record of a store page (locked) expired, that is, replaced by a transaction that is over and older than the horizon? */
extern bool omen_store_expired(Relation rel, Page page, struct GlobalVisState *vistest);

/* The record at *at, which is moved to the next; NULL: there are no more. *at begins at OMEN_STORE_START. */
extern OmenRecord *omen_store_next(Relation rel, BlockNumber block, Page page, Size *at);

/* How many records a store page has. */
extern int	omen_store_count(Relation rel, BlockNumber block, Page page);

/*
 * Turns an expired store page (exclusively locked, buffer pinned) into an empty row page; logs the conflict and the page. False, and nothing
 * done, if somebody else has it pinned: who has, and saw a store page, may count on its staying one.
 */
extern bool omen_store_free(Relation rel, Buffer buffer);

/* ---- small things -------------------------------------------------------------------------------------------------- */

/* Clears the visibility map bit of a page, and logs it. Exclusive lock on buffer; vmbuffer pinned for the page. No critical section needed. */
extern void omen_clear_all_visible(Relation rel, Buffer buffer, Buffer vmbuffer);

#endif							/* OMEN_ALEX_OMEN_H */
