/*
 * omen_freeze.c - VACUUM: replacing old xids and multixacts, in rows and in the store.
 *
 * Once a row page was visited, no version that can come to be its head holds an xid before the cutoffs: an aborted update may
 * restore a version into a page that VACUUM is done with. Therefore the version such an update would restore is frozen along
 * with its row, also if it is in the store. Versions behind that one are only ever read by old snapshots; those in the page are
 * frozen with the row, too, those in the store when the store pages are visited, last.
 */
#include "omen.h"

#include "access/transam.h"
#include "miscadmin.h"

#include "omen_vacuum.h"

/* A changed header of a row page. */
typedef struct FrozenHeader
{
	uint16		offset;			/* in the page */
	uint16		infomask2;
	uint16		infomask;
	TransactionId xmax;
} FrozenHeader;

/* All versions of a page: an item is never shorter than this. */
#define MAX_VERSIONS (BLCKSZ / MAXALIGN(OMEN_MIN_ITEM))

typedef struct FreezePlan
{
	int			nheaders;
	FrozenHeader headers[MAX_VERSIONS];
	TransactionId newest;		/* newest xmin that was frozen; standby snapshots that do not see it must go */
} FreezePlan;

static bool
before_limit(const OmenVacuum *v, TransactionId xid)
{
	return TransactionIdIsNormal(xid) && TransactionIdPrecedes(xid, v->cutoffs.FreezeLimit);
}

static void
advance(TransactionId *newest, TransactionId xid)
{
	if (TransactionIdIsNormal(xid) && (!TransactionIdIsValid(*newest) || TransactionIdFollows(xid, *newest)))
		*newest = xid;
}

static void
add_header(FreezePlan *plan, Page page, HeapTupleHeader at, HeapTupleHeader frozen)
{
	FrozenHeader *header = &plan->headers[plan->nheaders++];

	header->offset = (char *) at - (char *) page;
	header->infomask2 = frozen->t_infomask2;
	header->infomask = frozen->t_infomask;
	header->xmax = HeapTupleHeaderGetRawXmax(frozen);
}

/* Freezes a copy of the header of a head. Not in a critical section: this may create a multixact. */
static bool
freeze_head(OmenVacuum *v, OmenVersion *head, HeapTupleHeader copy, TransactionId *newest)
{
	HeapTupleHeader header = head->tuple.t_data;
	TransactionId xmin = HeapTupleHeaderGetXmin(header);

	if (before_limit(v, xmin))
	{
		if (!TransactionIdDidCommit(xmin))
			omen_corrupted(v->rel, ItemPointerGetBlockNumber(&head->tuple.t_self),
						   ItemPointerGetOffsetNumber(&head->tuple.t_self),
						   "it is older than any transaction in progress, but what wrote it did not commit");
		advance(newest, xmin);
	}
	else if (!TransactionIdIsValid(HeapTupleHeaderGetRawXmax(header)))
		return false;

	memcpy(copy, header, SizeofHeapTupleHeader);
	if (!heap_freeze_tuple(copy, v->cutoffs.relfrozenxid, v->cutoffs.relminmxid,
						   v->cutoffs.FreezeLimit, v->cutoffs.MultiXactCutoff))
		return false;

	/*
	 * Says nothing any more, but stays on the primary when the row is locked, not so on a standby; and of frozen rows a consistency
	 * check does not overlook it.
	 */
	if (HeapTupleHeaderXminFrozen(copy))
		copy->t_infomask &= ~HEAP_COMBOCID;
	return true;
}

static bool
xmin_is_old(const OmenVacuum *v, HeapTupleHeader header)
{
	return before_limit(v, HeapTupleHeaderGetXmin(header)) && !HeapTupleHeaderXminInvalid(header);
}

/* Does the header of an older version hold something old? Its xmax means nothing, but must not outlive its multixact. */
static bool
older_is_old(const OmenVacuum *v, HeapTupleHeader header)
{
	TransactionId xmax = HeapTupleHeaderGetRawXmax(header);

	if (xmin_is_old(v, header))
		return true;
	if (header->t_infomask & HEAP_XMAX_IS_MULTI)
		return MultiXactIdIsValid(xmax) && MultiXactIdPrecedes(xmax, v->cutoffs.MultiXactCutoff);
	return before_limit(v, xmax);
}

/* What is to become of an old xmin: 0, if it is not. Standby snapshots up to a frozen one must go. */
static uint16
freeze_bits(const OmenVacuum *v, HeapTupleHeader header, TransactionId *newest)
{
	if (!xmin_is_old(v, header))
		return 0;
	if (omen_xmin_state(header) != OMEN_XMIN_COMMITTED)
		return HEAP_XMIN_INVALID;
	advance(newest, HeapTupleHeaderGetXmin(header));
	return HEAP_XMIN_FROZEN;
}

/* Freezes the header of an older version. */
static void
freeze_older(HeapTupleHeader header, uint16 bits)
{
	header->t_infomask |= bits;
	if (bits != 0)
		header->t_infomask &= ~HEAP_COMBOCID;
	HeapTupleHeaderSetXmax(header, InvalidTransactionId);
	header->t_infomask &= ~HEAP_XMAX_BITS;
	header->t_infomask |= HEAP_XMAX_INVALID;
	header->t_infomask2 &= ~HEAP_KEYS_UPDATED;
}

