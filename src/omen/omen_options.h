/*
 * omen_options.h - settings of omen tables, and counters.
 */
#ifndef OMEN_ALEX_OMEN_OPTIONS_H
#define OMEN_ALEX_OMEN_OPTIONS_H

#include "postgres.h"

#include "utils/rel.h"

/* Defines the GUCs; called once, from _PG_init. */
extern void omen_define_settings(void);

/* Move older versions to the store whenever a page is pruned, not only when room is needed? */
extern bool omen_eager(Relation rel);

/* May a standby decode what this server logs, which then cannot know whether anybody does? */
extern bool omen_standbys_may_decode(void);

#endif							/* OMEN_ALEX_OMEN_OPTIONS_H */
