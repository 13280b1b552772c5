/*
 * omen_vacuum.c - VACUUM of one table: what is to be done, and what is said about it.
 *
 * The work is done by the files omen_vacuum.h names. All versions of a row before relfrozenxid are frozen or gone afterwards,
 * also in the store; relfrozenxid advances to the freeze limit, or not at all when something was left out that may hold older
 * xids.
 */
#include "omen.h"

#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/lsyscache.h"
#include "utils/pg_rusage.h"
#include "utils/timestamp.h"

#include "omen_vacuum.h"

bool
omen_vacuum_failsafe(OmenVacuum *v)
{
	if (v->failsafe)
		return true;
	if (likely(!compat_vacuum_failsafe_check(&v->cutoffs)))
		return false;

	v->failsafe = true;
	v->do_indexes = v->do_cleanup = v->do_truncate = false;
	v->strategy = NULL;			/* all of shared buffers may be used now */
	compat_set_failsafe_active(true);
	VacuumCostActive = false;
	VacuumCostBalance = 0;
	ereport(WARNING,
			(errmsg("leaving out index vacuuming and truncation of table \"%s.%s.%s\" as a failsafe after %d index scans",
					v->database, v->schema, v->name, v->index_scans),
			 errdetail("The table's relfrozenxid or relminmxid is too far in the past."),
			 errhint("Vacuum more often, or with more \"maintenance_work_mem\" or \"autovacuum_work_mem\".")));
	return true;
}

static void
error_context(void *arg)
{
	OmenVacuum *v = arg;

	switch (v->step)
	{
		case OMEN_VACUUM_PREPARE:
			break;
		case OMEN_VACUUM_SCAN:
			errcontext("while scanning block %u of relation \"%s.%s\"", v->block, v->schema, v->name);
			break;
		case OMEN_VACUUM_STORE:
			if (BlockNumberIsValid(v->block))
				errcontext("while vacuuming version store block %u of relation \"%s.%s\"", v->block, v->schema, v->name);
			break;
		case OMEN_VACUUM_INDEX:
			errcontext("while vacuuming index \"%s\" of relation \"%s.%s\"", v->index_names[v->index], v->schema, v->name);
			break;
		case OMEN_VACUUM_RECLAIM:
			if (BlockNumberIsValid(v->block))
				errcontext("while vacuuming block %u of relation \"%s.%s\"", v->block, v->schema, v->name);
			break;
		case OMEN_VACUUM_INDEX_CLEANUP:
			errcontext("while cleaning up index \"%s\" of relation \"%s.%s\"", v->index_names[v->index], v->schema, v->name);
			break;
		case OMEN_VACUUM_TRUNCATE:
			errcontext("while truncating relation \"%s.%s\"", v->schema, v->name);
			break;
	}
}

/* What a report compares with. */
typedef struct Started
{
	TimestampTz time;
	PGRUsage	rusage;
	WalUsage	wal;
	BufferUsage buffers;
	PgStat_Counter read_time;
	PgStat_Counter write_time;
} Started;

static void
note_start(Started *started)
{
	started->time = GetCurrentTimestamp();
	pg_rusage_init(&started->rusage);
	started->wal = pgWalUsage;
	started->buffers = pgBufferUsage;
	started->read_time = pgStatBlockReadTime;
	started->write_time = pgStatBlockWriteTime;
}

static double
percent(double part, double whole)
{
	return whole == 0 ? 100.0 : 100.0 * part / whole;
}

