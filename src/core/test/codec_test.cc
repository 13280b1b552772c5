/*
 * codec_test.cc - what alex_node_store() puts on a page comes back, from every reading function.
 */
#include <gtest/gtest.h>

#include "test_util.h"

using namespace alex_test;

namespace
{

class Codec : public ::testing::TestWithParam<Shape>
{
};

void
expect_content(const Page &page, const Records &expected, uint32_t page_size, Rng &rng)
{
	const AlexNodeHeader &node = page.node();
	const Shape shape{node.words, node.level, page_size};
	const auto n = static_cast<uint32_t>(expected.size());
	const int stride = shape.stride();
	uint64_t *scratch = scratch_of(stride, page_size);
	uint64_t record[ALEX_MAX_RECORD_WORDS];

	ASSERT_STREQ(alex_node_problem(page.data(), shape.words, page_size), nullptr);
	ASSERT_STREQ(alex_node_validate(page.data(), shape.words, page_size, scratch), nullptr);
	ASSERT_EQ(node.count, n);
	ASSERT_EQ(alex_delta_count(page.data()), 0U);
	ASSERT_EQ(alex_record_count(page.data()), n);
	ASSERT_EQ(alex_decode(page.data(), scratch), n);
	ASSERT_TRUE(expected.equals(scratch, n));
	for (uint32_t i = 0; i < n; i++)
	{
		alex_read(page.data(), i, record);
		ASSERT_TRUE(std::equal(record, record + stride, expected[i])) << "record " << i << " of " << n;
	}
	for (int i = 0; i < 20; i++)
	{
		const auto first = static_cast<uint32_t>(below(rng, n + 1));
		const auto m = static_cast<uint32_t>(below(rng, i % 2 == 0 ? n - first + 1 : std::min(n - first + 1, 70U)));
		Words out(static_cast<size_t>(m) * stride);

		alex_read_range(page.data(), first, m, out.get());
		ASSERT_TRUE(expected.slice(first, m).equals(out.get(), m)) << "records " << first << " + " << m;
	}
}

/* Stores the first n records; checks sizes, content, and that the hole's bytes do not matter. */
void
expect_roundtrip(const Shape &shape, const Records &records, uint32_t n, Rng &rng)
{
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);
	const Records stored = records.slice(0, n);
	const uint32_t size = alex_encoded_size(stored.data(), n, shape.words, shape.level);
	Page page = empty_node(shape, records, 0, std::max(n, 1U));

	SCOPED_TRACE(n);
	/* what the fences have in common has no column, which is not known before there are fences */
	ASSERT_GE(page.free_bytes(), capacity);
	ASSERT_LE(size, capacity);

	const uint32_t empty = page.free_bytes();

	ASSERT_TRUE(alex_node_store(page.data(), stored.data(), n, capacity - size));

	const uint32_t left = page.free_bytes();

	if (page.node().shared == 0)
	{
		ASSERT_EQ(empty - left, size);
	}
	ASSERT_LE(empty - left, size);
	page = empty_node(shape, records, 0, std::max(n, 1U));

	/* one byte more of reserve and the node stays as it was */
	page.node().flags = ALEX_INCOMPLETE_SPLIT;
	Page before = page;
	ASSERT_FALSE(alex_node_store(page.data(), stored.data(), n, left + 1));
	ASSERT_EQ(page, before);
	ASSERT_TRUE(alex_node_store(page.data(), stored.data(), n, left));
	ASSERT_EQ(page.free_bytes(), left);
	ASSERT_LE(page.head().pd_lower, page.head().pd_upper);
	ASSERT_EQ(page.node().flags, ALEX_INCOMPLETE_SPLIT);
	ASSERT_EQ(page.node().level, shape.level);
	ASSERT_EQ(page.node().words, shape.words);
	ASSERT_EQ(page.node().left, before.node().left);
	ASSERT_EQ(page.node().right, before.node().right);
	ASSERT_EQ(fence(page.data(), alex_low_fence), fence(before.data(), alex_low_fence));
	if (page.node().right != ALEX_NO_BLOCK)
	{
		ASSERT_EQ(fence(page.data(), alex_high_fence), fence(before.data(), alex_high_fence));
	}
	ASSERT_NO_FATAL_FAILURE(expect_content(page, stored, shape.page_size, rng));
	page.scribble_hole(rng);
	ASSERT_NO_FATAL_FAILURE(expect_content(page, stored, shape.page_size, rng));

