/*
 * alex_codes.h - the codes of an index's string columns: chosen when it is built, kept in its metapage.
 */
#ifndef ALEX_CODES_H
#define ALEX_CODES_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "alex_keys.h"

/* A code as the metapage has it, the bits of two symbols in a byte, and the form of the column's images. */
typedef struct AlexStoredCode
{
	AlexBytesForm form;
	uint8		none_first;
	uint8		headed;
	uint8		bits[ALEX_STRING_SYMBOLS / 2];
} AlexStoredCode;

/* Looks at some rows of a table that an index is about to be built on, and gives the string columns codes for what is there. */
extern void alex_choose_codes(Relation heap, Relation index, IndexInfo *info, AlexKeyInfo *key);

/* Writes the codes of the string columns, one after the other. */
extern void alex_store_codes(const AlexKeyInfo *key, AlexStoredCode *stored);

/* Takes them from there. Returns false if they are no codes. */
extern bool alex_load_codes(AlexKeyInfo *key, const AlexStoredCode *stored);

#endif							/* ALEX_CODES_H */
