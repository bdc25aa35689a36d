// SPDX-License-Identifier: Apache-2.0
// Step is what a pass through the model is about: where it computes, where it keeps activations,
// and everything its randomness depends on.
//
// Every layer has the shape
//     Layer(Params&, path, sizes…)                    registers parameters
//     struct Saved                                    every activation kept for backward
//     forward(Step&, Site, inputs…, outputs…, Saved&) overwrites its outputs
//     backward(Step&, Site, const Saved&, dy…, dx…)   overwrites activation gradients,
//                                                     accumulates parameter gradients
// The losses of the heads (MlmHead::predict, DiscriminatorHead::forward) accumulate already, while
// a row is at hand: gradients are cleared before forward. The caller provides outputs; what a layer
// keeps for itself comes from step.saved, what it needs for a moment from step.context.scratch().
// Backward must be given the Site of its forward.
#pragma once

#include <cstdint>

#include "core/backend/arena.h"
#include "core/backend/context.h"
#include "core/base/random.h"
#include "core/ops/dropout.h"

namespace funnel {

struct Step {
  Context& context;
  Arena& saved;
  uint64_t seed = 0;
  int64_t number = 0;        // of the training step
  int64_t first_sample = 0;  // position of this micro-batch in the global batch
  bool training = true;      // false: no dropout
  bool has_backward = true;  // false: forward for its loss alone

  // The dropout of a tensor whose rows start at first_sample, with so many elements per sample.
  Dropout dropout(Site site, double rate, int64_t elements_per_sample) const {
    if (!training || rate == 0) return {};
    return Dropout(rate, RandomStream(seed, site, number), first_sample * elements_per_sample);
  }
};

}  // namespace funnel
