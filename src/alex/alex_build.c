/*
 * alex_build.c - ambuild and ambuildempty.
 *
 * Heap scan -> records -> external sort -> leaves in key order -> inner levels. Each level is written from left to
 * right while the level below produces its separators, so leaves are physically contiguous and everything is written
 * once. WAL is page images at the end: nobody sees the pages before the transaction commits.
 *
 * Parallel workers (alex_parallel.c) take part in the scan and in sorting; the leader writes.
 *
 * The right link and high fence of a node are known only when its right sibling begins, so a level holds its last node
 * back as a private image until then.
 */
#include "alex.h"

#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/bufpage.h"
#include "utils/memutils.h"

#include "alex_codes.h"
#include "alex_heap.h"
#include "alex_parallel.h"
#include "alex_route.h"
#include "alex_sort.h"

#define MAX_LEVELS 16

/* Phases for pg_stat_progress_create_index; core's own "initializing" is 1. */
#define PHASE_SCAN 2
#define PHASE_SORT 3
#define PHASE_WRITE 4

/* One level of the tree under construction. */
typedef struct BuildLevel
{
	uint64	   *pending;		/* records not in a node yet; those of the leaves are in the sort */
	uint32		npending;
	uint32		capacity;
	uint32		guess;			/* records the last node took */

	char	   *image;			/* the last node, without right sibling so far; NULL before the first */
	BlockNumber block;			/* where it will go */
	int			words;			/* key words of the pending records and the fence */
	uint64		low[ALEX_MAX_WORDS + 1];	/* low fence of the next node */
} BuildLevel;

typedef struct BuildState
{
	Relation	heap;
	Relation	rel;
	AlexIndex	index;
	bool		unique;
	bool		nulls_not_distinct;
	double		heap_tuples;

	AlexSort   *sort;
	uint64	   *columns;		/* of the node planned last */
	uint32		room;			/* bytes to fill of a node */
	BlockNumber next_block;
	int			nlevels;
	BuildLevel	levels[MAX_LEVELS];

	/* for uniqueness: the last live record */
	bool		have_last;
	AlexRange	last_equal;
} BuildState;

char *
alexbuildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case PHASE_SCAN:
			return "scanning table";
		case PHASE_SORT:
			return "sorting keys";
		case PHASE_WRITE:
			return "writing nodes";
		default:
			return NULL;
	}
}

/* Writes an image to its block, which is the next one of the file or, for the root, the reserved one. */
static void
write_image(BuildState *build, BlockNumber block, const char *image)
{
	Buffer		buffer = ReadBuffer(build->rel, block);

	/* nobody else reads the page, but the checkpointer may write it */
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	START_CRIT_SECTION();
	alex_install(buffer, image);
	MarkBufferDirty(buffer);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}

/* ---- reading the table ---- */

typedef struct Collection
{
	AlexIndex	index;			/* the part that says how to make records */
	bool		unique;
	AlexSort   *sort;
	bool		misfit;			/* a row was too long in the codes that were chosen */
} Collection;

/*
 * The sort's records are leaf records. In those of a unique index the tie is doubled, plus 1 for rows that are dead but still
 * visible to someone: they are indexed but do not count for uniqueness. The order is the same.
 */
static void
collect_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	Collection *collection = (Collection *) state;
	uint64		record[ALEX_MAX_WORDS + 1];
	uint64	   *tie = &record[collection->index.key.words];

	if (collection->misfit)
		return;
	if (collection->index.key.layout.strings == 0)
		alex_key_record(&collection->index.key, values, isnull, tid, record);
	else if (!alex_try_key_record(&collection->index.key, values, isnull, tid, record))
	{
		collection->misfit = true;
		return;
	}
	if (collection->unique)
		*tie = *tie << 1 | (alive ? 0 : 1);
	alex_sort_put(collection->sort, record, alex_trim(&collection->index, record));
}

