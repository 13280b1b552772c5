/*
 * alex_scan.c - index scans.
 *
 * A scan is a list of ranges of positions (alex_plan_scan) and the part of the current one that is still to come, from
 * "low" to "high". It reads in batches: find the leaf, lock it, copy the next few records into a private array, unlock.
 * The first batch is as large as what the scan returned before its last rescan: on the inner side of a nested loop, also
 * under a LIMIT, one range is mostly as long as the other. It is small if that is unknown, so that one row costs no decoding
 * of a whole page; later ones grow.
 *
 * Positions are unique, so a scan resumes by value: it does not matter what became of the page in the meantime. The leaf of
 * the last batch, and its neighbours by their links, are only hints that spare a descent; fences decide.
 *
 * Pins: between batches an index-only scan, or one with a snapshot that is not MVCC, keeps its leaf pinned, and vacuum
 * waits for it: the TIDs in the private array stay those of the rows they were read for. Other scans keep no pin.
 *
 * Dead rows: entries of rows that the executor found dead to everyone (kill_prior_tuple) are marked in the leaf when the scan leaves
 * the batch, and not returned by later scans. Without a pin they may have been removed meanwhile, and TIDs used again: then
 * the leaf's LSN has changed, and the table is asked once more. Where nothing is logged LSNs do not change, so scans of such indexes
 * keep the pin.
 */
#include "alex_scan.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/tidbitmap.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/memutils.h"

#include "alex_route.h"
#include "alex_tuples.h"

#if PG_VERSION_NUM >= 180000
#include "access/genam.h"
#endif

#define BATCH_GROWTH 4
#define LAST_BATCH 2048
#define MOST_BATCH_WORDS (1 << 18)

/* Rows fetched by one scan after which it remembers where their blocks are in shared buffers. */
#define AHEAD_AFTER 1000

/* TIDs given to a bitmap at once. */
#define BITMAP_TIDS 256

/* Tuple or, while the batch is being read, record i of the batch. */
static inline uint64 *
tuple_at(const AlexScan *so, uint32 i)
{
	return so->tuples + (Size) i * so->stride;
}

static void
drop_pin(AlexScan *so)
{
	if (BufferIsValid(so->pin))
		ReleaseBuffer(so->pin);
	so->pin = InvalidBuffer;
}

/* The batch will be replaced. */
static void
count_returned(AlexScan *so)
{
	so->returned += so->next;
	so->fetched += so->next;
}

static void kill_entries(IndexScanDesc scan);

/* Forgets the batch, not the place. */
static void
drop_batch(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	if (unlikely(so->nkilled > 0))
		kill_entries(scan);
	drop_pin(so);
	count_returned(so);
	so->ntuples = so->next = 0;
	so->block = InvalidBlockNumber;
}

IndexScanDesc
alexbeginscan(Relation rel, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(rel, nkeys, norderbys);
	AlexScan   *so = palloc0(sizeof(AlexScan));

	alex_open(rel, &so->index);
	so->context = CurrentMemoryContext;
	alex_begin_plan(&so->plan);
	so->words = so->index.least;
	so->stride = so->words + 1;
	so->header = alex_header_word(&so->index.key, so->words);
	so->low.word = palloc((Size) 3 * (so->index.words + 1) * sizeof(uint64));
	so->high.word = so->low.word + so->index.words + 1;
	so->mark.word = so->high.word + so->index.words + 1;
	so->allocated = (Size) (ALEX_FIRST_BATCH * BATCH_GROWTH) * so->stride;
	so->tuples = palloc(so->allocated * sizeof(uint64));
	so->block = InvalidBlockNumber;
	so->pin = InvalidBuffer;
	so->crowded = InvalidBlockNumber;
	alex_readahead_begin(&so->readahead);
	scan->opaque = so;
	scan->xs_itupdesc = RelationGetDescr(rel);
	return scan;
}

