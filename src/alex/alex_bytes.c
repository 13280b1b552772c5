/*
 * alex_bytes.c - takes numeric, inet, bit strings and padded strings apart, and makes them again.
 *
 * Contract: knows how these types are stored. Nothing stays allocated but the values made.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "catalog/pg_type_d.h"
#include "mb/pg_wchar.h"
#include "utils/inet.h"
#include "utils/numeric.h"
#include "utils/varbit.h"

#include "alex_bytes.h"
#include "bits_image.h"
#include "compat.h"
#include "network_image.h"
#include "numeric_image.h"

/*
 * A stored numeric: a header of one word, short or special, or of two, and digits. The first word, from its top:
 *
 *   short     1, 0, negative, 6 bits of display scale, 7 bits of weight with sign
 *   special   11 and which one it is
 *   long      0, negative, 14 bits of display scale; the second word is the weight
 */
#define NUMERIC_IS_SHORT		0x8000
#define NUMERIC_SPECIAL			0xC000
#define NUMERIC_SPECIAL_MASK	0xF000
#define NUMERIC_IS_NAN			0xC000
#define NUMERIC_IS_INFINITY		0xD000
#define NUMERIC_IS_MINUS_INFINITY 0xF000
#define SHORT_NEGATIVE			0x2000
#define SHORT_SCALE_SHIFT		7
#define SHORT_MOST_SCALE		63
#define SHORT_WEIGHT_BITS		7
#define LONG_NEGATIVE			0x4000
#define LONG_SCALE_MASK			0x3FFF

#define USUAL_SCALE				4		/* of an empty column of any numbers */
#define MOST_HEAD_DIGITS		18		/* what every head can hold */

/* A numeric taken apart. */
typedef struct TakenNumber
{
	AlexNumber	number;
	int			scale;			/* displayed */
	struct varlena *detoasted;	/* if that had to be allocated */
	int16	   *allocated;		/* digits, likewise */
	int16		digits[64];
} TakenNumber;

static void
take_number(Datum value, TakenNumber *taken)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	const char *data = VARDATA_ANY(packed);
	Size		size = VARSIZE_ANY_EXHDR(packed);
	uint16		header;
	int			n;
	int16	   *digits = taken->digits;

	taken->detoasted = packed == (struct varlena *) DatumGetPointer(value) ? NULL : packed;
	taken->allocated = NULL;
	taken->scale = 0;
	taken->number.negative = false;
	taken->number.weight = 0;
	taken->number.digits = 0;
	taken->number.digit = digits;
	memcpy(&header, data, sizeof(header));
	if ((header & NUMERIC_SPECIAL) == NUMERIC_SPECIAL)
	{
		taken->number.kind = header == NUMERIC_IS_NAN ? ALEX_NAN :
			header == NUMERIC_IS_INFINITY ? ALEX_INFINITY : ALEX_MINUS_INFINITY;
		return;
	}
	taken->number.kind = ALEX_FINITE;
	data += sizeof(header);
	size -= sizeof(header);
	if (header & NUMERIC_IS_SHORT)
	{
		taken->number.negative = (header & SHORT_NEGATIVE) != 0;
		taken->scale = (header >> SHORT_SCALE_SHIFT) & SHORT_MOST_SCALE;
		/* the sign of the weight is the first of its bits */
		taken->number.weight = (int8) (header << 1) >> 1;
	}
	else
	{
		int16		weight;

		memcpy(&weight, data, sizeof(weight));
		data += sizeof(weight);
		size -= sizeof(weight);
		taken->number.negative = (header & LONG_NEGATIVE) != 0;
		taken->scale = header & LONG_SCALE_MASK;
		taken->number.weight = weight;
	}
	n = size / sizeof(int16);
	if (n > (int) lengthof(taken->digits))
		digits = taken->allocated = palloc(n * sizeof(int16));
	memcpy(digits, data, n * sizeof(int16));
	taken->number.digits = n;
	taken->number.digit = digits;
}

static void
drop_number(TakenNumber *taken)
{
	if (taken->allocated)
		pfree(taken->allocated);
	if (taken->detoasted)
		pfree(taken->detoasted);
}

