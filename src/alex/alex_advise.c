/*
 * alex_advise.c - how large a btree index would be as an alex index.
 *
 * Role: alex_estimate() reads runs of neighbouring leaves of a btree, makes records of their entries and lets the core plan nodes of
 * them as CREATE INDEX would. How many nodes a leaf makes there, on average, times the leaves there are, is the size. Small indexes are
 * read as a whole. alex_advise() in the SQL script asks this for every btree.
 *
 * Contract: only reads, under AccessShareLock, a private copy of one page at a time. Nothing in a page is trusted before it has been
 * compared with the page's bounds. Shows no key, only sizes.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/relation.h"
#include "catalog/pg_am_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufpage.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "alex_convert.h"
#include "alex_inspect.h"
#include "open_existing.h"

PG_FUNCTION_INFO_V1(alex_estimate);

/* Indexes up to so many pages are read as a whole. */
#define WHOLE_PAGES 1024

/* Of larger ones, so many places are looked at, runs of leaves begin at some of them, and end with their nodes or their pages. */
#define PLACES 256
#define RUNS 64
#define RUN_NODES 6
#define RUN_PAGES 128

/* Entries of an inner node, roughly: it decides about less than a hundredth of the size. */
#define INNER_FANOUT 300

typedef struct Estimate
{
	Relation	index;
	AlexKeyInfo key;
	uint32		room;			/* bytes to fill of a node */
	BufferAccessStrategy strategy;
	MemoryContext of_page;		/* reset after every page */
	char	   *page;

	/* records of the leaves read last that are in no node yet, and where in the run each leaf ends */
	uint64	   *records;
	uint64	   *scratch;
	uint32		n;
	uint32		capacity;
	uint64		taken;			/* records of this run that are in nodes */
	uint64		ends[RUN_PAGES];
	int			pages;			/* of this run */
	uint32		guess;

	double		nodes;			/* of this run */
} Estimate;

/* ---- the btree ---- */

/* Of the page read last. */
static BTPageOpaque
opaque_of(const Estimate *estimate)
{
	return (BTPageOpaque) PageGetSpecialPointer((Page) estimate->page);
}

/* Copies a page; returns false if it is no page of a btree, as a new or a damaged one. */
static bool
read_page(Estimate *estimate, BlockNumber block)
{
	PageHeader	header = (PageHeader) estimate->page;

	CHECK_FOR_INTERRUPTS();
	alex_copy_page(estimate->index, block, estimate->strategy, estimate->page);
	return !PageIsNew((Page) estimate->page) && header->pd_lower >= SizeOfPageHeaderData && header->pd_lower <= BLCKSZ &&
		header->pd_special == BLCKSZ - MAXALIGN(sizeof(BTPageOpaqueData));
}

/* Copies a page; returns false if it is no leaf that has entries of use. */
static bool
read_leaf(Estimate *estimate, BlockNumber block)
{
	return read_page(estimate, block) && P_ISLEAF(opaque_of(estimate)) && !P_IGNORE(opaque_of(estimate));
}

static void
add_record(Estimate *estimate, const Datum *values, const bool *isnull, ItemPointer tid)
{
	int			stride = estimate->key.words + 1;
	uint64	   *record;

	if (estimate->n == estimate->capacity)
	{
		estimate->capacity *= 2;
		estimate->records = repalloc_huge(estimate->records, (Size) estimate->capacity * stride * sizeof(uint64));
		estimate->scratch = repalloc_huge(estimate->scratch, (Size) estimate->capacity * stride * sizeof(uint64));
	}
	record = estimate->records + (Size) estimate->n * stride;
	alex_key_record(&estimate->key, values, isnull, tid, record);
	estimate->n++;
}

/* Strings that may be too long for a record are left out: how alex would refuse them is of no interest here. */
static bool
has_long_strings(const Estimate *estimate, const Datum *values, const bool *isnull)
{
	Size		bytes = 0;

	for (int c = 0; c < estimate->key.columns; c++)
	{
		if (TupleDescAttr(RelationGetDescr(estimate->index), c)->attlen == -1 && !isnull[c])
			bytes += toast_raw_datum_size(values[c]);
	}
	return bytes > estimate->key.words * sizeof(uint64) / 3;
}

/* The records of one entry, which are several where the btree has put equal keys into one. */
static void
add_entry(Estimate *estimate, IndexTuple entry, Size room)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (room < sizeof(IndexTupleData) || IndexTupleSize(entry) > room)
		return;
	index_deform_tuple(entry, RelationGetDescr(estimate->index), values, isnull);
	if (has_long_strings(estimate, values, isnull))
		return;
	if (!BTreeTupleIsPosting(entry))
	{
		add_record(estimate, values, isnull, &entry->t_tid);
		return;
	}
	if (BTreeTupleGetPostingOffset(entry) + (Size) BTreeTupleGetNPosting(entry) * sizeof(ItemPointerData) > room)
		return;
	for (int i = 0; i < BTreeTupleGetNPosting(entry); i++)
		add_record(estimate, values, isnull, BTreeTupleGetPostingN(entry, i));
}

