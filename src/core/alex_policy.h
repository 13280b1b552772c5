/*
 * alex_policy.h - when a node is merged, when and where it splits, and what is purged from it before.
 *
 * Role: the one place that decides. A record goes to the delta if that has room; else dead entries are looked for, where there may be
 * some; else the delta and the record are merged behind the base, or with it; else the node splits.
 *
 * Contract: everything is decided from a page image, the records and the arguments, and the result is images, which the caller
 * installs and logs. Its own are locks, links to new nodes, the parent, and what the table knows of rows.
 */
#ifndef ALEX_POLICY_H
#define ALEX_POLICY_H

#include "alex_core.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Built leaves keep a little room for the first inserts; a full leaf splits at the first one. nbtree's 90 would cost
 * 7 % of space: an entry of 9 bytes needs less slack than one of 20.
 */
#define ALEX_DEFAULT_FILLFACTOR 97
#define ALEX_MIN_FILLFACTOR 10

/*
 * Most fresh records of a leaf before they are merged. Every reader scans them, at about a nanosecond each; a merge encodes and
 * logs the whole leaf. A long base is dearer to rewrite: its delta may hold a share of it more. Keys that only grow cost no
 * rewrite of what is there, but still an image of the page.
 */
#define ALEX_LEAF_DELTA 256
#define ALEX_DELTA_SHARE 16
#define ALEX_APPEND_DELTA 512
#define ALEX_INNER_DELTA 64

/* Most records that the delta of this node may hold: the limit for alex_delta_prepare(). */
uint32_t alex_delta_limit(const void *page);

/* ---- purging: which entries of a leaf about to be rewritten for a new one the table is asked about ---- */

/* Entries that the table is asked about at once, with the leaf locked. */
#define ALEX_MOST_CANDIDATES 1024

/*
 * Is there reason to ask at all? "unchanged": the new entry is of a new version of a row, with the same key. Otherwise it is the
 * marks of dead entries that tell.
 */
bool alex_should_purge(const void *page, bool unchanged);

/*
 * The entries marked dead (ALEX_KILLED, which stays), and those of rows in the same blocks, which will be read anyway. "places"
 * receives their subscripts, ALEX_MOST_CANDIDATES at most, the marked ones first. Returns their number.
 */
uint32_t alex_pick_marked(const uint64_t *records, uint32_t n, int words, uint32_t *places);

/* When "kept" of n entries are left after that: are these few enough to ask about duplicates, too, for an unchanged row? */
bool alex_should_purge_duplicates(uint32_t n, uint32_t kept);

/*
 * Entries of keys that have several, likely earlier versions of rows: first those with the key of "record", then the others.
 * "places" and the result as above.
 */
uint32_t alex_pick_duplicates(const uint64_t *records, uint32_t n, int words, const uint64_t *record, uint32_t *places);

/* ---- rewriting a node: merge or split ---- */

/* What becomes of a node. */
typedef struct AlexNewNodes
{
	void *left;	 /* pages of the caller's: the node itself, or its left part */
	void *right; /* the right part, if it splits */
	int words;	 /* key words of the records, at least those of the node; the caller's, too */

	bool split;
	bool truncated;							/* the left part has the records it had, up to the separator */
	bool again;								/* and is to be changed again */
	uint64_t separator[ALEX_MAX_WORDS + 1]; /* if it splits: the low fence of the right part */
	uint32_t fitted;						/* the caller sets it to 0 at first, and leaves it alone until the change is in */
} AlexNewNodes;

/* Formats an empty node that has the place of another: its fences, links, level and flags. */
void alex_node_successor(void *image, const void *page);

/*
 * The cheap way: keys that only grow are merged behind the base, which is copied as it is (alex_node_append). "dead" records of the
 * node are about to be left out, and few are no reason to rewrite it. Returns false if it has to be rewritten.
 */
bool alex_change_append(const void *page, const uint64_t *record, uint32_t dead, AlexNewNodes *nodes);

/*
 * Rewrites a node to hold n sorted records, what it has or a part of that, and "record", which is put among them: "records" has room
 * for it. Without one (null) the change is a removal. The images have the fences, level and flags of the node, and those links that
 * do not lead from one part to the other, whose blocks the caller knows.
 *
 * A node splits if what it shall hold does not fit well. If it fits no two nodes, as thousands of keys on a line take no space until
 * something breaks the line, the right part takes as many of the last records as fit, and the left part is the node as it was stored
 * up to there (alex_node_truncate), which never needs more room. Each such step is a complete split, and they repeat until the change
 * is in: nodes->again. Between long keys that differ much a step may be to divide what the node has without the new record, which then
 * belongs to the right part if it is not below the separator.
 *
 * Keys that grow leave nodes behind that are filled to "fillfactor" percent.
 *
 * Returns false where records fit nowhere: they are damaged.
 */
bool alex_change_node(const void *page, uint64_t *records, uint32_t n, const uint64_t *record, int fillfactor,
					  AlexNewNodes *nodes);

#ifdef __cplusplus
}
#endif

#endif /* ALEX_POLICY_H */
