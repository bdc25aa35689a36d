// SPDX-License-Identifier: Apache-2.0
// Oracle: the definition of rounding, by comparing distances to both neighbours in double, for
// every bf16 and the floats around and between.
#include "core/base/bfloat16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/types.h"

namespace funnel {
namespace {

BFloat16 of_bits(uint32_t bits) {
  BFloat16 value;
  value.bits = static_cast<uint16_t>(bits);
  return value;
}

TEST(BFloat16, EveryValueIsItself) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = of_bits(bits);
    if (std::isnan(value)) {
      EXPECT_EQ(BFloat16(value).bits, 0x7fff);
    } else {
      ASSERT_EQ(BFloat16(value).bits, bits);
    }
  }
}

// Between two neighbours: the nearer one, in the middle the even one.
TEST(BFloat16, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7f7f; ++bits) {  // up to the last finite pair
    const uint32_t low = bits << 16;
    const auto rounded = [&](uint32_t beyond) {
      return BFloat16(std::bit_cast<float>(low + beyond)).bits;
    };
    ASSERT_EQ(rounded(1), bits);
    ASSERT_EQ(rounded(0x7fff), bits);
    ASSERT_EQ(rounded(0x8000), bits + bits % 2);
    ASSERT_EQ(rounded(0x8001), bits + 1);
    ASSERT_EQ(BFloat16(-std::bit_cast<float>(low + 0x8001)).bits, 0x8000 | (bits + 1));
  }
}

TEST(BFloat16, Extremes) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(float(BFloat16(infinity)), infinity);
  EXPECT_EQ(float(BFloat16(-infinity)), -infinity);
  EXPECT_EQ(float(BFloat16(std::numeric_limits<float>::max())), infinity);
  EXPECT_TRUE(std::signbit(float(BFloat16(-0.0f))));
  EXPECT_EQ(BFloat16(std::numeric_limits<float>::quiet_NaN()).bits, 0x7fff);
  EXPECT_EQ(BFloat16(std::bit_cast<float>(0xff800001u)).bits,
            0x7fff);                                 // a NaN in the low bits only
  EXPECT_EQ(float(BFloat16(0x1p-133f)), 0x1p-133f);  // the smallest subnormal
}

TEST(BFloat16, AssignmentRounds) {
  BFloat16 value(1.0f);
  value = 1.00390625f;  // half way to 1.0078125
  EXPECT_EQ(float(value), 1.0f);
  value += 0.01f;
  EXPECT_EQ(float(value), 1.0078125f);
}

TEST(BFloat16, IsAStorageType) {
  EXPECT_EQ(size_of(DType::bf16), 2);
  EXPECT_STREQ(name_of(DType::bf16), "bf16");
  EXPECT_EQ(dtype_of<const BFloat16>(), DType::bf16);
  EXPECT_EQ(dtype_of<Compute<BFloat16>>(), DType::f32);
  EXPECT_EQ(compute_dtype(DType::bf16), DType::f32);
  EXPECT_EQ(compute_dtype(DType::f64), DType::f64);
  EXPECT_EQ(with_storage_type(DType::bf16, [](auto zero) { return sizeof(zero); }), 2u);
  EXPECT_THROW(with_float_type(DType::bf16, [](auto) {}), Error);
}

}  // namespace
}  // namespace funnel
