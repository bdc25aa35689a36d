// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/norm_way.h"

#include "tools/funnel_bench/sampled_error.h"

namespace funnel {

NormWay plain_way(const NormWayParts& parts) {
  const ConstTensor dy = parts.pool.tensor(parts.y.shape());
  const int64_t cols = parts.y.cols();
  return {.name = "",
          .outlet = {},
          .gradient = dy,
          .outputs = {},
          .dy = [=, &pool = parts.pool](int64_t row,
                                        int64_t c) { return pool.value(dy, row * cols + c); },
          .error = [] { return 0.0; }};
}

NormWay pooled_way(const NormWayParts& parts, const PoolWindows& windows) {
  const int64_t cols = parts.y.cols(), seq = windows.seq, count = windows.pooled();
  const Shape shape{parts.y.rows() / seq, count, cols};
  const Tensor pooled = parts.memory.tensor(shape, parts.y.dtype());
  const ConstTensor dy = parts.pool.tensor(parts.y.shape()), dpooled = parts.pool.tensor(shape);
  const auto gradient = [=, &pool = parts.pool](int64_t row, int64_t c) {
    const int64_t w = windows.window_of(row % seq);
    const double direct = pool.value(dy, row * cols + c);
    if (w < 0) return direct;
    const double share = windows.first(w) == windows.last(w) ? 1 : 0.5;
    return direct + share * pool.value(dpooled, (row / seq * count + w) * cols + c);
  };
  const auto error = [=, &context = parts.context, y = parts.y] {
    const HostCopy rows(context, y);
    return sampled_error(context, pooled, [&](int64_t row, int64_t c) {
      const int64_t start = row / count * seq, w = row % count;
      return (rows.value((start + windows.first(w)) * cols + c) +
              rows.value((start + windows.last(w)) * cols + c)) /
             2;
    });
  };
  return {.name = ", pooled",
          .outlet = PoolOutlet{windows, Pooling::mean, pooled},
          .gradient = {dy, PoolGradient{windows, Pooling::mean, {}, dpooled}},
          .outputs = {pooled},
          .forward_elements = shape.elements(),
          .backward_elements = shape.elements(),
          .dy = gradient,
          .error = error};
}

NormWay upsampled_way(const NormWayParts& parts, const Upsample& upsample, int64_t batch,
                      int64_t seq) {
  const int64_t cols = parts.y.cols(), short_seq = parts.y.rows() / batch;
  const Shape shape{batch, seq, cols};
  const Tensor sum = parts.memory.tensor(shape, parts.y.dtype());
  const ConstTensor skip = parts.pool.tensor(shape), dsum = parts.pool.tensor(shape);
  const auto gradient = [=, &pool = parts.pool](int64_t row, int64_t c) {
    const int64_t start = row / short_seq * seq, vector = row % short_seq;
    double total = 0;
    for (int64_t t = upsample.first_copy(vector); t < upsample.end_of_copies(vector, seq); ++t) {
      total += pool.value(dsum, (start + t) * cols + c);
    }
    return total;
  };
  const auto error = [=, &context = parts.context, &pool = parts.pool, y = parts.y] {
    const HostCopy rows(context, y);
    return sampled_error(context, sum, [&](int64_t row, int64_t c) {
      const int64_t vector = upsample.source(row % seq);
      const double skipped = pool.value(skip, row * cols + c);
      if (vector >= short_seq) return skipped;
      return skipped + rows.value((row / seq * short_seq + vector) * cols + c);
    });
  };
  // y has no gradient of its own, which is one of the norm's four.
  return {.name = ", upsampled",
          .outlet = UpsampleOutlet{upsample, skip, sum},
          .gradient = UpsampleGradient{upsample, dsum},
          .outputs = {sum},
          .forward_elements = 2 * shape.elements(),
          .backward_elements = shape.elements() - parts.y.elements(),
          .dy = gradient,
          .error = error};
}

}  // namespace funnel
