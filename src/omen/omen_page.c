/*
 * omen_page.c - what kind of page this is, and new row pages.
 *
 * A row page has a mark in its special area. Replay of heap's records leaves that alone, but for those that make a page anew, which know no
 * special area: so none of ours says XLOG_HEAP_INIT_PAGE. Core's search for a page with room makes pages as heap has them; while
 * such a page has no line pointer it is nobody's, and whoever uses it first marks it, by a record of its own.
 */
#include "omen.h"

#include "access/hio.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "omen_private.h"

void
omen_foreign_page(Relation rel, BlockNumber block, Page page)
{
	char	   *name;

	if (((PageHeader) page)->pd_special != BLCKSZ)
		omen_corrupted(rel, block, 0, "the page is neither a row page nor a store page");
	name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("block %u of table \"%s\" is no page of an omen table", block, RelationGetRelationName(rel)),
			 errdetail("The table's file seems to be that of a table of another access method. Tools that exchange the files of "
					   "tables, like pg_repack, do that when their copy of the table has another access method than the table."),
			 errhint("omen_repair_access_method(%s) makes the table what its file is, without any loss; see \"Troubleshooting\" "
					 "in the README.", quote_literal_cstr(name))));
}

void
omen_no_block(Relation rel, BlockNumber block)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s\" has no block %u, but a row or an entry of an index names it", RelationGetRelationName(rel), block),
			 errhint("Run omen_check on the table; restore it from a backup if it reports errors.")));
}

static void
check_version(Relation rel, BlockNumber block, uint16 version)
{
	if (version != OMEN_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("block %u of table \"%s\" has format version %u, but this version of omen_alex reads version %u",
						block, RelationGetRelationName(rel), version, OMEN_FORMAT_VERSION),
				 errhint("Install the version of omen_alex that wrote the table.")));
}

OmenPageKind
omen_page_kind(Relation rel, BlockNumber block, Page page)
{
	uint16		special = ((PageHeader) page)->pd_special;

	if (special == OMEN_ROWS_END)
	{
		OmenRowMark *mark = (OmenRowMark *) ((char *) page + OMEN_ROWS_END);

		if (mark->magic != OMEN_ROWS_MAGIC)
			omen_foreign_page(rel, block, page);
		check_version(rel, block, mark->version);
		return OMEN_PAGE_ROWS;
	}
	if (special == OMEN_STORE_END && omen_store_special(page)->magic == OMEN_STORE_MAGIC)
	{
		check_version(rel, block, omen_store_special(page)->version);
		return OMEN_PAGE_STORE;
	}
	if (PageIsNew(page) || (special == BLCKSZ && PageGetMaxOffsetNumber(page) == 0))
		return OMEN_PAGE_NEW;
	omen_foreign_page(rel, block, page);
}

void
omen_init_rows(Page page)
{
	OmenRowMark *mark = (OmenRowMark *) ((char *) page + OMEN_ROWS_END);

	PageInit(page, BLCKSZ, OMEN_MARK_SIZE);
	mark->magic = OMEN_ROWS_MAGIC;
	mark->version = OMEN_FORMAT_VERSION;
	mark->unused = 0;
}

Buffer
omen_get_page(Relation rel, Size length, int options, struct BulkInsertStateData *bistate, Buffer *vmbuffer, int npages)
{
	Buffer		buffer = compat_get_buffer_for_tuple(rel, length, InvalidBuffer, options, bistate, vmbuffer, NULL, npages);
	Page		page = BufferGetPage(buffer);

	/* it has room, so it is no store page */
	if (((PageHeader) page)->pd_special == OMEN_ROWS_END)
		return buffer;
	if (omen_page_kind(rel, BufferGetBlockNumber(buffer), page) != OMEN_PAGE_NEW)
		omen_corrupted(rel, BufferGetBlockNumber(buffer), 0, "the store page does not look full");
	START_CRIT_SECTION();
	omen_init_rows(page);
	omen_wal_page(rel, buffer);
	END_CRIT_SECTION();
	return buffer;
}

Size
omen_page_room(Page page)
{
	Size		room = PageGetHeapFreeSpace(page);

	return room > 0 ? room + OMEN_MARK_SIZE : 0;
}
