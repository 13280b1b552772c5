/*
 * node_absent.h - which base records of a leaf a reader passes over: removed ones, and if it wishes those marked dead.
 */
#ifndef ALEX_NODE_ABSENT_H
#define ALEX_NODE_ABSENT_H

#include "killed_bits.h"
#include "node_removed.h"

namespace alex
{

class Absent
{
  public:
	/** "killed" are the marks to heed, or null. */
	Absent(const Removed &removed, const KilledBits *killed) : removed_(removed), killed_(killed) {}

	/** Can there be any? */
	bool any() const { return removed_.any() || killed_; }

	/** As Removed::word(). Marks may come meanwhile, but never go. */
	uint64_t word(uint32_t i) const { return (removed_.any() ? removed_.word(i) : 0) | (killed_ ? killed_->word(i) : 0); }

	/** The first record from i on that is there; at least "end" if there is none before it. */
	uint32_t next(uint32_t i, uint32_t end) const
	{
		i = removed_.next(i, end);
		if (!killed_ || i >= end || !killed_->test(i))
			return i;
		while (i < end)
		{
			const uint64_t there = ~word(i & ~63u) >> (i & 63);

			if (there != 0)
				return i + static_cast<uint32_t>(std::countr_zero(there));
			i = (i | 63) + 1;
		}
		return i;
	}

	/** Behind the last record before "end" that is there; at most i if there is none from i on. */
	uint32_t behind_last(uint32_t i, uint32_t end) const
	{
		while (end > i)
		{
			const uint64_t there = ~word((end - 1) & ~63u) << (63 - ((end - 1) & 63));

			if (there != 0)
				return end - static_cast<uint32_t>(std::countl_zero(there));
			end = (end - 1) & ~63u;
		}
		return end;
	}

	/** Takes the absent ones out of records first .. first + n - 1, "stride" words each, last one first if "backward". Returns how many are left. */
	uint32_t leave_out(uint32_t first, uint32_t n, uint64_t *records, size_t stride, bool backward) const
	{
		uint64_t *to = records;
		uint32_t done = 0; /* records moved or left where they are, and absent ones */
		auto keep = [&](uint32_t end) {
			const uint64_t *run = records + done * stride;
			const size_t words = (end - done) * stride;

			if (to != run)
				std::memmove(to, run, words * sizeof(uint64_t));
			to += words;
			done = end + 1;
		};

		for (uint32_t j = 0; j < n;)
		{
			/* the bits of the records from the j-th on, its own lowest (backward: highest) */
			const uint32_t i = backward ? first + n - 1 - j : first + j;
			const uint32_t m = std::min(backward ? (i & 63) + 1 : 64 - (i & 63), n - j);
			uint64_t bits = word(i & ~63u);

			if (backward)
				for (bits = bits << (63 - (i & 63)) & ~(m < 64 ? UINT64_MAX >> m : 0); bits != 0; bits &= ~(UINT64_C(1) << (63 - std::countl_zero(bits))))
					keep(j + static_cast<uint32_t>(std::countl_zero(bits)));
			else
				for (bits = bits >> (i & 63) & Removed::mask(m); bits != 0; bits &= bits - 1)
					keep(j + static_cast<uint32_t>(std::countr_zero(bits)));
			j += m;
		}
		if (done < n)
			keep(n);
		return static_cast<uint32_t>((to - records) / static_cast<std::ptrdiff_t>(stride));
	}

  private:
	Removed removed_;
	const KilledBits *killed_;
};

} // namespace alex

#endif // ALEX_NODE_ABSENT_H
