/*
 * compat_explain.h - what EXPLAIN offers to those who show nodes of their own; 18 has moved it.
 */
#ifndef OMEN_ALEX_COMPAT_EXPLAIN_H
#define OMEN_ALEX_COMPAT_EXPLAIN_H

#include "postgres.h"

#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

#endif							/* OMEN_ALEX_COMPAT_EXPLAIN_H */
