/*
 * omen_vacuum.h - what the files of VACUUM share: its state, and the steps one file offers another.
 *
 * Order of a VACUUM: all blocks once (omen_vacuum_scan.c), which prunes and freezes rows (omen_freeze.c) and collects dead
 * ones; the store pages (omen_freeze.c); indexes, then the dead line pointers (omen_vacuum_index.c); the end of the file
 * (omen_truncate.c).
 */
#ifndef OMEN_ALEX_OMEN_VACUUM_H
#define OMEN_ALEX_OMEN_VACUUM_H

#include "omen.h"

#include "access/genam.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "postmaster/autovacuum.h"

#include "omen_private.h"

/* ---- versions of PostgreSQL ---- */

#if PG_VERSION_NUM < 160000
struct VacuumCutoffs
{
	TransactionId relfrozenxid;
	MultiXactId relminmxid;
	TransactionId OldestXmin;
	MultiXactId OldestMxact;
	TransactionId FreezeLimit;
	MultiXactId MultiXactCutoff;
};
#endif

/* Returns whether the vacuum has to be aggressive. */
static inline bool
compat_vacuum_cutoffs(Relation rel, VacuumParams *params, struct VacuumCutoffs *cutoffs)
{
#if PG_VERSION_NUM >= 160000
	return vacuum_get_cutoffs(rel, params, cutoffs);
#else
	cutoffs->relfrozenxid = rel->rd_rel->relfrozenxid;
	cutoffs->relminmxid = rel->rd_rel->relminmxid;
	return vacuum_set_xid_limits(rel, params->freeze_min_age, params->freeze_table_age,
								 params->multixact_freeze_min_age, params->multixact_freeze_table_age,
								 &cutoffs->OldestXmin, &cutoffs->OldestMxact,
								 &cutoffs->FreezeLimit, &cutoffs->MultiXactCutoff);
#endif
}

static inline bool
compat_vacuum_failsafe_check(const struct VacuumCutoffs *cutoffs)
{
#if PG_VERSION_NUM >= 160000
	return vacuum_xid_failsafe_check(cutoffs);
#else
	return vacuum_xid_failsafe_check(cutoffs->relfrozenxid, cutoffs->relminmxid);
#endif
}

static inline void
compat_set_failsafe_active(bool active)
{
#if PG_VERSION_NUM >= 160000
	VacuumFailsafeActive = active;
#endif
}

/* Does the header hold an xid or multixact that has to go? */
static inline bool
compat_should_freeze(HeapTupleHeader header, const struct VacuumCutoffs *cutoffs)
{
	TransactionId xid = cutoffs->OldestXmin;
	MultiXactId multi = cutoffs->OldestMxact;

#if PG_VERSION_NUM >= 160000
	return heap_tuple_should_freeze(header, cutoffs, &xid, &multi);
#else
	return heap_tuple_would_freeze(header, cutoffs->FreezeLimit, cutoffs->MultiXactCutoff, &xid, &multi);
#endif
}

#if PG_VERSION_NUM < 170000
#define AmAutoVacuumWorkerProcess() IsAutoVacuumWorkerProcess()
#endif

static inline void
compat_update_relstats(Relation rel, BlockNumber pages, double tuples, BlockNumber all_visible, BlockNumber all_frozen,
					   bool has_index, TransactionId frozenxid, MultiXactId minmulti,
					   bool *frozenxid_updated, bool *minmulti_updated)
{
#if PG_VERSION_NUM >= 180000
	vac_update_relstats(rel, pages, tuples, all_visible, all_frozen, has_index, frozenxid, minmulti,
						frozenxid_updated, minmulti_updated, false);
#else
	vac_update_relstats(rel, pages, tuples, all_visible, has_index, frozenxid, minmulti,
						frozenxid_updated, minmulti_updated, false);
#endif
}

/* 17 reports dead rows in bytes, and progress within the indexes */
#ifdef PROGRESS_VACUUM_MAX_DEAD_TUPLE_BYTES
#define OMEN_PROGRESS_MAX_DEAD PROGRESS_VACUUM_MAX_DEAD_TUPLE_BYTES
#define OMEN_PROGRESS_DEAD_UNIT ((int64) sizeof(ItemPointerData))
#else
#define OMEN_PROGRESS_MAX_DEAD PROGRESS_VACUUM_MAX_DEAD_TUPLES
#define OMEN_PROGRESS_DEAD_UNIT ((int64) 1)
#endif

/* ---- state ---- */

/* what an error says it happened in */
typedef enum OmenVacuumStep
{
	OMEN_VACUUM_PREPARE,
	OMEN_VACUUM_SCAN,
	OMEN_VACUUM_STORE,
	OMEN_VACUUM_INDEX,
	OMEN_VACUUM_RECLAIM,
	OMEN_VACUUM_INDEX_CLEANUP,
	OMEN_VACUUM_TRUNCATE
} OmenVacuumStep;

typedef struct OmenBlockRange
{
	BlockNumber start;
	BlockNumber end;			/* exclusive */
} OmenBlockRange;

