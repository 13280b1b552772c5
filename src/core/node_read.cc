/*
 * node_read.cc - reading one node. The delta is small and unsorted: it is scanned.
 */
#include "exponential_search.h"
#include "node.h"

namespace alex
{

namespace
{

void
reverse(uint64_t *records, uint32_t n, int stride)
{
	for (uint32_t i = 0, j = n; i + 1 < j; i++)
	{
		j--;
		std::swap_ranges(records + static_cast<size_t>(i) * stride, records + static_cast<size_t>(i + 1) * stride,
						 records + static_cast<size_t>(j) * stride);
	}
}

} // namespace

void
Node::read_range(uint32_t first, uint32_t n, uint64_t *out, bool backward) const
{
	int s = stride();
	int step = backward ? -s : s;

	if (n == 0)
		return;
	if (backward)
		out += static_cast<size_t>(n - 1) * s;
	if (keys() < words())
	{
		uint64_t *to = out;

		for (uint32_t i = 0; i < n; i++, to += step)
			fill(to);
	}
	for (int c = 0; c < columns(); c++)
	{
		uint64_t *to = out + word_of(c);

		if (c == keys() && !inner())
			column(c).read(first, n, to, step, TieDecoder(radix()));
		else
			column(c).read(first, n, to, step);
	}
}

uint32_t
Node::read_there(uint32_t first, uint32_t end, uint32_t max, uint64_t *out, bool backward, bool descending,
				 bool *more, const Absent &absent) const
{
	const size_t s = stride();
	uint32_t n = 0;

	*more = false;
	if (!absent.any())
	{
		n = std::min(end - first, max);
		*more = n < end - first;
		read_range(backward ? end - n : first, n, out, descending);
		return n;
	}
	for (;;)
	{
		/* there may be thousands of dead ones in a row, at the old end of a queue */
		if (backward)
			end = absent.behind_last(first, end);
		else
			first = absent.next(first, end);
		if (first >= end || n == max)
			break;

		/* as many as there is room for, less those that are absent */
		const uint32_t m = std::min(end - first, max - n);
		const uint32_t from = backward ? end - m : first;
		uint64_t *to = out + n * s;

		read_range(from, m, to, backward);
		n += absent.leave_out(from, m, to, s, backward);
		if (backward)
			end = from;
		else
			first = from + m;
	}
	*more = first < end;
	if (backward != descending)
		reverse(out, n, static_cast<int>(s));
	return n;
}

uint32_t
Node::sorted_delta(const uint64_t *low, const uint64_t *high, uint64_t *out, const KilledBits *killed) const
{
	int s = stride();
	uint32_t found = 0;

	if (!has_delta())
		return 0;
	delta().for_each(
		low, high, [&](uint32_t i) { return !killed || !killed->test(count() + i); },
		[&](const uint64_t *record) {
			std::memcpy(out + static_cast<size_t>(found) * s, record, s * sizeof(uint64_t));
			found++;
		});
	if (found > 1)
	{
		uint64_t spare[ALEX_MAX_DELTA_WORDS];

		alex_sort_records(out, spare, found, s, nullptr); /* too few for a pause */
	}
	return found;
}

} // namespace alex

using alex::Node;

extern "C" uint32_t
alex_lower_bound(const void *page, const uint64_t *position)
{
	return Node(page).lower_bound(position);
}

extern "C" uint32_t
alex_predict(const void *page, const uint64_t *position)
{
	Node node(page);
	int m = node.header().model_word;

	if (node.count() == 0)
		return 0;
	if (m == node.keys() && !node.inner())
		return node.predict(alex::encode_bound(position[node.words()], node.radix()));
	return node.predict(position[node.word_of(m)]);
}

extern "C" void
alex_read(const void *page, uint32_t i, uint64_t *out)
{
	Node(page).read(i, out);
}

extern "C" void
alex_read_range(const void *page, uint32_t first, uint32_t n, uint64_t *out)
{
	Node(page).read_range(first, n, out);
}

extern "C" uint32_t
alex_find_child(const void *page, const uint64_t *position, uint64_t *separator)
{
	Node node(page);
	int w = node.words();
	uint64_t next[ALEX_MAX_WORDS + 1];
	uint64_t best[ALEX_MAX_RECORD_WORDS];
	uint32_t beyond = alex::next_position(position, w, next) ? node.lower_bound(next) : node.count();
	bool found = beyond > 0;

	if (found && !node.has_delta() && !separator)
		return static_cast<uint32_t>(node.column(node.keys() + 1)[beyond - 1]);
	if (found)
		node.read(beyond - 1, best);
	if (node.has_delta())
		node.delta().for_each(nullptr, nullptr, [&](const uint64_t *record) {
			if (alex_compare(record, position, w) <= 0 && (!found || alex_compare(record, best, w) > 0))
			{
				std::memcpy(best, record, node.stride() * sizeof(uint64_t));
				found = true;
			}
		});
	if (!found)
		return ALEX_NO_BLOCK;
	if (separator)
		std::memcpy(separator, best, (w + 1) * sizeof(uint64_t));
	return static_cast<uint32_t>(best[w + 1]);
}

extern "C" uint32_t
alex_find_separator(const uint64_t *separators, uint32_t n, int words, const uint64_t *position, uint32_t guess)
{
	uint32_t beyond = alex::exponential_search(
		n, guess, [&](uint32_t i) { return alex_compare(separators + static_cast<size_t>(i) * (words + 1), position, words) <= 0; });

	return beyond > 0 ? beyond - 1 : 0;
}

