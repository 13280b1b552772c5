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
#include "utils/lsyscache.h"

#include "alex_image.h"
#include "alex_keys.h"
#include "alex_strings.h"

/*
 * The supported types. "compare" is a comparison function whose order the images have: the operators of
 * any other operator class would disagree with the order on disk.
 */
typedef struct SupportedType
{
	Oid			type;
	int			bits;			/* of the image; 0: a string */
	bool		returnable;
	Oid			compare;
	bool		collated;		/* it looks at the collation */
	bool		sort_keys;		/* those of ICU may be the images */
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
	{TEXTOID, 0, true, F_BTTEXTCMP, true, true},
	{TEXTOID, 0, true, F_BTTEXT_PATTERN_CMP},
	{NAMEOID, 0, true, F_BTNAMECMP, true},
	{BYTEAOID, 0, true, F_BYTEACMP},
	{NUMERICOID, 0, true, F_NUMERIC_CMP},
	{INETOID, 0, true, F_NETWORK_CMP},
	{BITOID, 0, true, F_BITCMP},
	{VARBITOID, 0, true, F_VARBITCMP},
	{BPCHAROID, 0, true, F_BPCHARCMP, true},
	{BPCHAROID, 0, true, F_BTBPCHAR_PATTERN_CMP},
};

/* Any entry of a type, or with "compare" the one of this order. */
static const SupportedType *
find_type(Oid type, Oid compare)
{
	for (size_t i = 0; i < lengthof(supported_types); i++)
		if (supported_types[i].type == type && (!OidIsValid(compare) || supported_types[i].compare == compare))
			return &supported_types[i];
	return NULL;
}

bool
alex_type_supported(Oid type)
{
	return find_type(type, InvalidOid) != NULL;
}

bool
alex_returnable(Oid type, int32 typmod, Oid collation)
{
	const SupportedType *found = find_type(type, InvalidOid);

	if (found == NULL || !found->returnable)
		return false;
	if (alex_bytes_type(type))
		return alex_bytes_returnable(type, typmod);
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

const char *
alex_collation_problem(Oid type, Oid compare, Oid collation)
{
	const SupportedType *found = find_type(type, compare);

	/* core refuses its own access methods the same: of two strings that differ, the operator class would not know that they are equal */
	if (found != NULL && !found->collated && OidIsValid(collation) && !get_collation_isdeterministic(collation))
		return "It is not deterministic, and the operator class compares bytes.";
	if (found == NULL || !found->collated || alex_collation_is_bytewise(collation) ||
		(found->sort_keys && OidIsValid(collation) && compat_icu_locale(collation) != NULL))
		return NULL;
	return "Its order is not that of the bytes, nor that of sort keys of ICU.";
}

bool
alex_column_returnable(Relation index, int column)
{
	return column >= IndexRelationGetNumberOfKeyAttributes(index) ||
		alex_returnable(index->rd_opcintype[column], TupleDescAttr(RelationGetDescr(index), column)->atttypmod,
						index->rd_indcollation[column]);
}

/* Checks that a column of the key can be stored. */
static const SupportedType *
require_type(Relation index, int c)
{
	/* the column's own type may be a domain; what it holds is the type of the operator class */
	Oid			oid = index->rd_opcintype[c];
	const SupportedType *type = find_type(oid, index_getprocid(index, c + 1, 1));
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(index), c)->attname);
	const char *problem;

	if (find_type(oid, InvalidOid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support type %s of column \"%s\"", "alex", format_type_be(oid), name),
				 errhint("Supported are the integer, floating-point, date and time types, boolean, oid, money, \"char\", "
						 "pg_lsn, xid8, macaddr, macaddr8, uuid, text, varchar, char, name, bytea, numeric, inet, cidr and bit strings.")));
	if (type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("operator class of column \"%s\" of index \"%s\" does not have the order of type %s",
						name, RelationGetRelationName(index), format_type_be(oid)),
				 errhint("Use the default operator class of access method \"%s\" for this type.", "alex")));
	problem = alex_collation_problem(oid, type->compare, index->rd_indcollation[c]);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support collation \"%s\" of column \"%s\"", "alex",
						OidIsValid(index->rd_indcollation[c]) ? get_collation_name(index->rd_indcollation[c]) : "", name),
				 errdetail_internal("%s", problem),
				 type->collated && OidIsValid(index->rd_indcollation[c]) && !get_collation_isdeterministic(index->rd_indcollation[c]) ?
				 errhint("Use btree, or another collation.") :
				 type->collated ? errhint("Index the column with COLLATE \"C\", or with an operator class such as text_pattern_ops.") :
				 errhint("Use the default operator class.")));
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
	column->returnable = alex_column_returnable(index, c);
	column->plain = att->attstorage == TYPSTORAGE_PLAIN;
	alex_choose_bytes_form(type->type, att->atttypmod, &column->form);
	column->collation = InvalidOid;
	column->deterministic = true;
	if (type->sort_keys && !alex_collation_is_bytewise(index->rd_indcollation[c]))
	{
		column->collation = index->rd_indcollation[c];
		column->deterministic = get_collation_isdeterministic(column->collation);
	}
	column->sign = sign;
	/* the null bit of a value is known; of a narrow column it is next to the image */
	column->flip = sign ^ place->flip[0] ^ (!place->wide && place->nulls_first ? UINT64CONST(1) << place->null_shift : 0);
	column->float_sign = is_float ? sign : 0;
	column->zero_bit = 0;
}

