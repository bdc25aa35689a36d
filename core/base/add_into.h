// SPDX-License-Identifier: Apache-2.0
// Adds one array to another, as both halves of the exact sum over shards do (inside a rank, between
// ranks), on the host.
#pragma once

#include <cstdint>

namespace funnel {

// sum[i] += addend[i]; the arrays do not overlap.
template <class T>
inline void add_into(T* __restrict sum, const T* __restrict addend, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += addend[i];
}

}  // namespace funnel
