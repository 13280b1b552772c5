/*
 * policy_test.cc - what becomes of a node: merges, splits, and what is asked about before.
 */
#include <gtest/gtest.h>

#include <set>

#include "../alex_policy.h"
#include "test_util.h"

using namespace alex_test;

namespace
{

/* What is decided for one change of a node, step after step. */
class Change
{
public:
	explicit Change(const Page &page) : left(page.size()), right(page.size())
	{
		nodes.left = left.data();
		nodes.right = right.data();
		nodes.fitted = 0;
		nodes.words = page.node().words;
	}

	Page left;
	Page right;
	AlexNewNodes nodes = {};
};

Records
decoded(const Page &page)
{
	uint64_t *scratch = scratch_of(page.stride(), page.size());
	Records records(page.stride());
	const uint32_t n = alex_decode(page.data(), scratch);

	for (uint32_t i = 0; i < n; i++)
		records.add(scratch + static_cast<size_t>(i) * page.stride());
	return records;
}

/* A sound node, filled by a change. */
void
expect_sound(const Page &page, const Shape &shape, const uint64_t *low)
{
	const char *problem = alex_node_validate(page.data(), shape.words, shape.page_size, scratch_of(shape.stride(), shape.page_size));

	ASSERT_EQ(problem, nullptr) << problem;
	ASSERT_EQ(page.node().level, shape.level);
	ASSERT_EQ(alex_compare(fence(page.data(), alex_low_fence).data(), low, shape.words), 0) << "the low fence";
}

class Changing : public ::testing::TestWithParam<Shape>
{
protected:
	/* Makes "records" (of them "fresh" is new, or null) the content of a node and checks what comes of it. */
	void
	change(const Page &source, const Records &records, const uint64_t *fresh)
	{
		const Shape shape = GetParam();
		const int words = shape.words;
		Page page = source;
		Change step(page);
		Records gone_right(shape.stride());

		for (int steps = 0;; steps++)
		{
			ASSERT_LT(steps, 1000);
			/* what the node has, without what is to be removed, or the new record */
			Records had = decoded(page);
			Records wanted(shape.stride());

			for (size_t i = 0; i < had.size(); i++)
			{
				const size_t at = records.lower_bound(had[i], words);

				if (at < records.size() && alex_compare(records[at], had[i], words) == 0)
					wanted.add(had[i]);
			}
			const auto n = static_cast<uint32_t>(wanted.size());
			const uint64_t zeros[ALEX_MAX_RECORD_WORDS] = {};
			const uint32_t right_link = page.node().right;
			const uint32_t left_link = page.node().left;

			wanted.add(zeros); /* room for the new one */
			ASSERT_TRUE(alex_change_node(page.data(), wanted.data(), n, fresh, ALEX_DEFAULT_FILLFACTOR, &step.nodes));
			ASSERT_NO_FATAL_FAILURE(expect_sound(step.left, shape, fence(page.data(), alex_low_fence).data()));
			ASSERT_EQ(step.left.node().left, left_link);
			ASSERT_EQ(step.left.node().flags, page.node().flags);
			if (!step.nodes.split)
			{
				const uint32_t share = fresh == nullptr ? 0 : shape.level == 0 && right_link == ALEX_NO_BLOCK ? 8 : 32;

				ASSERT_FALSE(step.nodes.again || step.nodes.truncated);
				ASSERT_EQ(step.left.node().right, right_link);
				ASSERT_TRUE(share == 0 || step.left.free_bytes() >= shape.page_size / share);
				page = step.left;
				break;
			}
			splits_++;
			truncations_ += step.nodes.truncated;
			ASSERT_NO_FATAL_FAILURE(expect_sound(step.right, shape, step.nodes.separator));
			ASSERT_EQ(alex_compare(fence(step.left.data(), alex_high_fence).data(), step.nodes.separator, words), 0);
			ASSERT_EQ(step.right.node().right, right_link);
			ASSERT_TRUE(right_link == ALEX_NO_BLOCK ||
						alex_compare(fence(step.right.data(), alex_high_fence).data(), fence(page.data(), alex_high_fence).data(), words) == 0);
			ASSERT_TRUE(step.nodes.truncated || !step.nodes.again);

			const Records right = decoded(step.right);

			for (size_t i = 0; i < right.size(); i++)
				gone_right.insert(i, right[i]);
			step.left.node().right = 77; /* the caller's: where the right part is */
			page = step.left;
			if (!step.nodes.again)
				break;
		}
		merges_++;

		Records result = decoded(page);

		for (size_t i = 0; i < gone_right.size(); i++)
			result.add(gone_right[i]);
		ASSERT_TRUE(records.equals(result.data(), result.size()));
	}

