/*
 * node_check.cc - is this page a sound node?
 */
#include "node.h"
#include "node_store.h"

using namespace alex;

extern "C" const char *
alex_node_problem_of(const void *page, int least, int most, uint32_t page_size)
{
	const auto *head = static_cast<const AlexPageHead *>(page);
	const AlexNodeHeader *h = alex_cheader(page);

	if (head->pd_upper == 0)
		return "page is all zeroes";
	if ((head->pd_pagesize_version & 0xFF00) != (page_size & 0xFF00))
		return "page size differs";
	if (head->pd_special != page_size - ALEX_SPECIAL_SIZE)
		return "special area has a wrong size";
	if (h->magic != ALEX_NODE_MAGIC)
		return "page is not an alex node";
	if (h->version != ALEX_FORMAT_VERSION)
		return "node has another format version";
	if (h->words < least || h->words > most || h->least != least)
		return "node has another number of key words";
	if (h->level > 32)
		return "level is impossible";

	const int columns = h->columns;
	const int keys = columns - (h->level > 0 ? 2 : 1);

	if (keys < 0 || columns > ALEX_MAX_COLUMNS || h->shared + keys > h->words)
		return "node has an impossible number of columns";
	if (h->low_words < h->shared || h->low_words > h->words || h->high_room > h->words)
		return "fences have an impossible length";
	if (h->high_words != ALEX_NO_FENCE &&
		(h->high_words < h->shared || h->high_words > h->words || h->high_words - h->shared > h->high_room))
		return "fences have an impossible length";
	if (h->plain != alex_is_plain(h))
		return "node is not as plain as it says";
	if (h->high_words == ALEX_NO_FENCE && h->right != ALEX_NO_BLOCK)
		return "node has a right sibling but no high fence";

	const uint32_t start = base_start(h, columns);

	if (head->pd_lower < start || head->pd_lower > head->pd_upper || head->pd_upper > head->pd_special)
		return "page header has offsets out of order";

	uint32_t slot = 0;

	for (int c = 0; c < columns; c++)
	{
		if (h->column[c].delta_bytes > 8)
			return "delta has an impossible layout";
		slot += h->column[c].delta_bytes;
	}
	if (h->column[columns - 1].delta_bytes == 0)
		return "delta has an impossible layout";
	if ((head->pd_special - head->pd_upper) % slot != 0)
		return "delta is not a whole number of records";
	if ((head->pd_special - head->pd_upper) / slot > max_delta(head->pd_special, alex_stride(h->words, h->level)))
		return "delta has too many records";
	if (h->count > ALEX_MAX_RECORDS)
		return "record count is impossible";
	if (h->model_word > keys || h->model_shift > 63 || h->model_fraction > 63)
		return "model is impossible";
	if (h->radix == 0)
		return "TID radix is zero";

	uint32_t end = head->pd_lower;

	if (h->removed != 0)
	{
		/* bits, or a list that is shorter */
		bool is_list = (h->removed & ALEX_REMOVED_LIST) != 0;
		uint32_t bits = removed_bits_bytes(h->count);

		end = removed_start(h);
		if (h->level > 0 || end < start || end > head->pd_lower)
			return "note of removed records is misplaced";
		uint32_t bytes = head->pd_lower - end;
		if (is_list ? bytes == 0 || bytes % sizeof(uint16_t) != 0 || bytes >= bits : bytes != bits)
			return "note of removed records has an impossible length";
	}
	if (end % 8 != 0)
		return "base is not whole words";
	for (int c = 0; c < columns; c++)
	{
		if (h->column[c].frame_log2 < kMinFrameLog2 || h->column[c].frame_log2 > kMaxFrameLog2)
			return "frame length is impossible";
		if (h->column[c].column_start < start ||
			h->column[c].column_start + frame_count(h->count, h->column[c].frame_log2) * sizeof(Frame) > end)
			return "frame directory lies outside the base";
	}
	return nullptr;
}

