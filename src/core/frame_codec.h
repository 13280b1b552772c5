/*
 * frame_codec.h - one column of sorted records, bit-packed around straight lines.
 *
 * A column of n words is cut into frames of 2^k consecutive values. Value j of a frame is
 *
 *     base + line(slope, j) + residual_j          (all modulo 2^64)
 *
 * with residuals of the frame's width, packed. Any value decodes in O(1): one directory entry, one
 * unaligned load, a shift and a mask. Width 0 stores nothing, so what lies on a line costs nothing.
 *
 * Everything is integer arithmetic modulo 2^64: key spans cannot overflow, and every machine that
 * reads a page (a standby, say) computes the very same line.
 *
 * Layout: ceil(n / 2^k) directory entries of 16 bytes, then the data words.
 *
 * The idea is that of LeCo (Liu et al., SIGMOD 2024) and la_vector (Boffa et al., ALENEX 2021).
 */
#ifndef ALEX_FRAME_CODEC_H
#define ALEX_FRAME_CODEC_H

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

/* residuals are written as words and read as unaligned words that begin at a byte */
static_assert(std::endian::native == std::endian::little, "alex nodes are little-endian: this machine is not supported");

namespace alex
{

constexpr int kMinFrameLog2 = 6;  // 64 values times any width is whole words, so frames start on words
constexpr int kMaxFrameLog2 = 16; // one frame holds any node

/**
 * A slope as mantissa * 2^(exponent - kExponentBias), with a sign: 37 bits of mantissa times 16 bits
 * of position stay exact in 64 bits.
 */
struct Line
{
	static constexpr int kMantissaBits = 37;
	static constexpr int kExponentBias = 63;

	uint64_t mantissa = 0;
	int exponent = kExponentBias;
	bool negative = false;

	uint64_t at(uint64_t j) const
	{
		uint64_t product = mantissa * j;
		uint64_t rise = exponent >= kExponentBias ? product << ((exponent - kExponentBias) & 63)
												  : product >> (kExponentBias - exponent);

		return negative ? 0 - rise : rise;
	}

	/** The line that rises by "rise" (two's complement if negative) over "run" steps. */
	static Line through(uint64_t rise, uint64_t run, bool negative);
};

/** A directory entry. */
struct Frame
{
	uint64_t base;
	uint64_t packed; // offset:12 (in words, from the column's data) width:7 exponent:7 negative:1 mantissa:37

	uint32_t offset() const { return packed & 0xFFF; }
	uint32_t stored_width() const { return (packed >> 12) & 0x7F; }
	uint32_t width() const { return std::min(stored_width(), UINT32_C(64)); } // more only if damaged
	Line line() const
	{
		return Line{packed >> 27, static_cast<int>((packed >> 19) & 0x7F), ((packed >> 26) & 1) != 0};
	}

	static Frame make(uint64_t base, const Line &line, uint32_t width, uint32_t offset)
	{
		return Frame{base, line.mantissa << 27 | static_cast<uint64_t>(line.negative) << 26 |
							   static_cast<uint64_t>(line.exponent) << 19 | static_cast<uint64_t>(width) << 12 |
							   offset};
	}
};
static_assert(sizeof(Frame) == 16);

/** Number of frames of n values. */
constexpr uint32_t
frame_count(uint32_t n, int log2)
{
	return (n + (1u << log2) - 1) >> log2;
}

/** Data words of "n" residuals of one frame. */
constexpr uint32_t
residual_words(uint32_t n, uint32_t width)
{
	return static_cast<uint32_t>((static_cast<uint64_t>(n) * width + 63) / 64);
}

/**
 * A stored column. "limit" is the last byte offset from which an 8-byte load, and one more byte, stay inside
 * the page: a damaged directory then yields a wrong value but never a wild read.
 */
class Column
{
  public:
	Column() = default;
	Column(const char *page, uint32_t start, uint32_t n, int log2, uint32_t limit)
		: page_(page), directory_(page + start), data_(start + frame_count(n, log2) * sizeof(Frame)), log2_(log2),
		  limit_(limit)
	{
	}

	uint64_t operator[](uint32_t i) const
	{
		Frame f = frame(i >> log2_);

		return value(f, i & ((1u << log2_) - 1));
	}

	Frame frame(uint32_t f) const
	{
		Frame frame;

		std::memcpy(&frame, directory_ + f * sizeof(Frame), sizeof(Frame));
		return frame;
	}

