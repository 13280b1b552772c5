/*
 * removed_test.cc - removing records of a leaf in place, against an array without them.
 */
#include <gtest/gtest.h>

#include <set>

#include "../alex_policy.h"
#include "test_util.h"

using namespace alex_test;

namespace
{

class Removed : public ::testing::TestWithParam<Shape>
{
};

/* For every place of a leaf: which of the sorted records is there. */
std::vector<size_t>
places_of(const Page &page, const Records &records)
{
	const int words = page.node().words;
	std::vector<uint64_t> ties(alex_place_count(page.data()));
	std::vector<size_t> places(ties.size(), SIZE_MAX);
	std::vector<bool> in_base(records.size());
	uint64_t record[ALEX_MAX_RECORD_WORDS];

	EXPECT_EQ(alex_read_ties(page.data(), ties.data()), ties.size());
	for (size_t i = 0; i < page.node().count; i++)
	{
		alex_read(page.data(), static_cast<uint32_t>(i), record);
		const size_t at = records.lower_bound(record, words);

		if (ties[i] == 0)
			continue;
		EXPECT_EQ(alex_compare(records[at], record, words), 0);
		EXPECT_EQ(ties[i], record[words]);
		places[i] = at;
		in_base[at] = true;
	}
	/* the delta has the others; equal ties of different keys may stand for each other */
	for (size_t i = page.node().count; i < ties.size(); i++)
		for (size_t at = 0; at < records.size(); at++)
			if (!in_base[at] && records[at][words] == ties[i])
			{
				places[i] = at;
				in_base[at] = true;
				break;
			}
	EXPECT_EQ(std::count(places.begin(), places.end(), SIZE_MAX) - (std::ptrdiff_t) std::count(ties.begin(), ties.end(), UINT64_C(0)), 0);
	return places;
}

void
expect_same(const Page &page, const Records &records, Rng &rng)
{
	const int words = page.node().words;
	const int stride = page.stride();
	const auto n = static_cast<uint32_t>(records.size());
	Words decoded(static_cast<size_t>(n) * stride);

	ASSERT_STREQ(alex_node_validate(page.data(), words, page.size(), scratch_of(stride, page.size())), nullptr);
	ASSERT_EQ(alex_record_count(page.data()), n);
	ASSERT_EQ(alex_decode(page.data(), decoded.get()), n);
	ASSERT_TRUE(records.equals(decoded.get(), n));
	for (int i = 0; i < 40; i++)
	{
		uint64_t low[position_max];
		uint64_t high[position_max];
		const bool backward = i % 2 == 0;

		interesting_position(records, words, rng, low);
		interesting_position(records, words, rng, high);
		if (alex_compare(low, high, words) > 0)
			std::swap_ranges(low, low + words + 1, high);

		const bool bounded = i % 5 != 0;
		const size_t first = records.lower_bound(low, words);
		const size_t end = bounded ? records.lower_bound(high, words) : n;
		const size_t max = i < 4 ? n + 1 : 1 + below(rng, i % 3 == 0 ? n + 1 : 6);
		const size_t expected = std::min(end - first, max);
		Words out((max + alex_delta_count(page.data())) * stride);
		bool more = expected == end - first;

		ASSERT_EQ(alex_collect(page.data(), low, bounded ? high : nullptr, backward, static_cast<uint32_t>(max), out.get(), &more), expected);
		ASSERT_EQ(more, expected < end - first);
		for (size_t j = 0; j < expected; j++)
		{
			const uint64_t *record = records[backward ? end - 1 - j : first + j];

			ASSERT_TRUE(std::equal(record, record + stride, out.get() + j * stride)) << "record " << j << " of " << expected;
		}
	}
}

/*
 * Several rounds of removals, the changes of each replayed on a copy with marks of its own; and after each what a
 * writer goes on to do.
 */
TEST_P(Removed, LeavesTheOthers)
{
	const Shape shape = GetParam();
	unsigned in_place = 0;
	unsigned refused = 0;

	for (const DataSet &set : sets_of(shape))
		for (const unsigned delta_share : {0U, 5U, 1U})
			for (const unsigned dead_share : {2U, 7U, 40U})
			{
				SCOPED_TRACE(std::string(set.name) + ", delta 1/" + std::to_string(delta_share) + ", dead 1/" + std::to_string(dead_share));
				Rng rng(21);
				const size_t most = 100 + shape.page_size / 16;
				const Records all = sorted_records(set, shape, most + 50, tids_of(set, shape)[0], rng);
				Node node = full_node(shape, all.slice(0, std::min(most, all.size())), delta_share, rng);
				Page &page = node.page;
				Records &records = node.records;

				page.zero_hole();
				for (int round = 0; round < 4 && records.size() > 0; round++)
				{
					const std::vector<size_t> places = places_of(page, records);
					const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(places.size());
					std::set<size_t> gone;

					for (size_t i = 0; i < places.size(); i++)
					{
						dead[i] = places[i] != SIZE_MAX && below(rng, dead_share) == 0;
						if (dead[i])
							gone.insert(places[i]);
					}
					if (!alex_can_remove(page.data(), dead.get()))
					{
						refused++;
						break;
					}
					in_place++;

					/* hints are there before, here and where it is replayed, and lost */
					for (size_t i = 0; i < records.size(); i += 1 + below(rng, 20))
						alex_kill(page.data(), records[i]);
					Page replayed = page;
					for (size_t i = 0; i < records.size(); i += 1 + below(rng, 20))
						alex_kill(replayed.data(), records[i]);

					AlexRemoval removal;
					alex_remove(page.data(), dead.get(), &removal);
					ASSERT_LE(removal.n, 4);
					for (int i = 0; i < removal.n; i++)
						std::memcpy(replayed.bytes() + removal.changes[i].offset, page.bytes() + removal.changes[i].offset, removal.changes[i].length);
					replayed.zero_hole();
					ASSERT_EQ(replayed, page) << "a removal changes bytes it does not tell, or leaves marks behind";

					Records kept(shape.stride());
					for (size_t i = 0; i < records.size(); i++)
						if (!gone.contains(i))
							kept.add(records[i]);
					const Records before = records;
					records = kept;
					ASSERT_NO_FATAL_FAILURE(expect_same(page, records, rng));

					/* what is removed cannot be marked, and may come again, to be marked then */
					std::vector<size_t> again;
					for (const size_t i : gone)
					{
						ASSERT_FALSE(alex_kill(page.data(), before[i]));
						if (below(rng, 4) == 0 && add_fresh(page, before[i]))
						{
							records.insert(records.lower_bound(before[i], shape.words), before[i]);
							again.push_back(i);
						}
					}
					uint32_t changed = 0;
					for (const size_t i : again)
						changed += alex_kill(page.data(), before[i]);
					/* and some that lie right before a removed one */
					for (const size_t i : gone)
						if (i > 0 && !gone.contains(i - 1) && below(rng, 2) == 0)
							changed += alex_kill(page.data(), before[i - 1]);
					/* the first without room changes the page, too */
					const uint32_t marked = alex_killed_count(page.data());
					ASSERT_TRUE(marked == changed || marked + 1 == changed);
					if (marked > 0)
					{
						Records copy = records;

						ASSERT_EQ(alex_mark_killed(page.data(), copy.data(), static_cast<uint32_t>(copy.size())), marked);
						/* neither these nor what was removed */
						Records living(shape.stride());
						for (size_t i = 0; i < copy.size(); i++)
							if ((copy[i][shape.words] & ALEX_KILLED) == 0)
								living.add(copy[i]);
						for (const bool backward : {false, true})
						{
							std::vector<uint64_t> out((records.size() + alex_delta_count(page.data())) * shape.stride());
							bool more;
							const uint32_t n = alex_collect_living(page.data(), fence(page.data(), alex_low_fence).data(), nullptr, backward, static_cast<uint32_t>(records.size()), out.data(), &more);

							ASSERT_EQ(n, living.size());
							ASSERT_FALSE(more);
							for (uint32_t i = 0; i < n; i++)
								ASSERT_EQ(alex_compare(out.data() + static_cast<size_t>(i) * shape.stride(), living[backward ? n - 1 - i : i], shape.words), 0);
						}
						for (size_t first = 0; first + 5 < living.size(); first += 1 + living.size() / 50)
						{
							std::vector<uint64_t> out((4 + alex_delta_count(page.data())) * shape.stride());
							bool more;

							ASSERT_EQ(alex_collect_living(page.data(), living[first], living[first + 5], false, 4, out.data(), &more), 4);
							ASSERT_TRUE(more);
							for (uint32_t i = 0; i < 4; i++)
								ASSERT_EQ(alex_compare(out.data() + static_cast<size_t>(i) * shape.stride(), living[first + i], shape.words), 0);
						}
					}
					ASSERT_NO_FATAL_FAILURE(expect_same(page, records, rng));

					if (records.size() < 2)
						break;

					/* a split without encoding */
					const size_t keep = 1 + below(rng, records.size() - 1);
					Page left(shape.page_size);
					alex_node_truncate(left.data(), page.data(), records[keep]);
					left.node().right = 77;
					ASSERT_NO_FATAL_FAILURE(expect_same(left, records.slice(0, keep), rng));

					/* and the merges */
					Page merged = empty_node(shape, records, 0, records.size());
					alex_node_successor(merged.data(), page.data());
					const uint64_t *last = records[records.size() - 1];
					uint64_t next[ALEX_MAX_RECORD_WORDS];
					std::copy_n(last, shape.stride(), next);
					next[shape.words] += 1 << 16;
					if (alex_node_append(merged.data(), page.data(), next, 0))
					{
						Records appended = records;

						appended.add(next);
						merged.node().right = ALEX_NO_BLOCK;
						ASSERT_NO_FATAL_FAILURE(expect_same(merged, appended, rng));
					}
					if (alex_node_store(merged.data(), records.data(), static_cast<uint32_t>(records.size()), 0))
					{
						ASSERT_EQ(merged.node().removed, 0);
						ASSERT_NO_FATAL_FAILURE(expect_same(merged, records, rng));
					}
				}
			}
	EXPECT_GT(in_place, 0U);
	EXPECT_GT(refused, 0U);
}

/*
 * Keys that grow: what is fresh is merged behind the base, whose bits come along. Marks that lie behind the bits of the source do
 * not become bits of what is appended, and new bits begin at any place within a byte.
 */
TEST_P(Removed, GrowsBehindThem)
{
	const Shape shape = GetParam();
	unsigned appended = 0;
	unsigned longer = 0;

	for (const DataSet &set : sets_of(shape))
		for (const uint32_t more : {1U, 2U, 7U, 8U, 9U, 20U})
			for (const size_t first : {41U, 48U})
			{
				SCOPED_TRACE(std::string(set.name) + ", " + std::to_string(more) + " behind " + std::to_string(first));
				Rng rng(23);
				const Records all = sorted_records(set, shape, first + 4 * more, tids_of(set, shape)[0], rng);
				Page page = empty_node(shape, all, 0, all.size());
				Records records = all.slice(0, std::min(first, all.size()));
				size_t next = records.size();

				if (!alex_node_store(page.data(), records.data(), static_cast<uint32_t>(records.size()), 0))
					continue;
				while (next + more <= all.size())
				{
					/* some go ... */
					const std::vector<size_t> places = places_of(page, records);
					const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(places.size());
					std::vector<bool> gone(records.size());
					AlexRemoval removal;

					for (size_t i = 0; i < places.size(); i++)
						if (places[i] != SIZE_MAX && below(rng, 9) == 0)
							dead[i] = gone[places[i]] = true;
					if (!alex_can_remove(page.data(), dead.get()))
						break;
					alex_remove(page.data(), dead.get(), &removal);
					Records kept(shape.stride());
					for (size_t i = 0; i < records.size(); i++)
						if (!gone[i])
							kept.add(records[i]);

					/* ... all others are marked, and some are added */
					for (size_t i = 0; i < kept.size(); i++)
						alex_kill(page.data(), kept[i]);
					uint32_t fresh = 0;
					while (fresh + 1 < more && add_fresh(page, all[next]))
					{
						kept.add(all[next++]);
						fresh++;
					}

					const uint32_t bits = (page.node().count + 7) / 8;
					Page merged = empty_node(shape, all, 0, all.size());
					if (!alex_node_append(merged.data(), page.data(), all[next], 0))
						break;
					kept.add(all[next++]);
					ASSERT_EQ(merged.node().removed != 0, page.node().removed != 0);
					ASSERT_NO_FATAL_FAILURE(expect_same(merged, kept, rng));
					appended++;
					longer += merged.node().removed != 0 && (merged.node().count + 7) / 8 > bits;
					page = merged;
					records = kept;
				}
			}
	EXPECT_GT(appended, 0U);
	EXPECT_GT(longer, 0U);
}

/* Tens of thousands of keys on a line, of which vacuum takes a tenth: the leaf stays one page. */
TEST(RemovedLine, StaysOnePage)
{
	const Shape shape{1, 0, 8192};
	Records records(2);

	for (uint64_t i = 0; i < ALEX_MAX_RECORDS; i++)
	{
		const uint64_t record[] = {i, tie_of(i / 226, i % 226 + 1)};

		records.add(record);
	}
	Page page = empty_node(shape, records, 0, records.size());
	ASSERT_TRUE(alex_node_store(page.data(), records.data(), ALEX_MAX_RECORDS, 0));

	std::vector<uint64_t> ties(ALEX_MAX_RECORDS);
	const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(ALEX_MAX_RECORDS);
	Records kept(2);
	AlexRemoval removal;

	for (size_t i = 0; i < ALEX_MAX_RECORDS; i++)
	{
		dead[i] = mix(i) % 10 == 0;
		if (!dead[i])
			kept.add(records[i]);
	}
	ASSERT_TRUE(alex_can_remove(page.data(), dead.get()));
	alex_remove(page.data(), dead.get(), &removal);

	Rng rng(22);
	ASSERT_NO_FATAL_FAILURE(expect_same(page, kept, rng));

	/* a run that is gone is passed over */
	for (size_t i = 0; i < ALEX_MAX_RECORDS; i++)
		dead[i] = i >= 10000 && i < 25000 && mix(i) % 10 != 0;
	ASSERT_TRUE(alex_can_remove(page.data(), dead.get()));
	alex_remove(page.data(), dead.get(), &removal);

	uint64_t found[2 * 4];
	bool more;
	ASSERT_EQ(alex_collect(page.data(), records[12000], records[30000], false, 2, found, &more), 2U);
	EXPECT_GE(found[0], 25000U);
	EXPECT_TRUE(more);
	ASSERT_EQ(alex_collect(page.data(), records[5], records[24000], true, 2, found, &more), 2U);
	EXPECT_LT(found[0], 10000U);
	ASSERT_EQ(alex_collect(page.data(), records[12000], records[24000], false, 2, found, &more), 0U);
	EXPECT_FALSE(more);

	/* half is the bound */
	std::fill_n(dead.get(), ALEX_MAX_RECORDS, true);
	EXPECT_FALSE(alex_can_remove(page.data(), dead.get()));
}

/*
 * Thousands of keys of rows of varying width: bits for all of them have no room in what builds leave free, but a list of some
 * has, as long as it is shorter; then the leaf has to be packed anew.
 */
TEST(RemovedLine, FewOfManyAreListed)
{
	const Shape shape{1, 0, 8192};
	const uint32_t reserve = 8192 / 10;
	Rng rng(24);
	Records records(2);
	uint64_t block = 0;
	uint64_t offset = 0;

	for (uint64_t i = 0; i < ALEX_MAX_RECORDS; i++)
	{
		const uint64_t record[] = {i, tie_of(block, ++offset)};

		records.add(record);
		if (offset >= 60 && (offset == 75 || below(rng, 8) == 0))
		{
			block++;
			offset = 0;
		}
	}

	/* as a build fills a leaf */
	uint32_t n = ALEX_MAX_RECORDS;
	Page page = empty_node(shape, records, 0, records.size());
	while (!alex_node_store(page.data(), records.data(), n, reserve))
		n -= n / 50;
	ASSERT_GT(n, 8U * 1000U);
	ASSERT_GT((n + 7) / 8, static_cast<uint32_t>(page.head().pd_upper - page.head().pd_lower)) << "there is room for bits";

	const uint32_t base = page.head().pd_lower;
	std::vector<bool> gone(n);
	const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(n);
	uint32_t removed = 0;

	for (int round = 0;; round++)
	{
		uint32_t more = 0;

		std::fill_n(dead.get(), n, false);
		for (uint32_t i = 0; i < n; i++)
			if (!gone[i] && below(rng, 100) == 0)
			{
				dead[i] = true;
				more++;
			}
		if (!alex_can_remove(page.data(), dead.get()))
		{
			/* no room for the list, which is still the shorter one; but as many as there is room for could be listed */
			EXPECT_GT(base + 2 * (removed + more), page.head().pd_upper);
			EXPECT_GT(round, 1);
			for (uint32_t i = 0; i < n && base + 2 * (removed + more) > page.head().pd_upper; i++)
			{
				EXPECT_FALSE(alex_can_remove(page.data(), dead.get()));
				more -= dead[i];
				dead[i] = false;
			}
			EXPECT_TRUE(alex_can_remove(page.data(), dead.get()));
			break;
		}

		Page replayed = page;
		AlexRemoval removal;
		Records kept(2);

		alex_remove(page.data(), dead.get(), &removal);
		for (int i = 0; i < removal.n; i++)
			std::memcpy(replayed.bytes() + removal.changes[i].offset, page.bytes() + removal.changes[i].offset, removal.changes[i].length);
		ASSERT_EQ(replayed, page);
		removed += more;
		ASSERT_EQ(page.head().pd_lower, base + 2 * removed);
		ASSERT_EQ(alex_removed_count(page.data()), removed);
		for (uint32_t i = 0; i < n; i++)
		{
			gone[i] = gone[i] || dead[i];
			if (!gone[i])
				kept.add(records[i]);
		}
		ASSERT_NO_FATAL_FAILURE(expect_same(page, kept, rng));

		/* cut off where most of what is left is listed, a split turns the list into bits */
		Page left(shape.page_size);
		uint32_t cut = 1;
		while (!gone[cut])
			cut++;
		alex_node_truncate(left.data(), page.data(), records[cut + 1]);
		left.node().right = 77;
		ASSERT_EQ(left.node().count, cut + 1);
		ASSERT_EQ(left.head().pd_lower - (left.node().removed & ~ALEX_REMOVED_LIST), std::min<uint32_t>(2 * alex_removed_count(left.data()), (cut + 8) / 8));
		ASSERT_NO_FATAL_FAILURE(expect_same(left, kept.slice(0, cut + 1 - alex_removed_count(left.data())), rng));
	}
}

INSTANTIATE_TEST_SUITE_P(Shapes, Removed, ::testing::ValuesIn([] {
							 std::vector<Shape> leaves;
							 for (const Shape &shape : all_shapes())
								 if (shape.level == 0)
									 leaves.push_back(shape);
							 return leaves;
						 }()),
						 [](const auto &shape) { return shape_name(shape.param); });

} // namespace
