/*
 * alex_handler.c - the access method's handler: what alex can do.
 */
#include "alex.h"

#include "access/nbtree.h"
#include "access/stratnum.h"
#include "fmgr.h"

#if PG_VERSION_NUM >= 180000
#include "access/cmptype.h"
#endif

PG_FUNCTION_INFO_V1(alexhandler);

#if PG_VERSION_NUM >= 180000

/*
 * btree's strategy numbers, so btree's meanings. The way back, amtranslatestrategy, is left out: with it our families
 * would count wherever the planner asks in which families an operator is equality, for all tables. An operator class
 * or cross-type operator that only btree's family has would then keep equivalence classes of other tables apart. Our
 * own indexes do not need it, see alex_plan.c.
 */
static StrategyNumber
alextranslatecmptype(CompareType cmptype, Oid opfamily)
{
	switch (cmptype)
	{
		case COMPARE_LT:
			return BTLessStrategyNumber;
		case COMPARE_LE:
			return BTLessEqualStrategyNumber;
		case COMPARE_EQ:
			return BTEqualStrategyNumber;
		case COMPARE_GE:
			return BTGreaterEqualStrategyNumber;
		case COMPARE_GT:
			return BTGreaterStrategyNumber;
		default:
			return InvalidStrategy;
	}
}

#endif

/*
 * Core derives most properties from the handler's flags. Only this one it would ask amcanreturn, which says no in
 * recovery; what the index can do does not depend on that.
 */
static bool
alexproperty(Oid index, int column, IndexAMProperty property, const char *name, bool *result, bool *isnull)
{
	Relation	rel;

	if (property != AMPROP_RETURNABLE || column == 0)
		return false;
	rel = index_open(index, AccessShareLock);
	*result = alex_column_returnable(rel, column - 1);
	index_close(rel, AccessShareLock);
	return true;
}

/*
 * alexhandler(internal) returns index_am_handler. On 18 the planner calls it for every lookup of an operator of our
 * families, so it does nothing but fill in the fields.
 */
Datum
alexhandler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = compat_new_routine();

	am->amstrategies = BTMaxStrategyNumber;
	am->amsupport = BTNProcs;	/* btree's numbers with btree's meanings: 18 checks that, and alex_foreign_key.c builds on it */
	am->amoptsprocnum = 0;
	am->amcanorder = true;
	am->amcanorderbyop = false;
#if PG_VERSION_NUM >= 180000
	am->amcanhash = false;
	am->amconsistentequality = true;
	am->amconsistentordering = true;
#endif
	am->amcanbackward = true;
	am->amcanunique = true;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
	am->amstorage = false;
	am->amclusterable = true;
	am->ampredlocks = true;
	am->amcanparallel = true;
#if PG_VERSION_NUM >= 170000
	am->amcanbuildparallel = true;
#endif
	am->amcaninclude = true;
	am->amusemaintenanceworkmem = false;
#if PG_VERSION_NUM >= 160000
	am->amsummarizing = false;
#endif
	am->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL | VACUUM_OPTION_PARALLEL_COND_CLEANUP;
	am->amkeytype = InvalidOid;

	am->ambuild = alexbuild;
	am->ambuildempty = alexbuildempty;
	am->aminsert = alexinsert;
#if PG_VERSION_NUM >= 170000
	am->aminsertcleanup = NULL;
#endif
	am->ambulkdelete = alexbulkdelete;
	am->amvacuumcleanup = alexvacuumcleanup;
	am->amcanreturn = alexcanreturn;
	am->amcostestimate = alexcostestimate;
#if PG_VERSION_NUM >= 180000
	am->amgettreeheight = alexgettreeheight;
#endif
	am->amoptions = alexoptions;
	am->amproperty = alexproperty;
	am->ambuildphasename = alexbuildphasename;
	am->amvalidate = alexvalidate;
	am->amadjustmembers = NULL;
	am->ambeginscan = alexbeginscan;
	am->amrescan = alexrescan;
	am->amgettuple = alexgettuple;
	am->amgetbitmap = alexgetbitmap;
	am->amendscan = alexendscan;
	am->ammarkpos = alexmarkpos;
	am->amrestrpos = alexrestrpos;
	am->amestimateparallelscan = alexestimateparallelscan;
	am->aminitparallelscan = alexinitparallelscan;
	am->amparallelrescan = alexparallelrescan;
#if PG_VERSION_NUM >= 180000
	am->amtranslatestrategy = NULL;
	am->amtranslatecmptype = alextranslatecmptype;
#endif

	PG_RETURN_POINTER(am);
}
