/*
 * compat.h - the differences between PostgreSQL 15, 16, 17, 18 and 19 that our code meets, in one place.
 */
#ifndef OMEN_ALEX_COMPAT_H
#define OMEN_ALEX_COMPAT_H

#include "postgres.h"

#ifdef USE_ICU
#include <unicode/ucol.h>
#endif

#include "access/reloptions.h"
#include "catalog/pg_collation.h"
#include "commands/vacuum.h"
#include "storage/bufmgr.h"
#include "utils/pg_locale.h"
#include "utils/rel.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "omen_alex supports PostgreSQL 15 to 19"
#endif

/* the macros for varlenas left postgres.h in 16 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* old_snapshot_threshold was removed in 17: until then a page read checks whether its snapshot is too old */
#if PG_VERSION_NUM < 170000
#include "utils/snapmgr.h"
#define compat_test_old_snapshot(snapshot, rel, page) TestForOldSnapshot(snapshot, rel, page)
#else
#define compat_test_old_snapshot(snapshot, rel, page) ((void) 0)
#endif

/* the cost delay point learned to tell ANALYZE apart in 18 */
#if PG_VERSION_NUM >= 180000
#define compat_vacuum_delay_point() vacuum_delay_point(false)
#else
#define compat_vacuum_delay_point() vacuum_delay_point()
#endif

/* 19 wants to know whether the horizon may be looked at again */
#if PG_VERSION_NUM >= 190000
#define compat_is_removable(vistest, xid) GlobalVisTestIsRemovableXid(vistest, xid, true)
#else
#define compat_is_removable(vistest, xid) GlobalVisTestIsRemovableXid(vistest, xid)
#endif

/*
 * Unlogged changes of a page that is locked in share mode: from 19 on another kind of lock is asked for, which is not to be had while somebody writes the
 * page out. False: not now.
 */
#if PG_VERSION_NUM >= 190000
#define compat_begin_hints(buffer) BufferBeginSetHintBits(buffer)
#define compat_finish_hints(buffer, changed) BufferFinishSetHintBits(buffer, changed, true)
#else
#define compat_begin_hints(buffer) true
#define compat_finish_hints(buffer, changed) ((changed) ? MarkBufferDirtyHint(buffer, true) : (void) 0)
#endif

/* the lock of a page's content is no lightweight lock any more; the state of a buffer is longer; storage/buf_internals.h */
#if PG_VERSION_NUM >= 190000
#define compat_page_locked_by_us(buffer) BufferIsLockedByMe(buffer)
#define compat_read_buffer_state(buffer) pg_atomic_read_u64(&GetBufferDescriptor((buffer) - 1)->state)
#else
#define compat_page_locked_by_us(buffer) LWLockHeldByMe(BufferDescriptorGetContentLock(GetBufferDescriptor((buffer) - 1)))
#define compat_read_buffer_state(buffer) pg_atomic_read_u32(&GetBufferDescriptor((buffer) - 1)->state)
#endif

/* routines of access methods are constant from 19 on, and not for the caller to free; access/amapi.h */
#if PG_VERSION_NUM >= 190000
typedef const IndexAmRoutine *CompatIndexRoutine;
#define compat_free_routine(routine) ((void) (routine))
#define compat_new_routine() \
	({ \
		static IndexAmRoutine routine = {.type = T_IndexAmRoutine}; \
		&routine; \
	})
#else
typedef IndexAmRoutine *CompatIndexRoutine;
#define compat_free_routine(routine) pfree(routine)
#define compat_new_routine() makeNode(IndexAmRoutine)
#endif

/* 19 counts the progress of a rewrite under the name of REPACK; commands/progress.h */
#if PG_VERSION_NUM >= 190000
#define PROGRESS_CLUSTER_PHASE PROGRESS_REPACK_PHASE
#define PROGRESS_CLUSTER_INDEX_RELID PROGRESS_REPACK_INDEX_RELID
#define PROGRESS_CLUSTER_TOTAL_HEAP_BLKS PROGRESS_REPACK_TOTAL_HEAP_BLKS
#define PROGRESS_CLUSTER_HEAP_BLKS_SCANNED PROGRESS_REPACK_HEAP_BLKS_SCANNED
#define PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED PROGRESS_REPACK_HEAP_TUPLES_SCANNED
#define PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN PROGRESS_REPACK_HEAP_TUPLES_INSERTED
#define PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP PROGRESS_REPACK_PHASE_SEQ_SCAN_HEAP
#define PROGRESS_CLUSTER_PHASE_INDEX_SCAN_HEAP PROGRESS_REPACK_PHASE_INDEX_SCAN_HEAP
#define PROGRESS_CLUSTER_PHASE_SORT_TUPLES PROGRESS_REPACK_PHASE_SORT_TUPLES
#define PROGRESS_CLUSTER_PHASE_WRITE_NEW_HEAP PROGRESS_REPACK_PHASE_WRITE_NEW_HEAP
#endif

