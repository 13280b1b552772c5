/*
 * omen_handler.c - the access method's routine: which function does what.
 */
#include "omen.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(omenhandler);

Datum
omenhandler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(GetHeapamTableAmRoutine());
}
