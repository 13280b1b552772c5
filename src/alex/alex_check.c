/*
 * alex_check.c - alex_check(): verifies every invariant of an index, and on request that every row is in it.
 *
 * On a primary the table and the index are locked with ShareLock: nobody writes, vacuums or splits meanwhile, so what
 * spans pages can be checked exactly:
 *
 *   - the metapage is the one this version would write
 *   - every node by itself: alex_node_validate(), its flags, where its links and separators may point
 *   - on every level, from left to right: left link, level, low fence = high fence of the left sibling
 *   - the separators of a level are exactly the low fences of the nodes one level down, and lead to those nodes;
 *     only the right half of an unfinished split may lack its separator
 *   - every block is reached exactly once, or is deleted, or all zeroes (a crash can leave such pages)
 *
 * During recovery ShareLock cannot be had, and the tree changes as the standby follows. Then every node is checked by
 * itself only: each is replayed under its lock, so that part must always hold.
 *
 * heapallindexed works in both cases as in amcheck: all records go into a Bloom filter, then the table is scanned as
 * CREATE INDEX CONCURRENTLY does, and the record of every visible row must be in the filter. A missing record
 * escapes notice with the filter's false positive rate (below 2 % if maintenance_work_mem has two bytes per row),
 * differently on every run; no sound index is ever reported.
 *
 * Pages are examined as private copies; no buffer lock is held for longer than it takes to copy one.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "lib/bloomfilter.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/bufpage.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "alex_inspect.h"
#include "open_existing.h"

PG_FUNCTION_INFO_V1(alex_check);

typedef struct CheckState
{
	Relation	heap;
	Relation	rel;
	AlexIndex	index;
	bool		locked;			/* nothing changes while we look */
	BlockNumber nblocks;
	BufferAccessStrategy strategy;
	char	   *page;			/* the node under check */
	uint64	   *scratch;		/* its records, and what the core needs to find them */
	Size		scratch_words;	/* room there */
	uint8	   *reached;		/* a bit per block */
	int64		records;		/* in leaves */

	/* the separators of the level above, read from left to right as the nodes below are */
	struct
	{
		char	   *page;
		uint64	   *records;
		BlockNumber block;
		uint32		count;
		uint32		at;			/* the next separator */
	}			parent;

	bloom_filter *filter;
	int64		rows;			/* found in it */
} CheckState;

pg_noreturn static void corrupt(CheckState *state, BlockNumber block, const char *format,...)
			pg_attribute_printf(3, 4);

static void
corrupt(CheckState *state, BlockNumber block, const char *format,...)
{
	char		detail[512];
	va_list		args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is corrupt at block %u", RelationGetRelationName(state->rel), block),
			 errdetail("%s.", detail),
			 errhint("REINDEX the index; alex_page() shows the block.")));
}

static void
read_page(CheckState *state, BlockNumber block, char *page)
{
	CHECK_FOR_INTERRUPTS();
	alex_copy_page(state->rel, block, state->strategy, page);
}

/* ---- the metapage ---- */

/* It never changes, so every byte behind LSN and checksum is known. */
static void
check_meta(CheckState *state)
{
	Size		skip = offsetof(PageHeaderData, pd_flags);
	PGAlignedBlock wanted;

	memset(wanted.data, 0, BLCKSZ);
	alex_init_meta((Page) wanted.data, &state->index);
	read_page(state, ALEX_META_BLOCK, state->page);
	if (memcmp(state->page + skip, wanted.data + skip, BLCKSZ - skip) != 0)
		corrupt(state, ALEX_META_BLOCK, "The metapage differs from the one of a new index");
}

/* ---- one node by itself ---- */

/* Can a node of this block have a sibling or a child at "to"? */
static bool
link_possible(CheckState *state, BlockNumber from, BlockNumber to)
{
	if (to <= ALEX_ROOT_BLOCK || to == from)
		return false;
	/* a standby may have extended the relation since; a page is always extended before a link to it appears */
	if (to >= state->nblocks && !state->locked)
		state->nblocks = RelationGetNumberOfBlocks(state->rel);
	return to < state->nblocks;
}

