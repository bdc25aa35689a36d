// SPDX-License-Identifier: Apache-2.0
// What the backward kernels share: a warp makes the probabilities of its 16 queries by 64 keys once
// more, and the gradients of the scores from them.
#pragma once

#include "core/ops/fused_attention/keep_mask.cuh"
#include "core/ops/fused_attention/scores.cuh"

namespace funnel::fused {

// What a warp knows of its queries, rows g and g + 8, besides their vectors.
struct QueryRows {
  QueryColumns columns;
  float normaliser[2];  // of scaled scores in units of log 2; infinite where there is no query
  float delta[2];       // sum_j P_j dP_j, dropout included
};

// p, the scores, become the probabilities times their dropout factors; d = the gradients of the
// scores.
template <int kWidth>
__device__ inline void set_gradients(float (&p)[8][4], float (&d)[8][4], const Problem& problem,
                                     const Rows<kWidth>& dcontext, const QueryRows& rows,
                                     const ScoreTile<kWidth>& tile) {
  const float scale = problem.scale * kLog2E;
  KeepMask keep;  // drawn first, while registers are free
  if (problem.dropout.active()) keep.draw(problem.dropout, tile.first, problem.k_len, tile.stage);
#pragma unroll
  for (int t = 0; t < 8; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      p[t][i] = ptx::exp2_approximate(p[t][i] * scale - rows.normaliser[i / 2]);
      d[t][i] = 0;
    }
  }
  add_products(d, dcontext, tile.values);
#pragma unroll
  for (int t = 0; t < 8; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float factor = keep.keeps(t, i) ? problem.dropout.scale : 0.0f;
      d[t][i] = p[t][i] * (d[t][i] * factor - rows.delta[i / 2]);
      p[t][i] *= factor;
    }
  }
}

// What the kernel that goes by queries leaves of a query to the others.
__device__ inline void write_statistics(float* statistics, int64_t at, float normaliser,
                                        float delta, SegmentDots dots) {
  *reinterpret_cast<float4*>(statistics + at * kStatistics) =
      make_float4(normaliser, delta, dots.different, dots.same);
}

__device__ inline QueryRows read_statistics(const Problem& p, const float* statistics, Place place,
                                            int first_query) {
  QueryRows rows;
  SegmentDots dots[2];
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int query = first_query + lane_of() / 4 + 8 * row;
    float4 of = make_float4(INFINITY, 0, 0, 0);
    if (query < p.q_len) {
      of =
          *reinterpret_cast<const float4*>(statistics + (place.statistic(p) + query) * kStatistics);
    }
    rows.normaliser[row] = of.x;
    rows.delta[row] = of.y;
    dots[row] = {of.z, of.w};
  }
  rows.columns = query_columns(p, dots, place.example, first_query);
  return rows;
}

// The gradients of a warp's scores, moved back to the columns of the band: row m's key j goes to
// column j + shift (15 - m). What lies beside the band must be zero already, and stays so.
template <int kShift>
__device__ inline void write_band(const float (&d)[8][4], BFloat16* band, int pitch) {
  const int g = lane_of() / 4, q = lane_of() % 4;
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int m = g + 8 * row;
    BFloat16* to = band + m * pitch + kShift * (15 - m) + 2 * q;
#pragma unroll
    for (int t = 0; t < 8; ++t) {
      const uint32_t pair = pack(d[t][2 * row], d[t][2 * row + 1]);
      if constexpr (kShift % 2 == 0) {
        *reinterpret_cast<uint32_t*>(to + 8 * t) = pair;
      } else {
        to[8 * t].bits = static_cast<uint16_t>(pair);
        to[8 * t + 1].bits = static_cast<uint16_t>(pair >> 16);
      }
    }
  }
}

// Zeroes 16 rows of `pitch` elements, by one warp.
__device__ inline void clear_band(BFloat16* band, int pitch) {
  uint32_t* words = reinterpret_cast<uint32_t*>(band);
  for (int i = lane_of(); i < 16 * pitch / 2; i += 32) words[i] = 0;
  __syncwarp();
}

}  // namespace funnel::fused