/* access/tableam.h, catalog/index.h, utils/arrayaccess.h: more arguments, or fewer, in 19 */
#if PG_VERSION_NUM >= 190000
#define compat_index_fetch_begin(rel) table_index_fetch_begin(rel, SO_NONE)
#define compat_beginscan_parallel(rel, shared) table_beginscan_parallel(rel, shared, SO_NONE)
#define compat_startblock_init(rel, worker, shared, first, count) \
	table_block_parallelscan_startblock_init(rel, worker, shared, first, count)
#define compat_index_build(heap, index, info) index_build(heap, index, info, false, false, false)
#define compat_array_iter_setup(iter, array, len, byval, align) array_iter_setup(iter, array, len, byval, align)
#define compat_array_iter_next(iter, isnull, i, len, byval, align) array_iter_next(iter, isnull, i)
#else
#define compat_index_fetch_begin(rel) table_index_fetch_begin(rel)
#define compat_beginscan_parallel(rel, shared) table_beginscan_parallel(rel, shared)
#define compat_startblock_init(rel, worker, shared, first, count) \
	((void) (first), (void) (count), table_block_parallelscan_startblock_init(rel, worker, shared))
#define compat_index_build(heap, index, info) index_build(heap, index, info, false, false)
#define compat_array_iter_setup(iter, array, len, byval, align) array_iter_setup(iter, array)
#define compat_array_iter_next(iter, isnull, i, len, byval, align) array_iter_next(iter, isnull, i, len, byval, align)
#endif

/* numbers of waits; WAIT_EVENT_... are names of core's */
#if PG_VERSION_NUM >= 190000
#include "utils/wait_event.h"
#endif

/* 19 remembers beside the page that an index scan keeps pinned which it is; access/heapam.h */
#if PG_VERSION_NUM >= 190000
#define compat_note_heap_block(fetch, block) ((fetch)->xs_blk = (block))
#else
#define compat_note_heap_block(fetch, block) ((void) 0)
#endif

/* heap's page pruning may set bits of the visibility map from 19 on; access/heapam.h */
#if PG_VERSION_NUM >= 190000
#define compat_heap_prune_opt(rel, buffer, vmbuffer, read_only) heap_page_prune_opt(rel, buffer, vmbuffer, read_only)
#else
#define compat_heap_prune_opt(rel, buffer, vmbuffer, read_only) heap_page_prune_opt(rel, buffer)
#endif

/* up to 18, ANALYZE tells what transactions are over for all; later who counts asks; storage/procarray.h */
#if PG_VERSION_NUM >= 190000
#define COMPAT_ANALYZE_HORIZON
#define COMPAT_ANALYZE_OLDEST(scan) ((scan)->horizon)
#define compat_analyze_horizon(rel) GetOldestNonRemovableTransactionId(rel)
#else
#define COMPAT_ANALYZE_HORIZON TransactionId oldest_xmin,
#define COMPAT_ANALYZE_OLDEST(scan) oldest_xmin
#define compat_analyze_horizon(rel) InvalidTransactionId
#endif

/* whom a VACUUM is reported of; pgstat.h */
#if PG_VERSION_NUM >= 190000
#define COMPAT_VACUUM_REPORT(rel) (rel)
#else
#define COMPAT_VACUUM_REPORT(rel) RelationGetRelid(rel), (rel)->rd_rel->relisshared
#endif

/* from VACUUM's parameters: above how many milliseconds autovacuum tells; commands/vacuum.h */
#if PG_VERSION_NUM >= 190000
#define compat_log_min_duration(params) ((params)->log_vacuum_min_duration)
#else
#define compat_log_min_duration(params) ((params)->log_min_duration)
#endif

/* where the planner lets extensions change what it knows of a table's indexes; optimizer/plancat.h or optimizer/pathnode.h */
#if PG_VERSION_NUM >= 190000
#define compat_relation_hook_type build_simple_rel_hook_type
#define compat_relation_hook build_simple_rel_hook
#define COMPAT_RELATION_HOOK_ARGS PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte
#define COMPAT_RELATION_HOOK_PASS root, rel, rte
#else
#define compat_relation_hook_type get_relation_info_hook_type
#define compat_relation_hook get_relation_info_hook
#define COMPAT_RELATION_HOOK_ARGS PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel
#define COMPAT_RELATION_HOOK_PASS root, relid, inhparent, rel
#endif

