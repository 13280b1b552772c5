/*
 * omen_vacuum_scan.c - VACUUM: visiting the blocks of a table, row pages first, store pages then.
 *
 * A row page is pruned and frozen, its dead rows are remembered, its bits in the visibility map and its room in the free space
 * map set. Store pages wait until all row pages were visited, because the visits restore what aborted updates left in the store.
 */
#include "omen.h"

#include "access/transam.h"
#include "access/visibilitymap.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/freespace.h"

#include "compat_vm.h"
#include "omen_vacuum.h"

/* Skipping fewer blocks than this gains nothing: the operating system reads ahead, and relfrozenxid could not advance. */
#define WORTH_SKIPPING 32

/* how often to look for the failsafe, and to make free space known */
#define FAILSAFE_EVERY ((BlockNumber) (((uint64) 4 * 1024 * 1024 * 1024) / BLCKSZ))
#define FSM_EVERY ((BlockNumber) (((uint64) 8 * 1024 * 1024 * 1024) / BLCKSZ))

void
omen_vacuum_remember(OmenVacuum *v, BlockNumber start, BlockNumber end)
{
	if (v->nlater > 0 && v->later[v->nlater - 1].end == start)
	{
		v->later[v->nlater - 1].end = end;
		return;
	}
	if (v->nlater == v->later_allocated)
	{
		v->later_allocated *= 2;
		v->later = repalloc_huge(v->later, (Size) v->later_allocated * sizeof(OmenBlockRange));
	}
	v->later[v->nlater].start = start;
	v->later[v->nlater].end = end;
	v->nlater++;
}

/*
 * The next block to visit, from `block` on. *visit_until: up to there nothing is skipped any more. The last block is always
 * visited, so that truncation is not tried in vain.
 */
static BlockNumber
next_block(OmenVacuum *v, BlockNumber block, BlockNumber *visit_until, Buffer *vmbuffer)
{
	BlockNumber stop;
	bool		unfrozen = false;

	if (block < *visit_until || block >= v->pages)
		return block;

	for (stop = block; stop < v->pages - 1 && v->use_map; stop++)
	{
		uint8		bits = visibilitymap_get_status(v->rel, stop, vmbuffer);

		if (!(bits & VISIBILITYMAP_ALL_VISIBLE))
			break;
		if (!(bits & VISIBILITYMAP_ALL_FROZEN))
		{
			if (v->aggressive)
				break;
			unfrozen = true;
		}
		compat_vacuum_delay_point();
	}
	*visit_until = stop + 1;
	if (stop - block < WORTH_SKIPPING)
		return block;

	v->left_unfrozen |= unfrozen;
	/* an empty page among them may become a store page */
	omen_vacuum_remember(v, block, stop);
	return stop;
}

/* Has who wrote a version committed, and his commit reached the disk? The hint bit says both. */
static bool
surely_committed(HeapTupleHeader header)
{
	TransactionId xmin = HeapTupleHeaderGetXmin(header);

	if (HeapTupleHeaderXminCommitted(header) || omen_may_hint())
		return HeapTupleHeaderXminCommitted(header);
	return TransactionIdDidCommit(xmin) && !XLogNeedsFlush(TransactionIdGetCommitLSN(xmin));
}

void
omen_vacuum_examine(OmenVacuum *v, Buffer buffer, OmenPageState *state)
{
	Page		page = BufferGetPage(buffer);
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	state->nonempty = false;
	state->others_visible = state->others_frozen = true;
	state->newest = InvalidTransactionId;
	state->live = state->recently_dead = state->missed = state->older = state->ndead = 0;

	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		ItemId		lp = PageGetItemId(page, offnum);
		OmenVersion version;
		HeapTupleHeader header;
		TransactionId xmin;

		if (!ItemIdIsUsed(lp))
			continue;
		if (ItemIdIsDead(lp))
		{
			state->dead[state->ndead++] = offnum;
			continue;
		}
		state->nonempty = true;
		state->older += omen_count_behind(page, (char *) PageGetItem(page, lp) + ItemIdGetLength(lp) - OMEN_LINK_SIZE);
		switch (omen_row_status(v->rel, buffer, offnum, v->cutoffs.OldestXmin, &version))
		{
			case HEAPTUPLE_LIVE:
				state->live++;
				if (!state->others_visible)
					break;
				header = version.tuple.t_data;
				xmin = HeapTupleHeaderGetXmin(header);
				/* only a head that everybody sees */
				if (TransactionIdIsValid(version.superseder) || !surely_committed(header) ||
					!TransactionIdPrecedes(xmin, v->cutoffs.OldestXmin))
				{
					state->others_visible = false;
					break;
				}
				if (TransactionIdIsNormal(xmin) &&
					(!TransactionIdIsValid(state->newest) || TransactionIdFollows(xmin, state->newest)))
					state->newest = xmin;
				if (state->others_frozen && heap_tuple_needs_eventual_freeze(header))
					state->others_frozen = false;
				break;
			case HEAPTUPLE_DELETE_IN_PROGRESS:
				/* live for the statistics: should it commit, they hear of it from there */
				state->live++;
				state->others_visible = false;
				break;
			case HEAPTUPLE_INSERT_IN_PROGRESS:
				state->others_visible = false;
				break;
			case HEAPTUPLE_RECENTLY_DEAD:
				state->recently_dead++;
				state->others_visible = false;
				break;
			case HEAPTUPLE_DEAD:
				/* not pruned, or its inserter aborted a moment ago */
				state->missed++;
				state->others_visible = false;
				break;
		}
	}
	state->others_frozen &= state->others_visible;
	state->all_visible = state->others_visible && state->ndead == 0;
	state->all_frozen = state->others_frozen && state->ndead == 0;
}

