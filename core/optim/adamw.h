// SPDX-License-Identifier: Apache-2.0
// One step of AdamW over a piece of the flat buffers, in the three forms of UpdateForm. A piece may
// be all of them or the range that a rank owns; each element's update is its own, so pieces give
// the bits that the whole would.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/optim/optimizer_config.h"

namespace funnel {

// Elements [first, first + count) of the flat buffers, all decaying or all not.
struct DecayRun {
  int64_t first = 0;
  int64_t count = 0;
  bool decays = true;
  friend bool operator==(const DecayRun&, const DecayRun&) = default;
};

// Joins neighbours that agree, so that a step makes few passes. Runs are in order and disjoint; a
// gap (alignment between parameters) goes to the run before it, which is harmless because its
// values and gradients are zero.
std::vector<DecayRun> join_runs(std::span<const DecayRun> runs);

struct AdamWStep {
  Tensor values, moment1, moment2;  // [n] each, updated in place
  ConstTensor grads;                // [n]
  int64_t first = 0;                // where the piece begins in the flat buffers
  std::span<const DecayRun> runs;   // of the whole flat buffers, joined; they cover the piece
  int64_t step = 0;                 // 0, 1, ...
  double learning_rate = 0.0;       // of this step
  double gradient_factor = 1.0;     // multiplies the gradient on the fly (averaging)
  ConstTensor factor = {};  // [1] f64, so does this (clipping): see core/ops/adam.h; or null
};

// Throws unless the runs cover the piece.
void adamw_step(Context& context, const OptimizerConfig& config, const AdamWStep& args);

}  // namespace funnel
