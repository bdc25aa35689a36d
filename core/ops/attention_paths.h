// SPDX-License-Identifier: Apache-2.0
// The ways to compute relative attention that core/ops/relative_attention.cc chooses from. All have
// its meaning and its dropout mask; arguments have been checked.
#pragma once

#include "core/ops/relative_attention.h"

namespace funnel {

// Gradients of the parameters from those of single queries, of which there are kQueryParts: parts
// [kQueryParts, any rows, heads * head_width] (f32 for bf16) of content bias, position bias,
// segment bias, and the embeddings of different and same segments. Without segments the last three
// are not read.
inline constexpr int64_t kQueryParts = 5;
void sum_query_parts(Context& context, ConstTensor parts, const RelativeAttentionBackward& args);

// The CPU's: blocked over query rows, so that a block's scores stay in cache.
void attention_forward_blocked(Context& context, const RelativeAttentionForward& args,
                               const AttentionExtents& extents);
void attention_backward_blocked(Context& context, const RelativeAttentionBackward& args,
                                const AttentionExtents& extents);

// Any device's: the scores of many examples in scratch memory, a few large products around one pass
// over all rows of scores. Deterministic on every device.
void attention_forward_materialised(Context& context, const RelativeAttentionForward& args,
                                    const AttentionExtents& extents);
void attention_backward_materialised(Context& context, const RelativeAttentionBackward& args,
                                     const AttentionExtents& extents);
// Of the backward pass.
int64_t materialised_scratch_bytes(DType dtype, const AttentionExtents& extents);

// A CUDA device's for bf16 and heads of 64: kernels that keep scores on the chip. Deterministic.
bool fused_attention_takes(Device device, DType dtype, int64_t shift,
                           const AttentionExtents& extents);
void attention_forward_fused(Context& context, const RelativeAttentionForward& args,
                             const AttentionExtents& extents);
void attention_backward_fused(Context& context, const RelativeAttentionBackward& args,
                              const AttentionExtents& extents);
int64_t fused_scratch_bytes(int64_t shift,
                            const AttentionExtents& extents);  // of the backward pass

}  // namespace funnel
