/*
 * split_test.cc - planning: how many records fit, where a node splits, separators; and sorting.
 */
#include <gtest/gtest.h>

#include <numeric>

#include "test_util.h"

using namespace alex_test;

namespace
{

class Planning : public ::testing::TestWithParam<Shape>
{
};

template <typename Test>
void
for_all_records(const Shape &shape, size_t n, const Test &test)
{
	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
		{
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids));
			Rng rng(1);
			const Records records = sorted_records(set, shape, n, tids, rng);

			ASSERT_NO_FATAL_FAILURE(test(records, rng));
		}
}

TEST_P(Planning, Fit)
{
	const Shape shape = GetParam();
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);

	for_all_records(shape, 1000 + shape.page_size / 8, [&](const Records &records, Rng &rng) {
		const auto total = static_cast<uint32_t>(records.size());

		for (const bool from_end : {false, true})
			for (int i = 0; i < (shape.page_size > 8192 ? 2 : 4); i++)
			{
				const uint32_t n = i == 0 ? total : 1 + static_cast<uint32_t>(below(rng, total));
				const uint32_t room = i < 2 ? capacity : capacity / 2 + static_cast<uint32_t>(below(rng, capacity / 2));
				const uint32_t guess = i % 2 == 0 ? 0 : static_cast<uint32_t>(below(rng, 2ULL * total));
				const uint32_t fits = alex_fit(records.data(), n, shape.words, shape.level, room, from_end, guess);
				const auto size = [&](uint32_t m) {
					return alex_encoded_size(from_end ? records[n - m] : records.data(), m, shape.words, shape.level);
				};

				SCOPED_TRACE("n " + std::to_string(n) + ", room " + std::to_string(room) + ", guess " + std::to_string(guess) +
							 (from_end ? ", from the end: " : ": ") + std::to_string(fits));
				ASSERT_GE(fits, 1U);
				ASSERT_LE(fits, n);
				ASSERT_LE(size(fits), room);

				/*
				 * Half a percent may be left. The size does not grow evenly: one more record moves all frames along, and the
				 * breaks of the line fall into other ones.
				 */
				const uint32_t longer = fits + fits / 128 + 2;
				ASSERT_TRUE(fits == n || longer > n || size(longer) + room / 8 > room) << size(longer);
				ASSERT_TRUE(fits == n || size(n) > room) << "all of them fit";

				Page page = empty_node(shape, records, from_end ? n - fits : 0, fits);
				ASSERT_TRUE(alex_node_store(page.data(), from_end ? records[n - fits] : records.data(), fits, capacity - room));
			}
	});
}

/* What a build stores: as many as fit, in the size they would have if stored by themselves. */
TEST_P(Planning, PlanNode)
{
	const Shape shape = GetParam();
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);
	std::vector<uint64_t> columns(static_cast<size_t>(ALEX_MAX_RECORDS) * shape.stride());
	std::vector<uint64_t> decoded(shape.scratch_words());

	for_all_records(shape, 1000 + shape.page_size / 4, [&](const Records &records, Rng &rng) {
		const auto total = static_cast<uint32_t>(records.size());

		for (int i = 0; i < (shape.page_size > 8192 ? 2 : 5); i++)
		{
			const uint32_t first = i == 0 ? 0 : static_cast<uint32_t>(below(rng, total));
			const uint32_t n = total - first;
			const uint32_t room = i % 2 == 0 ? capacity : capacity / 2 + static_cast<uint32_t>(below(rng, capacity / 2));
			const uint32_t guess = i == 0 ? 0 : static_cast<uint32_t>(below(rng, 2ULL * total));
			AlexPlan plan;

			alex_plan_node(records[first], n, shape.words, shape.level, room, guess, columns.data(), &plan);

			const uint32_t bytes = std::accumulate(plan.bytes, plan.bytes + shape.stride(), 0U);

			SCOPED_TRACE("n " + std::to_string(n) + ", room " + std::to_string(room) + ", guess " + std::to_string(guess) +
						 ": " + std::to_string(plan.n));
			ASSERT_GE(plan.n, 1U);
			ASSERT_LE(plan.n, n);
			ASSERT_LE(bytes, room);
			ASSERT_EQ(bytes, alex_encoded_size(records[first], plan.n, shape.words, shape.level));
			ASSERT_EQ(plan.n, alex_fit(records[first], n, shape.words, shape.level, room, false, guess));

			Page page = empty_node(shape, records, first, plan.n);
			ASSERT_TRUE(alex_node_store_planned(page.data(), &plan, columns.data()));
			/* words that the fences share have no column */
			if (page.node().shared == 0)
			{
				ASSERT_EQ(page.free_bytes(), capacity - bytes);
			}
			ASSERT_GE(page.free_bytes(), capacity - bytes);
			ASSERT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, decoded.data()), nullptr);

			Page same = empty_node(shape, records, first, plan.n);
			ASSERT_TRUE(alex_node_store(same.data(), records[first], plan.n, 0));
			ASSERT_EQ(page, same);
		}
	});

	AlexPlan none;
	alex_plan_node(nullptr, 0, shape.words, shape.level, capacity, 0, columns.data(), &none);
	ASSERT_EQ(none.n, 0U);
}

