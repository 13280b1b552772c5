/*
 * alex_inspect.c - alex_stats() and alex_page(): what an index looks like.
 *
 * Role: figures for monitoring and a look at one page for people who debug. Both only read, under AccessShareLock, a
 * private copy of one page at a time; while others write, the figures are those of no single moment.
 *
 * Contract: alex_stats() stops at a damaged page, alex_page() describes it. Neither trusts anything in a page that
 * alex_node_problem() has not passed. Who may call them is the business of the SQL script.
 */
#include "postgres.h"

#include <inttypes.h>
#include <math.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/bufpage.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "alex_inspect.h"
#include "open_existing.h"

PG_FUNCTION_INFO_V1(alex_stats);
PG_FUNCTION_INFO_V1(alex_sampled_stats);
PG_FUNCTION_INFO_V1(alex_page);

/* Base records of a leaf whose predicted slot is compared with the true one: all would take as long as alex_check(). */
#define SAMPLES_PER_LEAF 32

#define STATS_COLUMNS 12
#define PAGE_COLUMNS 13

/* ---- shared ---- */

void
alex_require_index(Relation rel)
{
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("index \"%s\" is partitioned and has no pages of its own", RelationGetRelationName(rel)),
				 errhint("Name the index of one partition; pg_partition_tree() lists them.")));
	if (rel->rd_rel->relkind != RELKIND_INDEX || rel->rd_indam->ambuild != alexbuild)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an alex index", RelationGetRelationName(rel)),
				 errhint("Indexes created with \"USING alex\" are.")));
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
	if (!rel->rd_index->indisready)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not built", RelationGetRelationName(rel)),
				 errhint("Wait for CREATE INDEX CONCURRENTLY to end; if it has failed, REINDEX or drop the index.")));
}

bool
alex_lacks_storage(Relation rel)
{
	return rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED && RecoveryInProgress();
}

void
alex_copy_page(Relation rel, BlockNumber block, BufferAccessStrategy strategy, char *copy)
{
	Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(copy, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
}

static Relation
open_index(Oid relid)
{
	Relation	rel = open_existing(relid, AccessShareLock);

	alex_require_index(rel);
	if (alex_lacks_storage(rel))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("unlogged index \"%s\" cannot be read during recovery", RelationGetRelationName(rel))));
	return rel;
}

static TupleDesc
result_descriptor(FunctionCallInfo fcinfo, int columns)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != columns)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the SQL definition of this function is not the one this library was made for"),
				 errhint("ALTER EXTENSION omen_alex UPDATE, then reconnect.")));
	return BlessTupleDesc(desc);
}

/* ---- alex_stats ---- */

typedef struct Stats
{
	int			height;
	int64		leaf_pages;
	int64		inner_pages;
	int64		deleted_pages;
	int64		empty_pages;
	int64		entries;
	int64		delta_entries;
	int64		leaf_free;		/* bytes in the holes of leaves */
	int64		samples;		/* base records whose slot was predicted */
	double		distance;		/* sum of their distances from the prediction */
} Stats;

static void
sample_model(Stats *stats, const char *page)
{
	uint32		count = alex_cheader(page)->count;
	uint32		step = count / SAMPLES_PER_LEAF + 1;
	uint64		record[ALEX_MAX_RECORD_WORDS];

	/* from the middle of the first step on: the ends of a node are no fair sample */
	for (uint32 i = step / 2; i < count; i += step)
	{
		uint32		slot;

		alex_read(page, i, record);
		slot = alex_predict(page, record);
		stats->distance += slot > i ? slot - i : i - slot;
		stats->samples++;
	}
}

static void
count_page(Relation rel, const AlexIndex *index, BlockNumber block, const char *page, Stats *stats)
{
	const AlexNodeHeader *node = alex_cheader(page);
	const char *problem;

	if (PageIsNew((Page) page))
	{
		stats->empty_pages++;
		return;
	}
	problem = alex_node_problem_of(page, index->least, index->words, BLCKSZ);
	if (problem != NULL)
		alex_corrupt(rel, block, psprintf("The %s", problem));

	if (block == ALEX_ROOT_BLOCK)
		stats->height = node->level + 1;
	if (node->flags & ALEX_DELETED)
		stats->deleted_pages++;
	else if (node->level > 0)
		stats->inner_pages++;
	else
	{
		const AlexPageHead *head = (const AlexPageHead *) page;

		stats->leaf_pages++;
		stats->entries += alex_record_count(page);
		stats->delta_entries += alex_delta_count(page);
		stats->leaf_free += head->pd_upper - head->pd_lower;
		sample_model(stats, page);
	}
}

