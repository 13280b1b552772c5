/*
 * append_test.cc - alex_node_append: the merge of keys that grow, against a full rewrite of the same records.
 */
#include <gtest/gtest.h>

#include "test_util.h"

using namespace alex_test;

namespace
{

class Append : public ::testing::TestWithParam<Shape>
{
};

/*
 * Splits sorted records into a base, a delta and one new record behind it, appends, and compares with what went in. Base
 * lengths around multiples of every frame length are tried, since the last frame is continued.
 */
TEST_P(Append, HoldsBaseDeltaAndRecord)
{
	const Shape shape = GetParam();
	unsigned appended = 0;
	unsigned refused = 0;

	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
		{
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids));
			Rng rng(7);
			const Records records = sorted_records(set, shape, 3000, tids, rng);
			const auto total = static_cast<uint32_t>(records.size());

			for (const uint32_t base : {1U, 2U, 63U, 64U, 65U, 127U, 128U, 129U, 255U, 256U, 257U, 1023U, 1024U, 2500U})
				for (const uint32_t delta : {0U, 1U, 17U, 200U})
				{
					if (base + delta + 1 > total)
						continue;
					Page source = empty_node(shape, records, 0, total);
					bool room = alex_node_store(source.data(), records.data(), base, 0);

					for (uint32_t i = 0; i < delta && room; i++) /* backwards: the delta is unsorted */
						room = add_fresh(source, records[base + delta - 1 - i]);
					if (!room)
						continue;
					source.scribble_hole(rng);

					Page page = empty_node(shape, records, 0, total);
					const Page untouched = page;

					SCOPED_TRACE("base " + std::to_string(base) + ", delta " + std::to_string(delta));
					if (!alex_node_append(page.data(), source.data(), records[base + delta], 16))
					{
						ASSERT_EQ(page, untouched);
						refused++;
						continue;
					}
					appended++;
					uint64_t *scratch = scratch_of(shape.stride(), shape.page_size);
					const char *problem = alex_node_validate(page.data(), shape.words, shape.page_size, scratch);

					ASSERT_EQ(problem, nullptr) << problem;
					ASSERT_GE(page.free_bytes(), 16U);
					ASSERT_EQ(alex_delta_count(page.data()), 0U);
					ASSERT_TRUE(records.slice(0, base + delta + 1).equals(scratch, alex_decode(page.data(), scratch)));
					for (uint32_t i = 0; i < base + delta + 1; i += 1 + i / 8)
						ASSERT_EQ(alex_lower_bound(page.data(), records[i]), i);
				}
		}
	/* the test would be empty if everything were refused */
	ASSERT_GT(appended, refused / 8);
	ASSERT_GT(appended, 20U);
}

TEST_P(Append, RefusesRecordsWithinTheBase)
{
	const Shape shape = GetParam();
	Rng rng(3);
	const Records records = sorted_records(all_sets(shape.words)[0], shape, 40, Tids::random, rng);
	Records base(shape.stride());

	for (size_t i = 0; i < 20; i++)
		base.add(records[i]);
	base.add(records[21]);

	Page source = empty_node(shape, records, 0, records.size());
	Page page = source;

	ASSERT_TRUE(alex_node_store(source.data(), base.data(), static_cast<uint32_t>(base.size()), 0));
	EXPECT_FALSE(alex_node_append(page.data(), source.data(), records[20], 0));
}

/* Truncation leaves bits of dropped records in the last word; what is appended must not be mixed with them. */
TEST_P(Append, BehindATruncation)
{
	const Shape shape = GetParam();
	Rng rng(11);
	unsigned appended = 0;

	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
		{
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids));
			const Records records = sorted_records(set, shape, 600, tids, rng);
			const auto total = static_cast<uint32_t>(records.size());

			for (uint32_t n : {40U, 100U, 333U, 500U})
			{
				if (n + 1 >= total)
					continue;
				const uint32_t cut = 1 + static_cast<uint32_t>(below(rng, n - 1));
				Page source = empty_node(shape, records, 0, total);
				Page truncated = source;
				Page page = source;
				Records expected = records.slice(0, cut);

				if (!alex_node_store(source.data(), records.data(), n, 0))
					continue;
				alex_node_truncate(truncated.data(), source.data(), records[cut]);
				/* the record put behind is a later one, so its residual differs from the one dropped */
				if (!alex_node_append(page.data(), truncated.data(), records[n], 0))
					continue;
				expected.add(records[n]);
				appended++;
				uint64_t *scratch = scratch_of(shape.stride(), shape.page_size);

				ASSERT_TRUE(expected.equals(scratch, alex_decode(page.data(), scratch))) << "n " << n << ", cut " << cut;
			}
		}
	ASSERT_GT(appended, 5U);
}

/* What the append is for: a full line of keys and rows costs no space and no rewrite. */
TEST(AppendLine, TakesNoSpace)
{
	Records records(2);

	for (uint64_t i = 0; i < 30000; i++)
	{
		const uint64_t record[] = {1000 + i, (i / 100) << 16 | (i % 100 + 1)};

		records.add(record);
	}
	const Shape shape{1, 0, 8192};
	Page source = empty_node(shape, records, 0, records.size());

	ASSERT_TRUE(alex_node_store(source.data(), records.data(), 29700, 0));
	const uint32_t free_before = source.free_bytes();
	for (size_t i = 29700; i < 29999; i++)
		ASSERT_TRUE(add_fresh(source, records[i]));

	Page page = empty_node(shape, records, 0, records.size());

	ASSERT_TRUE(alex_node_append(page.data(), source.data(), records[29999], 0));
	EXPECT_EQ(page.free_bytes(), free_before);
	EXPECT_EQ(page.node().count, 30000U);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Append, ::testing::ValuesIn(all_shapes()),
						 [](const auto &info) { return shape_name(info.param); });

} // namespace
