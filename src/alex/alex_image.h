/*
 * alex_image.h - the ascending key image of every type alex stores.
 *
 * Role: the one place that says how a value becomes an unsigned number of the same order. Private to
 * alex_keys.c and alex_ranges.c, inline because they run once per key of a build and per probe of a join.
 *
 * Contract: images here know neither DESC nor NULL. Narrow types give small dense numbers, so neighbouring
 * keys have neighbouring images and the models see the same line whatever the type's width.
 */
#ifndef ALEX_IMAGE_H
#define ALEX_IMAGE_H

#include "postgres.h"

#include <math.h>

#include "catalog/pg_type_d.h"
#include "port/pg_bswap.h"
#include "utils/cash.h"
#include "utils/date.h"
#include "utils/inet.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#define ALEX_SIGN16 UINT64CONST(0x8000)
#define ALEX_SIGN32 UINT64CONST(0x80000000)
#define ALEX_SIGN64 UINT64CONST(0x8000000000000000)

/* btree takes every NaN for equal and for greater than infinity: all of them are stored as these. */
#define ALEX_FLOAT4_NAN UINT64CONST(0x7FC00000)
#define ALEX_FLOAT8_NAN UINT64CONST(0x7FF8000000000000)

static inline uint64
alex_int16_image(int16 value)
{
	return (uint64) (uint16) value ^ ALEX_SIGN16;
}

static inline uint64
alex_int32_image(int32 value)
{
	return (uint64) (uint32) value ^ ALEX_SIGN32;
}

static inline uint64
alex_int64_image(int64 value)
{
	return (uint64) value ^ ALEX_SIGN64;
}

/*
 * IEEE numbers are sign and magnitude: positive ones need their sign bit set to come after the negative ones, and
 * negative ones need every bit inverted because a greater magnitude is a smaller number.
 */
static inline uint64
alex_float4_image(float4 value)
{
	uint32		bits;

	memcpy(&bits, &value, sizeof(bits));
	if (isnan(value))
		bits = ALEX_FLOAT4_NAN;
	if (value == 0)
		bits = 0;				/* -0.0 and +0.0 are equal */
	return (bits & ALEX_SIGN32) ? (uint32) ~bits : bits | ALEX_SIGN32;
}

static inline uint64
alex_float8_image(float8 value)
{
	uint64		bits;

	memcpy(&bits, &value, sizeof(bits));
	if (isnan(value))
		bits = ALEX_FLOAT8_NAN;
	if (value == 0)
		bits = 0;
	return (bits & ALEX_SIGN64) ? ~bits : bits | ALEX_SIGN64;
}

static inline uint64
alex_macaddr_image(const macaddr *value)
{
	return (uint64) value->a << 40 | (uint64) value->b << 32 | (uint64) value->c << 24 | (uint64) value->d << 16 |
		(uint64) value->e << 8 | value->f;
}

/*
 * timetz is ordered by the instant in UTC, then by the zone (seconds west of Greenwich). Zones are less than 16 hours, so the instant
 * takes 38 bits and the zone 17.
 */
#define ALEX_ZONE_LIMIT (16 * SECS_PER_HOUR)
#define ALEX_ZONE_BITS 17
#define ALEX_TIMETZ_BITS 55

static inline uint64
alex_timetz_image(const TimeTzADT *value)
{
	uint64		instant = (uint64) (value->time + (value->zone + (int64) ALEX_ZONE_LIMIT) * USECS_PER_SEC);

	return instant << ALEX_ZONE_BITS | (uint64) (value->zone + ALEX_ZONE_LIMIT);
}

/*
 * interval is ordered by its length, a month being 30 days and a day 24 hours: months and days make up to 2^36 days, so 74
 * bits hold it. Infinite intervals have the greatest months, days and microseconds there are.
 */
#define ALEX_INTERVAL_BITS 74

static inline void
alex_interval_image(const Interval *value, uint64 *image)
{
	__extension__ typedef __int128 Wide;
	Wide		days = (Wide) value->month * DAYS_PER_MONTH + value->day;
	Wide		length = days * USECS_PER_DAY + value->time + ((Wide) 1 << (ALEX_INTERVAL_BITS - 1));

	image[0] = (uint64) (length >> 64);
	image[1] = (uint64) length;
}

/* Writes the ascending image of a value: as many words as its bits need. */
static inline void
alex_type_image(Oid type, Datum value, uint64 *image)
{
	switch (type)
	{
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case MONEYOID:
			image[0] = alex_int64_image(DatumGetInt64(value));
			break;
		case INT4OID:
		case DATEOID:
			image[0] = alex_int32_image(DatumGetInt32(value));
			break;
		case INT2OID:
			image[0] = alex_int16_image(DatumGetInt16(value));
			break;
		case OIDOID:
			image[0] = DatumGetObjectId(value);
			break;
		case PG_LSNOID:
			image[0] = DatumGetLSN(value);
			break;
		case XID8OID:
			image[0] = U64FromFullTransactionId(DatumGetFullTransactionId(value));
			break;
		case FLOAT8OID:
			image[0] = alex_float8_image(DatumGetFloat8(value));
			break;
		case FLOAT4OID:
			image[0] = alex_float4_image(DatumGetFloat4(value));
			break;
		case BOOLOID:
			image[0] = DatumGetBool(value) ? 1 : 0;
			break;
		case CHAROID:
			image[0] = (uint8) DatumGetChar(value);
			break;
		case UUIDOID:
			memcpy(image, DatumGetUUIDP(value)->data, UUID_LEN);
			image[0] = pg_ntoh64(image[0]);
			image[1] = pg_ntoh64(image[1]);
			break;
		case MACADDROID:
			image[0] = alex_macaddr_image(DatumGetMacaddrP(value));
			break;
		case MACADDR8OID:
			memcpy(image, DatumGetMacaddr8P(value), sizeof(macaddr8));
			image[0] = pg_ntoh64(image[0]);
			break;
		case TIMETZOID:
			image[0] = alex_timetz_image(DatumGetTimeTzADTP(value));
			break;
		case INTERVALOID:
			alex_interval_image(DatumGetIntervalP(value), image);
			break;
		default:
			elog(ERROR, "type %u has no alex key image", type);
	}
}

/* The bits in which the image of a type of one word differs from its value; a negative float differs in the others. */
static inline uint64
alex_type_sign(Oid type)
{
	switch (type)
	{
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case MONEYOID:
		case FLOAT8OID:
			return ALEX_SIGN64;
		case INT4OID:
		case DATEOID:
		case FLOAT4OID:
			return ALEX_SIGN32;
		case INT2OID:
			return ALEX_SIGN16;
		default:
			return 0;
	}
}

#endif							/* ALEX_IMAGE_H */
