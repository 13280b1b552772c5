/*
 * btree_as_alex.c - a library for tests: CREATE INDEX makes an alex index wherever it says nothing else and alex can be.
 *
 * regress/core-suites loads it into the sessions of PostgreSQL's own suites; alex.default_for_constraints does the same for
 * constraints.
 */
#include "postgres.h"

#include "access/amapi.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_utilcmd.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static ProcessUtility_hook_type next_process_utility = NULL;

static bool
can_have(IndexElem *element, Oid relid, Oid method)
{
	Oid			type;

	if (element->opclassopts != NIL)
		return false;
	if (element->opclass != NIL)
		return OidIsValid(get_opclass_oid(method, element->opclass, true));
	type = element->name != NULL ? get_atttype(relid, get_attnum(relid, element->name)) : exprType(element->expr);
	return OidIsValid(type) && OidIsValid(GetDefaultOpClass(type, method));
}

static bool
can_be_alex(IndexStmt *statement, const char *query)
{
	Oid			method = get_index_am_oid("alex", true);
	Oid			relid = RangeVarGetRelid(statement->relation, statement->concurrent ? ShareUpdateExclusiveLock : ShareLock, true);
	IndexStmt  *copy;
	IndexAmRoutine *routine;
	bool		includes;
	ListCell   *cell;

	if (!OidIsValid(method) || !OidIsValid(relid) || strcmp(statement->accessMethod, "btree") != 0)
		return false;
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE && statement->unique && PG_VERSION_NUM < 180000)
		return false;
	routine = GetIndexAmRoutineByAmId(method, false);
	includes = routine->amcaninclude;
	if (statement->indexIncludingParams != NIL && !includes)
		return false;
	foreach(cell, statement->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "fillfactor") != 0)
			return false;
	}
	/* what is wrong with the statement is core's to say */
	foreach(cell, statement->indexParams)
	{
		if (lfirst_node(IndexElem, cell)->name != NULL && get_attnum(relid, lfirst_node(IndexElem, cell)->name) == InvalidAttrNumber)
			return false;
	}
	copy = transformIndexStmt(relid, copyObject(statement), query);
	foreach(cell, copy->indexParams)
	{
		if (!can_have(lfirst_node(IndexElem, cell), relid, method))
			return false;
	}
	return true;
}

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only, ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (IsA(planned->utilityStmt, IndexStmt) && can_be_alex((IndexStmt *) planned->utilityStmt, query))
	{
		planned = copyObject(planned);
		((IndexStmt *) planned->utilityStmt)->accessMethod = pstrdup("alex");
	}
	if (next_process_utility != NULL)
		next_process_utility(planned, query, read_only, context, parameters, environment, dest, completion);
	else
		standard_ProcessUtility(planned, query, read_only, context, parameters, environment, dest, completion);
}

void
_PG_init(void)
{
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
