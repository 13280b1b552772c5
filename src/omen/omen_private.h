/*
 * omen_private.h - what the files that change omen tables share among themselves.
 */
#ifndef OMEN_ALEX_OMEN_PRIVATE_H
#define OMEN_ALEX_OMEN_PRIVATE_H

#include "omen.h"

#include "access/heapam_xlog.h"
#include "storage/lmgr.h"

#include "wal.h"

/* ---- omen_version.c ---- */

typedef enum OmenXminState
{
	OMEN_XMIN_COMMITTED,
	OMEN_XMIN_OURS,				/* and not rolled back */
	OMEN_XMIN_IN_PROGRESS,		/* somebody else's */
	OMEN_XMIN_ABORTED
} OmenXminState;

/* Sets no hint bits. */
extern OmenXminState omen_xmin_state(HeapTupleHeader header);

/*
 * Steps from a head that is not (yet) anybody's to the newest version that is committed or ours. If there is none, false, and what stands for
 * the row is its newest version that did not abort: inserted by a transaction in progress, whose update of it was rolled back; or the head.
 */
extern bool omen_settled(Relation rel, Buffer buffer, OmenVersion *version);

/* Is the newest version that is committed one that the snapshot does not see? */
extern bool omen_newer_settled(Relation rel, Buffer buffer, OmenVersion *head, Snapshot snapshot);

/* Can anybody need what is before the version with this header? If it aborted, yes. */
extern bool omen_older_needed(HeapTupleHeader header, struct GlobalVisState *vistest);

/* Was this version, or one before it, written by `xmin`? Walks `version`. */
extern bool omen_has_version_by(Relation rel, Buffer buffer, OmenVersion *version, TransactionId xmin);

/* ---- omen_wal.c ---- */

/*
 * Finishes a generic record that changes a row page; `rows` is that page. While generic records are checked for consistency it adds what
 * heap's records leave different on a standby. In a critical section.
 */
extern void omen_wal_finish(WalRecord *record, Buffer rows);

/* Logs a whole page, and marks it dirty. In a critical section. */
extern void omen_wal_page(Relation rel, Buffer buffer);

/* Header (but for LSN and checksum) or line pointer of a page changed. */
extern void omen_wal_header(WalRecord *record, Buffer buffer);
extern void omen_wal_line_pointer(WalRecord *record, Buffer buffer, OffsetNumber offnum);

/* What goes into the record when an item takes the room of another: the bytes that differ. */
typedef struct OmenItemChanges
{
	Size		size;			/* 0: they are not much shorter than the whole */
	char		bytes[BLCKSZ];
} OmenItemChanges;

/*
 * The item at `place` of the page, of old_length bytes, will be replaced by `length` bytes, which may be some more, as long as MAXALIGN makes them the same.
 * Asked before the change; omen_wal_item(), after it or before, puts it into the record. Replay copies these bytes onto what is there.
 */
extern void omen_item_changes(OmenItemChanges *changes, Page page, uint16 place, Size old_length, const char *item, Size length);
extern void omen_wal_item(WalRecord *record, Buffer buffer, uint16 place, Size length, const OmenItemChanges *changes);

/* ---- omen_space.c ---- */

/* What of a row page's item space is in use. */
typedef struct OmenPageMap
{
	int			nspans;			/* sorted by offset, not overlapping */
	struct
	{
		uint16		offset;
		uint16		length;		/* MAXALIGNed */
	}			spans[BLCKSZ / 32];
	Size		used;			/* bytes of all spans */
	int			nolder;			/* of the spans, how many are older versions */
	TransactionId conflict;		/* newest superseder behind which versions were left out */
	int			ncut;			/* links to what was left out, by their offset in the page */
	uint16		cut[BLCKSZ / 32];
} OmenPageMap;

/* The row page is locked. No aborted heads with older versions are left out: they count with all their versions. */
extern void omen_map_page(Relation rel, Buffer buffer, struct GlobalVisState *vistest, OmenPageMap *map);

/* How many versions of the same page are behind a link that is in it. */
extern int	omen_count_behind(Page page, const char *link);

/* Offset of a gap (not the hole) that has room for `length` bytes; 0: none. */
extern uint16 omen_find_gap(Page page, const OmenPageMap *map, Size length);

/*
 * All the room of a row page without older versions, in gaps and in the hole, if it was noted and the page has not changed since. The page is exclusively
 * locked; the table's WAL tells whether it changed (without WAL nothing is known).
 */
extern bool omen_known_room(Relation rel, Buffer buffer, Size *room);
extern void omen_note_room(Relation rel, Buffer buffer, Size room);

