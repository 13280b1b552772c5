/*
 * alex_sums.c - what an aggregate needs of a column, gathered, and its result.
 *
 * Sums of integers are those of their images, which are the values moved up to begin at zero: exact in 128 bits, whatever the order. Sums of
 * floating-point numbers are taken in the order of the index, as an index-only scan would give them to the aggregate; like any sum of
 * them they depend on the order in their last digits. Results have the types and the digits of PostgreSQL's own aggregates.
 */
#include "alex_sums.h"

#include <math.h>

#include "access/tupmacs.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/numeric.h"

__extension__ typedef __int128 Wide;

void
alex_sums_begin(AlexColumnSums *sums, const AlexKeyInfo *info, int column)
{
	const AlexColumn *type = &info->column[column];
	const AlexColumnPlace *place = &info->layout.place[column];
	Size		words = (info->words + 1) * sizeof(uint64);

	memset(sums, 0, sizeof(*sums));
	sums->column = column;
	sums->floating = type->float_sign != 0;
	sums->bulk = place->words == 1 && !sums->floating && type->attbyval;
	sums->last = palloc0(words);
	sums->least = palloc0(words);
	sums->greatest = palloc0(words);
}

void
alex_sums_want(AlexColumnSums *sums, AlexAnswer answer)
{
	sums->summed |= answer == ALEX_SUM || answer == ALEX_AVG;
	sums->extremes |= answer == ALEX_MIN || answer == ALEX_MAX || answer == ALEX_BOOL_AND || answer == ALEX_BOOL_OR;
	sums->distinct |= answer == ALEX_COUNT_DISTINCT;
}

void
alex_sums_reset(AlexColumnSums *sums)
{
	sums->count = 0;
	sums->sum = (AlexSum) {0, 0};
	/* what changes nothing it is added to, -0.0 neither */
	sums->float_sum = -0.0;
	sums->float4_sum = -0.0f;
	sums->infinite = false;
	sums->values = 0;
}

Datum
alex_record_value(const AlexKeyInfo *info, int column, const uint64 *record, bool *isnull)
{
	const AlexColumn *type = &info->column[column];
	uint64		words[2];

	*isnull = alex_isnull(info, column, record);
	if (*isnull)
		return (Datum) 0;
	alex_column_value(info, column, record, words);
	return datumCopy(fetch_att(words, type->attbyval, type->attlen), type->attbyval, type->attlen);
}

static void
add_float(AlexColumnSums *sums, const AlexKeyInfo *info, const uint64 *record)
{
	const AlexColumn *type = &info->column[sums->column];
	uint64		words[2];
	Datum		value;
	double		number;

	alex_column_value(info, sums->column, record, words);
	value = fetch_att(words, type->attbyval, type->attlen);
	if (type->type == FLOAT4OID)
	{
		number = DatumGetFloat4(value);
		sums->float4_sum += DatumGetFloat4(value);
	}
	else
		number = DatumGetFloat8(value);
	sums->float_sum += number;
	sums->infinite |= !isfinite(number);
}

void
alex_sums_add(AlexColumnSums *sums, const AlexKeyInfo *info, const uint64 *record)
{
	const AlexColumnPlace *place = &info->layout.place[sums->column];
	Size		words = (info->words + 1) * sizeof(uint64);
	uint64		image[ALEX_IMAGE_WORDS] = {0, 0};
	uint64		other[ALEX_IMAGE_WORDS] = {0, 0};

	if (alex_column_isnull(place, record))
		return;
	alex_get_column(place, record, image);
	if (sums->summed && sums->floating)
		add_float(sums, info, record);
	else if (sums->summed)
	{
		sums->sum.low += image[0];
		sums->sum.high += sums->sum.low < image[0];
	}
	if (sums->extremes)
	{
		alex_get_column(place, sums->least, other);
		if (sums->count == 0 || alex_code_compare(image, other, place->words) < 0)
			memcpy(sums->least, record, words);
		alex_get_column(place, sums->greatest, other);
		if (sums->count == 0 || alex_code_compare(image, other, place->words) > 0)
			memcpy(sums->greatest, record, words);
	}
	if (sums->distinct)
	{
		alex_get_column(place, sums->last, other);
		if (sums->count == 0 || alex_code_compare(image, other, place->words) != 0)
		{
			sums->values++;
			memcpy(sums->last, record, words);
		}
	}
	sums->count++;
}

/* Makes a record of nothing but the column. */
static void
put_image(const AlexColumnPlace *place, const uint64 *image, int words, uint64 *record)
{
	memset(record, 0, (words + 1) * sizeof(uint64));
	alex_put_column(place, image, false, record);
}

