/*
 * alex_change.c - adding records to a node, rewriting it, splitting it.
 *
 * One mechanism serves leaves, inner nodes and vacuum: a record goes to the delta if there is room; else base, delta and
 * record are merged into a new base; else the node splits.
 *
 * A split is one WAL record (left, new right, old right neighbour's left link) and leaves ALEX_INCOMPLETE_SPLIT on the
 * left node. The record that adds the separator to the parent clears it. The lock on the left node is held from one to
 * the other; if a crash comes in between, whoever next wants to change the left node finishes the split.
 *
 * Sometimes the merged records do not fit two nodes: thousands of keys on a line take no space until something breaks
 * the line. Then the right node takes as many of the last records as fit, and the left node keeps the rest as it was
 * stored (alex_node_truncate), which never needs more room. Each such step is a complete split; steps repeat until the
 * change fits.
 */
#include "alex.h"

#include "miscadmin.h"
#include "storage/bufpage.h"
#include "storage/predicate.h"

/* What replace_records() managed to do. */
typedef enum AlexReplaced
{
	ALEX_ALL_STORED,			/* all records are in the node, or in it and its new right sibling */
	ALEX_RIGHT_STORED			/* those beyond the node's new high fence are stored, the node has its old ones */
} AlexReplaced;

static inline Size
record_bytes(const AlexIndex *index, int level)
{
	return alex_stride(index->words, level) * sizeof(uint64);
}

/* A node image with another node's identity: fences, links and level. */
static char *
make_image(const AlexIndex *index, int level, const uint64 *low, const uint64 *high, BlockNumber left,
		   BlockNumber right)
{
	char	   *image = palloc(BLCKSZ);

	alex_node_init(image, BLCKSZ, index->words, level, low, high, left, right);
	return image;
}

/* All records of a page, with room for one more. */
static uint64 *
read_records(const AlexIndex *index, Page page, uint32 *n)
{
	uint64	   *records = palloc((alex_record_count(page) + 1) * record_bytes(index, alex_cheader(page)->level));

	*n = alex_decode(page, records);
	return records;
}

/* The record that clears the flag on "child", if any, is the one being assembled. */
static void
clear_incomplete(WalRecord *wal, Buffer child)
{
	AlexNodeHeader *node;

	if (!BufferIsValid(child))
		return;
	node = alex_header(BufferGetPage(child));
	Assert(node->flags & ALEX_INCOMPLETE_SPLIT);
	node->flags &= ~ALEX_INCOMPLETE_SPLIT;
	wal_fragment(wal, child, &node->flags, sizeof(node->flags));
}

/* Adds (separator, right block) to the parent level, which clears the flag on the locked left node. */
static void
add_downlink(Relation rel, const AlexIndex *index, Buffer left, const uint64 *separator, BlockNumber right)
{
	int			level = alex_cheader(BufferGetPage(left))->level;
	uint64		record[ALEX_MAX_RECORD_WORDS];
	Buffer		parent;

	memcpy(record, separator, (index->words + 1) * sizeof(uint64));
	record[index->words + 1] = right;
	parent = alex_descend(rel, index, record, level + 1, BUFFER_LOCK_EXCLUSIVE);
	alex_add_record(rel, index, parent, record, left);
}

void
alex_finish_split(Relation rel, const AlexIndex *index, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);

	Assert(alex_cheader(page)->flags & ALEX_INCOMPLETE_SPLIT);
	if (alex_cheader(page)->right == InvalidBlockNumber)
		alex_corrupt(rel, BufferGetBlockNumber(buffer), "A node without right sibling has an unfinished split");
	add_downlink(rel, index, buffer, alex_high_fence(page), alex_cheader(page)->right);
}

/* A node has fewer, unless they lie on a line. */
#define MANY_RECORDS 4096

/*
 * The two halves of a node that cannot hold n records any more. Returns how much of the change they hold. *fitted is how many
 * records the last right half took, of those that were more than would fit, or 0; it is updated.
 */
