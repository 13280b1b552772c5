/*
 * key_layout.h - how the columns of a key lie in its words.
 *
 * Role: one description per index of where each column's image and null bit are, and the inline functions that put columns into
 * records and take them out again. Knows nothing of types: a column is an unsigned number of "bits" bits, its *image*, whose
 * order is the type's ascending order.
 *
 * A key is an order-preserving bit string, column after column, each an image and one null bit:
 *
 *   narrow column   its first word has room above the image (bits % 64 is not 0, and at most ALEX_NARROW_BITS): the null bit
 *                   is the bit right above it, so it comes before the image in the order
 *   wide column     its image fills its words: the null bit comes after it, so that it can borrow the image of an extreme value.
 *                   It is bit 62 of the tie for the last column, bit 62 of the next column's first word where that is
 *                   narrow, else bit 0 of a word of its own
 *
 * Every column begins on a word, and no word holds images of two columns: so each column is one column of the node, on a line
 * of its own. Two 32-bit images in a word would save a word, but a residual of the upper one would cost all bits of the
 * lower one. What is constant in a node costs nothing there, so null bits and words of their own are free.
 *
 * NULL: the null bit is 1 with NULLS LAST, 0 with NULLS FIRST, and the opposite for values; the image of NULL is all ones or
 * all zeroes, the extreme on its side. DESC stores the complement of the image's bits.
 *
 * A *string* column (string_code.h) has as many words as its value needs, and what comes behind it begins at the next word: the place of
 * a column behind a string is relative to the end of the last string before it, which is looked for in each key (alex_take_code()). In
 * keys with strings every null bit of a wide column has a word of its own, so that the words of each column follow each other. NULL is
 * the one word of the symbol none. Words that a key does not have are zero.
 *
 * The *code* of a column is its part of the key: the words of the image, with the null bit of a narrow column in the first, and
 * for a wide column one more word, the null bit. Codes compare word by word. A bound of codes may be one beyond the
 * greatest code, for which every place has room.
 *
 * The code of a string column is only a reference to its words: {address, n, after}. As a bound it is what is at or behind these words,
 * with "after" what is behind all that begins with them; so {-, 0, 0} is before all codes, and {-, 0, 1} behind them.
 */
#ifndef ALEX_KEY_LAYOUT_H
#define ALEX_KEY_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "alex_format.h"
#include "string_code.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ALEX_MAX_KEY_COLUMNS 32 /* PostgreSQL's INDEX_MAX_KEYS */
#define ALEX_IMAGE_WORDS 2		/* most words of an image */
#define ALEX_CODE_WORDS (ALEX_IMAGE_WORDS + 1)
#define ALEX_STRING_KEY_WORDS ALEX_MAX_WORDS /* of a key with strings, at most */
#define ALEX_NARROW_BITS 60 /* leaves room for the null bit, a bound beyond it, and a wide neighbour's null bit */

#define ALEX_SHARED_NULL_SHIFT 62		   /* of a wide column's null bit in the next column's word */
#define ALEX_TIE_NULL_SHIFT 62			   /* in the tie; the bits between are the caller's (ALEX_TIE_SPARE_BITS) */
#define ALEX_TIE_SPARE_BITS (ALEX_TIE_NULL_SHIFT - ALEX_TID_BITS)

/* What the caller says of a column. */
typedef struct AlexColumnSpec
{
	uint16_t bits; /* of the image: 1 .. 128; 0: a string */
	bool descending;
	bool nulls_first;
	const AlexStringCode *code; /* of a string, made for where NULLs are; stays the caller's */
} AlexColumnSpec;

/* In the code of a string column, and in the order of its images, are NULLs before the values? */
static inline bool
alex_none_first(bool descending, bool nulls_first)
{
	return nulls_first != descending;
}

/* Where a column is. */
typedef struct AlexColumnPlace
{
	uint8_t first;		/* its first word, counted from the end of the last string before it */
	uint8_t words;		/* of its image; 0: a string */
	uint8_t null_word;	/* the word with its null bit, counted likewise; the tie is word W */
	uint8_t null_shift; /* the bit there */
	bool wide;
	bool nulls_first;
	bool descending;
	uint8_t strings;				/* before it */
	const AlexStringCode *code;		/* of a string column */
	uint64_t mask;					/* bits of the image in its first word */
	uint64_t flip[ALEX_IMAGE_WORDS]; /* stored ^ flip is the ascending image; the null bit apart */
} AlexColumnPlace;

