/*
 * value_image_test.cc - images of numbers, networks and bit strings compare as these do, and can be read back.
 */
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <string>

#include "bits_image.h"
#include "datasets.h"
#include "network_image.h"
#include "numeric_image.h"

using namespace alex_test;

namespace
{

using Bytes = std::basic_string<uint8_t>;

int
sign_of(int difference)
{
	return difference < 0 ? -1 : difference > 0 ? 1 : 0;
}

/* ---- numbers ---- */

/* Decimal digits before the point and behind it. */
struct Decimal
{
	AlexNumericKind kind = ALEX_FINITE;
	bool negative = false;
	std::string whole;
	std::string fraction;
};

/* A number with its digits, normalized. */
class Number
{
  public:
	explicit Number(const Decimal &decimal) : kind_(decimal.kind)
	{
		std::string text = decimal.whole;

		if (kind_ != ALEX_FINITE)
			return;
		text.insert(0, (4 - text.size() % 4) % 4, '0');
		weight_ = static_cast<int>(text.size() / 4) - 1;
		text += decimal.fraction;
		text.append((4 - text.size() % 4) % 4, '0');
		for (size_t i = 0; i < text.size(); i += 4)
			digits_.push_back(static_cast<int16_t>(std::stoi(text.substr(i, 4))));
		while (!digits_.empty() && digits_.front() == 0)
		{
			digits_.erase(digits_.begin());
			weight_--;
		}
		while (!digits_.empty() && digits_.back() == 0)
			digits_.pop_back();
		negative_ = decimal.negative && !digits_.empty();
		if (digits_.empty())
			weight_ = 0;
	}
	explicit Number(const AlexNumber &number)
		: kind_(number.kind), negative_(number.negative), weight_(number.weight),
		  digits_(number.digit, number.digit + number.digits)
	{
	}

	AlexNumber get() const { return {kind_, negative_, weight_, static_cast<int>(digits_.size()), digits_.data()}; }
	bool operator==(const Number &) const = default;

	/* As PostgreSQL compares. */
	int compare(const Number &other) const
	{
		if (kind_ != other.kind_ || kind_ != ALEX_FINITE)
			return sign_of(static_cast<int>(kind_) - static_cast<int>(other.kind_));
		if (negative_ != other.negative_)
			return negative_ ? -1 : 1;
		return negative_ ? other.compare_magnitude(*this) : compare_magnitude(other);
	}

  private:
	int compare_magnitude(const Number &other) const
	{
		if (digits_.empty() || other.digits_.empty())
			return sign_of(static_cast<int>(digits_.size()) - static_cast<int>(other.digits_.size()));
		if (weight_ != other.weight_)
			return sign_of(weight_ - other.weight_);
		return digits_ < other.digits_ ? -1 : digits_ == other.digits_ ? 0 : 1;
	}

