/*
 * alex_sort.c - external merge sort of leaf records.
 *
 * Input collects in one array. When memory is used up, it is sorted and becomes a run on disk (a BufFile); at the end the
 * runs are merged by a tournament. If all fits in memory, the records are sorted and handed out where they are. Input that
 * arrives in order is not sorted at all, and may fill the memory that sorting would need.
 *
 * Several processes can share the work: each sorts the records it has, all but one leave them as runs in a set of files that
 * they share, and that one merges these with its own.
 *
 * PostgreSQL's tuplesort would do, at several times the cost: it sorts tuples through comparator calls, and refuses
 * index-specific sorts for access methods other than btree before 18.
 */
#include "postgres.h"

#include "alex_core.h"
#include "alex_sort.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#define FIRST_RECORDS 4096		/* room to begin with; doubled as needed */
#define MIN_RECORDS 65536		/* room that is used whatever the setting: each run costs a read buffer in the end; but not ... */
#define MIN_BYTES (4 * 1024 * 1024) /* ... if they take more than this */
#define FILE_BUFFER_RECORDS 8192	/* read ahead of each run on disk, at most and at least */
#define MIN_FILE_BUFFER_RECORDS 64

/* A sorted sequence, on disk or in memory. */
typedef struct Run
{
	uint64	   *records;		/* the part read, or all of it */
	uint64	   *next;			/* of those the next to be merged ... */
	uint64	   *end;			/* ... and the end */
	/* where the rest is */
	BufFile    *file;
	off_t		offset;
	uint64		left;			/* records not read yet */
	int			words;			/* of each of its records */
} Run;

struct AlexSort
{
	int			words;			/* of the records in memory */
	int			least_words;
	uint64		total;
	Size		work_bytes;
	uint32		file_buffer;	/* records read ahead of each run on disk */

	/* in memory: the input, and in the end the records in order, or the part of them the merge made last */
	uint64	   *records;
	Size		n;
	Size		next;			/* of those handed out */
	Size		capacity;
	bool		sorted;			/* they came in order, or were sorted */

	/* on disk */
	FileSet    *set;			/* for a file that others will read, or NULL */
	int			part;
	BufFile    *file;			/* our own */
	off_t		written;
	List	   *files;			/* of other processes */
	Run		   *runs;
	uint32		nruns;
	uint32		runs_capacity;

	/* merge: a binary heap of runs by their next record */
	Run		  **heap;
	uint32		nheap;
};

static inline Size
record_bytes(const AlexSort *sort)
{
	return sort->words * sizeof(uint64);
}

