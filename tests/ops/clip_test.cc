// SPDX-License-Identifier: Apache-2.0
// Oracles: the naive reference, and the properties of tf.clip_by_global_norm.
#include "core/ops/clip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/reference/optimizer.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double norm_of(ConstTensor grads, double factor = 1.0) {
  Context& context = context_under_test();
  const OwnedTensor norm({1}, DType::f64);
  gradient_norm(context, grads, factor, norm);
  return norm.values()[0];
}

double factor_of(double norm, double limit, double loss = 1.0) {
  Context& context = context_under_test();
  const OwnedTensor factor({1}, DType::f64);
  clip_factor(context, {.norm = OwnedTensor({1}, DType::f64, {norm}),
                        .loss = OwnedTensor({1}, DType::f64, {loss}),
                        .limit = limit,
                        .factor = factor});
  return factor.values()[0];
}

TEST(Clip, NormAndFactorAgreeWithReference) {
  for (const int64_t n : {1, 31, 33, 1000, 10001}) {
    std::vector<double> grads(n);
    for (int64_t i = 0; i < n; ++i) grads[i] = 0.1 * static_cast<double>(i % 7) - 0.25;
    double squares = 0;
    for (const double g : grads) squares += g * g;
    const double norm = norm_of(OwnedTensor({n}, DType::f64, grads));
    EXPECT_NEAR(norm, std::sqrt(squares), 1e-13 * norm);
    EXPECT_NEAR(norm_of(OwnedTensor({n}, DType::f64, grads), 0.25), norm / 4, 1e-14 * norm);
    EXPECT_NEAR(norm_of(OwnedTensor({n}, DType::f32, grads)), norm, 1e-6 * norm);
    for (const double limit : {0.01, 1.0, 100.0}) {
      EXPECT_NEAR(factor_of(norm, limit), ref::clip_factor(grads, limit), 1e-13);
    }
  }
}

TEST(Clip, LimitIsReachedExactly) {
  EXPECT_EQ(factor_of(8.0, 2.0), 0.25);
  EXPECT_EQ(factor_of(2.0, 2.0), 1.0);
  EXPECT_EQ(factor_of(0.0, 2.0), 1.0);
}

TEST(Clip, ZeroLimitTurnsItOff) {
  EXPECT_EQ(factor_of(1e9, 0.0), 1.0);
  EXPECT_THROW(factor_of(1.0, -1.0), Error);
}

// Squares of large floats overflow a float but not the norm.
TEST(Clip, LargeGradientsAreFinite) {
  EXPECT_NEAR(norm_of(OwnedTensor({2}, DType::f32, {3e30, 4e30})), 5e30, 1e24);
}

TEST(Clip, NotFiniteSpoilsTheFactor) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    std::vector<double> grads(33, 0.5);
    grads[17] = bad;
    const double norm = norm_of(OwnedTensor({33}, DType::f32, grads));
    EXPECT_FALSE(std::isfinite(norm));
    for (const double limit : {0.0, 1.0}) {
      EXPECT_TRUE(std::isnan(factor_of(norm, limit)));
      EXPECT_TRUE(std::isnan(factor_of(1.0, limit, bad))) << "the loss";
    }
  }
}

TEST(Clip, LossMayBeLeftOut) {
  Context& context = context_under_test();
  const OwnedTensor factor({1}, DType::f64);
  clip_factor(
      context,
      {.norm = OwnedTensor({1}, DType::f64, {4.0}), .loss = {}, .limit = 1.0, .factor = factor});
  EXPECT_EQ(factor.values()[0], 0.25);
}

}  // namespace
}  // namespace funnel::testing
