/*
 * string_code.cc - alphabetic codes: choosing one, writing and reading strings.
 *
 * The code is that of Garsia and Wachs: neighbours are joined to a tree whose depths are those of the cheapest alphabetic one. Codes that come out
 * too long are avoided by giving every symbol a greater weight.
 */
#include "string_code.h"

#include <algorithm>
#include <array>

namespace
{

constexpr int kMostSymbols = ALEX_STRING_SYMBOLS;
constexpr int kStartBits = 16; // of AlexStringCode.start

/** The tree of a code under construction: leaves first, then what joins two nodes. */
class Tree
{
  public:
	/** Makes the tree of n weights, and returns the greatest depth. */
	int build(const std::array<uint64_t, kMostSymbols> &weights)
	{
		for (int i = 0; i < kMostSymbols; i++)
			list_[i] = {weights[i], static_cast<uint16_t>(i)};
		length_ = kMostSymbols;
		nodes_ = kMostSymbols;
		while (length_ > 1)
			join(smallest_pair());

		/* a node is made after what it joins, so from the root down every parent comes before its children */
		std::array<uint8_t, 2 *kMostSymbols> depth = {};
		int greatest = 0;

		for (int node = nodes_ - 1; node >= kMostSymbols; node--)
			for (const uint16_t child : children_[node - kMostSymbols])
				depth[child] = static_cast<uint8_t>(depth[node] + 1);
		for (int i = 0; i < kMostSymbols; i++)
		{
			depth_[i] = depth[i];
			greatest = std::max<int>(greatest, depth[i]);
		}
		return greatest;
	}

	uint8_t depth(int symbol) const { return depth_[symbol]; }

  private:
	struct Item
	{
		uint64_t weight;
		uint16_t node;
	};

	/** The leftmost place i whose item and the one before it are to be joined: what is behind them weighs no less than what is before. */
	int smallest_pair() const
	{
		int i = 1;

		while (i + 1 < length_ && list_[i - 1].weight > list_[i + 1].weight)
			i++;
		return i;
	}

	/** Joins items i - 1 and i, and puts the new one behind the last one before them that weighs as much. */
	void join(int i)
	{
		const Item joined = {list_[i - 1].weight + list_[i].weight, static_cast<uint16_t>(nodes_)};
		int at = i - 1;

		children_[nodes_++ - kMostSymbols] = {list_[i - 1].node, list_[i].node};
		std::copy(list_.begin() + i + 1, list_.begin() + length_, list_.begin() + i);
		length_--;
		for (; at > 0 && list_[at - 1].weight < joined.weight; at--)
			list_[at] = list_[at - 1];
		list_[at] = joined;
	}

	std::array<Item, kMostSymbols> list_;
	std::array<std::array<uint16_t, 2>, kMostSymbols> children_;
	std::array<uint8_t, kMostSymbols> depth_;
	int length_;
	int nodes_;
};

/** How often a byte is thought to occur in 1,000 or so of text. */
uint64_t
usual_count(int byte)
{
	static constexpr char letters[] = "etaoinsrhldcumfpgwybvkxjqz"; // by frequency
	static constexpr uint8_t counts[] = {80, 60, 62, 60, 58, 56, 54, 54, 34, 42, 36, 40, 28,
										 34, 26, 26, 22, 18, 20, 22, 14, 14, 10, 8,	 6,	 8};

	for (int i = 0; i < 26; i++)
	{
		if (byte == letters[i])
			return counts[i];
		if (byte == letters[i] - 'a' + 'A')
			return 1 + counts[i] / 8;
	}
	if (byte >= '0' && byte <= '9')
		return 32;
	switch (byte)
	{
		case ' ':
		case '-':
		case '.':
		case '/':
		case '_':
			return 24;
		case ':':
		case '@':
			return 12;
		default:
			return byte > ' ' && byte < 127 ? 2 : byte >= 0x80 && byte < 0xC0 ? 2 : 1;
	}
}

/** Reads the bits of a string from its words. */
class BitReader
{
  public:
	BitReader(const uint64_t *words, int n, uint64_t flip)
		: words_(words), n_(n), end_(n + (missing_end(words, n, flip) ? 1 : 0)), flip_(flip)
	{
		this_ = word(0);
		next_ = word(1);
	}

	/** The next 62 bits or more at the upper end of a word; zeroes behind the last word. */
	uint64_t peek() const
	{
		return offset_ == 0 ? this_ : (this_ << offset_) | (next_ >> (ALEX_STRING_WORD_BITS - offset_));
	}

