/*
 * omen_vacuum_index.c - VACUUM: removing dead rows from the indexes, and then their line pointers.
 *
 * Never the other way around: while an index entry points to a row, its TID must not be used again.
 */
#include "omen.h"

#include "access/visibilitymap.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/freespace.h"
#include "utils/memutils.h"

#include "omen_vacuum.h"

/* Few dead rows are left for the next time: less than this part of the pages has them, in less than this much memory. */
#define BYPASS_PAGES 0.02
#define BYPASS_BYTES (32 * 1024 * 1024)

void
omen_vacuum_start_dead(OmenVacuum *v)
{
	int			kilobytes = AmAutoVacuumWorkerProcess() && autovacuum_work_mem != -1 ?
		autovacuum_work_mem : maintenance_work_mem;

	/* a page's worth at least, or it could never be vacuumed; the table's worth at most */
	v->max_dead = (int64) kilobytes * 1024 / sizeof(ItemPointerData);
	v->max_dead = Min(v->max_dead, (int64) v->pages * MaxHeapTuplesPerPage);
	v->max_dead = Max(v->max_dead, MaxHeapTuplesPerPage);
	if (v->nindexes == 0)
		v->max_dead = 0;
}

bool
omen_vacuum_dead_fits(OmenVacuum *v)
{
	return v->ndead == 0 || v->ndead + MaxHeapTuplesPerPage <= v->max_dead;
}

