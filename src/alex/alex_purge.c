/*
 * alex_purge.c - leaving out the entries of dead rows when a leaf is rewritten for an insert.
 *
 * A leaf that is about to be merged, or to split, is read and written anyway, and so is the place to leave out what nobody needs:
 * entries that scans and unique checks have marked dead (alex_kill), and others of rows in the same heap blocks; and if there
 * are few of them, and the insert comes from an UPDATE that changed no indexed value, entries of equal keys, which likely are
 * earlier versions of rows. nbtree calls these simple and bottom-up deletion. As there, the table says which rows are dead, and what
 * it costs to ask it is bounded.
 *
 * The entries go without a cleanup lock: their line pointers cannot be used again before VACUUM has been here.
 */
#include "alex.h"

#include "access/tableam.h"

/* Entries that the table is asked about at once, with the leaf locked. */
#define PURGE_ENTRIES 1024

StaticAssertDecl(PURGE_ENTRIES <= MaxOffsetNumber, "entries are counted as if they were items of a page");

/* What the table is asked. */
typedef struct Request
{
	TM_IndexDeleteOp op;
	uint32		places[PURGE_ENTRIES];	/* of the entries, among the records */
	TM_IndexDelete entries[PURGE_ENTRIES];
	TM_IndexStatus status[PURGE_ENTRIES];
} Request;

static int
compare_blocks(const void *a, const void *b)
{
	BlockNumber x = *(const BlockNumber *) a;
	BlockNumber y = *(const BlockNumber *) b;

	return x < y ? -1 : x > y;
}

static inline BlockNumber
heap_block(uint64 tie)
{
	return (BlockNumber) (tie >> 16);
}

static inline bool
equal_keys(const uint64 *a, const uint64 *b, int words)
{
	return memcmp(a, b, words * sizeof(uint64)) == 0 && ((a[words] ^ b[words]) & ALEX_TIE_NULL) == 0;
}

/* Asks about record i. */
static void
add_entry(Request *request, uint64 tie, uint32 i, bool dead, int freespace)
{
	int			n = request->op.ndeltids++;
	TM_IndexStatus *status = &request->status[n];

	alex_tie_to_tid(tie & ~ALEX_KILLED, &request->entries[n].tid);
	request->entries[n].id = n;
	request->places[n] = i;
	status->idxoffnum = n + 1;	/* for error messages: records have no numbers that would tell more */
	status->knowndeletable = dead;
	status->promising = request->op.bottomup;
	status->freespace = freespace;
}

/* Entries marked dead, and those of rows in the same blocks, which will be read anyway. */
static void
ask_about_marked(Request *request, const uint64 *records, uint32 n, int words)
{
	BlockNumber *blocks = palloc(PURGE_ENTRIES * sizeof(BlockNumber));
	Size		stride = words + 1;
	uint32		nblocks = 0;

	for (uint32 i = 0; i < n && request->op.ndeltids < PURGE_ENTRIES; i++)
	{
		uint64		tie = records[i * stride + words];

		if (tie & ALEX_KILLED)
		{
			add_entry(request, tie, i, true, 0);
			blocks[nblocks++] = heap_block(tie);
		}
	}
	qsort(blocks, nblocks, sizeof(BlockNumber), compare_blocks);
	for (uint32 i = 0; i < n && request->op.ndeltids < PURGE_ENTRIES; i++)
	{
		uint64		tie = records[i * stride + words];
		BlockNumber block = heap_block(tie);

		if ((tie & ALEX_KILLED) == 0 && bsearch(&block, blocks, nblocks, sizeof(BlockNumber), compare_blocks))
			add_entry(request, tie, i, false, 0);
	}
	pfree(blocks);
}

/* Entries of keys that have several: of those equal to the new one, or of the others. */
static void
ask_about_duplicates(Request *request, const uint64 *records, uint32 n, int words, const uint64 *record, bool equal)
{
	Size		stride = words + 1;
	int			freespace = Max(1, (int) (BLCKSZ / n));
	bool		before = false; /* is the record equal to the one before it? */

	for (uint32 i = 0; i < n && request->op.ndeltids < PURGE_ENTRIES; i++)
	{
		const uint64 *at = records + i * stride;
		bool		after = i + 1 < n && equal_keys(at, at + stride, words);

		if (equal_keys(at, record, words) ? equal : !equal && (before || after))
			add_entry(request, at[words], i, false, freespace);
		before = after;
	}
}

/* Takes out what the table says is dead of what was asked about. Returns how many records are left. */
static uint32
remove_dead(Request *request, Relation heap, uint64 *records, uint32 n, int words)
{
	TM_IndexDeleteOp *op = &request->op;
	Size		stride = words + 1;
	uint32		kept = 0;
	TransactionId horizon;

	if (op->ndeltids == 0)
		return n;
	horizon = table_index_delete_tuples(heap, op);
	for (int i = 0; i < op->ndeltids; i++)
	{
		int			id = op->deltids[i].id;

		if (op->status[id].knowndeletable)
			records[request->places[id] * stride + words] |= ALEX_KILLED;
	}
	for (uint32 i = 0; i < n; i++)
		if ((records[i * stride + words] & ALEX_KILLED) == 0)
		{
			if (kept < i)
				memcpy(records + kept * stride, records + i * stride, stride * sizeof(uint64));
			kept++;
		}
	if (kept < n)
		wal_conflict(op->irel, heap, op->iblknum, horizon);
	return kept;
}

static void
begin_request(Request *request, bool bottomup)
{
	request->op.bottomup = bottomup;
	request->op.bottomupfreespace = bottomup ? BLCKSZ / 16 : 0;
	request->op.ndeltids = 0;
	request->op.deltids = request->entries;
	request->op.status = request->status;
}

uint32
alex_purge(Relation rel, const AlexIndex *index, Relation heap, Buffer buffer, const uint64 *record, bool unchanged,
		   uint64 *records, uint32 n)
{
	Page		page = BufferGetPage(buffer);
	int			words = index->words;
	Size		stride = words + 1;
	uint32		marked = alex_has_killed(page) ? alex_mark_killed(page, records, n) : 0;
	uint32		kept = n;
	Request    *request;

	if (marked == 0 && !unchanged)
		return n;

	request = palloc(sizeof(Request));
	request->op.irel = rel;
	request->op.iblknum = BufferGetBlockNumber(buffer);
	if (marked > 0)
	{
		begin_request(request, false);
		ask_about_marked(request, records, n, words);
		for (uint32 i = 0; i < n; i++)
			records[i * stride + words] &= ~ALEX_KILLED;
		kept = remove_dead(request, heap, records, n, words);
	}
	if (unchanged && kept > 0 && n - kept < n / 16)
	{
		begin_request(request, true);
		ask_about_duplicates(request, records, kept, words, record, true);
		ask_about_duplicates(request, records, kept, words, record, false);
		kept = remove_dead(request, heap, records, kept, words);
	}
	pfree(request);
	return kept;
}
