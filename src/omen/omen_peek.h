/*
 * omen_peek.h - older versions for those who may meet what is gone: maintenance and verification.
 *
 * omen_older() serves snapshots, and what a snapshot needs is there. Who walks by a horizon instead may follow a link
 * into the store to where the version is no more: horizons differ between sessions, and may go back. VACUUM does not
 * count transactions of other databases, but snapshots do; so what it found needed by nobody can look needed to any
 * session that comes later. Here that is an answer, not an error.
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
 * Is a version that was not found behind this one lost for certain? In the page links never dangle, what an aborted
 * update replaced is the row, and what our own snapshot needs nobody takes away.
 */
extern bool omen_older_lost(const OmenVersion *version, Snapshot snapshot);

/* Steps to the version before if somebody might need it; an error if it is lost for certain. */
extern bool omen_step_needed(Relation rel, Buffer buffer, OmenVersion *version, TransactionId horizon);

/* What is wrong with the header of an item of this length (link included); NULL: nothing. */
extern const char *omen_header_problem(Relation rel, HeapTupleHeader header, Size length);

/* Do the columns end where the tuple does (there may be padding)? NULL: yes. Its header is sound. */
extern const char *omen_columns_problem(Relation rel, const HeapTupleData *tuple);

#endif							/* OMEN_ALEX_OMEN_PEEK_H */
