/*
 * node_write.cc - creating, storing, adding to and truncating a node image.
 *
 * Callers work on a private image, or on a page they hold exclusively, outside any reader's view.
 */
#include "killed_bits.h"
#include "node.h"
#include "node_store.h"
#include "node_values.h"

namespace alex
{

namespace
{

using detail::FrameFit;

/** A stored column being continued: its last frame, and where what is added goes. */
struct Continuation
{
	uint32_t frames;	/* full ones and the last */
	uint32_t in_last;	/* values in the last one */
	uint32_t added;		/* values that still go into it */
	Frame last;			/* as it was */
	FrameFit fit;		/* as it will be */
	bool refit;			/* its residuals are packed anew */
	uint32_t bytes;		/* directory and data, in the end */
};

/** Values of the last frame followed by those added. */
template <typename Added> struct Continued
{
	const Column &column;
	const Continuation &c;
	const Added &added;

	uint64_t operator()(uint32_t i) const { return i < c.in_last ? column.value(c.last, i) : added(i - c.in_last); }

	void copy(uint32_t first, uint32_t n, uint64_t *out) const
	{
		for (uint32_t i = 0; i < n; i++)
			out[i] = (*this)(first + i);
	}
};

Continuation
continue_column(const Column &column, uint32_t count, const RecordValues &added, uint32_t n)
{
	uint32_t length = 1u << column.log2();
	Continuation c{};

	c.frames = frame_count(count, column.log2());
	c.in_last = count - (c.frames - 1) * length;
	c.added = std::min(n, length - c.in_last);
	c.last = column.frame(c.frames - 1);
	c.fit = FrameFit{c.last.line(), c.last.base, c.last.width()};
	for (uint32_t j = 0; j < c.added && !c.refit; j++)
	{
		uint64_t residual = added(j) - c.fit.base - c.fit.line.at(c.in_last + j);

		c.refit = c.fit.width < 64 && residual >> c.fit.width != 0;
	}
	if (c.refit)
		c.fit = detail::fit_frame(Continued<RecordValues>{column, c, added}, 0, c.in_last + c.added);

	uint32_t data = c.last.offset() + residual_words(c.in_last + c.added, c.fit.width);
	uint32_t more = 0;

	for (uint32_t first = c.added; first < n; first += length)
	{
		uint32_t m = std::min(length, n - first);

		data += residual_words(m, detail::fit_frame(added, first, m).width);
		more++;
	}
	c.bytes = (c.frames + more) * static_cast<uint32_t>(sizeof(Frame)) + data * 8;
	return c;
}

void
write_continued(const Column &column, const Continuation &c, const RecordValues &added, uint32_t n, const char *source,
				uint32_t source_start, char *to)
{
	uint32_t length = 1u << column.log2();
	uint32_t offset = c.last.offset();
	uint32_t more = frame_count(n - c.added, column.log2());
	char *data = to + (c.frames + more) * sizeof(Frame);
	uint32_t old_words = residual_words(c.in_last, c.last.width());
	uint32_t keep = offset + (c.refit ? 0 : old_words);
	Frame frame = Frame::make(c.fit.base, c.fit.line, c.fit.width, offset);

	std::memcpy(to, source + source_start, (c.frames - 1) * sizeof(Frame));
	to += (c.frames - 1) * sizeof(Frame);
	std::memcpy(to, &frame, sizeof(Frame));
	to += sizeof(Frame);
	std::memcpy(data, source + column.data_start(), keep * 8);
	std::memset(data + keep * 8, 0, c.bytes - (c.frames + more) * sizeof(Frame) - keep * 8);

	/* the last word kept may end in bits of records that a truncation dropped */
	uint32_t tail = static_cast<uint32_t>(static_cast<uint64_t>(c.in_last) * c.last.width() % 64);

	if (!c.refit && tail > 0)
	{
		uint64_t word;

		std::memcpy(&word, data + (keep - 1) * 8, 8);
		word &= (UINT64_C(1) << tail) - 1;
		std::memcpy(data + (keep - 1) * 8, &word, 8);
	}

	Continued<RecordValues> values{column, c, added};

	detail::put_residuals(values, 0, c.refit ? 0 : c.in_last, c.in_last + c.added, c.fit, data + offset * 8);
	offset += residual_words(c.in_last + c.added, c.fit.width);

	for (uint32_t first = c.added; first < n; first += length)
	{
		uint32_t m = std::min(length, n - first);
		FrameFit fit = detail::fit_frame(added, first, m);

		frame = Frame::make(fit.base, fit.line, fit.width, offset);
		std::memcpy(to, &frame, sizeof(Frame));
		to += sizeof(Frame);
		detail::put_residuals(added, first, 0, m, fit, data + offset * 8);
		offset += residual_words(m, fit.width);
	}
}

/** The bits of the heap blocks of some records, and above them those of ext. */
uint64_t
block_bits(const uint64_t *records, uint32_t n, int stride, int words)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < n; i++)
		bits |= records[static_cast<size_t>(i) * stride + words] >> 16;
	return bits;
}

