// SPDX-License-Identifier: Apache-2.0
#include "data/chunk_cache.h"

#include <algorithm>

#include "core/base/error.h"

namespace funnel {

ChunkCache::ChunkCache(const Mixture& data, int64_t slots) : data_(data) {
  FUNNEL_CHECK(slots >= 1, "chunk cache: expected at least one slot, found ", slots);
  int64_t chunks = 0, bytes = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    chunks += data.set(i).chunks();
    bytes = std::max(bytes, align_up(data.set(i).chunk_rows() * (data.seq_len() + 1) * 4));
  }
  slots_.resize(static_cast<size_t>(std::min(slots, chunks)));
  memory_ = Buffer(Device::cpu, static_cast<int64_t>(slots_.size()) * bytes);
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].memory = memory_.data() + static_cast<int64_t>(i) * bytes;
  }
}

int64_t ChunkCache::copy_example(int64_t set, int64_t example, int32_t* ids) {
  const int64_t chunk_rows = data_.set(set).chunk_rows(), seq_len = data_.seq_len();
  Slot& slot = acquire({set, example / chunk_rows});
  const int64_t row = example % chunk_rows;
  std::copy_n(slot.ids.as<int32_t>() + row * seq_len, seq_len, ids);
  const int64_t length = slot.segment_a_length.as<int32_t>()[row];
  release(slot);
  return length;
}

// The chunk's slot, filled and kept until release().
ChunkCache::Slot& ChunkCache::acquire(Key key) {
  std::unique_lock lock(mutex_);
  for (;; changed_.wait(lock)) {
    const auto known = slot_of_chunk_.find(key);
    Slot* const slot = known != slot_of_chunk_.end() ? known->second : oldest_unused();
    if (slot == nullptr) continue;
    if (known == slot_of_chunk_.end()) {
      slot_of_chunk_.erase(slot->key);
      *slot = {.memory = slot->memory,
               .key = key,
               .users = 1,
               .last_use = ++uses_,
               .ids = {},
               .segment_a_length = {}};
      slot_of_chunk_[key] = slot;
      lock.unlock();
      fill(*slot);
      return *slot;
    }
    // Otherwise another thread is reading it; should that fail, this one tries, and says why.
    if (slot->is_ready) {
      ++slot->users;
      slot->last_use = ++uses_;
      return *slot;
    }
  }
}

ChunkCache::Slot* ChunkCache::oldest_unused() {
  Slot* oldest = nullptr;
  for (Slot& slot : slots_) {
    if (slot.users == 0 && (oldest == nullptr || slot.last_use < oldest->last_use)) oldest = &slot;
  }
  return oldest;
}

void ChunkCache::fill(Slot& slot) {
  const DataSet& set = data_.set(slot.key.first);
  const int64_t rows = set.rows_of(slot.key.second);
  slot.ids = Tensor(slot.memory, {rows, set.seq_len()}, DType::i32);
  slot.segment_a_length = Tensor(slot.memory + slot.ids.bytes(), {rows}, DType::i32);
  try {
    set.read_chunk(slot.key.second, slot.ids, slot.segment_a_length);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    slot_of_chunk_.erase(slot.key);
    slot.key = {-1, -1};
    slot.users = 0;
    changed_.notify_all();
    throw;
  }
  const std::lock_guard lock(mutex_);
  slot.is_ready = true;
  changed_.notify_all();
}

void ChunkCache::release(Slot& slot) {
  const std::lock_guard lock(mutex_);
  if (--slot.users == 0) changed_.notify_all();
}

}  // namespace funnel
