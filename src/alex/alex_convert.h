/*
 * alex_convert.h - what the files that convert indexes between btree and alex share.
 */
#ifndef ALEX_CONVERT_H
#define ALEX_CONVERT_H

#include "alex.h"
#include "fmgr.h"

/* Raises an error unless the procedure was called as a statement of its own. */
extern void alex_require_statement(FunctionCallInfo fcinfo, const char *name);

/* The access method of that name, if it is one to convert to. */
extern Oid	alex_conversion_method(const char *name);

/* The index, or, of a partitioned one, those of its partitions that are not of that method yet. */
extern List *alex_conversion_targets(Oid indexid, Oid method);

/* Is the access method of the index alex? */
extern bool alex_is_index(Oid indexid);

/* Why the index cannot be converted to the access method; NULL if it can be. */
extern char *alex_conversion_problem(Oid indexid, Oid method);

/* The same, but for who owns the table. */
extern char *alex_shape_problem(Oid indexid, Oid method);

/*
 * Converts an index that has no such problem, in several transactions. No snapshot is active before and after.
 */
extern void alex_convert_index(Oid indexid, Oid method);

/* Writes into the comment of the index's constraint that the index is alex, or removes that. A dump does not say it otherwise. */
extern void alex_remember_method(Oid indexid);

/* Does the comment of the constraint say so? */
extern bool alex_method_remembered(Oid constraintid);

#endif							/* ALEX_CONVERT_H */
