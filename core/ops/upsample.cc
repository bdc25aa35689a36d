// SPDX-License-Identifier: Apache-2.0
#include "core/ops/upsample.h"

#include "core/backend/launch.h"

namespace funnel {
namespace {

template <class T>
struct UpsampleForwardRow {
  Upsample upsample;
  int64_t seq, pooled_seq, width;
  const T* pooled;
  const T* residual;
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t example = row / seq, source = upsample.source(row % seq);
    const T* skip = residual + row * width;
    T* to = y + row * width;
    if (source >= pooled_seq) {
      team.each(width, [=](int64_t c) { to[c] = skip[c]; });
      return;
    }
    const T* from = pooled + (example * pooled_seq + source) * width;
    team.each(width, [=](int64_t c) { to[c] = skip[c] + from[c]; });
  }
};

template <class T>
struct UpsampleBackwardRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  Upsample upsample;
  int64_t seq, pooled_seq, width;
  const T* dy;
  T* dpooled;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t example = row / pooled_seq, source = row % pooled_seq;
    const int64_t first = upsample.first_copy(source);
    const int64_t next = upsample.first_copy(source + 1);
    const int64_t end = next < seq ? next : seq;
    const T* copies = dy + example * seq * width;
    const int64_t cols = width;
    T* to = dpooled + row * width;
    team.each(width, [=](int64_t c) { to[c] = first < end ? copies[first * cols + c] : T(0); });
    for (int64_t t = first + 1; t < end; ++t) {
      const T* from = copies + t * cols;
      team.each(width, [=](int64_t c) { to[c] += from[c]; });
    }
  }
};

void check_upsampled(const char* op, const Upsample& upsample, ConstTensor pooled,
                     ConstTensor full) {
  FUNNEL_CHECK(upsample.stride >= 1, op, ": expected a stride of at least 1, found ",
               upsample.stride);
  FUNNEL_CHECK(pooled.shape().rank() == 3 && full.shape().rank() == 3, op,
               ": expected [batch, seq, width], found ", pooled.shape(), " and ", full.shape());
  check_shape(op, pooled, {full.shape()[0], pooled.shape()[1], full.cols()});
}

}  // namespace

void upsample_forward(Context& context, const Upsample& upsample, ConstTensor pooled,
                      ConstTensor residual, Tensor y) {
  check_upsampled("upsample_forward", upsample, pooled, y);
  check_shape("upsample_forward: residual", residual, y.shape());
  with_storage_type(y.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, y.rows(),
                 UpsampleForwardRow<T>{upsample, y.shape()[1], pooled.shape()[1], y.cols(),
                                       pooled.as<T>(), residual.as<T>(), y.as<T>()});
  });
}

void upsample_backward(Context& context, const Upsample& upsample, ConstTensor dy, Tensor dpooled) {
  check_upsampled("upsample_backward", upsample, dpooled, dy);
  with_storage_type(dy.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, dpooled.rows(),
                 UpsampleBackwardRow<T>{upsample, dy.shape()[1], dpooled.shape()[1], dy.cols(),
                                        dy.as<T>(), dpooled.as<T>()});
  });
}

}  // namespace funnel
