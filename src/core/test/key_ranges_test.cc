/*
 * key_ranges_test.cc - sets of codes and boxes are what a filter over everything says.
 */
#include <gtest/gtest.h>

#include "box_util.h"

using namespace alex_test;

namespace
{

/* ---- sets, over the codes of a small universe ---- */

constexpr unsigned universe = 40;

/* Numbers 0 .. universe as codes whose words all matter. */
void
code_of_number(unsigned number, int words, uint64_t *code)
{
	for (int w = words - 1; w >= 0; w--)
	{
		code[w] = w == 0 ? number : number % 3;
		number = w == 0 ? 0 : number / 3;
	}
}

AlexInterval
interval_of(unsigned low, unsigned high, bool recheck, int words)
{
	AlexInterval interval = {};

	code_of_number(low, words, interval.low);
	code_of_number(high, words, interval.high);
	interval.recheck = recheck;
	return interval;
}

AlexInterval
random_interval(int words, Rng &rng)
{
	const auto low = static_cast<unsigned>(below(rng, universe));

	return interval_of(low, low + 1 + static_cast<unsigned>(below(rng, std::min(6U, universe - low))), below(rng, 3) == 0, words);
}

/* For each code of the universe: 0 not in the set, 1 in it, 2 to be rechecked. */
std::vector<int>
members(const AlexInterval *intervals, size_t n, int words)
{
	std::vector<int> result(universe);

	for (unsigned i = 0; i < universe; i++)
		for (size_t j = 0; j < n; j++)
		{
			uint64_t code[ALEX_CODE_WORDS];

			code_of_number(i, words, code);
			if (alex_code_compare(intervals[j].low, code, words) <= 0 && alex_code_compare(code, intervals[j].high, words) < 0)
				result[i] = std::max(result[i], intervals[j].recheck ? 2 : 1);
		}
	return result;
}

void
expect_set(const AlexInterval *intervals, size_t n, int words)
{
	for (size_t i = 0; i < n; i++)
	{
		ASSERT_LT(alex_code_compare(intervals[i].low, intervals[i].high, words), 0) << "no interval is empty";
		ASSERT_TRUE(i == 0 || alex_code_compare(intervals[i - 1].high, intervals[i].low, words) <= 0) << "in order, and disjoint";
	}
}

std::vector<AlexInterval>
random_set(int words, Rng &rng)
{
	std::vector<AlexInterval> set(below(rng, 9));

	for (AlexInterval &interval : set)
		interval = random_interval(words, rng);
	set.resize(alex_intervals_normalize(set.data(), static_cast<uint32_t>(set.size()), words, nullptr));
	return set;
}

TEST(Intervals, NormalizeMakesASetOfTheSameCodes)
{
	Rng rng(1);

	for (int round = 0; round < 5000; round++)
	{
		const int words = 1 + round % ALEX_CODE_WORDS;
		std::vector<AlexInterval> intervals(below(rng, 12));

		for (AlexInterval &interval : intervals)
			interval = random_interval(words, rng);

		const std::vector<int> before = members(intervals.data(), intervals.size(), words);

		intervals.resize(alex_intervals_normalize(intervals.data(), static_cast<uint32_t>(intervals.size()), words, nullptr));
		expect_set(intervals.data(), intervals.size(), words);

		const std::vector<int> after = members(intervals.data(), intervals.size(), words);

		for (unsigned i = 0; i < universe; i++)
		{
			/* a recheck may spread over what was joined, but never goes */
			ASSERT_EQ(after[i] != 0, before[i] != 0);
			ASSERT_GE(after[i], before[i]);
		}
	}
}

int pauses;

TEST(Intervals, NormalizeSortsManyAndPauses)
{
	Rng rng(2);
	std::vector<AlexInterval> intervals(300000);

	for (AlexInterval &interval : intervals)
	{
		interval = {};
		interval.low[1] = below(rng, 1000000);
		interval.high[1] = interval.low[1] + 1;
	}
	std::vector<uint64_t> expected;
	for (const AlexInterval &interval : intervals)
		expected.push_back(interval.low[1]);
	std::sort(expected.begin(), expected.end());
	expected.erase(std::unique(expected.begin(), expected.end()), expected.end());

	pauses = 0;
	intervals.resize(alex_intervals_normalize(intervals.data(), static_cast<uint32_t>(intervals.size()), 2, [] { pauses++; }));
	ASSERT_EQ(intervals.size(), expected.size());
	for (size_t i = 0; i < expected.size(); i++)
		ASSERT_EQ(intervals[i].low[1], expected[i]);
	EXPECT_GT(pauses, 4);
}

TEST(Intervals, IntersectHasWhatBothHave)
{
	Rng rng(3);

	for (int round = 0; round < 5000; round++)
	{
		const int words = 1 + round % ALEX_CODE_WORDS;
		const std::vector<AlexInterval> a = random_set(words, rng);
		const std::vector<AlexInterval> b = random_set(words, rng);
		const std::unique_ptr<AlexInterval[]> out = std::make_unique<AlexInterval[]>(a.size() + b.size());
		const uint32_t n = alex_intervals_intersect(a.data(), static_cast<uint32_t>(a.size()), b.data(),
													static_cast<uint32_t>(b.size()), words, out.get(), nullptr);

		ASSERT_LE(n, a.size() + b.size());
		expect_set(out.get(), n, words);

		const std::vector<int> in_a = members(a.data(), a.size(), words);
		const std::vector<int> in_b = members(b.data(), b.size(), words);
		const std::vector<int> in_both = members(out.get(), n, words);

		for (unsigned i = 0; i < universe; i++)
			ASSERT_EQ(in_both[i], in_a[i] == 0 || in_b[i] == 0 ? 0 : std::max(in_a[i], in_b[i]));
	}
}

TEST(Intervals, SplitSeparatesWhatIsSure)
{
	Rng rng(4);

	for (int round = 0; round < 5000; round++)
	{
		const int words = 1 + round % ALEX_CODE_WORDS;
		const AlexInterval interval = random_interval(words, rng);
		const auto low = static_cast<unsigned>(below(rng, universe));
		const AlexInterval sure = interval_of(low, low + static_cast<unsigned>(below(rng, 8)), false, words); /* or empty */
		AlexInterval out[3];
		const uint32_t n = alex_interval_split(&interval, &sure, words, out);

		ASSERT_LE(n, 3U);
		expect_set(out, n, words);

		const std::vector<int> in_interval = members(&interval, 1, words);
		const std::vector<int> in_sure = members(&sure, 1, words);
		const std::vector<int> in_parts = members(out, n, words);

		for (unsigned i = 0; i < universe; i++)
			ASSERT_EQ(in_parts[i], in_interval[i] == 2 && in_sure[i] == 0 ? 2 : std::min(in_interval[i], 1));
	}
}

/* ---- boxes ---- */

/* Rows of few values in every column, and conditions on the columns. */
struct Case
{
	explicit Case(Rng &rng) : columns(below(rng, 2) == 0 ? random_columns(5, rng) : random_string_columns(5, rng))
	{
		for (const AlexColumnSpec &spec : columns.specs)
			values.push_back(some_values(spec, 1 + below(rng, 6), rng));
		rows = random_rows(columns, values, below(rng, 4) == 0 ? below(rng, 5) : 150, rng);
		for (const Row &row : rows)
			records.push_back(record_of(columns, row));
	}

