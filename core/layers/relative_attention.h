// SPDX-License-Identifier: Apache-2.0
// The attention sub-layer:
//     y = norm(x_q + dropout(output(attention(x_q W_q, x_k W_k + b_k, x_k W_v + b_v))))
// x_q and x_k are the same tensor but in a pooling layer, where x_q is pooled. Scores are described
// in core/ops/relative_attention.h.
#pragma once

#include <string>

#include "core/layers/linear.h"
#include "core/layers/norm.h"
#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/ops/relative_attention.h"

namespace funnel {

// What all layers that attend between the same two sequences share.
struct AttentionPlan {
  int64_t batch = 0, q_len = 0, k_len = 0;
  int64_t shift = 1;                   // query stride / key stride
  ConstTensor positions;               // [shift * q_len + k_len, width] sinusoids, dropped out
  ConstTensor q_segments, k_segments;  // [batch, len] u8, or null: no segment term
  ConstTensor hidden;                  // [batch, k_len] u8, or null: all keys are seen
  bool cls_mask = true;

  int64_t q_rows() const { return batch * q_len; }
  int64_t k_rows() const { return batch * k_len; }
};

struct RelativeAttentionSizes {
  int64_t width = 0, heads = 0, head_width = 0;
  double hidden_dropout = 0, attention_dropout = 0, epsilon = 1e-8;
};

// Where the gradient of x_k goes. Null: x_k was x_q, and its gradient is added to that of x_q.
struct KeyGradient {
  Tensor dx;  // [k_rows, width], overwritten, or accumulated
  bool accumulate = false;
};

class RelativeAttention {
 public:
  struct Saved {
    Linear::Saved query;     // x_q [q_rows, width], the caller's
    Linear::Saved key;       // x_k [k_rows, width], the caller's
    Tensor q;                // [batch, q_len, heads, head_width]
    Tensor k, v;             // [batch, k_len, heads, head_width]
    Linear::Saved position;  // the plan's table
    Tensor r;                // [positions, heads, head_width]
    Linear::Saved output;    // [q_rows, heads * head_width], the attended values
    Tensor log_normaliser;   // [batch, heads, q_len]
    Norm::Saved norm;        // [q_rows, width] and two numbers a row
  };

  RelativeAttention(Params& params, const std::string& path, const RelativeAttentionSizes& sizes);

  // y [q_rows, width] from x_q [q_rows, width] and x_k [k_rows, width].
  void forward(Step& step, Site site, const AttentionPlan& plan, ConstTensor x_q, ConstTensor x_k,
               Tensor y, Saved& saved) const;
  // dx_q [q_rows, width] may be dy.
  void backward(Step& step, Site site, const AttentionPlan& plan, const Saved& saved,
                ConstTensor dy, Tensor dx_q, KeyGradient keys = {}) const;

 private:
  AttentionInputs inputs(Step& step, Site site, const AttentionPlan& plan,
                         const Saved& saved) const;
  Shape heads_of(int64_t batch, int64_t len) const {
    return {batch, len, sizes_.heads, sizes_.head_width};
  }
  int64_t projection() const { return sizes_.heads * sizes_.head_width; }

  RelativeAttentionSizes sizes_;
  Linear query_, key_, value_, position_, output_;
  Param &content_bias_, &position_bias_, &segment_bias_, &segment_embedding_;
  ResidualNorm norm_;
};

}  // namespace funnel