/**
 * Slots that can be added to a delta now: up to a chunk. Where records have been marked as dead they leave the marks of all their
 * room: fresh records, whose marks come last, are most often the ones to be marked, and every reader of a row that is updated over
 * and over would go through all its versions. But not in the rightmost leaf, which keys that grow fill to the last byte.
 */
uint32_t
new_slots(const void *page, const Delta &delta)
{
	const AlexPageHead *head = alex_page_head(page);
	const AlexNodeHeader *h = alex_cheader(page);
	const bool marks = h->level == 0 && h->right != ALEX_NO_BLOCK && alex_has_killed(page);
	uint32_t keep = marks ? killed_reserve(h->count + delta.slots() + kDeltaChunk, head->pd_special + ALEX_SPECIAL_SIZE) : 0;
	const auto free = static_cast<uint32_t>(head->pd_upper - head->pd_lower);
	const int keys = h->columns - (h->level > 0 ? 2 : 1);

	keep += fence_spare(h, h->shared + keys);
	return std::min({kDeltaChunk, max_delta(head->pd_special, alex_stride(h->words, h->level)) - delta.slots(), (free - std::min(free, keep)) / delta.size()});
}

} // namespace
} // namespace alex

namespace
{

/** How many of their leading key words two positions have in common. */
int
common_words(const uint64_t *a, const uint64_t *b, int words)
{
	int i = 0;

	while (i < words && a[i] == b[i])
		i++;
	return i;
}

/**
 * Formats an empty node whose fences share "shared" words, with columns for "keys" words behind these. Returns false if the header does not
 * fit the page.
 */
bool
format(void *page, uint32_t page_size, const AlexNodeHeader &as, int keys, const uint64_t *low, const uint64_t *high, int words)
{
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	auto *special = reinterpret_cast<AlexSpecial *>(static_cast<char *>(page) + page_size - ALEX_SPECIAL_SIZE);
	const int shared = as.shared;
	const int least = std::min<int>(as.least, words);
	const int low_words = std::max({alex_used_words(low, words), shared, least});
	const int high_words = high != nullptr ? std::max({alex_used_words(high, words), shared, least}) : shared;
	const int high_room = std::max({high_words - shared, as.least - shared, 0});
	const int columns = alex_stride(keys, as.level);
	AlexNodeHeader header = as;

	header.low_words = static_cast<uint16_t>(low_words);
	header.high_words = high != nullptr ? static_cast<uint16_t>(high_words) : ALEX_NO_FENCE;
	header.high_room = static_cast<uint16_t>(high_room);
	header.columns = static_cast<uint8_t>(columns);
	header.words = static_cast<uint16_t>(std::max({low_words, high_words, static_cast<int>(as.words), shared + keys}));
	header.plain = alex_is_plain(&header);

	const uint32_t start = alex::base_start(&header, columns);

	if (start > page_size - ALEX_SPECIAL_SIZE)
		return false;
	std::memset(page, 0, page_size);
	*h = header;
	head->pd_lower = static_cast<uint16_t>(start);
	head->pd_special = static_cast<uint16_t>(page_size - ALEX_SPECIAL_SIZE);
	head->pd_upper = head->pd_special;
	head->pd_pagesize_version = static_cast<uint16_t>(page_size | 4); /* PG_PAGE_LAYOUT_VERSION */
	special->magic = ALEX_NODE_MAGIC;

	auto *to = const_cast<uint64_t *>(alex_stored_low(page));

	std::copy_n(low, low_words, to);
	to[low_words] = low[words];
	to += low_words + 1;
	if (high != nullptr)
	{
		std::copy_n(high + shared, high_words - shared, to);
		to[high_words - shared] = high[words];
	}
	for (int c = 0; c < columns; c++)
		h->column[c] = AlexNodeColumn{alex::kMaxFrameLog2, 0, head->pd_lower};
	return true;
}

} // namespace

