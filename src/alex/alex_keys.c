/*
 * alex_keys.c - rows to records and back.
 *
 * Role: knows which types alex stores, and lays out the columns of an index.
 *
 * Contract: alex_key_record() and what takes values out of records run for every key of a build and every row of an
 * index-only scan, so they allocate nothing and call neither the catalogs nor a type's functions.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
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
	int			bits;			/* of the image */
	bool		returnable;
	Oid			compare;
} SupportedType;

static const SupportedType supported_types[] = {
	{INT2OID, 16, true, F_BTINT2CMP},
	{INT4OID, 32, true, F_BTINT4CMP},
	{INT8OID, 64, true, F_BTINT8CMP},
	{OIDOID, 32, true, F_BTOIDCMP},
	{FLOAT4OID, 32, true, F_BTFLOAT4CMP},
	{FLOAT8OID, 64, true, F_BTFLOAT8CMP},
	{BOOLOID, 1, true, F_BTBOOLCMP},
	{DATEOID, 32, true, F_DATE_CMP},
	{TIMEOID, 64, true, F_TIME_CMP},
	{TIMETZOID, ALEX_TIMETZ_BITS, true, F_TIMETZ_CMP},
	{TIMESTAMPOID, 64, true, F_TIMESTAMP_CMP},
	{TIMESTAMPTZOID, 64, true, F_TIMESTAMPTZ_CMP},
	{INTERVALOID, ALEX_INTERVAL_BITS, false, F_INTERVAL_CMP},	/* '1 day' = '24 hours' */
	{MONEYOID, 64, true, F_CASH_CMP},
	{CHAROID, 8, true, F_BTCHARCMP},
	{PG_LSNOID, 64, true, F_PG_LSN_CMP},
	{XID8OID, 64, true, F_XID8CMP},
	{MACADDROID, 48, true, F_MACADDR_CMP},
	{MACADDR8OID, 64, true, F_MACADDR8_CMP},
	{UUIDOID, 128, true, F_UUID_CMP},
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
alex_type_bits(Oid type)
{
	const SupportedType *found = find_type(type);

	return found ? found->bits : 0;
}

Oid
alex_type_compare(Oid type)
{
	const SupportedType *found = find_type(type);

	return found ? found->compare : InvalidOid;
}

bool
alex_type_returnable(Oid type)
{
	const SupportedType *found = find_type(type);

	return found != NULL && found->returnable;
}

/* Checks that a column can be stored. */
static const SupportedType *
require_type(Relation index, int c)
{
	/* the column's own type may be a domain; what it holds is the type of the operator class */
	const SupportedType *type = find_type(index->rd_opcintype[c]);

	if (type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support type %s of column \"%s\"", "alex",
						format_type_be(index->rd_opcintype[c]),
						NameStr(TupleDescAttr(RelationGetDescr(index), c)->attname)),
				 errhint("Supported are the integer, floating-point, date and time types, boolean, oid, money, \"char\", "
						 "pg_lsn, xid8, macaddr, macaddr8 and uuid.")));
	if (index_getprocid(index, c + 1, 1) != type->compare)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("operator class of column \"%s\" of index \"%s\" does not have the order of type %s",
						NameStr(TupleDescAttr(RelationGetDescr(index), c)->attname), RelationGetRelationName(index),
						format_type_be(type->type)),
				 errhint("Use the default operator class of access method \"%s\" for this type.", "alex")));
	return type;
}

static void
describe_column(Relation index, int c, const SupportedType *type, const AlexColumnPlace *place, AlexColumn *column)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(index), c);
	uint64		sign = alex_type_sign(type->type);
	bool		is_float = type->type == FLOAT8OID || type->type == FLOAT4OID;

	column->type = type->type;
	column->attlen = att->attlen;
	column->attbyval = att->attbyval;
	column->attalign = att->attalign;
	column->returnable = type->returnable;
	/* the null bit of a value is known; of a narrow column it is next to the image */
	column->flip = sign ^ place->flip[0] ^ (!place->wide && place->nulls_first ? UINT64CONST(1) << place->null_shift : 0);
	column->float_sign = is_float ? sign : 0;
	column->zero_bit = 0;
}

/* Where the values of a row without NULL are in its index tuple. */
static void
place_in_tuple(AlexKeyInfo *info)
{
	Size		offset = MAXALIGN(sizeof(IndexTupleData));
	bool		all = true;

	for (int c = 0; c < info->columns; c++)
	{
		AlexColumn *column = &info->column[c];

		offset = att_align_nominal(offset, column->attalign);
		column->offset = (int16) offset;
		offset += column->attlen;
		all = all && column->returnable;
	}
	info->tuple_size = all ? (int) MAXALIGN(offset) : 0;
}

