/*
 * fit_search.h - how many records fit, by trials.
 */
#ifndef ALEX_FIT_SEARCH_H
#define ALEX_FIT_SEARCH_H

#include <algorithm>
#include <cstdint>

#include "alex_core.h"

namespace alex
{

/**
 * The greatest m <= n, within half a percent, for which size(m) is found to be at most "room"; 1 if there is none, 0 if n
 * is. Each trial costs a pass over the records, so it matters to start from a good guess. If it is more than 1, it is
 * the greatest m for which size(m) was called and fit.
 */
template <typename Size>
uint32_t
most_that_fit(uint32_t n, uint32_t room, uint32_t guess, const Size &size_of)
{
	uint32_t fits = 0;									  /* known to fit */
	uint32_t fits_size = 0;								  /* its size */
	uint32_t all = std::min<uint32_t>(n, ALEX_MAX_RECORDS);
	uint32_t beyond = all + 1; /* known not to, or too many */

	if (n == 0)
		return 0;
	guess = guess == 0 ? 256 : guess;
	while (beyond > all || beyond - fits > 1 + fits / 256)
	{
		uint32_t m = std::clamp(guess, fits + 1, beyond - 1);
		uint32_t size = size_of(m);

		if (size <= room)
		{
			fits = m;
			fits_size = size;
		}
		else
			beyond = m;

		/* sizes grow about linearly: aim at the room, or at the middle of what is left if that leads nowhere new */
		uint32_t aim = static_cast<uint32_t>(std::min<uint64_t>(
			size == 0 ? UINT32_MAX : static_cast<uint64_t>(m) * room / size, UINT32_MAX));

		aim -= std::min(aim, aim / 512); /* a little below, so that the aim itself fits */
		if (fits == all)
			break;
		if (aim >= beyond && beyond > all)
			guess = all;
		else
			guess = aim > fits && aim < beyond ? aim : fits + (beyond - fits) / 2;
		if (fits_size > room - room / 256 && guess != all)
			break;
	}
	return std::max(fits, 1u);
}

} // namespace alex

#endif // ALEX_FIT_SEARCH_H
