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

/* SQL function */
extern Datum omen_check(PG_FUNCTION_ARGS);

#endif							/* OMEN_ALEX_OMEN_INSPECT_H */
