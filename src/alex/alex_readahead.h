/*
 * alex_readahead.h - reading blocks from disk before the scan gets there.
 *
 * A plain index scan knows the TIDs of the next rows. Where their blocks are not in shared buffers it asks the operating system for
 * them some blocks ahead, as a bitmap heap scan does: effective_io_concurrency, of the table's tablespace, says how many. Nobody has
 * to say when that pays: a scan begins when a read from disk was counted since its last row, but for those of the index itself, goes further ahead
 * with every other one, and stops when what it asks for turns out to be in shared buffers.
 *
 * Contract: only hints, no pins. Index-only scans read ahead in the index only: what the visibility map spares them is not known yet.
 */
#ifndef ALEX_READAHEAD_H
#define ALEX_READAHEAD_H

#include "postgres.h"

#include "access/genam.h"
#include "utils/rel.h"
#include "executor/instrument.h"

typedef struct AlexReadahead
{
	int64		reads;			/* of the backend, when last looked at */
	int			limit;			/* blocks ahead at most; 0: never, -1: not known yet */
	int			distance;		/* blocks ahead by now; 0: none */
	int			pending;		/* blocks asked for and not reached yet, roughly */
	int			found;			/* blocks in a row that were in shared buffers */
	BlockNumber nblocks;		/* of the table, when last looked at */
	uint32		next;			/* the tuple of the array whose block has not been asked for */
} AlexReadahead;

extern void alex_readahead_begin(AlexReadahead *ahead);

/* Have blocks been read, by whatever this backend runs, since this was asked last? */
static inline bool
alex_blocks_were_read(const AlexReadahead *ahead)
{
	return ahead->reads != pgBufferUsage.shared_blks_read;
}

/*
 * Does the relation have the block? To ask for another one ahead would be an error, for a row that the scan may never come to: damaged pages
 * name such. *nblocks is what is known, at first 0.
 */
extern bool alex_block_exists(Relation rel, BlockNumber block, BlockNumber *nblocks);

/*
 * To be called when blocks were read or the distance is not zero, and tuple i of n is about to be returned; for the first time if "fresh" is set
 * for the array. The tuples are index tuples of "stride" words.
 */
extern void alex_readahead(AlexReadahead *ahead, IndexScanDesc scan, const uint64 *tuples, int stride, uint32 i, uint32 n,
						   bool fresh);

#endif							/* ALEX_READAHEAD_H */
