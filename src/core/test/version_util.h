/*
 * version_util.h - chains of versions for the tests of the store's records.
 */
#ifndef OMEN_VERSION_UTIL_H
#define OMEN_VERSION_UTIL_H

#include <cstring>
#include <memory>
#include <vector>

#include "../omen_core.h"

namespace omen_test
{

inline constexpr size_t page_size = 8192;
inline constexpr size_t records_start = 24;
inline constexpr size_t records_end = page_size - 16;
inline constexpr uint16_t a_row[3] = {0, 7, 3};

/* Bytes whose end a sanitizer sees: a heap block of exactly the asked size. */
class Block
{
public:
	explicit Block(size_t n) : bytes_(std::make_unique<char[]>(n)), size_(n) {}
	char *data() { return bytes_.get(); }
	const char *data() const { return bytes_.get(); }
	size_t size() const { return size_; }

private:
	std::unique_ptr<char[]> bytes_;
	size_t size_;
};

inline Block
copy_of(const void *bytes, size_t n)
{
	Block block(n);

	if (n > 0)
		std::memcpy(block.data(), bytes, n);
	return block;
}

} // namespace omen_test

#endif