/* Reads all pages, or, of an index with more than "sample" ones, so many that lie at equal distances, and the root. */
static void
count_pages(Relation rel, const AlexIndex *index, BlockNumber nblocks, BlockNumber sample, Stats *stats)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	BlockNumber all = nblocks - ALEX_ROOT_BLOCK;
	BlockNumber reads = Min(all, sample);
	char	   *page = palloc(BLCKSZ);

	for (BlockNumber i = 0; i < reads; i++)
	{
		BlockNumber block = ALEX_ROOT_BLOCK + (BlockNumber) (((uint64) 2 * i + 1) * all / ((uint64) 2 * reads));

		CHECK_FOR_INTERRUPTS();
		alex_copy_page(rel, block, strategy, page);
		count_page(rel, index, block, page, stats);
	}
	if (reads < all)
	{
		alex_copy_page(rel, ALEX_ROOT_BLOCK, strategy, page);
		stats->height = PageIsNew((Page) page) ? 0 : alex_cheader(page)->level + 1;
	}
	FreeAccessStrategy(strategy);
	pfree(page);
}

static Datum
stats_of(Relation rel, BlockNumber sample, TupleDesc desc)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	AlexIndex	index;
	Stats		stats;
	Datum		values[STATS_COLUMNS];
	bool		nulls[STATS_COLUMNS] = {false};
	double		bytes = (double) nblocks * BLCKSZ;
	double		scale;

	alex_open(rel, &index);
	memset(&stats, 0, sizeof(stats));
	count_pages(rel, &index, nblocks, sample, &stats);
	/* every page read stands for as many */
	scale = Max(1.0, (double) (nblocks - ALEX_ROOT_BLOCK) / sample);

	values[0] = Int32GetDatum(stats.height);
	values[1] = Int64GetDatum((int64) rint(stats.leaf_pages * scale));
	values[2] = Int64GetDatum((int64) rint(stats.inner_pages * scale));
	values[3] = Int64GetDatum((int64) rint(stats.deleted_pages * scale));
	values[4] = Int64GetDatum((int64) rint(stats.empty_pages * scale));
	values[5] = Int64GetDatum((int64) rint(stats.entries * scale));
	values[6] = Int64GetDatum((int64) rint(stats.delta_entries * scale));
	values[7] = Int64GetDatum((int64) nblocks * BLCKSZ);

	/* averages over nothing are NULL */
	nulls[8] = stats.entries == 0;
	values[8] = Float8GetDatum(nulls[8] ? 0 : bytes / (stats.entries * scale));
	nulls[9] = nulls[10] = stats.leaf_pages == 0;
	if (stats.leaf_pages > 0)
	{
		double		room = (double) alex_node_capacity_of(index.least, index.words, 0, BLCKSZ) * stats.leaf_pages;

		values[9] = Float8GetDatum(1 - stats.leaf_free / room);
		values[10] = Float8GetDatum(Min(1.0, (double) stats.delta_entries / ((double) ALEX_LEAF_DELTA * stats.leaf_pages)));
	}
	nulls[11] = stats.samples == 0;
	values[11] = Float8GetDatum(nulls[11] ? 0 : stats.distance / stats.samples);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

Datum
alex_stats(PG_FUNCTION_ARGS)
{
	TupleDesc	desc = result_descriptor(fcinfo, STATS_COLUMNS);
	Relation	rel = open_index(PG_GETARG_OID(0));
	Datum		result = stats_of(rel, MaxBlockNumber, desc);

	index_close(rel, AccessShareLock);
	PG_RETURN_DATUM(result);
}

/*
 * alex_sampled_stats(index regclass, pages int4): the same from so many pages. NULL of an index that was dropped meanwhile, or has no
 * pages here: a list of all must not fail on them.
 */
