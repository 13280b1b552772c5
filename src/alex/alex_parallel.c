/*
 * alex_parallel.c - parallel workers of index builds.
 *
 * Leader and workers read the table together. A worker sorts what it read and leaves it in a set of files that all of them
 * share; then it is done. The leader keeps what it read itself, merges all of it and writes the index (alex_build.c).
 */
#include "alex.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_proc.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/sharedfileset.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "alex_parallel.h"

/* Keys of the segment's table of contents. */
enum
{
	KEY_SHARED = 1,
	KEY_SCAN,
	KEY_QUERY,
	KEY_WAL_USAGE,
	KEY_BUFFER_USAGE
};

struct AlexBuildShared
{
	Oid			heap;
	Oid			rel;
	/* of the leader's IndexInfo: what workers would not find in the catalogs */
	bool		unique;
	bool		concurrent;
	int			work_mem;		/* kilobytes for each worker */
	uint64		query_id;
	SharedFileSet files;

	ConditionVariable finished; /* signalled by every worker that is done */
	slock_t		mutex;			/* for the rest */
	int			nfinished;
	double		heap_tuples;
	bool		broken_hot_chain;
	bool		misfit;
	AlexSortPart parts[FLEXIBLE_ARRAY_MEMBER];	/* of each worker */
};

extern PGDLLEXPORT void alex_parallel_main(dsm_segment *segment, shm_toc *toc);

/* The name by which the server found this library: that of the access method's handler. */
static char *
library_name(Relation rel)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(rel->rd_amhandler));
	bool		isnull;
	Datum		name;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", rel->rd_amhandler);
	name = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);
	if (isnull)
		elog(ERROR, "function %u is in no library", rel->rd_amhandler);
	result = TextDatumGetCString(name);
	ReleaseSysCache(tuple);
	return result;
}

/* ---- the leader ---- */

AlexParallel *
alex_parallel_begin(Relation heap, Relation rel, IndexInfo *info, int request)
{
	AlexParallel *parallel = palloc0(sizeof(AlexParallel));
	ParallelContext *context;
	AlexBuildShared *shared;
	Size		size;
	Size		scan_size;
	Size		query_size = debug_query_string ? strlen(debug_query_string) + 1 : 0;

	EnterParallelMode();
	context = CreateParallelContext(library_name(rel), "alex_parallel_main", request);
	parallel->context = context;
	/* as in a serial build: all versions somebody may see or, of a concurrent build, those that one snapshot sees */
	parallel->snapshot = info->ii_Concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	parallel->leader_collects = parallel_leader_participation;

	size = add_size(offsetof(AlexBuildShared, parts), mul_size(sizeof(AlexSortPart), context->nworkers));
	scan_size = table_parallelscan_estimate(heap, parallel->snapshot);
	shm_toc_estimate_chunk(&context->estimator, size);
	shm_toc_estimate_chunk(&context->estimator, scan_size);
	shm_toc_estimate_chunk(&context->estimator, mul_size(sizeof(WalUsage), context->nworkers));
	shm_toc_estimate_chunk(&context->estimator, mul_size(sizeof(BufferUsage), context->nworkers));
	shm_toc_estimate_keys(&context->estimator, 4);
	if (query_size > 0)
	{
		shm_toc_estimate_chunk(&context->estimator, query_size);
		shm_toc_estimate_keys(&context->estimator, 1);
	}
	InitializeParallelDSM(context);
	/* without a segment there are no workers either */
	if (context->seg != NULL)
	{
		shared = shm_toc_allocate(context->toc, size);
		memset(shared, 0, size);
		shared->heap = RelationGetRelid(heap);
		shared->rel = RelationGetRelid(rel);
		shared->unique = info->ii_Unique;
		shared->concurrent = info->ii_Concurrent;
		shared->work_mem = maintenance_work_mem / (context->nworkers + (parallel->leader_collects ? 1 : 0));
		shared->query_id = pgstat_get_my_query_id();
		SharedFileSetInit(&shared->files, context->seg);
		ConditionVariableInit(&shared->finished);
		SpinLockInit(&shared->mutex);
		shm_toc_insert(context->toc, KEY_SHARED, shared);
		parallel->shared = shared;
		parallel->scan = shm_toc_allocate(context->toc, scan_size);
		table_parallelscan_initialize(heap, parallel->scan, parallel->snapshot);
		shm_toc_insert(context->toc, KEY_SCAN, parallel->scan);

		parallel->wal_usage = shm_toc_allocate(context->toc, mul_size(sizeof(WalUsage), context->nworkers));
		shm_toc_insert(context->toc, KEY_WAL_USAGE, parallel->wal_usage);
		parallel->buffer_usage = shm_toc_allocate(context->toc, mul_size(sizeof(BufferUsage), context->nworkers));
		shm_toc_insert(context->toc, KEY_BUFFER_USAGE, parallel->buffer_usage);
		if (query_size > 0)
		{
			char	   *query = shm_toc_allocate(context->toc, query_size);

			memcpy(query, debug_query_string, query_size);
			shm_toc_insert(context->toc, KEY_QUERY, query);
		}
		LaunchParallelWorkers(context);
	}
	parallel->collectors = context->nworkers_launched + (parallel->leader_collects ? 1 : 0);
	if (context->nworkers_launched == 0)
	{
		alex_parallel_end(parallel);
		return NULL;
	}
	return parallel;
}