/* The words are heap's where they say the same: programs read these lines. */
static void
report(OmenVacuum *v, VacuumParams *params, Started *started, bool frozenxid_updated, bool minmulti_updated)
{
	BlockNumber pages = v->pages + v->truncated;
	TimestampTz now = GetCurrentTimestamp();
	double		seconds = (now - started->time) / 1000000.0;
	WalUsage	wal = {0};
	BufferUsage buffers = {0};
	long long	hits,
				reads,
				dirtied;
	StringInfoData text;

	WalUsageAccumDiff(&wal, &pgWalUsage, &started->wal);
	BufferUsageAccumDiff(&buffers, &pgBufferUsage, &started->buffers);
	hits = buffers.shared_blks_hit + buffers.local_blks_hit;
	reads = buffers.shared_blks_read + buffers.local_blks_read;
	dirtied = buffers.shared_blks_dirtied + buffers.local_blks_dirtied;

	initStringInfo(&text);
	appendStringInfo(&text, "%s%s%s \"%s.%s.%s\": index scans: %d\n",
					 v->verbose ? "finished vacuuming" : "automatic ",
					 v->verbose ? "" : v->aggressive ? "aggressive vacuum " : "vacuum ",
					 v->verbose ? "" : params->is_wraparound ? "to prevent wraparound of table" : "of table",
					 v->database, v->schema, v->name, v->index_scans);
	appendStringInfo(&text, "pages: %u removed, %u remain, %u scanned (%.2f%% of total)\n",
					 v->truncated, v->pages, v->scanned, percent(v->scanned, pages));
	appendStringInfo(&text, "tuples: %lld removed, %lld remain, %lld are dead but not yet removable\n",
					 (long long) v->removed,
					 (long long) (Max(v->live_estimate, 0) + v->recently_dead + v->missed),
					 (long long) v->recently_dead);
	if (v->missed > 0)
		appendStringInfo(&text, "tuples missed: %lld dead from %u pages not removed due to cleanup lock contention\n",
						 (long long) v->missed, v->missed_pages);
	appendStringInfo(&text, "versions: %lld removed, %lld aborted updates undone; store: %u pages, %u of them freed\n",
					 (long long) v->dropped, (long long) v->restored, v->store_pages, v->store_freed);
	appendStringInfo(&text, "removable cutoff: %u, which was %d XIDs old when operation ended\n",
					 v->cutoffs.OldestXmin, (int32) (ReadNextTransactionId() - v->cutoffs.OldestXmin));
	if (frozenxid_updated)
		appendStringInfo(&text, "new relfrozenxid: %u, which is %d XIDs ahead of previous value\n",
						 v->cutoffs.FreezeLimit, (int32) (v->cutoffs.FreezeLimit - v->cutoffs.relfrozenxid));
	if (minmulti_updated)
		appendStringInfo(&text, "new relminmxid: %u, which is %d MXIDs ahead of previous value\n",
						 v->cutoffs.MultiXactCutoff, (int32) (v->cutoffs.MultiXactCutoff - v->cutoffs.relminmxid));
	appendStringInfo(&text, "frozen: %u pages from table (%.2f%% of total) had %lld tuples frozen\n",
					 v->frozen_pages, percent(v->frozen_pages, pages), (long long) v->frozen);
	if (v->do_indexes)
		appendStringInfo(&text, "index scan %s: %u pages from table (%.2f%% of total) had %lld dead item identifiers removed\n",
						 v->index_scans > 0 ? "needed" : "not needed",
						 v->dead_pages, percent(v->dead_pages, pages), (long long) v->dead_items);
	else
		appendStringInfo(&text, "index scan bypassed%s: %u pages from table (%.2f%% of total) have %lld dead item identifiers\n",
						 v->failsafe ? " by failsafe" : "",
						 v->dead_pages, percent(v->dead_pages, pages), (long long) v->dead_items);
	for (int i = 0; i < v->nindexes; i++)
	{
		IndexBulkDeleteResult *stats = v->index_stats[i];

		if (stats)
			appendStringInfo(&text, "index \"%s\": pages: %u in total, %u newly deleted, %u currently deleted, %u reusable\n",
							 v->index_names[i], stats->num_pages,
							 stats->pages_newly_deleted, stats->pages_deleted, stats->pages_free);
	}
	if (track_io_timing)
		appendStringInfo(&text, "I/O timings: read: %.3f ms, write: %.3f ms\n",
						 (pgStatBlockReadTime - started->read_time) / 1000.0,
						 (pgStatBlockWriteTime - started->write_time) / 1000.0);
	appendStringInfo(&text, "avg read rate: %.3f MB/s, avg write rate: %.3f MB/s\n",
					 seconds > 0 ? (double) BLCKSZ * reads / (1024 * 1024) / seconds : 0.0,
					 seconds > 0 ? (double) BLCKSZ * dirtied / (1024 * 1024) / seconds : 0.0);
	appendStringInfo(&text, "buffer usage: %lld hits, %lld misses, %lld dirtied\n", hits, reads, dirtied);
	appendStringInfo(&text, "WAL usage: %lld records, %lld full page images, %llu bytes\n",
					 (long long) wal.wal_records, (long long) wal.wal_fpi, (unsigned long long) wal.wal_bytes);
	appendStringInfo(&text, "system usage: %s", pg_rusage_show(&started->rusage));
	ereport(v->verbose ? INFO : LOG, (errmsg_internal("%s", text.data)));
	pfree(text.data);
}

static void
set_options(OmenVacuum *v, VacuumParams *params)
{
	v->verbose = (params->options & VACOPT_VERBOSE) != 0;
	v->use_map = (params->options & VACOPT_DISABLE_PAGE_SKIPPING) == 0;
	v->do_indexes = v->do_cleanup = params->index_cleanup != VACOPTVALUE_DISABLED;
	v->may_bypass = params->index_cleanup != VACOPTVALUE_ENABLED;
	v->do_truncate = params->truncate != VACOPTVALUE_DISABLED;
}

