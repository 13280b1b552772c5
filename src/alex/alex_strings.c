/*
 * alex_strings.c - values that are stored as strings of bytes, and the codes these are stored in.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/tupmacs.h"
#include "catalog/pg_type_d.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "alex_strings.h"
#include "compat.h"

/* The image of a value of a type of alex_bytes.h. */
static void
image_of(const AlexColumn *column, Oid type, Datum value, AlexString *string)
{
	string->n = alex_bytes_image(type, &column->form, value, string->space, sizeof(string->space));
	string->bytes = (const char *) string->space;
	if (string->n <= sizeof(string->space))
		return;
	string->copy = palloc(ALEX_MOST_IMAGE_BYTES);
	string->bytes = string->copy;
	string->n = alex_bytes_image(type, &column->form, value, string->copy, ALEX_MOST_IMAGE_BYTES);
	/* the beginning is more than a key can have */
	string->n = Min(string->n, ALEX_MOST_IMAGE_BYTES);
}

/*
 * The image of a string in the order of a collation of ICU: its sort key, and if equal strings are the same a zero, which no sort key has, and
 * the string.
 */
static void
sort_key_of(const AlexColumn *column, AlexString *string)
{
	pg_locale_t locale = compat_icu_locale(column->collation);
	void	   *plain = string->copy;
	Size		behind = column->deterministic ? string->n + 1 : 0;
	Size		room = 4 * string->n + 64;
	Size		n;
	char	   *image;

	if (locale == NULL)
		elog(ERROR, "collation %u is not one of ICU any more", column->collation);
	image = palloc(room + behind);
	n = compat_icu_sort_key(locale, string->bytes, string->n, image, room);
	if (n >= room)
	{
		room = n + 1;
		pfree(image);
		image = palloc(room + behind);
		n = compat_icu_sort_key(locale, string->bytes, string->n, image, room);
	}
	if (behind > 0)
	{
		image[n] = 0;
		memcpy(image + n + 1, string->bytes, string->n);
	}
	string->bytes = string->copy = image;
	string->n = n + behind;
	if (plain)
		pfree(plain);
}

void
alex_string_of(const AlexColumn *column, Oid type, Datum value, Size most, AlexString *string)
{
	struct varlena *plain;

	string->copy = NULL;
	if (type == NAMEOID)
	{
		string->bytes = NameStr(*DatumGetName(value));
		string->n = strnlen(string->bytes, NAMEDATALEN);
		string->size = NAMEDATALEN;
		if (OidIsValid(column->collation))
			sort_key_of(column, string);
		return;
	}
	if (type == InvalidOid && column->attlen > 0)
	{
		/* without zeroes at the end */
		string->bytes = DatumGetPointer(value);
		string->n = string->size = column->attlen;
		while (string->n > 0 && string->bytes[string->n - 1] == 0)
			string->n--;
		return;
	}

	string->n = string->size = toast_raw_datum_size(value) - VARHDRSZ;
	if (string->n > most)
	{
		string->bytes = NULL;
		return;
	}
	if (alex_bytes_type(type))
	{
		image_of(column, type, value, string);
		return;
	}
	plain = PG_DETOAST_DATUM_PACKED(value);
	if ((Pointer) plain != DatumGetPointer(value))
		string->copy = plain;
	string->bytes = VARDATA_ANY(plain);
	if (OidIsValid(column->collation))
		sort_key_of(column, string);
}

static Size
alignment(const AlexColumn *column)
{
	return att_align_nominal(1, column->attalign);
}

/* Moves a varlena's bytes from "start" + VARHDRSZ_SHORT to their place behind a header, and returns the end of the value. */
static char *
finish_varlena(const AlexColumn *column, char *start, Size length, char **value)
{
	char	   *aligned = start + (TYPEALIGN(alignment(column), (uintptr_t) start) - (uintptr_t) start);

	if (length + VARHDRSZ_SHORT <= VARATT_SHORT_MAX && !column->plain)
	{
		SET_VARSIZE_SHORT(start, length + VARHDRSZ_SHORT);
		*value = start;
		return start + VARHDRSZ_SHORT + length;
	}
	memmove(aligned + VARHDRSZ, start + VARHDRSZ_SHORT, length);
	/* what is in front of an aligned header is zero: that tells it from a short one */
	memset(start, 0, aligned - start);
	SET_VARSIZE(aligned, length + VARHDRSZ);
	*value = aligned;
	return aligned + VARHDRSZ + length;
}