/* Adds the records of the leaf that was read; returns the next leaf. */
static BlockNumber
add_leaf(Estimate *estimate)
{
	Page		page = (Page) estimate->page;
	BTPageOpaque opaque = opaque_of(estimate);
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	MemoryContext old = MemoryContextSwitchTo(estimate->of_page);

	for (OffsetNumber i = P_FIRSTDATAKEY(opaque); i <= last; i++)
	{
		ItemId		item = PageGetItemId(page, i);

		if (ItemIdIsNormal(item) && ItemIdGetOffset(item) + ItemIdGetLength(item) <= BLCKSZ)
			add_entry(estimate, (IndexTuple) PageGetItem(page, item), ItemIdGetLength(item));
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(estimate->of_page);
	estimate->ends[Min(estimate->pages, RUN_PAGES - 1)] = estimate->taken + estimate->n;
	estimate->pages++;
	return P_RIGHTMOST(opaque) ? InvalidBlockNumber : opaque->btpo_next;
}

/* ---- nodes ---- */

static void
pause_sort(void)
{
	CHECK_FOR_INTERRUPTS();
}

/* The order of the entries is that of the records, but for what a btree does not know: -0.0, and TIDs of very old indexes. */
static void
sort_records(Estimate *estimate)
{
	int			stride = estimate->key.words + 1;

	for (uint32 i = 1; i < estimate->n; i++)
	{
		uint64	   *record = estimate->records + (Size) i * stride;

		if (alex_compare(record - stride, record, estimate->key.words) > 0)
		{
			alex_sort_records(estimate->records, estimate->scratch, estimate->n, stride, pause_sort);
			return;
		}
	}
}

/* Takes nodes from the records, as long as they are full, or, at the end of the index, all. */
static void
take_nodes(Estimate *estimate, bool all, uint64 *columns)
{
	int			stride = estimate->key.words + 1;
	uint32		done = 0;

	sort_records(estimate);
	while (done < estimate->n)
	{
		AlexPlan	plan;
		uint32		left = estimate->n - done;
		const uint64 *first = estimate->records + (Size) done * stride;
		uint64		low[ALEX_MAX_WORDS + 1];

		CHECK_FOR_INTERRUPTS();
		if (done > 0)
			alex_make_separator(first - stride, first, estimate->key.words, low);
		alex_plan_node_of(first, Min(left, ALEX_MAX_RECORDS + 1), estimate->key.least_words, estimate->key.words, 0, done > 0 ? low : NULL,
						  estimate->room, estimate->guess, columns, &plan);
		if (plan.n == left && !all)
			break;
		estimate->nodes++;
		estimate->guess = plan.n;
		done += plan.n;
	}
	estimate->taken += done;
	estimate->n -= done;
	memmove(estimate->records, estimate->records + (Size) done * stride, (Size) estimate->n * stride * sizeof(uint64));
}

/* How many leaves of the run hold the records that went into nodes, the last one in part. */
static double
leaves_taken(const Estimate *estimate)
{
	uint64		before = 0;
	int			pages = Min(estimate->pages, RUN_PAGES);

	for (int i = 0; i < pages; i++)
	{
		if (estimate->taken <= estimate->ends[i])
			return estimate->ends[i] == before ? i : i + (double) (estimate->taken - before) / (estimate->ends[i] - before);
		before = estimate->ends[i];
	}
	return pages;
}

static void
begin_run(Estimate *estimate)
{
	estimate->n = 0;
	estimate->taken = 0;
	estimate->pages = 0;
	estimate->nodes = 0;
	estimate->guess = 256;
}

/* From the leaf that was read on: how many nodes a leaf of the btree makes, or -1 if the index ends before a node does. */
static double
sample_run(Estimate *estimate, uint64 *columns)
{
	BlockNumber next;
	double		leaves;

	begin_run(estimate);
	do
	{
		next = add_leaf(estimate);
		/* planning again what did not fill a node would cost more than reading */
		if (estimate->n > estimate->guess + estimate->guess / 2)
		{
			uint64		taken = estimate->taken;

			take_nodes(estimate, false, columns);
			if (estimate->taken == taken)
				estimate->guess = Max(estimate->guess, estimate->n);
		}
	} while (estimate->nodes < RUN_NODES && estimate->pages < RUN_PAGES && next != InvalidBlockNumber &&
			 read_leaf(estimate, next));
	if (estimate->nodes == 0 && estimate->pages >= RUN_PAGES)
	{
		take_nodes(estimate, false, columns);
		/* more leaves than these in a node: no node has more records than this */
		if (estimate->nodes == 0)
			return estimate->n / (double) ALEX_MAX_RECORDS / estimate->pages;
	}
	leaves = leaves_taken(estimate);
	return leaves > 0 ? estimate->nodes / leaves : -1;
}

/* The leaves of a large index: every place stands for as many of the btree's. */
static double
sample_index(Estimate *estimate, BlockNumber blocks, uint64 *columns)
{
	int			leaves = 0;
	int			runs = 0;
	double		sum = 0;

	for (int i = 0; i < PLACES; i++)
	{
		double		nodes;

		if (!read_leaf(estimate, (BlockNumber) ((uint64) blocks * (2 * i + 1) / (2 * PLACES))))
			continue;
		leaves++;
		if (i % (PLACES / RUNS) != 0)
			continue;
		nodes = sample_run(estimate, columns);
		if (nodes >= 0)
		{
			runs++;
			sum += nodes;
		}
	}
	return runs > 0 ? sum / runs * blocks * leaves / PLACES : -1;
}

/* The leaves of a small one: from the first leaf to the last. */
static double
read_index(Estimate *estimate, BlockNumber blocks, uint64 *columns)
{
	BlockNumber next = InvalidBlockNumber;

	begin_run(estimate);
	for (BlockNumber block = BTREE_METAPAGE + 1; block < blocks; block++)
	{
		if (read_leaf(estimate, block) && P_LEFTMOST(opaque_of(estimate)))
		{
			next = block;
			break;
		}
	}
	/* a chain that leads in a circle ends, too */
	for (BlockNumber i = 0; i < blocks && next != InvalidBlockNumber && next < blocks; i++)
	{
		if (!read_page(estimate, next) || !P_ISLEAF(opaque_of(estimate)))
			break;
		next = P_IGNORE(opaque_of(estimate)) ? opaque_of(estimate)->btpo_next : add_leaf(estimate);
		if (estimate->n > 2 * (ALEX_MAX_RECORDS + 1))
			take_nodes(estimate, false, columns);
	}
	take_nodes(estimate, true, columns);
	return estimate->nodes;
}

static int64
with_inner_nodes(double leaves)
{
	double		pages = 2 + Max(ceil(leaves), 1);	/* metapage, root */

	for (double nodes = leaves / INNER_FANOUT; nodes > 1; nodes /= INNER_FANOUT)
		pages += ceil(nodes);
	return (int64) pages * BLCKSZ;
}

static int64
estimate_size(Relation index)
{
	Estimate	estimate = {.index = index};
	BlockNumber blocks = RelationGetNumberOfBlocks(index);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "alex advise", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Size		stride;
	uint64	   *columns;
	double		leaves = -1;

	alex_key_info(index, &estimate.key);
	stride = estimate.key.words + 1;
	estimate.room = alex_node_capacity_of(estimate.key.least_words, estimate.key.words, 1, BLCKSZ) / 100 * ALEX_DEFAULT_FILLFACTOR;
	estimate.strategy = GetAccessStrategy(BAS_BULKREAD);
	estimate.of_page = AllocSetContextCreate(context, "alex advise page", ALLOCSET_SMALL_SIZES);
	/* a damaged entry may say that it has columns beyond its end */
	estimate.page = palloc0(BLCKSZ + INDEX_MAX_KEYS * 2 * sizeof(uint64));
	estimate.capacity = 4096;
	estimate.records = palloc(estimate.capacity * stride * sizeof(uint64));
	estimate.scratch = palloc(estimate.capacity * stride * sizeof(uint64));
	columns = MemoryContextAllocHuge(context, (Size) ALEX_MAX_RECORDS * alex_stride(estimate.key.words, 1) * sizeof(uint64));

	if (blocks > WHOLE_PAGES)
		leaves = sample_index(&estimate, blocks, columns);
	if (leaves < 0)
		leaves = read_index(&estimate, blocks, columns);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return with_inner_nodes(leaves);
}

/* ---- the function ---- */

/* The index, if it is one whose pages can be read here and now. */
static Relation
open_readable(Oid indexid)
{
	Relation	index = open_existing(indexid, AccessShareLock);

	if (index->rd_rel->relkind == RELKIND_INDEX && index->rd_rel->relam == BTREE_AM_OID && !alex_lacks_storage(index))
		return index;
	relation_close(index, AccessShareLock);
	return NULL;
}

/*
 * alex_estimate(index regclass, OUT bytes int8, OUT problem text): the size of a btree as an alex index, or why it cannot be one, whoever
 * owns it. Both are NULL of what can be one but cannot be read: alex_advise() asks this for every btree of a database.
 */
Datum
alex_estimate(PG_FUNCTION_ARGS)
{
	Oid			indexid = PG_GETARG_OID(0);
	char	   *problem = alex_shape_problem(indexid, alex_conversion_method("alex"));
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		isnull[2] = {true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != lengthof(values))
		elog(ERROR, "alex_estimate() has another result in SQL");
	if (problem != NULL)
	{
		values[1] = CStringGetTextDatum(problem);
		isnull[1] = false;
	}
	else
	{
		Relation	index = open_readable(indexid);

		if (index != NULL)
		{
			values[0] = Int64GetDatum(estimate_size(index));
			isnull[0] = false;
			relation_close(index, AccessShareLock);
		}
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}
