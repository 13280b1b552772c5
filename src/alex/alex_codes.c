/*
 * alex_codes.c - choosing the codes of string columns, and keeping them.
 *
 * A sample of the table tells how often each byte occurs. Not all of a string counts: what neighbours have in common, all records of a
 * leaf mostly have, and then it takes no room. So the sample is sorted, and what a string shares with its neighbours does not count.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "alex_codes.h"
#include "alex_strings.h"

#define SAMPLE_BLOCKS 64
#define SAMPLE_ROWS 4096
#define LEAST_STRINGS 50		/* of fewer nothing can be told */
#define SAMPLE_BYTES 512		/* of a string: how long it is may not decide for all */

typedef struct SampleString
{
	const char *bytes;
	Size		n;
} SampleString;

typedef struct Sample
{
	const AlexKeyInfo *key;
	MemoryContext context;
	int			rows[ALEX_MAX_KEY_COLUMNS]; /* of each string column, without NULLs */
	SampleString *strings[ALEX_MAX_KEY_COLUMNS];
} Sample;

static void
take_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	Sample	   *sample = state;
	const AlexKeyLayout *layout = &sample->key->layout;
	MemoryContext old = MemoryContextSwitchTo(sample->context);

	for (int i = 0; i < layout->strings; i++)
	{
		int			c = layout->string_column[i];
		AlexString	string;
		SampleString *taken = &sample->strings[i][sample->rows[i]];

		if (isnull[c] || sample->rows[i] == SAMPLE_ROWS)
			continue;
		/* what is too long for the index is not worth fetching */
		alex_string_of(&sample->key->column[c], sample->key->column[c].type, values[c], ALEX_MAX_TUPLE, &string);
		if (string.bytes == NULL)
			continue;
		taken->n = Min(string.n, SAMPLE_BYTES);
		taken->bytes = memcpy(palloc(Max(taken->n, 1)), string.bytes, taken->n);
		alex_string_free(&string);
		sample->rows[i]++;
	}
	MemoryContextSwitchTo(old);
}

static int
compare_strings(const void *a, const void *b)
{
	const SampleString *x = a;
	const SampleString *y = b;
	int			order = memcmp(x->bytes, y->bytes, Min(x->n, y->n));

	return order != 0 ? order : x->n < y->n ? -1 : x->n > y->n ? 1 : 0;
}

static Size
common_bytes(const SampleString *a, const SampleString *b)
{
	Size		n = 0;

	while (n < a->n && n < b->n && a->bytes[n] == b->bytes[n])
		n++;
	return n;
}

static void
choose_code(SampleString *strings, int n, const AlexCodeLengths *usual, AlexCodeLengths *lengths)
{
	Size		head = usual->headed ? ALEX_HEAD_BYTES : 0;
	int			coded = 0;
	uint64		counts[ALEX_STRING_COUNTS] = {0};

	qsort(strings, n, sizeof(SampleString), compare_strings);
	n = (int) qunique(strings, n, sizeof(SampleString), compare_strings);
	for (int i = 0; i < n; i++)
	{
		Size		before = i > 0 ? common_bytes(&strings[i - 1], &strings[i]) : 0;
		Size		after = i + 1 < n ? common_bytes(&strings[i], &strings[i + 1]) : 0;

		/* nor a head, which is not coded */
		if (strings[i].n <= head && head > 0)
			continue;
		for (Size at = Max(Min(before, after), head); at < strings[i].n; at++)
			counts[1 + (uint8) strings[i].bytes[at]]++;
		counts[0]++;
		coded++;
	}
	if (coded < LEAST_STRINGS)
	{
		*lengths = *usual;
		return;
	}
	alex_choose_code(counts, usual->none_first != 0, lengths);
	lengths->headed = usual->headed;
}

void
alex_choose_codes(Relation heap, Relation index, IndexInfo *info, AlexKeyInfo *key)
{
	Sample		sample = {.key = key};
	AlexCodeLengths lengths[ALEX_MAX_KEY_COLUMNS];
	BlockNumber blocks = RelationGetNumberOfBlocks(heap);
	MemoryContext old;

	if (key->layout.strings == 0 || blocks == 0)
		return;
	sample.context = AllocSetContextCreate(CurrentMemoryContext, "alex sample", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(sample.context);
	for (int i = 0; i < key->layout.strings; i++)
		sample.strings[i] = palloc(SAMPLE_ROWS * sizeof(SampleString));
	MemoryContextSwitchTo(old);

	for (BlockNumber i = 0; i < Min(blocks, SAMPLE_BLOCKS); i++)
	{
		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(heap, index, info, false, false, false,
									 (BlockNumber) ((uint64) i * blocks / Min(blocks, SAMPLE_BLOCKS)), 1, take_row, &sample, NULL);
	}
	for (int i = 0; i < key->layout.strings; i++)
	{
		const AlexColumnPlace *place = &key->layout.place[key->layout.string_column[i]];

		choose_code(sample.strings[i], sample.rows[i], &place->code->lengths, &lengths[i]);
	}
	MemoryContextDelete(sample.context);
	if (!alex_set_codes(key, lengths))
		elog(ERROR, "alex chose codes that are none");
}

void
alex_store_codes(const AlexKeyInfo *key, AlexStoredCode *stored)
{
	for (int i = 0; i < key->layout.strings; i++)
	{
		const AlexCodeLengths *lengths = &key->layout.place[key->layout.string_column[i]].code->lengths;

		stored[i].form = key->column[key->layout.string_column[i]].form;
		stored[i].none_first = lengths->none_first;
		stored[i].headed = lengths->headed;
		for (int s = 0; s < ALEX_STRING_SYMBOLS; s += 2)
			stored[i].bits[s / 2] = (uint8) (lengths->bits[s] << 4 | lengths->bits[s + 1]);
	}
}

bool
alex_load_codes(AlexKeyInfo *key, const AlexStoredCode *stored)
{
	AlexCodeLengths lengths[ALEX_MAX_KEY_COLUMNS];

	for (int i = 0; i < key->layout.strings; i++)
	{
		key->column[key->layout.string_column[i]].form = stored[i].form;
		lengths[i].none_first = stored[i].none_first;
		lengths[i].headed = stored[i].headed;
		for (int s = 0; s < ALEX_STRING_SYMBOLS; s++)
			lengths[i].bits[s] = s % 2 == 0 ? stored[i].bits[s / 2] >> 4 : stored[i].bits[s / 2] & 15;
	}
	return alex_set_codes(key, lengths);
}
