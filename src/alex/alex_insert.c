/*
 * alex_insert.c - aminsert and the unique check.
 *
 * Unique check: the first leaf that can hold the key is locked exclusively and stays locked until the entry is in,
 * lock-coupled to the right if the entry belongs further right. Whoever inserts the same key locks that leaf first, so
 * two inserters of one key cannot both find nothing.
 *
 * Serializable transactions lock the leaves they read. An insert asks about the leaf it is going to change while it has it
 * locked; when leaves split or are deleted, those locks go along.
 */
#include "alex.h"

#include "alex_route.h"

#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "utils/snapmgr.h"

/* Equal entries looked at in one go: in a unique index they are versions of one row. */
#define CHECK_BATCH 32

/* The leaf that covers the position, exclusively locked. */
static Buffer
find_leaf(Relation rel, const AlexIndex *index, const uint64 *position, int words)
{
	BlockNumber target = RelationGetTargetBlock(rel);
	Buffer		buffer;

	/* keys that grow go to the rightmost leaf, which is remembered */
	if (target != InvalidBlockNumber)
	{
		buffer = ReadBuffer(rel, target);
		alex_lock(rel, index, buffer, BUFFER_LOCK_EXCLUSIVE);
		if (alex_covers(BufferGetPage(buffer), 0, position, words))
			return buffer;
		UnlockReleaseBuffer(buffer);
		RelationSetTargetBlock(rel, InvalidBlockNumber);
	}
	buffer = alex_route_leaf(rel, index, position, words, BUFFER_LOCK_EXCLUSIVE);
	if (!BufferIsValid(buffer))
		buffer = alex_descend(rel, index, position, words, 0, BUFFER_LOCK_EXCLUSIVE);
	if (alex_cheader(BufferGetPage(buffer))->right == InvalidBlockNumber)
		RelationSetTargetBlock(rel, BufferGetBlockNumber(buffer));
	return buffer;
}

/* Moves to the right sibling, locking it before the page is let go. */
static Buffer
step_right(Relation rel, const AlexIndex *index, Buffer buffer, int access)
{
	Buffer		right = alex_pin(rel, alex_cheader(BufferGetPage(buffer))->right, NULL);

	alex_lock(rel, index, right, access);
	UnlockReleaseBuffer(buffer);
	return right;
}

static void
unique_violation(Relation rel, Relation heap, Datum *values, bool *isnull, BlockNumber leaf)
{
	char	   *key;

	/* a serialization failure, if there is one, is the better error: it tells the client to retry */
	CheckForSerializableConflictIn(rel, NULL, leaf);
	key = BuildIndexValueDescription(rel, values, isnull);
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"", RelationGetRelationName(rel)),
			 key ? errdetail("Key %s already exists.", key) : 0,
			 errtableconstraint(heap, RelationGetRelationName(rel))));
}

/* What the unique check found. */
typedef struct Conflict
{
	TransactionId wait_for;		/* InvalidTransactionId: no transaction to wait for */
	uint32		speculative_token;
	bool		unique;			/* with UNIQUE_CHECK_PARTIAL: no possible conflict */
	bool		found;			/* the entry itself was met */
	bool		violation;		/* another live row has the key */
	BlockNumber crowded;		/* leaf with many dead entries that cannot be marked, or InvalidBlockNumber */
} Conflict;

/* Looks at one equal entry; returns true if the check is over. *dead: nobody needs the entry any more. */
static bool
check_entry(Relation heap, ItemPointer tid, ItemPointer other, IndexUniqueCheck check, Conflict *conflict, bool *dead)
{
	SnapshotData dirty;
	ItemPointerData probe = *other;

	*dead = false;
	if (check == UNIQUE_CHECK_EXISTING && ItemPointerEquals(tid, other))
	{
		conflict->found = true;
		return false;
	}

	InitDirtySnapshot(dirty);
	if (!table_index_fetch_tuple_check(heap, &probe, &dirty, dead))
		return false;
	*dead = false;

	if (check == UNIQUE_CHECK_PARTIAL)
	{
		conflict->unique = false;
		return true;
	}
	conflict->wait_for = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
	if (TransactionIdIsValid(conflict->wait_for))
	{
		conflict->speculative_token = dirty.speculativeToken;
		return true;
	}

	/*
	 * The other row is live. Ours may be dead already: CREATE INDEX CONCURRENTLY inserts rows that were deleted since,
	 * and then there is no conflict.
	 */
	probe = *tid;
	conflict->violation = table_index_fetch_tuple_check(heap, &probe, SnapshotSelf, NULL);
	return true;
}

