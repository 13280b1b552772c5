/*
 * alex_page.c - pages of an alex index: format checks, new pages, and the descent to the node of a position.
 *
 * Locking: at most one page is locked at a time here. A page proves by its fences that it is the right one, so a stale
 * pointer (to a page that has since split, or been deleted and recycled) costs a step or a restart, never a wrong answer.
 */
#include "alex.h"

#include "access/relation.h"
#include "miscadmin.h"
#include "storage/bufpage.h"
#include "storage/indexfsm.h"
#include "utils/memutils.h"

#include "alex_codes.h"
#include "linked_page.h"

/* The core draws PostgreSQL's page header itself; this is where the drawing is checked. */
StaticAssertDecl(sizeof(AlexPageHead) == SizeOfPageHeaderData, "page header differs");
StaticAssertDecl(offsetof(AlexPageHead, pd_lower) == offsetof(PageHeaderData, pd_lower), "pd_lower differs");
StaticAssertDecl(offsetof(AlexPageHead, pd_upper) == offsetof(PageHeaderData, pd_upper), "pd_upper differs");
StaticAssertDecl(offsetof(AlexPageHead, pd_special) == offsetof(PageHeaderData, pd_special), "pd_special differs");
StaticAssertDecl(offsetof(AlexPageHead, pd_pagesize_version) == offsetof(PageHeaderData, pd_pagesize_version),
				 "pd_pagesize_version differs");
StaticAssertDecl(PG_PAGE_LAYOUT_VERSION == 4, "alex_node_init writes layout version 4");
StaticAssertDecl(ALEX_NO_BLOCK == InvalidBlockNumber, "the core's missing link is not PostgreSQL's");

/*
 * A descent meets the wrong page (and steps right or starts again) only when the tree changes under it, so a handful
 * of times is already rare. This many restarts mean links that lead in circles.
 */
#define ALEX_MAX_STEPS 64
#define ALEX_MAX_RESTARTS 1000

void
alex_corrupt(Relation rel, BlockNumber block, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is corrupt at block %u", RelationGetRelationName(rel), block),
			 errdetail("%s.", what),
			 errhint("REINDEX the index; alex_check() and alex_page() tell more.")));
}

/* ---- the metapage ---- */

void
alex_init_meta(Page page, const AlexIndex *index)
{
	AlexMeta   *meta;
	AlexSpecial *special;

	PageInit(page, BLCKSZ, ALEX_SPECIAL_SIZE);
	meta = AlexPageGetMeta(page);
	meta->magic = ALEX_META_MAGIC;
	meta->version = ALEX_FORMAT_VERSION;
	meta->words = index->words;
	meta->page_size = BLCKSZ;
	meta->strings = index->key.layout.strings;
	meta->byte_order = ALEX_BYTE_ORDER;
	alex_store_codes(&index->key, (AlexStoredCode *) (meta + 1));
	((PageHeader) page)->pd_lower = (char *) ((AlexStoredCode *) (meta + 1) + meta->strings) - (char *) page;
	special = (AlexSpecial *) PageGetSpecialPointer(page);
	special->magic = ALEX_META_MAGIC;
}

void
alex_init_node(Page page, const AlexIndex *index, BlockNumber block)
{
	uint64		low[ALEX_MAX_RECORD_WORDS] = {0};

	alex_node_init(page, BLCKSZ, index->least, block == ALEX_ROOT_BLOCK ? 1 : 0, low, NULL, InvalidBlockNumber,
				   InvalidBlockNumber);
	if (block == ALEX_ROOT_BLOCK)
	{
		low[index->least + 1] = ALEX_FIRST_LEAF_BLOCK;
		if (!alex_node_store(page, low, 1, 0))
			elog(ERROR, "root of an empty alex index does not fit its page");
	}
}

StaticAssertDecl(sizeof(AlexMeta) + INDEX_MAX_KEYS * sizeof(AlexStoredCode) <= BLCKSZ - SizeOfPageHeaderData - ALEX_SPECIAL_SIZE - MAXIMUM_ALIGNOF,
				 "codes do not fit the metapage");

/* The metapage, and room for the codes of all string columns that an index may have. */
typedef struct WholeMeta
{
	AlexMeta	meta;
	AlexStoredCode codes[INDEX_MAX_KEYS];
} WholeMeta;

