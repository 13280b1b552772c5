/*
 * alex_tuples.c - records to index tuples.
 *
 * Contract: nothing is allocated, and no function of a type is called: this runs once per row of a scan.
 */
#include "postgres.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "access/tupmacs.h"

#include "alex_core.h"
#include "alex_strings.h"
#include "alex_tuples.h"

/*
 * An index tuple of one column is as long as its record: without NULL a header and the value, of NULL a header and a bitmap.
 * Its first word is the header.
 */
StaticAssertDecl(sizeof(IndexTupleData) == sizeof(uint64), "index tuple header");
StaticAssertDecl(offsetof(IndexTupleData, t_info) == 6, "index tuple header");
StaticAssertDecl(MAXALIGN(sizeof(IndexTupleData)) == sizeof(uint64), "place of an index tuple's value");
StaticAssertDecl(MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData)) == 2 * sizeof(uint64),
				 "length of an index tuple of NULL");

/* Where a header keeps what the tie has above its TID. */
#define TIE_ABOVE(word) ((word) & ~UINT64CONST(0) << ALEX_TID_BITS)

/*
 * Tuples of integers, none of them NULL: every bit of key and tie moves to its place, and those that are the same in all
 * tuples (sign, DESC, t_info) flip at once. The first tuple says what its tie has above the TID, and so have all others.
 */
static void
make_integer_tuples(uint64 flip, uint64 info, uint64 *tuple, uint64 *end)
{
	uint64		header = info << 48;

#ifdef __SSE2__
	const __m128i both = _mm_set_epi64x(flip, header ^ TIE_ABOVE(tuple[1]));

	for (; tuple < end; tuple += 2)
	{
		__m128i		record = _mm_loadu_si128((const __m128i *) tuple);
		__m128i		tie_first = _mm_shuffle_epi32(record, _MM_SHUFFLE(1, 0, 3, 2));

		/* the three halfwords of the TID, last one first */
		_mm_storeu_si128((__m128i *) tuple,
						 _mm_xor_si128(_mm_shufflelo_epi16(tie_first, _MM_SHUFFLE(3, 0, 1, 2)), both));
	}
#else
	for (; tuple < end; tuple += 2)
	{
		uint64		tie = tuple[1];

		tuple[1] = tuple[0] ^ flip;
		tuple[0] = header | alex_tid_word(tie);
	}
#endif
}

/* Index tuples of one column. */
static void
make_tuples(const AlexKeyInfo *info, uint64 *tuple, uint64 *end)
{
	const AlexColumn column = info->column[0];	/* a copy, which the stores below cannot change: kept in registers */
	const AlexColumnPlace place = info->layout.place[0];
	const int	words = info->words;
	const uint64 tuple_info = MAXALIGN(sizeof(IndexTupleData) + column.attlen);
	const uint64 null_info = INDEX_NULL_MASK | MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData));

	/* the records are sorted, so NULLs are at one end of them */
	if (words == 1 && column.attbyval && column.float_sign == 0 && tuple < end && !alex_column_isnull(&place, tuple) &&
		!alex_column_isnull(&place, end - 2))
	{
		make_integer_tuples(column.flip, tuple_info, tuple, end);
		return;
	}

	for (; tuple < end; tuple += words + 1)
	{
		uint64		tie = tuple[words];

		if (likely(!alex_column_isnull(&place, tuple)))
		{
			uint64		value[2];

			alex_column_value(info, 0, tuple, value);
			memcpy(tuple + 1, value, words * sizeof(uint64));
			tuple[0] = tuple_info << 48 | alex_tid_word(tie);
		}
		else
		{
			tuple[0] = null_info << 48 | alex_tid_word(tie);
			tuple[1] = 0;		/* the bitmap */
		}
	}
}

void
alex_make_tuples(const AlexKeyInfo *info, uint64 *records, int words, uint32 n)
{
	uint64	   *end = records + (Size) n * (words + 1);

	if (alex_makes_tuples(info))
	{
		make_tuples(info, records, end);
		return;
	}
	for (uint64 *tie = records + words; tie < end; tie += words + 1)
		*tie = TIE_ABOVE(*tie) | alex_tid_word(*tie);
}

void
alex_tuple_position(const AlexKeyInfo *info, const uint64 *tuple, int words, uint64 *position)
{
	if (alex_makes_tuples(info))
	{
		const AlexColumn *column = &info->column[0];
		const IndexTupleData *itup = (const IndexTupleData *) tuple;
		bool		isnull = IndexTupleHasNulls(itup);
		Datum		value = isnull ? (Datum) 0 : fetch_att(tuple + 1, column->attbyval, column->attlen);
		ItemPointerData tid = itup->t_tid;

		alex_key_record(info, &value, &isnull, &tid, position);
		return;
	}
	memcpy(position, tuple, words * sizeof(uint64));
	position[words] = TIE_ABOVE(tuple[words]) | alex_word_tid(tuple[words]);
}