/* Values of up to 16 bytes, all of one size, are images: their bytes in one or two words. Others are strings. */
static void
describe_included(Relation index, int c, const AlexColumnPlace *place, AlexColumn *column)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(index), c);

	memset(column, 0, sizeof(*column));
	column->attlen = att->attlen;
	column->attbyval = att->attbyval;
	column->attalign = att->attalign;
	column->returnable = true;
	column->plain = att->attstorage == TYPSTORAGE_PLAIN;
	column->flip = place->flip[0];
}

static inline void
included_image(const AlexColumn *column, Datum value, uint64 *image)
{
	int			first = (column->attlen - 1) % (int) sizeof(uint64) + 1;	/* bytes in the first word */
	const char *bytes = DatumGetPointer(value);
	uint64		word[1];

	if (column->attbyval)
	{
		store_att_byval(word, value, column->attlen);
		bytes = (const char *) word;
	}
	memcpy(image, bytes, first);
	if (column->attlen > first)
		memcpy(image + 1, bytes + first, sizeof(uint64));
}

static inline void
included_value(const AlexColumn *column, const uint64 *image, uint64 *value)
{
	int			first = (column->attlen - 1) % (int) sizeof(uint64) + 1;

	memcpy(value, image, first);
	if (column->attlen > first)
		memcpy((char *) value + first, image + 1, sizeof(uint64));
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
		all = all && column->returnable && column->attlen > 0;
	}
	info->tuple_size = all ? (int) MAXALIGN(offset) : 0;
}

/* Lays out the columns, of which the specifications and types are known. */
static void
lay_out(AlexKeyInfo *info, const AlexColumnSpec *specs)
{
	if (!alex_layout_columns(&info->layout, specs, info->columns))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("columns of index \"%s\" take more than %d words", get_rel_name(info->index), ALEX_MAX_WORDS)));
	info->words = info->layout.words;
	info->variable = info->layout.strings > 0;
	info->least_words = info->variable ? info->columns : info->words;
}

