// SPDX-License-Identifier: Apache-2.0
// Limits the global norm of a gradient, as tf.clip_by_global_norm does: gradients are multiplied by
// limit / max(norm, limit). The factor is applied by whoever reads the gradient next.
#pragma once

#include <cmath>

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// The square root of the sum of squares of all elements, in double. NaN or infinite if an element
// is.
double global_norm(Context& context, ConstTensor grads);

struct ClippedNorm {
  double norm = 0.0;    // before clipping
  double factor = 1.0;  // what the gradient is to be multiplied by
  // False if the gradient has a NaN or an infinity: no step may be taken with it.
  bool finite() const { return std::isfinite(norm); }
};

// limit 0 turns clipping off; the factor of a norm that is not finite is 0.
ClippedNorm clip_norm(double norm, double limit);

}  // namespace funnel
