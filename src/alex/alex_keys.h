/*
 * alex_keys.h - from SQL values to key images and back, and from scan keys to ranges of positions.
 *
 * A key image is W unsigned words (W = 1; 2 for uuid) whose order is the type's order. DESC indexes store the
 * complement of every word. NULL borrows the greatest image (NULLS LAST: every word all ones) or the least one
 * (NULLS FIRST: zeros) and is told from it by the ext bit of the tie word: NULLS LAST: ext = 1 for NULL, 0 otherwise;
 * NULLS FIRST: ext = 0 for NULL, 1 otherwise.
 */
#ifndef ALEX_KEYS_H
#define ALEX_KEYS_H

#include "postgres.h"

#include "access/skey.h"
#include "port/pg_bswap.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#include "alex_format.h"

/* How one index column is stored. Filled once per relation, cheap to copy. */
typedef struct AlexKeyInfo
{
	Oid			type;			/* opclass input type */
	int			words;			/* W */
	int16		attlen;			/* of the type */
	bool		attbyval;
	bool		descending;		/* index column is DESC */
	bool		nulls_first;
	uint64		flip;			/* image ^ flip is the value ... */
	uint64		float_sign;		/* ... but the other bits of negative floats are inverted, too; 0: no float */
} AlexKeyInfo;

/* Positions low <= p < high. */
typedef struct AlexRange
{
	uint64		low[ALEX_MAX_WORDS + 1];
	uint64		high[ALEX_MAX_WORDS + 1];
	bool		recheck;		/* some records in it may fail the scan keys */
} AlexRange;

/* Fills info for an index, open or being built. ereports on a type or an order alex cannot store. */
extern void alex_key_info(Relation index, AlexKeyInfo *info);

/* Number of key words of a type, or 0 if alex cannot store it. */
extern int	alex_type_words(Oid type);

/* The comparison function (pg_proc) whose order the key images of a type have, or InvalidOid. */
extern Oid	alex_type_compare(Oid type);

/* The ext bit (ALEX_EXT_BIT or 0) of a record's tie word. */
static inline uint64
alex_ext(const AlexKeyInfo *info, bool isnull)
{
	return isnull != info->nulls_first ? ALEX_EXT_BIT : 0;
}

/*
 * The value of a record that is not NULL, as a tuple holds it: in the first attlen bytes, the others of W words undefined.
 * "value" may overlap the record.
 */
static inline void
alex_key_value(const AlexKeyInfo *info, const uint64 *record, uint64 *value)
{
	uint64		bits = record[0] ^ info->flip;

	if (likely(info->words == 1))
	{
		if (bits & info->float_sign)
			bits ^= ~info->float_sign;
		value[0] = bits;
	}
	else
	{
		/* uuid, the only wider type: big-endian */
		uint64		second = record[1] ^ info->flip;

		value[0] = pg_hton64(bits);
		value[1] = pg_hton64(second);
	}
}

/* Is a record with this tie word one of a NULL? */
static inline bool
alex_tie_isnull(const AlexKeyInfo *info, uint64 tie)
{
	return ((tie & ALEX_EXT_BIT) != 0) != info->nulls_first;
}

/* The tie word of a heap TID. */
static inline uint64
alex_tid_bits(ItemPointer tid)
{
	return ((uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16) | ItemPointerGetOffsetNumberNoCheck(tid);
}

static inline void
alex_tie_to_tid(uint64 tie, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) ((tie >> 16) & 0xFFFFFFFF), (OffsetNumber) (tie & 0xFFFF));
}

/* The TID of a tie as the first six bytes of a word. */
static inline uint64
alex_tid_word(uint64 tie)
{
	return ((tie >> 32) & 0xFFFF) | (tie & UINT64CONST(0xFFFF0000)) | (tie & 0xFFFF) << 32;
}

/* Writes the key words (info->words) of a value; returns the ext bit for the tie word. */
extern uint64 alex_key_image(const AlexKeyInfo *info, Datum value, bool isnull, uint64 *image);

/*
 * The value of a record (key words followed by the tie). By-reference types point into "space" (16 bytes, aligned).
 * -0.0 and every finite value come back as stored; NaN comes back canonical.
 */
extern Datum alex_key_datum(const AlexKeyInfo *info, const uint64 *record, void *space, bool *isnull);

/*
 * The range of positions of all records equal to the key of a record: for unique checks (for floats -0.0 equals +0.0).
 * low and high as in AlexRange.
 */
extern void alex_key_equal_range(const AlexKeyInfo *info, const uint64 *record, AlexRange *range);

/*
 * Turns scan keys of a scan (all on column 1, implicitly ANDed: comparison operators with btree's strategy numbers,
 * cross-type ones through sk_subtype, SK_SEARCHARRAY, SK_SEARCHNULL, SK_SEARCHNOTNULL) into disjoint ascending ranges
 * of positions, in index order. No scan key: one range that covers everything, NULLs included.
 *
 * *ranges is an array the caller keeps from call to call: *capacity elements, palloc'd here in the context "mcxt"
 * (NULL and 0 to begin with) and enlarged as needed. Plain scan keys need one element, or three if their comparison
 * has to be rechecked somewhere, and palloc nothing else; arrays leave no temporary memory behind.
 * Ranges may touch. Returns the number of ranges, 0 for contradictory keys.
 */
extern int	alex_scan_ranges(const AlexKeyInfo *info, ScanKey keys, int nkeys,
							 AlexRange **ranges, int *capacity, MemoryContext mcxt);

#endif							/* ALEX_KEYS_H */