static void
check_separators(CheckState *state, BlockNumber block)
{
	int			words = alex_cheader(state->page)->words;
	int			stride = alex_stride(words, 1);
	uint64		fence[ALEX_MAX_WORDS + 1];
	uint32		n = alex_decode(state->page, state->scratch);

	if (n == 0)
		corrupt(state, block, "The inner node has no children");
	if (alex_compare(state->scratch, alex_low_fence(state->page, fence), words) != 0)
		corrupt(state, block, "The first separator is not the low fence");
	for (uint32 i = 0; i < n; i++)
	{
		uint64		child = state->scratch[(Size) i * stride + words + 1];

		if (!link_possible(state, block, (BlockNumber) child))
			corrupt(state, block, "A separator leads to block %u, where no child can be; the index has %u blocks",
					(BlockNumber) child, state->nblocks);
	}
}

/* Room for what is in a node. */
static void
make_scratch(CheckState *state, Size words)
{
	if (words <= state->scratch_words)
		return;
	if (state->scratch)
		pfree(state->scratch);
	state->scratch = palloc_extended(words * sizeof(uint64), MCXT_ALLOC_HUGE);
	state->scratch_words = words;
}

/* Checks the node in state->page without looking at any other page. */
static void
check_node(CheckState *state, BlockNumber block)
{
	const AlexNodeHeader *node = alex_cheader(state->page);
	const AlexIndex *index = &state->index;
	const char *problem = alex_node_problem_of(state->page, index->least, index->words, BLCKSZ);
	bool		leftmost;
	uint32		at;

	if (problem == NULL)
	{
		make_scratch(state, ALEX_SCRATCH_WORDS(state->page));
		problem = alex_node_validate_of(state->page, index->least, index->words, BLCKSZ, state->scratch);
	}
	if (problem != NULL)
		corrupt(state, block, "The %s", problem);
	at = ((PageHeader) state->page)->pd_lower;
	if (node->level == 0)
		at += alex_killed_bytes(state->page);
	for (; at < ((PageHeader) state->page)->pd_upper; at++)
		if (((char *) state->page)[at] != 0)
			corrupt(state, block, "The free space of the node is not zeroed");
	if (node->flags & ~(ALEX_DELETED | ALEX_INCOMPLETE_SPLIT))
		corrupt(state, block, "The node has unknown flags 0x%02x", node->flags);
	if (node->flags & ALEX_DELETED)
	{
		if (block == ALEX_ROOT_BLOCK)
			corrupt(state, block, "The root is deleted");
		return;					/* nothing else in it is of any use */
	}

	if (block == ALEX_ROOT_BLOCK && (node->left != ALEX_NO_BLOCK || node->right != ALEX_NO_BLOCK))
		corrupt(state, block, "The root has a sibling");
	if (node->left != ALEX_NO_BLOCK && !link_possible(state, block, node->left))
		corrupt(state, block, "The left link leads to block %u, where no sibling can be; the index has %u blocks",
				node->left, state->nblocks);
	if (node->right != ALEX_NO_BLOCK && !link_possible(state, block, node->right))
		corrupt(state, block, "The right link leads to block %u, where no sibling can be; the index has %u blocks",
				node->right, state->nblocks);
	if ((node->flags & ALEX_INCOMPLETE_SPLIT) && node->right == ALEX_NO_BLOCK)
		corrupt(state, block, "The node has an unfinished split but no right sibling");

	leftmost = alex_low_tie(state->page) == 0;
	for (int i = 0; i < node->words; i++)
		if (alex_low_word(state->page, i) != 0)
			leftmost = false;
	if (leftmost != (node->left == ALEX_NO_BLOCK))
		corrupt(state, block, leftmost ?
				"The node has a left sibling but the low fence of the first node" :
				"The node has no left sibling but not the low fence of the first node");

	if (node->level > 0)
		check_separators(state, block);
	else
		state->records += alex_record_count(state->page);
}

