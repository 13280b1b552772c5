/*
 * datasets.h - keys for tests and benchmarks, generated from a seed.
 *
 * A set generates key images in arrival order: the order in which rows would be inserted. Heap TIDs are handed out in
 * that order too, so a set that arrives sorted has TIDs that grow with its keys.
 *
 * The breakers are the inputs on which learned indexes are known to fail: spans that overflow a signed word or the
 * 53 bits of a double, runs of equal keys longer than a page, one outlier that flattens every model.
 */
#ifndef ALEX_TEST_DATASETS_H
#define ALEX_TEST_DATASETS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

namespace alex_test
{

/* The generator is fixed by the standard, its distributions are not: those are written out here. */
using Rng = std::mt19937_64;

inline uint64_t
below(Rng &rng, uint64_t n)
{
	return rng() % n;
}

/* Uniform in (0, 1]. */
inline double
unit(Rng &rng)
{
	return (static_cast<double>(rng() >> 11) + 1.0) * 0x1p-53;
}

/* Normal(0, 1), Box-Muller. */
inline double
gauss(Rng &rng)
{
	const double radius = std::sqrt(-2 * std::log(unit(rng)));

	return radius * std::cos(2 * 3.14159265358979323846 * unit(rng));
}

/* The image of an int8: its order as an unsigned word. */
inline uint64_t
image(int64_t value)
{
	return static_cast<uint64_t>(value) ^ (UINT64_C(1) << 63);
}

inline uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

struct DataSet
{
	const char *name;
	int words;									   /* key words it needs; 0: as many as there are */
	void (*generate)(Rng &rng, size_t n, uint64_t *keys); /* n * words words */
};

/* ---- the sets that are measured ---- */

inline void
gen_uniform(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(static_cast<int64_t>(rng() >> 1));
}

inline void
gen_bigserial(Rng &, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(static_cast<int64_t>(i) + 1);
}

inline void
gen_lognormal(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(static_cast<int64_t>(std::exp(2 * gauss(rng)) * 1e9));
}

/* Ranks 1 .. 10^6 with probability ~ 1 / rank: the inverse of the harmonic distribution is N^u. */
inline void
gen_zipf(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(static_cast<int64_t>(std::pow(1e6, unit(rng))));
}

/* Microseconds: a row every millisecond with jitter, and eight hours of night now and then. */
inline int64_t
next_timestamp(Rng &rng, int64_t &clock)
{
	clock += 1000;
	if (below(rng, 20000) == 0)
		clock += INT64_C(8) * 3600 * 1000000;
	return clock + static_cast<int64_t>(below(rng, 400));
}

inline void
gen_timestamp(Rng &rng, size_t n, uint64_t *keys)
{
	int64_t clock = INT64_C(800000000000000);

	for (size_t i = 0; i < n; i++)
		keys[i] = image(next_timestamp(rng, clock));
}

/* Longitude cells of 180 latitudes around 500 cities, few of them large. */
inline void
gen_clustered(Rng &rng, size_t n, uint64_t *keys)
{
	double city[500][3];

	for (auto &c : city)
	{
		c[0] = unit(rng) * 360 - 180;
		c[1] = unit(rng) * 140 - 60;
		c[2] = 0.02 + 0.3 * unit(rng);
	}
	for (size_t i = 0; i < n; i++)
	{
		const auto &c = city[static_cast<size_t>(std::pow(500, unit(rng))) % 500];
		const double longitude = std::floor(c[0] + c[2] * gauss(rng));
		const double latitude = c[1] + c[2] * gauss(rng);

		keys[i] = image(static_cast<int64_t>((180 * longitude + latitude) * 1e7));
	}
}

/* 100 lines whose slopes range over five orders of magnitude. */
inline void
gen_piecewise(Rng &rng, size_t n, uint64_t *keys)
{
	int64_t value = 0;
	int64_t gap = 1;

	for (size_t i = 0; i < n; i++)
	{
		if (i % (n / 100 + 1) == 0)
			gap = static_cast<int64_t>(std::pow(1e5, unit(rng)));
		value += gap;
		keys[i] = image(value);
	}
}

inline void
gen_distinct1000(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(static_cast<int64_t>(below(rng, 1000)));
}

inline void
gen_uuid4(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
	{
		keys[2 * i] = (rng() & ~UINT64_C(0xF000)) | UINT64_C(0x4000);
		keys[2 * i + 1] = (rng() >> 2) | (UINT64_C(1) << 63);
	}
}

/* 48 bits of milliseconds, version, 12 random bits; 62 random bits. Three rows a millisecond. */
inline void
gen_uuid7(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
	{
		keys[2 * i] = (UINT64_C(0x019000000000) + i / 3) << 16 | UINT64_C(0x7000) | (rng() & 0xFFF);
		keys[2 * i + 1] = (rng() >> 2) | (UINT64_C(1) << 63);
	}
}

inline void
gen_tenant_time(Rng &rng, size_t n, uint64_t *keys)
{
	int64_t clock = INT64_C(800000000000000);

	for (size_t i = 0; i < n; i++)
	{
		keys[2 * i] = image(static_cast<int64_t>(std::pow(200, unit(rng))));
		keys[2 * i + 1] = image(next_timestamp(rng, clock));
	}
}

/* ---- keys of several columns ---- */

/* Tenants of 5 to 500 rows each, whose rows come mixed: a page has many of them, and the second word alone orders each. */
inline void
gen_small_tenants(Rng &rng, size_t n, uint64_t *keys)
{
	int64_t clock = INT64_C(800000000000000);
	std::vector<uint64_t> tenants;

	for (uint64_t tenant = 1; tenants.size() < n; tenant++)
		tenants.insert(tenants.end(), static_cast<size_t>(5 * std::pow(100, unit(rng))), tenant);
	std::shuffle(tenants.begin(), tenants.end(), rng);
	for (size_t i = 0; i < n; i++)
	{
		keys[2 * i] = image(static_cast<int64_t>(tenants[i]));
		keys[2 * i + 1] = image(next_timestamp(rng, clock));
	}
}

/* A UUID of 100 rows, and their number. */
inline void
gen_uuid_sequence(Rng &rng, size_t n, uint64_t *keys)
{
	std::vector<uint64_t> users(n / 100 + 1);
	std::vector<int64_t> next(users.size());

	for (uint64_t &user : users)
		user = rng();
	for (size_t i = 0; i < n; i++)
	{
		const size_t user = below(rng, users.size());

		keys[3 * i] = users[user];
		keys[3 * i + 1] = (mix(users[user]) >> 2) | (UINT64_C(1) << 63);
		keys[3 * i + 2] = image(next[user]++);
	}
}

/* Few values each: records differ in the last word, or in the TID only. */
inline void
gen_small_numbers(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
	{
		keys[3 * i] = image(static_cast<int64_t>(below(rng, 20)));
		keys[3 * i + 1] = image(static_cast<int64_t>(below(rng, 5)));
		keys[3 * i + 2] = image(static_cast<int64_t>(below(rng, 100)));
	}
}

inline void
gen_random_words(Rng &rng, size_t n, uint64_t *keys)
{
	std::generate(keys, keys + n, std::ref(rng));
}

/* ---- breakers ---- */

inline void
gen_all_equal(Rng &, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(4711);
}

/* Random keys, then 2,000 rows (or half of them) of one of these. */
inline void
gen_equal2000(Rng &rng, size_t n, uint64_t *keys)
{
	const size_t run = std::min<size_t>(2000, n / 2);

	for (size_t i = 0; i < n; i++)
		keys[i] = i < n - run ? image(static_cast<int64_t>(rng() >> 20)) : keys[0];
}

inline void
gen_full_range(Rng &rng, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = i % 100 == 0 ? 0 : i % 100 == 1 ? UINT64_MAX : rng();
}

inline void
gen_outlier(Rng &, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(i == n / 2 ? INT64_C(1) << 62 : static_cast<int64_t>(i));
}

inline void
gen_beyond_double(Rng &, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image((INT64_C(1) << 62) + static_cast<int64_t>(i));
}

inline void
gen_reverse(Rng &, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = image(static_cast<int64_t>(n - i));
}

/* Nothing but the least and the greatest images. */
inline void
gen_extremes(Rng &rng, size_t n, uint64_t *keys)
{
	static const uint64_t values[] = {0, 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};

	for (size_t i = 0; i < n; i++)
		keys[i] = values[below(rng, 5)];
}

/* Every gap is twice the one before, again and again: no line fits more than a few keys. */
inline void
gen_exponential(Rng &, size_t n, uint64_t *keys)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = (static_cast<uint64_t>(i) / 40 << 42) + (UINT64_C(1) << i % 40);
}