	unsigned merges_ = 0;
	unsigned splits_ = 0;
	unsigned truncations_ = 0;
};

/* One record more, of nodes that are full and of nodes that are not. */
TEST_P(Changing, HoldsTheNewRecord)
{
	const Shape shape = GetParam();

	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
		{
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids));
			Rng rng(5);
			const Records all = sorted_records(set, shape, shape.page_size / 4, tids, rng);

			for (int i = 0; i < 6; i++)
			{
				const size_t some = i % 2 == 0 ? all.size() : 3 + below(rng, all.size() - 3);
				const size_t at = 1 + below(rng, i < 4 ? std::min<size_t>(some, 40) - 1 : some - 1);
				Records without = all.slice(0, some);

				without.erase(at);
				Node node = full_node(shape, without, i == 0 ? 0 : static_cast<unsigned>(below(rng, 8)), rng);
				if (node.records.size() <= at)
					continue;
				if (below(rng, 3) == 0)
					node.page.node().right = ALEX_NO_BLOCK;
				node.records.insert(at, all[at]);
				ASSERT_NO_FATAL_FAILURE(change(node.page, node.records, all[at])) << "record " << at;
			}
		}
	EXPECT_GT(merges_, 10U);
	EXPECT_GT(splits_, 1U);
}

/* Fewer records, which may need more room. */
TEST_P(Changing, HoldsWhatIsNotRemoved)
{
	const Shape shape = GetParam();

	for (const DataSet &set : sets_of(shape))
		for (const Tids tids : tids_of(set, shape))
		{
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids));
			Rng rng(6);
			const Node node = full_node(shape, sorted_records(set, shape, shape.page_size / 4, tids, rng), 9, rng);

			for (const uint64_t one_in : {1, 2, 5, 100})
			{
				Records kept(shape.stride());

				for (size_t i = 0; i < node.records.size(); i++)
					if (below(rng, one_in) != 0)
						kept.add(node.records[i]);
				ASSERT_NO_FATAL_FAILURE(change(node.page, kept, nullptr)) << "one in " << one_in;
			}
		}
	EXPECT_GT(merges_, 10U);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Changing, ::testing::ValuesIn(all_shapes()),
						 [](const auto &shape) { return shape_name(shape.param); });

/* A leaf of n serial keys, whose TIDs are anywhere. */
Page
serial_leaf(uint32_t n, bool last, Rng &rng)
{
	const uint64_t low[2] = {0, 0};
	const uint64_t high[2] = {2 * n, 0};
	Page page(8192);
	Records records(2);

	alex_node_init(page.data(), 8192, 1, 0, low, last ? nullptr : high, 7, last ? ALEX_NO_BLOCK : 9);
	for (uint64_t i = 0; i < n; i++)
	{
		const uint64_t record[2] = {i, tie_of(below(rng, UINT32_MAX), 1 + below(rng, 200))};

		records.add(record);
	}
	if (!alex_node_store(page.data(), records.data(), n, 0))
		throw std::logic_error("a leaf of serial keys is too long");
	return page;
}

TEST(Policy, LinesThatBreakNeedSteps)
{
	const uint64_t low[2] = {0, 0};
	Page page(8192);
	Records records(2);

	alex_node_init(page.data(), 8192, 1, 0, low, nullptr, 7, ALEX_NO_BLOCK);
	for (uint64_t i = 0; i < 39000; i++)
	{
		const uint64_t record[2] = {i, tie_of(i / 100, i % 100 + 1)};

		records.add(record);
	}
	ASSERT_TRUE(alex_node_store(page.data(), records.data(), 39000, 0));

	/* half of them go, anywhere: what is left lies on no line any more */
	const auto dead = [](const uint64_t *record) { return mix(record[0]) % 2 == 0; };
	Change change(page);
	uint32_t stored = 0;
	int step = 0;

	for (change.nodes.again = true; change.nodes.again; step++)
	{
		const uint32_t before = change.nodes.fitted;
		const Records had = decoded(page);
		Records kept(2);

		ASSERT_LT(step, 20);
		for (size_t i = 0; i < had.size(); i++)
			if (!dead(had[i]))
				kept.add(had[i]);
		ASSERT_TRUE(alex_change_node(page.data(), kept.data(), static_cast<uint32_t>(kept.size()), nullptr, ALEX_DEFAULT_FILLFACTOR,
									 &change.nodes));
		ASSERT_TRUE(change.nodes.split);
		ASSERT_EQ(change.nodes.again, change.nodes.truncated);
		ASSERT_TRUE(step == 0 || !change.nodes.again || change.nodes.fitted > before / 2) << "what fitted is no guess for the next step";
		stored += alex_record_count(change.right.data());
		change.left.node().right = 77;
		page = change.left;
	}
	EXPECT_GT(step, 2);
	uint32_t living = 0;
	for (size_t i = 0; i < records.size(); i++)
		living += !dead(records[i]);
	EXPECT_EQ(stored + alex_record_count(page.data()), living);
}

