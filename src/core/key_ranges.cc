/*
 * key_ranges.cc - sets of codes, and boxes.
 */
#include "key_ranges.h"

#include <algorithm>
#include <span>

namespace
{

constexpr uint32_t kPauseEvery = 1u << 16;

/** Copies a code, or a bound of codes. */
void
set_code(uint64_t *to, const uint64_t *from, int words)
{
	std::copy_n(from, words == ALEX_STRING_CODE ? ALEX_CODE_WORDS : words, to);
}

bool
before(const uint64_t *a, const uint64_t *b, int words)
{
	return alex_code_compare(a, b, words) < 0;
}

/** Compares two positions: key words and tie. */
int
compare_positions(const uint64_t *a, const uint64_t *b, int words)
{
	return alex_code_compare(a, b, words + 1);
}

void
clip(AlexInterval &interval, const AlexInterval &by, int words)
{
	if (before(interval.low, by.low, words))
		set_code(interval.low, by.low, words);
	if (before(by.high, interval.high, words))
		set_code(interval.high, by.high, words);
}

bool
empty(const AlexInterval &interval, int words)
{
	return !before(interval.low, interval.high, words);
}

/** Sorts by the low ends, in pieces between which the caller may pause. */
void
sort_intervals(AlexInterval *intervals, uint32_t n, int words, void (*pause)(void))
{
	auto less = [words](const AlexInterval &a, const AlexInterval &b) { return before(a.low, b.low, words); };

	/* arrays often come in order */
	if (std::is_sorted(intervals, intervals + n, less))
		return;
	if (pause == nullptr || n <= kPauseEvery)
	{
		std::sort(intervals, intervals + n, less);
		return;
	}
	/* split by selection first: what is left of it are pieces that sort fast */
	std::nth_element(intervals, intervals + n / 2, intervals + n, less);
	pause();
	sort_intervals(intervals, n / 2, words, pause);
	sort_intervals(intervals + n / 2, n - n / 2, words, pause);
}

/** The places of a box, column by column, as a range of positions is put together. */
class Walk
{
  public:
	explicit Walk(const AlexBox &box) : box_(box), layout_(*box.layout) {}

	const AlexColumnPlace &place(int c) const { return layout_.place[c]; }
	std::span<const AlexInterval> set(int c) const { return {box_.set[c].intervals, box_.set[c].n}; }
	bool restricted(int c) const { return box_.set[c].n > 0; }
	int code_words(int c) const { return alex_code_words(&place(c)); }
	int last() const { return box_.columns - 1; }
	int words() const { return layout_.words; }

	/** The first interval of a column whose high end is behind the code: it holds the code or comes after it. */
	const AlexInterval *at_or_after(int c, const uint64_t *code) const
	{
		const auto intervals = set(c);
		const int n = code_words(c);
		const auto *found = std::partition_point(intervals.data(), intervals.data() + intervals.size(),
												 [&](const AlexInterval &i) { return !before(code, i.high, n); });

		return found == intervals.data() + intervals.size() ? nullptr : found;
	}

	/** The last interval of a column whose low end is before the code. */
	const AlexInterval *before_code(int c, const uint64_t *code) const
	{
		const auto intervals = set(c);
		const int n = code_words(c);
		const auto *found = std::partition_point(intervals.data(), intervals.data() + intervals.size(),
												 [&](const AlexInterval &i) { return before(i.low, code, n); });

		return found == intervals.data() ? nullptr : found - 1;
	}

	bool holds(int c, const AlexInterval *interval, const uint64_t *code) const
	{
		return !before(code, interval->low, code_words(c)) && before(code, interval->high, code_words(c));
	}

	bool is_string(int c) const { return place(c).code != nullptr; }

	void clear(uint64_t *position) const { std::fill_n(position, words() + 1, 0); }

	/** The code of the next column of a position; false if the position ends within it. */
	bool take(int c, const uint64_t *position, int *base, uint64_t *code) const
	{
		if (layout_.strings > 0)
			return alex_take_code(&layout_, c, position, words(), base, code);
		alex_column_code(&place(c), position, code);
		return true;
	}

