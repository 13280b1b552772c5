/*
 * node_removed.cc - removing records of a leaf in place.
 */
#include "node.h"
#include "node_store.h"

using namespace alex;

namespace
{

void
tell(AlexRemoval *removal, const void *page, const void *at, uint32_t length)
{
	AlexChange &change = removal->changes[removal->n++];

	change.offset = static_cast<uint16_t>(static_cast<const char *>(at) - static_cast<const char *>(page));
	change.length = static_cast<uint16_t>(length);
}

void
put_entry(char *list, uint32_t k, uint32_t i)
{
	const auto entry = static_cast<uint16_t>(i);

	std::memcpy(list + k * sizeof(entry), &entry, sizeof(entry));
}

/** Takes dead slots out of the delta, and gives back the chunks that are not used any more. */
void
compact_delta(void *page, const bool *dead, AlexRemoval *removal)
{
	auto *head = static_cast<AlexPageHead *>(page);
	const Delta delta(page);
	const uint32_t used = delta.count();
	const uint32_t size = delta.size();
	uint32_t first = 0;
	uint32_t kept;

	while (first < used && !dead[first])
		first++;
	if (first == used)
		return;
	kept = first;
	for (uint32_t i = first + 1; i < used; i++)
		if (!dead[i])
			std::memcpy(const_cast<char *>(delta.slot(kept++)), delta.slot(i), size);

	const uint32_t slots = std::min(delta.slots(), (kept + kDeltaChunk - 1) / kDeltaChunk * kDeltaChunk);
	char *end = static_cast<char *>(page) + head->pd_special;

	/* slots without a record are zero, and so is the hole */
	std::memset(end - used * size, 0, (used - kept) * size);
	head->pd_upper = static_cast<uint16_t>(head->pd_special - slots * size);
	if (slots > first)
		tell(removal, page, end - slots * size, (slots - first) * size);
}

/** Notes "more" base records as removed; there is room. */
void
note(void *page, const bool *dead, uint32_t more, AlexRemoval *removal)
{
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	const uint32_t count = h->count;
	const Removed old(page);
	const bool had_bits = old.any() && !old.is_list();
	const uint32_t listed = old.listed();
	const uint32_t bytes = had_bits ? removed_bits_bytes(count) : removed_bytes(listed + more, count);
	const bool is_list = bytes < removed_bits_bytes(count);
	const uint16_t start = old.any() ? removed_start(h) : head->pd_lower;
	char *to = static_cast<char *>(page) + start;
	uint32_t changed; /* bytes from .. to */
	uint32_t end = bytes;

	if (is_list)
	{
		/* still a list: from its end on, the greater of an old and a new entry moves to its place, until no new one is left */
		uint32_t place = listed + more;
		uint32_t from = listed;

		for (uint32_t i = count; place > from;)
		{
			while (!dead[--i])
				;
			for (; from > 0 && old.entry(from - 1) > i; from--)
				put_entry(to, --place, old.entry(from - 1));
			put_entry(to, --place, i);
		}
		changed = place * sizeof(uint16_t);
	}
	else
	{
		uint16_t entries[ALEX_MAX_RECORDS / 16 + 1];
		const auto first = static_cast<uint32_t>(std::find(dead, dead + count, true) - dead);

		changed = had_bits ? first / 8 : 0;
		if (!had_bits)
		{
			std::memcpy(entries, to, listed * sizeof(uint16_t));
			std::memset(to, 0, bytes);
			for (uint32_t k = 0; k < listed; k++)
				if (entries[k] < count) /* or the list is damaged */
					Removed::set_bit(to, entries[k]);
		}
		for (uint32_t i = first; i < count; i++)
			if (dead[i])
			{
				Removed::set_bit(to, i);
				end = had_bits ? i / 8 + 1 : bytes;
			}
	}
	if (!had_bits)
	{
		h->removed = is_list ? start | ALEX_REMOVED_LIST : start;
		head->pd_lower = static_cast<uint16_t>(start + bytes);
		tell(removal, page, &h->removed, sizeof(h->removed));
	}
	tell(removal, page, to + changed, end - changed);
}

} // namespace

extern "C" uint32_t
alex_removed_count(const void *page)
{
	return Removed(page).all();
}

extern "C" uint32_t
alex_read_ties(const void *page, uint64_t *ties)
{
	Node node(page);
	const uint32_t count = node.count();
	const Removed removed = node.removed();
	uint32_t n = count;

	node.column(node.keys()).read(0, count, ties, 1, TieDecoder(node.radix()));
	for (uint32_t i = 0; removed.any() && i < count; i += 64)
		for (uint64_t word = removed.word(i) & Removed::mask(count - i); word != 0; word &= word - 1)
			ties[i + static_cast<uint32_t>(std::countr_zero(word))] = 0;
	if (node.has_delta())
	{
		const Delta delta = node.delta();
		const uint32_t used = delta.count();
		uint64_t record[ALEX_MAX_RECORD_WORDS];

		for (uint32_t i = 0; i < used; i++)
		{
			delta.read(i, record);
			ties[n++] = record[node.words()];
		}
	}
	return n;
}

extern "C" bool
alex_can_remove(const void *page, const bool *dead)
{
	const auto *head = static_cast<const AlexPageHead *>(page);
	const uint32_t count = alex_cheader(page)->count;
	const Removed removed(page);
	const auto more = static_cast<uint32_t>(std::count(dead, dead + count, true));
	const uint32_t all = removed.all() + more;

	if (more == 0)
		return true;
	/* at least half of what readers pass over shall be of use: packing anew is paid for by as many removals */
	if (all > count / 2)
		return false;

	/* and longer fences keep their room, or there may be no way to divide what is left */
	const Node node(page);
	const uint32_t spare = fence_spare(&node.header(), node.shared() + node.keys());

	return (removed.any() && !removed.is_list()) ||
		removed_bytes(all, count) - removed.size() + spare <= static_cast<uint32_t>(head->pd_upper - head->pd_lower);
}

extern "C" void
alex_remove(void *page, const bool *dead, AlexRemoval *removal)
{
	auto *head = static_cast<AlexPageHead *>(page);
	const uint32_t count = alex_cheader(page)->count;
	const auto more = static_cast<uint32_t>(std::count(dead, dead + count, true));

	removal->n = 0;

	/* marks are counted from pd_lower and name slots, both of which may change */
	std::memset(static_cast<char *>(page) + head->pd_lower, 0, alex_killed_bytes(page));

	compact_delta(page, dead + count, removal);
	if (more > 0)
		note(page, dead, more, removal);
	tell(removal, page, &head->pd_lower, sizeof(head->pd_lower) + sizeof(head->pd_upper));
}
