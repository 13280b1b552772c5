/*
 * long_keys_test.cc - nodes of keys of many widths, up to the longest.
 *
 * A level of nodes gets records one by one, as inserts do it, and loses some, with a set as the model. Nodes are always sound, their fences join,
 * and whatever is read is what the model has.
 */
#include <algorithm>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "alex_policy.h"
#include "test_util.h"

namespace alex_test
{
namespace
{

constexpr int most = ALEX_MAX_WORDS;
constexpr uint32_t page_size = 8192;

using Record = std::vector<uint64_t>; // of "most" key words, the tie, and in inner nodes the child

/* Key words of one kind after the other. */
class Keys
{
public:
	Keys(int kind, uint64_t seed) : kind_(kind), rng_(seed)
	{
		for (uint64_t &word : prefix_)
			word = rng_() | 1;
	}

	/* Returns how many words are used; the others stay zero. */
	int
	next(uint64_t *key)
	{
		switch (kind_)
		{
			case 0: /* of any length, and nothing in common */
				return random(key, 0, 1 + static_cast<int>(below(rng_, most)));
			case 1: /* a long beginning in common, and a little behind it */
				return random(key, prefix(key, most - 5), most - 5 + static_cast<int>(below(rng_, 4)));
			case 2: /* short ones, and here and there a long one */
				return below(rng_, 40) == 0 ? random(key, 0, most) : random(key, 0, 1 + static_cast<int>(below(rng_, 4)));
			case 3: /* one bit, at the end */
				prefix(key, most);
				key[most - 1] = UINT64_C(1) << below(rng_, 64);
				return most;
			case 4: /* few keys, of equal beginnings: long runs of equal ones */
				return prefix(key, 1 + static_cast<int>(below(rng_, 3)) * (most - 1) / 2);
			case 5: /* pairs that differ at the end */
				return pair(key);
			case 6: /* all that can be between two long ones */
				return random(key, prefix(key, static_cast<int>(below(rng_, most))), static_cast<int>(below(rng_, most + 1)));
			default: /* extreme words */
				for (int i = 0; i < most; i++)
					key[i] = below(rng_, 3) == 0 ? UINT64_MAX : below(rng_, 2);
				return most;
		}
	}

private:
	int
	prefix(uint64_t *key, int n)
	{
		std::copy_n(prefix_, n, key);
		return n;
	}

	int
	random(uint64_t *key, int from, int to)
	{
		for (int i = from; i < to; i++)
			key[i] = rng_();
		return std::max(from, to);
	}

	int
	pair(uint64_t *key)
	{
		if (below(rng_, 2) == 0 || last_.empty())
		{
			random(key, 0, most);
			last_.assign(key, key + most);
		}
		std::copy(last_.begin(), last_.end(), key);
		key[most - 1 - below(rng_, 2)] ^= 1;
		return most;
	}

