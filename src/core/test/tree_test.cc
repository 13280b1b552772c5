/*
 * tree_test.cc - random operations on a tree of core pages against std::map, for every data set.
 *
 * ALEX_TEST_SEED chooses other operations, ALEX_TEST_SCALE multiplies their number.
 */
#include <gtest/gtest.h>

#include <map>

#include "test_tree.h"

using namespace alex_test;

namespace
{

const uint64_t scale = env_number("ALEX_TEST_SCALE", 1);
const uint64_t seed = env_number("ALEX_TEST_SEED", 1);

using Position = std::vector<uint64_t>;

/* Levels a tree of n records may have; a node holds at least this many children. */
int
highest(size_t n, int words, uint32_t page_size)
{
	const double fanout = std::max(3.0, alex_node_capacity(words, 1, page_size) / (8.0 * (words + 2)) / 3);

	return 2 + static_cast<int>(std::ceil(std::log(static_cast<double>(n) + 1) / std::log(fanout)));
}

class Oracle
{
public:
	Oracle(int words, uint32_t page_size, uint32_t delta_limit, Rng &rng)
		: tree(words, page_size, delta_limit), words_(words), page_size_(page_size), rng_(rng)
	{
	}

	void
	insert(const uint64_t *record)
	{
		const Position position(record, record + words_ + 1);

		if (!rows_.emplace(position, order_.size()).second)
			return; /* deleted and inserted again: fine; present: the caller of the core sees to that */
		order_.push_back(position);
		tree.insert(record);
	}

	void
	erase_any()
	{
		if (order_.empty())
			return;
		const size_t at = below(rng_, order_.size());
		const Position position = order_[at];

		forget(position);
		ASSERT_TRUE(tree.erase(position.data()));
		ASSERT_FALSE(tree.contains(position.data()));
	}

	/* Deletes a run of neighbours. */
	void
	erase_run(size_t n)
	{
		if (order_.empty())
			return;
		auto from = rows_.find(order_[below(rng_, order_.size())]);

		for (; n > 0 && from != rows_.end(); n--)
		{
			const Position position = (from++)->first;

			forget(position);
			ASSERT_TRUE(tree.erase(position.data()));
		}
	}

	void
	lookup()
	{
		Position position(words_ + 1);

		any_position(position.data());
		if (position == Position(words_ + 1, UINT64_MAX))
			return;
		ASSERT_EQ(tree.contains(position.data()), rows_.count(position) == 1);
		ASSERT_EQ(tree.erase(position.data()), rows_.count(position) == 1);
		if (rows_.count(position) == 1)
			tree.insert(position.data());
	}

	void
	range()
	{
		Position low(words_ + 1);
		Position high(words_ + 1);
		const bool backward = below(rng_, 2) == 0;
		const bool open = below(rng_, 4) == 0;
		const size_t limit = below(rng_, 3) == 0 ? 300 : 1 + below(rng_, 20);

		any_position(low.data());
		any_position(high.data());
		if (high < low && below(rng_, 8) != 0)
			std::swap(low, high);

		const Records found =
			tree.scan(low.data(), open ? nullptr : high.data(), backward, limit, 1 + static_cast<uint32_t>(below(rng_, 100)));
		auto from = rows_.lower_bound(low);
		auto to = open ? rows_.end() : rows_.lower_bound(std::max(low, high));
		size_t i = 0;

		for (; i < limit && from != to; i++)
		{
			const Position &expected = backward ? (--to)->first : (from++)->first;

			ASSERT_LT(i, found.size()) << "the range ends early";
			ASSERT_TRUE(std::equal(expected.begin(), expected.end(), found[i])) << "record " << i << " of the range";
		}
		ASSERT_EQ(found.size(), i);
	}

	void
	vacuum(uint64_t one_in)
	{
		std::vector<Position> gone;
		const uint64_t salt = rng_();
		const auto dead = [&](const uint64_t *record) {
			return mix(record[words_] ^ mix(record[words_ - 1] ^ salt)) % one_in == 0;
		};

		for (const auto &[position, at] : rows_)
			if (dead(position.data()))
				gone.push_back(position);
		ASSERT_EQ(tree.vacuum(dead), gone.size());
		for (const Position &position : gone)
			forget(position);
	}

