// SPDX-License-Identifier: Apache-2.0
// A warp's scores: 16 queries by 64 keys, from their operands in registers and shared memory.
#pragma once

#include "core/ops/fused_attention/columns.cuh"

namespace funnel::fused {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kLn2 = 0.693147181f;

// Where a block of threads is.
struct Place {
  int example, head;
  __device__ int64_t q_row(const Problem& p, int width) const {
    return (int64_t{example} * p.q_len * p.heads + head) * width;
  }
  __device__ int64_t k_row(const Problem& p, int width) const {
    return (int64_t{example} * p.k_len * p.heads + head) * width;
  }
  __device__ int64_t statistic(const Problem& p) const {
    return (int64_t{example} * p.heads + head) * p.q_len;
  }
};

// The rows of the position table that a tile of queries and a tile of keys meet, in tiles of 64:
// a ring of which `first` holds the rows from shift (q_len - 63 - query) + key on.
template <int kWidth>
struct TableRing {
  uint32_t address;
  int slots, first;

  __device__ uint32_t tile(int n) const {
    int slot = first + n;
    if (slot >= slots) slot -= slots;
    return address + slot * Tile<kWidth>::kBytes;
  }
};

// Position scores of one warp: words of two halves, rows g (low) and g + 8 (high), by row pair and
// key. Row g + 8 has the same key 8 shift columns earlier.
inline constexpr int kStagePitch = 72;  // words of a row pair; 8 mod 32: loads meet no bank twice
inline constexpr int kStageBytes = 8 * kStagePitch * 4;

// Of those rows, the first that this warp's window of the band needs.
template <int kShift>
__device__ inline int first_window_row() {
  return 16 * kShift * (kWarps - 1 - warp_of());
}

template <int kWidth, int kShift>
__device__ inline void stage_position_scores(const Rows<kWidth>& query,
                                             const TableRing<kWidth>& table, uint32_t* stage) {
  constexpr int kTiles = 8 + 2 * kShift;  // of 8 columns
  const int g = lane_of() / 4, q = lane_of() % 4;
  const int offset = 2 * q - kShift * (15 - g);  // from a column to its key, rows g
  float upper[kTiles][2];
#pragma unroll
  for (int pair = 0; pair < kTiles / 2; ++pair) {
    const int row = first_window_row<kShift>() + 16 * pair;
    const uint32_t tile = table.tile(row / kTile);
    float x[2][4] = {};
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
      uint32_t b[4];
      Tile<kWidth>::load_columns(b, tile, row % kTile, step);
      ptx::multiply_add(x[0], query.step[step], b[0], b[1]);
      ptx::multiply_add(x[1], query.step[step], b[2], b[3]);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int t = 2 * pair + half;
      upper[t][0] = x[half][2];
      upper[t][1] = x[half][3];
      if (t < kShift) continue;
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const __half2 word = __floats2half2_rn(x[half][e], upper[t - kShift][e]);
        const int key = 8 * t + e + offset;
        if (key >= 0 && key < kTile) {
          stage[g * kStagePitch + key] = *reinterpret_cast<const uint32_t*>(&word);
        }
      }
    }
  }
}

__device__ inline void read_staged(float (&scores)[8][4], const uint32_t* stage) {
  const int g = lane_of() / 4, q = lane_of() % 4;
#pragma unroll
  for (int t = 0; t < 8; ++t) {
    const uint2 words = *reinterpret_cast<const uint2*>(stage + g * kStagePitch + 8 * t + 2 * q);
    const float2 left = __half22float2(*reinterpret_cast<const __half2*>(&words.x));
    const float2 right = __half22float2(*reinterpret_cast<const __half2*>(&words.y));
    scores[t][0] = left.x;
    scores[t][1] = right.x;
    scores[t][2] = left.y;
    scores[t][3] = right.y;
  }
}

// Zeroes what belongs to CLS: query 0 and key 0.
__device__ inline void clear_cls(float (&x)[8][4], bool first_query, bool first_key) {
  if (first_query && lane_of() / 4 == 0) {
#pragma unroll
    for (int t = 0; t < 8; ++t) x[t][0] = x[t][1] = 0;
  }
  if (first_key && lane_of() % 4 == 0) x[0][0] = x[0][2] = 0;
}

// Where a warp's tile of queries and keys lies, in shared memory and in the problem.
template <int kWidth>
struct ScoreTile {
  uint32_t keys, values, key_columns;
  TableRing<kWidth> table;
  uint32_t* stage;  // kStageBytes of this warp's own: position scores, then the dropout mask
  int64_t first;  // element of [batch, heads, q_len, k_len]: the warp's first query, the first key
  bool first_query, first_key;  // does it hold query 0, key 0?
};

// Scores are made in two steps, so that a caller need not hold the operands of both at once.
// First: scores = the position scores; `query` with the position bias.
template <int kWidth, int kShift>
__device__ inline void set_position_scores(float (&scores)[8][4], const Problem& problem,
                                           const Rows<kWidth>& query,
                                           const ScoreTile<kWidth>& tile) {
  __syncwarp();  // the stage has been read
  stage_position_scores<kWidth, kShift>(query, tile.table, tile.stage);
  __syncwarp();
  read_staged(scores, tile.stage);
  if (problem.cls_mask) clear_cls(scores, tile.first_query, tile.first_key);
}

// Then: scores += content and segment scores; `query` with the content bias.
template <int kWidth>
__device__ inline void add_content_scores(float (&scores)[8][4], const Rows<kWidth>& query,
                                          const QueryColumns& columns,
                                          const ScoreTile<kWidth>& tile) {
  add_columns(scores, columns, tile.key_columns);
  add_products(scores, query, tile.keys);
}

}  // namespace funnel::fused