/* Freezes the header of a version in the store. It has no xmax. */
static void
freeze_record(OmenRecord *stored, uint16 bits)
{
	stored->infomask |= bits;
	if (bits != 0)
		stored->infomask &= ~HEAP_COMBOCID;
}

/* Freezes a version in the store, in place. Its row is locked. */
static void
freeze_stored(OmenVacuum *v, OmenLink link, OmenVersion *version)
{
	TransactionId newest = InvalidTransactionId;
	uint16		bits;
	Buffer		buffer = ReadBufferExtended(v->rel, MAIN_FORKNUM, link.block, RBM_NORMAL, v->strategy);
	Page		page;
	OmenRecord *stored;
	WalRecord	record;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buffer);
	stored = (OmenRecord *) ((char *) page + link.offset);
	/* it was read a moment ago, and is needed: nobody can have taken the page away */
	if (omen_page_kind(v->rel, link.block, page) != OMEN_PAGE_STORE ||
		!omen_record_is(stored, &version->tuple.t_self, version->superseder))
		omen_corrupted(v->rel, ItemPointerGetBlockNumber(&version->tuple.t_self),
					   ItemPointerGetOffsetNumber(&version->tuple.t_self), "its older version vanished from the store");
	bits = freeze_bits(v, version->tuple.t_data, &newest);
	wal_conflict(v->rel, v->rel, link.block, newest);
	wal_begin(&record, v->rel);
	START_CRIT_SECTION();
	freeze_record(stored, bits);
	wal_fragment(&record, buffer, stored, sizeof(*stored));
	wal_finish(&record);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
	v->frozen++;
}

/* Plans for the versions behind a head. */
static void
plan_older(OmenVacuum *v, Buffer buffer, OmenVersion *version, FreezePlan *plan)
{
	Page		page = BufferGetPage(buffer);
	bool		settled = false;	/* met a committed version: no restore goes past it */

	for (;;)
	{
		HeapTupleHeader header = version->tuple.t_data;
		OmenLink	link = version->link;

		if (!omen_older_needed(header, v->vistest) || link.offset == 0)
			return;
		settled |= omen_xmin_state(header) == OMEN_XMIN_COMMITTED;
		if (settled && link.block != InvalidBlockNumber)
			return;
		omen_older(v->rel, buffer, version);

		header = version->tuple.t_data;
		if (!older_is_old(v, header))
			continue;
		if (version->in_page)
		{
			HeapTupleHeaderData copy;

			if (plan->nheaders == MAX_VERSIONS)
				omen_corrupted(v->rel, BufferGetBlockNumber(buffer), ItemPointerGetOffsetNumber(&version->tuple.t_self),
							   "the page has more versions than it has room for");
			memcpy(&copy, header, SizeofHeapTupleHeader);
			freeze_older(&copy, freeze_bits(v, header, &plan->newest));
			add_header(plan, page, header, &copy);
		}
		else
			freeze_stored(v, link, version);
	}
}

/* Is there surely nothing to freeze in a row: no old xmin, no xmax, no older version? So it is with most. */
static inline bool
nothing_old(const OmenVacuum *v, Buffer buffer, OffsetNumber offnum)
{
	Page		page = BufferGetPage(buffer);
	ItemId		lp = PageGetItemId(page, offnum);
	HeapTupleHeader header;
	OmenLink	link;

	if (!ItemIdIsNormal(lp))
		return true;
	omen_require_item(v->rel, v->block, page, offnum, lp);
	header = (HeapTupleHeader) PageGetItem(page, lp);
	memcpy(&link, (char *) header + ItemIdGetLength(lp) - OMEN_LINK_SIZE, OMEN_LINK_SIZE);
	return link.offset == 0 && !TransactionIdIsValid(HeapTupleHeaderGetRawXmax(header)) &&
		!before_limit(v, HeapTupleHeaderGetXmin(header));
}

int
omen_freeze_rows(OmenVacuum *v, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	FreezePlan	plan;
	WalRecord	record;

	plan.nheaders = 0;
	plan.newest = InvalidTransactionId;
	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		OmenVersion version;
		HeapTupleHeaderData copy;

		if (nothing_old(v, buffer, offnum) || !omen_head(v->rel, buffer, offnum, &version))
			continue;
		if (freeze_head(v, &version, &copy, &plan.newest))
		{
			if (plan.nheaders == MAX_VERSIONS)
				omen_corrupted(v->rel, BufferGetBlockNumber(buffer), offnum,
							   "the page has more versions than it has room for");
			add_header(&plan, page, version.tuple.t_data, &copy);
		}
		if (version.link.offset != 0)
			plan_older(v, buffer, &version, &plan);
	}
	if (plan.nheaders == 0)
		return 0;

	/* on a standby, snapshots that do not see a frozen xid would begin to */
	wal_conflict(v->rel, v->rel, BufferGetBlockNumber(buffer), plan.newest);

	wal_begin(&record, v->rel);
	START_CRIT_SECTION();
	for (int i = 0; i < plan.nheaders; i++)
	{
		FrozenHeader *frozen = &plan.headers[i];
		HeapTupleHeader header = (HeapTupleHeader) ((char *) page + frozen->offset);

		HeapTupleHeaderSetXmax(header, frozen->xmax);
		header->t_infomask2 = frozen->infomask2;
		header->t_infomask = frozen->infomask;
		wal_fragment(&record, buffer, header, SizeofHeapTupleHeader);
	}
	omen_wal_finish(&record, buffer);
	END_CRIT_SECTION();
	return plan.nheaders;
}

