/*
 * node_test.cc - changing a node: the delta, and truncation for splits in several steps.
 */
#include <gtest/gtest.h>

#include "test_util.h"

using namespace alex_test;

namespace
{

class NodeChange : public ::testing::TestWithParam<Shape>
{
};

/* What replay does with the bytes a caller logs for an append. */
void
replay_append(Page &page, const Page &after, uint16_t offset, uint16_t length, bool slots)
{
	page.zero_hole(); /* the change before was replayed, too */
	std::memcpy(page.bytes() + offset, static_cast<const char *>(after.data()) + offset, length);
	if (slots)
		page.head().pd_upper = after.head().pd_upper;
	page.zero_hole();
}

TEST_P(NodeChange, AppendUntilFull)
{
	const Shape shape = GetParam();
	const uint32_t record_bytes = static_cast<uint32_t>(shape.stride()) * 8;
	std::vector<uint64_t> scratch(shape.scratch_words());

	for (const DataSet &set : sets_of(shape))
	{
		SCOPED_TRACE(set.name);
		Rng rng(1);
		const Records records = sorted_records(set, shape, shape.page_size / 8, Tids::varying, rng);
		const auto n = static_cast<uint32_t>(records.size());
		const uint32_t half = 1 + static_cast<uint32_t>(below(rng, n / 2));
		Records expected(shape.stride());
		std::vector<uint32_t> fresh;
		Page page = empty_node(shape, records, 0, n);

		/* a random half in the base, if it fits; the other half arrives in random order */
		Records base(shape.stride());
		for (uint32_t i = 0; i < n; i++)
			if (i == 0 || (base.size() < half && below(rng, 2) == 0))
				base.add(records[i]);
			else
				fresh.push_back(i);
		if (!alex_node_store(page.data(), base.data(), static_cast<uint32_t>(base.size()), 3 * record_bytes))
		{
			base = base.slice(0, 1);
			ASSERT_TRUE(alex_node_store(page.data(), base.data(), 1, 3 * record_bytes));
		}
		page.scribble_hole(rng);
		expected = base;
		std::shuffle(fresh.begin(), fresh.end(), rng);

		uint32_t count = 0;
		for (const uint32_t i : fresh)
		{
			const bool full = count == page.slots() &&
				(page.free_bytes() < page.slot_bytes() || page.slots() == page.most_slots());
			const bool room = !full && page.slot_fits(records[i]);
			Page before = page;
			AlexSlot slot;

			ASSERT_EQ(alex_delta_prepare(page.data(), records[i], UINT32_MAX, &slot), room);
			ASSERT_FALSE(alex_delta_prepare(page.data(), records[i], count, &slot));
			ASSERT_EQ(alex_delta_prepare(page.data(), records[i], count + 1, &slot), room);
			ASSERT_EQ(page, before) << "what prepares changes nothing";
			if (full)
				break;
			if (!room)
				continue;

			ASSERT_EQ(slot.length, page.slot_bytes());
			ASSERT_EQ(slot.offset, page.head().pd_special - (count + 1) * page.slot_bytes());
			const bool slots = alex_delta_put(page.data(), &slot);
			ASSERT_EQ(slots, count == before.slots());
			ASSERT_EQ(slots, page.head().pd_upper != before.head().pd_upper);
			ASSERT_LE(page.slots(), count + 16);
			ASSERT_EQ(slot.upper, page.head().pd_upper);
			ASSERT_GE(slot.offset, slot.upper);
			ASSERT_LE(slot.offset + slot.length, page.head().pd_special);
			replay_append(before, page, slot.offset, slot.length, slots);
			Page replayed = page;
			replayed.zero_hole();
			ASSERT_EQ(before, replayed) << "append changes bytes it does not tell";
			ASSERT_EQ(alex_delta_count(page.data()), ++count);
			ASSERT_EQ(alex_record_count(page.data()), count + base.size());
			ASSERT_STREQ(alex_node_problem(page.data(), shape.words, shape.page_size), nullptr);

			expected.insert(expected.lower_bound(records[i], shape.words), records[i]);
			if (count < 10 || count % 128 == 0)
			{
				ASSERT_EQ(alex_decode(page.data(), scratch.data()), expected.size());
				ASSERT_TRUE(expected.equals(scratch.data(), expected.size()));
				ASSERT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, scratch.data()), nullptr);
			}
		}
		ASSERT_GT(count, 0U);
		ASSERT_EQ(alex_decode(page.data(), scratch.data()), expected.size());
		ASSERT_TRUE(expected.equals(scratch.data(), expected.size()));

