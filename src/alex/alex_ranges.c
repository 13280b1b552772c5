/*
 * alex_ranges.c - from scan keys to what a scan has to read.
 *
 * Role: collects what the keys demand of each column, as sets of intervals (alex_cuts.c), and puts the sets together: as ranges of
 * positions where one column at most has several intervals and nothing is demanded behind it, else as a box that filters one range
 * (src/core/key_ranges.h). The scan reads that and nothing else, so this file and what it calls are responsible for every
 * operator giving the rows it should.
 *
 * Contract: plain keys (operators and a constant, one interval a column, in doubt about nothing) allocate nothing: a nested loop
 * comes here once per outer row. Of string columns they allocate the words of the constants.
 */
#include "postgres.h"

#include <limits.h>

#include "access/stratnum.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/arrayaccess.h"
#include "utils/memutils.h"

#include "alex_core.h"
#include "alex_cuts.h"
#include "alex_image.h"
#include "alex_ranges.h"

/* What the plain keys demand of the columns. */
typedef struct Demands
{
	uint32		restricted;		/* columns with any */
	AlexInterval interval[INDEX_MAX_KEYS];
	AlexInterval sure[INDEX_MAX_KEYS];	/* what certainly satisfies them, where the interval needs a recheck */
} Demands;

/* A scan key with none of these is "column <operator> argument". */
#define PLAIN_KEY_MASK (SK_ISNULL | SK_SEARCHNULL | SK_SEARCHNOTNULL | SK_SEARCHARRAY | SK_ROW_HEADER)

static void
look_for_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

static inline int
code_words(const AlexKeyInfo *info, int column)
{
	return alex_code_words(&info->layout.place[column]);
}

static inline Oid
argument_type(const AlexKeyInfo *info, ScanKey key)
{
	return OidIsValid(key->sk_subtype) ? key->sk_subtype : info->column[key->sk_attno - 1].type;
}

static inline bool
is_empty(const AlexInterval *interval, int words)
{
	return alex_code_compare(interval->low, interval->high, words) >= 0;
}

/* Is there only one code in the interval? */
static inline bool
is_single(const AlexColumnPlace *place, const AlexInterval *interval)
{
	uint64		after[ALEX_CODE_WORDS];

	alex_code_after(place, interval->low, after);
	return alex_code_compare(after, interval->high, alex_code_words(place)) == 0;
}

/* Reduces an interval to what it has in common with another one. */
static inline void
clip(AlexInterval *interval, const AlexInterval *by, int words)
{
	if (alex_code_compare(interval->low, by->low, words) < 0)
		memcpy(interval->low, by->low, sizeof(by->low));
	if (alex_code_compare(interval->high, by->high, words) > 0)
		memcpy(interval->high, by->high, sizeof(by->high));
	interval->recheck |= by->recheck;
}

/* Puts the only code of a column into the prefix. */
static inline void
put_prefix(const AlexKeyInfo *info, int column, const AlexInterval *interval, AlexScanPlan *plan)
{
	if (info->layout.strings > 0)
		alex_put_next_code(&info->layout, column, interval->low, plan->prefix, info->words, &plan->base);
	else
		alex_put_code(&info->layout.place[column], interval->low, plan->prefix);
}

static inline void
clear_prefix(const AlexKeyInfo *info, AlexScanPlan *plan)
{
	memset(plan->prefix, 0, (info->words + 1) * sizeof(uint64));
	plan->base = 0;
}

/* ---- scan keys ---- */

/*
 * A row comparison is taken for the condition it makes on its first column, to be rechecked: (a, b) > (1, 2) can only be true
 * where a >= 1.
 */
static bool
cut_row(const AlexKeyInfo *info, ScanKey key, AlexInterval *interval)
{
	ScanKey		first = (ScanKey) DatumGetPointer(key->sk_argument);
	StrategyNumber strategy = key->sk_strategy;

	if (first->sk_flags & SK_ISNULL)
		return false;
	if (strategy == BTLessStrategyNumber)
		strategy = BTLessEqualStrategyNumber;
	else if (strategy == BTGreaterStrategyNumber)
		strategy = BTGreaterEqualStrategyNumber;
	alex_cut(info, first->sk_attno - 1, strategy, argument_type(info, first), first->sk_argument, interval, NULL);
	interval->recheck = true;
	return true;
}

