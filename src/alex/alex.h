/*
 * alex.h - what the files of the alex access method share.
 *
 * The locking order, the WAL rules and the page formats are in src/alex/README.md.
 */
#ifndef ALEX_H
#define ALEX_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/relscan.h"
#include "nodes/pathnodes.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "alex_core.h"
#include "alex_keys.h"
#include "alex_policy.h"
#include "compat.h"
#include "wal.h"

/* ---- the metapage ---- */

#define ALEX_META_BLOCK 0
#define ALEX_ROOT_BLOCK 1		/* the root never moves: a root split moves its content down */
#define ALEX_FIRST_LEAF_BLOCK 2 /* of an empty index: the root is never a leaf, so entries never leave a leaf downwards */

#define ALEX_META_MAGIC 0x584C4130	/* "0ALX" */
#define ALEX_BYTE_ORDER 0x0102030405060708

typedef struct AlexMeta
{
	uint32		magic;
	uint16		version;		/* ALEX_FORMAT_VERSION */
	uint16		words;			/* W */
	uint32		page_size;		/* BLCKSZ of the server that wrote it */
	uint32		strings;		/* string columns, whose codes follow (alex_codes.h) */
	uint64		byte_order;		/* ALEX_BYTE_ORDER in the writer's order */
} AlexMeta;

#define AlexPageGetMeta(page) ((AlexMeta *) PageGetContents(page))

/* ---- what is known of an index ---- */

/*
 * A copy of it lives in rd_amcache. That copy can be freed by any relcache invalidation, so everyone works on a
 * copy of their own; nothing in it changes during the life of a relfilenode.
 */
typedef struct AlexIndex
{
	int			words;			/* W, the greatest there is */
	int			least;			/* key words of every node; where all keys have one width, W */
	int			fillfactor;
	AlexKeyInfo key;
} AlexIndex;

extern void alex_open(Relation rel, AlexIndex *index);

/* Takes the codes of string columns from the metapage. */
extern void alex_read_codes(Relation rel, AlexKeyInfo *key);

/*
 * So many dead entries of a leaf that have no room for their marks are removed by a scan or unique check that met them: all that
 * come later would read them, too. A removal reads and logs, so it has to be worth it.
 */
#define ALEX_UNMARKED_DEAD 32

/* ---- alex_page.c: buffers, descent ---- */

extern void alex_init_meta(Page page, const AlexIndex *index);
/* The root (of level 1, with one child) or the first leaf of an empty index. */
extern void alex_init_node(Page page, const AlexIndex *index, BlockNumber block);

#define ALEX_NO_TID "A record has an impossible TID"

/* Raises ERRCODE_INDEX_CORRUPTED unless the locked page is a sound node or a deleted one. */
extern void alex_check_page(Relation rel, const AlexIndex *index, Buffer buffer);

pg_noreturn extern void alex_corrupt(Relation rel, BlockNumber block, const char *what);

/* The TID of a record that was read from the block. */
static inline void
alex_record_tid(Relation rel, BlockNumber block, uint64 tie, ItemPointer tid)
{
	if (unlikely(!alex_tie_is_tid(tie)))
		alex_corrupt(rel, block, ALEX_NO_TID);
	alex_tie_to_tid(tie, tid);
}

/* Locks a pinned buffer and checks the page. */
/* Pins the page that a link leads to; an error (ERRCODE_INDEX_CORRUPTED) if the file has no such block. */
extern Buffer alex_pin(Relation rel, BlockNumber block, BufferAccessStrategy strategy);
extern void alex_lock(Relation rel, const AlexIndex *index, Buffer buffer, int access);

/*
 * Positions and records have a number of key words, "words", which goes with them. It is that of what they were made from: a node, or
 * alex_trim(), which leaves out the zeros at their end where keys have several widths.
 */
static inline int
alex_trim(const AlexIndex *index, uint64 *position)
{
	int			words = index->words;

	if (index->key.variable)
	{
		words = Max(alex_used_words(position, words), index->least);
		position[words] = position[index->words];
	}
	return words;
}

/* alex_fence_side() of a position of any width. */
static inline int
alex_side(Page page, const uint64 *position, int words)
{
	uint64		space[ALEX_MAX_WORDS + 1];

	return alex_fence_side(page, alex_fit_position(page, position, words, space));
}

/* Is this locked page the live node of the level that covers the position? */
extern bool alex_covers(Page page, int level, const uint64 *position, int words);

/* Or is it the left half of an unfinished split of that node, whose right half does, though the parent cannot say so? */
extern bool alex_left_of_unfinished_split(Page page, int level, const uint64 *position, int words);

/*
 * Finds the node of the given level that covers the position; returns it pinned and locked as asked. With
 * BUFFER_LOCK_EXCLUSIVE, splits found unfinished on the way along that level are finished.
 */
extern Buffer alex_descend(Relation rel, const AlexIndex *index, const uint64 *position, int words, int level, int access);

/* A zeroed or recyclable page, pinned and exclusively locked. */
extern Buffer alex_new_buffer(Relation rel, const AlexIndex *index);

/* Puts a private image into a buffer's page, keeping what belongs to the buffer manager. In a critical section. */
extern void alex_install(Buffer buffer, const char *image);

/* ---- alex_change.c: adding to and rewriting nodes, splits ---- */

/*
 * Adds a record of "words" key words to the exclusively locked node that covers it, splitting as needed; releases the buffer. "child", if
 * valid, is the exclusively locked node one level down whose unfinished split the record finishes.
 */