Datum
alex_sampled_stats(PG_FUNCTION_ARGS)
{
	TupleDesc	desc = result_descriptor(fcinfo, STATS_COLUMNS);
	int32		pages = PG_GETARG_INT32(1);
	Relation	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	Datum		result;

	if (pages < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of pages must be greater than zero")));
	if (rel == NULL)
		PG_RETURN_NULL();
	if (rel->rd_rel->relkind == RELKIND_INDEX && (!rel->rd_index->indisready || alex_lacks_storage(rel)))
	{
		relation_close(rel, AccessShareLock);
		PG_RETURN_NULL();
	}
	alex_require_index(rel);
	result = stats_of(rel, (BlockNumber) pages, desc);
	relation_close(rel, AccessShareLock);
	PG_RETURN_DATUM(result);
}

/* ---- alex_page ---- */

/* A fence as text: key image in hexadecimal words, the ext bit if it is set, the TID. */
static Datum
fence_text(const uint64 *fence, int words)
{
	StringInfoData text;
	uint64		tie = fence[words];

	initStringInfo(&text);
	for (int i = 0; i < words; i++)
		appendStringInfo(&text, "%016" PRIx64 " ", (uint64_t) fence[i]);
	if (tie >> ALEX_TID_BITS)
		appendStringInfo(&text, "ext %u ", (unsigned) (tie >> ALEX_TID_BITS));
	appendStringInfo(&text, "(%u,%u)", (uint32) (tie >> 16), (unsigned) (tie & 0xFFFF));
	return CStringGetTextDatum(text.data);
}

/* The names of a node's flags as an array; bits without a name show as a number. */
static Datum
flag_names(uint8 flags)
{
	Datum		names[3];
	int			n = 0;

	if (flags & ALEX_DELETED)
		names[n++] = CStringGetTextDatum("deleted");
	if (flags & ALEX_INCOMPLETE_SPLIT)
		names[n++] = CStringGetTextDatum("incomplete_split");
	flags &= ~(ALEX_DELETED | ALEX_INCOMPLETE_SPLIT);
	if (flags != 0)
		names[n++] = CStringGetTextDatum(psprintf("0x%02x", flags));
	if (n == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Fills the columns "level" to "high_fence" and "detail" for a page that passed alex_node_problem(). */
static void
describe_node(const char *page, const AlexKeyInfo *key, Datum *values, bool *nulls)
{
	const AlexPageHead *head = (const AlexPageHead *) page;
	const AlexNodeHeader *node = alex_cheader(page);
	int			words = node->words;
	uint64	   *scratch = palloc_extended(ALEX_SCRATCH_WORDS(page) * sizeof(uint64), MCXT_ALLOC_HUGE);
	const char *problem = alex_node_validate_of(page, key->least_words, key->words, BLCKSZ, scratch);
	uint64		fence[ALEX_MAX_WORDS + 1];

	for (int i = 1; i <= 10; i++)
		nulls[i] = false;
	values[1] = Int32GetDatum(node->level);
	values[2] = flag_names(node->flags);
	values[3] = Int64GetDatum(node->left);
	nulls[3] = node->left == ALEX_NO_BLOCK;
	values[4] = Int64GetDatum(node->right);
	nulls[4] = node->right == ALEX_NO_BLOCK;
	values[5] = Int32GetDatum(node->count - alex_removed_count(page));
	values[6] = Int32GetDatum(alex_delta_count(page));
	values[7] = Int32GetDatum(alex_removed_count(page));
	values[8] = Int32GetDatum(node->level == 0 ? alex_killed_count(page) : 0);
	values[9] = Int32GetDatum(head->pd_upper - head->pd_lower);
	values[10] = fence_text(alex_low_fence(page, fence), words);
	if (node->right != ALEX_NO_BLOCK)
	{
		nulls[11] = false;
		values[11] = fence_text(alex_high_fence(page, fence), words);
	}
	if (problem != NULL)
	{
		nulls[12] = false;
		values[12] = CStringGetTextDatum(problem);
	}
	pfree(scratch);
}

Datum
alex_page(PG_FUNCTION_ARGS)
{
	int64		block = PG_GETARG_INT64(1);
	TupleDesc	desc = result_descriptor(fcinfo, PAGE_COLUMNS);
	Relation	rel = open_index(PG_GETARG_OID(0));
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	char	   *page = palloc(BLCKSZ);
	const char *kind;
	const char *detail = NULL;
	AlexKeyInfo key;
	Datum		values[PAGE_COLUMNS];
	bool		nulls[PAGE_COLUMNS];

	if (block < 0 || block >= nblocks)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("block number " INT64_FORMAT " is out of range for index \"%s\"", block,
						RelationGetRelationName(rel)),
				 errdetail("The index has %u blocks.", nblocks)));

	/* not alex_open(), which insists on a sound metapage */
	alex_key_info(rel, &key);
	alex_copy_page(rel, (BlockNumber) block, NULL, page);

	memset(nulls, true, sizeof(nulls));
	if (PageIsNew((Page) page))
		kind = "empty";
	else if (block == ALEX_META_BLOCK)
	{
		const AlexMeta *meta = AlexPageGetMeta((Page) page);

		kind = "meta";
		if (meta->magic != ALEX_META_MAGIC)
			kind = "invalid", detail = "page is not an alex metapage";
		else if (meta->version != ALEX_FORMAT_VERSION || meta->page_size != BLCKSZ ||
				 meta->byte_order != ALEX_BYTE_ORDER || meta->words != key.words)
			detail = psprintf("format version %u, %u key words, block size %u, %s byte order; this server wants %u, %d, %u",
							  meta->version, meta->words, meta->page_size,
							  meta->byte_order == ALEX_BYTE_ORDER ? "this server's" : "another",
							  ALEX_FORMAT_VERSION, key.words, BLCKSZ);
	}
	else if ((detail = alex_node_problem_of(page, key.least_words, key.words, BLCKSZ)) != NULL)
		kind = "invalid";
	else
	{
		const AlexNodeHeader *node = alex_cheader(page);

		kind = (node->flags & ALEX_DELETED) ? "deleted" : node->level > 0 ? "inner" : "leaf";
		describe_node(page, &key, values, nulls);
	}
	index_close(rel, AccessShareLock);

	nulls[0] = false;
	values[0] = CStringGetTextDatum(kind);
	if (detail != NULL)
	{
		nulls[PAGE_COLUMNS - 1] = false;
		values[PAGE_COLUMNS - 1] = CStringGetTextDatum(detail);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
