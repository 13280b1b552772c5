/*
 * node_fill.cc - planning and storing a node of a build, which takes as many of the next records as fit.
 *
 * The same choices as alex_fit() and alex_node_store() make, without doing anything twice: columns are encoded once, frames
 * that one trial measured are known to the next, and the node is stored by the plan found.
 */
#include "fit_search.h"
#include "node.h"
#include "node_values.h"
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
alex_plan_node(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, uint32_t guess,
			   uint64_t *columns, AlexPlan *plan)
{
	using namespace alex;

	const int stride = alex_stride(words, level);
	PrefixPlanner planners[ALEX_MAX_COLUMNS];
	uint32_t copied = 0;
	uint32_t encoded = 0; /* of the ties */
	uint32_t radix = 0;   /* with this radix */
	auto column = [&](int c) { return columns + static_cast<size_t>(c) * ALEX_MAX_RECORDS; };
	auto prepare = [&](uint32_t m) {
		const bool leaf = level == 0;
		const uint32_t m_radix = leaf ? largest_offset(records, m, stride, words) : 1;

		for (int c = 0; c < stride && copied < m; c++)
			if (!(leaf && c == words))
				RecordValues(records, stride, c, 0).copy(copied, m - copied, column(c) + copied);
		copied = std::max(copied, m);
		if (leaf && radix != m_radix)
		{
			encoded = 0;
			planners[words].reset(column(words));
		}
		radix = m_radix;
		if (leaf && encoded < m)
		{
			RecordValues(records, stride, words, radix).copy(encoded, m - encoded, column(words) + encoded);
			encoded = m;
		}
	};
	auto size = [&](uint32_t m) {
		AlexPlan trial = {};
		uint32_t bytes = 0;

		prepare(m);
		trial.n = m;
		trial.radix = static_cast<uint16_t>(radix);
		for (int c = 0; c < stride; c++)
		{
			const ColumnPlan planned = planners[c].plan(m);

			trial.frame_log2[c] = static_cast<uint8_t>(planned.log2);
			trial.bytes[c] = planned.bytes;
			bytes += planned.bytes;
		}
		if (bytes <= room || m == 1)
			*plan = trial;
		return bytes;
	};

	*plan = AlexPlan{};
	for (int c = 0; c < stride; c++)
		planners[c].reset(column(c));
	if (most_that_fit(n, room, guess, size) != plan->n)
		size(1);
	if (n > 0)
		prepare(plan->n);
}

extern "C" bool
alex_node_store_planned(void *page, const AlexPlan *plan, const uint64_t *columns)
{
	using namespace alex;

	const int stride = alex_stride(alex_header(page)->words, alex_header(page)->level);
	PlainValues values[ALEX_MAX_COLUMNS];
	ColumnPlan plans[ALEX_MAX_COLUMNS];

	for (int c = 0; c < stride; c++)
	{
		values[c] = PlainValues{columns + static_cast<size_t>(c) * ALEX_MAX_RECORDS};
		plans[c] = ColumnPlan{plan->frame_log2[c], plan->bytes[c]};
	}
	return store_columns(page, values, plans, plan->n, plan->radix, 0);
}
