/*
 * alex_change.c - adding records to a node, rewriting it, splitting it.
 *
 * One mechanism serves leaves, inner nodes and vacuum: a record goes to the delta if there is room; else base, delta and
 * record are merged into a new base; else the node splits. alex_policy.h decides which and makes the images; what is done with
 * them is here.
 *
 * A split is one WAL record (left, new right, old right neighbour's left link) and leaves ALEX_INCOMPLETE_SPLIT on the
 * left node. The record that adds the separator to the parent clears it. The lock on the left node is held from one to
 * the other; if a crash comes in between, whoever next wants to change the left node finishes the split.
 */
#include "alex.h"

#include "miscadmin.h"
#include "storage/bufpage.h"
#include "storage/predicate.h"

/* All records of a page, of its words, with room for one more and for "words" of all of them. */
static uint64 *
read_records(Page page, int words, uint32 *n)
{
	const AlexNodeHeader *node = alex_cheader(page);
	Size		stride = alex_stride(Max(words, node->words), node->level);
	uint64	   *records = palloc_extended((alex_record_count(page) + 1) * stride * sizeof(uint64), MCXT_ALLOC_HUGE);

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
add_downlink(Relation rel, const AlexIndex *index, Buffer left, const uint64 *separator, int words, BlockNumber right)
{
	int			level = alex_cheader(BufferGetPage(left))->level;
	uint64		record[ALEX_MAX_RECORD_WORDS];
	Buffer		parent;

	memcpy(record, separator, (words + 1) * sizeof(uint64));
	record[words + 1] = right;
	parent = alex_descend(rel, index, record, words, level + 1, BUFFER_LOCK_EXCLUSIVE);
	alex_add_record(rel, index, parent, record, words, left);
}

void
alex_finish_split(Relation rel, const AlexIndex *index, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	uint64		separator[ALEX_MAX_WORDS + 1];

	Assert(alex_cheader(page)->flags & ALEX_INCOMPLETE_SPLIT);
	if (alex_cheader(page)->right == InvalidBlockNumber)
		alex_corrupt(rel, BufferGetBlockNumber(buffer), "A node without right sibling has an unfinished split");
	add_downlink(rel, index, buffer, alex_high_fence(page, separator), alex_cheader(page)->words, alex_cheader(page)->right);
}

/* Splits any node but the root; the lock on the left node is kept, the parent is told. */
static void
split_node(Relation rel, const AlexIndex *index, Buffer buffer, const AlexNewNodes *nodes, Buffer child, bool child_done)
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
	alex_header(nodes->left)->right = right_block;
	alex_header(nodes->left)->flags |= ALEX_INCOMPLETE_SPLIT;
	alex_header(nodes->right)->left = BufferGetBlockNumber(buffer);

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	alex_install(buffer, nodes->left);
	wal_image(&wal, buffer);
	alex_install(right, nodes->right);
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
	add_downlink(rel, index, buffer, nodes->separator, nodes->words, right_block);
}

/*
 * Splits the root: both halves go to new pages and the root, one level higher, points to them. Returns the left page,
 * locked in place of the root.
 */
