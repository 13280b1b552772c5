/*
 * omen_memory.c - which newer versions of rows the running command has locked and accepted.
 *
 * The executor takes a TID for a version: having found that a row was changed since its snapshot it locks the newest version, checks it
 * (EvalPlanQual), and then fetches and changes "the" row at that TID. Here the TID is the same as before, so the newer
 * version must be remembered, or it would be refused again, or the older one be fetched. Few rows ever get here: those in conflict.
 */
#include "omen.h"

#include "storage/proc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "omen_private.h"

typedef struct AcceptedKey
{
	Oid			relid;
	ItemPointerData tid;
} AcceptedKey;

typedef struct Accepted
{
	AcceptedKey key;
	CommandId	cid;			/* the command that accepted it */
	TransactionId xmin;			/* of the version */
} Accepted;

/* Lives in TopTransactionContext; `owner` tells whether that is still the same. */
static HTAB *accepted = NULL;
static LocalTransactionId owner = InvalidLocalTransactionId;

static Accepted *
lookup(Oid relid, ItemPointer tid, HASHACTION action)
{
	AcceptedKey key;

	if (owner != compat_my_lxid())
		accepted = NULL;
	if (!accepted)
	{
		HASHCTL		control = {0};

		if (action != HASH_ENTER)
			return NULL;
		control.keysize = sizeof(AcceptedKey);
		control.entrysize = sizeof(Accepted);
		control.hcxt = TopTransactionContext;
		accepted = hash_create("omen accepted versions", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		owner = compat_my_lxid();
	}
	memset(&key, 0, sizeof(key));
	key.relid = relid;
	ItemPointerCopy(tid, &key.tid);
	return hash_search(accepted, &key, action, NULL);
}

void
omen_memory_accept(Oid relid, ItemPointer tid, CommandId cid, TransactionId xmin)
{
	Accepted   *entry = lookup(relid, tid, HASH_ENTER);

	entry->cid = cid;
	entry->xmin = xmin;
}

bool
omen_memory_accepted_by(Oid relid, ItemPointer tid, CommandId cid, TransactionId xmin)
{
	Accepted   *entry = lookup(relid, tid, HASH_FIND);

	return entry && entry->cid == cid && TransactionIdEquals(entry->xmin, xmin);
}

bool
omen_memory_accepted(Oid relid, ItemPointer tid, TransactionId xmin)
{
	Accepted   *entry = lookup(relid, tid, HASH_FIND);

	return entry && TransactionIdEquals(entry->xmin, xmin);
}

/* The row that a fetch with SnapshotDirty gave last, and the transaction that asked. */
static AcceptedKey last_dirty;
static LocalTransactionId last_dirty_owner = InvalidLocalTransactionId;

void
omen_memory_note_dirty(Oid relid, ItemPointer tid)
{
	last_dirty.relid = relid;
	last_dirty.tid = *tid;
	last_dirty_owner = compat_my_lxid();
}

bool
omen_memory_was_dirty(Oid relid, ItemPointer tid)
{
	return last_dirty_owner == compat_my_lxid() && last_dirty.relid == relid && ItemPointerEquals(&last_dirty.tid, tid);
}
