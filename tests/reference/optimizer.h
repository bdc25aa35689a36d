// SPDX-License-Identifier: Apache-2.0
// Reference of the optimizer: three forms of Adam with weight decay, the learning-rate schedules
// and clipping by global norm.
#pragma once

#include <algorithm>
#include <cmath>

#include "tests/reference/matrix.h"

namespace funnel::ref {

struct AdamSettings {
  double learning_rate = 1e-4;
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-6, weight_decay = 0.0;
};

struct AdamState {
  Vector weights, m, v;
};

inline void update_moments(AdamState& state, const Vector& gradient, const AdamSettings& s) {
  for (size_t i = 0; i < state.weights.size(); ++i) {
    const double g = gradient.at(i);
    state.m.at(i) = s.beta1 * state.m.at(i) + (1.0 - s.beta1) * g;
    state.v.at(i) = s.beta2 * state.v.at(i) + (1.0 - s.beta2) * g * g;
  }
}

// laiguokun/Funnel-Transformer (tensorflow/optimization.py): epsilon joins the uncorrected root,
// and the correction sqrt(1 - beta2^t) / (1 - beta1^t) also scales the decay. `step` counts from 0,
// t = step + 1.
inline void adam_reference_form(AdamState& state, const Vector& gradient, const AdamSettings& s,
                                int64_t step) {
  update_moments(state, gradient, s);
  const double t = static_cast<double>(step + 1);
  const double correction = std::sqrt(1.0 - std::pow(s.beta2, t)) / (1.0 - std::pow(s.beta1, t));
  for (size_t i = 0; i < state.weights.size(); ++i) {
    const double update =
        state.m[i] / (std::sqrt(state.v[i]) + s.epsilon) + s.weight_decay * state.weights[i];
    state.weights[i] -= s.learning_rate * correction * update;
  }
}

// Loshchilov and Hutter, as in PyTorch: both moments corrected, decay by the learning rate alone.
inline void adam_usual_form(AdamState& state, const Vector& gradient, const AdamSettings& s,
                            int64_t step) {
  update_moments(state, gradient, s);
  const double t = static_cast<double>(step + 1);
  for (size_t i = 0; i < state.weights.size(); ++i) {
    const double m_hat = state.m[i] / (1.0 - std::pow(s.beta1, t));
    const double v_hat = state.v[i] / (1.0 - std::pow(s.beta2, t));
    const double decayed = state.weights[i] * (1.0 - s.learning_rate * s.weight_decay);
    state.weights[i] = decayed - s.learning_rate * m_hat / (std::sqrt(v_hat) + s.epsilon);
  }
}

// google-research/bert and google-research/electra: no bias correction.
inline void adam_uncorrected_form(AdamState& state, const Vector& gradient, const AdamSettings& s) {
  update_moments(state, gradient, s);
  for (size_t i = 0; i < state.weights.size(); ++i) {
    const double update =
        state.m[i] / (std::sqrt(state.v[i]) + s.epsilon) + s.weight_decay * state.weights[i];
    state.weights[i] -= s.learning_rate * update;
  }
}

struct ScheduleSettings {
  double peak = 1e-4, min_ratio = 0.0;
  int64_t warmup_steps = 0, total_steps = 1;
  bool cosine = false;
};

// The learning rate of step 0, 1, ...: a straight line from peak * min_ratio up to peak over the
// warm-up, then a straight line or half a cosine down to peak * min_ratio at total_steps.
inline double learning_rate(const ScheduleSettings& s, int64_t step) {
  const double low = s.peak * s.min_ratio;
  if (step < s.warmup_steps) {
    return low + (s.peak - low) * static_cast<double>(step) / static_cast<double>(s.warmup_steps);
  }
  const double done = std::min(1.0, static_cast<double>(step - s.warmup_steps) /
                                        static_cast<double>(s.total_steps - s.warmup_steps));
  const double left = s.cosine ? 0.5 * (1.0 + std::cos(std::acos(-1.0) * done)) : 1.0 - done;
  return low + (s.peak - low) * left;
}

// What gradients are multiplied by so that their global norm is at most max_norm.
inline double clip_factor(const Vector& gradient, double max_norm) {
  double squares = 0;
  for (double g : gradient) squares += g * g;
  const double norm = std::sqrt(squares);
  return norm > max_norm ? max_norm / norm : 1.0;
}

}  // namespace funnel::ref
