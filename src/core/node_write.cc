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
	const uint32_t keep = marks ? killed_reserve(h->count + delta.slots() + kDeltaChunk, head->pd_special + ALEX_SPECIAL_SIZE) : 0;
	const auto free = static_cast<uint32_t>(head->pd_upper - head->pd_lower);

	return std::min({kDeltaChunk, max_delta(head->pd_special, delta.columns()) - delta.slots(), (free - std::min(free, keep)) / delta.size()});
}

} // namespace
} // namespace alex

extern "C" void
alex_node_init(void *page, uint32_t page_size, int words, int level, const uint64_t *low, const uint64_t *high,
			   uint32_t left, uint32_t right)
{
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	auto *special = reinterpret_cast<AlexSpecial *>(static_cast<char *>(page) + page_size - ALEX_SPECIAL_SIZE);
	size_t position = (words + 1) * sizeof(uint64_t);

	std::memset(page, 0, page_size);
	head->pd_lower = static_cast<uint16_t>(ALEX_FENCES_OFFSET(alex_stride(words, level)) + 2 * position);
	head->pd_special = static_cast<uint16_t>(page_size - ALEX_SPECIAL_SIZE);
	head->pd_upper = head->pd_special;
	head->pd_pagesize_version = static_cast<uint16_t>(page_size | 4); /* PG_PAGE_LAYOUT_VERSION */
	special->magic = ALEX_NODE_MAGIC;

	h->magic = ALEX_NODE_MAGIC;
	h->version = ALEX_FORMAT_VERSION;
	h->level = static_cast<uint8_t>(level);
	h->left = left;
	h->right = right;
	h->words = static_cast<uint8_t>(words);
	h->radix = 1;
	std::memcpy(alex_low_fence(page), low, position);
	if (high)
		std::memcpy(alex_high_fence(page), high, position);
	for (int c = 0; c < alex_stride(words, level); c++)
		h->column[c] = AlexNodeColumn{alex::kMaxFrameLog2, 0, head->pd_lower};
	alex::set_delta_layout(page, nullptr, 0);
}

extern "C" bool
alex_node_store(void *page, const uint64_t *records, uint32_t n, uint32_t reserve)
{
	AlexNodeHeader *h = alex_header(page);
	int words = h->words;
	int columns = alex_stride(words, h->level);

	if (n > ALEX_MAX_RECORDS)
		return false;

	uint32_t radix = h->level == 0 ? alex::largest_offset(records, n, columns, words) : 1;
	alex::RecordValues values[ALEX_MAX_COLUMNS];
	alex::ColumnPlan plans[ALEX_MAX_COLUMNS];

	for (int c = 0; c < columns; c++)
	{
		if (n == 0)
			break; /* "records" may be null */
		values[c] = alex::RecordValues(records, columns, c, h->level == 0 && c == words ? radix : 0);
		plans[c] = alex::plan_column(values[c], n);
	}
	return alex::store_columns(page, values, plans, n, radix, reserve);
}

