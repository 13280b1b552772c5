/*
 * frame_codec.cc - the parts of the frame codec that are not templates.
 */
#include "frame_codec.h"

namespace alex
{

Line
Line::through(uint64_t rise, uint64_t run, bool negative)
{
	if (rise == 0 || run == 0)
		return Line{};

	/*
	 * A double's 53 bits are more than the mantissa's 37, and the result is stored as integers: how this
	 * machine rounds decides which line is stored, never how it is read.
	 */
	int exponent;
	double fraction = std::frexp(static_cast<double>(rise) / static_cast<double>(run), &exponent);
	Line line;

	line.mantissa = static_cast<uint64_t>(fraction * static_cast<double>(UINT64_C(1) << kMantissaBits));
	line.exponent = exponent - kMantissaBits + kExponentBias;
	line.negative = negative;
	if (line.exponent < 0)
		return Line{}; /* flatter than 2^-63 a step */
	return line;
}

} // namespace alex