/* ---- the tree as a whole, nobody changing it ---- */

/* Reads a node of the level above, which has been checked already, for its separators. */
static void
load_parent(CheckState *state, BlockNumber block)
{
	const char *problem;

	read_page(state, block, state->parent.page);

	/* it was sound when it was checked, but may have been read from disk again since */
	problem = alex_node_problem_of(state->parent.page, state->index.least, state->index.words, BLCKSZ);
	if (problem != NULL)
		corrupt(state, block, "The %s", problem);
	if (state->parent.records)
		pfree(state->parent.records);
	state->parent.records = palloc_extended(ALEX_SCRATCH_WORDS(state->parent.page) * sizeof(uint64), MCXT_ALLOC_HUGE);
	state->parent.block = block;
	state->parent.at = 0;
	state->parent.count = alex_decode(state->parent.page, state->parent.records);
	if (state->parent.count == 0)
		corrupt(state, block, "The inner node has no children");
}

/* The next separator of the level above, of the words of the parent, or NULL after the last one. */
static const uint64 *
next_separator(CheckState *state)
{
	if (state->parent.at == state->parent.count)
	{
		BlockNumber right = alex_cheader(state->parent.page)->right;

		if (right == ALEX_NO_BLOCK)
			return NULL;
		load_parent(state, right);
	}
	return state->parent.records + (Size) state->parent.at * alex_stride(alex_cheader(state->parent.page)->words, 1);
}

/* Matches the node in state->page with the next separator of the level above. */
static void
check_parent(CheckState *state, BlockNumber block, bool may_lack)
{
	const uint64 *separator = next_separator(state);
	int			words = alex_cheader(state->parent.page)->words;
	BlockNumber child = separator ? (BlockNumber) separator[words + 1] : InvalidBlockNumber;
	uint64		fence[ALEX_MAX_WORDS + 1];

	if (child == block)
	{
		if (alex_compare_widths(separator, words, alex_low_fence(state->page, fence), alex_cheader(state->page)->words) != 0)
			corrupt(state, block, "The low fence is not the separator that leads here from block %u",
					state->parent.block);
		state->parent.at++;
	}
	else if (!may_lack)
	{
		if (separator == NULL)
			corrupt(state, block, "No separator leads to the node, and the last one of its parents has been met");
		corrupt(state, block, "No separator leads to the node: the next one, in block %u, leads to block %u",
				state->parent.block, child);
	}
}

/*
 * Walks one level from its leftmost node; "parent" is the leftmost node of the level above, if there is one.
 * Returns the leftmost node of the level below.
 */