/* alex_open() of an index that is not there yet. */
static void
describe(Relation rel, AlexIndex *index)
{
	alex_key_info(rel, &index->key);
	index->words = index->key.words;
	index->least = index->key.least_words;
	index->fillfactor = alex_fillfactor(rel);
}

double
alex_build_collect(Relation heap, Relation rel, IndexInfo *info, ParallelTableScanDesc scan, AlexSort *sort, bool *misfit)
{
	Collection	collection = {.unique = info->ii_Unique, .sort = sort};
	double		rows;

	describe(rel, &collection.index);
	alex_read_codes(rel, &collection.index.key);
	rows = alex_heap_scan(heap, rel, info, scan, !IsParallelWorker(), collect_row, &collection);
	*misfit = *misfit || collection.misfit;
	return rows;
}

int
alex_build_sort_words(Relation rel)
{
	AlexKeyInfo key;

	alex_key_info(rel, &key);
	return key.least_words + 1;
}

/* Fills the sort, with the help of workers if they are wanted and there are any. "misfit" is set if a row is too long in the codes. */
static AlexParallel *
collect_once(BuildState *build, IndexInfo *info, bool *misfit)
{
	int			workers = compat_index_build_workers(build->heap, build->rel, info);
	AlexParallel *parallel = workers > 0 ? alex_parallel_begin(build->heap, build->rel, info, workers) : NULL;

	build->sort = alex_sort_begin(build->index.least + 1, maintenance_work_mem / (parallel ? parallel->collectors : 1), NULL, 0);
	build->heap_tuples = 0;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_SCAN);
	if (parallel == NULL || parallel->leader_collects)
		build->heap_tuples = alex_build_collect(build->heap, build->rel, info, parallel ? parallel->scan : NULL, build->sort, misfit);
	if (parallel)
	{
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_SORT);
		alex_sort_ahead(build->sort);
		build->heap_tuples += alex_parallel_finish(parallel, build->rel, info, build->sort, misfit);
	}
	return parallel;
}

static void
write_meta(BuildState *build)
{
	char	   *image = palloc0(BLCKSZ);

	alex_init_meta((Page) image, &build->index);
	write_image(build, ALEX_META_BLOCK, image);
	pfree(image);
}

/* Collects the rows' records; once more, in the usual codes, if one is too long in those that were chosen. */
static AlexParallel *
collect(BuildState *build, IndexInfo *info)
{
	bool		misfit = false;
	AlexParallel *parallel = collect_once(build, info, &misfit);

	if (!misfit)
		return parallel;
	ereport(DEBUG1,
			(errmsg_internal("index \"%s\" takes the usual codes, as a row is too long in those of its own",
							 RelationGetRelationName(build->rel))));
	alex_sort_end(build->sort);
	if (parallel)
		alex_parallel_end(parallel);
	alex_key_info(build->rel, &build->index.key);
	write_meta(build);
	misfit = false;
	parallel = collect_once(build, info, &misfit);
	Assert(!misfit);
	return parallel;
}

/* ---- writing nodes ---- */

static BlockNumber
extend(BuildState *build)
{
	Buffer		buffer = compat_extend_relation(build->rel);
	BlockNumber block = BufferGetBlockNumber(buffer);

	UnlockReleaseBuffer(buffer);
	return block;
}

static void add_to_level(BuildState *build, int level, const uint64 *record, int words);

/*
 * Makes a node of the planned records, of the level's words, which are the first of "records"; "more" says whether others follow them there.
 */
