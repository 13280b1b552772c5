/*
 * alex_vacuum.c - ambulkdelete and amvacuumcleanup.
 *
 * Leaves are visited in key order along their right links, each under a cleanup lock. Entries only ever move right, by a
 * split, so none is missed; and a scan that holds a pin on the leaf its entries came from holds vacuum up until it is
 * done with them.
 */
#include "alex.h"

#include "access/genam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufpage.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"

typedef struct VacuumState
{
	IndexVacuumInfo *info;
	IndexBulkDeleteResult *stats;
	AlexRemover remover;
	BlockNumber live;			/* nodes in the tree */
	BlockNumber nblocks;		/* of the file, when last asked */
} VacuumState;

/*
 * Processes one leaf under a cleanup lock; returns its old right sibling. Empty leaves are deleted.
 */
static BlockNumber
vacuum_leaf(VacuumState *v, const AlexIndex *index, Buffer buffer)
{
	Relation	rel = v->info->index;
	Page		page = BufferGetPage(buffer);
	BlockNumber block;
	BlockNumber next = alex_cheader(page)->right;
	uint32		live;
	uint32		dead;
	bool		empty;

	/* left by a crash; neither this leaf nor its right sibling could ever be deleted otherwise */
	if (alex_cheader(page)->flags & ALEX_INCOMPLETE_SPLIT)
		alex_finish_split(rel, index, buffer);

	/* every TID is reported, also when nothing dies: CREATE INDEX CONCURRENTLY collects them this way */
	dead = alex_remove_entries(&v->remover, rel, index, &buffer, &live);
	v->stats->tuples_removed += dead;
	v->stats->num_index_tuples += live;
	v->live++;
	block = BufferGetBlockNumber(buffer);
	empty = alex_record_count(BufferGetPage(buffer)) == 0;
	UnlockReleaseBuffer(buffer);

	if (empty && alex_delete_page(rel, index, block))
	{
		v->stats->pages_newly_deleted++;
		v->live--;
	}
	return next;
}

/* A tree has no more nodes than the file has pages. */
static void
check_circle(VacuumState *v, BlockNumber next)
{
	if (v->live > v->nblocks)
		v->nblocks = RelationGetNumberOfBlocks(v->info->index);
	if (v->live > v->nblocks)
		alex_corrupt(v->info->index, next, "Right links lead in a circle");
}

/* Counts the inner nodes by walking each level. */
static void
count_inner(VacuumState *v, const AlexIndex *index)
{
	Relation	rel = v->info->index;
	uint64		start[ALEX_MAX_WORDS + 1] = {0};
	Buffer		buffer = ReadBuffer(rel, ALEX_ROOT_BLOCK);
	int			height;

	alex_lock(rel, index, buffer, BUFFER_LOCK_SHARE);
	height = alex_cheader(BufferGetPage(buffer))->level;
	UnlockReleaseBuffer(buffer);

	for (int level = 1; level <= height; level++)
	{
		BlockNumber next;

		buffer = alex_descend(rel, index, start, index->least, level, BUFFER_LOCK_SHARE);
		next = alex_cheader(BufferGetPage(buffer))->right;
		UnlockReleaseBuffer(buffer);
		v->live++;
		while (next != InvalidBlockNumber)
		{
			CHECK_FOR_INTERRUPTS();
			check_circle(v, next);
			buffer = alex_pin(rel, next, v->info->strategy);
			alex_lock(rel, index, buffer, BUFFER_LOCK_SHARE);
			next = alex_cheader(BufferGetPage(buffer))->right;
			UnlockReleaseBuffer(buffer);
			v->live++;
		}
	}
}

/*
 * The free space map is not crash-safe: pages that a crash made it forget, and those a crash left zeroed, are put back
 * when the tree has fewer nodes than the file has pages.
 */
