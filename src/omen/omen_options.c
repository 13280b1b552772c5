/*
 * omen_options.c - settings: for all omen tables, and of one.
 *
 * A table access method has no storage parameters of its own. The fill factor is heap's; what only omen has is a row in
 * the extension's table omen_table_options, which pg_dump saves. Who may change it is checked here, so that table is
 * closed to everybody.
 */
#include "omen.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "omen_inspect.h"
#include "omen_options.h"

PG_FUNCTION_INFO_V1(omen_options);

#define OPTIONS_TABLE "omen_table_options"

/* its columns */
#define OPTION_TABLE 1
#define OPTION_EAGER_OFFLOAD 2
#define OPTION_COLUMNS 2

static bool eager_offload = false;

void
omen_define_settings(void)
{
	DefineCustomBoolVariable("omen.eager_offload",
							 "Moves older versions to the store whenever a page is pruned, not only when room is needed.",
							 "Applies to omen tables for which omen_options() has not set it.",
							 &eager_offload, false, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("omen");
}

/* ---- the table of settings ---- */

/* The extension can be moved to another schema, but not be torn apart: the table is where the handler is. */
static Oid
options_table(Relation rel)
{
	Oid			schema = get_func_namespace(rel->rd_amhandler);

	return OidIsValid(schema) ? get_relname_relid(OPTIONS_TABLE, schema) : InvalidOid;
}

/* The row of a table; NULL: it has none. To be closed with systable_endscan(). */
static HeapTuple
find_row(Relation options, Oid relid, SysScanDesc *scan)
{
	ScanKeyData key;

	ScanKeyInit(&key, OPTION_TABLE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	/* there are few rows, so no need to look for the index */
	*scan = systable_beginscan(options, InvalidOid, false, NULL, 1, &key);
	return systable_getnext(*scan);
}

/* What is set for a table; false: nothing. */
static bool
read_eager(Relation rel, bool *eager)
{
	Oid			options_oid = options_table(rel);
	Relation	options;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull = true;

	/* the extension is being created or dropped */
	if (!OidIsValid(options_oid))
		return false;
	options = try_table_open(options_oid, AccessShareLock);
	if (options == NULL)
		return false;
	tuple = find_row(options, RelationGetRelid(rel), &scan);
	if (tuple != NULL)
		*eager = DatumGetBool(heap_getattr(tuple, OPTION_EAGER_OFFLOAD, RelationGetDescr(options), &isnull));
	systable_endscan(scan);
	table_close(options, AccessShareLock);
	return !isnull;
}

/* Rows of tables that are gone, lest a table that comes to have the same OID inherits them. */
static void
delete_orphans(Relation options)
{
	SysScanDesc scan = systable_beginscan(options, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		Datum		table = heap_getattr(tuple, OPTION_TABLE, RelationGetDescr(options), &isnull);

		if (!SearchSysCacheExists1(RELOID, table))
			CatalogTupleDelete(options, &tuple->t_self);
	}
	systable_endscan(scan);
}

static void
write_eager(Relation rel, bool eager)
{
	Oid			options_oid = options_table(rel);
	Relation	options;
	SysScanDesc scan;
	HeapTuple	old;
	HeapTuple	new;
	Datum		values[OPTION_COLUMNS] = {ObjectIdGetDatum(RelationGetRelid(rel)), BoolGetDatum(eager)};
	bool		nulls[OPTION_COLUMNS] = {false};

	if (!OidIsValid(options_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the extension's table \"%s\" does not exist", OPTIONS_TABLE),
				 errhint("ALTER EXTENSION omen_alex UPDATE, or create the extension anew.")));
	options = table_open(options_oid, RowExclusiveLock);
	if (RelationGetNumberOfAttributes(options) != OPTION_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the extension's table \"%s\" is not the one this library was made for", OPTIONS_TABLE),
				 errhint("ALTER EXTENSION omen_alex UPDATE, then reconnect.")));
	delete_orphans(options);
	CommandCounterIncrement();
	old = find_row(options, RelationGetRelid(rel), &scan);
	new = heap_form_tuple(RelationGetDescr(options), values, nulls);
	if (old != NULL)
		CatalogTupleUpdate(options, &old->t_self, new);
	else
		CatalogTupleInsert(options, new);
	systable_endscan(scan);
	heap_freetuple(new);
	table_close(options, NoLock);
}

/* ---- what the rest asks ---- */

/* What was read for a table, until its relcache entry is invalidated. */
typedef struct CachedOptions
{
	Oid			relid;
	bool		set;
	bool		eager;
} CachedOptions;

static HTAB *cache = NULL;

static void
forget(Datum argument, Oid relid)
{
	if (OidIsValid(relid))
		hash_search(cache, &relid, HASH_REMOVE, NULL);
	else
	{
		HASH_SEQ_STATUS status;
		CachedOptions *entry;

		hash_seq_init(&status, cache);
		while ((entry = hash_seq_search(&status)) != NULL)
			hash_search(cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

bool
omen_eager(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	CachedOptions *entry;

	if (cache == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(CachedOptions);
		control.hcxt = CacheMemoryContext;
		cache = hash_create("omen table options", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
	}
	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (entry == NULL)
	{
		bool		eager = false;
		bool		set = read_eager(rel, &eager);

		/* only now: reading can invalidate */
		entry = hash_search(cache, &relid, HASH_ENTER, NULL);
		entry->set = set;
		entry->eager = eager;
	}
	return entry->set ? entry->eager : eager_offload;
}

/* ---- omen_options() ---- */

static void
require_owner(Oid relid)
{
#if PG_VERSION_NUM >= 160000
	bool		owner = object_ownercheck(RelationRelationId, relid, GetUserId());
#else
	bool		owner = pg_class_ownercheck(relid, GetUserId());
#endif

	if (!owner)
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* As ALTER TABLE ... SET (fillfactor = ...) */
static void
set_fillfactor(Oid relid, int fillfactor)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);

	command->subtype = AT_SetRelOptions;
	command->def = (Node *) list_make1(makeDefElem("fillfactor", (Node *) makeInteger(fillfactor), -1));
	command->behavior = DROP_RESTRICT;
	AlterTableInternal(relid, list_make1(command), false);
}

Datum
omen_options(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Oid			relid;
	Relation	rel;
	Datum		values[2];
	bool		nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != lengthof(values))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the SQL definition of this function is not the one this library was made for"),
				 errhint("ALTER EXTENSION omen_alex UPDATE, then reconnect.")));
	desc = BlessTupleDesc(desc);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	relid = PG_GETARG_OID(0);

	/* before the lock: nobody is to hold up other people's tables */
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2))
	{
		PreventCommandIfReadOnly("omen_options()");
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			require_owner(relid);
		rel = relation_open(relid, ShareUpdateExclusiveLock);
		require_owner(relid);
	}
	else
		rel = relation_open(relid, AccessShareLock);
	omen_require_table(rel);

	if (!PG_ARGISNULL(1))
		set_fillfactor(relid, PG_GETARG_INT32(1));
	if (!PG_ARGISNULL(2))
	{
		write_eager(rel, PG_GETARG_BOOL(2));
		CacheInvalidateRelcache(rel);
	}
	CommandCounterIncrement();

	values[0] = Int32GetDatum(RelationGetFillFactor(rel, HEAP_DEFAULT_FILLFACTOR));
	values[1] = BoolGetDatum(omen_eager(rel));
	relation_close(rel, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
