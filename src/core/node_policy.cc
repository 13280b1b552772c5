/*
 * node_policy.cc - what becomes of a node that gets one record more, or has some less (alex_policy.h).
 */
#include "alex_policy.h"

#include <algorithm>
#include <boost/container/static_vector.hpp>
#include <span>

#include "node.h"

namespace alex
{

namespace
{

/*
 * A merge must leave at least this share of the page free, or the node splits: otherwise merges come every few inserts when a node is
 * nearly full, each writing the whole page.
 */
constexpr uint32_t kMergeReserve = 32;

/*
 * The same where entries have been marked as dead, beyond the room for marks. The dead ones are left out, so such a leaf can come to
 * stay nearly full.
 */
constexpr uint32_t kKilledReserve = 8;

/*
 * The same where keys grow. Each merge of fresh records behind the others logs the page, so the last of them, for the last eighth
 * of it, would be the dearest.
 */
constexpr uint32_t kAppendReserve = 8;

/* Leaves have fewer records, unless those lie on a line. Choosing a split encodes them several times. */
constexpr uint32_t kManyRecords = 4096;

/* One of so many records left out is no reason to rewrite what need not be. */
constexpr uint32_t kFewDead = 32;

/* Where one of so many entries went, there is room enough for a while. */
constexpr uint32_t kEnoughPurged = 16;

[[nodiscard]] bool
rightmost(const AlexNodeHeader &node)
{
	return node.right == ALEX_NO_BLOCK;
}

[[nodiscard]] uint32_t
page_size_of(const void *page)
{
	return static_cast<uint32_t>(alex_page_head(page)->pd_special) + ALEX_SPECIAL_SIZE;
}

/** Bytes that stay free in a node that is rewritten for a new record. */
[[nodiscard]] uint32_t
reserve_for(const void *page)
{
	const AlexNodeHeader &node = *alex_cheader(page);
	const uint32_t page_size = page_size_of(page);

	if (node.level == 0 && rightmost(node))
		return page_size / kAppendReserve;
	if (node.level == 0 && alex_has_killed(page))
	{
		const uint32_t marks = alex_killed_reserve(alex_place_count(page), page_size);

		if (marks > 0)
			return page_size / kKilledReserve + marks;
	}
	return page_size / kMergeReserve;
}

/** Sorted records about to become nodes of one kind. */
class RecordSpan
{
  public:
	RecordSpan(const uint64_t *records, uint32_t n, const AlexNodeHeader &node)
		: records_(records), n_(n), words_(node.words), level_(node.level), stride_(alex_stride(node.words, node.level))
	{
	}

	[[nodiscard]] uint32_t size() const { return n_; }
	[[nodiscard]] const uint64_t *operator[](uint32_t i) const { return records_ + i * stride_; }

	[[nodiscard]] uint32_t encoded_size() const { return alex_encoded_size(records_, n_, words_, level_); }

	/** Where two nodes of "room" bytes can divide them, the left one with "fill" bytes if that is not 0; or 0. */
	[[nodiscard]] uint32_t choose_split(uint32_t room, uint32_t fill) const
	{
		/* first see whether two nodes can hold very many at all */
		if (n_ >= kManyRecords && encoded_size() > 2 * room + room / 8)
			return 0;
		return alex_choose_split(records_, n_, words_, level_, room, fill);
	}

	/** How many of the last ones fit "room" bytes; all but the first may. */
	[[nodiscard]] uint32_t fit_behind_first(uint32_t room, uint32_t guess) const
	{
		return alex_fit(records_ + stride_, n_ - 1, words_, level_, room, true, guess > 0 ? guess : n_ / 2);
	}

	/** The low fence of a node that begins with record i: leaves may choose a shorter one between two records. */
	void separator(uint32_t i, uint64_t *out) const
	{
		if (level_ > 0)
			std::copy_n((*this)[i], words_ + 1, out);
		else
			alex_make_separator((*this)[i - 1], (*this)[i], words_, out);
	}

