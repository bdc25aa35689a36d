// SPDX-License-Identifier: Apache-2.0
// The tensors of one residual norm, with outputs that begin as NaN and parameters' gradients that
// begin as noise, and what the double reference makes of them.
#pragma once

#include <vector>

#include "core/ops/residual_norm.h"
#include "tests/reference/layer_norm.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {

inline constexpr double kNormEpsilon = 1e-8;

inline Dropout norm_dropout() {
  return Dropout(0.25, RandomStream(5, Site("norm"), 3), 21);
}

struct ResidualNormRig {
  ResidualNormRig(DType dtype, int64_t n, int64_t width, const Dropout& drops)
      : rows(n),
        cols(width),
        dropout(drops),
        residual(random_tensor({rows, cols}, dtype, 1, 0.5, 2)),
        branch(random_tensor({rows, cols}, dtype, 2)),
        sum({rows, cols}, dtype, branch.values()),
        gamma(random_tensor({cols}, dtype, 3, 1, 0.3)),
        beta(random_tensor({cols}, dtype, 4)),
        y({rows, cols}, dtype),
        mean({rows}, compute_dtype(dtype)),
        rstd({rows}, compute_dtype(dtype)),
        dy(random_tensor({rows, cols}, dtype, 5)),
        dresidual({rows, cols}, dtype),
        dbranch({rows, cols}, dtype),
        dgamma(random_tensor({cols}, compute_dtype(dtype), 6)),
        dbeta(random_tensor({cols}, compute_dtype(dtype), 7)),
        dbias(random_tensor({cols}, compute_dtype(dtype), 8)) {}

  void forward(Tensor to, const NormOutlet& outlet = {}) {
    context.copy(branch, sum);
    residual_norm_forward(context, {.residual = residual,
                                    .branch = sum,
                                    .dropout = dropout,
                                    .gamma = gamma,
                                    .beta = beta,
                                    .epsilon = kNormEpsilon,
                                    .y = to,
                                    .mean = mean,
                                    .rstd = rstd,
                                    .outlet = outlet});
  }
  void backward(const NormGradient& gradient, Tensor to) {
    residual_norm_backward(context, {.sum = sum,
                                     .gamma = gamma,
                                     .mean = mean,
                                     .rstd = rstd,
                                     .dropout = dropout,
                                     .gradient = gradient,
                                     .dresidual = to,
                                     .dbranch = dbranch,
                                     .dgamma = dgamma,
                                     .dbeta = dbeta,
                                     .dbias = dbias});
  }

  std::vector<double> factors() const {
    std::vector<double> all;
    for (int64_t i = 0; dropout.active() && i < rows * cols; ++i) all.push_back(dropout.factor(i));
    return all;
  }
  ref::ResidualNorm expected() const {
    return ref::residual_norm_forward(residual.values(), branch.values(), factors(), gamma.values(),
                                      beta.values(), rows, cols, kNormEpsilon);
  }
  void expect_forward(const Tolerance& tolerance) const {
    const ref::ResidualNorm reference = expected();
    expect_close("sum", sum.values(), reference.sum, tolerance);
    expect_close("y", y.values(), reference.norm.y, tolerance);
    expect_close("mean", mean.values(), reference.norm.mean, tolerance);
    expect_close("rstd", rstd.values(), reference.norm.rstd, tolerance);
  }

  // Runs backward and compares it with the reference for y's gradient `of_y`.
  void expect_backward(const NormGradient& gradient, const std::vector<double>& of_y,
                       const Tolerance& tolerance) {
    const ref::ResidualNormGradient reference = ref::residual_norm_backward(
        of_y, expected().sum, factors(), gamma.values(), rows, cols, kNormEpsilon);
    const std::vector<double> of_gamma = ref::add(dgamma.values(), reference.dgamma);
    const std::vector<double> of_beta = ref::add(dbeta.values(), reference.dbeta);
    const std::vector<double> of_bias = ref::add(dbias.values(), reference.dbias);
    backward(gradient, dresidual);
    expect_close("dgamma", dgamma.values(), of_gamma, tolerance);
    expect_close("dbeta", dbeta.values(), of_beta, tolerance);
    // A row of one has no variance: its exact gradient is 0, and what is left of it is rounding
    // times the largest rstd.
    if (cols == 1) return;
    expect_close("dresidual", dresidual.values(), reference.dresidual, tolerance);
    expect_close("dbranch", dbranch.values(), reference.dbranch, tolerance);
    expect_close("dbias", dbias.values(), of_bias, tolerance);
  }

  // Makes the parameters' gradients zero, as central differences want them.
  void forget_gradients() {
    for (const Tensor& one : {dgamma.tensor(), dbeta.tensor(), dbias.tensor()}) {
      context.fill_zero(one);
    }
  }
  std::vector<CheckedInput> inputs() const {
    return {{"residual", residual, dresidual},
            {"branch", branch, dbranch},
            {"gamma", gamma, dgamma},
            {"beta", beta, dbeta}};
  }

  Context& context = context_under_test();
  int64_t rows, cols;
  Dropout dropout;
  OwnedTensor residual, branch, sum, gamma, beta, y, mean, rstd;
  OwnedTensor dy, dresidual, dbranch, dgamma, dbeta, dbias;
};

}  // namespace funnel::testing
