/*
 * box_util.h - random layouts, rows and boxes, and what they mean without any code of the core.
 */
#ifndef ALEX_TEST_BOX_UTIL_H
#define ALEX_TEST_BOX_UTIL_H

#include <array>
#include <map>

#include "../key_ranges.h"
#include "test_util.h"

namespace alex_test
{

using Image = unsigned __int128;

/* A column of a row. */
struct Value
{
	bool isnull = false;
	Image image = 0;
	std::string string; /* of a string column */

	bool operator==(const Value &) const = default;
};

struct Row
{
	std::vector<Value> values;
	uint64_t tid;
};

/* The columns of a key. */
struct Columns
{
	std::vector<AlexColumnSpec> specs;
	AlexKeyLayout layout;
	std::vector<std::shared_ptr<AlexStringCode>> codes;

	/* Words of strings, to which codes refer. */
	std::shared_ptr<std::map<std::pair<int, std::string>, std::vector<uint64_t>>> strings =
		std::make_shared<std::map<std::pair<int, std::string>, std::vector<uint64_t>>>();

	int count() const { return static_cast<int>(specs.size()); }
	int words() const { return layout.words; }
	const AlexColumnPlace &place(int c) const { return layout.place[c]; }
	int code_words(int c) const { return alex_code_words(&layout.place[c]); }
};

inline Image
greatest_image(int bits)
{
	return bits == 0 ? 0 : ~Image{0} >> (128 - bits);
}

inline std::array<uint64_t, ALEX_IMAGE_WORDS>
image_words(const AlexColumnSpec &spec, Image image)
{
	if (spec.bits <= 64)
		return {static_cast<uint64_t>(image), 0};
	return {static_cast<uint64_t>(image >> 64), static_cast<uint64_t>(image)};
}

/* Any columns that fit into a key: at most "most" of them. */
inline Columns
random_columns(int most, Rng &rng)
{
	static constexpr uint16_t widths[] = {1, 2, 3, 8, 16, 31, 32, 33, 48, 59, 60, 64, 65, 80, 96, 123, 124, 128};
	Columns columns;

	do
	{
		columns.specs.resize(1 + below(rng, most));
		for (AlexColumnSpec &spec : columns.specs)
			/* 64 bits are the most common, and their null bits are elsewhere */
			spec = {below(rng, 3) == 0 ? uint16_t{64} : widths[below(rng, std::size(widths))], below(rng, 2) == 0,
					below(rng, 2) == 0, nullptr};
	} while (!alex_layout_columns(&columns.layout, columns.specs.data(), columns.count()));
	return columns;
}

/* A code for a string column, for what it may have to store or for other things. */
inline std::shared_ptr<AlexStringCode>
random_string_code(bool none_first, Rng &rng)
{
	auto code = std::make_shared<AlexStringCode>();
	AlexCodeLengths lengths;
	uint64_t counts[ALEX_STRING_COUNTS];

	for (uint64_t &count : counts)
		count = below(rng, UINT64_C(1) << below(rng, 20));
	if (below(rng, 2) == 0)
		alex_default_code(below(rng, 2) == 0, none_first, &lengths);
	else
		alex_choose_code(counts, none_first, &lengths);
	if (!alex_make_code(&lengths, code.get()))
		throw std::logic_error("no code");
	return code;
}

/* The same with at least one string among them. */
inline Columns
random_string_columns(int most, Rng &rng)
{
	Columns columns = random_columns(most, rng);
	const size_t certain = below(rng, columns.specs.size());

	for (size_t c = 0; c < columns.specs.size(); c++)
		if (c == certain || below(rng, 4) == 0)
		{
			AlexColumnSpec &spec = columns.specs[c];

			columns.codes.push_back(random_string_code(alex_none_first(spec.descending, spec.nulls_first), rng));
			spec.bits = 0;
			spec.code = columns.codes.back().get();
		}
	if (!alex_layout_columns(&columns.layout, columns.specs.data(), columns.count()))
		throw std::logic_error("no layout");
	return columns;
}

/* Strings of few letters, some of them long: short enough that as many as a key has fit. */
inline std::string
some_string(const std::vector<Value> &others, Rng &rng)
{
	static const std::string letters[] = {"ab", std::string("\0\377", 2), "0123456789abcdef"};
	const std::string &alphabet = letters[below(rng, std::size(letters))];
	std::string result;

	if (!others.empty() && below(rng, 3) == 0)
		result = others[below(rng, others.size())].string.substr(0, 20);
	for (uint64_t n = below(rng, below(rng, 3) == 0 ? 24 : 4); n > 0; n--)
		result += alphabet[below(rng, alphabet.size())];
	return result;
}

/* A few values of a column: both ends, neighbours, anything, and NULL. */
inline std::vector<Value>
some_values(const AlexColumnSpec &spec, size_t n, Rng &rng)
{
	const Image greatest = greatest_image(spec.bits);
	std::vector<Value> values;
	const auto add = [&](const Value &value) {
		if (std::find(values.begin(), values.end(), value) == values.end())
			values.push_back(value);
	};

	for (size_t i = 0; spec.code != nullptr && (values.empty() || (i < 2 * n && values.size() < n)); i++)
		add(below(rng, 7) == 0 ? Value{true, 0, {}} : Value{false, 0, some_string(values, rng)});
	for (size_t i = 0; values.empty() || (spec.code == nullptr && i < 2 * n && values.size() < n); i++)
		switch (below(rng, 7))
		{
			case 0:
				add({true, 0, {}});
				break;
			case 1:
				add({false, 0, {}});
				break;
			case 2:
				add({false, greatest, {}});
				break;
			case 3:
				/* where a carry goes from word to word */
				add({false, (Image{below(rng, 3)} << 64 | (below(rng, 2) == 0 ? 0 : UINT64_MAX)) & greatest, {}});
				break;
			case 4:
				if (!values.empty() && !values.back().isnull)
					add({false, (values.back().image + 1) & greatest, {}});
				break;
			default:
				add({false, (Image{rng()} << 64 | rng()) & greatest, {}});
		}
	return values;
}

/* The order of two values of a column: negative, 0 or positive. */
inline int
compare_values(const AlexColumnSpec &spec, const Value &a, const Value &b)
{
	if (a.isnull != b.isnull)
		return a.isnull == spec.nulls_first ? -1 : 1;
	if (a.isnull || (a.image == b.image && a.string == b.string))
		return 0;
	return (spec.code != nullptr ? a.string < b.string : a.image < b.image) != spec.descending ? -1 : 1;
}

/* The order of the first n columns of two rows. */
inline int
compare_rows(const Columns &columns, const Row &a, const Row &b, int n)
{
	for (int c = 0; c < n; c++)
	{
		const int order = compare_values(columns.specs[c], a.values[c], b.values[c]);

		if (order != 0)
			return order;
	}
	return 0;
}

inline bool
row_before(const Columns &columns, const Row &a, const Row &b)
{
	const int order = compare_rows(columns, a, b, columns.count());

	return order != 0 ? order < 0 : a.tid < b.tid;
}

inline std::array<uint64_t, ALEX_CODE_WORDS>
code_of(const Columns &columns, int c, const Value &value)
{
	std::array<uint64_t, ALEX_CODE_WORDS> code = {};

	if (!value.isnull && columns.specs[c].code != nullptr)
	{
		std::vector<uint64_t> &words = (*columns.strings)[{c, value.string}];

		words.resize(value.string.size() / 4 + 1);
		words.resize(alex_encode_string(columns.specs[c].code, value.string.data(), value.string.size(), columns.place(c).flip[0],
										words.data(), static_cast<int>(words.size())));
		alex_string_code(words.data(), static_cast<int>(words.size()), code.data());
	}
	else if (value.isnull)
		alex_null_code(&columns.place(c), code.data());
	else
		alex_image_code(&columns.place(c), image_words(columns.specs[c], value.image).data(), code.data());
	return code;
}

/* The record of a row. */
inline std::vector<uint64_t>
record_of(const Columns &columns, const Row &row)
{
	std::vector<uint64_t> record(columns.words() + 1);

	record.back() = row.tid;
	if (columns.layout.strings > 0)
	{
		int base = 0;

		for (int c = 0; c < columns.count(); c++)
			if (!alex_put_next_code(&columns.layout, c, code_of(columns, c, row.values[c]).data(), record.data(), columns.words(), &base))
				throw std::logic_error("a row does not fit a key");
		return record;
	}
	for (int c = 0; c < columns.count(); c++)
		alex_put_column(&columns.place(c), image_words(columns.specs[c], row.values[c].image).data(), row.values[c].isnull,
						record.data());
	return record;
}

inline uint64_t
random_tid(Rng &rng)
{
	return below(rng, UINT64_C(1) << 32) << 16 | (1 + below(rng, 200));
}

/* Rows of a few values a column, so that most conditions select some of them; in order, no two of them the same. */
inline std::vector<Row>
random_rows(const Columns &columns, const std::vector<std::vector<Value>> &values, size_t n, Rng &rng)
{
	std::vector<Row> rows(n);

	for (Row &row : rows)
	{
		for (const std::vector<Value> &column : values)
			row.values.push_back(column[below(rng, column.size())]);
		row.tid = below(rng, 50) << 16 | (1 + below(rng, 50));
	}
	const auto before = [&](const Row &a, const Row &b) { return row_before(columns, a, b); };
	std::sort(rows.begin(), rows.end(), before);
	rows.erase(std::unique(rows.begin(), rows.end(), [&](const Row &a, const Row &b) { return !before(a, b); }), rows.end());
	return rows;
}

/* The condition "from <= value < to" on a column in the order of the index, or on one side only, or NULL or not. */
struct Condition
{
	int kind; /* 0 .. 5, below */
	Value from;
	Value to;

