/*
 * node.h - a node as the core's own files see it.
 *
 * Role: typed, bounds-safe access to one page image; nothing here modifies a page.
 */
#ifndef ALEX_NODE_H
#define ALEX_NODE_H

#include "alex_core.h"
#include "frame_codec.h"
#include "node_absent.h"
#include "node_delta.h"
#include "node_removed.h"

namespace alex
{

/** An encoded tie of a leaf: TIDs are numbered block * radix + offset - 1, so rows in order lie on a line. */
constexpr uint64_t
encode_tie(uint64_t tie, uint32_t radix)
{
	uint64_t block = (tie >> 16) & 0xFFFFFFFF;
	uint64_t offset = tie & 0xFFFF;

	return (tie & ~ALEX_TID_MASK) | (block * radix + offset - 1);
}

/** The tie that encode_tie() came from. */
constexpr uint64_t
decode_tie(uint64_t encoded, uint32_t radix)
{
	uint64_t number = encoded & ALEX_TID_MASK;
	uint64_t block;
	uint64_t offset;

	if (number <= UINT32_MAX) /* half the cost of a 64-bit division */
	{
		block = static_cast<uint32_t>(number) / radix;
		offset = static_cast<uint32_t>(number) % radix;
	}
	else
	{
		block = number / radix;
		offset = number % radix;
	}
	return (encoded & ~ALEX_TID_MASK) | (block & 0xFFFFFFFF) << 16 | (offset + 1);
}

/** decode_tie() for many ties of one node: a multiplication instead of the division. */
class TieDecoder
{
  public:
	explicit TieDecoder(uint32_t radix) : radix_(radix), reciprocal_(UINT64_MAX / radix) {}

	/*
	 * With n = number + 1, n * floor((2^64 - 1) / radix) / 2^64 is less than n / radix, by at most n / 2^64 <= 1 / radix as
	 * long as n * radix <= 2^64. So its whole part is that of number / radix, for every TID: n <= 2^48, radix < 2^16.
	 */
	uint64_t operator()(uint64_t encoded) const
	{
		uint64_t n = (encoded & ALEX_TID_MASK) + 1;
		uint64_t block = static_cast<uint64_t>(static_cast<unsigned __int128>(n) * reciprocal_ >> 64);

		return (encoded & ~ALEX_TID_MASK) | (block & 0xFFFFFFFF) << 16 | ((n - block * radix_) & 0xFFFF);
	}

  private:
	uint64_t radix_;
	uint64_t reciprocal_;
};

/** The least encoded tie of a record at or after a position's tie, which need not be any record's. */
constexpr uint64_t
encode_bound(uint64_t tie, uint32_t radix)
{
	uint64_t block = (tie >> 16) & 0xFFFFFFFF;
	uint64_t offset = std::clamp<uint64_t>(tie & 0xFFFF, 1, radix + 1);

	return (tie & ~ALEX_TID_MASK) + (block * radix + offset - 1);
}

class Node
{
  public:
	explicit Node(const void *page)
		: page_(static_cast<const char *>(page)), head_(static_cast<const AlexPageHead *>(page)),
		  header_(alex_cheader(page))
	{
	}

	const AlexNodeHeader &header() const { return *header_; }
	int words() const { return header_->words; }
	bool inner() const { return header_->level > 0; }
	int stride() const { return alex_stride(header_->words, header_->level); }
	int columns() const { return header_->columns; }
	int keys() const { return columns() - (inner() ? 2 : 1); } // columns of key words; then comes the tie's
	int shared() const { return header_->shared; }
	bool plain() const { return header_->plain != 0; }

	/** The word of a record that column c has. */
	int word_of(int c) const { return c < keys() ? shared() + c : words() + (c - keys()); }

	/** Has every word behind the shared ones a column? */
	bool complete() const { return shared() + keys() == words(); }
	uint32_t count() const { return header_->count; }
	uint32_t radix() const { return header_->radix; }
	uint32_t lower() const { return header_->removed != 0 ? removed_start(header_) : head_->pd_lower; } // end of the columns

	Column column(int c) const
	{
		return Column(page_, header_->column[c].column_start, header_->count, header_->column[c].frame_log2, head_->pd_special);
	}

	bool has_delta() const { return head_->pd_upper < head_->pd_special; }
	uint32_t delta_count() const { return alex_delta_count(page_); }
	Removed removed() const { return Removed(page_); }
	Delta delta() const { return Delta(page_); }

	/** The value that column c stores for a word of a record. */
	uint64_t stored(int c, uint64_t word) const
	{
		return c == keys() && !inner() ? encode_tie(word, radix()) : word;
	}

	uint64_t original(int c, uint64_t value) const
	{
		return c == keys() && !inner() ? decode_tie(value, radix()) : value;
	}

