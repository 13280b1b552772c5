/*
 * key_layout_test.cc - the order of words is that of columns, and nothing gets lost in them.
 */
#include <gtest/gtest.h>

#include "box_util.h"

using namespace alex_test;

namespace
{

constexpr int most_columns = 6;

TEST(KeyLayout, RefusesWhatItCannotStore)
{
	AlexKeyLayout layout;
	std::vector<AlexColumnSpec> specs(ALEX_MAX_KEY_COLUMNS + 1, AlexColumnSpec{64, false, false, nullptr});

	EXPECT_FALSE(alex_layout_columns(&layout, specs.data(), 0));
	EXPECT_FALSE(alex_layout_columns(&layout, specs.data(), ALEX_MAX_KEY_COLUMNS + 1));
	for (int bits = 0; bits <= 130; bits++)
	{
		const AlexColumnSpec spec{static_cast<uint16_t>(bits), false, false, nullptr};
		const bool good = (bits >= 1 && bits <= 60) || bits == 64 || (bits > 64 && bits <= 124) || bits == 128;

		EXPECT_EQ(alex_layout_columns(&layout, &spec, 1), good) << bits;
	}
}

/* Every word and every null bit belongs to one column only. */
TEST(KeyLayout, PlacesAreDisjoint)
{
	Rng rng(1);

	for (int round = 0; round < 2000; round++)
	{
		const Columns columns = random_columns(most_columns, rng);
		std::vector<uint64_t> taken(columns.words() + 1);
		const auto take = [&](int word, uint64_t bits) {
			ASSERT_LE(word, columns.words());
			ASSERT_EQ(taken[word] & bits, 0U);
			taken[word] |= bits;
		};

		take(columns.words(), ALEX_TID_MASK);
		for (int c = 0; c < columns.count(); c++)
		{
			const AlexColumnPlace &place = columns.place(c);

			take(place.first, place.mask);
			for (int w = 1; w < place.words; w++)
				take(place.first + w, UINT64_MAX);
			/* and the bit above for bounds */
			take(place.null_word, UINT64_C(3) << place.null_shift);
		}
	}
}

TEST(KeyLayout, WordsAreOrderedAsColumnsAre)
{
	Rng rng(2);

	for (int round = 0; round < 3000; round++)
	{
		const Columns columns = random_columns(most_columns, rng);
		std::vector<std::vector<Value>> values;

		for (const AlexColumnSpec &spec : columns.specs)
			values.push_back(some_values(spec, 4, rng));

		const std::vector<Row> rows = random_rows(columns, values, 30, rng);

		for (size_t i = 1; i < rows.size(); i++)
			ASSERT_LT(alex_compare(record_of(columns, rows[i - 1]).data(), record_of(columns, rows[i]).data(), columns.words()), 0);
	}
}

TEST(KeyLayout, ValuesComeBack)
{
	Rng rng(3);

	for (int round = 0; round < 3000; round++)
	{
		const Columns columns = random_columns(most_columns, rng);
		Row row;

		row.tid = random_tid(rng);
		for (const AlexColumnSpec &spec : columns.specs)
			row.values.push_back(some_values(spec, 1, rng).front());

		const std::vector<uint64_t> record = record_of(columns, row);
		std::vector<uint64_t> from_codes(record.size());

		EXPECT_EQ(record.back() & ALEX_TID_MASK, row.tid);
		EXPECT_EQ(record.back() & ALEX_KILLED, 0U);
		from_codes.back() = row.tid;
		for (int c = 0; c < columns.count(); c++)
		{
			const Value &value = row.values[c];
			const auto expected = code_of(columns, c, value);
			uint64_t code[ALEX_CODE_WORDS] = {};

			ASSERT_EQ(alex_column_isnull(&columns.place(c), record.data()), value.isnull);
			if (!value.isnull)
			{
				const auto words = image_words(columns.specs[c], value.image);
				uint64_t image[ALEX_IMAGE_WORDS] = {};

				alex_get_column(&columns.place(c), record.data(), image);
				ASSERT_TRUE(std::equal(words.begin(), words.end(), image));
			}
			alex_column_code(&columns.place(c), record.data(), code);
			ASSERT_EQ(alex_code_compare(code, expected.data(), columns.code_words(c)), 0);
			alex_put_code(&columns.place(c), code, from_codes.data());
		}
		ASSERT_EQ(from_codes, record);
	}
}

TEST(KeyLayout, CodesAreOrderedAsValuesAre)
{
	Rng rng(4);

	for (int round = 0; round < 3000; round++)
	{
		const Columns columns = random_columns(3, rng);
		const int c = static_cast<int>(below(rng, columns.count()));
		const AlexColumnPlace *place = &columns.place(c);
		const int words = columns.code_words(c);
		const std::vector<Value> values = some_values(columns.specs[c], 8, rng);
		uint64_t first[ALEX_CODE_WORDS];
		uint64_t end[ALEX_CODE_WORDS];
		uint64_t after[ALEX_CODE_WORDS];

		alex_first_value_code(place, first);
		alex_end_of_values_code(place, end);
		for (const Value &a : values)
		{
			const auto code = code_of(columns, c, a);
			const bool within = alex_code_compare(first, code.data(), words) <= 0 && alex_code_compare(code.data(), end, words) < 0;

			ASSERT_EQ(within, !a.isnull);
			alex_code_after(place, code.data(), after);
			ASSERT_LT(alex_code_compare(code.data(), after, words), 0);
			for (const Value &b : values)
			{
				const auto other = code_of(columns, c, b);
				const int order = compare_values(columns.specs[c], a, b);

				ASSERT_EQ(alex_code_compare(code.data(), other.data(), words), order);
				/* nothing is between a code and the bound after it */
				ASSERT_EQ(alex_code_compare(after, other.data(), words) <= 0, order < 0);
			}
		}
	}
}

/* Codes of some columns, then a bound: the positions of all rows are on the side of it that their columns tell. */
TEST(KeyLayout, BoundsDivideRows)
{
	Rng rng(5);

	for (int round = 0; round < 3000; round++)
	{
		const Columns columns = random_columns(most_columns, rng);
		std::vector<std::vector<Value>> values;

		for (const AlexColumnSpec &spec : columns.specs)
			values.push_back(some_values(spec, 3, rng));

		const std::vector<Row> rows = random_rows(columns, values, 30, rng);
		const Row &row = rows[below(rng, rows.size())];
		const int last = static_cast<int>(below(rng, columns.count()));
		std::vector<uint64_t> prefix(columns.words() + 1);

		for (int c = 0; c < last; c++)
			alex_put_code(&columns.place(c), code_of(columns, c, row.values[c]).data(), prefix.data());

		const AlexColumnPlace *place = &columns.place(last);
		const auto expect_divided = [&](const uint64_t *bound, auto before) {
			std::vector<uint64_t> position = prefix;

			alex_put_code(place, bound, position.data());
			for (const Row &other : rows)
			{
				const int order = compare_rows(columns, other, row, last);
				const bool is_before = order != 0 ? order < 0 : before(other.values[last]);

				ASSERT_EQ(alex_compare(record_of(columns, other).data(), position.data(), columns.words()) < 0, is_before);
			}
		};
		const AlexColumnSpec &spec = columns.specs[last];
		const auto code = code_of(columns, last, row.values[last]);
		uint64_t bound[ALEX_CODE_WORDS];

		expect_divided(code.data(), [&](const Value &v) { return compare_values(spec, v, row.values[last]) < 0; });
		alex_code_after(place, code.data(), bound);
		expect_divided(bound, [&](const Value &v) { return compare_values(spec, v, row.values[last]) <= 0; });
		alex_first_value_code(place, bound);
		expect_divided(bound, [&](const Value &v) { return v.isnull && spec.nulls_first; });
		alex_end_of_values_code(place, bound);
		expect_divided(bound, [&](const Value &v) { return !v.isnull || spec.nulls_first; });
	}
}

} // namespace