/* logical decoding on standbys, by slots that the primary does not know of, came in 16 */
#define COMPAT_STANDBYS_DECODE (PG_VERSION_NUM >= 160000)

/* 18 replaced pg_attribute_noreturn() by this */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* before 17, index expressions run with the search path of whoever maintains the index */
#if PG_VERSION_NUM >= 170000
#include "utils/guc.h"
#define compat_restrict_search_path() RestrictSearchPath()
#else
#define compat_restrict_search_path() ((void) 0)
#endif

#if PG_VERSION_NUM < 160000
#include "storage/lmgr.h"
#endif

/* the relation's file */
#if PG_VERSION_NUM >= 160000
typedef RelFileLocator CompatLocator;
#define CompatLocatorEquals(a, b) RelFileLocatorEquals(a, b)
#define compat_locator(rel) ((rel)->rd_locator)
#define compat_relation_set_new_file relation_set_new_filelocator	/* callback of a table access method */
#else
typedef RelFileNode CompatLocator;
#define CompatLocatorEquals(a, b) RelFileNodeEquals(a, b)
#define compat_locator(rel) ((rel)->rd_node)
#define compat_relation_set_new_file relation_set_new_filenode
#endif

/* the local transaction id moved in 17; it needs storage/proc.h */
#if PG_VERSION_NUM >= 170000
#define compat_my_lxid() (MyProc->vxid.lxid)
#else
#define compat_my_lxid() (MyProc->lxid)
#endif

/* the access method's part of a parallel index scan's memory got another name in 18; it needs access/relscan.h */
#if PG_VERSION_NUM >= 180000
#define compat_parallel_scan_area(parallel) OffsetToPointer(parallel, (parallel)->ps_offset_am)
#else
#define compat_parallel_scan_area(parallel) OffsetToPointer(parallel, (parallel)->ps_offset)
#endif

/* what the size of that part may depend on */
#if PG_VERSION_NUM >= 180000
#define COMPAT_ESTIMATE_PARALLEL_ARGS Relation rel, int nkeys, int norderbys
#elif PG_VERSION_NUM >= 170000
#define COMPAT_ESTIMATE_PARALLEL_ARGS int nkeys, int norderbys
#else
#define COMPAT_ESTIMATE_PARALLEL_ARGS void
#endif

/* 18 can log locks that were not to be had; they need storage/lmgr.h */
#if PG_VERSION_NUM >= 180000
#define compat_conditional_lock_tuple(rel, tid, mode) ConditionalLockTuple(rel, tid, mode, false)
#define compat_conditional_xact_wait(xid) ConditionalXactLockTableWait(xid, false)
#else
#define compat_conditional_lock_tuple(rel, tid, mode) ConditionalLockTuple(rel, tid, mode)
#define compat_conditional_xact_wait(xid) ConditionalXactLockTableWait(xid)
#endif

/* 16 can extend a table by several pages at once; access/hio.h */
#if PG_VERSION_NUM >= 160000
#define compat_get_buffer_for_tuple RelationGetBufferForTuple
#else
#define compat_get_buffer_for_tuple(rel, len, other, options, bistate, vmbuffer, vmbuffer_other, npages) \
	((void) (npages), RelationGetBufferForTuple(rel, len, other, options, bistate, vmbuffer, vmbuffer_other))
#endif

/* from 16 on VACUUM tells indexes their table; access/genam.h */
#if PG_VERSION_NUM >= 160000
#define compat_set_vacuum_heap(info, heap) ((info)->heaprel = (heap))
#else
#define compat_set_vacuum_heap(info, heap) ((void) 0)
#endif

/* 16 named the field of a lock record after what it holds */
#if PG_VERSION_NUM >= 160000
#define COMPAT_LOCK_RECORD_XMAX(record) ((record).xmax)
#else
#define COMPAT_LOCK_RECORD_XMAX(record) ((record).locking_xid)
#endif

/* 16 tells summarizing indexes apart: their columns may change in place, but the indexes must be told */
#if PG_VERSION_NUM >= 160000
#define COMPAT_INDEX_ATTR_BLOCKING INDEX_ATTR_BITMAP_HOT_BLOCKING
#define COMPAT_SUMMARIZED_COLUMNS(rel) RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_SUMMARIZED)
#define COMPAT_SET_UPDATE_INDEXES(result, all, some) \
	(*(result) = (all) ? TU_All : (some) ? TU_Summarizing : TU_None)
