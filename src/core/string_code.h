/*
 * string_code.h - strings of bytes as words that compare as the strings do.
 *
 * Role: makes an alphabetic code from byte frequencies, writes strings in it and reads them back. Knows nothing of columns or keys.
 *
 * An alphabetic code gives every symbol a bit string, none of them the beginning of another one, in the order of the symbols; frequent
 * ones are shorter. The symbols are the bytes, below them the *end* of the string, so that a beginning sorts first, and one that
 * no string has, *none*, above all bytes or below the end: it stands for NULL.
 *
 * A string is n >= 1 words: the bits of its symbols up to the end, most significant first, 63 to a word. The least
 * significant bit of a word says whether another one follows: 1 if so, 0 in the last. No order depends on that bit, as strings that are
 * the same up to it end there both or neither. So no string's words are the beginning of another's, and where they end
 * is seen without decoding them. "flip" (0 or all ones) is xored to all words: the complement has the opposite order.
 *
 * Strings of a *headed* code are images (numeric_image.h): their first eight bytes, the last bit of which is 0 and which are neither all
 * zeroes nor all ones but for that, are the first word as they are; a code has only what follows, if anything does.
 *
 * Contract: nothing allocates. On arbitrary words nothing is read or written out of bounds, and every loop ends.
 */
#ifndef ALEX_STRING_CODE_H
#define ALEX_STRING_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALEX_STRING_SYMBOLS 258	 /* none, the end, and the bytes */
#define ALEX_STRING_WORD_BITS 63 /* of a word */
#define ALEX_CODE_BITS 15		 /* of a symbol, at most */
#define ALEX_FAST_BITS 10		 /* looked up at once when decoding */
#define ALEX_HEAD_BYTES 8		 /* of a headed code */

/* How often the end, and each byte, occurs: counts[0], counts[1 + byte]. */
#define ALEX_STRING_COUNTS 257

/* Bits of each symbol: what has to be kept to know a code. */
typedef struct AlexCodeLengths
{
	uint8_t none_first; /* none is below the end */
	uint8_t headed;		/* strings begin with a head */
	uint8_t bits[ALEX_STRING_SYMBOLS];
} AlexCodeLengths;

typedef struct AlexStringCode
{
	AlexCodeLengths lengths;
	uint16_t end;						  /* the symbol of the end; byte b is end + 1 + b */
	uint16_t start[ALEX_STRING_SYMBOLS];  /* the symbol's bits at the upper end of 16 */
	uint32_t symbol[ALEX_STRING_SYMBOLS]; /* its bits, << 4 | their number */
	uint16_t fast[1 << ALEX_FAST_BITS];	  /* symbol << 4 | bits of the symbol that begins so; 0: it has more bits */
	uint64_t none[2];					  /* the word of none, and its complement */
	uint64_t none_bound;				  /* words of none are below it, or from it on */
} AlexStringCode;

/* The lengths of a good code for these counts, each of which is below 2^40. Every byte has a code. It is not headed. */
void alex_choose_code(const uint64_t *counts, bool none_first, AlexCodeLengths *lengths);

/* The same for strings nothing is known of: identifiers, words, addresses, numbers; or bytes of any kind. */
void alex_default_code(bool binary, bool none_first, AlexCodeLengths *lengths);

/* Makes the code. Returns false if the lengths are no code's. */
bool alex_make_code(const AlexCodeLengths *lengths, AlexStringCode *code);

/*
 * Writes a string of n bytes (of a headed code, ALEX_HEAD_BYTES at least). Returns the number of words, or "max" + 1 if they are more than "max": then these are written, and what
 * a string that has no more words is compared with: none is equal.
 */
int alex_encode_string(const AlexStringCode *code, const void *bytes, size_t n, uint64_t flip, uint64_t *words, int max);

/* The words of a string, at most "max". */
static inline int
alex_string_words(const uint64_t *words, uint64_t flip, int max)
{
	int n = 0;

	while (n < max && ((words[n++] ^ flip) & 1) != 0)
		;
	return n;
}

/* Do n words end like a string? */
static inline bool
alex_string_ends(const uint64_t *words, int n, uint64_t flip)
{
	return n > 0 && ((words[n - 1] ^ flip) & 1) == 0;
}

static inline bool
alex_string_is_none(const AlexStringCode *code, uint64_t flip, uint64_t word)
{
	return code->lengths.none_first ? (word ^ flip) < code->none_bound : (word ^ flip) >= code->none_bound;
}

/* Most bytes of a string of n words. */
static inline size_t
alex_string_most_bytes(int n)
{
	return (size_t) n * ALEX_STRING_WORD_BITS;
}

#define ALEX_BAD_STRING SIZE_MAX

/*
 * Reads a string of n words, of which there are at most "max" bytes; its last word may be left out if it is zero. Returns their number; ALEX_BAD_STRING if the words are no string's, or
 * there are more.
 */
size_t alex_decode_string(const AlexStringCode *code, const uint64_t *words, int n, uint64_t flip, void *bytes, size_t max);

#ifdef __cplusplus
}
#endif

#endif /* ALEX_STRING_CODE_H */
