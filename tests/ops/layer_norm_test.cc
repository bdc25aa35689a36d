// SPDX-License-Identifier: Apache-2.0
// Oracles: the double references of tests/reference/layer_norm.h, and central differences.
#include "core/ops/layer_norm.h"

#include <gtest/gtest.h>

#include "tests/reference/layer_norm.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel {
namespace {

using namespace funnel::testing;

constexpr double kEpsilon = 1e-8;

struct Sizes {
  int64_t rows, cols;
};

// The tensors of one norm, with outputs that begin as NaN and gradients that begin as noise.
struct Norm {
  Norm(DType dtype, Sizes sizes, double mean = 0.5, double deviation = 2)
      : rows(sizes.rows),
        cols(sizes.cols),
        x(random_tensor({rows, cols}, dtype, 1, mean, deviation)),
        gamma(random_tensor({cols}, dtype, 2, 1, 0.3)),
        beta(random_tensor({cols}, dtype, 3)),
        y({rows, cols}, dtype),
        mean({rows}, compute_dtype(dtype)),
        rstd({rows}, compute_dtype(dtype)),
        dy(random_tensor({rows, cols}, dtype, 4)),
        dx({rows, cols}, dtype),
        dgamma(random_tensor({cols}, compute_dtype(dtype), 5)),
        dbeta(random_tensor({cols}, compute_dtype(dtype), 6)) {}

  void forward() {
    layer_norm_forward(context, {.x = x,
                                 .gamma = gamma,
                                 .beta = beta,
                                 .epsilon = kEpsilon,
                                 .y = y,
                                 .mean = mean,
                                 .rstd = rstd});
  }
  void backward(ConstTensor upstream, Tensor to) {
    layer_norm_backward(context, {.x = x,
                                  .gamma = gamma,
                                  .mean = mean,
                                  .rstd = rstd,
                                  .dy = upstream,
                                  .dx = to,
                                  .dgamma = dgamma,
                                  .dbeta = dbeta});
  }

  Context& context = context_under_test();
  int64_t rows, cols;
  OwnedTensor x, gamma, beta, y, mean, rstd, dy, dx, dgamma, dbeta;
};

class LayerNorm : public ::testing::TestWithParam<std::tuple<DType, Sizes>> {
 protected:
  const DType dtype = std::get<0>(GetParam());
  const Sizes sizes = std::get<1>(GetParam());
  const Tolerance tolerance = tolerance_of(dtype, Kind::row);
};

TEST_P(LayerNorm, MatchesReference) {
  Norm norm(dtype, sizes);
  norm.forward();
  const ref::LayerNorm expected = ref::layer_norm_forward(
      norm.x.values(), norm.gamma.values(), norm.beta.values(), norm.rows, norm.cols, kEpsilon);
  expect_close("y", norm.y.values(), expected.y, tolerance);
  expect_close("mean", norm.mean.values(), expected.mean, tolerance);
  expect_close("rstd", norm.rstd.values(), expected.rstd, tolerance);

  const ref::LayerNormGradient gradient = ref::layer_norm_backward(
      norm.dy.values(), norm.x.values(), norm.gamma.values(), norm.rows, norm.cols, kEpsilon);
  const std::vector<double> dgamma = ref::add(norm.dgamma.values(), gradient.dgamma);
  const std::vector<double> dbeta = ref::add(norm.dbeta.values(), gradient.dbeta);
  norm.backward(norm.dy, norm.dx);
  // A row of one has no variance: its exact gradient is 0, and what is left of it is rounding
  // times the largest rstd.
  if (norm.cols > 1) expect_close("dx", norm.dx.values(), gradient.dx, tolerance);
  expect_close("dgamma", norm.dgamma.values(), dgamma, tolerance);
  expect_close("dbeta", norm.dbeta.values(), dbeta, tolerance);

  norm.backward(norm.dy, norm.dy);
  EXPECT_TRUE(same_bits(norm.dy, norm.dx)) << "dx = dy";
}

// 768 is the widest row that a warp holds in backward; 2049 needs the widest team.
INSTANTIATE_TEST_SUITE_P(Sizes, LayerNorm,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64, DType::bf16),
                                            ::testing::Values(Sizes{0, 7}, Sizes{1, 1},
                                                              Sizes{1, 31}, Sizes{31, 33},
                                                              Sizes{33, 31}, Sizes{97, 768},
                                                              Sizes{33, 1000}, Sizes{2, 2049})));

// A mean a thousand times the deviation costs the digits that the input itself has lost, no more;
// the one-pass form of the variance would lose all.
TEST(LayerNorm, LargeMean) {
  Norm norm(DType::f32, {5, 1000}, 1000, 1);
  norm.forward();
  const ref::LayerNorm expected = ref::layer_norm_forward(norm.x.values(), norm.gamma.values(),
                                                          norm.beta.values(), 5, 1000, kEpsilon);
  expect_close("y", norm.y.values(), expected.y, {0, 1000 * 0x1p-23});
  expect_close("rstd", norm.rstd.values(), expected.rstd, {1e-5, 0});
}

TEST(LayerNorm, TinyAndNoVariance) {
  Norm tiny(DType::f32, {5, 33}, 0, 1e-6);
  tiny.forward();
  const ref::LayerNorm expected = ref::layer_norm_forward(tiny.x.values(), tiny.gamma.values(),
                                                          tiny.beta.values(), 5, 33, kEpsilon);
  expect_close("y", tiny.y.values(), expected.y, tolerance_of(DType::f32, Kind::row));

  Norm flat(DType::f32, {1, 33}, 4, 0);
  flat.forward();
  EXPECT_EQ(flat.y.values(), flat.beta.values());
  flat.backward(flat.dy, flat.dx);
  for (double value : flat.dx.values()) EXPECT_TRUE(std::isfinite(value));
}

TEST(LayerNorm, BackwardIsTheDerivative) {
  Norm norm(DType::f64, {3, 9});
  const Functional functional(norm.y.tensor().shape(), 8);
  norm.context.fill_zero(norm.dgamma);
  norm.context.fill_zero(norm.dbeta);
  norm.forward();
  norm.backward(functional.gradient(), norm.dx);
  const auto forward = [&] {
    norm.forward();
    return functional.of(norm.y);
  };
  check_gradients(forward, {{"x", norm.x, norm.dx},
                            {"gamma", norm.gamma, norm.dgamma},
                            {"beta", norm.beta, norm.dbeta}});
}

TEST(LayerNorm, XIsNotOverwritten) {
  Norm norm(DType::f32, {3, 9});
  EXPECT_THROW(layer_norm_forward(norm.context, {.x = norm.x,
                                                 .gamma = norm.gamma,
                                                 .beta = norm.beta,
                                                 .y = norm.x,
                                                 .mean = norm.mean,
                                                 .rstd = norm.rstd}),
               Error);
}

}  // namespace
}  // namespace funnel
