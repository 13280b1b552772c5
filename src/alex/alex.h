/*
 * alex.h - what the files of the alex access method share.
 *
 * The locking order, the WAL rules and the page format are in src/alex/README.md.
 */
#ifndef ALEX_H
#define ALEX_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/relscan.h"
#include "nodes/pathnodes.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#include "alex_core.h"
#include "alex_keys.h"

#endif