extern "C" void
alex_node_begin(void *page, uint32_t page_size, int least, int words, int level, const uint64_t *low, const uint64_t *high,
				uint32_t left, uint32_t right)
{
	AlexNodeHeader h = {};

	h.magic = ALEX_NODE_MAGIC;
	h.version = ALEX_FORMAT_VERSION;
	h.level = static_cast<uint8_t>(level);
	h.left = left;
	h.right = right;
	h.words = h.least = static_cast<uint16_t>(least);
	h.radix = 1;
	/* zeros behind both are not among them */
	if (high != nullptr)
		h.shared = static_cast<uint16_t>(
			std::min(common_words(low, high, words), std::max({alex_used_words(low, words), alex_used_words(high, words), least})));
	/* a page has room for any two fences */
	(void) format(page, page_size, h, std::max(least - h.shared, 0), low, high, words);
	alex::set_delta_layout(page, nullptr, 0);
}

extern "C" bool
alex_node_store(void *page, const uint64_t *records, uint32_t n, uint32_t reserve)
{
	return alex_node_store_words(page, records, alex_cheader(page)->words, n, reserve);
}

extern "C" bool
alex_node_store_words(void *page, const uint64_t *records, int words, uint32_t n, uint32_t reserve)
{
	const AlexNodeHeader *h = alex_cheader(page);
	const bool leaf = h->level == 0;
	const int stride = alex_stride(words, h->level);
	const int shared = h->shared;
	const int used = alex::used_by_all(records, n, stride, words, h->least);
	const int keys = std::max(used - shared, 0);
	const int own = std::max({used, static_cast<int>(h->low_words), static_cast<int>(h->high_words == ALEX_NO_FENCE ? 0 : h->high_words)});

	if (n > ALEX_MAX_RECORDS)
		return false;

	uint32_t radix = leaf ? alex::largest_offset(records, n, stride, words) : 1;
	alex::RecordValues values[ALEX_MAX_COLUMNS];
	alex::ColumnPlan plans[ALEX_MAX_COLUMNS];

	for (int c = 0; c < alex_stride(keys, h->level); c++)
	{
		if (n == 0)
			break; /* "records" may be null */
		values[c] = alex::RecordValues(records, stride, c < keys ? shared + c : words + c - keys, leaf && c == keys ? radix : 0);
		plans[c] = alex::plan_column(values[c], n);
	}
	return alex::store_columns(page, values, plans, own, keys, n, radix, reserve);
}

extern "C" bool
alex_node_append(void *page, const void *source, const uint64_t *record, uint32_t reserve)
{
	alex::Node from(source);
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	const int words = from.words();
	const int stride = from.stride();
	const int keys = from.keys();
	int columns = from.columns();
	uint32_t count = from.count();
	uint32_t start = alex::base_start(h, columns);
	uint64_t added[ALEX_MAX_DELTA_WORDS + ALEX_MAX_RECORD_WORDS];
	uint64_t last[ALEX_MAX_RECORD_WORDS];
	uint32_t n = from.sorted_delta(nullptr, nullptr, added);

	if (count == 0 || count + n + 1 > ALEX_MAX_RECORDS || h->shared != from.shared())
		return false;
	for (int w = 0; w < words; w++)
		if ((w < from.shared() && record[w] != alex_stored_low(source)[w]) || (w >= from.shared() + keys && record[w] != 0))
			return false; /* no column has this word */
	alex::merge_records(added, n, record, 1, stride, words);
	n++;
	from.read(count - 1, last);
	if (alex_compare(added, last, words) <= 0 ||
		(!from.inner() && alex::largest_offset(added, n, stride, words) > from.radix()))
		return false;

	alex::RecordValues values[ALEX_MAX_COLUMNS];
	alex::Continuation continued[ALEX_MAX_COLUMNS];
	uint32_t bytes = 0;

	for (int c = 0; c < columns; c++)
	{
		alex::Column column = from.column(c);
		uint32_t full = alex::frame_count(count, column.log2()) - 1;
		alex::Frame frame = column.frame(full);
		uint32_t data = frame.offset() + alex::residual_words(count - (full << column.log2()), frame.width());

		/* a damaged directory must not lead outside the source */
		if (column.data_start() + data * 8 > from.lower())
			return false;
		values[c] = alex::RecordValues(added, stride, from.word_of(c), !from.inner() && c == keys ? from.radix() : 0);
		continued[c] = alex::continue_column(column, count, values[c], n);
		bytes += continued[c].bytes;
	}
	const alex::Removed removed = from.removed();

	bytes += removed.bytes(count + n);
	if (start + bytes + reserve + alex::fence_spare(h, h->shared + keys) > head->pd_special)
		return false;

	uint64_t first[ALEX_MAX_COLUMNS];
	uint64_t end[ALEX_MAX_COLUMNS];

	alex::set_columns(page, words, keys);
	h->count = count + n;
	h->radix = from.header().radix;
	for (int c = 0; c < columns; c++)
	{
		h->column[c].frame_log2 = from.header().column[c].frame_log2;
		h->column[c].column_start = static_cast<uint16_t>(start);
		alex::write_continued(from.column(c), continued[c], values[c], n, static_cast<const char *>(source),
							  from.header().column[c].column_start, static_cast<char *>(page) + start);
		start += continued[c].bytes;
		if (c <= keys)
		{
			first[c] = from.column(c)[0];
			end[c] = values[c](n - 1);
		}
	}
	alex::set_model(h, first, end, count + n, keys);
	alex::set_delta_layout(page, end, h->level == 0 ? alex::block_bits(added, n, stride, words) : 0);
	h->removed = removed.write(page, start, count + n);
	start += removed.bytes(count + n);
	head->pd_lower = static_cast<uint16_t>(start);
	head->pd_upper = head->pd_special;
	std::memset(static_cast<char *>(page) + start, 0, head->pd_upper - start);
	return true;
}