	bool
	holds(const AlexColumnSpec &spec, const Value &value) const
	{
		switch (kind)
		{
			case 0:
				return value == from;
			case 1:
				return compare_values(spec, value, from) >= 0 && compare_values(spec, value, to) < 0;
			case 2:
				return compare_values(spec, value, from) > 0 && !value.isnull;
			case 3:
				return compare_values(spec, value, from) < 0 && !value.isnull;
			case 4:
				return value.isnull;
			default:
				return !value.isnull;
		}
	}

	/* false: it is empty */
	bool
	interval(const Columns &columns, int c, AlexInterval *interval) const
	{
		const AlexColumnPlace *place = &columns.place(c);
		const size_t bytes = (columns.specs[c].code != nullptr ? ALEX_CODE_WORDS : columns.code_words(c)) * sizeof(uint64_t);
		const auto low = code_of(columns, c, from);
		const auto high = code_of(columns, c, to);

		*interval = {};
		alex_first_value_code(place, interval->low);
		alex_end_of_values_code(place, interval->high);
		switch (kind)
		{
			case 0:
				std::memcpy(interval->low, low.data(), bytes);
				alex_code_after(place, low.data(), interval->high);
				break;
			case 1:
				std::memcpy(interval->low, low.data(), bytes);
				std::memcpy(interval->high, high.data(), bytes);
				break;
			case 2:
				if (from.isnull && !columns.specs[c].nulls_first)
					return false;
				if (!from.isnull)
					alex_code_after(place, low.data(), interval->low);
				break;
			case 3:
				if (from.isnull && columns.specs[c].nulls_first)
					return false;
				if (!from.isnull)
					std::memcpy(interval->high, low.data(), bytes);
				break;
			case 4:
				alex_null_code(place, interval->low);
				alex_code_after(place, interval->low, interval->high);
				break;
			default:
				break;
		}
		return alex_code_compare(interval->low, interval->high, columns.code_words(c)) < 0;
	}
};

inline Condition
random_condition(const std::vector<Value> &values, Rng &rng)
{
	static constexpr int kinds[] = {0, 0, 0, 0, 1, 1, 2, 3, 4, 5};

	return {kinds[below(rng, std::size(kinds))], values[below(rng, values.size())], values[below(rng, values.size())]};
}

/* A row comparison with values of some columns, in any order: (c2, c0) >= (...), in the order of the types, not of the index. */
struct RowCondition
{
	std::vector<int> members;
	std::vector<Value> arguments;
	bool greater;
	bool or_equal;

