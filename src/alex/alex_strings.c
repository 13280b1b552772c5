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

void
alex_string_of(Oid type, Datum value, Size most, AlexString *string)
{
	struct varlena *plain;

	string->copy = NULL;
	if (type == NAMEOID)
	{
		string->bytes = NameStr(*DatumGetName(value));
		string->n = strnlen(string->bytes, NAMEDATALEN);
		return;
	}

	string->n = toast_raw_datum_size(value) - VARHDRSZ;
	if (string->n > most)
	{
		string->bytes = NULL;
		return;
	}
	plain = PG_DETOAST_DATUM_PACKED(value);
	if ((Pointer) plain != DatumGetPointer(value))
		string->copy = plain;
	string->bytes = VARDATA_ANY(plain);
}

char *
alex_string_value(Oid type, const AlexStringCode *code, const uint64 *words, int n, uint64 flip, char *start, char *end, char **value)
{
	Size		header = VARHDRSZ_SHORT;
	Size		length;

	if (type == NAMEOID)
	{
		if (end - start < NAMEDATALEN)
			return NULL;
		length = alex_decode_string(code, words, n, flip, start, NAMEDATALEN - 1);
		if (length == ALEX_BAD_STRING)
			return NULL;
		memset(start + length, 0, NAMEDATALEN - length);
		*value = start;
		return start + NAMEDATALEN;
	}

	if (end - start < VARHDRSZ + ALIGNOF_INT)
		return NULL;
	length = alex_decode_string(code, words, n, flip, start + header, end - start - VARHDRSZ - ALIGNOF_INT);
	if (length == ALEX_BAD_STRING)
		return NULL;
	if (length + header <= VARATT_SHORT_MAX)
		SET_VARSIZE_SHORT(start, length + header);
	else
	{
		char	   *aligned = start + (TYPEALIGN(ALIGNOF_INT, (uintptr_t) start) - (uintptr_t) start);

		header = VARHDRSZ;
		memmove(aligned + header, start + VARHDRSZ_SHORT, length);
		/* what is in front of an aligned header is zero: that tells it from a short one */
		memset(start, 0, aligned - start);
		start = aligned;
		SET_VARSIZE(start, length + header);
	}
	*value = start;
	return start + header + length;
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
	static const AlexStringCode *known[2][2];
	bool		binary = type == BYTEAOID;
	const AlexStringCode **code = &known[binary][none_first];

	if (*code == NULL)
	{
		AlexCodeLengths lengths;

		alex_default_code(binary, none_first, &lengths);
		*code = alex_intern_code(&lengths);
		if (*code == NULL)
			elog(ERROR, "alex has no usual string code");
	}
	return *code;
}

bool
alex_collation_is_bytewise(Oid collation)
{
	return OidIsValid(collation) && compat_collation_is_c(collation);
}
