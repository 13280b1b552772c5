/*
 * alex_aggregate.c - Custom Scan (AlexAggregate): counts and other aggregates, answered from the leaves of an index.
 *
 * What is to be read is what a scan of the index would read (alex_ranges.c): its ranges of positions, one after the other. A leaf is
 * copied under its lock; the copy is worked on while the leaf stays pinned, so that the visibility map can be believed
 * (alex_visible.c). Then there are two ways:
 *
 * - In bulk: the two ends of a range, or of a group within it, are searched in the leaf, and what is between them is counted. While
 *   the map says that all blocks they name are visible, no entry is looked at; else a bit for each entry says whether its row is
 *   visible. Columns that are added up are read word by word.
 * - Row by row, in order, in batches: where groups are small, where a condition filters what is between the ends (a box), for FILTER, and for what
 *   needs the order (count(DISTINCT), sums of floating-point numbers) or the whole value (types of two words).
 *
 * Without any aggregate (GROUP BY alone) a group's first visible row is all that is wanted, and for count(DISTINCT) that of each value: then the
 * next one is searched.
 *
 * The plan below is an index scan that is never run: it holds the conditions, and its state the scan keys and the table.
 */
#include "alex_aggregate.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "executor/nodeIndexscan.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "alex.h"
#include "alex_scan.h"
#include "alex_skip.h"
#include "alex_sums.h"
#include "alex_visible.h"
#include "compat_explain.h"

/* Entries read at once, and the bits that go with them. */
#define MOST_ENTRIES ALEX_VISIBLE_MOST
#define MOST_BITS (MOST_ENTRIES / 64)

/* Row by row: the first batch of a scan that wants one row of each value. */
#define FIRST_ROWS 4
#define ROWS_GROWTH 4

/* Bytes of the visibility map that may be looked through rather than to ask about one entry. */
#define MAP_EFFORT 32

/* A column of the result. */
typedef struct Answer
{
	AlexAnswer	answer;
	int			column;
	int			filter;			/* -1: of all rows */
	AlexColumnSums *sums;		/* NULL: needs none */
} Answer;

/* What some answers are only of: rows in some ranges, or of a box. */
typedef struct Filter
{
	IndexScanState *child;
	AlexScanPlan plan;
	uint64	   *bounds;			/* of the ranges: low and high of each */
	uint64		rows;			/* that passed */
	bool		passes;			/* the record at hand does */
} Filter;

typedef struct AggregateState
{
	CustomScanState css;

	/* what is asked */
	int			nanswers;
	Answer	   *answers;
	bool		grouped;
	int			group_columns;
	int			skip_columns;	/* with the same values of so many one row is enough; or 0 */
	bool		one_row;		/* of a group is enough */
	bool		by_rows;		/* row by row, whatever the keys */
	int			nsums;
	AlexColumnSums *sums;
	int		   *filter_of_sums;
	int			nfilters;
	Filter	   *filters;

	/* the scan */
	IndexScanState *child;
	IndexScanDesc scan;
	AlexScan   *so;
	AlexVisible visible;
	MemoryContext context;		/* as long as the node */

	/* where it is; what is left of the current range is so->low to so->high */
	bool		started;
	bool		done;
	bool		rows;			/* this time row by row */

	/* the leaf that was read last */
	Buffer		pin;
	PGAlignedBlock leaf;
	bool		judged;			/* all_visible is known */
	bool		all_visible;	/* all rows of its base */
	bool		asked;			/* some entry of it was looked at */

	/* the group */
	bool		in_group;
	uint64		rows_seen;		/* visible ones */
	uint64	   *group;			/* its first record */
	uint64	   *group_end;		/* the position behind it */
	uint64	   *skip_end;		/* the position behind what need not be read */
	uint64	   *fence;			/* what end_on_leaf() returned, if it is not the limit */

	/* entries of the leaf, in bulk words of one column, row by row records */
	uint64	   *entries;
	Size		allocated;		/* words */
	uint64		bits[MOST_BITS];
	uint32		next;
	uint32		n;
	uint32		batch;

	/* for EXPLAIN */
	uint64		leaves;
	uint64		leaves_in_bulk;
} AggregateState;

/* ---- the leaf ---- */