	/** Puts the next column into a position that was clear; false if it is a bound, behind which nothing belongs. */
	bool put(int c, const uint64_t *code, uint64_t *position, int *base) const
	{
		if (layout_.strings > 0)
			return alex_put_next_code(&layout_, c, code, position, words(), base);
		alex_put_code(&place(c), code, position);
		return true;
	}

	/**
	 * Has a position of no possible record bits where none belong to the column? Then it is behind all codes of a narrow column, or
	 * behind those of the image of a wide one.
	 */
	bool has_stray_bits(int c, const uint64_t *position, int base) const
	{
		const AlexColumnPlace &place = layout_.place[c];

		if (is_string(c) || (layout_.strings > 0 && base + place.first + alex_code_words(&place) > words()))
			return false;
		position += base;

		const bool shared = c > 0 && layout_.place[c - 1].null_word == place.first;

		if (!place.wide)
			return (position[place.first] & ~code_mask(c) &
					(shared ? ~(UINT64_C(3) << ALEX_SHARED_NULL_SHIFT) : UINT64_MAX)) != 0;
		return place.null_shift == 0 && position[place.null_word] > kGreatestNull;
	}

	/** A bound that such a position is behind: no record has this code or a greater one of the column or the image. */
	void beyond(int c, uint64_t *code) const
	{
		if (place(c).wide)
			code[place(c).words] = kGreatestNull;
		else
			greatest(c, code);
	}

	/** The next code after this one that a record can have. Returns false if there is none. */
	bool successor(int c, uint64_t *code) const
	{
		const int image_words = place(c).words;

		if (is_string(c))
		{
			alex_code_after(&place(c), code, code);
			return true;
		}
		if (!place(c).wide)
		{
			if (code[0] == code_mask(c) &&
				std::all_of(code + 1, code + image_words, [](uint64_t word) { return word == UINT64_MAX; }))
				return false;
			alex_code_after(&place(c), code, code);
			return true;
		}

		const uint64_t value_bit = place(c).nulls_first ? 1 : 0;
		uint64_t &null_bit = code[image_words];
		const bool last = std::all_of(code, code + image_words, [](uint64_t word) { return word == UINT64_MAX; });

		if (null_bit < value_bit || (last && null_bit == 0))
			null_bit++;
		else if (last)
			return false;
		else
		{
			null_bit = value_bit;
			for (int i = image_words - 1; i >= 0; i--)
				if (++code[i] != 0)
					break;
		}
		return true;
	}

	/** The last code before this one that a record can have, of a column that is no string. Returns false if there is none. */
	bool predecessor(int c, uint64_t *code) const
	{
		const int image_words = place(c).words;
		const bool first = std::all_of(code, code + image_words, [](uint64_t word) { return word == 0; });

		if (place(c).wide)
		{
			const uint64_t value_bit = place(c).nulls_first ? 1 : 0;
			uint64_t &null_bit = code[image_words];
			const bool last = std::all_of(code, code + image_words, [](uint64_t word) { return word == UINT64_MAX; });

			if (null_bit > value_bit)
			{
				null_bit = last ? std::min<uint64_t>(null_bit - 1, 1) : value_bit;
				return true;
			}
			if (first)
				return null_bit-- > 0;
			null_bit = value_bit;
		}
		else if (first)
			return false;
		for (int i = image_words - 1; i >= 0; i--)
			if (code[i]-- != 0)
				break;
		return true;
	}

	/** No record has a lesser code. */
	static void least(uint64_t *code) { std::fill_n(code, ALEX_CODE_WORDS, 0); }

	/** Is it all codes before the high end of an interval, but not known which is the last? */
	bool is_open(int c, const AlexInterval &interval) const
	{
		uint64_t after[ALEX_CODE_WORDS];

		if (!is_string(c))
			return false;
		alex_code_after(&place(c), interval.low, after);
		return interval.low[2] != 0 || alex_string_code_compare(after, interval.high) != 0;
	}

	/** No record has this code or a greater one. */
	void greatest(int c, uint64_t *code) const
	{
		if (is_string(c))
		{
			alex_string_extreme(true, code);
			return;
		}
		std::fill_n(code, ALEX_CODE_WORDS, UINT64_MAX);
		if (place(c).wide)
			code[place(c).words] = kGreatestNull;
		else
			code[0] = code_mask(c);
	}

