/*
 * node_fuzz.cc - libFuzzer target: no page, however damaged, crashes or hangs the core.
 *
 * An input is a recipe for a page:
 *
 *   byte 0   words (2 bits), page size (2 bits), kind (2 bits)
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

constexpr int words_of[] = {1, 2, 5, ALEX_MAX_FIXED_WORDS};
constexpr size_t recipe_head = 2;

enum Kind
{
	raw,
	disguised,
	mutated,
	mutated_too
};

uint32_t
page_size_of(uint8_t choice)
{
	return words_of[choice & 3] == ALEX_MAX_FIXED_WORDS || (choice >> 2 & 3) == 3 ? 8192 : 1024;
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < recipe_head)
		return 0;

	const int words = words_of[data[0] & 3];
	const uint32_t page_size = page_size_of(data[0]);
	const int kind = data[0] >> 4 & 3;
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
			disguise(page, words);
	}
	else
	{
		if (size < 2)
			return 0;
		page = sound_page(data[0] | data[1] << 8, words, page_size);
		for (size_t i = 2; i + 3 <= size; i += 3)
			page.bytes()[(data[i] | data[i + 1] << 8) % page_size] ^= data[i + 2];
		pristine = size < 5;
	}
	exercise(page, words, rng, pristine);
	return 0;
}

extern "C" size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	Rng rng(seed);

	if (size > recipe_head && below(rng, 16) != 0)
		return LLVMFuzzerMutate(data, size, max_size);

	/* start anew, from a sound page: its bytes if there is room for them, otherwise its seed */
	const auto choice = static_cast<uint8_t>(below(rng, 64));
	const uint32_t page_size = page_size_of(choice);

	if (max_size < recipe_head + 5)
		return size;
	data[0] = choice;
	data[1] = static_cast<uint8_t>(rng());
	if ((choice >> 4 & 3) <= disguised && recipe_head + page_size <= max_size)
	{
		const Page page = sound_page(rng() & 0xFFFF, words_of[choice & 3], page_size);

		std::memcpy(data + recipe_head, page.data(), page_size);
		return recipe_head + page_size;
	}
	data[0] |= mutated << 4;
	for (size_t i = recipe_head; i < recipe_head + 5; i++)
		data[i] = static_cast<uint8_t>(rng());
	return recipe_head + 5;
}