TEST(Policy, DeltaLimit)
{
	Rng rng(1);
	const uint64_t low[2] = {0, 0};
	Page inner(8192);

	alex_node_init(inner.data(), 8192, 1, 1, low, nullptr, 7, ALEX_NO_BLOCK);
	EXPECT_EQ(alex_delta_limit(inner.data()), 64U);
	EXPECT_EQ(alex_delta_limit(serial_leaf(10, true, rng).data()), 512U);
	EXPECT_EQ(alex_delta_limit(serial_leaf(10, false, rng).data()), 256U);
	EXPECT_EQ(alex_delta_limit(serial_leaf(800, false, rng).data()), 256U + 50);
}

/* Keys that grow leave nodes filled as asked; others split in the middle. */
TEST(Policy, FillFactor)
{
	const uint32_t full = 1590; /* 5 bytes each */

	for (const int fillfactor : {50, 90, 97})
		for (const bool last : {true, false})
		{
			Rng rng(2);
			const Page page = serial_leaf(full, last, rng);
			const uint64_t fresh[2] = {full, 1};
			Records records = decoded(page);
			Change change(page);

			records.add(fresh);
			ASSERT_TRUE(alex_change_node(page.data(), records.data(), full, fresh, fillfactor, &change.nodes));
			ASSERT_TRUE(change.nodes.split);
			const double share = alex_record_count(change.left.data()) / (full + 1.0);
			const double filled = 1 - static_cast<double>(change.left.free_bytes()) / alex_node_capacity(1, 0, 8192);

			EXPECT_NEAR(last ? filled : share, last ? fillfactor / 100.0 : 0.5, last ? 0.03 : 0.13);
		}
}

/* Keys that grow are merged behind the base, and so much stays free that merges do not come ever more often. */
TEST(Policy, Append)
{
	Rng rng(3);
	Page page = serial_leaf(600, true, rng);
	Change change(page);
	uint64_t fresh[2] = {600, 1};
	int merged = 0;

	while (alex_change_append(page.data(), fresh, 0, &change.nodes))
	{
		ASSERT_FALSE(change.nodes.split || change.nodes.again);
		ASSERT_GE(change.left.free_bytes(), 8192U / 8);
		ASSERT_EQ(alex_record_count(change.left.data()), fresh[0] + 1);
		page = change.left;
		fresh[0]++;
		merged++;
	}
	EXPECT_GT(merged, 100);

	/* where some of it is dead it has to be written anew */
	page = serial_leaf(640, true, rng);
	fresh[0] = 640;
	EXPECT_TRUE(alex_change_append(page.data(), fresh, 640 / 32, &change.nodes));
	EXPECT_FALSE(alex_change_append(page.data(), fresh, 640 / 32 + 1, &change.nodes));
	fresh[0] = 639;
	fresh[1] = 1;
	EXPECT_FALSE(alex_change_append(page.data(), fresh, 0, &change.nodes)) << "this is before the last key";
}

/* A leaf with marks has room for them afterwards. */
TEST(Policy, MarksHaveRoom)
{
	Rng rng(4);

	for (const bool last : {false, true})
	{
		Page page = serial_leaf(700, last, rng);
		Records records = decoded(page);
		const uint64_t fresh[2] = {5, 1};
		Change change(page);

		EXPECT_FALSE(alex_should_purge(page.data(), false));
		EXPECT_TRUE(alex_should_purge(page.data(), true));
		ASSERT_TRUE(alex_kill(page.data(), records[10]));
		EXPECT_TRUE(alex_should_purge(page.data(), false));
		records.add(fresh);
		ASSERT_TRUE(alex_change_node(page.data(), records.data(), 700, fresh, 97, &change.nodes));
		ASSERT_FALSE(change.nodes.split);
		EXPECT_GE(change.left.free_bytes(), 8192U / 8 + (last ? 0 : 700 / 8));
	}
}

