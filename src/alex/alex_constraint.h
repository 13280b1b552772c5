/*
 * alex_constraint.h - constraints of alex indexes.
 */
#ifndef ALEX_CONSTRAINT_H
#define ALEX_CONSTRAINT_H

#include "alex.h"

/* Could it stop a subscription's worker if this index, which becomes or is the primary key if "primary", were no btree? */
extern bool alex_needed_by_subscription(Oid heapid, Oid indexid, bool primary);

#endif							/* ALEX_CONSTRAINT_H */