/* Adds what a key that is no array demands. Returns false if nothing can satisfy it. */
static bool
add_key(const AlexKeyInfo *info, ScanKey key, Demands *demands)
{
	int			c = key->sk_attno - 1;
	int			words = code_words(info, c);
	AlexInterval *interval = &demands->interval[c];
	AlexInterval *sure = &demands->sure[c];
	AlexInterval by;
	AlexInterval by_sure;

	if (key->sk_flags & SK_ROW_HEADER)
	{
		if (!cut_row(info, key, &by))
			return false;
		/* nothing is sure */
		by_sure = by;
		memcpy(by_sure.high, by_sure.low, sizeof(by_sure.low));
	}
	else if (key->sk_flags & SK_SEARCHNULL)
	{
		alex_cut_nulls(info, c, &by);
		by_sure = by;
	}
	else if (key->sk_flags & SK_SEARCHNOTNULL)
	{
		alex_cut_values(info, c, &by);
		by_sure = by;
	}
	else if (key->sk_flags & SK_ISNULL)
		return false;
	else
		alex_cut(info, c, key->sk_strategy, argument_type(info, key), key->sk_argument, &by, &by_sure);

	if ((demands->restricted & (1u << c)) == 0)
	{
		demands->restricted |= 1u << c;
		*interval = by;
		*sure = by_sure;
	}
	else
	{
		clip(interval, &by, words);
		clip(sure, &by_sure, words);
	}
	return !is_empty(interval, words);
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
		case XID8OID:
			*len = 8;
			*byval = FLOAT8PASSBYVAL;
			*align = TYPALIGN_DOUBLE;
			break;
		case TEXTOID:
		case BYTEAOID:
		case BPCHAROID:
		case NUMERICOID:
		case INETOID:
		case BITOID:
		case VARBITOID:
			*len = -1;
			*byval = false;
			*align = TYPALIGN_INT;
			break;
		case NAMEOID:
			*len = NAMEDATALEN;
			*byval = false;
			*align = TYPALIGN_CHAR;
			break;
		case UUIDOID:
			*len = UUID_LEN;
			*byval = false;
			*align = TYPALIGN_CHAR;
			break;
		case MACADDROID:
			*len = 6;
			*byval = false;
			*align = TYPALIGN_INT;
			break;
		case MACADDR8OID:
			*len = 8;
			*byval = false;
			*align = TYPALIGN_INT;
			break;
		case TIMETZOID:
			*len = 12;
			*byval = false;
			*align = TYPALIGN_DOUBLE;
			break;
		case INTERVALOID:
			*len = sizeof(Interval);
			*byval = false;
			*align = TYPALIGN_DOUBLE;
			break;
		default:
			elog(ERROR, "type %u has no alex key image", type);
	}
}

/* The set of "column <operator> ANY (array)", palloc'd. Returns how many intervals it has. */
static int
set_of_array(const AlexKeyInfo *info, ScanKey key, AlexInterval **set)
{
	int			c = key->sk_attno - 1;
	int			words = code_words(info, c);
	Oid			argtype = argument_type(info, key);
	AnyArrayType *array = DatumGetAnyArrayP(key->sk_argument);
	int			items = ArrayGetNItems(AARR_NDIM(array), AARR_DIMS(array));
	array_iter	iter;
	int			len;
	bool		byval;
	char		align;
	int			n = 0;

	element_layout(argtype, &len, &byval, &align);
	*set = MemoryContextAllocHuge(CurrentMemoryContext, (Size) Max(items, 1) * sizeof(AlexInterval));
	compat_array_iter_setup(&iter, array, len, byval, align);
	for (int i = 0; i < items; i++)
	{
		bool		isnull;
		Datum		value = compat_array_iter_next(&iter, &isnull, i, len, byval, align);
		AlexInterval *interval = &(*set)[n];

		CHECK_FOR_INTERRUPTS();

		/* no operator is true for NULL */
		if (isnull)
			continue;
		alex_cut(info, c, key->sk_strategy, argtype, value, interval, NULL);
		if (!is_empty(interval, words))
			n++;
	}

	/* DatumGetAnyArrayP copies an array that was compressed, out of line or short */
	if (!VARATT_IS_EXPANDED_HEADER(array) && (Pointer) array != DatumGetPointer(key->sk_argument))
		pfree(array);

	return (int) alex_intervals_normalize(*set, n, words, look_for_interrupts);
}

