/*
 * version_test.cc - differences come back as the bytes they came from; chains of versions in a store page are rebuilt byte for byte; and what
 * is damaged is an answer, never a step outside.
 */
#include <gtest/gtest.h>

#include <string>

#include "test_util.h"
#include "version_util.h"

using namespace omen_test;
using alex_test::below;
using alex_test::Rng;

namespace
{

std::string
encode(const std::string &base, const std::string &bytes, size_t from = 0, uint16_t shift = 0)
{
	const Block a = copy_of(base.data(), base.size());
	const Block b = copy_of(bytes.data(), bytes.size());
	Block out(bytes.size() * 5 + 16);
	const size_t size = omen_diff_encode(a.data(), a.size(), b.data(), from, b.size(), shift, out.data(), out.size());

	EXPECT_NE(size, OMEN_DIFF_TOO_LONG);
	return {out.data(), size};
}

std::string
range(uint16_t where, const std::string &bytes)
{
	std::string out(4 + bytes.size(), '\0');

	omen_diff_put(out.data(), where, bytes.data(), static_cast<uint16_t>(bytes.size()));
	return out;
}

TEST(Diff, SaysWhatChangedAndNoMore)
{
	EXPECT_EQ(encode("same", "same"), "");
	EXPECT_EQ(encode("", ""), "");
	EXPECT_EQ(encode("abcdefgh", "abXdefgh"), range(2, "X"));
	/* a gap that costs no less than a new range is bridged, a longer one is not */
	EXPECT_EQ(encode("a1234b", "A1234B"), range(0, "A1234B"));
	EXPECT_EQ(encode("a12345b", "A12345B"), range(0, "A") + range(6, "B"));
	/* longer, shorter */
	EXPECT_EQ(encode("abc", "abcdef"), range(3, "def"));
	EXPECT_EQ(encode("abcdef", "abc"), "");
	EXPECT_EQ(encode("", "abc"), range(0, "abc"));
	/* what is before `from` does not count; where is shifted */
	EXPECT_EQ(encode("xbcdefgh", "ybcdefgX", 2, 100), range(107, "X"));
}

TEST(Diff, KnowsItsRoom)
{
	char out[64];

	EXPECT_EQ(omen_diff_encode("abcdefgh", 8, "abcdefgX", 0, 8, 0, out, 5), 5U);
	EXPECT_EQ(omen_diff_encode("abcdefgh", 8, "abcdefgX", 0, 8, 0, out, 4), OMEN_DIFF_TOO_LONG);
	EXPECT_EQ(omen_diff_encode("abcdefgh", 8, "abcdefgh", 0, 8, 0, out, 0), 0U);
}

TEST(Diff, SoundOnlyWithinItsBytes)
{
	const std::string good = range(2, "abc") + range(9, "z");

	EXPECT_TRUE(omen_diff_sound(good.data(), good.size(), 2, 10));
	EXPECT_FALSE(omen_diff_sound(good.data(), good.size(), 3, 10));
	EXPECT_FALSE(omen_diff_sound(good.data(), good.size(), 2, 9));
	for (size_t n = 1; n < good.size(); n++)
		EXPECT_EQ(omen_diff_sound(good.data(), n, 2, 10), n == 7) << n;
}

/* One byte, a run, all, nothing; longer and shorter. */
std::string
changed(const std::string &from, Rng &rng, size_t longest)
{
	std::string to = from;

	switch (below(rng, 5))
	{
		case 0:
			to.resize(1 + below(rng, longest), static_cast<char>(below(rng, 256)));
			break;
		case 1:
			for (char &c : to)
				c = static_cast<char>(below(rng, 256));
			break;
		case 2:
			break;
		default:
			for (size_t n = 1 + below(rng, 4); n > 0; n--)
			{
				const size_t at = below(rng, to.size());

				for (size_t i = at; i < std::min(to.size(), at + 1 + below(rng, 12)); i++)
					to[i] = static_cast<char>(below(rng, 256));
			}
	}
	return to;
}

TEST(Diff, ComesBack)
{
	Rng rng(1);
	std::string base = "the first";

	for (int i = 0; i < 20000; i++)
	{
		const std::string bytes = changed(base, rng, 300);
		const size_t from = below(rng, bytes.size() + 1);
		const std::string diff = encode(base, bytes, from);
		std::string back = base;

		back.resize(bytes.size());
		std::memcpy(back.data(), bytes.data(), from);
		ASSERT_TRUE(omen_diff_sound(diff.data(), diff.size(), from, back.size()));
		omen_diff_apply(back.data(), diff.data(), diff.size());
		ASSERT_EQ(back, bytes);
		base = bytes;
	}
}

/* A version: its header's fields and its body; as an item of a row page. */
struct Version
{
	uint32_t xmin;
	uint32_t cid;
	uint16_t infomask2;
	uint16_t infomask;
	std::string body;

