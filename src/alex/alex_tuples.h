/*
 * alex_tuples.h - what a scan makes of the records it has read.
 *
 * A batch is an array of records of the leaf's W + 1 words each, which are turned in place into what is returned row by row. One word of each
 * becomes a header whose first six bytes are the heap TID. With one column whose image tells its value and
 * is no shorter, they become index tuples: the first word is the header. With others the tie becomes the header, whose last two bytes
 * remain what the tie had above its TID, and the key words stay as they are: an index tuple is formed when an index-only scan returns
 * the row.
 */
#ifndef ALEX_TUPLES_H
#define ALEX_TUPLES_H

#include "postgres.h"

#include "access/itup.h"

#include "alex_keys.h"

/* Does a scan of the index make index tuples of all records of a batch? */
static inline bool
alex_makes_tuples(const AlexKeyInfo *info)
{
	return info->columns == 1 && info->layout.strings == 0 && info->column[0].returnable &&
		info->column[0].attlen <= info->words * (int) sizeof(uint64);
}

/* The word of a converted record of "words" key words that is its header. */
static inline int
alex_header_word(const AlexKeyInfo *info, int words)
{
	return alex_makes_tuples(info) ? 0 : words;
}

/* Converts the n records of a batch, which have "words" key words. */
extern void alex_make_tuples(const AlexKeyInfo *info, uint64 *records, int words, uint32 n);

/* The position of a converted record of "words" key words. */
extern void alex_tuple_position(const AlexKeyInfo *info, const uint64 *tuple, int words, uint64 *position);

/* Room for the index tuple of any record. */
extern Size alex_tuple_space(const AlexKeyInfo *info);

/* Forms the index tuple of a converted record, where that is none; columns that cannot be returned are NULL. */
extern void alex_form_tuple(const AlexKeyInfo *info, const uint64 *tuple, int words, IndexTuple formed);

#endif							/* ALEX_TUPLES_H */
