/*
 * alex_adopt.c - alex indexes of constraints, after pg_upgrade.
 *
 * pg_upgrade restores a dump of the catalogs, in which a primary key or unique constraint is just that, so it becomes a btree; then it
 * puts the old file under it, which is an alex index's. While it restores, the comment that says USING alex follows the constraint: the
 * index is made alex right then, in place, as its OID and file number are those of the old cluster. The library is there by then, as
 * restoring the extension's functions loads it.
 *
 * An index whose comment was lost reaches the new cluster as a btree. alex_restore() finds it by its file.
 */
#include "postgres.h"

#include "alex_adopt.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass_d.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/smgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "alex.h"
#include "alex_convert.h"

static ProcessUtility_hook_type next_process_utility = NULL;

bool
alex_is_disguised(Oid indexid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	bool		result = false;

	if (index->rd_rel->relam == BTREE_AM_OID && RelationGetNumberOfBlocks(index) > 0)
	{
		Buffer		buffer = ReadBuffer(index, ALEX_META_BLOCK);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		result = AlexPageGetMeta(BufferGetPage(buffer))->magic == ALEX_META_MAGIC;
		UnlockReleaseBuffer(buffer);
	}
	index_close(index, AccessShareLock);
	return result;
}

static void
set_method(Oid indexid, Oid method)
{
	Relation	catalog = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(indexid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", indexid);
	((Form_pg_class) GETSTRUCT(tuple))->relam = method;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, RowExclusiveLock);
}

/* The index's operator classes become those that the access method has for the same types. */
static void
set_classes(Oid indexid, const Oid *classes, int n)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Datum		values[Natts_pg_index] = {0};
	bool		nulls[Natts_pg_index] = {0};
	bool		replace[Natts_pg_index] = {0};
	HeapTuple	changed;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	values[Anum_pg_index_indclass - 1] = PointerGetDatum(buildoidvector(classes, n));
	replace[Anum_pg_index_indclass - 1] = true;
	changed = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replace);
	CatalogTupleUpdate(catalog, &changed->t_self, changed);
	ReleaseSysCache(tuple);
	table_close(catalog, RowExclusiveLock);
}

/* Makes the index alex in the catalogs. Its file is the caller's care. */
static void
change_catalogs(Relation heap, Relation index, Oid method)
{
	int			n = index->rd_index->indnkeyatts;
	Oid			classes[INDEX_MAX_KEYS];
	ObjectAddress myself;

	ObjectAddressSet(myself, RelationRelationId, RelationGetRelid(index));
	for (int i = 0; i < n; i++)
	{
		ObjectAddress class;

		classes[i] = GetDefaultOpClass(index->rd_opcintype[i], method);
		if (!OidIsValid(classes[i]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("column %d of index \"%s\" has a type that alex does not know", i + 1, RelationGetRelationName(index))));
		ObjectAddressSet(class, OperatorClassRelationId, classes[i]);
		recordDependencyOn(&myself, &class, DEPENDENCY_NORMAL);
	}
	set_method(RelationGetRelid(index), method);
	set_classes(RelationGetRelid(index), classes, n);
	CacheInvalidateRelcache(heap);
}

/*
 * Opens an index whose access method has just changed. The relation cache keeps what it knows of the access method where the index was
 * created in the same transaction.
 */
static Relation
open_changed(Oid indexid)
{
	Relation	index;

	CommandCounterIncrement();
	index = index_open(indexid, NoLock);
	if (index->rd_amcache != NULL)
		pfree(index->rd_amcache);
	if (index->rd_options != NULL)
		pfree(index->rd_options);
	index->rd_amcache = NULL;
	index->rd_options = NULL;
	RelationInitIndexAccessInfo(index);
	return index;
}

bool
alex_adopt(Oid indexid, Oid method)
{
	Relation	heap = table_open(IndexGetRelation(indexid, false), AccessExclusiveLock);
	Relation	index = index_open(indexid, AccessExclusiveLock);
	bool		disguised = alex_is_disguised(indexid);

	if (disguised)
		change_catalogs(heap, index, method);
	index_close(index, NoLock);
	if (disguised && heap->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
	{
		/* pg_upgrade does not bring the init fork, so it is still a btree's */
		index = open_changed(indexid);
		index->rd_indam->ambuildempty(index);
		index_close(index, NoLock);
	}
	table_close(heap, NoLock);
	return disguised;
}

/* ---- while pg_upgrade restores the catalogs ---- */

/* Makes the btree of a table that has no rows yet an empty alex index, with the same OID and file number. */
static void
become_alex(Oid indexid, Oid method)
{
	Relation	heap = table_open(IndexGetRelation(indexid, false), AccessExclusiveLock);
	Relation	index = index_open(indexid, AccessExclusiveLock);
	bool		is_btree = index->rd_rel->relam == BTREE_AM_OID;

	if (is_btree)
		change_catalogs(heap, index, method);
	index_close(index, NoLock);
	if (is_btree)
	{
		SMgrRelation storage;

		/* what follows may look at the table, so its indexes must be sound before pg_upgrade brings their files */
		index = open_changed(indexid);
		storage = RelationGetSmgr(index);
		smgrdounlinkall(&storage, 1, false);
		smgrcreate(RelationGetSmgr(index), MAIN_FORKNUM, false);
		compat_index_build(heap, index, BuildIndexInfo(index));
		index_close(index, NoLock);
	}
	table_close(heap, NoLock);
}

/* The index of a constraint whose comment was just made, if that says USING alex. */
static Oid
find_commented(CommentStmt *statement)
{
	List	   *name = castNode(List, statement->object);
	RangeVar   *table = makeRangeVarFromNameList(list_copy_head(name, list_length(name) - 1));
	Oid			relid = RangeVarGetRelid(table, AccessShareLock, true);
	Oid			constraintid;

	if (!OidIsValid(relid))
		return InvalidOid;
	constraintid = get_relation_constraint_oid(relid, strVal(llast(name)), true);
	if (!OidIsValid(constraintid) || !alex_method_remembered(constraintid))
		return InvalidOid;
	return get_constraint_index(constraintid);
}

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only, ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *statement = copyObject(planned->utilityStmt);

	if (next_process_utility != NULL)
		next_process_utility(planned, query, read_only, context, parameters, environment, dest, completion);
	else
		standard_ProcessUtility(planned, query, read_only, context, parameters, environment, dest, completion);
	if (IsA(statement, CommentStmt) && ((CommentStmt *) statement)->objtype == OBJECT_TABCONSTRAINT)
	{
		Oid			method = get_index_am_oid("alex", true);
		Oid			indexid;

		CommandCounterIncrement();
		indexid = find_commented((CommentStmt *) statement);
		if (OidIsValid(method) && OidIsValid(indexid))
			become_alex(indexid, method);
	}
}

void
alex_define_adoption(void)
{
	if (!IsBinaryUpgrade)
		return;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
