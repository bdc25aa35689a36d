// SPDX-License-Identifier: Apache-2.0
// The decoder's input: pooled vectors repeated back to full length, plus the first block's output.
// With separate_cls position 0 takes vector 0 and position t >= 1 takes 1 + (t - 1) / stride;
// without, t / stride. Where that vector does not exist (a truncated tail) nothing is added.
#pragma once

#include <cstdint>

#include "core/backend/context.h"
#include "core/base/host_device.h"
#include "core/base/tensor.h"

namespace funnel {

struct Upsample {
  int64_t stride = 1;  // 2^(blocks - 1)
  bool separate_cls = true;

  // The pooled vector that position t repeats; the caller compares it with the pooled length.
  FUNNEL_HD int64_t source(int64_t t) const {
    if (!separate_cls) return t / stride;
    return t == 0 ? 0 : 1 + (t - 1) / stride;
  }
  // The first position that repeats vector i; its copies end where those of i + 1 begin.
  FUNNEL_HD int64_t first_copy(int64_t i) const {
    if (!separate_cls) return i * stride;
    return i == 0 ? 0 : 1 + (i - 1) * stride;
  }
};

// y [batch, seq, width] = residual [batch, seq, width] + repeated pooled [batch, pooled, width];
// overwritten; may be residual.
void upsample_forward(Context& context, const Upsample& upsample, ConstTensor pooled,
                      ConstTensor residual, Tensor y);
// dpooled [batch, pooled, width] = the sum of dy over the copies of each vector; overwritten. (The
// gradient of the residual is dy itself.)
void upsample_backward(Context& context, const Upsample& upsample, ConstTensor dy, Tensor dpooled);

}  // namespace funnel
