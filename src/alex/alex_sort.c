/*
 * alex_sort.c - external merge sort of leaf records.
 *
 * Input collects in runs small enough to sort in cache-friendly time and between two looks for an interrupt. When memory
 * is used up, the sorted runs in it are merged into one longer run on disk (a BufFile). At the end the runs, in memory or
 * on disk, are merged by a tournament. Input that arrives in order becomes runs that need no sorting.
 *
 * PostgreSQL's tuplesort would do, at several times the cost: it sorts tuples through comparator calls, and refuses
 * index-specific sorts for access methods other than btree before 18.
 */
#include "postgres.h"

#include "alex_core.h"
#include "alex_sort.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#define RUN_RECORDS 65536		/* records sorted at once: 1 MB of two-word records, which the caches hold */
#define FILE_BUFFER_RECORDS 8192	/* read ahead of each run on disk, at most and at least */
#define MIN_FILE_BUFFER_RECORDS 64

/* A sorted sequence being read. */
typedef struct Run
{
	uint64	   *records;		/* all of it, or the part read from the file */
	uint32		n;
	uint32		next;
	/* on disk: where the rest is */
	BufFile    *file;
	int			fileno;
	off_t		offset;
	uint64		left;			/* records not read yet */
} Run;

struct AlexSort
{
	int			words;
	uint64		total;
	Size		work_bytes;
	uint32		file_buffer;	/* records read ahead of each run on disk */

	/* input */
	uint32		max_runs;		/* in memory */
	uint64	  **memory;			/* run buffers */
	uint32		nmemory;		/* full or partly filled ones */
	uint32		fill;			/* records in the last */

	/* runs on disk */
	BufFile    *file;
	Run		   *disk;
	uint32		ndisk;
	uint32		disk_capacity;

	/* merge: a binary heap of runs by their next record */
	Run		   *runs;
	Run		  **heap;
	uint32		nheap;
};

static inline bool
before(const AlexSort *sort, const Run *a, const Run *b)
{
	return alex_compare(a->records + (Size) a->next * sort->words, b->records + (Size) b->next * sort->words,
						sort->words - 1) < 0;
}

static void
sift_down(AlexSort *sort, uint32 at)
{
	Run		   *moving = sort->heap[at];

	for (;;)
	{
		uint32		child = 2 * at + 1;

		if (child >= sort->nheap)
			break;
		if (child + 1 < sort->nheap && before(sort, sort->heap[child + 1], sort->heap[child]))
			child++;
		if (!before(sort, sort->heap[child], moving))
			break;
		sort->heap[at] = sort->heap[child];
		at = child;
	}
	sort->heap[at] = moving;
}

static void
read_exact(BufFile *file, void *data, Size size)
{
#if PG_VERSION_NUM >= 160000
	BufFileReadExact(file, data, size);
#else
	if (BufFileRead(file, data, size) != size)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from a temporary file of an index build")));
#endif
}

