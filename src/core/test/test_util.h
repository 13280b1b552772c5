/*
 * test_util.h - pages, record arrays and the oracle the core is compared with.
 */
#ifndef ALEX_TEST_UTIL_H
#define ALEX_TEST_UTIL_H

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>

#include "../alex_core.h"
#include "datasets.h"

namespace alex_test
{

inline constexpr int position_max = ALEX_MAX_WORDS + 1;

/* An environment variable as a number. */
inline uint64_t
env_number(const char *name, uint64_t fallback)
{
	const char *value = std::getenv(name);

	return value != nullptr && *value != '\0' ? std::strtoull(value, nullptr, 10) : fallback;
}

/* Words whose end a sanitizer sees: a heap block of exactly the asked size, unlike a vector's spare capacity. */
class Words
{
public:
	explicit Words(size_t n) : words_(std::make_unique_for_overwrite<uint64_t[]>(n)) {}
	uint64_t *get() { return words_.get(); }

private:
	std::unique_ptr<uint64_t[]> words_;
};

class Page
{
public:
	explicit Page(uint32_t size) : size_(size), words_(std::make_unique<uint64_t[]>(size / 8)) {}
	Page(const Page &other) : Page(other.size_) { std::memcpy(data(), other.data(), size_); }
	Page(Page &&) = default;
	Page &operator=(Page &&) = default;
	Page &
	operator=(const Page &other)
	{
		return *this = Page(other);
	}
	bool
	operator==(const Page &other) const
	{
		return size_ == other.size_ && std::memcmp(data(), other.data(), size_) == 0;
	}

	uint32_t size() const { return size_; }
	void *data() { return words_.get(); }
	const void *data() const { return words_.get(); }
	uint8_t *bytes() { return reinterpret_cast<uint8_t *>(words_.get()); }
	AlexPageHead &head() { return *static_cast<AlexPageHead *>(data()); }
	const AlexPageHead &head() const { return *static_cast<const AlexPageHead *>(data()); }
	AlexNodeHeader &node() { return *alex_header(data()); }
	const AlexNodeHeader &node() const { return *alex_cheader(data()); }
	int stride() const { return alex_stride(node().words, node().level); }
	uint32_t free_bytes() const { return head().pd_upper - head().pd_lower; }

	/* The slots of the delta, as alex_format.h and node_delta.h draw them. */
	uint32_t
	slot_bytes() const
	{
		return std::accumulate(node().column, node().column + node().columns, 0U,
							   [](uint32_t sum, const AlexNodeColumn &c) { return sum + c.delta_bytes; });
	}
	uint32_t slots() const { return (head().pd_special - head().pd_upper) / slot_bytes(); }
	uint32_t most_slots() const { return std::min({size_ / 8, uint32_t{ALEX_MAX_DELTA}, ALEX_MAX_DELTA_WORDS / static_cast<uint32_t>(stride())}); }
	uint8_t *slot(uint32_t i) { return bytes() + head().pd_special - (i + 1) * slot_bytes(); }

	/* Can the slots hold a record? */
	bool
	slot_fits(const uint64_t *record) const
	{
		bool shared = true;
		const int keys = node().columns - (node().level > 0 ? 2 : 1);

		for (int c = 0; c < node().columns; c++)
		{
			const int width = node().column[c].delta_bytes;
			uint64_t value = record[c < keys ? node().shared + c : node().words + c - keys];

			if (c < keys && shared)
				value -= alex_low_word(data(), node().shared + c);
			if (c == keys && node().level == 0 && width < 7)
			{
				if (value >> 48 != 0 || (value & 0xFFFF) >= 2048)
					return false;
				value = (value >> 16) * 2048 + (value & 0xFFFF);
			}
			if (width < 8 && value >> 8 * width != 0)
				return false;
			shared = shared && width == 0;
		}
		return true;
	}

	/* What replay does to the hole. */
	void zero_hole() { std::memset(bytes() + head().pd_lower, 0, free_bytes()); }

