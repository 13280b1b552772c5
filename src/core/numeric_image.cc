/*
 * numeric_image.cc - the digits of a number, moved by its scale, and back.
 */
#include "numeric_image.h"

#include <algorithm>

namespace
{

__extension__ typedef unsigned __int128 Wide;

constexpr int kBase = 10000;
constexpr int kBaseLog10 = 4;
constexpr int kHeadDigits = 5; // and at most one more where they are moved
constexpr int kPowers[kBaseLog10 + 1] = {1, 10, 100, 1000, 10000};
constexpr int kMostDecimals = 19; // no head has more
constexpr int kWeightBias = 1 << 15;
constexpr int kDigitBias = 256; // so that no digit begins with the byte behind the last one of a negative number

constexpr uint64_t kBias = UINT64_C(1) << 62;
constexpr uint64_t kMinusInfinity = 1;
constexpr uint64_t kBelow = 2;
constexpr uint64_t kAbove = (UINT64_C(1) << 63) - 4;
constexpr uint64_t kInfinity = kAbove + 1;
constexpr uint64_t kNan = kAbove + 2;

int
floor_div(int a, int b)
{
	return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/** A number's own digits: (weight) is what there is of 10000^weight. */
class OwnDigits
{
  public:
	explicit OwnDigits(const AlexNumber &number) : number_(number) {}
	int operator()(int weight) const
	{
		const int i = number_.weight - weight;

		return i >= 0 && i < number_.digits ? number_.digit[i] : 0;
	}

  private:
	const AlexNumber &number_;
};

/** Four decimals, the last of which is one of 10^exponent. */
template <typename Digits>
int
decimals_at(const Digits &digits, int exponent)
{
	const int weight = floor_div(exponent, kBaseLog10);
	const int shift = exponent - weight * kBaseLog10;

	if (shift == 0)
		return digits(weight);
	return digits(weight) / kPowers[shift] + digits(weight + 1) % kPowers[shift] * kPowers[kBaseLog10 - shift];
}

/** floor(|number| * 10^scale) and whether something is left; or more than a head can hold. */
struct Whole
{
	Wide value;
	bool inexact;
};

Whole
whole_part(const AlexNumber &number, int scale)
{
	Whole whole = {0, false};
	int exponent = kBaseLog10 * number.weight + scale; // of the digit at hand

	if (number.digits == 0)
		return whole;
	if (exponent >= kMostDecimals)
		return {~Wide{0}, true};
	for (int i = 0; i < number.digits; i++, exponent -= kBaseLog10)
	{
		const int digit = number.digit[i];

		if (exponent >= 0)
		{
			whole.value = whole.value * kBase + static_cast<unsigned>(digit);
			continue;
		}
		if (exponent > -kBaseLog10)
			whole.value = whole.value * static_cast<unsigned>(kPowers[kBaseLog10 + exponent]) +
						  static_cast<unsigned>(digit / kPowers[-exponent]);
		whole.inexact = exponent <= -kBaseLog10 || digit % kPowers[-exponent] != 0 || i + 1 < number.digits;
		return whole;
	}
	for (exponent += kBaseLog10; exponent > 0; exponent--)
		whole.value *= 10;
	return whole;
}

/** Writes bytes as long as there is room. */
class Writer
{
  public:
	Writer(uint8_t *bytes, size_t max, bool complement) : bytes_(bytes), max_(max), flip_(complement ? 0xFF : 0) {}

	void put(unsigned byte)
	{
		if (n_ < max_)
			bytes_[n_++] = static_cast<uint8_t>(byte) ^ flip_;
		else
			full_ = true;
	}
	void put_two(unsigned value)
	{
		put(value >> 8);
		put(value & 0xFF);
	}
	size_t result() const { return full_ ? max_ + 1 : n_; }

  private:
	uint8_t *bytes_;
	size_t max_;
	size_t n_ = 0;
	uint8_t flip_;
	bool full_ = false;
};

/** The part of a number below 10000^end, moved by "scale" decimals. It is not zero. */
void
write_rest(const AlexNumber &number, int scale, int end, Writer &writer)
{
	const OwnDigits digits(number);
	int last = floor_div(kBaseLog10 * (number.weight - number.digits + 1) + scale, kBaseLog10);
	int weight = std::min(end - 1, floor_div(kBaseLog10 * number.weight + kBaseLog10 - 1 + scale, kBaseLog10));
	const auto digit = [&](int w) { return decimals_at(digits, kBaseLog10 * w - scale); };

	while (last < weight && digit(last) == 0)
		last++;
	while (weight > last && digit(weight) == 0)
		weight--;
	writer.put_two(static_cast<unsigned>(weight + kWeightBias));
	for (; weight >= last; weight--)
		writer.put_two(static_cast<unsigned>(digit(weight)) + kDigitBias);
	if (number.negative)
		writer.put(0);
}

/** The digits of whole + rest: the number times 10^scale. */
class ImageDigits
{
  public:
	ImageDigits(uint64_t whole, const uint8_t *rest, size_t n, bool negative)
		: whole_(whole), flip_(negative ? 0xFF : 0)
	{
		if (n == 0)
			return;
		rest_ = rest + 2;
		count_ = static_cast<int>((n - 2) / 2);
		weight_ = (((rest[0] ^ flip_) << 8) | (rest[1] ^ flip_)) - kWeightBias;
	}

	int operator()(int weight) const
	{
		if (weight >= 0 && whole_ != 0)
		{
			uint64_t left = whole_;

			if (weight >= kHeadDigits)
				return 0;
			while (weight-- > 0)
				left /= kBase;
			return static_cast<int>(left % kBase);
		}

		const int i = weight_ - weight;

		return i >= 0 && i < count_ ? digit(i) : 0;
	}

	int greatest() const { return whole_ != 0 ? kHeadDigits - 1 : count_ > 0 ? weight_ : 0; }
	int least() const { return count_ > 0 ? weight_ - count_ + 1 : 0; }

	/** Could it have been written? */
	bool sound(bool fraction) const
	{
		for (int i = 0; i < count_; i++)
			if (digit(i) < 0 || digit(i) >= kBase)
				return false;
		return !fraction || count_ == 0 || weight_ < 0;
	}

  private:
	int digit(int i) const { return (((rest_[2 * i] ^ flip_) << 8) | (rest_[2 * i + 1] ^ flip_)) - kDigitBias; }

	uint64_t whole_;
	const uint8_t *rest_ = nullptr;
	int count_ = 0;
	int weight_ = 0;
	uint8_t flip_;
};

uint64_t
read_head(const uint8_t *bytes)
{
	uint64_t head = 0;

	for (int i = 0; i < ALEX_NUMERIC_HEAD; i++)
		head = head << 8 | bytes[i];
	return head >> 1;
}

size_t
write_head(uint64_t head, uint8_t *bytes)
{
	for (int i = 0; i < ALEX_NUMERIC_HEAD; i++)
		bytes[i] = static_cast<uint8_t>(head << 1 >> (56 - 8 * i));
	return ALEX_NUMERIC_HEAD;
}

} // namespace

extern "C" size_t
alex_numeric_image(const AlexNumber *number, int scale, uint8_t *bytes, size_t max)
{
	switch (number->kind)
	{
		case ALEX_MINUS_INFINITY:
			return write_head(kMinusInfinity, bytes);
		case ALEX_INFINITY:
			return write_head(kInfinity, bytes);
		case ALEX_NAN:
			return write_head(kNan, bytes);
		case ALEX_FINITE:
			break;
	}

	const Whole whole = whole_part(*number, scale);
	const bool negative = number->negative;
	const bool within = whole.value + (negative && whole.inexact ? 1 : 0) <= Wide{ALEX_NUMERIC_MOST} &&
						whole.value <= Wide{ALEX_NUMERIC_MOST};
	const auto value = static_cast<uint64_t>(whole.value);

	if (!within)
		write_head(negative ? kBelow : kAbove, bytes);
	else
		write_head(negative ? kBias - value - (whole.inexact ? 1 : 0) : kBias + value, bytes);
	if (within && !whole.inexact)
		return ALEX_NUMERIC_HEAD;

	Writer writer(bytes + ALEX_NUMERIC_HEAD, max - ALEX_NUMERIC_HEAD, negative);

	if (within)
		write_rest(*number, scale, 0, writer);
	else
		write_rest(*number, 0, number->weight + 1, writer);
	return ALEX_NUMERIC_HEAD + writer.result();
}

extern "C" bool
alex_numeric_number(const uint8_t *bytes, size_t n, int scale, AlexNumber *number, int16_t *digit, size_t max)
{
	*number = {ALEX_FINITE, false, 0, 0, digit};
	if (n < ALEX_NUMERIC_HEAD || (bytes[ALEX_NUMERIC_HEAD - 1] & 1) != 0)
		return false;

	const uint64_t head = read_head(bytes);
	const size_t rest = n - ALEX_NUMERIC_HEAD;

	if (head == kMinusInfinity || head == kInfinity || head == kNan)
	{
		number->kind = head == kNan ? ALEX_NAN : head == kInfinity ? ALEX_INFINITY : ALEX_MINUS_INFINITY;
		return rest == 0;
	}

	const bool negative = head < kBias;
	const bool within = head >= kBias - ALEX_NUMERIC_MOST && head <= kBias + ALEX_NUMERIC_MOST;

	/* a weight, a digit or more, and the byte behind them */
	if (rest > 0 ? rest < 4 || rest % 2 != (negative ? 1 : 0) : !within)
		return false;
	if (!within && head != kBelow && head != kAbove)
		return false;

	const uint64_t whole = !within ? 0 : negative ? kBias - head - (rest > 0 ? 1 : 0) : head - kBias;
	const ImageDigits digits(whole, bytes + ALEX_NUMERIC_HEAD, rest, negative);
	const int moved = within ? scale : 0;

	if (!digits.sound(within))
		return false;

	int weight = floor_div(kBaseLog10 * digits.greatest() + kBaseLog10 - 1 - moved, kBaseLog10);
	int last = floor_div(kBaseLog10 * digits.least() - moved, kBaseLog10);
	const auto own = [&](int w) { return static_cast<int16_t>(decimals_at(digits, kBaseLog10 * w + moved)); };

	while (weight >= last && own(weight) == 0)
		weight--;
	if (weight < last)
		return rest == 0; // zero
	while (own(last) == 0)
		last++;
	if (static_cast<size_t>(weight - last) >= max)
		return false;
	number->negative = negative;
	number->weight = weight;
	for (; weight >= last; weight--)
		digit[number->digits++] = own(weight);
	return true;
}

extern "C" size_t
alex_numeric_most_digits(const uint8_t *bytes, size_t n)
{
	size_t zeroes = 0; // between those of the head and the rest

	if (n > ALEX_NUMERIC_HEAD + 2)
	{
		const int flip = read_head(bytes) < kBias ? 0xFF : 0;

		zeroes = static_cast<size_t>(std::max(
			0, kWeightBias - ((bytes[ALEX_NUMERIC_HEAD] ^ flip) << 8 | (bytes[ALEX_NUMERIC_HEAD + 1] ^ flip))));
	}
	return kHeadDigits + 1 + zeroes + n / 2;
}