TEST_P(Planning, EncodedSize)
{
	const Shape shape = GetParam();

	EXPECT_EQ(alex_encoded_size(nullptr, 0, shape.words, shape.level), 0U);
	EXPECT_EQ(alex_fit(nullptr, 0, shape.words, shape.level, 100, false, 0), 0U);

	/* two records always fit, so no node is too small to split */
	Records worst(shape.stride());
	Rng rng(2);
	for (int i = 0; i < 2; i++)
	{
		uint64_t record[ALEX_MAX_RECORD_WORDS];

		std::generate(record, record + shape.stride(), rng);
		record[0] = i == 0 ? 0 : UINT64_MAX;
		record[shape.words] = tie_of(0xFFFFFFFE, 65535);
		worst.add(record);
	}
	EXPECT_LE(alex_encoded_size(worst.data(), 2, shape.words, shape.level),
			  alex_node_capacity(shape.words, shape.level, shape.page_size) / 2);
}

TEST_P(Planning, ChooseSplit)
{
	const Shape shape = GetParam();
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);

	for_all_records(shape, 1000 + shape.page_size / 8, [&](const Records &records, Rng &rng) {
		const auto total = static_cast<uint32_t>(records.size());
		const uint32_t fits = alex_fit(records.data(), total, shape.words, shape.level, capacity, false, 0);

		for (int i = 0; i < (shape.page_size > 8192 ? 2 : 5); i++)
		{
			/* a node that is full and gets one more; and any that needs two pages */
			const uint32_t n = std::min(total, i == 0 ? fits + 1 : 2 + static_cast<uint32_t>(below(rng, fits + fits / 2)));
			const Records part = records.slice(below(rng, total - n + 1), n);
			const auto size = [&](uint32_t from, uint32_t to) {
				return alex_encoded_size(part[from], to - from, shape.words, shape.level);
			};

			for (const bool append : {false, true})
			{
				SCOPED_TRACE("n " + std::to_string(n) + (append ? ", append" : ""));
				const uint32_t left = alex_choose_split(part.data(), n, shape.words, shape.level, capacity, append ? capacity : 0);

				ASSERT_LT(left, n);
				if (left == 0)
				{
					/* it may give up only if the plain middle does not do */
					ASSERT_TRUE(append || size(0, n / 2) > capacity || size(n / 2, n) > capacity);
					continue;
				}
				ASSERT_LE(size(0, left), capacity);
				ASSERT_LE(size(left, n), capacity);
				if (append)
					ASSERT_TRUE(left == n - 1 || size(0, std::min(n - 1, left + left / 128 + 2)) + capacity / 8 > capacity)
						<< "an append leaves room on the left: " << left;
				else if (size(0, n / 2) <= capacity && size(n / 2, n) <= capacity)
				{
					ASSERT_GE(left, n / 4);
					ASSERT_LE(left, n - n / 4);
				}
			}
		}
	});
}

