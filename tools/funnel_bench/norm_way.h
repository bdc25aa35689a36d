// SPDX-License-Identifier: Apache-2.0
// Where the rows of a measured norm go on to, what comes back, and what the host knows of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/backend/arena.h"
#include "core/ops/residual_norm.h"
#include "tools/funnel_bench/random_pool.h"

namespace funnel {

struct NormWay {
  std::string name;  // of the way, after the norm's
  NormOutlet outlet;
  NormGradient gradient;
  std::vector<Tensor> outputs;  // of the outlet
  // Elements that have to be read or written for it, besides four of the norm itself for each of y.
  int64_t forward_elements = 0, backward_elements = 0;
  std::function<double(int64_t row, int64_t column)> dy;  // the whole gradient of y
  std::function<double()> error;                          // of the outputs, for the y that is there
};

// What a way is made of: y [rows, width], random numbers to read, and memory to write.
struct NormWayParts {
  Context& context;
  RandomPool& pool;
  Arena& memory;
  ConstTensor y;
};

// Nowhere else.
NormWay plain_way(const NormWayParts& parts);
// Pooled by their mean, y being whole examples of windows.seq rows.
NormWay pooled_way(const NormWayParts& parts, const PoolWindows& windows);
// Repeated for `seq` positions in each of `batch` examples.
NormWay upsampled_way(const NormWayParts& parts, const Upsample& upsample, int64_t batch,
                      int64_t seq);

}  // namespace funnel