static void
update_index_statistics(OmenVacuum *v)
{
	for (int i = 0; i < v->nindexes && v->do_cleanup; i++)
	{
		IndexBulkDeleteResult *stats = v->index_stats[i];

		if (stats && !stats->estimated_count)
			compat_update_relstats(v->indexes[i], stats->num_pages, stats->num_index_tuples, 0, 0, false,
								   InvalidTransactionId, InvalidMultiXactId, NULL, NULL);
	}
}

static void
update_statistics(OmenVacuum *v, TimestampTz started, bool *frozenxid_updated, bool *minmulti_updated)
{
	BlockNumber all_visible;
	BlockNumber all_frozen;

	visibilitymap_count(v->rel, &all_visible, &all_frozen);
	compat_update_relstats(v->rel, v->pages, v->live_estimate,
						   Min(all_visible, v->pages), Min(all_frozen, v->pages), v->nindexes > 0,
						   v->left_unfrozen ? InvalidTransactionId : v->cutoffs.FreezeLimit,
						   v->left_unfrozen ? InvalidMultiXactId : v->cutoffs.MultiXactCutoff,
						   frozenxid_updated, minmulti_updated);
	pgstat_report_vacuum(COMPAT_VACUUM_REPORT(v->rel),
						 Max(v->live_estimate, 0), v->recently_dead + v->missed + v->older
#if PG_VERSION_NUM >= 180000
						 ,started
#endif
		);
}

void
omen_relation_vacuum(Relation rel, VacuumParams *params, BufferAccessStrategy strategy)
{
	OmenVacuum *v = palloc0(sizeof(OmenVacuum));
	ErrorContextCallback context;
	Started		started;
	bool		frozenxid_updated;
	bool		minmulti_updated;

	note_start(&started);
	pgstat_progress_start_command(PROGRESS_COMMAND_VACUUM, RelationGetRelid(rel));

	v->rel = rel;
	v->strategy = strategy;
	v->database = get_database_name(MyDatabaseId);
	v->schema = get_namespace_name(RelationGetNamespace(rel));
	v->name = pstrdup(RelationGetRelationName(rel));
	v->step = OMEN_VACUUM_PREPARE;
	set_options(v, params);
	context.callback = error_context;
	context.arg = v;
	context.previous = error_context_stack;
	error_context_stack = &context;

	vac_open_indexes(rel, RowExclusiveLock, &v->nindexes, &v->indexes);
	v->index_stats = palloc0(sizeof(IndexBulkDeleteResult *) * (v->nindexes + 1));
	v->index_names = palloc(sizeof(char *) * (v->nindexes + 1));
	for (int i = 0; i < v->nindexes; i++)
		v->index_names[i] = pstrdup(RelationGetRelationName(v->indexes[i]));

	/* in this order: the cutoffs hold for every block that exists when they are taken */
	compat_set_failsafe_active(false);
	v->aggressive = compat_vacuum_cutoffs(rel, params, &v->cutoffs) || !v->use_map;
	v->pages = RelationGetNumberOfBlocks(rel);
	v->vistest = GlobalVisTestFor(rel);

	if (v->verbose)
		ereport(INFO,
				(errmsg(v->aggressive ? "aggressively vacuuming \"%s.%s.%s\"" : "vacuuming \"%s.%s.%s\"",
						v->database, v->schema, v->name)));
	omen_vacuum_failsafe(v);
	omen_vacuum_start_dead(v);

	omen_vacuum_scan(v);
	omen_vacuum_cleanup_indexes(v);
	update_index_statistics(v);
	vac_close_indexes(v->nindexes, v->indexes, NoLock);
	omen_vacuum_truncate(v);

	error_context_stack = context.previous;
	pgstat_progress_update_param(PROGRESS_VACUUM_PHASE, PROGRESS_VACUUM_PHASE_FINAL_CLEANUP);
	update_statistics(v, started.time, &frozenxid_updated, &minmulti_updated);
	pgstat_progress_end_command();

	if (v->verbose ||
		(AmAutoVacuumWorkerProcess() && compat_log_min_duration(params) >= 0 &&
		 (compat_log_min_duration(params) == 0 ||
		  TimestampDifferenceExceeds(started.time, GetCurrentTimestamp(), compat_log_min_duration(params)))))
		report(v, params, &started, frozenxid_updated, minmulti_updated);
}
