/*
 * alex_delete.c - taking an empty leaf out of the tree.
 *
 * The key range of the deleted leaf goes to its left sibling, or to its right sibling if it is its parent's first
 * child; so the parent always keeps a first child that begins at the parent's own low fence. An only child stays.
 *
 * Left sibling, leaf, right sibling and parent change in one record. They are locked in this order: left to right, then
 * the parent. The leaf can be reused at once: whoever follows a stale link finds the ALEX_DELETED flag, or fences that
 * do not match, and starts again from the root. No snapshot conflict is needed on standbys for the same reason.
 */
#include "alex.h"

#include "miscadmin.h"
#include "storage/bufpage.h"
#include "storage/indexfsm.h"
#include "storage/predicate.h"

/* Locks what the deletion of a leaf involves; false if the tree does not allow it (now). */
typedef struct Deletion
{
	Buffer		left;			/* InvalidBuffer if there is none */
	Buffer		leaf;
	Buffer		right;			/* likewise */
	Buffer		parent;
	char	   *parent_image;	/* the parent without the leaf */
	char	   *right_image;	/* the right sibling with the leaf's low fence; NULL if it has no fresh records */
	bool		to_left;		/* the left sibling takes the range over */
} Deletion;

static Buffer
lock_block(Relation rel, const AlexIndex *index, BlockNumber block)
{
	Buffer		buffer = alex_pin(rel, block, NULL);

	alex_lock(rel, index, buffer, BUFFER_LOCK_EXCLUSIVE);
	return buffer;
}

