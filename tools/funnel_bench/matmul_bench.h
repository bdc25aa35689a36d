// SPDX-License-Identifier: Apache-2.0
// The matrix products of a configuration's step, each checked against sums in double precision and
// timed. matmul_ceiling() is what they are measured against.
#pragma once

#include <vector>

#include "core/backend/context.h"
#include "launch/config.h"
#include "tools/funnel_bench/measurement.h"

namespace funnel {

// A product of three matrices of edge x edge random numbers, result in dtype.
Measurement matmul_ceiling(Context& context, DType dtype, int64_t edge, int repeats);

// Forward product, input gradient and weight gradient of every linear layer of the discriminator
// (or MLM network) at each length, of the generator at full length, and of the vocabulary head, for
// one logical shard of the configuration. With more than one of `algorithms` also so many ways of
// the library to compute each, as far as it has them.
std::vector<Measurement> bench_matmul(Context& context, const RunConfig& config, DType dtype,
                                      int repeats, int algorithms = 1);

}  // namespace funnel
