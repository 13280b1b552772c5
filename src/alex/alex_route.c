/*
 * alex_route.c - a scan's private copy of the levels above the leaves.
 *
 * A nested loop probes the same index a million times. From the second dozen of probes on, a scan copies the inner nodes
 * it passes into arrays of its own and finds leaves by them: no buffer lookups, locks or decoding on the way down. For
 * every leaf it remembers the buffer that held it and where in the page the keys lie, so the leaf's cache lines can be
 * asked for, all at once, before the first of them is needed.
 *
 * Nothing here is trusted. A leaf that does not cover the position it was found for makes the route forget the node that
 * named it, and the scan descends from the root. So splits, deletions and recycling need no invalidation.
 */
#include "alex_route.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* A route grows to this and no further: 8 MB cover 100 million random keys about twice. Beyond it, scans descend. */
#define ROUTE_BYTES (8 * 1024 * 1024)

typedef struct RouteNode
{
	int			level;			/* of the inner node: 1 above the leaves */
	uint32		n;
	Size		bytes;			/* that it takes, without its children */
	double		scale;			/* child = (first word - base) * scale, roughly */
	uint64		base;
	uint64	   *separators;		/* n + 1 positions; the last is the high fence */
	union
	{
		AlexRouteLeaf *leaves;	/* level 1 */
		struct RouteNode **children;	/* above; NULL where not copied yet */
	}			u;
	BlockNumber *blocks;		/* above level 1 */
} RouteNode;

struct AlexRoute
{
	MemoryContext context;
	int			words;
	RouteNode  *root;
	RouteNode **last;			/* where the last node on the way hangs, for alex_route_forget */
	Size		bytes;
};

AlexRoute *
alex_route_begin(const AlexIndex *index)
{
	AlexRoute  *route = palloc0(sizeof(AlexRoute));

	route->context = AllocSetContextCreate(CurrentMemoryContext, "alex route", ALLOCSET_DEFAULT_SIZES);
	route->words = index->words;
	return route;
}

void
alex_route_end(AlexRoute *route)
{
	MemoryContextDelete(route->context);
	pfree(route);
}

static void
free_node(AlexRoute *route, RouteNode *node)
{
	if (node == NULL)
		return;
	if (node->level > 1)
		for (uint32 i = 0; i < node->n; i++)
			free_node(route, node->u.children[i]);
	route->bytes -= node->bytes;
	pfree(node->separators);
	if (node->level > 1)
		pfree(node->blocks);
	pfree(node->u.children);
	pfree(node);
}

void
alex_route_forget(AlexRoute *route)
{
	if (route->last == NULL)
		return;
	free_node(route, *route->last);
	*route->last = NULL;
	route->last = NULL;
}

/*
 * Copies an inner node. NULL if the block is not the node of that level that covers the position; *stale says whether its
 * parent's copy is to blame, rather than a split whose separator the parent itself still lacks.
 */
