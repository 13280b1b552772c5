/*
 * omen_truncate.c - VACUUM: giving empty pages at the end of a table back.
 *
 * For this nobody else may use the table. The lock is asked for again and again, never waited for in the queue, and let go of as
 * soon as somebody wants it.
 */
#include "omen.h"

#include "catalog/storage.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/wait_event.h"

#include "omen_vacuum.h"

/* not worth the lock for less than this many pages, or this part of the table */
#define WORTH_PAGES 1000
#define WORTH_FRACTION 16

#define LOCK_TIMEOUT_MS 5000
#define LOCK_RETRY_MS 50
#define WAITERS_CHECK_MS 20
#define WAITERS_CHECK_BLOCKS 32

static bool
worth_it(const OmenVacuum *v)
{
	BlockNumber freeable = v->pages - v->nonempty;

	return v->do_truncate && !v->failsafe && freeable > 0 &&
		(freeable >= WORTH_PAGES || freeable >= v->pages / WORTH_FRACTION);
}

static bool
try_lock(OmenVacuum *v)
{
	for (int waited = 0; !ConditionalLockRelation(v->rel, AccessExclusiveLock); waited += LOCK_RETRY_MS)
	{
		CHECK_FOR_INTERRUPTS();
		if (waited >= LOCK_TIMEOUT_MS)
		{
			ereport(v->verbose ? INFO : DEBUG2,
					(errmsg("\"%s\": not truncated, as others are using the table", v->name)));
			return false;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_RETRY_MS,
						 WAIT_EVENT_VACUUM_TRUNCATE);
		ResetLatch(MyLatch);
	}
	return true;
}

/* Does this block hold anything? A dead row counts: indexes may still point to it. So does any store page: free ones are none. */
static bool
has_content(OmenVacuum *v, BlockNumber block)
{
	Buffer		buffer = ReadBufferExtended(v->rel, MAIN_FORKNUM, block, RBM_NORMAL, v->strategy);
	Page		page = BufferGetPage(buffer);
	bool		found = false;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	switch (omen_page_kind(v->rel, block, page))
	{
		case OMEN_PAGE_NEW:
			break;
		case OMEN_PAGE_STORE:
			found = true;
			break;
		case OMEN_PAGE_ROWS:
			for (OffsetNumber offnum = FirstOffsetNumber; !found && offnum <= PageGetMaxOffsetNumber(page); offnum++)
				found = ItemIdIsUsed(PageGetItemId(page, offnum));
			break;
	}
	UnlockReleaseBuffer(buffer);
	return found;
}

/*
 * How many blocks must stay: others may have used the last ones since they were visited. Stops early, with *waiters set, when
 * somebody waits for the table.
 */
static BlockNumber
find_end(OmenVacuum *v, bool *waiters)
{
	BlockNumber end = v->pages;
	instr_time	checked;

	INSTR_TIME_SET_CURRENT(checked);
	for (; end > v->nonempty; end--)
	{
		CHECK_FOR_INTERRUPTS();
		if (end % WAITERS_CHECK_BLOCKS == 0)
		{
			instr_time	now;
			instr_time	elapsed;

			INSTR_TIME_SET_CURRENT(now);
			elapsed = now;
			INSTR_TIME_SUBTRACT(elapsed, checked);
			if (INSTR_TIME_GET_MILLISEC(elapsed) >= WAITERS_CHECK_MS)
			{
				if (LockHasWaitersRelation(v->rel, AccessExclusiveLock))
				{
					ereport(v->verbose ? INFO : DEBUG2,
							(errmsg("table \"%s\": truncating is suspended, as others are waiting for the table", v->name)));
					*waiters = true;
					return end;
				}
				checked = now;
			}
		}
		if (has_content(v, end - 1))
			return end;
	}
	return end;
}

void
omen_vacuum_truncate(OmenVacuum *v)
{
	bool		waiters;
	BlockNumber end;

	if (!worth_it(v))
		return;
	v->step = OMEN_VACUUM_TRUNCATE;
	pgstat_progress_update_param(PROGRESS_VACUUM_PHASE, PROGRESS_VACUUM_PHASE_TRUNCATE);

	do
	{
		waiters = false;
		if (!try_lock(v))
			return;
		/* grown meanwhile: the end is in use */
		end = v->pages;
		if (RelationGetNumberOfBlocks(v->rel) == v->pages)
			end = find_end(v, &waiters);
		v->block = end;
		if (end < v->pages)
			RelationTruncate(v->rel, end);
		UnlockRelation(v->rel, AccessExclusiveLock);
		if (end == v->pages)
			return;

		ereport(v->verbose ? INFO : DEBUG2,
				(errmsg("table \"%s\": truncated %u to %u pages", v->name, v->pages, end)));
		v->truncated += v->pages - end;
		v->pages = end;
	} while (waiters && v->pages > v->nonempty);
}