	/* Nothing live is in the hole, so what is there must not matter. */
	void
	scribble_hole(Rng &rng)
	{
		for (uint32_t i = head().pd_lower; i < head().pd_upper; i++)
			bytes()[i] = static_cast<uint8_t>(rng());
	}

private:
	uint32_t size_;
	std::unique_ptr<uint64_t[]> words_;
};

/* A fence of a node, which alex_low_fence() or alex_high_fence() copies. */
inline std::vector<uint64_t>
fence(const void *page, uint64_t *(*copy)(const void *, uint64_t *))
{
	std::vector<uint64_t> position(alex_cheader(page)->words + 1);

	copy(page, position.data());
	return position;
}

/* Adds a record to a delta; false: there is no room for it. */
inline bool
add_fresh(Page &page, const uint64_t *record)
{
	AlexSlot slot;

	if (!alex_delta_prepare(page.data(), record, UINT32_MAX, &slot))
		return false;
	alex_delta_put(page.data(), &slot);
	return true;
}

/* What every test varies. */
struct Shape
{
	int words;
	int level;
	uint32_t page_size;

	int stride() const { return alex_stride(words, level); }
	size_t scratch_words() const { return static_cast<size_t>(ALEX_MAX_RECORDS + page_size / 8) * stride(); }
};

inline std::string
shape_name(const Shape &shape)
{
	return "w" + std::to_string(shape.words) + (shape.level > 0 ? "_inner_" : "_leaf_") +
		std::to_string(shape.page_size / 1024) + "k";
}

inline std::vector<Shape>
all_shapes()
{
	std::vector<Shape> shapes;

	for (const int level : {0, 1})
	{
		for (const int words : {1, 2})
			for (const uint32_t page_size : {1024U, 8192U, 32768U})
				shapes.push_back({words, level, page_size});
		shapes.push_back({3, level, 1024});
		shapes.push_back({5, level, 8192});
		shapes.push_back({8, level, 32768});
		/* many words, of which a page holds few records if they all differ */
		shapes.push_back({16, level, 8192});
		shapes.push_back({ALEX_MAX_FIXED_WORDS, level, 8192});
	}
	return shapes;
}

inline std::vector<Shape>
inner_shapes()
{
	std::vector<Shape> shapes = all_shapes();

	std::erase_if(shapes, [](const Shape &shape) { return shape.level == 0; });
	return shapes;
}

/* A flat record array. */
class Records
{
public:
	explicit Records(int stride) : stride_(stride) {}

	size_t size() const { return words_.size() / stride_; }
	int stride() const { return stride_; }
	const uint64_t *data() const { return words_.data(); }
	uint64_t *data() { return words_.data(); }
	const uint64_t *operator[](size_t i) const { return &words_[i * stride_]; }
	uint64_t *operator[](size_t i) { return &words_[i * stride_]; }
	void add(const uint64_t *record) { words_.insert(words_.end(), record, record + stride_); }
	void clear() { words_.clear(); }

	void
	insert(size_t i, const uint64_t *record)
	{
		words_.insert(words_.begin() + static_cast<ptrdiff_t>(i * stride_), record, record + stride_);
	}
	void
	erase(size_t i)
	{
		const auto at = words_.begin() + static_cast<ptrdiff_t>(i * stride_);

		words_.erase(at, at + stride_);
	}
	Records
	slice(size_t first, size_t n) const
	{
		Records part(stride_);

		part.words_.assign(words_.begin() + static_cast<ptrdiff_t>(first * stride_),
						   words_.begin() + static_cast<ptrdiff_t>((first + n) * stride_));
		return part;
	}
	bool
	equals(const uint64_t *other, size_t n) const
	{
		return n == size() && (n == 0 || std::memcmp(data(), other, n * stride_ * sizeof(uint64_t)) == 0);
	}

