/*
 * node_box.cc - collecting the records of a leaf that are in a box.
 *
 * The base is looked through in blocks of 64: of each restricted column the first words are read, and only records whose words are all
 * within the sets' bounds are decoded and asked about. Behind blocks without a match the next position that can match is searched for, so
 * that groups which cannot match are passed over; where that skips nothing it is tried less and less often.
 */
#include "key_ranges.h"
#include "node.h"

#include <array>

using namespace alex;

namespace
{

constexpr uint32_t kBlock = 64;
constexpr uint32_t kMostBlocks = 16; // between two searches

/** What the first word of a column can be in a record of the box. */
struct Bounds
{
	int word;
	uint64_t mask; // without a neighbour's null bit
	uint64_t low;
	uint64_t span;
};

/** Which records of a base can be in a box. */
class Filter
{
  public:
	explicit Filter(const AlexBox &box)
	{
		for (int c = 0; c < box.columns && box.n_parts == 0; c++)
		{
			const AlexColumnPlace &place = box.layout->place[c];
			const AlexBoxSet &set = box.set[c];

			/* behind a string a column has no word of its own */
			if (set.n == 0 || place.strings > 0)
				continue;
			if (place.code != nullptr)
			{
				const uint64_t least = first_word(set.intervals[0].low);

				bounds_[n_++] = {place.first, UINT64_MAX, least, first_word(set.intervals[set.n - 1].high) - least};
				continue;
			}

			const uint64_t low = set.intervals[0].low[0];
			/* the bound of a code of one word is beyond its codes */
			const uint64_t high = set.intervals[set.n - 1].high[0] - (alex_code_words(&place) == 1 ? 1 : 0);

			bounds_[n_++] = {place.first, place.wide ? UINT64_MAX : (place.mask << 2) | 3, low, high - low};
		}
	}

	/** A bit for each of at most 64 base records. */
	uint64_t candidates(const Node &node, uint32_t first, uint32_t n) const
	{
		uint64_t found = n == kBlock ? UINT64_MAX : (UINT64_C(1) << n) - 1;

		/* the last columns first: what tells records of a neighbourhood apart */
		for (int i = n_; i-- > 0 && found != 0;)
		{
			const Bounds &b = bounds_[i];
			uint64_t values[kBlock];
			uint64_t within = 0;

			if (b.word >= node.shared() && b.word < node.shared() + node.keys())
				node.column(b.word - node.shared()).read(first, n, values, 1);
			else
				std::fill_n(values, n, b.word < node.shared() ? alex_low_word(node.page(), b.word) : 0);
			for (uint32_t j = 0; j < n; j++)
				within |= static_cast<uint64_t>((values[j] & b.mask) - b.low <= b.span) << j;
			found &= within;
		}
		return found;
	}

  private:
	/** The first word that a string at this bound can have. */
	static uint64_t first_word(const uint64_t *bound)
	{
		return bound[1] > 0 ? *alex_string_code_words(bound) : bound[2] != 0 ? UINT64_MAX : 0;
	}

	std::array<Bounds, ALEX_MAX_KEY_COLUMNS> bounds_;
	int n_ = 0;
};

/** A record or position of a leaf as one of the box, which knows only those of all words of its keys: itself, or in "space". */
const uint64_t *
whole(const Node &node, const AlexBox &box, const uint64_t *position, uint64_t *space)
{
	if (node.words() == box.layout->words)
		return position;
	alex_widen_position(position, node.words(), space, box.layout->words);
	return space;
}

bool
matches(const Node &node, const AlexBox &box, const uint64_t *record)
{
	uint64_t space[ALEX_MAX_WORDS + 1];

	return alex_box_matches(&box, whole(node, box, record, space));
}

/** A position of the box as one of the leaf. */
const uint64_t *
fit(const void *page, const AlexBox &box, const uint64_t *position, uint64_t *space)
{
	return alex_fit_position(page, position, box.layout->words, space);
}

/** Collects from the base of one leaf. */
class BaseReader
{
  public:
	BaseReader(const Node &node, const AlexBox &box, const Absent &absent) : node_(node), box_(box), filter_(box), absent_(absent) {}

