/*
 * alex_default.c - alex.default_for_constraints: new PRIMARY KEY and UNIQUE constraints get alex indexes.
 *
 * A constraint in a parse tree has a place for its access method, which the grammar fills for EXCLUDE only and core reads for all. So
 * it is filled in before core sees the statement, and the constraint's comment says USING alex behind it, as after alex_convert().
 *
 * Everything that alex cannot have stays a btree without a word: columns of other types, INCLUDE, partitions and partitioned tables,
 * tables of extensions. So does what pg_upgrade makes anew, as files of the old cluster are put under it.
 */
#include "postgres.h"

#include "alex_default.h"

#include "access/nbtree.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "alex.h"
#include "alex_convert.h"
#include "compat.h"

static bool default_for_constraints = false;
static ProcessUtility_hook_type next_process_utility = NULL;

/* ---- what a constraint is about ---- */

/* The columns that a statement speaks of: definitions, and a table if there is one already. */
typedef struct Columns
{
	List	   *definitions;	/* of ColumnDef */
	Oid			table;
} Columns;

static Oid
defined_type(const ColumnDef *definition)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			serials[] = {{"smallserial", INT2OID}, {"serial2", INT2OID}, {"serial", INT4OID}, {"serial4", INT4OID}, {"bigserial", INT8OID}, {"serial8", INT8OID}};
	TypeName   *name = definition->typeName;
	Type		type;
	Oid			result;

	if (name == NULL)
		return InvalidOid;
	for (int i = 0; i < (int) lengthof(serials); i++)
	{
		if (list_length(name->names) == 1 && !name->pct_type && strcmp(strVal(linitial(name->names)), serials[i].name) == 0)
			return name->arrayBounds == NIL ? serials[i].type : InvalidOid;
	}
	/* what does not exist is core's to report */
	type = LookupTypeName(NULL, name, NULL, true);
	if (type == NULL)
		return InvalidOid;
	result = typeTypeId(type);
	ReleaseSysCache(type);
	return result;
}

/* Can the method index values of a type with this collation? */
static bool
is_supported(Oid type, Oid collation, Oid method)
{
	Oid			opclass = OidIsValid(type) ? GetDefaultOpClass(type, method) : InvalidOid;
	Oid			input;

	if (!OidIsValid(opclass))
		return false;
	input = get_opclass_input_type(opclass);
	return alex_collation_problem(input, get_opfamily_proc(get_opclass_family(opclass), input, input, BTORDER_PROC), collation) == NULL;
}

static bool
is_supported_definition(ColumnDef *definition, Oid method)
{
	Oid			type = defined_type(definition);
	Oid			collation = OidIsValid(type) ? get_typcollation(type) : InvalidOid;

	/* what does not exist is core's to report */
	if (definition->collClause != NULL)
		collation = get_collation_oid(definition->collClause->collname, true);
	return is_supported(type, collation, method);
}

/* A column may be inherited, or copied by LIKE: then its type is not known here. */
static bool
is_supported_column(const char *name, Columns *columns, Oid method)
{
	ListCell   *cell;
	AttrNumber	column;
	Oid			type;
	int32		typmod;
	Oid			collation;

	foreach(cell, columns->definitions)
	{
		ColumnDef  *definition = lfirst_node(ColumnDef, cell);

		if (strcmp(definition->colname, name) == 0)
			return is_supported_definition(definition, method);
	}
	column = OidIsValid(columns->table) ? get_attnum(columns->table, name) : InvalidAttrNumber;
	if (column <= 0)
		return false;
	get_atttypetypmodcoll(columns->table, column, &type, &typmod, &collation);
	return is_supported(type, collation, method);
}

static bool
is_candidate(Constraint *constraint)
{
	ListCell   *cell;

	if ((constraint->contype != CONSTR_PRIMARY && constraint->contype != CONSTR_UNIQUE) || constraint->access_method != NULL ||
		constraint->indexname != NULL || constraint->including != NIL || compat_without_overlaps(constraint))
		return false;
	foreach(cell, constraint->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "fillfactor") != 0)
			return false;
	}
	return true;
}

/* A constraint of a table, by the names of its columns. */
static bool
choose_for_table(Constraint *constraint, Columns *columns, Oid method)
{
	ListCell   *cell;

	if (!is_candidate(constraint))
		return false;
	foreach(cell, constraint->keys)
	{
		if (!is_supported_column(strVal(lfirst(cell)), columns, method))
			return false;
	}
	constraint->access_method = get_am_name(method);
	return true;
}

/* The constraints of a column. */
static bool
choose_for_column(ColumnDef *definition, Oid method)
{
	bool		chosen = false;
	ListCell   *cell;

	foreach(cell, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		if (is_candidate(constraint) && is_supported_definition(definition, method))
		{
			constraint->access_method = get_am_name(method);
			chosen = true;
		}
	}
	return chosen;
}

/* ---- statements ---- */

static bool
choose_for_create(CreateStmt *statement, Oid method)
{
	Columns		columns = {NIL, InvalidOid};
	bool		chosen = false;
	ListCell   *cell;

	if (statement->partspec != NULL || statement->partbound != NULL)
		return false;
	foreach(cell, statement->tableElts)
	{
		if (IsA(lfirst(cell), ColumnDef))
			columns.definitions = lappend(columns.definitions, lfirst(cell));
	}
	foreach(cell, statement->tableElts)
	{
		if (IsA(lfirst(cell), ColumnDef))
			chosen = choose_for_column(lfirst(cell), method) || chosen;
		else if (IsA(lfirst(cell), Constraint))
			chosen = choose_for_table(lfirst(cell), &columns, method) || chosen;
	}
	return chosen;
}

