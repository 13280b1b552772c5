/*
 * omen_check.c - omen_check(): verifies a table, and stops at the first thing that cannot be.
 *
 *   - every page is all zeroes, a row page, or a store page, with a sound header
 *   - items lie within their page and do not overlap; headers and columns fit their length; there are no heap-only chains
 *   - xids and multixacts are neither older than relfrozenxid and relminmxid say, nor in the future
 *   - every version that somebody may need is where the link to it says, names its row, and was written by a
 *     transaction that committed if its superseder did. One that is gone from the store is an error only if our own
 *     snapshot or an aborted update needs it, else a warning: see omen_peek.h
 *   - records fill a store page, and none is superseded by a newer transaction than the page says
 *   - what the visibility map vouches for is visible to us, and frozen if it says so
 *   - on request, every entry of every index leads to a row, live or dead: see omen_check_index.c
 *
 * Who committed is asked of the commit log: hint bits are not logged, so standbys, and servers after a crash, do not have them.
 *
 * Others may write meanwhile, but not VACUUM: a page is examined under its share lock, with the store pages its links
 * lead to. What is behind a superseder older than the horizon is nobody's business, and may be anything (README, "When
 * bytes may be overwritten"). The horizon moves on while we look, so what looks wrong is looked at again with the
 * latest one.
 */
#include "omen.h"

#include "access/multixact.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/procarray.h"

#include "omen_inspect.h"
#include "omen_peek.h"
#include "omen_private.h"
#include "open_existing.h"

PG_FUNCTION_INFO_V1(omen_check);

/* No page can hold more versions. */
#define MAX_VERSIONS (BLCKSZ / MAXALIGN(OMEN_MIN_ITEM))

typedef struct Span
{
	uint16		start;
	uint16		end;
	OffsetNumber offnum;
} Span;

typedef struct Check
{
	Relation	rel;
	BlockNumber nblocks;
	TransactionId horizon;
	Snapshot	snapshot;		/* taken before the first page was read */
	BlockNumber block;
	OffsetNumber offnum;		/* 0: the page as a whole */
	uint8		map_bits;		/* of the page in the visibility map */
	OmenLines  *lines;			/* line pointers in use; NULL: not asked for */
	TransactionId next_xid;		/* not yet in use, when last asked */
	MultiXactId next_multi;
	int			nspans;
	Span		spans[MAX_VERSIONS];

	/* older versions that are not where they should be, if anybody needs them */
	int64		missing;
	ItemPointerData first_missing;
	const char *first_problem;
} Check;

pg_noreturn static void
corrupt(Check *check, const char *problem)
{
	if (check->offnum == InvalidOffsetNumber)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("table \"%s\" is corrupt at block %u", RelationGetRelationName(check->rel), check->block),
				 errdetail("What is wrong: %s.", problem),
				 errhint("Restore the table from a backup.")));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s\" is corrupt at row (%u,%u)", RelationGetRelationName(check->rel), check->block,
					check->offnum),
			 errdetail("What is wrong: %s.", problem),
			 errhint("Restore the table from a backup.")));
}

/* ---- one version ---- */

static bool
in_future(Check *check, TransactionId xid)
{
	if (TransactionIdIsNormal(check->next_xid) && TransactionIdPrecedes(xid, check->next_xid))
		return false;
	check->next_xid = ReadNextTransactionId();
	return !TransactionIdPrecedes(xid, check->next_xid);
}

static bool
multi_in_future(Check *check, MultiXactId multi)
{
	if (MultiXactIdIsValid(check->next_multi) && MultiXactIdPrecedes(multi, check->next_multi))
		return false;
	check->next_multi = ReadNextMultiXactId();
	return !MultiXactIdPrecedes(multi, check->next_multi);
}

static const char *
xid_problem(Check *check, TransactionId xid, const char *too_old, const char *too_new)
{
	if (!TransactionIdIsNormal(xid))
		return NULL;
	if (TransactionIdIsNormal(check->rel->rd_rel->relfrozenxid) &&
		TransactionIdPrecedes(xid, check->rel->rd_rel->relfrozenxid))
		return too_old;
	if (in_future(check, xid))
		return too_new;
	return NULL;
}

