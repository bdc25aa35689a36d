// SPDX-License-Identifier: Apache-2.0
// One step of AdamW over a piece of the flat buffers, in the three forms of UpdateForm. A piece may
// be all of them or the range that a rank owns; each element's update is its own, so pieces give
// the bits that the whole would.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/backend/buffer.h"
#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/layers/params.h"
#include "core/optim/optimizer_config.h"

namespace funnel {

// Elements [first, first + count) of the flat buffers, all decaying or all not.
struct DecayRun {
  int64_t first = 0;
  int64_t count = 0;
  bool decays = true;
  friend bool operator==(const DecayRun&, const DecayRun&) = default;
};

// Joins neighbours that agree. Runs are in order and disjoint; a
// gap (alignment between parameters) goes to the run before it, which is harmless because its
// values and gradients are zero.
std::vector<DecayRun> join_runs(std::span<const DecayRun> runs);

// The joined runs of all parameters.
std::vector<DecayRun> decay_runs(const Params& params, DecayExclusions exclusions);

// A piece of the flat buffers cut into chunks that a step works on side by side, all in one pass,
// with the decay of each. Lies on the context's device; made once, for every step.
class UpdateTable {
 public:
  // Elements [first, first + count) of the flat buffers. `runs` are of the whole, joined; throws
  // unless they cover the piece.
  UpdateTable(Context& context, std::span<const DecayRun> runs, int64_t first, int64_t count);

  int64_t count() const { return count_; }
  ConstTensor chunks() const;  // as AdamUpdate::chunks, counted from the piece's begin

 private:
  int64_t count_;
  Buffer memory_;
};

struct AdamWStep {
  Tensor values, moment1, moment2;  // [n] each, updated in place
  Tensor rounded = {};              // [n] bf16, becomes the new values, rounded; or null
  ConstTensor grads;                // [n]
  const UpdateTable& table;         // of the piece that the tensors are
  int64_t step = 0;                 // 0, 1, ...
  double learning_rate = 0.0;       // of this step
  double gradient_factor = 1.0;     // multiplies the gradient on the fly (averaging)
  ConstTensor factor = {};  // [1] f64, so does this (clipping): see core/ops/adam.h; or null
};

// Throws unless the table is of n elements.
void adamw_step(Context& context, const OptimizerConfig& config, const AdamWStep& args);

}  // namespace funnel