	AlexNumericKind kind_;
	bool negative_ = false;
	int weight_ = 0;
	std::vector<int16_t> digits_;
};

Bytes
image_of(const Number &number, int scale)
{
	const AlexNumber parts = number.get();
	Bytes bytes(40000, 0);

	bytes.resize(alex_numeric_image(&parts, scale, bytes.data(), bytes.size()));
	return bytes;
}

void
expect_round_trip(const Number &number, int scale, const Bytes &image)
{
	std::vector<int16_t> digits(alex_numeric_most_digits(image.data(), image.size()));
	AlexNumber parts;

	ASSERT_TRUE(alex_numeric_number(image.data(), image.size(), scale, &parts, digits.data(), digits.size()));
	ASSERT_EQ(Number(parts), number);
	if (parts.digits > 0)
	{
		ASSERT_FALSE(alex_numeric_number(image.data(), image.size(), scale, &parts, digits.data(), parts.digits - 1));
	}
}

std::string
random_digits(Rng &rng, size_t most)
{
	static constexpr std::array<const char *, 4> kinds = {"0123456789", "09", "0000000001", "9999999998"};
	const std::string kind = kinds[below(rng, kinds.size())];
	std::string text(below(rng, most + 1), '0');

	for (char &digit : text)
		digit = kind[below(rng, kind.size())];
	return text;
}

/* The number itself, or close to it. */
Decimal
neighbour(Decimal decimal, Rng &rng)
{
	std::string *part = below(rng, 2) == 0 ? &decimal.whole : &decimal.fraction;

	switch (below(rng, 5))
	{
		case 0:
			decimal.fraction += random_digits(rng, 9);
			break;
		case 1:
			decimal.negative = !decimal.negative;
			break;
		case 2:
			if (!part->empty())
				part->back() = static_cast<char>('0' + below(rng, 10));
			break;
		case 3:
			if (!part->empty())
				(*part)[below(rng, part->size())] = static_cast<char>('0' + below(rng, 10));
			break;
		default:
			if (!decimal.fraction.empty())
				decimal.fraction.pop_back();
	}
	return decimal;
}

Decimal
random_decimal(Rng &rng)
{
	Decimal decimal;
	const uint64_t dice = below(rng, 40);

	if (dice < 3)
		decimal.kind = std::array{ALEX_MINUS_INFINITY, ALEX_INFINITY, ALEX_NAN}[dice];
	decimal.negative = below(rng, 2) == 0;
	decimal.whole = random_digits(rng, below(rng, 8) == 0 ? 200 : 24);
	decimal.fraction = random_digits(rng, below(rng, 8) == 0 ? 200 : 12);
	return decimal;
}

TEST(NumericImage, OrderAndRoundTrip)
{
	Rng rng(1);
	const std::array<int, 12> scales = {0, 1, 2, 3, 4, 5, 6, 9, 16, -1, -7, 250};

	for (int round = 0; round < 60000; round++)
	{
		const int scale = scales[below(rng, scales.size())];
		const Decimal decimal = random_decimal(rng);
		const Number a(decimal);
		const Number b(below(rng, 4) == 0 ? random_decimal(rng) : neighbour(decimal, rng));
		const Bytes a_image = image_of(a, scale);
		const Bytes b_image = image_of(b, scale);

		ASSERT_EQ(sign_of(a_image.compare(b_image)), a.compare(b))
			<< decimal.whole << "." << decimal.fraction << " scale " << scale;
		ASSERT_NO_FATAL_FAILURE(expect_round_trip(a, scale, a_image))
			<< decimal.negative << decimal.whole << "." << decimal.fraction << " scale " << scale << " "
			<< decimal.kind;
		ASSERT_NO_FATAL_FAILURE(expect_round_trip(b, scale, b_image));
	}
}

/* The bounds of heads, and one unit of the scale, or less, beyond them. */
TEST(NumericImage, OrderAtTheLimits)
{
	std::vector<Number> numbers;

	for (const char *whole :
		 {"0", "1", "46116860184273879", "46116860184273878", "4611686018427387895", "4611686018427387896",
		  "4611686018427387897", "9999999999999999999", "10000000000000000000"})
		for (const char *fraction : {"", "01", "04", "95", "96", "97", "9601", "969", "99", "0001", "5"})
			for (const bool negative : {false, true})
				numbers.emplace_back(Decimal{ALEX_FINITE, negative, whole, fraction});
	for (const AlexNumericKind kind : {ALEX_MINUS_INFINITY, ALEX_INFINITY, ALEX_NAN})
		numbers.emplace_back(Decimal{kind, false, "", ""});
	for (const int scale : {0, 2, 4})
		for (const Number &a : numbers)
		{
			const Bytes image = image_of(a, scale);

			ASSERT_NO_FATAL_FAILURE(expect_round_trip(a, scale, image));
			for (const Number &b : numbers)
				ASSERT_EQ(sign_of(image.compare(image_of(b, scale))), a.compare(b));
		}
}

TEST(NumericImage, MoneyIsItsHead)
{
	const auto head_of = [](const Decimal &decimal) {
		const Bytes image = image_of(Number(decimal), 2);
		uint64_t head = 0;

		EXPECT_EQ(image.size(), size_t{ALEX_NUMERIC_HEAD});
		for (const uint8_t byte : image)
			head = head << 8 | byte;
		return static_cast<int64_t>(head >> 1) - (INT64_C(1) << 62);
	};

	EXPECT_EQ(head_of({ALEX_FINITE, false, "12345", "67"}), 1234567);
	EXPECT_EQ(head_of({ALEX_FINITE, true, "9999999999", "99"}), -999999999999);
	EXPECT_EQ(head_of({ALEX_FINITE, false, "0", ""}), 0);
	EXPECT_EQ(head_of({ALEX_FINITE, true, "0", "01"}), -1);
}

/* What has no room is not written; what has is the beginning of the image. */
TEST(NumericImage, RoomIsHeeded)
{
	const Number number(Decimal{ALEX_FINITE, true, "12345678901234567890123", "123456789"});
	const Bytes image = image_of(number, 2);
	const AlexNumber parts = number.get();

	for (size_t max = ALEX_NUMERIC_HEAD; max < image.size() + 3; max++)
	{
		Bytes bytes(max, 0);

		ASSERT_EQ(alex_numeric_image(&parts, 2, bytes.data(), max), std::min(max + 1, image.size()));
		ASSERT_EQ(image.compare(0, max, bytes, 0, image.size()), 0);
	}
}

TEST(NumericImage, ArbitraryBytesAreSafe)
{
	Rng rng(2);

	for (int round = 0; round < 50000; round++)
	{
		const int scale = static_cast<int>(below(rng, 40)) - 20;
		Bytes bytes = image_of(Number(random_decimal(rng)), scale);
		AlexNumber number;

		if (below(rng, 4) == 0)
			bytes.resize(below(rng, 30));
		for (uint64_t i = below(rng, 5); i > 0 && !bytes.empty(); i--)
			bytes[below(rng, bytes.size())] = static_cast<uint8_t>(rng());

		std::vector<int16_t> digits(alex_numeric_most_digits(bytes.data(), bytes.size()));

		if (!alex_numeric_number(bytes.data(), bytes.size(), scale, &number, digits.data(), digits.size()))
			continue;
		ASSERT_GE(number.digits, 0);
		ASSERT_LE(static_cast<size_t>(number.digits), digits.size());
		for (int i = 0; i < number.digits; i++)
			ASSERT_TRUE(digits[i] >= 0 && digits[i] < 10000);
	}
}

/* ---- networks ---- */

/* Compares n bits. */
int
compare_bits(const AlexNetwork &a, const AlexNetwork &b, int n)
{
	for (int i = 0; i < n; i++)
	{
		const int difference = (a.address[i / 8] >> (7 - i % 8) & 1) - (b.address[i / 8] >> (7 - i % 8) & 1);

		if (difference != 0)
			return difference;
	}
	return 0;
}

int
compare_networks(const AlexNetwork &a, const AlexNetwork &b)
{
	if (a.v6 != b.v6)
		return a.v6 ? 1 : -1;
	if (const int common = compare_bits(a, b, std::min(a.prefix, b.prefix)))
		return common;
	if (a.prefix != b.prefix)
		return a.prefix < b.prefix ? -1 : 1;
	return compare_bits(a, b, a.v6 ? 128 : 32);
}

AlexNetwork
random_network(Rng &rng)
{
	AlexNetwork network = {};
	const uint8_t usual = std::array<uint8_t, 4>{0, 0xFF, 10, 0x80}[below(rng, 4)];

	network.v6 = below(rng, 2) == 0;
	network.prefix =
		static_cast<uint8_t>(below(rng, 3) == 0 ? (network.v6 ? 128 : 32) : below(rng, network.v6 ? 129 : 33));
	for (int i = 0; i < (network.v6 ? 16 : 4); i++)
		network.address[i] = below(rng, 4) == 0 ? static_cast<uint8_t>(rng()) : usual;
	return network;
}

Bytes
image_of(const AlexNetwork &network)
{
	Bytes bytes(ALEX_NETWORK_IMAGE_BYTES, 0);

	bytes.resize(alex_network_image(&network, bytes.data()));
	return bytes;
}

TEST(NetworkImage, OrderAndRoundTrip)
{
	Rng rng(3);

	for (int round = 0; round < 200000; round++)
	{
		const AlexNetwork a = random_network(rng);
		AlexNetwork b = below(rng, 3) == 0 ? random_network(rng) : a;
		AlexNetwork read;

		if (below(rng, 2) == 0)
			b.prefix = static_cast<uint8_t>(below(rng, b.v6 ? 129 : 33));
		if (below(rng, 2) == 0)
			b.address[below(rng, b.v6 ? 16 : 4)] ^= static_cast<uint8_t>(1 << below(rng, 8));

		const Bytes image = image_of(a);

		ASSERT_EQ(sign_of(image.compare(image_of(b))), sign_of(compare_networks(a, b)));
		ASSERT_TRUE(alex_network_value(image.data(), image.size(), &read));
		ASSERT_EQ(read.v6, a.v6);
		ASSERT_EQ(read.prefix, a.prefix);
		ASSERT_TRUE(std::equal(a.address, a.address + ALEX_ADDRESS_BYTES, read.address));
		/* not those of NULL */
		ASSERT_NE(image.substr(0, 8), Bytes(8, 0));
		ASSERT_NE(image.substr(0, 8), Bytes(7, 0xFF) + uint8_t{0xFE});
	}
}

TEST(NetworkImage, ArbitraryBytesAreSafe)
{
	Rng rng(4);

	for (int round = 0; round < 100000; round++)
	{
		Bytes bytes = image_of(random_network(rng));
		AlexNetwork network;

		if (below(rng, 3) == 0)
			bytes.resize(below(rng, 40));
		if (!bytes.empty())
			bytes[below(rng, bytes.size())] = static_cast<uint8_t>(rng());
		bytes.shrink_to_fit();
		if (!alex_network_value(bytes.data(), bytes.size(), &network))
			continue;
		ASSERT_LE(network.prefix, network.v6 ? 128 : 32);
	}
}

/* ---- bit strings ---- */

/* "text" of zeroes and ones, its bits in bytes. */
Bytes
bits_of(const std::string &text)
{
	Bytes bits((text.size() + 7) / 8, 0);

	for (size_t i = 0; i < text.size(); i++)
		if (text[i] == '1')
			bits[i / 8] |= static_cast<uint8_t>(0x80 >> i % 8);
	return bits;
}

Bytes
bits_image(const std::string &text)
{
	Bytes image(alex_bits_image_size(text.size()), 0);

	alex_bits_image(bits_of(text).data(), text.size(), image.data(), image.size());
	return image;
}

TEST(BitsImage, OrderAndRoundTrip)
{
	Rng rng(5);

	for (int round = 0; round < 100000; round++)
	{
		std::string a(below(rng, 70), '0');

		for (char &bit : a)
			bit = static_cast<char>('0' + below(rng, round % 2 == 0 ? 2 : 1));

		std::string b = a.substr(0, below(rng, a.size() + 1)) + std::string(below(rng, 12), '0');

		if (!b.empty() && below(rng, 2) == 0)
			b[below(rng, b.size())] ^= 1;

		const Bytes image = bits_image(a);
		Bytes bits(image.size() * ALEX_BITS_PER_BYTE / 8 + 1, 0xFF);

		/* as PostgreSQL compares: bytes, then lengths */
		const Bytes a_bits = bits_of(a);
		const Bytes b_bits = bits_of(b);
		const size_t common = std::min(a_bits.size(), b_bits.size());
		int expected = a_bits.compare(0, common, b_bits, 0, common);

		if (expected == 0)
			expected = static_cast<int>(a.size()) - static_cast<int>(b.size());
		ASSERT_EQ(sign_of(image.compare(bits_image(b))), sign_of(expected)) << a << " " << b;
		ASSERT_EQ(alex_bits_value(image.data(), image.size(), bits.data()), a.size());
		ASSERT_EQ(bits.compare(0, a_bits.size(), a_bits), 0);
	}
}

TEST(BitsImage, ArbitraryBytesAreSafe)
{
	Rng rng(6);

	for (int round = 0; round < 100000; round++)
	{
		Bytes image = bits_image(std::string(below(rng, 40), '1'));

		if (!image.empty())
			image[below(rng, image.size())] = static_cast<uint8_t>(rng());

		Bytes bits((image.size() * ALEX_BITS_PER_BYTE + 7) / 8, 0);
		const size_t n = alex_bits_value(image.data(), image.size(), bits.data());

		if (n == ALEX_BAD_BITS)
			continue;
		/* what can be read is an image */
		Bytes again(alex_bits_image_size(n), 0);

		ASSERT_EQ(again.size(), image.size());
		alex_bits_image(bits.data(), n, again.data(), again.size());
		ASSERT_EQ(again, image);
	}
}

} // namespace