static const char *
xmax_problem(Check *check, HeapTupleHeader header)
{
	TransactionId xmax = HeapTupleHeaderGetRawXmax(header);

	if (header->t_infomask & HEAP_XMAX_INVALID)
		return NULL;
	if (!(header->t_infomask & HEAP_XMAX_IS_MULTI))
		return xid_problem(check, xmax, "its xmax is older than relfrozenxid", "its xmax is in the future");
	if (!MultiXactIdIsValid(xmax))
		return NULL;
	if (MultiXactIdIsValid(check->rel->rd_rel->relminmxid) &&
		MultiXactIdPrecedes(xmax, check->rel->rd_rel->relminmxid))
		return "its multixact is older than relminmxid";
	if (multi_in_future(check, xmax))
		return "its multixact is in the future";
	return NULL;
}

/* Could there be a version where the link leads, whether there is one or not? */
static const char *
link_problem(Check *check, const OmenVersion *version)
{
	OmenLink	link = version->link;
	bool		fits;

	if (link.block == InvalidBlockNumber)
		fits = omen_link_fits(link, MAXALIGN(SizeOfPageHeaderData), OMEN_ROWS_END);
	else
		fits = link.offset == OMEN_RECORD_ALIGN(link.offset) && link.offset >= OMEN_STORE_START &&
			link.offset + sizeof(OmenRecord) <= OMEN_STORE_END && link.length >= OMEN_MIN_ITEM;
	if (!fits || link.length > OMEN_MAX_ITEM)
		return "the link to the version before it leads to no place for a version";
	if (link.block == check->block)
		return "the link to the version before it says store, but names the row's own block";
	return NULL;
}

static const char *
version_problem(Check *check, const OmenVersion *version)
{
	HeapTupleHeader header = version->tuple.t_data;
	const char *problem = omen_header_problem(check->rel, header, version->tuple.t_len + OMEN_LINK_SIZE);

	if (problem != NULL)
		return problem;
	if (header->t_infomask2 & (HEAP_HOT_UPDATED | HEAP_ONLY_TUPLE))
		return "it is marked as part of a heap-only chain";
	if (header->t_infomask & HEAP_MOVED)
		return "it is marked as moved by a VACUUM of old";
	if (version->link.offset != 0)
		problem = link_problem(check, version);
	else if (version->link.block != InvalidBlockNumber || version->link.length != 0)
		problem = "it does not end in a link";
	if (problem != NULL)
		return problem;
	if (version->link.offset != 0 && (header->t_infomask & HEAP_UPDATED))
		return "it is marked as the first version at this place, but has one before it";
	if (!HeapTupleHeaderXminFrozen(header) && !HeapTupleHeaderXminInvalid(header))
	{
		problem = xid_problem(check, HeapTupleHeaderGetRawXmin(header), "its xmin is older than relfrozenxid",
							  "its xmin is in the future");
		if (problem != NULL)
			return problem;
	}
	return omen_columns_problem(check->rel, &version->tuple);
}

/* ---- rows ---- */

/* Notes where an item lies. */
static const char *
add_span(Check *check, Page page, const OmenVersion *version)
{
	Span	   *span;

	if (check->nspans == MAX_VERSIONS)
		return "there are more versions than the page has room for";
	span = &check->spans[check->nspans++];
	span->start = (char *) version->tuple.t_data - (char *) page;
	span->end = span->start + version->tuple.t_len + OMEN_LINK_SIZE;
	span->offnum = check->offnum;
	return NULL;
}

static int
compare_spans(const void *a, const void *b)
{
	return (int) ((const Span *) a)->start - (int) ((const Span *) b)->start;
}

static const char *
overlap_problem(Check *check)
{
	qsort(check->spans, check->nspans, sizeof(Span), compare_spans);
	for (int i = 1; i < check->nspans; i++)
	{
		if (check->spans[i].start < check->spans[i - 1].end)
		{
			check->offnum = check->spans[i].offnum;
			return "one of its versions overlaps another";
		}
	}
	return NULL;
}

