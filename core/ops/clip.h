// SPDX-License-Identifier: Apache-2.0
// Limits the global norm of a gradient, as tf.clip_by_global_norm does: gradients are multiplied by
// limit / max(norm, limit). Norm and factor stay where the gradient lies, so that a step never
// waits for them; the factor is applied by whoever reads the gradient next.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// norm [1] f64 = factor * the square root of the sum of squares of all elements, in double,
// overwritten. NaN or infinite if an element is.
void gradient_norm(Context& context, ConstTensor grads, double factor, Tensor norm);

struct ClipFactor {
  ConstTensor norm;    // [1] f64
  ConstTensor loss;    // [1] f64, or null: a second number that has to be finite
  double limit = 0.0;  // 0 turns clipping off
  Tensor factor;  // [1] f64, overwritten: NaN where norm or loss is not finite, else limit / norm
                  // where the norm exceeds the limit, else 1
};
void clip_factor(Context& context, const ClipFactor& args);

}  // namespace funnel
