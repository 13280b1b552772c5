/*
 * string_code_test.cc - words of strings compare as the strings do, and give them back.
 */
#include <gtest/gtest.h>

#include <map>

#include "../string_code.h"
#include "test_util.h"

using namespace alex_test;

namespace
{

AlexStringCode
code_of_lengths(const AlexCodeLengths &lengths)
{
	AlexStringCode code;

	EXPECT_TRUE(alex_make_code(&lengths, &code));
	return code;
}

/* Codes of all kinds: for what they are not made for, too. */
AlexStringCode
random_code(Rng &rng)
{
	AlexCodeLengths lengths;
	const bool none_first = below(rng, 2) == 0;
	uint64_t counts[ALEX_STRING_COUNTS] = {};

	switch (below(rng, 5))
	{
		case 0:
			alex_default_code(below(rng, 2) == 0, none_first, &lengths);
			return code_of_lengths(lengths);
		case 1:
			/* one byte is nearly all */
			counts[below(rng, ALEX_STRING_COUNTS)] = UINT64_C(1) << below(rng, 40);
			break;
		case 2:
			for (uint64_t &count : counts)
				count = UINT64_C(1) << below(rng, 39);
			break;
		case 3:
			/* as bad as can be */
			counts[0] = counts[1] = 1;
			for (size_t i = 2; i < 50; i++)
				counts[i] = counts[i - 1] + counts[i - 2];
			if (below(rng, 2) == 0)
				std::reverse(std::begin(counts), std::end(counts));
			break;
		default:
			for (uint64_t &count : counts)
				count = below(rng, 1000);
	}
	alex_choose_code(counts, none_first, &lengths);
	lengths.headed = below(rng, 3) == 0 ? 1 : 0;
	return code_of_lengths(lengths);
}

/* Few bytes, so that strings share beginnings; any bytes; the extremes. */
std::string
random_string(Rng &rng)
{
	static const std::string alphabets[] = {std::string("\0\1", 2), "\376\377", "ab", "abcdefghijklmnopqrstuvwxyz0123456789-./:"};
	const uint64_t alphabet = below(rng, 5);
	std::string result(below(rng, below(rng, 3) == 0 ? 200 : 12), '\0');

	for (char &c : result)
		c = alphabet < 4 ? alphabets[alphabet][below(rng, alphabets[alphabet].size())] : static_cast<char>(rng());
	return result;
}

/* With a head if the code wants one: few heads, and extremes. */
std::string
random_string(const AlexStringCode &code, Rng &rng)
{
	std::string head(ALEX_HEAD_BYTES, static_cast<char>(below(rng, 2) == 0 ? 0 : 0xFF));

	if (code.lengths.headed == 0)
		return random_string(rng);
	head[below(rng, ALEX_HEAD_BYTES - 1)] = static_cast<char>(1 + below(rng, 3));
	head.back() = static_cast<char>(below(rng, 2) * 2);
	return head + random_string(rng);
}

/* A beginning that has a head if the code wants one. */
std::string
beginning(const AlexStringCode &code, const std::string &string, Rng &rng)
{
	const size_t least = code.lengths.headed != 0 ? ALEX_HEAD_BYTES : 0;

	return string.substr(0, least + below(rng, string.size() - least + 1));
}

std::vector<uint64_t>
words_of(const AlexStringCode &code, const std::string &string, uint64_t flip)
{
	std::vector<uint64_t> words(string.size() / 4 + 2);
	const int n = alex_encode_string(&code, string.data(), string.size(), flip, words.data(), static_cast<int>(words.size()));

	EXPECT_LE(static_cast<size_t>(n), words.size());
	words.resize(n);
	return words;
}

/* The bits of an alphabetic code cost no more than those of any other: all trees of few symbols. */
uint64_t
least_cost(const std::vector<uint64_t> &weights, size_t first, size_t end, std::map<std::pair<size_t, size_t>, uint64_t> &known)
{
	if (end - first == 1)
		return 0;

	const auto [at, is_new] = known.try_emplace({first, end}, UINT64_MAX);

	if (!is_new)
		return at->second;

	uint64_t best = UINT64_MAX;

	for (size_t i = first + 1; i < end; i++)
		best = std::min(best, least_cost(weights, first, i, known) + least_cost(weights, i, end, known));
	return known[{first, end}] = best + std::accumulate(weights.begin() + static_cast<long>(first), weights.begin() + static_cast<long>(end), uint64_t{0});
}

TEST(StringCode, IsAsShortAsCanBe)
{
	Rng rng(1);

	for (int round = 0; round < 2; round++)
	{
		const bool none_first = round % 2 == 0;
		uint64_t counts[ALEX_STRING_COUNTS];
		AlexCodeLengths lengths;
		std::vector<uint64_t> weights;
		std::map<std::pair<size_t, size_t>, uint64_t> known;
		uint64_t cost = 0;

		for (uint64_t &count : counts)
			count = below(rng, round == 0 ? 100 : 1000);
		for (const uint64_t count : counts)
			weights.push_back(count + 1);
		weights.insert(none_first ? weights.begin() : weights.end(), 1);
		alex_choose_code(counts, none_first, &lengths);
		for (size_t i = 0; i < weights.size(); i++)
			cost += weights[i] * lengths.bits[i];
		ASSERT_EQ(cost, least_cost(weights, 0, weights.size(), known));
	}
}

TEST(StringCode, LengthsAreBounded)
{
	Rng rng(2);

	for (int round = 0; round < 200; round++)
	{
		const AlexStringCode code = random_code(rng);

		for (const uint8_t bits : code.lengths.bits)
			ASSERT_LE(bits, ALEX_CODE_BITS);
	}
}

TEST(StringCode, UsualStringsAreShort)
{
	AlexCodeLengths lengths;

	alex_default_code(false, false, &lengths);

	const AlexStringCode code = code_of_lengths(lengths);
	const std::string email = "somebody.else@example.com";
	size_t bits = 0;

	for (const char c : email)
		bits += code.lengths.bits[code.end + 1 + static_cast<uint8_t>(c)];
	EXPECT_LT(bits, email.size() * 6);
	EXPECT_EQ(words_of(code, email, 0).size(), 3U);
}

TEST(StringCode, RefusesOtherLengths)
{
	AlexCodeLengths good;
	AlexStringCode code;
	Rng rng(3);

	alex_default_code(true, false, &good);
	for (int round = 0; round < 2000; round++)
	{
		AlexCodeLengths bad = good;

		bad.bits[below(rng, ALEX_STRING_SYMBOLS)] = static_cast<uint8_t>(rng());
		if (std::equal(std::begin(bad.bits), std::end(bad.bits), std::begin(good.bits)))
			continue;
		ASSERT_FALSE(alex_make_code(&bad, &code));
	}
	good.none_first = 2;
	ASSERT_FALSE(alex_make_code(&good, &code));
	good.none_first = 0;
	good.headed = 2;
	ASSERT_FALSE(alex_make_code(&good, &code));
}

TEST(StringCode, WordsAreOrderedAsStringsAre)
{
	Rng rng(4);

	for (int round = 0; round < 300; round++)
	{
		const AlexStringCode code = random_code(rng);
		const uint64_t flip = below(rng, 2) == 0 ? 0 : UINT64_MAX;
		std::vector<std::string> strings(40);

		for (std::string &string : strings)
			string = random_string(code, rng);
		/* the beginnings of some, and what follows at once */
		for (int i = 0; i < 20; i++)
		{
			strings.push_back(beginning(code, strings[i], rng));
			strings.push_back(strings[i] + '\0');
		}
		for (const std::string &a : strings)
		{
			const std::vector<uint64_t> x = words_of(code, a, flip);

			ASSERT_EQ(alex_string_words(x.data(), flip, static_cast<int>(x.size())), x.size());
			ASSERT_EQ(alex_string_words(x.data(), flip, static_cast<int>(x.size()) - 1), x.size() - 1);
			ASSERT_TRUE(alex_string_ends(x.data(), static_cast<int>(x.size()), flip));
			ASSERT_FALSE(alex_string_is_none(&code, flip, x[0]));
			ASSERT_EQ((code.none[flip != 0]) < x[0], (code.lengths.none_first != 0) == (flip == 0));
			ASSERT_NE(code.none[flip != 0], x[0]);
			for (const std::string &b : strings)
			{
				const std::vector<uint64_t> y = words_of(code, b, flip);
				const auto differ = std::mismatch(x.begin(), x.end(), y.begin(), y.end());

				/* char_traits<char> compares as memcmp does */
				ASSERT_EQ(x == y, a == b);
				if (a == b)
					continue;
				ASSERT_TRUE(differ.first != x.end() && differ.second != y.end()) << "one is the beginning of the other";
				ASSERT_EQ(*differ.first < *differ.second, (a < b) == (flip == 0));
			}
		}
		ASSERT_TRUE(alex_string_is_none(&code, flip, code.none[flip != 0]));
	}
}

TEST(StringCode, StringsComeBack)
{
	Rng rng(5);
	int left_out = 0;

	for (int round = 0; round < 300; round++)
	{
		const AlexStringCode code = random_code(rng);
		const uint64_t flip = below(rng, 2) == 0 ? 0 : UINT64_MAX;

		for (int i = 0; i < 60; i++)
		{
			const std::string string = random_string(code, rng);
			const std::vector<uint64_t> words = words_of(code, string, flip);
			const auto n = static_cast<int>(words.size());
			std::string back(string.size(), 'x');

			ASSERT_LE(string.size(), alex_string_most_bytes(n));
			ASSERT_EQ(alex_decode_string(&code, words.data(), n, flip, back.data(), back.size()), string.size());
			ASSERT_EQ(back, string);
			if (!string.empty() && (code.lengths.headed == 0 || string.size() > ALEX_HEAD_BYTES))
			{
				ASSERT_EQ(alex_decode_string(&code, words.data(), n, flip, back.data(), back.size() - 1), ALEX_BAD_STRING);
			}
			if (n > 1 && flip != 0)
			{
				ASSERT_EQ(alex_decode_string(&code, words.data(), n - 1, flip, back.data(), back.size()), ALEX_BAD_STRING);
			}
			if (flip == 0 && words.back() == 0)
			{
				ASSERT_EQ(alex_decode_string(&code, words.data(), n - 1, flip, back.data(), back.size()), string.size());
				ASSERT_EQ(back, string);
				left_out++;
			}
		}
	}
	EXPECT_GT(left_out, 0);
}

/* What does not fit is cut off where it is compared in the same way with all that fit. */
TEST(StringCode, LongStringsAreCutOff)
{
	Rng rng(6);

	for (int round = 0; round < 300; round++)
	{
		const AlexStringCode code = random_code(rng);
		const uint64_t flip = below(rng, 2) == 0 ? 0 : UINT64_MAX;
		const int max = static_cast<int>(below(rng, 5));
		std::vector<std::string> strings(40);

		for (std::string &string : strings)
			string = random_string(code, rng);
		for (const std::string &a : strings)
		{
			Words x(max);

			if (alex_encode_string(&code, a.data(), a.size(), flip, x.get(), max) <= max)
				continue;
			ASSERT_EQ(alex_string_words(x.get(), flip, max), max);
			ASSERT_FALSE(alex_string_ends(x.get(), max, flip));
			for (const std::string &b : strings)
			{
				const std::vector<uint64_t> y = words_of(code, b, flip);

				if (static_cast<int>(y.size()) > max)
					continue;

				const auto differ = std::mismatch(x.get(), x.get() + max, y.begin(), y.end());

				ASSERT_NE(differ.second, y.end());
				ASSERT_EQ(*differ.first < *differ.second, (a < b) == (flip == 0));
			}
		}
	}
}

TEST(StringCode, AnyWordsAreRead)
{
	Rng rng(7);

	for (int round = 0; round < 20000; round++)
	{
		static const AlexStringCode codes[] = {random_code(rng), random_code(rng), random_code(rng), random_code(rng), random_code(rng)};
		const AlexStringCode &code = codes[below(rng, std::size(codes))];
		const int n = static_cast<int>(below(rng, 6));
		const size_t max = below(rng, 100);
		Words words(n);
		std::unique_ptr<char[]> bytes = std::make_unique_for_overwrite<char[]>(max);

		for (int i = 0; i < n; i++)
			words.get()[i] = below(rng, 3) == 0 ? (below(rng, 2) == 0 ? 0 : UINT64_MAX) : rng();

		const uint64_t flip = below(rng, 2) == 0 ? 0 : UINT64_MAX;
		const size_t length = alex_decode_string(&code, words.get(), n, flip, bytes.get(), max);

		ASSERT_TRUE(length == ALEX_BAD_STRING || length <= max);
		ASSERT_LE(alex_string_words(words.get(), flip, n), n);
	}
}

} // namespace
