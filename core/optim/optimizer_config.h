// SPDX-License-Identifier: Apache-2.0
// How weights are updated: plain numbers, filled by launch/config from the text format, documented
// field by field in configs/schema.proto. Defaults are those of laiguokun/Funnel-Transformer's
// tensorflow/{optimization,tpu_optimizer}.py; the total number of steps is TrainConfig's.
#pragma once

#include <cstdint>

namespace funnel {

// The curve of the learning rate from the end of the warm-up to the last step.
enum class RateDecay { linear, cosine };

// The rate of step t = 0, 1, ... during a warm-up of n steps.
enum class FirstStepRate {
  zero,      // learning_rate * t / n: the first step moves nothing (TensorFlow code)
  one_step,  // learning_rate * (t + 1) / n (PyTorch port)
};

// Which parameters weight decay leaves alone.
enum class DecayExclusions {
  none,
  norms_and_biases,  // every LayerNorm and bias; r_w_bias, r_r_bias and r_s_bias still decay
};

// With m, v the moments after step t = 0, 1, ..., c1 = 1 - beta1^(t+1), c2 = 1 - beta2^(t+1).
enum class UpdateForm {
  reference,      // w -= rate * sqrt(c2) / c1 * (m / (sqrt(v) + epsilon) + weight_decay * w)
  usual,          // w -= rate * ((m / c1) / (sqrt(v / c2) + epsilon) + weight_decay * w)
  no_correction,  // w -= rate * (m / (sqrt(v) + epsilon) + weight_decay * w)
};

// Where the gradient's norm is limited.
enum class ClipScope {
  per_shard,  // each logical shard's gradient, before they are combined
  global,     // the combined gradient
};

// How the gradients of the logical shards are combined.
enum class GradientReduction { sum, mean };

struct OptimizerConfig {
  double learning_rate = 1e-4;  // at the end of the warm-up
  int64_t warmup_steps = 10000;
  RateDecay decay = RateDecay::linear;
  double min_learning_rate_ratio = 0.0;  // of learning_rate, reached at the last step
  FirstStepRate first_step_rate = FirstStepRate::zero;

  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-6;
  UpdateForm update_form = UpdateForm::reference;

  double weight_decay = 0.0;
  DecayExclusions decay_exclusions = DecayExclusions::none;

  double clip_norm = 1.0;  // 0 turns clipping off
  ClipScope clip_scope = ClipScope::per_shard;
  GradientReduction gradient_reduction = GradientReduction::sum;

  friend bool operator==(const OptimizerConfig&, const OptimizerConfig&) = default;
};

}  // namespace funnel
