/*
 * alex_visible.c - which rows of the table a snapshot sees, for many index entries at once.
 *
 * Where the visibility map says that all rows of a block are visible nobody asks the table. The rule is that of index-only scans: the
 * map is read after the index entry, and the leaf stays pinned until the map has been read. VACUUM sets a bit only after it has
 * removed the entries of the dead rows of the block from the index, and for that it waits for our pin: so an entry that was
 * read before is not that of such a row. In recovery nobody waits for pins, and the table is asked about every entry.
 *
 * Entries of other blocks are sorted by TID, so that a block is pinned and locked once for all of them.
 *
 * Serializable transactions note what they read, as index-only scans do: the block, where the map was believed.
 */
#include "alex_visible.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/predicate.h"

#include "alex.h"
#include "alex_answer.h"

/* Blocks of the table that a page of the map tells of, as visibilitymap.c has it. */
#define BLOCKS_PER_BYTE (BITS_PER_BYTE / BITS_PER_HEAPBLOCK)
#define BLOCKS_PER_PAGE ((BlockNumber) ((BLCKSZ - MAXALIGN(SizeOfPageHeaderData)) * BLOCKS_PER_BYTE))

StaticAssertDecl(BITS_PER_HEAPBLOCK == 2 && VISIBILITYMAP_ALL_VISIBLE == 1, "alex_map_is_visible() knows the map");

/* An entry to ask about, in a word that sorts by TID: the TID above its number. */
#define ASKED_BITS 10
StaticAssertDecl(ALEX_VISIBLE_MOST == 1 << ASKED_BITS, "numbers of entries");

void
alex_visible_begin(AlexVisible *visible, Relation heap, Relation index, Snapshot snapshot)
{
	memset(visible, 0, sizeof(*visible));
	visible->heap = heap;
	visible->index = index;
	visible->snapshot = snapshot;
	visible->is_heap = heap->rd_tableam == GetHeapamTableAmRoutine();
	visible->trusted = !RecoveryInProgress() && IsMVCCSnapshot(snapshot);
	visible->serializable = IsolationIsSerializable();
	visible->noted = InvalidBlockNumber;
	for (int i = 0; i < ALEX_MAP_PAGES; i++)
		visible->pages[i].number = InvalidBlockNumber;
	visible->asked = palloc(ALEX_VISIBLE_MOST * sizeof(uint64));
	if (!visible->is_heap)
	{
		visible->fetch = compat_index_fetch_begin(heap);
		visible->slot = table_slot_create(heap, NULL);
	}
}

void
alex_visible_end(AlexVisible *visible)
{
	for (int i = 0; i < ALEX_MAP_PAGES; i++)
		if (BufferIsValid(visible->pages[i].buffer))
			ReleaseBuffer(visible->pages[i].buffer);
	if (visible->slot)
		ExecDropSingleTupleTableSlot(visible->slot);
	if (visible->fetch)
		table_index_fetch_end(visible->fetch);
	pfree(visible->asked);
}

/* The part of the map that tells of a block and its neighbours; NULL if the map ends before it. */
static inline const uint8 *
map_of(AlexVisible *visible, BlockNumber block)
{
	BlockNumber number = block / BLOCKS_PER_PAGE;
	AlexMapPage *page = &visible->pages[number % ALEX_MAP_PAGES];

	if (unlikely(page->number != number))
	{
		page->number = InvalidBlockNumber;
		/* pins the page it is in, if there is one */
		visibilitymap_get_status(visible->heap, block, &page->buffer);
		if (!BufferIsValid(page->buffer))
			return NULL;
		page->number = number;
	}
	return (const uint8 *) PageGetContents(BufferGetPage(page->buffer));
}

bool
alex_blocks_visible(AlexVisible *visible, BlockNumber least, BlockNumber greatest, uint32 effort, BlockNumber *hidden)
{
	*hidden = InvalidBlockNumber;
	/* what is read has to be noted block by block */
	if (!visible->trusted || visible->serializable)
		return false;
	if (greatest >= visible->nblocks)
	{
		/* an entry that has been read is that of a row that is there, and tables do not shrink while they are read */
		visible->nblocks = RelationGetNumberOfBlocks(visible->heap);
		if (visible->nblocks == 0)
			return false;
		greatest = Min(greatest, visible->nblocks - 1);
	}
	if (least > greatest || (greatest - least) / BLOCKS_PER_BYTE > effort)
		return false;
	for (BlockNumber block = least;;)
	{
		BlockNumber start = block - block % BLOCKS_PER_PAGE;
		BlockNumber last = Min(greatest, start + (BLOCKS_PER_PAGE - 1));
		const uint8 *map = map_of(visible, block);

		if (map)
			block = start + alex_map_visible_end(map, block - start, last - start + 1);
		if (block <= last)
		{
			*hidden = block;
			return false;
		}
		if (last == greatest)
			return true;
	}
}