void
alexrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	drop_batch(scan);
	so->started = false;
	so->prepared = false;
	so->marked = false;
	so->at_mark = false;
	so->shared = scan->parallel_scan ? compat_parallel_scan_area(scan->parallel_scan) : NULL;
	so->index_only = scan->xs_want_itup;
	if (so->index_only && so->formed == NULL && !alex_makes_tuples(&so->index.key))
		so->formed = MemoryContextAllocZero(so->context, alex_tuple_space(&so->index.key));
	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
}

void
alexendscan(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	drop_batch(scan);
	if (so->ahead)
		pfree(so->ahead);
	if (so->killed)
		pfree(so->killed);
	if (so->formed)
		pfree(so->formed);
	pfree(so->tuples);
	pfree(so->low.word);
	alex_end_plan(&so->plan);
	pfree(so);
}

/* Computes the ranges; counts the scan. */
static void
prepare(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	alex_plan_scan(&so->index.key, scan->keyData, scan->numberOfKeys, &so->plan);
	so->prepared = true;
	so->batch_size = Max(ALEX_FIRST_BATCH, Min(so->returned, LAST_BATCH));
	so->returned = 0;
	pgstat_count_index_scan(scan->indexRelation);
#if PG_VERSION_NUM >= 180000
	if (scan->instrument)
		scan->instrument->nsearches++;
#endif
}

void
alex_scan_skip(AlexScan *so)
{
	uint64		low[ALEX_MAX_WORDS + 1];
	uint64		high[ALEX_MAX_WORDS + 1];
	int			words = so->index.words;

	/* a box knows only positions of all words */
	alex_place_widen(so, &so->low);
	alex_place_widen(so, &so->high);
	if (so->forward)
		alex_place_set(&so->low, alex_box_next(&so->plan.box, so->low.word, low, high) &&
					   alex_compare(low, so->high.word, words) < 0 ? low : so->high.word, words);
	else
		alex_place_set(&so->high, alex_box_previous(&so->plan.box, so->high.word, low, high) &&
					   alex_compare(high, so->low.word, words) > 0 ? high : so->low.word, words);
}

bool
alex_scan_enter_range(AlexScan *so, int i)
{
	so->current = i;
	if (i < 0 || i >= so->plan.n)
		return false;
	alex_plan_range(&so->index.key, &so->plan, i, so->low.word, so->high.word);
	so->low.words = alex_trim(&so->index, so->low.word);
	so->high.words = alex_trim(&so->index, so->high.word);
	if (so->plan.filtered)
		alex_scan_skip(so);
	so->recheck = alex_plan_recheck(&so->plan, i);
	return true;
}

/*
 * The position before that of a place, in "space": there is one, as the caller knows of a smaller position. It has all words, the words
 * behind those it is counted down in being as great as can be. Returns their number.
 */
static inline int
previous_position(const AlexScan *so, const AlexPlace *place, uint64 *space)
{
	int			words = place->words;
	int			i = words;

	memcpy(space, place->word, (words + 1) * sizeof(uint64));
	if (likely(space[words]-- != 0))
		return words;
	while (--i >= 0 && space[i]-- == 0)
		;
	for (int w = words; w <= so->index.words; w++)
		space[w] = PG_UINT64_MAX;
	return so->index.words;
}

Buffer
alex_scan_find_leaf(IndexScanDesc scan, bool forward)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	Relation	rel = scan->indexRelation;
	uint64		space[ALEX_MAX_WORDS + 1];
	const uint64 *position = so->low.word;
	int			words = so->low.words;
	Buffer		buffer;

	if (!forward)
	{
		words = previous_position(so, &so->high, space);
		position = space;
	}

	if (so->block != InvalidBlockNumber)
	{
		buffer = alex_pin(rel, so->block, NULL);
		alex_lock(rel, &so->index, buffer, BUFFER_LOCK_SHARE);
		if (alex_covers(BufferGetPage(buffer), 0, position, words))
			return buffer;
		UnlockReleaseBuffer(buffer);
	}
	buffer = alex_route_leaf(rel, &so->index, position, words, BUFFER_LOCK_SHARE);
	if (BufferIsValid(buffer))
		return buffer;
	return alex_descend(rel, &so->index, position, words, 0, BUFFER_LOCK_SHARE);
}

