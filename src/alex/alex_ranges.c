/*
 * alex_ranges.c - from scan keys to ranges of positions.
 *
 * Role: decides which records of an index can satisfy the scan keys. The scan reads those ranges and nothing
 * else, so this file alone is responsible for every comparison operator giving the rows it should.
 *
 * Contract: what the operators themselves return is the truth, for every argument type of btree's families. A range
 * without "recheck" holds matching records only. Plain scan keys allocate nothing: a nested loop comes here
 * once per outer row.
 *
 * How: each argument cuts the values of the column, in ascending order, into those less than it, those equal to it
 * and those greater. The cuts do not have to be at values: 2.5 cuts the integers with nothing equal. Where
 * the comparison is not monotone, the middle part is made wide enough to hold every value in doubt and must be
 * rechecked. All five operators are unions of the three parts. Only at the end are the cuts turned into positions, which is where
 * DESC and NULLS FIRST come in.
 */
#include "postgres.h"

#include <limits.h>

#include "access/stratnum.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/arrayaccess.h"
#include "utils/memutils.h"

#include "alex_core.h"
#include "alex_image.h"
#include "alex_keys.h"

/*
 * The cuts of an argument, in ascending images, whatever the order of the index.
 *
 * A cut lies right before or right after an image. It is written like a position: the words of the image, then the
 * tie 0 (before) or ALEX_EXT_BIT (after); above[] is never below below[].
 */
typedef struct AlexCuts
{
	uint64		below[ALEX_MAX_WORDS + 1];	/* what is before it is less than the argument */
	uint64		above[ALEX_MAX_WORDS + 1];	/* what is after it is greater */
	bool		in_doubt;		/* what is between may be less, equal or greater; else it is equal */
} AlexCuts;

#define CUT_BEFORE	UINT64CONST(0)
#define CUT_AFTER	ALEX_EXT_BIT

/*
 * Time zones: no offset from UTC is greater (POSIX zone names allow 168 hours plus an hour of daylight saving), and
 * this much can be added to any timestamp without overflow.
 */
#define MAX_ZONE_DAYS	8

/* ---- cuts of one-word types ---- */

/* The argument equals every image from first to last. */
static inline void
cut_around(AlexCuts *cuts, uint64 first, uint64 last)
{
	cuts->below[0] = first;
	cuts->below[1] = CUT_BEFORE;
	cuts->above[0] = last;
	cuts->above[1] = CUT_AFTER;
}

/* The argument lies between two images, right before (or after) this one. */
static inline void
cut_beside(AlexCuts *cuts, uint64 image, uint64 side)
{
	cuts->below[0] = cuts->above[0] = image;
	cuts->below[1] = cuts->above[1] = side;
}

static void
cut_integers(const AlexKeyInfo *info, Oid argtype, Datum arg, AlexCuts *cuts)
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
			elog(ERROR, "alex cannot compare type %u with type %u", info->type, argtype);
	}

	switch (info->type)
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
		cut_beside(cuts, (uint64) least + bias, CUT_BEFORE);
	else if (value > greatest)
		cut_beside(cuts, (uint64) greatest + bias, CUT_AFTER);
	else
		cut_around(cuts, (uint64) value + bias, (uint64) value + bias);
}

