/*
 * omen_wal.c - generic records of row pages, and the records that accompany them.
 *
 * Replay of generic records is exact, but pages are not exactly equal on both sides to begin with: heap's records leave hint bits, command
 * ids and alignment bytes to chance. While row pages are checked (wal_consistency_checking) ours carry these bytes too, so that
 * a check finds what it is for: user data, links and line pointers that replay got wrong.
 */
#include "omen.h"

#include "access/heapam_xlog.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xloginsert.h"
#include "miscadmin.h"

#include "compat_vm.h"
#include "omen_private.h"

/* the first bytes of a page, LSN and checksum, are never logged */
#define LOGGED_HEADER_START offsetof(PageHeaderData, pd_flags)

void
omen_wal_header(WalRecord *record, Buffer buffer)
{
	wal_fragment(record, buffer, (char *) BufferGetPage(buffer) + LOGGED_HEADER_START,
				 SizeOfPageHeaderData - LOGGED_HEADER_START);
}

void
omen_wal_line_pointer(WalRecord *record, Buffer buffer, OffsetNumber offnum)
{
	wal_fragment(record, buffer, PageGetItemId(BufferGetPage(buffer), offnum), sizeof(ItemIdData));
}

/*
 * Hint bits come and go without a record, so the infomasks that replay finds may be others than ours: they are always told, as is xmin. Command ids
 * differ, too, but mean nothing where that matters. Behind the old item's end nothing is known of what replay finds: heap's records do not carry the
 * alignment bytes, which here may be what is left of a row that was there before.
 */
void
omen_item_changes(OmenItemChanges *changes, Page page, uint16 place, Size old_length, const char *item, Size length)
{
	const char *old = (char *) page + place;
	const Size	masks = offsetof(HeapTupleHeaderData, t_infomask2);
	const Size	masks_end = offsetof(HeapTupleHeaderData, t_hoff);
	char	   *at = changes->bytes;
	Size		size;

	StaticAssertStmt(offsetof(HeapTupleHeaderData, t_infomask) + sizeof(uint16) == offsetof(HeapTupleHeaderData, t_hoff),
					 "the infomasks are next to each other");
	at = omen_diff_put(at, place, item, sizeof(TransactionId));
	at += omen_diff_encode(old, old_length, item, sizeof(TransactionId), masks, place, at, masks);
	at = omen_diff_put(at, place + masks, item + masks, masks_end - masks);
	size = omen_diff_encode(old, old_length, item, masks_end, length, place, at, MAXALIGN(length) / 2);
	changes->size = size == OMEN_DIFF_TOO_LONG ? 0 : at + size - changes->bytes;
}

void
omen_wal_item(WalRecord *record, Buffer buffer, uint16 place, Size length, const OmenItemChanges *changes)
{
	if (changes->size > 0)
		wal_extra(record, buffer, changes->bytes, changes->size);
	else
		wal_fragment(record, buffer, (char *) BufferGetPage(buffer) + place, MAXALIGN(length));
}

/* Assembles fragments of all bytes that may differ. In memory of its own: callers are in critical sections. */
static const char *
unchecked_bytes(Page page, uint32 *length)
{
	static char extra[4 * BLCKSZ];
	static bool checked[BLCKSZ];
	uint16		upper = ((PageHeader) page)->pd_upper;
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	char	   *out = extra;

	/* of heads, all behind the fields that differ; older versions were heads, and were checked then */
	memset(checked, false, sizeof(checked));
	for (OffsetNumber offnum = FirstOffsetNumber; offnum <= max; offnum++)
	{
		ItemId		lp = PageGetItemId(page, offnum);

		if (ItemIdIsNormal(lp))
			memset(checked + ItemIdGetOffset(lp) + offsetof(HeapTupleHeaderData, t_hoff), true,
				   ItemIdGetLength(lp) - offsetof(HeapTupleHeaderData, t_hoff));
	}

	{
		WalFragment fragment = {LOGGED_HEADER_START, SizeOfPageHeaderData - LOGGED_HEADER_START};

		memcpy(out, &fragment, sizeof(fragment));
		memcpy(out + sizeof(fragment), (char *) page + fragment.offset, fragment.length);
		out += sizeof(fragment) + fragment.length;
	}
	for (int at = upper; at < ((PageHeader) page)->pd_special;)
	{
		WalFragment fragment;
		int			end = at;

		while (end < ((PageHeader) page)->pd_special && !checked[end])
			end++;
		if (end > at)
		{
			fragment.offset = at;
			fragment.length = end - at;
			memcpy(out, &fragment, sizeof(fragment));
			memcpy(out + sizeof(fragment), (char *) page + at, end - at);
			out += sizeof(fragment) + (end - at);
		}
		at = end;
		while (at < ((PageHeader) page)->pd_special && checked[at])
			at++;
	}
	*length = out - extra;
	return extra;
}

void
omen_wal_finish(WalRecord *record, Buffer rows)
{
	if (record->needed && omen_pages_checked())
	{
		uint32		length;
		const char *extra = unchecked_bytes(BufferGetPage(rows), &length);

		wal_extra(record, rows, extra, length);
	}
	wal_finish(record);
}

void
omen_wal_page(Relation rel, Buffer buffer)
{
	WalRecord	record;

	wal_begin(&record, rel);
	wal_image(&record, buffer);
	wal_finish(&record);
}

/*
 * visibilitymap_clear() writes no WAL; redo of heap's records does it by their flags. A multi-insert of no tuples is the
 * smallest record that has the flag and does nothing else. It comes first: a cleared bit alone does no harm.
 */
void
omen_clear_all_visible(Relation rel, Buffer buffer, Buffer vmbuffer)
{
	Page		page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);
	bool		cleared;

	if (!PageIsAllVisible(page))
		return;

	compat_vm_lock(vmbuffer);
	START_CRIT_SECTION();
	PageClearAllVisible(page);
	cleared = compat_vm_clear(rel, block, vmbuffer, VISIBILITYMAP_VALID_BITS);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
	{
		xl_heap_multi_insert record;
		XLogRecPtr	lsn;

		record.flags = XLH_INSERT_ALL_VISIBLE_CLEARED;
		record.ntuples = 0;
		XLogBeginInsert();
		XLogRegisterData((char *) &record, SizeOfHeapMultiInsert);
		XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
		if (cleared)
			compat_vm_register(vmbuffer);
		lsn = XLogInsert(RM_HEAP2_ID, XLOG_HEAP2_MULTI_INSERT);
		PageSetLSN(page, lsn);
		if (cleared)
			compat_vm_set_lsn(vmbuffer, lsn);
	}
	END_CRIT_SECTION();
	compat_vm_unlock(vmbuffer);
}