static void
read_exact(BufFile *file, off_t offset, void *data, Size size)
{
	if (BufFileSeek(file, 0, offset, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in a temporary file of an index build")));
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
	Size		n;

	if (run->next < run->end)
		return true;
	if (run->left == 0)
		return false;
	n = Min(run->left, sort->file_buffer);
	read_exact(run->file, run->offset, run->records, n * run->words * sizeof(uint64));
	run->next = run->records;
	run->end = run->records + n * run->words;
	run->offset += n * run->words * sizeof(uint64);
	run->left -= n;
	return true;
}

/*
 * The merge is compiled for sizes of records, "words" being 0 where they differ: with a size known only at run time, most of it would be calls to copy and loops
 * to compare 16 bytes.
 */
static pg_attribute_always_inline bool
before(const Run *a, const Run *b, int words)
{
	if (words == 0)
		return alex_compare_widths(a->next, a->words - 1, b->next, b->words - 1) < 0;
	for (int i = 0; i < words - 1; i++)
		if (a->next[i] != b->next[i])
			return a->next[i] < b->next[i];
	return a->next[words - 1] < b->next[words - 1];
}

static pg_attribute_always_inline void
sift_down(AlexSort *sort, uint32 at, int words)
{
	Run		   *moving = sort->heap[at];

	for (;;)
	{
		uint32		child = 2 * at + 1;

		if (child >= sort->nheap)
			break;
		if (child + 1 < sort->nheap && before(sort->heap[child + 1], sort->heap[child], words))
			child++;
		if (!before(sort->heap[child], moving, words))
			break;
		sort->heap[at] = sort->heap[child];
		at = child;
	}
	sort->heap[at] = moving;
}

static void
start_merge(AlexSort *sort)
{
	sort->heap = palloc(sort->nruns * sizeof(Run *));
	sort->nheap = 0;
	for (uint32 i = 0; i < sort->nruns; i++)
	{
		Run		   *run = &sort->runs[i];

		if (run->left > 0)
			run->records = palloc_extended(sort->file_buffer * run->words * sizeof(uint64), MCXT_ALLOC_HUGE);
		if (fill_run(sort, run))
			sort->heap[sort->nheap++] = run;
	}
	for (uint32 i = sort->nheap / 2; i-- > 0;)
		sift_down(sort, i, 0);
}

static pg_attribute_always_inline void
merge_words(AlexSort *sort, int words)
{
	const int	to_words = words > 0 ? words : sort->words;
	uint64	   *to = sort->records + sort->n * to_words;
	uint64	   *end = sort->records + sort->capacity * to_words;

	while (to < end && sort->nheap > 0)
	{
		Run		   *run = sort->heap[0];

		if (words > 0)
			for (int i = 0; i < words; i++)
				to[i] = run->next[i];
		else
			alex_widen_position(run->next, run->words - 1, to, to_words - 1);
		to += to_words;
		run->next += words > 0 ? words : run->words;
		if (!fill_run(sort, run))
			sort->heap[0] = sort->heap[--sort->nheap];
		if (sort->nheap > 1)
			sift_down(sort, 0, words);
	}
	sort->n = (to - sort->records) / to_words;
}

/* Fills the records in memory from the runs. */
static void
merge(AlexSort *sort)
{
	CHECK_FOR_INTERRUPTS();
	/* if none is longer than the shortest can be, all are of one size */
	switch (sort->words == sort->least_words ? sort->words : 0)
	{
		case 2:
			merge_words(sort, 2);
			break;
		case 3:
			merge_words(sort, 3);
			break;
		default:
			merge_words(sort, 0);
	}
}

AlexSort *
alex_sort_begin(int words, int work_mem, FileSet *set, int part)
{
	AlexSort   *sort = palloc0(sizeof(AlexSort));

	sort->words = sort->least_words = words;
	sort->work_bytes = (Size) work_mem * 1024;
	sort->capacity = FIRST_RECORDS;
	sort->records = palloc(sort->capacity * words * sizeof(uint64));
	sort->sorted = true;
	sort->set = set;
	sort->part = part;
	return sort;
}

/* Records that may be in memory: sorting them takes as much again. */
static inline Size
most_records(const AlexSort *sort)
{
	Size		bytes = sort->sorted ? sort->work_bytes : sort->work_bytes / 2;

	return Max(bytes / record_bytes(sort), Min(MIN_RECORDS, Max(MIN_BYTES / record_bytes(sort), FIRST_RECORDS)));
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

		alex_sort_records(sort->records, spare, sort->n, sort->words, look_for_interrupts);
		pfree(spare);
		sort->sorted = true;
	}
}

/* A run in a file, or if that is NULL, in memory. */
static Run *
add_run(AlexSort *sort, BufFile *file, off_t offset, uint64 left, int words)
{
	Run		   *run;

	if (sort->nruns == sort->runs_capacity)
	{
		sort->runs_capacity = Max(8, sort->runs_capacity * 2);
		sort->runs = sort->runs ? repalloc(sort->runs, sort->runs_capacity * sizeof(Run)) :
			palloc(sort->runs_capacity * sizeof(Run));
	}
	run = &sort->runs[sort->nruns++];
	memset(run, 0, sizeof(Run));
	run->file = file;
	run->offset = offset;
	run->left = left;
	run->words = words;
	return run;
}

#define MAX_PART_NAME 16

static char *
part_name(char *name, int part)
{
	snprintf(name, MAX_PART_NAME, "part%d", part);
	return name;
}

static void
write_bytes(AlexSort *sort, void *data, Size size)
{
	BufFileWrite(sort->file, data, size);
	sort->written += size;
}

/* Makes a run on disk of the records in memory. */
static void
spill(AlexSort *sort)
{
	sort_memory(sort);
	if (sort->file == NULL && sort->set)
	{
		char		name[MAX_PART_NAME];

		sort->file = BufFileCreateFileSet(sort->set, part_name(name, sort->part));
	}
	else if (sort->file == NULL)
	{
		PrepareTempTablespaces();
		sort->file = BufFileCreateTemp(false);
	}
	add_run(sort, sort->file, sort->written, sort->n, sort->words);
	for (Size i = 0; i < sort->n; i += FILE_BUFFER_RECORDS)
	{
		CHECK_FOR_INTERRUPTS();
		write_bytes(sort, sort->records + i * sort->words, Min(sort->n - i, FILE_BUFFER_RECORDS) * record_bytes(sort));
	}
	sort->n = 0;
	sort->sorted = true;
	/* a long key does not make those of further runs long, too; the memory has room for so many short ones */
	sort->words = sort->least_words;
}

static void
set_capacity(AlexSort *sort, Size capacity)
{
	sort->capacity = capacity;
	sort->records = repalloc_huge(sort->records, capacity * sort->words * sizeof(uint64));
}

/* Gives the records in memory more words; or makes a run of them first, if they are too many for that. */
static void
widen(AlexSort *sort, int words)
{
	int			had = sort->words;

	sort->words = words;
	if (sort->n >= most_records(sort))
	{
		sort->words = had;
		spill(sort);
		had = sort->words;
		sort->words = words;
		sort->capacity = FIRST_RECORDS;
	}
	set_capacity(sort, Max(Min(sort->capacity, most_records(sort)), FIRST_RECORDS));
	alex_widen_records(sort->records, (uint32) sort->n, had - 1, words - 1, 0);
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
alex_sort_put(AlexSort *sort, const uint64 *record, int key_words)
{
	if (unlikely(key_words >= sort->words))
		widen(sort, key_words + 1);
	if (sort->sorted && sort->n > 0 &&
		alex_compare_widths(sort->records + (sort->n - 1) * sort->words, sort->words - 1, record, key_words) > 0)
		lose_order(sort);
	if (sort->n == sort->capacity)
	{
		Size		most = most_records(sort);

		if (sort->capacity < most)
			set_capacity(sort, Min(sort->capacity * 2, most));
		else
			spill(sort);
	}
	/* a run that was made left no long ones here */
	if (unlikely(key_words >= sort->words))
		widen(sort, key_words + 1);
	if (likely(key_words == sort->words - 1))
		memcpy(sort->records + sort->n * sort->words, record, sort->words * sizeof(uint64));
	else
		alex_widen_position(record, key_words, sort->records + sort->n * sort->words, sort->words - 1);
	sort->n++;
	sort->total++;
}

void
alex_sort_ahead(AlexSort *sort)
{
	sort_memory(sort);
}

/*
 * The file is the runs, one after the other, and then how many records each of them has, and of how many words.
 */
void
alex_sort_give(AlexSort *sort, AlexSortPart *part)
{
	if (sort->n > 0)
		spill(sort);
	part->bytes = sort->written;
	for (uint32 i = 0; i < sort->nruns; i++)
	{
		uint64		length[2] = {sort->runs[i].left, sort->runs[i].words};

		write_bytes(sort, length, sizeof(length));
	}
	part->records = sort->total;
	part->runs = sort->nruns;
	alex_sort_end(sort);
}

void
alex_sort_take(AlexSort *sort, FileSet *set, int number, const AlexSortPart *part)
{
	char		name[MAX_PART_NAME];
	BufFile    *file;
	uint64	   *lengths;
	off_t		offset = 0;

	if (part->runs == 0)
		return;
	file = BufFileOpenFileSet(set, part_name(name, number), O_RDONLY, false);
	sort->files = lappend(sort->files, file);
	lengths = palloc(part->runs * 2 * sizeof(uint64));
	read_exact(file, (off_t) part->bytes, lengths, part->runs * 2 * sizeof(uint64));
	for (uint32 i = 0; i < part->runs; i++)
	{
		add_run(sort, file, offset, lengths[2 * i], (int) lengths[2 * i + 1]);
		offset += (off_t) (lengths[2 * i] * lengths[2 * i + 1] * sizeof(uint64));
	}
	pfree(lengths);
	sort->total += part->records;
}

uint64
alex_sort_perform(AlexSort *sort)
{
	if (sort->nruns == 0)
	{
		sort_memory(sort);
		return sort->total;
	}

	/* once something of ours is on disk, the memory is better used for reading ahead */
	if (sort->file && sort->n > 0)
		spill(sort);
	if (sort->n > 0)
	{
		Run		   *run;

		sort_memory(sort);
		run = add_run(sort, NULL, 0, 0, sort->words);
		run->records = run->next = sort->records;
		run->end = sort->records + sort->n * sort->words;
		sort->n = 0;
	}
	else
		pfree(sort->records);
	sort->words = sort->least_words;
	for (uint32 i = 0; i < sort->nruns; i++)
		sort->words = Max(sort->words, sort->runs[i].words);
	sort->capacity = sort->words <= ALEX_MAX_FIXED_WORDS + 1 ? ALEX_SORT_WINDOW : ALEX_SORT_WINDOW / 8;
	sort->records = palloc_extended(sort->capacity * record_bytes(sort), MCXT_ALLOC_HUGE);
	sort->file_buffer = (uint32) Max(Min(sort->work_bytes / sort->nruns / record_bytes(sort), FILE_BUFFER_RECORDS),
									 MIN_FILE_BUFFER_RECORDS);
	start_merge(sort);
	return sort->total;
}

int
alex_sort_words(const AlexSort *sort)
{
	return sort->words;
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
	ListCell   *cell;

	pfree(sort->records);
	if (sort->file)
		BufFileClose(sort->file);
	foreach(cell, sort->files)
		BufFileClose((BufFile *) lfirst(cell));
}
