// SPDX-License-Identifier: Apache-2.0
#include "core/ops/dropout.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/backend/cpu/philox_batch.h"
#include "core/ops/chunks.h"
#include "core/ops/dropout_rows.h"

namespace funnel {
namespace {

template <class T>
struct ApplyDropout {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  Dropout dropout;
  const T* x;
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t first, int64_t count, const Team& team) const {
    const T* in = x + first;
    T* out = y + first;
    each_with_factor(team, count, dropout, first,
                     [=](int64_t i, float factor) { out[i] = in[i] * Compute<T>(factor); });
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
  static_assert(std::endian::native == std::endian::little, "16-bit pieces lie in order");
  constexpr int64_t kElements = 512;
  uint32_t words[kElements / 2];
  uint16_t pieces[kElements];
  const uint32_t threshold = dropout.threshold;
  const float scale = dropout.scale;

  const uint64_t begin = dropout.first + static_cast<uint64_t>(first);
  uint64_t call = begin / Dropout::kPerCall;
  int64_t skipped = static_cast<int64_t>(begin % Dropout::kPerCall);
  for (int64_t done = 0; done < n;) {
    const int64_t count = std::min(kElements - skipped, n - done);
    const int64_t calls = (skipped + count + Dropout::kPerCall - 1) / Dropout::kPerCall;
    philox_words(dropout.stream, call, calls, words);
    std::memcpy(pieces, words, static_cast<size_t>(calls) * sizeof(RandomBits));
    const uint16_t* piece = pieces + skipped;
    float* out = factors + done;
    for (int64_t i = 0; i < count; ++i) out[i] = piece[i] >= threshold ? scale : 0.0f;
    call += static_cast<uint64_t>(calls);
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
  with_storage_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_chunk(context, x.elements(), ApplyDropout<T>{dropout, x.as<T>(), y.as<T>()});
  });
}

}  // namespace funnel
