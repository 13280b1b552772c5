/*
 * validate_test.cc - every kind of damage is reported, and nothing that the core makes is.
 */
#include <gtest/gtest.h>

#include <functional>

#include "../frame_codec.h"
#include "node_checks.h"

using namespace alex_test;

namespace
{

class Validate : public ::testing::TestWithParam<Shape>
{
protected:
	/* A node in the middle of its level, with base and delta. */
	void
	SetUp() override
	{
		Rng rng(1);
		const Shape shape = GetParam();
		const Records records = sorted_records(datasets()[0], shape, shape.page_size / 4, Tids::varying, rng);
		Node full = full_node(shape, records, 6, rng);
		Page node = full.page;
		Records fresh(shape.stride());

		/* slots that take any record, as wide as the record itself */
		for (size_t i = 0; i < full.records.size(); i++)
		{
			uint64_t record[ALEX_MAX_RECORD_WORDS];
			const uint32_t at = alex_lower_bound(node.data(), full.records[i]);

			if (at < node.node().count)
				alex_read(node.data(), at, record);
			if (at == node.node().count || alex_compare(record, full.records[i], shape.words) != 0)
				fresh.add(full.records[i]);
		}
		node.head().pd_upper = node.head().pd_special;
		for (int c = 0; c < node.node().columns; c++)
			node.node().column[c].delta_bytes = 8;
		for (size_t i = 0; i < fresh.size() && add_fresh(node, fresh[i]);)
			i++;

		ASSERT_NE(node.node().right, ALEX_NO_BLOCK);
		/* so both fences are stored alike, but for a word that they share */
		ASSERT_LE(node.node().shared, 1);
		ASSERT_GE(node.node().low_words, std::min(shape.words, 2));
		ASSERT_EQ(node.node().high_words, node.node().low_words);
		ASSERT_GT(node.node().count, 2U);
		ASSERT_GT(alex_delta_count(node.data()), 1U);
		sound = std::make_unique<Page>(node);
		ASSERT_STREQ(problem(*sound), nullptr);
		ASSERT_STREQ(validate(*sound), nullptr);
	}

	const char *
	problem(const Page &page) const
	{
		return alex_node_problem(page.data(), GetParam().words, GetParam().page_size);
	}

	const char *
	validate(const Page &page) const
	{
		return alex_node_validate(page.data(), GetParam().words, GetParam().page_size,
								  scratch_of(ALEX_MAX_COLUMNS, GetParam().page_size));
	}

	/* Damage that the cheap check has to see, as the offsets that others rely on are wrong. */
	void
	expect_problem(const char *what, const std::function<void(Page &)> &damage) const
	{
		Page page = *sound;

		damage(page);
		EXPECT_NE(problem(page), nullptr) << what;
		EXPECT_NE(validate(page), nullptr) << what;
	}

	/* Damage that only shows in the records. */
	void
	expect_invalid(const char *what, const std::function<void(Page &)> &damage) const
	{
		Page page = *sound;
		Rng rng(2);

		damage(page);
		EXPECT_NE(validate(page), nullptr) << what;
		exercise(page, GetParam().words, rng);
	}

	/* A record in the delta, from the first word on that the fences do not share; that as the distance from the low fence's. */
	uint64_t *
	delta(Page &page, uint32_t i) const
	{
		return reinterpret_cast<uint64_t *>(page.slot(i));
	}

	void
	set_delta(Page &page, uint32_t i, const uint64_t *position) const
	{
		const int shared = page.node().shared;

		std::copy_n(position + shared, GetParam().words + 1 - shared, delta(page, i));
		delta(page, i)[0] -= alex_low_word(page.data(), shared);
	}

	/* The fences from there on. */
	uint64_t *low_of(Page &page) const { return const_cast<uint64_t *>(alex_stored_low(page.data())) + page.node().shared; }
	uint64_t *high_of(Page &page) const { return const_cast<uint64_t *>(alex_stored_high(page.data())); }

	static int fence_words(const Page &page) { return page.node().low_words - page.node().shared; }

	/* Where the base begins. */
	static uint16_t
	start_of(const Page &page)
	{
		return static_cast<uint16_t>(ALEX_FENCES_OFFSET(page.node().columns) + 8 * (page.node().low_words + page.node().high_room + 2));
	}