	/** Value j of a frame. */
	uint64_t value(const Frame &f, uint32_t j) const
	{
		return f.base + f.line().at(j) + residual(f, j);
	}

	/** Asks for the cache line of value i's residual. */
	void prefetch(uint32_t i) const
	{
		Frame f = frame(i >> log2_);

		__builtin_prefetch(page_ + std::min(data_ + f.offset() * 8 + ((i & ((1u << log2_) - 1)) * f.width() >> 3), limit_));
	}

	/**
	 * Reads values first .. first + n - 1, each as convert() returns it, to out[0], out[stride], ... The stride may be
	 * negative.
	 */
	template <typename Convert>
	void read(uint32_t first, uint32_t n, uint64_t *out, int stride, Convert convert) const;

	void read(uint32_t first, uint32_t n, uint64_t *out, int stride) const
	{
		read(first, n, out, stride, [](uint64_t value) { return value; });
	}

	uint32_t data_start() const { return data_; }
	int log2() const { return log2_; }

	/** Where in the page the residuals of a frame begin. */
	uint32_t data_of(const Frame &f) const { return data_ + f.offset() * 8; }

	/** What value j of a frame is above its line. */
	uint64_t residual(const Frame &f, uint32_t j) const
	{
		uint32_t width = f.width();

		return width == 0 ? 0 : bits(data_of(f), width, j) & (UINT64_MAX >> (64 - width));
	}

	/** "width" bits, and what follows them, from bit j * width on; data is where a frame's residuals begin. */
	uint64_t bits(uint32_t data, uint32_t width, uint32_t j) const
	{
		uint32_t bit = j * width;
		uint32_t byte = std::min(data + (bit >> 3), limit_);
		uint32_t shift = bit & 7;
		uint64_t word;

		std::memcpy(&word, page_ + byte, 8);
		word >>= shift;
		if (width > kOneLoadWidth && width + shift > 64)
			word |= static_cast<uint64_t>(static_cast<unsigned char>(page_[byte + 8])) << (64 - shift);
		return word;
	}

  private:
	template <typename Walk, typename Convert>
	void read_frame(const Frame &f, Walk walk, uint32_t j, uint32_t n, uint64_t *out, int stride, Convert convert) const;

	/* residuals up to this width are within one 8-byte load, at whatever bit of its first byte they begin */
	static constexpr uint32_t kOneLoadWidth = 57;

	const char *page_ = nullptr;
	const char *directory_ = nullptr;
	uint32_t data_ = 0;
	int log2_ = 0;
	uint32_t limit_ = 0;
};

/**
 * Reads single values of a column that are likely to be near each other: what a frame's directory entry says is taken apart
 * when a value of another frame is asked for, not each time.
 */
class ColumnCursor
{
  public:
	ColumnCursor() = default;
	explicit ColumnCursor(const Column &column) : column_(column), mask_((1u << column.log2()) - 1) {}

	uint64_t operator[](uint32_t i)
	{
		uint32_t j = i & mask_;

		if ((i ^ j) != first_)
			open(i ^ j);
		return base_ + (((mantissa_ * j >> shift_) ^ sign_) - sign_) + (column_.bits(data_, width_, j) & residual_);
	}

  private:
	/* The frame whose first value is value "first" of the column. */
	void open(uint32_t first)
	{
		Frame frame = column_.frame(first >> column_.log2());
		Line line = frame.line();
		int shift = line.exponent - Line::kExponentBias;

		first_ = first;
		base_ = frame.base;
		width_ = frame.width();
		data_ = column_.data_of(frame);
		residual_ = width_ == 0 ? 0 : UINT64_MAX >> (64 - width_);
		mantissa_ = shift > 0 ? line.mantissa << (shift & 63) : line.mantissa;
		shift_ = shift < 0 ? -shift : 0;
		sign_ = line.negative ? UINT64_MAX : 0;
	}

	Column column_;
	uint32_t mask_ = 0;
	uint32_t first_ = UINT32_MAX; // no frame begins there
	uint32_t width_ = 0;
	uint32_t data_ = 0;
	uint64_t base_ = 0;
	uint64_t mantissa_ = 0;
	uint64_t sign_ = 0;
	uint64_t residual_ = 0; // mask
	int shift_ = 0;
};

namespace detail
{

/*
 * The line of a frame from value j on, plus the frame's base: each call returns the next value. What Line::at() gets by a
 * multiplication, these get by an addition.
 */

/** Lines that rise by whole numbers: flat and steep ones. */
class WholeSteps
{
  public:
	WholeSteps(const Frame &f, const Line &line, uint32_t j)
		: next_(f.base + line.at(j)), step_(line.at(1))
	{
	}