/* The visibility map's bits of a page; corrected, if the page contradicts them. Exclusive lock; vmbuffer pinned for the page. */
static uint8
map_bits(OmenVacuum *v, Buffer buffer, Buffer vmbuffer)
{
	BlockNumber block = BufferGetBlockNumber(buffer);
	uint8		bits = visibilitymap_get_status(v->rel, block, &vmbuffer);

	/* who changes a page clears the map under the page's lock, which we have */
	if (bits == 0 || PageIsAllVisible(BufferGetPage(buffer)))
		return bits;
	ereport(WARNING,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("block %u of table \"%s\" is all-visible by the visibility map, but not by the page; corrected",
					block, v->name)));
	visibilitymap_clear(v->rel, block, vmbuffer, VISIBILITYMAP_VALID_BITS);
	return 0;
}

void
omen_vacuum_set_map(OmenVacuum *v, Buffer buffer, Buffer vmbuffer, const OmenPageState *state)
{
	Page		page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);
	uint8		bits = map_bits(v, buffer, vmbuffer);
	uint8		wanted = 0;

	if (state->ndead > 0 && PageIsAllVisible(page))
	{
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("block %u of table \"%s\" is marked all-visible, but has dead rows; corrected",
						block, v->name)));
		omen_clear_all_visible(v->rel, buffer, vmbuffer);
		bits = 0;
	}

	/*
	 * That a page is marked though we would not mark it is no contradiction: the horizon is estimated anew by every VACUUM, and
	 * may be older this time.
	 */
	if (state->all_visible)
		wanted |= VISIBILITYMAP_ALL_VISIBLE;
	if (state->all_frozen)
		wanted |= VISIBILITYMAP_ALL_FROZEN;
	if ((wanted & ~bits) == 0)
		return;

	/*
	 * A page that was added, but never logged, would be all zeroes on a standby, and the map's record cannot be replayed on that. Only
	 * an empty page can be such.
	 */
	if (RelationNeedsWAL(v->rel) && XLogRecPtrIsInvalid(PageGetLSN(page)))
	{
		START_CRIT_SECTION();
		omen_wal_page(v->rel, buffer);
		END_CRIT_SECTION();
	}
	compat_vm_set(v->rel, block, buffer, vmbuffer, state->all_frozen ? InvalidTransactionId : state->newest, wanted);
	/* the flag on the page does not count as a change of it */
	if (!omen_may_hint())
	{
		START_CRIT_SECTION();
		omen_wal_page(v->rel, buffer);
		END_CRIT_SECTION();
	}
}

/* What was found goes into the totals, and dead rows among those to be removed. */
static void
count(OmenVacuum *v, BlockNumber block, const OmenPageState *state)
{
	v->live += state->live;
	v->recently_dead += state->recently_dead;
	v->missed += state->missed;
	v->older += state->older;
	if (state->missed > 0)
		v->missed_pages++;
	if (state->ndead > 0)
	{
		v->dead_pages++;
		v->dead_items += state->ndead;
		if (v->nindexes > 0)
			omen_vacuum_add_dead(v, block, state->dead, state->ndead);
	}
	/* dead rows do not keep the page from being truncated: there are none left when that is tried, or it finds them */
	if (state->nonempty)
		v->nonempty = block + 1;
}

