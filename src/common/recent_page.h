/*
 * recent_page.h - pinning a page where it was last seen.
 *
 * For those who come to the same pages again and again and remember the buffers: it spares them the search of the buffer mapping table, with its
 * cache misses and its lock. Contract: as ReadBuffer(), and counted as that is; the remembered buffer is only a hint.
 */
#ifndef OMEN_ALEX_RECENT_PAGE_H
#define OMEN_ALEX_RECENT_PAGE_H

#include "postgres.h"

#include "pgstat.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "compat.h"

/*
 * ReadRecentBuffer() does not add to the usage count, so a page that is only found that way would be evicted. From this count on it is safe enough
 * until the clock has come by.
 */
#define RECENT_PAGE_USED 2

/* The page, pinned; "hint" is where it was, or no buffer. */
static inline Buffer
recent_page(Relation rel, BlockNumber block, Buffer hint)
{
	if (BufferIsValid(hint) &&
		(BufferIsLocal(hint) ||
		 BUF_STATE_GET_USAGECOUNT(compat_read_buffer_state(hint)) >= RECENT_PAGE_USED) &&
		ReadRecentBuffer(compat_locator(rel), MAIN_FORKNUM, block, hint))
	{
		pgstat_count_buffer_read(rel);
		pgstat_count_buffer_hit(rel);
		compat_count_io_hit(hint);
		return hint;
	}
	return ReadBuffer(rel, block);
}

#endif							/* OMEN_ALEX_RECENT_PAGE_H */