/* ---- omen_store.c ---- */

/* Sees to it that this backend's store page has room for `size` bytes of records. No page may be locked. False: it cannot have. */
extern bool omen_store_reserve(Relation rel, Size size);

/* Locks that page exclusively, if it still has the room. InvalidBuffer: it has not. The row page is locked. */
extern Buffer omen_store_lock(Relation rel, Size size);

/* A record about to be appended. */
typedef struct OmenFormed
{
	Size		size;
	union
	{
		OmenRecord	record;
		char		bytes[BLCKSZ];
	};
} OmenFormed;

/*
 * Makes a record of a version: an item as it is in a row page, but with this link. What replaces it has the tuple `newer`, which has its body already;
 * its xmin will be `superseder`.
 */
extern void omen_form_record(OmenFormed *formed, ItemPointer row, const char *item, uint16 length, OmenLink link,
							 TransactionId superseder, HeapTupleHeader newer, Size newer_length);

/* The link to where omen_store_append() will put a record. The page is locked. */
extern OmenLink omen_store_place(Buffer buffer, const OmenFormed *formed);

/* Appends a record; in a critical section. The caller finishes the WAL record. */
extern void omen_store_append(WalRecord *record, Buffer buffer, const OmenFormed *formed);

/* A row of the page being changed no longer needs this store page: perhaps nobody does. Remembered for omen_store_reserve. */
extern void omen_store_candidate(Relation rel, BlockNumber block);

/* ---- omen_xmax.c ---- */

/* Somebody, in progress and not us, whose lock or change by this xmax conflicts with `mode`; invalid: nobody. */
extern TransactionId omen_xmax_blocker(TransactionId xmax, uint16 infomask, uint16 infomask2, LockTupleMode mode);

/* Does our transaction hold a lock of at least `mode` by this xmax? */
extern bool omen_xmax_ours(TransactionId xmax, uint16 infomask, uint16 infomask2, LockTupleMode mode);

/*
 * What xmax and the bits become when `xid` locks, deletes or moves (`change`) a row whose xmax does not conflict. May create a
 * multixact: not in a critical section.
 */
extern void omen_new_xmax(TransactionId old_xmax, uint16 old_infomask, uint16 old_infomask2, TransactionId xid,
						  LockTupleMode mode, bool change, TransactionId *new_xmax, uint16 *new_infomask,
						  uint16 *new_infomask2);

/* Lockers that a new version takes over from the one it replaces. */
extern void omen_carry_lockers(HeapTupleHeader old_header, TransactionId *xmax, uint16 *infomask, uint16 *infomask2);

extern uint8 omen_infobits(uint16 infomask, uint16 infomask2);

/*
 * What became of a row that nobody stands in the way of: TM_Updated or TM_Deleted if a transaction that is over moved or deleted it. With other
 * lockers of its multixact still running, HeapTupleSatisfiesUpdate() only says that it is being modified.
 */
extern TM_Result omen_settled_change(HeapTuple head);

/* ---- omen_memory.c ---- */

/*
 * The executor takes a TID for a version: having found that a row was changed since its snapshot it locks the newest version, checks it
 * (EvalPlanQual), and then fetches and changes the row at the TID that the lock gave back. Here that is the TID it came with; so that
 * the newer version is not refused again, or the older one fetched, it goes back with a mark, in a bit that no offset has. Nothing that
 * outlives the change of the row has it: slots never do. A TID without it, of the same row and in the same command, means the version
 * of the snapshot, as when a join finds the row once more.
 */
#define OMEN_ACCEPTED_MARK 0x4000

StaticAssertDecl(MaxHeapTuplesPerPage < OMEN_ACCEPTED_MARK, "no offset has the mark");

static inline void
omen_mark_accepted(ItemPointer tid)
{
	ItemPointerSetOffsetNumber(tid, ItemPointerGetOffsetNumberNoCheck(tid) | OMEN_ACCEPTED_MARK);
}

/* Copies a TID without its mark, and says whether it had it. */
static inline bool
omen_plain_tid(ItemPointer tid, ItemPointer plain)
{
	OffsetNumber offnum = ItemPointerGetOffsetNumberNoCheck(tid);

	ItemPointerSet(plain, ItemPointerGetBlockNumberNoCheck(tid), offnum & ~OMEN_ACCEPTED_MARK);
	return (offnum & OMEN_ACCEPTED_MARK) != 0;
}

/*
 * INSERT ... ON CONFLICT locks the row it has just found with SnapshotDirty. Nothing else tells it from a trigger that locks a row in a
 * transaction of higher isolation, and they need different answers about rows their own command has changed, and
 * about waiting for a row that the transaction must not change. Who locks takes the note: it is about one lock.
 */
