// SPDX-License-Identifier: Apache-2.0
// The learning rate as a pure function of the step: a straight line up over the warm-up, then a
// straight line or half a cosine down (laiguokun/Funnel-Transformer, tensorflow/optimization.py).
#pragma once

#include <cstdint>

#include "core/optim/optimizer_config.h"

namespace funnel {

// The rate of step 0, 1, ... Both ends of the line are `min_learning_rate_ratio` of the peak; past
// total_steps the rate stays there.
double learning_rate(const OptimizerConfig& config, int64_t total_steps, int64_t step);

}  // namespace funnel