extern "C" bool
alex_delta_prepare(const void *page, const uint64_t *record, uint32_t limit, AlexSlot *slot)
{
	const auto *head = static_cast<const AlexPageHead *>(page);
	alex::Delta delta(page);
	uint32_t used = delta.count();

	if (used >= limit || alex_cheader(page)->count + used >= ALEX_MAX_RECORDS || !delta.encode(record, slot->bytes))
		return false;
	slot->upper = head->pd_upper;
	if (used == delta.slots())
	{
		uint32_t more = alex::new_slots(page, delta);

		if (more == 0)
			return false;
		slot->upper = static_cast<uint16_t>(head->pd_upper - more * delta.size());
	}
	slot->offset = static_cast<uint16_t>(delta.slot(used) - static_cast<const char *>(page));
	slot->length = static_cast<uint16_t>(delta.size());
	return true;
}

extern "C" bool
alex_delta_put(void *page, AlexSlot *slot)
{
	auto *head = static_cast<AlexPageHead *>(page);
	char *to = static_cast<char *>(page) + slot->offset;

	if (slot->upper != head->pd_upper)
	{
		/* can there be marks, on this copy of the page or another? */
		bool marks = alex_cheader(page)->level == 0 && slot->upper < head->pd_lower + alex_killed_bytes(page);
		auto bytes = static_cast<uint16_t>(head->pd_upper - slot->upper);

		std::memset(static_cast<char *>(page) + slot->upper, 0, bytes);
		std::memcpy(to, slot->bytes, slot->length);
		head->pd_upper = slot->upper;
		if (marks)
		{
			slot->offset = slot->upper;
			slot->length = bytes;
		}
		return true;
	}
	std::memcpy(to, slot->bytes, slot->length);
	return false;
}