		/* storing what decodes ends the delta and changes nothing else */
		const auto all = static_cast<uint32_t>(expected.size());
		if (alex_node_store(page.data(), expected.data(), all, 0))
		{
			ASSERT_EQ(alex_delta_count(page.data()), 0U);
			ASSERT_EQ(alex_decode(page.data(), scratch.data()), all);
			ASSERT_TRUE(expected.equals(scratch.data(), all));
			ASSERT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, scratch.data()), nullptr);
		}
	}
}

/* What slots are for: a fresh record takes, and logs, only the bytes in which records of its node can differ. */
TEST(Slots, AreAsWideAsTheNodeNeeds)
{
	const auto length_of = [](const std::vector<uint64_t> &low, const uint64_t *high, uint64_t step, uint64_t block) {
		Page page(8192);
		Records records(static_cast<int>(low.size()));
		AlexSlot slot{};
		const int words = static_cast<int>(low.size()) - 1;

		alex_node_init(page.data(), 8192, words, 0, low.data(), high, ALEX_NO_BLOCK, high ? 9 : ALEX_NO_BLOCK);
		for (uint64_t i = 0; i < 101; i++)
		{
			std::vector<uint64_t> record = low;

			record[words - 1] += i * step;
			record[words] = block << 16 | (i + 1);
			records.add(record.data());
		}
		EXPECT_TRUE(alex_node_store(page.data(), records.data(), 100, 0));
		EXPECT_TRUE(alex_delta_prepare(page.data(), records[100], UINT32_MAX, &slot));
		return static_cast<int>(slot.length);
	};
	const uint64_t high[] = {1000 << 20, 0};
	const uint64_t high2[] = {7, UINT64_C(1) << 63, 0};

	EXPECT_EQ(length_of({1 << 20, 0}, nullptr, 1, 5000), 2 + 4) << "serial keys, the rightmost leaf";
	EXPECT_EQ(length_of({1 << 20, 0}, nullptr, 1000, 5000), 3 + 4);
	EXPECT_EQ(length_of({1 << 20, 0}, high, 1000, 5000), 4 + 4) << "up to the high fence";
	EXPECT_EQ(length_of({1 << 20, 0}, nullptr, 1, 3000000), 2 + 5) << "a table of 24 GB";
	EXPECT_EQ(length_of({1 << 20, 0}, nullptr, 1, 0x1FFFF0000), 2 + 7) << "a NULL";
	EXPECT_EQ(length_of({7, 0, 0}, high2, 1, 5000), 8 + 4) << "a word that all records share";
}

void
expect_truncated(const Shape &shape, const Node &node, const uint64_t *high, uint64_t *scratch, Rng &rng)
{
	const size_t keep = node.records.lower_bound(high, shape.words);
	Page page(shape.page_size);

	for (uint32_t i = 0; i < shape.page_size; i++)
		page.bytes()[i] = static_cast<uint8_t>(i * 7);
	alex_node_truncate(page.data(), node.page.data(), high);

	ASSERT_STREQ(alex_node_problem(page.data(), shape.words, shape.page_size), nullptr);
	ASSERT_LE(page.head().pd_lower, node.page.head().pd_lower);
	ASSERT_GE(page.head().pd_upper, node.page.head().pd_upper);
	ASSERT_EQ(page.node().level, shape.level);
	ASSERT_EQ(page.node().left, node.page.node().left);
	ASSERT_EQ(alex_compare(fence(page.data(), alex_low_fence).data(), fence(node.page.data(), alex_low_fence).data(), shape.words), 0);
	ASSERT_EQ(alex_compare(fence(page.data(), alex_high_fence).data(), high, shape.words), 0);

	page.node().right = 77;
	page.scribble_hole(rng);
	ASSERT_EQ(alex_record_count(page.data()), keep);
	ASSERT_EQ(alex_decode(page.data(), scratch), keep);
	ASSERT_TRUE(node.records.slice(0, keep).equals(scratch, keep));
	ASSERT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, scratch), nullptr);

	/* the model of the longer node still leads to the right places */
	for (int i = 0; i < 10 && keep > 0; i++)
	{
		const size_t at = below(rng, keep);
		uint64_t record[ALEX_MAX_RECORD_WORDS];
		bool more;

		ASSERT_EQ(alex_lower_bound(page.data(), node.records[at]),
				  alex_lower_bound(node.page.data(), node.records[at]));
		Words out(static_cast<size_t>(1 + alex_delta_count(page.data())) * shape.stride());
		ASSERT_EQ(alex_collect(page.data(), node.records[at], nullptr, false, 1, out.get(), &more), 1U);
		ASSERT_TRUE(std::equal(out.get(), out.get() + shape.stride(), node.records[at]));
		ASSERT_EQ(more, at + 1 < keep);
		if (page.node().count > 0)
			alex_read(page.data(), page.node().count - 1, record);
	}
}