static AlexReplaced
make_halves(const AlexIndex *index, Page page, const uint64 *records, uint32 n, bool append, uint32 *fitted,
			char **left_image, char **right_image, uint64 *separator)
{
	const AlexNodeHeader *node = alex_cheader(page);
	int			level = node->level;
	int			stride = alex_stride(index->words, level);
	uint32		room = alex_node_capacity(index->words, level, BLCKSZ) - ALEX_MERGE_RESERVE;
	uint32		fill = 0;
	const uint64 *high = node->right == InvalidBlockNumber ? NULL : alex_high_fence(page);
	uint32		left = 0;
	AlexReplaced result;

	if (append)
		fill = alex_node_capacity(index->words, level, BLCKSZ) / 100 * index->fillfactor;

	/* choosing a split encodes the records several times: of very many, first see if two nodes can hold them */
	if (n < MANY_RECORDS || alex_encoded_size(records, n, index->words, level) <= 2 * room + room / 8)
		left = alex_choose_split(records, n, index->words, level, room, fill);
	result = left > 0 ? ALEX_ALL_STORED : ALEX_RIGHT_STORED;
	/* all but the first may fit: sizes are not monotone, and the caller may have kept back more room than this does */
	if (left == 0)
	{
		*fitted = alex_fit(records + stride, n - 1, index->words, level, room, true, *fitted > 0 ? *fitted : n / 2);
		left = n - *fitted;
	}
	Assert(left > 0 && left < n);

	/* an inner node begins with a child's separator; leaves may choose a shorter one between two records */
	if (level > 0)
		memcpy(separator, records + (Size) left * stride, (index->words + 1) * sizeof(uint64));
	else
		alex_make_separator(records + (Size) (left - 1) * stride, records + (Size) left * stride, index->words,
							separator);
	*right_image = make_image(index, level, separator, high, InvalidBlockNumber, node->right);
	if (!alex_node_store(*right_image, records + (Size) left * stride, n - left, 0))
		elog(ERROR, "right half of an alex node does not fit");
	if (result == ALEX_ALL_STORED)
	{
		*left_image = make_image(index, level, alex_low_fence(page), separator, node->left, InvalidBlockNumber);
		if (!alex_node_store(*left_image, records, left, 0))
			elog(ERROR, "left half of an alex node does not fit");
	}
	else
	{
		*left_image = palloc(BLCKSZ);
		alex_node_truncate(*left_image, page, separator);
	}
	return result;
}

/* Splits any node but the root; the lock on the left node is kept, the parent is told. */
static void
split_node(Relation rel, const AlexIndex *index, Buffer buffer, char *left_image, char *right_image,
		   const uint64 *separator, Buffer child, bool child_done)
{
	Page		page = BufferGetPage(buffer);
	BlockNumber old_right = alex_cheader(page)->right;
	Buffer		right = alex_new_buffer(rel, index);
	Buffer		neighbour = InvalidBuffer;
	BlockNumber right_block = BufferGetBlockNumber(right);
	WalRecord	wal;

	if (old_right != InvalidBlockNumber)
	{
		neighbour = alex_pin(rel, old_right, NULL);
		alex_lock(rel, index, neighbour, BUFFER_LOCK_EXCLUSIVE);
		if (alex_cheader(BufferGetPage(neighbour))->left != BufferGetBlockNumber(buffer))
			alex_corrupt(rel, old_right, "The left link does not lead back to the left sibling");
	}
	alex_header(left_image)->right = right_block;
	alex_header(left_image)->flags = alex_cheader(page)->flags | ALEX_INCOMPLETE_SPLIT;
	alex_header(right_image)->left = BufferGetBlockNumber(buffer);
	alex_header(right_image)->right = old_right;

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	alex_install(buffer, left_image);
	wal_image(&wal, buffer);
	alex_install(right, right_image);
	wal_image(&wal, right);
	if (BufferIsValid(neighbour))
	{
		AlexNodeHeader *node = alex_header(BufferGetPage(neighbour));

		node->left = right_block;
		wal_fragment(&wal, neighbour, &node->left, sizeof(node->left));
	}
	if (child_done)
		clear_incomplete(&wal, child);
	wal_finish(&wal);
	END_CRIT_SECTION();

	if (alex_cheader(page)->level == 0)
		PredicateLockPageSplit(rel, BufferGetBlockNumber(buffer), right_block);
	if (BufferIsValid(neighbour))
		UnlockReleaseBuffer(neighbour);
	UnlockReleaseBuffer(right);
	add_downlink(rel, index, buffer, separator, right_block);
}

/*
 * Splits the root: both halves go to new pages and the root, one level higher, points to them. Returns the left page,
 * locked in place of the root.
 */
