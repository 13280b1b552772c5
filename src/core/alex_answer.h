/*
 * alex_answer.h - what aggregates need of a leaf: counts, table blocks, and columns in bulk.
 *
 * Role: says of many records of a leaf at once which are there, which blocks of the table they name, and what one word of each
 * is; adds such words up. The caller decides which rows are visible, and hands in a bit for each record.
 *
 * Contract: that of alex_core.h. Bits are in words of 64, the first record's lowest. "first" and "end" are of the base, at most its
 * number of records.
 */
#ifndef ALEX_ANSWER_H
#define ALEX_ANSWER_H

#include "alex_core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- which records ---- */

/* How many of base records first .. end - 1 are there, that is, have not been removed. */
uint32_t alex_count_base(const void *page, uint32_t first, uint32_t end);

/*
 * A bit for each of base records from .. end - 1, "from" being a multiple of 64: set for those from "first" on that have not been removed.
 * "bits" has room for whole words.
 */
void alex_live_bits(const void *page, uint32_t from, uint32_t first, uint32_t end, uint64_t *bits);

/* The records of the delta with low <= p < high, in no order; "high" may be NULL. "out" has room for alex_delta_count() of them. */
uint32_t alex_collect_delta(const void *page, const uint64_t *low, const uint64_t *high, uint64_t *out);

/* ---- what they hold ---- */

/*
 * Bounds of the blocks of the table that base records first .. end - 1 (first < end) of a leaf name: none of them is below *least or
 * beyond *greatest. Costs as much as the frames are many, not the records. Returns false if that tells nothing.
 */
bool alex_block_bounds(const void *page, uint32_t first, uint32_t end, uint32_t *least, uint32_t *greatest);

/* Do all of these records name blocks below this one? Looks at each, which is dearer than their bounds and cheaper than their ties. */
bool alex_blocks_below(const void *page, uint32_t first, uint32_t end, uint32_t block);

/* The ties of base records first .. first + n - 1 of a leaf. */
void alex_read_base_ties(const void *page, uint32_t first, uint32_t n, uint64_t *ties);

/* Word w of the same records. Of the tie (w = W) only the bits above the TID are right. */
void alex_read_base_words(const void *page, int w, uint32_t first, uint32_t n, uint64_t *words);

/* ---- a map with two bits for each block, of which the lower one says that all rows in it are visible ---- */

/* The first of blocks from .. to - 1 (from < to) whose bit is not set, or "to". */
uint32_t alex_map_visible_end(const uint8_t *map, uint32_t from, uint32_t to);

/* ---- sums over n words with a bit each ---- */

/* An unsigned number of 128 bits. */
typedef struct AlexSum
{
	uint64_t low;
	uint64_t high;
} AlexSum;

/* How many bits are set. */
uint32_t alex_count_bits(const uint64_t *bits, uint32_t n);

/* Clears the bits of words in which bit "shift" says NULL: it is set, or with "nulls_first" it is not. */
void alex_clear_nulls(const uint64_t *words, uint32_t n, int shift, bool nulls_first, uint64_t *bits);

/* Adds (word & mask) ^ flip of the words whose bit is set. */
void alex_add_words(const uint64_t *words, uint32_t n, const uint64_t *bits, uint64_t mask, uint64_t flip, AlexSum *sum);

/* Widens *least .. *greatest to the same of the words whose bit is set. */
void alex_extreme_words(const uint64_t *words, uint32_t n, const uint64_t *bits, uint64_t mask, uint64_t flip, uint64_t *least,
						uint64_t *greatest);

#ifdef __cplusplus
}
#endif

#endif /* ALEX_ANSWER_H */
