/*
 * alex_skip.c - leaving the records with equal first columns behind, to go on with the next ones.
 */
#include "alex_skip.h"

#include "alex_scan.h"
#include "alex_tuples.h"

/*
 * Where the records begin (or, with "after", end) whose first columns are those of this one. Of columns that are strings the words are
 * taken as they are: none is the beginning of another one.
 */
void
alex_prefix_bound(const AlexKeyInfo *info, int columns, const uint64 *record, bool after, uint64 *bound)
{
	uint64		code[ALEX_CODE_WORDS];
	int			from = 0;
	int			to = 0;

	memset(bound, 0, (info->words + 1) * sizeof(uint64));
	for (int c = 0; c < columns; c++)
	{
		const AlexColumnPlace *place = &info->layout.place[c];
		bool		last = c == columns - 1;

		if (info->layout.strings == 0)
			alex_column_code(place, record, code);
		else
			alex_take_code(&info->layout, c, record, info->words, &from, code);
		if (last && after)
			alex_code_after(place, code, code);
		if (info->layout.strings == 0)
			alex_put_code(place, code, bound);
		else if (!alex_put_next_code(&info->layout, c, code, bound, info->words, &to))
			break;
	}
}

/* The position, of all the index's words, of a tuple of the batch. */
static void
tuple_position(const AlexScan *so, uint32 i, uint64 *position)
{
	alex_tuple_position(&so->index.key, so->tuples + (Size) i * so->stride, so->words, position);
	alex_widen_position(position, so->words, position, so->index.words);
}

/* Is a position beyond the bound, in the direction of the scan? */
static inline bool
is_beyond(const AlexScan *so, const uint64 *position, const uint64 *bound)
{
	int			order = alex_compare(position, bound, so->index.words);

	return so->forward ? order >= 0 : order < 0;
}

/* The first tuple of the batch that is beyond the bound, from so->next; ntuples if there is none. */
static uint32
first_beyond(const AlexScan *so, const uint64 *bound)
{
	uint32		low = so->next;
	uint32		high = so->ntuples;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		uint64		position[ALEX_MAX_WORDS + 1];

		tuple_position(so, middle, position);
		if (is_beyond(so, position, bound))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Leaves out what is still to come up to the bound, which further ranges may have more of. */
static void
skip_ranges(AlexScan *so, const uint64 *bound)
{
	int			words = so->index.words;

	for (;;)
	{
		alex_place_widen(so, &so->low);
		alex_place_widen(so, &so->high);
		if (so->forward && alex_compare(so->low.word, bound, words) < 0)
			alex_place_set(&so->low, bound, words);
		else if (!so->forward && alex_compare(so->high.word, bound, words) > 0)
			alex_place_set(&so->high, bound, words);
		if (alex_place_compare(&so->low, &so->high) < 0)
		{
			if (!so->plan.filtered)
				return;
			alex_scan_skip(so);
			if (alex_place_compare(&so->low, &so->high) < 0)
				return;
		}
		if (!alex_scan_enter_range(so, so->forward ? so->current + 1 : so->current - 1))
			return;
	}
}

bool
alex_scan_skip_prefix(IndexScanDesc scan, int columns)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	uint64		position[ALEX_MAX_WORDS + 1];
	uint64		bound[ALEX_MAX_WORDS + 1];

	Assert(so->shared == NULL);
	if (!so->started || so->next == 0 || so->current < 0 || so->current >= so->plan.n)
		return false;
	tuple_position(so, so->next - 1, position);
	alex_prefix_bound(&so->index.key, columns, position, so->forward, bound);
	so->next = first_beyond(so, bound);
	if (so->next < so->ntuples)
		return false;
	skip_ranges(so, bound);
	so->batch_size = ALEX_FIRST_BATCH;
	return true;
}