static void
drop_leaf(AggregateState *state)
{
	if (!BufferIsValid(state->pin))
		return;
	state->leaves++;
	state->leaves_in_bulk += !state->asked;
	ReleaseBuffer(state->pin);
	state->pin = InvalidBuffer;
}

/* Makes the leaf that covers what comes next the current one. */
static void
read_leaf(AggregateState *state)
{
	AlexScan   *so = state->so;
	Relation	index = state->scan->indexRelation;
	Page		page;
	const AlexNodeHeader *node;

	if (BufferIsValid(state->pin) && alex_covers((Page) state->leaf.data, 0, so->low.word, so->low.words))
		return;
	CHECK_FOR_INTERRUPTS();
	drop_leaf(state);
	state->pin = alex_scan_find_leaf(state->scan, true);
	page = BufferGetPage(state->pin);
	compat_test_old_snapshot(state->visible.snapshot, index, page);
	/* before the lock is let go: who inserts here from now on conflicts */
	PredicateLockPage(index, BufferGetBlockNumber(state->pin), state->visible.snapshot);
	memcpy(state->leaf.data, page, BLCKSZ);
	LockBuffer(state->pin, BUFFER_LOCK_UNLOCK);

	node = alex_cheader(state->leaf.data);
	so->leaf = BufferGetBlockNumber(state->pin);
	so->block = node->right;	/* a guess */
	state->visible.leaf = so->leaf;
	state->judged = false;
	state->asked = false;
}

/* Where the leaf, or the limit, ends. Positions have all words of the index here; entries those of their leaf. */
static const uint64 *
end_on_leaf(const AggregateState *state, const uint64 *limit)
{
	const char *page = state->leaf.data;
	int			words = state->so->index.words;
	uint64	   *fence = state->fence;

	if (alex_cheader(page)->right == InvalidBlockNumber)
		return limit;
	alex_widen_position(alex_high_fence(page, fence), alex_cheader(page)->words, fence, words);
	return alex_compare(fence, limit, words) >= 0 ? limit : fence;
}

static void
need_entries(AggregateState *state, Size words)
{
	if (words <= state->allocated)
		return;
	if (state->entries)
		pfree(state->entries);
	state->entries = MemoryContextAllocHuge(state->context, words * sizeof(uint64));
	state->allocated = words;
}

/* ---- in bulk ---- */

/* Are the rows of all base entries first .. end - 1 visible, as far as that can be told without a look at each in the map? */
static bool
part_visible(AggregateState *state, uint32 first, uint32 end)
{
	BlockNumber least;
	BlockNumber greatest;
	BlockNumber hidden;

	if (!alex_block_bounds(state->leaf.data, first, end, &least, &greatest))
		return false;
	if (alex_blocks_visible(&state->visible, least, greatest, (end - first) * MAP_EFFORT, &hidden))
		return true;
	/* tables end in blocks that have not been used yet, which are not all-visible: what if these entries name none of them? */
	return hidden != InvalidBlockNumber && hidden - least > (greatest - least) / 16 * 15 &&
		alex_blocks_below(state->leaf.data, first, end, hidden);
}

/* The same; what has been found of the whole leaf is remembered. */
static bool
base_visible(AggregateState *state, uint32 first, uint32 end)
{
	uint32		count = alex_cheader(state->leaf.data)->count;

	if (!state->judged)
	{
		state->judged = true;
		state->all_visible = part_visible(state, 0, count);
	}
	return state->all_visible || (end - first < count && part_visible(state, first, end));
}

/* Adds base entries "from" to "to", from a multiple of 64, at most MOST_ENTRIES, of which those are wanted whose bit is set. */
static void
add_columns(AggregateState *state, uint32 from, uint32 to, const uint64 *bits)
{
	const AlexKeyInfo *info = &state->so->index.key;
	uint32		n = to - from;

	for (int i = 0; i < state->nsums; i++)
	{
		AlexColumnSums *sums = &state->sums[i];
		const AlexColumnPlace *place = &info->layout.place[sums->column];
		uint64		there[MOST_BITS];

		memcpy(there, bits, (n + 63) / 64 * sizeof(uint64));
		alex_read_base_words(state->leaf.data, place->null_word, from, n, state->entries);
		alex_clear_nulls(state->entries, n, place->null_shift, place->nulls_first, there);
		if (place->null_word != place->first && (sums->summed || sums->extremes))
			alex_read_base_words(state->leaf.data, place->first, from, n, state->entries);
		alex_sums_add_words(sums, info, state->entries, n, there);
	}
}

