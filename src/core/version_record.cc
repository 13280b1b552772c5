/*
 * version_record.cc - records of the store, and the versions rebuilt from them: see omen_core.h.
 */
#include <algorithm>
#include <cstring>

#include "omen_core.h"

namespace
{

/* PostgreSQL's HeapTupleHeaderData up to its body. */
struct Header
{
	uint32_t xmin;
	uint32_t xmax;
	uint32_t cid;
	uint16_t ctid[3];
	uint16_t infomask2;
	uint16_t infomask;
};
static_assert(offsetof(Header, infomask) + sizeof(uint16_t) == OMEN_BODY);
static_assert(sizeof(OmenLink) == 8 && sizeof(OmenRecord) == 28, "both are part of the disk format");

constexpr OmenLink kNoLink{OMEN_SAME_PAGE, 0, 0};

} // namespace

size_t
omen_record_form(const OmenRecord *header, const void *item, OmenLink link, const void *newer, size_t newer_length, void *out)
{
	OmenRecord record = *header;
	const size_t tuple_length = record.length - OMEN_LINK_SIZE;
	const size_t whole = tuple_length - OMEN_BODY;
	char *const start = static_cast<char *>(out);
	char *at = start + sizeof(OmenRecord);
	size_t body = OMEN_DIFF_TOO_LONG;

	record.flags = 0;
	if (link.offset != 0)
	{
		record.flags |= OMEN_RECORD_LINK;
		std::memcpy(at, &link, sizeof(link));
		at += sizeof(link);
	}
	if (newer != nullptr)
		body = omen_diff_encode(newer, newer_length, item, OMEN_BODY, tuple_length, 0, at, whole);
	if (body == OMEN_DIFF_TOO_LONG)
	{
		record.flags |= OMEN_RECORD_WHOLE;
		std::memcpy(at, static_cast<const char *>(item) + OMEN_BODY, whole);
		body = whole;
	}
	at += body;
	record.size = static_cast<uint16_t>(static_cast<size_t>(at - start) - sizeof(OmenRecord));
	std::memcpy(start, &record, sizeof(record));

	const size_t size = omen_record_end(&record, 0);
	std::memset(at, 0, size - static_cast<size_t>(at - start));
	return size;
}

const char *
omen_record_read(const void *page, size_t start, size_t fill, OmenLink link, const void *row, uint32_t superseder, const void *newer,
				 size_t newer_length, void *item, size_t max_item)
{
	const char *const bytes = static_cast<const char *>(page);
	char *const out = static_cast<char *>(item);
	OmenRecord record;
	OmenLink older = kNoLink;

	if (link.offset % 4 != 0 || link.offset < start || link.offset + sizeof(OmenRecord) > fill)
		return "it is outside of the store page's records";
	std::memcpy(&record, bytes + link.offset, sizeof(record));
	if (record.length != link.length || std::memcmp(record.row, row, sizeof(record.row)) != 0 || record.superseder != superseder)
		return "the store has another record in its place";
	if (omen_record_end(&record, link.offset) > fill)
		return "its record is longer than the store page";
	if (record.length < OMEN_SHORTEST_ITEM || record.length > max_item)
		return "its length is impossible";

	const size_t tuple_length = record.length - OMEN_LINK_SIZE;
	const char *body = bytes + link.offset + sizeof(OmenRecord);
	size_t size = record.size;

	if ((record.flags & OMEN_RECORD_LINK) != 0)
	{
		if (size < sizeof(older))
			return "its record is too short for its link";
		std::memcpy(&older, body, sizeof(older));
		body += sizeof(older);
		size -= sizeof(older);
	}
	if ((record.flags & OMEN_RECORD_WHOLE) != 0)
	{
		if (size != tuple_length - OMEN_BODY)
			return "its record does not have its length";
		std::memcpy(out + OMEN_BODY, body, size);
	}
	else
	{
		const size_t common = std::min(std::max(newer_length, size_t{OMEN_BODY}), tuple_length);

		if (!omen_diff_sound(body, size, OMEN_BODY, tuple_length))
			return "its record does not say how it differs from the version after it";
		if (item != newer)
			std::memcpy(out + OMEN_BODY, static_cast<const char *>(newer) + OMEN_BODY, common - OMEN_BODY);
		std::memset(out + common, 0, tuple_length - common);
		omen_diff_apply(out, body, size);
	}

	const Header header{record.xmin, 0, record.cid, {record.row[0], record.row[1], record.row[2]}, record.infomask2, record.infomask};
	std::memcpy(out, &header, OMEN_BODY);
	std::memcpy(out + tuple_length, &older, sizeof(older));
	return nullptr;
}
