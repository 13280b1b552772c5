/*
 * key_layout.cc - finding each column its place in the words of a key.
 */
#include "key_layout.h"

#include <algorithm>

namespace
{

/** Gives a column that is no string its words from *next on; false if it cannot be stored. "after" is the column behind it, if any. */
bool
place_image(AlexColumnPlace &place, const AlexColumnSpec &spec, const AlexColumnSpec *after, bool strings, int *next)
{
	const int bits = spec.bits;
	const int first_bits = (bits - 1) % 64 + 1; // in the first word

	if (bits > ALEX_IMAGE_WORDS * 64 || (first_bits > ALEX_NARROW_BITS && first_bits < 64))
		return false;
	place.words = static_cast<uint8_t>((bits + 63) / 64);
	place.wide = first_bits == 64;
	place.mask = UINT64_MAX >> (64 - first_bits);
	place.flip[0] = spec.descending ? place.mask : 0;
	place.flip[1] = spec.descending ? UINT64_MAX : 0;
	*next += place.words;

	if (!place.wide)
	{
		place.null_word = place.first;
		place.null_shift = static_cast<uint8_t>(first_bits);
		return true;
	}
	place.null_word = static_cast<uint8_t>(*next);
	if (!strings && after == nullptr)
		place.null_shift = ALEX_TIE_NULL_SHIFT;
	else if (!strings && (after->bits - 1) % 64 + 1 <= ALEX_NARROW_BITS)
		place.null_shift = ALEX_SHARED_NULL_SHIFT;
	else
	{
		place.null_shift = 0;
		++*next;
	}
	return true;
}

/** Word i of the code of a string; behind its words what the bound says. */
uint64_t
string_word(const uint64_t *code, uint64_t i)
{
	return i < code[1] ? alex_string_code_words(code)[i] : code[2] != 0 ? UINT64_MAX : 0;
}

} // namespace

extern "C" bool
alex_layout_columns(AlexKeyLayout *layout, const AlexColumnSpec *specs, int n)
{
	int next = 0;	// word, counted from the end of the last string
	int before = 0; // least words up to there

	if (n < 1 || n > ALEX_MAX_KEY_COLUMNS)
		return false;

	const bool strings = std::any_of(specs, specs + n, [](const AlexColumnSpec &spec) { return spec.code != nullptr; });

	layout->strings = 0;
	for (int c = 0; c < n; c++)
	{
		const AlexColumnSpec &spec = specs[c];
		AlexColumnPlace &place = layout->place[c];

		if ((spec.bits == 0) != (spec.code != nullptr))
			return false;
		place = {};
		place.first = static_cast<uint8_t>(next);
		place.descending = spec.descending;
		place.nulls_first = spec.nulls_first;
		place.strings = layout->strings;
		if (spec.code == nullptr)
		{
			if (!place_image(place, spec, c + 1 < n ? &specs[c + 1] : nullptr, strings, &next))
				return false;
			continue;
		}
		if ((spec.code->lengths.none_first != 0) != alex_none_first(spec.descending, spec.nulls_first))
			return false;
		place.code = spec.code;
		place.null_word = UINT8_MAX;
		place.flip[0] = spec.descending ? UINT64_MAX : 0;
		layout->string_column[layout->strings++] = static_cast<uint8_t>(c);
		before += next + 1;
		next = 0;
	}
	layout->columns = static_cast<uint8_t>(n);
	layout->words = static_cast<uint16_t>(before + next);
	if (strings && before + next < ALEX_STRING_KEY_WORDS)
		layout->words = ALEX_STRING_KEY_WORDS;
	return before + next <= ALEX_MAX_FIXED_WORDS;
}

extern "C" int
alex_string_code_compare(const uint64_t *a, const uint64_t *b)
{
	const uint64_t n = std::max(a[1], b[1]);

	for (uint64_t i = 0; i < n; i++)
	{
		const uint64_t x = string_word(a, i);
		const uint64_t y = string_word(b, i);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return a[2] == b[2] ? 0 : a[2] < b[2] ? -1 : 1;
}

extern "C" bool
alex_take_code(const AlexKeyLayout *layout, int column, const uint64_t *key, int words, int *base, uint64_t *code)
{
	const AlexColumnPlace &place = layout->place[column];
	const int at = std::min(*base + place.first, words);

	if (place.code != nullptr)
	{
		const int n = alex_string_words(key + at, place.flip[0], words - at);

		alex_string_code(key + at, n, code);
		*base = at + n;
		/* a missing word is zero, which ends an ascending string */
		return !place.descending || alex_string_ends(key + at, n, place.flip[0]);
	}
	if (at + alex_code_words(&place) <= words)
	{
		alex_column_code(&place, key + *base, code);
		return true;
	}
	std::fill_n(code, ALEX_CODE_WORDS, 0);
	std::copy(key + at, key + words, code);
	return true;
}

extern "C" bool
alex_put_next_code(const AlexKeyLayout *layout, int column, const uint64_t *code, uint64_t *position, int words,
				   int *base)
{
	const AlexColumnPlace &place = layout->place[column];
	const int at = std::min(*base + place.first, words);

	if (place.code == nullptr)
	{
		if (at + alex_code_words(&place) > words)
			return false;
		alex_put_code(&place, code, position + *base);
		return true;
	}

	const int n = static_cast<int>(std::min<uint64_t>(code[1], static_cast<uint64_t>(words - at)));

	std::copy_n(alex_string_code_words(code), n, position + at);
	*base = at + n;
	if (code[2] == 0)
		return static_cast<uint64_t>(n) == code[1] && alex_string_ends(position + at, n, place.flip[0]);

	/* the bound is the next number, if there is one */
	for (int i = at + n - 1; i >= at; i--)
		if (++position[i] != 0)
			return false;
	std::fill(position + at, position + words + 1, UINT64_MAX);
	return false;
}
