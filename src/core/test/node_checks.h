/*
 * node_checks.h - everything a caller may do with a page that passed alex_node_problem(), sound or not.
 *
 * The core promises that damaged pages give wrong records at worst. These functions call it with arrays of exactly the
 * promised size, so that a sanitizer sees what goes beyond them; the fuzz target and a unit test share them.
 */
#ifndef ALEX_TEST_NODE_CHECKS_H
#define ALEX_TEST_NODE_CHECKS_H

#include "alex_policy.h"
#include "box_util.h"

namespace alex_test
{

/* Broken promises end the process: libFuzzer has no other way to hear of them. */
inline void
require(bool holds, const char *what)
{
	if (holds)
		return;
	std::fprintf(stderr, "broken promise: %s\n", what);
	std::abort();
}

/* A sound page of any kind, always the same for a seed. */
inline Page
sound_page(uint64_t seed, int words, uint32_t page_size)
{
	Rng rng(mix(seed + 1));
	const Shape shape{words, static_cast<int>(below(rng, 2)), page_size};
	const std::vector<DataSet> sets = all_sets(words);
	const DataSet &set = sets[below(rng, sets.size())];
	const Tids tids = all_tids[below(rng, 5)];
	const size_t n = 2 + below(rng, page_size / 6);
	const unsigned delta_share = static_cast<unsigned>(below(rng, 4) * below(rng, 20));

	Page page = full_node(shape, sorted_records(set, shape, n, tids, rng), delta_share, rng).page;

	if (shape.level == 0 && below(rng, 2) == 0)
	{
		const uint32_t places = alex_place_count(page.data());
		const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(places);
		AlexRemoval removal;

		/* few are listed, many have bits */
		const uint64_t share = below(rng, 2) == 0 ? 5 : 40;

		for (uint32_t i = 0; i < places; i++)
			dead[i] = below(rng, share) == 0;
		page.zero_hole();
		if (alex_can_remove(page.data(), dead.get()))
			alex_remove(page.data(), dead.get(), &removal);
	}
	return page;
}

/*
 * A sound page of keys of different widths, at most "most" words, always the same for a seed. Fences share words, and words that all keys lack
 * have no column.
 */
inline Page
sound_wide_page(uint64_t seed, int most, uint32_t page_size)
{
	Rng rng(mix(seed + 2));
	const int level = static_cast<int>(below(rng, 2));
	const int stride = alex_stride(most, level);
	const int prefix = static_cast<int>(below(rng, most + 1));
	const int used = prefix + static_cast<int>(below(rng, std::min<uint64_t>(most - prefix, below(rng, 2) == 0 ? 3 : most) + 1));
	const size_t n = 4 + below(rng, below(rng, 2) == 0 ? 12 : 400);
	const uint64_t share = 1 + below(rng, 4); /* of words that differ much */
	std::vector<std::vector<uint64_t>> sorted(n, std::vector<uint64_t>(stride));
	const uint64_t beginning = rng();

	for (std::vector<uint64_t> &record : sorted)
	{
		std::fill_n(record.begin(), prefix, beginning);
		for (int i = prefix, end = prefix + static_cast<int>(below(rng, used - prefix + 1)); i < end; i++)
			record[i] = below(rng, share) == 0 ? rng() : 1 + below(rng, 3);
		record[most] = below(rng, 300) << 16 | (1 + below(rng, 100));
		if (level > 0)
			record[most + 1] = below(rng, 1U << 30);
	}
	std::sort(sorted.begin(), sorted.end());
	sorted.erase(std::unique(sorted.begin(), sorted.end(), [&](const auto &a, const auto &b) { return alex_compare(a.data(), b.data(), most) == 0; }),
				 sorted.end());

	/* those between two of them, most in the base and the others fresh */
	const size_t end = sorted.size() < 2 || below(rng, 3) == 0 ? sorted.size() : 1 + below(rng, sorted.size() - 1);
	const size_t first = below(rng, std::min<uint64_t>(end, 3));
	const uint64_t fresh_share = 2 + below(rng, 20);
	Records base(stride);
	std::vector<std::vector<uint64_t>> fresh;
	Page page(page_size);

	alex_node_begin(page.data(), page_size, 1, most, level, sorted[first].data(), end < sorted.size() ? sorted[end].data() : nullptr, ALEX_NO_BLOCK,
					end < sorted.size() ? 7 : ALEX_NO_BLOCK);
	for (size_t i = first; i < end; i++)
		if (below(rng, fresh_share) == 0)
			fresh.push_back(sorted[i]);
		else
			base.add(sorted[i].data());
	for (size_t kept = base.size(); !alex_node_store_words(page.data(), base.data(), most, static_cast<uint32_t>(kept), 0); kept = kept * 3 / 4)
		require(kept > ALEX_ANY_RECORDS, "any three records fit");
	for (const std::vector<uint64_t> &record : fresh)
	{
		uint64_t space[ALEX_MAX_RECORD_WORDS];
		const uint64_t *own = alex_fit_record(page.data(), record.data(), most, space);

		if (own == nullptr)
			continue;
		std::vector<uint64_t> copy(own, own + page.node().words + 1);
		if (level > 0)
			copy.push_back(record.back());
		add_fresh(page, copy.data());
	}
	return page;
}

/* Writes what makes a page an alex node at first sight, so that arbitrary bytes get further. */
inline void
disguise(Page &page, int words, int least = 0)
{
	AlexPageHead &head = page.head();
	AlexNodeHeader &node = page.node();

	head.pd_special = static_cast<uint16_t>(page.size() - ALEX_SPECIAL_SIZE);
	head.pd_pagesize_version = static_cast<uint16_t>(page.size() | 4);
	node.magic = ALEX_NODE_MAGIC;
	node.version = ALEX_FORMAT_VERSION;
	node.words = static_cast<uint16_t>(words);
	node.least = static_cast<uint16_t>(least > 0 ? least : words);
	node.level %= 4;
	node.count %= ALEX_MAX_RECORDS + 1;
	/* one of many shares words and has zeros at the end */
	const bool plain = node.unused % 2 == 0;
	node.shared = static_cast<uint16_t>(!plain && node.shared % 4 == 0 ? node.shared / 4 % (words + 1) : 0);
	const int keys = !plain && node.columns % 4 == 0 ? node.columns / 4 % (words - node.shared + 1) : words - node.shared;
	node.columns = static_cast<uint8_t>(alex_stride(keys, node.level));
	node.low_words = static_cast<uint16_t>(plain ? words : node.shared + node.low_words % (words - node.shared + 1));
	node.high_words = static_cast<uint16_t>(plain ? words : node.shared + node.high_words % (words - node.shared + 1));
	node.plain = alex_is_plain(&node);
	node.high_room = static_cast<uint16_t>(words - node.shared);
	const int columns = node.columns;
	node.model_word = static_cast<uint8_t>(node.model_word % (keys + 1));
	node.model_shift %= 64;
	node.model_fraction %= 64;
	node.radix |= 1;
	for (int c = 0; c < columns; c++)
		node.column[c].frame_log2 = 6 + node.column[c].frame_log2 % 11;

	const uint32_t start = ALEX_FENCES_OFFSET(columns) + 8U * (node.low_words + node.high_room + 2);
	const uint32_t room = head.pd_special - start;

	for (int c = 0; c < columns; c++)
		node.column[c].delta_bytes %= 9;
	node.column[columns - 1].delta_bytes |= 1;
	node.column[columns - 1].delta_bytes %= 8;
	const uint32_t slot = page.slot_bytes();

	head.pd_upper = static_cast<uint16_t>(head.pd_special - head.pd_upper % (std::min(room / slot, page.most_slots()) + 1) * slot);
	head.pd_lower = static_cast<uint16_t>(start + head.pd_lower % (head.pd_upper - start + 1U));

	/* some have removed records: bits, or a list that is shorter */
	uint32_t end = start + (head.pd_lower - start) / 8 * 8;
	const uint32_t bits = (node.count + 7) / 8;
	uint32_t note = 0;

	if (node.level == 0 && node.removed % 4 == 1)
		note = bits;
	else if (node.level == 0 && node.removed % 4 == 3 && bits > 2)
		note = 2 * std::min(1U + node.removed / 8 % 64, (bits - 1) / 2);
	if (note > end - start)
		note = 0;
	end = start + (end - start - note) / 8 * 8;
	head.pd_lower = static_cast<uint16_t>(end + note);
	if (node.removed % 8 == 7 && note > 0)
	{
		/* numbers of records, at least: what is random would mostly be beyond them */
		for (uint32_t at = end; at < head.pd_lower; at += 2)
		{
			uint16_t entry;

			std::memcpy(&entry, page.bytes() + at, 2);
			entry = static_cast<uint16_t>(entry % node.count);
			std::memcpy(page.bytes() + at, &entry, 2);
		}
	}
	node.removed = static_cast<uint16_t>(note > 0 ? end | (node.removed % 4 == 3 ? ALEX_REMOVED_LIST : 0) : 0);
	for (int c = 0; c < columns; c++)
	{
		/* as many frames as fit */
		const uint32_t base = end - start;
		const auto directory = [&] { return ((node.count - 1) / (1U << node.column[c].frame_log2) + 1) * 16; };

		while (node.count > 0 && directory() > base && node.column[c].frame_log2 < 16)
			node.column[c].frame_log2++;
		const uint32_t bytes = node.count > 0 ? directory() : 0;
		if (bytes <= base)
			node.column[c].column_start = static_cast<uint16_t>(start + node.column[c].column_start % (base - bytes + 1));
	}
}

/* Reads the leaf through a box to the end, in either direction, which has to come whatever its records are. */
inline void
exercise_box(const Page &page, int words, const Records &records, Rng &rng)
{
	const int own = page.node().words;
	Columns columns = random_columns(4, rng);
	std::vector<std::vector<Value>> values;

	while (columns.words() > words)
		columns = random_columns(4, rng);
	columns.layout.words = static_cast<uint16_t>(words);
	for (const AlexColumnSpec &spec : columns.specs)
		values.push_back(some_values(spec, 1 + below(rng, 5), rng));

	const RandomBox box(columns, values, rng);
	const bool backward = below(rng, 2) == 0;
	const bool living = below(rng, 2) == 0;
	const auto max = static_cast<uint32_t>(1 + below(rng, below(rng, 2) == 0 ? 4 : 3000));
	Words out(static_cast<size_t>(max + alex_delta_count(page.data())) * (own + 1));
	uint64_t low[position_max];
	uint64_t high[position_max];
	uint64_t rest[position_max];
	bool more = true;

	for (uint64_t *position : {low, high})
	{
		interesting_position(records, own, rng, position);
		alex_widen_position(position, own, position, words);
		if (own < words && below(rng, 3) == 0)
			position[own + below(rng, words - own)] = rng();
	}
	for (uint32_t steps = 0; more && alex_compare(low, high, words) < 0; steps++)
	{
		const uint32_t n = alex_collect_box(page.data(), box.box(), low, high, backward, living, max, out.get(), &more, rest);

		if (n == ALEX_OUT_OF_ORDER)
			return;
		require(n <= max, "collect_box returns at most max");
		require(alex_compare(rest, low, words) >= 0 && alex_compare(rest, high, words) <= 0, "collect_box goes on in the range");
		require(!more || alex_compare(rest, backward ? high : low, words) != 0, "collect_box goes on");
		require(steps <= alex_place_count(page.data()), "collect_box ends");
		std::copy_n(rest, words + 1, backward ? high : low);
	}
}

/* Inserts a record that need not fit the node's words, as an insert does that finds no room in the delta; and gives the node other fences. */
inline void
exercise_change(const Page &page, const uint64_t *decoded, uint32_t live, int most, int least, bool sound, Rng &rng)
{
	constexpr uint32_t many = 1500;
	const int level = page.node().level;
	const int own = page.node().words;
	const uint32_t page_size = page.size();
	const auto own_stride = static_cast<size_t>(alex_stride(own, level));
	const auto stride = static_cast<size_t>(alex_stride(most, level));
	Page left(page_size);
	Page right(page_size);
	AlexNewNodes nodes = {};
	Records some(static_cast<int>(own_stride));
	uint64_t record[ALEX_MAX_RECORD_WORDS] = {};

	if (live > many)
		return;
	for (uint32_t i = 0; i < live; i++)
		some.add(decoded + i * own_stride);
	interesting_position(some, own, rng, record);
	alex_widen_position(record, own, record, most);
	if (own < most && below(rng, 2) == 0)
		std::generate(record + own, record + own + 1 + below(rng, most - own), [&] { return rng() | 1; });
	record[most] = (record[most] & ((UINT64_C(1) << 44) - 1)) | 1;
	if (level > 0)
		record[most + 1] = 5;

	uint64_t space[position_max];
	const uint64_t *here = alex_fit_position(page.data(), record, most, space);
	bool there = false;

	for (uint32_t i = 0; i < live && !there; i++)
		there = alex_fit_record(page.data(), record, most, space) != nullptr && alex_compare(some[i], here, own) == 0;
	sound = sound && !there && alex_fence_side(page.data(), here) == 0;

	Words records((live + 1) * stride);
	std::copy_n(decoded, live * own_stride, records.get());
	alex_widen_records(records.get(), live, own, most, level);
	nodes.left = left.data();
	nodes.right = right.data();
	nodes.words = most;

	const bool changed = alex_change_node(page.data(), records.get(), live, there ? nullptr : record, 90, &nodes);
	require(!sound || changed, "a record finds a place");
	if (changed && sound)
	{
		if (nodes.split)
			left.node().right = 7;
		const char *problem = alex_node_validate_of(left.data(), least, most, page_size, scratch_of(static_cast<int>(stride), page_size, 1));
		require(problem == nullptr, problem);
		problem = nodes.split ? alex_node_validate_of(right.data(), least, most, page_size, scratch_of(static_cast<int>(stride), page_size, 1)) : nullptr;
		require(problem == nullptr, problem);
	}

	AlexRemoval changes;
	Page copy = page;

	if (alex_set_high_fence(copy.data(), record, most, &changes))
		require(alex_node_problem_of(copy.data(), least, most, page_size) == nullptr, "a node with another high fence is a node");
	copy = page;
	if (alex_set_low_fence(copy.data(), record, most, &changes))
		require(alex_node_problem_of(copy.data(), least, most, page_size) == nullptr, "a node with another low fence is a node");
}

/*
 * Returns false if the page is no node; otherwise does everything with it. "pristine": the core made it, so it has to
 * be sound.
 */
inline bool
exercise(const Page &page, int most, Rng &rng, bool pristine = false, int least = 0)
{
	const uint32_t page_size = page.size();

	if (least == 0)
		least = most;
	if (alex_node_problem_of(page.data(), least, most, page_size) != nullptr)
	{
		/* the complete check may be called on anything */
		require(alex_node_validate_of(page.data(), least, most, page_size, nullptr) != nullptr, "validate accepts a non-node");
		return false;
	}

	const int words = page.node().words;

	const int level = page.node().level;
	const Shape shape{words, level, page_size};
	const int stride = shape.stride();
	const uint32_t n = page.node().count;
	const uint32_t delta = alex_delta_count(page.data());
	const uint32_t live = alex_record_count(page.data());
	uint64_t record[ALEX_MAX_RECORD_WORDS] = {};
	uint64_t *decoded = scratch_of(stride, page_size);

	require(n <= ALEX_MAX_RECORDS && delta <= page.most_slots(), "counts are bounded");
	Words places(static_cast<size_t>(n + delta) * stride);
	const char *problem = alex_node_validate_of(page.data(), least, most, page_size, places.get());
	require(!pristine || problem == nullptr, "validate accepts what the core made");
	require(live <= n + delta && alex_decode(page.data(), decoded) == live, "decode returns every record");

	Records records(stride);
	for (uint32_t i = 0; i < live; i += 1 + live / 64)
		records.add(decoded + static_cast<size_t>(i) * stride);

	for (int i = 0; i < 6; i++)
	{
		uint64_t low[position_max];
		uint64_t high[position_max];

		interesting_position(records, words, rng, low);
		interesting_position(records, words, rng, high);
		const uint32_t at = alex_lower_bound(page.data(), low);
		require(at <= n, "lower_bound is at most count");
		require(alex_predict(page.data(), low) < std::max(n, 1U), "predictions are slots");
		if (n > 0)
		{
			const auto first = static_cast<uint32_t>(below(rng, n));
			const auto m = static_cast<uint32_t>(below(rng, std::min(n - first, 200U) + 1));
			Words range(static_cast<size_t>(m) * stride);

			alex_read(page.data(), std::min(at, n - 1), record);
			alex_read(page.data(), i == 0 ? n - 1 : first, record);
			alex_read_range(page.data(), first, m, range.get());
		}
		if (level > 0)
		{
			uint64_t separator[position_max];

			alex_find_child(page.data(), low, separator);
			alex_find_child(page.data(), high, nullptr);
		}

		const auto max = static_cast<uint32_t>(i < 2 ? live : 1 + below(rng, 100));
		Words out(static_cast<size_t>(max + delta) * stride);
		bool more = false;
		const uint32_t got = alex_collect(page.data(), low, i % 3 == 0 ? nullptr : high, i % 2 == 0, max, out.get(), &more);
		require(got <= max, "collect returns at most max");

		Page part(page_size);
		const bool truncated = alex_node_truncate(part.data(), page.data(), high);
		if (problem == nullptr && alex_fence_side(page.data(), high) == 0 && alex_compare(fence(page.data(), alex_low_fence).data(), high, words) < 0)
		{
			require(truncated, "there is room for a truncated node");
			part.node().right = 77;
			require(alex_node_validate_of(part.data(), least, most, page_size, scratch_of(stride, page_size, 1)) == nullptr, "truncated node is sound");
		}
	}

	if (level == 0)
		exercise_box(page, most, records, rng);

	/* what a writer would go on to do with the records it decoded */
	Page copy = page;
	const uint32_t some = std::min(live, 1000U);

	if (level == 0 && some > 0)
	{
		const uint64_t *kill = decoded + below(rng, some) * stride;
		std::vector<uint64_t> marked(decoded, decoded + static_cast<size_t>(some) * stride);

		alex_kill(copy.data(), kill);
		require(alex_killed_bytes(copy.data()) <= copy.free_bytes(), "marks lie in the hole");
		require(alex_mark_killed(copy.data(), marked.data(), some) <= some, "no record is marked twice");
		require(alex_killed_count(copy.data()) <= n + delta, "there are no more marks than records");

		const auto max = static_cast<uint32_t>(1 + below(rng, 100));
		Words out(static_cast<size_t>(max + delta) * stride);
		bool more = false;
		require(alex_collect_living(copy.data(), fence(copy.data(), alex_low_fence).data(), nullptr, below(rng, 2) == 0, max, out.get(), &more) <= max,
				"collect returns at most max of the living");
	}

	/* a record behind all others, which the cheap merge takes, or any */
	AlexLayout layout;
	alex_layout(page.data(), &layout);
	alex_prefetch(page.data(), &layout, unit(rng));
	for (int i = 0; i < 2; i++)
	{
		if (i == 0 && live > 0)
		{
			std::copy_n(decoded + static_cast<size_t>(live - 1) * stride, stride, record);
			step_position(record, words, true);
		}
		if (alex_node_append(copy.data(), page.data(), record, i == 0 ? 0 : 64))
			require(alex_node_problem_of(copy.data(), least, most, page_size) == nullptr, "an append makes a node");
		copy = page;
		interesting_position(records, words, rng, record);
	}

	/* vacuum */
	if (level == 0)
	{
		Words ties(n + delta);
		const std::unique_ptr<bool[]> dead = std::make_unique<bool[]>(n + delta);
		const uint64_t share = 1 + below(rng, 20);
		uint32_t removed = 0;

		require(alex_read_ties(page.data(), ties.get()) == n + delta, "every place has a tie");
		for (uint32_t i = 0; i < n + delta; i++)
		{
			dead[i] = ties.get()[i] != 0 && below(rng, share) == 0;
			removed += dead[i];
		}
		if (alex_can_remove(copy.data(), dead.get()))
		{
			AlexRemoval removal;

			alex_remove(copy.data(), dead.get(), &removal);
			require(alex_node_problem_of(copy.data(), least, most, page_size) == nullptr, "a removal leaves a node");
			require(problem != nullptr || alex_record_count(copy.data()) == live - removed, "a removal removes what it should");
			require(problem != nullptr ||
						alex_node_validate_of(copy.data(), least, most, page_size, scratch_of(stride, page_size, 1)) == nullptr,
					"a removal leaves a sound node");
			for (int i = 0; i < removal.n; i++)
				require(removal.changes[i].offset + removal.changes[i].length <= static_cast<int>(page_size), "changes lie in the page");
			if (below(rng, 2) == 0)
				copy = page;
		}
	}

	exercise_change(page, decoded, live, most, least, problem == nullptr, rng);
	add_fresh(copy, record);
	if (below(rng, 4) == 0)
	{
		const uint32_t capacity = alex_node_capacity(words, level, page_size);

		alex_node_store(copy.data(), decoded, live, 0);
		require(alex_fit(decoded, some, words, level, capacity, below(rng, 2) == 0, 0) <= some, "fit is at most n");
		require(some == 0 || alex_choose_split(decoded, some, words, level, capacity, below(rng, 2) == 0 ? capacity : 0) < some,
				"a split leaves something on the right");
	}
	return true;
}

} // namespace alex_test

#endif
