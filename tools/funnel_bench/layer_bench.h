// SPDX-License-Identifier: Apache-2.0
// Times of the parts of a pretraining step, on one thread of the CPU or on a CUDA device, in the
// precision that the configuration asks for there.
#pragma once

#include <string>
#include <vector>

#include "core/backend/context.h"
#include "launch/config.h"

namespace funnel {

struct BenchRow {
  std::string name;
  int64_t calls = 0;      // in one step, per shard
  double flops = 0;       // of one call, forward and backward together
  double forward_ms = 0;  // medians
  double backward_ms = 0;
  double milliseconds() const { return forward_ms + backward_ms; }
};

// One row for each kind of layer of the discriminator (or MLM network) and of the generator, one
// each for embedding, heads with their losses, and the optimizer. `repeats` timings each.
std::vector<BenchRow> bench_layers(Context& context, const RunConfig& config, int repeats);

}  // namespace funnel
