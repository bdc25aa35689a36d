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

struct AdamUpdate {
  Tensor values, moment1, moment2;  // w, m, v: [n] each, updated in place
  ConstTensor grads;                // [n]
  double gradient_factor = 1.0;
  ConstTensor factor;  // [1] f64 on the device; null: 1
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-6;
  double rate = 0.0, decay = 0.0;
};
void adam_update(Context& context, const AdamUpdate& args);

}  // namespace funnel
