/*
 * search_test.cc - searching one node against plain searches of its decoded records.
 */
#include <gtest/gtest.h>

#include "../exponential_search.h"
#include "test_util.h"

using namespace alex_test;

namespace
{

class Search : public ::testing::TestWithParam<Shape>
{
};

class SearchInner : public ::testing::TestWithParam<Shape>
{
};

/* Calls test(node, rng) on nodes of all data sets, with nothing, a few and many records in the delta. */
template <typename Test>
void
for_all_nodes(const Shape &shape, const Test &test)
{
	unsigned turn = 0;

	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
			for (const unsigned delta_share : {0U, 50U, 4U})
			{
				if (turn++ % 2 == 1 && delta_share > 0)
					continue;
				SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids) + ", delta 1/" + std::to_string(delta_share));
				Rng rng(delta_share + 1);
				const size_t n = shape.page_size == 1024 ? 1 + below(rng, 300) : shape.page_size / 4;
				const Records records = sorted_records(set, shape, n, tids, rng);
				const Node node = full_node(shape, records, delta_share, rng);

				ASSERT_NO_FATAL_FAILURE(test(node, rng));
			}
}

TEST_P(Search, LowerBound)
{
	const Shape shape = GetParam();

	for_all_nodes(shape, [&](const Node &node, Rng &rng) {
		Records base(shape.stride());
		uint64_t record[ALEX_MAX_RECORD_WORDS];
		uint64_t position[position_max];
		const auto check = [&] {
			ASSERT_EQ(alex_lower_bound(node.page.data(), position), base.lower_bound(position, shape.words))
				<< position[0] << " " << position[shape.words];
		};

		for (uint32_t i = 0; i < node.page.node().count; i++)
		{
			alex_read(node.page.data(), i, record);
			base.add(record);
		}
		for (size_t i = 0; i < base.size(); i += 1 + base.size() / 200)
		{
			std::copy(base[i], base[i] + shape.words + 1, position);
			ASSERT_NO_FATAL_FAILURE(check());
		}
		for (int i = 0; i < 300; i++)
		{
			interesting_position(node.records, shape.words, rng, position);
			ASSERT_NO_FATAL_FAILURE(check());
		}
	});
}

TEST_P(SearchInner, FindChild)
{
	const Shape shape = GetParam();

	for_all_nodes(shape, [&](const Node &node, Rng &rng) {
		for (int i = 0; i < 400; i++)
		{
			uint64_t position[position_max];
			uint64_t separator[position_max];

			interesting_position(node.records, shape.words, rng, position);
			if (alex_fence_side(node.page.data(), position) != 0)
				continue;

			/* the last separator at or before the position */
			size_t child = node.records.lower_bound(position, shape.words);
			if (child == node.records.size() || alex_compare(node.records[child], position, shape.words) > 0)
				child--;
			const uint64_t *expected = node.records[child];
			ASSERT_EQ(alex_find_child(node.page.data(), position, separator), expected[shape.words + 1]);
			ASSERT_EQ(alex_compare(separator, expected, shape.words), 0);
			ASSERT_EQ(alex_find_child(node.page.data(), position, nullptr), expected[shape.words + 1]);
		}
	});
}

/* A private copy of the separators is searched as the node itself is, wherever the search begins. */
TEST_P(SearchInner, FindSeparator)
{
	const Shape shape = GetParam();

	for_all_nodes(shape, [&](const Node &node, Rng &rng) {
		const auto n = static_cast<uint32_t>(node.records.size());
		std::vector<uint64_t> separators;

		for (uint32_t i = 0; i < n; i++)
			separators.insert(separators.end(), node.records[i], node.records[i] + shape.words + 1);
		for (int i = 0; i < 200; i++)
		{
			uint64_t position[position_max];

			interesting_position(node.records, shape.words, rng, position);
			size_t expected = node.records.lower_bound(position, shape.words);
			if (expected == n || (expected > 0 && alex_compare(node.records[expected], position, shape.words) > 0))
				expected--;
			const auto guess = static_cast<uint32_t>(i < 2 ? (i == 0 ? 0 : n - 1) : below(rng, n));
			ASSERT_EQ(alex_find_separator(separators.data(), n, shape.words, position, guess), expected) << guess;
		}
	});
}

