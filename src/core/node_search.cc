/*
 * node_search.cc - finding a place in one node.
 *
 * The node's model predicts a slot from the first word in which the node varies; an exponential search around it finds the
 * exact place (Ding et al., "ALEX", SIGMOD 2020, section 3.2).
 */
#include <array>

#include "exponential_search.h"
#include "node.h"

namespace alex
{

uint32_t
Node::slots(uint64_t distance) const
{
	const AlexNodeHeader &h = *header_;
	uint64_t x = distance >> (h.model_shift & 63);

	if (x > UINT32_MAX)
		return h.count - 1;
	return static_cast<uint32_t>(std::min<uint64_t>((x * h.model_mult) >> (h.model_fraction & 63), h.count - 1));
}

uint32_t
Node::predict(uint64_t word) const
{
	return word <= header_->model_base ? 0 : slots(word - header_->model_base);
}

namespace
{

/** Searches and reads the base of a node that is not empty: columns of W key words and the tie, and in inner nodes the child. */
template <int W>
class Lookup
{
  public:
	explicit Lookup(const Node &node) : node_(node)
	{
		for (int c = 0; c <= W; c++)
			columns_[c] = ColumnCursor(node.column(c));
	}

	uint32_t lower_bound(const uint64_t *position);

	/**
	 * Reads the columns of record i if it is below "high", else false, and some of them may have been written: the key words to out, the
	 * tie to out[tie_at].
	 */
	bool read_below(uint32_t i, const uint64_t *high, uint64_t *out, int tie_at)
	{
		for (int c = 0; c < W; c++)
		{
			out[c] = columns_[c][i];
			if (out[c] == high[c])
				continue;
			if (out[c] > high[c])
				return false;
			/* decided: the rest is only read */
			while (++c < W)
				out[c] = columns_[c][i];
			out[tie_at] = node_.original(W, columns_[W][i]);
			return true;
		}
		out[tie_at] = node_.original(W, columns_[W][i]);
		return out[tie_at] < high[W];
	}

  private:
	Node node_;
	ColumnCursor columns_[W + 1];
};

template <int W>
uint32_t
Lookup<W>::lower_bound(const uint64_t *position)
{
	uint32_t n = node_.count();
	int m = node_.header().model_word;
	uint64_t bound[W + 1];

	for (int c = 0; c < W; c++)
		bound[c] = position[c];
	bound[W] = node_.inner() ? position[W] : encode_bound(position[W], node_.radix());

	/* columns before the model's word are constant in the node, so they are compared once */
	for (int c = 0; c < m; c++)
	{
		uint64_t constant = columns_[c][0];

		if (bound[c] != constant)
			return bound[c] < constant ? 0 : n;
	}

	ColumnCursor &first = columns_[m];
	/* the least position of a key has the least tie: then keys alone decide */
	int last = bound[W] == 0 ? W - 1 : W;
	auto is_before = [&](uint32_t i, uint64_t value) {
		if (value != bound[m])
			return value < bound[m];
		for (int c = m + 1; c <= last; c++)
		{
			value = columns_[c][i];
			if (value != bound[c])
				return value < bound[c];
		}
		return false;
	};

	uint32_t slot = node_.predict(bound[m]);

	/* the caller reads the tie next: fetch it while the keys are searched */
	if (m != W)
		node_.column(W).prefetch(slot);

	/*
	 * The value found there says how far off the prediction is, and the same slope where to look instead. What is left is
	 * about the square root of the error: fewer steps, and fewer cache lines (core_bench, uniform keys).
	 */
	uint64_t value = first[slot];
	uint32_t low = 0;
	uint32_t high = n;

	if (is_before(slot, value))
	{
		low = slot + 1;
		slot += node_.slots(bound[m] - value);
	}
	else
	{
		high = slot;
		slot -= std::min(slot, node_.slots(value - bound[m]) + 1);
	}
	if (low >= high)
		return low;
	slot = std::clamp(slot, low, high - 1);
	return low + exponential_search(high - low, slot - low, [&](uint32_t i) { return is_before(low + i, first[low + i]); });
}

/** Searches a base of many columns, most of which a search does not come to: nothing of them is prepared. */
class WideLookup
{
  public:
	explicit WideLookup(const Node &node) : node_(node), words_(node.keys()) {}