inline const std::vector<DataSet> &
datasets()
{
	static const std::vector<DataSet> sets = {
		{"uniform", 1, gen_uniform},
		{"bigserial", 1, gen_bigserial},
		{"lognormal", 1, gen_lognormal},
		{"zipf", 1, gen_zipf},
		{"timestamp", 1, gen_timestamp},
		{"clustered", 1, gen_clustered},
		{"piecewise", 1, gen_piecewise},
		{"distinct1000", 1, gen_distinct1000},
		{"uuid4", 2, gen_uuid4},
		{"uuid7", 2, gen_uuid7},
		{"tenant_time", 2, gen_tenant_time},
	};
	return sets;
}

inline const std::vector<DataSet> &
wide_sets()
{
	static const std::vector<DataSet> sets = {
		{"small_tenants", 2, gen_small_tenants},
		{"uuid_sequence", 3, gen_uuid_sequence},
		{"small_numbers", 3, gen_small_numbers},
		{"random_words", 0, gen_random_words},
	};
	return sets;
}

inline const std::vector<DataSet> &
breakers()
{
	static const std::vector<DataSet> sets = {
		{"all_equal", 1, gen_all_equal},
		{"equal2000", 1, gen_equal2000},
		{"full_range", 1, gen_full_range},
		{"outlier", 1, gen_outlier},
		{"beyond_double", 1, gen_beyond_double},
		{"reverse", 1, gen_reverse},
		{"extremes", 1, gen_extremes},
		{"exponential", 1, gen_exponential},
	};
	return sets;
}

