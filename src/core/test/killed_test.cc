/*
 * killed_test.cc - hints that records are dead.
 */
#include <gtest/gtest.h>

#include <set>

#include "test_util.h"

using namespace alex_test;

namespace
{

class Killed : public ::testing::TestWithParam<Shape>
{
};

/* A leaf that is not full, without any mark. */
Node
some_leaf(const Shape &shape, const DataSet &set, unsigned delta_share, Rng &rng)
{
	const Records records = sorted_records(set, shape, 150 + shape.page_size / 32, Tids::varying, rng);
	Node node = full_node(shape, records, delta_share, rng);

	node.page.zero_hole();
	return node;
}

/* Which of the records are marked, by marking a copy of some of them as a scan does. */
std::vector<bool>
marks_of(const Page &page, const Records &records, size_t first, size_t n, bool backward, uint32_t *count)
{
	const int words = page.node().words;
	Records some(words + 1);
	std::vector<bool> marks(n);

	for (size_t i = 0; i < n; i++)
		some.add(records[backward ? first + n - 1 - i : first + i]);
	*count = alex_mark_killed(page.data(), some.data(), static_cast<uint32_t>(n));
	for (size_t i = 0; i < n; i++)
	{
		const size_t at = backward ? first + n - 1 - i : first + i;
		uint64_t *record = some.data() + i * (words + 1);

		marks[at - first] = (record[words] & ALEX_KILLED) != 0;
		record[words] &= ~ALEX_KILLED;
		EXPECT_EQ(alex_compare(record, records[at], words), 0) << "nothing but the mark changes";
	}
	return marks;
}

/* Reading in batches, as scans do, without the marked records: all of the range that are not marked, each once. */
void
expect_living(const Page &page, const Records &records, const std::vector<bool> &marks, size_t first, size_t n, bool backward, uint32_t max)
{
	const int words = page.node().words;
	const auto stride = static_cast<size_t>(words) + 1;
	uint64_t low[position_max];
	uint64_t high[position_max];
	Records expected(words + 1);
	Records got(words + 1);
	bool more = true;
	std::vector<uint64_t> out((max + alex_delta_count(page.data())) * stride);

	std::copy_n(records[first], stride, low);
	std::copy_n(records[first + n - 1], stride, high);
	ASSERT_TRUE(step_position(high, words, true));
	for (size_t i = 0; i < n; i++)
	{
		const size_t at = backward ? first + n - 1 - i : first + i;

		if (!marks[at])
			expected.add(records[at]);
	}
	while (more)
	{
		const uint32_t m = alex_collect_living(page.data(), low, high, backward, max, out.data(), &more);

		ASSERT_LE(m, max);
		ASSERT_TRUE(m > 0 || !more) << "no place to go on from";
		for (uint32_t i = 0; i < m; i++)
			got.add(out.data() + i * stride);
		ASSERT_LE(got.size(), expected.size());
		if (!more)
			break;
		std::copy_n(out.data() + (m - 1) * stride, stride, backward ? high : low);
		if (!backward)
		{
			ASSERT_TRUE(step_position(low, words, true));
		}
	}
	ASSERT_EQ(got.size(), expected.size());
	ASSERT_TRUE(expected.equals(got.data(), got.size()));
}

TEST_P(Killed, MarksAreThoseThatWereSet)
{
	const Shape shape = GetParam();

	for (const DataSet &set : sets_of(shape))
		for (const unsigned delta_share : {0U, 5U, 1U})
		{
			SCOPED_TRACE(std::string(set.name) + ", delta 1/" + std::to_string(delta_share));
			Rng rng(11);
			Node node = some_leaf(shape, set, delta_share, rng);
			const size_t n = node.records.size();
			const Page untouched = node.page;
			std::vector<bool> expected(n);
			std::set<size_t> refused;
			uint32_t killed = 0;
			uint64_t other[position_max];

			ASSERT_FALSE(alex_has_killed(node.page.data()));
			ASSERT_EQ(alex_killed_count(node.page.data()), 0U);
			for (size_t round = 0; round < std::min<size_t>(n, 400); round++)
			{
				const size_t i = below(rng, n);
				const bool noted = alex_has_killed(node.page.data());
				const bool changed = alex_kill(node.page.data(), node.records[i]);
				const bool fresh = alex_killed_count(node.page.data()) > killed;

				ASSERT_FALSE(changed && expected[i]) << "marked twice";
				ASSERT_FALSE(alex_kill(node.page.data(), node.records[i]));
				const uint32_t place = alex_find_place(node.page.data(), node.records[i]);
				ASSERT_LT(place, alex_place_count(node.page.data()));
				ASSERT_EQ(alex_can_kill(node.page.data(), place), fresh || expected[i]);
				if (fresh)
				{
					ASSERT_TRUE(changed);
					expected[i] = true;
					killed++;
				}
				else if (!expected[i])
				{
					/* no room for the mark, which is told */
					ASSERT_EQ(changed, !noted && untouched.free_bytes() > 0);
					refused.insert(i);
				}

				/* not a record */
				std::copy_n(node.records[i], shape.words + 1, other);
				if (step_position(other, shape.words, true) &&
					(i + 1 == n || alex_compare(other, node.records[i + 1], shape.words) != 0))
				{
					ASSERT_FALSE(alex_kill(node.page.data(), other));
					ASSERT_EQ(alex_find_place(node.page.data(), other), ALEX_NO_PLACE);
				}
				if (round % 16 == 0)
				{
					ASSERT_EQ(alex_killed_count(node.page.data()), killed);
				}
			}
			ASSERT_EQ(alex_has_killed(node.page.data()), untouched.free_bytes() > 0);
			/* a bit for every record, and one byte */
			if (untouched.free_bytes() > 1 + (n + 7) / 8 && 1 + (n + 7) / 8 <= 512)
			{
				ASSERT_TRUE(refused.empty());
			}
			const uint32_t bytes = alex_killed_bytes(node.page.data());
			ASSERT_LE(bytes, untouched.free_bytes());
			for (uint32_t at = 0; at < shape.page_size; at++)
				if (at < untouched.head().pd_lower || at >= untouched.head().pd_lower + bytes)
				{
					ASSERT_EQ(node.page.bytes()[at], static_cast<const uint8_t *>(untouched.data())[at]) << "changed outside the hole";
				}

			for (int i = 0; i < 12; i++)
			{
				const size_t first = i == 0 ? 0 : below(rng, n);
				const size_t some = i == 0 ? n : 1 + below(rng, n - first);
				uint32_t count;
				const std::vector<bool> marks = marks_of(node.page, node.records, first, some, i % 2 == 1, &count);

				ASSERT_TRUE(std::equal(marks.begin(), marks.end(), expected.begin() + static_cast<ptrdiff_t>(first)));
				ASSERT_EQ(count, std::count(marks.begin(), marks.end(), true));
				for (const uint32_t max : {1U, 4U, 16U, 64U, 5000U})
					ASSERT_NO_FATAL_FAILURE(expect_living(node.page, node.records, expected, first, some, i % 4 > 1, max));
			}
			uint64_t none = 0;
			ASSERT_EQ(alex_mark_killed(node.page.data(), &none, 0), 0U);

			/* marks are no part of the node, and what rewrites it forgets them */
			std::vector<uint64_t> scratch(shape.scratch_words());
			ASSERT_STREQ(alex_node_validate(node.page.data(), shape.words, shape.page_size, scratch.data()), nullptr);
			ASSERT_EQ(alex_decode(node.page.data(), scratch.data()), n);
			ASSERT_TRUE(node.records.equals(scratch.data(), n));
			Page part(shape.page_size);
			alex_node_truncate(part.data(), node.page.data(), node.records[n / 2]);
			ASSERT_FALSE(alex_has_killed(part.data()));
			if (alex_node_store(node.page.data(), node.records.data(), static_cast<uint32_t>(n), 0))
			{
				ASSERT_FALSE(alex_has_killed(node.page.data()));
				ASSERT_EQ(alex_killed_count(node.page.data()), 0U);
			}
		}
}

/*
 * The delta grows over the marks: those it leaves in place stay, the others are gone, and another copy of the page, with other
 * marks, becomes the same by replaying the append alone.
 */
TEST_P(Killed, DeltaGrowsOverMarks)
{
	const Shape shape = GetParam();
	std::vector<uint64_t> scratch(shape.scratch_words());
	unsigned covered = 0;

	for (const DataSet &set : sets_of(shape))
	{
		SCOPED_TRACE(set.name);
		Rng rng(12);
		const Records records = sorted_records(set, shape, 60 + shape.page_size / 4, Tids::varying, rng);
		const auto n = static_cast<uint32_t>(records.size());
		const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);
		const uint32_t base = std::min(n / 2, alex_fit(records.data(), n, shape.words, 0, capacity - std::min(capacity / 5, 2000U), false, 0));
		Page page = empty_node(shape, records, 0, n);
		Records known(shape.stride());

		ASSERT_TRUE(alex_node_store(page.data(), records.data(), base, 0));
		known = records.slice(0, base);
		for (uint32_t i = base; i < n; i++)
		{
			AlexSlot slot;
			uint32_t count;

			if (!alex_delta_prepare(page.data(), records[i], UINT32_MAX, &slot))
				continue;

			/* where new slots may come upon marks, as many of them as there is room for */
			if (alex_delta_count(page.data()) < page.slots() || page.free_bytes() > known.size() / 8 + 400)
			{
				alex_delta_put(page.data(), &slot);
				known.add(records[i]);
				continue;
			}
			for (size_t j = below(rng, 3); j < known.size(); j += 3)
				alex_kill(page.data(), known[j]);

			/* the copy where it is replayed has others, and this one perhaps none */
			Page replayed = page;
			for (size_t j = below(rng, 2); j < known.size(); j += 2)
				alex_kill(replayed.data(), known[j]);
			if (below(rng, 3) == 0)
				page.zero_hole();

			const std::vector<bool> before = marks_of(page, known, 0, known.size(), false, &count);
			const uint32_t killed = count;
			const bool slots = alex_delta_put(page.data(), &slot);
			std::memcpy(replayed.bytes() + slot.offset, page.bytes() + slot.offset, slot.length);
			if (slots)
				replayed.head().pd_upper = page.head().pd_upper;
			replayed.zero_hole();
			Page expected = page;
			expected.zero_hole();
			ASSERT_EQ(replayed, expected) << "an append changes bytes it does not tell, or leaves marks behind";
			if (slot.length > page.slot_bytes())
				covered++;

			const std::vector<bool> after = marks_of(page, known, 0, known.size(), false, &count);
			for (size_t j = 0; j < known.size(); j++)
				ASSERT_LE(after[j], before[j]) << "a mark came from nowhere";
			ASSERT_LE(count, killed);
			known.add(records[i]);
			marks_of(page, known, known.size() - 1, 1, false, &count);
			ASSERT_EQ(count, 0U) << "a new record is marked";

			ASSERT_STREQ(alex_node_validate(page.data(), shape.words, shape.page_size, scratch.data()), nullptr);
		}
	}
	/* a delta of the largest pages or records may be full before it meets marks */
	if (shape.page_size <= 8192 && shape.words < ALEX_MAX_FIXED_WORDS)
	{
		EXPECT_GT(covered, 0U) << "no mark was in the way";
	}
}

