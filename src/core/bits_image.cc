/*
 * bits_image.cc - five bits, or less at the end, as three-valued digits.
 */
#include "bits_image.h"

#include <algorithm>
#include <array>

namespace
{

constexpr int kPlaces[ALEX_BITS_PER_BYTE] = {81, 27, 9, 3, 1};

/** The first "n" of five bits as a byte. */
constexpr uint8_t
byte_of(unsigned bits, size_t n)
{
	int byte = 0;

	for (size_t i = 0; i < n; i++)
		byte += kPlaces[i] * static_cast<int>(1 + (bits >> (ALEX_BITS_PER_BYTE - 1 - i) & 1));
	return static_cast<uint8_t>(byte);
}

constexpr auto kFullBytes = [] {
	std::array<uint8_t, 1 << ALEX_BITS_PER_BYTE> bytes{};

	for (unsigned bits = 0; bits < bytes.size(); bits++)
		bytes[bits] = byte_of(bits, ALEX_BITS_PER_BYTE);
	return bytes;
}();

} // namespace

extern "C" void
alex_bits_image(const uint8_t *bits, size_t n, uint8_t *image, size_t size)
{
	const size_t bytes = (n + 7) / 8;
	const size_t end = std::min(size, alex_bits_image_size(n));

	for (size_t i = 0; i < end; i++)
	{
		const size_t first = i * ALEX_BITS_PER_BYTE;
		const size_t at = first / 8;
		const unsigned two = static_cast<unsigned>(bits[at] << 8) | (at + 1 < bytes ? bits[at + 1] : 0U);
		const unsigned five = two >> (16 - ALEX_BITS_PER_BYTE - first % 8) & ((1 << ALEX_BITS_PER_BYTE) - 1);

		image[i] = n - first >= ALEX_BITS_PER_BYTE ? kFullBytes[five] : byte_of(five, n - first);
	}
}

extern "C" size_t
alex_bits_value(const uint8_t *image, size_t size, uint8_t *bits)
{
	size_t n = 0;

	std::fill_n(bits, (size * ALEX_BITS_PER_BYTE + 7) / 8, uint8_t{0});
	for (size_t i = 0; i < size; i++)
	{
		int byte = image[i];

		/* only the last byte may end early, and none is empty */
		if (n != i * ALEX_BITS_PER_BYTE || byte < kPlaces[0])
			return ALEX_BAD_BITS;
		for (const int place : kPlaces)
		{
			const int digit = byte / place;

			byte %= place;
			if (digit == 0 && byte == 0)
				break;
			if (digit == 0 || digit > 2)
				return ALEX_BAD_BITS;
			if (digit == 2)
				bits[n / 8] = static_cast<uint8_t>(bits[n / 8] | 0x80 >> n % 8);
			n++;
		}
	}
	return n;
}
