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
	char	   *image;			/* the sibling that takes the range over, with its new fence; NULL if that is changed in place */
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
 * The sibling that takes the range over gets another fence. Mostly that can be changed in place, but fresh records are stored relative to
 * the low fence, and what both fences share is not stored with the records: then it is stored anew. False if it does not fit.
 */
static bool
prepare_sibling(const AlexIndex *index, Deletion *d)
{
	Page		leaf = BufferGetPage(d->leaf);
	Page		page = BufferGetPage(d->to_left ? d->left : d->right);
	const AlexNodeHeader *node = alex_cheader(page);
	BlockNumber right = d->to_left ? alex_cheader(leaf)->right : node->right;
	int			words = Max(node->words, alex_cheader(leaf)->words);
	uint64		low[ALEX_MAX_WORDS + 1];
	uint64		high[ALEX_MAX_WORDS + 1];
	AlexRemoval changes;
	uint64	   *records;
	uint32		n;
	bool		fits;

	d->image = palloc(BLCKSZ);
	memcpy(d->image, page, BLCKSZ);
	if (d->to_left ? right == InvalidBlockNumber || alex_set_high_fence(d->image, alex_high_fence(leaf, high), alex_cheader(leaf)->words, &changes) :
		alex_delta_count(page) == 0 && alex_set_low_fence(d->image, alex_low_fence(leaf, low), alex_cheader(leaf)->words, &changes))
	{
		pfree(d->image);
		d->image = NULL;
		return true;
	}

	records = palloc_extended((alex_record_count(page) + 1) * (words + 1) * sizeof(uint64), MCXT_ALLOC_HUGE);
	n = alex_decode(page, records);
	alex_widen_records(records, n, node->words, words, 0);
	if (d->to_left)
	{
		alex_widen_position(alex_low_fence(page, low), node->words, low, words);
		alex_widen_position(alex_high_fence(leaf, high), alex_cheader(leaf)->words, high, words);
	}
	else
	{
		alex_widen_position(alex_low_fence(leaf, low), alex_cheader(leaf)->words, low, words);
		if (right != InvalidBlockNumber)
			alex_widen_position(alex_high_fence(page, high), node->words, high, words);
	}
	alex_node_begin(d->image, BLCKSZ, index->least, words, 0, low, right != InvalidBlockNumber ? high : NULL, node->left, node->right);
	alex_header(d->image)->flags = node->flags;
	fits = alex_node_store_words(d->image, records, words, n, 0);
	pfree(records);
	return fits;
}

/* Locks the parent and prepares its new image. False if the leaf must stay. */
static bool
prepare_parent(Relation rel, const AlexIndex *index, Deletion *d)
{
	int			words;
	int			stride;
	Page		leaf = BufferGetPage(d->leaf);
	BlockNumber block = BufferGetBlockNumber(d->leaf);
	Page		parent;
	uint64		fence[ALEX_MAX_WORDS + 1];
	uint64		space[ALEX_MAX_WORDS + 1];
	const uint64 *low = alex_low_fence(leaf, fence);
	uint64	   *records;
	uint32		n;
	uint32		at = 0;
	bool		fits;

	d->parent = alex_descend(rel, index, low, alex_cheader(leaf)->words, 1, BUFFER_LOCK_EXCLUSIVE);
	parent = BufferGetPage(d->parent);
	words = alex_cheader(parent)->words;
	stride = alex_stride(words, 1);
	low = alex_fit_position(parent, low, alex_cheader(leaf)->words, space);

	records = palloc_extended((alex_record_count(parent) + 1) * stride * sizeof(uint64), MCXT_ALLOC_HUGE);
	n = alex_decode(parent, records);
	while (at < n && alex_compare(records + (Size) at * stride, low, words) < 0)
		at++;
	if (at == n || records[(Size) at * stride + words + 1] != block ||
		alex_compare(records + (Size) at * stride, low, words) != 0)
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
	fits = alex_node_store_words(d->parent_image, records, words, n - 1, 0);
	pfree(records);
	return fits && prepare_sibling(index, d);
}

/* What the sibling that takes the range over becomes. */
static void
change_sibling(WalRecord *wal, Deletion *d)
{
	Page		leaf = BufferGetPage(d->leaf);
	Buffer		buffer = d->to_left ? d->left : d->right;
	Page		page = BufferGetPage(buffer);
	uint64		fence[ALEX_MAX_WORDS + 1];
	int			words = alex_cheader(leaf)->words;
	AlexRemoval changes = {0};

	if (d->image)
	{
		alex_install(buffer, d->image);
		wal_image(wal, buffer);
		return;
	}
	/* as it was tried before */
	if (!d->to_left)
		alex_set_low_fence(page, alex_low_fence(leaf, fence), words, &changes);
	else if (alex_cheader(leaf)->right != InvalidBlockNumber)
		alex_set_high_fence(page, alex_high_fence(leaf, fence), words, &changes);
	for (int i = 0; i < changes.n; i++)
		wal_fragment(wal, buffer, (char *) page + changes.changes[i].offset, changes.changes[i].length);
}

static void
perform(Relation rel, Deletion *d)
{
	AlexNodeHeader *node = alex_header(BufferGetPage(d->leaf));
	AlexNodeHeader *left = BufferIsValid(d->left) ? alex_header(BufferGetPage(d->left)) : NULL;
	AlexNodeHeader *right = BufferIsValid(d->right) ? alex_header(BufferGetPage(d->right)) : NULL;
	WalRecord	wal;

	wal_begin(&wal, rel);
	START_CRIT_SECTION();
	node->flags |= ALEX_DELETED;
	wal_fragment(&wal, d->leaf, &node->flags, sizeof(node->flags));
	if (left)
	{
		if (d->to_left)
			change_sibling(&wal, d);
		left->right = node->right;
		wal_fragment(&wal, d->left, &left->right, sizeof(left->right));
	}
	if (right)
	{
		if (!d->to_left)
			change_sibling(&wal, d);
		right->left = node->left;
		wal_fragment(&wal, d->right, &right->left, sizeof(right->left));
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
		perform(rel, &d);
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
	if (d.image)
		pfree(d.image);

	if (done)
		RecordFreeIndexPage(rel, block);
	return done;
}
