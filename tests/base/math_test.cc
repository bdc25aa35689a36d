// SPDX-License-Identifier: Apache-2.0
// Oracle: the C library in long double, at floats spread over every exponent and sign.
#include "core/base/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

namespace funnel {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Error in units of the last place of a float at the exact value; the smallest unit is that of the
// smallest normal number.
double ulps(float found, long double exact) {
  int exponent;
  std::frexp(exact, &exponent);
  const long double unit = std::ldexp(1.0L, std::max(exponent, -125) - 24);
  return static_cast<double>(std::abs(found - exact) / unit);
}

// Every 1999th of the 2^32 bit patterns that lies in [low, high].
std::vector<float> floats_between(float low, float high) {
  std::vector<float> floats;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 1999) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (x >= low && x <= high) floats.push_back(x);
  }
  return floats;
}

// The worst error of f over [low, high]; f is called in a loop that a compiler may vectorise.
template <class F>
double worst_ulps(F f, const std::function<long double(long double)>& exact, float low,
                  float high) {
  const std::vector<float> x = floats_between(low, high);
  std::vector<float> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = f(x[i]);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = ulps(y[i], exact(x[i]));
    if (!(error <= worst)) worst = error;
    if (std::isnan(error)) break;
  }
  return worst;
}

long double exact_exp(long double x) {
  return std::exp(x);
}

TEST(Exp, IsAccurate) {
  const auto f = [](float x) { return math::exp(x); };
  EXPECT_LT(worst_ulps(f, exact_exp, -86.64f, 88.72283f), 1.1);
}

TEST(Exp, Edges) {
  EXPECT_EQ(math::exp(0.0f), 1.0f);
  EXPECT_EQ(math::exp(-0.0f), 1.0f);
  EXPECT_EQ(math::exp(1e-30f), 1.0f);
  EXPECT_GT(math::exp(-86.64f), 2e-38f);
  for (float x : {-86.65f, -87.4f, -104.0f, -1e6f, -3e38f, -kInfinity}) {
    EXPECT_EQ(math::exp(x), 0.0f) << x;
  }
  EXPECT_LT(math::exp(88.72283f), kInfinity);
  for (float x : {88.7229f, 89.0f, 89.1f, 1e6f, 3e38f, kInfinity}) {
    EXPECT_EQ(math::exp(x), kInfinity) << x;
  }
  EXPECT_TRUE(std::isnan(math::exp(kNan)));
  EXPECT_TRUE(std::isnan(math::exp(-kNan)));
}

TEST(Tanh, IsAccurate) {
  const auto f = [](float x) { return math::tanh(x); };
  const auto exact = [](long double x) { return std::tanh(x); };
  EXPECT_LT(worst_ulps(f, exact, -kInfinity, kInfinity), 2.0);
}

TEST(Tanh, Edges) {
  EXPECT_EQ(math::tanh(0.0f), 0.0f);
  EXPECT_EQ(math::tanh(kInfinity), 1.0f);
  EXPECT_EQ(math::tanh(-kInfinity), -1.0f);
  EXPECT_EQ(math::tanh(-0.7f), -math::tanh(0.7f));
  EXPECT_TRUE(std::isnan(math::tanh(kNan)));
}

TEST(Log, IsAccurate) {
  const auto exact = [](long double x) { return std::log(x); };
  const auto f = [](float x) { return math::log(x); };
  EXPECT_LT(worst_ulps(f, exact, std::numeric_limits<float>::denorm_min(),
                       std::numeric_limits<float>::max()),
            2.0);
  const auto normal = [](float x) { return math::log_of_normal(x); };
  EXPECT_LT(worst_ulps(normal, exact, std::numeric_limits<float>::min(),
                       std::numeric_limits<float>::max()),
            2.0);
}

TEST(Log, Edges) {
  EXPECT_EQ(math::log(1.0f), 0.0f);
  EXPECT_EQ(math::log(0.0f), -kInfinity);
  EXPECT_EQ(math::log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(math::log(-1.0f)));
  EXPECT_TRUE(std::isnan(math::log(kNan)));
}

// The largest error of f, relative to the larger of the exact value and the given floor.
template <class F>
double worst_relative(F f, const std::function<long double(long double)>& exact, float low,
                      float high, double floor) {
  double worst = 0;
  for (float x : floats_between(low, high)) {
    const long double expected = exact(x);
    const double scale = std::max(static_cast<double>(std::abs(expected)), floor);
    worst = std::max(worst, static_cast<double>(std::abs(f(x) - expected)) / scale);
  }
  return worst;
}

TEST(Gelu, IsAccurateInBothTails) {
  const long double c = std::sqrt(2 / std::acos(-1.0L));
  const auto exact = [=](long double x) {
    return x / (1 + std::exp(-2 * c * (x + 0.044715L * x * x * x)));
  };
  const auto f = [](auto x) { return math::gelu(x); };
  // Rounding the exponent's argument to a float costs more digits the larger it is.
  EXPECT_LT(worst_relative(f, exact, -3.0f, 100.0f, 1e-30), 3e-6);
  EXPECT_LT(worst_relative(f, exact, -9.0f, -3.0f, 1e-30), 2e-5);
  EXPECT_LT(
      worst_relative([](float x) { return math::gelu(double{x}); }, exact, -9.0f, 100.0f, 1e-30),
      5e-14);
}

TEST(LossMath, IsAccurate) {
  const auto log1p = [](long double z) { return std::log1p(std::exp(-std::abs(z))); };
  const auto sigmoid = [](long double z) { return 1 / (1 + std::exp(-z)); };
  EXPECT_LT(worst_relative([](float z) { return math::log1p_exp_minus_abs(z); }, log1p, -80.0f,
                           80.0f, 1e-30),
            1e-6);
  EXPECT_LT(worst_relative([](float z) { return math::sigmoid(z); }, sigmoid, -80.0f, 1e30f, 1e-30),
            1e-6);
  EXPECT_EQ(math::sigmoid(-1e30f), 0.0f);
}

}  // namespace
}  // namespace funnel