#define compat_count_update(rel, in_place) pgstat_count_heap_update(rel, in_place, false)
#else
#define COMPAT_INDEX_ATTR_BLOCKING INDEX_ATTR_BITMAP_ALL
#define COMPAT_SUMMARIZED_COLUMNS(rel) NULL
#define COMPAT_SET_UPDATE_INDEXES(result, all, some) ((void) (some), *(result) = (all))
#define compat_count_update(rel, in_place) pgstat_count_heap_update(rel, in_place)
#endif

/*
 * How many parallel workers are wanted for an index build. Before 17 core asks for btree only; it asks neither in a bootstrap nor for a
 * table it has just truncated, which is empty. It needs miscadmin.h, nodes/execnodes.h and optimizer/optimizer.h.
 */
#if PG_VERSION_NUM >= 170000
#define compat_index_build_workers(heap, rel, info) ((info)->ii_ParallelWorkers)
#else
#define compat_index_build_workers(heap, rel, info) \
	((void) (info), IsNormalProcessingMode() && RelationGetNumberOfBlocks(heap) > 0 ? \
	 plan_create_index_workers(RelationGetRelid(heap), RelationGetRelid(rel)) : 0)
#endif

/*
 * Up to 17, INSERT ... ON CONFLICT refuses unique indexes that are not btrees; alex_upsert.c mends that. 16 can make maps
 * of columns where some are missing; access/attmap.h.
 */
#if PG_VERSION_NUM < 180000
#define COMPAT_UPSERT_KNOWS_BTREE
/* and so are foreign keys, see alex_foreign_key.c */
#define COMPAT_FOREIGN_KEY_KNOWS_BTREE
/* Does a command of ALTER TABLE make the constraints of its column anew? An expression can be changed since 17. */
#if PG_VERSION_NUM >= 170000
#define compat_rebuilds_constraints(subtype) ((subtype) == AT_AlterColumnType || (subtype) == AT_SetExpression)
#else
#define compat_rebuilds_constraints(subtype) ((subtype) == AT_AlterColumnType)
#endif
#endif
#if PG_VERSION_NUM >= 160000
#define compat_attrmap_if_different(in, out) build_attrmap_by_name_if_req(in, out, false)
#else
#define compat_attrmap_if_different(in, out) build_attrmap_by_name_if_req(in, out)
#endif

/* who owns a relation; utils/acl.h, catalog/pg_class.h */
#if PG_VERSION_NUM >= 160000
#define compat_owns_relation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#else
#define compat_owns_relation(relid, role) pg_class_ownercheck(relid, role)
#endif

/* keys over periods came with 18 */
#if PG_VERSION_NUM >= 180000
#define compat_without_overlaps(constraint) ((constraint)->without_overlaps)
#else
#define compat_without_overlaps(constraint) false
#endif

/* A subscription's worker finds the rows to change by an index: 17 knows strategies of btree and hash only. */
#define COMPAT_APPLY_NEEDS_BTREE (PG_VERSION_NUM >= 170000 && PG_VERSION_NUM < 180000)

/* 16 has one function for the rights to objects of all kinds; utils/acl.h, catalog/pg_proc.h */
#if PG_VERSION_NUM >= 160000
#define compat_function_aclcheck(oid, role, mode) object_aclcheck(ProcedureRelationId, oid, role, mode)
#else
#define compat_function_aclcheck(oid, role, mode) pg_proc_aclcheck(oid, role, mode)
#endif

/* GROUP BY; 16 leaves out what conditions make constant, and the target of what is grouped does not tell where that is; nodes/pathnodes.h */
#if PG_VERSION_NUM >= 160000
#define compat_group_clause(root) ((root)->processed_groupClause)
#else
#define compat_group_clause(root) ((root)->parse->groupClause)
#endif

/* A path is made of another one, and as disabled as that: 18 counts what is disabled, before it was in the costs. */
#if PG_VERSION_NUM >= 180000
#define compat_disable_as(path, other) ((path)->disabled_nodes = (other)->disabled_nodes)
#else
#define compat_disable_as(path, other) ((void) 0)
#endif

