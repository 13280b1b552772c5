/*
 * node_killed.cc - marking records as dead to everyone, and telling which are marked (killed_bits.h).
 */
#include "killed_bits.h"
#include "node.h"

namespace
{

using alex::KilledBits;
using alex::Node;

/** Calls found(record) with the records marked dead between two of a leaf's records. */
template <typename Found>
void
for_each_killed(const void *page, const uint64_t *first, const uint64_t *last, const Found &found)
{
	Node node(page);
	KilledBits bits(page);
	uint32_t count = node.count();
	uint64_t record[ALEX_MAX_RECORD_WORDS];

	const alex::Removed removed = node.removed();

	bits.for_each(node.lower_bound(first), std::min(node.lower_bound(last) + 1, count), [&](uint32_t i) {
		if (removed.test(i))
			return;
		node.read(i, record);
		found(record);
	});
	if (node.has_delta())
	{
		alex::Delta delta = node.delta();

		bits.for_each(count, count + delta.count(), [&](uint32_t i) {
			delta.read(i - count, record);
			found(record);
		});
	}
}

} // namespace

extern "C" uint32_t
alex_find_place(const void *page, const uint64_t *record)
{
	Node node(page);
	const uint32_t place = node.lower_bound(record);
	uint64_t there[ALEX_MAX_RECORD_WORDS];

	if (place < node.count() && !node.removed().test(place))
	{
		node.read(place, there);
		if (alex_compare(there, record, node.words()) == 0)
			return place;
	}

	const int slot = node.has_delta() ? node.delta().find(record) : -1;

	return slot >= 0 ? node.count() + static_cast<uint32_t>(slot) : ALEX_NO_PLACE;
}

extern "C" bool
alex_can_kill(const void *page, uint32_t place)
{
	return KilledBits(page).has(place);
}

extern "C" bool
alex_kill(void *page, const uint64_t *record)
{
	const uint32_t place = alex_find_place(page, record);

	return place != ALEX_NO_PLACE && KilledBits(page).set(place);
}

extern "C" uint32_t
alex_mark_killed(const void *page, uint64_t *records, uint32_t n)
{
	int words = alex_cheader(page)->words;
	size_t stride = words + 1;
	uint32_t marked = 0;

	if (n == 0)
		return 0;

	bool backward = alex_compare(records, records + (n - 1) * stride, words) > 0;
	const uint64_t *first = backward ? records + (n - 1) * stride : records;
	const uint64_t *last = backward ? records : records + (n - 1) * stride;

	/* those marked already have the greatest tie of all, so they must not be the bounds */
	uint64_t low[ALEX_MAX_WORDS + 1];
	uint64_t high[ALEX_MAX_WORDS + 1];

	std::memcpy(low, first, stride * sizeof(uint64_t));
	std::memcpy(high, last, stride * sizeof(uint64_t));
	for_each_killed(page, low, high, [&](const uint64_t *killed) {
		uint32_t from = 0;
		uint32_t to = n;

		while (from < to)
		{
			uint32_t middle = (from + to) / 2;
			uint64_t *record = records + middle * stride;
			uint64_t mark = record[words] & ALEX_KILLED;

			record[words] &= ~ALEX_KILLED;

			int side = alex_compare(record, killed, words);

			if (side == 0)
			{
				record[words] |= ALEX_KILLED;
				marked += mark == 0;
				break;
			}
			record[words] |= mark;
			if ((side < 0) != backward)
				from = middle + 1;
			else
				to = middle;
		}
	});
	return marked;
}

extern "C" uint32_t
alex_killed_count(const void *page)
{
	uint32_t n = 0;

	if (alex_has_killed(page))
		KilledBits(page).for_each(0, alex_place_count(page), [&](uint32_t) { n++; });
	return n;
}

extern "C" uint32_t
alex_killed_reserve(uint32_t n, uint32_t page_size)
{
	return alex::killed_reserve(n + alex::kDeltaChunk, page_size);
}

extern "C" uint32_t
alex_killed_bytes(const void *page)
{
	const AlexPageHead *head = alex_page_head(page);
	uint32_t slots = head->pd_special > head->pd_upper ? alex::Delta(page).slots() : 0;

	return std::min(static_cast<uint32_t>(head->pd_upper - head->pd_lower), alex::killed_bytes(alex_cheader(page)->count + slots));
}