void
alex_sums_add_words(AlexColumnSums *sums, const AlexKeyInfo *info, const uint64 *words, uint32 n, const uint64 *bits)
{
	const AlexColumnPlace *place = &info->layout.place[sums->column];
	uint32		count = alex_count_bits(bits, n);

	if (count == 0)
		return;
	if (sums->summed)
		alex_add_words(words, n, bits, place->mask, place->flip[0], &sums->sum);
	if (sums->extremes)
	{
		/* images of one word, with room for what alex_get_column() writes of others */
		uint64		least[ALEX_IMAGE_WORDS] = {PG_UINT64_MAX};
		uint64		greatest[ALEX_IMAGE_WORDS] = {0};

		if (sums->count > 0)
		{
			alex_get_column(place, sums->least, least);
			alex_get_column(place, sums->greatest, greatest);
		}
		alex_extreme_words(words, n, bits, place->mask, place->flip[0], &least[0], &greatest[0]);
		put_image(place, least, info->words, sums->least);
		put_image(place, greatest, info->words, sums->greatest);
	}
	sums->count += count;
}

/* ---- results ---- */

static Datum
wide_to_numeric(Wide value)
{
	char		digits[48];
	char	   *at = digits + sizeof(digits) - 1;
	bool		negative = value < 0;
	/* as an unsigned number, as the least one has no opposite */
	__extension__ unsigned __int128 rest = negative ? 0 - (unsigned __int128) value : (unsigned __int128) value;

	*at = '\0';
	do
		*--at = (char) ('0' + (int) (rest % 10));
	while ((rest /= 10) != 0);
	if (negative)
		*--at = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(at), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* The sum of the values: their images begin at what is the least value's distance from zero. */
static Wide
integer_sum(const AlexColumnSums *sums, const AlexKeyInfo *info)
{
	int			bits = info->column[sums->column].attlen * BITS_PER_BYTE;
	Wide		images = (Wide) sums->sum.high << 64 | sums->sum.low;

	return images - ((Wide) sums->count << (bits - 1));
}

/* float4_sum or float_sum; as in PostgreSQL, it is an error if a sum of finite numbers is not. */
static double
finite_sum(const AlexColumnSums *sums, double sum)
{
	if (isinf(sum) && !sums->infinite)
		float_overflow_error();
	return sum;
}

static Datum
sum_result(const AlexColumnSums *sums, const AlexKeyInfo *info)
{
	switch (info->column[sums->column].type)
	{
		case INT2OID:
		case INT4OID:
			return Int64GetDatum((int64) integer_sum(sums, info));
		case INT8OID:
			return wide_to_numeric(integer_sum(sums, info));
		case FLOAT4OID:
			return Float4GetDatum((float4) finite_sum(sums, sums->float4_sum));
		case FLOAT8OID:
			return Float8GetDatum(finite_sum(sums, sums->float_sum));
		default:
			elog(ERROR, "no sum of type %u", info->column[sums->column].type);
	}
}

static Datum
avg_result(const AlexColumnSums *sums, const AlexKeyInfo *info)
{
	if (sums->floating)
		/* here PostgreSQL begins with +0.0 */
		return Float8GetDatum((finite_sum(sums, sums->float_sum) + 0.0) / (double) sums->count);
	return DirectFunctionCall2(numeric_div, wide_to_numeric(integer_sum(sums, info)), wide_to_numeric((Wide) sums->count));
}

Datum
alex_sums_result(const AlexColumnSums *sums, const AlexKeyInfo *info, AlexAnswer answer, bool *isnull)
{
	*isnull = false;
	if (answer == ALEX_COUNT)
		return Int64GetDatum((int64) sums->count);
	if (answer == ALEX_COUNT_DISTINCT)
		return Int64GetDatum((int64) sums->values);

	*isnull = sums->count == 0;
	if (*isnull)
		return (Datum) 0;
	switch (answer)
	{
		case ALEX_MIN:
		case ALEX_BOOL_AND:
			return alex_record_value(info, sums->column, sums->least, isnull);
		case ALEX_MAX:
		case ALEX_BOOL_OR:
			return alex_record_value(info, sums->column, sums->greatest, isnull);
		case ALEX_SUM:
			return sum_result(sums, info);
		case ALEX_AVG:
			return avg_result(sums, info);
		default:
			elog(ERROR, "unrecognized answer %d of a column", (int) answer);
	}
}
