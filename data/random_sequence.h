// SPDX-License-Identifier: Apache-2.0
// Draws one after another from a Philox stream, and whole permutations. For work that happens in a
// fixed order on the host (packing, shuffling), where a running number may stand for a position.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/random.h"

namespace funnel {

class RandomSequence {
 public:
  explicit RandomSequence(const RandomStream& stream) : stream_(stream) {}

  uint32_t word() {
    if (at_ == 4) {
      bits_ = stream_.bits(index_++);
      at_ = 0;
    }
    return bits_.word[at_++];
  }

  // Uniform in [0, n), 1 <= n <= 2^32. The bias is below n / 2^32 of a probability.
  int64_t below(int64_t n) {
    return static_cast<int64_t>(static_cast<uint64_t>(word()) * static_cast<uint64_t>(n) >> 32);
  }

  bool coin() { return (word() & 0x80000000u) != 0; }

  // Fills values[0..n) with a uniform permutation of 0..n-1 (Fisher-Yates).
  template <class T>
  void permute(T* values, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t j = below(i + 1);
      values[i] = values[j];
      values[j] = static_cast<T>(i);
    }
  }

 private:
  RandomStream stream_;
  uint64_t index_ = 0;
  RandomBits bits_{};
  int at_ = 4;
};

}  // namespace funnel