/* Every record of the batch has the address of a row. */
static void
require_tids(const AlexScan *so, Relation rel)
{
	const uint64 *tie = so->tuples + so->words;
	bool		bad = false;

	for (uint32 i = 0; i < so->ntuples; i++, tie += so->stride)
		bad |= !alex_tie_is_tid(*tie);
	if (unlikely(bad))
		alex_corrupt(rel, so->leaf, ALEX_NO_TID);
}

/* Marks the entries of dead rows that were noted, where they are still in the leaf; or removes them if their marks have no room. */
static pg_noinline void
kill_entries(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	Relation	rel = scan->indexRelation;
	bool		pinned = BufferIsValid(so->pin);
	Buffer		buffer = pinned ? so->pin : ReadBuffer(rel, so->leaf);
	const AlexNodeHeader *node = alex_cheader(BufferGetPage(buffer));
	AlexDead	dead = {0};

	for (uint32 i = 0; i < so->nkilled; i++)
		alex_tuple_position(&so->index.key, tuple_at(so, so->killed[i]), so->words, alex_dead_next(&dead, so->words));
	so->nkilled = 0;

	alex_lock(rel, &so->index, buffer, BUFFER_LOCK_SHARE);
	if (node->level == 0 && (node->flags & ALEX_DELETED) == 0)
	{
		bool		same = RelationNeedsWAL(rel) && BufferGetLSNAtomic(buffer) == so->leaf_lsn;

		if (!pinned && !same)
			alex_dead_recheck(scan->heapRelation, buffer, &dead);
		alex_dead_mark(buffer, &dead);
		/* marks may log an image of the page, which changes nothing else */
		if (same)
			so->leaf_lsn = BufferGetLSNAtomic(buffer);
	}
	else
		dead.n = 0;
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (!pinned)
		ReleaseBuffer(buffer);

	/* those of earlier batches are not known any more, but mostly their rows are in the same blocks, which the table is asked about */
	if (so->crowded != so->leaf)
		so->unmarked = 0;
	so->crowded = so->leaf;
	so->unmarked += dead.n;
	if (dead.n > 0 && so->unmarked >= ALEX_UNMARKED_DEAD)
	{
		so->unmarked = 0;
		alex_dead_remove(rel, &so->index, scan->heapRelation, so->leaf, &dead);
	}
	alex_dead_free(&dead);
}

/* The row of the tuple returned last is dead to everyone. */
static pg_noinline void
note_killed(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	if (so->next == 0 || so->next > so->ntuples)
		return;
	if (so->killed == NULL)
		so->killed = MemoryContextAlloc(so->context, ALEX_MAX_DEAD * sizeof(uint16));
	so->killed[so->nkilled++] = (uint16) (so->next - 1);
	if (so->nkilled == ALEX_MAX_DEAD)
		kill_entries(scan);
}