extern void omen_memory_note_dirty(Oid relid, ItemPointer tid);
extern bool omen_memory_was_dirty(Oid relid, ItemPointer tid);
extern bool omen_memory_take_dirty(Oid relid, ItemPointer tid);

/* ---- omen_change.c: what updates and deletes do first ---- */

typedef struct OmenChange
{
	Relation	rel;
	ItemPointerData tid;
	bool		accepted;		/* the newest version is meant, locked before */
	CommandId	cid;
	Snapshot	snapshot;
	Snapshot	crosscheck;
	bool		wait;
	TM_FailureData *tmfd;

	/* given by updates */
	HeapTuple	newtup;			/* NULL: delete */
	Bitmapset  *key_attrs;
	Bitmapset  *watched;		/* columns whose change the caller wants to know */

	/* results */
	Buffer		buffer;			/* pinned and exclusively locked */
	Buffer		vmbuffer;
	OmenVersion head;
	Bitmapset  *changed;		/* which of `watched` differ */
	LockTupleMode mode;			/* the lock this change needs */
} OmenChange;

/*
 * Finds the head, waits for who must be waited for, restores an aborted update, and says whether the row may be changed. TM_Ok: buffer is
 * pinned and exclusively locked, VM page pinned if the page is all-visible. Else: nothing is held, tmfd filled.
 */
extern TM_Result omen_prepare_change(OmenChange *change);

/* Takes the row lock this change needs, so that the page can be let go of. Buffer locked before, not after; still pinned. */
extern void omen_lock_for_change(OmenChange *change);

/*
 * Locks a page exclusively, with its visibility map page pinned if it is all-visible. *buffer may be pinned already, or invalid.
 */
extern void omen_lock_page(Relation rel, BlockNumber block, Buffer *buffer, Buffer *vmbuffer);

extern void omen_release_change(OmenChange *change);

/* Error if the table is used in a way we do not support (as a catalog of logical decoding). */
extern void omen_check_writable(Relation rel);

/* the old tuple or key that logical decoding needs; NULL: none */
extern HeapTuple omen_old_key(Relation rel, HeapTuple tuple, bool key_required, bool *copy);

/* ---- omen_logical.c ---- */

/*
 * Must an in-place update of this transaction, which has its xid, be logged for decoding? Never where wal_level or the kind of table rule it out; nor where
 * nobody has made a slot. Asked with no page locked.
 */
extern bool omen_may_be_decoded(Relation rel);

/* A block of the visibility map that no row page has come to yet. */
extern BlockNumber omen_unused_map_block(Relation rel);

/*
 * Tells decoding of an in-place update, which has been logged for replay. In a critical section. `unused` from omen_unused_map_block(), `old_key` from
 * omen_old_key().
 */
extern void omen_logical_update(Relation rel, BlockNumber unused, ItemPointer tid, HeapTuple item, HeapTuple old_key);

/* Adds the old key to the record being assembled; *header is filled, and must live until the record is inserted. */
extern void omen_register_old_key(HeapTuple old_key, xl_heap_header *header);

/* ---- omen_insert.c ---- */

/* The item of a version: the tuple, padded to `length` (of the item), and the link behind it; NULL: none. palloc'd. */
extern HeapTuple omen_form_item(HeapTuple tuple, Size length, const OmenLink *link);

/* An error if a tuple, which is toasted and without a link, is too long for a row. */
extern void omen_check_length(HeapTuple tuple);

/* ---- omen_wait.c ---- */

/* Takes the place of the first to wait for a row, or waits for that. False (LockWaitSkip): it is taken. LockWaitError: an error then. */
extern bool omen_queue(Relation rel, ItemPointer tid, LockTupleMode mode, LockWaitPolicy policy);
extern void omen_unqueue(Relation rel, ItemPointer tid, LockTupleMode mode);

/* Waits for a transaction to end. The same policies. */
extern bool omen_wait(Relation rel, ItemPointer tid, TransactionId xid, LockWaitPolicy policy, XLTW_Oper oper);

/* ---- omen_lock.c ---- */

/*
 * Makes us a locker of the row, with heap's record. The head is exclusively locked and has nobody in xmax that conflicts; if the page is
 * all-visible, vmbuffer is pinned.
 */
extern void omen_take_lock(Relation rel, Buffer buffer, Buffer vmbuffer, HeapTuple head, LockTupleMode mode);

#endif							/* OMEN_ALEX_OMEN_PRIVATE_H */