	int kind_;
	Rng rng_;
	uint64_t prefix_[most];
	std::vector<uint64_t> last_;
};

/* A level: its nodes from left to right. */
class Level
{
public:
	explicit Level(int level) : level_(level), stride_(alex_stride(most, level)), left_(page_size), right_(page_size)
	{
		const uint64_t zeros[most + 1] = {};
		Page first(page_size);

		alex_node_begin(first.data(), page_size, 1, most, level, zeros, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
		pages_.push_back(first);
	}

	void
	insert(const Record &record)
	{
		uint32_t fitted = 0;

		for (int step = 0;; step++)
		{
			ASSERT_LT(step, 20) << "an insert takes too many splits";

			const size_t at = find(record.data());
			if (put(pages_[at], record) || change(at, &record, &fitted))
				return;
		}
	}

	/* Removes one of the records of a leaf, by writing it anew without. */
	void
	erase(const Record &record)
	{
		for (int step = 0;; step++)
		{
			ASSERT_LT(step, 20) << "a removal takes too many splits";

			uint32_t fitted = 0;
			if (change(find(record.data()), nullptr, &fitted, record.data()))
				return;
		}
	}

	/* Removes a record of a leaf in place, as vacuum does, and marks others as dead. Returns false, with nothing changed, if that cannot be. */
	bool
	erase_in_place(const Record &record, Rng &rng)
	{
		Page &page = pages_[find(record.data())];
		uint64_t space[most + 1];
		uint64_t there[most + 2];
		const uint64_t *fitted = alex_fit_record(page.data(), record.data(), most, space);
		const uint32_t place = alex_lower_bound(page.data(), fitted);
		AlexRemoval removal;

		if (place >= page.node().count)
			return false;
		alex_read(page.data(), place, there);
		if (alex_compare(there, fitted, page.node().words) != 0)
			return false;

		const uint32_t places = alex_place_count(page.data());
		const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(places);

		dead[place] = true;
		if (!alex_can_remove(page.data(), dead.get()))
			return false;
		alex_remove(page.data(), dead.get(), &removal);
		if (below(rng, 4) == 0)
			alex_kill(page.data(), there);
		return true;
	}

	/* All records of all nodes, which are sound. */
	std::vector<Record>
	records()
	{
		std::vector<uint64_t> scratch((ALEX_MAX_RECORDS / 8 + page_size / 8) * static_cast<size_t>(stride_));
		std::vector<Record> found;

		for (size_t i = 0; i < pages_.size(); i++)
		{
			pages_[i].node().right = i + 1 < pages_.size() ? static_cast<uint32_t>(i + 1) : ALEX_NO_BLOCK;
			const void *page = pages_[i].data();
			const char *problem = alex_node_validate_of(page, 1, most, page_size, scratch.data());
			EXPECT_EQ(problem, nullptr) << problem;
			if (i > 0)
			{
				EXPECT_EQ(wide(fence(page, alex_low_fence)), wide(fence(pages_[i - 1].data(), alex_high_fence)));
			}
			for (uint32_t n = decode(i, scratch.data()), r = 0; r < n; r++)
				found.emplace_back(scratch.begin() + static_cast<ptrdiff_t>(r) * stride_,
								   scratch.begin() + static_cast<ptrdiff_t>(r + 1) * stride_);
		}
		return found;
	}

	/* The first records of a leaf at or after a position. */
	std::vector<Record>
	collect(const Record &low, const Record *high, uint32_t max, bool backward)
	{
		const Page &page = pages_[find(low.data())];
		const int words = page.node().words;
		uint64_t low_space[most + 1];
		uint64_t high_space[most + 1];
		std::vector<uint64_t> out((max + alex_delta_count(page.data())) * static_cast<size_t>(stride_));
		std::vector<Record> found;
		bool more;

		const uint32_t n = alex_collect(page.data(), alex_fit_position(page.data(), low.data(), most, low_space),
										high != nullptr ? alex_fit_position(page.data(), high->data(), most, high_space) : nullptr, backward,
										max, out.data(), &more);
		alex_widen_records(out.data(), n, words, most, level_);
		for (uint32_t i = 0; i < n; i++)
			found.emplace_back(out.begin() + static_cast<ptrdiff_t>(i) * stride_, out.begin() + static_cast<ptrdiff_t>(i + 1) * stride_);
		return found;
	}

	/* Does the node that covers "low" cover "position", too? */
	bool
	together(const Record &low, const Record &position)
	{
		return find(low.data()) == find(position.data());
	}

	uint32_t
	child(const Record &position)
	{
		const Page &page = pages_[find(position.data())];
		uint64_t space[most + 1];

		return alex_find_child(page.data(), alex_fit_position(page.data(), position.data(), most, space), nullptr);
	}

	size_t size() const { return pages_.size(); }

private:
	static std::vector<uint64_t>
	wide(const std::vector<uint64_t> &position)
	{
		std::vector<uint64_t> all(most + 1);

		alex_widen_position(position.data(), static_cast<int>(position.size()) - 1, all.data(), most);
		return all;
	}

	size_t
	find(const uint64_t *position)
	{
		size_t low = 0;
		size_t high = pages_.size();

		/* the last one whose low fence is not behind it */
		while (high - low > 1)
		{
			const size_t middle = (low + high) / 2;
			uint64_t space[most + 1];

			if (alex_compare_low(pages_[middle].data(), alex_fit_position(pages_[middle].data(), position, most, space)) <= 0)
				low = middle;
			else
				high = middle;
		}
		uint64_t space[most + 1];
		EXPECT_EQ(alex_fence_side(pages_[low].data(), alex_fit_position(pages_[low].data(), position, most, space)), 0);
		return low;
	}

	uint32_t
	decode(size_t at, uint64_t *out)
	{
		const uint32_t n = alex_decode(pages_[at].data(), out);

		alex_widen_records(out, n, pages_[at].node().words, most, level_);
		return n;
	}

	bool
	put(Page &page, const Record &record)
	{
		uint64_t space[ALEX_MAX_RECORD_WORDS];
		const uint64_t *fitted = alex_fit_record(page.data(), record.data(), most, space);
		AlexSlot slot;

		if (fitted == nullptr)
			return false;
		std::vector<uint64_t> own(fitted, fitted + page.node().words + 1);
		if (level_ > 0)
			own.push_back(record[most + 1]);
		if (!alex_delta_prepare(page.data(), own.data(), alex_delta_limit(page.data()), &slot))
			return false;
		alex_delta_put(page.data(), &slot);
		return true;
	}

	/* Returns false if that was only a step. */
	bool
	change(size_t at, const Record *fresh, uint32_t *fitted, const uint64_t *without = nullptr)
	{
		std::vector<uint64_t> records(static_cast<size_t>(alex_record_count(pages_[at].data()) + 1) * stride_);
		uint32_t n = decode(at, records.data());
		AlexNewNodes nodes = {};

		for (uint32_t i = 0; without != nullptr && i < n; i++)
			if (alex_compare(&records[static_cast<size_t>(i) * stride_], without, most) == 0)
			{
				records.erase(records.begin() + static_cast<ptrdiff_t>(i) * stride_, records.begin() + static_cast<ptrdiff_t>(i + 1) * stride_);
				n--;
				break;
			}
		nodes.left = left_.data();
		nodes.right = right_.data();
		nodes.words = most;
		nodes.fitted = *fitted;
		if (!alex_change_node(pages_[at].data(), records.data(), n, fresh != nullptr ? fresh->data() : nullptr, 90, &nodes))
		{
			const AlexNodeHeader &node = pages_[at].node();

			ADD_FAILURE() << n << " records " << (fresh != nullptr ? "and one more " : "") << "fit no node of level " << level_ << ", with fences of "
						  << node.low_words << " and " << node.high_words << " words, of which " << node.shared << " are shared, and " << node.columns
						  << " columns";
			return true;
		}
		*fitted = nodes.fitted;
		pages_[at] = left_;
		if (nodes.split)
		{
			pages_[at].node().right = 1;
			pages_.insert(pages_.begin() + static_cast<ptrdiff_t>(at) + 1, right_);
		}
		return !nodes.again;
	}

	int level_;
	int stride_;
	Page left_;
	Page right_;
	std::vector<Page> pages_;
};

class LongKeys : public testing::TestWithParam<int>
{
};

Record
some_record(Keys &keys, Rng &rng, int level)
{
	Record record(static_cast<size_t>(alex_stride(most, level)));

	keys.next(record.data());
	record[most] = below(rng, 1000) << 16 | (1 + below(rng, 100));
	if (level > 0)
		record[most + 1] = below(rng, 1U << 30);
	return record;
}

TEST_P(LongKeys, ReadAsWritten)
{
	for (const int level : {0, 1})
	{
		const uint64_t seed = env_number("LONG_SEED", 0);
		Keys keys(GetParam(), 17 + seed);
		Rng rng(GetParam() + 1 + 100 * seed);
		Level tree(level);
		auto before = [](const Record &a, const Record &b) { return alex_compare(a.data(), b.data(), most) < 0; };
		std::set<Record, decltype(before)> model(before);

		if (level > 0)
		{
			/* the first separator is the low fence */
			Record first(static_cast<size_t>(most) + 2);
			first[most + 1] = 1;
			tree.insert(first);
			model.insert(first);
		}
		for (int i = 0; i < static_cast<int>(env_number("LONG_N", 600)); i++)
		{
			const Record record = some_record(keys, rng, level);

			if (level == 0 && i % 4 == 3 && !model.empty())
			{
				const bool in_place = below(rng, 3) != 0;

				for (uint64_t more = in_place ? below(rng, 20) : 0;; more--)
				{
					const auto victim = std::next(model.begin(), static_cast<ptrdiff_t>(below(rng, model.size())));

					if (!in_place || !tree.erase_in_place(*victim, rng))
						tree.erase(*victim);
					model.erase(victim);
					if (more == 0 || model.empty())
						break;
				}
			}
			else if (model.insert(record).second)
				tree.insert(record);
			if (HasFatalFailure() || HasNonfatalFailure())
				return;
			if (i % 100 == 99)
			{
				ASSERT_EQ(tree.records(), std::vector<Record>(model.begin(), model.end()));
			}
		}
		for (int i = 0; i < 300; i++)
		{
			const Record low = some_record(keys, rng, level);
			const auto expected = model.lower_bound(low);

			if (level > 0)
			{
				auto covering = model.upper_bound(low);
				ASSERT_NE(covering, model.begin());
				ASSERT_EQ(tree.child(low), (*std::prev(covering))[most + 1]);
				continue;
			}
			const std::vector<Record> found = tree.collect(low, nullptr, 3, false);
			auto at = expected;
			for (const Record &record : found)
				ASSERT_EQ(record, *at++);
			if (at != model.end() && found.size() < 3)
			{
				ASSERT_FALSE(tree.together(low, *at)) << "a record is missing";
			}
			if (at != model.end())
			{
				const std::vector<Record> few = tree.collect(low, &*at, 4, false);
				ASSERT_EQ(few, found);
			}
		}
	}
}

/* A longer fence makes records longer, and of those a delta may have fewer. */
TEST(LongKeysTest, ALongerFenceLeavesNoMoreFreshRecordsThanReadersHaveRoomFor)
{
	for (const int own : {15, 20, 31})
	{
		std::vector<uint64_t> low(static_cast<size_t>(most) + 1);
		Page page(page_size);
		Page part(page_size);
		Records base(most + 1);

		std::fill_n(low.begin(), own, 7);
		alex_node_begin(page.data(), page_size, 1, most, 0, low.data(), nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
		low[most] = 1 << 16 | 1;
		base.add(low.data());
		low[own - 1] = 7000;
		base.add(low.data());
		ASSERT_TRUE(alex_node_store_words(page.data(), base.data(), most, 2, 0));

		std::vector<uint64_t> fresh(low.begin(), low.begin() + own + 1);
		uint32_t added = 0;
		do
		{
			fresh[own - 1] = 8 + added;
			fresh[own] = 2 << 16 | 1;
		} while (added < ALEX_APPEND_DELTA && add_fresh(page, fresh.data()) && ++added > 0);
		ASSERT_EQ(added, std::min(ALEX_APPEND_DELTA, ALEX_MAX_DELTA_WORDS / (own + 1)));

		low[own - 1] = 6000;
		low[own] = 5;
		if (alex_node_truncate_words(part.data(), page.data(), low.data(), most))
		{
			ASSERT_STREQ(alex_node_problem_of(part.data(), 1, most, page_size), nullptr) << own;
		}
	}
}

/* What vacuum notes of removed records must not take the room that fences need where the node is divided. */
TEST(LongKeysTest, RemovalLeavesRoomForFences)
{
	for (const uint32_t n : {20000U, 33000U, 39000U})
		for (const bool full_low : {false, true})
			for (const uint64_t step : {1, 1000})
			{
				Rng rng(n);
				std::vector<uint64_t> low(static_cast<size_t>(most) + 1);
				Record key(static_cast<size_t>(most) + 1);
				Records records(most + 1);
				Page page(page_size);
				Page left(page_size);
				Page right(page_size);

				std::generate_n(key.begin(), most - 1, [&] { return rng() | 1; });
				if (full_low)
					low = key;
				alex_node_begin(page.data(), page_size, 1, most, 0, low.data(), nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
				/* all on lines, so there are very many, until most are gone */
				for (uint32_t i = 0; i < n; i++)
				{
					key[most - 1] = (i + 1) * step;
					key[most] = static_cast<uint64_t>(1 + i / 100) << 16 | (1 + i % 100);
					records.add(key.data());
				}
				ASSERT_TRUE(alex_node_store_words(page.data(), records.data(), most, n, 0));

				const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(n);
				uint32_t gone = 0;
				for (uint32_t i = 0; i < n; i++)
				{
					dead[i] = gone < n / 2 && below(rng, 2) == 0;
					gone += dead[i];
				}
				if (alex_can_remove(page.data(), dead.get()))
				{
					AlexRemoval removal;
					alex_remove(page.data(), dead.get(), &removal);
				}

				/* one that is gone comes back */
				const Record back(records[n / 3], records[n / 3] + most + 1);
				AlexNewNodes nodes = {};

				nodes.left = left.data();
				nodes.right = right.data();
				nodes.words = most;
				std::vector<uint64_t> all(static_cast<size_t>(n + 1) * (most + 1));
				do
				{
					uint32_t live = alex_decode(page.data(), all.data());
					std::vector<uint64_t> kept;
					for (uint32_t i = 0; i < live; i++)
						if (alex_compare(&all[static_cast<size_t>(i) * (most + 1)], back.data(), most) != 0)
							kept.insert(kept.end(), &all[static_cast<size_t>(i) * (most + 1)], &all[static_cast<size_t>(i + 1) * (most + 1)]);
					live = static_cast<uint32_t>(kept.size() / (most + 1));
					kept.resize(kept.size() + most + 1);
					ASSERT_TRUE(alex_change_node(page.data(), kept.data(), live, back.data(), 90, &nodes))
						<< n << " records, " << live << " left, " << page.free_bytes() << " bytes free";
					page = left;
				} while (nodes.again);
			}
}

INSTANTIATE_TEST_SUITE_P(Kinds, LongKeys, testing::Range(0, 8));

} // namespace
} // namespace alex_test