typedef struct OmenVacuum
{
	Relation	rel;
	Relation   *indexes;
	int			nindexes;
	char	  **index_names;
	IndexBulkDeleteResult **index_stats;
	BufferAccessStrategy strategy;
	bool		verbose;

	/* for messages */
	char	   *database;
	char	   *schema;
	char	   *name;
	OmenVacuumStep step;
	BlockNumber block;
	int			index;

	/* what may go, and what has to be frozen */
	struct VacuumCutoffs cutoffs;
	struct GlobalVisState *vistest;

	/* how */
	bool		aggressive;		/* relfrozenxid has to advance */
	bool		use_map;		/* pages may be skipped that the visibility map vouches for */
	bool		do_indexes;		/* remove dead rows' index entries, and then their line pointers */
	bool		do_cleanup;		/* amvacuumcleanup */
	bool		do_truncate;
	bool		may_bypass;		/* few dead rows may be left for the next time */
	bool		failsafe;

	/* dead rows, ascending; their index entries go before their line pointers */
	ItemPointerData *dead;
	int64		ndead;
	int64		dead_allocated;
	int64		max_dead;

	/* blocks that are store pages, or may become ones before the scan is over; mostly ascending */
	OmenBlockRange *later;
	int			nlater;
	int			later_allocated;

	/* found out */
	BlockNumber pages;			/* of the table, when VACUUM began; less what was truncated */
	BlockNumber nonempty;		/* behind the last block that has to stay */
	bool		left_unfrozen;	/* something was not looked at that may hold xids before the cutoffs */
	double		live_estimate;

	/* counts */
	BlockNumber scanned;
	BlockNumber passed_over;	/* row pages for which the cleanup lock was not to be had */
	BlockNumber truncated;
	BlockNumber dead_pages;
	BlockNumber missed_pages;
	BlockNumber frozen_pages;
	BlockNumber store_pages;	/* found */
	BlockNumber store_freed;
	int			index_scans;
	int64		removed;		/* rows made LP_DEAD */
	int64		dead_items;		/* line pointers found dead */
	int64		live;
	int64		recently_dead;
	int64		missed;			/* dead, but in pages passed over */
	int64		older;			/* older versions left, in pages and in the store */
	int64		frozen;
	int64		restored;
	int64		dropped;		/* old versions */
} OmenVacuum;

/* ---- omen_vacuum.c ---- */

/* Is the table so near to wraparound that all but freezing must be left out? Then it is, from now on. */
extern bool omen_vacuum_failsafe(OmenVacuum *v);

/* ---- omen_vacuum_scan.c ---- */

/* What the rows of a page say about it. */
typedef struct OmenPageState
{
	bool		nonempty;		/* a line pointer is in use, and not dead */
	bool		all_visible;
	bool		all_frozen;
	bool		others_visible;	/* the same, but for rows that are dead line pointers */
	bool		others_frozen;
	TransactionId newest;		/* xmin of the newest row of an all-visible page; invalid: all are frozen */
	int			live;
	int			recently_dead;
	int			missed;
	int			older;			/* older versions in the page */
	int			ndead;
	OffsetNumber dead[MaxHeapTuplesPerPage];
} OmenPageState;

/* Visits every block that is not skipped, then the store pages. */
extern void omen_vacuum_scan(OmenVacuum *v);

/* These blocks are store pages, or have no rows and may become ones before all rows were visited. */
extern void omen_vacuum_remember(OmenVacuum *v, BlockNumber start, BlockNumber end);

/* Looks at the rows of a page; any lock. */
extern void omen_vacuum_examine(OmenVacuum *v, Buffer buffer, OmenPageState *state);

/* Sets a row page's bits in the visibility map by its state, and corrects them. Exclusive lock; vmbuffer pinned for the page. */
extern void omen_vacuum_set_map(OmenVacuum *v, Buffer buffer, Buffer vmbuffer, const OmenPageState *state);

/* ---- omen_vacuum_index.c ---- */

extern void omen_vacuum_start_dead(OmenVacuum *v);

/* Is there room for the dead rows of one more page? */
extern bool omen_vacuum_dead_fits(OmenVacuum *v);

extern void omen_vacuum_add_dead(OmenVacuum *v, BlockNumber block, const OffsetNumber *offsets, int n);

/* Removes the collected rows from all indexes, then their line pointers; or decides not to. Forgets them. */
extern void omen_vacuum_indexes(OmenVacuum *v);

/* Makes dead line pointers of a page unused. Exclusive lock. */
extern void omen_vacuum_reclaim(OmenVacuum *v, Buffer buffer, const OffsetNumber *offsets, int n);

extern void omen_vacuum_cleanup_indexes(OmenVacuum *v);

/* ---- omen_freeze.c ---- */

/* Freezes what precedes the cutoffs in the versions of a page's rows. Cleanup lock, page just pruned. How many changed. */
extern int	omen_freeze_rows(OmenVacuum *v, Buffer buffer);

/* Might omen_freeze_rows find something to do? Never false if it would. Share lock. */
extern bool omen_freeze_needed(OmenVacuum *v, Buffer buffer);

/* Can nobody need anything on a store page, and may it be freed, therefore? Exclusive lock; all row pages were visited. */
extern bool omen_store_freeable(OmenVacuum *v, Buffer buffer);

/* Freezes or forgets what precedes the cutoffs on a store page. Exclusive lock; all row pages were visited. */
extern void omen_freeze_store(OmenVacuum *v, Buffer buffer);

/* ---- omen_truncate.c ---- */

/* Gives pages at the end back that hold nothing, if it is worth it and the lock for it is to be had. */
extern void omen_vacuum_truncate(OmenVacuum *v);

#endif							/* OMEN_ALEX_OMEN_VACUUM_H */
