/*
 * alex_cuts.c - from "column <operator> argument" to an interval of the column's codes.
 *
 * Role: knows what btree's operators mean for every type and argument type. What several conditions together select is
 * alex_ranges.c's business and the core's.
 *
 * Contract: what the operators themselves return is the truth, for every argument type of btree's families. An interval
 * without "recheck" holds matching values only. Nothing is allocated: a nested loop comes here once per outer row.
 *
 * How: each argument cuts the values of the column, in ascending order, into those less than it, those equal to it
 * and those greater. The cuts do not have to be at values: 2.5 cuts the integers with nothing equal. Where
 * the comparison is not monotone, the middle part is made wide enough to hold every value in doubt and must be
 * rechecked. All five operators are unions of the three parts. Only at the end are the cuts turned into codes, which is where
 * DESC and NULLS FIRST come in.
 */
#include "postgres.h"

#include <limits.h>

#include "access/stratnum.h"
#include "pgtime.h"

#include "alex_cuts.h"
#include "alex_image.h"
#include "alex_strings.h"
#include "compat_datetime.h"

/* A cut lies right before or right after an image. */
typedef struct Cut
{
	uint64		image[ALEX_IMAGE_WORDS];
	bool		after;
} Cut;

/* The cuts of an argument, in ascending images, whatever the order of the index; "above" is never before "below". */
typedef struct Cuts
{
	Cut			below;			/* what is before it is less than the argument */
	Cut			above;			/* what is after it is greater */
	bool		in_doubt;		/* what is between may be less, equal or greater; else it is equal */
} Cuts;

/*
 * Time zones: no offset from UTC is greater (POSIX zone names allow 168 hours plus an hour of daylight saving), and
 * this much can be added to any timestamp without overflow.
 */
#define MAX_ZONE_DAYS	8

/* ---- cuts of one-word types ---- */

/* The argument equals every image from first to last. */
static inline void
cut_around(Cuts *cuts, uint64 first, uint64 last)
{
	cuts->below.image[0] = first;
	cuts->below.after = false;
	cuts->above.image[0] = last;
	cuts->above.after = true;
}

/* The argument lies between two images, right before (or after) this one. */
static inline void
cut_beside(Cuts *cuts, uint64 image, bool after)
{
	cuts->below.image[0] = cuts->above.image[0] = image;
	cuts->below.after = cuts->above.after = after;
}

static void
cut_integers(Oid type, Oid argtype, Datum arg, Cuts *cuts)
{
	int64		value;
	int64		least;
	int64		greatest;
	uint64		bias;			/* image = value + bias */

	switch (argtype)
	{
		case INT2OID:
			value = DatumGetInt16(arg);
			break;
		case INT4OID:
			value = DatumGetInt32(arg);
			break;
		case INT8OID:
			value = DatumGetInt64(arg);
			break;
		default:
			elog(ERROR, "alex cannot compare type %u with type %u", type, argtype);
	}

	switch (type)
	{
		case INT2OID:
			least = PG_INT16_MIN;
			greatest = PG_INT16_MAX;
			bias = ALEX_SIGN16;
			break;
		case INT4OID:
			least = PG_INT32_MIN;
			greatest = PG_INT32_MAX;
			bias = ALEX_SIGN32;
			break;
		default:
			least = PG_INT64_MIN;
			greatest = PG_INT64_MAX;
			bias = ALEX_SIGN64;
			break;
	}

	if (value < least)
		cut_beside(cuts, (uint64) least + bias, false);
	else if (value > greatest)
		cut_beside(cuts, (uint64) greatest + bias, true);
	else
		cut_around(cuts, (uint64) value + bias, (uint64) value + bias);
}

