/*
 * garbage_test.cc - damaged pages: the checks of the fuzz target on random and mutated pages, without libFuzzer.
 *
 * ALEX_TEST_SCALE multiplies the number of pages.
 */
#include <gtest/gtest.h>

#include "node_checks.h"

using namespace alex_test;

namespace
{

const uint64_t scale = env_number("ALEX_TEST_SCALE", 1);
const uint64_t seed = env_number("ALEX_TEST_SEED", 1);

uint32_t
any_page_size(Rng &rng)
{
	static const uint32_t sizes[] = {1024, 1024, 1024, 1024, 1024, 1024, 8192, 32768};

	return sizes[below(rng, 8)];
}

int
any_words(Rng &rng)
{
	return 1 << below(rng, 3);
}

bool
lists_removed(const Page &page)
{
	return (page.node().removed & ALEX_REMOVED_LIST) != 0;
}

TEST(Garbage, RandomBytes)
{
	Rng rng(seed);
	uint64_t nodes = 0;

	for (uint64_t i = 0; i < 5000 * scale; i++)
	{
		Page page(any_page_size(rng));

		for (uint32_t j = 0; j < page.size(); j += 8)
		{
			const uint64_t word = rng();

			std::memcpy(page.bytes() + j, &word, 8);
		}
		nodes += exercise(page, any_words(rng), rng);
	}
	EXPECT_EQ(nodes, 0U) << "random bytes are no node";
}

TEST(Garbage, DisguisedBytes)
{
	Rng rng(seed + 1);
	uint64_t nodes = 0;
	uint64_t lists = 0;

	for (uint64_t i = 0; i < 2000 * scale; i++)
	{
		Page page(any_page_size(rng));
		const int words = any_words(rng);

		for (uint32_t j = 0; j < page.size(); j += 8)
		{
			const uint64_t word = rng() & (i % 2 == 0 ? UINT64_MAX : rng() & rng());

			std::memcpy(page.bytes() + j, &word, 8);
		}
		/* few records, or the directories do not fit and the page is refused */
		page.node().count = static_cast<uint32_t>(rng() >> below(rng, 60));
		disguise(page, words);
		if (exercise(page, words, rng))
		{
			nodes++;
			lists += lists_removed(page);
		}
	}
	EXPECT_GT(nodes, 1000U * scale) << "the disguise should work";
	EXPECT_GT(lists, 10U * scale);
}

TEST(Garbage, MutatedPages)
{
	Rng rng(seed + 2);
	uint64_t nodes = 0;
	uint64_t lists = 0;

	for (uint64_t i = 0; i < 200 * scale; i++)
	{
		const int words = any_words(rng);
		const uint32_t page_size = any_page_size(rng);
		const Page sound = sound_page(rng(), words, page_size);

		ASSERT_TRUE(exercise(sound, words, rng, true));
		for (int j = 0; j < (page_size == 1024 ? 150 : 15); j++)
		{
			Page page = sound;

			for (uint64_t changes = 1 + below(rng, 4); changes > 0; changes--)
			{
				const uint64_t end = below(rng, 2) == 0 ? ALEX_FENCES_OFFSET(sound.stride()) : page_size;
				uint8_t &byte = page.bytes()[below(rng, end)];

				byte = static_cast<uint8_t>(below(rng, 2) == 0 ? rng() : byte ^ 1 << below(rng, 8));
			}
			if (exercise(page, words, rng))
			{
				nodes++;
				lists += lists_removed(page);
			}
		}
	}
	EXPECT_GT(nodes, 1000U * scale);
	EXPECT_GT(lists, 100U * scale);
}

/* Lists of removed records with any numbers in any order; single bytes rarely hit them. */
TEST(Garbage, ListedInAnyOrder)
{
	Rng rng(seed + 4);
	uint64_t lists = 0;

	for (uint64_t i = 0; i < 520 * scale; i++)
	{
		const int words = any_words(rng);
		Page page = sound_page(rng(), words, any_page_size(rng));

		if (!lists_removed(page))
			continue;

		const uint32_t start = page.node().removed & ~ALEX_REMOVED_LIST;
		const uint32_t count = page.node().count;
		const uint32_t last = below(rng, 2) == 0 ? count - 1 : count + 70;

		for (int kind = 0; kind < 4; kind++)
		{
			const uint64_t same = below(rng, last + 1);

			for (uint32_t at = start; at < page.head().pd_lower; at += 2)
			{
				const uint64_t numbers[] = {below(rng, last + 1), last - std::min((at - start) / 2, last), same, rng()};
				const auto entry = static_cast<uint16_t>(numbers[kind]);

				std::memcpy(page.bytes() + at, &entry, 2);
			}
			lists += exercise(page, words, rng);
		}
	}
	EXPECT_GT(lists, 100U * scale);
}

/* Directories that overlap each other, each within the base: copies of them one after the other need more than a page. */
TEST(Garbage, OverlappingDirectories)
{
	const Shape shape{4, 1, 1024};
	const uint64_t zeros[position_max] = {};
	const uint64_t high[position_max] = {1, 1, 1, 1, 1};
	Page page(shape.page_size);
	Page part(shape.page_size);
	Rng rng(seed + 3);

	alex_node_init(page.data(), shape.page_size, 4, 1, zeros, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
	page.node().count = 2500;
	page.head().pd_lower = page.head().pd_upper;
	for (int c = 0; c < page.stride(); c++)
		page.node().column[c].frame_log2 = 6;
	ASSERT_STREQ(alex_node_problem(page.data(), 4, 1024), nullptr);
	alex_node_truncate(part.data(), page.data(), high);
	exercise(page, 4, rng);
}

} // namespace
