/*
 * key_ranges.h - which positions can match scan keys.
 *
 * Role: sets of codes of single columns, and their product over the columns of a key, the *box*. A scan asks a box for the next
 * range of positions that match from where it is, in either direction, so a product is never written out, and a leading column
 * without any condition, or with an inequality, is skipped over value by value.
 *
 * Contract: nothing allocates, and what a box points to is the caller's. Codes and bounds are those of key_layout.h.
 */
#ifndef ALEX_KEY_RANGES_H
#define ALEX_KEY_RANGES_H

#include <stddef.h>

#include "key_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Codes low <= code < high of a column. */
typedef struct AlexInterval
{
	uint64_t low[ALEX_CODE_WORDS];
	uint64_t high[ALEX_CODE_WORDS];
	bool recheck; /* some of them may fail the conditions */
} AlexInterval;

/* ---- sets: disjoint intervals in ascending order ---- */

/*
 * Makes a set of n intervals in any order, none of them empty; those that overlap are joined. "pause", if given, is called now and then
 * where they are many, and need not return. Returns how many are left.
 */
uint32_t alex_intervals_normalize(AlexInterval *intervals, uint32_t n, int code_words, void (*pause)(void));

/*
 * What two sets have in common, in "out", which has room for na + nb intervals. Codes need a recheck if either set says so. Returns how
 * many there are.
 */
uint32_t alex_intervals_intersect(const AlexInterval *a, uint32_t na, const AlexInterval *b, uint32_t nb, int code_words,
								  AlexInterval *out, void (*pause)(void));

/*
 * Cuts an interval into what lies within "sure", which needs no recheck, and the parts before and behind it. "sure" may be empty and may
 * reach beyond it. "out" has room for three. Returns how many parts are not empty.
 */
uint32_t alex_interval_split(const AlexInterval *interval, const AlexInterval *sure, int code_words, AlexInterval *out);

/* ---- boxes ---- */

typedef struct AlexBoxSet
{
	const AlexInterval *intervals;
	uint32_t n; /* 0: every code */
} AlexBoxSet;

typedef struct AlexBox
{
	const AlexKeyLayout *layout;
	int columns; /* up to the last with a set; what comes behind may be anything */
	AlexBoxSet set[ALEX_MAX_KEY_COLUMNS];
	const struct AlexBox *parts; /* if there are any, the box is only what is in one of them, and "set" does not count */
	uint32_t n_parts;
} AlexBox;

/* Begins a box that holds every key. */
void alex_box_begin(AlexBox *box, const AlexKeyLayout *layout);

/* Restricts a column, once, to a set of at least one interval. */
void alex_box_restrict(AlexBox *box, int column, const AlexInterval *intervals, uint32_t n);

/*
 * A member of a row comparison: (a, b) > (1, 2) means a > 1 OR (a = 1 AND b > 2). The intervals hold no NULL, and may be empty, as for
 * a member that is compared with NULL. "beyond" of the last member has what is equal, too, if that satisfies the comparison.
 * Where "equal" needs a recheck, the row ends there, and "beyond" has it: what comes behind cannot tell then.
 */
typedef struct AlexRowMember
{
	int column; /* any one, in any order */
	AlexInterval equal;
	AlexInterval beyond;
} AlexRowMember;

/* Intervals that alex_box_split() needs at most. */
size_t alex_box_split_space(const AlexBox *box, const AlexRowMember *row, int n);

/*
 * Cuts a box without parts by a row comparison of n members: into at most n boxes that have no record in common, for
 * which "parts" has room; what is in none of them does not satisfy it. Their sets are in "space". Returns how many there are. A second
 * comparison cuts each part again.
 */
uint32_t alex_box_split(const AlexBox *box, const AlexRowMember *row, int n, AlexBox *parts, AlexInterval *space);

/*
 * The first range of positions at or after "position" that are all in the box: low >= position. Some, or all, may be the positions of no
 * possible record. Returns false if there is none. A box without restriction has no last position, and must not be asked.
 *
 * Where a string column comes before the last one restricted, a range may also be what is known so far: nothing between "position" and low
 * is in the box, but what begins at low need not be.
 */
bool alex_box_next(const AlexBox *box, const uint64_t *position, uint64_t *low, uint64_t *high);

/* The last range of positions before "position" that are all in the box, likewise: high <= position. */
bool alex_box_previous(const AlexBox *box, const uint64_t *position, uint64_t *low, uint64_t *high);

/* Is a record in the box? */
bool alex_box_matches(const AlexBox *box, const uint64_t *record);

/*
 * alex_collect() of the records in the box, or with "living" alex_collect_living(). *rest is where to go on: forward all matching records
 * of the range from *rest on, backward all before it, are still to come. It is beyond this leaf, or beyond the range, if nothing
 * is left here: then *more is false. Returns ALEX_OUT_OF_ORDER if the page is damaged so that it would not end.
 */
#define ALEX_OUT_OF_ORDER UINT32_MAX

uint32_t alex_collect_box(const void *page, const AlexBox *box, const uint64_t *low, const uint64_t *high, bool backward,
						  bool living, uint32_t max, uint64_t *out, bool *more, uint64_t *rest);

#ifdef __cplusplus
}
#endif

#endif /* ALEX_KEY_RANGES_H */
