/*
 * key_layout.cc - finding each column its place in the words of a key.
 */
#include "key_layout.h"

extern "C" bool
alex_layout_columns(AlexKeyLayout *layout, const AlexColumnSpec *specs, int n)
{
	int next = 0; // word

	if (n < 1 || n > ALEX_MAX_KEY_COLUMNS)
		return false;
	for (int c = 0; c < n; c++)
	{
		AlexColumnPlace &place = layout->place[c];
		const int bits = specs[c].bits;
		const int first_bits = (bits - 1) % 64 + 1; // in the first word

		if (bits < 1 || bits > ALEX_IMAGE_WORDS * 64 || (first_bits > ALEX_NARROW_BITS && first_bits < 64))
			return false;
		place.first = static_cast<uint8_t>(next);
		place.words = static_cast<uint8_t>((bits + 63) / 64);
		place.wide = first_bits == 64;
		place.descending = specs[c].descending;
		place.nulls_first = specs[c].nulls_first;
		place.mask = UINT64_MAX >> (64 - first_bits);
		place.flip[0] = specs[c].descending ? place.mask : 0;
		place.flip[1] = specs[c].descending ? UINT64_MAX : 0;
		next += place.words;

		if (!place.wide)
		{
			place.null_word = place.first;
			place.null_shift = static_cast<uint8_t>(first_bits);
			continue;
		}
		place.null_word = static_cast<uint8_t>(next);
		if (c + 1 == n)
			place.null_shift = ALEX_TIE_NULL_SHIFT;
		else if ((specs[c + 1].bits - 1) % 64 + 1 <= ALEX_NARROW_BITS)
			place.null_shift = ALEX_SHARED_NULL_SHIFT;
		else
		{
			place.null_shift = 0;
			next++;
		}
	}
	layout->columns = static_cast<uint8_t>(n);
	layout->words = static_cast<uint8_t>(next);
	return next <= ALEX_MAX_WORDS;
}
