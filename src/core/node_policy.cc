/*
 * node_policy.cc - what becomes of a node that gets one record more, or has some less (alex_policy.h).
 */
#include "alex_policy.h"

#include <algorithm>
#include <boost/container/static_vector.hpp>
#include <span>

#include "node.h"
#include "node_plan.h"

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

/* Where only very long keys take the room of a node, it has no more records. */
constexpr uint32_t kFewRecords = 256;

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
	RecordSpan(const uint64_t *records, uint32_t n, int words, const void *page)
		: records_(records), n_(n), form_{alex_cheader(page)->least, words, alex_cheader(page)->level}, stride_(form_.stride())
	{
		const AlexNodeHeader &node = *alex_cheader(page);

		form_.begin = records;
		form_.end = records + n * stride_;
		alex_widen_position(alex_low_fence(page, low_), node.words, low_, words);
		form_.low = low_;
		if (rightmost(node))
			return;
		alex_widen_position(alex_high_fence(page, high_), node.words, high_, words);
		form_.high = high_;
	}
	RecordSpan(const RecordSpan &) = delete;
	RecordSpan &operator=(const RecordSpan &) = delete;

	[[nodiscard]] uint32_t size() const { return n_; }
	[[nodiscard]] const Form &form() const { return form_; }
	[[nodiscard]] const uint64_t *operator[](uint32_t i) const { return records_ + i * stride_; }

	/** Where two nodes of "room" bytes can divide them, the left one with "fill" bytes if that is not 0; or 0. */
	[[nodiscard]] uint32_t choose_split(uint32_t room, uint32_t fill) const
	{
		/* first see whether two nodes can hold very many at all */
		if (n_ >= kManyRecords && encoded_size(records_, n_, form_) > 2 * room + room / 8)
			return 0;
		return alex::choose_split(records_, n_, form_, room, fill);
	}

	/** How many of the last ones fit "room" bytes; all but the first may. */
	[[nodiscard]] uint32_t fit_behind_first(uint32_t room, uint32_t guess) const
	{
		return fit(records_ + stride_, n_ - 1, form_, room, true, guess > 0 ? guess : n_ / 2);
	}

	/** The low fence of a node that begins with record i: leaves may choose a shorter one between two records. */
	void separator(uint32_t i, uint64_t *out) const
	{
		if (form_.level > 0)
			std::copy_n((*this)[i], form_.words + 1, out);
		else
			alex_make_separator((*this)[i - 1], (*this)[i], form_.words, out);
	}

	/** Makes records first .. end - 1 the content of a node. */
	[[nodiscard]] bool store(void *page, uint32_t first, uint32_t end, uint32_t reserve) const
	{
		return alex_node_store_words(page, (*this)[first], form_.words, end - first, reserve);
	}

  private:
	const uint64_t *records_;
	uint32_t n_;
	Form form_;
	size_t stride_;
	uint64_t low_[ALEX_MAX_WORDS + 1];
	uint64_t high_[ALEX_MAX_WORDS + 1];
};

