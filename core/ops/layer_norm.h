// SPDX-License-Identifier: Apache-2.0
// Normalises each row to zero mean and unit variance, then scales and shifts:
//     y = (x - mean) * rstd * gamma + beta,     rstd = 1 / sqrt(var + epsilon)
// with the biased variance of the row, computed in two passes.
//
// mean, rstd, dgamma and dbeta are f32 where the rest is bf16.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// Columns at most; half as many in f64.
inline constexpr int64_t kLongestNorm = 8192;

struct LayerNormForward {
  ConstTensor x;            // [rows, cols]
  ConstTensor gamma, beta;  // [cols]
  double epsilon = 1e-8;
  Tensor y;           // [rows, cols], overwritten; must not be x
  Tensor mean, rstd;  // [rows], overwritten
};
void layer_norm_forward(Context& context, const LayerNormForward& args);

struct LayerNormBackward {
  ConstTensor x, gamma, mean, rstd;  // as in forward
  ConstTensor dy;                    // [rows, cols]
  Tensor dx;                         // [rows, cols], overwritten; may be dy
  Tensor dgamma, dbeta;              // [cols], accumulated
};
//     dx = rstd (g - mean(g) - xhat mean(g xhat)),   g = gamma dy
void layer_norm_backward(Context& context, const LayerNormBackward& args);

}  // namespace funnel
