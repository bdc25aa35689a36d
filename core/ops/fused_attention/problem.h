// SPDX-License-Identifier: Apache-2.0
// What the fused attention kernels are given: core/ops/relative_attention.h as plain pointers to
// device memory, and the functions that launch them. bf16 operands, f32 sums; no scores in memory.
//
// A block of threads works on tiles of 64 queries by 64 keys, each of its four warps on 16 queries.
// The position score of query i and key j is (q_i + r_r) . R_c with c = shift (q_len - i) + j: for
// 16 queries and 64 keys a band of 64 + 16 shift rows of the table, which is multiplied whole and
// read along its diagonals.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.h"
#include "core/ops/dropout.h"

struct CUstream_st;

namespace funnel::fused {

inline constexpr int kTile = 64;  // queries, keys, rows of the table
inline constexpr int kWarps = 4;  // of a block
inline constexpr int kWarpQueries = 16;
inline constexpr int kKeyColumns = 8;  // what a key carries besides its vector

constexpr int64_t tiles_of(int64_t length) {
  return (length + kTile - 1) / kTile;
}

// Shapes as in AttentionInputs.
struct Problem {
  const BFloat16 *q, *k, *v, *r;
  const BFloat16 *content_bias, *position_bias, *segment_bias;
  const BFloat16* segment_embedding;       // null: no segment term
  const uint8_t *q_segments, *k_segments;  // null: no segment term
  const uint8_t* hidden;                   // null: no key is hidden
  BFloat16* key_columns;                   // [batch, tiles_of(k_len) * kTile, kKeyColumns], scratch
  int batch, q_len, k_len, heads, head_width, positions, shift;
  int table_group;  // examples of a group at most (table_groups_of), 0: as the device is filled
  bool cls_mask;
  float scale;  // 1 / sqrt(head_width)
  Dropout dropout;
};

// Fills key_columns: must come first, forward and backward.
void prepare_keys(CUstream_st* stream, const Problem& problem);

// context like q, log_normaliser [batch, heads, q_len]; both overwritten.
void forward(CUstream_st* stream, const Problem& problem, BFloat16* context, float* log_normaliser);

// What a block of queries adds to the gradients of content bias, position bias, segment bias,
// segment embedding "different" and "same".
inline constexpr int kParts = 5;

// Floats that backward_queries keeps of a query and head.
inline constexpr int kStatistics = 4;

struct Backward {
  const BFloat16 *context, *dcontext;
  const float* log_normaliser;
  BFloat16 *dq, *dk, *dv, *dr;  // overwritten
  float* statistics;            // [batch, heads, q_len, kStatistics], scratch
  float* parts;        // [kParts, batch * tiles_of(q_len), heads * head_width], overwritten
  float* table_parts;  // [table_groups, heads, diagonals, tile of the table's rows], scratch
};

// The gradient of the position table is summed by diagonals, tiles of queries and keys that read
// the same rows, and by groups of examples: each gives a part, which are then added in order.
int diagonals_of(const Problem& problem);
int table_groups_of(const Problem& problem);
int64_t table_parts_of(const Problem& problem);  // elements of all parts

// To be called in this order, after prepare_keys.
void backward_queries(CUstream_st* stream, const Problem& problem, const Backward& backward);
void backward_keys(CUstream_st* stream, const Problem& problem, const Backward& backward);
void backward_table(CUstream_st* stream, const Problem& problem, const Backward& backward);

}  // namespace funnel::fused
