/*
 * alex_bytes.h - values of variable width as byte strings of their order, and back.
 *
 * An image is a byte string; images compare (memcmp, a beginning first) as the values do, and equal values have the same. Where they
 * do not tell the value, a second byte string does: the *payload*, which is no part of the key.
 *
 *   numeric          numeric_image.h; payload: the display scale, where it is not the usual one
 *   inet, cidr       network_image.h
 *   bit, varbit      bits_image.h
 *   bpchar           the bytes without the spaces at the end; payload: how many these are, where they do not fill the usual width
 */
#ifndef ALEX_BYTES_H
#define ALEX_BYTES_H

#include "postgres.h"

#define ALEX_MOST_IMAGE_BYTES 8192	/* of an image that could be a key */
#define ALEX_PAYLOAD_BYTES 4

/* What images of a column depend on besides its type: chosen when the index is created, and kept with it. */
typedef struct AlexBytesForm
{
	int32		scale;			/* numeric: decimals that the head of an image has */
	int32		usual;			/* numeric: the usual display scale; bpchar: the usual width in characters, or -1 */
} AlexBytesForm;

/* Is a type one of these? */
extern bool alex_bytes_type(Oid type);

/* Do images of the type begin with a head? */
extern bool alex_bytes_headed(Oid type);

/* Can values of the type that are equal be told apart? */
extern bool alex_bytes_has_payload(Oid type);

/*
 * The form for a column of a type, with its typmod, of whose values a sample of n is known (may be none).
 */
extern void alex_choose_bytes_form(Oid type, int32 typmod, const Datum *sample, int n, AlexBytesForm *form);

/*
 * Writes the image of a value to "image" (ALEX_MOST_IMAGE_BYTES). Returns its bytes, or more than there is room for if it is
 * longer.
 */
extern Size alex_bytes_image(Oid type, const AlexBytesForm *form, Datum value, uint8 *image);

/* Writes the payload of a value (ALEX_PAYLOAD_BYTES), and returns its bytes. */
extern Size alex_bytes_payload(Oid type, const AlexBytesForm *form, Datum value, uint8 *payload);

/* The value, allocated. Returns false if the bytes are no value's. */
extern bool alex_bytes_value(Oid type, const AlexBytesForm *form, const uint8 *image, Size n, const uint8 *payload,
							 Size payload_size, Datum *value);

#endif							/* ALEX_BYTES_H */
