// SPDX-License-Identifier: Apache-2.0
// The addition that both halves of the exact sum (inside a rank, between ranks) are made of.
#pragma once

#include <cstdint>

namespace funnel {

// sum[i] += addend[i]; the arrays do not overlap.
template <class T>
inline void add_into(T* __restrict sum, const T* __restrict addend, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += addend[i];
}

}  // namespace funnel
