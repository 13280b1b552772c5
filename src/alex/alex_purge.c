/*
 * alex_purge.c - leaving out the entries of dead rows when a leaf is rewritten for an insert.
 *
 * A leaf that is about to be merged, or to split, is read and written anyway, and so is the place to leave out what nobody needs:
 * entries that scans and unique checks have marked dead (alex_kill), and others of rows in the same heap blocks; and if there
 * are few of them, and the insert comes from an UPDATE that changed no indexed value, entries of equal keys, which likely are
 * earlier versions of rows. nbtree calls these simple and bottom-up deletion. As there, the table says which rows are dead, and what
 * it costs to ask it is bounded.
 *
 * Marks have no room for all entries of a leaf of thousands, or in one that is full, and no insert need ever come there. So who has
 * met many dead entries that could not be marked removes them itself (alex_dead_remove), as VACUUM does.
 *
 * The entries go without a cleanup lock: their line pointers cannot be used again before VACUUM has been here.
 */
#include "alex.h"

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/snapmgr.h"

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

/* Asks the table; marks in the records what it says is dead, and logs what standbys must know before that is removed. */
static void
mark_dead(Request *request, Relation heap, uint64 *records, int words)
{
	TM_IndexDeleteOp *op = &request->op;
	bool		any = false;
	TransactionId horizon;

	if (op->ndeltids == 0)
		return;
	horizon = table_index_delete_tuples(heap, op);
	for (int i = 0; i < op->ndeltids; i++)
	{
		int			id = op->deltids[i].id;

		if (op->status[id].knowndeletable)
		{
			records[request->places[id] * (Size) (words + 1) + words] |= ALEX_KILLED;
			any = true;
		}
	}
	if (any)
		wal_conflict(op->irel, heap, op->iblknum, horizon);
}

/* Takes out what the table says is dead of what was asked about. Returns how many records are left. */
static uint32
remove_dead(Request *request, Relation heap, uint64 *records, uint32 n, int words)
{
	Size		stride = words + 1;
	uint32		kept = 0;

	mark_dead(request, heap, records, words);
	for (uint32 i = 0; i < n; i++)
		if ((records[i * stride + words] & ALEX_KILLED) == 0)
		{
			if (kept < i)
				memcpy(records + kept * stride, records + i * stride, stride * sizeof(uint64));
			kept++;
		}
	return kept;
}