void
alex_key_info(Relation index, AlexKeyInfo *info)
{
	AlexColumnSpec specs[INDEX_MAX_KEYS] = {0};
	const SupportedType *types[INDEX_MAX_KEYS];
	int			keys = IndexRelationGetNumberOfKeyAttributes(index);
	int			n = IndexRelationGetNumberOfAttributes(index);
	int			zeroes = 0;

	Assert(keys > 0);

	for (int c = 0; c < keys; c++)
	{
		types[c] = require_type(index, c);
		specs[c].bits = types[c]->bits;
		specs[c].descending = (index->rd_indoption[c] & INDOPTION_DESC) != 0;
		specs[c].nulls_first = (index->rd_indoption[c] & INDOPTION_NULLS_FIRST) != 0;
		if (specs[c].bits == 0)
			specs[c].code = alex_usual_code(types[c]->type, alex_none_first(specs[c].descending, specs[c].nulls_first));
	}
	/* whole words, so that the key ends with a word, the null bit of its last column included */
	for (int c = keys; c < n; c++)
	{
		int			length = TupleDescAttr(RelationGetDescr(index), c)->attlen;

		if (length < 1 || length > ALEX_IMAGE_WORDS * (int) sizeof(uint64))
			specs[c].code = alex_included_code(TupleDescAttr(RelationGetDescr(index), c)->atttypid);
		else
			specs[c].bits = length <= (int) sizeof(uint64) ? 64 : 128;
	}
	info->index = RelationGetRelid(index);
	info->columns = n;
	info->keys = keys;
	lay_out(info, specs);
	info->key_words = n > keys ? info->layout.place[keys].first : info->words;
	for (int c = keys; c < n; c++)
		describe_included(index, c, &info->layout.place[c], &info->column[c]);
	for (int c = 0; c < keys; c++)
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
	for (int c = 0; c < n; c++)
		info->column[c].usual = info->layout.place[c].code;
	place_in_tuple(info);
}

bool
alex_set_codes(AlexKeyInfo *info, const AlexCodeLengths *lengths)
{
	for (int i = 0; i < info->layout.strings; i++)
	{
		AlexColumnPlace *place = &info->layout.place[info->layout.string_column[i]];
		const AlexStringCode *code = alex_intern_code(&lengths[i]);

		if (code == NULL || (code->lengths.none_first != 0) != alex_none_first(place->descending, place->nulls_first))
			return false;
		place->code = code;
	}
	return true;
}

void
alex_copy_key_info(AlexKeyInfo *to, const AlexKeyInfo *from)
{
	to->index = from->index;
	to->columns = from->columns;
	to->keys = from->keys;
	to->words = from->words;
	to->key_words = from->key_words;
	to->variable = from->variable;
	to->least_words = from->least_words;
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

/* The values of a row are too long for a key. */
static void
key_too_long(const AlexKeyInfo *info)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("index row is too long for index \"%s\"", get_rel_name(info->index)),
			 errdetail("In the code of the index, or the usual one, it would take more than %d bytes, or %d as it is.",
					   info->words * (int) sizeof(uint64), ALEX_MAX_TUPLE),
			 errhint("Consider an index on a hash of the value.")));
}

/*
 * The key words of a row of an index with string columns, and of the tie what is no TID. Returns false if it is too long. "most" is how many words it
 * could take in any code.
 */
static bool
variable_record(const AlexKeyInfo *info, const Datum *values, const bool *isnull, uint64 *record, Size *most)
{
	Size		left = ALEX_MAX_TUPLE - MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData));
	int			base = 0;		/* the end of the last string */

	int			end = 0;
	Size		more = 0;

	memset(record, 0, (info->words + 1) * sizeof(uint64));
	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];
		const AlexColumnPlace *place = &info->layout.place[c];
		int			at = base + place->first;
		Size		room = MAXALIGN(column->attlen > 0 ? column->attlen : VARHDRSZ);

		if (at >= info->words || left < room)
			return false;
		left -= room;
		if (place->code == NULL)
		{
			uint64		image[ALEX_IMAGE_WORDS] = {0};

			if (at + alex_code_words(place) > info->words)
				return false;
			end = at + alex_code_words(place);
			if (!isnull[c] && c >= info->keys)
				included_image(column, values[c], image);
			else if (!isnull[c])
			{
				alex_type_image(column->type, values[c], image);
				if (column->zero_bit != 0)
					record[info->words] |= zero_sign(column, values[c]);
			}
			alex_put_column(place, image, isnull[c], record + base);
		}
		else if (isnull[c])
		{
			record[at] = place->code->none[place->descending];
			base = end = at + 1;
		}
		else
		{
			AlexString	string;
			int			n;

			alex_string_of(column, column->type, values[c], left, &string);
			if (string.size > left)
				return false;
			left -= Min(left, MAXALIGN(string.size));
			more += (string.n + 1) * ALEX_CODE_BITS / ALEX_STRING_WORD_BITS + 1;
			n = alex_encode_string(place->code, string.bytes, string.n, place->flip[0], record + at, info->words - at);
			alex_string_free(&string);
			if (n > info->words - at)
				return false;
			base = end = at + n;
		}
	}
	*most = end + more;
	return true;
}

