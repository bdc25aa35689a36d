// SPDX-License-Identifier: Apache-2.0
#include "core/layers/feed_forward.h"

namespace funnel {

FeedForward::FeedForward(Params& params, const std::string& path, const FeedForwardSizes& sizes)
    : sizes_(sizes),
      up_(params, path + "/up", sizes.width, sizes.inner, true),
      down_(params, path + "/down", sizes.inner, sizes.width, true),
      norm_(params, path + "/norm", sizes.width, sizes.epsilon, sizes.hidden_dropout) {}

Dropout FeedForward::activation_dropout(Step& step, Site site, int64_t rows_per_sample) const {
  return step.dropout(site / "activation", sizes_.activation_dropout,
                      rows_per_sample * sizes_.inner);
}

void FeedForward::forward(Step& step, Site site, ConstTensor x, Tensor y, int64_t rows_per_sample,
                          Saved& saved, const NormOutlet& outlet) const {
  saved.pre = step.saved.tensor({x.rows(), sizes_.inner}, x.dtype());
  Tensor active = step.saved.tensor({x.rows(), sizes_.inner}, x.dtype());
  Tensor branch = step.saved.tensor({x.rows(), sizes_.width}, x.dtype());
  up_.forward_gelu(step, activation_dropout(step, site, rows_per_sample), x, saved.pre, active,
                   saved.up);
  down_.forward(step, active, branch, saved.down);
  norm_.forward(step, site, x, branch, y, rows_per_sample, saved.norm, outlet);
}

void FeedForward::backward(Step& step, Site site, const Saved& saved, const NormGradient& gradient,
                           Tensor dx, int64_t rows_per_sample) const {
  Scratch scratch(step.context.scratch());
  Tensor dbranch = scratch.tensor({dx.rows(), sizes_.width}, dx.dtype());
  Tensor dpre = scratch.tensor({dx.rows(), sizes_.inner}, dx.dtype());
  norm_.backward(step, site, saved.norm, gradient, rows_per_sample,
                 {.dresidual = dx, .dbranch = dbranch, .dbias = down_.bias_gradient()});
  down_.backward_gelu(step, saved.down, dbranch, activation_dropout(step, site, rows_per_sample),
                      saved.pre, dpre);
  up_.backward(step, saved.up, dpre, dx, {.accumulate_dx = true});
}

}  // namespace funnel
