/*
 * alex_upsert.h - INSERT ... ON CONFLICT before PostgreSQL 18.
 */
#ifndef ALEX_UPSERT_H
#define ALEX_UPSERT_H

#include "compat.h"

/* Once, when the library is loaded. */
extern void alex_watch_upserts(void);

#endif							/* ALEX_UPSERT_H */
