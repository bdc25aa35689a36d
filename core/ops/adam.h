// SPDX-License-Identifier: Apache-2.0
// The update of Adam with weight decay on plain numbers; core/optim/adamw.h derives them from the
// optimizer's configuration and the step:
//     g = gradient_factor * factor * grad
//     m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
//     w -= rate * m / (sqrt(v) + epsilon) + decay * w
// With a product of factors that is not finite, nothing is updated: so a step with such a gradient
// is skipped by the device itself, before anybody on the host has seen a number of it.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// Elements [first, first + count) of the tensors below, all decaying or all not. A team works on
// one such piece, so they should be neither short nor long.
struct AdamChunk {
  int64_t first = 0;
  int32_t count = 0;
  int32_t decays = 0;  // 0 or 1
};

// Updates the elements of all chunks in one pass, whatever their number; an element's update is its
// own, so its bits do not depend on how it is cut.
struct AdamUpdate {
  Tensor values, moment1, moment2;  // w, m, v: [n] each, updated in place
  Tensor copy;                      // [n] bf16, becomes the new values, rounded; or null
  ConstTensor grads;                // [n]
  ConstTensor chunks;               // [m * sizeof(AdamChunk)] u8: m disjoint AdamChunk, in [0, n)
  double gradient_factor = 1.0;
  ConstTensor factor;  // [1] f64 on the device; null: 1
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-6;
  double rate = 0.0, decay = 0.0;  // decay: of the chunks that decay
};
void adam_update(Context& context, const AdamUpdate& args);

}  // namespace funnel
