/*
 * alex_default.h - alex for the constraints of new tables.
 */
#ifndef ALEX_DEFAULT_H
#define ALEX_DEFAULT_H

#include "postgres.h"

/* Once, when the library is loaded, and before the prefix "alex" is reserved. */
extern void alex_define_default(void);

#endif							/* ALEX_DEFAULT_H */