/*
 * A statement that changes types does not tell which ones a constraint will meet, and up to 17 a foreign key of the same statement
 * would not find a key that is an alex index already (alex_foreign_key.c).
 */
static bool
is_simple_alter(AlterTableStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);
		ListCell   *constraint;

		if (command->subtype == AT_AlterColumnType)
			return false;
		if (command->subtype == AT_AddConstraint && castNode(Constraint, command->def)->contype == CONSTR_FOREIGN)
			return false;
		if (command->subtype != AT_AddColumn)
			continue;
		foreach(constraint, castNode(ColumnDef, command->def)->constraints)
		{
			if (lfirst_node(Constraint, constraint)->contype == CONSTR_FOREIGN)
				return false;
		}
	}
	return true;
}

static bool
choose_for_alter(AlterTableStmt *statement, Oid method)
{
	Columns		columns = {NIL, RangeVarGetRelid(statement->relation, NoLock, true)};
	bool		chosen = false;
	ListCell   *cell;

	if (!OidIsValid(columns.table) || get_rel_relkind(columns.table) != RELKIND_RELATION || get_rel_relispartition(columns.table) ||
		!is_simple_alter(statement))
		return false;
	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AddColumn)
			columns.definitions = lappend(columns.definitions, command->def);
	}
	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AddColumn)
			chosen = choose_for_column(castNode(ColumnDef, command->def), method) || chosen;
		else if (command->subtype == AT_AddConstraint)
			chosen = choose_for_table(castNode(Constraint, command->def), &columns, method) || chosen;
	}
	return chosen;
}

static bool
copies_constraints(CreateStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->tableElts)
	{
		if (IsA(lfirst(cell), TableLikeClause) && (lfirst_node(TableLikeClause, cell)->options & CREATE_TABLE_LIKE_INDEXES) != 0)
			return true;
	}
	return false;
}

/* Chooses alex in a statement wherever it can be. Returns the statement's table, or NULL if nothing was chosen. */
static RangeVar *
choose(Node *statement)
{
	Oid			method = get_index_am_oid("alex", true);

	/* not every database has the extension */
	if (!OidIsValid(method))
		return NULL;
	if (IsA(statement, CreateStmt) && choose_for_create((CreateStmt *) statement, method))
		return ((CreateStmt *) statement)->relation;
	if (IsA(statement, AlterTableStmt) && choose_for_alter((AlterTableStmt *) statement, method))
		return ((AlterTableStmt *) statement)->relation;
	return NULL;
}

/* For dumps, see alex_convert.h. */
static void
remember_methods(RangeVar *name)
{
	Oid			relid;
	Relation	rel;
	ListCell   *cell;

	CommandCounterIncrement();
	relid = RangeVarGetRelid(name, NoLock, true);
	rel = OidIsValid(relid) ? try_table_open(relid, AccessShareLock) : NULL;
	if (rel == NULL)
		return;
	/* IF NOT EXISTS may have met a table of another's */
	if (compat_owns_relation(relid, GetUserId()))
	{
		foreach(cell, RelationGetIndexList(rel))
			alex_remember_method(lfirst_oid(cell));
	}
	table_close(rel, NoLock);
}

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only, ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *statement = planned->utilityStmt;
	RangeVar   *name = NULL;

	if ((IsA(statement, CreateStmt) || IsA(statement, AlterTableStmt)) && IsTransactionState())
	{
		if (default_for_constraints && !creating_extension && !IsBinaryUpgrade)
		{
			/* the tree may be a cached one */
			PlannedStmt *copy = copyObject(planned);

			name = choose(copy->utilityStmt);
			if (name != NULL)
				planned = copy;
		}
		/* an index that LIKE copies is alex by itself, but without the comment */
		if (name == NULL && IsA(statement, CreateStmt) && copies_constraints((CreateStmt *) statement))
			name = ((CreateStmt *) statement)->relation;
		/* core may write to the tree */
		name = copyObject(name);
	}
	if (next_process_utility != NULL)
		next_process_utility(planned, query, read_only, context, parameters, environment, dest, completion);
	else
		standard_ProcessUtility(planned, query, read_only, context, parameters, environment, dest, completion);
	if (name != NULL)
		remember_methods(name);
}

/* ---- the setting ---- */

static bool
check_default(bool *value, void **extra, GucSource source)
{
	if (!*value || !COMPAT_APPLY_NEEDS_BTREE)
		return true;
	GUC_check_errmsg("alex.default_for_constraints cannot be on with PostgreSQL 17");
	GUC_check_errdetail("A subscription's worker of PostgreSQL 17 can find rows by a btree index only.");
	GUC_check_errhint("Convert the constraints of tables that take part in no subscription with alex_convert_all().");
	return false;
}

void
alex_define_default(void)
{
	DefineCustomBoolVariable("alex.default_for_constraints",
							 "Gives new PRIMARY KEY and UNIQUE constraints alex indexes.",
							 "Where alex cannot be, they get btrees as ever.",
							 &default_for_constraints, false, PGC_USERSET, 0, check_default, NULL, NULL);
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
