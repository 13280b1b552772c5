/*
 * alex_format.h - on-disk format of an alex node, shared by the core (C++) and the shim (C).
 *
 * Role: the single place that draws the page. Nothing here needs PostgreSQL headers; the shim
 * asserts at compile time that the 24 bytes called PageHead below are PageHeaderData.
 *
 * Everything in a node is a sequence of 64-bit words.
 *
 *   record    = W key words, one tie word, and (inner nodes only) one child word
 *   position  = W key words and one tie word; positions are ordered lexicographically
 *
 * Keys may have different numbers of words: those that a key lacks are zero. W is the node's own, enough for all that it holds; the words
 * that its records share with both fences, and those that are zero in all of them, have no column.
 *
 *   tie       = ext << 62 | spare << 48 | heap block << 16 | heap offset
 *
 * The tie makes every record unique, so equal keys are ordered by TID and any run of them can be
 * split. "ext" is one extra key bit below the key words (key_layout.h), "spare" are 14 bits of the caller's that are no part of
 * the key. A position with tie 0 comes before every record with that key.
 *
 * A node covers the positions low <= p < high (its fences). It is stored as
 *
 *   0    PageHead          PostgreSQL's page header; pd_lower ends the base, pd_upper starts the delta
 *   24   AlexNodeHeader    links, counts, model
 *   80   AlexNodeColumn, one a column, to a whole word
 *   ...  low fence         its key words but for zeros at their end, and its tie
 *   ...  high fence        the same without the words that it shares with the low fence; and room for more, "high_room" words in all
 *   ...  base              sorted records, column by column, bit-packed in frames (frame_codec.h)
 *   ...  removed           leaf, if any base record is removed: which ones (node_removed.h)
 *   ...  the hole          free space, zeroed but for hints at its low end (node_killed.cc); nothing live is ever in it
 *   ...  delta             fresh records, unsorted, in slots (node_delta.h); grows towards the base
 *   end-16  special area   AlexSpecial, left alone by everything but page initialisation
 */
#ifndef ALEX_FORMAT_H
#define ALEX_FORMAT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Key words of a record. A page of 8 KB has room for any three records between any two fences, however little all of these have in common: 16
 * bytes a word for the fences, and for the records a column (4 bytes), a frame (16) and three residuals (24). So a node of four records can be
 * split into two of two, and every level has at most half as many nodes as the one below.
 */
#define ALEX_MAX_WORDS 133
#define ALEX_ANY_RECORDS 3
#define ALEX_MAX_RECORD_WORDS (ALEX_MAX_WORDS + 2) /* key words, tie, child */
#define ALEX_MAX_FIXED_WORDS 95					   /* of keys of one width: 32 columns of two, and words of null bits between them */
#define ALEX_MAX_COLUMNS (ALEX_MAX_WORDS + 2)	   /* of a node, with those of tie and child */

#define ALEX_NODE_MAGIC UINT32_C(0x584C4131) /* "1ALX" */
#define ALEX_FORMAT_VERSION 7
#define ALEX_NO_BLOCK UINT32_C(0xFFFFFFFF)

/*
 * Most records of one node. The bound is what a rewrite may cost, not the format: 40,000 records
 * decode and encode in well under a millisecond, and bigserial keys on fixed-width rows then take
 * 0.2 bytes each.
 */
#define ALEX_MAX_RECORDS 40000

/*
 * Most slots of a delta, of which a page of page_size bytes has at most page_size / 8: every reader scans it, and copies what
 * it finds to its stack, so its records have at most this many words.
 */
#define ALEX_MAX_DELTA 1024
#define ALEX_MAX_DELTA_WORDS 8192

/* node flags */
#define ALEX_DELETED 0x01		   /* out of the tree, may be recycled */
#define ALEX_INCOMPLETE_SPLIT 0x02 /* the parent may lack the separator of the right sibling */

/* the tie word */
#define ALEX_TID_BITS 48
#define ALEX_TID_MASK ((UINT64_C(1) << ALEX_TID_BITS) - 1)
#define ALEX_EXT_BIT (UINT64_C(1) << 62)

