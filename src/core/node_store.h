/*
 * node_store.h - writing planned columns, and what the header says of them, into a node.
 */
#ifndef ALEX_NODE_STORE_H
#define ALEX_NODE_STORE_H

#include "node.h"

namespace alex
{

/** A straight line from the stored words of the first record to those of the last, as integers. */
inline void
set_model(AlexNodeHeader *h, const uint64_t *first, const uint64_t *last, uint32_t n, int words)
{
	h->model_word = static_cast<uint8_t>(words);
	h->model_base = 0;
	h->model_mult = 0;
	h->model_shift = 0;
	h->model_fraction = 0;
	if (n == 0)
		return;
	/* records ascend, so a word whose ends are equal, all words before it being constant, is constant */
	for (int c = 0; c <= words; c++)
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
 * Chooses the slots of the delta for a node with these fences that ends with the record "last" (null: there are too few to tell). "blocks" has the
 * bits of its greatest heap block, and above them those of ext.
 */
inline void
set_delta_layout(void *page, const uint64_t *last, uint64_t blocks)
{
	AlexNodeHeader *h = alex_header(page);
	const uint64_t *low = alex_low_fence(page);
	const uint64_t *high = alex_high_fence(page);
	int words = h->words;
	bool shared = true;
	bool bounded = alex_compare(low, high, words) < 0; /* the caller may not know the right sibling yet */

	for (int c = 0; c < alex_stride(words, h->level); c++)
	{
		uint64_t span = UINT64_MAX;

		if (c < words && h->level == 0 && shared)
		{
			if (bounded)
				span = high[c] - low[c];
			else if (last)
				span = with_slack(last[c] - low[c]);
		}
		else if (c == words && h->level == 0)
			span = blocks >> 32 != 0 ? UINT64_MAX >> 8 : with_slack(blocks) << kOffsetBits | 0xFFFFFFFF;
		h->column[c].delta_bytes = static_cast<uint8_t>(bytes_for(span));
		shared = shared && span == 0;
	}
}

/**
 * Makes n records the base of a node: values[c] are those of column c, encoded with "radix", stored as plans[c] says.
 * Returns false, with the node unchanged, if less than "reserve" bytes would stay free.
 */
template <typename Values>
bool
store_columns(void *page, const Values *values, const ColumnPlan *plans, uint32_t n, uint32_t radix, uint32_t reserve)
{
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	int words = h->words;
	int columns = alex_stride(words, h->level);
	uint32_t start = static_cast<uint32_t>(ALEX_FENCES_OFFSET(columns) + 2 * (words + 1) * sizeof(uint64_t));
	uint32_t bytes = 0;

	for (int c = 0; c < columns && n > 0; c++)
		bytes += plans[c].bytes;
	if (bytes + reserve > head->pd_special - start)
		return false;

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
	uint64_t first[ALEX_MAX_WORDS + 1];
	uint64_t last[ALEX_MAX_WORDS + 1];

	for (int c = 0; c <= words; c++)
	{
		first[c] = n > 0 ? values[c](0) : 0;
		last[c] = n > 0 ? values[c](n - 1) : 0;
	}
	set_model(h, first, last, n, words);

	uint64_t greatest = 0; /* tie */

	for (uint32_t i = 0; i < n && h->level == 0; i++)
		greatest = std::max(greatest, values[words](i));
	set_delta_layout(page, n > 1 ? last : nullptr, decode_tie(greatest, radix) >> 16);
	head->pd_lower = static_cast<uint16_t>(start);
	head->pd_upper = head->pd_special;
	/* no stale bytes in the hole: images compress better, and pages built alike are alike */
	std::memset(static_cast<char *>(page) + start, 0, head->pd_upper - start);
	return true;
}

} // namespace alex

#endif // ALEX_NODE_STORE_H