extern "C" bool
alex_node_truncate_words(void *page, const void *source, const uint64_t *high, int high_width)
{
	auto *head = static_cast<AlexPageHead *>(page);
	alex::Node from(source);
	const AlexNodeHeader &old = from.header();
	const int columns = from.columns();
	const int words = std::max(from.words(), high_width);
	uint64_t low[ALEX_MAX_WORDS + 1];
	uint64_t end[ALEX_MAX_WORDS + 1];
	uint64_t fitted[ALEX_MAX_WORDS + 1];
	const uint64_t *own_high = alex_fit_position(source, high, high_width, fitted);
	uint32_t keep = from.lower_bound(own_high);
	const auto *source_head = static_cast<const AlexPageHead *>(source);
	uint32_t page_size = source_head->pd_special + ALEX_SPECIAL_SIZE;

	/* everything up to the fences, then each column's leading frames as they are */
	alex_widen_position(alex_low_fence(source, low), from.words(), low, words);
	alex_widen_position(high, high_width, end, words);
	if (!format(page, page_size, old, from.keys(), low, end, words))
		return false;

	AlexNodeHeader *h = alex_header(page);

	std::memcpy(h->column, old.column, columns * sizeof(AlexNodeColumn));
	char *to = static_cast<char *>(page) + head->pd_lower;

	h->count = keep;
	for (int c = 0; c < columns; c++)
	{
		alex::Column column = from.column(c);
		uint32_t frames = alex::frame_count(keep, column.log2());
		uint32_t data = 0; /* words */
		auto left = static_cast<size_t>(static_cast<char *>(page) + head->pd_special - to);

		/* a longer fence may take the room; and a damaged source must not lead outside the image */
		if (frames * sizeof(alex::Frame) > left)
			return false;

		h->column[c].column_start = static_cast<uint16_t>(to - static_cast<char *>(page));
		if (frames > 0)
		{
			alex::Frame last = column.frame(frames - 1);

			data = last.offset() + alex::residual_words(keep - ((frames - 1) << column.log2()), last.width());
			left -= frames * sizeof(alex::Frame);
			if (data > std::min(static_cast<uint32_t>(left / 8), (source_head->pd_special - column.data_start()) / 8))
				return false;
		}
		std::memcpy(to, static_cast<const char *>(source) + old.column[c].column_start, frames * sizeof(alex::Frame));
		to += frames * sizeof(alex::Frame);
		std::memcpy(to, static_cast<const char *>(source) + column.data_start(), data * sizeof(uint64_t));
		to += data * sizeof(uint64_t);
	}
	/* and what is noted of the records kept */
	const alex::Removed removed = from.removed();
	const uint32_t noted = removed.bytes(keep);

	h->removed = 0;
	if (noted > static_cast<size_t>(static_cast<char *>(page) + head->pd_special - to))
		return false;
	if (noted > 0)
	{
		h->removed = removed.write(page, static_cast<size_t>(to - static_cast<char *>(page)), keep);
		to += noted;
	}
	head->pd_lower = static_cast<uint16_t>(to - static_cast<char *>(page));

	/* the same low fence and the same layout: slots are copied as they are */
	alex::Delta delta(source);
	uint32_t used = delta.count();
	/* but of longer records, as those with the words of the new fence are, readers have room for fewer */
	uint32_t left = alex::max_delta(head->pd_special, alex_stride(h->words, h->level));

	for (uint32_t i = 0; i < used; i++)
	{
		uint64_t record[ALEX_MAX_RECORD_WORDS];

		delta.read(i, record);
		if (alex_compare(record, own_high, from.words()) >= 0)
			continue;
		if (left-- == 0 || head->pd_upper - head->pd_lower < static_cast<int>(delta.size()))
			return false;
		head->pd_upper = static_cast<uint16_t>(head->pd_upper - delta.size());
		std::memcpy(static_cast<char *>(page) + head->pd_upper, delta.slot(i), delta.size());
	}
	return true;
}

namespace
{

void
tell(AlexRemoval *changes, const void *page, const void *at, size_t length)
{
	AlexChange &change = changes->changes[changes->n++];

	change.offset = static_cast<uint16_t>(static_cast<const char *>(at) - static_cast<const char *>(page));
	change.length = static_cast<uint16_t>(length);
}

} // namespace

extern "C" bool
alex_set_high_fence(void *page, const uint64_t *high, int words, AlexRemoval *changes)
{
	AlexNodeHeader *h = alex_header(page);
	const int shared = h->shared;
	const int used = std::max({alex_used_words(high, words), shared, std::min<int>(h->least, words)});
	auto *to = const_cast<uint64_t *>(alex_stored_high(page));

	changes->n = 0;
	if (used > h->words || used - shared > h->high_room || words < shared || common_words(high, alex_stored_low(page), shared) < shared)
		return false;
	std::copy_n(high + shared, used - shared, to);
	to[used - shared] = high[words];
	h->high_words = static_cast<uint16_t>(used);
	h->plain = alex_is_plain(h);
	tell(changes, page, to, static_cast<size_t>(used - shared + 1) * sizeof(uint64_t));
	tell(changes, page, &h->high_words, sizeof(h->high_words) + sizeof(h->plain));
	return true;
}

extern "C" bool
alex_set_low_fence(void *page, const uint64_t *low, int words, AlexRemoval *changes)
{
	const AlexNodeHeader *h = alex_cheader(page);
	const int stored = h->low_words;
	auto *to = const_cast<uint64_t *>(alex_stored_low(page));

	changes->n = 0;
	if (alex_used_words(low, words) > stored || words < h->shared || common_words(low, to, h->shared) < h->shared)
		return false;
	for (int i = 0; i < stored; i++)
		to[i] = i < words ? low[i] : 0;
	to[stored] = low[words];
	tell(changes, page, to, static_cast<size_t>(stored + 1) * sizeof(uint64_t));
	return true;
}