/* ---- sets that are not one interval each ---- */

/*
 * The set of a column: what its plain keys demand, cut in pieces by where that is in doubt, and its arrays. Everything is palloc'd.
 * Returns how many intervals it has.
 */
static int
set_of_column(const AlexKeyInfo *info, ScanKey keys, int nkeys, int c, const Demands *demands, AlexInterval **set)
{
	int			words = code_words(info, c);
	int			n = -1;			/* no set yet */

	if (demands->restricted & (1u << c))
	{
		*set = palloc(3 * sizeof(AlexInterval));
		n = (int) alex_interval_split(&demands->interval[c], &demands->sure[c], words, *set);
	}
	for (int i = 0; i < nkeys && n != 0; i++)
	{
		AlexInterval *by;
		AlexInterval *both;
		int			by_n;

		if (keys[i].sk_attno != c + 1 || (keys[i].sk_flags & SK_SEARCHARRAY) == 0)
			continue;
		by_n = set_of_array(info, &keys[i], &by);
		if (n < 0)
		{
			*set = by;
			n = by_n;
			continue;
		}
		both = MemoryContextAllocHuge(CurrentMemoryContext, ((Size) n + by_n) * sizeof(AlexInterval));
		n = (int) alex_intervals_intersect(*set, n, by, by_n, words, both, look_for_interrupts);
		pfree(*set);
		pfree(by);
		*set = both;
	}
	return n;
}

static void
begin_sets(AlexScanPlan *plan)
{
	if (plan->sets == NULL)
		plan->sets = AllocSetContextCreate(plan->context, "alex scan keys", ALLOCSET_SMALL_SIZES);
}

/* Puts the sets of all restricted columns together; "last" is the last of them. */
static void
plan_sets(const AlexKeyInfo *info, ScanKey keys, int nkeys, const Demands *demands, int last, AlexScanPlan *plan)
{
	AlexInterval *sets[INDEX_MAX_KEYS];
	int			n[INDEX_MAX_KEYS];
	MemoryContext old;
	int			column;

	begin_sets(plan);
	old = MemoryContextSwitchTo(plan->sets);
	plan->box_recheck = false;
	for (int c = 0; c <= last; c++)
	{
		n[c] = set_of_column(info, keys, nkeys, c, demands, &sets[c]);
		if (n[c] == 0)
		{
			MemoryContextSwitchTo(old);
			return;				/* plan->n is 0 */
		}
		for (int i = 0; i < n[c]; i++)
			plan->box_recheck |= sets[c][i].recheck;
	}
	MemoryContextSwitchTo(old);

	for (column = 0; column < last; column++)
	{
		if (n[column] != 1 || sets[column][0].recheck || !is_single(&info->layout.place[column], &sets[column][0]))
			break;
		put_prefix(info, column, &sets[column][0], plan);
	}
	plan->column = column;
	if (column == last)
	{
		plan->n = n[column];
		if (n[column] > plan->capacity)
		{
			pfree(plan->intervals);
			plan->intervals = MemoryContextAllocHuge(plan->context, (Size) n[column] * sizeof(AlexInterval));
			plan->capacity = n[column];
		}
		memcpy(plan->intervals, sets[column], (Size) n[column] * sizeof(AlexInterval));
		return;
	}

	/* one range from the first interval to the last */
	plan->filtered = true;
	if (n[column] < 0)
		alex_cut_all(info, column, &plan->intervals[0]);
	else
	{
		plan->intervals[0] = sets[column][0];
		memcpy(plan->intervals[0].high, sets[column][n[column] - 1].high, sizeof(plan->intervals[0].high));
	}
	plan->column = column;
	plan->n = 1;
	alex_box_begin(&plan->box, &info->layout);
	for (int c = 0; c <= last; c++)
		if (n[c] >= 0)
			alex_box_restrict(&plan->box, c, sets[c], n[c]);
}

/* ---- the plan ---- */

