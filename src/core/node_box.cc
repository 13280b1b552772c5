/*
 * node_box.cc - collecting the records of a leaf that are in a box.
 *
 * Records are read in runs from the next position that can match, and those that do not match are left out. A run that ends with one of
 * these is followed by a search for the next position that can match, so the cost is that of the matching records and of the
 * searches, whichever is less dear: runs become long where most records match, and short where few do.
 */
#include "key_ranges.h"
#include "node.h"

using namespace alex;

namespace
{

constexpr uint32_t kFirstRun = 16; // about what a search costs

/** Keeps the records of a run that are in the box; returns how many. */
uint32_t
keep_matching(const AlexBox *box, uint64_t *records, uint32_t n, size_t stride)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (alex_box_matches(box, records + i * stride))
		{
			if (kept < i)
				std::memcpy(records + kept * stride, records + i * stride, stride * sizeof(uint64_t));
			kept++;
		}
	return kept;
}

} // namespace

extern "C" uint32_t
alex_collect_box(const void *page, const AlexBox *box, const uint64_t *low, const uint64_t *high, bool backward, bool living,
				 uint32_t max, uint64_t *out, bool *more, uint64_t *rest)
{
	const AlexNodeHeader *h = alex_cheader(page);
	const int words = h->words;
	const size_t stride = alex_stride(words, 0);
	uint64_t from[ALEX_MAX_WORDS + 1];
	uint64_t to[ALEX_MAX_WORDS + 1];
	uint64_t range_low[ALEX_MAX_WORDS + 1];
	uint64_t range_high[ALEX_MAX_WORDS + 1];
	uint64_t last[ALEX_MAX_WORDS + 1];
	uint32_t n = 0;
	uint32_t run = kFirstRun;

	std::copy_n(low, words + 1, from);
	std::copy_n(high, words + 1, to);
	*more = true;
	for (;;)
	{
		/* where the next matching record can be; behind it, or before it, everything is left as it is */
		if (backward ? !alex_box_previous(box, to, range_low, range_high) || alex_compare(range_high, from, words) <= 0
					 : !alex_box_next(box, from, range_low, range_high) || alex_compare(range_low, to, words) >= 0)
		{
			std::copy_n(backward ? from : to, words + 1, rest);
			*more = false;
			return n;
		}
		std::copy_n(backward ? range_high : range_low, words + 1, backward ? to : from);
		std::copy_n(backward ? to : from, words + 1, rest);
		if (backward ? alex_compare(to, alex_low_fence(page), words) <= 0
					 : h->right != ALEX_NO_BLOCK && alex_compare(from, alex_high_fence(page), words) >= 0)
		{
			*more = false;
			return n;
		}
		if (n == max)
			return n;

		const uint32_t wanted = std::min(run, max - n);
		bool rest_of_leaf;
		const uint32_t read = (living ? alex_collect_living : alex_collect)(page, from, to, backward, wanted, out + n * stride,
																			&rest_of_leaf);

		if (read > 0)
		{
			std::copy_n(out + (n + read - 1) * stride, words + 1, last);
			/* or this would go on for ever */
			if (alex_compare(last, from, words) < 0 || alex_compare(last, to, words) >= 0)
				return ALEX_OUT_OF_ORDER;
		}

		/* often all of them are in the range found first */
		const bool in_range = read > 0 && (backward ? alex_compare(last, range_low, words) >= 0 : alex_compare(last, range_high, words) < 0);
		const uint32_t kept = in_range ? read : keep_matching(box, out + n * stride, read, stride);

		n += kept;
		run = kept == read ? std::min<uint32_t>(run * 4, ALEX_MAX_RECORDS) : kFirstRun;
		if (!rest_of_leaf || read == 0)
		{
			/* all of the leaf's part of the range was read: go on beyond the leaf, or it is the end */
			const bool beyond = backward ? alex_compare(alex_low_fence(page), from, words) > 0
										 : h->right != ALEX_NO_BLOCK && alex_compare(alex_high_fence(page), to, words) < 0;

			*more = false;
			if (!beyond)
			{
				std::copy_n(backward ? from : to, words + 1, rest);
				return n;
			}
			std::copy_n(backward ? alex_low_fence(page) : alex_high_fence(page), words + 1, backward ? to : from);
			if (backward ? !alex_box_previous(box, to, range_low, range_high) || alex_compare(range_high, from, words) <= 0
						 : !alex_box_next(box, from, range_low, range_high) || alex_compare(range_low, to, words) >= 0)
				std::copy_n(backward ? from : to, words + 1, rest);
			else
				std::copy_n(backward ? range_high : range_low, words + 1, rest);
			return n;
		}
		if (backward)
			std::copy_n(last, words + 1, to);
		else
			next_position(last, words, from);
	}
}