  private:
	/** What a place has room for: null bit and the bit beyond it. */
	static constexpr uint64_t kGreatestNull = 3;

	/** The bits of a narrow column's first word. */
	uint64_t code_mask(int c) const { return (place(c).mask << 2) | 3; }

	const AlexBox &box_;
	const AlexKeyLayout &layout_;
};

using Codes = uint64_t[ALEX_MAX_KEY_COLUMNS][ALEX_CODE_WORDS];

/** Writes a position with these codes in columns 0 .. n - 1, as far as they go. Returns false if one of them is a bound. */
bool
put_codes(const Walk &walk, const Codes &codes, int n, uint64_t *position, int *base)
{
	bool whole = true;

	walk.clear(position);
	*base = 0;
	for (int c = 0; c < n && whole; c++)
		whole = walk.put(c, codes[c], position, base);
	return whole;
}

/**
 * Writes the range of positions with these codes in all columns before the last, and the last in the interval. Returns false if one of
 * the codes is a bound: then both ends are that.
 */
bool
put_range(const Walk &walk, const Codes &codes, const AlexInterval &interval, uint64_t *low, uint64_t *high)
{
	int base;
	const bool whole = put_codes(walk, codes, walk.last(), low, &base);

	std::copy_n(low, walk.words() + 1, high);
	if (whole)
	{
		int high_base = base;

		walk.put(walk.last(), interval.low, low, &base);
		walk.put(walk.last(), interval.high, high, &high_base);
	}
	return whole;
}

/** The same of find_next_range(): where the range ends is not known if it begins at a bound. */
void
put_next_range(const Walk &walk, const Codes &codes, const AlexInterval &interval, uint64_t *low, uint64_t *high)
{
	if (!put_range(walk, codes, interval, low, high))
		std::fill_n(high, walk.words() + 1, UINT64_MAX);
}

/** The same of find_previous_range(): nor where it begins if it ends at a bound. */
void
put_previous_range(const Walk &walk, const Codes &codes, const AlexInterval &interval, uint64_t *low, uint64_t *high)
{
	if (!put_range(walk, codes, interval, low, high))
		walk.clear(low);
}

/** The last code of an interval before "code", which is in it or its end; of an interval without any code of a record its first one. */
void
last_of_interval(const Walk &walk, int c, const AlexInterval &interval, uint64_t *code)
{
	if (!walk.predecessor(c, code) || before(code, interval.low, walk.code_words(c)))
		set_code(code, interval.low, walk.code_words(c));
}

/** A range at or after a position; with strings it may begin before it. */
bool
find_next_range(const AlexBox &box, const uint64_t *position, uint64_t *low, uint64_t *high)
{
	const Walk walk(box);
	const AlexInterval *interval = nullptr; // of the column looked at
	Codes codes;
	bool stray = false;
	bool found = false; // codes[c] is greater than the position's and in the set
	int base = 0;
	int c;

	/* as far as the position itself matches */
	for (c = 0; c <= walk.last(); c++)
	{
		const int column_base = base;
		const bool whole = walk.take(c, position, &base, codes[c]);

		if (walk.has_stray_bits(c, position, column_base))
		{
			walk.beyond(c, codes[c]);
			stray = true;
			c++; /* the next code of this very column */
			break;
		}
		if (walk.restricted(c))
		{
			interval = walk.at_or_after(c, codes[c]);
			if (interval == nullptr)
				break;
			if (before(codes[c], interval->low, walk.code_words(c)))
			{
				set_code(codes[c], interval->low, walk.code_words(c));
				found = true;
				break;
			}
		}
		if (!whole && c < walk.last())
		{
			/* records that begin so may match, whatever comes behind */
			std::copy_n(position, walk.words() + 1, low);
			std::fill_n(high, walk.words() + 1, UINT64_MAX);
			return true;
		}
	}
	if (c > walk.last() && !stray)
	{
		put_next_range(walk, codes, *interval, low, high);
		std::copy_n(position, walk.words() + 1, low);
		return true;
	}

	/* nothing is left under the codes of the columns before: the next code of the last one that has one */
	while (!found && --c >= 0)
	{
		if (!walk.successor(c, codes[c]))
			continue;
		found = true;
		if (!walk.restricted(c))
			break;
		interval = walk.at_or_after(c, codes[c]);
		found = interval != nullptr;
		if (found && before(codes[c], interval->low, walk.code_words(c)))
			set_code(codes[c], interval->low, walk.code_words(c));
	}
	if (!found)
		return false;

	if (c == walk.last())
	{
		/* codes of it from this bound on */
		AlexInterval part = *interval;

		set_code(part.low, codes[c], walk.code_words(c));
		put_next_range(walk, codes, part, low, high);
		return true;
	}

	/* and the least codes behind it */
	for (c++; c <= walk.last(); c++)
	{
		if (walk.restricted(c))
		{
			interval = &walk.set(c).front();
			set_code(codes[c], interval->low, walk.code_words(c));
		}
		else
			Walk::least(codes[c]);
	}
	put_next_range(walk, codes, *interval, low, high);
	return true;
}

/** The range of what begins with these codes in columns before c, and is before the code there. */
void
put_all_before(const Walk &walk, const Codes &codes, int c, uint64_t *low, uint64_t *high)
{
	int base;

	if (put_codes(walk, codes, c, high, &base))
		walk.put(c, codes[c], high, &base);
	walk.clear(low);
}

/**
 * A range before a position; with strings it may end behind it. A string has no predecessor: where one is wanted, the range ends at the
 * bound before which it is.
 */
bool
find_previous_range(const AlexBox &box, const uint64_t *position, uint64_t *low, uint64_t *high)
{
	const Walk walk(box);
	const AlexInterval *interval = nullptr;
	Codes codes;
	int base = 0;
	int c;

	/* as far as codes of the position match: something with the same ones may come before it */
	for (c = 0; c <= walk.last(); c++)
	{
		const int column_base = base;
		const bool whole = walk.take(c, position, &base, codes[c]);

		if (walk.has_stray_bits(c, position, column_base))
		{
			walk.beyond(c, codes[c]);
			break;
		}
		if (walk.restricted(c))
		{
			interval = walk.at_or_after(c, codes[c]);
			if (interval == nullptr || !walk.holds(c, interval, codes[c]))
				break;
		}
		if (!whole && c < walk.last())
		{
			std::copy_n(position, walk.words() + 1, high);
			walk.clear(low);
			return true;
		}
	}
	if (c > walk.last())
	{
		put_previous_range(walk, codes, *interval, low, high);
		std::copy_n(position, walk.words() + 1, high);
		if (compare_positions(low, high, walk.words()) < 0)
			return true;
		/* the position is the first of its interval */
		c = walk.last();
	}

	/* the greatest smaller code of the last column that has one */
	for (; c >= 0; c--)
	{
		if (!walk.restricted(c))
		{
			if (walk.is_string(c))
			{
				put_all_before(walk, codes, c, low, high);
				return true;
			}
			if (walk.predecessor(c, codes[c]))
				break;
			continue;
		}
		interval = walk.before_code(c, codes[c]);
		if (interval == nullptr)
			continue;
		if (before(interval->high, codes[c], walk.code_words(c)))
			set_code(codes[c], interval->high, walk.code_words(c));
		if (c == walk.last())
		{
			/* codes of it up to this bound */
			AlexInterval part = *interval;

			set_code(part.high, codes[c], walk.code_words(c));
			put_previous_range(walk, codes, part, low, high);
			return true;
		}
		if (walk.is_open(c, *interval))
		{
			put_all_before(walk, codes, c, low, high);
			return true;
		}
		if (walk.is_string(c))
			set_code(codes[c], interval->low, walk.code_words(c));
		else
			last_of_interval(walk, c, *interval, codes[c]);
		break;
	}
	if (c < 0)
		return false;

	/* and the greatest codes behind it */
	for (c++; c <= walk.last(); c++)
	{
		if (walk.restricted(c))
		{
			interval = &walk.set(c).back();
			if (c < walk.last() && walk.is_open(c, *interval))
			{
				set_code(codes[c], interval->high, walk.code_words(c));
				put_all_before(walk, codes, c, low, high);
				return true;
			}
			set_code(codes[c], walk.is_string(c) ? interval->low : interval->high, walk.code_words(c));
			if (!walk.is_string(c))
				last_of_interval(walk, c, *interval, codes[c]);
		}
		else
			walk.greatest(c, codes[c]);
	}
	put_previous_range(walk, codes, *interval, low, high);
	return true;
}

/** alex_box_next() of a box without parts. */
bool
next_range(const AlexBox &box, const uint64_t *position, uint64_t *low, uint64_t *high)
{
	const int words = box.layout->words;

	if (!find_next_range(box, position, low, high))
		return false;
	/* a string that does not end may have left no room for what is behind it */
	if (box.layout->strings > 0 && compare_positions(low, position, words) < 0)
		std::copy_n(position, words + 1, low);
	return true;
}

/** alex_box_previous() of a box without parts. */
bool
previous_range(const AlexBox &box, const uint64_t *position, uint64_t *low, uint64_t *high)
{
	const int words = box.layout->words;

	if (!find_previous_range(box, position, low, high))
		return false;
	if (box.layout->strings > 0 && compare_positions(high, position, words) > 0)
		std::copy_n(position, words + 1, high);
	return true;
}

/** alex_box_matches() of a box without parts. */
bool
matches(const AlexBox &box, const uint64_t *record)
{
	const Walk walk(box);
	int base = 0;

	for (int c = 0; c < box.columns; c++)
	{
		uint64_t code[ALEX_CODE_WORDS];

		if (!walk.restricted(c) && !walk.is_string(c))
			continue;
		walk.take(c, record, &base, code);
		if (!walk.restricted(c))
			continue;

		const AlexInterval *interval = walk.at_or_after(c, code);

		if (interval == nullptr || !walk.holds(c, interval, code))
			return false;
	}
	return true;
}

/** Restricts a column of a box to what it has in common with an interval, in "space". False if that is nothing. */
bool
restrict_further(AlexBox &box, int c, const AlexInterval &by, AlexInterval **space)
{
	const int words = alex_code_words(&box.layout->place[c]);
	const bool restricted = c < box.columns && box.set[c].n > 0;
	uint32_t n = 1;

	if (empty(by, words))
		return false;
	if (restricted)
		n = alex_intervals_intersect(box.set[c].intervals, box.set[c].n, &by, 1, words, *space, nullptr);
	else
		**space = by;
	if (n == 0)
		return false;
	alex_box_restrict(&box, c, *space, n);
	*space += n;
	return true;
}

} // namespace

