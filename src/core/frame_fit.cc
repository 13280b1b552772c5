/*
 * frame_fit.cc - the inner loop of fitting lines, where building and rewriting nodes spend most of their time.
 *
 * Integer arithmetic only, so every version finds the same bounds: which one runs never shows in what is stored.
 */
#include "frame_codec.h"

namespace alex::detail
{

namespace
{

void
bounds_scalar(const uint64_t *values, uint32_t n, uint64_t origin, const Line &line, uint32_t from, Bounds &bounds)
{
	const bool left = line.exponent >= Line::kExponentBias;
	const int shift = left ? line.exponent - Line::kExponentBias : Line::kExponentBias - line.exponent;
	const uint64_t sign = line.negative ? UINT64_MAX : 0;
	uint64_t product = line.mantissa * from;
	int64_t low = bounds.low;
	int64_t high = bounds.high;

	for (uint32_t j = 0; j < n; j++)
	{
		uint64_t rise = left ? product << shift : product >> shift;
		auto d = static_cast<int64_t>(values[j] - origin - ((rise ^ sign) - sign));

		low = std::min(low, d);
		high = std::max(high, d);
		product += line.mantissa;
	}
	bounds = Bounds{low, high};
}

#ifdef __x86_64__

/* Two times four lanes at once, so that one comparison need not wait for the one before. */
template <bool kFlat, bool kLeft>
__attribute__((target("avx2"))) void
bounds_avx2(const uint64_t *values, uint32_t n, uint64_t origin, const Line &line, uint32_t from, Bounds &bounds)
{
	using Lanes = uint64_t __attribute__((vector_size(32)));
	using Signed = int64_t __attribute__((vector_size(32)));

	const int shift = kLeft ? line.exponent - Line::kExponentBias : Line::kExponentBias - line.exponent;
	const uint64_t sign = line.negative ? UINT64_MAX : 0;
	const uint64_t start = line.mantissa * from;
	Lanes product[2];
	Signed low[2];
	Signed high[2];
	uint32_t j = 0;

	for (uint32_t part = 0; part < 2; part++)
	{
		low[part] = Signed{} + bounds.low;
		high[part] = Signed{} + bounds.high;
		for (uint32_t lane = 0; lane < 4; lane++)
			product[part][lane] = start + line.mantissa * (4 * part + lane);
	}
	for (; j + 8 <= n; j += 8)
		for (uint32_t part = 0; part < 2; part++)
		{
			Lanes value;

			std::memcpy(&value, values + j + 4 * part, sizeof(value));
			value -= origin;
			if constexpr (!kFlat)
			{
				Lanes rise = kLeft ? product[part] << shift : product[part] >> shift;

				value -= (rise ^ sign) - sign;
				product[part] += 8 * line.mantissa;
			}
			auto d = reinterpret_cast<Signed>(value);

			low[part] = d < low[part] ? d : low[part];
			high[part] = d > high[part] ? d : high[part];
		}
	for (uint32_t part = 0; part < 2; part++)
		for (uint32_t lane = 0; lane < 4; lane++)
		{
			bounds.low = std::min<int64_t>(bounds.low, low[part][lane]);
			bounds.high = std::max<int64_t>(bounds.high, high[part][lane]);
		}
	bounds_scalar(values + j, n - j, origin, line, from + j, bounds);
}

#endif

} // namespace

bool portable_fit = false;

void
residual_bounds(const uint64_t *values, uint32_t n, uint64_t origin, const Line &line, uint32_t from, Bounds &bounds)
{
#ifdef __x86_64__
	if (n >= 8 && __builtin_cpu_supports("avx2") && !portable_fit)
	{
		if (line.mantissa == 0)
			bounds_avx2<true, false>(values, n, origin, line, from, bounds);
		else if (line.exponent >= Line::kExponentBias)
			bounds_avx2<false, true>(values, n, origin, line, from, bounds);
		else
			bounds_avx2<false, false>(values, n, origin, line, from, bounds);
		return;
	}
#endif
	bounds_scalar(values, n, origin, line, from, bounds);
}

} // namespace alex::detail
