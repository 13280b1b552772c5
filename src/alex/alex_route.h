/*
 * alex_route.h - a scan's private copy of the levels above the leaves.
 */
#ifndef ALEX_ROUTE_H
#define ALEX_ROUTE_H

#include "alex.h"

typedef struct AlexRoute AlexRoute;

/* What is remembered of a leaf. All of it is a hint: the leaf's own fences decide. */
typedef struct AlexRouteLeaf
{
	BlockNumber block;
	Buffer		buffer;			/* where the block was last seen */
	uint32		uses;
	AlexLayout	layout;			/* where the predicted record is, for prefetching */
} AlexRouteLeaf;

/* An empty route; everything lives in a child of the current memory context. */
extern AlexRoute *alex_route_begin(const AlexIndex *index);

extern void alex_route_end(AlexRoute *route);

/*
 * The leaf that should cover the position, and how far into its key range the position lies (0 .. 1); inner nodes are
 * copied as they are met. NULL if the tree changed too much under the route to say.
 */
extern AlexRouteLeaf *alex_route_find(AlexRoute *route, Relation rel, const AlexIndex *index, const uint64 *position,
									  double *fraction);

/* The last leaf found was not the right one: forget the inner node that named it. */
extern void alex_route_forget(AlexRoute *route);

#endif							/* ALEX_ROUTE_H */
