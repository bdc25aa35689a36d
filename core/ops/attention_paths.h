// SPDX-License-Identifier: Apache-2.0
// The ways to compute relative attention that core/ops/relative_attention.cc chooses from. All have
// its meaning and its dropout mask; arguments have been checked.
#pragma once

#include "core/ops/relative_attention.h"

namespace funnel {

struct AttentionExtents {
  int64_t batch, q_len, k_len, heads, head_width, positions;
  // Examples whose scores are materialised at once, or whose gradients of the position table one
  // block of threads of the fused path sums; 0: as many as is sensible.
  int64_t group = 0;
  int64_t width() const { return heads * head_width; }
};

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

// A CUDA device's for bf16 and heads of 64: kernels that keep scores on the chip. Deterministic.
bool fused_attention_takes(const AttentionInputs& in, const AttentionExtents& extents);
void attention_forward_fused(Context& context, const RelativeAttentionForward& args,
                             const AttentionExtents& extents);
void attention_backward_fused(Context& context, const RelativeAttentionBackward& args,
                              const AttentionExtents& extents);

}  // namespace funnel
