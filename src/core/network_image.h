/*
 * network_image.h - IPv4 and IPv6 addresses with prefix lengths as byte strings of their order.
 *
 * The order is that of PostgreSQL's inet: IPv4 before IPv6, then the bits of the network, a shorter prefix before a longer one with the same
 * bits, then the other bits of the address.
 *
 * An image begins with a head of 63 bits, the upper ones of its first eight bytes: of IPv4 the network, with a bit behind it that says
 * whether the prefix is the whole address, plus one; of IPv6 2^62 and the first 61 bits of the network, whose others follow in nine bytes with such a bit
 * at the end. If the prefix is shorter its length follows, and what is behind it of the address, without zero bytes at the end.
 * All zeroes and all ones are no head.
 */
#ifndef ALEX_NETWORK_IMAGE_H
#define ALEX_NETWORK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALEX_ADDRESS_BYTES 16
#define ALEX_NETWORK_IMAGE_BYTES (8 + 9 + 1 + ALEX_ADDRESS_BYTES) /* at most */

typedef struct AlexNetwork
{
	bool v6;
	uint8_t prefix;						 /* bits: 0 .. 32 or 128 */
	uint8_t address[ALEX_ADDRESS_BYTES]; /* 4 of them for IPv4 */
} AlexNetwork;

/* Writes the image of a network, and returns its bytes. */
size_t alex_network_image(const AlexNetwork *network, uint8_t *bytes);

/* Reads the image of n bytes. Returns false if this is no network's image. */
bool alex_network_value(const uint8_t *bytes, size_t n, AlexNetwork *network);

#ifdef __cplusplus
}
#endif

#endif /* ALEX_NETWORK_IMAGE_H */
