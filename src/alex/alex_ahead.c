/*
 * alex_ahead.c - fetching rows of a heap from memory before the executor asks for them.
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

	/* other table access methods have other states than IndexFetchHeapData; local buffers have no descriptors to wait for */
	if (heap == NULL || scan->xs_heapfetch == NULL || scan->xs_want_itup ||
		heap->rd_tableam != GetHeapamTableAmRoutine() || RelationUsesLocalBuffers(heap))
		return NULL;

	n = pg_nextpower2_32(Min(Max(RelationGetNumberOfBlocks(heap), LEAST_PLACES), MOST_PLACES));
	ahead = MemoryContextAllocZero(context, offsetof(AlexAhead, places) + n * sizeof(Place));
	ahead->last = ahead->asked = InvalidBlockNumber;
	ahead->mask = n - 1;
	return ahead;
}

void
alex_ahead_learn(AlexAhead *ahead, IndexScanDesc scan)
{
	Buffer		buffer = ((IndexFetchHeapData *) scan->xs_heapfetch)->xs_cbuf;

	if (BufferIsValid(buffer) && BlockNumberIsValid(ahead->last))
	{
		Place	   *place = &ahead->places[ahead->last & ahead->mask];

		place->block = ahead->last;
		place->buffer = buffer;
	}
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

void
alex_ahead_prefetch(AlexAhead *ahead, const uint64 *tuples, int stride, uint32 i, uint32 n, bool fresh)
{
	ahead->last = ItemPointerGetBlockNumberNoCheck(tid_at(tuples, stride, i));
	if (fresh)
		for (uint32 j = i; j < n && j < i + PAGE_AHEAD; j++)
			prefetch_page(ahead, tid_at(tuples, stride, j));
	if (i + PAGE_AHEAD < n)
		prefetch_page(ahead, tid_at(tuples, stride, i + PAGE_AHEAD));
	if (i + ROW_AHEAD < n)
		prefetch_row(ahead, tid_at(tuples, stride, i + ROW_AHEAD));
}