	int words() const { return columns.words(); }
	bool strings() const { return columns.layout.strings > 0; }

	/* The first record at or after a position. */
	size_t
	at_or_after(const std::vector<uint64_t> &position) const
	{
		return static_cast<size_t>(std::lower_bound(records.begin(), records.end(), position) - records.begin());
	}

	/* A position worth asking for: any, or near a record. */
	std::vector<uint64_t>
	position(Rng &rng) const
	{
		Records some(words() + 1);
		std::vector<uint64_t> result(words() + 1);

		for (const std::vector<uint64_t> &record : records)
			some.add(record.data());
		interesting_position(some, words(), rng, result.data());
		return result;
	}

	Columns columns;
	std::vector<std::vector<Value>> values;
	std::vector<Row> rows;
	std::vector<std::vector<uint64_t>> records;
};

TEST(Box, MatchesWhatTheConditionsHoldFor)
{
	Rng rng(5);
	size_t matching = 0;

	for (int round = 0; round < 2000; round++)
	{
		const Case c(rng);
		const RandomBox box(c.columns, c.values, rng);

		for (size_t i = 0; i < c.rows.size(); i++)
		{
			ASSERT_EQ(alex_box_matches(box.box(), c.records[i].data()), box.holds(c.rows[i]));
			matching += box.holds(c.rows[i]);
		}
	}
	EXPECT_GT(matching, 10000U);
}

/* From any position: what is passed over does not match, and what is in the range does, unless a string may be continued. */
TEST(Box, NextIsTheFirstRange)
{
	Rng rng(6);
	size_t found = 0;

	for (int round = 0; round < 2000; round++)
	{
		const Case c(rng);
		const RandomBox box(c.columns, c.values, rng);

		for (int i = 0; i < 20; i++)
		{
			const std::vector<uint64_t> position = c.position(rng);
			std::vector<uint64_t> low(c.words() + 1);
			std::vector<uint64_t> high(c.words() + 1);
			const size_t from = c.at_or_after(position);
			size_t first = c.records.size();
			size_t end = c.records.size();

			if (alex_box_next(box.box(), position.data(), low.data(), high.data()))
			{
				ASSERT_LE(position, low);
				ASSERT_LE(low, high);
				first = c.at_or_after(low);
				end = c.at_or_after(high);
				found++;
			}
			for (size_t r = from; r < (c.strings() ? first : end); r++)
				ASSERT_EQ(box.holds(c.rows[r]), r >= first) << "record " << r << " of " << from << ", " << first << ", " << end;
		}
	}
	EXPECT_GT(found, 10000U);
}

TEST(Box, PreviousIsTheLastRange)
{
	Rng rng(7);
	size_t found = 0;

	for (int round = 0; round < 2000; round++)
	{
		const Case c(rng);
		const RandomBox box(c.columns, c.values, rng);

		for (int i = 0; i < 20; i++)
		{
			const std::vector<uint64_t> position = c.position(rng);
			std::vector<uint64_t> low(c.words() + 1);
			std::vector<uint64_t> high(c.words() + 1);
			const size_t to = c.at_or_after(position);
			size_t first = 0;
			size_t end = 0;

			if (alex_box_previous(box.box(), position.data(), low.data(), high.data()))
			{
				ASSERT_LE(high, position);
				ASSERT_LE(low, high);
				first = c.at_or_after(low);
				end = c.at_or_after(high);
				found++;
			}
			for (size_t r = c.strings() ? end : first; r < to; r++)
				ASSERT_EQ(box.holds(c.rows[r]), r < end) << "record " << r << " of " << first << ", " << end << ", " << to;
		}
	}
	EXPECT_GT(found, 10000U);
}

/* The ranges one after the other, without any record to step on: they do not overlap, and there are no more than the box can have. */
TEST(Box, RangesGoOneWay)
{
	Rng rng(8);

	for (int round = 0; round < 500; round++)
	{
		const Case c(rng);
		const RandomBox box(c.columns, c.values, rng);
		std::vector<uint64_t> position = c.position(rng);
		std::vector<uint64_t> low(c.words() + 1);
		std::vector<uint64_t> high(c.words() + 1);

		/* with strings a range ends where nothing is known */
		if (c.strings())
			continue;
		for (int i = 0; i < 300 && alex_box_next(box.box(), position.data(), low.data(), high.data()); i++)
		{
			ASSERT_LE(position, low);
			ASSERT_LT(low, high);
			position = high;
		}
		position = c.position(rng);
		for (int i = 0; i < 300 && alex_box_previous(box.box(), position.data(), low.data(), high.data()); i++)
		{
			ASSERT_LE(high, position);
			ASSERT_LT(low, high);
			position = low;
		}
	}
}

/* As a scan walks: to the first record at or after where the box says, and on behind what matched. */
TEST(Box, WalkFindsAllInFewSteps)
{
	Rng rng(9);

	for (int round = 0; round < 2000; round++)
	{
		const Case c(rng);
		const RandomBox box(c.columns, c.values, rng);
		const std::vector<uint64_t> beyond(c.words() + 1, UINT64_MAX);
		std::vector<uint64_t> position(c.words() + 1);
		std::vector<uint64_t> low(c.words() + 1);
		std::vector<uint64_t> high(c.words() + 1);
		std::vector<size_t> expected;
		std::vector<size_t> walked;
		size_t steps = 0;

		for (size_t i = 0; i < c.rows.size(); i++)
			if (box.holds(c.rows[i]))
				expected.push_back(i);

		while (alex_box_next(box.box(), position.data(), low.data(), high.data()))
		{
			size_t at = c.at_or_after(low);

			ASSERT_LE(++steps, (c.strings() ? 3 : 2) * c.rows.size() + 1) << "one step to a record, and one to where it says";
			if (at == c.records.size())
				break;
			if (c.strings())
			{
				position = c.records[at];
				if (!alex_box_matches(box.box(), position.data()))
				{
					ASSERT_TRUE(!alex_box_next(box.box(), position.data(), low.data(), high.data()) || low > position);
					continue;
				}
				walked.push_back(at);
				step_position(position.data(), c.words(), true);
				continue;
			}
			for (position = c.records[at]; at < c.at_or_after(high); at++)
			{
				walked.push_back(at);
				position = high;
			}
		}
		ASSERT_EQ(walked, expected);

		walked.clear();
		steps = 0;
		position = beyond;
		while (alex_box_previous(box.box(), position.data(), low.data(), high.data()))
		{
			size_t at = c.at_or_after(high);

			ASSERT_LE(++steps, (c.strings() ? 3 : 2) * c.rows.size() + 1) << "one step to a record, and one to where it says";
			if (at == 0)
				break;
			/* the record before is still to be looked at */
			position = c.records[at - 1];
			if (c.strings() && alex_box_matches(box.box(), position.data()))
			{
				walked.push_back(at - 1);
				continue;
			}
			step_position(position.data(), c.words(), true);
			if (c.strings())
			{
				ASSERT_TRUE(!alex_box_previous(box.box(), position.data(), low.data(), high.data()) || high < position);
				continue;
			}
			for (; at > c.at_or_after(low); at--)
			{
				walked.push_back(at - 1);
				position = low;
			}
		}
		std::reverse(walked.begin(), walked.end());
		ASSERT_EQ(walked, expected);
	}
}

/* IN lists on two columns: the product of 100,000 and 1,000 codes costs nothing to ask for. */
TEST(Box, ManyCodesInTwoColumns)
{
	const AlexColumnSpec specs[] = {{32, false, false, nullptr}, {32, false, false, nullptr}};
	AlexKeyLayout layout;
	std::vector<AlexInterval> a(100000);
	std::vector<AlexInterval> b(1000);
	AlexBox box;
	uint64_t low[position_max];
	uint64_t high[position_max];

	ASSERT_TRUE(alex_layout_columns(&layout, specs, 2));
	for (size_t i = 0; i < a.size(); i++)
		a[i] = {{i * 10}, {i * 10 + 1}, false};
	for (size_t i = 0; i < b.size(); i++)
		b[i] = {{i * 7}, {i * 7 + 1}, false};
	alex_box_begin(&box, &layout);
	alex_box_restrict(&box, 0, a.data(), static_cast<uint32_t>(a.size()));
	alex_box_restrict(&box, 1, b.data(), static_cast<uint32_t>(b.size()));

	Rng rng(10);
	for (int i = 0; i < 100000; i++)
	{
		const uint64_t x = below(rng, 1100000);
		const uint64_t y = below(rng, 8000);
		const uint64_t position[] = {x, y, 0};
		uint64_t next_x = (x + 9) / 10 * 10;
		uint64_t next_y = next_x > x ? 0 : (y + 6) / 7 * 7;

		if (next_y >= 7000)
		{
			next_x += 10;
			next_y = 0;
		}
		ASSERT_EQ(alex_box_next(&box, position, low, high), next_x < 1000000);
		if (next_x < 1000000)
		{
			ASSERT_EQ(low[0], next_x);
			ASSERT_EQ(low[1], next_y);
			ASSERT_EQ(high[0], next_x);
			ASSERT_EQ(high[1], next_y + 1);
		}
	}
}

} // namespace
