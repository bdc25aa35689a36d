// SPDX-License-Identifier: Apache-2.0
// Initial weights.
#pragma once

#include "core/base/random.h"
#include "core/base/tensor.h"

namespace funnel {

// The inverse of the standard normal distribution function, to about 1e-15 for p in
// [1e-10, 1 - 1e-10] and less closely beyond: algorithm AS 241 (Wichura, Applied Statistics 37,
// 1988) without its outermost tails.
double normal_quantile(double p);

// values = std * a standard normal cut at two deviations (so the effective deviation is 0.8796
// std); element i uses index i of the stream. Host memory, f32 or f64.
void fill_truncated_normal(RandomStream stream, double std, Tensor values);

}  // namespace funnel