/* Adds base entries first .. end - 1. */
static void
add_base(AggregateState *state, uint32 first, uint32 end)
{
	bool		all;

	if (first >= end)
		return;
	pgstat_count_index_tuples(state->scan->indexRelation, end - first);
	all = base_visible(state, first, end);
	if (all && state->nsums == 0)
	{
		state->rows_seen += alex_count_base(state->leaf.data, first, end);
		return;
	}
	need_entries(state, MOST_ENTRIES);
	for (uint32 from = first & ~63u; from < end; from += MOST_ENTRIES)
	{
		uint32		to = Min(from + MOST_ENTRIES, end);

		alex_live_bits(state->leaf.data, from, Max(from, first), to, state->bits);
		if (!all && !base_visible(state, Max(from, first), to))
		{
			state->asked = true;
			alex_read_base_ties(state->leaf.data, from, to - from, state->entries);
			alex_entries_visible(&state->visible, state->entries, 1, to - from, state->bits);
		}
		state->rows_seen += alex_count_bits(state->bits, to - from);
		add_columns(state, from, to, state->bits);
	}
}

/* ---- filters ---- */

/* Finds the ranges again, as parameters may have changed. */
static void
prepare_filter(AggregateState *state, Filter *filter)
{
	const AlexKeyInfo *info = &state->so->index.key;
	IndexScanState *child = filter->child;
	int			stride = info->words + 1;

	if (child->iss_NumRuntimeKeys != 0 && !child->iss_RuntimeKeysReady)
		ExecReScan(&child->ss.ps);
	alex_plan_scan(info, child->iss_ScanKeys, child->iss_NumScanKeys, &filter->plan);
	if (filter->bounds)
		pfree(filter->bounds);
	filter->bounds = MemoryContextAllocHuge(state->context, (Size) Max(filter->plan.n, 1) * 2 * stride * sizeof(uint64));
	for (int i = 0; i < filter->plan.n; i++)
	{
		uint64	   *low = filter->bounds + (Size) i * 2 * stride;

		alex_plan_range(info, &filter->plan, i, low, low + stride);
		if (alex_plan_recheck(&filter->plan, i))
			elog(ERROR, "a filter of an aggregate of index \"%s\" is not exact", RelationGetRelationName(state->scan->indexRelation));
	}
}

