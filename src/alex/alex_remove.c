/*
 * alex_remove.c - removing entries from a leaf: for VACUUM, and for those that met too many dead ones (alex_dead_remove).
 *
 * They go in place where they can: a note says which records of the base are removed, others of the delta move together. Else
 * the leaf is rewritten without them, and may split.
 */
#include "alex.h"

#include "miscadmin.h"

static inline bool
is_dead(AlexRemover *remover, Relation rel, BlockNumber block, uint64 tie)
{
	ItemPointerData tid;

	alex_record_tid(rel, block, tie, &tid);
	return remover->callback(&tid, remover->callback_state);
}

/* Notes which entries are removed; what else there is stays where it is. */
static void
remove_in_place(Relation rel, Buffer buffer, const bool *dead)
{
	Page		page = BufferGetPage(buffer);
	AlexRemoval removal;
	WalRecord	wal;

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	alex_remove(page, dead, &removal);
	for (int i = 0; i < removal.n; i++)
		wal_fragment(&wal, buffer, (char *) page + removal.changes[i].offset, removal.changes[i].length);
	wal_finish(&wal);
	END_CRIT_SECTION();
}

/* Rewrites the leaf without its dead entries. */
static void
rewrite(AlexRemover *remover, Relation rel, const AlexIndex *index, Buffer *buffer)
{
	Page		page = BufferGetPage(*buffer);
	int			words = alex_cheader(BufferGetPage(*buffer))->words;
	int			stride = words + 1;
	uint64	   *records = palloc_extended(alex_record_count(page) * stride * sizeof(uint64), MCXT_ALLOC_HUGE);
	uint32		n = alex_decode(page, records);

	for (uint32 i = 0; i < n; i++)
		remover->dead[i] = is_dead(remover, rel, BufferGetBlockNumber(*buffer), records[(Size) i * stride + words]);
	pfree(records);
	alex_remove_records(rel, index, buffer, remover->dead);
}

void
alex_remover_begin(AlexRemover *remover, IndexBulkDeleteCallback callback, void *state)
{
	remover->callback = callback;
	remover->callback_state = state;
	remover->ties = palloc((ALEX_MAX_RECORDS + BLCKSZ / 8) * sizeof(uint64));
	remover->dead = palloc((ALEX_MAX_RECORDS + BLCKSZ / 8) * sizeof(bool));
}

void
alex_remover_end(AlexRemover *remover)
{
	pfree(remover->ties);
	pfree(remover->dead);
}

uint32
alex_remove_entries(AlexRemover *remover, Relation rel, const AlexIndex *index, Buffer *buffer, uint32 *live)
{
	Page		page = BufferGetPage(*buffer);
	uint32		n = alex_read_ties(page, remover->ties);
	uint32		dead = 0;

	*live = 0;
	for (uint32 i = 0; i < n; i++)
	{
		bool		there = remover->ties[i] != 0;

		remover->dead[i] = there && is_dead(remover, rel, BufferGetBlockNumber(*buffer), remover->ties[i]);
		dead += remover->dead[i];
		*live += there && !remover->dead[i];
	}
	if (dead > 0 && alex_can_remove(page, remover->dead))
		remove_in_place(rel, *buffer, remover->dead);
	else if (dead > 0)
		rewrite(remover, rel, index, buffer);
	return dead;
}
