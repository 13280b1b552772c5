/*
 * alex_foreign_key.h - foreign keys that refer to alex keys before PostgreSQL 18.
 */
#ifndef ALEX_FOREIGN_KEY_H
#define ALEX_FOREIGN_KEY_H

#include "compat.h"

/* Once, when the library is loaded. */
extern void alex_watch_foreign_keys(void);

#endif							/* ALEX_FOREIGN_KEY_H */