/** Puts a record among n sorted ones. */
void
insert_record(uint64_t *records, uint32_t n, const uint64_t *record, int words, int level)
{
	const auto stride = static_cast<size_t>(alex_stride(words, level));
	uint32_t low = 0;
	uint32_t high = n;

	while (low < high)
	{
		const uint32_t middle = (low + high) / 2;

		if (alex_compare(records + middle * stride, record, words) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	std::memmove(records + (low + 1) * stride, records + low * stride, (n - low) * stride * sizeof(uint64_t));
	std::memcpy(records + low * stride, record, stride * sizeof(uint64_t));
}

/** Takes it out again. */
void
remove_record(uint64_t *records, uint32_t n, const uint64_t *record, int words, int level)
{
	const auto stride = static_cast<size_t>(alex_stride(words, level));
	uint32_t at = 0;

	while (at + 1 < n && alex_compare(records + at * stride, record, words) != 0)
		at++;
	std::memmove(records + at * stride, records + (at + 1) * stride, (n - 1 - at) * stride * sizeof(uint64_t));
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

/** Makes the two parts of a split of records, of which "left" go to the left one; or that keeps what it has (nodes.truncated). */
[[nodiscard]] bool
make_parts(const void *page, const RecordSpan &records, uint32_t left, AlexNewNodes &nodes)
{
	const AlexNodeHeader &node = *alex_cheader(page);
	const uint32_t page_size = page_size_of(page);
	const int words = nodes.words;

	records.separator(left, nodes.separator);
	alex_node_begin(nodes.right, page_size, node.least, words, node.level, nodes.separator, records.form().high,
					ALEX_NO_BLOCK, node.right);
	if (!records.store(nodes.right, left, records.size(), 0))
		return false;
	if (nodes.truncated)
	{
		if (!alex_node_truncate_words(nodes.left, page, nodes.separator, words))
			return false;
	}
	else
	{
		alex_node_begin(nodes.left, page_size, node.least, words, node.level, records.form().low, nodes.separator, node.left, ALEX_NO_BLOCK);
		if (!records.store(nodes.left, 0, left, 0))
			return false;
	}
	alex_header(nodes.left)->flags = node.flags;
	return true;
}

/** Divides records that do not fit the node they are for. "growing": its keys grow. */
[[nodiscard]] bool
split(const void *page, const RecordSpan &records, bool growing, int fillfactor, AlexNewNodes &nodes)
{
	const AlexNodeHeader &node = *alex_cheader(page);
	const uint32_t page_size = page_size_of(page);
	const int words = nodes.words;
	const uint32_t capacity = alex_node_capacity_of(node.least, words, node.level, page_size);
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
	if (make_parts(page, records, left, nodes))
		return true;
	/* a fence that is longer than the node's keys may take the room that truncation needs, and that the middle leaves */
	nodes.truncated = false;
	for (uint32_t i = 1; records.form().variable() && i < n && n <= kFewRecords; i++)
		if (make_parts(page, records, i % 2 != 0 ? n / 2 - (i / 2) % (n / 2) : n / 2 + (i / 2) % (n - n / 2), nodes))
			return true;
	return false;
}

/** Divides what a node has, for which there is always room. */
[[nodiscard]] bool
split_old(const void *page, const RecordSpan &records, AlexNewNodes &nodes)
{
	const AlexNodeHeader &node = *alex_cheader(page);
	const uint32_t page_size = page_size_of(page);

	if (records.size() < 2)
		return false;
	nodes.truncated = true;
	/* from the middle on, to fewer and fewer */
	for (uint32_t right = std::min(records.fit_behind_first(alex_node_capacity_of(node.least, nodes.words, node.level, page_size), 0), records.size() / 2 + 1);
		 right > 0; right /= 2)
		if (right < records.size() && make_parts(page, records, records.size() - right, nodes))
			return true;
	return false;
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

	uint64_t low[ALEX_MAX_WORDS + 1];
	uint64_t high[ALEX_MAX_WORDS + 1];

	alex_node_begin(image, page_size_of(page), node.least, node.words, node.level, alex_low_fence(page, low),
					rightmost(node) ? nullptr : alex_high_fence(page, high), node.left, node.right);
	alex_header(image)->flags = node.flags;
}

extern "C" bool
alex_change_append(const void *page, const uint64_t *record, uint32_t dead, AlexNewNodes *nodes)
{
	if (dead > 0 && dead > alex_record_count(page) / kFewDead)
		return false;
	uint64_t space[ALEX_MAX_RECORD_WORDS];

	record = alex_fit_record(page, record, nodes->words, space);
	if (record == nullptr)
		return false;
	begin(page, *nodes);
	return alex_node_append(nodes->left, page, record, reserve_for(page));
}

extern "C" bool
alex_change_node(const void *page, uint64_t *records, uint32_t n, const uint64_t *record, int fillfactor, AlexNewNodes *nodes)
{
	const AlexNodeHeader &node = *alex_cheader(page);

	if (record)
		insert_record(records, n++, record, nodes->words, node.level);

	const RecordSpan all(records, n, nodes->words, page);

	begin(page, *nodes);
	if (all.store(nodes->left, 0, n, record && n > ALEX_ANY_RECORDS ? reserve_for(page) : 0))
		return true;

	/* keys that grow, in order or nearly, leave full nodes behind, as in nbtree */
	if (split(page, all, record && rightmost(node), fillfactor, *nodes))
	{
		/* the step that stores the new record is the last one */
		nodes->again = nodes->truncated && (!record || alex_compare(record, nodes->separator, nodes->words) < 0);
		return true;
	}
	if (!record || node.least == nodes->words)
		return false;
	/* between long keys a longer one may need a node of its own, after what was there has been divided */
	remove_record(records, n--, record, nodes->words, node.level);
	nodes->again = true;
	return split_old(page, RecordSpan(records, n, nodes->words, page), *nodes);
}