static const char *
head_problem(Check *check, const OmenVersion *head)
{
	HeapTupleHeader header = head->tuple.t_data;
	const char *problem = version_problem(check, head);

	if (problem == NULL)
		problem = xmax_problem(check, header);
	if (problem != NULL)
		return problem;
	/* to where it moved; what was there may be gone */
	if (!ItemPointerIsValid(&header->t_ctid))
		return "its t_ctid is no place for a row";
	if (HeapTupleHeaderIsSpeculative(header) || HeapTupleHeaderIndicatesMovedPartitions(header))
		return NULL;
	if (ItemPointerGetOffsetNumber(&header->t_ctid) > MaxHeapTuplesPerPage)
		return "its t_ctid is no place for a row";
	return NULL;
}

/* Was a row that was visible to all deleted or moved? Not if who tried has aborted, or crashed. */
static bool
was_deleted(HeapTupleHeader header)
{
	TransactionId xmax;

	if ((header->t_infomask & HEAP_XMAX_INVALID) || HeapTupleHeaderIsOnlyLocked(header))
		return false;
	xmax = HeapTupleHeaderGetUpdateXid(header);
	if (!TransactionIdIsValid(xmax))
		return false;
	return TransactionIdIsCurrentTransactionId(xmax) || TransactionIdIsInProgress(xmax) || TransactionIdDidCommit(xmax);
}

static const char *
map_problem(Check *check, const OmenVersion *head)
{
	HeapTupleHeader header = head->tuple.t_data;

	/* it was visible to all when the bit was set, which was before our snapshot was taken */
	if (!HeapTupleHeaderXminFrozen(header) &&
		(omen_xmin_state(header) != OMEN_XMIN_COMMITTED || !omen_xmin_visible(header, check->snapshot)))
		return "its page is marked all-visible, but who wrote it is not visible to all";
	if (was_deleted(header))
		return "its page is marked all-visible, but it was deleted";
	if ((check->map_bits & VISIBILITYMAP_ALL_FROZEN) && heap_tuple_needs_eventual_freeze(header))
		return "its page is marked all-frozen, but it is not frozen";
	return NULL;
}

/* Somebody else's snapshot might need a version that is gone; or nobody, and it was taken away. */
static void
note_missing(Check *check, const OmenVersion *version, const char *problem)
{
	/* the horizon may have moved on since we began */
	check->horizon = GetOldestNonRemovableTransactionId(check->rel);
	if (!omen_peek_needed(version, check->horizon) || check->missing++ > 0)
		return;
	ItemPointerSet(&check->first_missing, check->block, check->offnum);
	check->first_problem = problem;
}

/* All that might be needed behind a head. */
static const char *
chain_problem(Check *check, Buffer buffer, OmenVersion *version)
{
	uint64		steps = (uint64) check->nblocks * (BLCKSZ / sizeof(OmenRecord));

	while (omen_peek_needed(version, check->horizon))
	{
		bool		superseded = omen_xmin_state(version->tuple.t_data) == OMEN_XMIN_COMMITTED;
		bool		in_page = version->in_page;
		const char *problem;

		if (omen_peek_older(check->rel, buffer, version, &problem) != OMEN_PEEK_FOUND)
		{
			if (omen_older_lost(version, check->snapshot))
				return psprintf("of an older version that is needed, %s", problem);
			note_missing(check, version, problem);
			return NULL;
		}
		if (version->in_page && !in_page)
			return "a version in the store has one before it in the page";
		if (steps-- == 0)
			return "its versions form a circle";
		problem = version_problem(check, version);
		if (problem == NULL && version->in_page)
			problem = add_span(check, BufferGetPage(buffer), version);
		if (problem == NULL && !ItemPointerEquals(&version->tuple.t_data->t_ctid, &version->tuple.t_self))
			problem = "its t_ctid does not name its row";
		if (problem == NULL && superseded && omen_xmin_state(version->tuple.t_data) != OMEN_XMIN_COMMITTED)
			problem = "it was superseded by a transaction that committed, but was not written by one";
		if (problem != NULL)
			return psprintf("of an older version that may be needed, %s", problem);
	}
	return NULL;
}

