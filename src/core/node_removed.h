/*
 * node_removed.h - which base records of a leaf have been removed: a bit for each, behind the columns.
 *
 * Taking a record out of packed columns means packing anew what is left of the leaf. Vacuum would do that to every leaf, so it only
 * sets a bit here; the next rewrite, for a merge or a split, leaves such records out. Unlike the marks of node_killed.cc, these bits
 * are part of the node: they are logged, and who reads the base heeds them.
 */
#ifndef ALEX_NODE_REMOVED_H
#define ALEX_NODE_REMOVED_H

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "alex_core.h"

namespace alex
{

/** Bytes of the bits of n records. */
constexpr uint32_t
removed_bytes(uint32_t n)
{
	return (n + 7) / 8;
}

class Removed
{
  public:
	explicit Removed(const void *page)
		: bits_(alex_cheader(page)->removed == 0 ? nullptr
												 : static_cast<const char *>(page) + alex_cheader(page)->removed)
	{
	}

	/** Can there be any? */
	bool any() const { return bits_ != nullptr; }

	bool test(uint32_t i) const { return bits_ && (static_cast<uint8_t>(bits_[i / 8]) >> i % 8 & 1) != 0; }

	/**
	 * The bits of records i .. i + 63, of a multiple of 64. Beyond the last record they are anything. The load may go beyond the
	 * bits, but not beyond the page, which ends in a special area.
	 */
	uint64_t word(uint32_t i) const
	{
		uint64_t word;

		std::memcpy(&word, bits_ + i / 8, sizeof(word));
		return word;
	}

	/** The first record from i on that is not removed; at least "end" if there is none before it. */
	uint32_t next(uint32_t i, uint32_t end) const
	{
		while (bits_ && i < end)
		{
			uint64_t there = ~word(i & ~63u) >> (i & 63);

			if (there != 0)
				return i + static_cast<uint32_t>(std::countr_zero(there));
			i = (i | 63) + 1;
		}
		return i;
	}

	/** How many of the first n are removed. */
	uint32_t count(uint32_t n) const
	{
		uint32_t removed = 0;

		for (uint32_t i = 0; bits_ && i < n; i += 64)
			removed += static_cast<uint32_t>(std::popcount(word(i) & mask(n - i)));
		return removed;
	}

	/** Is there any that is not removed among records first .. end - 1? */
	bool any_left(uint32_t first, uint32_t end) const { return first < end && next(first, end) < end; }

	/** Takes the removed ones out of records first .. first + n - 1, "stride" words each, last one first if "backward". Returns how many are left. */
	uint32_t leave_out(uint32_t first, uint32_t n, uint64_t *records, size_t stride, bool backward) const
	{
		uint64_t *to = records;
		uint32_t done = 0; /* records moved or left where they are, and removed ones */
		auto keep = [&](uint32_t end) {
			const uint64_t *run = records + done * stride;
			const size_t words = (end - done) * stride;

			if (to != run)
				std::memmove(to, run, words * sizeof(uint64_t));
			to += words;
			done = end + 1;
		};

		for (uint32_t j = 0; j < n;)
		{
			/* the bits of the records from the j-th on, its own lowest (backward: highest) */
			const uint32_t i = backward ? first + n - 1 - j : first + j;
			const uint32_t m = std::min(backward ? (i & 63) + 1 : 64 - (i & 63), n - j);
			uint64_t bits = word(i & ~63u);

			if (backward)
				for (bits = bits << (63 - (i & 63)) & ~(m < 64 ? UINT64_MAX >> m : 0); bits != 0; bits &= ~(UINT64_C(1) << (63 - std::countl_zero(bits))))
					keep(j + static_cast<uint32_t>(std::countl_zero(bits)));
			else
				for (bits = bits >> (i & 63) & mask(m); bits != 0; bits &= bits - 1)
					keep(j + static_cast<uint32_t>(std::countr_zero(bits)));
			j += m;
		}
		if (done < n)
			keep(n);
		return static_cast<uint32_t>((to - records) / static_cast<std::ptrdiff_t>(stride));
	}

	/** The low n bits, or all. */
	static constexpr uint64_t mask(uint32_t n) { return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX; }

  private:
	const char *bits_;
};

} // namespace alex

#endif // ALEX_NODE_REMOVED_H