/*
 * Once a record has been marked, or would have been if there were room, the delta leaves all marks their room: the leaf takes fewer fresh
 * records before it is rewritten, and what it took can be marked. Not so a rightmost leaf.
 */
TEST_P(Killed, DeltaLeavesMarksTheirRoom)
{
	const Shape shape = GetParam();
	const DataSet set = sets_of(shape).front();
	Rng rng(13);
	const Records records = sorted_records(set, shape, 60 + shape.page_size / 4, Tids::varying, rng);
	const auto n = static_cast<uint32_t>(records.size());
	const uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);
	const uint32_t base = std::min(n / 2, alex_fit(records.data(), n, shape.words, 0, capacity - std::min(capacity / 5, 2000U), false, 0));

	auto filled = [&](bool kill, bool rightmost) {
		Page page = empty_node(shape, records, 0, n);

		page.node().right = rightmost ? ALEX_NO_BLOCK : 77;
		EXPECT_TRUE(alex_node_store(page.data(), records.data(), base, 0));
		if (kill)
		{
			EXPECT_TRUE(alex_kill(page.data(), records[0]));
		}
		for (uint32_t i = base; i < n; i++)
		{
			AlexSlot slot;

			if (alex_delta_prepare(page.data(), records[i], UINT32_MAX, &slot))
				alex_delta_put(page.data(), &slot);
		}
		return page;
	};
	Page page = filled(true, false);
	std::vector<uint64_t> all(shape.scratch_words());
	const uint32_t there = alex_decode(page.data(), all.data());

	ASSERT_GT(alex_delta_count(page.data()), 0U);
	ASSERT_LE(alex_delta_count(page.data()), alex_delta_count(filled(false, false).data()));
	ASSERT_EQ(alex_delta_count(filled(false, false).data()), alex_delta_count(filled(false, true).data())) << "room is kept for no mark";
	ASSERT_EQ(alex_delta_count(filled(true, true).data()), alex_delta_count(filled(false, true).data()));
	if (alex_killed_reserve(there, shape.page_size) == 0)
	{
		ASSERT_EQ(alex_delta_count(page.data()), alex_delta_count(filled(false, false).data())) << "room is kept for marks that it does not suffice for";
		return;
	}
	ASSERT_GT(alex_delta_count(page.data()), 0U);
	for (uint32_t i = 1; i < there; i++)
		ASSERT_TRUE(alex_kill(page.data(), all.data() + static_cast<size_t>(i) * shape.stride())) << "record " << i << " of " << there;
	ASSERT_GE(page.free_bytes(), alex_killed_bytes(page.data()));
}