uint32
alex_purge(Relation rel, const AlexIndex *index, Relation heap, Buffer buffer, const uint64 *record, bool unchanged,
		   uint64 *records, uint32 n)
{
	Page		page = BufferGetPage(buffer);
	int			words = alex_cheader(page)->words;
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

/* ---- entries that scans and unique checks found dead ------------------------------------------------------------- */

uint64 *
alex_dead_next(AlexDead *dead, int words)
{
	uint32		stride = words + 1;

	Assert(dead->n < ALEX_MAX_DEAD);
	Assert(dead->n == 0 || dead->words == words);
	dead->words = words;
	if (dead->room < stride)
	{
		/* only the first of a leaf's can need more than there is */
		if (dead->positions)
			pfree(dead->positions);
		dead->positions = palloc(ALEX_MAX_DEAD * stride * sizeof(uint64));
		dead->room = stride;
	}
	return dead->positions + dead->n++ * stride;
}

void
alex_dead_free(AlexDead *dead)
{
	if (dead->positions)
		pfree(dead->positions);
	dead->positions = NULL;
	dead->room = 0;
	dead->n = 0;
}

/* The leaf may have other words by now. Where it lacks some that a position uses, that is not there any more. */
static const uint64 *
dead_position(const AlexDead *dead, uint32 i, Page page, uint64 *space)
{
	return alex_fit_record(page, dead->positions + (Size) i * (dead->words + 1), dead->words, space);
}

void
alex_dead_recheck(Relation heap, Buffer buffer, AlexDead *dead)
{
	Page		page = BufferGetPage(buffer);
	int			words = dead->words;
	Size		stride = words + 1;
	uint32		kept = 0;
	IndexFetchTableData *fetch = compat_index_fetch_begin(heap);
	TupleTableSlot *slot = table_slot_create(heap, NULL);
	SnapshotData not_dead;

	/* of what is not in the leaf the row may be anything */
	InitNonVacuumableSnapshot(not_dead, GlobalVisTestFor(heap));
	for (uint32 i = 0; i < dead->n; i++)
	{
		uint64	   *position = dead->positions + i * stride;
		uint64		space[ALEX_MAX_WORDS + 1];
		const uint64 *there = dead_position(dead, i, page, space);
		ItemPointerData tid;
		bool		again = false;
		bool		all_dead = false;

		if (there == NULL || alex_find_place(page, there) == ALEX_NO_PLACE)
			continue;
		alex_tie_to_tid(position[words], &tid);
		if (!table_index_fetch_tuple(fetch, &tid, &not_dead, slot, &again, &all_dead) && all_dead)
			memmove(dead->positions + kept++ * stride, position, stride * sizeof(uint64));
	}
	dead->n = kept;
	ExecDropSingleTupleTableSlot(slot);
	table_index_fetch_end(fetch);
}

void
alex_dead_mark(Buffer buffer, AlexDead *dead)
{
	Page		page = BufferGetPage(buffer);
	Size		stride = dead->words + 1;
	uint32		kept = 0;
	bool		changed = false;

	if (!compat_begin_hints(buffer))
	{
		dead->n = 0;
		return;
	}
	for (uint32 i = 0; i < dead->n; i++)
	{
		uint64	   *position = dead->positions + i * stride;
		uint64		space[ALEX_MAX_WORDS + 1];
		const uint64 *there = dead_position(dead, i, page, space);
		uint32		place = there ? alex_find_place(page, there) : ALEX_NO_PLACE;

		if (place == ALEX_NO_PLACE)
			continue;
		if (alex_kill(page, there))
			changed = true;
		if (!alex_can_kill(page, place))
			memmove(dead->positions + kept++ * stride, position, stride * sizeof(uint64));
	}
	dead->n = kept;
	/* this may log an image of the page, which changes nothing but the LSN */
	compat_finish_hints(buffer, changed);
}

/* The record at a position, of n that are sorted; n if there is none. */
static uint32
find_record(const uint64 *records, uint32 n, int words, const uint64 *position)
{
	uint32		from = 0;
	uint32		to = n;

	while (from < to)
	{
		uint32		middle = (from + to) / 2;
		int			side = alex_compare(records + (Size) middle * (words + 1), position, words);

		if (side == 0)
			return middle;
		if (side < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return n;
}

/* TIDs of dead rows, sorted. */
typedef struct DeadRows
{
	uint32		n;
	uint64	   *tids;
} DeadRows;

static int
compare_tids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* The callback of the removal. */
static bool
row_is_dead(ItemPointer tid, void *state)
{
	const DeadRows *rows = state;
	uint64		key = alex_tid_bits(tid);

	return key >= rows->tids[0] && key <= rows->tids[rows->n - 1] &&
		bsearch(&key, rows->tids, rows->n, sizeof(uint64), compare_tids) != NULL;
}

/*
 * Which rows of a locked leaf's entries are dead, of those marked and those given, which are, and of others in the same blocks: all
 * of them, however often the table has to be asked.
 */
static void
find_dead_rows(Relation rel, const AlexIndex *index, Relation heap, Buffer buffer, const AlexDead *dead, DeadRows *rows)
{
	Page		page = BufferGetPage(buffer);
	int			words = alex_cheader(page)->words;
	Size		stride = words + 1;
	uint64	   *records = palloc_extended(alex_record_count(page) * stride * sizeof(uint64), MCXT_ALLOC_HUGE);
	uint32		n = alex_decode(page, records);
	bool	   *gone = palloc0(n * sizeof(bool));
	Request    *request = palloc(sizeof(Request));
	uint32		asked;

	for (uint32 i = 0; i < dead->n; i++)
	{
		uint64		space[ALEX_MAX_WORDS + 1];
		const uint64 *there = dead_position(dead, i, page, space);
		uint32		at = there ? find_record(records, n, words, there) : n;

		if (at < n)
			gone[at] = true;
	}
	if (alex_has_killed(page))
		alex_mark_killed(page, records, n);
	for (uint32 i = 0; i < n; i++)
	{
		if (gone[i])
			records[i * stride + words] |= ALEX_KILLED;
		gone[i] = false;
	}

	/* heap's function wants some that are known to be dead, and these come first */
	request->op.irel = rel;
	request->op.iblknum = BufferGetBlockNumber(buffer);
	while ((asked = alex_pick_marked(records, n, words, request->places)) > 0)
	{
		ask(request, records, asked, words, false, 0);
		for (uint32 i = 0; i < asked; i++)
			records[request->places[i] * stride + words] &= ~ALEX_KILLED;
		mark_dead(request, heap, records, words);
		for (uint32 i = 0; i < asked; i++)
		{
			uint64	   *tie = &records[request->places[i] * stride + words];

			if (*tie & ALEX_KILLED)
				gone[request->places[i]] = true;
			*tie &= ~ALEX_KILLED;
		}
	}

	rows->n = 0;
	rows->tids = palloc((n + 1) * sizeof(uint64));
	for (uint32 i = 0; i < n; i++)
		if (gone[i])
			rows->tids[rows->n++] = records[i * stride + words] & ALEX_TID_MASK;
	qsort(rows->tids, rows->n, sizeof(uint64), compare_tids);

	pfree(request);
	pfree(gone);
	pfree(records);
}

uint32
alex_dead_remove(Relation rel, const AlexIndex *index, Relation heap, BlockNumber block, AlexDead *dead)
{
	Buffer		buffer = ReadBuffer(rel, block);
	uint32		removed = 0;
	uint32		live;
	AlexRemover remover;
	DeadRows	rows;

	alex_lock(rel, index, buffer, BUFFER_LOCK_EXCLUSIVE);
	if (alex_cheader(BufferGetPage(buffer))->level == 0 && (alex_cheader(BufferGetPage(buffer))->flags & ALEX_DELETED) == 0)
	{
		alex_dead_recheck(heap, buffer, dead);
		find_dead_rows(rel, index, heap, buffer, dead, &rows);
		if (rows.n > 0)
		{
			if (alex_cheader(BufferGetPage(buffer))->flags & ALEX_INCOMPLETE_SPLIT)
				alex_finish_split(rel, index, buffer);
			alex_remover_begin(&remover, row_is_dead, &rows);
			removed = alex_remove_entries(&remover, rel, index, &buffer, &live);
			alex_remover_end(&remover);
		}
		pfree(rows.tids);
	}
	UnlockReleaseBuffer(buffer);
	return removed;
}