	void read(uint32_t i, uint64_t *out) const
	{
		if (plain())
			for (int c = 0; c < columns(); c++)
				out[c] = original(c, column(c)[i]);
		else
			read_some(i, out);
	}

	[[gnu::noinline]] void read_some(uint32_t i, uint64_t *out) const
	{
		const int n = keys();

		fill(out);
		for (int c = 0; c < columns(); c++)
			out[word_of(c)] = c == n ? original(c, column(c)[i]) : column(c)[i];
	}

	/** Writes the words of a record that have no column. */
	void fill(uint64_t *out) const
	{
		if (plain())
			return;

		const uint64_t *low = alex_stored_low(page_);

		for (int i = 0; i < shared(); i++)
			out[i] = low[i];
		for (int i = shared() + keys(); i < words(); i++)
			out[i] = 0;
	}

	void read_range(uint32_t first, uint32_t n, uint64_t *out, bool backward = false) const;
	uint32_t lower_bound(const uint64_t *position) const;

	/**
	 * Reads the first (backward: the last) of base records first .. end - 1 that are not absent, at most "max" of them, in
	 * ascending or descending order. *more is set if there are more. Returns how many.
	 */
	uint32_t read_there(uint32_t first, uint32_t end, uint32_t max, uint64_t *out, bool backward, bool descending,
						bool *more, const Absent &absent) const;

	/**
	 * Reads the first base records in [low, high), at most max of them, for lookups that expect very few: one search, and reading
	 * on from there. *more is set if there are more. Returns how many.
	 */
	uint32_t read_few(const uint64_t *low, const uint64_t *high, uint32_t max, uint64_t *out, bool *more,
					  const Absent &absent) const;

	uint32_t predict(uint64_t word) const;

	/** How many slots apart two words are by the model. */
	uint32_t slots(uint64_t distance) const;

	/** Copies the delta's records within [low, high) to out, sorted, without the killed ones, if given; either bound may be null. */
	uint32_t sorted_delta(const uint64_t *low, const uint64_t *high, uint64_t *out, const KilledBits *killed = nullptr) const;

	const void *page() const { return page_; }

  private:
	const char *page_;
	const AlexPageHead *head_;
	const AlexNodeHeader *header_;
};

/** A position as the columns of a node have it: the key words that have a column, and the tie. */
class Bound
{
  public:
	Bound(const Node &node, const uint64_t *position)
	{
		at_ = position;
		if (!node.plain())
			leave_out(node, position);
	}
	Bound(const Bound &) = delete;
	Bound &operator=(const Bound &) = delete;

	/** Is it before (negative) or behind all that the node can have, as the words without a column tell? */
	int side() const { return side_; }
	const uint64_t *words() const { return at_; }

  private:
	[[gnu::noinline]] void leave_out(const Node &node, const uint64_t *position)
	{
		const uint64_t *low = alex_stored_low(node.page());
		const int shared = node.shared();
		const int keys = node.keys();

		for (int i = 0; i < shared && side_ == 0; i++)
			if (position[i] != low[i])
				side_ = position[i] < low[i] ? -1 : 1;
		at_ = position + shared;
		if (node.complete())
			return;

		uint64_t tie = position[node.words()];

		for (int i = shared + keys; i < node.words(); i++)
			if (position[i] != 0)
				tie = UINT64_MAX; /* behind all records with these words, which end in zeros */
		std::copy_n(at_, keys, space_);
		space_[keys] = tie;
		at_ = space_;
	}

	int side_ = 0;
	const uint64_t *at_;
	uint64_t space_[ALEX_MAX_COLUMNS];
};

/** out = position + 1, the next position; false if there is none. */
inline bool
next_position(const uint64_t *position, int words, uint64_t *out)
{
	bool carry = true;

	for (int i = words; i >= 0; i--)
	{
		out[i] = position[i] + carry;
		carry = carry && out[i] == 0;
	}
	return !carry;
}

/** Merges n sorted records at "out" with d sorted ones at "delta"; "out" has room for both. */
inline void
merge_records(uint64_t *out, uint32_t n, const uint64_t *delta, uint32_t d, int stride, int words)
{
	uint32_t to = n + d;

	while (d > 0)
	{
		const uint64_t *source;

		if (n > 0 && alex_compare(out + static_cast<size_t>(n - 1) * stride, delta + static_cast<size_t>(d - 1) * stride,
								  words) > 0)
			source = out + static_cast<size_t>(--n) * stride;
		else
			source = delta + static_cast<size_t>(--d) * stride;
		to--;
		std::memmove(out + static_cast<size_t>(to) * stride, source, stride * sizeof(uint64_t));
	}
}

} // namespace alex

#endif // ALEX_NODE_H
