// SPDX-License-Identifier: Apache-2.0
// Oracles: the double references of tests/reference/layer_norm.h, and central differences.
#include "core/ops/residual_norm.h"

#include <gtest/gtest.h>

#include "tests/ops/residual_norm_rig.h"

namespace funnel::testing {
namespace {

struct Sizes {
  int64_t rows, cols;
};

class ResidualNorm : public ::testing::TestWithParam<std::tuple<DType, Sizes>> {};

TEST_P(ResidualNorm, MatchesReference) {
  const auto [dtype, sizes] = GetParam();
  const Tolerance tolerance = tolerance_of(dtype, Kind::row);
  for (const Dropout& dropout : {Dropout(), norm_dropout()}) {
    ResidualNormRig norm(dtype, sizes.rows, sizes.cols, dropout);
    norm.forward(norm.y);
    norm.expect_forward(tolerance);
    norm.expect_backward(norm.dy.tensor(), norm.dy.values(), tolerance);

    norm.backward(norm.dy.tensor(), norm.dy);
    EXPECT_TRUE(same_bits(norm.dy, norm.dresidual)) << "dresidual = dy";
    norm.forward(norm.residual);
    EXPECT_TRUE(same_bits(norm.residual, norm.y)) << "y = residual";
  }
}

// 768 is the widest row that a warp holds in backward; 2049 needs the widest team.
INSTANTIATE_TEST_SUITE_P(Sizes, ResidualNorm,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64, DType::bf16),
                                            ::testing::Values(Sizes{0, 7}, Sizes{1, 1},
                                                              Sizes{1, 31}, Sizes{31, 33},
                                                              Sizes{33, 31}, Sizes{97, 768},
                                                              Sizes{33, 1000}, Sizes{2, 2049})));

TEST(ResidualNorm, BackwardIsTheDerivative) {
  ResidualNormRig norm(DType::f64, 3, 9, norm_dropout());
  const Functional functional(norm.y.tensor().shape(), 8);
  const auto forward = [&] {
    norm.forward(norm.y);
    return functional.of(norm.y);
  };
  norm.forget_gradients();
  forward();
  norm.backward(functional.gradient(), norm.dresidual);
  check_gradients(forward, norm.inputs());
}

TEST(ResidualNorm, ForbiddenAliasesAreRefused) {
  ResidualNormRig norm(DType::f32, 3, 9, Dropout());
  EXPECT_THROW(norm.forward(norm.sum), Error);
  EXPECT_THROW(norm.backward(norm.dbranch.tensor(), norm.dresidual), Error);
}

}  // namespace
}  // namespace funnel::testing
