// SPDX-License-Identifier: Apache-2.0
#include "core/ops/pooling.h"

#include "core/backend/launch.h"

namespace funnel {
namespace {

struct PoolHiddenElement {
  PoolWindows windows;
  int64_t pooled;
  const uint8_t* hidden;
  uint8_t* to;

  FUNNEL_HD void operator()(int64_t i) const {
    const uint8_t* example = hidden + i / pooled * windows.seq;
    const int64_t w = i % pooled;
    to[i] = example[windows.first(w)] != 0 && example[windows.last(w)] != 0;
  }
};

struct PoolSegmentsElement {
  PoolWindows windows;
  int64_t pooled;
  const uint8_t* segments;
  uint8_t* to;

  FUNNEL_HD void operator()(int64_t i) const {
    to[i] = segments[i / pooled * windows.seq + windows.first(i % pooled)];
  }
};

int64_t check_pooled_flags(const char* op, const PoolWindows& windows, ConstTensor full,
                           ConstTensor pooled) {
  FUNNEL_CHECK(windows.seq >= 1, op, ": expected at least one position, found ", windows.seq);
  FUNNEL_CHECK(full.shape().rank() == 2 && full.cols() == windows.seq, op, ": expected [batch, ",
               windows.seq, "], found ", full.shape());
  check_shape(op, pooled, {full.rows(), windows.pooled()});
  return windows.pooled();
}

}  // namespace

void pool_hidden(Context& context, const PoolWindows& windows, ConstTensor hidden, Tensor pooled) {
  const int64_t length = check_pooled_flags("pool_hidden", windows, hidden, pooled);
  for_each(context, pooled.elements(),
           PoolHiddenElement{windows, length, hidden.as<uint8_t>(), pooled.as<uint8_t>()});
}

void pool_segments(Context& context, const PoolWindows& windows, ConstTensor segments,
                   Tensor pooled) {
  const int64_t length = check_pooled_flags("pool_segments", windows, segments, pooled);
  for_each(context, pooled.elements(),
           PoolSegmentsElement{windows, length, segments.as<uint8_t>(), pooled.as<uint8_t>()});
}

}  // namespace funnel
