// SPDX-License-Identifier: Apache-2.0
// How the decoder's input repeats pooled vectors back to full length, where the first block's
// output is added to them (core/ops/residual_norm.h does both). With separate_cls position 0 takes
// vector 0 and position t >= 1 takes 1 + (t - 1) / stride; without, t / stride. Where that vector
// does not exist (a truncated tail) nothing is added.
#pragma once

#include <cstdint>

#include "core/base/host_device.h"

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
  // One past the last of `seq` positions that repeats vector i.
  FUNNEL_HD int64_t end_of_copies(int64_t i, int64_t seq) const {
    const int64_t next = first_copy(i + 1);
    return next < seq ? next : seq;
  }
};

}  // namespace funnel