void
alex_begin_plan(AlexScanPlan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->context = CurrentMemoryContext;
	plan->capacity = 1;
	plan->intervals = palloc(sizeof(AlexInterval));
}

void
alex_end_plan(AlexScanPlan *plan)
{
	if (plan->sets)
		MemoryContextDelete(plan->sets);
	pfree(plan->intervals);
}

static void
plan_scan(const AlexKeyInfo *info, ScanKey keys, int nkeys, AlexScanPlan *plan)
{
	Demands		demands;
	uint32		arrays = 0;		/* columns with any */
	uint32		all;
	int			last;
	int			c;

	plan->n = 0;
	plan->filtered = false;

	/* The probe of a join on the first column: nothing to combine. */
	if (nkeys == 1 && keys[0].sk_attno == 1 && (keys[0].sk_flags & PLAIN_KEY_MASK) == 0)
	{
		alex_cut(info, 0, keys[0].sk_strategy, argument_type(info, &keys[0]), keys[0].sk_argument, &plan->intervals[0],
				 NULL);
		if (!plan->intervals[0].recheck)
		{
			plan->column = 0;
			plan->base = 0;
			plan->n = is_empty(&plan->intervals[0], code_words(info, 0)) ? 0 : 1;
			return;
		}
	}

	clear_prefix(info, plan);
	demands.restricted = 0;
	for (int i = 0; i < nkeys; i++)
	{
		if ((keys[i].sk_flags & (SK_SEARCHARRAY | SK_ISNULL)) == SK_SEARCHARRAY)
			arrays |= 1u << (keys[i].sk_attno - 1);
		else if (!add_key(info, &keys[i], &demands))
			return;
	}
	all = demands.restricted | arrays;
	if (all == 0)
	{
		alex_cut_all(info, 0, &plan->intervals[0]);
		plan->column = 0;
		plan->n = 1;
		return;
	}

	/* plain keys on leading columns, all but the last of them by one code */
	last = pg_leftmost_one_pos32(all);
	for (c = 0; c < last; c++)
	{
		const AlexInterval *interval = &demands.interval[c];

		if ((demands.restricted & ~arrays & (1u << c)) == 0 || interval->recheck ||
			!is_single(&info->layout.place[c], interval))
			break;
		put_prefix(info, c, interval, plan);
	}
	if (c == last && (arrays & (1u << c)) == 0 && !demands.interval[c].recheck)
	{
		plan->column = c;
		plan->intervals[0] = demands.interval[c];
		plan->n = 1;
		return;
	}
	clear_prefix(info, plan);
	plan_sets(info, keys, nkeys, &demands, last, plan);
}

void
alex_plan_scan(const AlexKeyInfo *info, ScanKey keys, int nkeys, AlexScanPlan *plan)
{
	MemoryContext old;

	if (plan->sets)
		MemoryContextReset(plan->sets);
	if (info->layout.strings == 0)
	{
		plan_scan(info, keys, nkeys, plan);
		return;
	}
	/* intervals of strings refer to words there */
	begin_sets(plan);
	old = MemoryContextSwitchTo(plan->sets);
	plan_scan(info, keys, nkeys, plan);
	MemoryContextSwitchTo(old);
}

void
alex_plan_range(const AlexKeyInfo *info, const AlexScanPlan *plan, int i, uint64 *low, uint64 *high)
{
	const AlexColumnPlace *place = &info->layout.place[plan->column];
	int			words = info->words;

	if (plan->column == 0)
	{
		for (int w = 0; w <= words; w++)
			low[w] = high[w] = 0;
	}
	else
	{
		memcpy(low, plan->prefix, (words + 1) * sizeof(uint64));
		memcpy(high, plan->prefix, (words + 1) * sizeof(uint64));
	}
	if (info->layout.strings > 0)
	{
		int			low_base = plan->base;
		int			high_base = plan->base;

		alex_put_next_code(&info->layout, plan->column, plan->intervals[i].low, low, words, &low_base);
		alex_put_next_code(&info->layout, plan->column, plan->intervals[i].high, high, words, &high_base);
		return;
	}
	alex_put_code(place, plan->intervals[i].low, low);
	alex_put_code(place, plan->intervals[i].high, high);
}
