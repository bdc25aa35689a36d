// SPDX-License-Identifier: Apache-2.0
#include "core/layers/heads.h"

#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/matmul.h"

namespace funnel {

MlmHead::MlmHead(Params& params, const std::string& path, int64_t width, const Param& table,
                 double epsilon)
    : table_(table),
      dense_(params, path + "/dense", width, table.shape.cols(), true),
      norm_(params, path + "/norm", table.shape.cols(), epsilon),
      vocab_bias_(params.add(path + "/vocab_bias", {table.shape.rows()}, ParamKind::bias)) {}

void MlmHead::forward(Step& step, ConstTensor hidden, ConstTensor rows, Saved& saved) const {
  const DType dtype = hidden.dtype();
  const int64_t n = rows.elements();
  const auto keep = [&](int64_t cols) { return step.saved.tensor({n, cols}, dtype); };
  saved.rows = rows;
  Tensor selected = keep(hidden.cols());
  gather_rows(step.context, hidden, rows, selected);
  saved.pre = keep(table_.shape.cols());
  Tensor active = keep(table_.shape.cols());
  dense_.forward_gelu(step, {}, selected, saved.pre, active, saved.dense);
  saved.normed = keep(table_.shape.cols());
  norm_.forward(step, active, saved.normed, saved.norm);
  saved.logits = keep(table_.shape.rows());
  tied_forward(step.context, saved.normed, table_.value, vocab_bias_.value, saved.logits);
}

void MlmHead::backward(Step& step, const Saved& saved, ConstTensor dlogits, Tensor dhidden) const {
  Scratch scratch(step.context.scratch());
  Tensor dnormed = scratch.tensor(saved.normed.shape(), dlogits.dtype());
  tied_backward(step.context, saved.normed, table_.value, dlogits, dnormed, table_.grad,
                vocab_bias_.grad);
  norm_.backward(step, saved.norm, dnormed, dnormed);
  gelu_backward(step.context, {}, saved.pre, dnormed, dnormed);
  Tensor dselected = scratch.tensor(saved.dense.x.shape(), dlogits.dtype());
  dense_.backward(step, saved.dense, dnormed, dselected);
  step.context.fill_zero(dhidden);
  scatter_add_rows(step.context, dselected, saved.rows, dhidden);
}

DiscriminatorHead::DiscriminatorHead(Params& params, const std::string& path, int64_t width)
    : dense_(params, path + "/dense", width, width, true),
      weight_(params.add(path + "/weight", {width}, ParamKind::weight)),
      bias_(params.add(path + "/bias", {1}, ParamKind::bias)) {}

void DiscriminatorHead::forward(Step& step, ConstTensor x, Saved& saved) const {
  saved.pre = step.saved.tensor(x.shape(), x.dtype());
  saved.active = step.saved.tensor(x.shape(), x.dtype());
  saved.logits = step.saved.tensor({x.rows()}, x.dtype());
  dense_.forward_gelu(step, {}, x, saved.pre, saved.active, saved.dense);
  linear_forward(step.context, saved.active, weight_.value.reshaped({x.cols(), 1}), bias_.value,
                 saved.logits.reshaped({x.rows(), 1}));
}

void DiscriminatorHead::backward(Step& step, const Saved& saved, ConstTensor dlogits,
                                 Tensor dx) const {
  Scratch scratch(step.context.scratch());
  Tensor dpre = scratch.tensor(saved.active.shape(), dlogits.dtype());
  const int64_t width = saved.active.cols();
  const ConstTensor dz = dlogits.reshaped({dlogits.elements(), 1});
  linear_backward_weight(step.context, saved.active, dz, weight_.grad.reshaped({width, 1}),
                         bias_.grad);
  linear_gelu_backward(step.context, {.dy = dz,
                                      .w = weight_.value.reshaped({width, 1}),
                                      .pre = saved.pre,
                                      .dropout = {},
                                      .dpre = dpre});
  dense_.backward(step, saved.dense, dpre, dx);
}

}  // namespace funnel
