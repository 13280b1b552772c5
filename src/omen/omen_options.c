/*
 * omen_options.c - settings of omen tables (stub while being written).
 */
#include "postgres.h"

#include "omen_options.h"

void
omen_define_settings(void)
{
}

bool
omen_eager(Relation rel)
{
	return false;
}
