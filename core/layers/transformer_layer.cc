// SPDX-License-Identifier: Apache-2.0
#include "core/layers/transformer_layer.h"

namespace funnel {

TransformerLayer::TransformerLayer(Params& params, const std::string& path,
                                   const TransformerLayerSizes& sizes)
    : attention_(params, path + "/attention",
                 {.width = sizes.width,
                  .heads = sizes.heads,
                  .head_width = sizes.head_width,
                  .hidden_dropout = sizes.hidden_dropout,
                  .attention_dropout = sizes.attention_dropout,
                  .epsilon = sizes.epsilon}),
      feed_forward_(params, path + "/feed_forward",
                    {.width = sizes.width,
                     .inner = sizes.inner,
                     .hidden_dropout = sizes.hidden_dropout,
                     .activation_dropout = sizes.activation_dropout,
                     .epsilon = sizes.epsilon}) {}

void TransformerLayer::forward(Step& step, Site site, const AttentionPlan& plan, ConstTensor x_q,
                               ConstTensor x_k, Tensor y, Saved& saved,
                               const NormOutlet& outlet) const {
  saved.middle = step.saved.tensor(x_q.shape(), x_q.dtype());
  attention_.forward(step, site / "attention", plan, x_q, x_k, saved.middle, saved.attention);
  feed_forward_.forward(step, site / "feed forward", saved.middle, y, plan.q_len,
                        saved.feed_forward, outlet);
}

void TransformerLayer::backward(Step& step, Site site, const AttentionPlan& plan,
                                const Saved& saved, const NormGradient& gradient, Tensor dx_q,
                                KeyGradient keys) const {
  feed_forward_.backward(step, site / "feed forward", saved.feed_forward, gradient, dx_q,
                         plan.q_len);
  attention_.backward(step, site / "attention", plan, saved.attention, dx_q, dx_q, keys);
}

}  // namespace funnel
