/*
 * alex_adopt.h - indexes that are alex in their file and btree in the catalogs, as pg_upgrade makes them.
 */
#ifndef ALEX_ADOPT_H
#define ALEX_ADOPT_H

/* Does a btree's file hold an alex index? */
extern bool alex_is_disguised(Oid indexid);

/* Makes such an index alex in the catalogs. Does nothing and returns false if it is no such index (any more). */
extern bool alex_adopt(Oid indexid, Oid method);

/* Watches the statements of a dump that pg_upgrade restores. */
extern void alex_define_adoption(void);

#endif							/* ALEX_ADOPT_H */