TEST_P(NodeChange, TruncateEverywhere)
{
	const Shape shape = GetParam();
	std::vector<uint64_t> scratch(shape.scratch_words());

	for (const DataSet &set : sets_of(shape))
	{
		const Tids tids = tids_of(set, shape)[0];
		Rng rng(2);
		const Records records = sorted_records(set, shape, shape.page_size / 4, tids, rng);

		for (const unsigned delta_share : {0U, 7U})
		{
			SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids) + ", delta 1/" + std::to_string(delta_share));
			const Node node = full_node(shape, records, delta_share, rng);
			/* every position of the small nodes, some of them and some frame borders of the large */
			const size_t step = shape.page_size == 1024 ? 1 : 1 + node.records.size() / 16;

			for (size_t i = 1; i < node.records.size(); i++)
				if (i % step == 0 || (i % 64 <= 1 && below(rng, 16) == 0) || i + 1 == node.records.size())
				{
					SCOPED_TRACE(i);
					uint64_t high[position_max];

					std::copy_n(node.records[i], shape.words + 1, high);
					ASSERT_NO_FATAL_FAILURE(expect_truncated(shape, node, high, scratch.data(), rng));
					alex_make_separator(node.records[i - 1], node.records[i], shape.words, high);
					ASSERT_NO_FATAL_FAILURE(expect_truncated(shape, node, high, scratch.data(), rng));
				}
		}
	}
}

/* A truncated node is as good as any: what was cut off must not show in what is added behind. */
TEST_P(NodeChange, TruncateThenAppend)
{
	const Shape shape = GetParam();
	std::vector<uint64_t> scratch(shape.scratch_words());
	unsigned appended = 0;

	for (const DataSet &set : sets_of(shape))
	{
		const Tids tids = tids_of(set, shape)[1];
		Rng rng(4);
		const Records records = sorted_records(set, shape, 300 + shape.page_size / 16, tids, rng);
		const Node node = full_node(shape, records, 0, rng);

		SCOPED_TRACE(std::string(set.name) + " " + tids_name(tids));
		for (int i = 0; i < 30 && node.records.size() > 3; i++)
		{
			const size_t cut = 2 + below(rng, node.records.size() - 3);
			Records expected = node.records.slice(0, cut);
			Records added(shape.stride());
			Page left(shape.page_size);

			/* some of the records that were cut off come back, in the places of others */
			for (size_t j = cut + below(rng, 3); j < node.records.size() && added.size() < 20; j += 1 + below(rng, 3))
				added.add(node.records[j]);
			if (added.size() == 0)
				continue;
			alex_node_truncate(left.data(), node.page.data(), node.records[cut]);
			left.node().right = ALEX_NO_BLOCK;
			uint32_t raw = 0;
			while (raw + 1 < added.size() && add_fresh(left, added[raw]))
				expected.add(added[raw++]);
			expected.add(added[raw]);

			Page page = left;
			if (!alex_node_append(page.data(), left.data(), added[raw], 0))
				continue;
			appended++;
			ASSERT_EQ(alex_decode(page.data(), scratch.data()), expected.size());
			ASSERT_TRUE(expected.equals(scratch.data(), expected.size())) << "cut at " << cut;
			ASSERT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, scratch.data()), nullptr);
		}
	}
	EXPECT_GT(appended, 0U);
}

TEST_P(NodeChange, TruncateToNothing)
{
	const Shape shape = GetParam();
	std::vector<uint64_t> scratch(shape.scratch_words());
	const uint64_t zeros[position_max] = {};
	uint64_t high[position_max] = {1, 1, 1, 1, 1};
	Rng rng(3);
	const Records records = sorted_records(datasets()[0], shape, 50, Tids::fixed, rng);
	Page page(shape.page_size);

	alex_node_init(page.data(), shape.page_size, shape.words, shape.level, zeros, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
	ASSERT_TRUE(alex_node_store(page.data(), records.data(), 10, 0));
	const Node node{page, records.slice(0, 10)};
	expect_truncated(shape, node, high, scratch.data(), rng);
}

INSTANTIATE_TEST_SUITE_P(Shapes, NodeChange, ::testing::ValuesIn(all_shapes()),
						 [](const auto &shape) { return shape_name(shape.param); });

} // namespace