static BlockNumber
check_level(CheckState *state, int level, BlockNumber block, BlockNumber parent)
{
	const AlexNodeHeader *node = alex_cheader(state->page);
	BlockNumber left = InvalidBlockNumber;
	BlockNumber below = InvalidBlockNumber;
	int			words = 0;		/* of the fence */
	uint64		fence[ALEX_MAX_WORDS + 1] = {0};	/* where the next node must begin */
	bool		split_unfinished = false;

	if (parent != InvalidBlockNumber)
		load_parent(state, parent);

	while (block != ALEX_NO_BLOCK)
	{
		BlockNumber from = left != InvalidBlockNumber ? left : parent;
		uint64		low[ALEX_MAX_WORDS + 1];

		/* a cycle ends here too */
		if (state->reached[block / 8] & (1 << block % 8))
			corrupt(state, block, "The node is reached a second time, from block %u", from);
		state->reached[block / 8] |= 1 << block % 8;

		read_page(state, block, state->page);
		if (PageIsNew((Page) state->page))
			corrupt(state, block, "The page is all zeroes, but block %u leads to it", from);
		check_node(state, block);
		if (node->flags & ALEX_DELETED)
			corrupt(state, block, "The node is deleted, but block %u leads to it", from);
		if (node->level != level)
			corrupt(state, block, "The node has level %d, but block %u leads to it as one of level %d",
					node->level, from, level);
		if (node->left != left)
			corrupt(state, block, "The left link is %u, but the left sibling is block %u", node->left, left);
		if (alex_compare_widths(alex_low_fence(state->page, low), node->words, fence, words) != 0)
			corrupt(state, block, "The low fence is not the high fence of the left sibling, block %u", left);
		if (parent != InvalidBlockNumber)
			check_parent(state, block, split_unfinished);

		if (left == InvalidBlockNumber && level > 0)
		{
			uint64		first[ALEX_MAX_WORDS + 1] = {0};

			below = alex_find_child(state->page, first, NULL);
		}
		split_unfinished = (node->flags & ALEX_INCOMPLETE_SPLIT) != 0;
		words = node->words;
		if (node->right != ALEX_NO_BLOCK)
			alex_high_fence(state->page, fence);
		left = block;
		block = node->right;
	}

	if (parent != InvalidBlockNumber)
	{
		const uint64 *separator = next_separator(state);

		if (separator != NULL)
			corrupt(state, state->parent.block, "A separator leads to block %u, which is not where it should be on level %d",
					(BlockNumber) separator[alex_cheader(state->parent.page)->words + 1], level);
	}
	return below;
}