static Buffer
split_root(Relation rel, const AlexIndex *index, Buffer root, char *left_image, char *right_image,
		   const uint64 *separator, Buffer child, bool child_done)
{
	int			level = alex_cheader(BufferGetPage(root))->level;
	int			words = index->words;
	uint64		low[ALEX_MAX_WORDS + 1] = {0};
	uint64		children[2 * ALEX_MAX_RECORD_WORDS];
	Buffer		left = alex_new_buffer(rel, index);
	Buffer		right = alex_new_buffer(rel, index);
	char	   *root_image = make_image(index, level + 1, low, NULL, InvalidBlockNumber, InvalidBlockNumber);
	WalRecord	wal;

	alex_header(left_image)->right = BufferGetBlockNumber(right);
	alex_header(left_image)->flags = 0;
	alex_header(right_image)->left = BufferGetBlockNumber(left);

	memcpy(children, low, (words + 1) * sizeof(uint64));
	children[words + 1] = BufferGetBlockNumber(left);
	memcpy(children + words + 2, separator, (words + 1) * sizeof(uint64));
	children[2 * words + 3] = BufferGetBlockNumber(right);
	if (!alex_node_store(root_image, children, 2, 0))
		elog(ERROR, "root of an alex index does not fit");

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	alex_install(left, left_image);
	wal_image(&wal, left);
	alex_install(right, right_image);
	wal_image(&wal, right);
	alex_install(root, root_image);
	wal_image(&wal, root);
	if (child_done)
		clear_incomplete(&wal, child);
	wal_finish(&wal);
	END_CRIT_SECTION();

	pfree(root_image);
	UnlockReleaseBuffer(right);
	UnlockReleaseBuffer(root);
	return left;
}

/* Installs a new image of the whole node. */
static void
rewrite_node(Relation rel, Buffer buffer, const char *image, Buffer child)
{
	WalRecord	wal;

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	alex_install(buffer, image);
	wal_image(&wal, buffer);
	clear_incomplete(&wal, child);
	wal_finish(&wal);
	END_CRIT_SECTION();
}

char *
alex_make_successor(const AlexIndex *index, Page page)
{
	const AlexNodeHeader *node = alex_cheader(page);
	char	   *image = make_image(index, node->level, alex_low_fence(page),
								   node->right == InvalidBlockNumber ? NULL : alex_high_fence(page),
								   node->left, node->right);

	alex_header(image)->flags = node->flags;
	return image;
}

/*
 * Merges delta and record behind the base, if they all lie beyond it: keys that only grow need no rewrite of what is
 * there, which can be tens of thousands of records.
 */
static bool
append_records(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, uint32 reserve, Buffer child)
{
	char	   *image = alex_make_successor(index, BufferGetPage(buffer));
	bool		appended = alex_node_append(image, BufferGetPage(buffer), record, reserve);

	if (appended)
		rewrite_node(rel, buffer, image, child);
	pfree(image);
	return appended;
}

/*
 * Makes the n sorted records the content of an exclusively locked node, which splits if they do not fit. "record" is the
 * new one among them, or NULL; "child" as in alex_add_record, "fitted" as in make_halves. *buffer stays locked; after a root
 * split it is the left half.
 */
static AlexReplaced
replace_records(Relation rel, const AlexIndex *index, Buffer *buffer, const uint64 *records, uint32 n,
				uint32 reserve, const uint64 *record, Buffer child, uint32 *fitted)
{
	Page		page = BufferGetPage(*buffer);
	const AlexNodeHeader *node = alex_cheader(page);
	char	   *image = alex_make_successor(index, page);
	char	   *right_image;
	uint64		separator[ALEX_MAX_WORDS + 1];
	AlexReplaced result;
	bool		append;
	bool		child_done;

	if (alex_node_store(image, records, n, reserve))
	{
		rewrite_node(rel, *buffer, image, child);
		pfree(image);
		return ALEX_ALL_STORED;
	}
	pfree(image);

	/* keys that grow, in order or nearly, leave full nodes behind, as in nbtree */
	append = record != NULL && node->right == InvalidBlockNumber;
	result = make_halves(index, page, records, n, append, fitted, &image, &right_image, separator);
	child_done = BufferIsValid(child) &&
		(result == ALEX_ALL_STORED || alex_compare(record, separator, index->words) >= 0);
	if (BufferGetBlockNumber(*buffer) == ALEX_ROOT_BLOCK)
		*buffer = split_root(rel, index, *buffer, image, right_image, separator, child, child_done);
	else
		split_node(rel, index, *buffer, image, right_image, separator, child, child_done);
	pfree(image);
	pfree(right_image);
	if (result == ALEX_RIGHT_STORED && record != NULL && alex_compare(record, separator, index->words) >= 0)
		result = ALEX_ALL_STORED;
	return result;
}

