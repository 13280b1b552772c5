/*
 * node_removed.cc - removing records of a leaf in place.
 */
#include "node.h"

using namespace alex;

namespace
{

char *
bits_of(void *page)
{
	return static_cast<char *>(page) + alex_cheader(page)->removed;
}

void
tell(AlexRemoval *removal, const void *page, const void *at, uint32_t length)
{
	AlexChange &change = removal->changes[removal->n++];

	change.offset = static_cast<uint16_t>(static_cast<const char *>(at) - static_cast<const char *>(page));
	change.length = static_cast<uint16_t>(length);
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

} // namespace

extern "C" uint32_t
alex_removed_count(const void *page)
{
	return Removed(page).count(alex_cheader(page)->count);
}

extern "C" uint32_t
alex_read_ties(const void *page, uint64_t *ties)
{
	Node node(page);
	const uint32_t count = node.count();
	const Removed removed = node.removed();
	uint32_t n = count;

	node.column(node.words()).read(0, count, ties, 1, TieDecoder(node.radix()));
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
	uint32_t more = 0;

	for (uint32_t i = 0; i < count; i++)
		more += dead[i];
	/* at least half of what readers pass over shall be of use: packing anew is paid for by as many removals */
	if (more > 0 && alex_removed_count(page) + more > count / 2)
		return false;
	return more == 0 || alex_cheader(page)->removed != 0 || removed_bytes(count) <= static_cast<uint32_t>(head->pd_upper - head->pd_lower);
}

extern "C" void
alex_remove(void *page, const bool *dead, AlexRemoval *removal)
{
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	const uint32_t count = h->count;
	const auto first = static_cast<uint32_t>(std::find(dead, dead + count, true) - dead);

	removal->n = 0;

	/* marks are counted from pd_lower and name slots, both of which may change */
	std::memset(static_cast<char *>(page) + head->pd_lower, 0, alex_killed_bytes(page));

	compact_delta(page, dead + count, removal);
	if (first < count)
	{
		uint32_t changed = first / 8; /* the first byte of the bits, and the byte after the last */
		uint32_t end = changed + 1;

		if (h->removed == 0)
		{
			h->removed = head->pd_lower;
			head->pd_lower = static_cast<uint16_t>(head->pd_lower + removed_bytes(count));
			tell(removal, page, &h->removed, sizeof(h->removed));
			changed = 0;
			end = removed_bytes(count);
		}

		char *bits = bits_of(page);

		for (uint32_t i = first; i < count; i++)
			if (dead[i])
			{
				bits[i / 8] = static_cast<char>(bits[i / 8] | 1 << i % 8);
				end = std::max(end, i / 8 + 1);
			}
		tell(removal, page, bits + changed, end - changed);
	}
	tell(removal, page, &head->pd_lower, sizeof(head->pd_lower) + sizeof(head->pd_upper));
}