	/* Frame f of a column. */
	alex::Frame
	frame(const Page &page, int column, uint32_t f) const
	{
		alex::Frame frame;

		std::memcpy(&frame, static_cast<const char *>(page.data()) + page.node().column[column].column_start + f * sizeof(frame),
					sizeof(frame));
		return frame;
	}

	void
	set_frame(Page &page, int column, uint32_t f, const alex::Frame &frame) const
	{
		std::memcpy(page.bytes() + page.node().column[column].column_start + f * sizeof(frame), &frame, sizeof(frame));
	}

	std::unique_ptr<Page> sound;
};

TEST_P(Validate, PageHead)
{
	const auto page_size = static_cast<uint16_t>(GetParam().page_size);

	expect_problem("all zeroes", [](Page &p) { std::memset(p.data(), 0, p.size()); });
	expect_problem("all ones", [](Page &p) { std::memset(p.data(), 0xFF, p.size()); });
	expect_problem("slots with a column of 9 bytes", [](Page &p) { p.node().column[0].delta_bytes = 9; });
	expect_problem("slots that cannot say they are in use", [](Page &p) { p.node().column[p.node().columns - 1].delta_bytes = 0; });
	expect_problem("too many slots", [](Page &p) {
		for (int c = 0; c < p.node().columns; c++)
			p.node().column[c].delta_bytes = 0;
		p.node().column[p.node().columns - 1].delta_bytes = 1;
		p.node().count = 0;
		p.head().pd_lower = start_of(p);
		for (int c = 0; c < p.node().columns; c++)
			p.node().column[c].column_start = p.head().pd_lower;
		p.head().pd_upper = static_cast<uint16_t>(p.head().pd_special - p.most_slots() - 1);
	});
	expect_problem("magic", [](Page &p) { p.node().magic ^= 1; });
	expect_problem("newer version", [](Page &p) { p.node().version++; });
	expect_problem("no words", [](Page &p) { p.node().words = 0; });
	expect_problem("another least number of words", [](Page &p) { p.node().least++; });
	expect_problem("no columns", [](Page &p) { p.node().columns = 0; });
	expect_problem("a column more than words", [](Page &p) { p.node().columns++; });
	expect_problem("very many columns", [](Page &p) { p.node().columns = 255; });
	expect_problem("a low fence too long", [](Page &p) { p.node().low_words = static_cast<uint16_t>(p.node().words + 1); });
	expect_problem("a low fence too short", [](Page &p) { p.node().shared = 1, p.node().low_words = 0; });
	expect_problem("a high fence too long", [](Page &p) { p.node().high_words = static_cast<uint16_t>(p.node().words + 1); });
	expect_problem("no high fence", [](Page &p) { p.node().high_words = ALEX_NO_FENCE; });
	expect_problem("very much room", [](Page &p) { p.node().high_room = UINT16_MAX; });
	expect_problem("more shared words than words", [](Page &p) { p.node().shared = static_cast<uint16_t>(p.node().words + 1); });
	expect_problem("too many words", [](Page &p) { p.node().words = ALEX_MAX_FIXED_WORDS + 1; });
	expect_problem("other words", [](Page &p) { p.node().words ^= 3; });
	expect_problem("level", [](Page &p) { p.node().level = 255; });
	expect_problem("page size", [=](Page &p) { p.head().pd_pagesize_version = static_cast<uint16_t>(page_size / 2 | 4); });
	expect_problem("pd_special before the special area", [](Page &p) { p.head().pd_special -= 8; });
	expect_problem("pd_special beyond the page", [](Page &p) { p.head().pd_special = UINT16_MAX; });
	expect_problem("pd_upper zero", [](Page &p) { p.head().pd_upper = 0; });
	expect_problem("pd_upper beyond pd_special", [](Page &p) { p.head().pd_upper = static_cast<uint16_t>(p.head().pd_special + 16); });
	expect_problem("pd_upper inside a record", [](Page &p) { p.head().pd_upper += 8; });
	expect_problem("pd_upper unaligned", [](Page &p) { p.head().pd_upper += 1; });
	expect_problem("pd_lower inside the header", [](Page &p) { p.head().pd_lower = ALEX_FENCES_OFFSET(p.node().columns); });
	expect_problem("pd_lower zero", [](Page &p) { p.head().pd_lower = 0; });
	expect_problem("pd_lower beyond pd_upper", [](Page &p) { p.head().pd_lower = static_cast<uint16_t>(p.head().pd_upper + 8); });
}

TEST_P(Validate, NodeHeader)
{
	const int columns = sound->node().columns;

	expect_problem("count too large", [](Page &p) { p.node().count = ALEX_MAX_RECORDS + 1; });
	expect_problem("count of all ones", [](Page &p) { p.node().count = UINT32_MAX; });
	expect_problem("model word", [](Page &p) { p.node().model_word = static_cast<uint8_t>(p.node().columns); });
	expect_problem("model shift", [](Page &p) { p.node().model_shift = 64; });
	if (GetParam().level == 0)
		expect_problem("radix", [](Page &p) { p.node().radix = 0; });
	for (int c = 0; c < columns; c++)
	{
		SCOPED_TRACE(c);
		expect_problem("frames too short", [=](Page &p) { p.node().column[c].frame_log2 = 0; });
		expect_problem("frames too long", [=](Page &p) { p.node().column[c].frame_log2 = 64; });
		expect_problem("column before the base", [=](Page &p) { p.node().column[c].column_start = ALEX_HEADER_OFFSET; });
		expect_problem("column in the hole", [=](Page &p) { p.node().column[c].column_start = static_cast<uint16_t>(p.head().pd_lower - 8); });
		expect_problem("column beyond the page", [=](Page &p) { p.node().column[c].column_start = UINT16_MAX; });
		expect_invalid("column starts elsewhere", [=](Page &p) { p.node().column[c].column_start += 8; });
	}
	expect_invalid("half of the records", [](Page &p) { p.node().count -= p.node().count / 2; });
	expect_invalid("the base is longer than its columns", [](Page &p) {
		p.head().pd_upper = p.head().pd_special;
		p.head().pd_lower += 8;
	});
	expect_invalid("the last column is cut", [](Page &p) { p.head().pd_lower -= 8; });
	expect_invalid("model word behind one that varies", [](Page &p) { p.node().model_word = static_cast<uint8_t>(p.node().columns - (p.node().level > 0 ? 2 : 1)); });
}

TEST_P(Validate, Fences)
{
	const int words = GetParam().words;

	expect_invalid("fences swapped", [=, this](Page &p) {
		std::swap_ranges(low_of(p), low_of(p) + fence_words(p) + 1, high_of(p));
	});
	expect_invalid("fences equal", [=, this](Page &p) {
		std::copy_n(low_of(p), fence_words(p) + 1, high_of(p));
	});
	expect_invalid("first record before the low fence", [=, this](Page &p) { step_position(low_of(p), fence_words(p), true); });
	expect_invalid("last record beyond the high fence", [=, this](Page &p) {
		std::vector<uint64_t> records(static_cast<size_t>(alex_record_count(p.data())) * p.stride());

		alex_decode(p.data(), records.data());
		const auto last = records.end() - p.stride();

		std::copy_n(last + p.node().shared, fence_words(p), high_of(p));
		high_of(p)[fence_words(p)] = last[words];
	});
}

TEST_P(Validate, Delta)
{
	const int words = GetParam().words;

	expect_invalid("delta record before the low fence", [=, this](Page &p) {
		uint64_t position[position_max];

		std::copy_n(fence(p.data(), alex_low_fence).data(), words + 1, position);
		step_position(position, words, false);
		set_delta(p, 0, position);
	});
	expect_invalid("delta record at the high fence", [=, this](Page &p) { set_delta(p, 1, fence(p.data(), alex_high_fence).data()); });
	expect_invalid("delta record twice", [=, this](Page &p) { std::copy_n(delta(p, 0), p.node().columns, delta(p, 1)); });
	expect_invalid("delta record also in the base", [=, this](Page &p) {
		uint64_t record[ALEX_MAX_RECORD_WORDS];

		alex_read(p.data(), p.node().count / 2, record);
		set_delta(p, 1, record);
	});
	expect_invalid("an empty slot among those in use", [=, this](Page &p) { std::fill_n(delta(p, 0), p.node().columns, 0); });
	expect_invalid("something in an empty slot", [=, this](Page &p) {
		p.head().pd_upper = static_cast<uint16_t>(p.head().pd_upper - (alex_delta_count(p.data()) == p.slots() ? p.slot_bytes() : 0));
		std::fill_n(delta(p, p.slots() - 1), p.node().columns, 0);
		*delta(p, p.slots() - 1) = 1;
	});
	if (GetParam().level > 0)
	{
		expect_invalid("child that is no block", [=, this](Page &p) { delta(p, 0)[words + 1 - p.node().shared] = ALEX_NO_BLOCK; });
		expect_invalid("child beyond 32 bits", [=, this](Page &p) { delta(p, 0)[words + 1 - p.node().shared] |= UINT64_C(1) << 40; });
	}
	else
	{
		expect_invalid("heap offset zero", [=, this](Page &p) { delta(p, 0)[words - p.node().shared] &= ~UINT64_C(0xFFFF); });
		expect_invalid("bit above ext", [=, this](Page &p) { delta(p, 0)[words - p.node().shared] |= UINT64_C(1) << 63; });
	}
}

TEST_P(Validate, Removed)
{
	/* half of the records, so that there is room, and not a multiple of 8 of them; few are listed, many have bits */
	const auto remove = [](Page &p, uint32_t share) {
		std::vector<uint64_t> records(static_cast<size_t>(alex_record_count(p.data())) * p.stride());
		const uint32_t n = alex_decode(p.data(), records.data()) / 2 | 1;
		const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(n);
		AlexRemoval removal;

		for (uint32_t i = 0; i < n; i += share)
			dead[i] = true;
		if (!alex_node_store(p.data(), records.data(), n, 0) || !alex_can_remove(p.data(), dead.get()))
			throw std::logic_error("no room");
		alex_remove(p.data(), dead.get(), &removal);
	};

	if (GetParam().level > 0)
	{
		expect_invalid("an inner node's", [](Page &p) { p.node().removed = p.head().pd_lower; });
		return;
	}
	for (const uint32_t share : {3U, 20U})
	{
		SCOPED_TRACE(share);
		expect_invalid("a note behind its place", [=](Page &p) {
			remove(p, share);
			p.node().removed++;
		});
		expect_invalid("a note before its place", [=](Page &p) {
			remove(p, share);
			p.node().removed--;
		});
		expect_invalid("a note in the header", [=](Page &p) {
			remove(p, share);
			p.node().removed = 1;
		});
		expect_invalid("a note of one more byte", [=](Page &p) {
			remove(p, share);
			p.head().pd_lower = static_cast<uint16_t>(p.head().pd_lower + 1);
		});
		expect_invalid("no note where there should be", [=](Page &p) {
			remove(p, share);
			p.node().removed = 0;
		});
		expect_invalid("the bit or number of no record", [=](Page &p) {
			remove(p, share);
			p.bytes()[p.head().pd_lower - 1] |= 0x80;
		});
	}
	if (GetParam().page_size == 1024 || GetParam().words == ALEX_MAX_FIXED_WORDS)
		return; /* too few records for a list of two */
	expect_invalid("a record listed twice", [=](Page &p) {
		remove(p, 20);
		uint8_t *list = p.bytes() + (p.node().removed & ~ALEX_REMOVED_LIST);

		std::memcpy(list, list + 2, 2);
	});
	expect_invalid("the record behind the last listed", [=](Page &p) {
		remove(p, 20);
		const auto entry = static_cast<uint16_t>(p.node().count);
		std::memcpy(p.bytes() + p.head().pd_lower - 2, &entry, 2);
	});
}

TEST_P(Validate, Frames)
{
	for (int c = 0; c < sound->node().columns; c++)
	{
		SCOPED_TRACE(c);
		expect_invalid("width above 64", [=, this](Page &p) {
			const alex::Frame f = frame(p, c, 0);
			set_frame(p, c, 0, alex::Frame::make(f.base, f.line(), 65, f.offset()));
		});
		expect_invalid("width of all ones", [=, this](Page &p) {
			const alex::Frame f = frame(p, c, 0);
			set_frame(p, c, 0, alex::Frame::make(f.base, f.line(), 127, f.offset()));
		});
		expect_invalid("another width", [=, this](Page &p) {
			const alex::Frame f = frame(p, c, 0);
			set_frame(p, c, 0, alex::Frame::make(f.base, f.line(), f.width() ^ 32, f.offset()));
		});
		expect_invalid("data elsewhere", [=, this](Page &p) {
			const alex::Frame f = frame(p, c, 0);
			set_frame(p, c, 0, alex::Frame::make(f.base, f.line(), f.width(), f.offset() + 1));
		});
		expect_invalid("data beyond the page", [=, this](Page &p) {
			const alex::Frame f = frame(p, c, 0);
			set_frame(p, c, 0, alex::Frame::make(f.base, f.line(), f.width(), 4095));
		});
	}
	/* the varying word of uniform keys: another base or line leaves the order or the fences */
	const int c = sound->node().model_word;
	expect_invalid("another base", [=, this](Page &p) {
		alex::Frame f = frame(p, c, 0);
		f.base ^= UINT64_C(1) << 63;
		set_frame(p, c, 0, f);
	});
	expect_invalid("falling line", [=, this](Page &p) {
		const alex::Frame f = frame(p, c, 0);
		alex::Line line = f.line();
		line.negative = !line.negative;
		line.mantissa |= UINT64_C(1) << 36;
		set_frame(p, c, 0, alex::Frame::make(f.base, line, f.width(), f.offset()));
	});
}

/* Where the note is is checked whenever a page is locked: it ends at pd_lower, and columns end before it. */
TEST_P(Validate, RemovedAtFirstSight)
{
	const auto start = start_of(*sound);

	if (GetParam().level > 0)
	{
		expect_problem("removed records of an inner node", [](Page &p) {
			const uint32_t bytes = (p.node().count + 7) / 8;

			p.head().pd_upper = p.head().pd_special;
			p.node().removed = p.head().pd_lower;
			p.head().pd_lower = static_cast<uint16_t>(p.head().pd_lower + bytes);
		});
		return;
	}

	/* without a delta there is room */
	sound->head().pd_upper = sound->head().pd_special;
	sound->zero_hole();
	const uint32_t places = alex_place_count(sound->data());
	const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(places);
	AlexRemoval removal;

	dead[17] = true;
	ASSERT_TRUE(alex_can_remove(sound->data(), dead.get()));
	alex_remove(sound->data(), dead.get(), &removal);
	ASSERT_STREQ(validate(*sound), nullptr);
	expect_problem("half a number listed", [](Page &p) { p.head().pd_lower = static_cast<uint16_t>(p.head().pd_lower + 1); });
	expect_problem("an empty list", [](Page &p) { p.head().pd_lower = p.node().removed & ~ALEX_REMOVED_LIST; });

	for (uint32_t i = 0; i < places; i++)
		dead[i] = i % 7 == 4;
	ASSERT_TRUE(alex_can_remove(sound->data(), dead.get()));
	alex_remove(sound->data(), dead.get(), &removal);
	ASSERT_STREQ(validate(*sound), nullptr);
	ASSERT_GT(alex_removed_count(sound->data()), 0U);

	expect_problem("bits before the base", [](Page &p) { p.node().removed = ALEX_FENCES_OFFSET(p.node().columns); });
	expect_problem("bits at the start of the page", [](Page &p) { p.node().removed = 8; });
	expect_problem("bits beyond the page", [](Page &p) { p.node().removed = UINT16_MAX; });
	expect_problem("bits that end early", [](Page &p) { p.node().removed--; });
	expect_problem("bits that end late", [](Page &p) { p.node().removed++; });
	expect_problem("a column of bits", [=](Page &p) {
		for (int c = 0; c < p.node().columns; c++)
		{
			p.node().column[c].frame_log2 = 16;
			p.node().column[c].column_start = start;
		}
		p.node().column[0].column_start = static_cast<uint16_t>(p.node().removed - 8);
	});
}

TEST_P(Validate, SoundPagesOfAllSets)
{
	const Shape shape = GetParam();

	for (uint64_t i = 0; i < 30; i++)
	{
		const Page page = sound_page(i, shape.words, shape.page_size);

		ASSERT_STREQ(problem(page), nullptr) << i;
		ASSERT_STREQ(validate(page), nullptr) << i;
	}
}

INSTANTIATE_TEST_SUITE_P(Shapes, Validate, ::testing::ValuesIn(all_shapes()),
						 [](const auto &shape) { return shape_name(shape.param); });

} // namespace
