/*
 * alex_core.h - the learned index over page images, as a C interface.
 *
 * Role: everything that can be done with one node in memory: search it, read it, add to it, rewrite
 * it, decide how it splits. The caller owns buffers, locks, WAL and errors.
 *
 * Contract: no function allocates, throws, blocks or touches memory outside the page and the arrays
 * it is given. Arbitrary bytes as a page never crash or hang a function whose page passed
 * alex_node_problem(); a damaged page gives wrong records at worst, and alex_node_validate() says so.
 *
 * A record array is a flat array of words, "stride" words a record: W key words, the tie, and in
 * inner nodes the child block. A position is W + 1 words. What goes to or comes from a page has the W of that page's header, which
 * alex_fit_position() makes of others; functions without a page are told W. An index whose keys have one width has one W everywhere.
 */
#ifndef ALEX_CORE_H
#define ALEX_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alex_format.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- header access; valid on any page that passed alex_node_problem() ---- */

static inline AlexNodeHeader *
alex_header(void *page)
{
	return (AlexNodeHeader *) ((char *) page + ALEX_HEADER_OFFSET);
}

static inline const AlexNodeHeader *
alex_cheader(const void *page)
{
	return (const AlexNodeHeader *) ((const char *) page + ALEX_HEADER_OFFSET);
}

static inline const AlexPageHead *
alex_page_head(const void *page)
{
	return (const AlexPageHead *) page;
}

/* The number of key words of a position without zeros at their end. */
static inline int
alex_used_words(const uint64_t *position, int words)
{
	while (words > 0 && position[words - 1] == 0)
		words--;
	return words;
}

/* The fences as they are stored (alex_format.h). */
static inline const uint64_t *
alex_stored_low(const void *page)
{
	return (const uint64_t *) ((const char *) page + ALEX_FENCES_OFFSET(alex_cheader(page)->columns));
}

static inline const uint64_t *
alex_stored_high(const void *page)
{
	return alex_stored_low(page) + alex_cheader(page)->low_words + 1;
}

/* Key word i of the low fence: the least position the node covers is that with the tie behind its last stored word. */
static inline uint64_t
alex_low_word(const void *page, int i)
{
	return i < alex_cheader(page)->low_words ? alex_stored_low(page)[i] : 0;
}

/* Key word i of the high fence, which there must be. */
static inline uint64_t
alex_high_word(const void *page, int i)
{
	const AlexNodeHeader *node = alex_cheader(page);

	if (i < node->shared)
		return alex_stored_low(page)[i];
	return i < node->high_words ? alex_stored_high(page)[i - node->shared] : 0;
}

static inline uint64_t
alex_low_tie(const void *page)
{
	return alex_stored_low(page)[alex_cheader(page)->low_words];
}

static inline uint64_t
alex_high_tie(const void *page)
{
	const AlexNodeHeader *node = alex_cheader(page);

	return alex_stored_high(page)[node->high_words - node->shared];
}

/* What AlexNodeHeader.plain must be. */
static inline uint16_t
alex_is_plain(const AlexNodeHeader *node)
{
	return node->shared == 0 && node->low_words == node->words &&
		   (node->high_words == node->words || node->high_words == ALEX_NO_FENCE) && node->columns == node->words + (node->level > 0 ? 2 : 1);
}

/* Is there a high fence, the least position beyond the node? The link of a node may come after it, or end before it. */
static inline bool
alex_has_high_fence(const void *page)
{
	return alex_cheader(page)->high_words != ALEX_NO_FENCE;
}

/* Copies a fence, as a position of the node's own W + 1 words. Returns "position". */
static inline uint64_t *
alex_low_fence(const void *page, uint64_t *position)
{
	const int words = alex_cheader(page)->words;

	for (int i = 0; i < words; i++)
		position[i] = alex_low_word(page, i);
	position[words] = alex_low_tie(page);
	return position;
}