	/* The whole tree, both ways. */
	void
	compare()
	{
		const Position zeros(words_ + 1, 0);

		ASSERT_EQ(tree.validate(), rows_.size());
		ASSERT_LE(tree.height(), highest(rows_.size() + erased_, words_, page_size_));
		for (const bool backward : {false, true})
		{
			const Records found = tree.scan(zeros.data(), nullptr, backward, SIZE_MAX, 1000);
			size_t i = 0;

			ASSERT_EQ(found.size(), rows_.size());
			for (const auto &[position, at] : rows_)
			{
				ASSERT_TRUE(std::equal(position.begin(), position.end(), found[backward ? found.size() - 1 - i : i]));
				i++;
			}
		}
	}

	Tree tree;

private:
	void
	forget(const Position &position)
	{
		const auto row = rows_.find(position);

		rows_.find(order_.back())->second = row->second;
		order_[row->second] = order_.back();
		order_.pop_back();
		rows_.erase(position);
		erased_++;
	}

	void
	any_position(uint64_t *position)
	{
		Records near(words_ + 1);

		for (int i = 0; i < 3 && !order_.empty(); i++)
			near.add(order_[below(rng_, order_.size())].data());
		interesting_position(near, words_, rng_, position);
		/* no record has a tie beyond the ext bit */
		if (position[words_] >= 2 * ALEX_EXT_BIT)
			position[words_] = UINT64_MAX;
	}