extern "C" bool
alex_node_append(void *page, const void *source, const uint64_t *record, uint32_t reserve)
{
	alex::Node from(source);
	auto *head = static_cast<AlexPageHead *>(page);
	AlexNodeHeader *h = alex_header(page);
	int words = from.words();
	int columns = from.columns();
	uint32_t count = from.count();
	uint32_t start = static_cast<uint32_t>(ALEX_FENCES_OFFSET(columns) + 2 * (words + 1) * sizeof(uint64_t));
	uint64_t added[ALEX_MAX_DELTA_WORDS + ALEX_MAX_RECORD_WORDS];
	uint64_t last[ALEX_MAX_RECORD_WORDS];
	uint32_t n = from.sorted_delta(nullptr, nullptr, added);

	if (count == 0 || count + n + 1 > ALEX_MAX_RECORDS)
		return false;
	alex::merge_records(added, n, record, 1, columns, words);
	n++;
	from.read(count - 1, last);
	if (alex_compare(added, last, words) <= 0 ||
		(!from.inner() && alex::largest_offset(added, n, columns, words) > from.radix()))
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
		values[c] = alex::RecordValues(added, columns, c, !from.inner() && c == words ? from.radix() : 0);
		continued[c] = alex::continue_column(column, count, values[c], n);
		bytes += continued[c].bytes;
	}
	const alex::Removed removed = from.removed();

	bytes += removed.bytes(count + n);
	if (bytes + reserve > head->pd_special - start)
		return false;

	uint64_t first[ALEX_MAX_WORDS + 1];

	h->count = count + n;
	h->radix = from.header().radix;
	for (int c = 0; c < columns; c++)
	{
		h->column[c].frame_log2 = from.header().column[c].frame_log2;
		h->column[c].column_start = static_cast<uint16_t>(start);
		alex::write_continued(from.column(c), continued[c], values[c], n, static_cast<const char *>(source),
							  from.header().column[c].column_start, static_cast<char *>(page) + start);
		start += continued[c].bytes;
		if (c <= words)
		{
			first[c] = from.column(c)[0];
			last[c] = values[c](n - 1);
		}
	}
	alex::set_model(h, first, last, count + n, words);
	alex::set_delta_layout(page, added + static_cast<size_t>(n - 1) * columns,
						   h->level == 0 ? alex::block_bits(added, n, columns, words) : 0);
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

extern "C" void
alex_node_truncate(void *page, const void *source, const uint64_t *high)
{
	auto *head = static_cast<AlexPageHead *>(page);
	alex::Node from(source);
	const AlexNodeHeader &old = from.header();
	int words = old.words;
	int columns = from.columns();
	uint32_t keep = from.lower_bound(high);
	const auto *source_head = static_cast<const AlexPageHead *>(source);
	uint32_t page_size = source_head->pd_special + ALEX_SPECIAL_SIZE;

	/* everything up to the fences, then each column's leading frames as they are */
	alex_node_init(page, page_size, words, old.level, alex_low_fence(source), high, old.left, old.right);
	std::memcpy(static_cast<char *>(page) + ALEX_HEADER_OFFSET, &old, ALEX_FENCES_OFFSET(columns) - ALEX_HEADER_OFFSET);

	AlexNodeHeader *h = alex_header(page);
	char *to = static_cast<char *>(page) + head->pd_lower;

	h->count = keep;
	for (int c = 0; c < columns; c++)
	{
		alex::Column column = from.column(c);
		uint32_t frames = alex::frame_count(keep, column.log2());
		uint32_t data = 0; /* words */
		auto left = static_cast<size_t>(static_cast<char *>(page) + head->pd_special - to);

		/* a sound source fits by construction; a damaged one must not lead outside the image */
		if (frames * sizeof(alex::Frame) > left)
		{
			h->count = keep = 0;
			frames = 0;
		}

		h->column[c].column_start = static_cast<uint16_t>(to - static_cast<char *>(page));
		if (frames > 0)
		{
			alex::Frame last = column.frame(frames - 1);

			data = last.offset() + alex::residual_words(keep - ((frames - 1) << column.log2()), last.width());
			left -= frames * sizeof(alex::Frame);
			data = std::min({data, static_cast<uint32_t>(left / 8), (source_head->pd_special - column.data_start()) / 8});
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
	if (noted > 0 && noted <= static_cast<size_t>(static_cast<char *>(page) + head->pd_special - to))
	{
		h->removed = removed.write(page, static_cast<size_t>(to - static_cast<char *>(page)), keep);
		to += noted;
	}
	head->pd_lower = static_cast<uint16_t>(to - static_cast<char *>(page));

	/* the same low fence and the same layout: slots are copied as they are */
	alex::Delta delta(source);
	uint32_t used = delta.count();

	for (uint32_t i = 0; i < used; i++)
	{
		uint64_t record[ALEX_MAX_RECORD_WORDS];

		delta.read(i, record);
		if (alex_compare(record, high, words) < 0 && head->pd_upper - head->pd_lower >= static_cast<int>(delta.size()))
		{
			head->pd_upper = static_cast<uint16_t>(head->pd_upper - delta.size());
			std::memcpy(static_cast<char *>(page) + head->pd_upper, delta.slot(i), delta.size());
		}
	}
}
