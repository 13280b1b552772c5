/*
 * fit_test.cc - fitting lines: the fast loop against the definition, with and without the machine's extra instructions.
 */
#include <gtest/gtest.h>

#include "frame_codec.h"
#include "test_util.h"

using namespace alex_test;
using alex::Line;

namespace
{

/* Both versions must find the same bounds, or nodes would differ between machines. */
TEST(Fit, BoundsOfResiduals)
{
	Rng rng(1);

	for (int round = 0; round < 4000; round++)
	{
		const auto n = static_cast<uint32_t>(below(rng, 70));
		const auto from = static_cast<uint32_t>(below(rng, 40000));
		const uint64_t origin = rng() >> below(rng, 64);
		std::vector<uint64_t> values(n);
		Line line;

		if (round % 5 != 0) /* flat, less than one a step, and steeper than a mantissa */
			line = Line::through(rng() >> below(rng, 64), 1 + below(rng, 60000), round % 2 == 0);
		for (uint32_t j = 0; j < n; j++)
			values[j] = origin + line.at(from + j) + (round % 3 == 0 ? rng() : below(rng, 1000) - 500);

		alex::detail::Bounds expected{static_cast<int64_t>(below(rng, 3)) - 2, static_cast<int64_t>(below(rng, 3))};
		const alex::detail::Bounds start = expected;

		for (uint32_t j = 0; j < n; j++)
		{
			const auto d = static_cast<int64_t>(values[j] - origin - line.at(from + j));

			expected.low = std::min(expected.low, d);
			expected.high = std::max(expected.high, d);
		}
		for (const bool portable : {false, true})
		{
			alex::detail::Bounds bounds = start;

			alex::detail::portable_fit = portable;
			alex::detail::residual_bounds(values.data(), n, origin, line, from, bounds);
			ASSERT_EQ(bounds.low, expected.low) << "round " << round << ", portable " << portable;
			ASSERT_EQ(bounds.high, expected.high) << "round " << round << ", portable " << portable;
		}
		alex::detail::portable_fit = false;
	}
}

/* Residuals of any width, written from any place on, leave what was there before. */
TEST(Fit, PackedResiduals)
{
	Rng rng(2);

	for (uint32_t width = 0; width <= 64; width++)
		for (const uint32_t from : {0, 1, 7, 63, 64, 130})
		{
			const uint32_t n = from + 1 + static_cast<uint32_t>(below(rng, 100));
			alex::detail::FrameFit fit{Line::through(1000, 3, false), rng(), width};
			std::vector<uint64_t> values(n);
			std::vector<uint64_t> packed(alex::residual_words(n, width) + 2);

			for (uint32_t j = 0; j < n; j++)
				values[j] = fit.base + fit.line.at(j) + (width == 0 ? 0 : rng() >> (64 - width));
			alex::detail::put_residuals(alex::detail::PlainValues{values.data()}, 0, 0, from, fit,
										reinterpret_cast<char *>(packed.data()));
			alex::detail::put_residuals(alex::detail::PlainValues{values.data()}, 0, from, n, fit,
										reinterpret_cast<char *>(packed.data()));
			for (uint32_t j = 0; j < n; j++)
			{
				uint64_t residual = 0;

				for (uint32_t bit = 0; bit < width; bit++)
				{
					const uint64_t at = static_cast<uint64_t>(j) * width + bit;

					residual |= (packed[at / 64] >> (at % 64) & 1) << bit;
				}
				ASSERT_EQ(residual, values[j] - fit.base - fit.line.at(j)) << "width " << width << ", value " << j << " of " << n;
			}
			ASSERT_EQ(packed[packed.size() - 2], 0U) << "wrote beyond its words";
		}
}

} // namespace