/* 18 counts the searches of a scan for EXPLAIN; access/genam.h, access/relscan.h */
#if PG_VERSION_NUM >= 190000
#define compat_index_beginscan(heap, rel, snapshot, nkeys) index_beginscan(heap, rel, snapshot, NULL, nkeys, 0, SO_NONE)
#elif PG_VERSION_NUM >= 180000
#define compat_index_beginscan(heap, rel, snapshot, nkeys) index_beginscan(heap, rel, snapshot, NULL, nkeys, 0)
#else
#define compat_index_beginscan(heap, rel, snapshot, nkeys) index_beginscan(heap, rel, snapshot, nkeys, 0)
#endif

/*
 * Appends one zeroed block to the main fork; returns it pinned and exclusively locked. It is locked before anybody else can: inserts try the last block
 * of a table, and VACUUM tells the free space map of blocks without content, so who came in between could fill it first.
 */
static inline Buffer
compat_extend_relation(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return ExtendBufferedRel(BMR_REL(rel), MAIN_FORKNUM, NULL, EB_LOCK_FIRST);
#else
	bool		locked = !RELATION_IS_LOCAL(rel);
	Buffer		buffer;

	if (locked)
		LockRelationForExtension(rel, ExclusiveLock);
	buffer = ReadBufferExtended(rel, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK, NULL);
	if (locked)
		UnlockRelationForExtension(rel, ExclusiveLock);
	return buffer;
#endif
}

/*
 * What ReadBuffer() counts for pg_stat_io when it finds a page, for one pinned with ReadRecentBuffer(), which does not; it needs pgstat.h. The
 * context of temporary tables is another.
 */
#if PG_VERSION_NUM >= 180000
#define compat_count_io_hit(buffer) \
	pgstat_count_io_op(BufferIsLocal(buffer) ? IOOBJECT_TEMP_RELATION : IOOBJECT_RELATION, IOCONTEXT_NORMAL, IOOP_HIT, 1, 0)
#elif PG_VERSION_NUM >= 160000
#define compat_count_io_hit(buffer) \
	pgstat_count_io_op(BufferIsLocal(buffer) ? IOOBJECT_TEMP_RELATION : IOOBJECT_RELATION, IOCONTEXT_NORMAL, IOOP_HIT)
#else
#define compat_count_io_hit(buffer) ((void) 0)
#endif

/* Has a collation the order of bytes? */
static inline bool
compat_collation_is_c(Oid collation)
{
#if PG_VERSION_NUM >= 180000
	return pg_newlocale_from_collation(collation)->collate_is_c;
#else
	return lc_collate_is_c(collation);
#endif
}

/* its collator */
#if PG_VERSION_NUM >= 190000
#define COMPAT_COLLATOR(locale) ((locale)->icu.ucol)
#else
#define COMPAT_COLLATOR(locale) ((locale)->info.icu.ucol)
#endif

/*
 * The locale of a collation of ICU; NULL if it is of another provider, or one whose sort keys say something else than its comparison: those that ignore
 * variable characters (ka-shifted). '-' U+0001 'ä' and '-' U+200D U+0301 '.' 'ä' have the same sort key, but are not equal (ICU 72).
 */
static inline pg_locale_t
compat_icu_locale(Oid collation)
{
#ifdef USE_ICU
	UErrorCode	status = U_ZERO_ERROR;
	pg_locale_t locale = pg_newlocale_from_collation(collation);

#if PG_VERSION_NUM >= 190000
	/* of all providers, only ICU has sort keys that core trusts, but for C */
	if (locale == NULL || locale->collate_is_c || !pg_strxfrm_enabled(locale))
		return NULL;
#else
	if (locale == NULL || locale->provider != COLLPROVIDER_ICU)
		return NULL;
#endif
	return ucol_getAttribute(COMPAT_COLLATOR(locale), UCOL_ALTERNATE_HANDLING, &status) == UCOL_SHIFTED ? NULL : locale;
#else
	return NULL;
#endif
}

/* The sort key of a string in a locale of ICU: returns its bytes, none of which is zero, and writes them if there is room for them and one more. */
static inline Size
compat_icu_sort_key(pg_locale_t locale, const char *string, Size n, char *key, Size room)
{
#if PG_VERSION_NUM >= 160000
	return pg_strnxfrm(key, room, string, n, locale);
#elif defined(USE_ICU)
	UChar	   *wide;
	int32_t		length = icu_to_uchar(&wide, string, n);
	Size		bytes = ucol_getSortKey(COMPAT_COLLATOR(locale), wide, length, (uint8_t *) key, (int32_t) room);

	pfree(wide);
	return bytes - 1;
#else
	return 0;
#endif
}

#endif							/* OMEN_ALEX_COMPAT_H */