	/* over an older, larger base, and with a reserve */
	ASSERT_TRUE(alex_node_store(page.data(), stored.data(), n / 2, 8));
	ASSERT_GE(page.free_bytes(), 8U);
	ASSERT_NO_FATAL_FAILURE(expect_content(page, stored.slice(0, n / 2), shape.page_size, rng));
}

TEST_P(Codec, RoundTrip)
{
	const Shape shape = GetParam();
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);

	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
		{
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids));
			Rng rng(1);
			const Records records = sorted_records(set, shape, 2000 + shape.page_size / 8, tids, rng);
			const uint32_t fits = alex_fit(records.data(), static_cast<uint32_t>(records.size()), shape.words,
										   shape.level, capacity, false, 0);

			ASSERT_GE(fits, 1U);
			ASSERT_LE(fits, records.size());
			for (const uint32_t n : {0U, 1U, 2U, 3U, 63U, 64U, 65U, 127U, 129U, 1000U})
			{
				if (n >= fits || below(rng, 4) != 0)
					continue;
				ASSERT_NO_FATAL_FAILURE(expect_roundtrip(shape, records, n, rng));
			}
			ASSERT_NO_FATAL_FAILURE(expect_roundtrip(shape, records, fits, rng));
		}
}

/* Rows in order cost nothing, so only the bound on rewrites limits the node. */
TEST_P(Codec, LargestNode)
{
	const Shape shape = GetParam();
	Rng rng(2);
	Records records(shape.stride());

	for (uint64_t i = 0; i <= ALEX_MAX_RECORDS; i++)
	{
		uint64_t record[ALEX_MAX_RECORD_WORDS] = {};

		record[shape.words - 1] = image(static_cast<int64_t>(i) - 1000);
		record[shape.words] = shape.level > 0 ? 0 : tie_of(i / 100, i % 100 + 1);
		if (shape.level > 0)
			record[shape.words + 1] = i;
		records.add(record);
	}
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);
	Page page = empty_node(shape, records, 0, ALEX_MAX_RECORDS);

	ASSERT_EQ(alex_fit(records.data(), ALEX_MAX_RECORDS + 1, shape.words, shape.level, capacity, false, 0),
			  static_cast<uint32_t>(ALEX_MAX_RECORDS));
	ASSERT_EQ(alex_fit(records.data(), ALEX_MAX_RECORDS + 1, shape.words, shape.level, capacity, true, 0),
			  static_cast<uint32_t>(ALEX_MAX_RECORDS));
	ASSERT_TRUE(alex_node_store(page.data(), records.data(), ALEX_MAX_RECORDS, 0));
	expect_content(page, records.slice(0, ALEX_MAX_RECORDS), shape.page_size, rng);

	const Page before = page;
	EXPECT_FALSE(alex_node_store(page.data(), records.data(), ALEX_MAX_RECORDS + 1, 0));
	EXPECT_EQ(page, before);
}

