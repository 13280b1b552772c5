/*
 * omen_inspect.h - what omen_check(), omen_stats() and omen_options() share.
 */
#ifndef OMEN_ALEX_OMEN_INSPECT_H
#define OMEN_ALEX_OMEN_INSPECT_H

#include "omen.h"

#include "fmgr.h"

/* Raises an error, with a hint, if this is no omen table whose pages we can look at. */
extern void omen_require_table(Relation rel);

/* An unlogged table is empty, and has no pages, while a server is in recovery. */
extern bool omen_lacks_storage(Relation rel);

/*
 * Which line pointers of a table are in use (omen_check_index.c): noted page by page, as far as pages hold rows, with the page locked; then every
 * entry of every index must lead to one of them, or to one used since. VACUUM must be kept out all the while, and not in recovery.
 */
typedef struct OmenLines OmenLines;

extern OmenLines *omen_lines_begin(BlockNumber nblocks);
extern void omen_lines_note(OmenLines *lines, BlockNumber block, Page page);
extern void omen_check_indexes(Relation rel, const OmenLines *lines);
extern void omen_lines_end(OmenLines *lines);

/* SQL function */
extern Datum omen_check(PG_FUNCTION_ARGS);

#endif							/* OMEN_ALEX_OMEN_INSPECT_H */
