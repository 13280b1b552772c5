/*
 * box_test.cc - collecting what is in a box from leaves, as a scan does.
 */
#include <gtest/gtest.h>

#include "box_util.h"

using namespace alex_test;

namespace
{

/* Leaves side by side with the rows of a key, and which of them are marked as dead to everyone. */
class Leaves
{
public:
	Leaves(uint32_t page_size, size_t n, Rng &rng)
		: columns_(page_size < 8192 || below(rng, 2) == 0 ? random_columns(4, rng) : random_string_columns(4, rng))
	{
		/* sometimes a run of equal values fills many leaves, sometimes a leaf has many runs */
		const size_t most = std::array<size_t, 3>{2, 8, 60}[below(rng, 3)];

		for (const AlexColumnSpec &spec : columns_.specs)
			values_.push_back(some_values(spec, 1 + below(rng, most), rng));
		rows_ = random_rows(columns_, values_, n, rng);
		for (const Row &row : rows_)
			records_.push_back(record_of(columns_, row));
		store(page_size, static_cast<unsigned>(below(rng, 3) * 5), rng);
		kill(1 + below(rng, 4), rng);
	}

	const Columns &columns() const { return columns_; }
	const std::vector<std::vector<Value>> &values() const { return values_; }
	size_t size() const { return rows_.size(); }
	size_t pages() const { return pages_.size(); }
	const Row &row(size_t i) const { return rows_[i]; }
	const std::vector<uint64_t> &record(size_t i) const { return records_[i]; }
	bool killed(size_t i) const { return killed_[i]; }

	/* The row with a record; size() if there is none. */
	size_t
	find(const std::vector<uint64_t> &record) const
	{
		const auto at = std::lower_bound(records_.begin(), records_.end(), record);

		return at == records_.end() || *at != record ? size() : static_cast<size_t>(at - records_.begin());
	}

	/* The leaf that covers a position; the first one also what is before it. */
	const Page &
	leaf(const uint64_t *position) const
	{
		size_t i = 0;

		while (i + 1 < pages_.size() && alex_fence_side(pages_[i].data(), position) > 0)
			i++;
		return pages_[i];
	}

private:
	void
	store(uint32_t page_size, unsigned delta_share, Rng &rng)
	{
		const Shape shape{columns_.words(), 0, page_size};

		for (size_t done = 0; done < rows_.size();)
		{
			Records rest(shape.stride());

			for (size_t i = done; i < std::min(rows_.size(), done + page_size); i++)
				rest.add(records_[i].data());

			Node node = full_node(shape, rest, delta_share, rng);

			node.page.zero_hole();
			done += node.records.size();
			pages_.push_back(std::move(node.page));
		}
	}

	void
	kill(uint64_t share, Rng &rng)
	{
		killed_.resize(rows_.size());
		for (size_t i = 0; i < rows_.size(); i++)
		{
			Page &page = const_cast<Page &>(leaf(records_[i].data()));

			std::vector<uint64_t> record = records_[i];

			if (below(rng, share) == 1)
				alex_kill(page.data(), record.data());
			/* there may be no room for the mark */
			killed_[i] = alex_mark_killed(page.data(), record.data(), 1) > 0;
		}
	}

	Columns columns_;
	std::vector<std::vector<Value>> values_;
	std::vector<Row> rows_;
	std::vector<std::vector<uint64_t>> records_;
	std::vector<bool> killed_;
	std::vector<Page> pages_;
};

/* Which rows a scan of low <= p < high returns, in this order. */
std::vector<size_t>
scan(const Leaves &leaves, const AlexBox *box, std::vector<uint64_t> low, std::vector<uint64_t> high, bool backward, bool living,
	 uint32_t max, size_t *steps)
{
	const int words = leaves.columns().words();
	const size_t stride = static_cast<size_t>(words) + 1;
	std::vector<size_t> rows;

	for (*steps = 0; low < high; ++*steps)
	{
		std::vector<uint64_t> target = backward ? high : low;

		if (backward)
			step_position(target.data(), words, false);

		const Page &page = leaves.leaf(target.data());
		Words out((max + alex_delta_count(page.data())) * stride);
		std::vector<uint64_t> rest(stride);
		bool more;
		const uint32_t n = alex_collect_box(page.data(), box, low.data(), high.data(), backward, living, max, out.get(), &more, rest.data());

		if (n > max)
			throw std::logic_error(n == ALEX_OUT_OF_ORDER ? "a sound page is out of order" : "more records than asked for");
		for (uint32_t i = 0; i < n; i++)
		{
			const std::vector<uint64_t> record(out.get() + i * stride, out.get() + (i + 1) * stride);

			rows.push_back(leaves.find(record));
		}

		std::vector<uint64_t> &end = backward ? high : low;

		if (backward ? rest >= end : rest <= end)
			throw std::logic_error("the scan does not go on");
		end = rest;
	}
	return rows;
}

class CollectBox : public ::testing::TestWithParam<uint32_t>
{
};

TEST_P(CollectBox, ReturnsWhatIsInTheBox)
{
	Rng rng(GetParam());
	size_t returned = 0;
	size_t leaves_read = 0;

	for (uint32_t round = 0; round < 60 * 1024 / GetParam() + 12; round++)
	{
		const Leaves leaves(GetParam(), GetParam() / 2, rng);
		const size_t stride = static_cast<size_t>(leaves.columns().words()) + 1;

		for (int i = 0; i < 10; i++)
		{
			const RandomBox box(leaves.columns(), leaves.values(), rng);
			const bool backward = below(rng, 2) == 0;
			const bool living = below(rng, 2) == 0;
			const auto max = static_cast<uint32_t>(1 + below(rng, below(rng, 2) == 0 ? 5 : 3000));
			std::vector<uint64_t> low(stride);
			std::vector<uint64_t> high(stride, UINT64_MAX);
			std::vector<size_t> expected;
			size_t steps;

			/* the first leaf covers nothing before its first record */
			low = leaves.record(below(rng, 3) == 0 ? below(rng, leaves.size()) : 0);
			if (below(rng, 3) == 0)
				high = leaves.record(below(rng, leaves.size()));
			for (size_t r = 0; r < leaves.size(); r++)
				if (low <= leaves.record(r) && leaves.record(r) < high && box.holds(leaves.row(r)) && !(living && leaves.killed(r)))
					expected.push_back(r);
			if (backward)
				std::reverse(expected.begin(), expected.end());

			const std::vector<size_t> got = scan(leaves, box.box(), low, high, backward, living, max, &steps);
			const auto differ = std::mismatch(got.begin(), got.end(), expected.begin(), expected.end());

			ASSERT_EQ(got, expected) << "from " << differ.first - got.begin() << " on";
			ASSERT_LE(steps, expected.size() / max + 2 * leaves.pages() + 2);
			returned += expected.size();
			leaves_read += steps;
		}
	}
	EXPECT_GT(returned, 1000U);
	EXPECT_GT(leaves_read, 1000U);
}

INSTANTIATE_TEST_SUITE_P(Sizes, CollectBox, ::testing::Values(1024, 8192));

} // namespace
