// SPDX-License-Identifier: Apache-2.0
// Relative attention at every pair of lengths that a configuration's discriminator (or MLM network)
// has, forward and backward, checked against the CPU's f32 path and timed.
#pragma once

#include <vector>

#include "core/backend/context.h"
#include "launch/config.h"
#include "tools/funnel_bench/measurement.h"

namespace funnel {

// For one logical shard of the configuration. At the first pair also without dropout and without
// segments; on a CUDA device also by the materialised path where that is not the chosen one.
std::vector<Measurement> bench_attention(Context& context, const RunConfig& config, DType dtype,
                                         int repeats);

}  // namespace funnel