static void
finish_node(BuildState *build, int l, const uint64 *records, const AlexPlan *plan, bool more)
{
	BuildLevel *level = &build->levels[l];
	int			words = level->words;
	const uint64 *last = records + (Size) (plan->n - 1) * alex_stride(words, l);
	const uint64 *next = last + alex_stride(words, l);
	uint64		high[ALEX_MAX_WORDS + 1];
	BlockNumber block = extend(build);
	BlockNumber left = InvalidBlockNumber;
	uint64		downlink[ALEX_MAX_RECORD_WORDS];

	CHECK_FOR_INTERRUPTS();
	if (more)
	{
		if (l > 0)
			memcpy(high, next, (words + 1) * sizeof(uint64));
		else
			alex_make_separator(last, next, words, high);
	}
	if (level->image)
	{
		alex_header(level->image)->right = block;
		write_image(build, level->block, level->image);
		left = level->block;
	}
	else
		level->image = palloc(BLCKSZ);
	/* the right link of a node with a right sibling is set when that gets its block */
	alex_node_begin(level->image, BLCKSZ, build->index.least, words, l, level->low, more ? high : NULL, left, InvalidBlockNumber);
	if (!alex_node_store_planned(level->image, plan, build->columns))
		elog(ERROR, "alex node does not fit its page");
	level->block = block;

	memcpy(downlink, level->low, (words + 1) * sizeof(uint64));
	downlink[words + 1] = block;
	if (more)
		memcpy(level->low, high, (words + 1) * sizeof(uint64));
	level->guess = plan->n;
	if (l + 1 >= MAX_LEVELS)
		elog(ERROR, "alex index is too high");
	add_to_level(build, l + 1, downlink, words);
}

/* Plans a node of the first of n records of a level. */
static void
plan_node(BuildState *build, int l, const uint64 *records, uint32 n, AlexPlan *plan)
{
	BuildLevel *level = &build->levels[l];

	alex_plan_node_of(records, Min(n, alex_most_records(level->words)), build->index.least, level->words, l, level->low, build->room, level->guess,
					  build->columns, plan);
}

/*
 * Writes nodes from the pending records. Before the end of the level, only when there are more records than any node
 * takes, so that the node's end is chosen, not forced.
 */
static void
flush_level(BuildState *build, int l, bool last)
{
	BuildLevel *level = &build->levels[l];
	int			stride = alex_stride(level->words, l);

	while (level->npending > 0)
	{
		AlexPlan	plan;

		plan_node(build, l, level->pending, level->npending, &plan);
		if (plan.n == level->npending && !last)
			return;				/* more may fit */
		finish_node(build, l, level->pending, &plan, plan.n < level->npending);
		level->npending -= plan.n;
		memmove(level->pending, level->pending + (Size) plan.n * stride,
				(Size) level->npending * stride * sizeof(uint64));
		if (!last && level->npending < level->guess + level->guess / 2)
			return;
	}
}

static void
add_to_level(BuildState *build, int l, const uint64 *record, int words)
{
	BuildLevel *level = &build->levels[l];
	int			stride;

	if (level->pending == NULL)
		level->words = words;
	else if (words > level->words)
	{
		/* from now on all have more */
		level->pending = repalloc_huge(level->pending, (Size) level->capacity * alex_stride(words, l) * sizeof(uint64));
		alex_widen_records(level->pending, level->npending, level->words, words, l);
		alex_widen_position(level->low, level->words, level->low, words);
		level->words = words;
	}
	stride = alex_stride(level->words, l);
	if (level->pending == NULL)
	{
		level->capacity = 2048;
		level->pending = palloc((Size) level->capacity * stride * sizeof(uint64));
		build->nlevels = Max(build->nlevels, l + 1);
	}
	if (level->npending == level->capacity)
	{
		flush_level(build, l, false);
		if (level->npending == level->capacity)
		{
			/* they all fit in one node: see whether more do */
			level->capacity *= 2;
			level->pending = repalloc_huge(level->pending, (Size) level->capacity * stride * sizeof(uint64));
		}
	}
	alex_widen_position(record, words, level->pending + (Size) level->npending * stride, level->words);
	level->pending[(Size) level->npending * stride + level->words + 1] = record[words + 1];
	level->npending++;
}

/*
 * Ends the levels from the leaves up. The level above the leaves whose records fit a single node, with no node of its
 * own written before, is the root's.
 */
