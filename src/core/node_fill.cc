/*
 * node_fill.cc - planning and storing a node of a build, which takes as many of the next records as fit.
 *
 * The same choices as alex_fit() and alex_node_store() make, without doing anything twice: columns are encoded once, frames
 * that one trial measured are known to the next, and the node is stored by the plan found.
 */
#include "fit_search.h"
#include "node.h"
#include "node_values.h"
#include "node_plan.h"
#include "node_store.h"

namespace alex
{

namespace
{

using detail::PlainValues;

/* The frame lengths to choose from besides a single frame, and where the full frames of each have their place. */
constexpr int kLengths = 5;
constexpr int kLog2[kLengths] = {12, 10, 8, 7, 6};
static_assert(kLog2[kLengths - 1] == kMinFrameLog2);

constexpr uint32_t
full_frames_before(int i)
{
	uint32_t frames = 0;

	while (i > 0)
		frames += ALEX_MAX_RECORDS >> kLog2[--i];
	return frames;
}

/** Measures prefixes of one column. */
class PrefixPlanner
{
  public:
	/** The values may have become others. */
	void reset(const uint64_t *values)
	{
		values_ = PlainValues{values};
		std::fill(known_, known_ + kLengths, 0);
	}

	/** plan_column() of the first n values. */
	ColumnPlan plan(uint32_t n)
	{
		ColumnPlan best{kMaxFrameLog2, column_bytes(values_, n, kMaxFrameLog2, UINT32_MAX)};

		/* on a single line nothing shorter can win */
		for (int i = 0; i < kLengths && best.bytes > frame_count(n, best.log2) * sizeof(Frame); i++)
			/* a frame longer than twice the column equals the one before it */
			if (n >> kLog2[i] > 0)
			{
				uint32_t bytes = prefix_bytes(i, n, best.bytes);

				if (bytes < best.bytes)
					best = ColumnPlan{kLog2[i], bytes};
			}
		return best;
	}

  private:
	/** column_bytes(), with what is known of full frames. */
	uint32_t prefix_bytes(int i, uint32_t n, uint32_t limit)
	{
		const int log2 = kLog2[i];
		const uint32_t full = n >> log2;
		const uint32_t rest = n & ((1u << log2) - 1);
		const uint32_t directory = frame_count(n, log2) * static_cast<uint32_t>(sizeof(Frame));
		uint16_t *words = words_ + full_frames_before(i);

		for (uint32_t &f = known_[i]; f < full; f++)
		{
			const uint32_t before = f == 0 ? 0 : words[f - 1];

			if (directory + 8 * before > limit)
				return limit + 1;
			words[f] = static_cast<uint16_t>(
				before + residual_words(1u << log2, detail::fit_frame(values_, f << log2, 1u << log2).width));
		}

		uint32_t bytes = directory + 8 * (full == 0 ? 0 : words[full - 1]);

		if (rest > 0 && bytes <= limit)
			bytes += 8 * residual_words(rest, detail::fit_frame(values_, full << log2, rest).width);
		return bytes;
	}

	PlainValues values_{nullptr};
	uint32_t known_[kLengths] = {}; // full frames measured
	uint16_t words_[full_frames_before(kLengths)]; // words of the full frames up to and with each
};

} // namespace
} // namespace alex

extern "C" void
alex_plan_node_of(const uint64_t *records, uint32_t n, int least, int words, int level, const uint64_t *low, uint32_t room,
				  uint32_t guess, uint64_t *columns, AlexPlan *plan)
{
	using namespace alex;

	Form form{least, words, level};
	const int stride = form.stride();
	const int keys = words; /* columns of key words at most */
	int used = form.variable() ? std::min(least, words) : words; /* by the records copied so far */
	PrefixPlanner planners[ALEX_MAX_COLUMNS];
	/* inner nodes have as many children as always fit, or there would be no end of levels */
	const uint32_t fewest = level > 0 && form.variable() ? std::min<uint32_t>(n, ALEX_ANY_RECORDS) : 1;
	uint32_t copied = 0;
	uint32_t encoded = 0; /* of the ties */
	uint32_t radix = 0;   /* with this radix */
	auto column = [&](int c) { return columns + static_cast<size_t>(c) * ALEX_MAX_RECORDS; };
	auto prepare = [&](uint32_t m) {
		const bool leaf = level == 0;
		const uint32_t m_radix = leaf ? largest_offset(records, m, stride, words) : 1;

		if (copied < m)
			used = used_by_all(records + static_cast<size_t>(copied) * stride, m - copied, stride, words, used);
		for (int c = 0; c < keys && copied < m; c++)
			RecordValues(records, stride, c, 0).copy(copied, m - copied, column(c) + copied);
		if (!leaf && copied < m)
			for (int c : {0, 1})
				RecordValues(records, stride, words + c, 0).copy(copied, m - copied, column(keys + c) + copied);
		copied = std::max(copied, m);
		if (leaf && radix != m_radix)
		{
			encoded = 0;
			planners[keys].reset(column(keys));
		}
		radix = m_radix;
		if (leaf && encoded < m)
		{
			RecordValues(records, stride, words, radix).copy(encoded, m - encoded, column(keys) + encoded);
			encoded = m;
		}
	};
	auto size = [&](uint32_t m) {
		AlexPlan trial = {};

		prepare(m);

		uint32_t bytes = 0;

		trial.shared = form.variable() ? std::min(form.shared(records, m, used, &bytes), used) : 0;
		trial.n = m;
		trial.radix = static_cast<uint16_t>(radix);
		trial.keys = used;
		trial.tie = keys;
		for (int c = 0; c < alex_stride(keys, level); c++)
		{
			if (c < trial.shared || (c >= trial.keys && c < keys))
				continue;

			const ColumnPlan planned = planners[c].plan(m);

			trial.frame_log2[c] = static_cast<uint8_t>(planned.log2);
			trial.bytes[c] = planned.bytes;
			bytes += planned.bytes;
		}
		if (bytes <= room || m == fewest)
			*plan = trial;
		return bytes;
	};

	form.begin = records;
	form.end = records + static_cast<size_t>(n) * stride;
	form.low = low;
	*plan = AlexPlan{};
	plan->keys = used;
	plan->tie = keys;
	for (int c = 0; c < alex_stride(keys, level); c++)
		planners[c].reset(column(c));
	if (n > 0 && std::max(most_that_fit(n, room, guess, size), fewest) != plan->n)
		size(fewest);
	if (n > 0)
		prepare(plan->n);
}

extern "C" bool
alex_node_store_planned(void *page, const AlexPlan *plan, const uint64_t *columns)
{
	using namespace alex;

	const AlexNodeHeader *h = alex_cheader(page);
	const int shared = std::min<int>(h->shared, plan->keys);
	const int keys = plan->keys - shared;
	const int words = std::max({plan->keys, static_cast<int>(h->words)});
	PlainValues values[ALEX_MAX_COLUMNS];
	ColumnPlan plans[ALEX_MAX_COLUMNS];

	if (h->shared < plan->shared && plan->n > 0)
		return false;
	/* the words that turn out to be shared by the fences have no column */
	for (int c = 0; c < alex_stride(keys, h->level); c++)
	{
		const int planned = c < keys ? shared + c : plan->tie + c - keys;

		values[c] = PlainValues{columns + static_cast<size_t>(planned) * ALEX_MAX_RECORDS};
		plans[c] = ColumnPlan{plan->frame_log2[planned], plan->bytes[planned]};
	}
	return store_columns(page, values, plans, words, keys, plan->n, plan->radix, 0);
}
