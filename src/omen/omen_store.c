/*
 * omen_store.c - store pages: appending versions that left their row page, reading them, and using pages again.
 *
 * A backend appends to a page of its own. When that is full it takes one that nobody needs any more, of those it has met links to
 * (candidates), else an empty page that the free space map knows, else it extends the table. Locks: README, "Locking order".
 */
#include "omen.h"

#include "access/transam.h"
#include "access/visibilitymap.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "omen_private.h"
#include "recent_page.h"

/*
 * Candidates of a table, the oldest first. They expire in about the order in which they are met, so it is the oldest that are tried,
 * some each time a page is wanted. There must be enough for all versions that a long transaction leaves: at 2,000 rows updated three times in
 * each of twelve transactions the store took 1,903 pages with 32, and 195 with 1,024 (a loop in one session, without VACUUM).
 */
#define FIRST_CANDIDATES 16
#define MAX_CANDIDATES 1024
#define TRIES 16

#define MAX_TABLES 256			/* remembered by a backend */

/* What this backend remembers of a table's store. Only hints: each is verified on the page. */
typedef struct OmenStoreState
{
	CompatLocator file;			/* key */
	BlockNumber current;
	Buffer		seen;			/* where the current page was */
	uint32		generation;
	BlockNumber *candidates;	/* a ring */
	int			capacity;		/* a power of two */
	int			first_candidate;
	int			ncandidates;
} OmenStoreState;

static HTAB *states = NULL;
static OmenStoreState *last_state = NULL;	/* looked up last */
static MemoryContext states_context = NULL; /* has all of it */