typedef struct AlexKeyLayout
{
	uint8_t columns;
	uint16_t words;									/* W: of a key with strings, at most */
	uint8_t strings;								/* columns */
	uint8_t string_column[ALEX_MAX_KEY_COLUMNS]; /* which they are */
	AlexColumnPlace place[ALEX_MAX_KEY_COLUMNS];
} AlexKeyLayout;

/*
 * Lays out n columns (1 .. ALEX_MAX_KEY_COLUMNS). Returns false if they need more than ALEX_MAX_FIXED_WORDS words, or a spec is out of
 * bounds; *layout is undefined then.
 */
bool alex_layout_columns(AlexKeyLayout *layout, const AlexColumnSpec *specs, int n);

/* What alex_code_words() says of a string column, whose code is a reference. */
#define ALEX_STRING_CODE 0

/* Words of a column's code. */
static inline int
alex_code_words(const AlexColumnPlace *place)
{
	return place->words + (place->wide ? 1 : 0);
}

/* ---- columns of keys without strings; or with the words from the end of the last string before the column on ---- */

/*
 * Puts a column into a record whose key words and tie were zero to begin with: the caller clears them once and calls this for each
 * column. "image" is ascending and ignored for NULL.
 */
static inline void
alex_put_column(const AlexColumnPlace *place, const uint64_t *image, bool isnull, uint64_t *record)
{
	if (isnull)
	{
		uint64_t fill = place->nulls_first ? 0 : UINT64_MAX;

		record[place->first] |= fill & place->mask;
		if (place->words > 1)
			record[place->first + 1] = fill;
	}
	else
	{
		record[place->first] |= image[0] ^ place->flip[0];
		if (place->words > 1)
			record[place->first + 1] = image[1] ^ place->flip[1];
	}
	record[place->null_word] |= (uint64_t) (isnull != place->nulls_first) << place->null_shift;
}

static inline bool
alex_column_isnull(const AlexColumnPlace *place, const uint64_t *record)
{
	return ((record[place->null_word] >> place->null_shift & 1) != 0) != place->nulls_first;
}

/* The ascending image of a column that is not NULL. */
static inline void
alex_get_column(const AlexColumnPlace *place, const uint64_t *record, uint64_t *image)
{
	image[0] = (record[place->first] & place->mask) ^ place->flip[0];
	if (place->words > 1)
		image[1] = record[place->first + 1] ^ place->flip[1];
}

/* The code of a column of a record or position. */
static inline void
alex_column_code(const AlexColumnPlace *place, const uint64_t *record, uint64_t *code)
{
	if (!place->wide)
	{
		/* image, null bit and the bit beyond, but not a neighbour's null bit */
		code[0] = record[place->first] & ((place->mask << 2) | 3);
		if (place->words > 1)
			code[1] = record[place->first + 1];
		return;
	}
	code[0] = record[place->first];
	if (place->words > 1)
		code[1] = record[place->first + 1];
	code[place->words] = record[place->null_word] >> place->null_shift & 3;
}

/* The reverse, into a record that was zero to begin with, as for alex_put_column(). The code may be a bound. */
static inline void
alex_put_code(const AlexColumnPlace *place, const uint64_t *code, uint64_t *record)
{
	record[place->first] |= code[0];
	if (place->words > 1)
		record[place->first + 1] = code[1];
	if (place->wide)
		record[place->null_word] |= code[place->words] << place->null_shift;
}

/* The code of a value, from its ascending image. */
static inline void
alex_image_code(const AlexColumnPlace *place, const uint64_t *image, uint64_t *code)
{
	uint64_t null_bit = place->nulls_first ? 1 : 0;

	code[0] = image[0] ^ place->flip[0];
	if (place->words > 1)
		code[1] = image[1] ^ place->flip[1];
	if (place->wide)
		code[place->words] = null_bit;
	else
		code[0] |= null_bit << place->null_shift;
}

/* ---- codes and bounds ---- */

/* The code of a string column with these words. */
static inline void
alex_string_code(const uint64_t *words, int n, uint64_t *code)
{
	code[0] = (uint64_t) (uintptr_t) words;
	code[1] = (uint64_t) n;
	code[2] = 0;
}

/* Before all codes of a string column, or behind them. */
static inline void
alex_string_extreme(bool end, uint64_t *code)
{
	code[0] = code[1] = 0;
	code[2] = end ? 1 : 0;
}

