/*
 * alex_ahead.c - fetching rows from memory before the executor asks for them.
 */
#include "alex_ahead.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/itup.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "port/pg_bitutils.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "omen.h"
#include "recent_page.h"

/* Rows ahead: first what leads to the row, then, when that has arrived, the row. */
#define PAGE_AHEAD 8
#define ROW_AHEAD 4

/* Remembered blocks, a power of two: one for every block of the heap within these bounds (8 kB to 1 MB). */
#define LEAST_PLACES 1024
#define MOST_PLACES 131072

typedef struct Place
{
	BlockNumber block;
	Buffer		buffer;			/* invalid: nothing remembered */
} Place;

struct AlexAhead
{
	bool		omen;			/* an omen table, not a heap */
	BlockNumber last;			/* of the tuple returned last */
	BlockNumber asked;			/* for its page, last */
	uint32		mask;
	Place		places[FLEXIBLE_ARRAY_MEMBER];
};

AlexAhead *
alex_ahead_begin(IndexScanDesc scan, MemoryContext context)
{
	Relation	heap = scan->heapRelation;
	AlexAhead  *ahead;
	uint32		n;
	bool		omen;

	/* local buffers have no descriptors to wait for */
	if (heap == NULL || scan->xs_heapfetch == NULL || scan->xs_want_itup || RelationUsesLocalBuffers(heap))
		return NULL;
	/* where they keep the buffer is known of these two, whose pages have line pointers at the same place */
	omen = heap->rd_tableam->tuple_lock == omen_tuple_lock;
	if (!omen && heap->rd_tableam != GetHeapamTableAmRoutine())
		return NULL;

	n = pg_nextpower2_32(Min(Max(RelationGetNumberOfBlocks(heap), LEAST_PLACES), MOST_PLACES));
	ahead = MemoryContextAllocZero(context, offsetof(AlexAhead, places) + n * sizeof(Place));
	ahead->omen = omen;
	ahead->last = ahead->asked = InvalidBlockNumber;
	ahead->mask = n - 1;
	return ahead;
}

/* The remembered page of a TID, or NULL. */
static inline char *
page_of(AlexAhead *ahead, ItemPointer tid, Buffer *buffer)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	const Place *place = &ahead->places[block & ahead->mask];

	if (place->block != block || !BufferIsValid(place->buffer) ||
		ItemPointerGetOffsetNumberNoCheck(tid) > MaxHeapTuplesPerPage)
		return NULL;
	*buffer = place->buffer;
	return (char *) BufferGetBlock(place->buffer);
}

static inline ItemPointer
tid_at(const uint64 *tuples, int stride, uint32 i)
{
	return &((IndexTuple) (tuples + (Size) i * stride))->t_tid;
}

static inline char *
line_pointer(char *page, ItemPointer tid)
{
	return page + SizeOfPageHeaderData + (ItemPointerGetOffsetNumberNoCheck(tid) - 1) * sizeof(ItemIdData);
}

static void
prefetch_page(AlexAhead *ahead, ItemPointer tid)
{
	Buffer		buffer;
	char	   *page;

	/* rows in the order of the keys: the page is here already */
	if (ItemPointerGetBlockNumberNoCheck(tid) == ahead->asked)
		return;
	ahead->asked = ItemPointerGetBlockNumberNoCheck(tid);
	page = page_of(ahead, tid, &buffer);
	if (page)
	{
		__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
		__builtin_prefetch(page);
		__builtin_prefetch(line_pointer(page, tid));
	}
}

static void
prefetch_row(AlexAhead *ahead, ItemPointer tid)
{
	Buffer		buffer;
	char	   *page;

	if (ItemPointerGetBlockNumberNoCheck(tid) == ahead->last)
		return;
	page = page_of(ahead, tid, &buffer);
	if (page)
	{
		/* read without pin or lock: whatever it is, the address is within the page */
		ItemIdData	item = *(volatile ItemIdData *) line_pointer(page, tid);

		__builtin_prefetch(page + (item.lp_off & (BLCKSZ - 1)));
	}
}

/*
 * Pins the page of the row to be returned, for heapam_index_fetch_tuple(), in 15 to 19: it keeps the page of the last row pinned and looks
 * for a page only if that is another one. A page that it goes to is pruned, so that is done here.
 */
static Buffer
go_to_page(IndexScanDesc scan, BlockNumber block, Buffer hint)
{
	IndexFetchHeapData *fetch = (IndexFetchHeapData *) scan->xs_heapfetch;

	if (BufferIsValid(fetch->xs_cbuf))
		ReleaseBuffer(fetch->xs_cbuf);
	fetch->xs_cbuf = InvalidBuffer;
	compat_note_heap_block(fetch, InvalidBlockNumber);
	fetch->xs_cbuf = recent_page(scan->heapRelation, block, hint);
	compat_note_heap_block(fetch, block);
	compat_heap_prune_opt(scan->heapRelation, fetch->xs_cbuf, &fetch->xs_vmbuffer, fetch->xs_base.flags & SO_HINT_REL_READ_ONLY);
	return fetch->xs_cbuf;
}

void
alex_ahead_prefetch(AlexAhead *ahead, IndexScanDesc scan, const uint64 *tuples, int stride, uint32 i, uint32 n, bool fresh)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid_at(tuples, stride, i));
	Place	   *place = &ahead->places[block & ahead->mask];
	Buffer		hint = place->block == block ? place->buffer : InvalidBuffer;
	bool		stays = block == ahead->last;

	ahead->last = block;
	if (fresh)
		for (uint32 j = i; j < n && j < i + PAGE_AHEAD; j++)
			prefetch_page(ahead, tid_at(tuples, stride, j));
	if (i + PAGE_AHEAD < n)
		prefetch_page(ahead, tid_at(tuples, stride, i + PAGE_AHEAD));
	if (i + ROW_AHEAD < n)
		prefetch_row(ahead, tid_at(tuples, stride, i + ROW_AHEAD));

	if (stays)
		return;
	place->buffer = ahead->omen ? omen_index_fetch_go(scan->xs_heapfetch, block, hint) : go_to_page(scan, block, hint);
	place->block = block;
}
