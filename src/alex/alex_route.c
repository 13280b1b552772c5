/*
 * alex_route.c - a backend's private copies of the levels above the leaves.
 *
 * A nested loop probes the same index a million times, and a client runs the same statement over and over. So a backend copies the
 * inner nodes it passes often into arrays of its own and finds leaves by them: no buffer lookups, locks or decoding on the way
 * down. For every leaf it remembers the buffer that held it and where in the page the keys lie, so the leaf's cache lines can
 * be asked for, all at once, before the first of them is needed.
 *
 * Nothing here is trusted. A leaf that does not cover the position it was found for makes the route forget the node that
 * named it, and the caller descends from the root. So splits, deletions and recycling need no invalidation. Only when the
 * index gets another file, or is truncated and built anew, could a block be named that does not exist. The file is compared at
 * every lookup, and a build outdates the route.
 *
 * Everything lives as long as the backend, so an error must not leave half a node behind: a node is one piece of memory,
 * and from its allocation until it is in its place nothing raises an error. Pointers into a route do not outlive a call of
 * alex_route_leaf(), so whatever other scans of the index, or invalidations, come between two calls cannot leave any dangling.
 */
#include "alex_route.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "linked_page.h"
#include "recent_page.h"

/* A node is copied after it was passed so often: a copy costs about as much as 16 to 20 descents through the node. */
#define COPY_AFTER 16

/* What is remembered of a leaf's layout is renewed every so many times. */
#define LEAF_USES 16

/*
 * Where memory is short, a route that was not used during so many lookups gives way to another: that costs less than they
 * gain. When none does, it is some lookups before the next attempt.
 */
#define EVICT_AFTER 100000
#define RETRY_AFTER 1000

/* What is remembered of a leaf. All of it is a hint: the leaf's own fences decide. */
typedef struct RouteLeaf
{
	BlockNumber block;
	Buffer		buffer;			/* where the block was last seen */
	uint32		uses;
	AlexLayout	layout;			/* where the predicted record is, for prefetching */
} RouteLeaf;

/* An inner node, copied or not yet. */
typedef struct RouteChild
{
	struct RouteNode *node;
	BlockNumber block;
	uint32		passed;			/* times, up to COPY_AFTER */
} RouteChild;

typedef struct RouteNode
{
	int			level;			/* of the inner node: 1 above the leaves */
	int			words;			/* key words of its separators */
	int			word;			/* the first in which they differ */
	uint32		n;
	Size		bytes;			/* that it takes, without its children */
	double		scale;			/* child = (that word - base) * scale, roughly */
	uint64		base;
	union
	{
		RouteLeaf  *leaves;		/* level 1 */
		RouteChild *children;	/* above */
	}			u;
	uint64		separators[FLEXIBLE_ARRAY_MEMBER];	/* n + 1 positions; the last is the high fence */
} RouteNode;

/* What is known of one index. */
typedef struct Route
{
	Oid			relid;			/* hash key; the rest is initialised by route_of() */
	int			words;
	CompatLocator file;
	bool		outdated;		/* to be dropped */
	RouteChild	root;
	Size		bytes;			/* of all its nodes */
	uint64		used;			/* the lookup that used it last */
} Route;

static int	route_memory = 8192;	/* kB */

static HTAB *routes = NULL;
static MemoryContext context = NULL;
static Route *last_route = NULL;
static bool any_outdated = false;
static Size all_bytes = 0;
static uint64 lookups = 0;
static uint64 full_until = 0;	/* no copy is made before this lookup */

static void
assign_route_memory(int value, void *extra)
{
	full_until = 0;
}

void
alex_define_route_memory(void)
{
	DefineCustomIntVariable("alex.route_memory",
							"Sets how much memory a session may use for copies of the upper levels of alex indexes.",
							"They spare searches the way down from the root. 100 million random keys need about 5 MB.",
							&route_memory, 8192, 0, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, NULL, assign_route_memory, NULL);
	MarkGUCPrefixReserved("alex");
}

/* ---- memory ---- */

