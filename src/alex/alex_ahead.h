/*
 * alex_ahead.h - fetching rows from memory before the executor asks for them.
 *
 * A plain index scan knows the TIDs of the next rows, but a row fetched in random order costs the executor one cache miss after
 * the other: buffer descriptor, page header and line pointer, row. What is missing to prefetch them is the buffer a block
 * is in, which the buffer mapping table would tell for as many misses; so a scan remembers where it found blocks before. There the page of
 * the row is also pinned, without asking that table again.
 *
 * Contract: only hints. A remembered buffer may hold anything by now; it is neither pinned nor trusted.
 */
#ifndef ALEX_AHEAD_H
#define ALEX_AHEAD_H

#include "postgres.h"

#include "access/genam.h"

typedef struct AlexAhead AlexAhead;

/* NULL if the scan fetches no rows of a heap or an omen table in shared buffers. */
extern AlexAhead *alex_ahead_begin(IndexScanDesc scan, MemoryContext context);

/*
 * Tuple i of n is about to be returned, for the first time if "fresh" is set for the array: prefetches for the next ones, and pins the page of this
 * one where the fetch that follows looks first. The
 * tuples are index tuples of "stride" words.
 */
extern void alex_ahead_prefetch(AlexAhead *ahead, IndexScanDesc scan, const uint64 *tuples, int stride, uint32 i, uint32 n,
								bool fresh);

#endif							/* ALEX_AHEAD_H */
