/*
 * alex_inspect.h - what alex_check(), alex_stats() and alex_page() share.
 */
#ifndef ALEX_INSPECT_H
#define ALEX_INSPECT_H

#include "alex.h"

/* Words of scratch space that alex_node_validate_of() and alex_decode() need for a page that passed alex_node_problem_of(). */
#define ALEX_SCRATCH_WORDS(page) ((Size) (alex_place_count(page) + 1) * (alex_cheader(page)->words + 2))

/*
 * Raises an error unless the open relation is an alex index whose pages this session can read. These functions are
 * given any relation by mistake, and all indexes of a database by scripts.
 */
extern void alex_require_index(Relation rel);

/*
 * As alex_check(index, true) while others write, but every page by itself only. Nobody may vacuum the table: the caller's lock sees to that.
 */
extern void alex_check_online(Oid indexid);

/* True for an unlogged index during recovery, which has no pages. */
extern bool alex_lacks_storage(Relation rel);

/* Copies a page under a share lock, so that whoever looks at it for long holds up nobody. */
extern void alex_copy_page(Relation rel, BlockNumber block, BufferAccessStrategy strategy, char *copy);

#endif							/* ALEX_INSPECT_H */