static inline const uint64_t *
alex_string_code_words(const uint64_t *code)
{
	return (const uint64_t *) (uintptr_t) code[0];
}

/* The code of NULL. */
static inline void
alex_null_code(const AlexColumnPlace *place, uint64_t *code)
{
	uint64_t fill = place->nulls_first ? 0 : UINT64_MAX;
	uint64_t null_bit = place->nulls_first ? 0 : 1;

	if (place->code != NULL)
	{
		alex_string_code(&place->code->none[place->descending], 1, code);
		return;
	}

	code[0] = fill & place->mask;
	if (place->words > 1)
		code[1] = fill;
	if (place->wide)
		code[place->words] = null_bit;
	else
		code[0] |= null_bit << place->null_shift;
}

/* The least code of a value, whether a value has it or not. */
static inline void
alex_first_value_code(const AlexColumnPlace *place, uint64_t *code)
{
	if (place->code != NULL)
	{
		if (place->nulls_first)
			alex_null_code(place, code);
		else
			alex_string_extreme(false, code);
		code[2] = place->nulls_first ? 1 : 0;
		return;
	}
	code[0] = 0;
	code[1] = 0;
	if (place->wide)
		code[place->words] = place->nulls_first ? 1 : 0;
	else if (place->nulls_first)
		code[0] = UINT64_C(1) << place->null_shift;
}

/* The bound behind all values. */
static inline void
alex_end_of_values_code(const AlexColumnPlace *place, uint64_t *code)
{
	if (place->code != NULL)
	{
		if (place->nulls_first)
			alex_string_extreme(true, code);
		else
			alex_null_code(place, code);
		return;
	}
	code[0] = place->wide ? UINT64_MAX : (UINT64_C(1) << place->null_shift) << (place->nulls_first ? 1 : 0);
	code[1] = place->wide ? UINT64_MAX : 0;
	if (place->wide)
		code[place->words] = place->nulls_first ? 2 : 1;
}

/* Compares two codes, or bounds, of string columns. */
int alex_string_code_compare(const uint64_t *a, const uint64_t *b);

static inline int
alex_code_compare(const uint64_t *a, const uint64_t *b, int code_words)
{
	if (code_words == ALEX_STRING_CODE)
		return alex_string_code_compare(a, b);
	for (int i = 0; i < code_words; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* The bound right after a code: code + 1. "after" may be "code". */
static inline void
alex_code_after(const AlexColumnPlace *place, const uint64_t *code, uint64_t *after)
{
	int n = alex_code_words(place);
	bool carry = true;

	if (place->code != NULL)
	{
		after[0] = code[0];
		after[1] = code[1];
		after[2] = 1;
		return;
	}
	for (int i = n - 1; i >= 0; i--)
	{
		after[i] = code[i] + carry;
		carry = carry && after[i] == 0;
	}
}

/* ---- columns of any key, one after the other; *base is 0 before the first ---- */

/*
 * The code of the next column of a key or position of "words" words. Returns false if the column does not end there: then no record begins
 * like this, and nothing comes behind.
 */
bool alex_take_code(const AlexKeyLayout *layout, int column, const uint64_t *key, int words, int *base, uint64_t *code);

/*
 * Puts the code of the next column, or a bound, into a position of "words" words and the tie that was zero to begin with. Returns false if
 * nothing belongs behind it: no record has such a code. What does not fit is left out, as no record has it.
 */
bool alex_put_next_code(const AlexKeyLayout *layout, int column, const uint64_t *code, uint64_t *position, int words, int *base);

/* Is the column whose code this is NULL? */
static inline bool
alex_code_isnull(const AlexColumnPlace *place, const uint64_t *code)
{
	uint64_t null_bit;

	if (place->code != NULL)
		return alex_string_is_none(place->code, place->flip[0], code[1] > 0 ? *alex_string_code_words(code) : 0);
	null_bit = place->wide ? code[place->words] : code[0] >> place->null_shift;
	return ((null_bit & 1) != 0) != place->nulls_first;
}

/* The ascending image of a column that is neither a string nor NULL, from its code. */
static inline void
alex_code_image(const AlexColumnPlace *place, const uint64_t *code, uint64_t *image)
{
	image[0] = (code[0] & place->mask) ^ place->flip[0];
	if (place->words > 1)
		image[1] = code[1] ^ place->flip[1];
}

#ifdef __cplusplus
}
#endif

#endif /* ALEX_KEY_LAYOUT_H */
