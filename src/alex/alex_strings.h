/*
 * alex_strings.h - values that are stored as strings of bytes.
 */
#ifndef ALEX_STRINGS_H
#define ALEX_STRINGS_H

#include "postgres.h"

#include "alex_keys.h"
#include "string_code.h"

/*
 * Most bytes of an index tuple, so that all that is indexed can be returned by an index-only scan: what fits the 13 bits of its
 * length.
 */
#define ALEX_MAX_TUPLE 8160

/* A value as bytes that compare as the values do. */
typedef struct AlexString
{
	const char *bytes;
	Size		n;
	Size		size;			/* of the value, at most */
	void	   *copy;			/* palloc'd, or NULL */
	uint8		space[64];		/* where that is enough */
} AlexString;

/*
 * The string of a value of a type, or of the column's own if that is included (InvalidOid). Of one larger than "most" bytes only the size, where
 * that can be told without fetching it: "bytes" is NULL then.
 */
extern void alex_string_of(const AlexColumn *column, Oid type, Datum value, Size most, AlexString *string);

static inline void
alex_string_free(AlexString *string)
{
	if (string->copy)
		pfree(string->copy);
}

/*
 * Writes the value with these words as an index tuple holds it, at "start" or the next place its alignment asks for; the tuple ends before
 * "end". Returns where it ends, or NULL if the words are no string's or the value is too long.
 */
extern char *alex_string_value(const AlexColumn *column, const AlexStringCode *code, const uint64 *words, int n, uint64 flip, char *start, char *end,
							   char **value);

/* The code with these lengths, which lives as long as the session; NULL if there is none. */
extern const AlexStringCode *alex_intern_code(const AlexCodeLengths *lengths);

/* The code of a column of a type of which nothing is known. */
extern const AlexStringCode *alex_usual_code(Oid type, bool none_first);

/* The same for the bytes of included values. */
extern const AlexStringCode *alex_included_code(Oid type);

/* Has a collation the order of bytes? */
extern bool alex_collation_is_bytewise(Oid collation);

#endif							/* ALEX_STRINGS_H */