/* Reads a batch of the current range from its leaf, and sets what is still to come. */
static inline void
collect(IndexScanDesc scan, Page page)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	const AlexNodeHeader *node = alex_cheader(page);
	int			words = so->words;
	uint64		low_space[ALEX_MAX_WORDS + 1];
	uint64		high_space[ALEX_MAX_WORDS + 1];
	const uint64 *low = alex_fit_position(page, so->low.word, so->low.words, low_space);
	const uint64 *high = alex_fit_position(page, so->high.word, so->high.words, high_space);
	bool		more;

	so->ntuples = (scan->ignore_killed_tuples ? alex_collect_living : alex_collect)
		(page, low, high, !so->forward, so->batch_size, so->tuples, &more);

	/* or the next batch would be this one again */
	if (more && (so->forward ? alex_compare(tuple_at(so, so->ntuples - 1), low, words) < 0 ||
				 tuple_at(so, so->ntuples - 1)[words] == PG_UINT64_MAX :
				 alex_compare(tuple_at(so, so->ntuples - 1), high, words) >= 0))
		alex_corrupt(scan->indexRelation, so->block, "Records are out of order");

	/* what is still to come: behind the last record of the batch, or beyond this leaf */
	if (so->forward)
	{
		if (more)
		{
			alex_place_set(&so->low, tuple_at(so, so->ntuples - 1), words);
			so->low.word[words]++;
		}
		else if (node->right == InvalidBlockNumber || alex_compare_high(page, high) >= 0)
			alex_place_copy(&so->low, &so->high);
		else
		{
			alex_place_high(&so->low, page);
			so->block = node->right;
		}
	}
	else
	{
		if (more)
			alex_place_set(&so->high, tuple_at(so, so->ntuples - 1), words);
		else if (alex_compare_low(page, low) <= 0)
			alex_place_copy(&so->high, &so->low);
		else
		{
			alex_place_low(&so->high, page);
			so->block = node->left;
		}
	}
}

/* The same of a plan that filters. */
static void
collect_filtered(IndexScanDesc scan, Page page)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	const AlexNodeHeader *node = alex_cheader(page);
	int			words = so->index.words;
	uint64		rest[ALEX_MAX_WORDS + 1];
	uint64		space[ALEX_MAX_WORDS + 1];
	bool		more;

	alex_place_widen(so, &so->low);
	alex_place_widen(so, &so->high);
	so->ntuples = alex_collect_box(page, &so->plan.box, so->low.word, so->high.word, !so->forward, scan->ignore_killed_tuples,
								   so->batch_size, so->tuples, &more, rest);
	if (so->ntuples == ALEX_OUT_OF_ORDER)
	{
		so->ntuples = 0;
		alex_corrupt(scan->indexRelation, so->block, "Records are out of order");
	}
	alex_place_set(so->forward ? &so->low : &so->high, rest, words);
	if (more)
		return;

	/* the next leaf is only a guess if there is a gap before it */
	if (so->forward)
		so->block = node->right != InvalidBlockNumber && alex_compare_high(page, alex_fit_position(page, rest, words, space)) == 0 ?
			node->right : InvalidBlockNumber;
	else
		so->block = alex_compare_low(page, alex_fit_position(page, rest, words, space)) == 0 ? node->left : InvalidBlockNumber;
}

/*
 * Reads the next batch of the current range. Returns false when the range is exhausted; a batch may be empty all the
 * same (an empty leaf), with more to come.
 */