static void
cut_floats(const AlexKeyInfo *info, Oid argtype, Datum arg, AlexCuts *cuts)
{
	uint64		image;

	if (info->type == FLOAT8OID && argtype == FLOAT4OID)
		image = alex_float8_image((float8) DatumGetFloat4(arg));
	else if (info->type == FLOAT4OID && argtype == FLOAT8OID)
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
			cut_beside(cuts, image, CUT_AFTER);
			return;
		}
		if ((float8) nearest > value)
		{
			cut_beside(cuts, image, CUT_BEFORE);
			return;
		}
	}
	else
		elog(ERROR, "alex cannot compare type %u with type %u", info->type, argtype);

	cut_around(cuts, image, image);
	alex_widen_zero(info->type, &cuts->below[0], &cuts->above[0]);
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
cut_datetimes(const AlexKeyInfo *info, Oid argtype, Datum arg, AlexCuts *cuts)
{
	Timestamp	first;			/* the local times, or instants, the argument may be equal to */
	Timestamp	last;
	int			overflow = 0;

	/* the argument in terms of the column, or of timestamp if the column is of type date */
	if (argtype == DATEOID)
	{
		DateADT		date = DatumGetDateADT(arg);

		if (info->type == TIMESTAMPTZOID)
			first = date2timestamptz_opt_overflow(date, &overflow);
		else
			first = date2timestamp_opt_overflow(date, &overflow);
		last = first;
	}
	else if (argtype == TIMESTAMPOID)
	{
		first = DatumGetTimestamp(arg);
		if (info->type == TIMESTAMPTZOID)
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
		elog(ERROR, "alex cannot compare type %u with type %u", info->type, argtype);

	/* an argument out of the column's range is beyond its finite values, but not beyond infinity */
	if (overflow != 0)
	{
		if (overflow > 0)
			cut_beside(cuts, alex_int64_image(DT_NOEND), CUT_BEFORE);
		else
			cut_beside(cuts, alex_int64_image(DT_NOBEGIN), CUT_AFTER);
	}
	else if (info->type != DATEOID)
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
			cut_beside(cuts, alex_int32_image(first_day), CUT_BEFORE);
			cuts->in_doubt = false;
		}
	}
}

/* ---- cuts of any type, and what an operator makes of them ---- */

static inline void
cut_column(const AlexKeyInfo *info, Oid argtype, Datum arg, AlexCuts *cuts)
{
	cuts->in_doubt = false;

	if (argtype == info->type)
	{
		int			words = info->words;

		alex_type_image(argtype, arg, cuts->below);
		for (int i = 0; i < words; i++)
			cuts->above[i] = cuts->below[i];
		cuts->below[words] = CUT_BEFORE;
		cuts->above[words] = CUT_AFTER;
		alex_widen_zero(argtype, &cuts->below[0], &cuts->above[0]);
		return;
	}

	switch (info->type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			cut_integers(info, argtype, arg, cuts);
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			cut_floats(info, argtype, arg, cuts);
			break;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			cut_datetimes(info, argtype, arg, cuts);
			break;
		default:
			elog(ERROR, "alex cannot compare type %u with type %u", info->type, argtype);
	}
}

/*
 * Turns what lies between two cuts into a range of the index. NULL for a cut stands for the end of the column:
 * all of its values but not its NULLs.
 */
static inline void
range_between(const AlexKeyInfo *info, const uint64 *from, const uint64 *to, AlexRange *range)
{
	int			words = info->words;
	uint64		flip = 0;
	uint64		from_tie = from ? from[words] : CUT_BEFORE;
	uint64		to_tie = to ? to[words] : CUT_AFTER;

	if (info->descending)
	{
		const uint64 *swap = from;
		uint64		tie = from_tie;

		/* after an image is before its complement */
		from = to;
		from_tie = CUT_AFTER - to_tie;
		to = swap;
		to_tie = CUT_AFTER - tie;
		flip = PG_UINT64_MAX;
	}

	for (int i = 0; i < words; i++)
	{
		range->low[i] = from ? from[i] ^ flip : 0;
		range->high[i] = to ? to[i] ^ flip : PG_UINT64_MAX;
	}
	range->low[words] = from_tie + alex_ext(info, false);
	range->high[words] = to_tie + alex_ext(info, false);
	range->recheck = false;
}

/* The range of "column <operator> argument", where the middle part counts as matching or not. */
static inline void
range_of_operator(const AlexKeyInfo *info, StrategyNumber strategy, const AlexCuts *cuts, bool middle,
				  AlexRange *range)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
		case BTLessEqualStrategyNumber:
			range_between(info, NULL, middle ? cuts->above : cuts->below, range);
			break;
		case BTEqualStrategyNumber:
			range_between(info, cuts->below, middle ? cuts->above : cuts->below, range);
			break;
		case BTGreaterEqualStrategyNumber:
		case BTGreaterStrategyNumber:
			range_between(info, middle ? cuts->below : cuts->above, NULL, range);
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

