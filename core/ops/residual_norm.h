// SPDX-License-Identifier: Apache-2.0
// The end of a sub-layer (post-norm),
//     y = norm(residual + dropout(branch))
// with the norm of core/ops/layer_norm.h. Where the sequence changes its length behind it, y goes
// through an outlet in the same visit of its rows: pooled for the next block, or repeated for the
// decoder. In backward the gradient of y comes back through the outlet.
//
// mean, rstd, dgamma, dbeta and dbias are f32 where the rest is bf16; statistics are those of the
// rounded sum.
#pragma once

#include <variant>

#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/ops/dropout.h"
#include "core/ops/pooling.h"
#include "core/ops/upsample.h"

namespace funnel {

// pooled [batch, windows.pooled(), cols], overwritten: the mean or the maximum of each window of
// y's rows [batch, windows.seq].
struct PoolOutlet {
  PoolWindows windows;
  Pooling pooling = Pooling::mean;
  Tensor pooled;
};

// sum [batch, seq, cols], overwritten: skip [batch, seq, cols] plus y's rows [batch, rows / batch],
// repeated; may be skip.
struct UpsampleOutlet {
  Upsample upsample;
  ConstTensor skip;
  Tensor sum;
};

using NormOutlet = std::variant<std::monostate, PoolOutlet, UpsampleOutlet>;

struct ResidualNormForward {
  ConstTensor residual;  // [rows, cols]
  Tensor branch;         // [rows, cols]; becomes residual + dropout(branch), which backward needs
  Dropout dropout;       // of branch; element 0 is branch's element 0
  ConstTensor gamma, beta;
  double epsilon = 1e-8;
  Tensor y;           // [rows, cols], overwritten; may be residual, must not be branch
  Tensor mean, rstd;  // [rows], overwritten
  NormOutlet outlet = {};
};
void residual_norm_forward(Context& context, const ResidualNormForward& args);

// What came back of a PoolOutlet: each member's share of dpooled, or, where the maximum was taken,
// all of it for the first of the largest. The truncated tail has no part in it.
struct PoolGradient {
  PoolWindows windows;
  Pooling pooling = Pooling::mean;
  ConstTensor y;        // [rows, cols], forward's; Pooling::max alone reads it
  ConstTensor dpooled;  // [batch, windows.pooled(), cols]
};

// What came back of an UpsampleOutlet: the sum over the copies. (That of skip is dsum itself.)
struct UpsampleGradient {
  Upsample upsample;
  ConstTensor dsum;  // [batch, seq, cols]
};

// The gradient of y: of those that read y itself, and what came back of the outlet.
struct NormGradient {
  NormGradient(ConstTensor gradient) : dy(gradient) {}
  NormGradient(Tensor gradient) : dy(gradient) {}
  // A null gradient: nobody reads y itself.
  NormGradient(ConstTensor gradient, const PoolGradient& back) : dy(gradient), outlet(back) {}
  NormGradient(const UpsampleGradient& back) : outlet(back) {}

  ConstTensor dy;  // [rows, cols]
  std::variant<std::monostate, PoolGradient, UpsampleGradient> outlet;
};

struct ResidualNormBackward {
  ConstTensor sum;  // [rows, cols], what forward left in branch
  ConstTensor gamma, mean, rstd;
  Dropout dropout;
  NormGradient gradient;
  Tensor dresidual;  // [rows, cols], overwritten; may be gradient.dy
  Tensor dbranch;    // [rows, cols], overwritten: dresidual through the dropout; must be none of
                     // the gradients that are read
  Tensor dgamma, dbeta;  // [cols], accumulated
  Tensor dbias;          // [cols], accumulated: the column sums of dbranch, which are the gradient
                         // of the bias of the linear layer that branch came from
};
void residual_norm_backward(Context& context, const ResidualNormBackward& args);

}  // namespace funnel