/* All sets and breakers that fit into "words" key words. */
inline std::vector<DataSet>
all_sets(int words)
{
	std::vector<DataSet> sets = datasets();

	if (words > 1)
		sets.insert(sets.end(), wide_sets().begin(), wide_sets().end());
	sets.insert(sets.end(), breakers().begin(), breakers().end());
	std::erase_if(sets, [&](const DataSet &set) { return set.words > words; });
	return sets;
}

/*
 * n keys of "words" words. A set that needs fewer words gets a constant word before it, then one after it, then
 * a hash of the key, and more constant ones: neither the first nor the last word may be the only one the core handles well.
 */
inline std::vector<uint64_t>
generate_keys(const DataSet &set, int words, size_t n, Rng &rng)
{
	const int extra = words - set.words;
	std::vector<uint64_t> natural(n * set.words);
	std::vector<uint64_t> keys(n * words);

	if (set.words == 0)
	{
		set.generate(rng, n * words, keys.data());
		return keys;
	}
	set.generate(rng, n, natural.data());
	for (size_t i = 0; i < n; i++)
	{
		uint64_t *out = &keys[i * words];
		uint64_t hash = 0;

		if (extra > 0)
			*out++ = 42;
		for (int w = 0; w < set.words; w++)
			hash = mix(hash ^ (*out++ = natural[i * set.words + w]));
		if (extra > 1)
			*out++ = 0;
		if (extra > 2)
			*out++ = hash;
	}
	return keys;
}

/* ---- heap TIDs ---- */

enum class Tids
{
	fixed,		/* 226 rows in every block, in arrival order */
	varying,	/* 60 to 75 rows in a block, in arrival order */
	random,		/* anywhere in a heap of the largest size */
	descending, /* fixed, from the end */
	nulls,		/* fixed; every seventh row is a NULL: greatest image and the ext bit */
};

inline constexpr Tids all_tids[] = {Tids::fixed, Tids::varying, Tids::random, Tids::descending, Tids::nulls};

inline const char *
tids_name(Tids tids)
{
	static const char *const names[] = {"fixed", "varying", "random", "descending", "nulls"};

	return names[static_cast<int>(tids)];
}

inline uint64_t
tie_of(uint64_t block, uint64_t offset)
{
	return block << 16 | offset;
}

inline std::vector<uint64_t>
generate_ties(Tids tids, size_t n, Rng &rng)
{
	std::vector<uint64_t> ties(n);
	uint64_t block = 0;
	uint64_t offset = 0;
	uint64_t rows = 60 + below(rng, 16);

	for (size_t i = 0; i < n; i++)
	{
		const uint64_t row = tids == Tids::descending ? n - 1 - i : i;

		if (tids == Tids::random)
			ties[i] = tie_of(below(rng, UINT64_C(0xFFFFFFFE)), 1 + below(rng, 291));
		else if (tids != Tids::varying)
			ties[i] = tie_of(row / 226, row % 226 + 1);
		else
		{
			if (++offset > rows)
			{
				block++;
				offset = 1;
				rows = 60 + below(rng, 16);
			}
			ties[i] = tie_of(block, offset);
		}
	}
	return ties;
}

} // namespace alex_test

#endif