/*
 * The range of all records that may satisfy "column <operator> argument". If some of them may not, that is
 * range->recheck, "sure" (unless NULL) becomes the range of those that certainly do.
 */
static inline void
range_of_argument(const AlexKeyInfo *info, StrategyNumber strategy, Oid argtype, Datum arg, AlexRange *range,
				  AlexRange *sure)
{
	AlexCuts	cuts;

	cut_column(info, argtype, arg, &cuts);
	range_of_operator(info, strategy, &cuts, cuts.in_doubt || strategy_includes_equal(strategy), range);
	if (cuts.in_doubt)
	{
		range->recheck = true;
		if (sure)
			range_of_operator(info, strategy, &cuts, false, sure);
	}
}

/* ---- ranges ---- */

static inline bool
range_is_empty(const AlexRange *range, int words)
{
	return alex_compare(range->low, range->high, words) >= 0;
}

/* Copies a position. */
static inline void
set_position(uint64 *to, const uint64 *from, int words)
{
	for (int i = 0; i <= words; i++)
		to[i] = from[i];
}

/* Reduces a range to what it has in common with another one. */
static inline void
clip(AlexRange *range, const AlexRange *by, int words)
{
	if (alex_compare(range->low, by->low, words) < 0)
		set_position(range->low, by->low, words);
	if (alex_compare(range->high, by->high, words) > 0)
		set_position(range->high, by->high, words);
	range->recheck |= by->recheck;
}

/* The range of the whole index, NULLs included. */
static inline void
range_of_everything(const AlexKeyInfo *info, AlexRange *range)
{
	for (int i = 0; i < info->words; i++)
	{
		range->low[i] = 0;
		range->high[i] = PG_UINT64_MAX;
	}
	range->low[info->words] = 0;
	range->high[info->words] = 2 * ALEX_EXT_BIT;
	range->recheck = false;
}

static void
range_of_nulls(const AlexKeyInfo *info, AlexRange *range)
{
	uint64		ext = alex_ext(info, true);

	for (int i = 0; i < info->words; i++)
		range->low[i] = range->high[i] = info->nulls_first ? 0 : PG_UINT64_MAX;
	range->low[info->words] = ext;
	range->high[info->words] = ext + ALEX_EXT_BIT;
	range->recheck = false;
}

/* Makes room for n ranges. Those already there are lost. */
static void
reserve(AlexRange **ranges, int *capacity, Size n, MemoryContext mcxt)
{
	Size		wanted;

	if (n <= (Size) *capacity)
		return;
	if (n > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many values in the conditions of an alex index scan"),
				 errhint("Use shorter arrays.")));

	/* Doubling, so that a scan whose arrays grow from rescan to rescan does not come here each time. */
	wanted = Min(Max(n, Max((Size) 4, 2 * (Size) *capacity)), INT_MAX);

	if (*ranges)
		pfree(*ranges);
	*ranges = NULL;
	*capacity = 0;
	*ranges = MemoryContextAllocHuge(mcxt, wanted * sizeof(AlexRange));
	*capacity = (int) wanted;
}

#define ST_SORT sort_ranges
#define ST_ELEMENT_TYPE AlexRange
#define ST_COMPARE(a, b, words) alex_compare((a)->low, (b)->low, *(words))
#define ST_COMPARE_ARG_TYPE int
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Brings ranges into index order and joins those that overlap. Returns how many are left. */
static int
sort_and_join(AlexRange *ranges, int n, int words)
{
	int			kept = 0;

	sort_ranges(ranges, n, &words);
	for (int i = 0; i < n; i++)
	{
		AlexRange  *last;

		CHECK_FOR_INTERRUPTS();

		if (kept == 0 || alex_compare(ranges[i].low, ranges[kept - 1].high, words) >= 0)
		{
			ranges[kept++] = ranges[i];
			continue;
		}
		last = &ranges[kept - 1];
		if (alex_compare(ranges[i].high, last->high, words) > 0)
			set_position(last->high, ranges[i].high, words);
		last->recheck |= ranges[i].recheck;
	}
	return kept;
}

