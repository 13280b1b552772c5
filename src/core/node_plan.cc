/*
 * node_plan.cc - how many records fit, and where a node splits.
 *
 * Splits are by rank, never by halving the key space: halving leaves many times too many nodes on
 * clustered keys and never ends on equal ones.
 */
#include "fit_search.h"
#include "node.h"
#include "node_values.h"

using namespace alex;

extern "C" uint32_t
alex_encoded_size(const uint64_t *records, uint32_t n, int words, int level)
{
	int columns = alex_stride(words, level);
	uint32_t radix = level == 0 ? largest_offset(records, n, columns, words) : 1;
	uint32_t bytes = 0;

	if (n == 0)
		return 0;
	for (int c = 0; c < columns; c++)
		bytes += plan_column(RecordValues(records, columns, c, level == 0 && c == words ? radix : 0), n).bytes;
	return bytes;
}

extern "C" uint32_t
alex_node_capacity(int words, int level, uint32_t page_size)
{
	return page_size - ALEX_SPECIAL_SIZE - ALEX_FENCES_OFFSET(alex_stride(words, level)) - 2 * (words + 1) * static_cast<uint32_t>(sizeof(uint64_t));
}

extern "C" uint32_t
alex_fit(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, bool from_end, uint32_t guess)
{
	size_t stride = alex_stride(words, level);

	return most_that_fit(n, room, guess, [&](uint32_t m) {
		return alex_encoded_size(from_end ? records + (n - m) * stride : records, m, words, level);
	});
}

/*
 * The middle, unless the records break into two lines at a wide gap near it (between 3/8 and 5/8) and are
 * stored smaller when the node ends there: ALEX's "split where the model stops fitting", at page scale.
 */
extern "C" uint32_t
alex_choose_split(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, uint32_t fill)
{
	size_t stride = alex_stride(words, level);
	auto size = [&](uint32_t from, uint32_t to) {
		return alex_encoded_size(records + from * stride, to - from, words, level);
	};

	if (n < 2)
		return 0;
	if (fill > 0)
	{
		uint32_t left = std::min(alex_fit(records, n, words, level, std::min(fill, room), false, n - 1), n - 1);

		return size(left, n) <= room ? left : 0;
	}

	uint32_t middle = n / 2;
	uint32_t gap_at = middle;
	int word = 0;

	while (word < words && records[word] == records[(n - 1) * stride + word])
		word++;
	for (uint32_t i = n * 3 / 8 + 1; i < n * 5 / 8; i++)
	{
		auto gap = [&](uint32_t at) { return records[at * stride + word] - records[(at - 1) * stride + word]; };

		if (gap(i) > gap(gap_at))
			gap_at = i;
	}

	uint32_t middle_left = size(0, middle);
	uint32_t middle_right = size(middle, n);
	uint32_t best = middle;
	uint32_t left_size = middle_left;
	uint32_t right_size = middle_right;

	if (gap_at != middle)
	{
		uint32_t l = size(0, gap_at);
		uint32_t r = size(gap_at, n);

		/* worth leaving the middle only if it saves a twentieth */
		if (l <= room && r <= room && (l + r) + (l + r) / 20 < middle_left + middle_right)
			return gap_at;
	}
	if (left_size <= room && right_size <= room)
		return best;
	if (left_size > room && right_size > room)
		return 0;

	/* one side stores much worse than the other: give the better one more */
	if (left_size > room)
	{
		best = alex_fit(records, n, words, level, room, false, 0);
		return best < n && size(best, n) <= room ? best : 0;
	}
	best = n - alex_fit(records, n, words, level, room, true, 0);
	return best > 0 && size(0, best) <= room ? best : 0;
}

extern "C" void
alex_make_separator(const uint64_t *left, const uint64_t *right, int words, uint64_t *separator)
{
	int i = 0;

	while (i < words && left[i] == right[i])
	{
		separator[i] = right[i];
		i++;
	}
	if (i < words)
	{
		separator[i] = right[i];
		for (i++; i <= words; i++)
			separator[i] = 0;
		return;
	}
	/* equal keys: the heap block alone, if that separates them */
	uint64_t block = right[words] & ~UINT64_C(0xFFFF);

	separator[words] = block > left[words] ? block : right[words];
}