static void
cut_floats(Oid type, Oid argtype, Datum arg, Cuts *cuts)
{
	uint64		image;

	if (type == FLOAT8OID && argtype == FLOAT4OID)
		image = alex_float8_image((float8) DatumGetFloat4(arg));
	else if (type == FLOAT4OID && argtype == FLOAT8OID)
	{
		float8		value = DatumGetFloat8(arg);
		float4		nearest = (float4) value;

		/*
		 * The operators compare as float8. "nearest" is one of the two neighbours of a value that no float4
		 * represents, and it is enough to know on which side of it the value is. It may be an infinity, or a zero
		 * for a denormal: then it still is the neighbour. NaN compares false twice, rightly.
		 */
		image = alex_float4_image(nearest);
		if ((float8) nearest < value)
		{
			cut_beside(cuts, image, true);
			return;
		}
		if ((float8) nearest > value)
		{
			cut_beside(cuts, image, false);
			return;
		}
	}
	else
		elog(ERROR, "alex cannot compare type %u with type %u", type, argtype);

	cut_around(cuts, image, image);
}

/*
 * Least and greatest UTC offset, in microseconds, that the session's time zone gives any local time which may be the
 * instant "when". Returns false if that cannot be told.
 *
 * The conversion from local time looks at the offsets in force from a day before to the next
 * transition, taking the local time for UTC. All of them are in force somewhere in the window searched here.
 */
static bool
zone_offsets(TimestampTz when, int64 *least, int64 *greatest)
{
	pg_time_t	now = when / USECS_PER_SEC + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
	pg_time_t	t = now - (MAX_ZONE_DAYS + 1) * SECS_PER_DAY;
	pg_time_t	end = now + (2 * MAX_ZONE_DAYS + 1) * SECS_PER_DAY;
	long		min_offset = LONG_MAX;
	long		max_offset = LONG_MIN;
	bool		last = false;

	while (t <= end)
	{
		pg_time_t	boundary;
		long		before;
		long		after;
		int			before_dst;
		int			after_dst;
		int			found;

		found = pg_next_dst_boundary(&t, &before, &before_dst, &boundary, &after, &after_dst, session_timezone);
		if (found < 0)
			return false;
		min_offset = Min(min_offset, before);
		max_offset = Max(max_offset, before);
		if (found == 0)
		{
			/*
			 * No transition follows. Asked at the very second of the last transition the zone's file lists,
			 * this is said even if a rule continues the list, so ask again a second later.
			 */
			if (last)
				break;
			last = true;
			t++;
			continue;
		}
		last = false;
		t = boundary + 1;		/* what is in force after the transition comes next */
	}

	if (min_offset < -MAX_ZONE_DAYS * SECS_PER_DAY || max_offset > MAX_ZONE_DAYS * SECS_PER_DAY)
		return false;
	*least = min_offset * USECS_PER_SEC;
	*greatest = max_offset * USECS_PER_SEC;
	return true;
}