static void
free_node(Route *route, RouteNode *node)
{
	if (node == NULL)
		return;
	if (node->level > 1)
		for (uint32 i = 0; i < node->n; i++)
			free_node(route, node->u.children[i].node);
	route->bytes -= node->bytes;
	all_bytes -= node->bytes;
	full_until = 0;
	pfree(node);
}

static void
drop_route(Route *route)
{
	free_node(route, route->root.node);
	if (last_route == route)
		last_route = NULL;
	hash_search(routes, &route->relid, HASH_REMOVE, NULL);
}

/* Drops the routes that are outdated; all of them, if they take more than the setting allows by now. */
static void
drop_routes(void)
{
	bool		all = all_bytes > (Size) route_memory * 1024;
	HASH_SEQ_STATUS status;
	Route	   *route;

	any_outdated = false;
	hash_seq_init(&status, routes);
	while ((route = hash_seq_search(&status)) != NULL)
		if (all || route->outdated)
			drop_route(route);
}

/* Relcache callback. It may come at any time, so it only leaves a mark. */
static void
invalidate(Datum argument, Oid relid)
{
	HASH_SEQ_STATUS status;
	Route	   *route;

	if (OidIsValid(relid))
	{
		route = hash_search(routes, &relid, HASH_FIND, NULL);
		if (route != NULL)
			route->outdated = any_outdated = true;
		return;
	}
	hash_seq_init(&status, routes);
	while ((route = hash_seq_search(&status)) != NULL)
		route->outdated = any_outdated = true;
}

void
alex_route_outdate(Oid relid)
{
	if (routes != NULL)
		invalidate((Datum) 0, relid);
}

/* Is there room for a node, now or after dropping routes that are out of use? */
static bool
make_room(const Route *route, Size bytes)
{
	Size		limit = (Size) route_memory * 1024;

	while (all_bytes + bytes > limit)
	{
		HASH_SEQ_STATUS status;
		Route	   *oldest = NULL;
		Route	   *other;

		/* nothing gives way to what does not fit by itself */
		hash_seq_init(&status, routes);
		while ((other = hash_seq_search(&status)) != NULL)
			if (route->bytes + bytes <= limit && other != route && other->bytes > 0 && (oldest == NULL || other->used < oldest->used))
				oldest = other;
		if (oldest == NULL || lookups - oldest->used < EVICT_AFTER)
		{
			full_until = lookups + RETRY_AFTER;
			return false;
		}
		drop_route(oldest);
	}
	return true;
}