/* AlexNodeHeader.removed: what begins there is a list. The base is whole words, so an offset has room for this bit. */
#define ALEX_REMOVED_LIST 1

/* What the core needs to know of PostgreSQL's page header (src/include/storage/bufpage.h). */
typedef struct AlexPageHead
{
	uint64_t pd_lsn;
	uint16_t pd_checksum;
	uint16_t pd_flags;
	uint16_t pd_lower;
	uint16_t pd_upper;
	uint16_t pd_special;
	uint16_t pd_pagesize_version;
	uint32_t pd_prune_xid;
} AlexPageHead;

/* How a column of a node is stored. */
typedef struct AlexNodeColumn
{
	uint8_t frame_log2;	   /* records per frame, a power of two */
	uint8_t delta_bytes;   /* in a slot of the delta */
	uint16_t column_start; /* byte offset of the frame directory */
} AlexNodeColumn;

typedef struct AlexNodeHeader
{
	uint32_t magic;	   /* ALEX_NODE_MAGIC */
	uint16_t version;  /* ALEX_FORMAT_VERSION */
	uint8_t level;	   /* 0 for a leaf */
	uint8_t flags;	   /* ALEX_DELETED ... */
	uint32_t left;	   /* sibling blocks or ALEX_NO_BLOCK */
	uint32_t right;	   /* without a right sibling the high fence is infinite */
	uint32_t count;	   /* records in the base */
	uint16_t radix;	   /* leaf: largest heap offset in the base; TIDs are encoded as block * radix + offset - 1 */
	uint16_t removed;  /* leaf: byte offset of the note of removed records, ALEX_REMOVED_LIST; 0 if there are none */
	uint64_t model_base; /* slot = ((word - model_base) >> model_shift) * model_mult >> model_fraction */
	uint32_t model_mult;
	uint8_t model_shift;
	uint8_t model_fraction;
	uint8_t model_word; /* first column in which the base varies; the model predicts from it */
	uint8_t columns;	/* those of key words from word "shared" on, the tie's, and in an inner node the child's */
	uint16_t words;		/* W */
	uint16_t least;		/* W is never less: that of all nodes of an index whose keys have one width */
	uint16_t shared;	/* key words that all positions between the fences have in common */
	uint16_t low_words; /* key words stored of the low fence: the others are zero; at least "shared" */
	uint16_t high_words; /* key words of the high fence up to the last one stored, or ALEX_NO_FENCE */
	uint16_t plain;		/* 1 where nothing is left out: no words are shared, every key word has a column and is stored of every fence; else 0 */
	uint16_t high_room; /* key words that can be stored of the high fence, from word "shared" on */
	uint16_t unused;
	AlexNodeColumn column[]; /* "columns" of them */
} AlexNodeHeader;

#define ALEX_NO_FENCE UINT16_C(0xFFFF) /* there is no high fence: it is infinite */

typedef struct AlexSpecial
{
	uint32_t magic;		/* ALEX_NODE_MAGIC or ALEX_META_MAGIC: tells tools whose page this is */
	uint32_t unused0;
	uint32_t unused1;
	uint16_t nbtree_flags; /* stays zero: XLOG_BTREE_VACUUM as a cleanup barrier writes here */
	uint16_t nbtree_cycle; /* stays zero, for the same reason */
} AlexSpecial;

#define ALEX_HEADER_OFFSET 24
/* Where the fences of a node begin: its columns fill whole words. */
#define ALEX_FENCES_OFFSET(columns) (ALEX_HEADER_OFFSET + 56 + ((columns) + 1) / 2 * 8)
#define ALEX_SPECIAL_SIZE 16

#ifdef __cplusplus
}
static_assert(sizeof(AlexPageHead) == ALEX_HEADER_OFFSET, "page header");
static_assert(sizeof(AlexNodeHeader) == 56 && sizeof(AlexNodeColumn) == 4, "node header");
static_assert(sizeof(AlexSpecial) == ALEX_SPECIAL_SIZE, "special area");
#endif

#endif /* ALEX_FORMAT_H */