/* Is a row short enough in the usual codes? */
static bool
usually_fits(const AlexKeyInfo *info, const Datum *values, const bool *isnull)
{
	AlexKeyInfo usual;
	uint64		record[ALEX_MAX_WORDS + 1];
	Size		most;

	alex_copy_key_info(&usual, info);
	for (int c = 0; c < usual.columns; c++)
		usual.layout.place[c].code = usual.column[c].usual;
	return variable_record(&usual, values, isnull, record, &most);
}

/*
 * What an index takes must not depend on what was in the table when it was built, or it could not be built again. So no row is taken that is too
 * long in the usual codes, and a build that meets one too long in the codes it chose goes back to these.
 */
bool
alex_try_key_record(const AlexKeyInfo *info, const Datum *values, const bool *isnull, ItemPointer tid, uint64 *record)
{
	Size		most;
	bool		fits;

	Assert(info->layout.strings > 0);
	fits = variable_record(info, values, isnull, record, &most);
	if ((!fits || most > (Size) info->words) && !usually_fits(info, values, isnull))
		key_too_long(info);
	record[info->words] |= alex_tid_bits(tid);
	return fits;
}

void
alex_key_record(const AlexKeyInfo *info, const Datum *values, const bool *isnull, ItemPointer tid, uint64 *record)
{
	uint64		tie = alex_tid_bits(tid);

	if (info->layout.strings > 0)
	{
		if (!alex_try_key_record(info, values, isnull, tid, record))
			key_too_long(info);
		return;
	}
	for (int i = 0; i <= info->words; i++)
		record[i] = 0;
	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];
		uint64		image[ALEX_IMAGE_WORDS] = {0};

		if (!isnull[c] && c >= info->keys)
			included_image(column, values[c], image);
		else if (!isnull[c])
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
alex_wide_value(const AlexColumn *column, const uint64 *image, uint64 tie, uint64 *value)
{
	switch (column->type)
	{
		case InvalidOid:
			included_value(column, image, value);
			break;
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
			value[0] = image[0] ^ column->sign;
			if (column->float_sign != 0 && (image[0] & ALEX_SIGN64) == 0)
				value[0] = ~image[0];
			if (tie & column->zero_bit)
				value[0] |= ALEX_SIGN64;
	}
}

/* alex_key_values() of an index with string columns. */
static void
variable_values(const AlexKeyInfo *info, const uint64 *record, AlexValueSpace *space, Datum *values, bool *isnull)
{
	int			base = 0;

	for (int c = 0; c < info->columns; c++)
	{
		const AlexColumn *column = &info->column[c];
		const AlexColumnPlace *place = &info->layout.place[c];
		uint64		code[ALEX_CODE_WORDS];

		alex_take_code(&info->layout, c, record, info->words, &base, code);
		isnull[c] = !column->returnable || alex_code_isnull(place, code);
		values[c] = (Datum) 0;
		if (isnull[c])
			continue;
		if (place->code == NULL)
		{
			uint64		image[ALEX_IMAGE_WORDS];

			alex_code_image(place, code, image);
			alex_image_value(column, image, record[info->words], space->words[c]);
			values[c] = fetch_att(space->words[c], column->attbyval, column->attlen);
		}
		else
		{
			Size		most = alex_string_most_bytes((int) code[1] + 1) + 2 * sizeof(uint64) + NAMEDATALEN;
			char	   *start = palloc(most);
			char	   *value;

			if (alex_string_value(column, place->code, alex_string_code_words(code), (int) code[1], place->flip[0], start,
								  start + most, &value) == NULL)
				alex_bad_string(info);
			values[c] = PointerGetDatum(value);
		}
	}
}

void
alex_bad_string(const AlexKeyInfo *info)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" has a key that no string has", get_rel_name(info->index)),
			 errhint("REINDEX the index; alex_check() and alex_page() tell more.")));
}

void
alex_key_values(const AlexKeyInfo *info, const uint64 *record, AlexValueSpace *space, Datum *values, bool *isnull)
{
	if (info->layout.strings > 0)
	{
		variable_values(info, record, space, values, isnull);
		return;
	}
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
