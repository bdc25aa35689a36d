// SPDX-License-Identifier: Apache-2.0
#include "core/ops/pooling.h"

#include "core/backend/launch.h"

namespace funnel {
namespace {

// Rows are (example, window) in forward and (example, position) in backward.

template <class T>
struct MeanPoolForwardRow {
  PoolWindows windows;
  int64_t pooled, width;
  const T* x;
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t example = row / pooled, w = row % pooled;
    const T* first = x + (example * windows.seq + windows.first(w)) * width;
    const T* last = x + (example * windows.seq + windows.last(w)) * width;
    T* to = y + row * width;
    // A single member is averaged with itself, which is exact.
    team.each(width, [=](int64_t c) { to[c] = Compute<T>(0.5) * (first[c] + last[c]); });
  }
};

// to[c] = f(c) or to[c] += f(c), for every c in [0, n). What is overwritten is not read.
template <class T, class Team, class F>
FUNNEL_HD void store(const Team& team, int64_t n, bool adds, T* to, F f) {
  if (adds) {
    team.each(n, [=](int64_t c) { to[c] += f(c); });
  } else {
    team.each(n, [=](int64_t c) { to[c] = f(c); });
  }
}

template <class T>
struct MeanPoolBackwardRow {
  PoolWindows windows;
  int64_t pooled, width;
  const T* dy;
  bool adds;
  T* dx;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t example = row / windows.seq, w = windows.window_of(row % windows.seq);
    T* to = dx + row * width;
    if (w < 0) {
      if (!adds) team.each(width, [=](int64_t c) { to[c] = T(0); });
      return;
    }
    const Compute<T> share = windows.first(w) == windows.last(w) ? 1 : 0.5;
    const T* from = dy + (example * pooled + w) * width;
    store(team, width, adds, to, [=](int64_t c) { return share * from[c]; });
  }
};

template <class T>
struct MaxPoolForwardRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  PoolWindows windows;
  int64_t pooled, width;
  const T* x;
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t example = row / pooled, w = row % pooled;
    const T* first = x + (example * windows.seq + windows.first(w)) * width;
    const T* last = x + (example * windows.seq + windows.last(w)) * width;
    T* to = y + row * width;
    team.each(width, [=](int64_t c) { to[c] = last[c] > first[c] ? last[c] : first[c]; });
  }
};

template <class T>
struct MaxPoolBackwardRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  PoolWindows windows;
  int64_t pooled, width;
  const T* x;
  const T* dy;
  bool adds;
  T* dx;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t example = row / windows.seq, t = row % windows.seq;
    const int64_t w = windows.window_of(t);
    T* to = dx + row * width;
    if (w < 0) {
      if (!adds) team.each(width, [=](int64_t c) { to[c] = T(0); });
      return;
    }
    const T* first = x + (example * windows.seq + windows.first(w)) * width;
    const T* last = x + (example * windows.seq + windows.last(w)) * width;
    const T* from = dy + (example * pooled + w) * width;
    const bool is_first = t == windows.first(w);
    store(team, width, adds, to, [=](int64_t c) {
      const bool first_wins = !(last[c] > first[c]);
      return first_wins == is_first ? from[c] : T(0);
    });
  }
};

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

// Checks [batch, seq, width] against [batch, pooled, width] and returns pooled.
int64_t check_pooled(const char* op, const PoolWindows& windows, ConstTensor full,
                     ConstTensor pooled) {
  FUNNEL_CHECK(windows.seq >= 1, op, ": expected at least one position, found ", windows.seq);
  FUNNEL_CHECK(full.shape().rank() == 3 && full.shape()[1] == windows.seq, op,
               ": expected [batch, ", windows.seq, ", width], found ", full.shape());
  check_shape(op, pooled, {full.shape()[0], windows.pooled(), full.cols()});
  return windows.pooled();
}

int64_t check_pooled_flags(const char* op, const PoolWindows& windows, ConstTensor full,
                           ConstTensor pooled) {
  FUNNEL_CHECK(windows.seq >= 1, op, ": expected at least one position, found ", windows.seq);
  FUNNEL_CHECK(full.shape().rank() == 2 && full.cols() == windows.seq, op, ": expected [batch, ",
               windows.seq, "], found ", full.shape());
  check_shape(op, pooled, {full.rows(), windows.pooled()});
  return windows.pooled();
}

}  // namespace

void mean_pool_forward(Context& context, const PoolWindows& windows, ConstTensor x, Tensor y) {
  const int64_t pooled = check_pooled("mean_pool_forward", windows, x, y);
  with_storage_type(x.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, y.rows(),
                 MeanPoolForwardRow<T>{windows, pooled, x.cols(), x.as<T>(), y.as<T>()});
  });
}

void mean_pool_backward(Context& context, const PoolWindows& windows, ConstTensor dy, Tensor dx,
                        bool adds) {
  const int64_t pooled = check_pooled("mean_pool_backward", windows, dx, dy);
  with_storage_type(dy.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, dx.rows(),
                 MeanPoolBackwardRow<T>{windows, pooled, dx.cols(), dy.as<T>(), adds, dx.as<T>()});
  });
}

void max_pool_forward(Context& context, const PoolWindows& windows, ConstTensor x, Tensor y) {
  const int64_t pooled = check_pooled("max_pool_forward", windows, x, y);
  with_storage_type(x.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, y.rows(),
                 MaxPoolForwardRow<T>{windows, pooled, x.cols(), x.as<T>(), y.as<T>()});
  });
}

void max_pool_backward(Context& context, const PoolWindows& windows, ConstTensor x, ConstTensor dy,
                       Tensor dx, bool adds) {
  const int64_t pooled = check_pooled("max_pool_backward", windows, x, dy);
  check_shape("max_pool_backward: dx", dx, x.shape());
  with_storage_type(x.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(
        context, dx.rows(),
        MaxPoolBackwardRow<T>{windows, pooled, x.cols(), x.as<T>(), dy.as<T>(), adds, dx.as<T>()});
  });
}

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
