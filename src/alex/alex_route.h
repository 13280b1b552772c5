/*
 * alex_route.h - a backend's private copies of the levels above the leaves.
 */
#ifndef ALEX_ROUTE_H
#define ALEX_ROUTE_H

#include "alex.h"

/*
 * The leaf that covers the position, pinned and locked as asked. InvalidBuffer if the route to it is not known, or not any
 * more: then alex_descend() finds it.
 */
extern Buffer alex_route_leaf(Relation rel, const AlexIndex *index, const uint64 *position, int words, int access);

/* The index is about to be built anew, perhaps in the same file: what is known of it is dropped at the next lookup. */
extern void alex_route_outdate(Oid relid);

/* Defines the setting alex.route_memory. */
extern void alex_define_route_memory(void);

#endif							/* ALEX_ROUTE_H */
