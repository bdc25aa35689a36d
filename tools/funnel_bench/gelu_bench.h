// SPDX-License-Identifier: Apache-2.0
// GELU and its gradient where a step has them, behind the products of feed-forward layers: joined
// to the product, where the library does that, and after it.
#pragma once

#include <vector>

#include "core/backend/context.h"
#include "launch/config.h"
#include "tools/funnel_bench/measurement.h"

namespace funnel {

// For each length of the discriminator (or MLM network), for one logical shard of the
// configuration: checked against sums in double precision, then timed. The path is "joined" or
// "apart".
std::vector<Measurement> bench_gelu(Context& context, const RunConfig& config, DType dtype,
                                    int repeats);

}  // namespace funnel
