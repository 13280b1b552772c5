/*
 * alex_convertible.c - which indexes alex_convert() can convert, and how a dump can tell what was converted.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/namespace.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "alex_constraint.h"
#include "alex_convert.h"
#include "alex_keys.h"

PG_FUNCTION_INFO_V1(alex_conversion_problem_sql);

static bool
is_alex(Oid method)
{
	return method != BTREE_AM_OID && GetIndexAmRoutineByAmId(method, false)->ambuild == alexbuild;
}

static Oid
relation_method(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			method;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return method;
}

Oid
alex_conversion_method(const char *name)
{
	Oid			method = get_index_am_oid(name, false);

	if (method != BTREE_AM_OID && !is_alex(method))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot convert to access method \"%s\"", name),
				 errhint("Indexes are converted from btree to alex, and back.")));
	return method;
}

bool
alex_is_index(Oid indexid)
{
	return is_alex(relation_method(indexid));
}

/* The type of a key column before an operator class has its say. Takes the expressions one by one. */
static Oid
column_type(Relation heap, Relation index, int column, List **expressions)
{
	AttrNumber	attribute = index->rd_index->indkey.values[column];
	Oid			type;

	if (attribute > 0)
		return TupleDescAttr(RelationGetDescr(heap), attribute - 1)->atttypid;
	if (attribute < 0)
		return InvalidOid;
	type = exprType(linitial(*expressions));
	*expressions = list_delete_first(*expressions);
	return type;
}

/* Does the access method order a type as this column is ordered? */
static char *
column_problem(Relation index, int column, Oid type, Oid method)
{
	Oid			opclass = OidIsValid(type) ? GetDefaultOpClass(type, method) : InvalidOid;

	if (!OidIsValid(opclass))
		return psprintf("Column %d has a type that access method \"%s\" does not know.", column + 1, get_am_name(method));
	for (int strategy = BTLessStrategyNumber; strategy <= BTEqualStrategyNumber; strategy++)
	{
		Oid			input = get_opclass_input_type(opclass);
		Oid			before = index->rd_opcintype[column];

		if (get_opfamily_member(get_opclass_family(opclass), input, input, strategy) !=
			get_opfamily_member(index->rd_opfamily[column], before, before, strategy))
			return psprintf("Column %d has an operator class that is not the default of its type.", column + 1);
	}
	if (method != BTREE_AM_OID)
	{
		Oid			input = get_opclass_input_type(opclass);
		Oid			compare = get_opfamily_proc(get_opclass_family(opclass), input, input, BTORDER_PROC);

		if (alex_collation_problem(input, compare, index->rd_indcollation[column]) != NULL)
			return psprintf("Column %d has a collation in whose order access method \"%s\" cannot store it.", column + 1, get_am_name(method));
	}
	return NULL;
}

static char *
find_columns_problem(Relation heap, Relation index, Oid method)
{
	CompatIndexRoutine routine = GetIndexAmRoutineByAmId(method, false);
	int			keys = index->rd_index->indnkeyatts;
	List	   *expressions = RelationGetIndexExpressions(index);
	char	   *problem = NULL;

	if (keys > 1 && !routine->amcanmulticol)
		return psprintf("It has several columns, and indexes of access method \"%s\" have one.", get_am_name(method));
	if (index->rd_index->indnatts > keys && !routine->amcaninclude)
		return psprintf("It has included columns, and indexes of access method \"%s\" have none.", get_am_name(method));
	for (int i = 0; i < keys && problem == NULL; i++)
		problem = column_problem(index, i, column_type(heap, index, i, &expressions), method);
	return problem;
}