	size_t length() const { return OMEN_BODY + body.size() + OMEN_LINK_SIZE; }

	/* As omen_record_read() gives it: xmax is nothing. */
	std::string
	item(OmenLink link) const
	{
		std::string out(OMEN_BODY, '\0');

		std::memcpy(out.data(), &xmin, 4);
		std::memcpy(out.data() + 8, &cid, 4);
		std::memcpy(out.data() + 12, a_row, 6);
		std::memcpy(out.data() + 18, &infomask2, 2);
		std::memcpy(out.data() + 20, &infomask, 2);
		out += body;
		return out.append(reinterpret_cast<const char *>(&link), sizeof(link));
	}

	OmenRecord
	header(uint32_t superseder) const
	{
		OmenRecord record{};

		std::memcpy(record.row, a_row, sizeof(a_row));
		record.length = static_cast<uint16_t>(length());
		record.superseder = superseder;
		record.xmin = xmin;
		record.cid = cid;
		record.infomask2 = infomask2;
		record.infomask = infomask;
		return record;
	}
};

Version
some_version(const std::string &body, Rng &rng)
{
	return {static_cast<uint32_t>(3 + below(rng, 1000)), static_cast<uint32_t>(below(rng, 9)), static_cast<uint16_t>(below(rng, 2048)),
			static_cast<uint16_t>(below(rng, 65536)), body};
}

/* A chain in one store page, oldest first; the last is the head, and is not in the store. */
class Chain
{
public:
	explicit Chain(Rng &rng, size_t longest) : page_(page_size)
	{
		std::string body = changed("body of the oldest", rng, longest);
		OmenLink link{OMEN_SAME_PAGE, 0, 0};

		versions_.push_back(some_version(body, rng));
		for (;;)
		{
			const Version &old = versions_.back();

			links_.push_back(link);
			body = changed(body, rng, longest);
			Version next = some_version(body, rng);
			/* a head may be padded when its row is restored: what is behind it must not mind */
			const std::string newer = next.item(link).substr(0, OMEN_BODY + body.size()) + std::string(below(rng, 8), '\0');
			const OmenRecord header = old.header(next.xmin);

			if (fill_ + OMEN_RECORD_SIZE(header.length) > records_end)
				return;
			const std::string item = old.item(link);
			Block out(OMEN_RECORD_SIZE(header.length) + 3);
			char *const aligned = out.data();
			const size_t size = omen_record_form(&header, item.data(), link, below(rng, 10) == 0 ? nullptr : newer.data(),
												 next.item(link).size() - OMEN_LINK_SIZE, aligned);

			EXPECT_LE(size, OMEN_RECORD_SIZE(header.length));
			EXPECT_EQ(size % 4, 0U);
			std::memcpy(page_.data() + fill_, aligned, size);
			link = {42, static_cast<uint16_t>(fill_), header.length};
			fill_ += size;
			versions_.push_back(next);
		}
	}

	Block &page() { return page_; }
	size_t fill() const { return fill_; }

	/* Walks from the head to the oldest. `in_place`: as readers do, in one buffer. */
	void
	expect_walk(bool in_place) const
	{
		std::string current = versions_.back().item(links_.back());

		for (size_t i = versions_.size() - 1; i-- > 0;)
		{
			const size_t newer_length = current.size() - OMEN_LINK_SIZE;
			OmenLink link;

			std::memcpy(&link, current.data() + newer_length, sizeof(link));
			const Block newer = copy_of(current.data(), newer_length);
			Block out(page_size);

			if (in_place)
				std::memcpy(out.data(), newer.data(), newer_length);
			ASSERT_STREQ(omen_record_read(page_.data(), records_start, fill_, link, a_row, versions_[i + 1].xmin,
										  in_place ? out.data() : newer.data(), newer_length, out.data(), page_size),
						 nullptr);
			current.assign(out.data(), versions_[i].length());
			ASSERT_EQ(current, versions_[i].item(links_[i])) << "version " << i << " of " << versions_.size();
		}
	}

