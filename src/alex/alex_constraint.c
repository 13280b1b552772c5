/*
 * alex_constraint.c - alex_primary_key() and alex_unique(): constraints of unique alex indexes.
 *
 * ALTER TABLE ... ADD CONSTRAINT ... USING INDEX takes btrees only, but what it does with them is the same for every
 * index: rows of pg_constraint and pg_index, and dependencies. Contract: as ALTER TABLE, with its lock and its errors,
 * but in a function.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_subscription_rel.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "alex_constraint.h"
#include "alex_convert.h"
#include "alex_inspect.h"

PG_FUNCTION_INFO_V1(alex_primary_key);
PG_FUNCTION_INFO_V1(alex_unique);

static void
refuse(Relation index, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("index \"%s\" cannot have a constraint", RelationGetRelationName(index)),
			 errdetail("%s", why)));
}

/* What core demands of an index for a constraint; a dump makes the constraint without it, and must get the same again. */
static void
check_index(Relation heap, Relation index, bool primary)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisunique)
		refuse(index, "It is not unique.");
	if (!form->indisvalid)
		refuse(index, "It is not valid.");
	if (!form->indimmediate || OidIsValid(get_index_constraint(RelationGetRelid(index))))
		refuse(index, "It has one.");
	if (RelationGetIndexExpressions(index) != NIL)
		refuse(index, "It contains expressions.");
	if (RelationGetIndexPredicate(index) != NIL)
		refuse(index, "It is a partial index.");
	if (index->rd_rel->relispartition)
		refuse(index, "It belongs to an index of the partitioned table.");
	if (primary && form->indnullsnotdistinct)
		refuse(index, "Primary keys cannot use NULLS NOT DISTINCT.");
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber	column = form->indkey.values[i];

		if (index->rd_indoption[i] != 0 ||
			(column > 0 && index->rd_indcollation[i] != TupleDescAttr(RelationGetDescr(heap), column - 1)->attcollation))
			refuse(index, "A column does not have default sorting behavior.");
	}
}

/* ALTER TABLE ... SET NOT NULL for those key columns that allow NULLs. The table is locked, but not open. */
static void
set_not_null(Oid heapid, Oid indexid)
{
	Relation	heap = table_open(heapid, NoLock);
	Relation	index = index_open(indexid, NoLock);
	StringInfoData command;
	const char *separator = " ";

	initStringInfo(&command);
	appendStringInfo(&command, "ALTER TABLE %s",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(heap)), RelationGetRelationName(heap)));
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(heap), index->rd_index->indkey.values[i] - 1);

		if (column->attnotnull)
			continue;
		appendStringInfo(&command, "%sALTER COLUMN %s SET NOT NULL", separator, quote_identifier(NameStr(column->attname)));
		separator = ", ";
	}
	index_close(index, NoLock);
	table_close(heap, NoLock);
	if (separator[0] == ' ')
		return;

	SPI_connect();
	if (SPI_execute(command.data, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "\"%s\" failed", command.data);
	SPI_finish();
}

/* Do rows of a table come from a subscription, be it by way of a table that it is a partition of? */
static bool
is_subscribed(Oid heapid)
{
	Relation	catalog = table_open(SubscriptionRelRelationId, AccessShareLock);
	List	   *tables = list_make1_oid(heapid);
	bool		found = false;
	ListCell   *cell;

	if (get_rel_relispartition(heapid))
		tables = list_concat(tables, get_partition_ancestors(heapid));
	foreach(cell, tables)
	{
		ScanKeyData key;
		SysScanDesc scan;

		ScanKeyInit(&key, Anum_pg_subscription_rel_srrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(lfirst_oid(cell)));
		scan = systable_beginscan(catalog, SubscriptionRelSrrelidSrsubidIndexId, true, NULL, 1, &key);
		found = found || HeapTupleIsValid(systable_getnext(scan));
		systable_endscan(scan);
	}
	table_close(catalog, AccessShareLock);
	return found;
}

/* On PostgreSQL 17 a subscription's worker cannot find rows by an index that is neither btree nor hash. */
bool
alex_needed_by_subscription(Oid heapid, Oid indexid, bool primary)
{
	return COMPAT_APPLY_NEEDS_BTREE && (primary || get_index_isreplident(indexid)) && is_subscribed(heapid);
}

static void
refuse_identity(Oid heapid, Oid indexid, bool primary)
{
	if (alex_needed_by_subscription(heapid, indexid, primary))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" identifies rows that come from a subscription", get_rel_name(indexid)),
				 errdetail("PostgreSQL 17 can find them by a btree index only."),
				 errhint("Keep a btree, or upgrade to PostgreSQL 18.")));
}

void
alex_add_constraint(Oid indexid, const char *name, char type, bool is_deferrable, bool initially_deferred)
{
	Oid			heapid = IndexGetRelation(indexid, true);
	Relation	heap;
	Relation	index;
	IndexInfo  *info;
	bool		primary = type == CONSTRAINT_PRIMARY;
	uint16		flags = 0;

	PreventCommandIfReadOnly("ALTER TABLE");
	if (!OidIsValid(heapid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", get_rel_name(indexid))));
	if (!compat_owns_relation(heapid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(heapid)), get_rel_name(heapid));
	heap = table_open(heapid, AccessExclusiveLock);
	index = index_open(indexid, AccessExclusiveLock);
	alex_require_index(index);
	CheckTableNotInUse(heap, "ALTER TABLE");
	if (IsCatalogRelation(heap))
		refuse(index, "It belongs to a system catalog.");
	check_index(heap, index, primary);
	refuse_identity(heapid, indexid, primary);
	index_close(index, NoLock);
	table_close(heap, NoLock);

	if (primary)
		set_not_null(heapid, indexid);
	if (name != NULL && strcmp(name, get_rel_name(indexid)) != 0)
	{
		RenameRelationInternal(indexid, name, false, true);
		CommandCounterIncrement();
	}
	heap = table_open(heapid, NoLock);
	index = index_open(indexid, NoLock);
	info = BuildIndexInfo(index);
	if (primary)
	{
		index_check_primary_key(heap, info, true, NULL);
		flags |= INDEX_CONSTR_CREATE_MARK_AS_PRIMARY;
	}
	if (is_deferrable || initially_deferred)
		flags |= INDEX_CONSTR_CREATE_DEFERRABLE;
	if (initially_deferred)
		flags |= INDEX_CONSTR_CREATE_INIT_DEFERRED;
	index_constraint_create(heap, indexid, InvalidOid, info, RelationGetRelationName(index), type,
							flags | INDEX_CONSTR_CREATE_UPDATE_INDEX | INDEX_CONSTR_CREATE_REMOVE_OLD_DEPS, false, false);
	CacheInvalidateRelcache(heap);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	CommandCounterIncrement();
	alex_remember_method(indexid);
}

/* alex_primary_key(index regclass, name name): returns nothing. A NULL name is the index's own. */
Datum
alex_primary_key(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	alex_add_constraint(PG_GETARG_OID(0), PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1)), CONSTRAINT_PRIMARY, false, false);
	PG_RETURN_VOID();
}

/* alex_unique(index regclass, name name, deferrable bool, initially_deferred bool): returns nothing. */
Datum
alex_unique(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	alex_add_constraint(PG_GETARG_OID(0), PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1)), CONSTRAINT_UNIQUE,
						!PG_ARGISNULL(2) && PG_GETARG_BOOL(2), !PG_ARGISNULL(3) && PG_GETARG_BOOL(3));
	PG_RETURN_VOID();
}
