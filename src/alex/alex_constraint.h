/*
 * alex_constraint.h - constraints of alex indexes.
 */
#ifndef ALEX_CONSTRAINT_H
#define ALEX_CONSTRAINT_H

#include "alex.h"

/* Could it stop a subscription's worker if this index, which becomes or is the primary key if "primary", were no btree? */
extern bool alex_needed_by_subscription(Oid heapid, Oid indexid, bool primary);

/*
 * Makes the unique alex index a primary key or unique constraint ("type" as in pg_constraint) of the name, which the index gets, too.
 * As ALTER TABLE: with its lock and its errors.
 */
extern void alex_add_constraint(Oid indexid, const char *name, char type, bool is_deferrable, bool initially_deferred);

/* Watches ALTER TABLE for constraints USING INDEX. */
extern void alex_watch_using_index(void);

#endif							/* ALEX_CONSTRAINT_H */
