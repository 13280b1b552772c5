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

StaticAssertDecl(ALEX_MOST_CANDIDATES <= MaxOffsetNumber, "entries are counted as if they were items of a page");

/* What the table is asked. */
typedef struct Request
{
	TM_IndexDeleteOp op;
	uint32		places[ALEX_MOST_CANDIDATES];	/* of the entries, among the records */
	TM_IndexDelete entries[ALEX_MOST_CANDIDATES];
	TM_IndexStatus status[ALEX_MOST_CANDIDATES];
} Request;

/* Asks about the first n of the places. */
static void
ask(Request *request, const uint64 *records, int n, int words, bool bottomup, int freespace)
{
	TM_IndexDeleteOp *op = &request->op;

	op->bottomup = bottomup;
	op->bottomupfreespace = bottomup ? BLCKSZ / 16 : 0;
	op->ndeltids = n;
	op->deltids = request->entries;
	op->status = request->status;
	for (int i = 0; i < n; i++)
	{
		uint64		tie = records[request->places[i] * (Size) (words + 1) + words];
		TM_IndexStatus *status = &request->status[i];

		alex_record_tid(op->irel, op->iblknum, tie, &request->entries[i].tid);
		request->entries[i].id = i;
		status->idxoffnum = i + 1;	/* for error messages: records have no numbers that would tell more */
		status->knowndeletable = (tie & ALEX_KILLED) != 0;
		status->promising = bottomup;
		status->freespace = freespace;
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
		ask(request, records, alex_pick_marked(records, n, words, request->places), words, false, 0);
		for (uint32 i = 0; i < n; i++)
			records[i * stride + words] &= ~ALEX_KILLED;
		kept = remove_dead(request, heap, records, n, words);
	}
	if (unchanged && alex_should_purge_duplicates(n, kept))
	{
		ask(request, records, alex_pick_duplicates(records, kept, words, record, request->places), words, true,
			Max(1, (int) (BLCKSZ / kept)));
		kept = remove_dead(request, heap, records, kept, words);
	}
	pfree(request);
	return kept;
}