static Route *
route_of(Relation rel, const AlexIndex *index)
{
	Oid			relid = RelationGetRelid(rel);
	Route	   *route;
	bool		found;

	if (unlikely(any_outdated || all_bytes > (Size) route_memory * 1024))
		drop_routes();
	route = last_route;
	if (unlikely(route == NULL || route->relid != relid))
	{
		if (routes == NULL)
		{
			HASHCTL		control = {0};

			if (context == NULL)
				context = AllocSetContextCreate(CacheMemoryContext, "alex routes", ALLOCSET_SMALL_SIZES);
			control.keysize = sizeof(Oid);
			control.entrysize = sizeof(Route);
			control.hcxt = context;
			routes = hash_create("alex routes", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
			CacheRegisterRelcacheCallback(invalidate, (Datum) 0);
		}
		route = hash_search(routes, &relid, HASH_ENTER, &found);
		if (!found)
			memset((char *) route + sizeof(Oid), 0, sizeof(Route) - sizeof(Oid));
		last_route = route;
	}
	if (unlikely(route->words != index->words || !CompatLocatorEquals(route->file, compat_locator(rel))))
	{
		free_node(route, route->root.node);
		memset(&route->root, 0, sizeof(RouteChild));
		route->root.block = ALEX_ROOT_BLOCK;
		route->words = index->words;
		route->file = compat_locator(rel);
	}
	route->used = ++lookups;
	return route;
}

/* ---- the way down ---- */

/*
 * Copies an inner node. NULL if the block is not the node of that level that covers the position, or there is no room; *stale
 * says whether its parent's copy is to blame, rather than a split whose separator the parent itself still lacks.
 */
static RouteNode *
copy_node(Route *route, Relation rel, const AlexIndex *index, BlockNumber block, int level,
		  const uint64 *position, int position_words, bool *stale)
{
	int			words;
	int			stride;
	Buffer		buffer = alex_pin(rel, block, NULL);
	Page		page = BufferGetPage(buffer);
	uint64		high[ALEX_MAX_WORDS + 1];
	RouteNode  *node;
	uint64	   *records;
	uint64	   *separators;
	const uint64 *last;
	Size		separator_bytes;
	Size		bytes;
	uint32		n;

	alex_lock(rel, index, buffer, BUFFER_LOCK_SHARE);
	if (level < 0)
		level = alex_cheader(page)->level;
	if (level == 0 || !alex_covers(page, level, position, position_words) || alex_record_count(page) == 0)
	{
		*stale = !alex_left_of_unfinished_split(page, level, position, position_words);
		UnlockReleaseBuffer(buffer);
		return NULL;
	}
	*stale = false;
	words = alex_cheader(page)->words;
	stride = alex_stride(words, 1);
	records = palloc((Size) alex_record_count(page) * stride * sizeof(uint64));
	n = alex_decode(page, records);
	if (alex_cheader(page)->right == InvalidBlockNumber)
		memset(high, 0xFF, sizeof(high));
	else
		alex_high_fence(page, high);
	UnlockReleaseBuffer(buffer);

	/* to read such a block would be to extend the index */
	for (uint32 i = 0; i < n; i++)
		if (records[(Size) i * stride + words + 1] >= InvalidBlockNumber)
			alex_corrupt(rel, block, "a child is no block");

	separator_bytes = (Size) (n + 1) * (words + 1) * sizeof(uint64);
	bytes = offsetof(RouteNode, separators) + separator_bytes + n * (level == 1 ? sizeof(RouteLeaf) : sizeof(RouteChild));
	node = NULL;
	if (make_room(route, bytes))
		node = MemoryContextAllocExtended(context, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
	if (node == NULL)
	{
		pfree(records);
		return NULL;
	}
	node->bytes = bytes;
	route->bytes += bytes;
	all_bytes += bytes;

	node->level = level;
	node->words = words;
	node->n = n;
	separators = node->separators;
	node->u.leaves = (RouteLeaf *) ((char *) separators + separator_bytes);
	for (uint32 i = 0; i < n; i++)
	{
		const uint64 *record = records + (Size) i * stride;

		memcpy(separators + (Size) i * (words + 1), record, (words + 1) * sizeof(uint64));
		if (level == 1)
			node->u.leaves[i].block = (BlockNumber) record[words + 1];
		else
			node->u.children[i].block = (BlockNumber) record[words + 1];
	}
	memcpy(separators + (Size) n * (words + 1), high, (words + 1) * sizeof(uint64));
	pfree(records);

	last = separators + (Size) (n - 1) * (words + 1);
	while (node->word < words && separators[node->word] == last[node->word])
		node->word++;
	node->base = separators[node->word];
	if (last[node->word] > node->base)
		node->scale = (n - 1) / (double) (last[node->word] - node->base);
	return node;
}

static void
forget(Route *route, RouteChild *inner)
{
	if (inner == NULL)
		return;
	free_node(route, inner->node);
	inner->node = NULL;
}

/* Is the node of this block the left half of an unfinished split, whose right half covers the position? */
static bool
left_of_unfinished_split(Relation rel, const AlexIndex *index, BlockNumber block, int level, const uint64 *position, int words)
{
	Buffer		buffer = alex_pin(rel, block, NULL);
	bool		unfinished;

	alex_lock(rel, index, buffer, BUFFER_LOCK_SHARE);
	unfinished = alex_left_of_unfinished_split(BufferGetPage(buffer), level, position, words);
	UnlockReleaseBuffer(buffer);
	return unfinished;
}

/* The last child whose separator is at or before the position, of the node's words; a line through the ends says where to look. */
static uint32
find_child(const RouteNode *node, const uint64 *position)
{
	uint64		value = position[node->word];
	double		guess = value <= node->base ? 0 : (double) (value - node->base) * node->scale;

	return alex_find_separator(node->separators, node->n, node->words, position,
							   guess >= node->n ? node->n - 1 : (uint32) guess);
}

/*
 * The leaf that should cover the position, how far into its key range the position lies (0 .. 1), and the inner node that named
 * it. NULL if a node on the way is not copied yet, or the tree changed too much under the route to say.
 */
static RouteLeaf *
find_leaf(Route *route, Relation rel, const AlexIndex *index, const uint64 *position, int position_words, double *fraction,
		  RouteChild **parent)
{
	RouteChild *above = NULL;
	RouteChild *inner = &route->root;
	int			level = -1;

	for (;;)
	{
		RouteNode  *node = inner->node;
		uint64		space[ALEX_MAX_WORDS + 1];
		const uint64 *here;
		int			words;
		uint32		i;

		if (unlikely(node == NULL))
		{
			bool		stale;

			if (inner->passed < COPY_AFTER)
			{
				inner->passed++;
				return NULL;
			}
			if (lookups < full_until)
				return NULL;
			node = inner->node = copy_node(route, rel, index, inner->block, level, position, position_words, &stale);
			if (node == NULL)
			{
				if (stale)
					forget(route, above);
				return NULL;
			}
		}
		words = node->words;
		here = alex_fit_words(words, position, position_words, space);
		i = find_child(node, here);

		/* the node was copied after a split that the copy above it does not know of, unless nobody does yet */
		if (unlikely(i == node->n - 1 && above != NULL &&
					 alex_compare(here, node->separators + (Size) node->n * (words + 1), words) >= 0))
		{
			if (!left_of_unfinished_split(rel, index, inner->block, node->level, position, position_words))
				forget(route, above);
			return NULL;
		}
		if (node->level == 1)
		{
			const uint64 *separator = node->separators + (Size) i * (words + 1);
			const uint64 *end = separator + words + 1;
			int			w = 0;
			uint64		span;

			while (w < words && separator[w] == end[w])
				w++;
			span = end[w] - separator[w];
			/* the last child's end may be out of date, so a fraction may come out beyond 1 */
			*fraction = span == 0 || here[w] <= separator[w] ? 0 :
				Min(1.0, (double) (here[w] - separator[w]) / (double) span);
			*parent = inner;
			return &node->u.leaves[i];
		}
		above = inner;
		inner = &node->u.children[i];
		level = node->level - 1;
	}
}

Buffer
alex_route_leaf(Relation rel, const AlexIndex *index, const uint64 *position, int words, int access)
{
	Route	   *route = route_of(rel, index);
	RouteLeaf  *leaf;
	RouteChild *parent;
	double		fraction;
	Buffer		buffer;

	leaf = find_leaf(route, rel, index, position, words, &fraction, &parent);
	if (leaf == NULL)
		return InvalidBuffer;

	/* all the cache misses at once: the descriptor and the lines of the page that will be touched */
	buffer = leaf->buffer;
	if (BufferIsValid(buffer) && !RelationUsesLocalBuffers(rel))
	{
		__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
		if (access == BUFFER_LOCK_SHARE)
			alex_prefetch(BufferGetBlock(buffer), &leaf->layout, fraction);
		else
		{
			__builtin_prefetch(BufferGetBlock(buffer), 1);
			__builtin_prefetch((char *) BufferGetBlock(buffer) + ALEX_FENCES_OFFSET(index->least + 1), 1);
		}
	}

	if (unlikely(!BufferIsValid(buffer) && !block_exists(rel, leaf->block)))
		alex_corrupt(rel, leaf->block, "A link leads there, but the file ends before");
	buffer = leaf->buffer = recent_page(rel, leaf->block, buffer);
	leaf->uses++;
	alex_lock(rel, index, buffer, access);
	if (!alex_covers(BufferGetPage(buffer), 0, position, words))
	{
		/* an unfinished split is not the route's fault, and copying the parent again would not help: the descent will finish it */
		bool		stale = !alex_left_of_unfinished_split(BufferGetPage(buffer), 0, position, words);

		UnlockReleaseBuffer(buffer);
		if (stale)
			forget(route, parent);
		return InvalidBuffer;
	}
	if (access == BUFFER_LOCK_SHARE && (leaf->layout.key_start == 0 || leaf->uses % LEAF_USES == 0))
		alex_layout(BufferGetPage(buffer), &leaf->layout);
	return buffer;
}
