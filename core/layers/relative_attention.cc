// SPDX-License-Identifier: Apache-2.0
#include "core/layers/relative_attention.h"

namespace funnel {

RelativeAttention::RelativeAttention(Params& params, const std::string& path,
                                     const RelativeAttentionSizes& sizes)
    : sizes_(sizes),
      query_(params, path + "/query", sizes.width, projection(), false),
      key_(params, path + "/key", sizes.width, projection(), true),
      value_(params, path + "/value", sizes.width, projection(), true),
      position_(params, path + "/position", sizes.width, projection(), false),
      output_(params, path + "/output", projection(), sizes.width, true),
      content_bias_(
          params.add(path + "/content_bias", {sizes.heads, sizes.head_width}, ParamKind::weight)),
      position_bias_(
          params.add(path + "/position_bias", {sizes.heads, sizes.head_width}, ParamKind::weight)),
      segment_bias_(
          params.add(path + "/segment_bias", {sizes.heads, sizes.head_width}, ParamKind::weight)),
      segment_embedding_(params.add(path + "/segment_embedding", {2, sizes.heads, sizes.head_width},
                                    ParamKind::weight)),
      norm_(params, path + "/norm", sizes.width, sizes.epsilon, sizes.hidden_dropout) {}

AttentionInputs RelativeAttention::inputs(Step& step, Site site, const AttentionPlan& plan,
                                          const Saved& saved) const {
  return {.q = saved.q,
          .k = saved.k,
          .v = saved.v,
          .r = saved.r,
          .content_bias = content_bias_.value,
          .position_bias = position_bias_.value,
          .segment_bias = segment_bias_.value,
          .segment_embedding = segment_embedding_.value,
          .q_segments = plan.q_segments,
          .k_segments = plan.k_segments,
          .hidden = plan.hidden,
          .shift = plan.shift,
          .cls_mask = plan.cls_mask,
          .dropout = step.dropout(site / "probabilities", sizes_.attention_dropout,
                                  sizes_.heads * plan.q_len * plan.k_len)};
}

void RelativeAttention::forward(Step& step, Site site, const AttentionPlan& plan, ConstTensor x_q,
                                ConstTensor x_k, Tensor y, Saved& saved) const {
  const DType dtype = x_q.dtype();
  const auto keep = [&](Shape shape) { return step.saved.tensor(shape, dtype); };
  const auto rows = [&](Tensor t) {
    return t.reshaped({t.elements() / projection(), projection()});
  };
  saved.q = keep(heads_of(plan.batch, plan.q_len));
  saved.k = keep(heads_of(plan.batch, plan.k_len));
  saved.v = keep(heads_of(plan.batch, plan.k_len));
  saved.r = keep({plan.positions.rows(), sizes_.heads, sizes_.head_width});
  query_.forward(step, x_q, rows(saved.q), saved.query);
  key_.forward(step, x_k, rows(saved.k), saved.key);
  value_.forward(step, x_k, rows(saved.v), saved.key);
  position_.forward(step, plan.positions, rows(saved.r), saved.position);

  Tensor attended = keep(heads_of(plan.batch, plan.q_len));
  saved.log_normaliser =
      step.saved.tensor({plan.batch, sizes_.heads, plan.q_len}, compute_dtype(dtype));
  relative_attention_forward(step.context, {.in = inputs(step, site, plan, saved),
                                            .context = attended,
                                            .log_normaliser = saved.log_normaliser});

  Tensor branch = keep({plan.q_rows(), sizes_.width});
  output_.forward(step, rows(attended), branch, saved.output);
  norm_.forward(step, site, x_q, branch, y, plan.q_len, saved.norm);
}

void RelativeAttention::backward(Step& step, Site site, const AttentionPlan& plan,
                                 const Saved& saved, ConstTensor dy, Tensor dx_q,
                                 KeyGradient keys) const {
  const DType dtype = dy.dtype();
  Scratch scratch(step.context.scratch());
  const auto temporary = [&](Shape shape) { return scratch.tensor(shape, dtype); };
  const auto rows = [&](Tensor t) {
    return t.reshaped({t.elements() / projection(), projection()});
  };

  Tensor dbranch = temporary({plan.q_rows(), sizes_.width});
  norm_.backward(step, site, saved.norm, dy, plan.q_len,
                 {.dresidual = dx_q, .dbranch = dbranch, .dbias = output_.bias_gradient()});
  Tensor dattended = temporary(saved.q.shape());
  output_.backward(step, saved.output, dbranch, rows(dattended), {.bias_is_done = true});

  Tensor dq = temporary(saved.q.shape()), dr = temporary(saved.r.shape());
  Tensor dk = temporary(saved.k.shape()), dv = temporary(saved.v.shape());
  relative_attention_backward(step.context, {.in = inputs(step, site, plan, saved),
                                             .context = saved.output.x.reshaped(saved.q.shape()),
                                             .log_normaliser = saved.log_normaliser,
                                             .dcontext = dattended,
                                             .dq = dq,
                                             .dk = dk,
                                             .dv = dv,
                                             .dr = dr,
                                             .dcontent_bias = content_bias_.grad,
                                             .dposition_bias = position_bias_.grad,
                                             .dsegment_bias = segment_bias_.grad,
                                             .dsegment_embedding = segment_embedding_.grad});

  position_.backward(step, saved.position, rows(dr), {});
  if (!keys.dx) keys = {.dx = dx_q, .accumulate = true};
  value_.backward(step, saved.key, rows(dv), keys.dx, {.accumulate_dx = keys.accumulate});
  key_.backward(step, saved.key, rows(dk), keys.dx, {.accumulate_dx = true});
  query_.backward(step, saved.query, rows(dq), dx_q, {.accumulate_dx = true});
}

}  // namespace funnel