	/* As nbtree has it: a NULL is as far as a comparison comes, on either side. */
	bool
	holds(const Row &row) const
	{
		for (size_t i = 0; i < members.size(); i++)
		{
			const Value &value = row.values[members[i]];

			if (value.isnull || arguments[i].isnull)
				return false;
			if (value.image != arguments[i].image || value.string != arguments[i].string)
				return (value.string == arguments[i].string ? value.image > arguments[i].image : value.string > arguments[i].string) == greater;
		}
		return or_equal;
	}

	std::vector<AlexRowMember>
	row(const Columns &columns) const
	{
		std::vector<AlexRowMember> row;

		for (size_t i = 0; i < members.size(); i++)
		{
			const int c = members[i];
			const AlexColumnPlace *place = &columns.place(c);
			const bool with_equal = i + 1 == members.size() && or_equal;
			AlexRowMember member = {};

			member.column = c;
			if (!arguments[i].isnull)
			{
				const auto code = code_of(columns, c, arguments[i]);

				std::copy(code.begin(), code.end(), member.equal.low);
				alex_code_after(place, code.data(), member.equal.high);
				alex_first_value_code(place, member.beyond.low);
				alex_end_of_values_code(place, member.beyond.high);
				if (greater != columns.specs[c].descending)
					std::copy_n(with_equal ? member.equal.low : member.equal.high, ALEX_CODE_WORDS, member.beyond.low);
				else
					std::copy_n(with_equal ? member.equal.high : member.equal.low, ALEX_CODE_WORDS, member.beyond.high);
			}
			row.push_back(member);
		}
		return row;
	}
};

inline RowCondition
random_row_condition(const std::vector<std::vector<Value>> &values, Rng &rng)
{
	RowCondition condition{{}, {}, below(rng, 2) == 0, below(rng, 2) == 0};

	for (size_t n = 1 + below(rng, values.size() + 1); n > 0; n--)
	{
		/* mostly in order, as they are written */
		const size_t next = below(rng, 4) == 0 ? below(rng, values.size()) : condition.members.size() % values.size();

		condition.members.push_back(static_cast<int>(next));
		condition.arguments.push_back(values[next][below(rng, values[next].size())]);
	}
	return condition;
}

/* Conditions on some columns, any one of each column's has to hold, up to two row comparisons, and the box they make. */
class RandomBox
{
public:
	RandomBox(const Columns &columns, const std::vector<std::vector<Value>> &values, Rng &rng)
		: columns_(columns), conditions_(columns.count()), sets_(columns.count())
	{
		const size_t rows = below(rng, 2) == 0 ? 1 + below(rng, 2) : 0;

		alex_box_begin(&box_, &columns.layout);
		for (int c = 0; c < columns.count(); c++)
			restrict(c, values[c], rng);
		/* a box cannot be empty: a comparison that leaves nothing is left out */
		while (row_conditions_.size() < rows && add_row(random_row_condition(values, rng)))
			continue;
		/* nor without any restriction */
		while (box_.columns == 0 && parts_.empty())
			for (int c = 0; c < columns.count(); c++)
				restrict(c, values[c], rng);
	}
	RandomBox(const RandomBox &) = delete;
	RandomBox &operator=(const RandomBox &) = delete;

