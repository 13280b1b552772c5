/*
 * compat.h - the differences between PostgreSQL 15, 16, 17 and 18 that our code meets, in one place.
 */
#ifndef OMEN_ALEX_COMPAT_H
#define OMEN_ALEX_COMPAT_H

#include "postgres.h"

#include "access/reloptions.h"
#include "commands/vacuum.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "omen_alex supports PostgreSQL 15 to 18"
#endif

/* old_snapshot_threshold was removed in 17: until then a page read checks whether its snapshot is too old */
#if PG_VERSION_NUM < 170000
#include "utils/snapmgr.h"
#define compat_test_old_snapshot(snapshot, rel, page) TestForOldSnapshot(snapshot, rel, page)
#else
#define compat_test_old_snapshot(snapshot, rel, page) ((void) 0)
#endif

/* the cost delay point learned to tell ANALYZE apart in 18 */
#if PG_VERSION_NUM >= 180000
#define compat_vacuum_delay_point() vacuum_delay_point(false)
#else
#define compat_vacuum_delay_point() vacuum_delay_point()
#endif

/* 18 replaced pg_attribute_noreturn() by this */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* before 17, index expressions run with the search path of whoever maintains the index */
#if PG_VERSION_NUM >= 170000
#include "utils/guc.h"
#define compat_restrict_search_path() RestrictSearchPath()
#else
#define compat_restrict_search_path() ((void) 0)
#endif

#if PG_VERSION_NUM < 160000
#include "storage/lmgr.h"
#endif

/* The relation's file, for ReadRecentBuffer. */
#if PG_VERSION_NUM >= 160000
#define compat_locator(rel) ((rel)->rd_locator)
#else
#define compat_locator(rel) ((rel)->rd_node)
#endif

/* Appends one zeroed block to the main fork; returns it pinned and exclusively locked. */
static inline Buffer
compat_extend_relation(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return ExtendBufferedRel(BMR_REL(rel), MAIN_FORKNUM, NULL, EB_LOCK_FIRST);
#else
	bool		locked = !RELATION_IS_LOCAL(rel);
	Buffer		buffer;

	if (locked)
		LockRelationForExtension(rel, ExclusiveLock);
	buffer = ReadBuffer(rel, P_NEW);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (locked)
		UnlockRelationForExtension(rel, ExclusiveLock);
	return buffer;
#endif
}

#endif							/* OMEN_ALEX_COMPAT_H */