	/** Makes records first .. end - 1 the content of a node. */
	[[nodiscard]] bool store(void *page, uint32_t first, uint32_t end, uint32_t reserve) const
	{
		return alex_node_store(page, (*this)[first], end - first, reserve);
	}

  private:
	const uint64_t *records_;
	uint32_t n_;
	int words_;
	int level_;
	size_t stride_;
};

/** Puts a record among n sorted ones. */
void
insert_record(uint64_t *records, uint32_t n, const uint64_t *record, const AlexNodeHeader &node)
{
	const auto stride = static_cast<size_t>(alex_stride(node.words, node.level));
	uint32_t low = 0;
	uint32_t high = n;

	while (low < high)
	{
		const uint32_t middle = (low + high) / 2;

		if (alex_compare(records + middle * stride, record, node.words) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	std::memmove(records + (low + 1) * stride, records + low * stride, (n - low) * stride * sizeof(uint64_t));
	std::memcpy(records + low * stride, record, stride * sizeof(uint64_t));
}

/** The left image to begin with: an empty node in the place of the page. */
void
begin(const void *page, AlexNewNodes &nodes)
{
	nodes.split = false;
	nodes.truncated = false;
	nodes.again = false;
	alex_node_successor(nodes.left, page);
}

/** Divides records that do not fit the node they are for. "growing": its keys grow. */
[[nodiscard]] bool
split(const void *page, const RecordSpan &records, bool growing, int fillfactor, AlexNewNodes &nodes)
{
	const AlexNodeHeader &node = *alex_cheader(page);
	const uint32_t page_size = page_size_of(page);
	const uint32_t capacity = alex_node_capacity(node.words, node.level, page_size);
	const uint32_t room = capacity - page_size / kMergeReserve;
	const uint32_t fill = growing ? capacity / 100 * static_cast<uint32_t>(fillfactor) : 0;
	const uint32_t n = records.size();

	if (n < 2)
		return false;

	uint32_t left = records.choose_split(room, fill);

	nodes.split = true;
	nodes.truncated = left == 0;
	if (nodes.truncated)
	{
		/* sizes are not monotone, and the merge may have kept back more room than this does */
		nodes.fitted = records.fit_behind_first(room, nodes.fitted);
		left = n - nodes.fitted;
	}
	records.separator(left, nodes.separator);
	alex_node_init(nodes.right, page_size, node.words, node.level, nodes.separator,
				   rightmost(node) ? nullptr : alex_high_fence(page), ALEX_NO_BLOCK, node.right);
	if (!records.store(nodes.right, left, n, 0))
		return false;
	if (nodes.truncated)
		alex_node_truncate(nodes.left, page, nodes.separator);
	else
	{
		alex_node_init(nodes.left, page_size, node.words, node.level, alex_low_fence(page), nodes.separator, node.left,
					   ALEX_NO_BLOCK);
		if (!records.store(nodes.left, 0, left, 0))
			return false;
	}
	alex_header(nodes.left)->flags = node.flags;
	return true;
}

/* ---- purging ---- */

[[nodiscard]] uint32_t
heap_block(uint64_t tie)
{
	return static_cast<uint32_t>(tie >> 16);
}

/** Places of a candidate list, while it is filled. */
class Candidates
{
  public:
	explicit Candidates(uint32_t *places) : places_(places, ALEX_MOST_CANDIDATES) {}

	[[nodiscard]] bool full() const { return n_ == places_.size(); }
	[[nodiscard]] uint32_t size() const { return n_; }
	void add(uint32_t place) { places_[n_++] = place; }

  private:
	std::span<uint32_t> places_;
	uint32_t n_ = 0;
};

[[nodiscard]] bool
equal_keys(const uint64_t *a, const uint64_t *b, int words)
{
	return std::equal(a, a + words, b) && ((a[words] ^ b[words]) & ALEX_EXT_BIT) == 0;
}

} // namespace

} // namespace alex

using namespace alex;

extern "C" uint32_t
alex_delta_limit(const void *page)
{
	const AlexNodeHeader &node = *alex_cheader(page);

	if (node.level > 0)
		return ALEX_INNER_DELTA;
	if (rightmost(node))
		return ALEX_APPEND_DELTA;
	return ALEX_LEAF_DELTA + node.count / ALEX_DELTA_SHARE;
}

extern "C" bool
alex_should_purge(const void *page, bool unchanged)
{
	return unchanged || alex_has_killed(page);
}

extern "C" uint32_t
alex_pick_marked(const uint64_t *records, uint32_t n, int words, uint32_t *places)
{
	const auto stride = static_cast<size_t>(words + 1);
	boost::container::static_vector<uint32_t, ALEX_MOST_CANDIDATES> blocks;
	Candidates picked(places);

	for (uint32_t i = 0; i < n && !picked.full(); i++)
	{
		const uint64_t tie = records[i * stride + words];

		if (tie & ALEX_KILLED)
		{
			picked.add(i);
			blocks.push_back(heap_block(tie));
		}
	}
	std::sort(blocks.begin(), blocks.end());
	for (uint32_t i = 0; i < n && !picked.full(); i++)
	{
		const uint64_t tie = records[i * stride + words];

		if ((tie & ALEX_KILLED) == 0 && std::binary_search(blocks.begin(), blocks.end(), heap_block(tie)))
			picked.add(i);
	}
	return picked.size();
}

extern "C" bool
alex_should_purge_duplicates(uint32_t n, uint32_t kept)
{
	return kept > 0 && n - kept < n / kEnoughPurged;
}

extern "C" uint32_t
alex_pick_duplicates(const uint64_t *records, uint32_t n, int words, const uint64_t *record, uint32_t *places)
{
	const auto stride = static_cast<size_t>(words + 1);
	Candidates picked(places);

	for (const bool own : {true, false})
	{
		bool before = false; /* is the record equal to the one before it? */

		for (uint32_t i = 0; i < n && !picked.full(); i++)
		{
			const uint64_t *at = records + i * stride;
			const bool after = i + 1 < n && equal_keys(at, at + stride, words);

			if (equal_keys(at, record, words) ? own : !own && (before || after))
				picked.add(i);
			before = after;
		}
	}
	return picked.size();
}

extern "C" void
alex_node_successor(void *image, const void *page)
{
	const AlexNodeHeader &node = *alex_cheader(page);

	alex_node_init(image, page_size_of(page), node.words, node.level, alex_low_fence(page),
				   rightmost(node) ? nullptr : alex_high_fence(page), node.left, node.right);
	alex_header(image)->flags = node.flags;
}

extern "C" bool
alex_change_append(const void *page, const uint64_t *record, uint32_t dead, AlexNewNodes *nodes)
{
	if (dead > 0 && dead > alex_record_count(page) / kFewDead)
		return false;
	begin(page, *nodes);
	return alex_node_append(nodes->left, page, record, reserve_for(page));
}

extern "C" bool
alex_change_node(const void *page, uint64_t *records, uint32_t n, const uint64_t *record, int fillfactor, AlexNewNodes *nodes)
{
	const AlexNodeHeader &node = *alex_cheader(page);

	if (record)
		insert_record(records, n++, record, node);

	const RecordSpan all(records, n, node);

	begin(page, *nodes);
	if (all.store(nodes->left, 0, n, record ? reserve_for(page) : 0))
		return true;

	/* keys that grow, in order or nearly, leave full nodes behind, as in nbtree */
	if (!split(page, all, record && rightmost(node), fillfactor, *nodes))
		return false;
	/* the step that stores the new record is the last one */
	nodes->again = nodes->truncated && (!record || alex_compare(record, nodes->separator, node.words) < 0);
	return true;
}
