/*
 * node_delta.h - the fresh records of a node, in slots of equal size.
 *
 * Slot i ends i slots below the special area. It holds the columns of a record one after the other, each in the
 * delta_bytes low bytes of a code, little-endian:
 *   key word   from the first one on that the fences do not share: its distance from the low fence's word while no column before it has
 *              bytes, later ones as they are: what all records that a node can get have in common takes no byte
 *   tie        of a leaf with less than RAW_TIE_BYTES: heap block << 11 | heap offset; else as it is
 *   child      as it is
 * A record that the layout cannot hold does not fit, and the node has to be rewritten, which chooses the layout anew.
 *
 * Slots are reserved in chunks, zeroed, and filled in order. The code of a record's last column is never zero, so a slot
 * says itself whether it is in use, and adding a record changes nothing else in the page.
 */
#ifndef ALEX_NODE_DELTA_H
#define ALEX_NODE_DELTA_H

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "alex_core.h"

namespace alex
{

constexpr uint32_t kDeltaChunk = 16; // slots reserved at once
constexpr int kRawTieBytes = 7;
constexpr int kOffsetBits = 11; // of a heap offset in a short tie: more than a page of 32 KB has rows

/** Most slots of a page, so that a delta fits arrays on the stack, with records of so many words. */
constexpr uint32_t
max_delta(uint32_t special, int stride)
{
	return std::min<uint32_t>({(special + ALEX_SPECIAL_SIZE) / 8, ALEX_MAX_DELTA, ALEX_MAX_DELTA_WORDS / static_cast<uint32_t>(stride)});
}

/** Bytes that hold every value up to this one. */
constexpr int
bytes_for(uint64_t value)
{
	return (64 - std::countl_zero(value) + 7) / 8;
}

class Delta
{
  public:
	explicit Delta(const void *page)
	{
		const auto *head = static_cast<const AlexPageHead *>(page);
		const AlexNodeHeader *h = alex_cheader(page);
		bool shared = true;

		low_ = alex_stored_low(page);
		special_ = head->pd_special;
		end_ = static_cast<const char *>(page) + special_;
		words_ = h->words;
		plain_ = h->plain != 0;
		shared_ = h->shared;
		columns_ = h->columns;
		leaf_ = h->level == 0;
		keys_ = columns_ - (leaf_ ? 1 : 2);

		const uint64_t *low = low_ + shared_;
		const int low_keys = plain_ ? keys_ : std::min(keys_, h->low_words - shared_);

		for (int c = 0; c < columns_; c++)
		{
			int bytes = std::min<int>(h->column[c].delta_bytes, 8); /* more only if damaged */

			start_[c] = static_cast<uint16_t>(size_);
			bytes_[c] = static_cast<uint8_t>(bytes);
			mask_[c] = bytes == 8 ? ~UINT64_C(0) : (UINT64_C(1) << bytes * 8) - 1;
			base_[c] = shared && c < low_keys ? low[c] : 0;
			shared = shared && bytes == 0;
			size_ += bytes;
		}
		slots_ = size_ > 0 ? (head->pd_special - head->pd_upper) / size_ : 0;
	}

	uint32_t size() const { return size_; } // bytes of a slot
	uint32_t slots() const { return slots_; }
	int columns() const { return columns_; }

	/** Slots in use: all but some of the last chunk. */
	uint32_t count() const
	{
		uint32_t low = slots_ > kDeltaChunk ? slots_ - kDeltaChunk : 0;
		uint32_t high = slots_;

		while (low < high)
		{
			uint32_t middle = (low + high) / 2;

			if (code(middle, columns_ - 1) != 0)
				low = middle + 1;
			else
				high = middle;
		}
		return low;
	}

	/** Are the slots in use all before the others, and those all zero? */
	bool sound() const
	{
		uint32_t n = count();

		for (uint32_t i = 0; i < slots_; i++)
			if (i < n ? code(i, columns_ - 1) == 0 : std::any_of(slot(i), slot(i) + size_, [](char b) { return b != 0; }))
				return false;
		return true;
	}

	/** Where slot i starts. */
	const char *slot(uint32_t i) const { return end_ - (i + 1) * size_; }

	[[gnu::always_inline]] void read(uint32_t i, uint64_t *out) const
	{
		if (plain_)
			for (int c = 0; c < columns_; c++)
				out[c] = base_[c] + code(i, c);
		else
			read_some(i, out);
		if (short_tie())
			out[words_] = out[words_] >> kOffsetBits << 16 | (out[words_] & ((1 << kOffsetBits) - 1));
	}

	/** Writes what a slot with the record holds, to room for all words of a record. False: the record does not fit. */
	bool encode(const uint64_t *record, unsigned char *to) const
	{
		const int tie = short_tie() ? keys_ : -1;
		uint64_t columns[ALEX_MAX_COLUMNS];

		if (!plain_)
		{
			if (!columns_of(record, columns))
				return false;
			record = columns;
		}
		for (int c = 0; c < columns_; c++)
		{
			uint64_t value = record[c] - base_[c];

			if (c == tie)
			{
				if (value >> ALEX_TID_BITS != 0 || (value & 0xFFFF) >> kOffsetBits != 0)
					return false;
				value = value >> 16 << kOffsetBits | (value & 0xFFFF);
			}
			if ((value & ~mask_[c]) != 0)
				return false;
			/* whole words, of which the next column overwrites what is not of this one */
			std::memcpy(to + start_[c], &value, sizeof(value));
		}
		return true;
	}

