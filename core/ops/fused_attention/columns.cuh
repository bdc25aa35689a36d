// SPDX-License-Identifier: Apache-2.0
// What is no product of two vectors of head_width becomes one of a few columns. A key carries
// [first, second, CLS, hidden, first, second, CLS, 0]: ones for its segment and whether nobody may
// see it. A query carries what each of these adds to the score, rounded to bf16, and what the
// rounding lost. The CLS mask is zeros there.
#pragma once

#include "core/ops/fused_attention/tiles.cuh"
#include "core/ops/relative_attention.h"

namespace funnel::fused {

// Of a hidden key, before the scale: far below every score.
inline constexpr float kHiddenScore = -8388608.0f;
inline constexpr int kKeyColumnBytes = kTile * kKeyColumns * 2;

// A tile's columns of keys; every row is there.
__device__ inline void copy_key_columns(uint32_t to, const Problem& p, int example, int key_tile) {
  if (threadIdx.x >= kTile) return;
  const int64_t row = (example * tiles_of(p.k_len) + key_tile) * kTile + threadIdx.x;
  ptx::copy_async(to + threadIdx.x * kKeyColumns * 2, p.key_columns + row * kKeyColumns, true);
}

// What two rows, g and g + 8, of a warp's queries carry besides their vectors.
struct QueryColumns {
  uint32_t operand[2];
};

// The score of a query with the segment embeddings, before the scale.
struct SegmentDots {
  float different = 0, same = 0;
};

__device__ inline uint32_t query_columns_of(SegmentDots dots, int segment, bool relative) {
  const bool cls = segment == kClsSegment;
  const float off = relative ? 1.0f : 0.0f;
  const float first = off * (segment == 0 || cls ? dots.same : dots.different);
  const float second = off * (segment == 1 || cls ? dots.same : dots.different);
  const float third = off * dots.same;
  const int q = lane_of() % 4;
  const uint32_t ab = pack(first, second), c = pack(third, kHiddenScore);
  if (q == 0) return ab;
  if (q == 1) return c;
  if (q == 2) return pack(first - low_of(ab), second - high_of(ab));
  return pack(third - low_of(c), 0.0f);
}

// scores += query columns . key columns.
__device__ inline void add_columns(float (&scores)[8][4], const QueryColumns& query,
                                   uint32_t key_columns) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t b[4];
    ptx::load_matrices(b, key_columns + (32 * half + lane_of()) * kKeyColumns * 2);
#pragma unroll
    for (int t = 0; t < 4; ++t) ptx::multiply_add(scores[4 * half + t], query.operand, b[t]);
  }
}

// The same rows with a bias added, rounded to bf16.
template <int kWidth>
__device__ inline Rows<kWidth> with_bias(const Rows<kWidth>& a, const BFloat16* bias) {
  Rows<kWidth> sum;
#pragma unroll
  for (int step = 0; step < kWidth / 16; ++step) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t b = load_pair(bias + 16 * step + 8 * (i / 2) + 2 * (lane_of() % 4));
      const uint32_t x = a.step[step][i];
      sum.step[step][i] = pack(low_of(x) + low_of(b), high_of(x) + high_of(b));
    }
  }
  return sum;
}

// The products of rows g (0) and g + 8 (1), bias added, with the segment embeddings.
template <int kWidth>
__device__ inline void segment_dots(SegmentDots (&dots)[2], const Rows<kWidth>& a, const Problem& p,
                                    int head) {
  const BFloat16* bias = p.segment_bias + head * kWidth;
  const BFloat16* different = p.segment_embedding + head * kWidth;
  const BFloat16* same = different + p.heads * kWidth;
#pragma unroll
  for (int step = 0; step < kWidth / 16; ++step) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = 16 * step + 8 * (i / 2) + 2 * (lane_of() % 4);
      const uint32_t b = load_pair(bias + column), x = a.step[step][i];
      const float low = low_of(x) + low_of(b), high = high_of(x) + high_of(b);
      const uint32_t e0 = load_pair(different + column), e1 = load_pair(same + column);
      SegmentDots& of = dots[i % 2];
      of.different += low * low_of(e0) + high * high_of(e0);
      of.same += low * low_of(e1) + high * high_of(e1);
    }
  }
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    dots[row].different = sum_of_quad(dots[row].different);
    dots[row].same = sum_of_quad(dots[row].same);
  }
}

// The segment of a query; 0 where there are no segments or no such query.
__device__ inline int query_segment(const Problem& p, int example, int query) {
  if (p.q_segments == nullptr || query >= p.q_len) return 0;
  return p.q_segments[int64_t{example} * p.q_len + query];
}

__device__ inline QueryColumns query_columns(const Problem& p, const SegmentDots (&dots)[2],
                                             int example, int first_query) {
  QueryColumns columns;
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int query = first_query + lane_of() / 4 + 8 * row;
    columns.operand[row] =
        query_columns_of(dots[row], query_segment(p, example, query), !(p.cls_mask && query == 0));
  }
  return columns;
}

}  // namespace funnel::fused