static bool
read_batch(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	Buffer		buffer;
	Page		page;
	Size		need;
	int64		reads;

	if (alex_place_compare(&so->low, &so->high) >= 0)
		return false;
	CHECK_FOR_INTERRUPTS();

	if (unlikely(so->nkilled > 0))
		kill_entries(scan);
	drop_pin(so);
	reads = pgBufferUsage.shared_blks_read;
	buffer = alex_scan_find_leaf(scan, so->forward);
	reads = pgBufferUsage.shared_blks_read - reads;
	so->readahead.reads += reads;	/* these are not the rows' */
	page = BufferGetPage(buffer);
	compat_test_old_snapshot(scan->xs_snapshot, scan->indexRelation, page);
	/* before the lock is let go: who inserts here from now on conflicts */
	PredicateLockPage(scan->indexRelation, BufferGetBlockNumber(buffer), scan->xs_snapshot);

	count_returned(so);
	if (unlikely(so->words != alex_cheader(page)->words))
	{
		so->words = alex_cheader(page)->words;
		so->stride = so->words + 1;
		so->header = alex_header_word(&so->index.key, so->words);
	}
	/* few long keys are as much as many short ones */
	so->batch_size = Min(so->batch_size, Max(ALEX_FIRST_BATCH, MOST_BATCH_WORDS / so->stride));
	need = (Size) (so->batch_size + alex_delta_count(page)) * so->stride;
	if (unlikely(need > so->allocated))
	{
		/* palloc is fine under a share lock, but an interrupt must wait */
		need = Max(need, 2 * so->allocated);
		pfree(so->tuples);
		so->tuples = MemoryContextAlloc(so->context, need * sizeof(uint64));
		so->allocated = need;
	}
	so->block = so->leaf = BufferGetBlockNumber(buffer);
	so->leaf_lsn = BufferGetLSNAtomic(buffer);
	if (so->plan.filtered)
		collect_filtered(scan, page);
	else
		collect(scan, page);
	so->next = 0;
	so->batch_size = Min(so->batch_size * BATCH_GROWTH, LAST_BATCH);

	require_tids(so, scan->indexRelation);
	alex_make_tuples(&so->index.key, so->tuples, so->words, so->ntuples);

	if (so->ntuples > 0 && (so->index_only || !IsMVCCSnapshot(scan->xs_snapshot) || !RelationNeedsWAL(scan->indexRelation)))
	{
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		so->pin = buffer;
	}
	else
		UnlockReleaseBuffer(buffer);

	/* the leaf was not in shared buffers: the next one may be asked for while this one's rows are worked on */
	if (unlikely(reads > 0) && so->block != so->leaf && so->block != InvalidBlockNumber &&
		alex_block_exists(scan->indexRelation, so->block, &(BlockNumber) {0}))
		PrefetchBuffer(scan->indexRelation, MAIN_FORKNUM, so->block);
	return true;
}

/* The direction changed, or a mark was restored: what is left is the current range beyond the given place. */
static void
resume_at(IndexScanDesc scan, const AlexPlace *place, bool forward)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	drop_batch(scan);
	so->forward = forward;
	alex_scan_enter_range(so, so->current);
	alex_place_copy(forward ? &so->low : &so->high, place);
	if (forward)
		so->low.word[so->low.words]++;
}

/* Advances to the next record in the direction; false at the end. */
static bool
advance(IndexScanDesc scan, bool forward)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	if (!so->started)
	{
		if (!so->prepared)
			prepare(scan);
		so->started = true;
		so->forward = forward;
		if (so->shared)
			alex_scan_claim(scan, forward);
		else
			alex_scan_enter_range(so, forward ? 0 : so->plan.n - 1);
	}
	else if (so->forward != forward)
	{
		if (so->at_mark)
			resume_at(scan, &so->mark, forward);
		else if (so->current >= 0 && so->current < so->plan.n && so->next > 0)
		{
			uint64		current[ALEX_MAX_WORDS + 1];
			AlexPlace	place = {so->words, current};

			alex_tuple_position(&so->index.key, tuple_at(so, so->next - 1), so->words, current);
			resume_at(scan, &place, forward);
		}
		else
		{
			/* off one end: turn back into the nearest range */
			drop_batch(scan);
			so->forward = forward;
			alex_scan_enter_range(so, forward ? so->current + 1 : so->current - 1);
		}
	}

	so->at_mark = false;
	for (;;)
	{
		if (so->next < so->ntuples)
		{
			so->next++;
			return true;
		}
		if (so->current < 0 || so->current >= so->plan.n)
		{
			drop_batch(scan);
			return false;
		}
		if (read_batch(scan))
			continue;
		if (so->shared)
			alex_scan_claim(scan, forward);
		else
			alex_scan_enter_range(so, forward ? so->current + 1 : so->current - 1);
	}
}