/*
 * Replaces *ranges (na of them) by what they have in common with b (nb of them), both disjoint and in order. A
 * record must satisfy both sets, so it needs a recheck if either wants one.
 */
static int
intersect(AlexRange **ranges, int *capacity, int na, const AlexRange *b, int nb, int words, MemoryContext mcxt)
{
	AlexRange  *a = *ranges;
	AlexRange  *both = NULL;
	int			both_capacity = 0;
	int			n = 0;
	int			i = 0;
	int			j = 0;

	reserve(&both, &both_capacity, (Size) na + nb, mcxt);
	while (i < na && j < nb)
	{
		CHECK_FOR_INTERRUPTS();

		both[n] = a[i];
		clip(&both[n], &b[j], words);
		if (!range_is_empty(&both[n], words))
			n++;
		/* the one that ends first has nothing in common with what follows in the other set */
		if (alex_compare(a[i].high, b[j].high, words) < 0)
			i++;
		else
			j++;
	}

	pfree(a);
	*ranges = both;
	*capacity = both_capacity;
	return n;
}

/* ---- scan keys ---- */

/* A scan key with none of these is "column <operator> argument". */
#define PLAIN_KEY_MASK (SK_ISNULL | SK_SEARCHNULL | SK_SEARCHNOTNULL | SK_SEARCHARRAY)

static inline Oid
argument_type(const AlexKeyInfo *info, ScanKey key)
{
	return OidIsValid(key->sk_subtype) ? key->sk_subtype : info->type;
}

/* How array elements of a type are stored. */
static void
element_layout(Oid type, int *len, bool *byval, char *align)
{
	switch (type)
	{
		case BOOLOID:
		case CHAROID:
			*len = 1;
			*byval = true;
			*align = TYPALIGN_CHAR;
			break;
		case INT2OID:
			*len = 2;
			*byval = true;
			*align = TYPALIGN_SHORT;
			break;
		case INT4OID:
		case OIDOID:
		case FLOAT4OID:
		case DATEOID:
			*len = 4;
			*byval = true;
			*align = TYPALIGN_INT;
			break;
		case INT8OID:
		case FLOAT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case MONEYOID:
		case PG_LSNOID:
			*len = 8;
			*byval = FLOAT8PASSBYVAL;
			*align = TYPALIGN_DOUBLE;
			break;
		case UUIDOID:
			*len = UUID_LEN;
			*byval = false;
			*align = TYPALIGN_CHAR;
			break;
		default:
			elog(ERROR, "type %u has no alex key image", type);
	}
}

/* The ranges of "column <operator> ANY (array)", in *ranges. Returns how many. */
static int
ranges_of_array(const AlexKeyInfo *info, ScanKey key, AlexRange **ranges, int *capacity, MemoryContext mcxt)
{
	Oid			argtype = argument_type(info, key);
	AnyArrayType *array = DatumGetAnyArrayP(key->sk_argument);
	int			items = ArrayGetNItems(AARR_NDIM(array), AARR_DIMS(array));
	array_iter	iter;
	int			len;
	bool		byval;
	char		align;
	int			n = 0;

	element_layout(argtype, &len, &byval, &align);
	reserve(ranges, capacity, Max(items, 1), mcxt);
	array_iter_setup(&iter, array);
	for (int i = 0; i < items; i++)
	{
		bool		isnull;
		Datum		value = array_iter_next(&iter, &isnull, i, len, byval, align);

		CHECK_FOR_INTERRUPTS();

		/* no operator is true for NULL */
		if (isnull)
			continue;
		range_of_argument(info, key->sk_strategy, argtype, value, &(*ranges)[n], NULL);
		if (!range_is_empty(&(*ranges)[n], info->words))
			n++;
	}

	/* DatumGetAnyArrayP copies an array that was compressed, out of line or short */
	if (!VARATT_IS_EXPANDED_HEADER(array) && (Pointer) array != DatumGetPointer(key->sk_argument))
		pfree(array);

	return sort_and_join(*ranges, n, info->words);
}