TEST(Policy, RecordsThatFitNowhere)
{
	/* a record whose frames alone need more than the page */
	const int words = 8;
	const uint64_t low[ALEX_MAX_FIXED_WORDS + 1] = {};
	Page page(256);
	Change change(page);
	uint64_t record[ALEX_MAX_RECORD_WORDS * 2] = {1, 2, 3, 4, 5};

	alex_node_init(page.data(), 256, words, 0, low, nullptr, 7, ALEX_NO_BLOCK);
	change.nodes.words = words;
	EXPECT_FALSE(alex_change_node(page.data(), record, 0, record + ALEX_MAX_RECORD_WORDS, 97, &change.nodes));
}

/* ---- purging ---- */

/* Records of a leaf of one word: keys, blocks, and whether they are marked or NULL. */
struct Entry
{
	uint64_t key;
	uint64_t block;
	bool marked;
	bool null;
};

Records
entries_of(const std::vector<Entry> &entries)
{
	Records records(2);

	for (size_t i = 0; i < entries.size(); i++)
	{
		const Entry &e = entries[i];
		const uint64_t record[2] = {e.key, tie_of(e.block, 1 + i % 200) | (e.marked ? ALEX_KILLED : 0) | (e.null ? ALEX_EXT_BIT : 0)};

		records.add(record);
	}
	return records;
}

std::vector<uint32_t>
marked_of(const Records &records)
{
	std::vector<uint32_t> places(ALEX_MOST_CANDIDATES);

	places.resize(alex_pick_marked(records.data(), static_cast<uint32_t>(records.size()), 1, places.data()));
	return places;
}

std::vector<uint32_t>
duplicates_of(const Records &records, const uint64_t *record)
{
	std::vector<uint32_t> places(ALEX_MOST_CANDIDATES);

	places.resize(alex_pick_duplicates(records.data(), static_cast<uint32_t>(records.size()), 1, record, places.data()));
	return places;
}

using Places = std::vector<uint32_t>;

TEST(Purge, MarkedFirstThenTheirBlocks)
{
	const Records records = entries_of({{1, 5, false, false}, {2, 7, true, false}, {3, 8, false, false}, {4, 5, true, false}, {5, 7, false, false}});

	EXPECT_EQ(marked_of(records), (Places{1, 3, 0, 4}));
	EXPECT_EQ(marked_of(entries_of({{1, 5, false, false}})), Places{});
	EXPECT_EQ(marked_of(Records(2)), Places{});
}

TEST(Purge, DuplicatesOfTheKeyFirstThenOthers)
{
	const Records records = entries_of({{1, 1, false, false}, {1, 2, false, false}, {2, 3, false, false}, {3, 4, false, false},
										{4, 5, false, false}, {4, 6, false, false}, {5, 7, false, false}, {5, 8, false, true}});
	const uint64_t third[2] = {3, 1};
	const uint64_t other[2] = {9, 1};
	const uint64_t null[2] = {5, ALEX_EXT_BIT};

	EXPECT_EQ(duplicates_of(records, third), (Places{3, 0, 1, 4, 5})) << "one alone may be an earlier version, too";
	EXPECT_EQ(duplicates_of(records, other), (Places{0, 1, 4, 5})) << "NULL is another key";
	EXPECT_EQ(duplicates_of(records, null), (Places{7, 0, 1, 4, 5}));
}

TEST(Purge, NoMoreThanCanBeAskedAbout)
{
	std::vector<Entry> entries;
	const uint64_t own[2] = {1, 1};

	for (uint64_t i = 0; i < 3000; i++)
		entries.push_back({i / 1500, i % 3, i % 2 == 0, false});

	const Records records = entries_of(entries);

	for (const Places &places : {marked_of(records), duplicates_of(records, own)})
	{
		EXPECT_EQ(places.size(), static_cast<size_t>(ALEX_MOST_CANDIDATES));
		EXPECT_EQ(std::set<uint32_t>(places.begin(), places.end()).size(), places.size()) << "one is asked about twice";
	}
	EXPECT_EQ(duplicates_of(records, own)[0], 1500U);
}

TEST(Purge, DuplicatesOnlyIfMarksGaveLittle)
{
	EXPECT_TRUE(alex_should_purge_duplicates(320, 320));
	EXPECT_TRUE(alex_should_purge_duplicates(320, 301));
	EXPECT_FALSE(alex_should_purge_duplicates(320, 300));
	EXPECT_FALSE(alex_should_purge_duplicates(3, 0));
}

} // namespace