/* Locks left sibling, leaf and right sibling. False if the leaf is no longer deletable or its neighbours moved. */
static bool
lock_siblings(Relation rel, const AlexIndex *index, BlockNumber block, Deletion *d)
{
	Page		page;
	const AlexNodeHeader *node;
	BlockNumber left;

	/* the left link first, then the locks from left to right */
	d->leaf = ReadBuffer(rel, block);
	alex_lock(rel, index, d->leaf, BUFFER_LOCK_SHARE);
	left = alex_cheader(BufferGetPage(d->leaf))->left;
	LockBuffer(d->leaf, BUFFER_LOCK_UNLOCK);

	if (left != InvalidBlockNumber)
	{
		d->left = lock_block(rel, index, left);
		node = alex_cheader(BufferGetPage(d->left));
		if (node->level != 0 || (node->flags & (ALEX_DELETED | ALEX_INCOMPLETE_SPLIT)) || node->right != block)
			return false;		/* it has split: another vacuum will find the leaf */
	}
	alex_lock(rel, index, d->leaf, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(d->leaf);
	node = alex_cheader(page);
	if (node->level != 0 || (node->flags & (ALEX_DELETED | ALEX_INCOMPLETE_SPLIT)) || node->left != left ||
		alex_record_count(page) > 0)
	{
		LockBuffer(d->leaf, BUFFER_LOCK_UNLOCK);
		return false;
	}
	if (node->right != InvalidBlockNumber)
		d->right = lock_block(rel, index, node->right);
	return true;
}

/*
 * The right sibling takes the leaf's low fence, which fresh records are stored relative to: they have to be merged. False if
 * they do not fit.
 */
static bool
prepare_right(const AlexIndex *index, Deletion *d)
{
	Page		right = BufferGetPage(d->right);
	uint64	   *records;
	uint32		n;
	bool		fits;

	if (alex_delta_count(right) == 0)
		return true;
	records = palloc(alex_record_count(right) * alex_stride(index->words, 0) * sizeof(uint64));
	n = alex_decode(right, records);
	d->right_image = palloc(BLCKSZ);
	alex_node_successor(d->right_image, right);
	memcpy(alex_low_fence(d->right_image), alex_low_fence(BufferGetPage(d->leaf)), (index->words + 1) * sizeof(uint64));
	fits = alex_node_store(d->right_image, records, n, 0);
	pfree(records);
	return fits;
}

/* Locks the parent and prepares its new image. False if the leaf must stay. */
static bool
prepare_parent(Relation rel, const AlexIndex *index, Deletion *d)
{
	int			words = index->words;
	int			stride = alex_stride(words, 1);
	Page		leaf = BufferGetPage(d->leaf);
	BlockNumber block = BufferGetBlockNumber(d->leaf);
	Page		parent;
	uint64	   *records;
	uint32		n;
	uint32		at = 0;
	bool		fits;

	d->parent = alex_descend(rel, index, alex_low_fence(leaf), 1, BUFFER_LOCK_EXCLUSIVE);
	parent = BufferGetPage(d->parent);

	records = palloc((alex_record_count(parent) + 1) * stride * sizeof(uint64));
	n = alex_decode(parent, records);
	while (at < n && alex_compare(records + (Size) at * stride, alex_low_fence(leaf), words) < 0)
		at++;
	if (at == n || records[(Size) at * stride + words + 1] != block ||
		alex_compare(records + (Size) at * stride, alex_low_fence(leaf), words) != 0)
	{
		pfree(records);
		return false;			/* its separator is still missing */
	}

	d->to_left = at > 0;
	if (!d->to_left)
	{
		/* the first child: the next child, which must be the right sibling, takes its separator */
		if (n < 2 || !BufferIsValid(d->right) ||
			records[(Size) stride + words + 1] != BufferGetBlockNumber(d->right))
		{
			pfree(records);
			return false;
		}
		records[words + 1] = BufferGetBlockNumber(d->right);
		at = 1;
	}
	else if (!BufferIsValid(d->left))
		alex_corrupt(rel, block, "A leaf that is not the first has no left sibling");
	memmove(records + (Size) at * stride, records + (Size) (at + 1) * stride,
			(Size) (n - at - 1) * stride * sizeof(uint64));

	d->parent_image = palloc(BLCKSZ);
	alex_node_successor(d->parent_image, parent);

	/* a hole in a line of separators can need more room than the line did: then the leaf stays */
	fits = alex_node_store(d->parent_image, records, n - 1, 0);
	pfree(records);
	return fits && (d->to_left || prepare_right(index, d));
}

static void
perform(Relation rel, const AlexIndex *index, Deletion *d)
{
	int			position = (index->words + 1) * sizeof(uint64);
	Page		leaf = BufferGetPage(d->leaf);
	AlexNodeHeader *node = alex_header(leaf);
	AlexNodeHeader *left = BufferIsValid(d->left) ? alex_header(BufferGetPage(d->left)) : NULL;
	AlexNodeHeader *right = BufferIsValid(d->right) ? alex_header(BufferGetPage(d->right)) : NULL;
	WalRecord	wal;

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	node->flags |= ALEX_DELETED;
	wal_fragment(&wal, d->leaf, &node->flags, sizeof(node->flags));
	if (left)
	{
		left->right = node->right;
		wal_fragment(&wal, d->left, &left->right, sizeof(left->right));
		if (d->to_left)
		{
			uint64	   *high = alex_high_fence(BufferGetPage(d->left));

			memcpy(high, alex_high_fence(leaf), position);
			wal_fragment(&wal, d->left, high, position);
		}
	}
	if (right)
	{
		if (d->right_image)
		{
			alex_install(d->right, d->right_image);
			wal_image(&wal, d->right);
		}
		right->left = node->left;
		wal_fragment(&wal, d->right, &right->left, sizeof(right->left));
		if (!d->to_left)
		{
			uint64	   *low = alex_low_fence(BufferGetPage(d->right));

			memcpy(low, alex_low_fence(leaf), position);
			wal_fragment(&wal, d->right, low, position);
		}
	}
	alex_install(d->parent, d->parent_image);
	wal_image(&wal, d->parent);
	wal_finish(&wal);
	END_CRIT_SECTION();
}

bool
alex_delete_page(Relation rel, const AlexIndex *index, BlockNumber block)
{
	Deletion	d;
	bool		siblings;
	bool		done = false;

	memset(&d, 0, sizeof(d));
	siblings = lock_siblings(rel, index, block, &d);
	if (siblings && prepare_parent(rel, index, &d))
	{
		PredicateLockPageCombine(rel, block, BufferGetBlockNumber(d.to_left ? d.left : d.right));
		perform(rel, index, &d);
		done = true;
	}

	if (BufferIsValid(d.parent))
		UnlockReleaseBuffer(d.parent);
	if (BufferIsValid(d.right))
		UnlockReleaseBuffer(d.right);
	if (siblings)
		LockBuffer(d.leaf, BUFFER_LOCK_UNLOCK);
	ReleaseBuffer(d.leaf);
	if (BufferIsValid(d.left))
		UnlockReleaseBuffer(d.left);
	if (d.parent_image)
		pfree(d.parent_image);
	if (d.right_image)
		pfree(d.right_image);

	if (done)
		RecordFreeIndexPage(rel, block);
	return done;
}