double
alex_parallel_finish(AlexParallel *parallel, Relation rel, IndexInfo *info, AlexSort *sort, bool *misfit)
{
	AlexBuildShared *shared = parallel->shared;
	int			workers = parallel->context->nworkers_launched;
	uint64		records = 0;
	double		heap_tuples;

	/* one that could not start is an error here; below it would never be done */
	WaitForParallelWorkersToAttach(parallel->context);
	for (;;)
	{
		int			nfinished;

		SpinLockAcquire(&shared->mutex);
		nfinished = shared->nfinished;
		heap_tuples = shared->heap_tuples;
		if (shared->broken_hot_chain)
			info->ii_BrokenHotChain = true;
		if (shared->misfit)
			*misfit = true;
		SpinLockRelease(&shared->mutex);
		if (nfinished == workers)
			break;
		ConditionVariableSleep(&shared->finished, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();

	for (int i = 0; i < workers; i++)
	{
		alex_sort_take(sort, &shared->files.fs, i, &shared->parts[i]);
		records += shared->parts[i].records;
	}
	ereport(DEBUG1,
			(errmsg_internal("index \"%s\" is built with %d parallel workers, which found " UINT64_FORMAT " entries",
							 RelationGetRelationName(rel), workers, records)));
	return heap_tuples;
}

void
alex_parallel_end(AlexParallel *parallel)
{
	ParallelContext *context = parallel->context;

	WaitForParallelWorkersToFinish(context);
	for (int i = 0; i < context->nworkers_launched; i++)
		InstrAccumParallelQuery(&parallel->buffer_usage[i], &parallel->wal_usage[i]);
	if (IsMVCCSnapshot(parallel->snapshot))
		UnregisterSnapshot(parallel->snapshot);
	DestroyParallelContext(context);
	ExitParallelMode();
}

/* ---- the workers ---- */

void
alex_parallel_main(dsm_segment *segment, shm_toc *toc)
{
	AlexBuildShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	WalUsage   *wal_usage = shm_toc_lookup(toc, KEY_WAL_USAGE, false);
	BufferUsage *buffer_usage = shm_toc_lookup(toc, KEY_BUFFER_USAGE, false);
	Relation	heap;
	Relation	rel;
	IndexInfo  *info;
	AlexSort   *sort;
	AlexSortPart part;
	double		heap_tuples;
	bool		misfit = false;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	pgstat_report_query_id(shared->query_id, false);

	/* the locks that the leader has */
	heap = table_open(shared->heap, shared->concurrent ? ShareUpdateExclusiveLock : ShareLock);
	rel = index_open(shared->rel, shared->concurrent ? RowExclusiveLock : AccessExclusiveLock);
	SharedFileSetAttach(&shared->files, segment);
	info = BuildIndexInfo(rel);
	info->ii_Unique = shared->unique;
	info->ii_Concurrent = shared->concurrent;

	InstrStartParallelQuery();
	sort = alex_sort_begin(alex_build_sort_words(rel), shared->work_mem, &shared->files.fs, ParallelWorkerNumber);
	heap_tuples = alex_build_collect(heap, rel, info, shm_toc_lookup(toc, KEY_SCAN, false), sort, &misfit);
	alex_sort_give(sort, &part);
	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber], &wal_usage[ParallelWorkerNumber]);

	SpinLockAcquire(&shared->mutex);
	shared->parts[ParallelWorkerNumber] = part;
	shared->heap_tuples += heap_tuples;
	if (info->ii_BrokenHotChain)
		shared->broken_hot_chain = true;
	if (misfit)
		shared->misfit = true;
	shared->nfinished++;
	SpinLockRelease(&shared->mutex);
	ConditionVariableSignal(&shared->finished);

	index_close(rel, NoLock);
	table_close(heap, NoLock);
}
