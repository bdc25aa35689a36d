// SPDX-License-Identifier: Apache-2.0
// Dropout factors on a CUDA device. A Philox call decides eight neighbouring elements, which lie on
// eight neighbouring lanes: so each of them makes the call for another of eight turns, and they
// swap what they got, one call a lane where there would be eight.
#pragma once

#include "core/backend/cuda/launch.cuh"
#include "core/ops/dropout.h"

namespace funnel::cuda {

inline constexpr int kTurns = Dropout::kPerCall;

// The draws of a lane's elements in eight turns of its team.
class LaneDraws {
 public:
  // `element` is the dropout's index of the first turn's first element. All lanes of a warp call.
  template <class Team>
  __device__ LaneDraws(const Dropout& dropout, int64_t element, const Team& team) {
    const unsigned lane = team.member(), neighbour = lane % kTurns;
    const uint64_t mine = dropout.first + static_cast<uint64_t>(element) +
                          neighbour * Team::kMembers + (lane - neighbour);
    bits_ = dropout.stream.bits(mine / kTurns);
    const auto skipped = static_cast<unsigned>(mine % kTurns);  // the same on all lanes
    if (skipped != 0) skip(skipped, dropout.stream.bits(mine / kTurns + 1));
    swap_words<2>(lane);
    swap_words<1>(lane);
    swap_halves(lane);
  }

  __device__ const RandomBits& bits() const { return bits_; }

 private:
  // Drops the first draws and takes as many of the next call.
  __device__ void skip(unsigned count, const RandomBits& next) {
    uint32_t word[8];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      word[i] = bits_.word[i];
      word[4 + i] = next.word[i];
    }
#pragma unroll
    for (int i = 0; i < 6; ++i) word[i] = count & 4 ? word[i + 2] : word[i];
#pragma unroll
    for (int i = 0; i < 5; ++i) word[i] = count & 2 ? word[i + 1] : word[i];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      bits_.word[i] = count & 1 ? word[i] >> 16 | word[i + 1] << 16 : word[i];
    }
  }

  // Lane and draw are the indices of an 8 x 8 matrix that is transposed bit by bit. Here a bit of
  // the lane's number changes places with a bit of the word's.
  template <int kBit>
  __device__ void swap_words(unsigned lane) {
    const bool upper = lane & (2 * kBit);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i & kBit) continue;
      uint32_t& low = bits_.word[i];
      uint32_t& high = bits_.word[i + kBit];
      const uint32_t got = __shfl_xor_sync(kAllLanes, upper ? low : high, 2 * kBit);
      (upper ? low : high) = got;
    }
  }

  // And here with the half's within its word.
  __device__ void swap_halves(unsigned lane) {
    const bool upper = lane & 1;
#pragma unroll
    for (uint32_t& word : bits_.word) {
      const uint32_t got = __shfl_xor_sync(kAllLanes, word, 1);
      word = upper ? got >> 16 | (word & 0xffff0000u) : (word & 0xffffu) | got << 16;
    }
  }

  RandomBits bits_;
};

// team.each with f(i, factor), where element 0 is the dropout's element `first`.
template <class Team, class F>
__device__ void each_with_draws(const Team& team, int64_t n, const Dropout& dropout, int64_t first,
                                F f) {
  for (int64_t begin = 0; begin < n; begin += kTurns * Team::kMembers) {
    const LaneDraws draws(dropout, first + begin, team);
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int64_t i = begin + turn * Team::kMembers + team.member();
      if (i < n) f(i, dropout.factor_of(draws.bits(), turn));
    }
  }
  team.barrier();
}

// The same of team.each_slot, with f(i, slot, factor).
template <int64_t kMost, class Team, class F>
__device__ void each_slot_with_draws(const Team& team, int64_t n, const Dropout& dropout,
                                     int64_t first, F f) {
  constexpr int kSlots = static_cast<int>(Team::slots(kMost));
  const auto width = static_cast<int>(n), member = static_cast<int>(team.member());
#pragma unroll
  for (int begin = 0; begin < kSlots; begin += kTurns) {
    if (begin * Team::kMembers >= width) break;
    const LaneDraws draws(dropout, first + begin * Team::kMembers, team);
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int slot = begin + turn, i = slot * Team::kMembers + member;
      if (slot < kSlots && i < width) f(int64_t{i}, slot, dropout.factor_of(draws.bits(), turn));
    }
  }
  team.barrier();
}

}  // namespace funnel::cuda
