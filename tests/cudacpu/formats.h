// SPDX-License-Identifier: Apache-2.0
// Floating-point formats and correct rounding to them in every mode. A result that double cannot
// hold is an Exact: a double and what is missing, of which only the sign matters when rounding.
#pragma once

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>

namespace funnel::cudacpu {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

enum class Rounding : uint8_t { nearest, zero, down, up };

struct Exact {
  double value = 0;
  double rest = 0;  // |rest| is below half a unit in the last place of value
};

// a + b without loss (Knuth).
inline Exact exact_sum(double a, double b) {
  const double sum = a + b;
  if (!std::isfinite(sum)) return {sum, 0};
  const double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

struct Half16 {  // IEEE binary16
  static constexpr int kDigits = 11, kLeastExponent = -14, kMostExponent = 15, kFraction = 10;
};
struct BFloat16 {
  static constexpr int kDigits = 8, kLeastExponent = -126, kMostExponent = 127, kFraction = 7;
};
struct Float32 {
  static constexpr int kDigits = 24, kLeastExponent = -126, kMostExponent = 127, kFraction = 23;
};

// The value of the format that the rounding mode picks; NaN stays NaN.
template <class Format>
double round_to(Exact exact, Rounding mode) {
  const double value = exact.value;
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent = std::ilogb(value);
  // Just below a power of two, the true value has the smaller exponent.
  if (exact.rest != 0 && std::signbit(exact.rest) != std::signbit(value) &&
      std::fabs(value) == std::ldexp(1.0, exponent)) {
    --exponent;
  }
  if (exponent < Format::kLeastExponent) exponent = Format::kLeastExponent;
  const double unit = std::ldexp(1.0, exponent - (Format::kDigits - 1));
  const double scaled = value / unit;
  double below = std::floor(scaled);
  double part = scaled - below;  // exact: both have few digits, or part is 0
  if (part == 0 && exact.rest < 0) below -= 1, part = 1;
  const bool inexact = part != 0 || exact.rest != 0;
  bool up = false;
  switch (mode) {
    case Rounding::nearest:
      if (part == 0.5 && exact.rest == 0)
        up = std::fmod(below, 2) != 0;
      else
        up = part > 0.5 || (part == 0.5 && exact.rest > 0) || (part == 1 && exact.rest < 0);
      break;
    case Rounding::zero:
      up = inexact && value < 0;
      break;
    case Rounding::down:
      break;
    case Rounding::up:
      up = inexact;
      break;
  }
  const double rounded = (up ? below + 1 : below) * unit;
  const double most = std::ldexp(2.0 - std::ldexp(1.0, 1 - Format::kDigits), Format::kMostExponent);
  if (std::fabs(rounded) <= most) return rounded == 0 ? std::copysign(0.0, value) : rounded;
  const bool finite = mode == Rounding::zero || (mode == Rounding::down && value > 0) ||
                      (mode == Rounding::up && value < 0);
  return std::copysign(finite ? most : HUGE_VAL, value);
}

// The bits of a double that the format holds exactly.
template <class Format>
uint16_t encode16(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const int exponent_bits = 15 - Format::kFraction;
  const auto all = static_cast<uint16_t>(((1 << exponent_bits) - 1) << Format::kFraction);
  if (std::isnan(value)) return 0x7FFF;
  if (std::isinf(value)) return sign | all;
  if (value == 0) return sign;
  const double size = std::fabs(value);
  int exponent = std::ilogb(size);
  if (exponent < Format::kLeastExponent) {
    const double units = std::ldexp(size, Format::kFraction - Format::kLeastExponent);
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(units));
  }
  const auto fraction = static_cast<uint16_t>(std::ldexp(size, Format::kFraction - exponent)) &
                        ((1 << Format::kFraction) - 1);
  return static_cast<uint16_t>(sign | (exponent + Format::kMostExponent) << Format::kFraction |
                               fraction);
}

template <class Format>
uint16_t round16(Exact exact, Rounding mode) {
  return encode16<Format>(round_to<Format>(exact, mode));
}

inline float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
// To nearest, ties to even: the common case, in a form the compiler vectorises.
inline uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FFF : rounded);
}

inline float f16_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t rest = bits & 0x7FFF;
  if (rest >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | (rest & 0x3FF) << 13);
  // Scaling by 2^112 moves the exponent's bias and normalises subnormals.
  const float size = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(size));
}

template <class Format>
float decode16(uint16_t bits) {
  return Format::kDigits == Half16::kDigits ? f16_to_float(bits) : bf16_to_float(bits);
}

// To f32 in a directed mode: the nearest value, moved by one step where it lies on the wrong side.
template <Rounding Mode>
float round_to_f32(Exact exact) {
  const auto nearest = static_cast<float>(exact.value);
  if (Mode == Rounding::nearest) {
    // Double rounding: only where the double lies on a tie does the rest decide.
    return exact.rest == 0 ? nearest
                           : static_cast<float>(round_to<Float32>(exact, Rounding::nearest));
  }
  if (std::isnan(nearest) || std::isinf(exact.value)) return nearest;
  const double found = nearest;
  const bool above = found > exact.value || (found == exact.value && exact.rest < 0);
  const bool below = found < exact.value || (found == exact.value && exact.rest > 0);
  const bool negative = std::signbit(exact.value);
  const bool step_down = above && (Mode == Rounding::down || (Mode == Rounding::zero && !negative));
  const bool step_up = below && (Mode == Rounding::up || (Mode == Rounding::zero && negative));
  if (step_down) return std::nextafter(nearest, -HUGE_VALF);
  if (step_up) return std::nextafter(nearest, HUGE_VALF);
  return nearest;
}

}  // namespace funnel::cudacpu