	/** Goes on; false where that leads behind the end. */
	bool skip(int bits)
	{
		offset_ += bits;
		if (offset_ < ALEX_STRING_WORD_BITS)
			return at_ < end_;
		offset_ -= ALEX_STRING_WORD_BITS;
		at_++;
		this_ = next_;
		next_ = word(at_ + 1);
		return at_ < end_ || (at_ == end_ && offset_ == 0);
	}

  private:
	/** A key's last words are left out if they are zero: can that be the last one of a string? */
	static bool missing_end(const uint64_t *words, int n, uint64_t flip)
	{
		return flip == 0 && (n == 0 || (words[n - 1] & 1) != 0);
	}

	uint64_t word(int i) const { return i < n_ ? (words_[i] ^ flip_) & ~UINT64_C(1) : 0; }

	const uint64_t *words_;
	int n_;
	int end_; // words, with the one that is left out
	uint64_t flip_;
	int at_ = 0;
	int offset_ = 0; // in the word, 0 .. 62
	uint64_t this_;
	uint64_t next_;
};

/** The symbol that begins with these bits: its number << 4, and how many bits it has. */
unsigned
symbol_at(const AlexStringCode &code, uint64_t bits)
{
	const unsigned fast = code.fast[bits >> (64 - ALEX_FAST_BITS)];

	if (fast != 0)
		return fast;

	const auto *found = std::upper_bound(code.start, code.start + kMostSymbols, static_cast<uint16_t>(bits >> 48)) - 1;
	const auto symbol = static_cast<unsigned>(found - code.start);

	return symbol << 4 | code.lengths.bits[symbol];
}

} // namespace

extern "C" void
alex_choose_code(const uint64_t *counts, bool none_first, AlexCodeLengths *lengths)
{
	const int end = none_first ? 1 : 0;
	std::array<uint64_t, kMostSymbols> weights;
	Tree tree;

	/* with equal weights no symbol has more than 9 bits, so this ends */
	for (uint64_t least = 1;; least *= 2)
	{
		weights.fill(1);
		for (int i = 0; i < ALEX_STRING_COUNTS; i++)
			weights[end + i] = counts[i] + least;
		if (tree.build(weights) <= ALEX_CODE_BITS)
			break;
		weights[none_first ? 0 : kMostSymbols - 1] = least;
		if (tree.build(weights) <= ALEX_CODE_BITS)
			break;
	}
	lengths->none_first = none_first ? 1 : 0;
	lengths->headed = 0;
	for (int i = 0; i < kMostSymbols; i++)
		lengths->bits[i] = tree.depth(i);
}

extern "C" void
alex_default_code(bool binary, bool none_first, AlexCodeLengths *lengths)
{
	uint64_t counts[ALEX_STRING_COUNTS];

	counts[0] = binary ? 1 : 60;
	for (int i = 0; i < 256; i++)
		counts[1 + i] = binary ? 1 : usual_count(i);
	alex_choose_code(counts, none_first, lengths);
}

extern "C" bool
alex_make_code(const AlexCodeLengths *lengths, AlexStringCode *code)
{
	uint32_t start = 0; // in units of 2^-kStartBits

	if (lengths->none_first > 1 || lengths->headed > 1)
		return false;
	code->lengths = *lengths;
	code->end = lengths->none_first;
	std::fill(std::begin(code->fast), std::end(code->fast), 0);
	for (uint32_t i = 0; i < kMostSymbols; i++)
	{
		const int bits = lengths->bits[i];

		if (bits < 1 || bits > ALEX_CODE_BITS)
			return false;

		const uint32_t share = UINT32_C(1) << (kStartBits - bits);

		/* one after the other, each where its bits end in zeroes, and all bit strings belong to some symbol */
		if (start % share != 0 || start + share > UINT32_C(1) << kStartBits)
			return false;
		code->start[i] = static_cast<uint16_t>(start);
		code->symbol[i] = (start >> (kStartBits - bits)) << 4 | static_cast<uint32_t>(bits);
		if (bits <= ALEX_FAST_BITS)
			std::fill_n(code->fast + (start >> (kStartBits - ALEX_FAST_BITS)), UINT32_C(1) << (ALEX_FAST_BITS - bits),
						static_cast<uint16_t>(i << 4 | static_cast<uint32_t>(bits)));
		start += share;
	}
	if (start != UINT32_C(1) << kStartBits)
		return false;

	const int none = lengths->none_first ? 0 : kMostSymbols - 1;

	if (lengths->headed)
	{
		/* what no head is */
		code->none[0] = lengths->none_first ? 0 : ~UINT64_C(1);
		code->none_bound = lengths->none_first ? 2 : ~UINT64_C(1);
	}
	else
	{
		code->none[0] = static_cast<uint64_t>(code->start[none]) << 48;
		code->none_bound = static_cast<uint64_t>(code->start[lengths->none_first ? 1 : none]) << 48;
	}
	code->none[1] = ~code->none[0];
	return true;
}

