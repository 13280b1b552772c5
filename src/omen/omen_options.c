/*
 * omen_options.c - settings: for all omen tables, and of one.
 *
 * A table access method has no storage parameters of its own. The fill factor is heap's; what only omen has is a security
 * label of the provider "omen" on the table: README.md says why.
 */
#include "omen.h"

#include "access/table.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "commands/seclabel.h"
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
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "omen_inspect.h"
#include "omen_options.h"
#include "open_existing.h"

PG_FUNCTION_INFO_V1(omen_options);

#define LABEL_PROVIDER "omen"
#define LABEL_EAGER "eager_offload="

static bool eager_offload = false;
static bool standby_decoding = true;

static void check_label(const ObjectAddress *object, const char *label);

void
omen_define_settings(void)
{
	DefineCustomBoolVariable("omen.eager_offload",
							 "Moves older versions to the store whenever a page is pruned, not only when room is needed.",
							 "Applies to omen tables for which omen_options() has not set it.",
							 &eager_offload, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("omen.standby_decoding",
							 "Logs updates of omen tables for logical decoding on standbys, too.",
							 "If off, and on PostgreSQL 15, they are logged for decoding only while this server has a logical slot of their database.",
							 &standby_decoding, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("omen");
	register_label_provider(LABEL_PROVIDER, check_label);
}

bool
omen_standbys_may_decode(void)
{
	return COMPAT_STANDBYS_DECODE && standby_decoding;
}

/* ---- the label ---- */

static bool
parse_label(const char *label, bool *eager)
{
	size_t		prefix = strlen(LABEL_EAGER);

	return strncmp(label, LABEL_EAGER, prefix) == 0 && parse_bool(label + prefix, eager);
}

/*
 * What SECURITY LABEL and pg_restore ask before they set a label, or take one away (NULL); core has checked that the
 * user owns the object. Tables of any access method may have one, as one may become an omen table, or have been one.
 */
static void
check_label(const ObjectAddress *object, const char *label)
{
	bool		eager;
	char		relkind = object->classId == RelationRelationId ? get_rel_relkind(object->objectId) : '\0';

	if ((relkind != RELKIND_RELATION && relkind != RELKIND_MATVIEW) || object->objectSubId != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("security labels of \"%s\" are for tables and materialized views only", LABEL_PROVIDER),
				 errhint("To set a label of another provider, load that one and name it: SECURITY LABEL FOR ...")));
	if (label != NULL && !parse_label(label, &eager))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid security label of \"%s\": \"%s\"", LABEL_PROVIDER, label),
				 errhint("The label is \"%son\" or \"%soff\".", LABEL_EAGER, LABEL_EAGER)));
	/* so that all sessions read it again */
	CacheInvalidateRelcacheByRelid(object->objectId);
}

/* What is set for a table; false: nothing. */
static bool
read_eager(Relation rel, bool *eager)
{
	ObjectAddress table;
	char	   *label;

	ObjectAddressSet(table, RelationRelationId, RelationGetRelid(rel));
	label = GetSecurityLabel(&table, LABEL_PROVIDER);
	return label != NULL && parse_label(label, eager);
}

static void
write_eager(Relation rel, bool eager)
{
	const char *label = eager ? LABEL_EAGER "on" : LABEL_EAGER "off";
	ObjectAddress table;

	ObjectAddressSet(table, RelationRelationId, RelationGetRelid(rel));
	check_label(&table, label);
	SetSecurityLabel(&table, LABEL_PROVIDER, label);
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
		rel = open_existing(relid, ShareUpdateExclusiveLock);
		require_owner(relid);
	}
	else
		rel = open_existing(relid, AccessShareLock);
	omen_require_table(rel);

	if (!PG_ARGISNULL(1))
		set_fillfactor(relid, PG_GETARG_INT32(1));
	if (!PG_ARGISNULL(2))
		write_eager(rel, PG_GETARG_BOOL(2));
	CommandCounterIncrement();

	values[0] = Int32GetDatum(RelationGetFillFactor(rel, HEAP_DEFAULT_FILLFACTOR));
	values[1] = BoolGetDatum(omen_eager(rel));
	relation_close(rel, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
