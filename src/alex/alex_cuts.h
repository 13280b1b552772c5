/*
 * alex_cuts.h - from conditions on one column to intervals of its codes.
 */
#ifndef ALEX_CUTS_H
#define ALEX_CUTS_H

#include "postgres.h"

#include "access/stratnum.h"

#include "alex_keys.h"
#include "key_ranges.h"

/*
 * The interval of all codes of a column that may satisfy "column <operator> argument", the operator being that of btree's
 * strategy for these types. If some of them may not, that is interval->recheck, and "sure" (unless NULL) becomes the interval of those
 * that certainly do; else it is the same.
 */
extern void alex_cut(const AlexKeyInfo *info, int column, StrategyNumber strategy, Oid argtype, Datum arg,
					 AlexInterval *interval, AlexInterval *sure);

/* The interval of all values of a column, that of its NULLs, and that of both. */
extern void alex_cut_values(const AlexKeyInfo *info, int column, AlexInterval *interval);
extern void alex_cut_nulls(const AlexKeyInfo *info, int column, AlexInterval *interval);
extern void alex_cut_all(const AlexKeyInfo *info, int column, AlexInterval *interval);

#endif							/* ALEX_CUTS_H */