	uint64_t operator()()
	{
		uint64_t value = next_;

		next_ += step_;
		return value;
	}

  private:
	uint64_t next_;
	uint64_t step_;
};

/** The others. */
class FractionalSteps
{
  public:
	FractionalSteps(const Frame &f, const Line &line, uint32_t j)
		: base_(f.base), product_(line.mantissa * j), mantissa_(line.mantissa), shift_(Line::kExponentBias - line.exponent),
		  sign_(line.negative ? UINT64_MAX : 0)
	{
	}

	uint64_t operator()()
	{
		uint64_t rise = product_ >> shift_;

		product_ += mantissa_;
		return base_ + ((rise ^ sign_) - sign_);
	}

  private:
	uint64_t base_;
	uint64_t product_;
	uint64_t mantissa_;
	int shift_;
	uint64_t sign_; // all ones: x ^ sign - sign is -x
};

} // namespace detail

/* n values of one frame from value j on */
template <typename Walk, typename Convert>
void
Column::read_frame(const Frame &f, Walk walk, uint32_t j, uint32_t n, uint64_t *out, int stride, Convert convert) const
{
	const uint32_t width = f.width();
	const uint32_t start = data_ + f.offset() * 8;
	uint32_t bit = j * width;

	if (width == 0)
	{
		for (; n > 0; n--, out += stride)
			*out = convert(walk());
	}
	else if (width <= kOneLoadWidth && start + ((bit + (n - 1) * width) >> 3) <= limit_)
	{
		const char *data = page_ + start;
		const uint64_t mask = (UINT64_C(1) << width) - 1;

		for (; n > 0; n--, out += stride, bit += width)
		{
			uint64_t word;

			std::memcpy(&word, data + (bit >> 3), 8);
			*out = convert(walk() + (word >> (bit & 7) & mask));
		}
	}
	else
	{
		for (; n > 0; n--, out += stride, j++)
			*out = convert(walk() + residual(f, j));
	}
}

template <typename Convert>
void
Column::read(uint32_t first, uint32_t n, uint64_t *out, int stride, Convert convert) const
{
	const uint32_t length = 1u << log2_;

	while (n > 0)
	{
		const Frame f = frame(first >> log2_);
		const Line line = f.line();
		const uint32_t j = first & (length - 1);
		const uint32_t m = std::min(length - j, n);

		if (line.mantissa == 0 || line.exponent >= Line::kExponentBias)
			read_frame(f, detail::WholeSteps(f, line, j), j, m, out, stride, convert);
		else
			read_frame(f, detail::FractionalSteps(f, line, j), j, m, out, stride, convert);
		first += m;
		n -= m;
		out += static_cast<std::ptrdiff_t>(m) * stride;
	}
}

/** How a column will be stored. */
struct ColumnPlan
{
	int log2 = kMaxFrameLog2;
	uint32_t bytes = 0; // directory and data
};

namespace detail
{

struct FrameFit
{
	Line line;
	uint64_t base = 0;
	uint32_t width = 0;
};

/** Least and greatest residual so far, relative to a line through the first value. */
struct Bounds
{
	int64_t low = 0;
	int64_t high = 0;
};

/** Widens the bounds to values[j] - origin - line.at(from + j) for j < n. */
void residual_bounds(const uint64_t *values, uint32_t n, uint64_t origin, const Line &line, uint32_t from, Bounds &bounds);

/** Makes residual_bounds() do without the instructions only some machines have. For tests. */
extern bool portable_fit;

constexpr uint32_t kPiece = 1024; // values made contiguous at once: 8 kB of stack

/** Values that lie one after the other in memory. */
struct PlainValues
{
	const uint64_t *values;