namespace
{

uint32_t
collect(const Node &node, const uint64_t *low, const uint64_t *high, bool backward, uint32_t max, uint64_t *out, bool *more,
		const alex::KilledBits *killed)
{
	const alex::Absent absent(node.removed(), killed);
	int s = node.stride();
	int w = node.words();
	uint32_t n;

	*more = false;
	if (!backward && max <= 4 && high)
		n = node.read_few(low, high, max, out, more, absent);
	else
	{
		uint32_t first = node.lower_bound(low);
		uint32_t end = high ? node.lower_bound(high) : node.count();

		end = std::max(first, end); /* a damaged node need not be sorted */
		bool alone = !node.has_delta();

		n = node.read_there(first, end, max, out, backward, backward && alone, more, absent);
		if (backward && alone)
			return n;
	}

	if (node.has_delta())
	{
		uint64_t delta[ALEX_MAX_DELTA_WORDS];

		/* the base alone has enough: fresh records beyond its last one are not among those wanted, and need no sorting */
		if (*more && backward)
			low = out;
		else if (*more)
			high = out + static_cast<size_t>(n - 1) * s;
		uint32_t d = node.sorted_delta(low, high, delta, killed);

		alex::merge_records(out, n, delta, d, s, w);
		n += d;
		if (n > max)
		{
			*more = true;
			if (backward)
				std::memmove(out, out + static_cast<size_t>(n - max) * s, static_cast<size_t>(max) * s * sizeof(uint64_t));
			n = max;
		}
	}
	if (backward)
		alex::reverse(out, n, s);
	return n;
}

} // namespace

extern "C" uint32_t
alex_collect(const void *page, const uint64_t *low, const uint64_t *high, bool backward, uint32_t max, uint64_t *out,
			 bool *more)
{
	return collect(Node(page), low, high, backward, max, out, more, nullptr);
}

extern "C" uint32_t
alex_collect_living(const void *page, const uint64_t *low, const uint64_t *high, bool backward, uint32_t max, uint64_t *out,
					bool *more)
{
	const alex::KilledBits killed(page);

	return collect(Node(page), low, high, backward, max, out, more, killed.any() ? &killed : nullptr);
}

extern "C" uint32_t
alex_used_slots(const void *page)
{
	return alex::Delta(page).count();
}

extern "C" uint32_t
alex_decode(const void *page, uint64_t *out)
{
	Node node(page);
	uint64_t delta[ALEX_MAX_DELTA_WORDS];
	uint32_t d = node.sorted_delta(nullptr, nullptr, delta);

	bool more;
	uint32_t n = node.read_there(0, node.count(), node.count() - node.removed().all(), out, false, false, &more, alex::Absent(node.removed(), nullptr));

	alex::merge_records(out, n, delta, d, node.stride(), node.words());
	return n + d;
}

extern "C" void
alex_widen_records(uint64_t *records, uint32_t n, int from_words, int words, int level)
{
	const auto from = static_cast<size_t>(alex_stride(from_words, level));
	const auto to = static_cast<size_t>(alex_stride(words, level));

	if (words == from_words)
		return;
	/* from the last one on, as they move up */
	for (uint32_t i = n; i-- > 0;)
	{
		uint64_t *record = records + i * to;

		std::memmove(record, records + i * from, from * sizeof(uint64_t));
		std::memmove(record + words, record + from_words, (from - from_words) * sizeof(uint64_t));
		std::fill(record + from_words, record + words, 0);
	}
}

extern "C" void
alex_layout(const void *page, AlexLayout *layout)
{
	Node node(page);
	int w = node.keys();
	int m = node.header().model_word;

	layout->key_directory = node.header().column[m].column_start;
	layout->key_start = static_cast<uint16_t>(node.column(m).data_start());
	layout->tie_directory = node.header().column[w].column_start;
	layout->tie_start = static_cast<uint16_t>(node.column(w).data_start());
	/* a column ends where the next one's directory begins; the last one with the columns */
	auto lower = static_cast<uint16_t>(node.lower());
	uint16_t key_end = m < w ? node.header().column[m + 1].column_start : lower;

	layout->key_bytes = static_cast<uint16_t>(key_end - layout->key_start);
	layout->tie_bytes = static_cast<uint16_t>(lower - layout->tie_start);
}

extern "C" void
alex_prefetch(const void *page, const AlexLayout *layout, double fraction)
{
	const char *p = static_cast<const char *>(page);

	/* where the column at that fraction of its frames, or of its residuals, is */
	auto at = [&](uint32_t start, uint32_t bytes) { return p + start + static_cast<uint32_t>(fraction * bytes); };

	/* page header, node header and fences */
	__builtin_prefetch(p);
	__builtin_prefetch(p + 64);
	if (layout->key_start == 0)
	{
		__builtin_prefetch(p + 128);
		return; /* nothing else known yet */
	}

	const char *key = at(layout->key_start, layout->key_bytes);

	/* the prediction is off by a dozen keys or so */
	__builtin_prefetch(key - 48);
	__builtin_prefetch(key + 16);
	__builtin_prefetch(key + 80);
	__builtin_prefetch(at(layout->key_directory, layout->key_start - layout->key_directory));
	__builtin_prefetch(at(layout->tie_directory, layout->tie_start - layout->tie_directory));
	__builtin_prefetch(at(layout->tie_start, layout->tie_bytes));
	__builtin_prefetch(p + layout->tie_start + layout->tie_bytes); /* are there marks? */
}