	const AlexBox *box() const { return &box_; }

	bool
	holds(const Row &row) const
	{
		for (int c = 0; c < columns_.count(); c++)
			if (!sets_[c].empty() && std::none_of(conditions_[c].begin(), conditions_[c].end(), [&](const Condition &condition) {
					return condition.holds(columns_.specs[c], row.values[c]);
				}))
				return false;
		return std::all_of(row_conditions_.begin(), row_conditions_.end(),
						   [&](const RowCondition &condition) { return condition.holds(row); });
	}

private:
	void
	restrict(int c, const std::vector<Value> &values, Rng &rng)
	{
		if (below(rng, 3) == 0 || !sets_[c].empty())
			return;
		for (size_t n = 1 + (below(rng, 2) == 0 ? below(rng, 4) : 0); n > 0; n--)
		{
			const Condition condition = random_condition(values, rng);
			AlexInterval interval;

			if (!condition.interval(columns_, c, &interval))
				continue;
			conditions_[c].push_back(condition);
			sets_[c].push_back(interval);
		}
		if (sets_[c].empty())
			return;
		sets_[c].resize(alex_intervals_normalize(sets_[c].data(), static_cast<uint32_t>(sets_[c].size()), columns_.code_words(c),
												 nullptr));
		alex_box_restrict(&box_, c, sets_[c].data(), static_cast<uint32_t>(sets_[c].size()));
	}

	/* false: nothing would be left */
	bool
	add_row(const RowCondition &condition)
	{
		const std::vector<AlexRowMember> row = condition.row(columns_);
		const std::vector<AlexBox> before = parts_.empty() ? std::vector<AlexBox>{box_} : parts_;
		std::vector<AlexBox> after;

		for (const AlexBox &part : before)
		{
			const auto n = static_cast<int>(row.size());
			std::vector<AlexBox> cut(row.size());

			spaces_.push_back(std::make_unique<AlexInterval[]>(alex_box_split_space(&part, row.data(), n)));
			cut.resize(alex_box_split(&part, row.data(), n, cut.data(), spaces_.back().get()));
			after.insert(after.end(), cut.begin(), cut.end());
		}
		if (after.empty())
			return false;
		parts_ = std::move(after);
		row_conditions_.push_back(condition);
		box_.parts = parts_.data();
		box_.n_parts = static_cast<uint32_t>(parts_.size());
		return true;
	}

	const Columns &columns_;
	std::vector<std::vector<Condition>> conditions_;
	std::vector<std::vector<AlexInterval>> sets_;
	std::vector<RowCondition> row_conditions_;
	std::vector<AlexBox> parts_;
	std::vector<std::unique_ptr<AlexInterval[]>> spaces_;
	AlexBox box_;
};

} // namespace alex_test

#endif
