/*
 * alex_foreign_key.c - FOREIGN KEY constraints that refer to an alex key, before PostgreSQL 18.
 *
 * Core wants the operator classes of the key's index to be btree's, and takes nothing from them but the equality
 * operators, which are the same ones. So ALTER TABLE, which CREATE TABLE ends in as well, finds btree's classes in pg_index
 * while it runs, and alex's are put back behind it. Nobody else sees that: it is one transaction, and the table is
 * locked as adding a foreign key locks it.
 *
 * This needs the library in the session, as alex_upsert.c does.
 */
#include "postgres.h"

#include "alex_foreign_key.h"

#ifdef COMPAT_FOREIGN_KEY_KNOWS_BTREE

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "alex.h"

static ProcessUtility_hook_type next_process_utility = NULL;

/* An index that has btree's operator classes for the moment. */
typedef struct Disguise
{
	Oid			index;
	oidvector  *classes;		/* its own */
} Disguise;

/* ---- operator classes ---- */

/* Returns those that were there before. */
static oidvector *
set_classes(Oid indexid, oidvector *classes)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(indexid));
	Datum		values[Natts_pg_index] = {0};
	bool		nulls[Natts_pg_index] = {0};
	bool		replace[Natts_pg_index] = {0};
	bool		isnull;
	oidvector  *before;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	before = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indclass, &isnull));
	before = buildoidvector(before->values, before->dim1);
	values[Anum_pg_index_indclass - 1] = PointerGetDatum(classes);
	replace[Anum_pg_index_indclass - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replace);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
	return before;
}

static bool
is_key(Relation index)
{
	return index->rd_rel->relkind == RELKIND_INDEX && index->rd_indam->ambuild == alexbuild && index->rd_index->indisunique &&
		index->rd_index->indimmediate && index->rd_index->indisvalid;
}

/* Adds an index to the disguised ones if a foreign key could refer to it. */
static List *
disguise_index(Oid indexid, List *disguises)
{
	Relation	index = index_open(indexid, AccessShareLock);
	int			n = index->rd_index->indnkeyatts;
	Oid			classes[INDEX_MAX_KEYS];
	bool		possible = is_key(index);
	Disguise   *disguise;

	for (int i = 0; i < n && possible; i++)
	{
		classes[i] = GetDefaultOpClass(index->rd_opcintype[i], BTREE_AM_OID);
		possible = OidIsValid(classes[i]);
	}
	index_close(index, NoLock);
	if (!possible)
		return disguises;
	disguise = palloc(sizeof(Disguise));
	disguise->index = indexid;
	disguise->classes = set_classes(indexid, buildoidvector(classes, n));
	return lappend(disguises, disguise);
}

/* Has a table any index that needs a disguise? */
static bool
has_alex_key(Oid table)
{
	Relation	rel = try_table_open(table, AccessShareLock);
	List	   *indexes = rel != NULL ? RelationGetIndexList(rel) : NIL;
	bool		found = false;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		found = found || is_key(index);
		index_close(index, AccessShareLock);
	}
	if (rel != NULL)
		table_close(rel, AccessShareLock);
	return found;
}

static List *
disguise_table(Oid table, List *disguises)
{
	/* the lock that adding a foreign key takes of both tables */
	Relation	rel = try_table_open(table, ShareRowExclusiveLock);
	List	   *indexes;
	ListCell   *cell;

	if (rel == NULL)
		return disguises;
	indexes = RelationGetIndexList(rel);
	table_close(rel, NoLock);
	foreach(cell, indexes)
		disguises = disguise_index(lfirst_oid(cell), disguises);
	return disguises;
}

/* ---- which tables a statement makes foreign keys to ---- */

/* May the user make foreign keys to a table, or to some of its columns? Who may not must not get a lock on it either. */
static bool
may_refer_to(Oid table)
{
	return !IsCatalogRelationOid(table) &&
		(pg_class_aclcheck(table, GetUserId(), ACL_REFERENCES) == ACLCHECK_OK ||
		 pg_attribute_aclcheck_all(table, GetUserId(), ACL_REFERENCES, ACLMASK_ANY) == ACLCHECK_OK);
}

static List *
referenced_by_constraint(Constraint *constraint, List *tables)
{
	Oid			table;

	if (constraint->contype != CONSTR_FOREIGN || constraint->pktable == NULL)
		return tables;
	/* what does not exist, or may not be referred to, is core's to report */
	table = RangeVarGetRelid(constraint->pktable, NoLock, true);
	return OidIsValid(table) && may_refer_to(table) ? list_append_unique_oid(tables, table) : tables;
}

