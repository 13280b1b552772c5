/*
 * alex_convert.c - alex_convert(): puts an index of the other access method, btree or alex, in an index's place.
 *
 * As REINDEX CONCURRENTLY does it, in transactions of their own:
 *   1. CREATE INDEX CONCURRENTLY makes the new index, NAME_ccnew
 *   2. the new index is checked against the table, if it is alex
 *   3. the two change names, constraints, foreign keys and all else that knows them; the old one is NAME_ccold, and invalid
 *   4. when nobody can use the old one for queries any more it stops being maintained, and when nobody does it is dropped
 * A session lock on the table, ShareUpdateExclusiveLock, keeps other DDL and VACUUM away all the time.
 *
 * Whatever ends it, the name is that of a valid index, the old one until step 3 and the new one from then on. What can
 * be left over is an index NAME_ccnew or NAME_ccold that is good for nothing.
 *
 * Both indexes enforce uniqueness in step 3, so it needs no stronger lock. Exclusion and deferrable constraints are enforced by
 * one of them only: there writers are waited for, and wait.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "commands/progress.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/backend_progress.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "alex_convert.h"
#include "alex_inspect.h"

PG_FUNCTION_INFO_V1(alex_convert);

/* What is known of a conversion; in memory that outlives its transactions. */
typedef struct Conversion
{
	Oid			heapid;
	Oid			oldid;
	Oid			newid;
	Oid			method;
	Oid			namespace;
	char	   *name;
	char	   *new_name;
	char	   *definition;
	LockRelId	lock;
	LOCKTAG		tag;
	bool		immediate;		/* the constraint, if any, is checked row by row */
	bool		unique;
	bool		guarded;		/* its constraint is enforced by one index only */
} Conversion;

/* ---- errors ---- */

static void
explain(void *arg)
{
	Conversion *conversion = arg;

	errcontext("converting index \"%s\"; if an invalid index \"%s_ccnew\" or \"%s_ccold\" is left over, drop it",
			   conversion->name, conversion->name, conversion->name);
}

/* ---- transactions ---- */

static void
next_transaction(void)
{
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
	CHECK_FOR_INTERRUPTS();
}

void
alex_require_statement(FunctionCallInfo fcinfo, const char *name)
{
	CallContext *call = (CallContext *) fcinfo->context;

	if (call == NULL || !IsA(call, CallContext) || call->atomic || SPI_inside_nonatomic_context())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s() cannot run inside a transaction block, a function or another procedure", name),
				 errhint("CALL it as a statement of its own.")));
	PreventInTransactionBlock(true, name);
	ForgetPortalSnapshots();
}

/* ---- 1. the new index ---- */

/* Reads what there is to know, and locks the table for the session. */
static void
begin_conversion(Conversion *conversion, Oid indexid, Oid method, MemoryContext context)
{
	Relation	heap;
	Relation	index;
	MemoryContext old;

	heap = table_open(IndexGetRelation(indexid, false), ShareUpdateExclusiveLock);
	index = index_open(indexid, AccessShareLock);
	old = MemoryContextSwitchTo(context);
	conversion->heapid = RelationGetRelid(heap);
	conversion->oldid = indexid;
	conversion->method = method;
	conversion->namespace = RelationGetNamespace(index);
	conversion->name = pstrdup(RelationGetRelationName(index));
	conversion->lock = heap->rd_lockInfo.lockRelId;
	SET_LOCKTAG_RELATION(conversion->tag, conversion->lock.dbId, conversion->lock.relId);
	conversion->immediate = index->rd_index->indimmediate;
	conversion->unique = index->rd_index->indisunique;
	conversion->guarded = index->rd_index->indisexclusion || !conversion->immediate;
	conversion->new_name = ChooseRelationName(conversion->name, NULL, "ccnew", conversion->namespace, false);
	conversion->definition = pg_get_indexdef_string(indexid);
	MemoryContextSwitchTo(old);
	LockRelationIdForSession(&conversion->lock, ShareUpdateExclusiveLock);
	index_close(index, NoLock);
	table_close(heap, NoLock);
}