	/** The slot that holds a record, or -1. */
	int find(const uint64_t *record) const
	{
		unsigned char wanted[ALEX_MAX_COLUMNS * sizeof(uint64_t)];
		const uint32_t n = count();

		std::memset(wanted, 0, sizeof(uint64_t));
		if (!encode(record, wanted))
			return -1;

		const uint64_t mask = size_ < 8 ? (UINT64_C(1) << size_ * 8) - 1 : ~UINT64_C(0);
		const uint64_t start = load(reinterpret_cast<const char *>(wanted)) & mask;

		for (uint32_t i = 0; i < n; i++)
			if ((load(slot(i)) & mask) == start && std::memcmp(slot(i), wanted, size_) == 0)
				return static_cast<int>(i);
		return -1;
	}

	/** Calls found(record) with the records within [low, high), oldest first; either bound may be null. */
	template <typename Found>
	void for_each(const uint64_t *low, const uint64_t *high, const Found &found) const
	{
		for_each(low, high, [](uint32_t) { return true; }, found);
	}

	/** The same with those whose slot is wanted(i). */
	template <typename Wanted, typename Found>
	void for_each(const uint64_t *low, const uint64_t *high, const Wanted &wanted, const Found &found) const
	{
		uint32_t n = count();
		int c = 0;
		uint64_t from = 0;
		bool bounded_below = low != nullptr;
		bool bounded_above = high != nullptr;

		const uint64_t *low_keys = low;
		const uint64_t *high_keys = high;

		if (!plain_ && shared_ > 0)
		{
			bounded_below = bounded_below && std::equal(low_, low_ + shared_, low);
			bounded_above = bounded_above && std::equal(low_, low_ + shared_, high);
			low_keys = bounded_below ? low + shared_ : nullptr;
			high_keys = bounded_above ? high + shared_ : nullptr;
		}
		/* the first word that varies tells most of those outside from those within */
		while (c < keys_ && bytes_[c] == 0)
		{
			bounded_below = bounded_below && low_keys[c] == base_[c];
			bounded_above = bounded_above && high_keys[c] == base_[c];
			c++;
		}
		uint64_t to = mask_[c];

		if (c < keys_ && bounded_below && low_keys[c] > base_[c])
			from = low_keys[c] - base_[c];
		if (c < keys_ && bounded_above)
		{
			if (high_keys[c] < base_[c])
				return;
			to = std::min(to, high_keys[c] - base_[c]);
		}
		if (n == 0 || from > to)
			return;

		uint64_t span = to - from;
		uint64_t mask = mask_[c];
		const char *at = slot(0) + start_[c];

		for (uint32_t i = 0; i < n; i++, at -= size_)
		{
			uint64_t record[ALEX_MAX_RECORD_WORDS];

			if ((load(at) & mask) - from > span || !wanted(i))
				continue;
			read(i, record);
			if ((!low || alex_compare(record, low, words_) >= 0) && (!high || alex_compare(record, high, words_) < 0))
				found(record);
		}
	}

  private:
	/** read() of a node that is not plain, but for a short tie. */
	[[gnu::noinline]] void read_some(uint32_t i, uint64_t *out) const
	{
		std::copy_n(low_, shared_, out);
		for (int c = 0; c < keys_; c++)
			out[shared_ + c] = base_[c] + code(i, c);
		std::fill(out + shared_ + keys_, out + words_, 0);
		for (int c = keys_; c < columns_; c++)
			out[words_ + c - keys_] = code(i, c);
	}

	/** The words of a record that have columns; false if others are not as all the node's are. */
	[[gnu::noinline]] bool columns_of(const uint64_t *record, uint64_t *columns) const
	{
		if (!std::equal(low_, low_ + shared_, record) ||
			std::any_of(record + shared_ + keys_, record + words_, [](uint64_t word) { return word != 0; }))
			return false;
		std::copy_n(record + shared_, keys_, columns);
		std::copy_n(record + words_, columns_ - keys_, columns + keys_);
		return true;
	}

	bool short_tie() const { return leaf_ && bytes_[keys_] < kRawTieBytes; }

	/* a load may reach into the special area, but never beyond it */
	static uint64_t load(const char *at)
	{
		uint64_t word;

		std::memcpy(&word, at, sizeof(word));
		return word;
	}

	uint64_t code(uint32_t i, int c) const { return load(slot(i) + start_[c]) & mask_[c]; }

	const char *end_;
	const uint64_t *low_; // fence
	uint32_t special_;
	uint32_t size_ = 0;
	uint32_t slots_;
	int words_;
	int shared_;  // words of the fences
	int columns_;
	int keys_;	  // of these
	bool leaf_;
	bool plain_;
	uint16_t start_[ALEX_MAX_COLUMNS];
	uint8_t bytes_[ALEX_MAX_COLUMNS];
	uint64_t mask_[ALEX_MAX_COLUMNS];
	uint64_t base_[ALEX_MAX_COLUMNS];
};

} // namespace alex

#endif // ALEX_NODE_DELTA_H
