// SPDX-License-Identifier: Apache-2.0
#include "core/optim/clip.h"

#include "core/ops/reduce.h"

namespace funnel {

double global_norm(Context& context, ConstTensor grads) {
  Scratch scratch(context.scratch());
  const Tensor squares = scratch.tensor({1}, DType::f64);
  sum_squares(context, grads, squares);
  return std::sqrt(*squares.as<double>());
}

ClippedNorm clip_norm(double norm, double limit) {
  FUNNEL_CHECK(limit >= 0, "clip_norm: expected a limit of at least 0, found ", limit);
  if (!std::isfinite(norm)) return {.norm = norm, .factor = 0.0};
  return {.norm = norm, .factor = limit > 0 && norm > limit ? limit / norm : 1.0};
}

}  // namespace funnel
