/*
 * record_sort.cc - sorting arrays of records by radix: the many of a build, and the few of a delta.
 */
#include <array>

#include "node.h"

namespace
{

constexpr size_t kInsertion = 16; /* records that insertion sorts faster than anything else */
constexpr size_t kOnePass = 128;  /* records that one pass brings so near their places that insertion does the rest */
constexpr uint32_t kMaxBucket = 12; /* unless there are more of them than this in one bucket */
constexpr size_t kNear = 8;		/* places by which records are off in what counts as almost sorted */
constexpr int kRadixBits = 8;	  /* buckets whose ends the first-level cache and TLB hold */
constexpr size_t kPauseRecords = 1 << 16;

/*
 * Most significant digits first, each pass from one array to the other. The digits are those of the range the records
 * really have, so what they have in common costs no pass, and one outlier costs one.
 */
template <int kStride> class RadixSort
{
  public:
	using Record = std::array<uint64_t, kStride>;

	explicit RadixSort(void (*pause)(void)) : pause_(pause) {}

	/** Sorts n records, which differ in no word before "word"; the result is in "other" if wanted there. */
	void sort(Record *records, Record *other, size_t n, bool to_other, int word) const
	{
		if (n <= kInsertion)
		{
			insert(records, n, to_other ? other : records);
			return;
		}
		if (n >= kPauseRecords)
			pause_();
		if (n <= kOnePass ? std::is_sorted(records, records + n) : insert_near(records, n))
		{
			if (to_other)
				std::memcpy(other, records, n * sizeof(Record));
			return;
		}

		uint64_t low;
		uint64_t high;

		/* they are not all equal, or they would be sorted */
		for (;; word++)
		{
			low = high = records[0][word];
			for (size_t i = 1; i < n; i++)
			{
				low = std::min(low, records[i][word]);
				high = std::max(high, records[i][word]);
			}
			if (low != high)
				break;
		}

		/* about eight records a bucket, or in the last pass one */
		const int wanted = n <= kOnePass ? std::bit_width(n) : std::min(kRadixBits, static_cast<int>(std::bit_width(n)) - 3);
		const int shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - wanted);
		const size_t buckets = ((high - low) >> shift) + 1;
		size_t end[(1 << kRadixBits) + 1];
		auto bucket = [&](const Record &r) { return (r[word] - low) >> shift; };

		std::fill(end, end + buckets + 1, 0);
		for (size_t i = 0; i < n; i++)
			end[bucket(records[i]) + 1]++;

		const bool one_pass = n <= kOnePass && *std::max_element(end + 1, end + buckets + 1) <= kMaxBucket;

		for (size_t i = 1; i < buckets; i++)
			end[i] += end[i - 1];
		for (size_t i = 0; i < n; i++)
			other[end[bucket(records[i])]++] = records[i];
		if (one_pass)
		{
			insert(other, n, to_other ? other : records);
			return;
		}
		for (size_t i = 0, first = 0; i < buckets; first = end[i++])
			if (end[i] > first)
				sort(other + first, records + first, end[i] - first, !to_other, word);
	}

  private:
	static void insert(const Record *from, size_t n, Record *to)
	{
		for (size_t i = 0; i < n; i++)
		{
			const Record record = from[i];
			size_t j = i;

			for (; j > 0 && record < to[j - 1]; j--)
				to[j] = to[j - 1];
			to[j] = record;
		}
	}

	/**
	 * Sorts what is almost sorted, as keys that several sessions drew from one sequence are. Gives up, with the records in
	 * some other order, at the first that is far from its place: at once if they are in no order.
	 */
	static bool insert_near(Record *records, size_t n)
	{
		for (size_t i = 1; i < n; i++)
		{
			const Record record = records[i];
			size_t j = i;

			for (; j > 0 && record < records[j - 1]; j--)
			{
				if (i - j == kNear)
				{
					records[j] = record;
					return false;
				}
				records[j] = records[j - 1];
			}
			records[j] = record;
		}
		return true;
	}

	void (*pause_)(void);
};

template <int kStride>
void
radix_sort(uint64_t *records, uint64_t *spare, size_t n, void (*pause)(void))
{
	using Record = typename RadixSort<kStride>::Record;

	RadixSort<kStride>(pause).sort(reinterpret_cast<Record *>(records), reinterpret_cast<Record *>(spare), n, false, 0);
}

/*
 * Records of many words are sorted by merging: what a radix sort would copy about is not what they are compared by, and to compile
 * one for every length would not be worth its code.
 */
class MergeSort
{
  public:
	MergeSort(int stride, void (*pause)(void)) : stride_(stride), bytes_(stride * sizeof(uint64_t)), pause_(pause) {}

	/** Sorts n records; the result is in "other" if wanted there. */
	void sort(uint64_t *records, uint64_t *other, size_t n, bool to_other) const
	{
		if (n >= kPauseRecords)
			pause_();
		if (n == 1 && to_other)
			std::memcpy(other, records, bytes_);
		if (n <= 1)
			return;

		const size_t half = n / 2;

		sort(records, other, half, !to_other);
		sort(at(records, half), at(other, half), n - half, !to_other);
		merge(to_other ? records : other, half, n, to_other ? other : records);
	}

  private:
	uint64_t *at(uint64_t *records, size_t i) const { return records + i * stride_; }

	bool before(const uint64_t *a, const uint64_t *b) const
	{
		return std::lexicographical_compare(a, a + stride_, b, b + stride_);
	}

	/** Merges the first half of n records with the rest. */
	void merge(uint64_t *from, size_t half, size_t n, uint64_t *to) const
	{
		size_t left = 0;
		size_t right = half;

		/* in order already, as rows often come */
		if (!before(at(from, half), at(from, half - 1)))
		{
			std::memcpy(to, from, n * bytes_);
			return;
		}
		for (; left < half && right < n; to += stride_)
		{
			size_t &next = before(at(from, right), at(from, left)) ? right : left;

			std::memcpy(to, at(from, next), bytes_);
			next++;
		}
		std::memcpy(to, at(from, left), (half - left) * bytes_);
		std::memcpy(at(to, half - left), at(from, right), (n - right) * bytes_);
	}

	size_t stride_;
	size_t bytes_;
	void (*pause_)(void);
};

/** Stands for a pause that is not wanted. */
void
no_pause()
{
}

} // namespace

extern "C" void
alex_sort_records(uint64_t *records, uint64_t *spare, size_t n, int stride, void (*pause)(void))
{
	switch (stride)
	{
		case 2:
			radix_sort<2>(records, spare, n, pause);
			break;
		case 3:
			radix_sort<3>(records, spare, n, pause);
			break;
		case 4:
			radix_sort<4>(records, spare, n, pause);
			break;
		case 5:
			radix_sort<5>(records, spare, n, pause);
			break;
		case 6:
			radix_sort<6>(records, spare, n, pause);
			break;
		case 7:
			radix_sort<7>(records, spare, n, pause);
			break;
		case 8:
			radix_sort<8>(records, spare, n, pause);
			break;
		case 9:
			radix_sort<9>(records, spare, n, pause);
			break;
		default:
			MergeSort(stride, pause != nullptr ? pause : no_pause).sort(records, spare, n, false);
			break;
	}
}
