/*
 * alex_keys.c - SQL values to key images and back.
 *
 * Role: knows which types alex stores and adds DESC and NULL to the ascending images of alex_image.h.
 *
 * Contract: alex_key_image() and alex_key_datum() run for every key of a build and every row of an index-only
 * scan, so they allocate nothing and call neither the catalogs nor a type's functions.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tupmacs.h"
#include "catalog/pg_index.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "alex_image.h"
#include "alex_keys.h"

/*
 * The supported types. "compare" is the one comparison function whose order the images have: the operators of
 * any other operator class would disagree with the order on disk.
 */
typedef struct SupportedType
{
	Oid			type;
	int			words;
	Oid			compare;
} SupportedType;

static const SupportedType supported_types[] = {
	{INT2OID, 1, F_BTINT2CMP},
	{INT4OID, 1, F_BTINT4CMP},
	{INT8OID, 1, F_BTINT8CMP},
	{OIDOID, 1, F_BTOIDCMP},
	{FLOAT4OID, 1, F_BTFLOAT4CMP},
	{FLOAT8OID, 1, F_BTFLOAT8CMP},
	{BOOLOID, 1, F_BTBOOLCMP},
	{DATEOID, 1, F_DATE_CMP},
	{TIMEOID, 1, F_TIME_CMP},
	{TIMESTAMPOID, 1, F_TIMESTAMP_CMP},
	{TIMESTAMPTZOID, 1, F_TIMESTAMPTZ_CMP},
	{MONEYOID, 1, F_CASH_CMP},
	{CHAROID, 1, F_BTCHARCMP},
	{PG_LSNOID, 1, F_PG_LSN_CMP},
	{UUIDOID, 2, F_UUID_CMP},
};

static const SupportedType *
find_type(Oid type)
{
	for (size_t i = 0; i < lengthof(supported_types); i++)
		if (supported_types[i].type == type)
			return &supported_types[i];
	return NULL;
}

int
alex_type_words(Oid type)
{
	const SupportedType *found = find_type(type);

	return found ? found->words : 0;
}

Oid
alex_type_compare(Oid type)
{
	const SupportedType *found = find_type(type);

	return found ? found->compare : InvalidOid;
}

void
alex_key_info(Relation index, AlexKeyInfo *info)
{
	/* the column's own type may be a domain; what it holds is the type of the operator class */
	Oid			type = index->rd_opcintype[0];
	int			words = alex_type_words(type);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(index), 0);

	if (words == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support type %s", "alex", format_type_be(type)),
				 errhint("Supported types are smallint, integer, bigint, oid, real, double precision, boolean, date, "
						 "time, timestamp, timestamptz, money, \"char\", pg_lsn and uuid.")));
	if (index_getprocid(index, 1, 1) != alex_type_compare(type))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("operator class of index \"%s\" does not have the order of type %s",
						RelationGetRelationName(index), format_type_be(type)),
				 errhint("Use the default operator class of access method \"%s\" for this type.", "alex")));

	info->type = type;
	info->words = words;
	info->attlen = att->attlen;
	info->attbyval = att->attbyval;
	info->descending = (index->rd_indoption[0] & INDOPTION_DESC) != 0;
	info->nulls_first = (index->rd_indoption[0] & INDOPTION_NULLS_FIRST) != 0;
	info->flip = alex_type_sign(type) ^ (info->descending ? PG_UINT64_MAX : 0);
	info->float_sign = type == FLOAT8OID || type == FLOAT4OID ? alex_type_sign(type) : 0;
}

uint64
alex_key_image(const AlexKeyInfo *info, Datum value, bool isnull, uint64 *image)
{
	if (isnull)
	{
		for (int i = 0; i < info->words; i++)
			image[i] = info->nulls_first ? 0 : PG_UINT64_MAX;
	}
	else
	{
		alex_type_image(info->type, value, image);
		if (info->descending)
			for (int i = 0; i < info->words; i++)
				image[i] = ~image[i];
	}
	return alex_ext(info, isnull);
}

Datum
alex_key_datum(const AlexKeyInfo *info, const uint64 *record, void *space, bool *isnull)
{
	uint64		value[ALEX_MAX_WORDS];

	*isnull = alex_tie_isnull(info, record[info->words]);
	if (*isnull)
		return (Datum) 0;

	alex_key_value(info, record, value);
	memcpy(space, value, info->attlen);
	return fetch_att(space, info->attbyval, info->attlen);
}

void
alex_key_equal_range(const AlexKeyInfo *info, const uint64 *record, AlexRange *range)
{
	int			words = info->words;
	uint64		ext = record[words] & ALEX_EXT_BIT;

	for (int i = 0; i < words; i++)
		range->low[i] = range->high[i] = record[i];

	if (ext == alex_ext(info, false))
	{
		if (!info->descending)
			alex_widen_zero(info->type, &range->low[0], &range->high[0]);
		else
		{
			uint64		first = ~record[0];
			uint64		last = ~record[0];

			alex_widen_zero(info->type, &first, &last);
			range->low[0] = ~last;
			range->high[0] = ~first;
		}
	}

	/* every TID of the first image up to every TID of the last one */
	range->low[words] = ext;
	range->high[words] = ext + ALEX_EXT_BIT;
	range->recheck = false;
}