static inline void
return_tuple(IndexScanDesc scan, AlexScan *so, bool fresh)
{
	const uint64 *headers = so->tuples + so->header;
	IndexTuple	tuple = (IndexTuple) (headers + (Size) (so->next - 1) * so->stride);

	if (so->ahead)
		alex_ahead_prefetch(so->ahead, scan, headers, so->stride, so->next - 1, so->ntuples, fresh);
	if (unlikely(so->readahead.distance > 0 || alex_blocks_were_read(&so->readahead)))
		alex_readahead(&so->readahead, scan, headers, so->stride, so->next - 1, so->ntuples, fresh);
	scan->xs_heaptid = tuple->t_tid;
	if (so->formed)
	{
		/* only for index-only scans */
		alex_form_tuple(&so->index.key, tuple_at(so, so->next - 1), so->words, so->formed);
		tuple = so->formed;
	}
	scan->xs_itup = tuple;
	scan->xs_recheck = so->recheck;
}

/* alexgettuple() where more has to be done than to take the next tuple of the batch. */
static pg_noinline bool
gettuple_slowly(IndexScanDesc scan, bool forward)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	if (!advance(scan, forward))
		return false;
	if (so->ahead == NULL && so->fetched >= AHEAD_AFTER)
	{
		so->ahead = alex_ahead_begin(scan, so->context);
		so->fetched = 0;		/* if there is none, ask again after as many */
	}
	return_tuple(scan, so, so->next == 1);
	return true;
}

bool
alexgettuple(IndexScanDesc scan, ScanDirection direction)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	bool		forward = !ScanDirectionIsBackward(direction);

	if (unlikely(scan->kill_prior_tuple))
		note_killed(scan);
	if (unlikely(so->next >= so->ntuples || so->forward != forward))
		return gettuple_slowly(scan, forward);
	so->next++;
	return_tuple(scan, so, false);
	return true;
}

int64
alexgetbitmap(IndexScanDesc scan, TIDBitmap *bitmap)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	ItemPointerData tids[BITMAP_TIDS];
	int64		n = 0;

	while (advance(scan, true))
	{
		int			count = 0;

		/* this one and what else the batch has */
		for (so->next--; so->next < so->ntuples && count < BITMAP_TIDS; so->next++)
			tids[count++] = ((IndexTuple) (tuple_at(so, so->next) + so->header))->t_tid;
		tbm_add_tuples(bitmap, tids, count, so->recheck);
		n += count;
	}
	return n;
}

/* The place of the current record is marked by its position, so nothing is held. */
void
alexmarkpos(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	if (so->at_mark)
		return;
	so->marked = so->started && so->next > 0 && so->current >= 0 && so->current < so->plan.n;
	if (so->marked)
	{
		so->mark_current = so->current;
		so->mark.words = so->words;
		alex_tuple_position(&so->index.key, tuple_at(so, so->next - 1), so->words, so->mark.word);
	}
}

/* The next record returned is the one after the marked one. */
void
alexrestrpos(IndexScanDesc scan)
{
	AlexScan   *so = (AlexScan *) scan->opaque;

	if (!so->marked)
	{
		drop_batch(scan);
		so->started = false;
		return;
	}

	/* a merge join goes back a little way: usually the mark is in the batch */
	if (so->current == so->mark_current)
		for (uint32 i = so->next; i > 0; i--)
		{
			uint64		position[ALEX_MAX_WORDS + 1];

			alex_tuple_position(&so->index.key, tuple_at(so, i - 1), so->words, position);
			if (alex_compare_widths(position, so->words, so->mark.word, so->mark.words) == 0)
			{
				so->next = i;
				return;
			}
		}
	so->current = so->mark_current;
	resume_at(scan, &so->mark, so->forward);
	so->at_mark = true;
}

/*
 * Not in recovery: replay removes index entries without a cleanup lock, so an index-only scan on a standby could trust
 * the visibility map for a TID that has been reused. The planner asks at plan time, and a plan made in recovery stays
 * a plain index scan after promotion.
 */
bool
alexcanreturn(Relation rel, int column)
{
	return !RecoveryInProgress() && (column == 0 || alex_column_returnable(rel, column - 1));
}