/* Reading index expressions evaluates what is constant in them: that runs as the table's owner, who could have written anything into them. */
static char *
columns_problem(Relation heap, Relation index, Oid method)
{
	Oid			user;
	int			context;
	int			level;
	char	   *problem;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(heap->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
	level = NewGUCNestLevel();
	compat_restrict_search_path();
	problem = find_columns_problem(heap, index, method);
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(user, context);
	return problem;
}

/* As alex_conversion_problem(); "any_owner": whoever the table belongs to. */
static char *
open_index_problem(Relation heap, Relation index, Oid method, bool any_owner)
{
	Oid			before = index->rd_rel->relam;

	if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		return pstrdup("It is partitioned.");
	if (before == method)
		return psprintf("Its access method is \"%s\" already.", get_am_name(method));
	if (before != BTREE_AM_OID && !is_alex(before))
		return pstrdup("It is neither a btree nor an alex index.");
	if (IsCatalogRelation(heap) || IsToastRelation(heap))
		return pstrdup("Its table belongs to the system.");
	if (RELATION_IS_OTHER_TEMP(index))
		return pstrdup("It is a temporary one of another session.");
	if (!any_owner && !compat_owns_relation(RelationGetRelid(heap), GetUserId()))
		return pstrdup("You are not the owner of its table.");
	if (!index->rd_index->indisvalid || !index->rd_index->indisready)
		return pstrdup("It is not valid.");
	if (index->rd_rel->relispartition && !OidIsValid(get_index_constraint(RelationGetRelid(index))))
		return pstrdup("It belongs to an index of the partitioned table, which has to have the same access method for a dump to be restored. "
					   "Create a new index of the partitioned table instead.");
	if (method != BTREE_AM_OID &&
		alex_needed_by_subscription(RelationGetRelid(heap), RelationGetRelid(index), index->rd_index->indisprimary))
		return pstrdup("It finds the rows that come from a subscription, which PostgreSQL 17 does by btree indexes only.");
	return columns_problem(heap, index, method);
}

static char *
index_problem(Oid indexid, Oid method, bool any_owner)
{
	Oid			heapid = IndexGetRelation(indexid, true);
	Relation	heap;
	Relation	index;
	char	   *problem;

	if (!OidIsValid(heapid))
		return pstrdup("It is no index.");
	heap = table_open(heapid, AccessShareLock);
	index = relation_open(indexid, AccessShareLock);
	problem = open_index_problem(heap, index, method, any_owner);
	relation_close(index, AccessShareLock);
	table_close(heap, AccessShareLock);
	return problem;
}

char *
alex_conversion_problem(Oid indexid, Oid method)
{
	return index_problem(indexid, method, false);
}

char *
alex_shape_problem(Oid indexid, Oid method)
{
	return index_problem(indexid, method, true);
}

/* alex_conversion_problem(index regclass, method name) returns text */
Datum
alex_conversion_problem_sql(PG_FUNCTION_ARGS)
{
	char	   *problem = alex_conversion_problem(PG_GETARG_OID(0), alex_conversion_method(NameStr(*PG_GETARG_NAME(1))));

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}

List *
alex_conversion_targets(Oid indexid, Oid method)
{
	List	   *targets = NIL;
	ListCell   *cell;

	if (get_rel_relkind(indexid) != RELKIND_PARTITIONED_INDEX)
		return list_make1_oid(indexid);
	foreach(cell, find_all_inheritors(indexid, AccessShareLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_INDEX && relation_method(lfirst_oid(cell)) != method)
			targets = lappend_oid(targets, lfirst_oid(cell));
	}
	return targets;
}

/* ---- what a dump says ---- */

#define MARK "USING alex"

/* The comment without the mark; NULL if nothing is left. *marked: it was there. */
static char *
without_mark(char *comment, bool *marked)
{
	Size		length = comment == NULL ? 0 : strlen(comment);
	Size		mark = strlen(MARK);

	*marked = length >= mark && strcmp(comment + length - mark, MARK) == 0 && (length == mark || comment[length - mark - 1] == '\n');
	if (!*marked)
		return comment;
	if (length == mark)
		return NULL;
	comment[length - mark - 1] = '\0';
	return comment;
}

bool
alex_method_remembered(Oid constraintid)
{
	bool		marked;

	without_mark(GetComment(constraintid, ConstraintRelationId, 0), &marked);
	return marked;
}

static char
constraint_type(Oid constraintid)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraintid));
	char		type;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraintid);
	type = ((Form_pg_constraint) GETSTRUCT(tuple))->contype;
	ReleaseSysCache(tuple);
	return type;
}

void
alex_remember_method(Oid indexid)
{
	Oid			constraintid = get_index_constraint(indexid);
	char		type;
	bool		marked;
	char	   *comment;

	/* others are dumped with their access method */
	if (!OidIsValid(constraintid))
		return;
	type = constraint_type(constraintid);
	if (type != CONSTRAINT_PRIMARY && type != CONSTRAINT_UNIQUE)
		return;
	comment = without_mark(GetComment(constraintid, ConstraintRelationId, 0), &marked);
	if (is_alex(relation_method(indexid)))
		CreateComments(constraintid, ConstraintRelationId, 0, comment == NULL ? MARK : psprintf("%s\n%s", comment, MARK));
	else if (marked)
		CreateComments(constraintid, ConstraintRelationId, 0, comment);
}