/* Runs of marked records are passed over, whatever the direction and the size of the batch. */
TEST_P(Killed, RunsArePassedOver)
{
	const Shape shape = GetParam();

	for (const unsigned delta_share : {0U, 5U})
	{
		Rng rng(14);
		Node node = some_leaf(shape, sets_of(shape).front(), delta_share, rng);
		const size_t n = node.records.size();
		std::vector<bool> expected(n);

		for (int runs = 0; runs < 6; runs++)
		{
			const size_t first = runs == 0 ? 0 : below(rng, n);
			const size_t end = runs == 1 ? n : std::min<size_t>(n, first + below(rng, n / 3));

			for (size_t i = first; i < end; i++)
			{
				const uint32_t before = alex_killed_count(node.page.data());

				alex_kill(node.page.data(), node.records[i]);
				if (alex_killed_count(node.page.data()) > before)
					expected[i] = true;
			}
			for (const uint32_t max : {1U, 3U, 5U, 100U})
				for (const bool backward : {false, true})
					ASSERT_NO_FATAL_FAILURE(expect_living(node.page, node.records, expected, 0, n, backward, max));
		}
	}
}

INSTANTIATE_TEST_SUITE_P(Shapes, Killed, ::testing::ValuesIn([] {
							 std::vector<Shape> leaves;
							 for (const Shape &shape : all_shapes())
								 if (shape.level == 0)
									 leaves.push_back(shape);
							 return leaves;
						 }()),
						 [](const auto &shape) { return shape_name(shape.param); });

} // namespace
