/*
 * node_removed.h - which base records of a leaf have been removed: a note behind the columns.
 *
 * Taking a record out of packed columns means packing anew what is left of the leaf. Vacuum would do that to every leaf, so it only
 * notes it here; the next rewrite, for a merge or a split, leaves such records out. Unlike the marks of node_killed.cc, this
 * is part of the node: it is logged, and who reads the base heeds it.
 *
 * The note is the ascending list of their numbers, 2 bytes each, as long as that is shorter than a bit for each record of the base; from then
 * on it is these bits. It ends at pd_lower. Leaves of many thousand records have
 * no room for bits: serial keys of rows of varying width, 15,000 a leaf, were packed anew and split for 15 removed ones.
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

/** Bytes of a bit for each of n records. */
constexpr uint32_t
removed_bits_bytes(uint32_t n)
{
	return (n + 7) / 8;
}

/** Bytes of the note that m of n records are removed. */
constexpr uint32_t
removed_bytes(uint32_t m, uint32_t n)
{
	return std::min<uint32_t>(m * sizeof(uint16_t), removed_bits_bytes(n));
}

/** Where the note begins, as a byte offset. */
inline uint16_t
removed_start(const AlexNodeHeader *h)
{
	return h->removed & static_cast<uint16_t>(~ALEX_REMOVED_LIST);
}

class Removed
{
  public:
	explicit Removed(const void *page)
	{
		const AlexNodeHeader *h = alex_cheader(page);

		if (h->removed == 0)
			return;
		count_ = h->count;
		is_list_ = (h->removed & ALEX_REMOVED_LIST) != 0;
		note_ = static_cast<const char *>(page) + removed_start(h);
		size_ = alex_page_head(page)->pd_lower - removed_start(h);
		listed_ = is_list_ ? size_ / sizeof(uint16_t) : 0;
	}

	/** Can there be any? */
	bool any() const { return note_ != nullptr; }

	bool is_list() const { return is_list_; }
	uint32_t listed() const { return listed_; }

	/** Bytes of the note. */
	uint32_t size() const { return size_; }

	/** How many are removed. */
	uint32_t all() const { return is_list_ ? listed_ : count(count_); }

	/** Entry k of the list. */
	uint32_t entry(uint32_t k) const
	{
		uint16_t i;

		std::memcpy(&i, note_ + k * sizeof(i), sizeof(i));
		return i;
	}

	/** How many entries of the list are before record i. */
	uint32_t entries_before(uint32_t i) const
	{
		uint32_t first = 0;

		for (uint32_t n = listed_; n > 0;)
		{
			const uint32_t half = n / 2;
			const bool before = entry(first + half) < i;

			first = before ? first + half + 1 : first;
			n = before ? n - half - 1 : half;
		}
		return first;
	}

	bool test(uint32_t i) const
	{
		if (!any())
			return false;
		if (is_list_)
		{
			const uint32_t k = entries_before(i);

			return k < listed_ && entry(k) == i;
		}
		return (static_cast<uint8_t>(note_[i / 8]) >> i % 8 & 1) != 0;
	}

	/**
	 * A bit for each of records i .. i + 63, of a multiple of 64. Beyond the last record they are anything. The load may go beyond the
	 * bits, but not beyond the page, which ends in a special area.
	 */
	uint64_t word(uint32_t i) const
	{
		uint64_t word = 0;

		if (is_list_)
			for (uint32_t k = entries_before(i); k < listed_ && entry(k) < i + 64; k++)
				word |= static_cast<uint64_t>(entry(k) >= i) << (entry(k) & 63); /* in a damaged list it may be before i */
		else
			std::memcpy(&word, note_ + i / 8, sizeof(word));
		return word;
	}

	/** The first record from i on that is not removed; at least "end" if there is none before it. */
	uint32_t next(uint32_t i, uint32_t end) const
	{
		if (is_list_)
		{
			for (uint32_t k = entries_before(i); k < listed_ && entry(k) == i; k++)
				i++;
			return i;
		}
		while (any() && i < end)
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

		if (is_list_)
			return entries_before(n);
		for (uint32_t i = 0; any() && i < n; i += 64)
			removed += static_cast<uint32_t>(std::popcount(word(i) & mask(n - i)));
		return removed;
	}

	/** Bytes of the note for a leaf of n records: the first ones of this, or all and more behind them. */
	uint32_t bytes(uint32_t n) const
	{
		if (is_list_)
			return removed_bytes(entries_before(n), n);
		return any() ? removed_bits_bytes(n) : 0;
	}

	/** Writes this note at byte "start" of another page. Returns what goes to its header. */
	uint16_t write(void *page, size_t start, uint32_t n) const
	{
		const uint32_t size = bytes(n);
		char *to = static_cast<char *>(page) + start;

		if (size == 0)
			return 0;

		if (is_list_ && size < removed_bits_bytes(n))
		{
			std::memcpy(to, note_, size);
			return static_cast<uint16_t>(start | ALEX_REMOVED_LIST);
		}
		if (is_list_)
		{
			std::memset(to, 0, size);
			for (uint32_t k = 0; k < listed_ && entry(k) < n; k++)
				set_bit(to, entry(k));
		}
		else
		{
			std::memset(to, 0, size);
			std::memcpy(to, note_, removed_bits_bytes(std::min(n, count_)));
			if (n < count_ && n % 8 != 0)
				to[size - 1] = static_cast<char>(to[size - 1] & ((1 << n % 8) - 1));
		}
		return static_cast<uint16_t>(start);
	}

	static void set_bit(char *bits, uint32_t i) { bits[i / 8] = static_cast<char>(bits[i / 8] | 1 << i % 8); }

	/** The low n bits, or all. */
	static constexpr uint64_t mask(uint32_t n) { return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX; }

  private:
	const char *note_ = nullptr;
	uint32_t size_ = 0;
	uint32_t count_ = 0; /* records of the base */
	uint32_t listed_ = 0;
	bool is_list_ = false;
};

} // namespace alex

#endif // ALEX_NODE_REMOVED_H
