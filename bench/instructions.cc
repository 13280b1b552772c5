/*
 * instructions.cc - a fixed amount of work for every operation of the core, to be counted by callgrind.
 *
 * Each operation runs between two requests to callgrind, so neither generating data nor memory of the program counts. The
 * number of units (lookups, records) is printed: "NAME UNITS", in the order in which callgrind writes its dumps. Nothing depends
 * on time or chance, so the same machine code gives the same counts.
 */
#include <valgrind/callgrind.h>

#include "test_tree.h"

using namespace alex_test;

namespace
{

constexpr uint32_t page_size = 8192;
constexpr size_t total = 40000;
constexpr size_t lookups = 2000;
constexpr size_t inserts = 5000;

template <typename Work>
void
count(const std::string &name, size_t units, const Work &work)
{
	CALLGRIND_ZERO_STATS;
	CALLGRIND_START_INSTRUMENTATION;
	work();
	CALLGRIND_STOP_INSTRUMENTATION;
	CALLGRIND_DUMP_STATS_AT(name.c_str());
	std::printf("%s %zu\n", name.c_str(), units);
}

/* What the compiler must not remove. */
volatile uint64_t sink;

/* An operation that refuses would count as a fast one. */
void
require(bool holds)
{
	if (!holds)
		throw std::logic_error("an operation did not do what is to be counted");
}

const DataSet &
set_named(const std::string &name)
{
	for (const DataSet &set : datasets())
		if (name == set.name)
			return set;
	throw std::logic_error("no such data set");
}

/* An empty leaf without neighbours. */
Page
empty_leaf(int words)
{
	const uint64_t zeros[position_max] = {};
	Page page(page_size);

	alex_node_init(page.data(), page_size, words, 0, zeros, nullptr, ALEX_NO_BLOCK, ALEX_NO_BLOCK);
	return page;
}

/* The leaves of a build, one after the other, as CREATE INDEX makes them: it looks at half as many records again as the last took. */
void
build_leaves(const Records &records, int words, std::vector<uint64_t> &columns)
{
	const uint32_t room = alex_node_capacity(words, 0, page_size);
	const auto n = static_cast<uint32_t>(records.size());
	Page page = empty_leaf(words);
	uint32_t guess = 0;
	uint32_t wanted = 1024;

	for (uint32_t first = 0; first < n;)
	{
		AlexPlan plan;

		wanted = std::min({wanted, n - first, static_cast<uint32_t>(ALEX_MAX_RECORDS)});
		alex_plan_node(records[first], wanted, words, 0, room, guess, columns.data(), &plan);
		if (plan.n == wanted && wanted < std::min(n - first, static_cast<uint32_t>(ALEX_MAX_RECORDS)))
		{
			wanted *= 2;
			continue;
		}
		require(alex_node_store_planned(page.data(), &plan, columns.data()));
		first += plan.n;
		guess = plan.n;
		wanted = plan.n + plan.n / 2 + 64;
	}
}

void
operations(const std::string &name, Tids tids)
{
	const DataSet &set = set_named(name);
	const std::string of = std::string(" ") + name + (tids == Tids::varying ? "_varying" : "");
	Rng rng(1);
	Records records = arriving_records(set, set.words, total, tids, rng);
	Records sorted = records;
	Tree tree(set.words, page_size, 0);
	std::vector<uint64_t> out(static_cast<size_t>(ALEX_MAX_RECORDS + page_size / 8) * ALEX_MAX_RECORD_WORDS);

	count("sort" + of, total, [&] {
		alex_sort_records(sorted.data(), records.data(), total, sorted.stride(), [] {});
	});
	count("build" + of, total, [&] { build_leaves(sorted, set.words, out); });
	tree.build(sorted, 0);

	/* Lookups of keys that exist: the way to the leaf, and in the leaf. */
	std::vector<const uint64_t *> wanted;
	std::vector<const void *> leaves;
	for (size_t i = 0; i < lookups; i++)
	{
		wanted.push_back(sorted[below(rng, total)]);
		leaves.push_back(tree.page(tree.find(0, wanted[i])).data());
	}
	count("descend" + of, lookups, [&] {
		for (size_t i = 0; i < lookups; i++)
			sink = tree.find(0, wanted[i]);
	});
	count("lookup" + of, lookups, [&] {
		for (size_t i = 0; i < lookups; i++)
		{
			alex_read(leaves[i], alex_lower_bound(leaves[i], wanted[i]), out.data());
			sink = out[0];
		}
	});
	count("collect_100" + of, 100 * lookups, [&] {
		bool more;

		for (size_t i = 0; i < lookups; i++)
			sink = alex_collect(leaves[i], wanted[i], nullptr, false, 100, out.data(), &more);
	});

	/* Whole inserts at random places, with the way down, merges and splits, into a tree of the other half. */
	Tree half(set.words, page_size, 256);
	Records even(sorted.stride());
	std::vector<const uint64_t *> odd;
	for (size_t i = 0; i + 1 < total; i += 2)
	{
		even.add(sorted[i]);
		odd.push_back(sorted[i + 1]);
	}
	for (size_t i = 0; i < inserts; i++)
		std::swap(odd[i], odd[i + below(rng, odd.size() - i)]);
	half.build(even, 0);
	count("insert" + of, inserts, [&] {
		for (size_t i = 0; i < inserts; i++)
			half.insert(odd[i]);
	});

	/* One full leaf of the middle of the tree. */
	const void *leaf = leaves[0];
	const uint32_t n = alex_cheader(leaf)->count;
	count("decode" + of, n, [&] { sink = alex_decode(leaf, out.data()); });
	count("read_range" + of, n, [&] {
		alex_read_range(leaf, 0, n, out.data());
		sink = out[0];
	});

	const size_t first = sorted.lower_bound(out.data(), set.words);
	Page encoded = empty_leaf(set.words);
	count("encode" + of, n, [&] { sink = alex_node_store(encoded.data(), sorted[first], n, 0); });
	require(sink);

	/* A leaf with two thirds of these records; the others go to its delta, and then into the base. */
	Records base(sorted.stride());
	Records fresh(sorted.stride());
	for (uint32_t i = 0; i < n; i++)
	{
		if (i % 3 != 0)
			base.add(sorted[first + i]);
		else if (fresh.size() < 64)
			fresh.add(sorted[first + i]);
	}
	Page page = empty_leaf(set.words);
	uint32_t kept = static_cast<uint32_t>(base.size());
	while (!alex_node_store(page.data(), base.data(), kept, 2048))
		kept = kept * 3 / 4;
	const auto added = static_cast<uint32_t>(fresh.size());
	count("append" + of, added, [&] {
		AlexSlot slot;

		for (uint32_t i = 0; i < added; i++)
			if (alex_delta_prepare(page.data(), fresh[(i * 37) % added], UINT32_MAX, &slot))
				alex_delta_put(page.data(), &slot);
	});
	require(alex_delta_count(page.data()) == added);
	const uint32_t merged = alex_record_count(page.data());
	Page image = empty_leaf(set.words);
	count("merge" + of, merged, [&] {
		const uint32_t all = alex_decode(page.data(), out.data());

		sink = alex_node_store(image.data(), out.data(), all, 0);
	});
	require(sink);

	/* Keys that grow: 64 records behind those of a leaf. */
	Page grown = empty_leaf(set.words);
	Page source = empty_leaf(set.words);
	uint32_t behind = n - 65;
	while (!alex_node_store(source.data(), sorted[first], behind, 2048))
		behind = behind * 3 / 4;
	for (uint32_t i = 0; i < 64; i++)
		require(add_fresh(source, sorted[first + behind + i]));
	count("merge_behind" + of, 65, [&] {
		sink = alex_node_append(grown.data(), source.data(), sorted[first + behind + 64], 0);
	});
	require(sink);
}

} // namespace

int
main()
{
	operations("uniform", Tids::fixed);
	operations("bigserial", Tids::fixed);
	operations("bigserial", Tids::varying);
	operations("timestamp", Tids::fixed);
	operations("clustered", Tids::fixed);
	operations("distinct1000", Tids::fixed);
	operations("uuid4", Tids::fixed);
	return 0;
}
