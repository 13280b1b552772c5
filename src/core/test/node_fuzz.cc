/*
 * node_fuzz.cc - libFuzzer target: no page, however damaged, crashes or hangs the core.
 *
 * An input is a recipe for a page:
 *
 *   byte 0   words (2 bits), page size (2 bits), kind (2 bits), words again (2 bits)
 *   byte 1   seed of the positions to search
 *   raw:       the bytes of the page, filled up with zeroes
 *   disguised: the same, with the header made to look like a node's
 *   mutated:   2 bytes of seed of a sound page, then changes: 2 bytes of offset, 1 byte to XOR
 *
 * No corpus is needed: the mutator starts from sound pages.
 */
#include <cstddef>

#include "node_checks.h"

using namespace alex_test;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

namespace
{

/* Key words: of one width, or (least: 1) at most so many. */
struct Width
{
	int least;
	int most;
};
constexpr Width widths[] = {{1, 1},
							{2, 2},
							{5, 5},
							{ALEX_MAX_FIXED_WORDS, ALEX_MAX_FIXED_WORDS},
							{40, 40},
							{1, 5},
							{1, 40},
							{1, ALEX_MAX_FIXED_WORDS},
							{1, 2},
							{1, ALEX_MAX_WORDS},
							{3, ALEX_MAX_WORDS},
							{1, ALEX_MAX_WORDS},
							{1, 3},
							{1, ALEX_MAX_WORDS},
							{1, 16},
							{1, ALEX_MAX_WORDS}};
constexpr size_t recipe_head = 2;

enum Kind
{
	raw,
	disguised,
	mutated,
	mutated_too
};

Width
width_of(uint8_t choice)
{
	return widths[(choice & 3) | (choice >> 4 & 12)];
}

uint32_t
page_size_of(uint8_t choice)
{
	return width_of(choice).most > 5 || (choice >> 2 & 3) == 3 ? 8192 : 1024;
}

Page
some_page(uint64_t seed, uint8_t choice)
{
	const Width width = width_of(choice);

	return width.least < width.most ? sound_wide_page(seed, width.most, page_size_of(choice))
									: sound_page(seed, width.most, page_size_of(choice));
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < recipe_head)
		return 0;

	const uint8_t choice = data[0];
	const Width width = width_of(choice);
	const uint32_t page_size = page_size_of(data[0]);
	const int kind = data[0] >> 4 & 3;
	const int some_words = data[1];
	Rng rng(data[1]);
	Page page(page_size);
	bool pristine = false;

	data += recipe_head;
	size -= recipe_head;
	if (kind <= disguised)
	{
		if (size > 0)
			std::memcpy(page.data(), data, std::min<size_t>(size, page_size));
		if (kind == disguised)
			disguise(page, width.least + some_words % (width.most - width.least + 1), width.least);
	}
	else
	{
		if (size < 2)
			return 0;
		page = some_page(data[0] | data[1] << 8, choice);
		for (size_t i = 2; i + 3 <= size; i += 3)
			page.bytes()[(data[i] | data[i + 1] << 8) % page_size] ^= data[i + 2];
		pristine = size < 5;
	}
	exercise(page, width.most, rng, pristine, width.least);
	return 0;
}

extern "C" size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	Rng rng(seed);

	if (size > recipe_head && below(rng, 16) != 0)
		return LLVMFuzzerMutate(data, size, max_size);

	/* start anew, from a sound page: its bytes if there is room for them, otherwise its seed */
	const auto choice = static_cast<uint8_t>(rng());
	const uint32_t page_size = page_size_of(choice);

	if (max_size < recipe_head + 5)
		return size;
	data[0] = choice;
	data[1] = static_cast<uint8_t>(rng());
	if ((choice >> 4 & 3) <= disguised && recipe_head + page_size <= max_size)
	{
		const Page page = some_page(rng() & 0xFFFF, choice);

		std::memcpy(data + recipe_head, page.data(), page_size);
		return recipe_head + page_size;
	}
	data[0] |= mutated << 4;
	for (size_t i = recipe_head; i < recipe_head + 5; i++)
		data[i] = static_cast<uint8_t>(rng());
	return recipe_head + 5;
}