static void
check_tree(CheckState *state)
{
	BlockNumber leftmost = ALEX_ROOT_BLOCK;
	BlockNumber above = InvalidBlockNumber;
	const char *problem;

	read_page(state, ALEX_ROOT_BLOCK, state->page);
	problem = alex_node_problem_of(state->page, state->index.least, state->index.words, BLCKSZ);
	if (problem != NULL)
		corrupt(state, ALEX_ROOT_BLOCK, "The %s", problem);

	state->reached = palloc_extended(state->nblocks / 8 + 1, MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	state->parent.page = palloc(BLCKSZ);
	for (int level = alex_cheader(state->page)->level; level >= 0; level--)
	{
		BlockNumber below = check_level(state, level, leftmost, above);

		above = leftmost;
		leftmost = below;
	}

	/* what the tree does not reach must not look as if it should */
	for (BlockNumber block = ALEX_ROOT_BLOCK; block < state->nblocks; block++)
	{
		if (state->reached[block / 8] & (1 << block % 8))
			continue;
		read_page(state, block, state->page);
		if (PageIsNew((Page) state->page))
			continue;
		check_node(state, block);
		if ((alex_cheader(state->page)->flags & ALEX_DELETED) == 0)
			corrupt(state, block, "The node is not deleted, but nothing leads to it");
	}
}

/* ---- during recovery: node by node ---- */

static void
check_pages(CheckState *state)
{
	BlockNumber end = state->nblocks;

	for (BlockNumber block = ALEX_ROOT_BLOCK; block < end; block++)
	{
		read_page(state, block, state->page);
		if (!PageIsNew((Page) state->page))
			check_node(state, block);
		else if (block == ALEX_ROOT_BLOCK)
			corrupt(state, block, "The root is all zeroes");
	}
}

/* ---- is every row in the index? ---- */

/* Adds a record to the filter, or if that is not wanted, says whether it is not there. Words that it does not use do not count. */
static bool
fingerprint(CheckState *state, const uint64 *record, int words, bool add)
{
	uint64		used[ALEX_MAX_WORDS + 1];
	int			n = alex_used_words(record, words);

	memcpy(used, record, n * sizeof(uint64));
	used[n] = record[words];
	if (!add)
		return bloom_lacks_element(state->filter, (unsigned char *) used, (n + 1) * sizeof(uint64));
	bloom_add_element(state->filter, (unsigned char *) used, (n + 1) * sizeof(uint64));
	return false;
}

/*
 * Adds all records to the filter. The walk follows the fences, so it is complete even while a standby replays splits
 * and deletions: records only ever move to nodes further right.
 */
static void
fingerprint_index(CheckState *state)
{
	const AlexNodeHeader *node = alex_cheader(state->page);
	int			position_words = 0;
	uint64		position[ALEX_MAX_WORDS + 1] = {0};
	BlockNumber right = InvalidBlockNumber;

	for (;;)
	{
		Buffer		buffer = InvalidBuffer;
		int			words;
		uint32		n;

		CHECK_FOR_INTERRUPTS();
		if (right != InvalidBlockNumber)
		{
			buffer = alex_pin(state->rel, right, state->strategy);
			alex_lock(state->rel, &state->index, buffer, BUFFER_LOCK_SHARE);
			if (!alex_covers(BufferGetPage(buffer), 0, position, position_words))
			{
				UnlockReleaseBuffer(buffer);
				buffer = InvalidBuffer;
			}
		}
		if (!BufferIsValid(buffer))
			buffer = alex_descend(state->rel, &state->index, position, position_words, 0, BUFFER_LOCK_SHARE);
		memcpy(state->page, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);

		words = node->words;
		make_scratch(state, ALEX_SCRATCH_WORDS(state->page));
		n = alex_decode(state->page, state->scratch);

		/* scans do not see entries marked dead; those of transactions that began in recovery do */
		if (!TransactionStartedDuringRecovery() && alex_has_killed(state->page))
			alex_mark_killed(state->page, state->scratch, n);
		for (uint32 i = 0; i < n; i++)
			if ((state->scratch[(Size) i * (words + 1) + words] & ALEX_KILLED) == 0)
				fingerprint(state, state->scratch + (Size) i * (words + 1), words, true);

		right = node->right;
		if (right == ALEX_NO_BLOCK)
			break;
		alex_high_fence(state->page, position);
		position_words = words;
	}
}

/* IndexBuildCallback */
static void
row_present(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	CheckState *state = arg;
	uint64		record[ALEX_MAX_WORDS + 1];

	CHECK_FOR_INTERRUPTS();
	alex_key_record(&state->index.key, values, isnull, tid, record);
	if (fingerprint(state, record, state->index.words, false))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" lacks the record of row (%u,%u) in table \"%s\"",
						RelationGetRelationName(state->rel), ItemPointerGetBlockNumber(tid),
						ItemPointerGetOffsetNumber(tid), RelationGetRelationName(state->heap)),
				 errhint("REINDEX the index; if the error stays, the table is damaged.")));
	state->rows++;
}

static void
check_rows(CheckState *state)
{
	Relation	rel = state->rel;
	IndexInfo  *info = BuildIndexInfo(rel);
	Snapshot	snapshot;
	TableScanDesc scan;

	/*
	 * Before the index is read, so that it must have a record of every row this snapshot sees. An MVCC snapshot even
	 * where nobody writes: an index built concurrently need not have the dead rows that SnapshotAny would show.
	 */
	snapshot = RegisterSnapshot(GetTransactionSnapshot());

	/* an old snapshot may see rows from before the index was built, in HOT chains it could not represent */
	if (IsolationUsesXactSnapshot() && rel->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(rel->rd_indextuple->t_data), snapshot->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("index \"%s\" is too new to be checked in this transaction", RelationGetRelationName(rel)),
				 errhint("Call alex_check() in a new transaction.")));

	state->filter = bloom_create(Max(state->records, 1), maintenance_work_mem, pg_prng_uint64(&pg_global_prng_state));
	fingerprint_index(state);

	/* the first scan of CREATE INDEX CONCURRENTLY, with our snapshot; uniqueness is not its business */
	info->ii_Concurrent = true;
	info->ii_Unique = false;
	info->ii_ExclusionOps = NULL;
	info->ii_ExclusionProcs = NULL;
	info->ii_ExclusionStrats = NULL;
	scan = table_beginscan_strat(state->heap, snapshot, 0, NULL, true, true);
	table_index_build_scan(state->heap, rel, info, true, false, row_present, state, scan);	/* ends the scan */

	elog(DEBUG1, "index \"%s\": " INT64_FORMAT " records, all " INT64_FORMAT " visible rows found, %.1f%% of filter set",
		 RelationGetRelationName(rel), state->records, state->rows, 100.0 * bloom_prop_bits_set(state->filter));
	bloom_free(state->filter);
	UnregisterSnapshot(snapshot);
}

