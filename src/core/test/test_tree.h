/*
 * test_tree.h - a B-link tree of core pages in memory: the least a caller does to make an index of the core.
 *
 * Pages live in a vector and a block is its subscript; there is no concurrency and no page deletion. Everything that
 * concerns one node is left to the core, its policy included, so a fault of it shows as a wrong answer of the tree.
 */
#ifndef ALEX_TEST_TREE_H
#define ALEX_TEST_TREE_H

#include <deque>
#include <stdexcept>

#include "../alex_policy.h"
#include "test_util.h"

namespace alex_test
{

class Tree
{
public:
	struct Counts
	{
		uint64_t appends = 0;	  /* merges behind the base */
		uint64_t merges = 0;	  /* rewrites that fitted the page */
		uint64_t splits = 0;	  /* into two re-encoded pages */
		uint64_t truncations = 0; /* the left part would not fit once re-encoded */
	};

	/* delta_limit: records a delta may have before it is merged, if the policy allows as many. */
	Tree(int words, uint32_t page_size, uint32_t delta_limit)
		: words_(words), page_size_(page_size), delta_limit_(delta_limit), capacity_(alex_node_capacity(words, 1, page_size)),
		  buffer_(static_cast<size_t>(ALEX_MAX_RECORDS + page_size / 8 + 1) * alex_stride(words, 1)), left_(page_size), right_(page_size)
	{
		const uint64_t zeros[position_max] = {};

		root_ = add_page(0, zeros, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
	}

	int words() const { return words_; }
	int height() const { return pages_[root_].node().level + 1; }
	size_t pages() const { return pages_.size(); }
	const Page &page(uint32_t block) const { return pages_[block]; }
	const Counts &counts() const { return counts_; }
	uint64_t bytes() const { return static_cast<uint64_t>(pages_.size()) * page_size_; }

	void insert(const uint64_t *record) { insert_at(0, record); }

	/* Returns false if there is no such record. */
	bool
	erase(const uint64_t *position)
	{
		bool found = false;

		for (int step = 0;; step++)
		{
			const uint32_t block = find(0, position);
			const uint32_t n = alex_decode(pages_[block].data(), buffer_.data());
			const uint32_t at = index_of(n, position, 0);

			/* a step of a split may already have moved it away, and left it out */
			if (at == n || alex_compare(record(at, 0), position, words_) != 0)
				return found;
			found = true;
			check(step < max_steps, "a delete takes too many splits");
			/* without the record the rest can take more room than with it */
			std::move(record(at + 1, 0), record(n, 0), record(at, 0));
			if (replace(block, n - 1, nullptr, 0))
				return true;
		}
	}

	bool
	contains(const uint64_t *position)
	{
		uint64_t next[position_max];
		bool more;

		std::copy_n(position, words_ + 1, next);
		check(step_position(next, words_, true), "the greatest position is no record's");

		const Page &leaf = pages_[find(0, position)];
		std::vector<uint64_t> out(static_cast<size_t>(1 + alex_delta_count(leaf.data())) * (words_ + 1));

		return alex_collect(leaf.data(), position, next, false, 1, out.data(), &more) == 1;
	}

	/*
	 * The first (backward: last) "limit" records of low <= p < high in scan order, taken from the nodes in batches of
	 * "batch". high may be null.
	 */
	Records
	scan(const uint64_t *low, const uint64_t *high, bool backward, size_t limit, uint32_t batch)
	{
		Records found(words_ + 1);
		std::vector<uint64_t> from(low, low + words_ + 1);
		std::vector<uint64_t> to;
		uint32_t block;
		bool more = false;

		if (high != nullptr)
		{
			if (alex_compare(low, high, words_) >= 0)
				return found;
			to.assign(high, high + words_ + 1);
		}
		if (!backward)
			block = find(0, low);
		else if (high == nullptr)
			block = rightmost();
		else
		{
			std::vector<uint64_t> before = to;

			step_position(before.data(), words_, false);
			block = find(0, before.data());
		}
		while (found.size() < limit && block != ALEX_NO_BLOCK)
		{
			const Page &leaf = pages_[block];
			std::vector<uint64_t> out(static_cast<size_t>(batch + alex_delta_count(leaf.data())) * (words_ + 1));
			const uint32_t n =
				alex_collect(leaf.data(), from.data(), to.empty() ? nullptr : to.data(), backward, batch, out.data(), &more);

			check(n > 0 || !more, "collect returns nothing but knows of more");
			for (uint32_t i = 0; i < n && found.size() < limit; i++)
				found.add(&out[static_cast<size_t>(i) * (words_ + 1)]);
			if (more)
			{
				const uint64_t *last = &out[static_cast<size_t>(n - 1) * (words_ + 1)];

				if (backward)
					to.assign(last, last + words_ + 1);
				else
				{
					from.assign(last, last + words_ + 1);
					step_position(from.data(), words_, true);
				}
			}
			else if (backward)
				block = alex_compare(fence(leaf.data(), alex_low_fence).data(), from.data(), words_) <= 0 ? ALEX_NO_BLOCK : leaf.node().left;
			else if (leaf.node().right == ALEX_NO_BLOCK ||
					 (!to.empty() && alex_compare(fence(leaf.data(), alex_high_fence).data(), to.data(), words_) >= 0))
				block = ALEX_NO_BLOCK;
			else
				block = leaf.node().right;
		}
		return found;
	}

	/* Removes the records for which dead(record) holds, leaf by leaf, as a vacuum does. Returns their number. */
	template <typename Dead>
	size_t
	vacuum(const Dead &dead)
	{
		size_t removed = 0;

		for (uint32_t block = leftmost(0); block != ALEX_NO_BLOCK; block = pages_[block].node().right)
			for (int step = 0;; step++)
			{
				const uint32_t n = alex_decode(pages_[block].data(), buffer_.data());
				uint32_t kept = 0;

				check(step < max_steps, "a vacuum takes too many splits");
				for (uint32_t i = 0; i < n; i++)
					if (!dead(record(i, 0)))
						std::copy_n(record(i, 0), words_ + 1, record(kept++, 0));
				removed += n - kept;
				if (kept == n || replace(block, kept, nullptr, 0))
					break;
				/* the right part is done with; the left is as it was */
				const std::vector<uint64_t> high = fence(pages_[block].data(), alex_high_fence);
				const uint32_t left = alex_decode(pages_[block].data(), buffer_.data());
				for (uint32_t i = 0; i < left; i++)
				{
					check(alex_compare(record(i, 0), high.data(), words_) < 0, "a truncated node keeps a record too many");
					removed -= dead(record(i, 0));
				}
			}
		return removed;
	}

	/* Fills an empty tree with sorted records, leaving "reserve" bytes free in every node. */
	void
	build(const Records &records, uint32_t reserve)
	{
		Records level_records = records;
		std::vector<uint64_t> columns(static_cast<size_t>(ALEX_MAX_RECORDS) * alex_stride(words_, 1));

		for (int level = 0;; level++)
		{
			const int stride = alex_stride(words_, level);
			const auto total = static_cast<uint32_t>(level_records.size());
			Records parents(words_ + 2);
			uint64_t low[ALEX_MAX_RECORD_WORDS] = {};
			uint32_t block = level == 0 ? 0 : ALEX_NO_BLOCK; /* the first leaf is the empty root */
			uint32_t guess = 0;

			for (uint32_t first = 0; first < total;)
			{
				const uint32_t window = std::min<uint32_t>(total - first, ALEX_MAX_RECORDS);
				AlexPlan plan;

				alex_plan_node(level_records[first], window, words_, level, capacity_ - reserve, guess, columns.data(), &plan);

				const uint32_t n = plan.n;
				uint64_t high[ALEX_MAX_RECORD_WORDS];
				const bool last = first + n == total;
				const uint32_t left = first == 0 ? ALEX_NO_BLOCK : block;

				guess = n;
				if (!last && level == 0)
					alex_make_separator(level_records[first + n - 1], level_records[first + n], words_, high);
				else if (!last)
					std::copy_n(level_records[first + n], words_ + 1, high);
				if (level > 0 || first > 0)
					block = add_page(level, low, last ? nullptr : high, left, ALEX_NO_BLOCK);
				else if (!last)
					alex_node_init(pages_[block].data(), page_size_, words_, level, low, high, left, ALEX_NO_BLOCK);
				if (left != ALEX_NO_BLOCK)
					pages_[left].node().right = block;
				check(alex_node_store_planned(pages_[block].data(), &plan, columns.data()), "what fits cannot be stored");
				low[words_ + 1] = block;
				parents.add(low);
				std::copy_n(high, words_ + 1, low);
				first += n;
			}
			check(stride == level_records.stride(), "strides agree");
			if (parents.size() <= 1)
			{
				if (parents.size() == 1)
					root_ = block;
				return;
			}
			level_records = parents;
		}
	}

	uint32_t
	find(int level, const uint64_t *position) const
	{
		uint32_t block = root_;

		for (;;)
		{
			const Page &page = pages_[block];

			check(alex_fence_side(page.data(), position) == 0, "a descent leads to the wrong node");
			if (page.node().level == level)
				return block;
			block = alex_find_child(page.data(), position, nullptr);
			check(block < pages_.size(), "a node has no child for a position");
		}
	}

	/* Every page is sound, and links, fences and separators agree. Returns the number of records. */
	size_t
	validate() const
	{
		std::vector<uint64_t> children;
		size_t records = 0;

		for (int level = height() - 1; level >= 0; level--)
		{
			const std::vector<uint64_t> expected = std::move(children);
			const uint64_t zeros[position_max] = {};
			size_t i = 0;
			uint32_t left = ALEX_NO_BLOCK;

			children.clear();
			for (uint32_t block = leftmost(level); block != ALEX_NO_BLOCK; i++)
			{
				const Page &page = pages_[block];
				uint64_t *scratch = scratch_of(page.stride(), page_size_);
				const char *problem = alex_node_validate(page.data(), words_, page_size_, scratch);

				check(problem == nullptr, problem);
				check(page.node().level == level, "siblings are of different levels");
				check(page.node().left == left, "the left link is wrong");
				if (left == ALEX_NO_BLOCK)
					check(alex_compare(fence(page.data(), alex_low_fence).data(), zeros, words_) == 0, "the leftmost node has a low fence");
				else
					check(alex_compare(fence(page.data(), alex_low_fence).data(), fence(pages_[left].data(), alex_high_fence).data(), words_) == 0,
						  "the fences of siblings differ");
				if (level < height() - 1)
				{
					check(i * (words_ + 2) < expected.size(), "a node has no parent");
					const uint64_t *parent = &expected[i * (words_ + 2)];
					check(parent[words_ + 1] == block, "parents and siblings are in different order");
					check(alex_compare(parent, fence(page.data(), alex_low_fence).data(), words_) == 0, "a separator is not the low fence");
				}
				const uint32_t n = alex_decode(page.data(), scratch);
				check(n == alex_record_count(page.data()), "the count of records is wrong");
				if (level > 0)
					children.insert(children.end(), scratch, scratch + static_cast<size_t>(n) * page.stride());
				else
					records += n;
				left = block;
				block = page.node().right;
			}
			check(level == height() - 1 ? i == 1 : i * (words_ + 2) == expected.size(), "a level has nodes without parents");
		}
		return records;
	}

	/* Pages of leaves. */
	size_t
	leaves() const
	{
		size_t n = 0;

		for (uint32_t block = leftmost(0); block != ALEX_NO_BLOCK; block = pages_[block].node().right)
			n++;
		return n;
	}

	uint32_t
	leftmost(int level) const
	{
		const uint64_t zeros[position_max] = {};

		return find(level, zeros);
	}

private:
	/* Each step of a split in several steps takes at least some records off the node. */
	static constexpr int max_steps = 1000;

	static void
	check(bool holds, const char *what)
	{
		if (!holds)
			throw std::logic_error(what);
	}

	uint64_t *
	record(size_t i, int level)
	{
		return &buffer_[i * alex_stride(words_, level)];
	}

	uint32_t
	index_of(uint32_t n, const uint64_t *position, int level)
	{
		uint32_t low = 0;
		uint32_t high = n;

		while (low < high)
		{
			const uint32_t middle = (low + high) / 2;

			if (alex_compare(record(middle, level), position, words_) < 0)
				low = middle + 1;
			else
				high = middle;
		}
		return low;
	}

	uint32_t
	add_page(int level, const uint64_t *low, const uint64_t *high, uint32_t left, uint32_t right)
	{
		pages_.emplace_back(page_size_);
		alex_node_init(pages_.back().data(), page_size_, words_, level, low, high, left, right);
		return static_cast<uint32_t>(pages_.size() - 1);
	}

	uint32_t
	rightmost() const
	{
		uint32_t block = root_;
		uint64_t greatest[position_max];

		std::fill(greatest, greatest + position_max, UINT64_MAX);
		while (pages_[block].node().level > 0)
			block = alex_find_child(pages_[block].data(), greatest, nullptr);
		return block;
	}

	void
	insert_at(int level, const uint64_t *fresh)
	{
		AlexSlot slot;
		uint32_t fitted = 0;

		for (int step = 0;; step++)
		{
			const uint32_t block = find(level, fresh);
			Page &page = pages_[block];

			if (alex_delta_prepare(page.data(), fresh, std::min(delta_limit_, alex_delta_limit(page.data())), &slot))
			{
				alex_delta_put(page.data(), &slot);
				return;
			}

			AlexNewNodes nodes = new_nodes(0);

			check(step < max_steps, "an insert takes too many splits");
			if (alex_change_append(page.data(), fresh, 0, &nodes))
			{
				counts_.appends++;
				page = left_;
				return;
			}

			const uint32_t n = alex_decode(page.data(), buffer_.data());

			if (replace(block, n, fresh, fitted, &fitted))
				return;
		}
	}

	AlexNewNodes
	new_nodes(uint32_t fitted)
	{
		AlexNewNodes nodes = {};

		nodes.left = left_.data();
		nodes.right = right_.data();
		nodes.words = words_;
		nodes.fitted = fitted;
		return nodes;
	}

	/*
	 * Makes n records of the buffer, and "fresh" if that is not null, the content of a node. Returns false if that was only a step, and
	 * its left part is as it was; *next is for the next step.
	 */
	bool
	replace(uint32_t block, uint32_t n, const uint64_t *fresh, uint32_t fitted, uint32_t *next = nullptr)
	{
		AlexNewNodes nodes = new_nodes(fitted);

		check(alex_change_node(pages_[block].data(), buffer_.data(), n, fresh, ALEX_DEFAULT_FILLFACTOR, &nodes), "records fit no node");
		if (next != nullptr)
			*next = nodes.fitted;
		if (!nodes.split)
		{
			counts_.merges++;
			pages_[block] = left_;
			return true;
		}
		(nodes.truncated ? counts_.truncations : counts_.splits)++;
		check(!nodes.truncated || left_.free_bytes() >= pages_[block].free_bytes(), "truncation takes room");

		const auto right = static_cast<uint32_t>(pages_.size());
		const uint32_t old_right = right_.node().right;
		const int level = right_.node().level;

		left_.node().right = right;
		right_.node().left = block;
		if (old_right != ALEX_NO_BLOCK)
			pages_[old_right].node().left = right;
		pages_[block] = left_;
		pages_.push_back(right_);
		add_parent(block, right, nodes.separator, level);
		return !nodes.again;
	}

	void
	add_parent(uint32_t left, uint32_t right, const uint64_t *separator, int level)
	{
		uint64_t downlink[ALEX_MAX_RECORD_WORDS] = {};

		if (left == root_)
		{
			downlink[words_ + 1] = left;
			root_ = add_page(level + 1, downlink, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
			check(alex_node_store(pages_[root_].data(), downlink, 1, 0), "a new root does not fit");
		}
		std::copy_n(separator, words_ + 1, downlink);
		downlink[words_ + 1] = right;
		insert_at(level + 1, downlink);
	}

	int words_;
	uint32_t page_size_;
	uint32_t delta_limit_;
	uint32_t capacity_;
	uint32_t root_ = 0;
	std::deque<Page> pages_; /* a deque: growing moves no page */
	std::vector<uint64_t> buffer_;
	Page left_; /* of the node being changed */
	Page right_;
	Counts counts_;
};

} // namespace alex_test

#endif
