/*
 * alex_convert_all.c - alex_convert_all() and alex_restore(): conversions of many indexes.
 *
 * Each is a statement of its own with many transactions, as alex_convert() is; what is converted stays so if a later one fails.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_opclass_d.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "alex_adopt.h"
#include "alex_convert.h"

PG_FUNCTION_INFO_V1(alex_convert_all);
PG_FUNCTION_INFO_V1(alex_restore);

/* ---- which indexes ---- */

static bool
is_candidate(Oid heapid, Oid indexid, Oid schema, Oid table, Oid method)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(indexid));
	Form_pg_class form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	result = form->relkind == RELKIND_INDEX && form->relam == method && indexid >= FirstNormalObjectId &&
		form->relnamespace != PG_TOAST_NAMESPACE && (!OidIsValid(schema) || form->relnamespace == schema) &&
		(!OidIsValid(table) || heapid == table);
	ReleaseSysCache(tuple);
	return result;
}

/* Those of one access method, in the order of their OIDs. */
static List *
find_indexes(Oid schema, Oid table, Oid method)
{
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List	   *found = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		if (is_candidate(form->indrelid, form->indexrelid, schema, table, method))
			found = lappend_oid(found, form->indexrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	list_sort(found, list_oid_cmp);
	return found;
}

/* ---- alex_convert_all ---- */

/* Says what becomes of an index; returns true if it can be converted. */
static bool
report(Oid indexid, Oid method, bool dry_run)
{
	char	   *problem;
	char	   *name;

	PushActiveSnapshot(GetTransactionSnapshot());
	problem = alex_conversion_problem(indexid, method);
	name = get_rel_name(indexid);
	if (name != NULL)
		name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(indexid)), name);
	PopActiveSnapshot();
	if (name == NULL)
		return false;
	if (problem != NULL)
		ereport(INFO,
				(errmsg("%s stays as it is", name),
				 errdetail("%s", problem)));
	else if (dry_run)
		ereport(INFO,
				(errmsg("%s would be converted", name)));
	else
		ereport(INFO,
				(errmsg("%s is converted", name)));
	return problem == NULL;
}

/* alex_convert_all(schema regnamespace, "table" regclass, method name, dry_run bool): a procedure; NULL is any. */
Datum
alex_convert_all(PG_FUNCTION_ARGS)
{
	MemoryContext entry = CurrentMemoryContext;
	bool		dry_run = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	Oid			method;
	List	   *indexes;
	ListCell   *cell;

	alex_require_statement(fcinfo, "alex_convert_all");
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("method may not be NULL")));
	PushActiveSnapshot(GetTransactionSnapshot());
	method = alex_conversion_method(NameStr(*PG_GETARG_NAME(2)));
	MemoryContextSwitchTo(PortalContext);
	indexes = find_indexes(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0), PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1),
						   alex_conversion_method(method == BTREE_AM_OID ? "alex" : "btree"));
	MemoryContextSwitchTo(entry);
	PopActiveSnapshot();
	foreach(cell, indexes)
	{
		CHECK_FOR_INTERRUPTS();
		if (report(lfirst_oid(cell), method, dry_run) && !dry_run)
			alex_convert_index(lfirst_oid(cell), method);
	}
	PG_RETURN_VOID();
}

/* ---- alex_restore ---- */

static bool
is_btree(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_INDEX &&
		((Form_pg_class) GETSTRUCT(tuple))->relam == BTREE_AM_OID;
	ReleaseSysCache(tuple);
	return result;
}

/* Primary keys and unique constraints that were alex where they were dumped, and have a btree now. */
static List *
find_remembered(void)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List	   *found = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if ((form->contype == CONSTRAINT_PRIMARY || form->contype == CONSTRAINT_UNIQUE) &&
			is_btree(form->conindid) &&
			(alex_method_remembered(form->oid) ||
			 (compat_owns_relation(form->conindid, GetUserId()) && alex_is_disguised(form->conindid))))
			found = lappend_oid(found, form->conindid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	list_sort(found, list_oid_cmp);
	return found;
}

/*
 * alex_restore(): a procedure. Primary keys and unique constraints that were alex become that again, after a dump was restored
 * or a cluster upgraded.
 */
Datum
alex_restore(PG_FUNCTION_ARGS)
{
	MemoryContext entry = CurrentMemoryContext;
	Oid			method;
	List	   *indexes;
	List	   *convert = NIL;
	ListCell   *cell;

	alex_require_statement(fcinfo, "alex_restore");
	PreventCommandIfReadOnly("alex_restore");
	PushActiveSnapshot(GetTransactionSnapshot());
	method = alex_conversion_method("alex");
	MemoryContextSwitchTo(PortalContext);
	indexes = find_remembered();
	foreach(cell, indexes)
	{
		Oid			indexid = lfirst_oid(cell);

		if (compat_owns_relation(indexid, GetUserId()) && alex_adopt(indexid, method))
			ereport(INFO, (errmsg("%s is alex again", get_rel_name(indexid))));
		else
			convert = lappend_oid(convert, indexid);
	}
	MemoryContextSwitchTo(entry);
	PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
	MemoryContextSwitchTo(entry);
	foreach(cell, convert)
	{
		if (report(lfirst_oid(cell), method, false))
			alex_convert_index(lfirst_oid(cell), method);
	}
	PG_RETURN_VOID();
}