static inline uint64_t *
alex_high_fence(const void *page, uint64_t *position)
{
	const int words = alex_cheader(page)->words;

	for (int i = 0; i < words; i++)
		position[i] = alex_high_word(page, i);
	position[words] = alex_high_tie(page);
	return position;
}

/* Words per record of a node. */
static inline int
alex_stride(int words, int level)
{
	return words + (level > 0 ? 2 : 1);
}

/* Compares two positions: negative, 0 or positive. */
static inline int
alex_compare(const uint64_t *a, const uint64_t *b, int words)
{
	for (int i = 0; i <= words; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* Compares two positions of different widths. */
static inline int
alex_compare_widths(const uint64_t *a, int a_words, const uint64_t *b, int b_words)
{
	const int both = a_words < b_words ? a_words : b_words;

	for (int i = 0; i < both; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	for (int i = both; i < a_words; i++)
		if (a[i] != 0)
			return 1;
	for (int i = both; i < b_words; i++)
		if (b[i] != 0)
			return -1;
	return a[a_words] == b[b_words] ? 0 : a[a_words] < b[b_words] ? -1 : 1;
}

/* The low fence compared with a position of the node's width: negative, 0 or positive. */
static inline int
alex_compare_low(const void *page, const uint64_t *position)
{
	return alex_compare_widths(alex_stored_low(page), alex_cheader(page)->low_words, position, alex_cheader(page)->words);
}

/* The same of the high fence, which there must be. */
static inline int
alex_compare_high(const void *page, const uint64_t *position)
{
	const AlexNodeHeader *node = alex_cheader(page);
	const uint64_t *low = alex_stored_low(page);

	for (int i = 0; i < node->shared; i++)
		if (low[i] != position[i])
			return low[i] < position[i] ? -1 : 1;
	return alex_compare_widths(alex_stored_high(page), node->high_words - node->shared, position + node->shared,
							   node->words - node->shared);
}

/*
 * A position of "words" key words as one of a node, which has words of its own ("own"): the position itself or, in "space", one that is
 * before and behind the same records and fences. Of a position whose words the node does not have that is the end of all ties.
 */
static inline const uint64_t *
alex_fit_words(int own, const uint64_t *position, int words, uint64_t *space)
{
	uint64_t tie = position[words];

	if (own == words)
		return position;
	for (int i = 0; i < own; i++)
		space[i] = i < words ? position[i] : 0;
	for (int i = own; i < words; i++)
		if (position[i] != 0)
			tie = UINT64_MAX;
	space[own] = tie;
	return space;
}

static inline const uint64_t *
alex_fit_position(const void *page, const uint64_t *position, int words, uint64_t *space)
{
	return alex_fit_words(alex_cheader(page)->words, position, words, space);
}

/* A record of a leaf, or any position, as one of a node: itself or a copy in "space". NULL if the node does not have all of its words. */
static inline const uint64_t *
alex_fit_record(const void *page, const uint64_t *record, int words, uint64_t *space)
{
	if (alex_used_words(record, words) > alex_cheader(page)->words)
		return NULL;
	return alex_fit_position(page, record, words, space);
}

/* Copies a position to one of as many or more words. */
static inline void
alex_widen_position(const uint64_t *from, int from_words, uint64_t *to, int words)
{
	const uint64_t tie = from[from_words];

	for (int i = 0; i < words; i++)
		to[i] = i < from_words ? from[i] : 0;
	to[words] = tie;
}

/* Gives n records of a node of the level more key words, in an array with room for that. */
void alex_widen_records(uint64_t *records, uint32_t n, int from_words, int words, int level);

/* The slots of the delta that are in use, of a page that has slots. */
uint32_t alex_used_slots(const void *page);

/* Number of records in the delta. */
static inline uint32_t
alex_delta_count(const void *page)
{
	const AlexPageHead *head = (const AlexPageHead *) page;

	return head->pd_special == head->pd_upper ? 0 : alex_used_slots(page);
}

/* Number of base records of a leaf that have been removed. */
uint32_t alex_removed_count(const void *page);

/* Number of places: base records, removed or not, and the slots of the delta that are in use. */
static inline uint32_t
alex_place_count(const void *page)
{
	return alex_cheader(page)->count + alex_delta_count(page);
}

/* Number of records. */
static inline uint32_t
alex_record_count(const void *page)
{
	return alex_place_count(page) - (alex_cheader(page)->removed != 0 ? alex_removed_count(page) : 0);
}

/* Is the position below, within (0) or beyond the fences? */
static inline int
alex_fence_side(const void *page, const uint64_t *position)
{
	const AlexNodeHeader *node = alex_cheader(page);

	if (node->plain)
	{
		const uint64_t *low = alex_stored_low(page);

		if (alex_compare(position, low, node->words) < 0)
			return -1;
		return node->right != ALEX_NO_BLOCK && alex_compare(position, low + node->words + 1, node->words) >= 0;
	}
	if (alex_compare_low(page, position) > 0)
		return -1;
	return node->right != ALEX_NO_BLOCK && alex_compare_high(page, position) <= 0;
}

/* ---- checking ---- */

/*
 * Cheap sanity of a page that should be a node of at least "least" and at most "most" key words: every offset that the other
 * functions rely on lies within the page. O(1).
 * Returns NULL, or a static string that names what is wrong.
 */
const char *alex_node_problem_of(const void *page, int least, int most, uint32_t page_size);

/*
 * Complete check of one node: frames, order, fences, model, delta. O(records).
 * "scratch" holds as many records of the node's stride as a page that passes alex_node_problem_of() has places (alex_place_count()); it is not
 * touched where a page does not pass.
 * Returns NULL, or a static string that names what is wrong.
 */
const char *alex_node_validate_of(const void *page, int least, int most, uint32_t page_size, uint64_t *scratch);

/* The same of an index whose keys have one width. */
static inline const char *
alex_node_problem(const void *page, int words, uint32_t page_size)
{
	return alex_node_problem_of(page, words, words, page_size);
}

static inline const char *
alex_node_validate(const void *page, int words, uint32_t page_size, uint64_t *scratch)
{
	return alex_node_validate_of(page, words, words, page_size, scratch);
}

/* ---- reading ---- */

/* Index of the first base record, removed or not, at or after the position (0 .. count). */
uint32_t alex_lower_bound(const void *page, const uint64_t *position);

/* The base slot the model expects the position at, before any search (0 .. count - 1; 0 in an empty base). */
uint32_t alex_predict(const void *page, const uint64_t *position);

/* Reads base record i (i < count), removed or not, into out (stride words). */
void alex_read(const void *page, uint32_t i, uint64_t *out);

/* Reads base records first .. first + n - 1, removed or not, into out (n * stride words). */
void alex_read_range(const void *page, uint32_t first, uint32_t n, uint64_t *out);

/*
 * Inner node: the child that covers the position, which must lie within the fences.
 * "separator" (W + 1 words, may be NULL) receives the child's separator.
 * Returns ALEX_NO_BLOCK if the node has no such child (corrupt).
 */
uint32_t alex_find_child(const void *page, const uint64_t *position, uint64_t *separator);

/*
 * The last of n ascending positions that is at or before "position" (0 if none is), looking near "guess" first: the same as
 * alex_find_child in a private copy of the separators.
 */
uint32_t alex_find_separator(const uint64_t *separators, uint32_t n, int words, const uint64_t *position,
							 uint32_t guess);

/*
 * Collects the first (backward: the last) records p of base and delta with low <= p < high, in scan
 * order, at most "max" of them. "high" may be NULL for no upper bound.
 * "out" has room for max + alex_delta_count(page) records; what lies beyond the returned count is
 * undefined. *more is set if the node holds further records of the range.
 * Returns the number of records.
 */
uint32_t alex_collect(const void *page, const uint64_t *low, const uint64_t *high, bool backward, uint32_t max,
					  uint64_t *out, bool *more);

/*
 * The same without the records marked as dead to everyone (alex_kill), which cost hardly anything then. *more may be set where only
 * such ones are left.
 */
uint32_t alex_collect_living(const void *page, const uint64_t *low, const uint64_t *high, bool backward, uint32_t max,
							 uint64_t *out, bool *more);

/*
 * Reads base and delta merged, in order. "out" holds alex_record_count() records.
 * Returns the number of records.
 */
uint32_t alex_decode(const void *page, uint64_t *out);

/*
 * The ties of what is stored in a leaf, place by place: the base, then the delta as it was filled; 0 where the record is
 * removed. "ties" holds alex_place_count() words. Returns their number.
 */
uint32_t alex_read_ties(const void *page, uint64_t *ties);

/*
 * Where a leaf keeps what a lookup touches, small enough to remember per leaf. Only ever a hint.
 */
typedef struct AlexLayout
{
	uint16_t key_directory; /* byte offset of the frame directory of the first varying word */
	uint16_t key_start;		/* its residuals: byte offset and length */
	uint16_t key_bytes;
	uint16_t tie_directory; /* the same of the tie */
	uint16_t tie_start;
	uint16_t tie_bytes;
} AlexLayout;

/* Describes a node. */
void alex_layout(const void *page, AlexLayout *layout);

/*
 * Asks the memory for the lines that a lookup of a key will touch that lies at "fraction" (0 .. 1) of the node's range. The
 * page may be anything: nothing is read.
 */
void alex_prefetch(const void *page, const AlexLayout *layout, double fraction);

/* Bytes of a page that have changed. */
typedef struct AlexChange
{
	uint16_t offset;
	uint16_t length;
} AlexChange;

/* What a change in place changed. */
typedef struct AlexRemoval
{
	int n;
	AlexChange changes[4];
} AlexRemoval;

/* ---- writing; "page" is the caller's private image or an exclusively locked page ---- */

/*
 * Formats an empty node that has at least "least" words: page header, special area, header, fences (of "words" key words; high may be
 * NULL: infinite).
 */
void alex_node_begin(void *page, uint32_t page_size, int least, int words, int level, const uint64_t *low,
					 const uint64_t *high, uint32_t left, uint32_t right);

/* The same of an index whose keys have one width. */
static inline void
alex_node_init(void *page, uint32_t page_size, int words, int level, const uint64_t *low, const uint64_t *high,
			   uint32_t left, uint32_t right)
{
	alex_node_begin(page, page_size, words, words, level, low, high, left, right);
}

/*
 * Gives a node another high (low) fence in place, and says which bytes that changes. Returns false, with nothing changed, if it has to be
 * stored anew for that: there is no room, or it would share less with the other fence. A low fence must have no fresh records above it.
 */
bool alex_set_high_fence(void *page, const uint64_t *high, int words, AlexRemoval *changes);
bool alex_set_low_fence(void *page, const uint64_t *low, int words, AlexRemoval *changes);


/*
 * Stores n sorted records as the base of an initialised node; the delta becomes empty.
 * At least "reserve" bytes stay free. The header's links, level, flags and fences are kept.
 * Returns false, with the node unchanged, if the records do not fit.
 */
bool alex_node_store(void *page, const uint64_t *records, uint32_t n, uint32_t reserve);

/* The same of records of "words" key words, of which the node takes as many as are used. */
bool alex_node_store_words(void *page, const uint64_t *records, int words, uint32_t n, uint32_t reserve);

/*
 * The cheap merge of keys that grow: if every record of the source's delta, and "record", lie beyond its base, "page" (an
 * initialised node) becomes the source's base with them behind it. Full frames are copied as they are, so the cost is
 * that of the last frames, not of the node. At least "reserve" bytes stay free.
 * Returns false, with the page unchanged, where a full rewrite is needed.
 */
bool alex_node_append(void *page, const void *source, const uint64_t *record, uint32_t reserve);

/* A record about to become the next of a delta. */
typedef struct AlexSlot
{
	uint16_t offset; /* of the slot in the page */
	uint16_t length;
	uint16_t upper; /* pd_upper with it */
	unsigned char bytes[ALEX_MAX_COLUMNS * 8]; /* what the slot will hold */
} AlexSlot;

/*
 * Finds a slot for a record in the delta, which may hold at most "limit" of them with it. Not every record fits the slots of
 * a node. Returns false if the node has to be rewritten. Changes nothing.
 */
bool alex_delta_prepare(const void *page, const uint64_t *record, uint32_t limit, AlexSlot *slot);

/*
 * Adds the record to the delta of the page, whose records are those it had when the slot was prepared. Then bytes offset ..
 * offset + length - 1, as the slot tells now, have changed. Returns true if pd_upper changed, too: slots were reserved. They
 * must be zero where the change is replayed, as replay leaves the hole of every page it changes. Where marks of killed records
 * can be in the way, on this or another copy of the page, all new slots count as changed.
 */
bool alex_delta_put(void *page, AlexSlot *slot);

/*
 * The left part of a split without re-encoding: "page" becomes a copy of "source" reduced to the records
 * before "high", its new high fence, of "words" key words. It never needs more room than the source but for the words of that fence,
 * which a node has room for from the beginning where keys have one width. Right link: the caller's.
 * Returns false if there is no room.
 */
bool alex_node_truncate_words(void *page, const void *source, const uint64_t *high, int words);

static inline bool
alex_node_truncate(void *page, const void *source, const uint64_t *high)
{
	return alex_node_truncate_words(page, source, high, alex_cheader(source)->words);
}

/* ---- removed records ---- */

/*
 * Can the records of a leaf at the places that "dead" names (alex_place_count() of them, none of them removed) be removed without
 * rewriting it? If not, there is no room for that, or most of the base would be removed records.
 */
bool alex_can_remove(const void *page, const bool *dead);

/*
 * Removes these records: base records become invisible to everything but alex_lower_bound(), alex_read(), alex_read_range() and
 * alex_predict(), and go when the leaf is rewritten; those of the delta go at once. *removal is what changed; the marks of killed
 * records are gone, and the hole is zero.
 */
void alex_remove(void *page, const bool *dead, AlexRemoval *removal);

/* ---- killed records: hints, which the caller may set with the page locked in share mode ---- */

/* Is any record of the leaf marked as dead to everyone, or would be if there were room for its mark? */
static inline bool
alex_has_killed(const void *page)
{
	const AlexPageHead *head = alex_page_head(page);

	return head->pd_lower < head->pd_upper && ((const uint8_t *) page)[head->pd_lower] != 0;
}

/*
 * Marks a record of a leaf as dead to everyone. Returns true if the page changed: not if the record is marked already or is not
 * in the leaf. If the mark has no room there, only alex_has_killed() will tell. The mark is lost when the leaf is rewritten.
 */
bool alex_kill(void *page, const uint64_t *record);

/* alex_find_place() found no such record. */
#define ALEX_NO_PLACE UINT32_MAX

/* The place of a record of a leaf (below alex_place_count()), if it is there and not removed. */
uint32_t alex_find_place(const void *page, const uint64_t *record);

/* Is there room to mark the record at this place? */
bool alex_can_kill(const void *page, uint32_t place);

/* What alex_mark_killed() adds to the tie of a record; no tie has it by itself. */
#define ALEX_KILLED (UINT64_C(1) << 63)

/* Adds ALEX_KILLED to those of n records of a leaf, ascending or descending, that are marked. Returns how many got it. */
uint32_t alex_mark_killed(const void *page, uint64_t *records, uint32_t n);

/* How many records of a leaf are marked. */
uint32_t alex_killed_count(const void *page);

/*
 * Bytes that a leaf of n records should keep free for marks, beyond what its delta shall get; 0 where there are too many records for
 * that.
 */
uint32_t alex_killed_reserve(uint32_t n, uint32_t page_size);

/* Bytes from pd_lower on that marks can have taken since the leaf was rewritten; the rest of the hole is zero. */
uint32_t alex_killed_bytes(const void *page);

/* ---- planning ---- */

/* Bytes alex_node_store() needs for the records, beyond an empty node's. */
uint32_t alex_encoded_size(const uint64_t *records, uint32_t n, int words, int level);

/*
 * Bytes an empty node has free, in which whatever fences and columns it may get have their room. Where keys have more than one width
 * ("least" < "words"), sizes of records are with those.
 */
uint32_t alex_node_capacity_of(int least, int words, int level, uint32_t page_size);

static inline uint32_t
alex_node_capacity(int words, int level, uint32_t page_size)
{
	return alex_node_capacity_of(words, words, level, page_size);
}

/* Most records of "words" key words that are ever handled at once: a bound of memory. */
static inline uint32_t
alex_most_records(int words)
{
	return words <= ALEX_MAX_FIXED_WORDS ? ALEX_MAX_RECORDS : ALEX_MAX_RECORDS / 4;
}

/*
 * How many of the first (from_end: last) n records fit into "room" bytes, at most ALEX_MAX_RECORDS.
 * "guess" is where to start trying (0: no idea). At least 1 if n > 0.
 */
uint32_t alex_fit(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, bool from_end,
				  uint32_t guess);

/*
 * Where to split n sorted records in two (1 .. n - 1 go left). With "fill" > 0 the left part fills that many bytes, for
 * keys that grow; with 0 it is the middle, or a place near it where the line of the keys breaks if that stores smaller.
 * Returns 0 if no such place leaves both parts small enough for "room" bytes each.
 */
uint32_t alex_choose_split(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, uint32_t fill);

/*
 * The separator between two neighbouring records of a leaf: the shortest position s with left < s <= right.
 * Writes W + 1 words. Inner nodes split at the right part's first separator itself: the positions before it, down to
 * a shorter one, belong to the last child of the left part.
 */
void alex_make_separator(const uint64_t *left, const uint64_t *right, int words, uint64_t *separator);

/* ---- filling nodes one after the other, as a build does ---- */

/* A node about to be stored. */
typedef struct AlexPlan
{
	uint32_t n;		/* its records, from the first on */
	uint16_t radix; /* largest heap offset (leaf) */
	int keys;		/* key words used */
	int shared;		/* the first of them that no column is planned for */
	int tie;		/* the column of the tie; behind it is that of the child */
	uint8_t frame_log2[ALEX_MAX_COLUMNS];
	uint32_t bytes[ALEX_MAX_COLUMNS];
} AlexPlan;

/*
 * alex_fit() from the start, with the plan of the node, of at least "least" key words and this low fence (null: not known), as its result.
 * "columns" has room for ALEX_MAX_RECORDS records, and holds them column by column afterwards, as the node will store them.
 */
void alex_plan_node_of(const uint64_t *records, uint32_t n, int least, int words, int level, const uint64_t *low, uint32_t room,
					   uint32_t guess, uint64_t *columns, AlexPlan *plan);

static inline void
alex_plan_node(const uint64_t *records, uint32_t n, int words, int level, uint32_t room, uint32_t guess,
			   uint64_t *columns, AlexPlan *plan)
{
	alex_plan_node_of(records, n, words, words, level, NULL, room, guess, columns, plan);
}

/*
 * alex_node_store() of the records planned last with these columns. Returns false, with the node unchanged, if the
 * plan was made for another kind of node and they do not fit.
 */
bool alex_node_store_planned(void *page, const AlexPlan *plan, const uint64_t *columns);

/* ---- sorting ---- */

/*
 * Sorts n records of "stride" words by all of them. "spare" has room for as many. "pause" is called now and then where they are
 * many, and need not return.
 */
void alex_sort_records(uint64_t *records, uint64_t *spare, size_t n, int stride, void (*pause)(void));

#ifdef __cplusplus
}
#endif

#endif /* ALEX_CORE_H */
