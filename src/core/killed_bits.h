/*
 * killed_bits.h - hints that records are dead to everyone: a bit per record, at the low end of the hole.
 *
 *   pd_lower      0 if no bit is set, and none had to be set that has no room
 *   pd_lower + 1  bit i: base record i; bit count + j: slot j of the delta
 *
 * Bits are set under a share lock and never logged, which only the hole allows: replay zeroes it, page images leave it out. They
 * name places, and what changes the place of a record (rewriting the node, removing records) zeroes the hole. What the delta has
 * grown into is no bit any more, and what would lie beyond the hole, or beyond kMostKilledBytes, cannot be set: bits are hints, and
 * may get lost.
 *
 * Two copies of a page, on a primary and on a standby or in a backup, may differ in their bits and nothing else. A slot of the
 * delta may take their place, and new slots must be zero wherever they are replayed. So an append that reserves slots where
 * any copy may have bits (alex_killed_bytes) logs all of them.
 */
#ifndef ALEX_KILLED_BITS_H
#define ALEX_KILLED_BITS_H

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "alex_core.h"

namespace alex
{

/* Few appends shall have to log more than their slot, also to leaves of many records. */
constexpr uint32_t kMostKilledBytes = 512;

/** Bytes that marks of so many places take, with the first byte. */
constexpr uint32_t
killed_bytes(uint32_t places)
{
	return std::min(1 + (places + 7) / 8, kMostKilledBytes);
}

/**
 * Bytes that a leaf of so many places leaves the marks. None where they do not suffice for all: the last places are those of fresh
 * records, which are most often dead. And no more than a share of the page.
 */
constexpr uint32_t
killed_reserve(uint32_t places, uint32_t page_size)
{
	const uint32_t bytes = 1 + (places + 7) / 8;

	return bytes <= std::min(kMostKilledBytes, page_size / 16) ? bytes : 0;
}

/* Bit i of the page, which concurrent callers may set. */
class KilledBits
{
  public:
	explicit KilledBits(const void *page)
		: bits_(static_cast<uint8_t *>(const_cast<void *>(page)) + alex_page_head(page)->pd_lower + 1)
	{
		const AlexPageHead *head = alex_page_head(page);

		bytes_ = head->pd_lower < head->pd_upper ? std::min<uint32_t>(head->pd_upper - head->pd_lower, kMostKilledBytes) - 1 : 0;
	}

	/** Is there room for bit i? */
	bool has(uint32_t i) const { return i / 8 < bytes_; }

	/** Sets bit i, or if it has no room only notes that there was one to set; returns true if that changed the page. */
	bool set(uint32_t i) const
	{
		if (bytes_ == 0)
			return false;

		const bool noted = load(-1) != 0;

		if (!noted)
			std::atomic_ref(bits_[-1]).store(1, std::memory_order_relaxed);
		if (i / 8 >= bytes_)
			return !noted;

		const auto bit = static_cast<uint8_t>(1 << i % 8);

		return (std::atomic_ref(bits_[i / 8]).fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
	}

	bool any() const { return bytes_ > 0 && load(-1) != 0; }

	bool test(uint32_t i) const { return i / 8 < bytes_ && (load(static_cast<int>(i / 8)) >> i % 8 & 1) != 0; }

	/** Bits i .. i + 63, of a multiple of 64. */
	uint64_t word(uint32_t i) const
	{
		const uint32_t first = i / 8;
		const uint32_t end = std::min(first + 8, bytes_);
		uint64_t word = 0;

		for (uint32_t b = first; b < end; b++)
			word |= static_cast<uint64_t>(load(static_cast<int>(b))) << (b - first) * 8;
		return word;
	}

	/** Calls found(i) with the bits that are set of from .. to - 1. */
	template <typename Found>
	void for_each(uint32_t from, uint32_t to, const Found &found) const
	{
		to = std::min(to, bytes_ * 8);
		for (uint32_t i = from; i < to;)
		{
			uint32_t byte = static_cast<uint32_t>(load(static_cast<int>(i / 8))) >> i % 8;

			if (byte == 0)
			{
				i = (i | 7) + 1;
				continue;
			}
			if (byte & 1)
				found(i);
			i++;
		}
	}

  private:
	uint8_t load(int byte) const { return std::atomic_ref(bits_[byte]).load(std::memory_order_relaxed); }

	uint8_t *bits_;
	uint32_t bytes_;
};

} // namespace alex

#endif // ALEX_KILLED_BITS_H