/* The cleanup lock is not to be had. False: it has to be waited for, as there is something that must be frozen. */
static bool
pass_over(OmenVacuum *v, Buffer buffer, OmenPageState *state)
{
	if (omen_freeze_needed(v, buffer))
	{
		if (v->aggressive)
			return false;
		v->left_unfrozen = true;
	}
	omen_vacuum_examine(v, buffer, state);
	if (v->nindexes == 0)
	{
		/* nobody will look at its dead rows again this time */
		state->missed += state->ndead;
		state->nonempty |= state->ndead > 0;
		state->ndead = 0;
	}
	v->passed_over++;
	return true;
}

static void
vacuum_rows(OmenVacuum *v, Buffer buffer, Buffer vmbuffer, OmenPageState *state)
{
	OmenPruneResult pruned = {0};
	int			frozen;

	omen_prune_page(v->rel, buffer, v->vistest, v->cutoffs.OldestXmin, false, &pruned);
	v->removed += pruned.ndead;
	v->restored += pruned.restored;
	v->dropped += pruned.dropped;

	frozen = omen_freeze_rows(v, buffer);
	v->frozen += frozen;
	if (frozen > 0)
		v->frozen_pages++;

	omen_vacuum_examine(v, buffer, state);
	if (v->nindexes == 0 && state->ndead > 0)
	{
		/* no index can point to them */
		omen_vacuum_reclaim(v, buffer, state->dead, state->ndead);
		v->dead_pages++;
		v->dead_items += state->ndead;
		state->ndead = 0;
		state->all_visible = state->others_visible;
		state->all_frozen = state->others_frozen;
	}
	omen_vacuum_set_map(v, buffer, vmbuffer, state);
}

static void
visit_block(OmenVacuum *v, BlockNumber block, Buffer *vmbuffer)
{
	Buffer		buffer;
	Page		page;
	bool		cleanup;
	OmenPageState state;
	Size		room;

	visibilitymap_pin(v->rel, block, vmbuffer);
	buffer = ReadBufferExtended(v->rel, MAIN_FORKNUM, block, RBM_NORMAL, v->strategy);
	page = BufferGetPage(buffer);
	cleanup = ConditionalLockBufferForCleanup(buffer);
	if (!cleanup)
		LockBuffer(buffer, BUFFER_LOCK_SHARE);

	switch (omen_page_kind(v->rel, block, page))
	{
		case OMEN_PAGE_NEW:
			UnlockReleaseBuffer(buffer);
			omen_vacuum_remember(v, block, block + 1);
			/* left behind by a crash, or just added: known as free, it will be used */
			if (GetRecordedFreeSpace(v->rel, block) == 0)
				RecordPageWithFreeSpace(v->rel, block, BLCKSZ - SizeOfPageHeaderData);
			return;
		case OMEN_PAGE_STORE:
			if (cleanup)
				(void) map_bits(v, buffer, *vmbuffer);
			UnlockReleaseBuffer(buffer);
			omen_vacuum_remember(v, block, block + 1);
			return;
		case OMEN_PAGE_ROWS:
			break;
	}

	if (!cleanup && !pass_over(v, buffer, &state))
	{
		/* it stays a row page while we have it pinned */
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		LockBufferForCleanup(buffer);
		cleanup = true;
	}
	if (cleanup)
		vacuum_rows(v, buffer, *vmbuffer, &state);
	/* unused line pointers do not keep it from becoming a store page; dead ones do, until omen_vacuum_indexes */
	if (!state.nonempty && state.ndead == 0)
		omen_vacuum_remember(v, block, block + 1);
	room = omen_page_room(page);
	UnlockReleaseBuffer(buffer);

	count(v, block, &state);
	/* with dead rows there will be more of it, when they are removed */
	if (state.ndead == 0 || !v->do_indexes)
		RecordPageWithFreeSpace(v->rel, block, room);
}

static void
visit_store_page(OmenVacuum *v, BlockNumber block, Buffer *vmbuffer)
{
	static const OmenPageState empty = {.all_visible = true, .all_frozen = true};
	Buffer		buffer = ReadBufferExtended(v->rel, MAIN_FORKNUM, block, RBM_NORMAL, v->strategy);
	Page		page = BufferGetPage(buffer);
	Size		room = 0;

	v->block = block;
	visibilitymap_pin(v->rel, block, vmbuffer);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (omen_page_kind(v->rel, block, page) != OMEN_PAGE_STORE)
	{
		UnlockReleaseBuffer(buffer);
		return;
	}
	v->store_pages++;
	/* what was added meanwhile is in use */
	if (block < v->pages && omen_store_freeable(v, buffer) && omen_store_free(v->rel, buffer))
	{
		v->store_freed++;
		omen_vacuum_set_map(v, buffer, *vmbuffer, &empty);
		room = omen_page_room(page);
	}
	else
	{
		omen_freeze_store(v, buffer);
		v->older += omen_store_count(v->rel, block, page);
		v->nonempty = Max(v->nonempty, block + 1);
	}
	UnlockReleaseBuffer(buffer);
	if (room > 0)
		RecordPageWithFreeSpace(v->rel, block, room);
}

