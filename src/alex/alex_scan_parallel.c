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
		memcpy(shared->position, position, (words + 1) * sizeof(uint64));
	}
	SpinLockRelease(&shared->mutex);
	if (state == SHARED_DONE)
		ConditionVariableBroadcast(&shared->ready);
	else
		ConditionVariableSignal(&shared->ready);
}

/* Reduces what is to come to what is on one leaf; "rest" is the end of that, where the others go on. */
static void
take_leaf(IndexScanDesc scan, bool forward, uint64 *rest)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	int			words = so->index.words;
	uint64		target[ALEX_MAX_WORDS + 1];
	uint64	   *end = forward ? so->high : so->low;
	Buffer		buffer;
	Page		page;
	const AlexNodeHeader *node;

	if (forward)
		alex_copy_position(so, target, so->low);
	else
		alex_scan_previous(so, so->high, target);
	buffer = alex_scan_find_leaf(scan, target);
	page = BufferGetPage(buffer);
	node = alex_cheader(page);
	so->block = BufferGetBlockNumber(buffer);
	if (!forward && alex_compare(alex_low_fence(page), end, words) > 0)
		alex_copy_position(so, end, alex_low_fence(page));
	if (forward && node->right != InvalidBlockNumber && alex_compare(alex_high_fence(page), end, words) < 0)
		alex_copy_position(so, end, alex_high_fence(page));
	UnlockReleaseBuffer(buffer);
	alex_copy_position(so, rest, end);
}

bool
alex_scan_claim(IndexScanDesc scan, bool forward)
{
	AlexScan   *so = (AlexScan *) scan->opaque;
	AlexSharedScan *shared = so->shared;
	int			words = so->index.words;
	int			step = forward ? 1 : -1;
	SharedState state = take_turn(shared);
	uint64		rest[ALEX_MAX_WORDS + 1];

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
		alex_copy_position(so, forward ? so->low : so->high, shared->position);
		if (so->plan.filtered && so->current >= 0 && so->current < so->plan.n)
			alex_scan_skip(so);
	}
	while (so->current >= 0 && so->current < so->plan.n && alex_compare(so->low, so->high, words) >= 0)
		alex_scan_enter_range(so, so->current + step);
	if (so->current < 0 || so->current >= so->plan.n)
	{
		end_turn(shared, SHARED_DONE, 0, NULL, words);
		return false;
	}
	so->block = InvalidBlockNumber;
	take_leaf(scan, forward, rest);
	end_turn(shared, SHARED_READY, so->current, rest, words);
	return true;
}
