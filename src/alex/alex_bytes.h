/*
 * alex_bytes.h - values of variable width as byte strings of their order, and back.
 *
 * An image is a byte string; images compare (memcmp, a beginning first) as the values do, and equal values have the same.
 *
 *   numeric          numeric_image.h; without the display scale
 *   inet, cidr       network_image.h
 *   bit, varbit      bits_image.h
 *   bpchar           the bytes without the spaces at the end
 *
 * Of columns whose typmod tells the display scale or the width, images tell the value.
 */
#ifndef ALEX_BYTES_H
#define ALEX_BYTES_H

#include "postgres.h"

#define ALEX_MOST_IMAGE_BYTES 8192	/* of an image that could be a key */

/*
 * What images of a column depend on besides its type. It is chosen when the index is created, and kept in its metapage: ALTER TABLE can change a
 * typmod without making the index anew.
 */
typedef struct AlexBytesForm
{
	int16		scale;			/* numeric: decimals that the head of an image has */
	int16		unused;
	int32		usual;			/* numeric: the display scale of all values; bpchar: their width in characters; -1: that varies */
} AlexBytesForm;

/* Is a type one of these? */
extern bool alex_bytes_type(Oid type);

/* Do images of the type begin with a head? */
extern bool alex_bytes_headed(Oid type);

/* The form for a column of a type with this typmod. */
extern void alex_choose_bytes_form(Oid type, int32 typmod, AlexBytesForm *form);

/* Do images of a column with this typmod tell the value? */
extern bool alex_bytes_returnable(Oid type, int32 typmod);

/*
 * Writes the image of a value to "image", which has room for "max" bytes, 8 at least. Returns its bytes, or more than there is room for if it
 * is longer: then the beginning was written.
 */
extern Size alex_bytes_image(Oid type, const AlexBytesForm *form, Datum value, uint8 *image, Size max);

/* The value, allocated, with a header of four bytes. Returns false if the bytes are no value's. */
extern bool alex_bytes_value(Oid type, const AlexBytesForm *form, const uint8 *image, Size n, Datum *value);

#endif							/* ALEX_BYTES_H */
