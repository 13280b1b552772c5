/*
 * omen_core.h - the bytes of omen's versions: links, records of the store, and the differences these are made of; as a C interface.
 *
 * Contract: no function allocates, throws, blocks or touches memory outside what it is given. Arbitrary bytes as a page never crash
 * a function or lead it outside of the page: what does not fit is an answer.
 *
 * A version has two parts. The header up to OMEN_BODY (PostgreSQL's HeapTupleHeader without t_hoff) says who wrote it; a record has
 * what counts of it in fields. The body (t_hoff, null bitmap, data) never changes while the version exists, so what an older body was
 * can be told by how it differs from that of the version that replaced it.
 *
 * A list of differences is what a generic WAL record has, too: where (uint16), how many (uint16), and the bytes; again and again.
 */
#ifndef OMEN_CORE_H
#define OMEN_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the version is that this one replaced; the last bytes of every item of a row page. */
typedef struct OmenLink
{
	uint32_t block;				/* OMEN_SAME_PAGE, or a block of the store */
	uint16_t offset;			/* of the item in the page, or of the record in the store page, in bytes; 0: none */
	uint16_t length;			/* of the item, its link included */
} OmenLink;

#define OMEN_SAME_PAGE UINT32_C(0xFFFFFFFF)
#define OMEN_LINK_SIZE sizeof(OmenLink)

/* A version in the store: this, its link if it has one, and its body, or how that differs from the body of the version that replaced it. */
typedef struct OmenRecord
{
	uint16_t row[3];			/* whose version this is: an ItemPointerData */
	uint16_t length;			/* of the item as it was in the row page, link included */
	uint32_t superseder;		/* xmin of the version that replaced it; invalid: nobody can need it any more */
	uint32_t xmin;				/* these four as in the header; xmax of older versions means nothing */
	uint32_t cid;
	uint16_t infomask2;
	uint16_t infomask;
	uint16_t size;				/* of what follows */
	uint16_t flags;				/* OMEN_RECORD_* */
} OmenRecord;

#define OMEN_RECORD_LINK 0x0001 /* a link follows; else there is no older version */
#define OMEN_RECORD_WHOLE 0x0002	/* the body is here as a whole */
#define OMEN_RECORD_FLAGS 0x0003

#define OMEN_BODY 22			/* offsetof(HeapTupleHeaderData, t_hoff) */
#define OMEN_SHORTEST_ITEM (23 + OMEN_LINK_SIZE)
#define OMEN_RECORD_ALIGN(size) (((size) + 3) & ~(size_t) 3)

/* What a record of an item takes at most. */
#define OMEN_RECORD_SIZE(item_length) OMEN_RECORD_ALIGN(sizeof(OmenRecord) + (size_t) (item_length) - OMEN_BODY)

/* Does a link within a row page lead to something that may be an item? Items are in [upper, end), at multiples of 8. */
static inline bool
omen_link_fits(OmenLink link, size_t upper, size_t end)
{
	return link.offset % 8 == 0 && link.offset >= upper && link.offset + (size_t) link.length <= end &&
		link.length >= OMEN_SHORTEST_ITEM;
}

/* The record of a store page at an offset; NULL if it does not lie within the records, which end at `fill`. */
static inline OmenRecord *
omen_record_at(char *page, size_t at, size_t fill)
{
	OmenRecord *record = (OmenRecord *) (void *) (page + at);

	if (at % 4 != 0 || at + sizeof(OmenRecord) > fill || at + OMEN_RECORD_ALIGN(sizeof(OmenRecord) + record->size) > fill)
		return NULL;
	return record;
}

/* Where the next record begins. */
static inline size_t
omen_record_end(const OmenRecord *record, size_t at)
{
	return at + OMEN_RECORD_ALIGN(sizeof(OmenRecord) + record->size);
}

/* omen_diff_encode(): the differences are not shorter than `room`. */
#define OMEN_DIFF_TOO_LONG SIZE_MAX

/*
 * Writes how bytes [from, length) differ from `base`, of which there are base_length; those behind its end all differ. Ranges are written with `shift`
 * added to where they begin. Returns the size of the list, which may be 0, and at most is `room`; or OMEN_DIFF_TOO_LONG.
 */
extern size_t omen_diff_encode(const void *base, size_t base_length, const void *bytes, size_t from, size_t length, uint16_t shift,
							   void *out, size_t room);

/* Appends one range to a list. The new end of the list; there must be room. */
extern char *omen_diff_put(char *out, uint16_t where, const void *bytes, uint16_t length);

/* Is this a list, of ranges within [from, length)? */
extern bool omen_diff_sound(const void *diff, size_t size, size_t from, size_t length);

/* Applies a list that is sound for these bytes. */
extern void omen_diff_apply(void *bytes, const void *diff, size_t size);

/*
 * Makes a record of a version: `header` with length, row, superseder, xmin, cid and infomasks given. `item` is as in the row page, but the link is in `link`
 * (offset 0: none). `newer`: the version that replaces it, without its link, newer_length bytes; NULL: store it as a whole, as is done where that is
 * shorter, too. Writes at most OMEN_RECORD_SIZE(header->length) bytes to `out`, which is aligned as a record; returns how many.
 */
extern size_t omen_record_form(const OmenRecord *header, const void *item, OmenLink link, const void *newer, size_t newer_length, void *out);

/*
 * Rebuilds the version a link leads to, from a store page whose records are [start, fill), which lie in the page, and the version that replaced it (its bytes
 * without link, which may be at `item` itself). NULL if all is well; else what is wrong, and `item` is as it was. It has room for max_item bytes.
 */
extern const char *omen_record_read(const void *page, size_t start, size_t fill, OmenLink link, const void *row, uint32_t superseder,
									const void *newer, size_t newer_length, void *item, size_t max_item);

#ifdef __cplusplus
}
#endif

#endif							/* OMEN_CORE_H */