/* "heap" is NULL but for entries of it. */
static void
add_record(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, Buffer child, Relation heap,
		   bool unchanged)
{
	uint32		fitted = 0;

	for (;;)
	{
		Page		page = BufferGetPage(buffer);
		const AlexNodeHeader *node = alex_cheader(page);
		int			stride = alex_stride(index->words, node->level);
		uint32		limit;
		uint32		reserve = ALEX_MERGE_RESERVE;
		uint32		n;
		uint32		kept = 0;
		uint32		at;
		uint64	   *records = NULL;
		AlexReplaced result;
		AlexSlot	slot;

		if (node->level > 0)
			limit = ALEX_INNER_DELTA;
		else if (node->right == InvalidBlockNumber)
			limit = ALEX_APPEND_DELTA;
		else
			limit = ALEX_LEAF_DELTA + node->count / ALEX_DELTA_SHARE;

		if (alex_delta_prepare(page, record, limit, &slot))
		{
			WalRecord	wal;

			wal_begin(&wal, rel);
			START_CRIT_SECTION();
			if (alex_delta_put(page, &slot))
				wal_fragment(&wal, buffer, &((PageHeader) page)->pd_upper, sizeof(LocationIndex));
			wal_fragment(&wal, buffer, (char *) page + slot.offset, slot.length);
			clear_incomplete(&wal, child);
			wal_finish(&wal);
			END_CRIT_SECTION();
			break;
		}

		/* a node with an unfinished split must not split again: the separator to add would be forgotten */
		if (node->flags & ALEX_INCOMPLETE_SPLIT)
			alex_finish_split(rel, index, buffer);

		if (node->level == 0 && node->right == InvalidBlockNumber)
			reserve = ALEX_APPEND_RESERVE;
		else if (node->level == 0 && alex_has_killed(page))
		{
			uint32		marks = alex_killed_reserve(node->count + alex_delta_count(page), BLCKSZ);

			if (marks > 0)
				reserve = ALEX_KILLED_RESERVE + marks;
		}
		if (heap != NULL && (unchanged || alex_has_killed(page)))
		{
			records = read_records(index, page, &n);
			kept = alex_purge(rel, index, heap, buffer, record, unchanged, records, n);
		}
		/* a few dead entries are no reason to rewrite what need not be */
		if ((records == NULL || n - kept <= n / 32) && append_records(rel, index, buffer, record, reserve, child))
		{
			if (records != NULL)
				pfree(records);
			break;
		}
		if (records == NULL)
		{
			records = read_records(index, page, &n);
			kept = n;
		}
		for (at = kept; at > 0 && alex_compare(records + (Size) (at - 1) * stride, record, index->words) > 0; at--)
			memcpy(records + (Size) at * stride, records + (Size) (at - 1) * stride, stride * sizeof(uint64));
		memcpy(records + (Size) at * stride, record, stride * sizeof(uint64));
		result = replace_records(rel, index, &buffer, records, kept + 1, reserve, record, child, &fitted);
		pfree(records);
		if (result == ALEX_ALL_STORED)
			break;
	}
	UnlockReleaseBuffer(buffer);
}

void
alex_add_record(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, Buffer child)
{
	add_record(rel, index, buffer, record, child, NULL, false);
}

void
alex_add_entry(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, Relation heap,
			   bool unchanged)
{
	add_record(rel, index, buffer, record, InvalidBuffer, heap, unchanged);
}

void
alex_remove_records(Relation rel, const AlexIndex *index, Buffer *buffer, const bool *dead)
{
	uint32		fitted = 0;

	/* after a step, the node has the first of the records it had, so they keep their numbers */
	for (;;)
	{
		Page		page = BufferGetPage(*buffer);
		int			stride = alex_stride(index->words, alex_cheader(page)->level);
		uint32		n;
		uint32		kept = 0;
		uint64	   *records;
		AlexReplaced result;

		if (alex_cheader(page)->flags & ALEX_INCOMPLETE_SPLIT)
			alex_finish_split(rel, index, *buffer);

		records = read_records(index, page, &n);
		for (uint32 i = 0; i < n; i++)
			if (!dead[i])
			{
				memmove(records + (Size) kept * stride, records + (Size) i * stride, stride * sizeof(uint64));
				kept++;
			}
		result = replace_records(rel, index, buffer, records, kept, 0, NULL, InvalidBuffer, &fitted);
		pfree(records);
		if (result == ALEX_ALL_STORED)
			break;
	}
}
