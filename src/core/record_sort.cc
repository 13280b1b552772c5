/*
 * record_sort.cc - sorting arrays of records.
 */
#include <array>

#include "node.h"

namespace
{

template <int kStride>
void
sort_fixed(uint64_t *records, size_t n, int sort_words)
{
	using Record = std::array<uint64_t, kStride>;
	auto *begin = reinterpret_cast<Record *>(records);
	auto less = [sort_words](const Record &a, const Record &b) {
		for (int i = 0; i < sort_words; i++)
			if (a[i] != b[i])
				return a[i] < b[i];
		return false;
	};

	if (!std::is_sorted(begin, begin + n, less))
		std::sort(begin, begin + n, less);
}

} // namespace

extern "C" void
alex_sort_records(uint64_t *records, size_t n, int stride, int sort_words)
{
	switch (stride)
	{
		case 2:
			sort_fixed<2>(records, n, sort_words);
			break;
		case 3:
			sort_fixed<3>(records, n, sort_words);
			break;
		case 4:
			sort_fixed<4>(records, n, sort_words);
			break;
		case 5:
			sort_fixed<5>(records, n, sort_words);
			break;
		default:
			sort_fixed<6>(records, n, sort_words);
			break;
	}
}
