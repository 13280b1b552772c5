/*
 * alex_keys.h - from SQL values to records and back.
 *
 * A record of a leaf is the words of its key and a tie word. Where each column is in these words the layout says
 * (src/core/key_layout.h); what its values are, this. The tie word, from its top: a bit for the core's marks, the null bit of the last
 * column if that is wide, a bit for each float column that says whether a zero was -0.0, and the heap TID.
 *
 * Keys with string columns have as many words as their values need, up to W; the words behind these are zero.
 */
#ifndef ALEX_KEYS_H
#define ALEX_KEYS_H

#include "postgres.h"

#include "access/skey.h"
#include "port/pg_bswap.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#include "alex_bytes.h"
#include "alex_format.h"
#include "compat.h"
#include "key_layout.h"

/* What the values of a column are. */
typedef struct AlexColumn
{
	Oid			type;			/* of the operator class; InvalidOid: included, the image is the value's bytes */
	int16		attlen;
	bool		attbyval;
	char		attalign;
	bool		returnable;		/* the image tells the value */
	bool		plain;			/* varlenas need a header of four bytes */
	bool		deterministic;	/* strings that are not the same are not equal */
	Oid			collation;		/* of ICU, whose sort keys the images are; or InvalidOid */
	AlexBytesForm form;			/* of types of alex_bytes.h */
	int16		offset;			/* of the value in an index tuple without NULL */
	uint64		sign;			/* image ^ sign is the value of a type of one word ... */
	uint64		flip;			/* ... and word ^ flip if it is not NULL ... */
	uint64		float_sign;		/* ... but the other bits of negative floats are inverted, too; 0: no float */
	uint64		zero_bit;		/* of the tie: the value is -0.0; 0: no float */
	const AlexStringCode *usual;	/* the code of a string column in an index that is built empty */
} AlexColumn;

/* How an index stores its rows. Filled once per relation, cheap to copy. */
typedef struct AlexKeyInfo
{
	Oid			index;
	int			columns;		/* included ones, too: these come last, and are no part of the key */
	int			keys;			/* those that are */
	int			words;			/* W, the greatest there is; records are made with so many */
	bool		variable;		/* records are stored with as many words as each uses, or at least ... */
	int			least_words;	/* ... with so many; without "variable" W */
	int			key_words;		/* the first of them, which equal keys have in common */
	int			tuple_size;		/* of an index tuple without NULL; 0 if some column cannot be returned */
	AlexColumn	column[INDEX_MAX_KEYS];
	AlexKeyLayout layout;
} AlexKeyInfo;

/* A null bit more than that of the tie's record, for bounds. */
#define ALEX_TIE_NULL (UINT64CONST(1) << ALEX_TIE_NULL_SHIFT)

/* Positions low <= p < high. */
typedef struct AlexRange
{
	uint64		low[ALEX_MAX_WORDS + 1];
	uint64		high[ALEX_MAX_WORDS + 1];
	bool		recheck;		/* some records in it may fail the scan keys */
} AlexRange;

/*
 * Fills info for an index, open or being built. ereports on a type or an order alex cannot store, and if the columns need too
 * many words.
 */
extern void alex_key_info(Relation index, AlexKeyInfo *info);

/*
 * The same with other codes for the string columns than the usual ones. Returns false if the lengths of a column (one for each column that is
 * a string) are those of no code for it.
 */
extern bool alex_set_codes(AlexKeyInfo *info, const AlexCodeLengths *lengths);

/* Copies what is used of it. */
extern void alex_copy_key_info(AlexKeyInfo *to, const AlexKeyInfo *from);

/* Can alex store a type? */
extern bool alex_type_supported(Oid type);

/* Why alex cannot store the values of a type in the order of a collation: a sentence, or NULL. */
extern const char *alex_collation_problem(Oid type, Oid compare, Oid collation);

/* Do the images of a key column with this type, typmod and collation tell its values? */
extern bool alex_returnable(Oid type, int32 typmod, Oid collation);

/* Do records tell the values of a column (from 0 on) of an index? */
extern bool alex_column_returnable(Relation index, int column);

/* The tie word of a heap TID. */
static inline uint64
alex_tid_bits(ItemPointer tid)
{
	return ((uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16) | ItemPointerGetOffsetNumberNoCheck(tid);
}

static inline void
alex_tie_to_tid(uint64 tie, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) ((tie >> 16) & 0xFFFFFFFF), (OffsetNumber) (tie & 0xFFFF));
}

/* Can the tie word be that of a row? In a damaged page it may not be, and core asserts that TIDs are, or grows the table. */
static inline bool
alex_tie_is_tid(uint64 tie)
{
	return (OffsetNumber) tie != InvalidOffsetNumber && (BlockNumber) (tie >> 16) != InvalidBlockNumber;
}

/* The TID of a tie as the first six bytes of a word. */
static inline uint64
alex_tid_word(uint64 tie)
{
	return ((tie >> 32) & 0xFFFF) | (tie & UINT64CONST(0xFFFF0000)) | (tie & 0xFFFF) << 32;
}

/* And back, without anything but the TID. */
static inline uint64
alex_word_tid(uint64 word)
{
	return (word & 0xFFFF) << 32 | (word & UINT64CONST(0xFFFF0000)) | ((word >> 32) & 0xFFFF);
}