/*
 * Checks every entry equal to the record, from the locked first leaf on. The leaf stays locked. The ends of
 * the range have "low_words" and "high_words" key words. With "may_remove" it ends at a leaf that is crowded with dead entries, of which *dead has some.
 */
static void
check_unique(Relation rel, const AlexIndex *index, Buffer first, const AlexRange *equal, int low_words, int high_words, Relation heap,
			 ItemPointer tid, IndexUniqueCheck check, bool may_remove, AlexDead *dead, Conflict *conflict)
{
	uint64	   *records = NULL;
	uint32		capacity = 0;		/* in words */
	uint64		low[ALEX_MAX_WORDS + 1];
	Buffer		buffer = first;

	memset(conflict, 0, sizeof(*conflict));
	conflict->unique = true;
	conflict->crowded = InvalidBlockNumber;
	dead->n = 0;
	memcpy(low, equal->low, (low_words + 1) * sizeof(uint64));
	for (;;)
	{
		Page		page = BufferGetPage(buffer);
		const AlexNodeHeader *node = alex_cheader(page);
		int			words = node->words;
		uint64		low_space[ALEX_MAX_WORDS + 1];
		uint64		high_space[ALEX_MAX_WORDS + 1];
		const uint64 *from = alex_fit_position(page, low, low_words, low_space);
		const uint64 *to = alex_fit_position(page, equal->high, high_words, high_space);
		uint32		need;
		bool		more;
		uint32		n;
		bool		over = false;

		if (unlikely(node->level > 0))
			alex_corrupt(rel, BufferGetBlockNumber(buffer), "A right link leads to a page that is not a leaf");
		need = (CHECK_BATCH + alex_delta_count(page)) * (words + 1);
		if (need > capacity)
		{
			if (records)
				pfree(records);
			capacity = need;
			records = palloc(capacity * sizeof(uint64));
		}
		n = alex_collect_living(page, from, to, false, CHECK_BATCH, records, &more);
		for (uint32 i = 0; i < n && !over; i++)
		{
			uint64	   *record = records + i * (words + 1);
			ItemPointerData other;
			bool		is_dead;

			alex_record_tid(rel, BufferGetBlockNumber(buffer), record[words], &other);
			over = check_entry(heap, tid, &other, check, conflict, &is_dead);
			if (is_dead)
				memcpy(alex_dead_next(dead, words), record, (words + 1) * sizeof(uint64));
		}
		if (dead->n > 0)
			alex_dead_mark(buffer, dead);
		if (over)
			break;
		/* at the end of the leaf or of what can be remembered; removing them is not for us, with the first leaf locked */
		if (may_remove && dead->n >= ALEX_UNMARKED_DEAD && (!more || dead->n > ALEX_MAX_DEAD - CHECK_BATCH))
		{
			conflict->crowded = BufferGetBlockNumber(buffer);
			break;
		}
		if (!more || dead->n > ALEX_MAX_DEAD - CHECK_BATCH)
			dead->n = 0;
		if (more)
		{
			const uint64 *last = records + (Size) (n - 1) * (words + 1);

			/* or this would go on for ever, with the first leaf locked */
			if (alex_compare(last, from, words) < 0 || last[words] == PG_UINT64_MAX)
				alex_corrupt(rel, BufferGetBlockNumber(buffer), "Records are out of order");
			/* resume behind the last one seen: ties are unique and never at their greatest */
			memcpy(low, last, (words + 1) * sizeof(uint64));
			low[words]++;
			low_words = words;
			continue;
		}
		if (node->right == InvalidBlockNumber || alex_compare_high(page, to) >= 0)
			break;
		if (buffer == first)
		{
			Buffer		right = alex_pin(rel, node->right, NULL);

			alex_lock(rel, index, right, BUFFER_LOCK_SHARE);
			buffer = right;
		}
		else
			buffer = step_right(rel, index, buffer, BUFFER_LOCK_SHARE);
	}
	if (buffer != first)
		UnlockReleaseBuffer(buffer);
	pfree(records);
}