/* alex_string_value() of types of alex_bytes.h. */
static char *
image_value(const AlexColumn *column, const AlexStringCode *code, const uint64 *words, int n, uint64 flip, char *start, Size room,
			char **value)
{
	uint8		few[256];
	Size		most = Min(alex_string_most_bytes(n), ALEX_MOST_IMAGE_BYTES);
	uint8	   *image = most > sizeof(few) ? palloc(most) : few;
	Size		length = alex_decode_string(code, words, n, flip, image, most);
	Datum		made;
	char	   *end = NULL;

	if (length != ALEX_BAD_STRING && alex_bytes_value(column->type, &column->form, image, length, &made))
	{
		length = VARSIZE(DatumGetPointer(made)) - VARHDRSZ;
		if (length <= room)
		{
			memcpy(start + VARHDRSZ_SHORT, VARDATA(DatumGetPointer(made)), length);
			end = finish_varlena(column, start, length, value);
		}
		pfree(DatumGetPointer(made));
	}
	if (image != few)
		pfree(image);
	return end;
}

/* alex_string_value() of sort keys with the string behind them. */
static char *
string_behind_key(const AlexColumn *column, const AlexStringCode *code, const uint64 *words, int n, uint64 flip, char *start, Size room,
				  char **value)
{
	Size		most = alex_string_most_bytes(n);
	char	   *image = palloc(most);
	Size		length = alex_decode_string(code, words, n, flip, image, most);
	const char *string = length == ALEX_BAD_STRING ? NULL : memchr(image, 0, length);
	char	   *end = NULL;

	if (string != NULL && (length -= string + 1 - image) <= room)
	{
		memcpy(start + VARHDRSZ_SHORT, string + 1, length);
		end = finish_varlena(column, start, length, value);
	}
	pfree(image);
	return end;
}

char *
alex_string_value(const AlexColumn *column, const AlexStringCode *code, const uint64 *words, int n, uint64 flip, char *start, char *end,
				  char **value)
{
	Size		room = VARHDRSZ + alignment(column);
	Size		length;

	if (column->attlen > 0)
	{
		Size		size = column->attlen;
		char	   *aligned = start + (TYPEALIGN(alignment(column), (uintptr_t) start) - (uintptr_t) start);

		if (end - aligned < (ptrdiff_t) size)
			return NULL;
		memset(start, 0, aligned - start);
		/* the type name always has a zero at its end */
		length = alex_decode_string(code, words, n, flip, aligned, column->type == NAMEOID ? size - 1 : size);
		if (length == ALEX_BAD_STRING)
			return NULL;
		memset(aligned + length, 0, size - length);
		*value = aligned;
		return aligned + size;
	}

	if (end - start < (ptrdiff_t) room)
		return NULL;
	room = end - start - room;
	if (alex_bytes_type(column->type))
		return image_value(column, code, words, n, flip, start, room, value);
	if (OidIsValid(column->collation))
		return string_behind_key(column, code, words, n, flip, start, room, value);
	length = alex_decode_string(code, words, n, flip, start + VARHDRSZ_SHORT, room);
	return length == ALEX_BAD_STRING ? NULL : finish_varlena(column, start, length, value);
}

/* ---- codes ---- */

/*
 * Descriptions of indexes point to codes, and are copied and forgotten without notice, so codes are kept: 4 KB for each that differs. Indexes
 * that were created empty share those of usual strings.
 */
const AlexStringCode *
alex_intern_code(const AlexCodeLengths *lengths)
{
	static HTAB *codes;
	AlexStringCode code;
	AlexStringCode *kept;
	bool		found;

	if (codes == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(AlexCodeLengths);
		control.entrysize = sizeof(AlexStringCode);
		control.hcxt = TopMemoryContext;
		codes = hash_create("alex string codes", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	kept = hash_search(codes, lengths, HASH_FIND, NULL);
	if (kept != NULL)
		return kept;
	if (!alex_make_code(lengths, &code))
		return NULL;
	kept = hash_search(codes, lengths, HASH_ENTER, &found);
	memcpy(kept, &code, sizeof(code));
	return kept;
}

const AlexStringCode *
alex_usual_code(Oid type, bool none_first)
{
	static const AlexStringCode *known[2][2][2];
	bool		binary = type != TEXTOID && type != VARCHAROID && type != NAMEOID && type != BPCHAROID && type != JSONOID;
	bool		headed = alex_bytes_headed(type);
	const AlexStringCode **code = &known[binary][headed][none_first];

	if (*code == NULL)
	{
		AlexCodeLengths lengths;

		alex_default_code(binary, none_first, &lengths);
		lengths.headed = headed;
		*code = alex_intern_code(&lengths);
		if (*code == NULL)
			elog(ERROR, "alex has no usual string code");
	}
	return *code;
}

const AlexStringCode *
alex_included_code(Oid type)
{
	return alex_usual_code(alex_bytes_headed(type) ? BYTEAOID : type, false);
}

bool
alex_collation_is_bytewise(Oid collation)
{
	return OidIsValid(collation) && compat_collation_is_c(collation);
}
