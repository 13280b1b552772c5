/*
 * alex_skip.h - leaving the records with equal first columns behind, to go on with the next ones.
 */
#ifndef ALEX_SKIP_H
#define ALEX_SKIP_H

#include "postgres.h"

#include "access/relscan.h"

#include "alex_keys.h"

/* The position of the first record that has these first columns, or with "after" that behind all of them. W + 1 words each. */
extern void alex_prefix_bound(const AlexKeyInfo *info, int columns, const uint64 *record, bool after, uint64 *bound);

/*
 * The next tuple of the scan will be one that differs in its first columns from the one returned last. Returns true if it has to be searched,
 * as it is not in the batch. Not for scans in parallel, and the direction must stay what it is until the next tuple has been returned.
 */
extern bool alex_scan_skip_prefix(IndexScanDesc scan, int columns);

#endif							/* ALEX_SKIP_H */
