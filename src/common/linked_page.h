/*
 * linked_page.h - pages that a link or an index entry leads to: is there such a block, and could we lock it?
 *
 * A damaged link, or a file that was cut off, may lead behind the end of the file, where core's error speaks of files; or to a page that we have locked
 * already, where we would wait for ourselves, and nothing could interrupt that. Both checks cost next to nothing when all is well.
 */
#ifndef OMEN_ALEX_LINKED_PAGE_H
#define OMEN_ALEX_LINKED_PAGE_H

#include "postgres.h"

#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/lwlock.h"
#include "storage/smgr.h"
#include "utils/rel.h"

/* Asks the file only about blocks behind what was its end when last asked. */
static inline bool
block_exists(Relation rel, BlockNumber block)
{
	BlockNumber known = RelationGetSmgr(rel)->smgr_cached_nblocks[MAIN_FORKNUM];

	if (likely(block < known && known != InvalidBlockNumber))
		return true;
	return block < RelationGetNumberOfBlocks(rel);
}

/* Have we locked this page? Who has any page locked holds off interrupts. Pages of temporary tables need no locks. */
static inline bool
page_is_locked_by_us(Buffer buffer)
{
	return unlikely(InterruptHoldoffCount > 0) && !BufferIsLocal(buffer) &&
		compat_page_locked_by_us(buffer);
}

#endif							/* OMEN_ALEX_LINKED_PAGE_H */