/* Copies it; zeroes if the page is none. */
static void
copy_meta(Relation rel, WholeMeta *whole)
{
	Buffer		buffer = alex_pin(rel, ALEX_META_BLOCK, NULL);
	Page		page = BufferGetPage(buffer);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (PageIsNew(page) || PageGetSpecialSize(page) != ALEX_SPECIAL_SIZE)
		memset(whole, 0, sizeof(*whole));
	else
		memcpy(whole, AlexPageGetMeta(page), sizeof(*whole));
	UnlockReleaseBuffer(buffer);
}

static void
take_codes(Relation rel, AlexKeyInfo *key, const WholeMeta *whole)
{
	if (whole->meta.strings != key->layout.strings || !alex_load_codes(key, whole->codes))
		alex_corrupt(rel, ALEX_META_BLOCK, "The metapage has no codes for the string columns");
}

void
alex_read_codes(Relation rel, AlexKeyInfo *key)
{
	WholeMeta	whole;

	if (key->layout.strings == 0)
		return;
	copy_meta(rel, &whole);
	take_codes(rel, key, &whole);
}

/* Checks the metapage, and takes from it what is there of the index. */
static void
alex_check_meta(Relation rel, AlexIndex *index)
{
	WholeMeta	whole;
	AlexMeta	meta;

	copy_meta(rel, &whole);
	meta = whole.meta;

	if (meta.magic != ALEX_META_MAGIC)
		alex_corrupt(rel, ALEX_META_BLOCK, "The metapage is missing");
	if (meta.version != ALEX_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has format version %u, but this version of omen_alex knows only version %u",
						RelationGetRelationName(rel), meta.version, ALEX_FORMAT_VERSION),
				 meta.version > ALEX_FORMAT_VERSION ?
				 errhint("Install the newer omen_alex that wrote it, or REINDEX the index.") :
				 errhint("REINDEX the index.")));
	if (meta.byte_order != ALEX_BYTE_ORDER || meta.page_size != BLCKSZ)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" was written on a machine of another byte order or block size",
						RelationGetRelationName(rel)),
				 errhint("REINDEX the index.")));
	if (meta.words != index->words)
		alex_corrupt(rel, ALEX_META_BLOCK, "The metapage has another number of key words than the columns");
	take_codes(rel, &index->key, &whole);
}

/* What is used of a description. */
static inline void
alex_copy_index(AlexIndex *to, const AlexIndex *from)
{
	to->words = from->words;
	to->least = from->least;
	to->fillfactor = from->fillfactor;
	alex_copy_key_info(&to->key, &from->key);
}

void
alex_open(Relation rel, AlexIndex *index)
{
	if (rel->rd_amcache == NULL)
	{
		AlexIndex  *cache;

		alex_key_info(rel, &index->key);
		index->words = index->key.words;
		index->least = index->key.least_words;
		index->fillfactor = alex_fillfactor(rel);
		alex_check_meta(rel, index);
		cache = MemoryContextAlloc(rel->rd_indexcxt, sizeof(AlexIndex));
		alex_copy_index(cache, index);
		rel->rd_amcache = cache;
		return;
	}
	alex_copy_index(index, rel->rd_amcache);
}

/* ---- pages ---- */

void
alex_check_page(Relation rel, const AlexIndex *index, Buffer buffer)
{
	const char *problem = alex_node_problem_of(BufferGetPage(buffer), index->least, index->words, BLCKSZ);

	if (unlikely(problem != NULL))
	{
		BlockNumber block = BufferGetBlockNumber(buffer);

		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is corrupt at block %u", RelationGetRelationName(rel), block),
				 errdetail("The %s.", problem),
				 errhint("REINDEX the index; alex_check() and alex_page() tell more.")));
	}
}

Buffer
alex_pin(Relation rel, BlockNumber block, BufferAccessStrategy strategy)
{
	if (unlikely(!block_exists(rel, block)))
		alex_corrupt(rel, block, "A link leads there, but the file ends before");
	return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
}

void
alex_lock(Relation rel, const AlexIndex *index, Buffer buffer, int access)
{
	/* better an error than to wait for ourselves */
	if (page_is_locked_by_us(buffer))
		alex_corrupt(rel, BufferGetBlockNumber(buffer), "A link leads back to a page that it was reached from, or one that was free");
	LockBuffer(buffer, access);
	alex_check_page(rel, index, buffer);
}