void
alex_key_info(Relation index, AlexKeyInfo *info)
{
	AlexColumnSpec specs[INDEX_MAX_KEYS] = {0};
	const SupportedType *types[INDEX_MAX_KEYS];
	int			n = IndexRelationGetNumberOfKeyAttributes(index);
	int			zeroes = 0;

	Assert(n > 0);

	for (int c = 0; c < n; c++)
	{
		types[c] = require_type(index, c);
		specs[c].bits = types[c]->bits;
		specs[c].descending = (index->rd_indoption[c] & INDOPTION_DESC) != 0;
		specs[c].nulls_first = (index->rd_indoption[c] & INDOPTION_NULLS_FIRST) != 0;
	}
	if (!alex_layout_columns(&info->layout, specs, n))
		elog(ERROR, "columns of index \"%s\" have no layout", RelationGetRelationName(index));
	info->columns = n;
	info->words = info->layout.words;
	for (int c = 0; c < n; c++)
	{
		AlexColumn *column = &info->column[c];

		describe_column(index, c, types[c], &info->layout.place[c], column);
		if (column->float_sign == 0)
			continue;
		/* no more bits: the sign of a zero is lost, so the column cannot be returned */
		if (zeroes == ALEX_TIE_SPARE_BITS)
			column->returnable = false;
		else
			column->zero_bit = UINT64CONST(1) << (ALEX_TID_BITS + zeroes++);
	}
	place_in_tuple(info);
}

void
alex_copy_key_info(AlexKeyInfo *to, const AlexKeyInfo *from)
{
	to->columns = from->columns;
	to->words = from->words;
	to->tuple_size = from->tuple_size;
	memcpy(to->column, from->column, from->columns * sizeof(AlexColumn));
	memcpy(&to->layout, &from->layout, offsetof(AlexKeyLayout, place) + from->columns * sizeof(AlexColumnPlace));
}

/* The bit that tells -0.0 from +0.0, whose images are the same. */
static inline uint64
zero_sign(const AlexColumn *column, Datum value)
{
	bool		negative = column->type == FLOAT8OID ?
		DatumGetFloat8(value) == 0 && signbit(DatumGetFloat8(value)) :
		DatumGetFloat4(value) == 0 && signbit(DatumGetFloat4(value));

	return negative ? column->zero_bit : 0;
}

void
alex_key_record(const AlexKeyInfo *info, const Datum *values, const bool *isnull, ItemPointer tid, uint64 *record)
{
	uint64		tie = alex_tid_bits(tid);

	for (int i = 0; i <= info->words; i++)
		record[i] = 0;
	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];
		uint64		image[ALEX_IMAGE_WORDS] = {0};

		if (!isnull[c])
		{
			alex_type_image(column->type, values[c], image);
			if (column->zero_bit != 0)
				tie |= zero_sign(column, values[c]);
		}
		alex_put_column(&info->layout.place[c], image, isnull[c], record);
	}
	record[info->words] |= tie;
}

void
alex_wide_value(const AlexKeyInfo *info, int column, const uint64 *record, uint64 *value)
{
	uint64		image[ALEX_IMAGE_WORDS];

	alex_get_column(&info->layout.place[column], record, image);
	switch (info->column[column].type)
	{
		case UUIDOID:
			value[0] = pg_hton64(image[0]);
			value[1] = pg_hton64(image[1]);
			break;
		case MACADDROID:
			value[0] = pg_hton64(image[0] << 16);
			break;
		case MACADDR8OID:
			value[0] = pg_hton64(image[0]);
			break;
		case TIMETZOID:
			{
				TimeTzADT	time;

				time.zone = (int32) (image[0] & ((1 << ALEX_ZONE_BITS) - 1)) - ALEX_ZONE_LIMIT;
				time.time = (TimeADT) (image[0] >> ALEX_ZONE_BITS) - (time.zone + (int64) ALEX_ZONE_LIMIT) * USECS_PER_SEC;
				value[1] = 0;
				memcpy(value, &time, Min(sizeof(time), 2 * sizeof(uint64)));
				break;
			}
		default:
			/* types of eight bytes where these are passed by reference */
			value[0] = image[0] ^ alex_type_sign(info->column[column].type);
			if (info->column[column].float_sign != 0 && (image[0] & ALEX_SIGN64) == 0)
				value[0] = ~image[0];
			if (record[info->words] & info->column[column].zero_bit)
				value[0] |= ALEX_SIGN64;
	}
}

void
alex_key_values(const AlexKeyInfo *info, const uint64 *record, AlexValueSpace *space, Datum *values, bool *isnull)
{
	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];

		isnull[c] = !column->returnable || alex_isnull(info, c, record);
		values[c] = (Datum) 0;
		if (isnull[c])
			continue;
		alex_column_value(info, c, record, space->words[c]);
		values[c] = fetch_att(space->words[c], column->attbyval, column->attlen);
	}
}