bool
alexinsert(Relation rel, Datum *values, bool *isnull, ItemPointer tid, Relation heap, IndexUniqueCheck check,
		   bool unchanged, struct IndexInfo *info)
{
	AlexIndex	index;
	uint64		record[ALEX_MAX_WORDS + 1];
	int			words;			/* of the record */
	AlexRange	equal;
	int			equal_words;	/* of the low end of that, ... */
	int			high_words;		/* ... and the high one */
	Conflict	conflict;
	AlexDead	dead = {0};
	bool		may_remove = true;
	Buffer		buffer;

	alex_open(rel, &index);
	alex_key_record(&index.key, values, isnull, tid, record);

	/* all that is made of the record as it is, before the words that it does not use go */
	if (check != UNIQUE_CHECK_NO && (rel->rd_index->indnullsnotdistinct || !alex_any_null(&index.key, record)))
	{
		alex_key_equal_range(&index.key, record, &equal);
		equal_words = alex_trim(&index, equal.low);
		high_words = alex_trim(&index, equal.high);
	}
	else
		equal_words = high_words = -1;
	words = alex_trim(&index, record);

	/* NULLs are distinct unless the index was told otherwise */
	if (equal_words < 0)
	{
		if (check != UNIQUE_CHECK_EXISTING)
		{
			buffer = find_leaf(rel, &index, record, words);
			CheckForSerializableConflictIn(rel, NULL, BufferGetBlockNumber(buffer));
			alex_add_entry(rel, &index, buffer, record, words, heap, unchanged);
		}
		return check != UNIQUE_CHECK_NO;	/* no conflict possible */
	}

	for (;;)
	{
		buffer = find_leaf(rel, &index, equal.low, equal_words);
		check_unique(rel, &index, buffer, &equal, equal_words, high_words, heap, tid, check, may_remove, &dead, &conflict);
		if (conflict.violation)
		{
			/* who has read the key has locked this leaf, or what it came from */
			BlockNumber leaf = BufferGetBlockNumber(buffer);

			/* describing the key reads catalogs, which must not happen with a page locked */
			UnlockReleaseBuffer(buffer);
			unique_violation(rel, heap, values, isnull, leaf);
		}
		if (BlockNumberIsValid(conflict.crowded))
		{
			/* then start again; but not for ever */
			UnlockReleaseBuffer(buffer);
			may_remove = alex_dead_remove(rel, &index, heap, conflict.crowded, &dead) > 0;
			CHECK_FOR_INTERRUPTS();
			continue;
		}
		if (!TransactionIdIsValid(conflict.wait_for))
			break;

		/* wait without a lock, then start again: anything may have happened */
		UnlockReleaseBuffer(buffer);
		if (conflict.speculative_token != 0)
			SpeculativeInsertionWait(conflict.wait_for, conflict.speculative_token);
		else
			XactLockTableWait(conflict.wait_for, rel, tid, XLTW_InsertIndex);
	}
	alex_dead_free(&dead);

	if (check == UNIQUE_CHECK_EXISTING)
	{
		UnlockReleaseBuffer(buffer);
		if (!conflict.found)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("failed to re-find tuple within index \"%s\"", RelationGetRelationName(rel)),
					 errhint("This may be because of a non-immutable index expression."),
					 errtableconstraint(heap, RelationGetRelationName(rel))));
		return true;
	}

	while (alex_cheader(BufferGetPage(buffer))->right != InvalidBlockNumber &&
		   alex_side(BufferGetPage(buffer), record, words) > 0)
		buffer = step_right(rel, &index, buffer, BUFFER_LOCK_EXCLUSIVE);
	CheckForSerializableConflictIn(rel, NULL, BufferGetBlockNumber(buffer));
	alex_add_entry(rel, &index, buffer, record, words, heap, unchanged);
	return conflict.unique;
}
