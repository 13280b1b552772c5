/*
 * answer_test.cc - counts, blocks, columns and sums in bulk, against the records one by one.
 */
#include <gtest/gtest.h>

#include "../alex_answer.h"
#include "node_checks.h"
#include "test_util.h"

using namespace alex_test;

namespace
{

class Answer : public ::testing::TestWithParam<Shape>
{
};

uint32_t
block_of(uint64_t tie)
{
	return static_cast<uint32_t>(tie >> 16);
}

/* What the base has at places first .. end - 1, removed or not. */
void
expect_base(const Page &page, uint32_t first, uint32_t end)
{
	const int words = page.node().words;
	const uint32_t from = first & ~63u;
	const uint32_t n = end - from;
	std::vector<uint64_t> ties(alex_place_count(page.data()));
	std::vector<uint64_t> bits(n / 64 + 1);
	Words column(n);
	uint64_t record[ALEX_MAX_RECORD_WORDS];
	uint32_t there = 0;
	uint32_t least = 0;
	uint32_t greatest = UINT32_MAX;

	alex_read_ties(page.data(), ties.data());
	alex_live_bits(page.data(), from, first, end, bits.data());
	const bool bounded = first < end && alex_block_bounds(page.data(), first, end, &least, &greatest);

	for (uint32_t i = from; i < end; i++)
	{
		const bool live = i >= first && ties[i] != 0;

		there += live;
		ASSERT_EQ(bits[(i - from) / 64] >> (i - from) % 64 & 1, live) << "place " << i;
		if (i < first)
			continue;
		alex_read(page.data(), i, record);
		if (bounded)
		{
			ASSERT_LE(least, block_of(record[words]));
			ASSERT_GE(greatest, block_of(record[words]));
		}
	}
	if (first < end)
	{
		uint32_t last = 0;

		for (uint32_t i = first; i < end; i++)
		{
			alex_read(page.data(), i, record);
			last = std::max(last, block_of(record[words]));
		}
		ASSERT_FALSE(alex_blocks_below(page.data(), first, end, last));
		ASSERT_TRUE(last == UINT32_MAX || alex_blocks_below(page.data(), first, end, last + 1));
	}
	ASSERT_EQ(alex_count_base(page.data(), first, end), there);
	for (int w = 0; w <= words; w++)
	{
		if (w < words)
			alex_read_base_words(page.data(), w, from, n, column.get());
		else
			alex_read_base_ties(page.data(), from, n, column.get());
		for (uint32_t i = 0; i < n; i++)
		{
			alex_read(page.data(), from + i, record);
			ASSERT_EQ(column.get()[i], record[w]);
		}
	}
	alex_read_base_words(page.data(), words, from, n, column.get());
	for (uint32_t i = 0; i < n; i++)
	{
		alex_read(page.data(), from + i, record);
		ASSERT_EQ(column.get()[i] >> ALEX_TID_BITS, record[words] >> ALEX_TID_BITS);
	}
}

void
expect_delta(const Page &page, const Records &records, Rng &rng)
{
	const int words = page.node().words;
	const auto stride = static_cast<size_t>(page.stride());
	uint64_t low[position_max];
	uint64_t high[position_max];

	interesting_position(records, words, rng, low);
	interesting_position(records, words, rng, high);
	if (alex_compare(low, high, words) > 0)
		std::swap_ranges(low, low + words + 1, high);

	/* all of the range, less what the base has of it */
	Words found(alex_delta_count(page.data()) * stride + 1);
	const uint32_t n = alex_collect_delta(page.data(), low, high, found.get());
	const uint32_t base = alex_count_base(page.data(), alex_lower_bound(page.data(), low), alex_lower_bound(page.data(), high));

	ASSERT_EQ(records.lower_bound(high, words) - records.lower_bound(low, words), base + n);
	for (uint32_t i = 0; i < n; i++)
	{
		const uint64_t *record = found.get() + i * stride;

		ASSERT_EQ(alex_compare(records[records.lower_bound(record, words)], record, words), 0);
		ASSERT_GE(alex_compare(record, low, words), 0);
		ASSERT_LT(alex_compare(record, high, words), 0);
	}
	ASSERT_EQ(alex_collect_delta(page.data(), fence(page.data(), alex_low_fence).data(), nullptr, found.get()), alex_delta_count(page.data()));
}

TEST_P(Answer, IsThatOfTheRecords)
{
	const Shape shape = GetParam();

	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
			for (const unsigned dead_share : {tids == Tids::varying ? 0U : 5U})
			{
				SCOPED_TRACE(std::string(set.name) + ", dead 1/" + std::to_string(dead_share));
				Rng rng(5);
				const size_t most = 100 + shape.page_size / 16;
				Node node = full_node(shape, sorted_records(set, shape, most, tids, rng), 5, rng);
				Page &page = node.page;
				Records records = node.records;

				if (dead_share > 0)
				{
					std::vector<uint64_t> ties(alex_place_count(page.data()));
					const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(ties.size());
					AlexRemoval removal;

					for (size_t i = 0; i < ties.size(); i++)
						dead[i] = below(rng, dead_share) == 0;
					if (!alex_can_remove(page.data(), dead.get()))
						continue;
					page.zero_hole();
					alex_remove(page.data(), dead.get(), &removal);
					Words left(static_cast<size_t>(alex_record_count(page.data())) * page.stride());
					records = Records(shape.stride());
					for (uint32_t i = 0, n = alex_decode(page.data(), left.get()); i < n; i++)
						records.add(left.get() + static_cast<size_t>(i) * page.stride());
				}
				for (int i = 0; i < 10; i++)
				{
					const uint32_t count = page.node().count;
					const auto first = static_cast<uint32_t>(i == 0 ? 0 : below(rng, count + 1));

					expect_base(page, first, i < 2 ? count : first + static_cast<uint32_t>(below(rng, count - first + 1)));
					expect_delta(page, records, rng);
				}
			}
}

std::vector<Shape>
leaf_shapes()
{
	std::vector<Shape> shapes = all_shapes();

	std::erase_if(shapes, [](const Shape &shape) { return shape.level > 0 || shape.words > 16; });
	return shapes;
}

INSTANTIATE_TEST_SUITE_P(Shapes, Answer, ::testing::ValuesIn(leaf_shapes()), [](const auto &info) { return shape_name(info.param); });

/* Rows in order: the bounds are those of their blocks. Random ones of a table: hardly more than it. */
TEST(AnswerBounds, AreNarrow)
{
	Rng rng(3);

	for (const bool random : {false, true})
	{
		constexpr uint32_t n = 600;
		constexpr uint32_t rows = 40;
		constexpr uint32_t blocks = 15; /* n / rows */
		Page page(8192);
		std::vector<uint64_t> records;
		const uint64_t low[2] = {0, 0};
		uint32_t least;
		uint32_t greatest;

		for (uint64_t i = 0; i < n; i++)
		{
			const uint64_t row = random ? below(rng, n) : i;

			records.push_back(i * 1000 + below(rng, 1000));
			records.push_back((row / rows) << 16 | (row % rows + 1));
		}
		alex_node_init(page.data(), page.size(), 1, 0, low, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
		ASSERT_TRUE(alex_node_store(page.data(), records.data(), n, 0));
		ASSERT_TRUE(alex_block_bounds(page.data(), 0, n, &least, &greatest));
		EXPECT_EQ(least, 0U);
		EXPECT_LE(greatest, random ? 3 * blocks : blocks - 1);
		if (random)
			continue;
		ASSERT_TRUE(alex_block_bounds(page.data(), 200, 240, &least, &greatest));
		EXPECT_EQ(least, 5U);
		EXPECT_EQ(greatest, 5U);
	}
}

TEST(AnswerMap, EveryRange)
{
	Rng rng(4);
	constexpr uint32_t blocks = 1024;

	for (int round = 0; round < 40; round++)
	{
		std::vector<uint8_t> map(blocks / 4);
		std::vector<bool> visible(blocks);

		for (uint32_t b = 0; b < blocks; b++)
		{
			visible[b] = round < 10 || below(rng, 200U << round % 4) != 0;
			map[b / 4] = static_cast<uint8_t>(map[b / 4] | (visible[b] | below(rng, 2) << 1) << b % 4 * 2);
		}
		for (int i = 0; i < 500; i++)
		{
			const auto from = static_cast<uint32_t>(below(rng, blocks));
			const auto to = from + 1 + static_cast<uint32_t>(below(rng, i % 2 ? blocks - from : std::min(blocks - from, 9U)));

			ASSERT_EQ(alex_map_visible_end(map.data(), from, to), std::find(visible.begin() + from, visible.begin() + to, false) - visible.begin())
				<< from << " to " << to;
		}
	}
}

TEST(AnswerSums, AreThoseOfTheWords)
{
	Rng rng(6);

	for (int round = 0; round < 200; round++)
	{
		const auto n = static_cast<uint32_t>(1 + below(rng, 300));
		const uint64_t mask = round % 2 ? ~UINT64_C(0) : 0xFFFFFFFF;
		const uint64_t flip = round % 3 ? 0 : mask;
		std::vector<uint64_t> words(n);
		std::vector<uint64_t> bits(n / 64 + 1);
		std::vector<uint64_t> values(n / 64 + 1);
		unsigned __int128 sum = 0;
		uint64_t least = UINT64_MAX;
		uint64_t greatest = 0;
		uint32_t count = 0;
		AlexSum total = {0, 0};
		uint64_t low = UINT64_MAX;
		uint64_t high = 0;

		for (uint64_t &word : bits)
			word = round % 5 == 0 ? ~UINT64_C(0) : rng();
		values = bits;
		for (uint32_t i = 0; i < n; i++)
		{
			words[i] = rng();
			if ((bits[i / 64] >> i % 64 & 1) == 0)
				continue;
			count++;
			sum += (words[i] & mask) ^ flip;
			least = std::min(least, (words[i] & mask) ^ flip);
			greatest = std::max(greatest, (words[i] & mask) ^ flip);
		}
		ASSERT_EQ(alex_count_bits(bits.data(), n), count);
		alex_add_words(words.data(), n, bits.data(), mask, flip, &total);
		ASSERT_EQ(total.low, static_cast<uint64_t>(sum));
		ASSERT_EQ(total.high, static_cast<uint64_t>(sum >> 64));
		alex_extreme_words(words.data(), n, bits.data(), mask, flip, &low, &high);
		ASSERT_EQ(low, least);
		ASSERT_EQ(high, greatest);

		const bool nulls_first = round % 7 == 0;
		alex_clear_nulls(words.data(), n, 33, nulls_first, values.data());
		for (uint32_t i = 0; i < n; i++)
			ASSERT_EQ(values[i / 64] >> i % 64 & 1, (bits[i / 64] >> i % 64 & 1) & ((words[i] >> 33 & 1) == nulls_first));
	}
}

} // namespace
