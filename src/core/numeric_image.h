/*
 * numeric_image.h - decimal numbers of any size as byte strings that compare as the numbers do.
 *
 * Role: makes the image of a number and reads it back. Knows nothing of PostgreSQL's numeric but its digits: base 10,000, most significant
 * first, with the weight of the first one.
 *
 * An image begins with a head of 63 bits, the upper ones of its first eight bytes:
 *
 *   1                    -Infinity
 *   2                    numbers below those that follow
 *   2^62 + floor         floor(number * 10^scale), where that is between -NUMERIC_MOST and NUMERIC_MOST
 *   2^63 - 4             numbers above
 *   2^63 - 3, 2^63 - 2   Infinity, NaN
 *
 * All zeroes and all ones are left to others (NULL). Of a number with no more than "scale" decimals that is all, so amounts of money are as close
 * together as integers. The *rest* of others follows: what the floor leaves of the number * 10^scale, or the number itself where it is below or above. It
 * is the weight of its first digit, base 10,000 and not zero, in two bytes (plus 2^15), and the digits in two bytes each; of a negative number the
 * complement, with a byte behind it that is greater than those of a further digit, as more digits make it less.
 *
 * An image is not the beginning of another one unless it is just a head, which then is the least number with that head.
 */
#ifndef ALEX_NUMERIC_IMAGE_H
#define ALEX_NUMERIC_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALEX_NUMERIC_HEAD 8						   /* bytes; the last bit is not used */
#define ALEX_NUMERIC_MOST ((INT64_C(1) << 62) - 8) /* of a head, without its bias */
#define ALEX_NUMERIC_LEAST_SCALE (-131072)		   /* PostgreSQL's numbers have that many digits before the point, */
#define ALEX_NUMERIC_GREATEST_SCALE 16383		   /* ... and so many decimals */

typedef enum AlexNumericKind
{
	ALEX_MINUS_INFINITY,
	ALEX_FINITE,
	ALEX_INFINITY,
	ALEX_NAN,
} AlexNumericKind;

/* The sum of digit[i] * 10000^(weight - i). */
typedef struct AlexNumber
{
	AlexNumericKind kind;
	bool negative;
	int weight;
	int digits; /* 0: the number is zero, and not negative; else the first and the last are not zero */
	const int16_t *digit;
} AlexNumber;

/*
 * Writes the image of a number. Returns its bytes, or max + 1 if they are more than "max" (at least ALEX_NUMERIC_HEAD): then these are
 * written.
 */
size_t alex_numeric_image(const AlexNumber *number, int scale, uint8_t *bytes, size_t max);

/*
 * Reads the image of n bytes. The digits, of which there is room for "max", go to "digit". Returns false if this is no number's image, or it has
 * more digits.
 */
bool alex_numeric_number(const uint8_t *bytes, size_t n, int scale, AlexNumber *number, int16_t *digit, size_t max);

/* Most digits of the number with this image, if it is one. */
size_t alex_numeric_most_digits(const uint8_t *bytes, size_t n);

#ifdef __cplusplus
}
#endif

#endif /* ALEX_NUMERIC_IMAGE_H */
