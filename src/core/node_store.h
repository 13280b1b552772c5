/*
 * node_store.h - writing planned columns, and what the header says of them, into a node.
 */
#ifndef ALEX_NODE_STORE_H
#define ALEX_NODE_STORE_H

#include "node.h"

namespace alex
{

/** Bytes of the fences, and room for the high one, at the node's header. */
inline uint32_t
fence_bytes(const AlexNodeHeader *h)
{
	return static_cast<uint32_t>(h->low_words + 1 + h->high_room + 1) * static_cast<uint32_t>(sizeof(uint64_t));
}

/** Where the base of a node with so many columns begins. */
inline uint32_t
base_start(const AlexNodeHeader *h, int columns)
{
	return static_cast<uint32_t>(ALEX_FENCES_OFFSET(columns)) + fence_bytes(h);
}

/**
 * Bytes that a node of more than ALEX_ANY_RECORDS with so many words, all columns included, keeps free: with them there is room for any
 * fences of so many words. So it can always be cut off at one of its records.
 */
inline uint32_t
fence_spare(const AlexNodeHeader *h, int words)
{
	const int low = std::max(words - h->low_words, 0);
	const int high = std::max(words - h->shared - h->high_room, 0);

	return static_cast<uint32_t>(low + high) * static_cast<uint32_t>(sizeof(uint64_t));
}

/** Gives a node another number of columns, of which so many are those of key words: the fences move. What is behind them does not count any more. */
inline void
set_columns(void *page, int words, int keys)
{
	AlexNodeHeader *h = alex_header(page);
	const int columns = alex_stride(keys, h->level);
	const uint64_t *fences = alex_stored_low(page);

	h->words = static_cast<uint16_t>(words);
	if (columns == h->columns)
	{
		h->plain = alex_is_plain(h);
		return;
	}
	h->columns = static_cast<uint8_t>(columns);
	h->plain = alex_is_plain(h);
	std::memmove(const_cast<uint64_t *>(alex_stored_low(page)), fences, fence_bytes(h));
	if (columns % 2 != 0)
		h->column[columns] = AlexNodeColumn{}; /* to whole words */
}

/** A straight line from the stored words of the first record to those of the last, as integers. "keys" are the columns before that of the tie. */
inline void
set_model(AlexNodeHeader *h, const uint64_t *first, const uint64_t *last, uint32_t n, int keys)
{
	h->model_word = static_cast<uint8_t>(keys);
	h->model_base = 0;
	h->model_mult = 0;
	h->model_shift = 0;
	h->model_fraction = 0;
	if (n == 0)
		return;
	/* records ascend, so a word whose ends are equal, all words before it being constant, is constant */
	for (int c = 0; c <= keys; c++)
		if (first[c] != last[c])
		{
			h->model_word = static_cast<uint8_t>(c);
			break;
		}

	uint64_t span = last[h->model_word] - first[h->model_word];
	int shift = std::max(0, 32 - std::countl_zero(span)); /* the scaled span fits 32 bits */
	uint64_t scaled = (span >> shift) + 1;
	int fraction = std::max(0, std::countl_zero(static_cast<uint64_t>(n)) - 1);

	/* as many bits of slope as fit 32 */
	while (fraction > 0 && (static_cast<uint64_t>(n) << fraction) / scaled > UINT32_MAX)
		fraction--;
	h->model_base = first[h->model_word];
	h->model_mult = static_cast<uint32_t>((static_cast<uint64_t>(n) << fraction) / scaled);
	h->model_shift = static_cast<uint8_t>(shift);
	h->model_fraction = static_cast<uint8_t>(fraction);
}

/** A value four times as large: how far keys and blocks may go beyond what a node has before its slots are too small. */
constexpr uint64_t
with_slack(uint64_t value)
{
	return value > UINT64_MAX / 4 ? UINT64_MAX : value * 4;
}

/**
 * Chooses the slots of the delta for a node with these fences that ends with the record whose columns are "last" (null: there are too few to
 * tell). "blocks" has the bits of its greatest heap block, and above them those of ext.
 */
inline void
set_delta_layout(void *page, const uint64_t *last, uint64_t blocks)
{
	AlexNodeHeader *h = alex_header(page);
	const int keys = h->columns - (h->level > 0 ? 2 : 1);
	bool shared = true;
	const bool bounded = alex_has_high_fence(page);

	for (int c = 0; c < h->columns; c++)
	{
		uint64_t span = UINT64_MAX;

		if (c < keys && h->level == 0 && shared)
		{
			const uint64_t low = alex_low_word(page, h->shared + c);

			if (bounded)
				span = alex_high_word(page, h->shared + c) - low;
			else if (last)
				span = with_slack(last[c] - low);
		}
		else if (c == keys && h->level == 0)
			span = blocks >> 32 != 0 ? UINT64_MAX >> 8 : with_slack(blocks) << kOffsetBits | 0xFFFFFFFF;
		h->column[c].delta_bytes = static_cast<uint8_t>(bytes_for(span));
		shared = shared && span == 0;
	}
}

/**
 * Makes n records of at most "words" key words the base of a node: values[c] are those of column c, of "keys" key words behind those that the
 * fences share, the tie and the child, encoded with "radix", stored as plans[c] says.
 * Returns false, with the node unchanged, if less than "reserve" bytes would stay free.
 */
template <typename Values>
bool
store_columns(void *page, const Values *values, const ColumnPlan *plans, int words, int keys, uint32_t n, uint32_t radix, uint32_t reserve)
{
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	const int columns = alex_stride(keys, h->level);
	uint32_t start = base_start(h, columns);
	uint32_t bytes = 0;

	for (int c = 0; c < columns && n > 0; c++)
		bytes += plans[c].bytes;
	if (start + bytes + reserve + (n > ALEX_ANY_RECORDS ? fence_spare(h, h->shared + keys) : 0) > head->pd_special)
		return false;

	set_columns(page, words, keys);
	h->count = n;
	h->removed = 0;
	h->radix = static_cast<uint16_t>(radix);
	for (int c = 0; c < columns; c++)
	{
		h->column[c].frame_log2 = static_cast<uint8_t>(plans[c].log2);
		h->column[c].column_start = static_cast<uint16_t>(start);
		if (n > 0)
			write_column(values[c], n, plans[c], static_cast<char *>(page) + start);
		start += plans[c].bytes;
	}
	uint64_t first[ALEX_MAX_COLUMNS];
	uint64_t last[ALEX_MAX_COLUMNS];

	for (int c = 0; c <= keys; c++)
	{
		first[c] = n > 0 ? values[c](0) : 0;
		last[c] = n > 0 ? values[c](n - 1) : 0;
	}
	set_model(h, first, last, n, keys);

	uint64_t greatest = 0; /* tie */

	for (uint32_t i = 0; i < n && h->level == 0; i++)
		greatest = std::max(greatest, values[keys](i));
	set_delta_layout(page, n > 1 ? last : nullptr, decode_tie(greatest, radix) >> 16);
	head->pd_lower = static_cast<uint16_t>(start);
	head->pd_upper = head->pd_special;
	/* no stale bytes in the hole: images compress better, and pages built alike are alike */
	std::memset(static_cast<char *>(page) + start, 0, head->pd_upper - start);
	return true;
}

} // namespace alex

#endif // ALEX_NODE_STORE_H
