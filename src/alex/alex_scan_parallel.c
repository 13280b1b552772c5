/*
 * alex_scan_parallel.c - scans in parallel.
 *
 * The processes share a place in the scan: a range, and what is left of it. One after the other takes what is left on one leaf, moves
 * the place behind it, and reads that part by itself. As the place is a position, it does not matter what becomes of the leaf: the
 * part that was taken is read wherever it is then.
 *
 * While a process looks for the leaf, the others wait. They hold no lock meanwhile, and an error ends all of them.
 */
#include "alex_scan.h"

#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/spin.h"

typedef enum SharedState
{
	SHARED_NEW,					/* nobody has begun */
	SHARED_READY,
	SHARED_BUSY,				/* a process is about to take its part */
	SHARED_DONE
} SharedState;

struct AlexSharedScan
{
	slock_t		mutex;			/* for all that follows */
	SharedState state;
	int			current;		/* range */
	int			words;			/* of the position */
	uint64		position[ALEX_MAX_WORDS + 1];	/* forward: the low end of what is left, backward: the high end */
	ConditionVariable ready;	/* signalled when it is not busy any more */
};

Size
alexestimateparallelscan(COMPAT_ESTIMATE_PARALLEL_ARGS)
{
	return sizeof(AlexSharedScan);
}

void
alexinitparallelscan(void *target)
{
	AlexSharedScan *shared = target;

	SpinLockInit(&shared->mutex);
	shared->state = SHARED_NEW;
	ConditionVariableInit(&shared->ready);
}

void
alexparallelrescan(IndexScanDesc scan)
{
	AlexSharedScan *shared = compat_parallel_scan_area(scan->parallel_scan);

	/* no other process scans now, but the compiler shall not know */
	SpinLockAcquire(&shared->mutex);
	shared->state = SHARED_NEW;
	SpinLockRelease(&shared->mutex);
}

/* Waits until it is this process's turn. Returns the state that was found; if not SHARED_DONE, the others wait now. */
static SharedState
take_turn(AlexSharedScan *shared)
{
	SharedState state;

	for (;;)
	{
		SpinLockAcquire(&shared->mutex);
		state = shared->state;
		if (state == SHARED_NEW || state == SHARED_READY)
			shared->state = SHARED_BUSY;
		SpinLockRelease(&shared->mutex);
		if (state != SHARED_BUSY)
			break;
		ConditionVariableSleep(&shared->ready, WAIT_EVENT_BTREE_PAGE);
	}
	ConditionVariableCancelSleep();
	return state;
}

static void
end_turn(AlexSharedScan *shared, SharedState state, int current, const uint64 *position, int words)
{
	SpinLockAcquire(&shared->mutex);
	shared->state = state;
	if (state == SHARED_READY)
	{
		shared->current = current;
		shared->words = words;
		memcpy(shared->position, position, (words + 1) * sizeof(uint64));
	}
	SpinLockRelease(&shared->mutex);
	if (state == SHARED_DONE)
		ConditionVariableBroadcast(&shared->ready);
	else
		ConditionVariableSignal(&shared->ready);
}

/* Reduces what is to come to what is on one leaf. Returns the end of that, where the others go on. */
static const AlexPlace *
take_leaf(IndexScanDesc scan, bool forward)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	AlexPlace  *end = forward ? &so->high : &so->low;
	uint64		space[ALEX_MAX_WORDS + 1];
	Buffer		buffer;
	Page		page;
	const AlexNodeHeader *node;

	buffer = alex_scan_find_leaf(scan, forward);
	page = BufferGetPage(buffer);
	node = alex_cheader(page);
	so->block = BufferGetBlockNumber(buffer);
	if (!forward && alex_compare_low(page, alex_fit_position(page, end->word, end->words, space)) > 0)
		alex_place_low(end, page);
	if (forward && node->right != InvalidBlockNumber &&
		alex_compare_high(page, alex_fit_position(page, end->word, end->words, space)) < 0)
		alex_place_high(end, page);
	UnlockReleaseBuffer(buffer);
	return end;
}

bool
alex_scan_claim(IndexScanDesc scan, bool forward)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	AlexSharedScan *shared = so->shared;
	int			step = forward ? 1 : -1;
	SharedState state = take_turn(shared);
	const AlexPlace *rest;

	if (state == SHARED_DONE)
	{
		so->current = forward ? so->plan.n : -1;
		return false;
	}
	if (state == SHARED_NEW)
		alex_scan_enter_range(so, forward ? 0 : so->plan.n - 1);
	else
	{
		alex_scan_enter_range(so, shared->current);
		alex_place_set(forward ? &so->low : &so->high, shared->position, shared->words);
		if (so->plan.filtered && so->current >= 0 && so->current < so->plan.n)
			alex_scan_skip(so);
	}
	while (so->current >= 0 && so->current < so->plan.n && alex_place_compare(&so->low, &so->high) >= 0)
		alex_scan_enter_range(so, so->current + step);
	if (so->current < 0 || so->current >= so->plan.n)
	{
		end_turn(shared, SHARED_DONE, 0, NULL, 0);
		return false;
	}
	so->block = InvalidBlockNumber;
	rest = take_leaf(scan, forward);
	end_turn(shared, SHARED_READY, so->current, rest->word, rest->words);
	return true;
}