extern "C" uint32_t
alex_intervals_normalize(AlexInterval *intervals, uint32_t n, int code_words, void (*pause)(void))
{
	uint32_t kept = 0;

	sort_intervals(intervals, n, code_words, pause);
	for (uint32_t i = 0; i < n; i++)
	{
		if (pause != nullptr && i % kPauseEvery == kPauseEvery - 1)
			pause();
		if (kept == 0 || !before(intervals[i].low, intervals[kept - 1].high, code_words))
		{
			intervals[kept++] = intervals[i];
			continue;
		}
		AlexInterval &last = intervals[kept - 1];

		if (before(last.high, intervals[i].high, code_words))
			set_code(last.high, intervals[i].high, code_words);
		last.recheck = last.recheck || intervals[i].recheck;
	}
	return kept;
}

extern "C" uint32_t
alex_intervals_intersect(const AlexInterval *a, uint32_t na, const AlexInterval *b, uint32_t nb, int code_words,
						 AlexInterval *out, void (*pause)(void))
{
	uint32_t n = 0;

	for (uint32_t i = 0, j = 0; i < na && j < nb;)
	{
		if (pause != nullptr && (i + j) % kPauseEvery == kPauseEvery - 1)
			pause();
		out[n] = a[i];
		clip(out[n], b[j], code_words);
		out[n].recheck = a[i].recheck || b[j].recheck;
		if (!empty(out[n], code_words))
			n++;
		/* the one that ends first has nothing in common with what follows in the other set */
		if (before(a[i].high, b[j].high, code_words))
			i++;
		else
			j++;
	}
	return n;
}

