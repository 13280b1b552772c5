/*
 * alex_using_index.c - ALTER TABLE ... ADD PRIMARY KEY | UNIQUE USING INDEX of an alex index.
 *
 * Core takes btrees only, and says so before it does anything. So the constraint is taken out of the statement, which core then runs
 * for its locks, rights and event triggers, and is added behind it, as alex_primary_key() and alex_unique() do it.
 *
 * In a session that has not loaded the library yet core's error stands, and loads it.
 */
#include "postgres.h"

#include "alex_constraint.h"

#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/tablecmds.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "alex_convert.h"

static ProcessUtility_hook_type next_process_utility = NULL;

/* The alex index that a command makes a constraint of, or InvalidOid. Everything else, and all errors, are core's. */
static Oid
find_index(AlterTableStmt *statement, AlterTableCmd *command)
{
	Constraint *constraint;
	Oid			tableid;
	Oid			indexid;

	if (command->subtype != AT_AddConstraint)
		return InvalidOid;
	constraint = castNode(Constraint, command->def);
	if ((constraint->contype != CONSTR_PRIMARY && constraint->contype != CONSTR_UNIQUE) || constraint->indexname == NULL)
		return InvalidOid;
	tableid = RangeVarGetRelid(statement->relation, NoLock, true);
	if (!OidIsValid(tableid) || get_rel_relkind(tableid) != RELKIND_RELATION)
		return InvalidOid;
	indexid = get_relname_relid(constraint->indexname, get_rel_namespace(tableid));
	return OidIsValid(indexid) && get_rel_relkind(indexid) == RELKIND_INDEX && IndexGetRelation(indexid, true) == tableid &&
		alex_is_index(indexid) ? indexid : InvalidOid;
}

/* The constraint of an alex index that the statement adds. Returns NULL if there is none. */
static Constraint *
find_constraint(AlterTableStmt *statement, Oid *indexid)
{
	ListCell   *cell;

	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		*indexid = find_index(statement, command);
		if (!OidIsValid(*indexid))
			continue;
		if (list_length(statement->cmds) > 1)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("an alex index cannot become a constraint in an ALTER TABLE that does something else, too"),
					 errhint("Add the constraint with an ALTER TABLE of its own.")));
		return castNode(Constraint, command->def);
	}
	return NULL;
}

static void
add_constraint(Constraint *constraint, Oid indexid)
{
	const char *name = constraint->conname != NULL ? constraint->conname : constraint->indexname;

	if (strcmp(name, constraint->indexname) != 0)
		ereport(NOTICE,
				(errmsg("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"%s\" to \"%s\"", constraint->indexname, name)));
	alex_add_constraint(indexid, name, constraint->contype == CONSTR_PRIMARY ? CONSTRAINT_PRIMARY : CONSTRAINT_UNIQUE,
						constraint->deferrable, constraint->initdeferred);
}

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only, ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	Constraint *constraint = NULL;
	Oid			indexid = InvalidOid;

	if (IsA(planned->utilityStmt, AlterTableStmt) && IsTransactionState())
		constraint = find_constraint((AlterTableStmt *) planned->utilityStmt, &indexid);
	if (constraint != NULL)
	{
		AlterTableStmt *statement;

		/* the tree may be a cached one */
		planned = copyObject(planned);
		statement = (AlterTableStmt *) planned->utilityStmt;
		/* an ALTER TABLE without commands would lock less; until this lock the names could come to mean something else */
		AlterTableLookupRelation(statement, AccessExclusiveLock);
		constraint = find_constraint(statement, &indexid);
		if (constraint != NULL)
			statement->cmds = NIL;
	}
	if (next_process_utility != NULL)
		next_process_utility(planned, query, read_only, context, parameters, environment, dest, completion);
	else
		standard_ProcessUtility(planned, query, read_only, context, parameters, environment, dest, completion);
	if (constraint != NULL)
		add_constraint(constraint, indexid);
}

void
alex_watch_using_index(void)
{
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