static void
cut_datetimes(Oid type, Oid argtype, Datum arg, Cuts *cuts)
{
	Timestamp	first;			/* the local times, or instants, the argument may be equal to */
	Timestamp	last;
	int			overflow = 0;

	/* the argument in terms of the column, or of timestamp if the column is of type date */
	if (argtype == DATEOID)
	{
		DateADT		date = DatumGetDateADT(arg);

		if (type == TIMESTAMPTZOID)
			first = date2timestamptz_opt_overflow(date, &overflow);
		else
			first = date2timestamp_opt_overflow(date, &overflow);
		last = first;
	}
	else if (argtype == TIMESTAMPOID)
	{
		first = DatumGetTimestamp(arg);
		if (type == TIMESTAMPTZOID)
			first = timestamp2timestamptz_opt_overflow(first, &overflow);
		last = first;
	}
	else if (argtype == TIMESTAMPTZOID)
	{
		int64		least;
		int64		greatest;

		/*
		 * The operators convert each value of the column to an instant, and about the end of daylight saving
		 * a later local time can be the earlier instant. Only local times from "first" to "last" can be
		 * converted to this instant or to the other side of it.
		 */
		first = last = DatumGetTimestampTz(arg);
		if (TIMESTAMP_NOT_FINITE(first))
			 /* infinities are the same everywhere */ ;
		else if (zone_offsets(first, &least, &greatest))
		{
			first += least;
			last += greatest;
			cuts->in_doubt = least != greatest;
		}
		else
		{
			first = MIN_TIMESTAMP;
			last = DT_NOEND - 1;
			cuts->in_doubt = true;
		}
	}
	else
		elog(ERROR, "alex cannot compare type %u with type %u", type, argtype);

	/* an argument out of the column's range is beyond its finite values, but not beyond infinity */
	if (overflow != 0)
	{
		if (overflow > 0)
			cut_beside(cuts, alex_int64_image(DT_NOEND), false);
		else
			cut_beside(cuts, alex_int64_image(DT_NOBEGIN), true);
	}
	else if (type != DATEOID)
		cut_around(cuts, alex_int64_image(first), alex_int64_image(last));
	else if (TIMESTAMP_IS_NOBEGIN(first))
		cut_around(cuts, alex_int32_image(DATEVAL_NOBEGIN), alex_int32_image(DATEVAL_NOBEGIN));
	else if (TIMESTAMP_IS_NOEND(first))
		cut_around(cuts, alex_int32_image(DATEVAL_NOEND), alex_int32_image(DATEVAL_NOEND));
	else
	{
		int64		first_day;
		int64		last_day;

		/*
		 * A day no timestamp represents is greater than every finite argument, even where its midnight is within
		 * range in terms of UTC.
		 */
		first = Min(first, END_TIMESTAMP);
		last = Min(last, END_TIMESTAMP - 1);

		/* the days whose midnight is not before "first" and not after "last" */
		first_day = first / USECS_PER_DAY;
		last_day = last / USECS_PER_DAY;
		if (first % USECS_PER_DAY > 0)
			first_day++;
		if (last % USECS_PER_DAY < 0)
			last_day--;
		if (first_day <= last_day)
			cut_around(cuts, alex_int32_image(first_day), alex_int32_image(last_day));
		else
		{
			cut_beside(cuts, alex_int32_image(first_day), false);
			cuts->in_doubt = false;
		}
	}
}

/* ---- cuts of any type ---- */

static inline void
cut_column(Oid type, Oid argtype, Datum arg, Cuts *cuts)
{
	cuts->in_doubt = false;

	if (argtype == type)
	{
		alex_type_image(type, arg, cuts->below.image);
		cuts->above = cuts->below;
		cuts->below.after = false;
		cuts->above.after = true;
		return;
	}

	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			cut_integers(type, argtype, arg, cuts);
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			cut_floats(type, argtype, arg, cuts);
			break;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			cut_datetimes(type, argtype, arg, cuts);
			break;
		default:
			elog(ERROR, "alex cannot compare type %u with type %u", type, argtype);
	}
}

/* ---- intervals ---- */

/* The code of an image, or the bound right after it, in the order of the index. */
static inline void
code_of_cut(const AlexColumnPlace *place, const Cut *cut, uint64 *code)
{
	/* after an image is before its complement */
	bool		after = cut->after != place->descending;

	alex_image_code(place, cut->image, code);
	if (after)
		alex_code_after(place, code, code);
}

/*
 * Turns what lies between two cuts into an interval. NULL for a cut stands for the end of the column: all of its values but not its
 * NULLs.
 */
static inline void
interval_between(const AlexColumnPlace *place, const Cut *from, const Cut *to, AlexInterval *interval)
{
	if (place->descending)
	{
		const Cut  *swap = from;

		from = to;
		to = swap;
	}
	if (from)
		code_of_cut(place, from, interval->low);
	else
		alex_first_value_code(place, interval->low);
	if (to)
		code_of_cut(place, to, interval->high);
	else
		alex_end_of_values_code(place, interval->high);
	interval->recheck = false;
}

/* The interval of "column <operator> argument", where the middle part counts as matching or not. */
static inline void
interval_of_operator(const AlexColumnPlace *place, StrategyNumber strategy, const Cuts *cuts, bool middle,
					 AlexInterval *interval)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
		case BTLessEqualStrategyNumber:
			interval_between(place, NULL, middle ? &cuts->above : &cuts->below, interval);
			break;
		case BTEqualStrategyNumber:
			interval_between(place, &cuts->below, middle ? &cuts->above : &cuts->below, interval);
			break;
		case BTGreaterEqualStrategyNumber:
		case BTGreaterStrategyNumber:
			interval_between(place, middle ? &cuts->below : &cuts->above, NULL, interval);
			break;
		default:
			elog(ERROR, "unrecognized strategy number %d for an alex index", strategy);
	}
}

