// SPDX-License-Identifier: Apache-2.0
#include "core/layers/linear.h"

#include "core/ops/matmul.h"

namespace funnel {

Linear::Linear(Params& params, const std::string& path, int64_t in, int64_t out, bool with_bias)
    : kernel_(params.add(path + "/kernel", {in, out}, ParamKind::weight)),
      bias_(with_bias ? &params.add(path + "/bias", {out}, ParamKind::bias) : nullptr) {}

void Linear::forward(Step& step, ConstTensor x, Tensor y, Saved& saved) const {
  saved.x = x;
  linear_forward(step.context, x, kernel_.value, bias_ ? bias_->value : Tensor(), y);
}

void Linear::forward_gelu(Step& step, const Dropout& dropout, ConstTensor x, Tensor pre, Tensor y,
                          Saved& saved) const {
  saved.x = x;
  linear_gelu_forward(step.context, {.x = x,
                                     .w = kernel_.value,
                                     .bias = bias_ ? bias_->value : Tensor(),
                                     .dropout = dropout,
                                     .pre = pre,
                                     .y = y});
}

void Linear::backward(Step& step, const Saved& saved, ConstTensor dy, Tensor dx,
                      const Backward& how) const {
  const bool sums_bias = bias_ != nullptr && !how.bias_is_done;
  linear_backward_weight(step.context, saved.x, dy, kernel_.grad,
                         sums_bias ? bias_->grad : Tensor());
  if (dx) linear_backward_input(step.context, dy, kernel_.value, dx, how.accumulate_dx);
}

void Linear::backward_gelu(Step& step, const Saved& saved, ConstTensor dy, const Dropout& dropout,
                           ConstTensor pre, Tensor dpre) const {
  backward(step, saved, dy, {}, {.bias_is_done = true});
  linear_gelu_backward(
      step.context, {.dy = dy, .w = kernel_.value, .pre = pre, .dropout = dropout, .dpre = dpre});
}

}  // namespace funnel