static const char *
row_problem(Check *check, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	ItemId		lp = PageGetItemId(page, check->offnum);
	OmenVersion version;
	const char *problem;

	if (!ItemIdIsUsed(lp))
		return NULL;
	if (ItemIdIsRedirected(lp))
		return "its line pointer is a redirection";
	if (ItemIdIsDead(lp))
		return (check->map_bits & VISIBILITYMAP_ALL_VISIBLE) ? "its page is marked all-visible, but it is dead" : NULL;
	if (ItemIdGetOffset(lp) != MAXALIGN(ItemIdGetOffset(lp)) || ItemIdGetOffset(lp) < ((PageHeader) page)->pd_upper ||
		(Size) ItemIdGetOffset(lp) + ItemIdGetLength(lp) > OMEN_ROWS_END || ItemIdGetLength(lp) < OMEN_MIN_ITEM)
		return "its line pointer leads outside of the page's items";
	omen_head(check->rel, buffer, check->offnum, &version);

	problem = head_problem(check, &version);
	if (problem == NULL)
		problem = add_span(check, page, &version);
	if (problem == NULL && (check->map_bits & VISIBILITYMAP_ALL_VISIBLE))
		problem = map_problem(check, &version);
	if (problem == NULL)
		problem = chain_problem(check, buffer, &version);
	return problem;
}

static const char *
row_page_problem(Check *check, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	PageHeader	header = (PageHeader) page;
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	const char *problem;

	check->nspans = 0;
	check->offnum = InvalidOffsetNumber;
	if (header->pd_lower < SizeOfPageHeaderData || (header->pd_lower - SizeOfPageHeaderData) % sizeof(ItemIdData) != 0 ||
		header->pd_lower > header->pd_upper || header->pd_upper > header->pd_special || max > MaxHeapTuplesPerPage)
		return "the page's header is not sound";
	if (check->map_bits != 0 && !PageIsAllVisible(page))
		return "it is all-visible by the visibility map, but not by the page";

	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		check->offnum = offnum;
		problem = row_problem(check, buffer);
		if (problem != NULL)
			return problem;
	}
	return overlap_problem(check);
}

/* ---- store pages ---- */

static const char *
record_problem(Check *check, const OmenStoreSpecial *special, OmenRecord *record)
{
	ItemPointerData row;

	/* what nobody needs is not looked at by anybody */
	if (!TransactionIdIsValid(record->superseder))
		return NULL;
	if (!TransactionIdIsNormal(record->superseder))
		return "a record is superseded by no normal transaction";
	if (!TransactionIdIsNormal(special->newest) || TransactionIdFollows(record->superseder, special->newest))
		return "a record is superseded by a newer transaction than the page says";
	memcpy(&row, record->row, sizeof(row));
	if (!ItemPointerIsValid(&row) || ItemPointerGetOffsetNumber(&row) > MaxHeapTuplesPerPage ||
		ItemPointerGetBlockNumber(&row) == check->block)
		return "a record names no place for a row";
	if (record->length < OMEN_MIN_ITEM || record->length > OMEN_MAX_ITEM)
		return "a record's version has an impossible length";
	if ((record->flags & ~OMEN_RECORD_FLAGS) != 0)
		return "a record has flags that do not exist";
	if ((record->infomask2 & HEAP_NATTS_MASK) > RelationGetNumberOfAttributes(check->rel))
		return "a record has more columns than the table";
	return NULL;
}

static const char *
store_page_problem(Check *check, Page page)
{
	OmenStoreSpecial *special = omen_store_special(page);
	PageHeader	header = (PageHeader) page;
	Size		at = OMEN_STORE_START;

	check->offnum = InvalidOffsetNumber;
	if (header->pd_lower != SizeOfPageHeaderData || header->pd_upper != SizeOfPageHeaderData)
		return "the store page does not look full";
	if (check->map_bits != 0 || PageIsAllVisible(page))
		return "the store page is marked all-visible";
	if (special->fill < OMEN_STORE_START || special->fill > OMEN_STORE_END || special->fill != OMEN_RECORD_ALIGN(special->fill))
		return "the store page ends where it cannot";
	if (TransactionIdIsNormal(special->newest) && in_future(check, special->newest))
		return "the store page's newest transaction is in the future";

	while (at < special->fill)
	{
		OmenRecord *record = omen_record_at((char *) page, at, special->fill);
		const char *problem;

		if (record == NULL)
			return "the records do not fill the store page";
		problem = record_problem(check, special, record);
		if (problem != NULL)
			return problem;
		at = omen_record_end(record, at);
	}
	return NULL;
}

