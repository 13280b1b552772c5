/*
 * network_image.cc - taking networks apart and putting them together.
 */
#include "network_image.h"

#include <cstring>

namespace
{

constexpr size_t kHead = 8;	  // bytes
constexpr size_t kTail = 9;	  // bytes behind the head with the rest of an IPv6 network
constexpr int kHeadBits = 61; // of an IPv6 network in the head
constexpr uint64_t kV6 = UINT64_C(1) << 62;

uint64_t
read_bytes(const uint8_t *bytes, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

void
write_bytes(uint64_t value, uint8_t *bytes, size_t n)
{
	for (size_t i = n; i > 0; i--, value >>= 8)
		bytes[i - 1] = static_cast<uint8_t>(value);
}

/** The bits of byte i that belong to the network. */
uint8_t
mask_of(int prefix, size_t i)
{
	const int bits = prefix - static_cast<int>(8 * i);

	return bits >= 8 ? 0xFF : bits <= 0 ? 0 : static_cast<uint8_t>(0xFF << (8 - bits));
}

} // namespace

extern "C" size_t
alex_network_image(const AlexNetwork *network, uint8_t *bytes)
{
	const size_t size = network->v6 ? ALEX_ADDRESS_BYTES : 4;
	const bool whole = network->prefix == 8 * size;
	uint8_t net[ALEX_ADDRESS_BYTES];
	size_t n = kHead;

	for (size_t i = 0; i < size; i++)
		net[i] = network->address[i] & mask_of(network->prefix, i);
	if (network->v6)
	{
		const uint64_t first = read_bytes(net, 8);

		const uint64_t second = read_bytes(net + 8, 8);

		write_bytes((kV6 | first >> (64 - kHeadBits)) << 1, bytes, kHead);
		/* 3 bits of the first half and the second, 4 bits of nothing, and the last */
		write_bytes((first & 7) << 61 | second >> 3, bytes + n, 8);
		bytes[n + 8] = static_cast<uint8_t>((second & 7) << 5 | (whole ? 1 : 0));
		n += kTail;
	}
	else
		write_bytes(((read_bytes(net, 4) << 1 | (whole ? 1 : 0)) + 1) << 1, bytes, kHead);
	if (whole)
		return n;

	size_t used = size;

	bytes[n++] = network->prefix;
	for (size_t i = 0; i < size; i++)
		bytes[n + i] = network->address[i] & static_cast<uint8_t>(~mask_of(network->prefix, i));
	while (used > 0 && bytes[n + used - 1] == 0)
		used--;
	return n + used;
}

extern "C" bool
alex_network_value(const uint8_t *bytes, size_t n, AlexNetwork *network)
{
	if (n < kHead || (bytes[kHead - 1] & 1) != 0)
		return false;

	const uint64_t head = read_bytes(bytes, kHead) >> 1;
	bool whole;

	std::memset(network, 0, sizeof(*network));
	network->v6 = head >= kV6;
	bytes += kHead;
	n -= kHead;
	if (network->v6)
	{
		if (n < kTail)
			return false;

		const uint64_t next = read_bytes(bytes, 8);

		write_bytes(head << (64 - kHeadBits) | next >> 61, network->address, 8);
		write_bytes(next << 3 | bytes[8] >> 5, network->address + 8, 8);
		whole = (bytes[8] & 1) != 0;
		bytes += kTail;
		n -= kTail;
	}
	else
	{
		if (head == 0 || head > UINT64_C(1) << 33)
			return false;
		write_bytes((head - 1) >> 1, network->address, 4);
		whole = ((head - 1) & 1) != 0;
	}

	const size_t size = network->v6 ? ALEX_ADDRESS_BYTES : 4;

	network->prefix = static_cast<uint8_t>(8 * size);
	if (whole)
		return n == 0;
	if (n == 0 || bytes[0] >= network->prefix || n - 1 > size)
		return false;
	network->prefix = bytes[0];
	for (size_t i = 0; i + 1 < n; i++)
		network->address[i] |= bytes[i + 1];
	return true;
}