bool
alex_covers(Page page, int level, const uint64 *position, int words)
{
	const AlexNodeHeader *node = alex_cheader(page);

	return node->level == level && (node->flags & ALEX_DELETED) == 0 && alex_side(page, position, words) == 0;
}

bool
alex_left_of_unfinished_split(Page page, int level, const uint64 *position, int words)
{
	const AlexNodeHeader *node = alex_cheader(page);

	return node->level == level && (node->flags & ALEX_DELETED) == 0 && (node->flags & ALEX_INCOMPLETE_SPLIT) &&
		alex_side(page, position, words) > 0;
}

void
alex_install(Buffer buffer, const char *image)
{
	Page		page = BufferGetPage(buffer);
	XLogRecPtr	lsn = PageGetLSN(page);
	uint16		checksum = ((PageHeader) page)->pd_checksum;

	memcpy(page, image, BLCKSZ);
	PageSetLSN(page, lsn);
	((PageHeader) page)->pd_checksum = checksum;
}

Buffer
alex_new_buffer(Relation rel, const AlexIndex *index)
{
	BlockNumber block;

	/* the FSM is a hint: after a crash it may name a page that is in use again */
	while ((block = GetFreeIndexPage(rel)) != InvalidBlockNumber)
	{
		Buffer		buffer;
		Page		page;

		if (block <= ALEX_ROOT_BLOCK || block >= RelationGetNumberOfBlocks(rel))
			continue;
		buffer = ReadBuffer(rel, block);

		/* whoever holds the lock uses the page; waiting could deadlock with the locks our caller holds */
		if (ConditionalLockBuffer(buffer))
		{
			page = BufferGetPage(buffer);
			if (PageIsNew(page))
				return buffer;
			alex_check_page(rel, index, buffer);
			if (alex_cheader(page)->flags & ALEX_DELETED)
				return buffer;
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		}
		ReleaseBuffer(buffer);
	}
	return compat_extend_relation(rel);
}

Buffer
alex_descend(Relation rel, const AlexIndex *index, const uint64 *position, int words, int level, int access)
{
	for (int restarts = 0; restarts < ALEX_MAX_RESTARTS; restarts++)
	{
		Buffer		buffer = alex_pin(rel, ALEX_ROOT_BLOCK, NULL);
		int			expected = -1;	/* level the parent promises; the root may have any */
		int			steps = 0;

		CHECK_FOR_INTERRUPTS();
		for (;;)
		{
			Page		page = BufferGetPage(buffer);
			int			mode = expected == level ? access : BUFFER_LOCK_SHARE;
			const AlexNodeHeader *node;
			BlockNumber next;
			uint64		space[ALEX_MAX_WORDS + 1];
			const uint64 *here;
			int			side;

			alex_lock(rel, index, buffer, mode);
			node = alex_cheader(page);
			if ((node->flags & ALEX_DELETED) || (expected >= 0 && node->level != expected) || node->level < level)
				break;
			here = alex_fit_position(page, position, words, space);
			side = alex_fence_side(page, here);
			if (side < 0)
				break;
			if (side == 0 && node->level == level)
			{
				if (mode == access)
					return buffer;
				/* the root turned out to be the node: lock it again as asked */
				expected = level;
				LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
				continue;
			}
			if (side > 0 && ++steps > ALEX_MAX_STEPS)
				break;			/* a recycled page far to the left: the root knows a shorter way */
			if (side > 0)
			{
				/* the page has split since its parent was read */
				if (mode == BUFFER_LOCK_EXCLUSIVE && (node->flags & ALEX_INCOMPLETE_SPLIT))
					alex_finish_split(rel, index, buffer);
				expected = node->level;
				next = node->right;
			}
			else
			{
				expected = node->level - 1;
				next = alex_find_child(page, here, NULL);
				if (next == ALEX_NO_BLOCK)
					alex_corrupt(rel, BufferGetBlockNumber(buffer), "An inner node has no child for a position within its fences");
			}
			UnlockReleaseBuffer(buffer);
			buffer = alex_pin(rel, next, NULL);
		}
		UnlockReleaseBuffer(buffer);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" has no node of level %d for a key", RelationGetRelationName(rel), level),
			 errhint("REINDEX the index; alex_check() tells more.")));
}