/* ---- pages ---- */

static const char *
page_problem(Check *check, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);

	switch (omen_page_kind(check->rel, check->block, page))
	{
		case OMEN_PAGE_NEW:
			check->offnum = InvalidOffsetNumber;
			return check->map_bits != 0 ? "the page is all zeroes, but has bits in the visibility map" : NULL;
		case OMEN_PAGE_ROWS:
			return row_page_problem(check, buffer);
		case OMEN_PAGE_STORE:
			return store_page_problem(check, page);
	}
	return NULL;
}

static void
check_block(Check *check, Buffer *vmbuffer, BufferAccessStrategy strategy)
{
	Buffer		buffer;
	const char *problem;
	int64		missing = check->missing;

	/* brings the map's page in, which is not done with the page locked */
	(void) visibilitymap_get_status(check->rel, check->block, vmbuffer);
	buffer = ReadBufferExtended(check->rel, MAIN_FORKNUM, check->block, RBM_NORMAL, strategy);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	check->map_bits = visibilitymap_get_status(check->rel, check->block, vmbuffer);
	while ((problem = page_problem(check, buffer)) != NULL)
	{
		TransactionId horizon = GetOldestNonRemovableTransactionId(check->rel);

		if (!TransactionIdFollows(horizon, check->horizon))
			corrupt(check, problem);
		check->horizon = horizon;
		check->missing = missing;
	}
	if (check->lines != NULL && omen_page_kind(check->rel, check->block, BufferGetPage(buffer)) == OMEN_PAGE_ROWS)
		omen_lines_note(check->lines, check->block, BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
}

Datum
omen_check(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	LOCKMODE	lockmode = RecoveryInProgress() ? AccessShareLock : ShareUpdateExclusiveLock;
	/* version 0.1.0 of the extension has no second argument */
	bool		indexes = (PG_NARGS() < 2 || PG_GETARG_BOOL(1)) && !RecoveryInProgress();
	Relation	rel = open_existing(relid, lockmode);
	BufferAccessStrategy strategy;
	Snapshot	snapshot;
	Buffer		vmbuffer = InvalidBuffer;
	Check	   *check;

	omen_require_table(rel);
	if (omen_lacks_storage(rel))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("unlogged table \"%s\" cannot be read during recovery", RelationGetRelationName(rel))));

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	strategy = GetAccessStrategy(BAS_BULKREAD);
	check = palloc0(sizeof(Check));
	check->rel = rel;
	check->snapshot = snapshot;
	check->horizon = GetOldestNonRemovableTransactionId(rel);
	check->nblocks = RelationGetNumberOfBlocks(rel);
	if (indexes && rel->rd_rel->relhasindex)
		check->lines = omen_lines_begin(check->nblocks);
	for (check->block = 0; check->block < check->nblocks; check->block++)
	{
		CHECK_FOR_INTERRUPTS();
		check_block(check, &vmbuffer, strategy);
	}
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
	if (check->lines != NULL)
	{
		omen_check_indexes(rel, check->lines);
		omen_lines_end(check->lines);
	}
	if (check->missing > 0)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("older versions of " INT64_FORMAT " rows of table \"%s\" are gone from the store",
						check->missing, RelationGetRelationName(rel)),
				 errdetail("The first is behind row (%u,%u): %s. Either nobody needs them, and the horizon went back "
						   "since they were taken away, as it does for transactions in other databases and for "
						   "standbys; or they are damaged, and other sessions' snapshots miss them.",
						   ItemPointerGetBlockNumber(&check->first_missing),
						   ItemPointerGetOffsetNumber(&check->first_missing), check->first_problem),
				 errhint("If all is well, the warning is gone when transactions that are running now have ended.")));
	pfree(check);
	FreeAccessStrategy(strategy);
	UnregisterSnapshot(snapshot);
	relation_close(rel, lockmode);
	PG_RETURN_VOID();
}
