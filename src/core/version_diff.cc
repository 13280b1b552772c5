/*
 * version_diff.cc - lists of differences between bytes: see omen_core.h.
 */
#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "omen_core.h"

namespace
{

using Bytes = std::span<const unsigned char>;

/* What begins a range. */
struct Range
{
	uint16_t where;
	uint16_t length;
};
static_assert(sizeof(Range) == 4);

/* So many equal bytes between two ranges cost no more than the second range's beginning. */
constexpr size_t kWorthAGap = sizeof(Range);

/* The first place in [at, end) where a and b differ; or end. */
size_t
first_difference(const unsigned char *a, const unsigned char *b, size_t at, size_t end)
{
	for (; at + sizeof(uint64_t) <= end; at += sizeof(uint64_t))
	{
		uint64_t left;
		uint64_t right;

		std::memcpy(&left, a + at, sizeof(left));
		std::memcpy(&right, b + at, sizeof(right));
		if (left != right)
			break;
	}
	while (at < end && a[at] == b[at])
		at++;
	return at;
}

/* Where the range ends that begins at `at`, where a and b differ. */
size_t
range_end(const unsigned char *a, const unsigned char *b, size_t at, size_t end)
{
	size_t last = at;

	for (at++; at < end && at - last - 1 <= kWorthAGap; at++)
		if (a[at] != b[at])
			last = at;
	return last + 1;
}

Range
range_at(Bytes diff, size_t at)
{
	Range range;

	std::memcpy(&range, diff.data() + at, sizeof(range));
	return range;
}

} // namespace

char *
omen_diff_put(char *out, uint16_t where, const void *bytes, uint16_t length)
{
	const Range range{where, length};

	std::memcpy(out, &range, sizeof(range));
	std::memcpy(out + sizeof(range), bytes, length);
	return out + sizeof(range) + length;
}

size_t
omen_diff_encode(const void *base, size_t base_length, const void *bytes, size_t from, size_t length, uint16_t shift, void *out, size_t room)
{
	const auto *a = static_cast<const unsigned char *>(base);
	const auto *b = static_cast<const unsigned char *>(bytes);
	const size_t common = std::max(from, std::min(base_length, length));
	char *const start = static_cast<char *>(out);
	char *end = start;

	for (size_t at = from; at < length;)
	{
		size_t stop;

		at = first_difference(a, b, at, common);
		if (at >= length)
			break;
		if (at < common)
		{
			stop = range_end(a, b, at, common);
			/* what is behind the end of the base begins a range of its own only if that is no longer */
			if (common < length && common - stop <= kWorthAGap)
				stop = length;
		}
		else
			stop = length;
		if (room - static_cast<size_t>(end - start) < sizeof(Range) + (stop - at))
			return OMEN_DIFF_TOO_LONG;
		end = omen_diff_put(end, static_cast<uint16_t>(at + shift), b + at, static_cast<uint16_t>(stop - at));
		at = stop;
	}
	return static_cast<size_t>(end - start);
}

bool
omen_diff_sound(const void *diff, size_t size, size_t from, size_t length)
{
	const Bytes list(static_cast<const unsigned char *>(diff), size);

	for (size_t at = 0; at < size;)
	{
		if (size - at < sizeof(Range))
			return false;
		const Range range = range_at(list, at);

		at += sizeof(Range);
		if (range.length > size - at || range.where < from || size_t{range.where} + range.length > length)
			return false;
		at += range.length;
	}
	return true;
}

void
omen_diff_apply(void *bytes, const void *diff, size_t size)
{
	const Bytes list(static_cast<const unsigned char *>(diff), size);

	for (size_t at = 0; at < size;)
	{
		const Range range = range_at(list, at);

		at += sizeof(Range);
		std::memcpy(static_cast<unsigned char *>(bytes) + range.where, list.data() + at, range.length);
		at += range.length;
	}
}
