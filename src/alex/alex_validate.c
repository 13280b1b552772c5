/*
 * alex_validate.c - checks the definition of an operator class (amvalidate).
 *
 * Role: what SQL functions such as amvalidate() and the regression tests call to find a family that lacks members
 * or has wrong ones. Every problem is an INFO message, so that one run shows them all; the result says whether
 * there was any.
 *
 * Contract: the demands of btree (five strategies, a comparison function and optional sort support per pair of
 * types, no ordering operators, every pair of the family's types covered) and one of alex's own. An alex scan
 * never calls an operator, it knows what the operators of btree's default families mean, so no other operator
 * can be right.
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "alex.h"

/* Support functions, numbered as btree's. */
#define ALEX_COMPARE_PROC	BTORDER_PROC
#define ALEX_SORTSUPPORT_PROC	BTSORTSUPPORT_PROC

#define ALL_STRATEGIES \
	((UINT64CONST(1) << BTLessStrategyNumber) | \
	 (UINT64CONST(1) << BTLessEqualStrategyNumber) | \
	 (UINT64CONST(1) << BTEqualStrategyNumber) | \
	 (UINT64CONST(1) << BTGreaterEqualStrategyNumber) | \
	 (UINT64CONST(1) << BTGreaterStrategyNumber))

/* The family whose order the key images of a type have: that of btree's default operator class, or of its pattern operators. */
static Oid
reference_family(Oid family, Oid type)
{
	Oid			opclass;

	switch (get_opfamily_proc(family, type, type, BTORDER_PROC))
	{
		case F_BTTEXT_PATTERN_CMP:
			return TEXT_PATTERN_BTREE_FAM_OID;
		case F_BTBPCHAR_PATTERN_CMP:
			return BPCHAR_PATTERN_BTREE_FAM_OID;
	}
	opclass = alex_type_supported(type) ? GetDefaultOpClass(type, BTREE_AM_OID) : InvalidOid;
	return OidIsValid(opclass) ? get_opclass_family(opclass) : InvalidOid;
}

static char *
family_name(Oid opfamily)
{
	HeapTuple	tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(opfamily));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator family %u", opfamily);
	name = pstrdup(NameStr(((Form_pg_opfamily) GETSTRUCT(tuple))->opfname));
	ReleaseSysCache(tuple);
	return name;
}

static bool
validate_function(Form_pg_amproc member, const char *family)
{
	Oid			reference;
	bool		signature_ok;

	switch (member->amprocnum)
	{
		case ALEX_COMPARE_PROC:
			signature_ok = check_amproc_signature(member->amproc, INT4OID, true, 2, 2,
												  member->amproclefttype, member->amprocrighttype);
			break;
		case ALEX_SORTSUPPORT_PROC:
			signature_ok = check_amproc_signature(member->amproc, VOIDOID, true, 1, 1, INTERNALOID);
			break;
		default:
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("function %s in operator family \"%s\" of access method \"%s\" has unknown support number %d",
							format_procedure(member->amproc), family, "alex", member->amprocnum)));
			return false;
	}

	if (!signature_ok)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("function %s in operator family \"%s\" of access method \"%s\" has the wrong signature for support number %d",
						format_procedure(member->amproc), family, "alex", member->amprocnum)));
		return false;
	}

	reference = reference_family(member->amprocfamily, member->amproclefttype);
	if (member->amprocnum == ALEX_COMPARE_PROC && OidIsValid(reference) &&
		get_opfamily_proc(reference, member->amproclefttype, member->amprocrighttype, BTORDER_PROC) != member->amproc)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("function %s in operator family \"%s\" of access method \"%s\" is not btree's comparison of types %s and %s",
						format_procedure(member->amproc), family, "alex",
						format_type_be(member->amproclefttype), format_type_be(member->amprocrighttype))));
		return false;
	}
	return true;
}

