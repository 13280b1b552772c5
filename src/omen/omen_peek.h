/*
 * omen_peek.h - older versions for those who may meet what is gone: maintenance and verification.
 *
 * omen_older() serves snapshots, and what a snapshot needs is there. Who walks by a horizon instead may be a moment
 * late: another session computes a later one, and drops or recycles what ours still calls needed. Here that is an
 * answer, not an error.
 */
#ifndef OMEN_ALEX_OMEN_PEEK_H
#define OMEN_ALEX_OMEN_PEEK_H

#include "omen.h"

/*
 * Might somebody need the version before this one? Yes, if there is one and this one's xmin is not older than the
 * horizon, or aborted: then the version before is the row.
 */
extern bool omen_peek_needed(const OmenVersion *version, TransactionId horizon);

typedef enum OmenPeek
{
	OMEN_PEEK_NONE,				/* there is no version before */
	OMEN_PEEK_FOUND,			/* *version is now the version before */
	OMEN_PEEK_BROKEN			/* where the link leads is no version of the row; *version is unchanged but for `copy` */
} OmenPeek;

/*
 * Steps to the version before, trusting neither the link nor what is there; *problem says what is wrong with it. The
 * row page is share-locked. Nothing is interpreted beyond the header, which is verified against the relation's
 * descriptor.
 */
extern OmenPeek omen_peek_older(Relation rel, Buffer buffer, OmenVersion *version, const char **problem);

/*
 * Steps to the version before if somebody might need it. A version that is gone although our own snapshots protect it
 * is corruption; other sessions' may have ended since the horizon was computed.
 */
extern bool omen_step_needed(Relation rel, Buffer buffer, OmenVersion *version, TransactionId horizon);

/* What is wrong with the header of an item of this length (link included); NULL: nothing. */
extern const char *omen_header_problem(Relation rel, HeapTupleHeader header, Size length);

#endif							/* OMEN_ALEX_OMEN_PEEK_H */