/* Of an index without string columns. */
static inline bool
alex_isnull(const AlexKeyInfo *info, int column, const uint64 *record)
{
	return alex_column_isnull(&info->layout.place[column], record);
}

/* Is any column of a record's key NULL? */
static inline bool
alex_any_null(const AlexKeyInfo *info, const uint64 *record)
{
	int			base = 0;

	for (int c = 0; c < info->keys; c++)
	{
		uint64		code[ALEX_CODE_WORDS];

		if (info->layout.strings == 0)
		{
			if (alex_isnull(info, c, record))
				return true;
			continue;
		}
		alex_take_code(&info->layout, c, record, info->words, &base, code);
		if (alex_code_isnull(&info->layout.place[c], code))
			return true;
	}
	return false;
}

/* alex_image_value() of types passed by reference. */
extern void alex_wide_value(const AlexColumn *column, const uint64 *image, uint64 tie, uint64 *value);

/* A value from its ascending image, as alex_column_value(). */
static inline void
alex_image_value(const AlexColumn *column, const uint64 *image, uint64 tie, uint64 *value)
{
	uint64		bits;

	if (!column->attbyval)
	{
		alex_wide_value(column, image, tie, value);
		return;
	}
	bits = image[0] ^ column->sign;
	if (column->float_sign != 0)
	{
		if (bits & column->float_sign)
			bits ^= ~column->float_sign;
		if (tie & column->zero_bit)
			bits |= column->float_sign;
	}
	value[0] = bits;
}

/*
 * A column of a record that is not NULL, as a tuple holds it: in the first attlen bytes of "value" (two words), the others undefined.
 * "value" may overlap the record where the type has one word. The column must be returnable, and the index has no string columns.
 */
static inline void
alex_column_value(const AlexKeyInfo *info, int column, const uint64 *record, uint64 *value)
{
	const AlexColumn *type = &info->column[column];
	uint64		bits;

	if (unlikely(!type->attbyval))
	{
		uint64		image[ALEX_IMAGE_WORDS];

		alex_get_column(&info->layout.place[column], record, image);
		alex_wide_value(type, image, record[info->words], value);
		return;
	}
	bits = record[info->layout.place[column].first] ^ type->flip;
	if (unlikely(type->float_sign != 0))
	{
		if (bits & type->float_sign)
			bits ^= ~type->float_sign;
		if (record[info->words] & type->zero_bit)
			bits |= type->float_sign;
	}
	value[0] = bits;
}

/* Do the records tell all values? */
static inline bool
alex_all_returnable(const AlexKeyInfo *info)
{
	for (int c = 0; c < info->columns; c++)
		if (!info->column[c].returnable)
			return false;
	return true;
}

/* Writes the record of a row: info->words key words and the tie. An error if the values are too long for a key. */
extern void alex_key_record(const AlexKeyInfo *info, const Datum *values, const bool *isnull, ItemPointer tid,
							uint64 *record);

/*
 * The same of an index with string columns. Returns false if the values are too long in the codes of this index, but not in the usual ones.
 */
extern bool alex_try_key_record(const AlexKeyInfo *info, const Datum *values, const bool *isnull, ItemPointer tid, uint64 *record);

/* Room for the values of a record that are passed by reference. */
typedef struct AlexValueSpace
{
	uint64		words[INDEX_MAX_KEYS][2];
} AlexValueSpace;

/*
 * The values of a record's columns. By-reference types point into "space", strings are palloc'd. Columns that are not returnable are
 * NULL. Every other value comes back as stored, but NaN comes back canonical.
 */
extern void alex_key_values(const AlexKeyInfo *info, const uint64 *record, AlexValueSpace *space, Datum *values,
							bool *isnull);

/* An error: the words of a string are none's. */
pg_noreturn extern void alex_bad_string(const AlexKeyInfo *info);

/* The words of a record's key, without included columns. */
static inline int
alex_key_end(const AlexKeyInfo *info, const uint64 *record)
{
	const AlexColumnPlace *last = &info->layout.place[info->keys - 1];
	uint64		code[ALEX_CODE_WORDS];
	int			base = 0;

	if (info->layout.strings == 0)
		return info->key_words;
	for (int c = 0; c < info->keys; c++)
		alex_take_code(&info->layout, c, record, info->words, &base, code);
	return last->code != NULL ? base : base + last->first + alex_code_words(last);
}

/* The range of positions of all records with the key of a record: for unique checks. */
static inline void
alex_key_equal_range(const AlexKeyInfo *info, const uint64 *record, AlexRange *range)
{
	int			end = info->words;

	range->recheck = false;
	if (info->columns == info->keys)
	{
		memcpy(range->low, record, end * sizeof(uint64));
		memcpy(range->high, record, end * sizeof(uint64));
		range->low[end] = record[end] & ALEX_TIE_NULL;
		range->high[end] = range->low[end] + ALEX_TIE_NULL;
		return;
	}
	/* whatever the included columns are: up to the next key */
	end = alex_key_end(info, record);
	memset(range->low, 0, (info->words + 1) * sizeof(uint64));
	memset(range->high, 0, (info->words + 1) * sizeof(uint64));
	memcpy(range->low, record, end * sizeof(uint64));
	memcpy(range->high, record, end * sizeof(uint64));
	while (end > 0 && ++range->high[end - 1] == 0)
		end--;
	if (end == 0)
		memset(range->high, 0xFF, (info->words + 1) * sizeof(uint64));
}

#endif							/* ALEX_KEYS_H */
