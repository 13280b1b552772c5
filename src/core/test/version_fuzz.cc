/*
 * version_fuzz.cc - libFuzzer target: arbitrary bytes as records of the store are read within their bounds or refused, and what is written
 * from arbitrary versions comes back.
 *
 * An input: byte 0, what is done; byte 1, how long the newer version is; then bytes.
 */
#include <cstddef>
#include <cstdlib>

#include "version_util.h"

using namespace omen_test;

namespace
{

/* The bytes are a page's records. */
void
read_all(const uint8_t *data, size_t size, size_t newer_length)
{
	Block page(records_start + size);
	Block newer(newer_length);
	Block out(512);
	size_t at = records_start;

	std::memcpy(page.data() + records_start, data, size);
	for (OmenRecord *record; (record = omen_record_at(page.data(), at, page.size())) != nullptr; at = omen_record_end(record, at))
		omen_record_read(page.data(), records_start, page.size(), {1, static_cast<uint16_t>(at), record->length}, record->row,
						 record->superseder, newer.data(), newer.size(), out.data(), out.size());
}

/* The bytes are two versions. */
void
write_and_read(const uint8_t *data, size_t size, size_t newer_length)
{
	if (size < newer_length + 1 || newer_length < OMEN_BODY)
		return;
	const Block newer = copy_of(data, newer_length);
	const size_t tuple_length = OMEN_BODY + size - newer_length;
	Block item(tuple_length + OMEN_LINK_SIZE);
	Block page(records_start + OMEN_RECORD_SIZE(item.size()));
	Block out(item.size());
	OmenRecord header{};

	std::memcpy(item.data() + OMEN_BODY, data + newer_length, tuple_length - OMEN_BODY);
	header.length = static_cast<uint16_t>(item.size());
	header.superseder = 9;

	const OmenLink link{data[0] % 2 == 0 ? 42 : OMEN_SAME_PAGE, static_cast<uint16_t>(data[0] % 2 == 0 ? 24 : 0), 0};
	const size_t written = omen_record_form(&header, item.data(), link, newer.data(), newer.size(), page.data() + records_start);

	if (omen_record_read(page.data(), records_start, records_start + written, {42, records_start, header.length}, header.row, 9,
						 newer.data(), newer.size(), out.data(), out.size()) != nullptr ||
		std::memcmp(out.data() + OMEN_BODY, item.data() + OMEN_BODY, tuple_length - OMEN_BODY) != 0 ||
		std::memcmp(out.data() + tuple_length, &link, sizeof(link)) != 0)
		std::abort();
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	if (data[0] % 2 == 0)
		read_all(data + 2, size - 2, data[1]);
	else
		write_and_read(data + 2, size - 2, data[1]);
	return 0;
}