static void
finish_levels(BuildState *build)
{
	if (build->nlevels == 0)
	{
		/* nothing to index */
		for (BlockNumber block = ALEX_ROOT_BLOCK; block <= ALEX_FIRST_LEAF_BLOCK; block++)
		{
			char	   *image = palloc(BLCKSZ);

			alex_init_node((Page) image, &build->index, block);
			write_image(build, block == ALEX_ROOT_BLOCK ? block : extend(build), image);
			pfree(image);
		}
		return;
	}
	for (int l = 0; l < build->nlevels; l++)
	{
		BuildLevel *level = &build->levels[l];

		if (l > 0 && level->image == NULL)
		{
			AlexPlan	plan;

			level->guess = level->npending;
			plan_node(build, l, level->pending, level->npending, &plan);
			if (plan.n == level->npending)
			{
				uint64		low[ALEX_MAX_WORDS + 1] = {0};
				char	   *image = palloc(BLCKSZ);

				alex_node_begin(image, BLCKSZ, build->index.least, level->words, l, low, NULL, InvalidBlockNumber, InvalidBlockNumber);
				if (!alex_node_store_planned(image, &plan, build->columns))
					elog(ERROR, "alex root does not fit its page");
				write_image(build, ALEX_ROOT_BLOCK, image);
				pfree(image);
				return;
			}
		}
		flush_level(build, l, true);
		write_image(build, level->block, level->image);
	}
	elog(ERROR, "alex build ended without a root");
}

/* ---- uniqueness ---- */

static void
check_duplicate(BuildState *build, const uint64 *record, int words, bool dead)
{
	uint64		whole[ALEX_MAX_WORDS + 1];
	AlexValueSpace space;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	char	   *key;

	if (!build->unique || dead)
		return;
	if (words != build->index.words)
	{
		/* as the columns' places say */
		alex_widen_position(record, words, whole, build->index.words);
		record = whole;
		words = build->index.words;
	}
	if (!build->nulls_not_distinct && alex_any_null(&build->index.key, record))
		return;
	if (!build->have_last || alex_compare(record, build->last_equal.high, words) >= 0)
	{
		alex_key_equal_range(&build->index.key, record, &build->last_equal);
		build->have_last = true;
		return;
	}

	alex_key_values(&build->index.key, record, &space, values, isnull);
	/* what cannot be told from the record is not shown as NULL */
	key = alex_all_returnable(&build->index.key) ? BuildIndexValueDescription(build->rel, values, isnull) : NULL;
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("could not create unique index \"%s\"", RelationGetRelationName(build->rel)),
			 key ? errdetail("Key %s is duplicated.", key) : errdetail("Duplicate keys exist."),
			 errtableconstraint(build->heap, RelationGetRelationName(build->rel))));
}

/* ---- the whole ---- */

/* Makes leaf records of sorted ones. */
static void
accept_sorted(BuildState *build, uint64 *records, uint32 n)
{
	int			words = build->levels[0].words;

	if (!build->unique)
		return;
	for (uint32 i = 0; i < n; i++)
	{
		uint64	   *record = records + (Size) i * (words + 1);
		bool		dead = record[words] & 1;

		record[words] >>= 1;
		check_duplicate(build, record, words, dead);
	}
}

/* Writes the leaves, and the full nodes above them. */
static void
write_leaves(BuildState *build, uint64 total)
{
	uint32		stride = alex_sort_words(build->sort);
	uint64		left = total;
	uint32		wanted = 2048;	/* records to look at: more than the leaf will take */
	uint32		accepted = 0;
	uint32		most;			/* the one after the greatest node makes its high fence */

	build->nlevels = total > 0 ? 1 : 0;
	build->levels[0].words = stride - 1;
	most = alex_most_records(stride - 1) + 1;
	while (left > 0)
	{
		AlexPlan	plan;
		uint32		n;
		uint64	   *records;

		wanted = (uint32) Min(wanted, left);
		records = alex_sort_peek(build->sort, wanted, &n);
		if (n < wanted)
			elog(ERROR, "alex build lost records");
		if (accepted < wanted)
		{
			accept_sorted(build, records + (Size) accepted * stride, wanted - accepted);
			accepted = wanted;
		}
		plan_node(build, 0, records, wanted, &plan);
		if (plan.n == wanted && wanted < left)
		{
			/* they all fit: see whether more do */
			wanted = Min(wanted * 2, most);
			continue;
		}
		finish_node(build, 0, records, &plan, plan.n < left);
		alex_sort_skip(build->sort, plan.n);
		accepted -= plan.n;
		left -= plan.n;
		wanted = Min(plan.n + plan.n / 2 + 64, most);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) (total - left));
	}
}