/* Is a column among those of a constraint's array? */
static bool
has_column(Relation catalog, HeapTuple tuple, AttrNumber array, AttrNumber column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, array, RelationGetDescr(catalog), &isnull);
	ArrayType  *columns;

	if (isnull)
		return false;
	columns = DatumGetArrayTypeP(value);
	for (int i = 0; i < ArrayGetNItems(ARR_NDIM(columns), ARR_DIMS(columns)); i++)
	{
		if (((int16 *) ARR_DATA_PTR(columns))[i] == column)
			return true;
	}
	return false;
}

/* A column that changes takes the foreign keys that it is in along, in both directions, and the same in the tables that inherit it. */
static List *
referenced_by_column(Oid relid, const char *name, bool recurse, List *tables)
{
	List	   *changed = recurse ? find_all_inheritors(relid, NoLock, NULL) : list_make1_oid(relid);
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype != CONSTRAINT_FOREIGN)
			continue;
		if ((list_member_oid(changed, form->conrelid) &&
			 has_column(catalog, tuple, Anum_pg_constraint_conkey, get_attnum(form->conrelid, name))) ||
			(list_member_oid(changed, form->confrelid) &&
			 has_column(catalog, tuple, Anum_pg_constraint_confkey, get_attnum(form->confrelid, name))))
			tables = list_append_unique_oid(tables, form->confrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}

static List *
referenced_by_statement(AlterTableStmt *statement, Oid relid)
{
	List	   *tables = NIL;
	ListCell   *cell;

	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);
		ListCell   *constraint;

		if (command->subtype == AT_AddConstraint)
			tables = referenced_by_constraint(castNode(Constraint, command->def), tables);
		else if (command->subtype == AT_AddColumn)
		{
			foreach(constraint, castNode(ColumnDef, command->def)->constraints)
				tables = referenced_by_constraint(lfirst_node(Constraint, constraint), tables);
		}
		else if (compat_rebuilds_constraints(command->subtype))
			tables = referenced_by_column(relid, command->name, statement->relation->inh, tables);
	}
	return tables;
}

/*
 * Disguises what a statement needs. Core locks the statement's table first, and then those that it refers to; so do we, or two
 * statements could wait for each other.
 */
static List *
disguise_for_statement(AlterTableStmt *statement)
{
	Oid			relid = RangeVarGetRelid(statement->relation, NoLock, true);
	List	   *tables = NIL;
	List	   *disguises = NIL;
	ListCell   *cell;

	/* core will skip the statement, or refuse it */
	if (!OidIsValid(relid) || !compat_owns_relation(relid, GetUserId()))
		return NIL;
	/* nothing is locked where there is nothing to do */
	foreach(cell, referenced_by_statement(statement, relid))
	{
		if (has_alex_key(lfirst_oid(cell)))
			tables = lappend_oid(tables, lfirst_oid(cell));
	}
	/* a table that has taken the name meanwhile is as unprepared as one that gets a foreign key before the library is there */
	if (tables == NIL || RangeVarGetRelidExtended(statement->relation, AlterTableGetLockLevel(statement->cmds), RVR_MISSING_OK,
												  RangeVarCallbackOwnsRelation, NULL) != relid)
		return NIL;
	foreach(cell, tables)
		disguises = disguise_table(lfirst_oid(cell), disguises);
	return disguises;
}

/* ---- the statement ---- */

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only, ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	List	   *disguises = NIL;
	ListCell   *cell;

	if (IsA(planned->utilityStmt, AlterTableStmt) && IsTransactionState())
		disguises = disguise_for_statement((AlterTableStmt *) planned->utilityStmt);
	if (next_process_utility != NULL)
		next_process_utility(planned, query, read_only, context, parameters, environment, dest, completion);
	else
		standard_ProcessUtility(planned, query, read_only, context, parameters, environment, dest, completion);

	/* an error needs nothing: it undoes the disguise, too */
	foreach(cell, disguises)
	{
		Disguise   *disguise = lfirst(cell);

		/* the statement may have built it anew, or dropped it */
		if (SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(disguise->index)))
			set_classes(disguise->index, disguise->classes);
	}
}

void
alex_watch_foreign_keys(void)
{
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

#else

void
alex_watch_foreign_keys(void)
{
}

#endif
