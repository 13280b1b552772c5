/*
 * omen_stats.c - omen_stats(): what a table consists of, and omen_sampled_stats(), which guesses.
 *
 * The one reads all of it, the other some pages, a page at a time, under AccessShareLock: while others write, the figures are those of no single
 * moment. It judges nothing: what does not make sense is not counted, and omen_check() says why. Who may call it is the
 * business of the SQL script.
 */
#include "omen.h"

#include <math.h>

#include "access/relation.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/procarray.h"

#include "omen_inspect.h"
#include "omen_peek.h"
#include "omen_private.h"

PG_FUNCTION_INFO_V1(omen_stats);
PG_FUNCTION_INFO_V1(omen_sampled_stats);

#define STATS_COLUMNS 13

typedef struct Stats
{
	int64		rows;
	int64		dead_rows;
	int64		aborted_updates;
	int64		versions_in_page;
	int64		versions_in_store;
	int64		store_records;
	int64		row_pages;
	int64		store_pages;
	int64		store_pages_expired;
	int64		new_pages;
	int64		free_bytes;		/* in row pages, between line pointers and items */
	TransactionId oldest_superseder;
} Stats;

static void
count_row(Relation rel, Buffer buffer, OffsetNumber offnum, TransactionId horizon, Stats *stats)
{
	OmenVersion version;

	switch (omen_row_status(rel, buffer, offnum, horizon, &version))
	{
		case HEAPTUPLE_DEAD:
			stats->dead_rows++;
			return;
		case HEAPTUPLE_RECENTLY_DEAD:
			stats->dead_rows++;
			break;
		default:
			stats->rows++;
			break;
	}

	/* an update in progress is a version like any other; an aborted one waits for whoever changes the row next */
	if (!omen_head(rel, buffer, offnum, &version))
		return;
	if (omen_xmin_state(version.tuple.t_data) == OMEN_XMIN_ABORTED)
		stats->aborted_updates++;
	while (omen_peek_needed(&version, horizon))
	{
		const char *problem;
		bool		aborted = omen_xmin_state(version.tuple.t_data) == OMEN_XMIN_ABORTED;

		if (omen_peek_older(rel, buffer, &version, &problem) != OMEN_PEEK_FOUND)
			break;
		if (version.in_page)
			stats->versions_in_page++;
		else
			stats->versions_in_store++;
		if (!aborted && (!TransactionIdIsValid(stats->oldest_superseder) ||
						 TransactionIdPrecedes(version.superseder, stats->oldest_superseder)))
			stats->oldest_superseder = version.superseder;
	}
}

static void
count_store_page(Relation rel, Page page, Stats *stats)
{
	OmenStoreSpecial *special = omen_store_special(page);
	Size		fill = Min(special->fill, OMEN_STORE_END);
	Size		at = OMEN_STORE_START;

	stats->store_pages++;
	if (omen_store_expired(rel, page, GlobalVisTestFor(rel)))
		stats->store_pages_expired++;
	for (OmenRecord *record; (record = omen_record_at((char *) page, at, fill)) != NULL; at = omen_record_end(record, at))
		stats->store_records++;
}

static void
count_page(Relation rel, Buffer buffer, TransactionId horizon, Stats *stats)
{
	Page		page = BufferGetPage(buffer);

	switch (omen_page_kind(rel, BufferGetBlockNumber(buffer), page))
	{
		case OMEN_PAGE_NEW:
			stats->new_pages++;
			break;
		case OMEN_PAGE_STORE:
			count_store_page(rel, page, stats);
			break;
		case OMEN_PAGE_ROWS:
			stats->row_pages++;
			stats->free_bytes += PageGetExactFreeSpace(page);
			for (OffsetNumber offnum = FirstOffsetNumber; offnum <= PageGetMaxOffsetNumber(page); offnum++)
			{
				if (ItemIdIsNormal(PageGetItemId(page, offnum)))
					count_row(rel, buffer, offnum, horizon, stats);
			}
			break;
	}
}

/* Reads all pages, or, of a table with more than "sample" ones, so many that lie at equal distances. */
static void
count_pages(Relation rel, BlockNumber nblocks, BlockNumber sample, Stats *stats)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	TransactionId horizon = GetOldestNonRemovableTransactionId(rel);
	BlockNumber reads = Min(nblocks, sample);

	memset(stats, 0, sizeof(*stats));
	for (BlockNumber i = 0; i < reads; i++)
	{
		BlockNumber block = (BlockNumber) (((uint64) 2 * i + 1) * nblocks / ((uint64) 2 * reads));
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		count_page(rel, buffer, horizon, stats);
		UnlockReleaseBuffer(buffer);
	}
	FreeAccessStrategy(strategy);
}

static Datum
stats_of(Oid relid, BlockNumber sample, FunctionCallInfo fcinfo)
{
	TupleDesc	desc;
	Relation	rel;
	BlockNumber nblocks;
	Stats		stats;
	double		scale;			/* every page read stands for as many */
	Datum		values[STATS_COLUMNS];
	bool		nulls[STATS_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != STATS_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the SQL definition of this function is not the one this library was made for"),
				 errhint("ALTER EXTENSION omen_alex UPDATE, then reconnect.")));
	desc = BlessTupleDesc(desc);

	/*
	 * nothing is known of a table that was dropped meanwhile, or has no pages here; a list of all tables must not fail
	 * on them
	 */
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		PG_RETURN_NULL();
	omen_require_table(rel);
	if (omen_lacks_storage(rel))
	{
		relation_close(rel, AccessShareLock);
		PG_RETURN_NULL();
	}

	nblocks = RelationGetNumberOfBlocks(rel);
	count_pages(rel, nblocks, sample, &stats);
	relation_close(rel, AccessShareLock);
	scale = Max(1.0, (double) nblocks / sample);

	values[0] = Int64GetDatum((int64) rint(stats.rows * scale));
	values[1] = Int64GetDatum((int64) rint(stats.dead_rows * scale));
	values[2] = Int64GetDatum((int64) rint(stats.aborted_updates * scale));
	values[3] = Int64GetDatum((int64) rint(stats.versions_in_page * scale));
	values[4] = Int64GetDatum((int64) rint(stats.versions_in_store * scale));
	values[5] = TransactionIdGetDatum(stats.oldest_superseder);
	nulls[5] = !TransactionIdIsValid(stats.oldest_superseder);
	values[6] = Int64GetDatum((int64) rint(stats.row_pages * scale));
	values[7] = Int64GetDatum((int64) rint(stats.store_pages * scale));
	values[8] = Int64GetDatum((int64) rint(stats.store_pages_expired * scale));
	values[9] = Int64GetDatum((int64) rint(stats.store_records * scale));
	values[10] = Int64GetDatum((int64) rint(stats.new_pages * scale));
	values[11] = Int64GetDatum((int64) nblocks * BLCKSZ);
	/* an average over nothing is NULL */
	nulls[12] = stats.row_pages == 0;
	values[12] = Float8GetDatum(nulls[12] ? 0 : 1 - (double) stats.free_bytes / ((double) stats.row_pages * BLCKSZ));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

Datum
omen_stats(PG_FUNCTION_ARGS)
{
	return stats_of(PG_GETARG_OID(0), MaxBlockNumber, fcinfo);
}

/* omen_sampled_stats("table" regclass, pages int4): the same from so many pages */
Datum
omen_sampled_stats(PG_FUNCTION_ARGS)
{
	int32		pages = PG_GETARG_INT32(1);

	if (pages < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of pages must be greater than zero")));
	return stats_of(PG_GETARG_OID(0), (BlockNumber) pages, fcinfo);
}
