// SPDX-License-Identifier: Apache-2.0
// The fixed inputs of the conformance program: a list of awkward numbers, lists of ordinary ones,
// and the tiles of matrix products.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/base/host_device.h"
#include "core/base/random.h"

namespace funnel::conformance {

inline constexpr int kValues = 128;

// Where a primitive of two or three operands finds the second and the third.
FUNNEL_HD inline int second(int i) {
  return (5 * i + 17) % kValues;
}
FUNNEL_HD inline int third(int i) {
  return (11 * i + 3) % kValues;
}

inline uint64_t draw(uint64_t stream, uint64_t i) {
  return Site::mix(Site::mix(stream + 1) + i);
}

// Zeros, ties of the rounding to bf16, the ends of the range, subnormals, infinities, NaNs; then
// numbers of ordinary size, then of any size.
inline std::vector<float> awkward_floats() {
  std::vector<uint32_t> bits = {
      0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x3f808000, 0x3f818000, 0x3f808001,
      0x3f807fff, 0xbf808000, 0xbf818000, 0x7f7fffff, 0xff7fffff, 0x7f7f7fff, 0x7f7f8000,
      0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00008000, 0x00018000, 0x00800000,
      0x00807fff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffc12345, 0x4b000001,
      0x4effffff, 0x4f000000, 0xcf000000, 0x3f000000, 0x3fc00000, 0xc0200000};
  while (bits.size() < kValues) {
    const uint64_t word = draw(1, bits.size());
    const uint32_t exponent = bits.size() < 88 ? 120 + word % 16 : 1 + word % 254;
    bits.push_back(static_cast<uint32_t>(word >> 40 & 0x7fffff) | exponent << 23 |
                   static_cast<uint32_t>(word >> 63) << 31);
  }
  std::vector<float> values;
  for (const uint32_t word : bits) values.push_back(std::bit_cast<float>(word));
  return values;
}

// Powers of 2 whose value is exact: 1, what is too small for a normal float or for any, infinite,
// NaN.
inline std::vector<float> special_powers() {
  const float infinity = INFINITY;
  std::vector<float> values = {0,     -0.0f,    -126.5f,   -127, -149,   -150,
                               -1e6f, -3e38f,   -infinity, 128,  129.5f, 1000,
                               3e38f, infinity, NAN,       -NAN, 1e-40f, -1e-40f};
  values.resize(kValues, -1e4f);
  return values;
}

// Numbers without NaN, also beyond what a float holds.
inline std::vector<double> awkward_doubles() {
  std::vector<double> values = {
      0.0,        -0.0,        1.0,           -1.0,       1e308,  -1e308,          0x1p-1060,
      -0x1p-1060, 0x1p-149,    0x1p-150,      1e-40,      3.4e38, 0x1.fffffffp127, HUGE_VAL,
      -HUGE_VAL,  1 + 0x1p-24, 1 + 0x1.8p-23, 1 + 0x1p-52};
  while (values.size() < kValues) {
    const uint64_t word = draw(2, values.size());
    const int exponent = static_cast<int>(word % 80) - 40;
    const double fraction = 1 + static_cast<double>(word >> 12) * 0x1p-52;
    values.push_back(std::ldexp((word & 1024) != 0 ? -fraction : fraction, exponent));
  }
  return values;
}

// Evenly random in [low, high).
inline std::vector<float> floats_between(double low, double high, uint64_t stream) {
  std::vector<float> values;
  for (int i = 0; i < kValues; ++i) {
    const double u = static_cast<double>(draw(stream, i) >> 11) * 0x1p-53;
    values.push_back(static_cast<float>(low + (high - low) * u));
  }
  return values;
}

inline std::vector<int64_t> awkward_integers() {
  std::vector<int64_t> values = {
      0, 1, -1, INT64_MAX, INT64_MIN, (1 << 24) + 1, (1 << 24) + 3, -(1 << 24) - 1};
  while (values.size() < kValues) {
    const uint64_t word = draw(3, values.size());
    values.push_back(static_cast<int64_t>(word) >> (values.size() % 60));
  }
  return values;
}

// Operands of m16n8k16: A [16][16] and C [16][8] by rows, B by columns [8][16]; A and B hold bf16.
struct MmaTile {
  uint16_t a[16][16], b[8][16];
  float c[16][8];
};

inline float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}
// Of a float that bf16 holds.
inline uint16_t to_bf16(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

// Small integers: every sum is exact, in any order.
inline MmaTile integer_tile(uint64_t stream) {
  MmaTile t;
  const auto integer = [&](int at, int size) {
    return static_cast<float>(static_cast<int>(draw(stream, at) % (2 * size + 1)) - size);
  };
  for (int i = 0; i < 256; ++i) t.a[i / 16][i % 16] = to_bf16(integer(i, 16));
  for (int i = 0; i < 128; ++i) t.b[i / 16][i % 16] = to_bf16(integer(300 + i, 16));
  for (int i = 0; i < 128; ++i) t.c[i / 8][i % 8] = integer(600 + i, 1000);
  return t;
}

// Numbers of many sizes: their sum shows how it was made.
inline MmaTile spread_tile(uint64_t stream) {
  MmaTile t;
  const auto number = [&](int at, int spread) {
    const uint64_t word = draw(stream, at);
    const double fraction = 1 + static_cast<double>(word >> 12) * 0x1p-52;
    const int exponent = static_cast<int>(word % (2 * spread + 1)) - spread;
    return static_cast<float>(std::ldexp((word & 2048) != 0 ? -fraction : fraction, exponent));
  };
  for (int i = 0; i < 256; ++i) t.a[i / 16][i % 16] = to_bf16(number(i, 4));
  for (int i = 0; i < 128; ++i) t.b[i / 16][i % 16] = to_bf16(number(300 + i, 4));
  for (int i = 0; i < 128; ++i) t.c[i / 8][i % 8] = number(600 + i, 6);
  return t;
}

// Products with infinities, NaN and subnormals: row 0 has an infinity, row 1 two opposite ones, row
// 2 a NaN, rows 3 and 4 one term each that is subnormal on the way in, or out.
inline MmaTile special_tile() {
  MmaTile t{};
  for (int i = 0; i < 8; ++i) {
    for (int k = 0; k < 16; ++k) t.b[i][k] = 0x3f80;
  }
  t.a[0][3] = 0x7f80;
  t.a[1][3] = 0x7f80;
  t.a[1][9] = 0xff80;
  t.a[2][5] = 0x7fc0;
  t.a[3][0] = 0x0010;  // 2^-129
  t.a[4][1] = 0x0090;
  for (int column = 0; column < 8; ++column) {
    t.b[column][0] = 0x4400;                                        // 2^9
    t.b[column][1] = static_cast<uint16_t>(0x3f80 - 128 * column);  // 2^-column
  }
  return t;
}

inline constexpr int kSpreadTiles = 4;

}  // namespace funnel::conformance
