/*
 * core_bench.cc - what the core costs: bytes per key and nanoseconds per search and insert, for every data set.
 *
 * ALEX_BENCH_KEYS: keys of a run, 1,000,000 by default. The anchor is std::lower_bound on a sorted array of the keys.
 * Everything is in memory, without pins or locks.
 */
#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <limits>

#include "test_tree.h"

using namespace alex_test;

namespace
{

constexpr uint32_t page_size = 8192;
constexpr size_t probes = 1 << 20;

size_t
bench_keys()
{
	return env_number("ALEX_BENCH_KEYS", 1000000);
}

/* Sorted leaf records. Only the last set is kept: the benchmarks of one set follow each other. */
void
sort_all(Records &records)
{
	std::vector<uint64_t> spare(records.size() * records.stride());

	alex_sort_records(records.data(), spare.data(), records.size(), records.stride(), [] {});
}

const Records &
leaf_records(const DataSet &set, Tids tids)
{
	static Records kept(1);
	static std::string name;
	const std::string wanted = std::string(set.name) + tids_name(tids);

	if (name != wanted)
	{
		Rng rng(1);
		const Records arrived = arriving_records(set, set.words, bench_keys(), tids, rng);

		kept = arrived;
		sort_all(kept);
		name = wanted;
	}
	return kept;
}

const Tree &
built_tree(const DataSet &set, Tids tids)
{
	static std::unique_ptr<Tree> kept;
	static std::string name;
	const std::string wanted = std::string(set.name) + tids_name(tids);

	if (name != wanted)
	{
		kept = std::make_unique<Tree>(set.words, page_size, 0);
		kept->build(leaf_records(set, tids), 0);
		name = wanted;
	}
	return *kept;
}

std::vector<uint32_t>
random_ranks(size_t n)
{
	std::vector<uint32_t> ranks(std::min(n, probes));
	Rng rng(7);

	for (uint32_t &rank : ranks)
		rank = static_cast<uint32_t>(below(rng, n));
	return ranks;
}

void
count_space(benchmark::State &state, const Tree &tree, size_t n)
{
	state.counters["bytes/key"] = static_cast<double>(tree.bytes()) / static_cast<double>(n);
	state.counters["keys/page"] = static_cast<double>(n) / static_cast<double>(tree.leaves());
	state.counters["height"] = tree.height();
}

/* Slots between the model's guess and the place, on average. */
void
count_error(benchmark::State &state, const Tree &tree, const Records &records)
{
	const std::vector<uint32_t> ranks = random_ranks(records.size());
	double error = 0;
	const size_t n = std::min<size_t>(ranks.size(), 10000);

	for (size_t i = 0; i < n; i++)
	{
		const void *leaf = tree.page(tree.find(0, records[ranks[i]])).data();

		error += std::fabs(static_cast<double>(alex_predict(leaf, records[ranks[i]])) - alex_lower_bound(leaf, records[ranks[i]]));
	}
	state.counters["error"] = error / static_cast<double>(n);
}

/* Nanoseconds of one of the n steps of the work. */
template <typename Work>
void
time_steps(benchmark::State &state, const char *what, size_t n, const Work &work)
{
	double least = std::numeric_limits<double>::max();

	for (auto _ : state)
	{
		const auto start = std::chrono::steady_clock::now();

		work();
		const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
		least = std::min(least, elapsed.count());
	}
	state.counters[what] = least / static_cast<double>(n);
}

/*
 * Search a leaf for a key and read key and TID. In "known" the leaf is known, as from a route cache that answers at
 * once; otherwise the tree is descended.
 */
void
search(benchmark::State &state, const DataSet &set, Tids tids, bool known)
{
	const Tree &tree = built_tree(set, tids);
	const Records &records = leaf_records(set, tids);
	const std::vector<uint32_t> ranks = random_ranks(records.size());
	std::vector<uint64_t> positions;
	std::vector<const void *> leaves;
	uint64_t record[ALEX_MAX_RECORD_WORDS];
	size_t i = 0;

	/* copied, so that the probes themselves are read in order */
	for (const uint32_t rank : ranks)
	{
		positions.insert(positions.end(), records[rank], records[rank] + set.words);
		positions.push_back(0);
		leaves.push_back(tree.page(tree.find(0, records[rank])).data());
	}
	for (auto _ : state)
	{
		const uint64_t *position = &positions[i * (set.words + 1)];
		const void *leaf = known ? leaves[i] : tree.page(tree.find(0, position)).data();
		const uint32_t at = alex_lower_bound(leaf, position);

		if (at < alex_cheader(leaf)->count)
			alex_read(leaf, at, record);
		benchmark::DoNotOptimize(record);
		if (++i == ranks.size())
			i = 0;
	}
	count_space(state, tree, records.size());
	count_error(state, tree, records);
}

/* The same key again and again finds everything in the cache: instructions alone. */
void
search_one_page(benchmark::State &state, const DataSet &set, Tids tids)
{
	const Tree &tree = built_tree(set, tids);
	const Records &records = leaf_records(set, tids);
	const void *leaf = tree.page(tree.find(0, records[records.size() / 2])).data();
	const uint32_t count = alex_cheader(leaf)->count;
	const std::vector<uint32_t> ranks = random_ranks(count);
	std::vector<uint64_t> positions(ranks.size() * ALEX_MAX_RECORD_WORDS);
	uint64_t record[ALEX_MAX_RECORD_WORDS];
	size_t i = 0;

	for (size_t j = 0; j < ranks.size(); j++)
		alex_read(leaf, ranks[j], &positions[j * ALEX_MAX_RECORD_WORDS]);
	for (auto _ : state)
	{
		alex_read(leaf, alex_lower_bound(leaf, &positions[i * ALEX_MAX_RECORD_WORDS]), record);
		benchmark::DoNotOptimize(record);
		i = (i + 1) & 1023 & (ranks.size() - 1);
	}
}

/* The anchor: a binary search of the bare keys, without TIDs. */
void
std_lower_bound(benchmark::State &state, const DataSet &set, Tids tids)
{
	const Records &records = leaf_records(set, tids);
	const std::vector<uint32_t> ranks = random_ranks(records.size());
	std::vector<std::array<uint64_t, 3>> keys(records.size());
	std::vector<std::array<uint64_t, 3>> wanted;
	size_t i = 0;

	for (size_t j = 0; j < keys.size(); j++)
		std::copy_n(records[j], set.words, keys[j].begin());
	std::vector<uint64_t> words;
	for (const auto &key : keys)
		words.push_back(key[0]);
	for (const uint32_t rank : ranks)
		wanted.push_back(keys[rank]);
	for (auto _ : state)
	{
		if (set.words == 1)
			benchmark::DoNotOptimize(std::lower_bound(words.begin(), words.end(), wanted[i][0]));
		else
			benchmark::DoNotOptimize(std::lower_bound(keys.begin(), keys.end(), wanted[i]));
		if (++i == ranks.size())
			i = 0;
	}
}

/* All keys, one by one in arrival order, into an empty tree: delta, merges and splits. */
void
insert(benchmark::State &state, const DataSet &set, Tids tids)
{
	Rng rng(1);
	const Records arriving = arriving_records(set, set.words, bench_keys(), tids, rng);

	time_steps(state, "ns/insert", arriving.size(), [&] {
		Tree tree(set.words, page_size, static_cast<uint32_t>(state.range(0)));

		for (size_t i = 0; i < arriving.size(); i++)
			tree.insert(arriving[i]);
		count_space(state, tree, arriving.size());
		state.counters["appends"] = static_cast<double>(tree.counts().appends);
		state.counters["merges"] = static_cast<double>(tree.counts().merges);
	});
}

/* Sorted records into full pages. */
void
build(benchmark::State &state, const DataSet &set, Tids tids)
{
	const Records &records = leaf_records(set, tids);

	time_steps(state, "ns/key", records.size(), [&] {
		Tree tree(set.words, page_size, 0);

		tree.build(records, 0);
		count_space(state, tree, records.size());
	});
}

void
sort_records(benchmark::State &state)
{
	Rng rng(1);
	const Records arriving = arriving_records(datasets()[0], 1, bench_keys(), Tids::fixed, rng);

	Records records = arriving;
	time_steps(state, "ns/key", arriving.size(), [&] {
		sort_all(records);
	});
}

void
register_set(const DataSet &set, Tids tids)
{
	const std::string name = std::string("/") + set.name + "/" + tids_name(tids);

	benchmark::RegisterBenchmark(("build" + name).c_str(), build, set, tids)->Unit(benchmark::kMillisecond);
	benchmark::RegisterBenchmark(("search_leaf" + name).c_str(), search, set, tids, true);
	benchmark::RegisterBenchmark(("search_tree" + name).c_str(), search, set, tids, false);
	benchmark::RegisterBenchmark(("search_one_page" + name).c_str(), search_one_page, set, tids);
	benchmark::RegisterBenchmark(("std_lower_bound" + name).c_str(), std_lower_bound, set, tids);
	benchmark::RegisterBenchmark(("insert" + name).c_str(), insert, set, tids)
		->ArgName("delta")
		->Arg(32)
		->Arg(128)
		->Unit(benchmark::kMillisecond)
		->Iterations(1);
}

const bool registered = [] {
	for (const DataSet &set : datasets())
	{
		register_set(set, Tids::fixed);
		if (std::string(set.name) == "bigserial")
			register_set(set, Tids::varying);
	}
	for (const DataSet &set : wide_sets())
		if (set.words > 0)
			register_set(set, Tids::fixed);
	for (const DataSet &set : breakers())
		register_set(set, Tids::fixed);
	benchmark::RegisterBenchmark("sort_records", sort_records)->Unit(benchmark::kMillisecond)->Iterations(1);
	return true;
}();

} // namespace