static Buffer
split_root(Relation rel, const AlexIndex *index, Buffer root, const AlexNewNodes *nodes, Buffer child, bool child_done)
{
	int			level = alex_cheader(BufferGetPage(root))->level;
	int			words = nodes->words;
	uint64		low[ALEX_MAX_WORDS + 1] = {0};
	uint64		children[2 * ALEX_MAX_RECORD_WORDS];
	Buffer		left = alex_new_buffer(rel, index);
	Buffer		right = alex_new_buffer(rel, index);
	char	   *root_image = palloc(BLCKSZ);
	WalRecord	wal;

	alex_header(nodes->left)->right = BufferGetBlockNumber(right);
	alex_header(nodes->left)->flags = 0;
	alex_header(nodes->right)->left = BufferGetBlockNumber(left);

	alex_node_begin(root_image, BLCKSZ, index->least, words, level + 1, low, NULL, InvalidBlockNumber, InvalidBlockNumber);

	memcpy(children, low, (words + 1) * sizeof(uint64));
	children[words + 1] = BufferGetBlockNumber(left);
	memcpy(children + words + 2, nodes->separator, (words + 1) * sizeof(uint64));
	children[2 * words + 3] = BufferGetBlockNumber(right);
	if (!alex_node_store_words(root_image, children, words, 2, 0))
		elog(ERROR, "root of an alex index does not fit");

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	alex_install(left, nodes->left);
	wal_image(&wal, left);
	alex_install(right, nodes->right);
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

/* Pages for what is to become of a node. */
static void
make_nodes(AlexNewNodes *nodes)
{
	nodes->left = palloc(BLCKSZ);
	nodes->right = palloc(BLCKSZ);
	nodes->fitted = 0;
}

static void
free_nodes(AlexNewNodes *nodes)
{
	pfree(nodes->left);
	pfree(nodes->right);
}

/*
 * Makes the n sorted records and "record", which may be NULL, all of nodes->words, the content of an exclusively locked node, or a step of
 * that. "child" as in alex_add_record. *buffer stays locked; after a root split it is the left half. Returns false if there is more to do.
 */
static bool
replace_records(Relation rel, const AlexIndex *index, Buffer *buffer, uint64 *records, uint32 n, const uint64 *record,
				Buffer child, AlexNewNodes *nodes)
{
	bool		child_done = BufferIsValid(child);

	if (!alex_change_node(BufferGetPage(*buffer), records, n, record, index->fillfactor, nodes))
		alex_corrupt(rel, BufferGetBlockNumber(*buffer), "Its records fit no node");
	if (!nodes->split)
		rewrite_node(rel, *buffer, nodes->left, child);
	else
	{
		child_done = child_done && !nodes->again;
		if (BufferGetBlockNumber(*buffer) == ALEX_ROOT_BLOCK)
			*buffer = split_root(rel, index, *buffer, nodes, child, child_done);
		else
			split_node(rel, index, *buffer, nodes, child, child_done);
	}
	return !nodes->again;
}

/* A record as one of the node, in "space" if it is not; NULL if the node does not have all of its words. */
static const uint64 *
fit_record(Page page, const uint64 *record, int words, uint64 *space)
{
	const AlexNodeHeader *node = alex_cheader(page);

	if (node->words == words)
		return record;
	if (alex_fit_record(page, record, words, space) == NULL)
		return NULL;
	if (node->level > 0)
		space[node->words + 1] = record[words + 1];
	return space;
}

/* Adds a record to the delta of a node, if that has room. */
static bool
put_record(Relation rel, Buffer buffer, const uint64 *record, int words, Buffer child)
{
	Page		page = BufferGetPage(buffer);
	uint64		space[ALEX_MAX_RECORD_WORDS];
	AlexSlot	slot;
	WalRecord	wal;

	record = fit_record(page, record, words, space);
	if (record == NULL || !alex_delta_prepare(page, record, alex_delta_limit(page), &slot))
		return false;
	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	if (alex_delta_put(page, &slot))
		wal_fragment(&wal, buffer, &((PageHeader) page)->pd_upper, sizeof(LocationIndex));
	wal_fragment(&wal, buffer, (char *) page + slot.offset, slot.length);
	clear_incomplete(&wal, child);
	wal_finish(&wal);
	END_CRIT_SECTION();
	return true;
}

/* Adds a record to a node whose delta has no room, or a step of that. Returns false if there is more to do. */
static bool
merge_record(Relation rel, const AlexIndex *index, Buffer *buffer, const uint64 *record, int words, Buffer child, Relation heap,
			 bool unchanged, AlexNewNodes *nodes)
{
	Page		page = BufferGetPage(*buffer);
	uint64		space[ALEX_MAX_RECORD_WORDS];
	const uint64 *fitted;
	uint64	   *records = NULL;
	uint32		n = 0;
	uint32		dead = 0;
	bool		done = true;

	/* a node with an unfinished split must not split again: the separator to add would be forgotten */
	if (alex_cheader(page)->flags & ALEX_INCOMPLETE_SPLIT)
		alex_finish_split(rel, index, *buffer);

	fitted = fit_record(page, record, words, space);
	nodes->words = fitted ? alex_cheader(page)->words : words;
	if (heap != NULL && alex_should_purge(page, unchanged))
	{
		uint32		all;

		/* a record with more words than the leaf has no equal there: then any will do */
		records = read_records(page, words, &all);
		n = alex_purge(rel, index, heap, *buffer, fitted || all == 0 ? fitted : records, unchanged && all > 0, records, all);
		dead = all - n;
	}
	if (fitted && alex_change_append(page, fitted, dead, nodes))
		rewrite_node(rel, *buffer, nodes->left, child);
	else
	{
		if (records == NULL)
			records = read_records(page, words, &n);
		if (fitted)
			record = fitted;
		else
			alex_widen_records(records, n, alex_cheader(page)->words, words, alex_cheader(page)->level);
		done = replace_records(rel, index, buffer, records, n, record, child, nodes);
	}
	if (records != NULL)
		pfree(records);
	return done;
}

/* The node that covers the record, of which the locked one covered it before it was split. */
static Buffer
go_right(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, int words)
{
	while (alex_side(BufferGetPage(buffer), record, words) > 0)
	{
		Buffer		right = alex_pin(rel, alex_cheader(BufferGetPage(buffer))->right, NULL);

		alex_lock(rel, index, right, BUFFER_LOCK_EXCLUSIVE);
		UnlockReleaseBuffer(buffer);
		buffer = right;
	}
	return buffer;
}

/* "heap" is NULL but for entries of it. */
static void
add_record(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, int words, Buffer child, Relation heap,
		   bool unchanged)
{
	if (!put_record(rel, buffer, record, words, child))
	{
		AlexNewNodes nodes;

		make_nodes(&nodes);
		while (!merge_record(rel, index, &buffer, record, words, child, heap, unchanged, &nodes))
		{
			buffer = go_right(rel, index, buffer, record, words);
			/* after a split it may be another leaf, which others could read before we had it locked */
			if (heap != NULL)
				CheckForSerializableConflictIn(rel, NULL, BufferGetBlockNumber(buffer));
			if (put_record(rel, buffer, record, words, child))
				break;
		}
		free_nodes(&nodes);
	}
	UnlockReleaseBuffer(buffer);
}

void
alex_add_record(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, int words, Buffer child)
{
	add_record(rel, index, buffer, record, words, child, NULL, false);
}

void
alex_add_entry(Relation rel, const AlexIndex *index, Buffer buffer, const uint64 *record, int words, Relation heap,
			   bool unchanged)
{
	add_record(rel, index, buffer, record, words, InvalidBuffer, heap, unchanged);
}

void
alex_remove_records(Relation rel, const AlexIndex *index, Buffer *buffer, const bool *dead)
{
	AlexNewNodes nodes;
	bool		done = false;

	make_nodes(&nodes);
	/* after a step, the node has the first of the records it had, so they keep their numbers */
	while (!done)
	{
		Page		page = BufferGetPage(*buffer);
		int			words = alex_cheader(page)->words;
		int			stride = alex_stride(words, alex_cheader(page)->level);
		uint32		n;
		uint32		kept = 0;
		uint64	   *records;

		if (alex_cheader(page)->flags & ALEX_INCOMPLETE_SPLIT)
			alex_finish_split(rel, index, *buffer);

		records = read_records(page, words, &n);
		nodes.words = words;
		for (uint32 i = 0; i < n; i++)
			if (!dead[i])
			{
				memmove(records + (Size) kept * stride, records + (Size) i * stride, stride * sizeof(uint64));
				kept++;
			}
		done = replace_records(rel, index, buffer, records, kept, NULL, InvalidBuffer, &nodes);
		pfree(records);
	}
	free_nodes(&nodes);
}