	uint64_t operator()(uint32_t i) const { return values[i]; }
};

/** Calls work(pointer, from) for consecutive pieces of values first .. first + n - 1, "from" being relative to first. */
template <typename Values, typename Work>
void
in_pieces(const Values &values, uint32_t first, uint32_t n, const Work &work)
{
	if constexpr (std::is_same_v<Values, PlainValues>)
		work(values.values + first, 0, n);
	else
	{
		uint64_t piece[kPiece];

		for (uint32_t from = 0; from < n; from += kPiece)
		{
			uint32_t m = std::min(kPiece, n - from);

			values.copy(first + from, m, piece);
			work(piece, from, m);
		}
	}
}

/** Base and width that values first .. first + n - 1 need around a line. */
template <typename Values>
FrameFit
fit_line(const Values &values, uint32_t first, uint32_t n, const Line &line)
{
	/*
	 * Residuals are taken relative to the first value and compared as signed numbers; modulo 2^64 that is
	 * right whatever the span, and smallest whenever the span is below 2^63.
	 */
	uint64_t origin = values(first);
	Bounds bounds;

	in_pieces(values, first, n, [&](const uint64_t *piece, uint32_t from, uint32_t m) {
		residual_bounds(piece, m, origin, line, from, bounds);
	});

	uint64_t span = static_cast<uint64_t>(bounds.high) - static_cast<uint64_t>(bounds.low);

	return FrameFit{line, origin + static_cast<uint64_t>(bounds.low), static_cast<uint32_t>(64 - std::countl_zero(span))};
}

/** The narrowest of three lines: flat, through the ends, and through the means of the first and last third. */
template <typename Values>
FrameFit
fit_frame(const Values &values, uint32_t first, uint32_t n)
{
	/* made contiguous once for all passes, where that is one piece */
	if constexpr (!std::is_same_v<Values, PlainValues>)
		if (n <= kPiece)
		{
			uint64_t piece[kPiece];

			values.copy(first, n, piece);
			return fit_frame(PlainValues{piece}, 0, n);
		}

	const FrameFit flat = fit_line(values, first, n, Line{});
	FrameFit best = flat;

	if (best.width == 0 || n < 3)
	{
		if (n == 2 && best.width > 0)
		{
			uint64_t rise = values(first + 1) - values(first);
			bool negative = rise >> 63;
			FrameFit two = fit_line(values, first, n, Line::through(negative ? 0 - rise : rise, 1, negative));

			if (two.width < best.width)
				best = two;
		}
		return best;
	}

	uint64_t origin = values(first);
	auto consider = [&](uint64_t rise, uint64_t run) {
		/* a rise of more than 2^63 is a rise all the same if the values ascend */
		bool negative = (rise >> 63) != 0 && values(first + n - 1) < origin;
		FrameFit fit = fit_line(values, first, n, Line::through(negative ? 0 - rise : rise, run, negative));

		if (fit.width < best.width)
			best = fit;
	};

	consider(values(first + n - 1) - origin, n - 1);
	if (best.width == 0 || n < 8)
		return best;

	/*
	 * Bartlett's line: less moved by two odd end points than the chord, and one pass instead of the sums
	 * of squares that least squares needs. The means are taken relative to the origin, as signed numbers.
	 */
	uint32_t third = n / 3;
	double mean_rise;

	if (flat.width < 48) /* a third of 2^16 differences below 2^48 stay below 2^63 */
	{
		int64_t rise = 0;

		for (uint32_t j = 0; j < third; j++)
			rise += static_cast<int64_t>(values(first + n - third + j) - values(first + j));
		mean_rise = static_cast<double>(rise) / third;
	}
	else
	{
		__int128 rise = 0;

		for (uint32_t j = 0; j < third; j++)
			rise += static_cast<__int128>(static_cast<int64_t>(values(first + n - third + j) - origin)) -
					static_cast<int64_t>(values(first + j) - origin);
		mean_rise = static_cast<double>(rise) / third;
	}
	if (std::fabs(mean_rise) < 9e18)
		consider(static_cast<uint64_t>(static_cast<int64_t>(mean_rise)), n - third);
	return best;
}

/** Packs the residuals of values from .. to - 1 of a frame whose value 0 is values(origin). The data start zeroed. */
template <typename Values>
void
put_residuals(const Values &values, uint32_t origin, uint32_t from, uint32_t to, const FrameFit &fit, char *data)
{
	if (fit.width == 0 || from >= to)
		return;

	const uint64_t bit = static_cast<uint64_t>(from) * fit.width;
	char *at = data + (bit >> 6) * 8;
	uint32_t filled = bit & 63;
	uint64_t word = 0;

	/* whole words are written one after the other; the first may have bits already */
	if (filled > 0)
		std::memcpy(&word, at, 8);
	in_pieces(values, origin + from, to - from, [&](const uint64_t *piece, uint32_t start, uint32_t m) {
		for (uint32_t j = 0; j < m; j++)
		{
			uint64_t residual = piece[j] - fit.base - fit.line.at(from + start + j);

			word |= residual << filled;
			filled += fit.width;
			if (filled >= 64)
			{
				std::memcpy(at, &word, 8);
				at += 8;
				filled -= 64;
				/* what did not fit: all of it was shifted out if filled is 0 */
				word = filled > 0 ? residual >> (fit.width - filled) : 0;
			}
		}
	});
	if (filled > 0)
		std::memcpy(at, &word, 8);
}

} // namespace detail

/**
 * work(values), or the same of a contiguous copy of the first n of them, if they are not contiguous and few enough for
 * the stack: whatever looks at them more than once is better off with that.
 */
template <typename Values, typename Work>
auto
with_plain(const Values &values, uint32_t n, const Work &work)
{
	constexpr uint32_t few = 1 << 14;

	if constexpr (!std::is_same_v<Values, detail::PlainValues>)
		if (n <= few)
		{
			uint64_t copy[few];

			values.copy(0, n, copy);
			return work(detail::PlainValues{copy});
		}
	return work(values);
}

/** Bytes that n values take with frames of 2^log2. Gives up (returning more than limit) beyond limit. */
template <typename Values>
uint32_t
column_bytes(const Values &values, uint32_t n, int log2, uint32_t limit)
{
	uint32_t length = 1u << log2;
	uint32_t bytes = frame_count(n, log2) * static_cast<uint32_t>(sizeof(Frame));

	for (uint32_t first = 0; first < n && bytes <= limit; first += length)
	{
		uint32_t m = std::min(length, n - first);

		bytes += 8 * residual_words(m, detail::fit_frame(values, first, m).width);
	}
	return bytes;
}

/**
 * Chooses the frame length by measured size. Candidates go from one frame for everything down to 64 values;
 * steps of 2 or 4 between them cost at most a percent against trying all (core_bench).
 */
template <typename Values>
ColumnPlan
plan_frames(const Values &values, uint32_t n)
{
	static constexpr int kCandidates[] = {16, 12, 10, 8, 7, 6};
	ColumnPlan best;
	bool first = true;

	for (int log2 : kCandidates)
	{
		/* a frame longer than twice the column equals the one before it */
		if (!first && (n >> log2) == 0)
			continue;
		uint32_t bytes = column_bytes(values, n, log2, first ? UINT32_MAX : best.bytes);

		if (first || bytes < best.bytes)
			best = ColumnPlan{log2, bytes};
		first = false;
		/* on a single line nothing shorter can win */
		if (best.bytes <= frame_count(n, best.log2) * sizeof(Frame))
			break;
	}
	return best;
}

template <typename Values>
ColumnPlan
plan_column(const Values &values, uint32_t n)
{
	return with_plain(values, n, [n](const auto &plain) { return plan_frames(plain, n); });
}

/** Writes a column at "start", as planned. */
template <typename Values>
void
write_frames(const Values &values, uint32_t n, const ColumnPlan &plan, char *start)
{
	uint32_t length = 1u << plan.log2;
	char *data = start + frame_count(n, plan.log2) * sizeof(Frame);
	uint32_t offset = 0;

	std::memset(data, 0, plan.bytes - frame_count(n, plan.log2) * sizeof(Frame));
	for (uint32_t first = 0; first < n; first += length)
	{
		uint32_t m = std::min(length, n - first);
		detail::FrameFit fit = detail::fit_frame(values, first, m);
		Frame frame = Frame::make(fit.base, fit.line, fit.width, offset);

		std::memcpy(start, &frame, sizeof(Frame));
		start += sizeof(Frame);
		detail::put_residuals(values, first, 0, m, fit, data + offset * 8);
		offset += residual_words(m, fit.width);
	}
}

template <typename Values>
void
write_column(const Values &values, uint32_t n, const ColumnPlan &plan, char *start)
{
	with_plain(values, n, [&](const auto &plain) { write_frames(plain, n, plan, start); });
}

} // namespace alex

#endif // ALEX_FRAME_CODEC_H
