/*
 * omen_inspect.c - is this a table of ours?
 */
#include "omen.h"

#include "access/xlog.h"
#include "catalog/pg_class.h"

#include "omen_inspect.h"

void
omen_require_table(Relation rel)
{
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is partitioned and has no pages of its own", RelationGetRelationName(rel)),
				 errhint("Name one of its partitions; pg_partition_tree() lists them.")));
	/* indexes and the like have no table access method */
	if (rel->rd_tableam == NULL || rel->rd_tableam->tuple_lock != omen_tuple_lock)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an omen table", RelationGetRelationName(rel)),
				 errhint("Tables created with \"USING omen\" are.")));
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary tables of other sessions")));
}

bool
omen_lacks_storage(Relation rel)
{
	return rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED && RecoveryInProgress();
}
