/*
 * node_values.h - the columns of a record array, as the codec wants them.
 */
#ifndef ALEX_NODE_VALUES_H
#define ALEX_NODE_VALUES_H

#include "node.h"

namespace alex
{

/** Column c of a record array: values(i) is what the node stores for record i. */
class RecordValues
{
  public:
	RecordValues() = default;

	/** The column has word "word" of the records. radix > 0: it is the tie of a leaf. */
	RecordValues(const uint64_t *records, int stride, int word, uint32_t radix)
		: first_(records + word), stride_(stride), radix_(radix)
	{
	}

	uint64_t operator()(uint32_t i) const
	{
		uint64_t word = first_[static_cast<size_t>(i) * stride_];

		return radix_ > 0 ? encode_tie(word, radix_) : word;
	}

	/** Values first .. first + n - 1 to out. */
	void copy(uint32_t first, uint32_t n, uint64_t *out) const
	{
		const uint64_t *word = first_ + static_cast<size_t>(first) * stride_;

		if (radix_ > 0)
			for (uint32_t i = 0; i < n; i++, word += stride_)
				out[i] = encode_tie(*word, radix_);
		else
			for (uint32_t i = 0; i < n; i++, word += stride_)
				out[i] = *word;
	}

  private:
	const uint64_t *first_ = nullptr;
	int stride_ = 0;
	uint32_t radix_ = 0;
};

/** The largest heap offset of the records, at least 1. */
inline uint32_t
largest_offset(const uint64_t *records, uint32_t n, int stride, int words)
{
	uint32_t largest = 1;

	for (uint32_t i = 0; i < n; i++)
		largest = std::max(largest, static_cast<uint32_t>(records[static_cast<size_t>(i) * stride + words] & 0xFFFF));
	return largest;
}

/** The most key words that any of the records uses, which have "words"; at least "least". */
inline int
used_by_all(const uint64_t *records, uint32_t n, int stride, int words, int least)
{
	int used = std::min(least, words);

	for (uint32_t i = 0; i < n && used < words; i++)
		used = std::max(used, alex_used_words(records + static_cast<size_t>(i) * stride, words));
	return used;
}

} // namespace alex

#endif // ALEX_NODE_VALUES_H