/* Makes the run's next record available; false if there is none. */
static bool
fill_run(AlexSort *sort, Run *run)
{
	Size		bytes;

	if (run->next < run->n)
		return true;
	if (run->left == 0)
		return false;
	run->n = (uint32) Min(run->left, sort->file_buffer);
	run->next = 0;
	run->left -= run->n;
	bytes = (Size) run->n * sort->words * sizeof(uint64);
	if (BufFileSeek(run->file, run->fileno, run->offset, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in a temporary file of an index build")));
	read_exact(run->file, run->records, bytes);
	BufFileTell(run->file, &run->fileno, &run->offset);
	return true;
}

static void
start_merge(AlexSort *sort, Run *runs, uint32 n)
{
	sort->heap = palloc(Max(n, 1) * sizeof(Run *));
	sort->nheap = 0;
	for (uint32 i = 0; i < n; i++)
		if (fill_run(sort, &runs[i]))
			sort->heap[sort->nheap++] = &runs[i];
	for (uint32 i = sort->nheap / 2; i-- > 0;)
		sift_down(sort, i);
}

uint32
alex_sort_get(AlexSort *sort, uint64 *out, uint32 n)
{
	uint32		got = 0;

	CHECK_FOR_INTERRUPTS();
	while (got < n && sort->nheap > 0)
	{
		Run		   *run = sort->heap[0];

		memcpy(out + (Size) got * sort->words, run->records + (Size) run->next * sort->words,
			   sort->words * sizeof(uint64));
		got++;
		run->next++;
		if (!fill_run(sort, run))
			sort->heap[0] = sort->heap[--sort->nheap];
		if (sort->nheap > 0)
			sift_down(sort, 0);
	}
	return got;
}

AlexSort *
alex_sort_begin(int words, int work_mem)
{
	AlexSort   *sort = palloc0(sizeof(AlexSort));
	Size		run_bytes = (Size) RUN_RECORDS * words * sizeof(uint64);

	sort->words = words;
	sort->work_bytes = (Size) work_mem * 1024;
	/* at least a few runs, whatever the setting: each one on disk costs a read buffer in the end */
	sort->max_runs = (uint32) Max(sort->work_bytes / run_bytes, 4);
	sort->memory = palloc0(sort->max_runs * sizeof(uint64 *));
	return sort;
}

static void
sort_last_run(AlexSort *sort)
{
	CHECK_FOR_INTERRUPTS();
	alex_sort_records(sort->memory[sort->nmemory - 1], sort->fill, sort->words, sort->words);
}

/* Describes the runs in memory. */
static Run *
memory_runs(AlexSort *sort, Run *runs)
{
	for (uint32 i = 0; i < sort->nmemory; i++)
	{
		memset(&runs[i], 0, sizeof(Run));
		runs[i].records = sort->memory[i];
		runs[i].n = i + 1 < sort->nmemory ? RUN_RECORDS : sort->fill;
	}
	return runs + sort->nmemory;
}

/* Merges the runs in memory into one on disk. */
static void
spill(AlexSort *sort)
{
	Run		   *runs = palloc(sort->nmemory * sizeof(Run));
	uint64	   *buffer = palloc((Size) FILE_BUFFER_RECORDS * sort->words * sizeof(uint64));
	Run		   *run;
	uint32		n;

	if (sort->file == NULL)
	{
		PrepareTempTablespaces();
		sort->file = BufFileCreateTemp(false);
	}
	if (sort->ndisk == sort->disk_capacity)
	{
		sort->disk_capacity = Max(8, sort->disk_capacity * 2);
		sort->disk = sort->disk ? repalloc(sort->disk, sort->disk_capacity * sizeof(Run)) :
			palloc(sort->disk_capacity * sizeof(Run));
	}
	run = &sort->disk[sort->ndisk++];
	memset(run, 0, sizeof(Run));
	run->file = sort->file;
	BufFileTell(sort->file, &run->fileno, &run->offset);

	memory_runs(sort, runs);
	start_merge(sort, runs, sort->nmemory);
	while ((n = alex_sort_get(sort, buffer, FILE_BUFFER_RECORDS)) > 0)
	{
		BufFileWrite(sort->file, buffer, (Size) n * sort->words * sizeof(uint64));
		run->left += n;
	}
	pfree(sort->heap);
	pfree(runs);
	pfree(buffer);
	sort->nmemory = 0;
	sort->fill = 0;
}

void
alex_sort_put(AlexSort *sort, const uint64 *record)
{
	if (sort->nmemory == 0 || sort->fill == RUN_RECORDS)
	{
		if (sort->nmemory > 0)
			sort_last_run(sort);
		if (sort->nmemory == sort->max_runs)
			spill(sort);
		if (sort->memory[sort->nmemory] == NULL)
			sort->memory[sort->nmemory] = palloc((Size) RUN_RECORDS * sort->words * sizeof(uint64));
		sort->nmemory++;
		sort->fill = 0;
	}
	memcpy(sort->memory[sort->nmemory - 1] + (Size) sort->fill * sort->words, record, sort->words * sizeof(uint64));
	sort->fill++;
	sort->total++;
}

uint64
alex_sort_perform(AlexSort *sort)
{
	Run		   *end;

	if (sort->nmemory > 0)
		sort_last_run(sort);

	/* once something is on disk, the memory is better used for reading ahead */
	if (sort->ndisk > 0 && sort->nmemory > 0)
	{
		spill(sort);
		for (uint32 i = 0; i < sort->max_runs; i++)
			if (sort->memory[i] != NULL)
				pfree(sort->memory[i]);
		memset(sort->memory, 0, sort->max_runs * sizeof(uint64 *));
	}
	sort->file_buffer = FILE_BUFFER_RECORDS;
	if (sort->ndisk > 0)
		sort->file_buffer = (uint32) Max(Min(sort->work_bytes / sort->ndisk / (sort->words * sizeof(uint64)),
											 FILE_BUFFER_RECORDS), MIN_FILE_BUFFER_RECORDS);
	sort->runs = palloc((sort->nmemory + sort->ndisk + 1) * sizeof(Run));
	end = memory_runs(sort, sort->runs);
	for (uint32 i = 0; i < sort->ndisk; i++)
	{
		*end = sort->disk[i];
		end->records = palloc((Size) sort->file_buffer * sort->words * sizeof(uint64));
		end++;
	}
	start_merge(sort, sort->runs, end - sort->runs);
	return sort->total;
}

void
alex_sort_end(AlexSort *sort)
{
	if (sort->file)
		BufFileClose(sort->file);
}
