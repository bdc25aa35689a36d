// SPDX-License-Identifier: Apache-2.0
// Attention with relative positions and segments, for one layer. With s = 1 / sqrt(head_width),
// head n, query i and key j:
//     Q_i = s q_i
//     score_ij = (Q_i + s r_w) . k_j
//              + F_ij [ (Q_i + s r_r) . R_c + (Q_i + s r_s) . seg_embed[same_ij] ] - 1e6 hidden_j
//     P = softmax_j(score),   context_i = sum_j dropout(P_ij) v_j
// with c = shift (q_len - i) + j, the row of the position table that holds the distance between
// query i and key j (shift is the query stride over the key stride: 2 in a pooling layer, else 1),
// F = 0 where i = 0 or j = 0 if the CLS mask is on, and same_ij true if both segments agree or
// either is CLS. Where all keys of an example are hidden, they count as seen. (Funnel-Transformer,
// arXiv 2006.03236; laiguokun/Funnel-Transformer, tensorflow/modeling.py)
//
// Scores are never kept: forward saves the logarithm of each row's normaliser, backward computes
// the scores again. Where q is bf16, the normalisers and the gradients of parameters are f32.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/ops/dropout.h"

namespace funnel {

// The segment id of CLS, which counts as the same segment as every other.
inline constexpr uint8_t kClsSegment = 2;

struct AttentionInputs {
  ConstTensor q;     // [batch, q_len, heads, head_width], unscaled
  ConstTensor k, v;  // [batch, k_len, heads, head_width]
  ConstTensor r;     // [positions, heads, head_width]; positions = shift * q_len + k_len
  ConstTensor content_bias, position_bias, segment_bias;  // r_w, r_r, r_s: [heads, head_width]
  ConstTensor segment_embedding;                          // [2, heads, head_width]: different, same
  ConstTensor q_segments, k_segments;  // [batch, q_len], [batch, k_len] u8; null: no segment term
  ConstTensor hidden;                  // [batch, k_len] u8, 1 = nobody attends to it; null: none
  int64_t shift = 1;
  bool cls_mask = true;
  Dropout dropout;  // of P, over [batch, heads, q_len, k_len]
};

struct RelativeAttentionForward {
  AttentionInputs in;
  Tensor context;         // [batch, q_len, heads, head_width], overwritten
  Tensor log_normaliser;  // [batch, heads, q_len], overwritten
};
void relative_attention_forward(Context& context, const RelativeAttentionForward& args);

struct RelativeAttentionBackward {
  AttentionInputs in;
  ConstTensor context, log_normaliser;  // what forward wrote
  ConstTensor dcontext;                 // [batch, q_len, heads, head_width]
  Tensor dq, dk, dv, dr;                // shapes of q, k, v, r; overwritten
  Tensor dcontent_bias, dposition_bias, dsegment_bias, dsegment_embedding;  // accumulated
};
void relative_attention_backward(Context& context, const RelativeAttentionBackward& args);

struct AttentionExtents {
  int64_t batch, q_len, k_len, heads, head_width, positions;
  // Examples whose scores are materialised at once, or whose gradients of the position table one
  // block of threads of the fused path sums; 0: as many as is sensible.
  int64_t group = 0;
  int64_t width() const { return heads * head_width; }
};

// Bytes of scratch memory that the backward pass, the more demanding one, takes on a CUDA device:
// of its tensors, without what an arena rounds up and loses at the ends of its chunks.
int64_t attention_scratch_bytes(DType dtype, int64_t shift, const AttentionExtents& extents);

}  // namespace funnel