	uint32_t lower_bound(const uint64_t *position) const
	{
		const uint32_t n = node_.count();
		const int m = node_.header().model_word;
		const uint64_t tie = node_.inner() ? position[words_] : encode_bound(position[words_], node_.radix());
		auto bound = [&](int c) { return c < words_ ? position[c] : tie; };

		for (int c = 0; c < m; c++)
		{
			const uint64_t constant = node_.column(c)[0];

			if (bound(c) != constant)
				return bound(c) < constant ? 0 : n;
		}
		return exponential_search(n, std::min(node_.predict(bound(m)), n - 1), [&](uint32_t i) {
			for (int c = m; c <= words_; c++)
			{
				const uint64_t value = node_.column(c)[i];

				if (value != bound(c))
					return value < bound(c);
			}
			return false;
		});
	}

	/** As Lookup's. */
	bool read_below(uint32_t i, const uint64_t *high, uint64_t *out, int tie_at) const
	{
		int side = 0;

		for (int c = 0; c <= words_; c++)
		{
			const uint64_t value = node_.original(c, node_.column(c)[i]);

			out[c < words_ ? c : tie_at] = value;
			if (side == 0 && value != high[c])
				side = value < high[c] ? -1 : 1;
		}
		return side < 0;
	}

  private:
	Node node_;
	int words_;
};

template <typename Finder>
uint32_t
few(const Node &node, const uint64_t *low, const uint64_t *high, uint32_t max, uint64_t *out, bool *more,
	const Absent &absent)
{
	const uint32_t count = node.count();
	const Bound from(node, low);
	const Bound to(node, high);
	static constexpr auto beyond_all = [] {
		std::array<uint64_t, ALEX_MAX_COLUMNS> words{};

		words.fill(UINT64_MAX);
		return words;
	}();
	const uint64_t *end = to.side() > 0 ? beyond_all.data() : to.words();
	const int stride = node.stride();
	const int shared = node.shared();
	const int tie_at = node.words() - shared;
	uint32_t n = 0;

	if (from.side() > 0 || to.side() < 0)
		return 0;

	Finder lookup(node);

	for (uint32_t i = absent.next(from.side() < 0 ? 0 : lookup.lower_bound(from.words()), count); i < count; i = absent.next(i + 1, count))
	{
		uint64_t beyond[ALEX_MAX_RECORD_WORDS];
		uint64_t *record = n == max ? beyond : out;
		const bool below = lookup.read_below(i, end, record + shared, tie_at);

		if (n == max)
		{
			*more = below;
			break;
		}
		if (!below)
			break;
		node.fill(out);
		if (node.inner())
			out[node.words() + 1] = node.column(node.keys() + 1)[i];
		n++;
		out += stride;
	}
	return n;
}

/** Calls work<Finder>() with what searches a node of so many columns of key words best. */
template <typename Work>
uint32_t
with_lookup(int keys, const Work &work)
{
	switch (keys)
	{
		case 0:
			return work.template operator()<Lookup<0>>();
		case 1:
			return work.template operator()<Lookup<1>>();
		case 2:
			return work.template operator()<Lookup<2>>();
		case 3:
			return work.template operator()<Lookup<3>>();
		case 4:
			return work.template operator()<Lookup<4>>();
		case 5:
			return work.template operator()<Lookup<5>>();
		case 6:
			return work.template operator()<Lookup<6>>();
		case 7:
			return work.template operator()<Lookup<7>>();
		case 8:
			return work.template operator()<Lookup<8>>();
		default:
			return work.template operator()<WideLookup>();
	}
}

} // namespace

uint32_t
Node::lower_bound(const uint64_t *position) const
{
	if (count() == 0)
		return 0;

	if (plain())
		return with_lookup(words(), [&]<typename Finder>() { return Finder(*this).lower_bound(position); });

	const Bound bound(*this, position);

	if (bound.side() != 0)
		return bound.side() < 0 ? 0 : count();
	return with_lookup(keys(), [&]<typename Finder>() { return Finder(*this).lower_bound(bound.words()); });
}

uint32_t
Node::read_few(const uint64_t *low, const uint64_t *high, uint32_t max, uint64_t *out, bool *more,
			   const Absent &absent) const
{
	*more = false;
	if (count() == 0)
		return 0;
	return with_lookup(keys(), [&]<typename Finder>() { return few<Finder>(*this, low, high, max, out, more, absent); });
}

} // namespace alex
