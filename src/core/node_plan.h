/*
 * node_plan.h - planning for nodes of any form.
 */
#ifndef ALEX_NODE_PLAN_H
#define ALEX_NODE_PLAN_H

#include "alex_core.h"

namespace alex
{

/** What kind of node records are for. */
struct Form
{
	int least;			 // words of every node
	int words;			 // of the records at hand
	int level;

	/** What is known of the neighbourhood: all the records there are, and the fences before and behind these (null: not known). */
	const uint64_t *begin = nullptr;
	const uint64_t *end = nullptr;
	const uint64_t *low = nullptr;
	const uint64_t *high = nullptr;

	int stride() const { return alex_stride(words, level); }

	/** Do nodes have as many words as they need, so that how many that are is a part of what records take? */
	bool variable() const { return least < words; }

	/** The key words that the fences of a node of n records share, of which each uses at most "used". *bytes is what the node takes beside its columns, with room for longer fences. */
	int shared(const uint64_t *records, uint32_t n, int used, uint32_t *bytes) const;
};

/* These are the functions of alex_core.h for any form of node. */
uint32_t encoded_size(const uint64_t *records, uint32_t n, const Form &form);
uint32_t fit(const uint64_t *records, uint32_t n, const Form &form, uint32_t room, bool from_end, uint32_t guess);
uint32_t choose_split(const uint64_t *records, uint32_t n, const Form &form, uint32_t room, uint32_t fill);

} // namespace alex

#endif // ALEX_NODE_PLAN_H