static uint64
write_index(BuildState *build)
{
	uint64		total;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_SORT);
	total = alex_sort_perform(build->sort);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) total);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_WRITE);
	build->columns = palloc((Size) ALEX_MAX_RECORDS * alex_stride(build->index.words, 1) * sizeof(uint64));
	write_leaves(build, total);
	alex_sort_end(build->sort);
	return total;
}

IndexBuildResult *
alexbuild(Relation heap, Relation rel, struct IndexInfo *info)
{
	BuildState	build;
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "alex build", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	AlexParallel *parallel;
	uint32		capacity;

	if (RelationGetNumberOfBlocks(rel) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" already contains data", RelationGetRelationName(rel))));
	alex_route_outdate(RelationGetRelid(rel));
	/* a truncated index is built again in its file: its codes may be others */
	if (rel->rd_amcache)
		pfree(rel->rd_amcache);
	rel->rd_amcache = NULL;

	memset(&build, 0, sizeof(build));
	build.heap = heap;
	build.rel = rel;
	build.unique = info->ii_Unique;
	build.nulls_not_distinct = info->ii_NullsNotDistinct;
	describe(rel, &build.index);
	capacity = alex_node_capacity_of(build.index.least, build.index.words, 1, BLCKSZ);
	build.room = capacity / 100 * build.index.fillfactor;

	old = MemoryContextSwitchTo(context);
	alex_choose_codes(heap, rel, info, &build.index.key);

	/* metapage and root have the first two blocks; the root is written last. Who collects rows takes the codes from the metapage */
	extend(&build);
	extend(&build);
	write_meta(&build);
	parallel = collect(&build, info);
	result->index_tuples = (double) write_index(&build);
	finish_levels(&build);
	if (parallel)
		alex_parallel_end(parallel);

	if (RelationNeedsWAL(rel))
		log_newpage_range(rel, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(rel), true);

	MemoryContextSwitchTo(old);
	result->heap_tuples = build.heap_tuples;
	MemoryContextDelete(context);
	return result;
}

/*
 * The init fork of an unlogged index: it is copied over the main fork after a crash. Full images, since only those are
 * flushed at once by replay.
 */
void
alexbuildempty(Relation rel)
{
	AlexIndex	index;

	memset(&index, 0, sizeof(index));
	describe(rel, &index);
	for (BlockNumber block = ALEX_META_BLOCK; block <= ALEX_FIRST_LEAF_BLOCK; block++)
	{
		/* there are blocks already where another access method's fork is replaced (alex_adopt.c) */
		bool		is_new = block >= RelationGetNumberOfBlocksInFork(rel, INIT_FORKNUM);
		Buffer		buffer = ReadBufferExtended(rel, INIT_FORKNUM, is_new ? P_NEW : block, RBM_NORMAL, NULL);
		char	   *image = palloc0(BLCKSZ);

		Assert(BufferGetBlockNumber(buffer) == block);
		if (block == ALEX_META_BLOCK)
			alex_init_meta((Page) image, &index);
		else
			alex_init_node((Page) image, &index, block);

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		START_CRIT_SECTION();
		alex_install(buffer, image);
		MarkBufferDirty(buffer);
		log_newpage_buffer(buffer, true);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(buffer);
		pfree(image);
	}
}
