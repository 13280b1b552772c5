/*
 * node_killed.cc - hints that records are dead to everyone: a bit per record, at the low end of the hole.
 *
 *   pd_lower      0 if no bit is set
 *   pd_lower + 1  bit i: base record i; bit count + j: slot j of the delta
 *
 * Bits are set under a share lock and never logged, which only the hole allows: replay zeroes it, page images leave it out. They
 * name places, and what changes the place of a record (rewriting the node, removing records) zeroes the hole. What the delta has
 * grown into is no bit any more, and what would lie beyond the hole, or beyond kMostBytes, cannot be set: bits are hints, and
 * may get lost.
 *
 * Two copies of a page, on a primary and on a standby or in a backup, may differ in their bits and nothing else. A slot of the
 * delta may take their place, and new slots must be zero wherever they are replayed. So an append that reserves slots where
 * any copy may have bits (alex_killed_bytes) logs all of them.
 */
#include <atomic>

#include "node.h"

namespace
{

using alex::Node;

/* Few appends shall have to log more than their slot, also to leaves of many records. */
constexpr uint32_t kMostBytes = 512;

/* Bit i of the page, which concurrent callers may set. */
class KilledBits
{
  public:
	explicit KilledBits(const void *page)
		: bits_(static_cast<uint8_t *>(const_cast<void *>(page)) + alex_page_head(page)->pd_lower + 1)
	{
		const AlexPageHead *head = alex_page_head(page);

		bytes_ = head->pd_lower < head->pd_upper ? std::min<uint32_t>(head->pd_upper - head->pd_lower, kMostBytes) - 1 : 0;
	}

	/** So many of the first n bits have room. */
	uint32_t room(uint32_t n) const { return static_cast<uint32_t>(std::min<uint64_t>(n, uint64_t{bytes_} * 8)); }

	/** Sets a bit that has room; returns true if it was not set. */
	bool set(uint32_t i) const
	{
		uint8_t bit = static_cast<uint8_t>(1 << i % 8);
		bool fresh = (std::atomic_ref(bits_[i / 8]).fetch_or(bit, std::memory_order_relaxed) & bit) == 0;

		std::atomic_ref(bits_[-1]).store(1, std::memory_order_relaxed);
		return fresh;
	}

	/** Calls found(i) with the bits that are set of from .. to - 1. */
	template <typename Found>
	void for_each(uint32_t from, uint32_t to, const Found &found) const
	{
		to = room(to);
		for (uint32_t i = from; i < to;)
		{
			uint32_t byte = std::atomic_ref(bits_[i / 8]).load(std::memory_order_relaxed) >> i % 8;

			if (byte == 0)
			{
				i = (i | 7) + 1;
				continue;
			}
			if (byte & 1)
				found(i);
			i++;
		}
	}

  private:
	uint8_t *bits_;
	uint32_t bytes_;
};

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

extern "C" bool
alex_kill(void *page, const uint64_t *record)
{
	Node node(page);
	KilledBits bits(page);
	int words = node.words();
	uint32_t place = node.lower_bound(record);
	uint64_t there[ALEX_MAX_RECORD_WORDS];

	if (place < node.count() && !node.removed().test(place))
	{
		node.read(place, there);
		if (alex_compare(there, record, words) == 0)
			return bits.room(place + 1) > place && bits.set(place);
	}
	if (node.has_delta())
	{
		alex::Delta delta = node.delta();
		uint32_t used = delta.count();

		for (uint32_t i = 0; i < used; i++)
		{
			delta.read(i, there);
			place = node.count() + i;
			if (alex_compare(there, record, words) == 0)
				return bits.room(place + 1) > place && bits.set(place);
		}
	}
	return false;
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
alex_killed_bytes(const void *page)
{
	const AlexPageHead *head = alex_page_head(page);
	uint32_t slots = head->pd_special > head->pd_upper ? alex::Delta(page).slots() : 0;

	return std::min({static_cast<uint32_t>(head->pd_upper - head->pd_lower), kMostBytes,
					 1 + (alex_cheader(page)->count + slots + 7) / 8});
}
