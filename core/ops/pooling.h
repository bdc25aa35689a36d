// SPDX-License-Identifier: Apache-2.0
// The windows of two by which the sequence is pooled, and what goes with it: the pooled padding
// flags and the segments of the first member of each window. The norm before a pooling pools the
// rows themselves (core/ops/residual_norm.h).
//
//     separate_cls, truncate     {0}, then pairs over 1 .. seq-2 (the last token is dropped)
//     separate_cls               {0}, then pairs over 1 .. seq-1
//     otherwise                  pairs over 0 .. seq-1
// A last window may hold a single member. (laiguokun/Funnel-Transformer, tensorflow/modeling.py)
#pragma once

#include <cstdint>

#include "core/backend/context.h"
#include "core/base/host_device.h"
#include "core/base/tensor.h"

namespace funnel {

enum class Pooling { mean, max };  // of a tie the first member is the maximum

struct PoolWindows {
  int64_t seq = 0;  // before pooling
  bool separate_cls = true;
  bool truncate = true;

  FUNNEL_HD int64_t usable() const { return separate_cls && truncate ? seq - 1 : seq; }
  FUNNEL_HD int64_t pooled() const { return separate_cls ? 1 + usable() / 2 : (seq + 1) / 2; }
  // Window w holds positions [first(w), last(w)].
  FUNNEL_HD int64_t first(int64_t w) const {
    return separate_cls ? (w == 0 ? 0 : 2 * w - 1) : 2 * w;
  }
  FUNNEL_HD int64_t last(int64_t w) const {
    if (separate_cls && w == 0) return 0;
    const int64_t second = first(w) + 1;
    return second < usable() ? second : first(w);
  }
  // The window that position t belongs to, or -1 for the truncated tail.
  FUNNEL_HD int64_t window_of(int64_t t) const {
    if (t >= usable() && t > 0) return -1;
    return separate_cls ? (t + 1) / 2 : t / 2;
  }
};

// pooled [batch, pooled] u8: hidden only if every member of hidden [batch, seq] is; overwritten.
void pool_hidden(Context& context, const PoolWindows& windows, ConstTensor hidden, Tensor pooled);
// pooled [batch, pooled] u8 = segments [batch, seq] of each window's first member; overwritten.
void pool_segments(Context& context, const PoolWindows& windows, ConstTensor segments,
                   Tensor pooled);

}  // namespace funnel
