/*
 * omen_check_index.c - omen_check(): does every entry of every index lead to a row, live or dead?
 *
 * A page of zeroes in the midst of a table, or one that an old backup brought back, is sound by itself; that rows are gone can only be known from
 * their index entries. VACUUM removes these before a line pointer becomes unused, and the check keeps it out. A page that a crash left
 * behind zeroed has never held a row, so no entry leads there.
 *
 * All access methods tell their entries to index_bulk_delete(), as CREATE INDEX CONCURRENTLY has them tell. It is asked to
 * delete none. The page of an index is locked meanwhile, so the answer comes from memory; only for what is not known there, because
 * it is new or lost, the table is looked at.
 */
#include "omen.h"

#include "access/genam.h"
#include "commands/vacuum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/relcache.h"

#include "omen_inspect.h"
#include "omen_private.h"

/* The line pointers that are not in use on a page, of those up to its last. */
typedef struct Holes
{
	BlockNumber block;			/* key */
	uint8		bits[MaxHeapTuplesPerPage / 8 + 1];
} Holes;

struct OmenLines
{
	BlockNumber nblocks;
	uint16	   *last;			/* per block, its last line pointer; 0: no rows */
	HTAB	   *holes;
};

typedef struct IndexCheck
{
	Relation	rel;
	const OmenLines *lines;
	int64		lost;
	ItemPointerData first;		/* the least */
	const char *why;
} IndexCheck;

OmenLines *
omen_lines_begin(BlockNumber nblocks)
{
	OmenLines  *lines = palloc0(sizeof(OmenLines));
	HASHCTL		control = {.keysize = sizeof(BlockNumber), .entrysize = sizeof(Holes), .hcxt = CurrentMemoryContext};

	lines->nblocks = nblocks;
	lines->last = MemoryContextAllocExtended(CurrentMemoryContext, Max(nblocks, 1) * sizeof(uint16),
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	lines->holes = hash_create("omen unused line pointers", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return lines;
}

void
omen_lines_end(OmenLines *lines)
{
	hash_destroy(lines->holes);
	pfree(lines->last);
	pfree(lines);
}

void
omen_lines_note(OmenLines *lines, BlockNumber block, Page page)
{
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	Holes	   *holes = NULL;

	lines->last[block] = last;
	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= last; offnum++)
	{
		if (ItemIdIsUsed(PageGetItemId(page, offnum)))
			continue;
		if (holes == NULL)
		{
			holes = hash_search(lines->holes, &block, HASH_ENTER, NULL);
			memset(holes->bits, 0, sizeof(holes->bits));
		}
		holes->bits[offnum / 8] |= 1 << offnum % 8;
	}
}

static bool
known(const OmenLines *lines, BlockNumber block, OffsetNumber offnum)
{
	Holes	   *holes;

	if (block >= lines->nblocks || offnum < FirstOffsetNumber || offnum > lines->last[block])
		return false;
	holes = hash_search(lines->holes, &block, HASH_FIND, NULL);
	return holes == NULL || (holes->bits[offnum / 8] & 1 << offnum % 8) == 0;
}

/* Looks at the table as it is now. NULL: the row is there; else why it is not. */
static const char *
why_lost(Relation rel, BlockNumber block, OffsetNumber offnum)
{
	const char *why = NULL;
	Buffer		buffer;
	Page		page;

	if (block >= RelationGetNumberOfBlocks(rel))
		return "the table does not have that block";
	buffer = ReadBuffer(rel, block);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	switch (omen_page_kind(rel, block, page))
	{
		case OMEN_PAGE_NEW:
			why = "the block is empty, as if it had never been used";
			break;
		case OMEN_PAGE_STORE:
			why = "the block holds no rows, but older versions";
			break;
		case OMEN_PAGE_ROWS:
			if (offnum < FirstOffsetNumber || offnum > PageGetMaxOffsetNumber(page) ||
				!ItemIdIsUsed(PageGetItemId(page, offnum)))
				why = "its line pointer is not in use";
			break;
	}
	UnlockReleaseBuffer(buffer);
	return why;
}

/* IndexBulkDeleteCallback */
static bool
check_entry(ItemPointer tid, void *arg)
{
	IndexCheck *check = arg;
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	OffsetNumber offnum = ItemPointerGetOffsetNumberNoCheck(tid);
	const char *why;

	if (known(check->lines, block, offnum))
		return false;
	why = why_lost(check->rel, block, offnum);
	if (why == NULL)
		return false;
	if (check->lost++ == 0 || ItemPointerCompare(tid, &check->first) < 0)
	{
		check->first = *tid;
		check->why = why;
	}
	return false;
}

static void
check_index(Relation rel, const OmenLines *lines, Relation index)
{
	IndexCheck	check = {.rel = rel, .lines = lines};
	IndexVacuumInfo info = {.index = index, .message_level = DEBUG2, .estimated_count = true};
	IndexBulkDeleteResult *stats;

	info.num_heap_tuples = rel->rd_rel->reltuples;
	info.strategy = GetAccessStrategy(BAS_BULKREAD);
	compat_set_vacuum_heap(&info, rel);
	stats = index_bulk_delete(&info, NULL, check_entry, &check);
	if (stats != NULL)
		pfree(stats);
	FreeAccessStrategy(info.strategy);
	if (check.lost == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("index \"%s\" has " INT64_FORMAT " entries for rows that table \"%s\" does not have",
					RelationGetRelationName(index), check.lost, RelationGetRelationName(rel)),
			 errdetail("The first is for row (%u,%u): %s.", ItemPointerGetBlockNumberNoCheck(&check.first),
					   ItemPointerGetOffsetNumberNoCheck(&check.first), check.why),
			 errhint("Rows of the table are lost, unless the index is damaged: restore the table from a backup. "
					 "REINDEX would only hide it.")));
}

void
omen_check_indexes(Relation rel, const OmenLines *lines)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);

		/* its pages are waited for until nobody has them pinned: a scan of our own would be for ever */
		if (index->rd_refcnt > 1)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("cannot check index \"%s\", because it is being used by active queries in this session",
							RelationGetRelationName(index)),
					 errhint("omen_check(..., indexes => false) checks the table alone.")));
		/* what is not ready may be half built */
		if (index->rd_index->indisready)
			check_index(rel, lines, index);
		index_close(index, RowExclusiveLock);
	}
	list_free(indexes);
}