	/* First record at or after the position; the records must be sorted. */
	size_t
	lower_bound(const uint64_t *position, int words) const
	{
		size_t low = 0;
		size_t high = size();

		while (low < high)
		{
			const size_t middle = (low + high) / 2;

			if (alex_compare((*this)[middle], position, words) < 0)
				low = middle + 1;
			else
				high = middle;
		}
		return low;
	}

private:
	int stride_;
	std::vector<uint64_t> words_;
};

/*
 * Every set meets every shape of TIDs and of node, but all combinations would take minutes. Each set gets two of the five
 * shapes of TIDs in each node, other ones in the next; the largest nodes take every sixth set.
 */
inline std::vector<DataSet>
sets_of(const Shape &shape)
{
	std::vector<DataSet> sets = all_sets(shape.words);
	unsigned turn = shape.words + shape.level;

	if (shape.page_size == 32768)
		std::erase_if(sets, [&](const DataSet &) { return turn++ % 6 != 0; });
	return sets;
}

inline std::vector<Tids>
tids_of(const DataSet &set, const Shape &shape)
{
	const uint64_t turn = mix(static_cast<uint64_t>(set.name[0] * 7 + set.name[3])) % 5 +
		static_cast<uint64_t>(shape.words + 2 * shape.level) + shape.page_size / 1024;

	return {all_tids[turn % 5], all_tids[(turn + 2) % 5]};
}

/*
 * Room for all records of a node. Kept: allocating it takes longer than most checks. "use" tells arrays apart that are
 * needed at the same time.
 */
inline uint64_t *
scratch_of(int stride, uint32_t page_size, int use = 0)
{
	static std::vector<std::vector<uint64_t>> kept(128);
	std::vector<uint64_t> &scratch = kept[use * 64 + page_size / 1024];
	const size_t words = static_cast<size_t>(ALEX_MAX_RECORDS + page_size / 8) * stride;

	if (scratch.size() < words)
		scratch = std::vector<uint64_t>(words);
	/* of the size asked for: its end is what a sanitizer sees */
	return scratch.data() + (scratch.size() - words);
}

inline bool
same_key(const uint64_t *a, const uint64_t *b, int words)
{
	return std::equal(a, a + words, b);
}

/*
 * Leaf records of a data set in arrival order, all positions different. Fewer than n come back if the set repeats
 * itself with random TIDs.
 */
inline Records
arriving_records(const DataSet &set, int words, size_t n, Tids tids, Rng &rng)
{
	const std::vector<uint64_t> keys = generate_keys(set, words, n, rng);
	const std::vector<uint64_t> ties = generate_ties(tids, n, rng);
	Records records(words + 1);
	uint64_t record[position_max];

	for (size_t i = 0; i < n; i++)
	{
		const bool null = tids == Tids::nulls && i % 7 == 3;

		for (int w = 0; w < words; w++)
			record[w] = null ? UINT64_MAX : keys[i * words + w];
		record[words] = ties[i] | (null ? ALEX_EXT_BIT : 0);
		records.add(record);
	}
	if (tids == Tids::random)
	{
		/* The only TIDs that may meet twice. */
		std::vector<std::vector<uint64_t>> seen;
		Records unique(words + 1);

		for (size_t i = 0; i < n; i++)
			seen.emplace_back(records[i], records[i] + words + 1);
		std::sort(seen.begin(), seen.end());
		if (std::adjacent_find(seen.begin(), seen.end()) == seen.end())
			return records;
		seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
		std::shuffle(seen.begin(), seen.end(), rng);
		for (const auto &r : seen)
			unique.add(r.data());
		return unique;
	}
	return records;
}

/* The same, sorted; for inner nodes the separators of such records, each with a child. */
inline Records
sorted_records(const DataSet &set, const Shape &shape, size_t n, Tids tids, Rng &rng)
{
	const int words = shape.words;
	const Records arrived = arriving_records(set, words, n, tids, rng);
	std::vector<const uint64_t *> order;
	Records records(shape.stride());
	uint64_t record[ALEX_MAX_RECORD_WORDS];

	for (size_t i = 0; i < arrived.size(); i++)
		order.push_back(arrived[i]);
	std::sort(order.begin(), order.end(),
			  [&](const uint64_t *a, const uint64_t *b) { return alex_compare(a, b, words) < 0; });
	for (size_t i = 0; i < order.size(); i++)
	{
		std::copy(order[i], order[i] + words + 1, record);
		if (shape.level > 0)
		{
			if (i > 0 && !same_key(order[i - 1], order[i], words))
				record[words] = 0;
			record[words + 1] = tids == Tids::random ? below(rng, ALEX_NO_BLOCK) : 1000 + i;
		}
		records.add(record);
	}
	return records;
}

/*
 * An empty node that can take records first .. first + n - 1: its low fence is that of the first record, its high fence
 * the record after the last, if there is one.
 */
inline Page
empty_node(const Shape &shape, const Records &records, size_t first, size_t n)
{
	static const uint64_t zeros[position_max] = {};
	const bool last = first + n >= records.size();
	Page page(shape.page_size);

	alex_node_init(page.data(), shape.page_size, shape.words, shape.level, first < records.size() ? records[first] : zeros,
				   last ? nullptr : records[first + n], first > 0 ? 7 : ALEX_NO_BLOCK, last ? ALEX_NO_BLOCK : 9);
	return page;
}

struct Node
{
	Page page;
	Records records; /* base and delta merged, in order */
};

/*
 * A node with as many of the records as fit, one in "delta_share" of them in the delta (0: none).
 * An inner node keeps its first record in the base, as the core promises to find a child for its low fence.
 */
inline Node
full_node(const Shape &shape, const Records &records, unsigned delta_share, Rng &rng)
{
	const auto most = static_cast<uint32_t>(records.size());
	const uint32_t record_bytes = static_cast<uint32_t>(shape.stride()) * 8;
	uint32_t capacity = alex_node_capacity(shape.words, shape.level, shape.page_size);
	uint32_t n = alex_fit(records.data(), most, shape.words, shape.level, capacity, false, 0);

	/* what its fences leave */
	capacity = empty_node(shape, records, 0, n).free_bytes();
	n = alex_fit(records.data(), most, shape.words, shape.level, capacity, false, n);

	std::vector<bool> unfit(n); /* for the slots, so it goes to the base */

	for (;;)
	{
		Page page = empty_node(shape, records, 0, n);
		Records base(shape.stride());
		Records delta(shape.stride());

		for (uint32_t i = 0; i < n; i++)
		{
			const bool raw = delta_share > 0 && !unfit[i] && (i > 0 || shape.level == 0) && below(rng, delta_share) == 0 &&
				delta.size() < capacity / 2 / record_bytes;

			(raw ? delta : base).add(records[i]);
		}
		if (!alex_node_store(page.data(), base.data(), static_cast<uint32_t>(base.size()),
							 static_cast<uint32_t>(delta.size()) * record_bytes))
		{
			n -= (n + 15) / 16;
			continue;
		}
		bool all_fit = true;
		for (size_t i = 0; i < delta.size(); i++)
			if (!page.slot_fits(delta[i]))
			{
				unfit[records.lower_bound(delta[i], shape.words)] = true;
				all_fit = false;
			}
		if (!all_fit)
			continue;
		std::vector<size_t> order(delta.size());
		for (size_t i = 0; i < order.size(); i++)
			order[i] = i;
		std::shuffle(order.begin(), order.end(), rng);
		for (const size_t i : order)
			if (!add_fresh(page, delta[i]))
				throw std::logic_error("a delta has less room than was left for it");
		page.scribble_hole(rng);
		return {std::move(page), records.slice(0, n)};
	}
}

/* The next (previous) position; false at the end of the range. */
inline bool
step_position(uint64_t *position, int words, bool up)
{
	for (int w = words; w >= 0; w--)
	{
		const bool wraps = position[w] == (up ? UINT64_MAX : 0);

		position[w] += up ? 1 : UINT64_MAX;
		if (!wraps)
			return true;
	}
	return false;
}

/*
 * A position worth searching in the sorted records: one of them, just before or after it, its key with the least or the
 * greatest tie, the ends of the range, or anything.
 */
inline void
interesting_position(const Records &records, int words, Rng &rng, uint64_t *position)
{
	const uint64_t kind = below(rng, 12);

	std::fill(position, position + words + 1, kind == 0 ? 0 : UINT64_MAX);
	if (kind == 2 || records.size() == 0)
		std::generate(position, position + words + 1, [&] { return rng(); });
	if (kind <= 2 || records.size() == 0)
		return;

	const uint64_t *record = records[below(rng, records.size())];

	std::copy(record, record + words + 1, position);
	if (kind == 3)
		position[words] = 0;
	else if (kind == 4)
		position[words] = UINT64_MAX;
	else if (kind == 5)
		position[below(rng, words + 1)] ^= UINT64_C(1) << below(rng, 64);
	else if (kind <= 8)
		step_position(position, words, kind == 6);
}

} // namespace alex_test

#endif
