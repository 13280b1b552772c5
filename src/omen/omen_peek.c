/*
 * omen_peek.c - steps to older versions that may be gone. See omen_peek.h.
 */
#include "omen.h"

#include "access/transam.h"
#include "storage/bufmgr.h"

#include "omen_peek.h"
#include "omen_private.h"

/* The transaction is older than the horizon, so it is over. */
static bool
aborted(HeapTupleHeader header)
{
	if (HeapTupleHeaderXminCommitted(header))
		return false;
	return HeapTupleHeaderXminInvalid(header) || !TransactionIdDidCommit(HeapTupleHeaderGetRawXmin(header));
}

bool
omen_peek_needed(const OmenVersion *version, TransactionId horizon)
{
	HeapTupleHeader header = version->tuple.t_data;

	if (version->link.offset == 0)
		return false;
	return !TransactionIdPrecedes(HeapTupleHeaderGetXmin(header), horizon) || aborted(header);
}

const char *
omen_header_problem(Relation rel, HeapTupleHeader header, Size length)
{
	int			natts;
	Size		hoff;

	if (length < SizeofHeapTupleHeader + OMEN_LINK_SIZE || length > OMEN_MAX_ITEM)
		return "its length is impossible";
	natts = HeapTupleHeaderGetNatts(header);
	if (natts > RelationGetNumberOfAttributes(rel))
		return "it has more columns than the table";
	hoff = MAXALIGN(SizeofHeapTupleHeader + ((header->t_infomask & HEAP_HASNULL) ? BITMAPLEN(natts) : 0));
	if (header->t_hoff != hoff)
		return "its header has the wrong length";
	if (hoff + OMEN_LINK_SIZE > length)
		return "it is shorter than its header";
	return NULL;
}

const char *
omen_columns_problem(Relation rel, const HeapTupleData *tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);
	HeapTupleHeader header = tuple->t_data;
	char	   *data = (char *) header + header->t_hoff;
	Size		length = tuple->t_len - header->t_hoff;
	Size		at = 0;
	int			natts = HeapTupleHeaderGetNatts(header);

	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if ((header->t_infomask & HEAP_HASNULL) && att_isnull(i, header->t_bits))
			continue;
		if (att->attlen == -1)
		{
			if (at >= length)
				return "a column begins behind its end";
			at = att_align_pointer(at, att->attalign, -1, data + at);
			/* a long header is read as a whole */
			if (at >= length || (!VARATT_IS_1B(data + at) && at + VARHDRSZ > length))
				return "a column begins behind its end";
			if (VARATT_IS_1B_E(data + at) && (at + VARHDRSZ_EXTERNAL > length || VARTAG_1B_E(data + at) != VARTAG_ONDISK))
				return "a column's value is said to be where no table keeps values";
		}
		else
		{
			at = att_align_nominal(at, att->attalign);
			if (att->attlen == -2 && (at >= length || memchr(data + at, 0, length - at) == NULL))
				return "a column's string does not end";
		}
		at = att_addlength_pointer(at, att->attlen, data + at);
		if (at > length)
			return "its columns need more room than it has";
	}
	return NULL;
}

static const char *
peek_page(Relation rel, Page page, OmenVersion *version, char **item)
{
	OmenLink	link = version->link;
	PageHeader	header = (PageHeader) page;

	if (!omen_link_fits(link, header->pd_upper, Min(header->pd_special, OMEN_ROWS_END)))
		return "it is outside of the page's items";
	*item = (char *) page + link.offset;
	return omen_header_problem(rel, (HeapTupleHeader) *item, link.length);
}

static bool
is_store_page(Page page)
{
	return !PageIsNew(page) && ((PageHeader) page)->pd_special == OMEN_STORE_END &&
		omen_store_special(page)->magic == OMEN_STORE_MAGIC;
}

/*
 * Locks a store page; false: it is none. If what is there is gone, the page may be of another kind now, and whoever has
 * it locked may be waiting for our row page. Holders of store pages never do.
 */
static bool
lock_store(Buffer buffer)
{
	while (is_store_page(BufferGetPage(buffer)))
	{
		if (ConditionalLockBuffer(buffer))
		{
			if (is_store_page(BufferGetPage(buffer)))
				return true;
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			return false;
		}
		pg_usleep(10);
	}
	return false;
}

/* Rebuilds the record's item. */
static const char *
peek_store(Relation rel, OmenVersion *version, PGAlignedBlock *item)
{
	OmenLink	link = version->link;
	TransactionId xmin = HeapTupleHeaderGetRawXmin(version->tuple.t_data);
	Buffer		buffer;
	Page		page;
	const char *problem;

	if (link.block >= RelationGetNumberOfBlocks(rel))
		return "it is in a block the table does not have";
	if (link.block == ItemPointerGetBlockNumber(&version->tuple.t_self))
		return "it is said to be in the store, but the block is the row's";
	buffer = ReadBuffer(rel, link.block);
	if (!lock_store(buffer))
	{
		ReleaseBuffer(buffer);
		return "its block is no store page";
	}
	page = BufferGetPage(buffer);
	if (omen_store_special(page)->fill > OMEN_STORE_END)
		problem = "its store page is fuller than full";
	else
		problem = omen_record_read(page, OMEN_STORE_START, omen_store_special(page)->fill, link, &version->tuple.t_self, xmin,
								   version->tuple.t_data, version->tuple.t_len, item->data, OMEN_MAX_ITEM);
	if (problem == NULL)
		problem = omen_header_problem(rel, (HeapTupleHeader) item->data, link.length);
	UnlockReleaseBuffer(buffer);
	return problem;
}

OmenPeek
omen_peek_older(Relation rel, Buffer buffer, OmenVersion *version, const char **problem)
{
	TransactionId superseder = HeapTupleHeaderGetRawXmin(version->tuple.t_data);
	uint16		length = version->link.length;
	bool		in_page = version->link.block == InvalidBlockNumber;
	PGAlignedBlock record;
	char	   *item;

	if (version->link.offset == 0)
		return OMEN_PEEK_NONE;
	*problem = in_page ? peek_page(rel, BufferGetPage(buffer), version, &item) : peek_store(rel, version, &record);
	if (*problem != NULL)
		return OMEN_PEEK_BROKEN;
	if (!in_page)
		item = memcpy(version->copy.data, record.data, length);

	version->tuple.t_data = (HeapTupleHeader) item;
	version->tuple.t_len = length - OMEN_LINK_SIZE;
	memcpy(&version->link, item + length - OMEN_LINK_SIZE, OMEN_LINK_SIZE);
	version->superseder = superseder;
	version->in_page = in_page;
	return OMEN_PEEK_FOUND;
}

bool
omen_older_lost(const OmenVersion *version, Snapshot snapshot)
{
	HeapTupleHeader header = version->tuple.t_data;

	return version->link.block == InvalidBlockNumber ||
		omen_xmin_state(header) == OMEN_XMIN_OURS || !omen_xmin_visible(header, snapshot);
}

bool
omen_step_needed(Relation rel, Buffer buffer, OmenVersion *version, TransactionId horizon)
{
	const char *problem;

	if (!omen_peek_needed(version, horizon))
		return false;
	if (omen_peek_older(rel, buffer, version, &problem) == OMEN_PEEK_FOUND)
		return true;
	if (omen_older_lost(version, ActiveSnapshotSet() ? GetActiveSnapshot() : GetLatestSnapshot()))
		omen_corrupted(rel, ItemPointerGetBlockNumber(&version->tuple.t_self),
					   ItemPointerGetOffsetNumber(&version->tuple.t_self), problem);
	return false;
}
