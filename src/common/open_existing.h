/*
 * open_existing.h - relation_open() for an OID that a user gave: no such relation is the user's error, not an internal one.
 */
#ifndef OMEN_ALEX_OPEN_EXISTING_H
#define OMEN_ALEX_OPEN_EXISTING_H

#include "postgres.h"

#include "access/relation.h"
#include "utils/rel.h"

static inline Relation
open_existing(Oid relid, LOCKMODE mode)
{
	Relation	rel = try_relation_open(relid, mode);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return rel;
}

#endif							/* OMEN_ALEX_OPEN_EXISTING_H */