static inline bool
strategy_includes_equal(StrategyNumber strategy)
{
	return strategy != BTLessStrategyNumber && strategy != BTGreaterStrategyNumber;
}

/* The interval of "column <operator> argument" of a string column. The words of the argument are palloc'd. */
static void
cut_string(const AlexKeyInfo *info, int column, StrategyNumber strategy, Oid argtype, Datum arg, AlexInterval *interval)
{
	const AlexColumnPlace *place = &info->layout.place[column];
	AlexString	string;
	uint64	   *words;
	int			n;
	uint64		at[ALEX_CODE_WORDS];	/* the argument, and what is behind it */
	uint64		behind[ALEX_CODE_WORDS];
	bool		equal = strategy != BTLessStrategyNumber && strategy != BTGreaterStrategyNumber;
	bool		upwards = strategy == BTGreaterEqualStrategyNumber || strategy == BTGreaterStrategyNumber;

	alex_string_of(&info->column[column], argtype, arg, SIZE_MAX, &string);
	words = palloc(Min(info->words, (string.n + 1) * ALEX_CODE_BITS / ALEX_STRING_WORD_BITS + 1) * sizeof(uint64));
	n = alex_encode_string(place->code, string.bytes, string.n, place->flip[0], words,
						   Min(info->words, (string.n + 1) * ALEX_CODE_BITS / ALEX_STRING_WORD_BITS + 1));
	alex_string_free(&string);
	/* of one too long for any key the beginning tells what is less; nothing is equal */
	alex_string_code(words, Min(n, info->words), at);
	if (n > info->words)
		memcpy(behind, at, sizeof(behind));
	else
		alex_code_after(place, at, behind);

	interval->recheck = false;
	memcpy(interval->low, at, sizeof(at));
	memcpy(interval->high, behind, sizeof(behind));
	if (strategy == BTEqualStrategyNumber)
		return;
	if (upwards != place->descending)
	{
		if (!equal)
			memcpy(interval->low, behind, sizeof(behind));
		alex_end_of_values_code(place, interval->high);
	}
	else
	{
		if (!equal)
			memcpy(interval->high, at, sizeof(at));
		alex_first_value_code(place, interval->low);
	}
}

void
alex_cut(const AlexKeyInfo *info, int column, StrategyNumber strategy, Oid argtype, Datum arg, AlexInterval *interval,
		 AlexInterval *sure)
{
	const AlexColumnPlace *place = &info->layout.place[column];
	Cuts		cuts;

	if (place->code != NULL)
	{
		cut_string(info, column, strategy, argtype, arg, interval);
		if (sure)
			*sure = *interval;
		return;
	}
	cut_column(info->column[column].type, argtype, arg, &cuts);
	interval_of_operator(place, strategy, &cuts, cuts.in_doubt || strategy_includes_equal(strategy), interval);
	if (cuts.in_doubt)
	{
		interval->recheck = true;
		if (sure)
			interval_of_operator(place, strategy, &cuts, false, sure);
	}
	else if (sure)
		*sure = *interval;
}

void
alex_cut_values(const AlexKeyInfo *info, int column, AlexInterval *interval)
{
	interval_between(&info->layout.place[column], NULL, NULL, interval);
}

void
alex_cut_nulls(const AlexKeyInfo *info, int column, AlexInterval *interval)
{
	const AlexColumnPlace *place = &info->layout.place[column];

	alex_null_code(place, interval->low);
	alex_code_after(place, interval->low, interval->high);
	interval->recheck = false;
}

void
alex_cut_all(const AlexKeyInfo *info, int column, AlexInterval *interval)
{
	const AlexColumnPlace *place = &info->layout.place[column];

	memset(interval, 0, sizeof(*interval));
	if (place->nulls_first)
		alex_end_of_values_code(place, interval->high);
	else
	{
		alex_null_code(place, interval->high);
		alex_code_after(place, interval->high, interval->high);
	}
}