static bool
passes(const Filter *filter, const uint64 *record, int words)
{
	int			stride = words + 1;
	int			first = 0;
	int			end = filter->plan.n;

	/* the first range that ends behind the record */
	while (first < end)
	{
		int			middle = first + (end - first) / 2;

		if (alex_compare(filter->bounds + (Size) (2 * middle + 1) * stride, record, words) <= 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first < filter->plan.n && alex_compare(filter->bounds + (Size) 2 * first * stride, record, words) <= 0 &&
		(!filter->plan.filtered || alex_box_matches(&filter->plan.box, record));
}

static void
add_record(AggregateState *state, const uint64 *record)
{
	int			words = state->so->index.words;

	if (state->rows_seen == 0 && state->grouped)
		memcpy(state->group, record, (words + 1) * sizeof(uint64));
	state->rows_seen++;
	for (int i = 0; i < state->nfilters; i++)
	{
		state->filters[i].passes = passes(&state->filters[i], record, words);
		state->filters[i].rows += state->filters[i].passes;
	}
	for (int i = 0; i < state->nsums; i++)
		if (state->filter_of_sums[i] < 0 || state->filters[state->filter_of_sums[i]].passes)
			alex_sums_add(&state->sums[i], &state->so->index.key, record);
}

static void
set_bits(uint64 *bits, uint32 n)
{
	for (uint32 i = 0; i < n; i += 64)
		bits[i / 64] = n - i < 64 ? (UINT64CONST(1) << (n - i)) - 1 : ~UINT64CONST(0);
}

static inline bool
test_bit(const uint64 *bits, uint32 i)
{
	return (bits[i / 64] >> i % 64 & 1) != 0;
}

/* Adds the entries of the delta from "low" to "high". */
static void
add_delta(AggregateState *state, const uint64 *low, const uint64 *high)
{
	const char *page = state->leaf.data;
	int			words = alex_cheader(page)->words;
	uint64		low_space[ALEX_MAX_WORDS + 1];
	uint64		high_space[ALEX_MAX_WORDS + 1];
	uint32		n = alex_delta_count(page);

	if (n == 0)
		return;
	low = alex_fit_position(page, low, state->so->index.words, low_space);
	high = alex_fit_position(page, high, state->so->index.words, high_space);
	StaticAssertStmt(ALEX_MAX_DELTA <= MOST_ENTRIES, "a delta has bits");
	need_entries(state, (Size) n * (words + 1));
	n = alex_collect_delta(state->leaf.data, low, high, state->entries);
	pgstat_count_index_tuples(state->scan->indexRelation, n);
	set_bits(state->bits, n);
	alex_entries_visible(&state->visible, state->entries + words, words + 1, n, state->bits);
	for (uint32 i = 0; i < n; i++)
		if (test_bit(state->bits, i))
			add_record(state, state->entries + (Size) i * (words + 1));
}

/* Adds what the current leaf has from so->low to "end", which is on it or its end. */
static void
add_part(AggregateState *state, const uint64 *end)
{
	AlexScan   *so = state->so;
	const char *page = state->leaf.data;
	const AlexNodeHeader *node = alex_cheader(page);
	uint64		low_space[ALEX_MAX_WORDS + 1];
	uint64		end_space[ALEX_MAX_WORDS + 1];
	const uint64 *from = alex_fit_position(page, so->low.word, so->low.words, low_space);
	const uint64 *to = alex_fit_position(page, end, so->index.words, end_space);
	bool		whole_end = node->right == InvalidBlockNumber ? false : alex_compare_high(page, to) == 0;
	uint32		first = alex_compare_low(page, from) == 0 ? 0 : alex_lower_bound(page, from);
	uint32		last = whole_end ? node->count : alex_lower_bound(page, to);

	add_base(state, first, last);
	add_delta(state, so->low.word, end);
}

/* ---- ranges and groups ---- */

static inline bool
range_is_over(const AlexScan *so)
{
	return alex_place_compare(&so->low, &so->high) >= 0;
}

/* Goes to the next range if this one is over; false if there is none. */
static bool
have_range(AggregateState *state)
{
	AlexScan   *so = state->so;

	while (range_is_over(so))
		if (!alex_scan_enter_range(so, so->current + 1))
			return false;
	alex_place_widen(so, &so->low);
	alex_place_widen(so, &so->high);
	if (unlikely(so->recheck))
		elog(ERROR, "conditions of an aggregate of index \"%s\" are not exact", RelationGetRelationName(state->scan->indexRelation));
	return true;
}

/* The position behind all records with the columns of the group of this one. */
static inline void
find_group_end(AggregateState *state, const uint64 *record)
{
	alex_prefix_bound(&state->so->index.key, state->group_columns, record, true, state->group_end);
}

static void
begin_group(AggregateState *state)
{
	state->rows_seen = 0;
	for (int i = 0; i < state->nsums; i++)
		alex_sums_reset(&state->sums[i]);
	for (int i = 0; i < state->nfilters; i++)
		state->filters[i].rows = 0;
}

/* Gathers all there is. */
static void
gather_all_in_bulk(AggregateState *state)
{
	AlexScan   *so = state->so;

	begin_group(state);
	while (have_range(state))
	{
		const uint64 *end;

		read_leaf(state);
		end = end_on_leaf(state, so->high.word);
		add_part(state, end);
		alex_place_set(&so->low, end, so->index.words);
	}
}

/* Finds the first entry of the next group; false at the end. */
static bool
find_group(AggregateState *state)
{
	AlexScan   *so = state->so;

	while (have_range(state))
	{
		const char *page = state->leaf.data;
		uint64		low[ALEX_MAX_WORDS + 1];
		uint64		high[ALEX_MAX_WORDS + 1];
		bool		more;

		read_leaf(state);
		need_entries(state, (Size) (1 + alex_delta_count(page)) * (alex_cheader(page)->words + 1));
		if (alex_collect(page, alex_fit_position(page, so->low.word, so->low.words, low),
						 alex_fit_position(page, so->high.word, so->high.words, high), false, 1, state->entries, &more) > 0)
		{
			alex_widen_position(state->entries, alex_cheader(page)->words, state->group, so->index.words);
			/* or this group would be found again and again */
			if (alex_compare(state->group, so->low.word, so->index.words) < 0)
				alex_corrupt(state->scan->indexRelation, so->leaf, "Records are out of order");
			find_group_end(state, state->group);
			return true;
		}
		alex_place_set(&so->low, end_on_leaf(state, so->high.word), so->index.words);
	}
	return false;
}

/* Gathers the next group that has a visible row; false at the end. */
static bool
gather_group_in_bulk(AggregateState *state)
{
	AlexScan   *so = state->so;
	int			words = so->index.words;

	while (find_group(state))
	{
		begin_group(state);
		while (have_range(state) && alex_compare(so->low.word, state->group_end, words) < 0)
		{
			const uint64 *end;

			read_leaf(state);
			end = end_on_leaf(state, alex_compare(so->high.word, state->group_end, words) < 0 ? so->high.word : state->group_end);
			add_part(state, end);
			alex_place_set(&so->low, end, words);
		}
		if (state->rows_seen > 0)
			return true;
	}
	return false;
}

/* ---- row by row ---- */

/* Reads the next entries, which may be none; false at the end. */
static bool
read_rows(AggregateState *state)
{
	AlexScan   *so = state->so;
	int			words;
	bool		living = state->scan->ignore_killed_tuples;
	const char *page = state->leaf.data;
	uint64		rest[ALEX_MAX_WORDS + 1];
	uint64		low_space[ALEX_MAX_WORDS + 1];
	uint64		high_space[ALEX_MAX_WORDS + 1];
	bool		more;

	state->n = state->next = 0;
	if (!have_range(state))
		return false;
	read_leaf(state);
	words = alex_cheader(page)->words;
	need_entries(state, (Size) (state->batch + alex_delta_count(page)) * (words + 1));
	if (so->plan.filtered)
	{
		state->n = alex_collect_box(page, &so->plan.box, so->low.word, so->high.word, false, living, state->batch, state->entries, &more, rest);
		if (state->n == ALEX_OUT_OF_ORDER)
			alex_corrupt(state->scan->indexRelation, so->leaf, "Records are out of order");
		alex_place_set(&so->low, rest, so->index.words);
	}
	else
	{
		const uint64 *low = alex_fit_position(page, so->low.word, so->low.words, low_space);
		const uint64 *high = alex_fit_position(page, so->high.word, so->high.words, high_space);

		state->n = (living ? alex_collect_living : alex_collect) (page, low, high, false, state->batch, state->entries, &more);
		if (!more)
			alex_place_set(&so->low, end_on_leaf(state, so->high.word), so->index.words);
		else
		{
			const uint64 *last = state->entries + (Size) (state->n - 1) * (words + 1);

			/* or the next batch would be this one again */
			if (alex_compare(last, low, words) < 0 || last[words] == PG_UINT64_MAX)
				alex_corrupt(state->scan->indexRelation, so->leaf, "Records are out of order");
			alex_widen_position(last, words, so->low.word, so->index.words);
			so->low.words = so->index.words;
			so->low.word[so->low.words]++;
		}
	}
	/* the next leaf is only a guess if there is a gap before it */
	if (!alex_covers((Page) page, 0, so->low.word, so->low.words) &&
		(alex_cheader(page)->right == InvalidBlockNumber ||
		 alex_compare_high(page, alex_fit_position(page, so->low.word, so->low.words, low_space)) != 0))
		so->block = InvalidBlockNumber;
	state->batch = Min(state->batch * ROWS_GROWTH, MOST_ENTRIES);
	if (state->n > 0)
	{
		pgstat_count_index_tuples(state->scan->indexRelation, state->n);
		set_bits(state->bits, state->n);
		state->asked = true;
		alex_entries_visible(&state->visible, state->entries + words, words + 1, state->n, state->bits);
	}
	return true;
}

/* Where only one row with the values of this record is wanted: the rest of them need not be read, which further ranges may have more of. */
static void
skip_like(AggregateState *state, const uint64 *record)
{
	AlexScan   *so = state->so;
	int			words = so->index.words;
	const uint64 *end = state->skip_end;

	alex_prefix_bound(&so->index.key, state->skip_columns, record, true, state->skip_end);
	while (state->next < state->n && alex_compare(state->entries + (Size) state->next * (words + 1), end, words) < 0)
		state->next++;
	if (state->next < state->n || alex_compare(so->low.word, end, words) >= 0)
		return;
	do
	{
		alex_place_widen(so, &so->low);
		alex_place_widen(so, &so->high);
		if (alex_compare(so->low.word, end, words) < 0)
			alex_place_set(&so->low, end, words);
		if (so->plan.filtered && !range_is_over(so))
			alex_scan_skip(so);
	} while (range_is_over(so) && alex_scan_enter_range(so, so->current + 1));
	alex_place_widen(so, &so->low);
	alex_place_widen(so, &so->high);
	if (!alex_covers((Page) state->leaf.data, 0, so->low.word, so->low.words))
		so->block = InvalidBlockNumber;
	state->batch = FIRST_ROWS;
}

/* Gathers the next group that has a visible row, or without groups all there is; false at the end of groups. */
static bool
gather_by_rows(AggregateState *state)
{
	int			words;

	state->in_group = false;
	begin_group(state);
	for (;;)
	{
		const uint64 *record;

		if (state->next >= state->n)
		{
			if (read_rows(state))
				continue;
			return state->rows_seen > 0;
		}
		words = alex_cheader(state->leaf.data)->words;
		record = state->entries + (Size) state->next * (words + 1);
		if (state->grouped && (!state->in_group || alex_compare(record, state->group_end, words) >= 0))
		{
			if (state->rows_seen > 0)
				return true;
			find_group_end(state, record);
			state->in_group = true;
		}
		if (!test_bit(state->bits, state->next++))
			continue;
		add_record(state, record);
		if (state->skip_columns > 0)
			skip_like(state, record);
		if (state->one_row)
			return true;
	}
}

/* ---- the node ---- */

static void
start(AggregateState *state)
{
	IndexScanState *child = state->child;
	AlexScan   *so;

	if (child->iss_NumRuntimeKeys != 0 && !child->iss_RuntimeKeysReady)
		ExecReScan(&child->ss.ps);
	if (state->scan == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(state->context);
		EState	   *estate = state->css.ss.ps.state;

		state->scan = compat_index_beginscan(child->ss.ss_currentRelation, child->iss_RelationDesc, estate->es_snapshot,
											 child->iss_NumScanKeys);
		state->so = (AlexScan *) state->scan->opaque;
		alex_visible_begin(&state->visible, child->ss.ss_currentRelation, child->iss_RelationDesc, estate->es_snapshot);
		state->group = palloc((state->so->index.words + 1) * sizeof(uint64));
		state->group_end = palloc((state->so->index.words + 1) * sizeof(uint64));
		state->skip_end = palloc((state->so->index.words + 1) * sizeof(uint64));
		state->fence = palloc((state->so->index.words + 1) * sizeof(uint64));
		for (int i = 0; i < state->nsums; i++)
		{
			AlexColumnSums *sums = &state->sums[i];

			alex_sums_begin(sums, &state->so->index.key, sums->column);
			for (int a = 0; a < state->nanswers; a++)
				if (state->answers[a].sums == sums)
					alex_sums_want(sums, state->answers[a].answer);
			state->by_rows |= !sums->bulk || sums->distinct;
		}
		/* which of two equal zeroes a group shows, its first visible row says */
		for (int c = 0; c < state->group_columns; c++)
			state->by_rows |= state->so->index.key.column[c].float_sign != 0;
		for (int i = 0; i < state->nfilters; i++)
			alex_begin_plan(&state->filters[i].plan);
		MemoryContextSwitchTo(old);
	}
	so = state->so;
	index_rescan(state->scan, child->iss_ScanKeys, child->iss_NumScanKeys, NULL, 0);
	alex_plan_scan(&so->index.key, state->scan->keyData, state->scan->numberOfKeys, &so->plan);
	for (int i = 0; i < state->nfilters; i++)
		prepare_filter(state, &state->filters[i]);
	pgstat_count_index_scan(state->scan->indexRelation);
	so->started = true;
	so->forward = true;
	so->current = -1;
	so->low.words = so->high.words = so->index.words;
	memset(so->low.word, 0, (so->index.words + 1) * sizeof(uint64));
	memset(so->high.word, 0, (so->index.words + 1) * sizeof(uint64));
	state->rows = state->by_rows || so->plan.filtered;
	state->n = state->next = 0;
	state->batch = state->skip_columns > 0 ? FIRST_ROWS : MOST_ENTRIES;
	state->started = true;
	state->done = false;
}

/* Puts the result into the scan slot. The values last as long as the memory of the output row. */
static TupleTableSlot *
store_result(AggregateState *state)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	const AlexKeyInfo *info = &state->so->index.key;
	MemoryContext old = MemoryContextSwitchTo(state->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory);

	ExecClearTuple(slot);
	for (int i = 0; i < state->nanswers; i++)
	{
		const Answer *answer = &state->answers[i];

		slot->tts_isnull[i] = false;
		if (answer->answer == ALEX_COUNT_ROWS)
			slot->tts_values[i] = Int64GetDatum((int64) (answer->filter < 0 ? state->rows_seen : state->filters[answer->filter].rows));
		else if (answer->answer == ALEX_GROUP_COLUMN)
			slot->tts_values[i] = alex_record_value(info, answer->column, state->group, &slot->tts_isnull[i]);
		else
			slot->tts_values[i] = alex_sums_result(answer->sums, info, answer->answer, &slot->tts_isnull[i]);
	}
	MemoryContextSwitchTo(old);
	return ExecStoreVirtualTuple(slot);
}

static TupleTableSlot *
next_result(ScanState *node)
{
	AggregateState *state = (AggregateState *) node;
	bool		found;

	if (!state->started)
		start(state);
	if (state->done)
		return ExecClearTuple(node->ss_ScanTupleSlot);
	if (state->rows)
		found = gather_by_rows(state);
	else if (state->grouped)
		found = gather_group_in_bulk(state);
	else
	{
		gather_all_in_bulk(state);
		found = true;
	}
	state->done = !found || !state->grouped;
	if (state->done)
		drop_leaf(state);
	if (!found && state->grouped)
		return ExecClearTuple(node->ss_ScanTupleSlot);
	return store_result(state);
}

/* Within EvalPlanQual the slot is ours to fill. */
static bool
recheck_result(ScanState *node, TupleTableSlot *slot)
{
	return !TupIsNull(next_result(node));
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	return ExecScan(&node->ss, next_result, recheck_result);
}

/* The sums of a column and a filter, which several answers may share. */
static AlexColumnSums *
sums_of(AggregateState *state, int column, int filter)
{
	for (int i = 0; i < state->nsums; i++)
		if (state->sums[i].column == column && state->filter_of_sums[i] == filter)
			return &state->sums[i];
	state->filter_of_sums[state->nsums] = filter;
	state->sums[state->nsums].column = column;
	return &state->sums[state->nsums++];
}

/* Who may not call an aggregate does not get its result either. */
static void
check_permissions(const CustomScan *plan)
{
	ListCell   *cell;

	foreach(cell, plan->custom_scan_tlist)
	{
		const Aggref *aggregate = (const Aggref *) lfirst_node(TargetEntry, cell)->expr;
		AclResult	result;

		if (!IsA(aggregate, Aggref))
			continue;
		result = compat_function_aclcheck(aggregate->aggfnoid, GetUserId(), ACL_EXECUTE);
		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_AGGREGATE, get_func_name(aggregate->aggfnoid));
		InvokeFunctionExecuteHook(aggregate->aggfnoid);
	}
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	AggregateState *state = (AggregateState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *settings = (List *) list_nth(plan->custom_private, ALEX_AGGREGATE_SETTINGS);
	List	   *answers = (List *) list_nth(plan->custom_private, ALEX_AGGREGATE_ANSWERS);

	check_permissions(plan);
	state->context = CurrentMemoryContext;
	state->grouped = list_nth_int(settings, ALEX_GROUPED) != 0;
	state->group_columns = list_nth_int(settings, ALEX_GROUP_COLUMNS);
	state->by_rows = list_nth_int(settings, ALEX_SMALL_GROUPS) != 0;
	state->nanswers = list_length(answers);
	state->answers = palloc0(Max(state->nanswers, 1) * sizeof(Answer));
	state->sums = palloc0(Max(state->nanswers, 1) * sizeof(AlexColumnSums));
	state->filter_of_sums = palloc0(Max(state->nanswers, 1) * sizeof(int));
	state->skip_columns = list_nth_int(settings, ALEX_SKIP_COLUMNS);
	state->one_row = state->grouped;
	for (int i = 0; i < state->nanswers; i++)
	{
		List	   *item = (List *) list_nth(answers, i);
		Answer	   *answer = &state->answers[i];

		answer->answer = (AlexAnswer) linitial_int(item);
		answer->column = lsecond_int(item);
		answer->filter = lthird_int(item);
		if (answer->answer != ALEX_GROUP_COLUMN)
			state->one_row = false;
		if (answer->answer != ALEX_GROUP_COLUMN && answer->answer != ALEX_COUNT_ROWS)
			answer->sums = sums_of(state, answer->column, answer->filter);
	}
	state->child = castNode(IndexScanState, ExecInitNode((Plan *) linitial(plan->custom_plans), estate, eflags));
	state->nfilters = list_length(plan->custom_plans) - 1;
	state->filters = palloc0(Max(state->nfilters, 1) * sizeof(Filter));
	for (int i = 0; i < state->nfilters; i++)
		state->filters[i].child = castNode(IndexScanState, ExecInitNode((Plan *) list_nth(plan->custom_plans, i + 1), estate, eflags));
	state->by_rows |= state->skip_columns > 0 || state->nfilters > 0;
}

static void
rescan(CustomScanState *node)
{
	AggregateState *state = (AggregateState *) node;

	drop_leaf(state);
	state->started = false;
	for (int i = -1; i < state->nfilters; i++)
	{
		PlanState  *child = i < 0 ? &state->child->ss.ps : &state->filters[i].child->ss.ps;

		if (node->ss.ps.chgParam != NULL)
			UpdateChangedParamSet(child, node->ss.ps.chgParam);
		ExecReScan(child);
	}
	ExecScanReScan(&node->ss);
}

static void
end(CustomScanState *node)
{
	AggregateState *state = (AggregateState *) node;

	drop_leaf(state);
	if (state->scan)
	{
		alex_visible_end(&state->visible);
		index_endscan(state->scan);
	}
	for (int i = 0; i < state->nfilters; i++)
		ExecEndNode(&state->filters[i].child->ss.ps);
	ExecEndNode(&state->child->ss.ps);
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	AggregateState *state = (AggregateState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	IndexScan  *scan = linitial_node(IndexScan, plan->custom_plans);

	ExplainPropertyText("Index Name", quote_identifier(get_rel_name(scan->indexid)), es);
	ExplainPropertyText("Relation Name",
						quote_identifier(get_rel_name(exec_rt_fetch(scan->scan.scanrelid, node->ss.ps.state)->relid)), es);
	if (scan->indexqualorig != NIL)
	{
		/* lcons() changes the list it is given, which is EXPLAIN's own */
		List	   *parents = lcons(plan, list_copy(ancestors));
		List	   *context = set_deparse_context_plan(es->deparse_cxt, &scan->scan.plan, parents);
		Node	   *condition = (Node *) make_ands_explicit(scan->indexqualorig);
		bool		prefix = es->verbose || list_length(es->rtable) > 1;

		ExplainPropertyText("Index Cond", deparse_expression(condition, context, prefix, false), es);
	}
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Heap Fetches", NULL, (int64) state->visible.fetches, es);
	ExplainPropertyInteger("Leaves", NULL, (int64) state->leaves, es);
	ExplainPropertyInteger("Leaves in Bulk", NULL, (int64) state->leaves_in_bulk, es);
}

static const CustomExecMethods methods = {
	.CustomName = ALEX_AGGREGATE_NAME,
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain,
};

Node *
alex_create_aggregate_state(CustomScan *plan)
{
	AggregateState *state = (AggregateState *) newNode(sizeof(AggregateState), T_CustomScanState);

	state->css.methods = &methods;
	return (Node *) state;
}