/* A numeric as core would have made it. */
static Datum
make_number(const AlexNumber *number, int scale)
{
	uint16		header[2];
	int			headers = 1;
	Size		size;
	char	   *made;

	if (number->kind != ALEX_FINITE)
		header[0] = number->kind == ALEX_NAN ? NUMERIC_IS_NAN :
			number->kind == ALEX_INFINITY ? NUMERIC_IS_INFINITY : NUMERIC_IS_MINUS_INFINITY;
	else if (scale <= SHORT_MOST_SCALE && number->weight >= -(1 << (SHORT_WEIGHT_BITS - 1)) &&
			 number->weight < 1 << (SHORT_WEIGHT_BITS - 1))
		header[0] = NUMERIC_IS_SHORT | (number->negative ? SHORT_NEGATIVE : 0) | scale << SHORT_SCALE_SHIFT |
			(number->weight & ((1 << SHORT_WEIGHT_BITS) - 1));
	else
	{
		header[0] = (number->negative ? LONG_NEGATIVE : 0) | scale;
		header[headers++] = (uint16) number->weight;
	}
	size = VARHDRSZ + headers * sizeof(uint16) + number->digits * sizeof(int16);
	made = palloc(size);
	SET_VARSIZE(made, size);
	memcpy(VARDATA(made), header, headers * sizeof(uint16));
	memcpy(VARDATA(made) + headers * sizeof(uint16), number->digit, number->digits * sizeof(int16));
	return PointerGetDatum(made);
}

/* Precision and scale, from a typmod that has them. */
static void
numeric_typmod(int32 typmod, int *precision, int *scale)
{
	typmod -= VARHDRSZ;
	*precision = (typmod >> 16) & 0xFFFF;
	/* 11 bits with sign */
	*scale = ((typmod & 0x7FF) ^ 0x400) - 0x400;
}

static void
choose_scales(int32 typmod, AlexBytesForm *form)
{
	int			precision;
	int			scale;

	form->usual = -1;
	form->scale = USUAL_SCALE;
	if (typmod < (int32) VARHDRSZ)
		return;
	numeric_typmod(typmod, &precision, &scale);
	form->usual = Max(scale, 0);
	form->scale = precision <= MOST_HEAD_DIGITS ? scale : Min(scale, USUAL_SCALE);
}

bool
alex_bytes_type(Oid type)
{
	return type == NUMERICOID || type == INETOID || type == BITOID || type == VARBITOID || type == BPCHAROID;
}

bool
alex_bytes_headed(Oid type)
{
	return type == NUMERICOID || type == INETOID;
}

void
alex_choose_bytes_form(Oid type, int32 typmod, AlexBytesForm *form)
{
	memset(form, 0, sizeof(*form));
	if (type == NUMERICOID)
		choose_scales(typmod, form);
	else if (type == BPCHAROID)
		form->usual = typmod >= (int32) VARHDRSZ ? typmod - (int32) VARHDRSZ : -1;
}

bool
alex_bytes_returnable(Oid type, int32 typmod)
{
	AlexBytesForm form;

	alex_choose_bytes_form(type, typmod, &form);
	return form.usual >= 0;
}

/* Bytes of a padded string without its padding. */
static Size
unpadded_size(const struct varlena *string)
{
	const char *bytes = VARDATA_ANY(string);
	Size		n = VARSIZE_ANY_EXHDR(string);

	while (n > 0 && bytes[n - 1] == ' ')
		n--;
	return n;
}

/* Spaces that fill a string of n bytes to the usual width. */
static Size
usual_padding(const AlexBytesForm *form, const char *bytes, Size n)
{
	int			width = form->usual - pg_mbstrlen_with_len(bytes, n);

	return Max(width, 0);
}

static Size
network_image(Datum value, uint8 *image, Size max)
{
	inet	   *address = DatumGetInetPP(value);
	AlexNetwork network;
	Size		n;

	Assert(max >= ALEX_NETWORK_IMAGE_BYTES);

	memset(&network, 0, sizeof(network));
	network.v6 = ip_family(address) == PGSQL_AF_INET6;
	network.prefix = ip_bits(address);
	memcpy(network.address, ip_addr(address), ip_addrsize(address));
	n = alex_network_image(&network, image);
	if ((Pointer) address != DatumGetPointer(value))
		pfree(address);
	return n;
}