void
omen_vacuum_add_dead(OmenVacuum *v, BlockNumber block, const OffsetNumber *offsets, int n)
{
	if (v->ndead + n > v->dead_allocated)
	{
		/* most tables have few dead rows */
		int64		allocate = Max(v->dead_allocated * 2, 16 * MaxHeapTuplesPerPage);

		allocate = Max(Min(allocate, v->max_dead), v->ndead + n);
		if (v->dead)
			v->dead = repalloc_huge(v->dead, allocate * sizeof(ItemPointerData));
		else
			v->dead = MemoryContextAllocHuge(CurrentMemoryContext, allocate * sizeof(ItemPointerData));
		v->dead_allocated = allocate;
	}
	/* up to 15 ItemPointerSet is a macro that evaluates its argument more than once */
	for (int i = 0; i < n; i++)
	{
		ItemPointerSet(&v->dead[v->ndead], block, offsets[i]);
		v->ndead++;
	}

#ifdef PROGRESS_VACUUM_MAX_DEAD_TUPLE_BYTES
	{
		const int	params[] = {PROGRESS_VACUUM_DEAD_TUPLE_BYTES, PROGRESS_VACUUM_NUM_DEAD_ITEM_IDS};
		const int64 values[] = {v->ndead * OMEN_PROGRESS_DEAD_UNIT, v->ndead};

		pgstat_progress_update_multi_param(2, params, values);
	}
#else
	pgstat_progress_update_param(PROGRESS_VACUUM_NUM_DEAD_TUPLES, v->ndead);
#endif
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

/* IndexBulkDeleteCallback */
static bool
is_dead(ItemPointer tid, void *state)
{
	OmenVacuum *v = state;

	if (v->ndead == 0 || ItemPointerCompare(tid, &v->dead[0]) < 0 ||
		ItemPointerCompare(tid, &v->dead[v->ndead - 1]) > 0)
		return false;
	return bsearch(tid, v->dead, v->ndead, sizeof(ItemPointerData), compare_tids) != NULL;
}

static void
index_info(OmenVacuum *v, int i, IndexVacuumInfo *info)
{
	memset(info, 0, sizeof(*info));
	info->index = v->indexes[i];
	compat_set_vacuum_heap(info, v->rel);
	info->message_level = DEBUG2;
	info->strategy = v->strategy;
	v->index = i;
}

static void
start_index_phase(OmenVacuum *v, OmenVacuumStep step, int phase)
{
	v->step = step;
#ifdef PROGRESS_VACUUM_INDEXES_TOTAL
	{
		const int	params[] = {PROGRESS_VACUUM_PHASE, PROGRESS_VACUUM_INDEXES_TOTAL};
		const int64 values[] = {phase, v->nindexes};

		pgstat_progress_update_multi_param(2, params, values);
	}
#else
	pgstat_progress_update_param(PROGRESS_VACUUM_PHASE, phase);
#endif
}

static void
index_done(int n)
{
#ifdef PROGRESS_VACUUM_INDEXES_TOTAL
	pgstat_progress_update_param(PROGRESS_VACUUM_INDEXES_PROCESSED, n);
#endif
}

static void
end_index_phase(void)
{
#ifdef PROGRESS_VACUUM_INDEXES_TOTAL
	const int	params[] = {PROGRESS_VACUUM_INDEXES_TOTAL, PROGRESS_VACUUM_INDEXES_PROCESSED};
	const int64 values[] = {0, 0};

	pgstat_progress_update_multi_param(2, params, values);
#endif
}

/* False: the failsafe came in between, and not all indexes were done. */
static bool
remove_from_indexes(OmenVacuum *v)
{
	bool		complete = true;

	if (omen_vacuum_failsafe(v))
		return false;
	start_index_phase(v, OMEN_VACUUM_INDEX, PROGRESS_VACUUM_PHASE_VACUUM_INDEX);
	for (int i = 0; i < v->nindexes && complete; i++)
	{
		IndexVacuumInfo info;

		index_info(v, i, &info);
		info.num_heap_tuples = v->rel->rd_rel->reltuples;
		info.estimated_count = true;
		v->index_stats[i] = index_bulk_delete(&info, v->index_stats[i], is_dead, v);
		index_done(i + 1);
		complete = !omen_vacuum_failsafe(v);
	}
	v->index_scans++;
	end_index_phase();
	pgstat_progress_update_param(PROGRESS_VACUUM_NUM_INDEX_VACUUMS, v->index_scans);
	return complete;
}

void
omen_vacuum_reclaim(OmenVacuum *v, Buffer buffer, const OffsetNumber *offsets, int n)
{
	Page		page = BufferGetPage(buffer);
	OffsetNumber first = offsets[0];
	OffsetNumber last = offsets[n - 1];
	WalRecord	record;

	for (int i = 0; i < n; i++)
		if (offsets[i] > PageGetMaxOffsetNumber(page) || !ItemIdIsDead(PageGetItemId(page, offsets[i])))
			omen_corrupted(v->rel, BufferGetBlockNumber(buffer), offsets[i], "its dead line pointer was changed");

	wal_begin(&record, v->rel);
	START_CRIT_SECTION();
	for (int i = 0; i < n; i++)
		ItemIdSetUnused(PageGetItemId(page, offsets[i]));
	PageTruncateLinePointerArray(page);
	omen_wal_header(&record, buffer);
	last = Min(last, PageGetMaxOffsetNumber(page));
	if (first <= last)
		wal_fragment(&record, buffer, PageGetItemId(page, first), (last - first + 1) * sizeof(ItemIdData));
	omen_wal_finish(&record, buffer);
	END_CRIT_SECTION();
}

static void
reclaim_dead(OmenVacuum *v)
{
	Buffer		vmbuffer = InvalidBuffer;
	OmenPageState state;

	v->step = OMEN_VACUUM_RECLAIM;
	v->block = InvalidBlockNumber;
	pgstat_progress_update_param(PROGRESS_VACUUM_PHASE, PROGRESS_VACUUM_PHASE_VACUUM_HEAP);

	for (int64 i = 0; i < v->ndead;)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&v->dead[i]);
		OffsetNumber offsets[MaxHeapTuplesPerPage];
		int			n = 0;
		Buffer		buffer;
		Size		room;

		compat_vacuum_delay_point();
		v->block = block;
		pgstat_progress_update_param(PROGRESS_VACUUM_HEAP_BLKS_VACUUMED, block);
		for (; i < v->ndead && ItemPointerGetBlockNumber(&v->dead[i]) == block; i++)
			offsets[n++] = ItemPointerGetOffsetNumber(&v->dead[i]);

		visibilitymap_pin(v->rel, block, &vmbuffer);
		buffer = ReadBufferExtended(v->rel, MAIN_FORKNUM, block, RBM_NORMAL, v->strategy);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		omen_vacuum_reclaim(v, buffer, offsets, n);
		omen_vacuum_examine(v, buffer, &state);
		omen_vacuum_set_map(v, buffer, vmbuffer, &state);
		room = omen_page_room(BufferGetPage(buffer));
		if (!state.nonempty && state.ndead == 0)
			omen_vacuum_remember(v, block, block + 1);
		UnlockReleaseBuffer(buffer);
		RecordPageWithFreeSpace(v->rel, block, room);
	}
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
}

void
omen_vacuum_indexes(OmenVacuum *v)
{
	if (v->do_indexes && v->may_bypass &&
		v->dead_pages < v->pages * BYPASS_PAGES &&
		v->ndead * sizeof(ItemPointerData) < BYPASS_BYTES)
		v->do_indexes = false;
	if (v->do_indexes && remove_from_indexes(v))
		reclaim_dead(v);
	v->ndead = 0;
}

void
omen_vacuum_cleanup_indexes(OmenVacuum *v)
{
	double		rows = Max(v->live_estimate, 0) + v->recently_dead + v->missed;

	if (!v->do_cleanup || v->nindexes == 0)
		return;
	start_index_phase(v, OMEN_VACUUM_INDEX_CLEANUP, PROGRESS_VACUUM_PHASE_INDEX_CLEANUP);
	for (int i = 0; i < v->nindexes; i++)
	{
		IndexVacuumInfo info;

		index_info(v, i, &info);
		info.num_heap_tuples = rows;
		info.estimated_count = v->scanned < v->pages;
		v->index_stats[i] = index_vacuum_cleanup(&info, v->index_stats[i]);
		index_done(i + 1);
	}
	end_index_phase();
}
