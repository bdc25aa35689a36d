// SPDX-License-Identifier: Apache-2.0
// What ops do about indices that leave a table. On the CPU they throw. A device cannot throw and
// nobody waits for it: batches are checked on the host before they go there (core/model/
// pretrain_batch.h), and functors pass over what lies outside, so that no memory is touched that
// is not theirs.
#pragma once

#include "core/base/tensor.h"

namespace funnel {

// Throws if `indices` (i32) lies on the CPU and holds one outside [lowest, limit):
//     "embedding: index 31 of row 4 leaves a table of 30"
inline void check_indices(const char* what, const ConstTensor& indices, int64_t limit,
                          const char* whole, int32_t lowest = 0) {
  if (indices.device() != Device::cpu) return;
  const int32_t* index = indices.as<int32_t>();
  for (int64_t i = 0; i < indices.elements(); ++i) {
    FUNNEL_CHECK(index[i] >= lowest && index[i] < limit, what, " ", index[i], " of row ", i,
                 " leaves ", whole, " of ", limit);
  }
}

}  // namespace funnel
