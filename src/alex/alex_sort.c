/*
 * alex_sort.c - external merge sort of leaf records.
 *
 * Input collects in one array. When memory is used up, it is sorted and becomes a run on disk (a BufFile); at the end the
 * runs are merged by a tournament. If all fits in memory, the records are sorted and handed out where they are. Input that
 * arrives in order is not sorted at all, and may fill the memory that sorting would need.
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

#define FIRST_RECORDS 4096		/* room to begin with; doubled as needed */
#define MIN_RECORDS 65536		/* room that is used whatever the setting: each run costs a read buffer in the end */
#define FILE_BUFFER_RECORDS 8192	/* read ahead of each run on disk, at most and at least */
#define MIN_FILE_BUFFER_RECORDS 64

/* A sorted sequence on disk. */
typedef struct Run
{
	uint64	   *records;		/* the part read */
	uint32		n;
	uint32		next;
	/* where the rest is */
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

	/* in memory: the input, and in the end the records in order, or the part of them the merge made last */
	uint64	   *records;
	Size		n;
	Size		next;			/* of those handed out */
	Size		capacity;
	bool		sorted;			/* they came in order */

	/* on disk */
	BufFile    *file;
	Run		   *disk;
	uint32		ndisk;
	uint32		disk_capacity;

	/* merge: a binary heap of runs by their next record */
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
	if (BufFileSeek(sort->file, run->fileno, run->offset, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in a temporary file of an index build")));
	read_exact(sort->file, run->records, bytes);
	BufFileTell(sort->file, &run->fileno, &run->offset);
	return true;
}

static void
start_merge(AlexSort *sort)
{
	sort->heap = palloc(sort->ndisk * sizeof(Run *));
	sort->nheap = 0;
	for (uint32 i = 0; i < sort->ndisk; i++)
	{
		sort->disk[i].records = palloc((Size) sort->file_buffer * sort->words * sizeof(uint64));
		if (fill_run(sort, &sort->disk[i]))
			sort->heap[sort->nheap++] = &sort->disk[i];
	}
	for (uint32 i = sort->nheap / 2; i-- > 0;)
		sift_down(sort, i);
}

/* Fills the records in memory from the runs. */
static void
merge(AlexSort *sort)
{
	CHECK_FOR_INTERRUPTS();
	while (sort->n < sort->capacity && sort->nheap > 0)
	{
		Run		   *run = sort->heap[0];

		memcpy(sort->records + sort->n * sort->words, run->records + (Size) run->next * sort->words,
			   sort->words * sizeof(uint64));
		sort->n++;
		run->next++;
		if (!fill_run(sort, run))
			sort->heap[0] = sort->heap[--sort->nheap];
		if (sort->nheap > 0)
			sift_down(sort, 0);
	}
}

AlexSort *
alex_sort_begin(int words, int work_mem)
{
	AlexSort   *sort = palloc0(sizeof(AlexSort));

	sort->words = words;
	sort->work_bytes = (Size) work_mem * 1024;
	sort->capacity = FIRST_RECORDS;
	sort->records = palloc(sort->capacity * words * sizeof(uint64));
	sort->sorted = true;
	return sort;
}

/* Records that may be in memory: sorting them takes as much again. */
static inline Size
most_records(const AlexSort *sort)
{
	Size		bytes = sort->sorted ? sort->work_bytes : sort->work_bytes / 2;

	return Max(bytes / (sort->words * sizeof(uint64)), MIN_RECORDS);
}

static void
look_for_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

static void
sort_memory(AlexSort *sort)
{
	if (!sort->sorted)
	{
		uint64	   *spare = MemoryContextAllocHuge(CurrentMemoryContext, sort->n * sort->words * sizeof(uint64));

		alex_sort_many(sort->records, spare, sort->n, sort->words, look_for_interrupts);
		pfree(spare);
	}
}

/* Makes a run on disk of the records in memory. */
static void
spill(AlexSort *sort)
{
	Run		   *run;

	sort_memory(sort);
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
	BufFileTell(sort->file, &run->fileno, &run->offset);
	run->left = sort->n;
	for (Size i = 0; i < sort->n; i += FILE_BUFFER_RECORDS)
	{
		CHECK_FOR_INTERRUPTS();
		BufFileWrite(sort->file, sort->records + i * sort->words,
					 Min(sort->n - i, FILE_BUFFER_RECORDS) * sort->words * sizeof(uint64));
	}
	sort->n = 0;
	sort->sorted = true;
}

static void
set_capacity(AlexSort *sort, Size capacity)
{
	sort->capacity = capacity;
	sort->records = repalloc_huge(sort->records, capacity * sort->words * sizeof(uint64));
}

/* The input turns out not to be in order. */
static void
lose_order(AlexSort *sort)
{
	Size		most;

	sort->sorted = false;
	most = most_records(sort);
	if (sort->n > most)
	{
		/* more than can be sorted together with others, but in order: a run of its own */
		sort->sorted = true;
		spill(sort);
		set_capacity(sort, FIRST_RECORDS);
	}
	else if (sort->capacity > most)
		set_capacity(sort, most);
}

void
alex_sort_put(AlexSort *sort, const uint64 *record)
{
	if (sort->sorted && sort->n > 0 &&
		alex_compare(sort->records + (sort->n - 1) * sort->words, record, sort->words - 1) > 0)
		lose_order(sort);
	if (sort->n == sort->capacity)
	{
		Size		most = most_records(sort);

		if (sort->capacity < most)
			set_capacity(sort, Min(sort->capacity * 2, most));
		else
			spill(sort);
	}
	memcpy(sort->records + sort->n * sort->words, record, sort->words * sizeof(uint64));
	sort->n++;
	sort->total++;
}

uint64
alex_sort_perform(AlexSort *sort)
{
	if (sort->ndisk == 0)
	{
		sort_memory(sort);
		return sort->total;
	}

	/* once something is on disk, the memory is better used for reading ahead */
	if (sort->n > 0)
		spill(sort);
	pfree(sort->records);
	sort->capacity = ALEX_SORT_WINDOW;
	sort->records = palloc(sort->capacity * sort->words * sizeof(uint64));
	sort->file_buffer = (uint32) Max(Min(sort->work_bytes / sort->ndisk / (sort->words * sizeof(uint64)),
										 FILE_BUFFER_RECORDS), MIN_FILE_BUFFER_RECORDS);
	start_merge(sort);
	return sort->total;
}

uint64 *
alex_sort_peek(AlexSort *sort, uint32 wanted, uint32 *n)
{
	if (sort->n - sort->next < wanted && sort->nheap > 0)
	{
		/* what is left moves to the front, once for many leaves */
		sort->n -= sort->next;
		memmove(sort->records, sort->records + sort->next * sort->words, sort->n * sort->words * sizeof(uint64));
		sort->next = 0;
		merge(sort);
	}
	*n = (uint32) Min(sort->n - sort->next, PG_UINT32_MAX);
	return sort->records + sort->next * sort->words;
}

void
alex_sort_skip(AlexSort *sort, uint32 n)
{
	sort->next += n;
}

void
alex_sort_end(AlexSort *sort)
{
	if (sort->file)
		BufFileClose(sort->file);
}