	int words_;
	uint32_t page_size_;
	Rng &rng_;
	std::map<Position, size_t> rows_; /* with its place in order_ */
	std::vector<Position> order_;
	size_t erased_ = 0;
};

struct Case
{
	DataSet set;
	int words;
};

class TreeProperty : public ::testing::TestWithParam<Case>
{
};

std::vector<Case>
all_cases()
{
	std::vector<Case> cases;

	for (const int words : {1, 2, 3, 5})
		for (const DataSet &set : all_sets(words))
			cases.push_back({set, words});
	/* all of them would take long, and hardly differ in so many words */
	for (const DataSet &set : wide_sets())
		cases.push_back({set, ALEX_MAX_FIXED_WORDS});
	cases.push_back({datasets()[0], ALEX_MAX_FIXED_WORDS});
	cases.push_back({breakers()[0], ALEX_MAX_FIXED_WORDS});
	return cases;
}

/* A page of 1 kB makes high trees of few records, but has no room for very many words. */
uint32_t
page_for(int words, uint32_t page_size)
{
	return words > 8 ? std::max(page_size, 8192U) : page_size;
}

TEST_P(TreeProperty, RandomOperations)
{
	const auto [set, words] = GetParam();
	static const uint32_t page_sizes[] = {1024, 8192, 1024, 1024};
	static const uint32_t delta_limits[] = {0, 1, 16, 64, UINT32_MAX};

	for (uint64_t round = 0; round < 2; round++)
	{
		const uint64_t case_seed = mix(seed + 1000 * round + static_cast<uint64_t>(words));
		Rng rng(case_seed ^ mix(static_cast<uint64_t>(set.name[1] << 8 | set.name[3])));
		const uint32_t page_size = page_for(words, page_sizes[(below(rng, 2) + 2 * round) % 4]);
		const uint32_t delta_limit = delta_limits[below(rng, 5)];
		const Tids tids = all_tids[below(rng, 5)];
		const size_t n = (words > 8 ? 400 : page_size == 1024 ? 1500 : 3000) * scale;
		const Records records = arriving_records(set, words, n, tids, rng);
		Oracle oracle(words, page_size, delta_limit, rng);

		SCOPED_TRACE("ALEX_TEST_SEED=" + std::to_string(seed) + ", round " + std::to_string(round) + ", TIDs " + tids_name(tids) +
					 ", pages of " + std::to_string(page_size) + ", delta " + std::to_string(delta_limit));
		try
		{
			for (size_t i = 0; i < records.size(); i++)
			{
				oracle.insert(records[i]);
				const uint64_t die = below(rng, 100);

				if (die < 10)
					oracle.erase_any();
				else if (die < 20)
					oracle.lookup();
				else if (die < 25)
					oracle.range();
				if (below(rng, 400) == 0)
					oracle.erase_run(below(rng, 100));
				ASSERT_FALSE(HasFatalFailure()) << "operation " << i;
				if (i == n / 2 || i == n / 4 * 3)
				{
					ASSERT_NO_FATAL_FAILURE(oracle.compare());
					ASSERT_NO_FATAL_FAILURE(oracle.vacuum(2 + below(rng, 3)));
					ASSERT_NO_FATAL_FAILURE(oracle.compare());
				}
			}
			ASSERT_NO_FATAL_FAILURE(oracle.compare());
			ASSERT_NO_FATAL_FAILURE(oracle.vacuum(1));
			ASSERT_NO_FATAL_FAILURE(oracle.compare());
			for (size_t i = 0; i < records.size() / 8; i++)
				oracle.insert(records[i]);
			ASSERT_NO_FATAL_FAILURE(oracle.compare());
		}
		catch (const std::logic_error &error)
		{
			FAIL() << error.what();
		}
	}
}

/* Built from sorted records, then changed. */
TEST_P(TreeProperty, BuildThenChange)
{
	const auto [set, words] = GetParam();
	Rng rng(seed + static_cast<uint64_t>(words));
	const size_t n = (words > 8 ? 1000 : 4000) * scale;
	const Tids tids = all_tids[below(rng, 5)];
	const Records records = sorted_records(set, {words, 0, 8192}, n, tids, rng);
	const Records late = arriving_records(set, words, n / 8, Tids::random, rng);
	Tree tree(words, page_for(words, 1024), 8);

	SCOPED_TRACE("ALEX_TEST_SEED=" + std::to_string(seed) + ", TIDs " + tids_name(tids));
	try
	{
		tree.build(records, 100);
		ASSERT_EQ(tree.validate(), records.size());
		for (size_t i = 0; i < records.size(); i += 7)
			ASSERT_TRUE(tree.contains(records[i]));
		size_t added = 0;
		for (size_t i = 0; i < late.size(); i++)
			if (!tree.contains(late[i]))
			{
				tree.insert(late[i]);
				added++;
			}
		ASSERT_EQ(tree.validate(), records.size() + added);
	}
	catch (const std::logic_error &error)
	{
		FAIL() << error.what();
	}
}

INSTANTIATE_TEST_SUITE_P(Sets, TreeProperty, ::testing::ValuesIn(all_cases()), [](const auto &set) {
	return std::string(set.param.set.name) + "_w" + std::to_string(set.param.words);
});

/* Rows of a serial key with 100 rows in every block: they take next to nothing, whatever the page. */
uint64_t
serial_record(uint64_t i, uint64_t *record)
{
	record[0] = image(static_cast<int64_t>(i));
	return record[1] = tie_of(i / 100, i % 100 + 1);
}

/*
 * A node of 40,000 rows on a line, and a row that ends the line for all of them: its heap offset is larger than any
 * before, so that the TIDs are numbered anew. What was a few bytes needs many pages.
 */
TEST(TreeSteps, LineBreaksForTheWholeNode)
{
	uint64_t truncations = 0;

	for (const uint32_t page_size : {1024U, 8192U})
		for (const uint64_t at : {0, 777, 20000, 39000})
			for (const uint64_t offset : {101, 291, 60000})
			{
				SCOPED_TRACE("page " + std::to_string(page_size) + ", row " + std::to_string(at) + ", offset " +
							 std::to_string(offset));
				Tree tree(1, page_size, 4);
				Records records(2);
				uint64_t record[2];

				for (uint64_t i = 0; i < 39000; i++)
				{
					serial_record(i, record);
					records.add(record);
				}
				tree.build(records, page_size / 8);
				ASSERT_EQ(tree.leaves(), 1U);
				for (uint64_t i = 0; i < 10; i++)
				{
					serial_record(at, record);
					record[1] = tie_of(500 + i, offset);
					tree.insert(record);
					ASSERT_TRUE(tree.contains(record));
				}
				ASSERT_EQ(tree.validate(), records.size() + 10);
				truncations += tree.counts().truncations;
				for (size_t i = 0; i < records.size(); i += 11)
					ASSERT_TRUE(tree.contains(records[i])) << i;
			}
	EXPECT_GT(truncations, 0U) << "nothing of this needed a split in several steps";
}

/* Deleting makes room in a page of pointers, not in one of lines: what is left over may need more. */
TEST(TreeSteps, DeletesBreakTheLine)
{
	uint64_t truncations = 0;

	for (const uint32_t page_size : {1024U, 8192U})
		for (const uint64_t one_in : {2, 3, 17, 1000})
		{
			SCOPED_TRACE("page " + std::to_string(page_size) + ", one in " + std::to_string(one_in));
			Tree tree(1, page_size, 4);
			Records records(2);
			std::vector<size_t> victims;
			uint64_t record[2];
			const auto dead = [&](const uint64_t *r) { return mix(r[0] + one_in) % one_in == 0; };

			for (uint64_t i = 0; i < 39000; i++)
			{
				serial_record(i, record);
				records.add(record);
				if (dead(record))
					victims.push_back(i);
			}
			tree.build(records, 0);
			ASSERT_EQ(tree.leaves(), 1U);
			if (one_in == 1000)
			{
				for (const size_t i : victims)
					ASSERT_TRUE(tree.erase(records[i]));
			}
			else
				ASSERT_EQ(tree.vacuum(dead), victims.size());
			ASSERT_EQ(tree.validate(), records.size() - victims.size());
			truncations += tree.counts().truncations;
			for (size_t i = 0; i < records.size(); i += 11)
				ASSERT_EQ(tree.contains(records[i]), !dead(records[i])) << i;
		}
	EXPECT_GT(truncations, 0U) << "nothing of this needed a split in several steps";
}

/*
 * What a tree of one-by-one inserts may take, in bytes per key: a third above what it takes, and below nbtree's 20 in key
 * order and 28 in random order. At this size every page counts: the smallest tree of two levels is 1.2 bytes per key.
 */
struct Bound
{
	const char *set;
	Tids tids;
	double bytes;
};

TEST(TreeSpace, InsertedOneByOne)
{
	static const Bound bounds[] = {
		{"bigserial", Tids::fixed, 1.3},	 {"bigserial", Tids::varying, 1.7}, {"bigserial", Tids::random, 9},
		{"all_equal", Tids::fixed, 1.3},	 {"all_equal", Tids::random, 8},	{"equal2000", Tids::fixed, 14},
		{"full_range", Tids::fixed, 20},	 {"outlier", Tids::fixed, 1.3},		{"beyond_double", Tids::fixed, 1.3},
		{"reverse", Tids::fixed, 1.3},		 {"clustered", Tids::fixed, 14},	{"uniform", Tids::fixed, 20},
		{"lognormal", Tids::fixed, 14},		 {"zipf", Tids::fixed, 8},			{"timestamp", Tids::fixed, 2.5},
		{"piecewise", Tids::fixed, 2.5},	 {"distinct1000", Tids::fixed, 8},	{"exponential", Tids::fixed, 9},
		{"extremes", Tids::fixed, 4},
	};
	const size_t n = 20000 * scale;

	for (const Bound &bound : bounds)
		for (const DataSet &set : all_sets(1))
		{
			if (std::string(set.name) != bound.set)
				continue;
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(bound.tids));
			Rng rng(seed);
			Tree tree(1, 8192, UINT32_MAX);
			const Records records = arriving_records(set, 1, n, bound.tids, rng);

			for (size_t i = 0; i < records.size(); i++)
				tree.insert(records[i]);
			ASSERT_EQ(tree.validate(), records.size());
			const double bytes = static_cast<double>(tree.bytes()) / static_cast<double>(n);

			if (std::getenv("ALEX_TEST_VERBOSE") != nullptr)
				std::printf("%-14s %-10s %6.2f bytes/key, height %d, appends %lu, merges %lu, splits %lu, truncations %lu\n", set.name,
							tids_name(bound.tids), bytes, tree.height(), tree.counts().appends, tree.counts().merges, tree.counts().splits,
							tree.counts().truncations);
			EXPECT_LE(bytes, bound.bytes);
			EXPECT_LE(tree.height(), highest(n, 1, 8192));
		}
}

} // namespace
