// SPDX-License-Identifier: Apache-2.0
// Elementwise work in chunks: a functor that has something to prepare (random bits, a factor in
// device memory) prepares it once for many elements.
#pragma once

#include "core/backend/launch.h"

namespace funnel {

// Elements that one call of the functor works on.
inline constexpr int64_t kChunkElements = 4096;

template <class F>
struct ChunkRow {
  // As the functor says.
  static constexpr unsigned kMinBlocks = [] {
    if constexpr (requires { F::kMinBlocks; }) return F::kMinBlocks;
    return 0u;
  }();
  F f;
  int64_t n;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t first = row * kChunkElements;
    f(first, first + kChunkElements < n ? kChunkElements : n - first, team);
  }
};

// f(first, count, team) over consecutive chunks of [0, n).
template <class F>
void for_each_chunk(Context& context, int64_t n, const F& f) {
  for_each_row(context, (n + kChunkElements - 1) / kChunkElements, ChunkRow<F>{f, n},
               kChunkElements);
}

}  // namespace funnel