static Size
bits_image(Datum value, uint8 *image, Size max)
{
	VarBit	   *bits = DatumGetVarBitP(value);
	Size		n = alex_bits_image_size(VARBITLEN(bits));

	alex_bits_image(VARBITS(bits), VARBITLEN(bits), image, max);
	if ((Pointer) bits != DatumGetPointer(value))
		pfree(bits);
	return n;
}

static Size
padded_image(Datum value, uint8 *image, Size max)
{
	struct varlena *string = PG_DETOAST_DATUM_PACKED(value);
	Size		n = unpadded_size(string);

	memcpy(image, VARDATA_ANY(string), Min(n, max));
	if ((Pointer) string != DatumGetPointer(value))
		pfree(string);
	return n;
}

Size
alex_bytes_image(Oid type, const AlexBytesForm *form, Datum value, uint8 *image, Size max)
{
	switch (type)
	{
		case NUMERICOID:
			{
				TakenNumber taken;
				Size		n;

				take_number(value, &taken);
				n = alex_numeric_image(&taken.number, form->scale, image, max);
				drop_number(&taken);
				return n;
			}
		case INETOID:
			return network_image(value, image, max);
		case BITOID:
		case VARBITOID:
			return bits_image(value, image, max);
		case BPCHAROID:
			return padded_image(value, image, max);
		default:
			elog(ERROR, "type %u has no alex key image of bytes", type);
	}
}

static bool
number_value(const AlexBytesForm *form, const uint8 *image, Size n, Datum *value)
{
	Size		most = alex_numeric_most_digits(image, n);
	int16		few[64];
	int16	   *digits = most > lengthof(few) ? palloc(most * sizeof(int16)) : few;
	AlexNumber	number;
	bool		sound = alex_numeric_number(image, n, form->scale, &number, digits, most);

	sound = sound && number.weight >= PG_INT16_MIN && number.weight <= PG_INT16_MAX;
	if (sound)
		*value = make_number(&number, Max(form->usual, 0));
	if (digits != few)
		pfree(digits);
	return sound;
}

static bool
network_value(const uint8 *image, Size n, Datum *value)
{
	AlexNetwork network;
	inet	   *made;

	if (!alex_network_value(image, n, &network))
		return false;
	made = palloc0(sizeof(inet));
	ip_family(made) = network.v6 ? PGSQL_AF_INET6 : PGSQL_AF_INET;
	ip_bits(made) = network.prefix;
	memcpy(ip_addr(made), network.address, ip_addrsize(made));
	SET_INET_VARSIZE(made);
	*value = InetPGetDatum(made);
	return true;
}

static bool
bits_value(const uint8 *image, Size n, Datum *value)
{
	VarBit	   *made = palloc0(VARBITTOTALLEN(n * ALEX_BITS_PER_BYTE));
	Size		length = alex_bits_value(image, n, VARBITS(made));

	if (length == ALEX_BAD_BITS)
		return false;
	SET_VARSIZE(made, VARBITTOTALLEN(length));
	VARBITLEN(made) = length;
	*value = VarBitPGetDatum(made);
	return true;
}

static bool
padded_value(const AlexBytesForm *form, const uint8 *image, Size n, Datum *value)
{
	Size		padding = usual_padding(form, (const char *) image, n);
	char	   *made;

	made = palloc(VARHDRSZ + n + padding);
	SET_VARSIZE(made, VARHDRSZ + n + padding);
	memcpy(VARDATA(made), image, n);
	memset(VARDATA(made) + n, ' ', padding);
	*value = PointerGetDatum(made);
	return true;
}

bool
alex_bytes_value(Oid type, const AlexBytesForm *form, const uint8 *image, Size n, Datum *value)
{
	switch (type)
	{
		case NUMERICOID:
			return number_value(form, image, n, value);
		case INETOID:
			return network_value(image, n, value);
		case BITOID:
		case VARBITOID:
			return bits_value(image, n, value);
		case BPCHAROID:
			return padded_value(form, image, n, value);
		default:
			elog(ERROR, "type %u has no alex key image of bytes", type);
	}
}
