// SPDX-License-Identifier: Apache-2.0
// The way of a block of threads that owns 64 queries of one head through tiles of 64 keys: while
// one tile is worked on, the next is copied. Of the position table each tile needs 64 rows that the
// one before did not.
#pragma once

#include "core/ops/fused_attention/keep_mask.cuh"
#include "core/ops/fused_attention/scores.cuh"

namespace funnel::fused {

template <int kWidth, int kShift>
class KeyTiles {
 public:
  using T = Tile<kWidth>;
  static constexpr int kSlots = kShift + 2;  // of the table: those in use, and the next
  // Bytes of shared memory, from `memory` on.
  static constexpr int kKey = 0;
  static constexpr int kValue = kKey + 2 * T::kBytes;
  static constexpr int kTable = kValue + 2 * T::kBytes;
  static constexpr int kColumns = kTable + kSlots * T::kBytes;
  static constexpr int kStage = kColumns + 2 * kKeyColumnBytes;
  static constexpr int kBytes = kStage + kWarps * kStageBytes;

  __device__ KeyTiles(const Problem& problem, Place place, int first_query, unsigned char* memory)
      : p_(problem),
        place_(place),
        first_query_(first_query),
        memory_(memory),
        shared_(ptx::shared_address(memory)),
        count_(static_cast<int>(tiles_of(problem.k_len))) {}

  __device__ int count() const { return count_; }
  __device__ int warp_query() const { return first_query_ + warp_of() * kWarpQueries; }

  // Begins to copy tile 0.
  __device__ void start() const {
    copy_keys(0);
#pragma unroll
    for (int n = 0; n <= kShift; ++n) copy_table(n);
  }

  // Waits for all copies and warps, and begins to copy tile n + 1. Returns tile n.
  __device__ ScoreTile<kWidth> take(int n) const {
    ptx::wait_for_copies();
    __syncthreads();
    if (n + 1 < count_) {
      copy_keys(n + 1);
      copy_table(n + 1 + kShift);
      ptx::commit_copies();
    }
    const int half = n % 2;
    return {.keys = shared_ + kKey + half * T::kBytes,
            .values = shared_ + kValue + half * T::kBytes,
            .key_columns = shared_ + kColumns + half * kKeyColumnBytes,
            .table = {shared_ + kTable, kSlots, n % kSlots},
            .stage = reinterpret_cast<uint32_t*>(memory_ + kStage + warp_of() * kStageBytes),
            .first = (place_.statistic(p_) + warp_query()) * p_.k_len + n * kTile,
            .first_query = warp_query() == 0,
            .first_key = n == 0};
  }

 private:
  __device__ void copy_keys(int n) const {
    const int half = n % 2, key = n * kTile;
    const int64_t from = place_.k_row(p_, kWidth), stride = int64_t{p_.heads} * kWidth;
    T::copy(shared_ + kKey + half * T::kBytes, p_.k + from, stride, key, p_.k_len);
    T::copy(shared_ + kValue + half * T::kBytes, p_.v + from, stride, key, p_.k_len);
    copy_key_columns(shared_ + kColumns + half * kKeyColumnBytes, p_, place_.example, n);
  }
  __device__ void copy_table(int n) const {
    const int row = kShift * (p_.q_len - first_query_ - (kTile - 1)) + n * kTile;
    T::copy(shared_ + kTable + n % kSlots * T::kBytes, p_.r + place_.head * kWidth,
            int64_t{p_.heads} * kWidth, row, p_.positions);
  }

  const Problem& p_;
  const Place place_;
  const int first_query_;
  unsigned char* const memory_;
  const uint32_t shared_;
  const int count_;
};

}  // namespace funnel::fused
