/*
 * compat_datetime.h - conversions between dates and timestamps that say where a value is out of range, instead of failing.
 *
 * Up to 18 they set *overflow to -1 or 1 and return an infinity; from 19 on they report a soft error, which this turns back into that.
 */
#ifndef OMEN_ALEX_COMPAT_DATETIME_H
#define OMEN_ALEX_COMPAT_DATETIME_H

#include "postgres.h"

#include "utils/date.h"
#include "utils/timestamp.h"

#if PG_VERSION_NUM >= 190000

#include "nodes/miscnodes.h"

static inline Timestamp
compat_overflow(const ErrorSaveContext *error, Timestamp result, bool negative, int *overflow)
{
	*overflow = !error->error_occurred ? 0 : negative ? -1 : 1;
	return !error->error_occurred ? result : negative ? DT_NOBEGIN : DT_NOEND;
}

static inline Timestamp
date2timestamp_opt_overflow(DateADT date, int *overflow)
{
	ErrorSaveContext error = {.type = T_ErrorSaveContext};
	Timestamp	result = date2timestamp_safe(date, (Node *) &error);

	return compat_overflow(&error, result, date < 0, overflow);
}

static inline TimestampTz
date2timestamptz_opt_overflow(DateADT date, int *overflow)
{
	ErrorSaveContext error = {.type = T_ErrorSaveContext};
	TimestampTz result = date2timestamptz_safe(date, (Node *) &error);

	return compat_overflow(&error, result, date < 0, overflow);
}

static inline TimestampTz
timestamp2timestamptz_opt_overflow(Timestamp timestamp, int *overflow)
{
	ErrorSaveContext error = {.type = T_ErrorSaveContext};
	TimestampTz result = timestamp2timestamptz_safe(timestamp, (Node *) &error);

	return compat_overflow(&error, result, timestamp < 0, overflow);
}

#endif

#endif							/* OMEN_ALEX_COMPAT_DATETIME_H */
