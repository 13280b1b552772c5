/*
 * wal.c - hand-made generic WAL records. The rules are in src/common/README.md.
 *
 * Nothing here but wal_conflict() allocates or throws: it runs in critical sections.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "access/gist_private.h"
#include "access/rmgr.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "storage/bufpage.h"

#include "wal.h"

StaticAssertDecl(WAL_MAX_BLOCKS <= MAX_GENERIC_XLOG_PAGES, "generic redo would overrun its buffers");

void
wal_begin(WalRecord *record, Relation rel)
{
	record->needed = RelationNeedsWAL(rel);
	record->nblocks = 0;
}

static WalBlock *
wal_block(WalRecord *record, Buffer buffer)
{
	WalBlock   *block;

	for (int i = 0; i < record->nblocks; i++)
		if (record->blocks[i].buffer == buffer)
			return &record->blocks[i];

	Assert(record->nblocks < WAL_MAX_BLOCKS);
	block = &record->blocks[record->nblocks++];
	block->buffer = buffer;
	block->image = false;
	block->nfragments = 0;
	block->nextra = 0;
	MarkBufferDirty(buffer);
	return block;
}

void
wal_image(WalRecord *record, Buffer buffer)
{
	wal_block(record, buffer)->image = true;
}

void
wal_fragment(WalRecord *record, Buffer buffer, const void *at, Size length)
{
	WalBlock   *block = wal_block(record, buffer);
	WalFragment *fragment;

	if (block->image)
		return;
	if (block->nfragments == WAL_MAX_FRAGMENTS)
	{
		block->image = true;
		return;
	}
	fragment = &block->fragments[block->nfragments++];
	fragment->offset = (uint16) ((const char *) at - (const char *) BufferGetPage(buffer));
	fragment->length = (uint16) length;
}

void
wal_extra(WalRecord *record, Buffer buffer, const char *extra, uint32 length)
{
	WalBlock   *block = wal_block(record, buffer);

	Assert(block->nextra < WAL_MAX_EXTRA);
	block->extra[block->nextra].bytes = extra;
	block->extra[block->nextra++].length = length;
}

void
wal_finish(WalRecord *record)
{
	XLogRecPtr	lsn;
	int			chunks = 0;

	if (!record->needed || record->nblocks == 0)
		return;

	XLogBeginInsert();
	for (int i = 0; i < record->nblocks; i++)
	{
		WalBlock   *block = &record->blocks[i];
		Page		page = BufferGetPage(block->buffer);

		/* each fragment is two chunks of the record */
		if (block->image || chunks + 2 * block->nfragments + block->nextra > WAL_MAX_CHUNKS)
		{
			XLogRegisterBuffer(i, block->buffer, REGBUF_FORCE_IMAGE | REGBUF_STANDARD);
			continue;
		}
		XLogRegisterBuffer(i, block->buffer, REGBUF_STANDARD);
		for (int f = 0; f < block->nfragments; f++)
		{
			WalFragment *fragment = &block->fragments[f];

			XLogRegisterBufData(i, (char *) fragment, sizeof(WalFragment));
			XLogRegisterBufData(i, (char *) page + fragment->offset, fragment->length);
			chunks += 2;
		}
		for (int e = 0; e < block->nextra; e++)
		{
			XLogRegisterBufData(i, (char *) block->extra[e].bytes, block->extra[e].length);
			chunks++;
		}
	}
	lsn = XLogInsert(RM_GENERIC_ID, 0);
	for (int i = 0; i < record->nblocks; i++)
		PageSetLSN(BufferGetPage(record->blocks[i].buffer), lsn);
}

/*
 * The record of a reused GiST page says just this: conflicts with snapshots that do not see "xid". It touches no page.
 *
 * All transactions up to an xid that is older than the horizon are over, so snapshots a standby takes after such a record see them, and
 * one that is not newer than the last needs no record of its own. Logical slots of a standby are asked only about some tables
 * (from 16 on), so with those every record counts.
 */
void
wal_conflict(Relation rel, Relation heap, BlockNumber block, TransactionId xid)
{
	static FullTransactionId last;
	FullTransactionId next;
	FullTransactionId full;
	uint32		epoch;
	bool		decoded = false;

	if (!TransactionIdIsNormal(xid) || !RelationNeedsWAL(rel) || !XLogStandbyInfoActive())
		return;
#if PG_VERSION_NUM >= 160000
	decoded = RelationIsAccessibleInLogicalDecoding(heap);
#endif
	next = ReadNextFullTransactionId();
	epoch = EpochFromFullTransactionId(next);
	if (xid > XidFromFullTransactionId(next))
		epoch--;
	full = FullTransactionIdFromEpochAndXid(epoch, xid);
	if (!decoded && FullTransactionIdPrecedesOrEquals(full, last))
		return;
#if PG_VERSION_NUM >= 160000
	gistXLogPageReuse(rel, heap, block, full);
#else
	gistXLogPageReuse(rel, block, full);
#endif
	if (!decoded)
		last = full;
}
