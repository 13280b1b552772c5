/*
 * node_answer.cc - counts, blocks and columns of a leaf in bulk, for aggregates.
 *
 * The ties of a leaf are on lines as all columns are, so the frames alone bound the blocks that its records name: where rows
 * came in key order the bounds are those of a few blocks, and a look at as many bits of the visibility map answers for thousands of rows.
 */
#include "alex_answer.h"
#include "node.h"

namespace
{

using alex::Column;
using alex::Frame;
using alex::Line;
using alex::Node;

/** Bounds of values j .. k of a frame of ties, or false if it does not look like one. */
bool
frame_bounds(const Frame &frame, uint32_t j, uint32_t k, uint64_t *least, uint64_t *greatest)
{
	/* a line that rises so far is no line of ties, and might not be monotone in 64 bits */
	constexpr uint64_t kSteepest = UINT64_C(1) << 62;
	const Line line = frame.line();
	const uint32_t width = frame.width();
	const int shift = line.exponent - Line::kExponentBias;

	if (width > 62 || (shift > 0 && line.mantissa != 0 && (shift >= 62 || line.mantissa * k >= kSteepest >> shift)))
		return false;

	/* ties are below 2^63; where there are residuals the line may begin below zero */
	const auto at_j = static_cast<int64_t>(frame.base + line.at(j));
	const auto at_k = static_cast<int64_t>(frame.base + line.at(k));
	int64_t most;

	if (__builtin_add_overflow(std::max(at_j, at_k), (INT64_C(1) << width) - 1, &most) || most < 0)
		return false;
	*least = static_cast<uint64_t>(std::max<int64_t>(std::min(at_j, at_k), 0));
	*greatest = static_cast<uint64_t>(most);
	return true;
}

/** Calls work(i) for each bit i that is set of n. */
template <typename Work>
void
for_each_bit(const uint64_t *bits, uint32_t n, const Work &work)
{
	for (uint32_t from = 0; from < n; from += 64)
	{
		const uint32_t m = std::min<uint32_t>(64, n - from);
		uint64_t word = bits[from / 64] & alex::Removed::mask(m);

		if (word == alex::Removed::mask(m))
			for (uint32_t i = from; i < from + m; i++)
				work(i);
		else
			for (; word != 0; word &= word - 1)
				work(from + static_cast<uint32_t>(std::countr_zero(word)));
	}
}

} // namespace

extern "C" uint32_t
alex_count_base(const void *page, uint32_t first, uint32_t end)
{
	const Node node(page);

	if (node.header().removed == 0)
		return end - first;

	const alex::Removed removed = node.removed();

	return end - first - (removed.count(end) - removed.count(first));
}

extern "C" void
alex_live_bits(const void *page, uint32_t from, uint32_t first, uint32_t end, uint64_t *bits)
{
	const Node node(page);
	const alex::Removed removed = node.removed();

	for (uint32_t i = from; i < end; i += 64)
	{
		uint64_t word = alex::Removed::mask(end - i);

		if (i < first)
			word &= first - i < 64 ? ~UINT64_C(0) << (first - i) : 0;
		if (removed.any())
			word &= ~removed.word(i);
		bits[(i - from) / 64] = word;
	}
}

extern "C" uint32_t
alex_collect_delta(const void *page, const uint64_t *low, const uint64_t *high, uint64_t *out)
{
	const Node node(page);
	const auto s = static_cast<size_t>(node.stride());
	uint32_t n = 0;

	if (node.has_delta())
		node.delta().for_each(low, high, [&](const uint64_t *record) { std::memcpy(out + n++ * s, record, s * sizeof(uint64_t)); });
	return n;
}

extern "C" bool
alex_block_bounds(const void *page, uint32_t first, uint32_t end, uint32_t *least, uint32_t *greatest)
{
	const Node node(page);
	const Column ties = node.column(node.keys());
	const int log2 = ties.log2();
	const uint32_t length = 1u << log2;
	uint64_t low = UINT64_MAX;
	uint64_t high = 0;

	for (uint32_t f = first >> log2; f <= (end - 1) >> log2; f++)
	{
		const uint32_t start = f << log2;
		uint64_t frame_low;
		uint64_t frame_high;

		if (!frame_bounds(ties.frame(f), std::max(first, start) - start, std::min(end - start, length) - 1, &frame_low, &frame_high))
			return false;
		low = std::min(low, frame_low);
		high = std::max(high, frame_high);
	}
	/* above the TID all have to be the same, or the lines are not those of TIDs */
	if (low >> ALEX_TID_BITS != high >> ALEX_TID_BITS)
		return false;
	low = (low & ALEX_TID_MASK) / node.radix();
	high = (high & ALEX_TID_MASK) / node.radix();
	if (high > UINT32_MAX)
		return false;
	*least = static_cast<uint32_t>(low);
	*greatest = static_cast<uint32_t>(high);
	return true;
}