TEST_P(SearchInner, FindChildOfNodeWithoutOne)
{
	const Shape shape = GetParam();
	const uint64_t zeros[position_max] = {};
	uint64_t record[ALEX_MAX_RECORD_WORDS];
	Page page(shape.page_size);

	std::fill_n(record, ALEX_MAX_RECORD_WORDS, 1);
	alex_node_init(page.data(), shape.page_size, shape.words, 1, zeros, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
	EXPECT_EQ(alex_find_child(page.data(), zeros, nullptr), ALEX_NO_BLOCK);
	ASSERT_TRUE(alex_node_store(page.data(), record, 1, 0));
	EXPECT_EQ(alex_find_child(page.data(), zeros, nullptr), ALEX_NO_BLOCK);
	EXPECT_EQ(alex_find_child(page.data(), record, nullptr), 1U);
}

/* On a line the model is right to a slot, however many records and wherever they lie. */
TEST_P(Search, PredictsLines)
{
	const Shape shape = GetParam();

	for (const uint64_t start : {UINT64_C(0), UINT64_C(1) << 62, UINT64_MAX - 70000000})
		for (const uint64_t gap : {1, 3, 1000})
			for (const uint32_t n : {1U, 2U, 100U, 40000U})
			{
				Records records(shape.stride());
				Page page(shape.page_size);
				uint64_t record[ALEX_MAX_RECORD_WORDS] = {};

				for (uint64_t i = 0; i < n; i++)
				{
					record[shape.words - 1] = start + i * gap;
					record[shape.words] = shape.level > 0 ? 0 : tie_of(i / 100, i % 100 + 1);
					if (shape.level > 0)
						record[shape.words + 1] = i;
					records.add(record);
				}
				page = empty_node(shape, records, 0, n);
				ASSERT_TRUE(alex_node_store(page.data(), records.data(), n, 0));
				for (uint32_t i = 0; i < n; i += 1 + n / 50)
				{
					ASSERT_LE(alex_predict(page.data(), records[i]), i + 1) << n << " from " << start << " by " << gap;
					ASSERT_GE(alex_predict(page.data(), records[i]) + 1, i) << n << " from " << start << " by " << gap;
				}
				std::fill(record, record + ALEX_MAX_RECORD_WORDS, 0);
				ASSERT_LT(alex_predict(page.data(), record), n);
				std::fill(record, record + ALEX_MAX_RECORD_WORDS, UINT64_MAX);
				ASSERT_LT(alex_predict(page.data(), record), n);
			}
}

/* One call of alex_collect() against the oracle; the array is exactly as large as promised to be enough. */
void
expect_collect(const Node &node, const uint64_t *low, const uint64_t *high, bool backward, uint32_t max)
{
	const int words = node.page.node().words;
	const int stride = node.page.stride();
	const size_t first = node.records.lower_bound(low, words);
	const size_t end = std::max(first, high != nullptr ? node.records.lower_bound(high, words) : node.records.size());
	const size_t in_range = end - first;
	const size_t n = std::min<size_t>(in_range, max);
	const size_t room = std::min<size_t>(max, node.records.size()) + alex_delta_count(node.page.data());
	Words out(room * stride);
	bool more = n == in_range; /* the wrong answer, so that leaving it alone shows */

	ASSERT_EQ(alex_collect(node.page.data(), low, high, backward, max, out.get(), &more), n);
	ASSERT_EQ(more, n < in_range);
	for (size_t i = 0; i < n; i++)
	{
		const uint64_t *expected = node.records[backward ? end - 1 - i : first + i];

		ASSERT_TRUE(std::equal(expected, expected + stride, out.get() + i * stride)) << "record " << i << " of " << n;
	}
}

TEST_P(Search, Collect)
{
	const Shape shape = GetParam();

	for_all_nodes(shape, [&](const Node &node, Rng &rng) {
		const uint64_t zeros[position_max] = {};
		const auto all = static_cast<uint32_t>(node.records.size());

		for (const bool backward : {false, true})
		{
			for (const uint32_t max : {1U, 2U, std::max(all, 2U) - 1, all, all + 1, UINT32_MAX / 2})
			{
				SCOPED_TRACE("whole node, at most " + std::to_string(max));
				ASSERT_NO_FATAL_FAILURE(expect_collect(node, zeros, nullptr, backward, max));
			}
			for (int i = 0; i < 60; i++)
			{
				uint64_t low[position_max];
				uint64_t high[position_max];

				interesting_position(node.records, shape.words, rng, low);
				if (i % 2 == 0)
					interesting_position(node.records, shape.words, rng, high);
				else
				{
					/* a narrow range: up to ten records on */
					const size_t at = node.records.lower_bound(low, shape.words) + below(rng, 10);

					std::copy_n(at < node.records.size() ? node.records[at] : low, shape.words + 1, high);
				}
				if (i % 8 < 6 && alex_compare(low, high, shape.words) > 0)
					std::swap_ranges(low, low + shape.words + 1, high);
				const auto max = static_cast<uint32_t>(1 + below(rng, i % 3 == 0 ? all + 1 : 6));
				SCOPED_TRACE((backward ? "backward, " : "forward, ") + std::to_string(max));
				ASSERT_NO_FATAL_FAILURE(expect_collect(node, low, i % 16 == 15 ? nullptr : high, backward, max));
			}
		}
	});
}

/* Small nodes: every pair of bounds and every max. */
TEST_P(Search, CollectEveryMax)
{
	const Shape shape = GetParam();
	Rng rng(7);

	for (const unsigned delta_share : {0U, 2U, 1U})
	{
		Rng data(8);
		const Records records = sorted_records(datasets()[0], shape, 9, Tids::fixed, data);
		const Node node = full_node(shape, records, delta_share, rng);
		const size_t n = node.records.size();

		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j <= n; j++)
				for (uint32_t max = 1; max <= n + 1; max++)
					for (const bool backward : {false, true})
						ASSERT_NO_FATAL_FAILURE(
							expect_collect(node, node.records[i], j < n ? node.records[j] : nullptr, backward, max));
	}
}

