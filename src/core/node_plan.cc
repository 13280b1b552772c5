/*
 * node_plan.cc - how many records fit, and where a node splits.
 *
 * Splits are by rank, never by halving the key space: halving leaves many times too many nodes on
 * clustered keys and never ends on equal ones.
 */
#include "node_plan.h"

#include "fit_search.h"
#include "node.h"
#include "node_values.h"

using namespace alex;

namespace
{

/** A position that ends with zeros. */
struct Prefix
{
	const uint64_t *at;
	int words;
};

/** What separates two records of a leaf: the beginning of the right one. */
Prefix
separator(const uint64_t *left, const uint64_t *right, int words)
{
	int i = 0;

	while (i < words && left[i] == right[i])
		i++;
	return {right, alex_used_words(right, std::min(i + 1, words))};
}

} // namespace

int
alex::Form::shared(const uint64_t *records, uint32_t n, int used, uint32_t *bytes) const
{
	auto whole = [&](const uint64_t *position) { return Prefix{position, alex_used_words(position, words)}; };
	Prefix from{nullptr, used};
	Prefix to{nullptr, used};

	if (n > 0 && begin != nullptr && records > begin)
		from = level > 0 ? whole(records) : separator(records - stride(), records, words);
	else if (low != nullptr)
		from = whole(low);
	if (n > 0 && end != nullptr && records + static_cast<size_t>(n) * stride() < end)
	{
		const uint64_t *next = records + static_cast<size_t>(n) * stride();

		to = level > 0 ? whole(next) : separator(next - stride(), next, words);
	}
	else if (high != nullptr)
		to = whole(high);

	int common = 0;

	/* zeros that both end with count as well, but hardly any position does */
	if (from.at != nullptr && to.at != nullptr)
		while (common < std::min(from.words, to.words) && from.at[common] == to.at[common])
			common++;

	const int columns = alex_stride(std::max(used, least) - std::min(common, used), level);
	const int spare = n > ALEX_ANY_RECORDS ? used : 0;
	const int fences = std::max({from.words, spare, least}) + std::max({to.words, spare, least}) - common;

	*bytes = static_cast<uint32_t>(ALEX_FENCES_OFFSET(columns) + (fences + 2) * sizeof(uint64_t));
	return common;
}

uint32_t
alex::encoded_size(const uint64_t *records, uint32_t n, const Form &form)
{
	const int words = form.words;
	const int stride = form.stride();
	const bool leaf = form.level == 0;
	uint32_t radix = leaf ? largest_offset(records, n, stride, words) : 1;
	const int used = form.variable() ? used_by_all(records, n, stride, words, form.least) : words;
	uint32_t bytes = 0;
	const int shared = form.variable() ? std::min(form.shared(records, n, used, &bytes), used) : 0;

	if (n == 0)
		return bytes;
	for (int c = shared; c < alex_stride(used, form.level); c++)
		bytes += plan_column(RecordValues(records, stride, c < used ? c : words + c - used, leaf && c == used ? radix : 0), n).bytes;
	return bytes;
}

uint32_t
alex::fit(const uint64_t *records, uint32_t n, const Form &form, uint32_t room, bool from_end, uint32_t guess)
{
	const size_t stride = form.stride();

	return most_that_fit(n, room, guess,
						 [&](uint32_t m) { return encoded_size(from_end ? records + (n - m) * stride : records, m, form); });
}

extern "C" uint32_t
alex_encoded_size(const uint64_t *records, uint32_t n, int words, int level)
{
	return encoded_size(records, n, Form{words, words, level});
}

extern "C" uint32_t
alex_node_capacity_of(int least, int words, int level, uint32_t page_size)
{
	const Form form{least, words, level};

	return page_size - ALEX_SPECIAL_SIZE -
		   static_cast<uint32_t>(form.variable() ? 0 : ALEX_FENCES_OFFSET(form.stride()) + 2 * (words + 1) * sizeof(uint64_t));
}

extern "C" uint32_t
alex_fit(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, bool from_end, uint32_t guess)
{
	return fit(records, n, Form{words, words, level}, room, from_end, guess);
}

extern "C" uint32_t
alex_choose_split(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, uint32_t fill)
{
	return choose_split(records, n, Form{words, words, level}, room, fill);
}

/*
 * The middle, unless the records break into two lines at a wide gap near it (between 3/8 and 5/8) and are
 * stored smaller when the node ends there: ALEX's "split where the model stops fitting", at page scale.
 */
uint32_t
alex::choose_split(const uint64_t *records, uint32_t n, const Form &form, uint32_t room, uint32_t fill)
{
	const int words = form.words;
	const size_t stride = form.stride();
	auto size = [&](uint32_t from, uint32_t to) { return encoded_size(records + from * stride, to - from, form); };

	if (n < 2)
		return 0;
	if (fill > 0)
	{
		uint32_t left = std::min(fit(records, n, form, std::min(fill, room), false, n - 1), n - 1);

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
		best = fit(records, n, form, room, false, 0);
		return best < n && size(best, n) <= room ? best : 0;
	}
	best = n - fit(records, n, form, room, true, 0);
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