/* Indexes that earlier attempts have left. */
static void
report_leftovers(Conversion *conversion)
{
	Relation	heap = table_open(conversion->heapid, NoLock);
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(heap))
	{
		char	   *name = get_rel_name(lfirst_oid(cell));
		Size		length = strlen(conversion->name);

		if (strncmp(name, conversion->name, length) == 0 &&
			(strncmp(name + length, "_ccnew", 6) == 0 ||
			 (!get_index_isvalid(lfirst_oid(cell)) && strncmp(name + length, "_ccold", 6) == 0)))
			ereport(NOTICE,
					(errmsg("index \"%s\" is left from an attempt that did not end", name),
					 errhint("Drop it.")));
	}
	table_close(heap, NoLock);
}

/* The statement that makes the new index: the old one's definition, with what only its access method knows left out. */
static IndexStmt *
make_statement(Conversion *conversion)
{
	List	   *parsed = raw_parser(conversion->definition, RAW_PARSE_DEFAULT);
	IndexStmt  *statement = castNode(IndexStmt, linitial_node(RawStmt, parsed)->stmt);
	List	   *options = NIL;
	ListCell   *cell;

	statement->idxname = conversion->new_name;
	statement->accessMethod = get_am_name(conversion->method);
	statement->concurrent = true;
	/* the definition leaves out the database's own tablespace */
	statement->reset_default_tblspc = true;
	/* rows that collide for a while are the old index's business until it is replaced */
	statement->unique = conversion->unique && conversion->immediate;
	foreach(cell, statement->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "fillfactor") == 0)
			options = lappend(options, lfirst(cell));
	}
	statement->options = options;
	foreach(cell, statement->indexParams)
	{
		lfirst_node(IndexElem, cell)->opclass = NIL;
		lfirst_node(IndexElem, cell)->opclassopts = NIL;
	}
	return statement;
}

static void
create_index(Conversion *conversion)
{
	PlannedStmt *planned = makeNode(PlannedStmt);

	planned->commandType = CMD_UTILITY;
	planned->utilityStmt = (Node *) make_statement(conversion);
	planned->stmt_location = -1;
	PushActiveSnapshot(GetTransactionSnapshot());
	ProcessUtility(planned, conversion->definition, false, PROCESS_UTILITY_TOPLEVEL, NULL, NULL, None_Receiver, NULL);
	conversion->newid = get_relname_relid(conversion->new_name, conversion->namespace);
	next_transaction();
}

/* ---- 2. the check ---- */

static void
begin_progress(Conversion *conversion)
{
	const int	parameters[] = {PROGRESS_CREATEIDX_COMMAND, PROGRESS_CREATEIDX_INDEX_OID,
		PROGRESS_CREATEIDX_ACCESS_METHOD_OID, PROGRESS_CREATEIDX_PHASE};
	const int64 values[] = {PROGRESS_CREATEIDX_COMMAND_REINDEX_CONCURRENTLY, conversion->newid, conversion->method,
		PROGRESS_CREATEIDX_PHASE_VALIDATE_TABLESCAN};

	pgstat_progress_start_command(PROGRESS_COMMAND_CREATE_INDEX, conversion->heapid);
	pgstat_progress_update_multi_param(4, parameters, values);
}

static void
check_new_index(Conversion *conversion)
{
	if (conversion->method == BTREE_AM_OID)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	alex_check_online(conversion->newid);
	next_transaction();
}

/* ---- 3. the exchange ---- */