extern "C" const char *
alex_node_validate_of(const void *page, int least, int most, uint32_t page_size, uint64_t *scratch)
{
	const char *problem = alex_node_problem_of(page, least, most, page_size);

	if (problem)
		return problem;

	Node node(page);
	const auto *head = static_cast<const AlexPageHead *>(page);
	const AlexNodeHeader &h = node.header();
	const int words = h.words;
	const int stride = node.stride();
	int columns = node.columns();
	uint64_t low[ALEX_MAX_WORDS + 1];

	if (h.right != ALEX_NO_BLOCK && alex_compare_high(page, alex_low_fence(page, low)) <= 0)
		return "fences are out of order";
	if (static_cast<uint64_t>(h.count) + node.delta_count() > ALEX_MAX_RECORDS)
		return "record count is impossible";

	/* the base is exactly its columns, one after the other, and a column exactly its frames: truncation relies on it */
	uint32_t expected = base_start(&h, columns);

	for (int c = 0; c < columns && h.count > 0; c++)
	{
		Column column = node.column(c);
		uint32_t frames = frame_count(h.count, column.log2());
		uint32_t data = 0; /* words */

		if (h.column[c].column_start != expected)
			return "columns are not consecutive";
		for (uint32_t f = 0; f < frames; f++)
		{
			Frame frame = column.frame(f);
			uint32_t n = std::min(h.count - (f << column.log2()), 1u << column.log2());

			if (frame.stored_width() > 64)
				return "frame has an impossible width";
			if (frame.offset() != data)
				return "frame data is not consecutive";
			data += residual_words(n, frame.width());
		}
		expected = column.data_start() + data * 8;
		if (expected > node.lower())
			return "frame data lies outside the base";
	}
	if (expected != node.lower())
		return "base has a wrong size";

	const Removed removed = node.removed();

	for (uint32_t k = 0; k < removed.listed(); k++)
		if (removed.entry(k) >= h.count || (k > 0 && removed.entry(k - 1) >= removed.entry(k)))
			return "list of removed records is out of order";
	if (removed.any() && !removed.is_list() && h.count % 8 != 0 &&
		static_cast<const uint8_t *>(page)[head->pd_lower - 1] >> h.count % 8 != 0)
		return "a record that is not there is removed";

	if (h.count > 0)
	{
		for (int c = 0; c < h.model_word; c++)
			if (node.column(c)[0] != node.column(c)[h.count - 1])
				return "model predicts from a word behind one that varies";
		if (!node.inner())
			for (uint32_t i = 0; i < h.count; i++)
				if ((node.column(node.keys())[i] & ALEX_TID_MASK) / node.radix() > UINT32_MAX)
					return "record has an impossible TID";
	}

	if (!node.delta().sound())
		return "delta has an empty slot before one that is not";

	/* the base by itself, then with the delta: a merge would hide a base out of order */
	node.read_range(0, h.count, scratch);
	for (uint32_t i = 1; i < h.count; i++)
		if (alex_compare(scratch + static_cast<size_t>(i - 1) * stride, scratch + static_cast<size_t>(i) * stride, words) >= 0)
			return "records are out of order";

	uint32_t n = alex_decode(page, scratch);

	for (uint32_t i = 0; i < n; i++)
	{
		const uint64_t *record = scratch + static_cast<size_t>(i) * stride;

		if (i > 0 && alex_compare(record - stride, record, words) >= 0)
			return "record is stored twice";
		if (alex_fence_side(page, record) != 0)
			return "record lies outside the fences";
		if (node.inner())
		{
			if (record[words + 1] >= ALEX_NO_BLOCK)
				return "child block is impossible";
		}
		else if ((record[words] & ALEX_KILLED) != 0 || (record[words] & 0xFFFF) == 0)
			return "record has an impossible TID";
	}
	return nullptr;
}
