// SPDX-License-Identifier: Apache-2.0
// A whole pretraining step over all ranks, and on one rank its parts, beside the most that the
// device could do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "parallel/comm.h"
#include "tools/funnel_bench/layer_bench.h"
#include "tools/funnel_bench/options.h"

namespace funnel {

struct StepTimes {
  std::string model;
  bool on_cpu = true;
  int ranks = 1;
  int64_t seq_len = 0, batch = 0, shards = 0;
  double peak_flops = 0;        // a second, of one rank's device: a core, or a GPU
  std::vector<BenchRow> parts;  // of one shard; none on several ranks
  double milliseconds = 0;      // of the whole step, the median
  // On a device, where steps are recorded: the same step launched kernel by kernel, and how many
  // kernels, copies and fills it has.
  std::optional<double> launched_ms{};
  int64_t recorded_operations = 0;
  double step_flops = 0;
  int64_t activation_bytes = 0, scratch_bytes = 0;
  bool finite = true;  // every loss and gradient

  double sequences_per_second() const { return 1e3 * static_cast<double>(batch) / milliseconds; }
  double flops_per_second() const { return 1e3 * step_flops / milliseconds; }
};

// Collective over `comm`, the ranks' group for `device`.
StepTimes bench_step(Comm& comm, Device device, const BenchOptions& options);

}  // namespace funnel