static bool
validate_operator(Form_pg_amop member, const char *family)
{
	Oid			reference;
	bool		valid = true;

	if (member->amopstrategy < 1 || member->amopstrategy > BTMaxStrategyNumber)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator %s in operator family \"%s\" of access method \"%s\" has unknown strategy number %d",
						format_operator(member->amopopr), family, "alex", member->amopstrategy)));
		valid = false;
	}

	if (member->amoppurpose != AMOP_SEARCH || OidIsValid(member->amopsortfamily))
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator %s in operator family \"%s\" of access method \"%s\" is for ORDER BY, which is not supported",
						format_operator(member->amopopr), family, "alex")));
		valid = false;
	}

	if (!check_amop_signature(member->amopopr, BOOLOID, member->amoplefttype, member->amoprighttype))
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator %s in operator family \"%s\" of access method \"%s\" has the wrong signature",
						format_operator(member->amopopr), family, "alex")));
		return false;
	}

	reference = reference_family(member->amopfamily, member->amoplefttype);
	if (OidIsValid(reference) &&
		get_op_opfamily_strategy(member->amopopr, reference) != member->amopstrategy)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator %s in operator family \"%s\" of access method \"%s\" is not btree's for strategy number %d",
						format_operator(member->amopopr), family, "alex", member->amopstrategy)));
		valid = false;
	}
	return valid;
}

/* Does the family have everything it needs for one pair of types? */
static bool
validate_pair(const OpFamilyOpFuncGroup *pair, const char *family)
{
	bool		valid = true;

	if (pair->operatorset != ALL_STRATEGIES)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator family \"%s\" of access method \"%s\" lacks operators for types %s and %s",
						family, "alex", format_type_be(pair->lefttype), format_type_be(pair->righttype))));
		valid = false;
	}
	if ((pair->functionset & (UINT64CONST(1) << ALEX_COMPARE_PROC)) == 0)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator family \"%s\" of access method \"%s\" lacks a comparison function for types %s and %s",
						family, "alex", format_type_be(pair->lefttype), format_type_be(pair->righttype))));
		valid = false;
	}
	return valid;
}

bool
alexvalidate(Oid opclassoid)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	Form_pg_opclass opclass;
	const char *family;
	CatCList   *functions;
	CatCList   *operators;
	List	   *pairs;
	List	   *types = NIL;
	bool		own_pair = false;
	bool		valid = true;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	opclass = (Form_pg_opclass) GETSTRUCT(tuple);
	family = family_name(opclass->opcfamily);

	functions = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(opclass->opcfamily));
	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(opclass->opcfamily));

	for (int i = 0; i < functions->n_members; i++)
		valid &= validate_function((Form_pg_amproc) GETSTRUCT(&functions->members[i]->tuple), family);
	for (int i = 0; i < operators->n_members; i++)
		valid &= validate_operator((Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple), family);

	pairs = identify_opfamily_groups(operators, functions);
	foreach(lc, pairs)
	{
		OpFamilyOpFuncGroup *pair = lfirst(lc);

		valid &= validate_pair(pair, family);
		own_pair |= pair->lefttype == opclass->opcintype && pair->righttype == opclass->opcintype;
		types = list_append_unique_oid(types, pair->lefttype);
		types = list_append_unique_oid(types, pair->righttype);
	}

	if (!own_pair)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator class \"%s\" of access method \"%s\" has no operators of its own type",
						NameStr(opclass->opcname), "alex")));
		valid = false;
	}

	/* Cross-type members are what lets the planner derive one condition from another. */
	if (list_length(pairs) != list_length(types) * list_length(types))
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator family \"%s\" of access method \"%s\" does not cover every pair of its types",
						family, "alex")));
		valid = false;
	}

	/* The class may be of a type its family does not mention. */
	types = list_append_unique_oid(types, opclass->opcintype);
	foreach(lc, types)
	{
		if (!alex_type_supported(lfirst_oid(lc)))
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator family \"%s\" of access method \"%s\" contains type %s, which is not supported",
							family, "alex", format_type_be(lfirst_oid(lc)))));
			valid = false;
		}
	}
	if (OidIsValid(opclass->opckeytype) && opclass->opckeytype != opclass->opcintype)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator class \"%s\" of access method \"%s\" has a storage type, which is not supported",
						NameStr(opclass->opcname), "alex")));
		valid = false;
	}

	ReleaseCatCacheList(functions);
	ReleaseCatCacheList(operators);
	ReleaseSysCache(tuple);
	return valid;
}
