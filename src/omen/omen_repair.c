/*
 * omen_repair.c - tables with a file of another access method: preventing them, and omen_repair_access_method().
 *
 * Tools that copy a table and then exchange the files of both (pg_repack) may give an omen table the file of a heap table, and the other way
 * round. The file is sound; it is the catalog that is wrong, and the repair makes it say what the file is. omen knows pages that are not its own;
 * heap does not, and what it has made of an omen file meanwhile may be unsound, so that is checked as a whole, and prevented where it can be.
 */
#include "omen.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/visibilitymap.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "omen_inspect.h"
#include "omen_private.h"
#include "open_existing.h"

PG_FUNCTION_INFO_V1(omen_repair_access_method);

typedef enum Kind
{
	NOBODYS,
	HEAPS,
	OMENS,
	STRANGE
} Kind;

static Kind
kind_of(Page page)
{
	uint16		special = ((PageHeader) page)->pd_special;

	if (special == OMEN_ROWS_END && ((OmenRowMark *) ((char *) page + OMEN_ROWS_END))->magic == OMEN_ROWS_MAGIC)
		return OMENS;
	if (special == OMEN_STORE_END && omen_store_special(page)->magic == OMEN_STORE_MAGIC)
		return OMENS;
	if (PageIsNew(page))
		return NOBODYS;
	if (special != BLCKSZ)
		return STRANGE;
	return PageGetMaxOffsetNumber(page) == 0 ? NOBODYS : HEAPS;
}

/* Whose pages the file has; NOBODYS: it has no rows. An error if it is not one file. */
static Kind
kind_of_file(Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	Kind		file = NOBODYS;

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer		buffer;
		Kind		kind;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		kind = kind_of(BufferGetPage(buffer));
		UnlockReleaseBuffer(buffer);
		if (kind == NOBODYS)
			continue;
		if (kind == STRANGE || (file != NOBODYS && kind != file))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("block %u of table \"%s\" is of another kind than those before it", block, RelationGetRelationName(rel)),
					 errdetail("The file is neither that of a heap table nor that of an omen table."),
					 errhint("Restore the table from a backup.")));
		file = kind;
	}
	FreeAccessStrategy(strategy);
	return file;
}

/* VACUUM of a heap table takes pages of the store for empty ones, and marks them as visible to all. */
static void
clear_marks(Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	Buffer		vmbuffer = InvalidBuffer;

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		visibilitymap_pin(rel, block, &vmbuffer);
		buffer = ReadBuffer(rel, block);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		if (omen_page_kind(rel, block, BufferGetPage(buffer)) != OMEN_PAGE_ROWS)
			omen_clear_all_visible(rel, buffer, vmbuffer);
		UnlockReleaseBuffer(buffer);
	}
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
}

/* The table a copy is made of by pg_repack, which names it repack.table_OID; invalid: it is none. */
static Oid
repacked_table(Relation copy)
{
	const char *prefix = "table_";
	const char *name = RelationGetRelationName(copy);
	char	   *schema;
	char	   *end;
	unsigned long oid;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return InvalidOid;
	schema = get_namespace_name(RelationGetNamespace(copy));
	if (schema == NULL || strcmp(schema, "repack") != 0)
		return InvalidOid;
	oid = strtoul(name + strlen(prefix), &end, 10);
	return *end == '\0' ? (Oid) oid : InvalidOid;
}

void
omen_refuse_foreign_copy(Relation copy)
{
	Oid			original = repacked_table(copy);
	HeapTuple	tuple = OidIsValid(original) ? SearchSysCache1(RELOID, ObjectIdGetDatum(original)) : NULL;
	Oid			relam;

	if (!HeapTupleIsValid(tuple))
		return;
	relam = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	if (OidIsValid(relam) && relam != copy->rd_rel->relam)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pg_repack would give table \"%s\" the file of an omen table, which it is not", get_rel_name(original)),
				 errdetail("It makes its copy with the default access method."),
				 errhint("Set default_table_access_method to %s for pg_repack, as by the environment variable PGOPTIONS.",
						 get_am_name(relam))));
}

static void
set_access_method(Oid relid, Oid from, Oid to)
{
	Relation	catalog = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	((Form_pg_class) GETSTRUCT(tuple))->relam = to;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	changeDependencyFor(RelationRelationId, relid, AccessMethodRelationId, from, to);
	CommandCounterIncrement();
}

Datum
omen_repair_access_method(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Oid			omen = get_table_am_oid("omen", false);
	Relation	rel = open_existing(relid, AccessExclusiveLock);
	Oid			old = rel->rd_rel->relam;
	Oid			new = old;

	PreventCommandIfReadOnly("omen_repair_access_method()");
	PreventCommandDuringRecovery("omen_repair_access_method()");
	if ((rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_MATVIEW) ||
		(old != omen && old != HEAP_TABLE_AM_OID) || IsCatalogRelation(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is neither an omen table nor a heap table of a user", RelationGetRelationName(rel))));
	CheckTableNotInUse(rel, "omen_repair_access_method");
	switch (kind_of_file(rel))
	{
		case HEAPS:
			new = HEAP_TABLE_AM_OID;
			break;
		case OMENS:
			new = omen;
			break;
		default:
			break;
	}
	relation_close(rel, NoLock);

	if (new != old)
		set_access_method(relid, old, new);
	if (new != old && new == omen)
	{
		rel = open_existing(relid, NoLock);
		clear_marks(rel);
		relation_close(rel, NoLock);
		DirectFunctionCall2(omen_check, ObjectIdGetDatum(relid), BoolGetDatum(true));
	}
	PG_RETURN_TEXT_P(cstring_to_text(get_am_name(new)));
}
