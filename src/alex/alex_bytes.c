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
#include "utils/memutils.h"
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

/* Digits before the point, and decimals that are displayed, of the sample at most. */
static void
sample_numbers(const Datum *sample, int n, int *whole, int *decimals, int *usual)
{
	int			count[SHORT_MOST_SCALE + 1] = {0};

	*whole = 0;
	*decimals = 0;
	for (int i = 0; i < n; i++)
	{
		TakenNumber taken;

		take_number(sample[i], &taken);
		if (taken.number.kind == ALEX_FINITE)
		{
			if (taken.number.digits > 0)
				*whole = Max(*whole, (taken.number.weight + 1) * 4);
			*decimals = Max(*decimals, taken.scale);
			count[Min(taken.scale, SHORT_MOST_SCALE)]++;
		}
		drop_number(&taken);
	}
	for (int i = 1; i <= SHORT_MOST_SCALE; i++)
		if (count[i] > count[*usual])
			*usual = i;
}

/* As many decimals as there are, or room for. */
static void
choose_scales(int32 typmod, const Datum *sample, int n, AlexBytesForm *form)
{
	int			precision = 0;
	int			scale = USUAL_SCALE;
	int			whole;
	int			decimals;
	int			usual = 0;

	if (typmod >= (int32) VARHDRSZ)
	{
		numeric_typmod(typmod, &precision, &scale);
		usual = Max(scale, 0);
		form->usual = usual;
		form->scale = scale;
		if (precision <= MOST_HEAD_DIGITS)
			return;
	}
	if (n == 0)
	{
		form->scale = Min(scale, USUAL_SCALE);
		form->usual = usual;
		return;
	}
	sample_numbers(sample, n, &whole, &decimals, &usual);
	form->usual = usual;
	form->scale = Min(decimals, MOST_HEAD_DIGITS - Min(whole, MOST_HEAD_DIGITS));
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

bool
alex_bytes_has_payload(Oid type)
{
	return type == NUMERICOID || type == BPCHAROID;
}

void
alex_choose_bytes_form(Oid type, int32 typmod, const Datum *sample, int n, AlexBytesForm *form)
{
	form->scale = 0;
	form->usual = 0;
	if (type == NUMERICOID)
		choose_scales(typmod, sample, n, form);
	else if (type == BPCHAROID)
		form->usual = typmod >= (int32) VARHDRSZ ? typmod - (int32) VARHDRSZ : -1;
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
	int			width = form->usual < 0 ? 0 : form->usual - pg_mbstrlen_with_len(bytes, n);

	return Max(width, 0);
}

static Size
network_image(Datum value, uint8 *image)
{
	inet	   *address = DatumGetInetPP(value);
	AlexNetwork network;
	Size		n;

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
bits_image(Datum value, uint8 *image)
{
	VarBit	   *bits = DatumGetVarBitP(value);
	Size		n = alex_bits_image_size(VARBITLEN(bits));

	alex_bits_image(VARBITS(bits), VARBITLEN(bits), image, ALEX_MOST_IMAGE_BYTES);
	if ((Pointer) bits != DatumGetPointer(value))
		pfree(bits);
	return n;
}

static Size
padded_image(Datum value, uint8 *image)
{
	struct varlena *string = PG_DETOAST_DATUM_PACKED(value);
	Size		n = unpadded_size(string);

	memcpy(image, VARDATA_ANY(string), Min(n, ALEX_MOST_IMAGE_BYTES));
	if ((Pointer) string != DatumGetPointer(value))
		pfree(string);
	return n;
}

Size
alex_bytes_image(Oid type, const AlexBytesForm *form, Datum value, uint8 *image)
{
	switch (type)
	{
		case NUMERICOID:
			{
				TakenNumber taken;
				Size		n;

				take_number(value, &taken);
				n = alex_numeric_image(&taken.number, form->scale, image, ALEX_MOST_IMAGE_BYTES);
				drop_number(&taken);
				return n;
			}
		case INETOID:
			return network_image(value, image);
		case BITOID:
		case VARBITOID:
			return bits_image(value, image);
		case BPCHAROID:
			return padded_image(value, image);
		default:
			elog(ERROR, "type %u has no alex key image of bytes", type);
	}
}

/* A number that is not the usual one, most significant byte first. */
static Size
put_payload(Size number, Size usual, uint8 *payload)
{
	Size		n = 0;

	if (number == usual)
		return 0;
	for (int shift = 8 * (ALEX_PAYLOAD_BYTES - 1); shift >= 0; shift -= 8)
		if (n > 0 || number >> shift != 0 || shift == 0)
			payload[n++] = (uint8) (number >> shift);
	return n;
}

static Size
get_payload(const uint8 *payload, Size n, Size usual)
{
	Size		number = 0;

	if (n == 0)
		return usual;
	for (Size i = 0; i < n; i++)
		number = number << 8 | payload[i];
	return number;
}

Size
alex_bytes_payload(Oid type, const AlexBytesForm *form, Datum value, uint8 *payload)
{
	Size		n = 0;

	if (type == NUMERICOID)
	{
		TakenNumber taken;

		take_number(value, &taken);
		if (taken.number.kind == ALEX_FINITE)
			n = put_payload(taken.scale, form->usual, payload);
		drop_number(&taken);
	}
	else if (type == BPCHAROID)
	{
		struct varlena *string = PG_DETOAST_DATUM_PACKED(value);
		Size		size = unpadded_size(string);

		n = put_payload(VARSIZE_ANY_EXHDR(string) - size, usual_padding(form, VARDATA_ANY(string), size), payload);
		if ((Pointer) string != DatumGetPointer(value))
			pfree(string);
	}
	return n;
}

static bool
number_value(const AlexBytesForm *form, const uint8 *image, Size n, const uint8 *payload, Size payload_size, Datum *value)
{
	Size		most = alex_numeric_most_digits(image, n);
	Size		scale = get_payload(payload, payload_size, form->usual);
	int16		few[64];
	int16	   *digits = most > lengthof(few) ? palloc(most * sizeof(int16)) : few;
	AlexNumber	number;
	bool		sound = alex_numeric_number(image, n, form->scale, &number, digits, most);

	sound = sound && scale <= LONG_SCALE_MASK && number.weight >= PG_INT16_MIN && number.weight <= PG_INT16_MAX;
	if (sound)
		*value = make_number(&number, scale);
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
padded_value(const AlexBytesForm *form, const uint8 *image, Size n, const uint8 *payload, Size payload_size, Datum *value)
{
	Size		padding = get_payload(payload, payload_size, payload_size == 0 ? usual_padding(form, (const char *) image, n) : 0);
	char	   *made;

	if (padding > MaxAllocSize / 2)
		return false;
	made = palloc(VARHDRSZ + n + padding);
	SET_VARSIZE(made, VARHDRSZ + n + padding);
	memcpy(VARDATA(made), image, n);
	memset(VARDATA(made) + n, ' ', padding);
	*value = PointerGetDatum(made);
	return true;
}

bool
alex_bytes_value(Oid type, const AlexBytesForm *form, const uint8 *image, Size n, const uint8 *payload, Size payload_size,
				 Datum *value)
{
	switch (type)
	{
		case NUMERICOID:
			return number_value(form, image, n, payload, payload_size, value);
		case INETOID:
			return network_value(image, n, value);
		case BITOID:
		case VARBITOID:
			return bits_value(image, n, value);
		case BPCHAROID:
			return padded_value(form, image, n, payload, payload_size, value);
		default:
			elog(ERROR, "type %u has no alex key image of bytes", type);
	}
}
