/*
 * bits_image.h - strings of bits as byte strings that compare as PostgreSQL's bit strings do.
 *
 * Their order is that of their bits, and a beginning comes first. Five bits make one byte: a number of five digits, base 3, most significant first, where
 * bits are 1 and 2 and what is behind the last one is 0. So full bytes have 32 values only, which an alphabetic code stores in
 * little more than five bits.
 */
#ifndef ALEX_BITS_IMAGE_H
#define ALEX_BITS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALEX_BITS_PER_BYTE 5

/* Bytes of the image of n bits. */
static inline size_t
alex_bits_image_size(size_t n)
{
	return (n + ALEX_BITS_PER_BYTE - 1) / ALEX_BITS_PER_BYTE;
}

/* Writes the first "size" bytes, or all if they are fewer, of the image of n bits: the uppermost one of a byte is the first. */
void alex_bits_image(const uint8_t *bits, size_t n, uint8_t *image, size_t size);

#define ALEX_BAD_BITS SIZE_MAX

/*
 * Reads the image of "size" bytes. The bits go to "bits", which has room for size * ALEX_BITS_PER_BYTE of them; those behind the last one in its
 * byte are zero. Returns their number, or ALEX_BAD_BITS if this is no image.
 */
size_t alex_bits_value(const uint8_t *image, size_t size, uint8_t *bits);

#ifdef __cplusplus
}
#endif

#endif /* ALEX_BITS_IMAGE_H */
