// SPDX-License-Identifier: Apache-2.0
#include "core/ops/dropout.h"

#include <algorithm>
#include <cmath>

#include "core/ops/dropout_rows.h"

namespace funnel {
namespace {

template <class T>
struct ApplyDropout {
  Dropout dropout;
  const T* x;
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t first, int64_t count, const Team& team) const {
    const T* in = x + first;
    T* out = y + first;
    each_with_factor(team, count, dropout, first,
                     [=](int64_t i, float factor) { out[i] = in[i] * T(factor); });
  }
};

}  // namespace

Dropout::Dropout(double rate, RandomStream random_stream, int64_t first_element)
    : stream(random_stream), first(static_cast<uint64_t>(first_element)) {
  FUNNEL_CHECK(rate >= 0 && rate < 1, "dropout: expected a rate in [0, 1), found ", rate);
  threshold = static_cast<uint32_t>(std::min(std::lround(rate * 65536), 65535L));
  scale = static_cast<float>(65536.0 / (65536.0 - threshold));
}

void fill_dropout_factors(const Dropout& dropout, int64_t first, int64_t n, float* factors) {
  // A batch of Philox calls in lanes of a vector register; then their 16-bit pieces in the order
  // of the elements they decide.
  constexpr int64_t kCalls = 16;
  constexpr int64_t kElements = kCalls * Dropout::kPerCall;
  uint32_t words[4][kCalls];
  uint16_t pieces[kElements];
  const RandomStream stream = dropout.stream;
  const uint32_t threshold = dropout.threshold;
  const float scale = dropout.scale;

  const uint64_t begin = dropout.first + static_cast<uint64_t>(first);
  uint64_t call = begin / Dropout::kPerCall;
  int64_t skipped = static_cast<int64_t>(begin % Dropout::kPerCall);
  for (int64_t done = 0; done < n; call += kCalls) {
#pragma omp simd
    for (int64_t i = 0; i < kCalls; ++i) {
      const RandomBits bits = stream.bits(call + static_cast<uint64_t>(i));
      for (int w = 0; w < 4; ++w) words[w][i] = bits.word[w];
    }
    for (int64_t i = 0; i < kCalls; ++i) {
      for (int w = 0; w < 4; ++w) {
        pieces[8 * i + 2 * w] = static_cast<uint16_t>(words[w][i]);
        pieces[8 * i + 2 * w + 1] = static_cast<uint16_t>(words[w][i] >> 16);
      }
    }
    const int64_t count = std::min(kElements - skipped, n - done);
    const uint16_t* piece = pieces + skipped;
    float* out = factors + done;
    for (int64_t i = 0; i < count; ++i) out[i] = piece[i] >= threshold ? scale : 0.0f;
    done += count;
    skipped = 0;
  }
}

void apply_dropout(Context& context, const Dropout& dropout, ConstTensor x, Tensor y) {
  check_shape("dropout: y", y, x.shape());
  if (!dropout.active()) {
    if (x.data() != y.data()) context.copy(x, y);
    return;
  }
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_chunk(context, x.elements(), ApplyDropout<T>{dropout, x.as<T>(), y.as<T>()});
  });
}

}  // namespace funnel