static void
visit_store(OmenVacuum *v)
{
	Buffer		vmbuffer = InvalidBuffer;
	BlockNumber end = RelationGetNumberOfBlocks(v->rel);

	v->step = OMEN_VACUUM_STORE;
	v->block = InvalidBlockNumber;

	/* versions move to the store all the time, and that includes pages added since we began */
	if (end > v->pages)
		omen_vacuum_remember(v, v->pages, end);

	for (int i = 0; i < v->nlater; i++)
		for (BlockNumber block = v->later[i].start; block < v->later[i].end; block++)
		{
			compat_vacuum_delay_point();
			/* a store page has no bit in the map; of most blocks that were skipped that is all we want to know */
			if (!VM_ALL_VISIBLE(v->rel, block, &vmbuffer))
				visit_store_page(v, block, &vmbuffer);
		}
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
	if (v->store_freed > 0)
		FreeSpaceMapVacuum(v->rel);
}

void
omen_vacuum_scan(OmenVacuum *v)
{
	Buffer		vmbuffer = InvalidBuffer;	/* of the block visited */
	Buffer		skip_vmbuffer = InvalidBuffer;	/* of the block looked ahead to */
	BlockNumber fsm_done = 0;
	BlockNumber visit_until = 0;
	const int	params[] = {PROGRESS_VACUUM_PHASE, PROGRESS_VACUUM_TOTAL_HEAP_BLKS, OMEN_PROGRESS_MAX_DEAD};
	const int64 values[] = {PROGRESS_VACUUM_PHASE_SCAN_HEAP, v->pages, v->max_dead * OMEN_PROGRESS_DEAD_UNIT};

	pgstat_progress_update_multi_param(3, params, values);
	v->step = OMEN_VACUUM_SCAN;
	v->later_allocated = 64;
	v->later = palloc(v->later_allocated * sizeof(OmenBlockRange));

	for (BlockNumber block = next_block(v, 0, &visit_until, &skip_vmbuffer);
		 block < v->pages;
		 block = next_block(v, block + 1, &visit_until, &skip_vmbuffer))
	{
		compat_vacuum_delay_point();
		v->block = block;
		pgstat_progress_update_param(PROGRESS_VACUUM_HEAP_BLKS_SCANNED, block);
		if (++v->scanned % FAILSAFE_EVERY == 0)
			omen_vacuum_failsafe(v);

		if (!omen_vacuum_dead_fits(v))
		{
			if (BufferIsValid(vmbuffer))
				ReleaseBuffer(vmbuffer);
			vmbuffer = InvalidBuffer;
			v->may_bypass = false;
			omen_vacuum_indexes(v);
			FreeSpaceMapVacuumRange(v->rel, fsm_done, block);
			fsm_done = block;
			v->step = OMEN_VACUUM_SCAN;
			v->block = block;
			pgstat_progress_update_param(PROGRESS_VACUUM_PHASE, PROGRESS_VACUUM_PHASE_SCAN_HEAP);
		}
		else if (v->nindexes == 0 && block - fsm_done >= FSM_EVERY)
		{
			FreeSpaceMapVacuumRange(v->rel, fsm_done, block);
			fsm_done = block;
		}
		visit_block(v, block, &vmbuffer);
	}
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
	if (BufferIsValid(skip_vmbuffer))
		ReleaseBuffer(skip_vmbuffer);
	pgstat_progress_update_param(PROGRESS_VACUUM_HEAP_BLKS_SCANNED, v->pages);
	v->live_estimate = vac_estimate_reltuples(v->rel, v->pages, v->scanned, v->live);

	visit_store(v);

	if (v->ndead > 0)
		omen_vacuum_indexes(v);
	if (fsm_done < v->pages)
		FreeSpaceMapVacuumRange(v->rel, fsm_done, v->pages);
	pgstat_progress_update_param(PROGRESS_VACUUM_HEAP_BLKS_VACUUMED, v->pages);
}