namespace
{

int
encode(const AlexStringCode *code, const void *bytes, size_t n, uint64_t flip, uint64_t *words, int max)
{
	const auto *from = static_cast<const uint8_t *>(bytes);
	const uint32_t *const symbols = code->symbol + code->end;
	uint64_t gathered = 0; // at the lower end
	int space = ALEX_STRING_WORD_BITS;
	int used = 0;

	for (size_t i = 0; i <= n; i++)
	{
		const uint32_t symbol = symbols[i < n ? from[i] + 1 : 0];
		const int bits = static_cast<int>(symbol & 15);

		if (bits <= space)
		{
			gathered = gathered << bits | symbol >> 4;
			space -= bits;
			continue;
		}

		const int rest = bits - space;

		if (used == max)
			return max + 1;
		gathered = gathered << space | symbol >> 4 >> rest;
		words[used++] = (gathered << 1 | 1) ^ flip;
		gathered = (symbol >> 4) & ((UINT32_C(1) << rest) - 1);
		space = ALEX_STRING_WORD_BITS - rest;
	}
	if (used == max)
		return max + 1;
	words[used++] = gathered << space << 1 ^ flip;
	return used;
}

size_t
decode(const AlexStringCode *code, const uint64_t *words, int n, uint64_t flip, void *bytes, size_t max)
{
	auto *to = static_cast<uint8_t *>(bytes);
	const unsigned end = code->end;
	size_t found = 0;

	for (BitReader reader(words, n, flip);;)
	{
		const unsigned symbol = symbol_at(*code, reader.peek());

		if (!reader.skip(static_cast<int>(symbol & 15)))
			return ALEX_BAD_STRING;
		if (symbol >> 4 == end)
			return found;
		/* none is below the end, or behind the last byte */
		if (symbol >> 4 < end || symbol >> 4 > end + 256 || found == max)
			return ALEX_BAD_STRING;
		to[found++] = static_cast<uint8_t>((symbol >> 4) - end - 1);
	}
}

} // namespace

extern "C" int
alex_encode_string(const AlexStringCode *code, const void *bytes, size_t n, uint64_t flip, uint64_t *words, int max)
{
	if (!code->lengths.headed)
		return encode(code, bytes, n, flip, words, max);
	if (max == 0)
		return max + 1;

	const auto *from = static_cast<const uint8_t *>(bytes);
	uint64_t head = n > ALEX_HEAD_BYTES ? 1 : 0;

	for (int i = 0; i < ALEX_HEAD_BYTES; i++)
		head |= static_cast<uint64_t>(from[i]) << (56 - 8 * i);
	words[0] = head ^ flip;
	return 1 + (n > ALEX_HEAD_BYTES ? encode(code, from + ALEX_HEAD_BYTES, n - ALEX_HEAD_BYTES, flip, words + 1, max - 1) : 0);
}

extern "C" size_t
alex_decode_string(const AlexStringCode *code, const uint64_t *words, int n, uint64_t flip, void *bytes, size_t max)
{
	if (!code->lengths.headed)
		return decode(code, words, n, flip, bytes, max);
	if (n <= 0 || max < ALEX_HEAD_BYTES || alex_string_is_none(code, flip, words[0]) || ((words[0] ^ flip) & 1) != (n > 1 ? 1 : 0))
		return ALEX_BAD_STRING;

	auto *to = static_cast<uint8_t *>(bytes);
	const uint64_t head = (words[0] ^ flip) & ~UINT64_C(1);

	for (int i = 0; i < ALEX_HEAD_BYTES; i++)
		to[i] = static_cast<uint8_t>(head >> (56 - 8 * i));
	if (n == 1)
		return ALEX_HEAD_BYTES;

	const size_t rest = decode(code, words + 1, n - 1, flip, to + ALEX_HEAD_BYTES, max - ALEX_HEAD_BYTES);

	return rest == 0 || rest == ALEX_BAD_STRING ? ALEX_BAD_STRING : ALEX_HEAD_BYTES + rest;
}
