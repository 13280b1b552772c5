/*
 * bulk_read_test.cc - reading a run of values is reading them one by one, for every width, line, length and place.
 */
#include <gtest/gtest.h>

#include "../node.h"
#include "test_util.h"

using namespace alex_test;
using alex::Column;
using alex::Frame;
using alex::Line;

namespace
{

/* A column of frames of 64 values, all of one width, with random bits for residuals. */
class RandomColumn
{
public:
	RandomColumn(uint32_t n, uint32_t width, const Line &line, Rng &rng) : n_(n), bytes_((n / 64 + 1) * 16 + n * 8 + 9)
	{
		for (unsigned char &byte : bytes_)
			byte = static_cast<unsigned char>(rng());
		for (uint32_t f = 0; f < alex::frame_count(n, 6); f++)
		{
			const Frame frame = Frame::make(rng(), line, width, f * width);

			std::memcpy(bytes_.data() + f * sizeof(Frame), &frame, sizeof(Frame));
		}
	}

	/* "limit" as a page would have it, or less: as if the directory were damaged */
	Column
	column(size_t limit) const
	{
		return Column(reinterpret_cast<const char *>(bytes_.data()), 0, n_, 6, static_cast<uint32_t>(limit));
	}

	size_t limit() const { return bytes_.size() - 9; }

private:
	uint32_t n_;
	std::vector<unsigned char> bytes_;
};

constexpr uint32_t column_length = 192;

void
expect_same(const Column &column, uint32_t first, uint32_t n, int stride)
{
	Words out(static_cast<size_t>(n) * stride);

	column.read(first, n, out.get(), stride);
	for (uint32_t i = 0; i < n; i++)
		ASSERT_EQ(out.get()[static_cast<size_t>(i) * stride], column[first + i]) << "value " << first + i;
}

/* Flat, on whole numbers, between them; rising and falling; as steep and as shallow as there is. */
std::vector<Line>
all_lines()
{
	const uint64_t top = UINT64_C(1) << 36;
	std::vector<Line> lines = {Line{}, Line{0, 0, true}, Line{0, 127, true}};

	for (const uint64_t mantissa : {top, top + 12345678901, 2 * top - 1, UINT64_C(1)})
		for (const int exponent : {0, 20, 36, 62, 63, 64, 90, 126, 127})
			for (const bool negative : {false, true})
				lines.push_back(Line{mantissa, exponent, negative});
	return lines;
}

TEST(BulkRead, EveryWidthAndLine)
{
	Rng rng(1);

	for (const Line &line : all_lines())
		for (uint32_t width = 0; width <= 64; width++)
		{
			SCOPED_TRACE("width " + std::to_string(width) + " exponent " + std::to_string(line.exponent));
			const RandomColumn random(column_length, width, line, rng);

			ASSERT_NO_FATAL_FAILURE(expect_same(random.column(random.limit()), 0, column_length, 1));
			/* a directory that points beyond the page: the same value, wrong or not, and nothing read there */
			ASSERT_NO_FATAL_FAILURE(expect_same(random.column(below(rng, random.limit())), 0, column_length, 1));
		}
}

TEST(BulkRead, EveryPlaceAndLength)
{
	Rng rng(2);

	for (const uint32_t width : {0U, 1U, 7U, 24U, 45U, 57U, 58U, 63U, 64U})
	{
		SCOPED_TRACE("width " + std::to_string(width));
		const RandomColumn random(column_length, width, Line::through(rng() >> 8, 1000, width % 2 == 0), rng);
		const Column column = random.column(random.limit());

		for (uint32_t first = 0; first <= column_length; first++)
			for (uint32_t n = 0; n <= column_length - first; n += n < 5 ? 1 : 1 + below(rng, 9))
				ASSERT_NO_FATAL_FAILURE(expect_same(column, first, n, 1 + static_cast<int>(below(rng, 6))));
	}
}

TEST(BulkRead, Ties)
{
	Rng rng(3);
	const uint64_t ext = UINT64_C(1) << 63;

	for (uint32_t radix = 1; radix <= UINT16_MAX; radix += radix < 600 ? 1 : 1 + below(rng, 300))
	{
		const alex::TieDecoder decode(radix);
		const uint64_t most = static_cast<uint64_t>(radix) * (UINT64_C(1) << 32) - 1;
		std::vector<uint64_t> numbers = {0, 1, radix - 1, radix, most - 1, most, most - radix, UINT32_MAX};

		for (int i = 0; i < 30; i++)
		{
			const uint64_t multiple = below(rng, most / radix) * radix;

			numbers.insert(numbers.end(), {below(rng, most), multiple, multiple + radix - 1, below(rng, 1 << 20)});
		}
		for (const uint64_t number : numbers)
			if (number <= most)
			{
				ASSERT_EQ(decode(number), alex::decode_tie(number, radix)) << number << ", radix " << radix;
				ASSERT_EQ(decode(number | ext), alex::decode_tie(number | ext, radix)) << number << ", radix " << radix;
			}
	}
}

} // namespace