	/**
	 * Reads the first (backward: the last) matching ones of base records first .. end - 1 in the order of the scan, at most "max".
	 * Returns how many, and ALEX_OUT_OF_ORDER if the page is damaged so that it would not end.
	 */
	uint32_t read(uint32_t first, uint32_t end, bool backward, uint32_t max, uint64_t *out) const
	{
		const size_t stride = node_.stride();
		uint32_t n = 0;
		uint32_t wait = 1;	  // blocks without a match before the next search
		uint32_t without = 0; // such blocks so far

		while (first < end && n < max)
		{
			const uint32_t from = backward ? std::max(first, (end - 1) & ~(kBlock - 1)) : first;
			const uint32_t to = backward ? end : std::min(end, (first | (kBlock - 1)) + 1);
			const uint32_t before = n;
			uint64_t bits = filter_.candidates(node_, from, to - from) & ~(absent_.word(from & ~(kBlock - 1)) >> (from & (kBlock - 1)));

			while (bits != 0 && n < max)
			{
				const int bit = backward ? 63 - std::countl_zero(bits) : std::countr_zero(bits);

				bits ^= UINT64_C(1) << bit;
				node_.read(from + static_cast<uint32_t>(bit), out + n * stride);
				if (matches(node_, box_, out + n * stride))
					n++;
			}
			(backward ? end : first) = backward ? from : to;
			without = n > before ? 0 : without + 1;
			if (without >= wait && first < end && n < max)
			{
				without = 0;
				wait = search(&first, &end, backward) ? 1 : std::min(wait * 2, kMostBlocks);
			}
		}
		return n;
	}

  private:
	/** Leaves out records at the near end that cannot match, by a search. Returns true if there are some. */
	bool search(uint32_t *first, uint32_t *end, bool backward) const
	{
		uint64_t position[ALEX_MAX_RECORD_WORDS];
		uint64_t low[ALEX_MAX_WORDS + 1];
		uint64_t high[ALEX_MAX_WORDS + 1];
		uint64_t space[ALEX_MAX_WORDS + 1];

		if (backward)
		{
			uint64_t last[ALEX_MAX_RECORD_WORDS];

			node_.read(*end - 1, last);
			if (!next_position(last, node_.words(), position) || !alex_box_previous(&box_, whole(node_, box_, position, space), low, high))
			{
				*end = *first;
				return true;
			}
			const uint32_t behind = std::clamp(node_.lower_bound(fit(node_.page(), box_, high, space)), *first, *end);
			const bool skipped = behind < *end;

			*end = behind;
			return skipped;
		}
		node_.read(*first, position);
		if (!alex_box_next(&box_, whole(node_, box_, position, space), low, high))
		{
			*first = *end;
			return true;
		}
		const uint32_t at = std::clamp(node_.lower_bound(fit(node_.page(), box_, low, space)), *first, *end);
		const bool skipped = at > *first;

		*first = at;
		return skipped;
	}

