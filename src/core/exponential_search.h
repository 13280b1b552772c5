/*
 * exponential_search.h - finding the exact place near a predicted one.
 */
#ifndef ALEX_EXPONENTIAL_SEARCH_H
#define ALEX_EXPONENTIAL_SEARCH_H

#include <algorithm>
#include <cstdint>

namespace alex
{

/**
 * The first of n places for which before(i) is false, n if there is none; before() must be true up to some place and
 * false from there on. The cost is logarithmic in the distance from "guess" (Bentley and Yao, 1976).
 */
template <typename Before>
uint32_t
exponential_search(uint32_t n, uint32_t guess, const Before &before)
{
	uint32_t low; // before() holds for every place below it
	uint32_t high; // and not for this one or any later
	uint32_t step = 1;

	if (n == 0)
		return 0;
	guess = std::min(guess, n - 1);
	if (before(guess))
	{
		low = guess + 1;
		high = n;
		while (low < n && low + step < n)
		{
			if (!before(low + step - 1))
			{
				high = low + step - 1;
				break;
			}
			low += step;
			step *= 2;
		}
	}
	else
	{
		high = guess;
		low = 0;
		while (high > step)
		{
			if (before(high - step))
			{
				low = high - step + 1;
				break;
			}
			high -= step;
			step *= 2;
		}
	}
	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;

		if (before(middle))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

} // namespace alex

#endif // ALEX_EXPONENTIAL_SEARCH_H
