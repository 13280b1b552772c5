/*
 * wal.h - the one module that writes WAL.
 *
 * Our records are generic records (RM_GENERIC_ID) assembled by hand: we know which bytes we changed, so nothing
 * is copied or compared. Replay needs nothing of this extension. See src/common/README.md for the rules.
 */
#ifndef OMEN_ALEX_WAL_H
#define OMEN_ALEX_WAL_H

#include "postgres.h"

#include "storage/bufmgr.h"
#include "utils/rel.h"

#define WAL_MAX_BLOCKS 4		/* generic redo has room for no more */
#define WAL_MAX_FRAGMENTS 4		/* per block; one that would get more is logged as a whole */
#define WAL_MAX_EXTRA 2
#define WAL_MAX_CHUNKS 20		/* what xloginsert.c reserves without being asked */

typedef struct WalFragment
{
	uint16		offset;
	uint16		length;
} WalFragment;

typedef struct WalBlock
{
	Buffer		buffer;
	bool		image;			/* log the page as a whole */
	int			nfragments;
	WalFragment fragments[WAL_MAX_FRAGMENTS];
	int			nextra;
	struct
	{
		const char *bytes;		/* more fragments, each with its header, as they go into the record */
		uint32		length;
	}			extra[WAL_MAX_EXTRA];
} WalBlock;

typedef struct WalRecord
{
	bool		needed;
	int			nblocks;
	WalBlock	blocks[WAL_MAX_BLOCKS];
} WalRecord;

/*
 * wal_begin, then in a critical section: change pages, call wal_image or wal_fragment for each change (they mark the
 * buffer dirty), and wal_finish, which sets the LSNs. All buffers are exclusively locked throughout. Replay locks the blocks in the order
 * of their first mention, which therefore must be the order in which readers lock them.
 */
extern void wal_begin(WalRecord *record, Relation rel);

/* The page was rewritten, or is new: log it whole. */
extern void wal_image(WalRecord *record, Buffer buffer);

/* Bytes offset .. offset + length - 1 changed; they must lie outside the hole after the change. */
extern void wal_fragment(WalRecord *record, Buffer buffer, const void *at, Size length);

/* More fragments of a block, ready made: fragment headers and bytes. They must stay until the record is finished. */
extern void wal_extra(WalRecord *record, Buffer buffer, const char *extra, uint32 length);

extern void wal_finish(WalRecord *record);

/*
 * Cancels standby queries that might need what transactions up to "xid" replaced or deleted; "rel" is the table or an index of it.
 * Called before the change is logged, outside of critical sections.
 */
extern void wal_conflict(Relation rel, Relation heap, BlockNumber block, TransactionId xid);

#endif							/* OMEN_ALEX_WAL_H */
