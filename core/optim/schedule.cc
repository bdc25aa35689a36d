// SPDX-License-Identifier: Apache-2.0
#include "core/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/error.h"

namespace funnel {

double learning_rate(const OptimizerConfig& config, int64_t total_steps, int64_t step) {
  FUNNEL_CHECK(step >= 0, "learning_rate: expected a step of at least 0, found ", step);
  const double low = config.learning_rate * config.min_learning_rate_ratio;
  const double range = config.learning_rate - low;
  if (step < config.warmup_steps) {
    const int64_t done = config.first_step_rate == FirstStepRate::one_step ? step + 1 : step;
    return low + range * static_cast<double>(done) / static_cast<double>(config.warmup_steps);
  }
  const int64_t decay_steps = total_steps - config.warmup_steps;
  if (decay_steps <= 0) return config.learning_rate;
  const double done = std::min(
      1.0, static_cast<double>(step - config.warmup_steps) / static_cast<double>(decay_steps));
  const double left = config.decay == RateDecay::cosine
                          ? 0.5 * (1.0 + std::cos(std::numbers::pi * done))
                          : 1.0 - done;
  return low + range * left;
}

}  // namespace funnel