static RouteNode *
copy_node(AlexRoute *route, Relation rel, const AlexIndex *index, BlockNumber block, int level,
		  const uint64 *position, bool *stale)
{
	int			words = route->words;
	int			stride = alex_stride(words, 1);
	Buffer		buffer = ReadBuffer(rel, block);
	Page		page = BufferGetPage(buffer);
	RouteNode  *node;
	uint64	   *records;

	alex_lock(rel, index, buffer, BUFFER_LOCK_SHARE);
	if (level < 0)
		level = alex_cheader(page)->level;
	if (level == 0 || !alex_covers(page, level, position) || alex_record_count(page) == 0)
	{
		*stale = !alex_left_of_unfinished_split(page, level, position);
		UnlockReleaseBuffer(buffer);
		return NULL;
	}
	node = MemoryContextAllocZero(route->context, sizeof(RouteNode));
	records = palloc((Size) alex_record_count(page) * stride * sizeof(uint64));
	node->level = level;
	node->n = alex_decode(page, records);
	node->separators = MemoryContextAllocHuge(route->context, (Size) (node->n + 1) * (words + 1) * sizeof(uint64));
	if (alex_cheader(page)->right == InvalidBlockNumber)
		memset(node->separators + (Size) node->n * (words + 1), 0xFF, (words + 1) * sizeof(uint64));
	else
		memcpy(node->separators + (Size) node->n * (words + 1), alex_high_fence(page), (words + 1) * sizeof(uint64));
	UnlockReleaseBuffer(buffer);

	if (level == 1)
		node->u.leaves = MemoryContextAllocHuge(route->context, sizeof(AlexRouteLeaf) * node->n);
	else
	{
		node->u.children = MemoryContextAllocZero(route->context, sizeof(RouteNode *) * node->n);
		node->blocks = MemoryContextAlloc(route->context, sizeof(BlockNumber) * node->n);
	}
	for (uint32 i = 0; i < node->n; i++)
	{
		const uint64 *record = records + (Size) i * stride;

		/* to read this block would be to extend the index */
		if (record[words + 1] >= InvalidBlockNumber)
			alex_corrupt(rel, block, "a child is no block");
		memcpy(node->separators + (Size) i * (words + 1), record, (words + 1) * sizeof(uint64));
		if (level == 1)
		{
			memset(&node->u.leaves[i], 0, sizeof(AlexRouteLeaf));
			node->u.leaves[i].block = (BlockNumber) record[words + 1];
		}
		else
			node->blocks[i] = (BlockNumber) record[words + 1];
	}
	pfree(records);

	node->base = node->separators[0];
	if (node->separators[(Size) (node->n - 1) * (words + 1)] > node->base)
		node->scale = (node->n - 1) /
			(double) (node->separators[(Size) (node->n - 1) * (words + 1)] - node->base);
	node->bytes = sizeof(RouteNode) + (Size) node->n * sizeof(AlexRouteLeaf) +
		(Size) (node->n + 1) * (words + 1) * sizeof(uint64);
	route->bytes += node->bytes;
	return node;
}

/* The last child whose separator is at or before the position; a line through the ends says where to look. */
static uint32
find_child(const RouteNode *node, int words, const uint64 *position)
{
	double		guess = position[0] <= node->base ? 0 : (double) (position[0] - node->base) * node->scale;

	return alex_find_separator(node->separators, node->n, words, position,
							   guess >= node->n ? node->n - 1 : (uint32) guess);
}

AlexRouteLeaf *
alex_route_find(AlexRoute *route, Relation rel, const AlexIndex *index, const uint64 *position, double *fraction)
{
	int			words = route->words;
	RouteNode **at = &route->root;
	BlockNumber block = ALEX_ROOT_BLOCK;
	int			level = -1;

	for (;;)
	{
		RouteNode  *node = *at;
		uint32		i;
		bool		stale;

		if (node == NULL)
		{
			if (route->bytes > ROUTE_BYTES)
			{
				/* nothing is out of date: the leaf's fences will not be blamed on a node above */
				route->last = NULL;
				return NULL;
			}
			node = *at = copy_node(route, rel, index, block, level, position, &stale);
			if (node == NULL)
			{
				if (stale)
					alex_route_forget(route);
				return NULL;
			}
		}
		i = find_child(node, words, position);
		route->last = at;
		if (node->level == 1)
		{
			const uint64 *separator = node->separators + (Size) i * (words + 1);
			uint64		span = separator[words + 1] - separator[0];

			/* the last child's end may be out of date, so a fraction may come out beyond 1 */
			*fraction = span == 0 || position[0] <= separator[0] ? 0 :
				Min(1.0, (double) (position[0] - separator[0]) / (double) span);
			return &node->u.leaves[i];
		}
		at = &node->u.children[i];
		block = node->blocks[i];
		level = node->level - 1;
	}
}