	const Node &node_;
	const AlexBox &box_;
	const Filter filter_;
	const Absent &absent_;
};

/** The matching fresh records within [low, high), sorted. */
uint32_t
matching_delta(const Node &node, const AlexBox &box, const uint64_t *low, const uint64_t *high, const KilledBits *killed, uint64_t *out)
{
	const size_t stride = node.stride();
	const uint32_t n = node.sorted_delta(low, high, out, killed);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (matches(node, box, out + i * stride))
		{
			if (kept < i)
				std::memcpy(out + kept * stride, out + i * stride, stride * sizeof(uint64_t));
			kept++;
		}
	return kept;
}

void
reverse_records(uint64_t *records, uint32_t n, size_t stride)
{
	for (uint32_t i = 0, j = n; i + 1 < j; i++)
	{
		j--;
		std::swap_ranges(records + i * stride, records + (i + 1) * stride, records + j * stride);
	}
}

/** Where a scan goes on that has come to a position within its range: *rest. Returns true if that is on this leaf. */
bool
go_on(const void *page, const AlexBox *box, const uint64_t *position, const uint64_t *end, bool backward, uint64_t *rest)
{
	const AlexNodeHeader *h = alex_cheader(page);
	const int words = box->layout->words;
	uint64_t low[ALEX_MAX_WORDS + 1];
	uint64_t high[ALEX_MAX_WORDS + 1];
	uint64_t space[ALEX_MAX_WORDS + 1];

	if (backward ? !alex_box_previous(box, position, low, high) || alex_compare(high, end, words) <= 0
				 : !alex_box_next(box, position, low, high) || alex_compare(low, end, words) >= 0)
	{
		std::copy_n(end, words + 1, rest);
		return false;
	}
	std::copy_n(backward ? high : low, words + 1, rest);

	const uint64_t *here = fit(page, *box, rest, space);

	return backward ? alex_compare_low(page, here) < 0 : h->right == ALEX_NO_BLOCK || alex_compare_high(page, here) > 0;
}

} // namespace

extern "C" uint32_t
alex_collect_box(const void *page, const AlexBox *box, const uint64_t *low, const uint64_t *high, bool backward, bool living,
				 uint32_t max, uint64_t *out, bool *more, uint64_t *rest)
{
	const Node node(page);
	const KilledBits marks(page);
	const KilledBits *killed = living && marks.any() ? &marks : nullptr;
	const Absent absent(node.removed(), killed);
	const size_t stride = node.stride();
	const int words = node.words();
	const int box_words = box->layout->words;
	const uint64_t *end = backward ? low : high;

	if (!go_on(page, box, backward ? high : low, end, backward, rest))
	{
		*more = false;
		return 0;
	}

	uint64_t near[ALEX_MAX_WORDS + 1]; // the end of the range to begin at
	uint64_t low_space[ALEX_MAX_WORDS + 1];
	uint64_t high_space[ALEX_MAX_WORDS + 1];

	std::copy_n(rest, box_words + 1, near);
	low = fit(page, *box, backward ? low : near, low_space);
	high = fit(page, *box, backward ? near : high, high_space);

	const uint32_t first = node.lower_bound(low);
	uint32_t n = BaseReader(node, *box, absent).read(first, std::max(first, node.lower_bound(high)), backward, max, out);

	if (node.has_delta())
	{
		uint64_t delta[ALEX_MAX_DELTA_WORDS];
		const uint32_t d = matching_delta(node, *box, low, high, killed, delta);

		if (backward)
			reverse_records(out, n, stride);
		merge_records(out, n, delta, d, static_cast<int>(stride), words);
		n += d;
		if (backward)
			reverse_records(out, n, stride);
		n = std::min(n, max);
	}

	if (n < max)
	{
		/* all of the leaf's part of the range */
		const AlexNodeHeader *h = alex_cheader(page);
		uint64_t space[ALEX_MAX_WORDS + 1];
		const uint64_t *here = fit(page, *box, end, space);
		const bool beyond = backward ? alex_compare_low(page, here) > 0 : h->right != ALEX_NO_BLOCK && alex_compare_high(page, here) < 0;
		uint64_t fence[ALEX_MAX_WORDS + 1];

		if (beyond)
			go_on(page, box, whole(node, *box, backward ? alex_low_fence(page, fence) : alex_high_fence(page, fence), space), end, backward, rest);
		else
			std::copy_n(end, box_words + 1, rest);
		*more = false;
		return n;
	}

	const uint64_t *last = out + (n - 1) * stride;
	uint64_t behind[ALEX_MAX_WORDS + 1];

	/* or this would go on for ever */
	if (alex_compare(last, low, words) < 0 || alex_compare(last, high, words) >= 0)
		return ALEX_OUT_OF_ORDER;
	if (!backward)
		next_position(last, words, behind);
	*more = go_on(page, box, whole(node, *box, backward ? last : behind, low_space), end, backward, rest);
	return n;
}