extern void alex_add_record(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, int words, Buffer child);

/*
 * The same for an entry of the table: if the leaf has to be rewritten for it, entries of dead rows are left out. "unchanged" as in
 * aminsert: the row is a new version of one with the same indexed value.
 */
extern void alex_add_entry(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, int words, Relation heap,
						   bool unchanged);

/* Adds the missing separator of the right sibling to the parent, and clears the flag. Keeps the lock. */
extern void alex_finish_split(Relation rel, const AlexIndex *index, Buffer buffer);

/*
 * Rewrites an exclusively locked node without the records that "dead" says, an element for each of them in order, splitting it if
 * what remains needs more room (a run of keys on a line takes none until there are holes in it). Keeps the lock on the node
 * that has the original low fence: *buffer may become another one.
 */
extern void alex_remove_records(Relation rel, const AlexIndex *index, Buffer *buffer, const bool *dead);

/* ---- alex_remove.c ---- */

/* Which entries to remove, and room to say so of one leaf. */
typedef struct AlexRemover
{
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	uint64	   *ties;			/* of the current leaf */
	bool	   *dead;			/* for each of its places */
} AlexRemover;

extern void alex_remover_begin(AlexRemover *remover, IndexBulkDeleteCallback callback, void *state);
extern void alex_remover_end(AlexRemover *remover);

/*
 * Removes those entries of an exclusively locked leaf, without an unfinished split, whose TIDs the callback says are dead; *live is
 * how many stay. Returns how many went. *buffer as in alex_remove_records().
 */
extern uint32 alex_remove_entries(AlexRemover *remover, Relation rel, const AlexIndex *index, Buffer *buffer, uint32 *live);

/* ---- alex_purge.c ---- */

/*
 * Removes entries of dead rows from "records", which are all n records of an exclusively locked leaf that is about to be
 * rewritten without them, for a new record; all have the leaf's words. What standbys must know of it is logged. Returns how many are left.
 */
extern uint32 alex_purge(Relation rel, const AlexIndex *index, Relation heap, Buffer buffer, const uint64 *record,
						 bool unchanged, uint64 *records, uint32 n);

/* Dead entries remembered to be marked or removed at once. */
#define ALEX_MAX_DEAD 256

/* Entries of one leaf that a scan or a unique check found dead to everyone. */
typedef struct AlexDead
{
	uint32		n;
	int			words;			/* key words of the positions: the leaf's */
	uint32		room;			/* in words */
	uint64	   *positions;		/* room for ALEX_MAX_DEAD; NULL before the first one comes */
} AlexDead;

/* The position, of so many words as all before it, to add next; there must be room. */
extern uint64 *alex_dead_next(AlexDead *dead, int words);
extern void alex_dead_free(AlexDead *dead);

/*
 * The leaf has changed since: forgets those that are not in the locked leaf any more, and those whose rows, which may be others now,
 * are not dead.
 */
extern void alex_dead_recheck(Relation heap, Buffer buffer, AlexDead *dead);

/* Marks them in the locked leaf, and forgets all but those whose marks have no room. */
extern void alex_dead_mark(Buffer buffer, AlexDead *dead);

/*
 * Removes what is still dead of these, of what is marked in their leaf, and of other entries for the same blocks of the table. The caller
 * has no index page locked. Returns how many entries went.
 */
extern uint32 alex_dead_remove(Relation rel, const AlexIndex *index, Relation heap, BlockNumber block, AlexDead *dead);

/* ---- alex_delete.c ---- */

/* Takes an empty leaf out of the tree if that is possible now. No lock is held. Returns true if it was deleted. */
extern bool alex_delete_page(Relation rel, const AlexIndex *index, BlockNumber block);

/* ---- alex_options.c ---- */
extern bytea *alexoptions(Datum reloptions, bool validate);
extern int	alex_fillfactor(Relation rel);
extern void alex_register_options(void);

/* ---- the access method's callbacks ---- */

struct IndexInfo;
extern IndexBuildResult *alexbuild(Relation heap, Relation index, struct IndexInfo *info);
extern void alexbuildempty(Relation index);
extern bool alexinsert(Relation rel, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
					   IndexUniqueCheck check, bool unchanged, struct IndexInfo *info);
extern IndexBulkDeleteResult *alexbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											 IndexBulkDeleteCallback callback, void *state);
extern IndexBulkDeleteResult *alexvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);
extern IndexScanDesc alexbeginscan(Relation rel, int nkeys, int norderbys);
extern void alexrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool alexgettuple(IndexScanDesc scan, ScanDirection direction);
extern int64 alexgetbitmap(IndexScanDesc scan, TIDBitmap *bitmap);
extern void alexendscan(IndexScanDesc scan);
extern void alexmarkpos(IndexScanDesc scan);
extern void alexrestrpos(IndexScanDesc scan);
extern Size alexestimateparallelscan(COMPAT_ESTIMATE_PARALLEL_ARGS);
extern void alexinitparallelscan(void *target);
extern void alexparallelrescan(IndexScanDesc scan);
extern bool alexcanreturn(Relation rel, int column);
extern void alexcostestimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup_cost,
							 Cost *total_cost, Selectivity *selectivity, double *correlation, double *pages);
extern int	alexgettreeheight(Relation rel);
extern bool alexvalidate(Oid opclass);
extern char *alexbuildphasename(int64 phase);

#endif							/* ALEX_H */