extern "C" bool
alex_blocks_below(const void *page, uint32_t first, uint32_t end, uint32_t block)
{
	constexpr uint32_t kPiece = 256;
	const Node node(page);
	const Column ties = node.column(node.keys());
	const uint64_t bound = static_cast<uint64_t>(block) * node.radix();
	uint64_t piece[kPiece];

	for (uint32_t from = first; from < end; from += kPiece)
	{
		const uint32_t n = std::min(kPiece, end - from);
		uint64_t beyond = 0;

		ties.read(from, n, piece, 1);
		for (uint32_t i = 0; i < n; i++)
			beyond |= (piece[i] & ALEX_TID_MASK) >= bound;
		if (beyond != 0)
			return false;
	}
	return true;
}

extern "C" void
alex_read_base_ties(const void *page, uint32_t first, uint32_t n, uint64_t *ties)
{
	const Node node(page);

	node.column(node.keys()).read(first, n, ties, 1, alex::TieDecoder(node.radix()));
}

extern "C" void
alex_read_base_words(const void *page, int w, uint32_t first, uint32_t n, uint64_t *words)
{
	const Node node(page);
	const int c = w == node.words() ? node.keys() : w - node.shared();

	if (c >= 0 && c <= node.keys() && (c < node.keys() || w == node.words()))
		node.column(c).read(first, n, words, 1);
	else
		std::fill_n(words, n, c < 0 ? alex_low_word(page, w) : 0);
}

extern "C" uint32_t
alex_map_visible_end(const uint8_t *map, uint32_t from, uint32_t to)
{
	constexpr uint64_t kVisible = UINT64_C(0x5555555555555555);
	constexpr uint32_t kBlocks = 4; /* of a byte */
	constexpr uint32_t kStep = 64;	/* bytes at once */

	while (from < to && from % kBlocks != 0 && (map[from / kBlocks] >> from % kBlocks * 2 & 1) != 0)
		from++;
	if (from % kBlocks == 0)
		for (; to - from >= kStep * kBlocks; from += kStep * kBlocks)
		{
			uint64_t words[kStep / 8];

			std::memcpy(words, map + from / kBlocks, kStep);
			words[0] &= words[1] & words[2] & words[3];
			words[4] &= words[5] & words[6] & words[7];
			if ((words[0] & words[4] & kVisible) != kVisible)
				break;
		}
	while (from < to && (map[from / kBlocks] >> from % kBlocks * 2 & 1) != 0)
		from++;
	return from;
}

extern "C" uint32_t
alex_count_bits(const uint64_t *bits, uint32_t n)
{
	uint32_t count = 0;

	for (uint32_t from = 0; from < n; from += 64)
		count += static_cast<uint32_t>(std::popcount(bits[from / 64] & alex::Removed::mask(n - from)));
	return count;
}

extern "C" void
alex_clear_nulls(const uint64_t *words, uint32_t n, int shift, bool nulls_first, uint64_t *bits)
{
	for (uint32_t from = 0; from < n; from += 64)
	{
		const uint32_t m = std::min<uint32_t>(64, n - from);
		uint64_t set = 0;

		for (uint32_t i = 0; i < m; i++)
			set |= (words[from + i] >> shift & 1) << i;
		bits[from / 64] &= nulls_first ? set : ~set;
	}
}

extern "C" void
alex_add_words(const uint64_t *words, uint32_t n, const uint64_t *bits, uint64_t mask, uint64_t flip, AlexSum *sum)
{
	unsigned __int128 total = static_cast<unsigned __int128>(sum->high) << 64 | sum->low;

	for_each_bit(bits, n, [&](uint32_t i) { total += (words[i] & mask) ^ flip; });
	sum->low = static_cast<uint64_t>(total);
	sum->high = static_cast<uint64_t>(total >> 64);
}

extern "C" void
alex_extreme_words(const uint64_t *words, uint32_t n, const uint64_t *bits, uint64_t mask, uint64_t flip, uint64_t *least,
				   uint64_t *greatest)
{
	uint64_t low = *least;
	uint64_t high = *greatest;

	for_each_bit(bits, n, [&](uint32_t i) {
		const uint64_t word = (words[i] & mask) ^ flip;

		low = std::min(low, word);
		high = std::max(high, word);
	});
	*least = low;
	*greatest = high;
}