extern "C" uint32_t
alex_interval_split(const AlexInterval *interval, const AlexInterval *sure, int code_words, AlexInterval *out)
{
	AlexInterval certain = *interval;
	uint32_t n = 0;

	if (!interval->recheck)
	{
		out[0] = *interval;
		return 1;
	}
	clip(certain, *sure, code_words);
	certain.recheck = false;
	if (empty(certain, code_words))
	{
		out[0] = *interval;
		return 1;
	}
	out[n] = *interval;
	set_code(out[n].high, certain.low, code_words);
	if (!empty(out[n], code_words))
		n++;
	out[n++] = certain;
	out[n] = *interval;
	set_code(out[n].low, certain.high, code_words);
	if (!empty(out[n], code_words))
		n++;
	return n;
}

extern "C" void
alex_box_begin(AlexBox *box, const AlexKeyLayout *layout)
{
	box->layout = layout;
	box->columns = 0;
	box->parts = nullptr;
	box->n_parts = 0;
}

extern "C" void
alex_box_restrict(AlexBox *box, int column, const AlexInterval *intervals, uint32_t n)
{
	while (box->columns <= column)
		box->set[box->columns++] = AlexBoxSet{nullptr, 0};
	box->set[column] = AlexBoxSet{intervals, n};
}

extern "C" size_t
alex_box_split_space(const AlexBox *box, const AlexRowMember *row, int n)
{
	size_t space = 0;

	for (int i = 0; i < n; i++)
	{
		const int c = row[i].column;

		/* alex_intervals_intersect() twice, with one interval */
		space += 2 * (std::max<size_t>(c < box->columns ? box->set[c].n : 0, 1) + 1);
	}
	return space;
}