static void
find_free_pages(VacuumState *v, const AlexIndex *index, BlockNumber nblocks)
{
	Relation	rel = v->info->index;
	BlockNumber known = 0;

	v->stats->pages_deleted = 0;
	v->stats->pages_free = 0;
	if (v->live + 1 >= nblocks)
		return;

	/* the map knows of the others, as it does but for crashes: no need to read every page */
	for (BlockNumber block = ALEX_ROOT_BLOCK + 1; block < nblocks; block++)
		if (GetRecordedFreeSpace(rel, block) > 0)
			known++;
	if (v->live + 1 + known >= nblocks)
	{
		v->stats->pages_deleted = known;
		v->stats->pages_free = known;
		return;
	}
	for (BlockNumber block = ALEX_ROOT_BLOCK + 1; block < nblocks; block++)
	{
		Buffer		buffer;
		Page		page;
		bool		free;

		compat_vacuum_delay_point();
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, v->info->strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		free = PageIsNew(page);
		if (!free)
		{
			alex_check_page(rel, index, buffer);
			free = (alex_cheader(page)->flags & ALEX_DELETED) != 0;
		}
		UnlockReleaseBuffer(buffer);
		if (free)
		{
			RecordFreeIndexPage(rel, block);
			v->stats->pages_deleted++;
			v->stats->pages_free++;
		}
	}
}

IndexBulkDeleteResult *
alexbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats, IndexBulkDeleteCallback callback, void *state)
{
	Relation	rel = info->index;
	AlexIndex	index;
	VacuumState v;
	uint64		start[ALEX_MAX_WORDS + 1] = {0};
	Buffer		buffer;
	BlockNumber next;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	alex_open(rel, &index);
	memset(&v, 0, sizeof(v));
	v.info = info;
	v.stats = stats;
	stats->estimated_count = false;
	stats->num_index_tuples = 0;
	alex_remover_begin(&v.remover, callback, state);

	/* only vacuum deletes leaves, so the leftmost one stays what it is while the lock is exchanged */
	buffer = alex_descend(rel, &index, start, index.least, 0, BUFFER_LOCK_SHARE);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	LockBufferForCleanup(buffer);
	alex_check_page(rel, &index, buffer);
	for (;;)
	{
		next = vacuum_leaf(&v, &index, buffer);
		if (next == InvalidBlockNumber)
			break;
		compat_vacuum_delay_point();
		check_circle(&v, next);
		buffer = alex_pin(rel, next, info->strategy);
		LockBufferForCleanup(buffer);
		alex_check_page(rel, &index, buffer);
		/* only vacuum deletes leaves, and only one vacuum runs: the link leads to a live leaf */
		if (alex_cheader(BufferGetPage(buffer))->level != 0 ||
			(alex_cheader(BufferGetPage(buffer))->flags & ALEX_DELETED))
			alex_corrupt(rel, next, "A right link leads to a page that is not a leaf");
	}
	alex_remover_end(&v.remover);

	count_inner(&v, &index);

	/* with the extension lock: a page just added is zeroed, but not free, until its creator has locked it */
	if (!RELATION_IS_LOCAL(rel))
		LockRelationForExtension(rel, ExclusiveLock);
	stats->num_pages = RelationGetNumberOfBlocks(rel);
	if (!RELATION_IS_LOCAL(rel))
		UnlockRelationForExtension(rel, ExclusiveLock);
	find_free_pages(&v, &index, stats->num_pages);
	return stats;
}

IndexBulkDeleteResult *
alexvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	if (stats == NULL)
	{
		/* nothing was deleted: the heap knows how many entries there are, near enough */
		stats = palloc0(sizeof(IndexBulkDeleteResult));
		stats->num_pages = RelationGetNumberOfBlocks(info->index);
		stats->num_index_tuples = info->num_heap_tuples;
		stats->estimated_count = true;
		return stats;
	}
	IndexFreeSpaceMapVacuum(info->index);
	if (!info->estimated_count && stats->num_index_tuples > info->num_heap_tuples)
		stats->num_index_tuples = info->num_heap_tuples;
	return stats;
}