bool
omen_freeze_needed(OmenVacuum *v, Buffer buffer)
{
	OffsetNumber max = PageGetMaxOffsetNumber(BufferGetPage(buffer));

	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		OmenVersion version;

		if (!omen_head(v->rel, buffer, offnum, &version))
			continue;
		if (compat_should_freeze(version.tuple.t_data, &v->cutoffs))
			return true;
		while (version.link.offset != 0 && omen_older_needed(version.tuple.t_data, v->vistest))
		{
			/* whether somebody has dropped what is behind a committed version is not known before the page is pruned */
			if (omen_xmin_state(version.tuple.t_data) == OMEN_XMIN_COMMITTED)
				return true;
			omen_older(v->rel, buffer, &version);
			if (older_is_old(v, version.tuple.t_data))
				return true;
		}
	}
	return false;
}

/* ---- the store ---- */

/* What a record says of its version's header. */
static HeapTupleHeaderData
record_header(const OmenRecord *stored)
{
	HeapTupleHeaderData header = {0};

	HeapTupleHeaderSetXmin(&header, stored->xmin);
	HeapTupleHeaderSetXmax(&header, InvalidTransactionId);
	header.t_infomask2 = stored->infomask2;
	header.t_infomask = stored->infomask;
	return header;
}

/*
 * Is an update over for good, and restored if it aborted? Visiting the row pages restored such rows: unless the cleanup lock was
 * not to be had, or the update was still in progress when VACUUM began, and may have aborted after the visit.
 */
static bool
superseder_settled(OmenVacuum *v, TransactionId superseder)
{
	if (!TransactionIdIsNormal(superseder) || TransactionIdDidCommit(superseder))
		return true;
	return v->passed_over == 0 && TransactionIdPrecedes(superseder, v->cutoffs.OldestXmin);
}

bool
omen_store_freeable(OmenVacuum *v, Buffer buffer)
{
	Size		at = OMEN_STORE_START;
	OmenRecord *record;

	if (!omen_store_expired(v->rel, BufferGetPage(buffer), v->vistest))
		return false;
	while ((record = omen_store_next(v->rel, BufferGetBlockNumber(buffer), BufferGetPage(buffer), &at)) != NULL)
		if (!superseder_settled(v, record->superseder))
			return false;
	return true;
}

void
omen_freeze_store(OmenVacuum *v, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	OmenStoreSpecial *special = omen_store_special(page);
	TransactionId newest = InvalidTransactionId;
	TransactionId conflict = InvalidTransactionId;
	Size		at = OMEN_STORE_START;
	OmenRecord *stored;
	WalRecord	record;
	int			nchanges = 0;
	struct
	{
		OmenRecord *stored;
		bool		forget;		/* nobody needs it; else freeze it */
		uint16		bits;
	}			changes[BLCKSZ / sizeof(OmenRecord)];

	while ((stored = omen_store_next(v->rel, BufferGetBlockNumber(buffer), page, &at)) != NULL)
	{
		HeapTupleHeaderData header = record_header(stored);

		if (!TransactionIdIsValid(stored->superseder))
			continue;
		changes[nchanges].stored = stored;
		/* an aborted one that old awaits no restore: its head would have been frozen, or have kept relfrozenxid from advancing */
		changes[nchanges].forget = before_limit(v, stored->superseder) &&
			(superseder_settled(v, stored->superseder) || !v->left_unfrozen);
		if (changes[nchanges].forget)
		{
			advance(&conflict, stored->superseder);
			nchanges++;
			continue;
		}
		advance(&newest, stored->superseder);
		if (xmin_is_old(v, &header))
		{
			changes[nchanges].bits = freeze_bits(v, &header, &conflict);
			nchanges++;
		}
	}
	/* records that a restore made superfluous leave `newest` as it was */
	if (nchanges == 0 && !before_limit(v, special->newest))
		return;

	wal_conflict(v->rel, v->rel, BufferGetBlockNumber(buffer), conflict);
	wal_begin(&record, v->rel);
	START_CRIT_SECTION();
	for (int i = 0; i < nchanges; i++)
	{
		stored = changes[i].stored;
		if (changes[i].forget)
			stored->superseder = InvalidTransactionId;
		else
			freeze_record(stored, changes[i].bits);
		wal_fragment(&record, buffer, stored, sizeof(OmenRecord));
	}
	special->newest = newest;
	wal_fragment(&record, buffer, special, sizeof(*special));
	wal_finish(&record);
	END_CRIT_SECTION();
	v->frozen += nchanges;
}