static void
set_unique(Oid indexid, bool unique)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(indexid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	((Form_pg_index) GETSTRUCT(tuple))->indisunique = unique;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/* ALTER INDEX ... SET STATISTICS: of expressions. Only up to 16 the exchange brings them along. */
static void
copy_statistics_targets(Conversion *conversion)
{
	char	   *query = psprintf("SELECT pg_catalog.format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS %%s', %u::pg_catalog.regclass, "
								 "attnum, attstattarget) FROM pg_catalog.pg_attribute "
								 "WHERE attrelid OPERATOR(pg_catalog.=) %u AND attstattarget OPERATOR(pg_catalog.>=) 0 "
								 "AND attnum OPERATOR(pg_catalog.>) 0", conversion->newid, conversion->oldid);
	char	  **commands;
	int			n;

	SPI_connect();
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "the statistics targets of index \"%s\" could not be read", conversion->name);
	n = SPI_processed;
	commands = palloc((n + 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		commands[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	for (int i = 0; i < n; i++)
	{
		if (SPI_execute(commands[i], false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "\"%s\" failed", commands[i]);
	}
	SPI_finish();
}

static void
exchange(Conversion *conversion)
{
	bool		deferrable = conversion->unique && !conversion->immediate;

	if (conversion->guarded)
		LockRelationOid(conversion->heapid, ShareLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	copy_statistics_targets(conversion);

	/*
	 * Of a deferrable constraint's indexes only the one that has the constraint may be unique, as the other one would not wait for the end of
	 * the statement. What the new one holds is unique: the old one is, and nobody writes.
	 */
	if (deferrable)
		set_unique(conversion->newid, true);
	index_concurrently_swap(conversion->newid, conversion->oldid,
							ChooseRelationName(conversion->name, NULL, "ccold", conversion->namespace, false));
	CacheInvalidateRelcacheByRelid(conversion->heapid);
	CommandCounterIncrement();
	if (deferrable)
		set_unique(conversion->oldid, false);
	alex_remember_method(conversion->newid);
	next_transaction();
}

/* ---- 4. the end of the old index ---- */

static void
drop_old_index(Conversion *conversion)
{
	ObjectAddresses *objects;
	ObjectAddress old;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_PHASE, PROGRESS_CREATEIDX_PHASE_WAIT_4);
	WaitForLockers(conversion->tag, AccessExclusiveLock, true);
	PushActiveSnapshot(GetTransactionSnapshot());
	index_concurrently_set_dead(conversion->heapid, conversion->oldid);
	next_transaction();

	pgstat_progress_update_param(PROGRESS_CREATEIDX_PHASE, PROGRESS_CREATEIDX_PHASE_WAIT_5);
	WaitForLockers(conversion->tag, AccessExclusiveLock, true);
	PushActiveSnapshot(GetTransactionSnapshot());
	objects = new_object_addresses();
	ObjectAddressSet(old, RelationRelationId, conversion->oldid);
	add_exact_object_address(&old, objects);
	/* nobody else uses a temporary one */
	performMultipleDeletions(objects, DROP_RESTRICT, PERFORM_DELETION_INTERNAL |
							 (get_rel_persistence(conversion->oldid) == RELPERSISTENCE_TEMP ? 0 : PERFORM_DELETION_CONCURRENT_LOCK));
	next_transaction();
}

/* ---- all of it ---- */

void
alex_convert_index(Oid indexid, Oid method)
{
	MemoryContext entry = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(PortalContext, "alex_convert", ALLOCSET_SMALL_SIZES);
	Conversion *conversion = MemoryContextAllocZero(context, sizeof(Conversion));
	ErrorContextCallback callback;

	begin_conversion(conversion, indexid, method, context);
	callback.callback = explain;
	callback.arg = conversion;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	report_leftovers(conversion);
	/* the statement must outlive the transactions it runs in */
	MemoryContextSwitchTo(context);
	create_index(conversion);
	begin_progress(conversion);
	check_new_index(conversion);
	exchange(conversion);
	drop_old_index(conversion);
	UnlockRelationIdForSession(&conversion->lock, ShareUpdateExclusiveLock);
	pgstat_progress_end_command();

	error_context_stack = callback.previous;
	MemoryContextSwitchTo(entry);
	MemoryContextDelete(context);
}

/* alex_convert(index regclass, method name): a procedure. Of a partitioned index it converts those of the partitions. */
Datum
alex_convert(PG_FUNCTION_ARGS)
{
	MemoryContext entry = CurrentMemoryContext;
	Oid			method;
	List	   *targets;
	ListCell   *cell;

	alex_require_statement(fcinfo, "alex_convert");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("neither index nor method may be NULL")));

	/* a snapshot, as for any look into the catalogs; each conversion starts without one */
	PushActiveSnapshot(GetTransactionSnapshot());
	method = alex_conversion_method(NameStr(*PG_GETARG_NAME(1)));
	MemoryContextSwitchTo(PortalContext);
	targets = alex_conversion_targets(PG_GETARG_OID(0), method);
	foreach(cell, targets)
	{
		char	   *problem = alex_conversion_problem(lfirst_oid(cell), method);

		if (problem != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot convert index \"%s\"", get_rel_name(lfirst_oid(cell))),
					 errdetail("%s", problem)));
	}
	MemoryContextSwitchTo(entry);
	PopActiveSnapshot();
	foreach(cell, targets)
		alex_convert_index(lfirst_oid(cell), method);
	PG_RETURN_VOID();
}