	/* `next` ends in nothing: the head's link is what the loop above was about to give it */
	size_t size() const { return versions_.size(); }

private:
	Block page_;
	size_t fill_ = records_start;
	std::vector<Version> versions_;
	std::vector<OmenLink> links_;
};

TEST(Record, ChainsComeBack)
{
	Rng rng(2);
	size_t most = 0;

	for (int i = 0; i < 300; i++)
	{
		const Chain chain(rng, 20 + below(rng, 1000));

		chain.expect_walk(false);
		chain.expect_walk(true);
		most = std::max(most, chain.size());
		if (HasFatalFailure())
			FAIL() << "chain " << i;
	}
	EXPECT_GT(most, 30U);
}

TEST(Record, AnInteger8InARowOf100Takes40Bytes)
{
	Rng rng(3);
	const Version old = some_version(std::string(78, 'x'), rng);
	Version next = old;
	char out[256];

	next.body.replace(10, 8, "12345678");
	const OmenRecord header = old.header(next.xmin);
	const std::string item = old.item({OMEN_SAME_PAGE, 0, 0});

	EXPECT_EQ(omen_record_form(&header, item.data(), {OMEN_SAME_PAGE, 0, 0}, next.item({}).data(), OMEN_BODY + 78, out), 40U);
	EXPECT_EQ(omen_record_form(&header, item.data(), {42, 24, 108}, next.item({}).data(), OMEN_BODY + 78, out), 48U);
}

TEST(Record, StrangersAreNotRead)
{
	Rng rng(4);
	const Version version = some_version("some body", rng);
	const OmenRecord header = version.header(1000);
	const std::string item = version.item({OMEN_SAME_PAGE, 0, 0});
	Block page(page_size);
	Block out(page_size);
	const size_t size = omen_record_form(&header, item.data(), {OMEN_SAME_PAGE, 0, 0}, nullptr, 0, page.data() + records_start);
	const OmenLink link{42, records_start, header.length};
	const uint16_t another[3] = {0, 7, 4};
	const auto read = [&](OmenLink from, const uint16_t *row, uint32_t superseder, size_t fill) {
		return omen_record_read(page.data(), records_start, fill, from, row, superseder, item.data(), 30, out.data(), page_size);
	};

	EXPECT_EQ(read(link, a_row, 1000, records_start + size), nullptr);
	EXPECT_NE(read(link, another, 1000, records_start + size), nullptr);
	EXPECT_NE(read(link, a_row, 1001, records_start + size), nullptr);
	EXPECT_NE(read(link, a_row, 1000, records_start + size - 4), nullptr);
	EXPECT_NE(read({42, records_start + 4, header.length}, a_row, 1000, records_start + size), nullptr);
	EXPECT_NE(read({42, records_start + 2, header.length}, a_row, 1000, records_start + size), nullptr);
	EXPECT_NE(read({42, records_start, static_cast<uint16_t>(header.length - 1)}, a_row, 1000, records_start + size), nullptr);
	EXPECT_NE(omen_record_read(page.data(), records_start, records_start + size, link, a_row, 1000, item.data(), 30, out.data(),
							   header.length - 1U),
			  nullptr);
}

/* Damaged pages: the sanitizers look for steps outside; what comes out must fit, and what does not leaves the item alone. */
TEST(Record, DamageStaysInside)
{
	Rng rng(5);

	for (int i = 0; i < 20000; i++)
	{
		static Chain chain(rng, 200);
		Block page = copy_of(chain.page().data(), page_size);
		Block out(500);
		const Block newer = copy_of(std::string(100, 'n').data(), 100);
		size_t at = records_start;

		for (size_t n = below(rng, 20); n > 0; n--)
			page.data()[records_start + below(rng, chain.fill() - records_start)] = static_cast<char>(below(rng, 256));
		for (OmenRecord *record; (record = omen_record_at(page.data(), at, chain.fill())) != nullptr; at = omen_record_end(record, at))
		{
			const OmenLink link{42, static_cast<uint16_t>(at), record->length};

			std::memset(out.data(), 'o', out.size());
			if (omen_record_read(page.data(), records_start, chain.fill(), link, record->row, record->superseder, newer.data(),
								 newer.size(), out.data(), out.size()) != nullptr)
			{
				ASSERT_EQ(std::string(out.data(), out.size()), std::string(out.size(), 'o'));
			}
		}
	}
}

} // namespace
