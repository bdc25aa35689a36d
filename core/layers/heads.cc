// SPDX-License-Identifier: Apache-2.0
#include "core/layers/heads.h"

#include <algorithm>

#include "core/ops/discriminator_loss.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/matmul.h"
#include "core/ops/vocabulary_loss.h"

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
}

int64_t MlmHead::rows_at_once(int64_t vocab, DType dtype) {
  constexpr int64_t kLogitBytes = int64_t{128} << 20, kMultiple = 64;
  const int64_t rows = kLogitBytes / (vocab * size_of(dtype));
  return std::max(rows / kMultiple * kMultiple, kMultiple);
}

void MlmHead::predict(Step& step, const Prediction& args, Saved& saved) const {
  const int64_t n = saved.normed.rows(), width = saved.normed.cols(), vocab = table_.shape.rows();
  const DType dtype = saved.normed.dtype();
  const int64_t most = std::min(rows_at_once(vocab, dtype), std::max<int64_t>(n, 1));
  if (step.has_backward) saved.dnormed = step.saved.tensor({n, width}, dtype);
  Scratch scratch(step.context.scratch());
  const Tensor room = scratch.tensor({most, vocab}, dtype);
  for (int64_t first = 0; first < n; first += most) {
    const int64_t count = std::min(most, n - first);
    const Tensor normed = saved.normed.slice(first * width, {count, width});
    const Tensor logits = room.slice(0, {count, vocab});
    tied_forward(step.context, normed, table_.value, vocab_bias_.value, logits);
    vocabulary_loss(step.context,
                    {.logits = logits,
                     .targets = args.targets.slice(first, {count}),
                     .loss = args.loss.slice(first, {count}),
                     .correct = args.correct.slice(first, {count}),
                     .wants_gradient = step.has_backward,
                     .factor = args.factor,
                     .samples = args.samples ? args.samples.slice(first, {count}) : Tensor(),
                     .stream = args.stream,
                     .first_row = args.first_row + first});
    if (!step.has_backward) continue;
    tied_backward(step.context, normed, table_.value, logits,
                  saved.dnormed.slice(first * width, {count, width}), table_.grad,
                  vocab_bias_.grad);
  }
}

void MlmHead::backward(Step& step, const Saved& saved, Tensor dhidden) const {
  Scratch scratch(step.context.scratch());
  const Tensor dnormed = saved.dnormed;
  norm_.backward(step, saved.norm, dnormed, dnormed);
  gelu_backward(step.context, {}, saved.pre, dnormed, dnormed);
  Tensor dselected = scratch.tensor(saved.dense.x.shape(), dnormed.dtype());
  dense_.backward(step, saved.dense, dnormed, dselected);
  step.context.fill_zero(dhidden);
  scatter_add_rows(step.context, dselected, saved.rows, dhidden);
}

DiscriminatorHead::DiscriminatorHead(Params& params, const std::string& path, int64_t width)
    : dense_(params, path + "/dense", width, width, true),
      weight_(params.add(path + "/weight", {width}, ParamKind::weight)),
      bias_(params.add(path + "/bias", {1}, ParamKind::bias)) {}

void DiscriminatorHead::forward(Step& step, ConstTensor x, const Judgement& args,
                                Saved& saved) const {
  saved.pre = step.saved.tensor(x.shape(), x.dtype());
  saved.logits = step.saved.tensor({x.rows()}, compute_dtype(x.dtype()));
  dense_.forward(step, x, saved.pre, saved.dense);
  discriminator_loss(step.context, {.pre = saved.pre,
                                    .weight = weight_.value,
                                    .bias = bias_.value,
                                    .labels = args.labels,
                                    .hidden = args.hidden,
                                    .logits = saved.logits,
                                    .loss = args.loss,
                                    .correct = args.correct,
                                    .wants_gradient = step.has_backward,
                                    .factor = args.factor,
                                    .dweight = weight_.grad,
                                    .dbias = bias_.grad,
                                    .dpre_bias = dense_.bias_gradient()});
}

void DiscriminatorHead::backward(Step& step, const Saved& saved, Tensor dx) const {
  dense_.backward(step, saved.dense, saved.pre, dx, {.bias_is_done = true});
}

}  // namespace funnel
