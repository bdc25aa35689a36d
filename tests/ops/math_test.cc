// SPDX-License-Identifier: Apache-2.0
// Oracle: the C library's double-precision functions, over floats spread evenly through their bit
// patterns, with the error in units of the last place.
#include "core/base/math.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

namespace funnel::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// |found - exact| in units of the last place of a float of exact's size.
double ulps(float found, double exact) {
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::abs(found - exact) / std::ldexp(1.0, exponent - 24);
}

// The largest error over floats from low to high (both positive), about a hundred thousand.
template <class Found, class Exact>
double worst_error(float low, float high, Found found, Exact exact) {
  const uint32_t first = std::bit_cast<uint32_t>(low), last = std::bit_cast<uint32_t>(high);
  const uint32_t stride = (last - first) / 100003 + 1;
  double worst = 0;
  for (uint32_t bits = first; bits <= last; bits += stride) {
    const float x = std::bit_cast<float>(bits);
    worst = std::max(worst, ulps(found(x), exact(static_cast<double>(x))));
  }
  return worst;
}

const auto kLog = [](double x) { return std::log(x); };

TEST(FloatLog, WithinTwoUlp) {
  const auto log = [](float x) { return math::log(x); };
  EXPECT_LT(worst_error(0x1p-149f, 3.4e38f, log, kLog), 2.0);
  EXPECT_LT(worst_error(0.5f, 2.0f, log, kLog), 2.0);
  EXPECT_LT(worst_error(0x1p-149f, 0x1p-126f, log, kLog), 2.0);
}

TEST(FloatLog, OfNormalNumbersWithinTwoUlp) {
  const auto log = [](float x) { return math::log_of_normal(x); };
  EXPECT_LT(worst_error(0x1p-126f, 3.4e38f, log, kLog), 2.0);
  EXPECT_LT(worst_error(0.999f, 1.001f, log, kLog), 2.0);
}

TEST(FloatLog, Extremes) {
  EXPECT_EQ(math::log(1.0f), 0.0f);
  EXPECT_EQ(math::log(0.0f), -kInfinity);
  EXPECT_EQ(math::log(-0.0f), -kInfinity);
  EXPECT_EQ(math::log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(math::log(-1.0f)));
  EXPECT_TRUE(std::isnan(math::log(-kInfinity)));
  EXPECT_TRUE(std::isnan(math::log(std::numeric_limits<float>::quiet_NaN())));
}

TEST(FloatExp, WithinTwoUlp) {
  const auto exp = [](float x) { return math::exp(x); };
  const auto exp_of_minus = [](float x) { return math::exp(-x); };
  EXPECT_LT(worst_error(1e-30f, 88.7f, exp, [](double x) { return std::exp(x); }), 2.0);
  EXPECT_LT(worst_error(1e-30f, 86.6f, exp_of_minus, [](double x) { return std::exp(-x); }), 2.0);
}

TEST(FloatExp, Extremes) {
  EXPECT_EQ(math::exp(0.0f), 1.0f);
  EXPECT_EQ(math::exp(-0.0f), 1.0f);
  EXPECT_EQ(math::exp(-100.0f), 0.0f);
  EXPECT_EQ(math::exp(-3e38f), 0.0f);
  EXPECT_EQ(math::exp(-kInfinity), 0.0f);
  EXPECT_EQ(math::exp(89.5f), kInfinity);
  EXPECT_EQ(math::exp(3e38f), kInfinity);
  EXPECT_EQ(math::exp(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(math::exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST(FloatTanh, WithinThreeUlp) {
  const auto tanh = [](float x) { return math::tanh(x); };
  EXPECT_LT(worst_error(1e-30f, 20.0f, tanh, [](double x) { return std::tanh(x); }), 3.0);
  EXPECT_EQ(math::tanh(kInfinity), 1.0f);
  EXPECT_EQ(math::tanh(-kInfinity), -1.0f);
}

// log(1 + e^-|z|) keeps its relative precision where 1 + e^-|z| rounds to 1.
TEST(Log1pExpMinusAbs, WithinFourUlp) {
  const auto found = [](float z) { return math::log1p_exp_minus_abs(z); };
  const auto mirrored = [](float z) { return math::log1p_exp_minus_abs(-z); };
  const auto exact = [](double z) { return std::log1p(std::exp(-z)); };
  EXPECT_LT(worst_error(1e-30f, 86.0f, found, exact), 4.0);
  EXPECT_LT(worst_error(1e-30f, 86.0f, mirrored, exact), 4.0);
}

}  // namespace
}  // namespace funnel::testing