TEST_P(Planning, SmallSplits)
{
	const Shape shape = GetParam();
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);
	Rng rng(3);
	const Records records = sorted_records(datasets()[0], shape, 6, Tids::random, rng);

	for (uint32_t n = 2; n <= 6; n++)
		for (const bool append : {false, true})
		{
			const uint32_t left = alex_choose_split(records.data(), n, shape.words, shape.level, capacity, append ? capacity : 0);

			EXPECT_GE(left, 1U);
			EXPECT_LT(left, n);
		}
}

TEST_P(Planning, Separators)
{
	const Shape shape = GetParam();
	const int words = shape.words;

	for_all_records(shape, 3000, [&](const Records &records, Rng &) {
		for (size_t i = 1; i < records.size(); i++)
		{
			const uint64_t *left = records[i - 1];
			const uint64_t *right = records[i];
			uint64_t separator[position_max];

			alex_make_separator(left, right, words, separator);
			ASSERT_LT(alex_compare(left, separator, words), 0);
			ASSERT_LE(alex_compare(separator, right, words), 0);

			/* words behind the first that differs are not needed */
			int differs = 0;
			while (left[differs] == right[differs])
				differs++;
			for (int w = differs + 1; w <= words; w++)
				ASSERT_EQ(separator[w], 0U);
		}
	});
}

int pauses;

/* Sorted in place whatever the passes were, for random and repeated keys, outliers, what is almost sorted, and ties. */
TEST(Sorting, AllStrides)
{
	Rng rng(5);

	for (const int stride : {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 23, ALEX_MAX_RECORD_WORDS})
		for (const size_t n : {0, 1, 2, 16, 17, 100, 128, 129, 300, 5000, 70000})
			for (int pattern = 0; pattern < 11; pattern++)
			{
				SCOPED_TRACE("stride " + std::to_string(stride) + ", n " + std::to_string(n) + ", pattern " + std::to_string(pattern));
				std::vector<uint64_t> words(n * stride);
				std::vector<uint64_t> spare(n * stride);
				std::vector<std::vector<uint64_t>> expected;

				for (size_t i = 0; i < n; i++)
					for (int w = 0; w < stride; w++)
						words[i * stride + w] = pattern == 0 ? rng() :
							pattern == 1					 ? below(rng, 3) :
							pattern == 2					 ? i :
							pattern == 3					 ? n - i :
							pattern == 4					 ? (w == 0 ? 7 : rng() >> below(rng, 64)) :
							pattern == 5					 ? (i == n / 2 ? UINT64_MAX : i ^ 5) :
							pattern == 6					 ? (w + 1 < stride ? below(rng, 2) : i) :
							pattern == 7					 ? i / 3 * 3 + (i + w) % 3 : /* almost in order */
							pattern == 8					 ? i + below(rng, 9) :
							pattern == 9					 ? (i + 1 == n ? 0 : i + below(rng, 5)) :
															   UINT64_MAX - (i % 2);
				for (size_t i = 0; i < n; i++)
					expected.emplace_back(&words[i * stride], &words[i * stride] + stride);
				std::sort(expected.begin(), expected.end());
				pauses = 0;
				alex_sort_records(words.data(), spare.data(), n, stride, [] { pauses++; });
				ASSERT_EQ(pauses > 0, n == 70000);
				for (size_t i = 0; i < n; i++)
					ASSERT_TRUE(std::equal(expected[i].begin(), expected[i].end(), &words[i * stride])) << "record " << i;
			}
}

INSTANTIATE_TEST_SUITE_P(Shapes, Planning, ::testing::ValuesIn(all_shapes()),
						 [](const auto &shape) { return shape_name(shape.param); });

} // namespace
