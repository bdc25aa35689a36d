// SPDX-License-Identifier: Apache-2.0
// Chunks in memory, shared by the threads that fill batches. A chunk is read by the thread that
// first needs it while others go on; the chunk used longest ago gives way. Each lane walks one
// chunk at a time, so with more slots than lanes a chunk is read once in an epoch.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/backend/buffer.h"
#include "data/mixture.h"

namespace funnel {

class ChunkCache {
 public:
  // Holds `slots` chunks, or all there are if that is less; allocates now and never again.
  ChunkCache(const Mixture& data, int64_t slots);

  // Copies an example's ids to `ids` [seq_len]; gives its segment_a_length. Throws as
  // DataSet::read_chunk does.
  int64_t copy_example(int64_t set, int64_t example, int32_t* ids);

 private:
  using Key = std::pair<int64_t, int64_t>;  // data set and chunk in it
  struct Slot {
    char* memory = nullptr;
    Key key{-1, -1};
    int64_t users = 0;
    int64_t last_use = 0;
    bool is_ready = false;
    Tensor ids, segment_a_length;
  };

  Slot& acquire(Key key);
  Slot* oldest_unused();
  void fill(Slot& slot);
  void release(Slot& slot);

  const Mixture& data_;
  Buffer memory_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, Slot*> slot_of_chunk_;
  int64_t uses_ = 0;
};

}  // namespace funnel
