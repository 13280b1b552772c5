/*
 * compat_vm.h - clearing bits of the visibility map, with the record that says so.
 *
 * Newer minor releases log the map's page as block 1 of the record (so that incremental backups and pg_rewind know of the change), and
 * clear it with its page locked by the caller. Which release it is, the header tells.
 */
#ifndef OMEN_ALEX_COMPAT_VM_H
#define OMEN_ALEX_COMPAT_VM_H

#include "postgres.h"

#include "access/heapam.h"
#include "access/heapam_xlog.h"
#include "access/visibilitymap.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

#ifdef HEAP_MULTI_INSERT_BLKREF_VM

StaticAssertDecl(HEAP_MULTI_INSERT_BLKREF_VM == 1 && HEAP_LOCK_BLKREF_VM == 1, "the map is block 1");

/* Before the critical section that clears, and after it. */
#define compat_vm_lock(vmbuffer) LockBuffer(vmbuffer, BUFFER_LOCK_EXCLUSIVE)
#define compat_vm_unlock(vmbuffer) LockBuffer(vmbuffer, BUFFER_LOCK_UNLOCK)
/* Whether bits were set. */
#define compat_vm_clear(rel, block, vmbuffer, flags) visibilitymap_clear_locked(rel, block, vmbuffer, flags)
/* If they were. */
#define compat_vm_register(vmbuffer) XLogRegisterBuffer(1, vmbuffer, 0)
#define compat_vm_set_lsn(vmbuffer, lsn) PageSetLSN(BufferGetPage(vmbuffer), lsn)

#else

#define compat_vm_lock(vmbuffer) ((void) 0)
#define compat_vm_unlock(vmbuffer) ((void) 0)
#define compat_vm_clear(rel, block, vmbuffer, flags) visibilitymap_clear(rel, block, vmbuffer, flags)
#define compat_vm_register(vmbuffer) ((void) 0)
#define compat_vm_set_lsn(vmbuffer, lsn) ((void) (lsn))

#endif

/* Sets bits of the map and the page's flag, and logs that: "conflict" is the newest xid that some snapshot may not see. The page is locked. */
static inline void
compat_vm_set(Relation rel, BlockNumber block, Buffer buffer, Buffer vmbuffer, TransactionId conflict, uint8 flags)
{
#if PG_VERSION_NUM >= 190000
	LockBuffer(vmbuffer, BUFFER_LOCK_EXCLUSIVE);
	START_CRIT_SECTION();
	PageSetAllVisible(BufferGetPage(buffer));
	MarkBufferDirty(buffer);
	visibilitymap_set(block, vmbuffer, flags, rel->rd_locator);
	if (RelationNeedsWAL(rel))
		log_heap_prune_and_freeze(rel, buffer, vmbuffer, flags, conflict, false, PRUNE_VACUUM_SCAN, NULL, 0, NULL, 0, NULL, 0,
								  NULL, 0);
	END_CRIT_SECTION();
	LockBuffer(vmbuffer, BUFFER_LOCK_UNLOCK);
#else
	PageSetAllVisible(BufferGetPage(buffer));
	MarkBufferDirty(buffer);
	(void) visibilitymap_set(rel, block, buffer, InvalidXLogRecPtr, vmbuffer, conflict, flags);
#endif
}

#endif							/* OMEN_ALEX_COMPAT_VM_H */
