/*
 * module.c - what happens when the library is loaded.
 */
#include "postgres.h"

#include "fmgr.h"

#include "alex.h"
#include "alex_adopt.h"
#include "alex_aggregate.h"
#include "alex_constraint.h"
#include "alex_default.h"
#include "alex_distinct.h"
#include "alex_foreign_key.h"
#include "alex_plan.h"
#include "alex_route.h"
#include "alex_upsert.h"
#include "omen_options.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	alex_register_options();
	alex_define_default();
	alex_define_adoption();
	alex_install_aggregate();
	alex_install_distinct();
	alex_define_route_memory();
	alex_watch_upserts();
	alex_install_planner_hook();
	alex_watch_foreign_keys();
	alex_watch_using_index();
	omen_define_settings();
}
