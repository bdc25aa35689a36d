// SPDX-License-Identifier: Apache-2.0
// Which of a warp's 16 x 64 probabilities dropout keeps: bit for bit what Dropout::factor says. A
// call of the generator decides 8 neighbours, so the warp shares the calls and passes bits on.
#pragma once

#include "core/ops/dropout.h"
#include "core/ops/fused_attention/scores.cuh"

namespace funnel::fused {

inline constexpr int kMaskPitch = 6;  // 16-bit pieces of a row: five in use, one to align
inline constexpr int kMaskBytes = 16 * kMaskPitch * 2;
static_assert(kMaskBytes <= kStageBytes);

// Bit n: whether element 8 call + n of the global batch is kept.
__device__ inline uint32_t keep_bits(const Dropout& dropout, uint64_t call) {
  const RandomBits bits = dropout.stream.bits(call);
  uint32_t keep = 0;
#pragma unroll
  for (int n = 0; n < Dropout::kPerCall; ++n) {
    const uint32_t sixteen = n % 2 == 0 ? bits.word[n / 2] & 0xffffu : bits.word[n / 2] >> 16;
    keep |= (sixteen >= dropout.threshold ? 1u : 0u) << n;
  }
  return keep;
}

class KeepMask {
 public:
  // Element `first` + m * row_stride is that of row m and key 0. `room`: kMaskBytes of this warp's
  // own, overwritten. All lanes of a warp take part.
  __device__ void draw(const Dropout& dropout, int64_t first, int row_stride, uint32_t* room) {
    uint16_t* shared = reinterpret_cast<uint16_t*>(room);
    const int lane = lane_of();
    const uint64_t start = dropout.first + static_cast<uint64_t>(first);
    const int pieces = start % 8 == 0 && row_stride % 8 == 0 ? 4 : 5;
    __syncwarp();
#pragma unroll 1
    for (int n = lane; n < 16 * pieces; n += 32) {
      const int row = n % 16, piece = n / 16;
      const uint64_t index = start + static_cast<uint64_t>(row) * row_stride;
      const uint64_t call = index / 8 + 2 * piece;
      shared[row * kMaskPitch + piece] =
          static_cast<uint16_t>(keep_bits(dropout, call) | keep_bits(dropout, call + 1) << 8);
    }
    __syncwarp();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = lane / 4 + 8 * half;
      const uint64_t index = start + static_cast<uint64_t>(row) * row_stride;
      const uint32_t* words = reinterpret_cast<const uint32_t*>(shared + row * kMaskPitch);
      const uint32_t last = pieces == 5 ? shared[row * kMaskPitch + 4] : 0u;
      const int skip = static_cast<int>(index % 8), column = 2 * (lane % 4);
      bits_[half][0] = __funnelshift_r(words[0], words[1], skip) >> column;
      bits_[half][1] = __funnelshift_r(words[1], last, skip) >> column;
    }
  }

  // Element i of a lane's 16 x 8 result t.
  __device__ bool keeps(int t, int i) const {
    return (bits_[i / 2][t / 4] >> (8 * (t % 4) + i % 2) & 1u) != 0;
  }

 private:
  // Of rows g and g + 8, from this lane's first column on; all are kept until drawn.
  uint32_t bits_[2][2] = {{~0u, ~0u}, {~0u, ~0u}};
};

}  // namespace funnel::fused