Size
alex_tuple_space(const AlexKeyInfo *info)
{
	if (info->layout.strings > 0)
		return MAXALIGN(ALEX_MAX_TUPLE);
	/* no value is longer than the words of its image, or its type's alignment makes it */
	return MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData)) + 2 * sizeof(uint64) * (info->columns + 1);
}

/* Of a record without NULL, each value has its place. Returns false if there is a NULL. */
static inline bool
form_without_null(const AlexKeyInfo *info, const uint64 *tuple, IndexTuple formed)
{
	char	   *start = (char *) formed;

	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];
		uint64		value[2];

		if (unlikely(alex_isnull(info, c, tuple)))
			return false;
		alex_column_value(info, c, tuple, value);
		/* whole words, of which the next column overwrites what is not of this one */
		memcpy(start + column->offset, value, sizeof(uint64));
		if (column->attlen > (int) sizeof(uint64))
			memcpy(start + column->offset + sizeof(uint64), value + 1, sizeof(uint64));
	}
	formed->t_info = (unsigned short) info->tuple_size;
	return true;
}

static void
form_with_nulls(const AlexKeyInfo *info, const uint64 *tuple, IndexTuple formed)
{
	uint8		present[sizeof(IndexAttributeBitMapData)] = {0};
	char	   *start = (char *) formed;
	Size		offset = MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData));

	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];
		uint64		value[2];

		if (!column->returnable || alex_isnull(info, c, tuple))
			continue;
		present[c / 8] |= 1 << c % 8;
		alex_column_value(info, c, tuple, value);
		offset = att_align_nominal(offset, column->attalign);
		memcpy(start + offset, value, column->attlen);
		offset += column->attlen;
	}
	formed->t_info = (unsigned short) (MAXALIGN(offset) | INDEX_NULL_MASK);
	memcpy(start + sizeof(IndexTupleData), present, sizeof(present));
}

/* Of a record with "words" key words of an index with string columns. */
static void
form_variable(const AlexKeyInfo *info, const uint64 *tuple, int words, IndexTuple formed)
{
	uint64		codes[INDEX_MAX_KEYS][ALEX_CODE_WORDS];
	uint8		present[sizeof(IndexAttributeBitMapData)] = {0};
	bool		nulls = false;
	char	   *start = (char *) formed;
	char	   *end = start + ALEX_MAX_TUPLE;
	char	   *next;
	int			base = 0;

	for (int c = 0; c < info->columns; c++)
	{
		alex_take_code(&info->layout, c, tuple, words, &base, codes[c]);
		if (info->column[c].returnable && !alex_code_isnull(&info->layout.place[c], codes[c]))
			present[c / 8] |= 1 << c % 8;
		else
			nulls = true;
	}
	next = start + MAXALIGN(sizeof(IndexTupleData) + (nulls ? sizeof(IndexAttributeBitMapData) : 0));
	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];
		const AlexColumnPlace *place = &info->layout.place[c];

		if ((present[c / 8] & (1 << c % 8)) == 0)
			continue;
		if (place->code == NULL)
		{
			uint64		image[ALEX_IMAGE_WORDS];
			uint64		value[2];

			next = start + att_align_nominal(next - start, column->attalign);
			alex_code_image(place, codes[c], image);
			alex_image_value(column, image, tuple[words], value);
			if (end - next < column->attlen)
				alex_bad_string(info);
			memcpy(next, value, column->attlen);
			next += column->attlen;
		}
		else
		{
			char	   *value;

			next = alex_string_value(column, place->code, alex_string_code_words(codes[c]), (int) codes[c][1], place->flip[0],
									 next, end, &value);
			if (next == NULL)
				alex_bad_string(info);
		}
	}
	formed->t_info = (unsigned short) (MAXALIGN(next - start) | (nulls ? INDEX_NULL_MASK : 0) | INDEX_VAR_MASK);
	if (nulls)
		memcpy(start + sizeof(IndexTupleData), present, sizeof(present));
}

void
alex_form_tuple(const AlexKeyInfo *info, const uint64 *tuple, int words, IndexTuple formed)
{
	if (info->layout.strings > 0)
		form_variable(info, tuple, words, formed);
	else if (info->tuple_size == 0 || !form_without_null(info, tuple, formed))
		form_with_nulls(info, tuple, formed);
	formed->t_tid = ((const IndexTupleData *) (tuple + words))->t_tid;
}