/*
 * Writes the non-empty parts of "range": what comes before "sure" and after it must be rechecked. "sure" may be empty, and
 * may reach beyond "range".
 */
static int
split_by_doubt(const AlexRange *range, const AlexRange *sure, int words, AlexRange *out)
{
	AlexRange	certain = *range;
	int			n = 0;

	clip(&certain, sure, words);
	certain.recheck = false;
	if (range_is_empty(&certain, words))
	{
		out[0] = *range;
		return 1;
	}

	out[n] = *range;
	set_position(out[n].high, certain.low, words);
	if (!range_is_empty(&out[n], words))
		n++;
	out[n++] = certain;
	out[n] = *range;
	set_position(out[n].low, certain.high, words);
	if (!range_is_empty(&out[n], words))
		n++;
	return n;
}

int
alex_scan_ranges(const AlexKeyInfo *info, ScanKey keys, int nkeys, AlexRange **ranges, int *capacity,
				 MemoryContext mcxt)
{
	int			words = info->words;
	AlexRange	range;			/* what may satisfy the plain keys */
	AlexRange	sure;			/* what certainly does, if range.recheck */
	int			arrays = 0;
	int			n;

	/* The probe of a join: nothing to combine. */
	if (nkeys == 1 && (keys[0].sk_flags & PLAIN_KEY_MASK) == 0)
	{
		reserve(ranges, capacity, 1, mcxt);
		range_of_argument(info, keys[0].sk_strategy, argument_type(info, &keys[0]), keys[0].sk_argument, &(*ranges)[0],
						  NULL);
		if (!(*ranges)[0].recheck)
			return range_is_empty(&(*ranges)[0], words) ? 0 : 1;
	}

	/* All plain keys together allow one range. */
	range_of_everything(info, &range);
	for (int i = 0; i < nkeys; i++)
	{
		ScanKey		key = &keys[i];
		AlexRange	by;
		AlexRange	by_sure;

		Assert(key->sk_attno == 1);
		Assert((key->sk_flags & SK_ROW_HEADER) == 0);

		if (key->sk_flags & SK_SEARCHNULL)
			range_of_nulls(info, &by);
		else if (key->sk_flags & SK_SEARCHNOTNULL)
			range_between(info, NULL, NULL, &by);
		else if (key->sk_flags & SK_ISNULL)
			return 0;
		else if (key->sk_flags & SK_SEARCHARRAY)
		{
			arrays++;
			continue;
		}
		else
			range_of_argument(info, key->sk_strategy, argument_type(info, key), key->sk_argument, &by, &by_sure);

		if (by.recheck && !range.recheck)
			sure = range;
		if (by.recheck)
			clip(&sure, &by_sure, words);
		else if (range.recheck)
			clip(&sure, &by, words);
		clip(&range, &by, words);
	}
	if (range_is_empty(&range, words))
		return 0;

	if (range.recheck)
	{
		/* three if there is doubt about both ends */
		reserve(ranges, capacity, 3, mcxt);
		n = split_by_doubt(&range, &sure, words, *ranges);
	}
	else
	{
		reserve(ranges, capacity, 1, mcxt);
		(*ranges)[0] = range;
		n = 1;
	}

	/* Each array allows a set of ranges. */
	for (int i = 0; i < nkeys && arrays > 0 && n > 0; i++)
	{
		AlexRange  *set = NULL;
		int			set_capacity = 0;
		int			set_n;

		if ((keys[i].sk_flags & SK_SEARCHARRAY) == 0)
			continue;
		if (nkeys == 1)
			return ranges_of_array(info, &keys[i], ranges, capacity, mcxt);

		set_n = ranges_of_array(info, &keys[i], &set, &set_capacity, CurrentMemoryContext);
		n = intersect(ranges, capacity, n, set, set_n, words, mcxt);
		pfree(set);
	}
	return n;
}