/* ---- alex_check ---- */

static void
check_index(Relation heap, Relation rel, bool locked, bool heapallindexed)
{
	CheckState	state;

	memset(&state, 0, sizeof(state));
	state.heap = heap;
	state.rel = rel;
	state.locked = locked;
	state.nblocks = RelationGetNumberOfBlocks(rel);
	if (state.nblocks <= ALEX_ROOT_BLOCK)
		corrupt(&state, state.nblocks, "The relation has only %u blocks, but metapage and root are always there",
				state.nblocks);
	alex_open(rel, &state.index);
	state.strategy = GetAccessStrategy(BAS_BULKREAD);
	state.page = palloc(BLCKSZ);

	check_meta(&state);
	if (locked)
		check_tree(&state);
	else
		check_pages(&state);
	if (heapallindexed)
		check_rows(&state);
	FreeAccessStrategy(state.strategy);
}

/* Index expressions and predicates run as the table's owner, who could have written anything into them. */
static void
check_as_owner(Relation heap, Relation rel, bool locked, bool heapallindexed)
{
	Oid			save_userid;
	int			save_sec_context;
	int			save_nestlevel;

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(heap->rd_rel->relowner, save_sec_context | SECURITY_RESTRICTED_OPERATION);
	save_nestlevel = NewGUCNestLevel();
	compat_restrict_search_path();

	check_index(heap, rel, locked, heapallindexed);

	AtEOXact_GUC(false, save_nestlevel);
	SetUserIdAndSecContext(save_userid, save_sec_context);
}

void
alex_check_online(Oid indexid)
{
	Relation	heap = table_open(IndexGetRelation(indexid, false), AccessShareLock);
	Relation	rel = index_open(indexid, AccessShareLock);

	alex_require_index(rel);
	check_as_owner(heap, rel, false, true);
	index_close(rel, AccessShareLock);
	table_close(heap, AccessShareLock);
}

Datum
alex_check(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	bool		heapallindexed = PG_GETARG_BOOL(1);
	bool		locked = !RecoveryInProgress();
	LOCKMODE	lock = locked ? ShareLock : AccessShareLock;
	Oid			heapid = IndexGetRelation(relid, true);
	Relation	heap = NULL;
	Relation	rel;

	/* table before index, as everybody locks them; what is no index has none */
	if (OidIsValid(heapid))
		heap = table_open(heapid, lock);
	rel = open_existing(relid, lock);
	alex_require_index(rel);

	/* another index may have got the OID before we had the locks */
	if (heap == NULL || heapid != IndexGetRelation(relid, false))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open the table of index \"%s\"", RelationGetRelationName(rel))));
	if (!rel->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(rel)),
				 errhint("Wait for CREATE INDEX CONCURRENTLY to end; if it has failed, REINDEX or drop the index.")));

	if (alex_lacks_storage(rel))
		ereport(NOTICE,
				(errmsg("unlogged index \"%s\" cannot be checked during recovery, skipping",
						RelationGetRelationName(rel))));
	else
		check_as_owner(heap, rel, locked, heapallindexed);

	/* nothing was changed, so the locks need not last until the end of the transaction */
	index_close(rel, lock);
	table_close(heap, lock);
	PG_RETURN_VOID();
}