static inline bool
block_visible(AlexVisible *visible, BlockNumber block)
{
	const uint8 *map = map_of(visible, block);
	BlockNumber i = block % BLOCKS_PER_PAGE;

	return map != NULL && (map[i / BLOCKS_PER_BYTE] >> i % BLOCKS_PER_BYTE * BITS_PER_HEAPBLOCK & VISIBILITYMAP_ALL_VISIBLE) != 0;
}

static inline void
clear_bit(uint64 *bits, uint32 i)
{
	bits[i / 64] &= ~(UINT64CONST(1) << i % 64);
}

/* Asks a heap about the n entries at "asked", all of one block. */
static void
ask_heap_block(AlexVisible *visible, BlockNumber block, const uint64 *asked, uint32 n, uint64 *bits)
{
	Buffer		buffer = ReadBuffer(visible->heap, block);
	Buffer		vmbuffer = InvalidBuffer;

	compat_heap_prune_opt(visible->heap, buffer, &vmbuffer, false);
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	for (uint32 i = 0; i < n; i++)
	{
		HeapTupleData tuple;
		ItemPointerData tid;

		alex_tie_to_tid(asked[i] >> ASKED_BITS, &tid);
		if (heap_hot_search_buffer(&tid, visible->heap, buffer, visible->snapshot, &tuple, NULL, true))
			pgstat_count_heap_fetch(visible->index);
		else
			clear_bit(bits, asked[i] & (ALEX_VISIBLE_MOST - 1));
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	ReleaseBuffer(buffer);
}

static void
ask_table(AlexVisible *visible, const uint64 *asked, uint32 n, uint64 *bits)
{
	for (uint32 i = 0; i < n; i++)
	{
		ItemPointerData tid;
		bool		again = false;

		alex_tie_to_tid(asked[i] >> ASKED_BITS, &tid);
		if (table_index_fetch_tuple(visible->fetch, &tid, visible->snapshot, visible->slot, &again, NULL))
			pgstat_count_heap_fetch(visible->index);
		else
			clear_bit(bits, asked[i] & (ALEX_VISIBLE_MOST - 1));
	}
	ExecClearTuple(visible->slot);
}

static int
compare_asked(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

static void
ask(AlexVisible *visible, uint32 n, uint64 *bits)
{
	uint64	   *asked = visible->asked;

	visible->fetches += n;
	qsort(asked, n, sizeof(uint64), compare_asked);
	if (!visible->is_heap)
	{
		ask_table(visible, asked, n, bits);
		return;
	}
	for (uint32 from = 0; from < n;)
	{
		BlockNumber block = (BlockNumber) (asked[from] >> (ASKED_BITS + 16));
		uint32		to = from + 1;

		while (to < n && (BlockNumber) (asked[to] >> (ASKED_BITS + 16)) == block)
			to++;
		CHECK_FOR_INTERRUPTS();
		ask_heap_block(visible, block, asked + from, to - from, bits);
		from = to;
	}
}

void
alex_entries_visible(AlexVisible *visible, const uint64 *ties, int stride, uint32 n, uint64 *bits)
{
	uint32		asked = 0;

	for (uint32 i = 0; i < n; i++, ties += stride)
	{
		BlockNumber block = (BlockNumber) (*ties >> 16);

		if ((bits[i / 64] >> i % 64 & 1) == 0)
			continue;
		if (!alex_tie_is_tid(*ties))
			alex_corrupt(visible->index, visible->leaf, ALEX_NO_TID);
		if (!visible->trusted || !block_visible(visible, block))
			visible->asked[asked++] = (*ties & ALEX_TID_MASK) << ASKED_BITS | i;
		else if (visible->serializable && block != visible->noted)
		{
			PredicateLockPage(visible->heap, block, visible->snapshot);
			visible->noted = block;
		}
	}
	if (asked > 0)
		ask(visible, asked, bits);
}
