// SPDX-License-Identifier: Apache-2.0
// The checkers' view of one piece of memory, an allocation or a block's shared memory: which bytes
// have been written, and who accessed them last. Pages of it exist once touched.
#pragma once

#include <cstdint>
#include <memory>

#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/race.h"

namespace funnel::cudacpu {

// Zeroed memory for `count` objects, provided page by page when used.
template <class T>
class LazyArray {
 public:
  explicit LazyArray(int64_t count);
  ~LazyArray();
  LazyArray(const LazyArray&) = delete;
  LazyArray& operator=(const LazyArray&) = delete;
  T* data() { return data_; }
  void clear();  // zeros everything

 private:
  T* data_;
  int64_t count_;
};

struct Shadow {
  explicit Shadow(int64_t bytes) : written(bytes), cells(bytes / 2 + 1) {}
  LazyArray<uint8_t> written;  // 1 for each written byte
  LazyArray<RaceCell> cells;   // one for two bytes
  RegionAccesses regions;      // by copies, fills and libraries
};

// The allocation's shadow, made if missing. Memory that the host may write unseen (pinned memory,
// variables) is regarded as written.
Shadow& shadow_of(const Allocation& allocation);

}  // namespace funnel::cudacpu
