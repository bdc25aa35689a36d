// SPDX-License-Identifier: Apache-2.0
// Oracles: the naive reference, and the properties of tf.clip_by_global_norm.
#include "core/optim/clip.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/reference/optimizer.h"

namespace funnel {
namespace {

TEST(Clip, NormAndFactorAgreeWithReference) {
  Context context(Device::cpu);
  for (const int64_t n : {1, 31, 33, 1000}) {
    std::vector<double> grads(n);
    for (int64_t i = 0; i < n; ++i) grads[i] = 0.1 * static_cast<double>(i % 7) - 0.25;
    const std::vector<float> narrow(grads.begin(), grads.end());
    double squares = 0;
    for (const double g : grads) squares += g * g;
    const double norm =
        global_norm(context, ConstTensor(grads.data(), Shape{n}, dtype_of<double>()));
    EXPECT_NEAR(norm, std::sqrt(squares), 1e-14 * norm);
    const double narrow_norm =
        global_norm(context, ConstTensor(narrow.data(), Shape{n}, dtype_of<float>()));
    EXPECT_NEAR(narrow_norm, norm, 1e-6 * norm);
    for (const double limit : {0.01, 1.0, 100.0}) {
      EXPECT_NEAR(clip_norm(norm, limit).factor, ref::clip_factor(grads, limit), 1e-14);
    }
  }
}

TEST(Clip, LimitIsReachedExactly) {
  const ClippedNorm clipped = clip_norm(8.0, 2.0);
  EXPECT_EQ(clipped.norm, 8.0);
  EXPECT_EQ(clipped.factor, 0.25);
  EXPECT_TRUE(clipped.finite());
  EXPECT_EQ(clip_norm(2.0, 2.0).factor, 1.0);
  EXPECT_EQ(clip_norm(0.0, 2.0).factor, 1.0);
}

TEST(Clip, ZeroLimitTurnsItOff) {
  EXPECT_EQ(clip_norm(1e9, 0.0).factor, 1.0);
  EXPECT_THROW(clip_norm(1.0, -1.0), Error);
}

// Squares of large floats overflow a float but not the norm.
TEST(Clip, LargeGradientsAreFinite) {
  Context context(Device::cpu);
  const std::vector<float> grads{3e30f, 4e30f};
  EXPECT_NEAR(global_norm(context, ConstTensor(grads.data(), {2}, DType::f32)), 5e30, 1e24);
}

TEST(Clip, NotFiniteIsReported) {
  Context context(Device::cpu);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> grads(33, 0.5f);
    grads[17] = bad;
    const double norm = global_norm(context, ConstTensor(grads.data(), {33}, DType::f32));
    const ClippedNorm clipped = clip_norm(norm, 1.0);
    EXPECT_FALSE(clipped.finite());
    EXPECT_EQ(clipped.factor, 0.0);
  }
}

}  // namespace
}  // namespace funnel
