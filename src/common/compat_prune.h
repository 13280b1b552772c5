/*
 * compat_prune.h - heap's record of pruning, for pages on which every item has a line pointer of its own.
 *
 * Its replay marks line pointers dead and squeezes the page by itself, so that moved rows need not be logged. On a standby it waits for pins, and for
 * snapshots that do not see the conflict's transaction.
 */
#ifndef OMEN_ALEX_COMPAT_PRUNE_H
#define OMEN_ALEX_COMPAT_PRUNE_H

#include "postgres.h"

#include "access/heapam.h"
#include "access/heapam_xlog.h"
#include "access/xloginsert.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* Marks rows dead, squeezes the page, and logs it. In a critical section, with the cleanup lock; the page is sound. */
static inline void
compat_prune_dead(Relation rel, Buffer buffer, TransactionId conflict, OffsetNumber *dead, int ndead)
{
#if PG_VERSION_NUM >= 190000
	heap_page_prune_execute(buffer, false, NULL, 0, dead, ndead, NULL, 0);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
		log_heap_prune_and_freeze(rel, buffer, InvalidBuffer, 0, conflict, true, PRUNE_VACUUM_SCAN, NULL, 0, NULL, 0, dead, ndead,
								  NULL, 0);
#elif PG_VERSION_NUM >= 170000
	heap_page_prune_execute(buffer, false, NULL, 0, dead, ndead, NULL, 0);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
		log_heap_prune_and_freeze(rel, buffer, conflict, true, PRUNE_VACUUM_SCAN, NULL, 0, NULL, 0, dead, ndead, NULL, 0);
#else
	heap_page_prune_execute(buffer, NULL, 0, dead, ndead, NULL, 0);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
	{
		xl_heap_prune record;
		XLogRecPtr	lsn;

#if PG_VERSION_NUM >= 160000
		record.snapshotConflictHorizon = conflict;
		record.isCatalogRel = RelationIsAccessibleInLogicalDecoding(rel);
#else
		record.latestRemovedXid = conflict;
#endif
		record.nredirected = 0;
		record.ndead = ndead;
		XLogBeginInsert();
		XLogRegisterData((char *) &record, SizeOfHeapPrune);
		XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
		XLogRegisterBufData(0, (char *) dead, ndead * sizeof(OffsetNumber));
		lsn = XLogInsert(RM_HEAP2_ID, XLOG_HEAP2_PRUNE);
		PageSetLSN(BufferGetPage(buffer), lsn);
	}
#endif
}

#endif							/* OMEN_ALEX_COMPAT_PRUNE_H */