/* Whatever was in the memory before, an initialised node is empty and valid. */
TEST_P(Codec, InitOverwritesGarbage)
{
	const Shape shape = GetParam();
	std::vector<uint64_t> scratch(shape.scratch_words());
	uint64_t low[position_max] = {5, 5, 5, 5, 5};
	uint64_t high[position_max] = {5, 5, 5, 5, 6};
	Rng rng(3);
	Page page(shape.page_size);

	high[shape.words] = 6;
	for (uint32_t i = 0; i < shape.page_size; i++)
		page.bytes()[i] = static_cast<uint8_t>(rng());
	alex_node_init(page.data(), shape.page_size, shape.words, shape.level, low, high, 3, 4);
	EXPECT_STREQ(alex_node_problem(page.data(), shape.words, shape.page_size), nullptr);
	EXPECT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, scratch.data()), nullptr);
	EXPECT_EQ(alex_record_count(page.data()), 0U);
	EXPECT_EQ(page.node().left, 3U);
	EXPECT_EQ(page.node().right, 4U);
	EXPECT_EQ(page.node().level, shape.level);
	EXPECT_EQ(page.node().flags, 0);
	EXPECT_GE(page.free_bytes(), alex_node_capacity(shape.words, shape.level, shape.page_size));
	EXPECT_EQ(page.head().pd_special, shape.page_size - ALEX_SPECIAL_SIZE);
	EXPECT_EQ(alex_compare(fence(page.data(), alex_low_fence).data(), low, shape.words), 0);
	EXPECT_EQ(alex_compare(fence(page.data(), alex_high_fence).data(), high, shape.words), 0);
	EXPECT_EQ(alex_fence_side(page.data(), low), 0);
	EXPECT_EQ(alex_fence_side(page.data(), high), 1);
	step_position(low, shape.words, false);
	EXPECT_EQ(alex_fence_side(page.data(), low), -1);

	alex_node_init(page.data(), shape.page_size, shape.words, shape.level, low, nullptr, 3, ALEX_NO_BLOCK);
	EXPECT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, scratch.data()), nullptr);
	std::fill(high, high + position_max, UINT64_MAX);
	EXPECT_EQ(alex_fence_side(page.data(), high), 0);
}

/* Any width of residuals, at any place in a frame. */
TEST(CodecWidths, AllWidths)
{
	const Shape shape{1, 0, 8192};
	Rng rng(4);

	for (int width = 0; width <= 64; width++)
	{
		SCOPED_TRACE(width);
		Records records(2);
		std::vector<uint64_t> keys(700);

		for (auto &key : keys)
			key = width == 0 ? 9 : rng() >> (64 - width);
		keys[0] = 0;
		keys[1] = width == 0 ? 9 : UINT64_MAX >> (64 - width);
		std::sort(keys.begin(), keys.end());
		for (size_t i = 0; i < keys.size(); i++)
		{
			const uint64_t record[2] = {keys[i], tie_of(i, 1 + mix(i) % 65535)};

			records.add(record);
		}
		ASSERT_NO_FATAL_FAILURE(expect_roundtrip(shape, records, 200, rng));
		ASSERT_NO_FATAL_FAILURE(expect_roundtrip(
			shape, records,
			alex_fit(records.data(), 700, 1, 0, alex_node_capacity(1, 0, 8192), false, 0), rng));
	}
}

/* The corners of the tie: greatest block and offset, with and without the ext bit. */
TEST(CodecTies, Corners)
{
	for (const int words : {1, 2, 5, ALEX_MAX_FIXED_WORDS})
	{
		const Shape shape{words, 0, 8192};
		Records records(shape.stride());
		uint64_t record[position_max] = {};
		Rng rng(5);

		for (const uint64_t ext : {UINT64_C(0), ALEX_EXT_BIT})
			for (const uint64_t block : {UINT64_C(0), UINT64_C(1), UINT64_C(0x7FFFFFFF), UINT64_C(0xFFFFFFFE), UINT64_C(0xFFFFFFFF)})
				for (const uint64_t offset : {1, 2, 291, 65534, 65535})
				{
					record[words] = ext | tie_of(block, offset);
					records.add(record);
				}
		for (uint32_t n = 1; n <= records.size(); n++)
			ASSERT_NO_FATAL_FAILURE(expect_roundtrip(shape, records, n, rng));
	}
}

INSTANTIATE_TEST_SUITE_P(Shapes, Codec, ::testing::ValuesIn(all_shapes()),
						 [](const auto &shape) { return shape_name(shape.param); });

} // namespace
