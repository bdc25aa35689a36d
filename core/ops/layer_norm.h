// SPDX-License-Identifier: Apache-2.0
// Normalises each row to zero mean and unit variance, then scales and shifts:
//     y = (x - mean) * rstd * gamma + beta,     rstd = 1 / sqrt(var + epsilon)
// with the biased variance of the row, computed in two passes. The residual form normalises
// x = residual + dropout(branch), the post-norm step of every sub-layer.
//
// mean, rstd, dgamma, dbeta and dbias are f32 where the rest is bf16; statistics are those of the
// rounded x.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/ops/dropout.h"

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

struct ResidualNormForward {
  ConstTensor residual;  // [rows, cols]
  Tensor branch;         // [rows, cols]; becomes residual + dropout(branch), which backward needs
  Dropout dropout;       // of branch; element 0 is branch's element 0
  ConstTensor gamma, beta;
  double epsilon = 1e-8;
  Tensor y;           // [rows, cols], overwritten; may be residual, must not be branch
  Tensor mean, rstd;  // [rows], overwritten
};
void residual_norm_forward(Context& context, const ResidualNormForward& args);

struct ResidualNormBackward {
  ConstTensor sum;  // [rows, cols], what forward left in branch
  ConstTensor gamma, mean, rstd;
  Dropout dropout;
  ConstTensor dy;        // [rows, cols]
  Tensor dresidual;      // [rows, cols], overwritten; may be dy
  Tensor dbranch;        // [rows, cols], overwritten: dresidual through the dropout; must not be dy
  Tensor dgamma, dbeta;  // [cols], accumulated
  Tensor dbias;          // [cols], accumulated: the column sums of dbranch, which are the gradient
                         // of the bias of the linear layer that branch came from
};
void residual_norm_backward(Context& context, const ResidualNormBackward& args);

}  // namespace funnel
