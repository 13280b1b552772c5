/*
 * node_read.cc - searching and reading one node.
 *
 * Search: the node's model predicts a slot from the first word in which the node varies; an exponential
 * search around it finds the exact place (Ding et al., "ALEX", SIGMOD 2020, section 3.2). The delta is small
 * and unsorted: it is scanned.
 */
#include "exponential_search.h"
#include "node.h"

namespace alex
{

uint32_t
Node::predict(uint64_t word) const
{
	const AlexNodeHeader &h = *header_;

	if (word <= h.model_base)
		return 0;
	uint64_t x = (word - h.model_base) >> (h.model_shift & 63);

	if (x > UINT32_MAX)
		return h.count - 1;
	return static_cast<uint32_t>(std::min<uint64_t>((x * h.model_mult) >> (h.model_fraction & 63), h.count - 1));
}

/*
 * W key words: "bound" holds W + 1 words as the columns store them. Columns before the model's word are
 * constant in the node, so they are compared once.
 */
template <int W>
uint32_t
Node::search(const uint64_t *bound) const
{
	uint32_t n = count();
	int m = header_->model_word;

	for (int c = 0; c < m; c++)
	{
		uint64_t constant = column(c)[0];

		if (bound[c] != constant)
			return bound[c] < constant ? 0 : n;
	}

	Column first = column(m);
	auto before = [&](uint32_t i) {
		uint64_t value = first[i];

		if (value != bound[m])
			return value < bound[m];
		for (int c = m + 1; c <= W; c++)
		{
			value = column(c)[i];
			if (value != bound[c])
				return value < bound[c];
		}
		return false;
	};

	uint32_t slot = predict(bound[m]);

	/* the caller reads the tie next: fetch it while the keys are searched */
	if (m != W)
		column(W).prefetch(slot);

	return exponential_search(n, slot, before);
}

uint32_t
Node::lower_bound(const uint64_t *position) const
{
	if (count() == 0)
		return 0;

	uint64_t bound[ALEX_MAX_WORDS + 1];
	int w = words();

	for (int c = 0; c < w; c++)
		bound[c] = position[c];
	bound[w] = inner() ? position[w] : encode_bound(position[w], radix());
	switch (w)
	{
		case 1:
			return search<1>(bound);
		case 2:
			return search<2>(bound);
		case 3:
			return search<3>(bound);
		default:
			return search<4>(bound);
	}
}

void
Node::read_range(uint32_t first, uint32_t n, uint64_t *out, bool backward) const
{
	int s = stride();
	int step = backward ? -s : s;

	if (n == 0)
		return;
	if (backward)
		out += static_cast<size_t>(n - 1) * s;
	for (int c = 0; c < s; c++)
	{
		if (c == words() && !inner())
			column(c).read(first, n, out + c, step, TieDecoder(radix()));
		else
			column(c).read(first, n, out + c, step);
	}
}

uint32_t
Node::sorted_delta(const uint64_t *low, const uint64_t *high, uint64_t *out) const
{
	int s = stride();
	uint32_t found = 0;

	if (!has_delta())
		return 0;
	delta().for_each(low, high, [&](const uint64_t *record) {
		std::memcpy(out + static_cast<size_t>(found) * s, record, s * sizeof(uint64_t));
		found++;
	});
	if (found > 1)
		alex_sort_records(out, found, s, words() + 1);
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
	if (m == node.words() && !node.inner())
		return node.predict(alex::encode_bound(position[m], node.radix()));
	return node.predict(position[m]);
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
		return static_cast<uint32_t>(node.column(w + 1)[beyond - 1]);
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

extern "C" uint32_t
alex_collect(const void *page, const uint64_t *low, const uint64_t *high, bool backward, uint32_t max, uint64_t *out,
			 bool *more)
{
	Node node(page);
	int s = node.stride();
	int w = node.words();
	uint32_t first = node.lower_bound(low);
	uint32_t end;

	*more = false;
	if (!backward && max <= 4 && high)
	{
		/* a point lookup: read on from the first record rather than search a second time */
		uint64_t record[ALEX_MAX_RECORD_WORDS];

		for (end = first; end < node.count(); end++)
		{
			node.read(end, record);
			if (alex_compare(record, high, w) >= 0)
				break;
			if (end - first == max)
			{
				*more = true;
				break;
			}
			std::memcpy(out + static_cast<size_t>(end - first) * s, record, s * sizeof(uint64_t));
		}
	}
	else
	{
		end = high ? node.lower_bound(high) : node.count();
		end = std::max(first, end); /* a damaged node need not be sorted */
		if (end - first > max)
		{
			*more = true;
			if (backward)
				first = end - max;
			else
				end = first + max;
		}
		if (backward && !node.has_delta())
		{
			node.read_range(first, end - first, out, true);
			return end - first;
		}
		node.read_range(first, end - first, out);
	}

	uint32_t n = end - first;

	if (node.has_delta())
	{
		uint64_t delta[ALEX_MAX_DELTA * ALEX_MAX_RECORD_WORDS];
		uint32_t d = node.sorted_delta(low, high, delta);

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
		for (uint32_t i = 0, j = n; i + 1 < j; i++)
		{
			j--;
			for (int c = 0; c < s; c++)
				std::swap(out[static_cast<size_t>(i) * s + c], out[static_cast<size_t>(j) * s + c]);
		}
	return n;
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
	uint64_t delta[ALEX_MAX_DELTA * ALEX_MAX_RECORD_WORDS];
	uint32_t d = node.sorted_delta(nullptr, nullptr, delta);

	node.read_range(0, node.count(), out);
	alex::merge_records(out, node.count(), delta, d, node.stride(), node.words());
	return node.count() + d;
}

extern "C" void
alex_layout(const void *page, AlexLayout *layout)
{
	Node node(page);
	int w = node.words();
	int m = node.header().model_word;

	layout->key_start = static_cast<uint16_t>(node.column(m).data_start());
	layout->tie_start = static_cast<uint16_t>(node.column(w).data_start());
	/* a column ends where the next one's directory begins; the last one at pd_lower */
	uint16_t lower = static_cast<const AlexPageHead *>(page)->pd_lower;
	uint16_t key_end = m < w ? node.header().column_start[m + 1] : lower;

	layout->key_bytes = static_cast<uint16_t>(key_end - layout->key_start);
	layout->tie_bytes = static_cast<uint16_t>(lower - layout->tie_start);
}

extern "C" void
alex_prefetch(const void *page, const AlexLayout *layout, double fraction)
{
	const char *p = static_cast<const char *>(page);

	__builtin_prefetch(p);
	__builtin_prefetch(p + 64);
	__builtin_prefetch(p + 128);
	if (layout->key_start == 0)
		return; /* nothing known yet */

	const char *key = p + layout->key_start + static_cast<uint32_t>(fraction * layout->key_bytes);

	__builtin_prefetch(key);
	__builtin_prefetch(key + 64);
	__builtin_prefetch(p + layout->tie_start - sizeof(alex::Frame));
	__builtin_prefetch(p + layout->tie_start + static_cast<uint32_t>(fraction * layout->tie_bytes));
}
