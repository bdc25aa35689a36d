// SPDX-License-Identifier: Apache-2.0
// The kernels of a step that memory bounds, each checked against the host's double precision before
// it is timed. A row's bytes are those that have to be read or written at least once, so bytes over
// time, beside the rate of a copy, says how near a kernel comes to the best it could do.
#pragma once

#include <vector>

#include "core/backend/context.h"
#include "launch/config.h"
#include "tools/funnel_bench/measurement.h"

namespace funnel {

// One logical shard of the configuration: residual, dropout and layer norm; the embedding's rows
// and their gradient; the vocabulary's loss, draw and gradient; the optimizer's update.
std::vector<Measurement> bench_memory(Context& context, const RunConfig& config, DType dtype,
                                      int repeats);

// The parts of bench_memory().
void bench_norms(Context& context, const RunConfig& config, DType dtype, int repeats,
                 std::vector<Measurement>& rows);
void bench_embedding(Context& context, const RunConfig& config, DType dtype, int repeats,
                     std::vector<Measurement>& rows);
void bench_vocabulary(Context& context, const RunConfig& config, DType dtype, int repeats,
                      std::vector<Measurement>& rows);
void bench_update(Context& context, const RunConfig& config, DType dtype, int repeats,
                  std::vector<Measurement>& rows);

}  // namespace funnel