static OmenStoreState *
store_state(Relation rel)
{
	CompatLocator file = compat_locator(rel);
	OmenStoreState *state;
	bool		found;

	if (last_state && CompatLocatorEquals(last_state->file, file))
		return last_state;
	if (states && hash_get_num_entries(states) >= MAX_TABLES && !hash_search(states, &file, HASH_FIND, NULL))
	{
		MemoryContextDelete(states_context);
		states = NULL;
		last_state = NULL;
	}
	if (!states)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(CompatLocator);
		control.entrysize = sizeof(OmenStoreState);
		control.hcxt = states_context = AllocSetContextCreate(TopMemoryContext, "omen store pages", ALLOCSET_SMALL_SIZES);
		states = hash_create("omen store pages", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	state = hash_search(states, &file, HASH_ENTER, &found);
	if (!found)
	{
		state->current = InvalidBlockNumber;
		state->seen = InvalidBuffer;
		state->generation = 0;
		state->candidates = NULL;
		state->capacity = state->first_candidate = state->ncandidates = 0;
	}
	last_state = state;
	return state;
}

static inline BlockNumber *
candidate(OmenStoreState *state, int i)
{
	return &state->candidates[(state->first_candidate + i) & (state->capacity - 1)];
}

static void
make_room(OmenStoreState *state)
{
	int			capacity = state->capacity > 0 ? state->capacity * 2 : FIRST_CANDIDATES;
	BlockNumber *ring = MemoryContextAlloc(states_context, capacity * sizeof(BlockNumber));

	for (int i = 0; i < state->ncandidates; i++)
		ring[i] = *candidate(state, i);
	if (state->candidates)
		pfree(state->candidates);
	state->candidates = ring;
	state->capacity = capacity;
	state->first_candidate = 0;
}

static BlockNumber
take_candidate(OmenStoreState *state)
{
	BlockNumber block = *candidate(state, 0);

	state->first_candidate = (state->first_candidate + 1) & (state->capacity - 1);
	state->ncandidates--;
	return block;
}

static void
add_candidate(OmenStoreState *state, BlockNumber block)
{
	/* most likely it is the last; rows updated in random order would fill the ring with repetitions */
	for (int i = state->ncandidates; i-- > 0;)
		if (*candidate(state, i) == block)
			return;
	if (state->ncandidates == MAX_CANDIDATES)
		take_candidate(state);
	else if (state->ncandidates == state->capacity)
		make_room(state);
	*candidate(state, state->ncandidates++) = block;
}

void
omen_store_candidate(Relation rel, BlockNumber block)
{
	add_candidate(store_state(rel), block);
}

/* ---- pages ---- */

static void
init_store_page(Page page, uint32 generation)
{
	OmenStoreSpecial *special;

	PageInit(page, BLCKSZ, sizeof(OmenStoreSpecial));
	((PageHeader) page)->pd_lower = ((PageHeader) page)->pd_upper = SizeOfPageHeaderData;
	special = omen_store_special(page);
	special->magic = OMEN_STORE_MAGIC;
	special->version = OMEN_FORMAT_VERSION;
	special->fill = OMEN_STORE_START;
	special->newest = InvalidTransactionId;
	special->generation = generation;
}

static bool
has_room(Page page, Size size)
{
	return omen_store_special(page)->fill + size <= OMEN_STORE_END;
}

OmenRecord *
omen_store_next(Relation rel, BlockNumber block, Page page, Size *at)
{
	Size		fill = omen_store_special(page)->fill;
	OmenRecord *record;

	if (*at >= fill)
		return NULL;
	record = fill <= OMEN_STORE_END ? omen_record_at((char *) page, *at, fill) : NULL;
	if (record == NULL)
		omen_corrupted(rel, block, 0, "the records of a store page do not fill it");
	*at = omen_record_end(record, *at);
	return record;
}

bool
omen_store_expired(Relation rel, Page page, struct GlobalVisState *vistest)
{
	TransactionId newest = omen_store_special(page)->newest;

	return !TransactionIdIsNormal(newest) || compat_is_removable(vistest, newest);
}

/* An aborted superseder: its row is not restored yet, or was in a way that leaves the record to VACUUM. */
static bool
awaits_restore(Relation rel, BlockNumber block, Page page)
{
	Size		at = OMEN_STORE_START;
	TransactionId last = InvalidTransactionId;
	OmenRecord *record;

	while ((record = omen_store_next(rel, block, page, &at)) != NULL)
	{
		/* most are of few transactions */
		if (!TransactionIdIsNormal(record->superseder) || record->superseder == last)
			continue;
		last = record->superseder;
		if (!TransactionIdDidCommit(last))
			return true;
	}
	return false;
}

int
omen_store_count(Relation rel, BlockNumber block, Page page)
{
	Size		at = OMEN_STORE_START;
	int			n = 0;

	while (omen_store_next(rel, block, page, &at) != NULL)
		n++;
	return n;
}

typedef enum Recycled
{
	RECYCLED,
	RECYCLE_LATER,
	RECYCLE_NEVER				/* it is no store page with records any more */
} Recycled;

/* Makes an expired store page ours, if this is one. */
static Recycled
recycle(Relation rel, OmenStoreState *state, BlockNumber block)
{
	Buffer		buffer;
	Page		page;
	Recycled	result = RECYCLE_LATER;

	if (block >= RelationGetNumberOfBlocks(rel))
		return RECYCLE_NEVER;
	buffer = ReadBuffer(rel, block);
	if (!ConditionalLockBuffer(buffer))
	{
		ReleaseBuffer(buffer);
		return RECYCLE_LATER;
	}
	page = BufferGetPage(buffer);
	if (omen_page_kind(rel, block, page) != OMEN_PAGE_STORE || omen_store_special(page)->fill <= OMEN_STORE_START)
		result = RECYCLE_NEVER;
	else if (omen_store_expired(rel, page, GlobalVisTestFor(rel)) && !awaits_restore(rel, block, page))
	{
		OmenStoreSpecial *special = omen_store_special(page);
		WalRecord	record;

		omen_report_reclaimed(rel, omen_store_count(rel, block, page));
		wal_conflict(rel, rel, block, special->newest);
		wal_begin(&record, rel);
		START_CRIT_SECTION();
		special->fill = OMEN_STORE_START;
		special->newest = InvalidTransactionId;
		special->generation++;
		wal_fragment(&record, buffer, special, sizeof(*special));
		wal_finish(&record);
		END_CRIT_SECTION();
		state->current = block;
		state->generation = special->generation;
		result = RECYCLED;
	}
	UnlockReleaseBuffer(buffer);
	return result;
}

/* Is no line pointer of a row page in use? VACUUM leaves unused ones behind. */
static bool
has_no_rows(Page page)
{
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
		if (ItemIdIsUsed(PageGetItemId(page, offnum)))
			return false;
	return true;
}

/* Makes an empty row page ours, if this is one. */
static bool
take_empty(Relation rel, OmenStoreState *state, BlockNumber block)
{
	Buffer		buffer;
	Buffer		vmbuffer = InvalidBuffer;
	Page		page;
	bool		done = false;

	if (block >= RelationGetNumberOfBlocks(rel))
		return false;
	visibilitymap_pin(rel, block, &vmbuffer);
	buffer = ReadBuffer(rel, block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buffer);
	if (omen_page_kind(rel, block, page) == OMEN_PAGE_NEW ||
		(omen_page_kind(rel, block, page) == OMEN_PAGE_ROWS && has_no_rows(page) && IsBufferCleanupOK(buffer)))
	{
		if (!PageIsNew(page))
			omen_clear_all_visible(rel, buffer, vmbuffer);
		START_CRIT_SECTION();
		init_store_page(page, 0);
		omen_wal_page(rel, buffer);
		END_CRIT_SECTION();
		state->current = block;
		state->generation = 0;
		done = true;
	}
	UnlockReleaseBuffer(buffer);
	ReleaseBuffer(vmbuffer);
	RecordPageWithFreeSpace(rel, block, 0);
	return done;
}

bool
omen_store_reserve(Relation rel, Size size)
{
	OmenStoreState *state = store_state(rel);
	BlockNumber block;
	Buffer		buffer;

	if (size > OMEN_STORE_CAPACITY)
		return false;

	if (state->current != InvalidBlockNumber)
	{
		buffer = omen_store_lock(rel, size);
		if (BufferIsValid(buffer))
		{
			UnlockReleaseBuffer(buffer);
			return true;
		}
		/* a full page of ours is the first to expire */
		if (state->current != InvalidBlockNumber)
			omen_store_candidate(rel, state->current);
	}
	state->current = InvalidBlockNumber;

	for (int tries = Min(TRIES, state->ncandidates); tries > 0; tries--)
	{
		Recycled	result;

		block = take_candidate(state);
		result = recycle(rel, state, block);
		if (result == RECYCLED)
			return true;
		if (result == RECYCLE_LATER)
			add_candidate(state, block);
	}

	block = GetPageWithFreeSpace(rel, MaxHeapTupleSize);
	if (block != InvalidBlockNumber && take_empty(rel, state, block))
		return true;

	buffer = compat_extend_relation(rel);
	START_CRIT_SECTION();
	init_store_page(BufferGetPage(buffer), 0);
	omen_wal_page(rel, buffer);
	END_CRIT_SECTION();
	state->current = BufferGetBlockNumber(buffer);
	state->generation = 0;
	UnlockReleaseBuffer(buffer);
	return true;
}

Buffer
omen_store_lock(Relation rel, Size size)
{
	OmenStoreState *state = store_state(rel);
	Buffer		buffer;
	Page		page;

	/* the table may have been truncated since */
	if (state->current == InvalidBlockNumber || !block_exists(rel, state->current))
	{
		state->current = InvalidBlockNumber;
		return InvalidBuffer;
	}
	buffer = state->seen = recent_page(rel, state->current, state->seen);
	page = BufferGetPage(buffer);

	/*
	 * It may be a row page by now, even the one the caller holds: row pages must not be locked here. A store page that is pinned stays one
	 * (omen_store_free), so this can be seen before it is locked.
	 */
	if (((PageHeader) page)->pd_special != OMEN_STORE_END)
	{
		state->current = InvalidBlockNumber;
		ReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (omen_page_kind(rel, state->current, page) == OMEN_PAGE_STORE &&
		omen_store_special(page)->generation == state->generation)
	{
		if (has_room(page, size))
			return buffer;
	}
	else
		state->current = InvalidBlockNumber;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

void
omen_form_record(OmenFormed *formed, ItemPointer row, const char *item, uint16 length, OmenLink link,
				 TransactionId superseder, HeapTupleHeader newer, Size newer_length)
{
	HeapTupleHeader header = (HeapTupleHeader) item;
	OmenRecord	record;

	StaticAssertStmt(OMEN_RECORD_SIZE(OMEN_MAX_ITEM) <= sizeof(formed->bytes), "a record of the longest item has room");
	memcpy(record.row, row, sizeof(record.row));
	record.length = length;
	record.superseder = superseder;
	record.xmin = HeapTupleHeaderGetRawXmin(header);
	record.cid = HeapTupleHeaderGetRawCommandId(header);
	/* xmax means nothing in an older version; a restored row takes that of the head */
	record.infomask2 = header->t_infomask2 & ~HEAP_KEYS_UPDATED;
	record.infomask = (header->t_infomask & ~HEAP_XMAX_BITS) | HEAP_XMAX_INVALID;
	formed->size = omen_record_form(&record, item, link, newer, newer_length, formed->bytes);
}

OmenLink
omen_store_place(Buffer buffer, const OmenFormed *formed)
{
	OmenLink	link;

	link.block = BufferGetBlockNumber(buffer);
	link.offset = omen_store_special(BufferGetPage(buffer))->fill;
	link.length = formed->record.length;
	return link;
}

void
omen_store_append(WalRecord *record, Buffer buffer, const OmenFormed *formed)
{
	Page		page = BufferGetPage(buffer);
	OmenStoreSpecial *special = omen_store_special(page);
	char	   *at = (char *) page + special->fill;
	TransactionId superseder = formed->record.superseder;

	memcpy(at, formed->bytes, formed->size);
	special->fill += formed->size;
	if (!TransactionIdIsValid(special->newest) || TransactionIdFollows(superseder, special->newest))
		special->newest = superseder;

	wal_fragment(record, buffer, at, formed->size);
	wal_fragment(record, buffer, &special->fill,
				 offsetof(OmenStoreSpecial, newest) + sizeof(TransactionId) - offsetof(OmenStoreSpecial, fill));
}

/*
 * Store pages that a reader of many rows of a page keeps share-locked, as the rows after the first lead to the same. Whoever has a store page locked waits
 * for no other page, but for another store page by this reader: so nobody waits for ever.
 */
#define KEPT_PAGES 32

static struct
{
	bool		on;
	int			most;
	int			n;
	int			next;			/* to be given up when there are more */
	Buffer		buffers[KEPT_PAGES];
	BlockNumber blocks[KEPT_PAGES];
} kept;

void
omen_store_keep(void)
{
	/* no more than our share of the buffers, or others, or we, would find none that is not pinned */
	kept.most = Min(KEPT_PAGES, NBuffers / MaxBackends);
	kept.on = kept.most > 0;
	kept.n = kept.next = 0;
}

void
omen_store_let_go(bool failed)
{
	kept.on = false;
	/* after an error locks and pins are gone, or will be */
	for (int i = 0; i < kept.n && !failed; i++)
		UnlockReleaseBuffer(kept.buffers[i]);
	kept.n = 0;
}

/* Pins and share-locks a store page, unless it is kept. */
static Buffer
lock_for_reading(Relation rel, BlockNumber block)
{
	Buffer		buffer;
	int			place;

	for (int i = 0; i < kept.n; i++)
		if (kept.blocks[i] == block)
			return kept.buffers[i];
	buffer = ReadBuffer(rel, block);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (!kept.on)
		return buffer;
	if (kept.n < kept.most)
		place = kept.n++;
	else
	{
		place = kept.next;
		kept.next = (kept.next + 1) % kept.most;
		UnlockReleaseBuffer(kept.buffers[place]);
	}
	kept.buffers[place] = buffer;
	kept.blocks[place] = block;
	return buffer;
}

void
omen_store_read(Relation rel, const OmenVersion *newer, char *item)
{
	OmenLink	link = newer->link;
	const ItemPointerData *row = &newer->tuple.t_self;
	Buffer		buffer;
	Page		page;
	const char *wrong;

	/* the page is locked already: better an error than to wait for oneself */
	if (link.block == ItemPointerGetBlockNumber(row))
		omen_corrupted(rel, link.block, ItemPointerGetOffsetNumber(row), "the link to its older version leads to its own page");
	if (!block_exists(rel, link.block))
		omen_corrupted(rel, ItemPointerGetBlockNumber(row), ItemPointerGetOffsetNumber(row),
					   "the link to its older version leads to a block the table does not have");
	buffer = lock_for_reading(rel, link.block);
	page = BufferGetPage(buffer);
	if (omen_page_kind(rel, link.block, page) != OMEN_PAGE_STORE)
		wrong = "the link to its older version leads to a page that is not in the store";
	else
		wrong = omen_record_read(page, OMEN_STORE_START, Min(omen_store_special(page)->fill, OMEN_STORE_END), link, row,
								 HeapTupleHeaderGetRawXmin(newer->tuple.t_data), newer->tuple.t_data, newer->tuple.t_len,
								 item, OMEN_MAX_ITEM);
	if (!kept.on)
		UnlockReleaseBuffer(buffer);
	if (wrong)
		omen_corrupted(rel, ItemPointerGetBlockNumber(row), ItemPointerGetOffsetNumber(row), wrong);
}

void
omen_store_forget(Relation rel, OmenLink link, ItemPointer row, TransactionId superseder)
{
	Buffer		buffer = omen_pin(rel, link.block);
	Page		page = BufferGetPage(buffer);
	OmenRecord *stored = (OmenRecord *) ((char *) page + link.offset);
	WalRecord	record;

	/* it was read a moment ago, and pages with such a record are not used again; if it is gone all the same, all is well */
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (omen_page_kind(rel, link.block, page) == OMEN_PAGE_STORE &&
		link.offset + sizeof(OmenRecord) <= omen_store_special(page)->fill &&
		omen_record_is(stored, row, superseder))
	{
		wal_begin(&record, rel);
		START_CRIT_SECTION();
		stored->superseder = InvalidTransactionId;
		wal_fragment(&record, buffer, &stored->superseder, sizeof(stored->superseder));
		wal_finish(&record);
		END_CRIT_SECTION();
	}
	else
		Assert(false);
	UnlockReleaseBuffer(buffer);
	omen_store_candidate(rel, link.block);
}

bool
omen_store_free(Relation rel, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);

	if (!IsBufferCleanupOK(buffer))
		return false;
	wal_conflict(rel, rel, BufferGetBlockNumber(buffer), omen_store_special(page)->newest);
	START_CRIT_SECTION();
	omen_init_rows(page);
	omen_wal_page(rel, buffer);
	END_CRIT_SECTION();
	return true;
}