extern "C" uint32_t
alex_box_split(const AlexBox *box, const AlexRowMember *row, int n, AlexBox *parts, AlexInterval *space)
{
	AlexBox equal = *box; // in all members so far
	uint32_t found = 0;

	for (int i = 0; i < n; i++)
	{
		parts[found] = equal;
		if (restrict_further(parts[found], row[i].column, row[i].beyond, &space))
			found++;
		if (!restrict_further(equal, row[i].column, row[i].equal, &space))
			break;
	}
	return found;
}

extern "C" bool
alex_box_next(const AlexBox *box, const uint64_t *position, uint64_t *low, uint64_t *high)
{
	const int words = box->layout->words;
	bool found = false;

	if (box->n_parts == 0)
		return next_range(*box, position, low, high);
	for (const AlexBox &part : std::span(box->parts, box->n_parts))
	{
		uint64_t part_low[ALEX_MAX_WORDS + 1];
		uint64_t part_high[ALEX_MAX_WORDS + 1];

		if (!next_range(part, position, part_low, part_high) || (found && compare_positions(low, part_low, words) <= 0))
			continue;
		found = true;
		std::copy_n(part_low, words + 1, low);
		std::copy_n(part_high, words + 1, high);
	}
	return found;
}

extern "C" bool
alex_box_previous(const AlexBox *box, const uint64_t *position, uint64_t *low, uint64_t *high)
{
	const int words = box->layout->words;
	bool found = false;

	if (box->n_parts == 0)
		return previous_range(*box, position, low, high);
	for (const AlexBox &part : std::span(box->parts, box->n_parts))
	{
		uint64_t part_low[ALEX_MAX_WORDS + 1];
		uint64_t part_high[ALEX_MAX_WORDS + 1];

		if (!previous_range(part, position, part_low, part_high) ||
			(found && compare_positions(high, part_high, words) >= 0))
			continue;
		found = true;
		std::copy_n(part_low, words + 1, low);
		std::copy_n(part_high, words + 1, high);
	}
	return found;
}

extern "C" bool
alex_box_matches(const AlexBox *box, const uint64_t *record)
{
	if (box->n_parts == 0)
		return matches(*box, record);
	return std::any_of(box->parts, box->parts + box->n_parts,
					   [&](const AlexBox &part) { return matches(part, record); });
}
