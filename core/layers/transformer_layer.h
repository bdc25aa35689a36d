// SPDX-License-Identifier: Apache-2.0
// One layer of encoder or decoder: attention, then feed-forward.
#pragma once

#include <string>

#include "core/layers/feed_forward.h"
#include "core/layers/relative_attention.h"

namespace funnel {

struct TransformerLayerSizes {
  int64_t width = 0, heads = 0, head_width = 0, inner = 0;
  double hidden_dropout = 0, attention_dropout = 0, activation_dropout = 0, epsilon = 1e-8;
};

class TransformerLayer {
 public:
  struct Saved {
    RelativeAttention::Saved attention;
    Tensor middle;  // [q_rows, width], between the sub-layers
    FeedForward::Saved feed_forward;
  };

  TransformerLayer(Params& params, const std::string& path, const TransformerLayerSizes& sizes);

  // y [q_rows, width] from x_q [q_rows, width] and x_k [k_rows, width] (the same but when pooling).
  // The outlet takes y on to another length.
  void forward(Step& step, Site site, const AttentionPlan& plan, ConstTensor x_q, ConstTensor x_k,
               Tensor y, Saved& saved, const NormOutlet& outlet = {}) const;
  // dx_q may be gradient.dy; where the keys' gradient goes is told in RelativeAttention.
  void backward(Step& step, Site site, const AttentionPlan& plan, const Saved& saved,
                const NormGradient& gradient, Tensor dx_q, KeyGradient keys = {}) const;

 private:
  RelativeAttention attention_;
  FeedForward feed_forward_;
};

}  // namespace funnel
