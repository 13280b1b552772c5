/*
 * omen_sample.c - TABLESAMPLE.
 *
 * The sampling method names blocks and line numbers; a line is a row. When it asks for few rows of a page they are
 * looked at one by one, otherwise the page is collected as in other scans. Pages are not pruned: a sample is to be
 * cheap.
 */
#include "omen_scan.h"

#include "access/tsmapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "pgstat.h"

static bool
omen_scan_sample_next_block(TableScanDesc sscan, struct SampleScanState *state)
{
	OmenScan	scan = (OmenScan) sscan;
	TsmRoutine *method = state->tsmroutine;

	if (BufferIsValid(scan->buffer))
	{
		ReleaseBuffer(scan->buffer);
		scan->buffer = InvalidBuffer;
	}
	CHECK_FOR_INTERRUPTS();

	if (scan->nblocks == 0)
		return false;
	scan->block = method->NextSampleBlock ? method->NextSampleBlock(state, scan->nblocks) : omen_scan_next_block(scan);
	if (!BlockNumberIsValid(scan->block))
		return false;

	if (scan->pagewise)
	{
		scan->buffer = ReadBufferExtended(sscan->rs_rd, MAIN_FORKNUM, scan->block, RBM_NORMAL, scan->strategy);
		omen_scan_collect(scan, false, NULL, 0);
	}
	return true;
}

/* The collected row of a line; NULL: the snapshot does not see it. */
static OmenRow *
find_row(OmenScan scan, OffsetNumber line)
{
	int			low = 0;
	int			high = scan->nrows;

	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (scan->rows[mid].line < line)
			low = mid + 1;
		else
			high = mid;
	}
	return low < scan->nrows && scan->rows[low].line == line ? &scan->rows[low] : NULL;
}

static bool
next_of_page(OmenScan scan, struct SampleScanState *state, TupleTableSlot *slot)
{
	for (;;)
	{
		OffsetNumber line = state->tsmroutine->NextSampleTuple(state, scan->block, scan->lines);
		OmenRow    *row;

		CHECK_FOR_INTERRUPTS();
		if (line == InvalidOffsetNumber)
			return false;
		row = find_row(scan, line);
		if (row == NULL)
			continue;

		scan->tuple.t_data = row->data;
		scan->tuple.t_len = row->length;
		ItemPointerSet(&scan->tuple.t_self, scan->block, line);
		if (row->in_page)
			ExecStoreBufferHeapTuple(&scan->tuple, slot, scan->buffer);
		else
			omen_copy_to_slot(&scan->tuple, slot);
		return true;
	}
}

static bool
next_of_rows(OmenScan scan, struct SampleScanState *state, TupleTableSlot *slot)
{
	Relation	rel = scan->base.rs_rd;
	Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, scan->block, RBM_NORMAL, scan->strategy);
	Page		page = BufferGetPage(buffer);
	OffsetNumber last = InvalidOffsetNumber;
	OffsetNumber line;
	bool		found;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (omen_page_kind(rel, scan->block, page) == OMEN_PAGE_ROWS)
		last = PageGetMaxOffsetNumber(page);
	do
	{
		line = state->tsmroutine->NextSampleTuple(state, scan->block, last);
		found = line != InvalidOffsetNumber &&
			omen_row_to_slot(rel, buffer, line, scan->base.rs_snapshot, scan->copy, false, slot, NULL);
	} while (!found && line != InvalidOffsetNumber);
	UnlockReleaseBuffer(buffer);
	return found;
}

static bool
omen_scan_sample_next_tuple(TableScanDesc sscan, struct SampleScanState *state, TupleTableSlot *slot)
{
	OmenScan	scan = (OmenScan) sscan;

	if (!(scan->pagewise ? next_of_page(scan, state, slot) : next_of_rows(scan, state, slot)))
	{
		ExecClearTuple(slot);
		return false;
	}
	pgstat_count_heap_getnext(sscan->rs_rd);
	return true;
}

void
omen_sample_callbacks(TableAmRoutine *routine)
{
	routine->scan_sample_next_block = omen_scan_sample_next_block;
	routine->scan_sample_next_tuple = omen_scan_sample_next_tuple;
}
