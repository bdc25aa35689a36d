// SPDX-License-Identifier: Apache-2.0
#include "core/layers/norm.h"

#include "core/ops/layer_norm.h"

namespace funnel {

Norm::Norm(Params& params, const std::string& path, int64_t width, double epsilon)
    : gamma_(params.add(path + "/gamma", {width}, ParamKind::norm_gain)),
      beta_(params.add(path + "/beta", {width}, ParamKind::norm_bias)),
      epsilon_(epsilon) {}

void Norm::forward(Step& step, ConstTensor x, Tensor y, Saved& saved) const {
  saved.x = x;
  saved.mean = step.saved.tensor({x.rows()}, compute_dtype(x.dtype()));
  saved.rstd = step.saved.tensor({x.rows()}, compute_dtype(x.dtype()));
  layer_norm_forward(step.context, {.x = x,
                                    .gamma = gamma_.value,
                                    .beta = beta_.value,
                                    .epsilon = epsilon_,
                                    .y = y,
                                    .mean = saved.mean,
                                    .rstd = saved.rstd});
}

void Norm::backward(Step& step, const Saved& saved, ConstTensor dy, Tensor dx) const {
  layer_norm_backward(step.context, {.x = saved.x,
                                     .gamma = gamma_.value,
                                     .mean = saved.mean,
                                     .rstd = saved.rstd,
                                     .dy = dy,
                                     .dx = dx,
                                     .dgamma = gamma_.grad,
                                     .dbeta = beta_.grad});
}

Dropout ResidualNorm::dropout(Step& step, Site site, ConstTensor x, int64_t rows_per_sample) const {
  return step.dropout(site / "dropout", dropout_, rows_per_sample * x.cols());
}

void ResidualNorm::forward(Step& step, Site site, ConstTensor residual, Tensor branch, Tensor y,
                           int64_t rows_per_sample, Saved& saved, const NormOutlet& outlet) const {
  saved.x = branch;
  saved.mean = step.saved.tensor({branch.rows()}, compute_dtype(branch.dtype()));
  saved.rstd = step.saved.tensor({branch.rows()}, compute_dtype(branch.dtype()));
  residual_norm_forward(step.context, {.residual = residual,
                                       .branch = branch,
                                       .dropout = dropout(step, site, branch, rows_per_sample),
                                       .gamma = norm_.gamma_.value,
                                       .beta = norm_.beta_.value,
                                       .epsilon = norm_.epsilon_,
                                       .y = y,
                                       .mean = saved.mean,
                                       .rstd = saved.rstd,
                                       .outlet = outlet});
}

void ResidualNorm::backward(Step& step, Site site, const Saved& saved, const NormGradient& gradient,
                            int64_t rows_per_sample, const Gradients& to) const {
  residual_norm_backward(step.context, {.sum = saved.x,
                                        .gamma = norm_.gamma_.value,
                                        .mean = saved.mean,
                                        .rstd = saved.rstd,
                                        .dropout = dropout(step, site, saved.x, rows_per_sample),
                                        .gradient = gradient,
                                        .dresidual = to.dresidual,
                                        .dbranch = to.dbranch,
                                        .dgamma = norm_.gamma_.grad,
                                        .dbeta = norm_.beta_.grad,
                                        .dbias = to.dbias});
}

}  // namespace funnel