TEST_P(Search, EmptyNode)
{
	const Shape shape = GetParam();
	const Records none(shape.stride());
	const uint64_t zeros[position_max] = {};
	Rng rng(9);
	const Node node{empty_node(shape, none, 0, 0), none};

	for (int i = 0; i < 50; i++)
	{
		uint64_t position[position_max];

		interesting_position(none, shape.words, rng, position);
		EXPECT_EQ(alex_lower_bound(node.page.data(), position), 0U);
		expect_collect(node, position, nullptr, i % 2 == 0, 5);
		expect_collect(node, zeros, position, i % 2 == 0, 5);
	}
}

/*
 * A search takes as many comparisons as the logarithm of what the prediction is off, whatever is compared: runs of equal words, as in a
 * page of many small tenants, are not walked through.
 */
TEST(ExponentialSearch, ComparesALogarithmOfTheDistance)
{
	Rng rng(3);

	for (int i = 0; i < 20000; i++)
	{
		const auto n = static_cast<uint32_t>(1 + below(rng, UINT64_C(1) << below(rng, 17)));
		const auto place = static_cast<uint32_t>(below(rng, n + 1));
		const auto guess = static_cast<uint32_t>(below(rng, n));
		const double distance = 1 + std::abs(static_cast<double>(place) - static_cast<double>(guess));
		int comparisons = 0;

		ASSERT_EQ(alex::exponential_search(n, guess, [&](uint32_t at) {
			comparisons++;
			return at < place;
		}), place);
		ASSERT_LE(comparisons, 2 * std::log2(distance) + 3) << n << ", " << place << " from " << guess;
	}
}

INSTANTIATE_TEST_SUITE_P(Shapes, Search, ::testing::ValuesIn(all_shapes()),
						 [](const auto &shape) { return shape_name(shape.param); });
INSTANTIATE_TEST_SUITE_P(Shapes, SearchInner, ::testing::ValuesIn(inner_shapes()),
						 [](const auto &shape) { return shape_name(shape.param); });

} // namespace
