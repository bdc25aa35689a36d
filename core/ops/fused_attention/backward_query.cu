// SPDX-License-Identifier: Apache-2.0
// Backward by queries: a block of threads owns 64 queries of one head and goes through the keys. It
// makes dq, its queries' part of the gradients of biases and segment embeddings, and the statistics
// of rows that the kernels after it read.
#include "core/backend/cuda/check.h"
#include "core/backend/cuda/runtime.h"
#include "core/ops/fused_attention/gradients.cuh"
#include "core/ops/fused_attention/key_tiles.cuh"

namespace funnel::fused {
namespace {

template <int kWidth, int kShift>
struct Layout {
  static constexpr int kBandColumns = kTile + 16 * kShift;
  static constexpr int kBandPitch = kBandColumns + 8;  // 8 rows of 16 bytes meet no bank twice
  static constexpr int kBandBytes = 16 * kBandPitch * 2;
  static constexpr int kQuery = 0;
  static constexpr int kOut = kQuery + Tile<kWidth>::kBytes;
  static constexpr int kKeys = kOut + Tile<kWidth>::kBytes;
  static constexpr int kBand = kKeys + KeyTiles<kWidth, kShift>::kBytes;
  static constexpr int kBytes = kBand + kWarps * kBandBytes;
  // The sums of a block's warps, where keys were.
  static constexpr int kSums = kKeys;
  static_assert(kWarps * kParts * kWidth * 4 <= 2 * Tile<kWidth>::kBytes);
};

// sum_c dcontext_c context_c of rows g and g + 8.
template <int kWidth>
__device__ inline void row_deltas(float (&delta)[2], const Rows<kWidth>& dcontext,
                                  const BFloat16* context, int64_t row_stride, int first,
                                  int rows) {
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int at = first + lane_of() / 4 + 8 * row;
    const BFloat16* from = context + (at < rows ? at : 0) * row_stride + 2 * (lane_of() % 4);
    float sum = 0;
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t x = load_pair(from + 16 * step + 8 * half);
        const uint32_t y = dcontext.step[step][2 * half + row];
        sum += low_of(x) * low_of(y) + high_of(x) * high_of(y);
      }
    }
    delta[row] = sum_of_quad(sum);
  }
}

// The gradients of a row's products with the two segment embeddings, scaled, from those of its
// columns: lane q holds columns 2q and 2q + 1.
__device__ inline SegmentDots segment_gradients(const float (&columns)[4], int row, int segment,
                                                bool relative, float scale) {
  const int quad = lane_of() & ~3;
  const float first = __shfl_sync(kAllLanes, columns[2 * row], quad);
  const float second = __shfl_sync(kAllLanes, columns[2 * row + 1], quad);
  const float cls = __shfl_sync(kAllLanes, columns[2 * row], quad + 1);
  const bool to_all = segment == kClsSegment;
  const bool to_first = segment == 0 || to_all, to_second = segment == 1 || to_all;
  const float of = relative ? scale : 0.0f;
  return {of * ((to_first ? 0.0f : first) + (to_second ? 0.0f : second)),
          of * (cls + (to_first ? first : 0.0f) + (to_second ? second : 0.0f))};
}

// The sum over a warp's 16 rows of what lanes hold of rows g and g + 8 together.
__device__ inline float sum_of_rows(float x) {
#pragma unroll
  for (int distance = 4; distance < 32; distance *= 2) {
    x += __shfl_xor_sync(kAllLanes, x, distance);
  }
  return x;
}

// What a warp holds of its queries from tile to tile.
template <int kWidth>
struct WarpQueries {
  Rows<kWidth> content, position;
  QueryRows rows;
};

// Reads queries and dcontext from their tiles; makes the statistics of the rows, and keeps them.
template <int kWidth>
__device__ inline void set_queries(WarpQueries<kWidth>& to, const Problem& p, const Backward& b,
                                   Place place, int warp_query, uint32_t queries, uint32_t outs) {
  Rows<kWidth> q, dcontext;
  Tile<kWidth>::load_rows(q, queries, warp_of() * kWarpQueries);
  to.content = with_bias(q, p.content_bias + place.head * kWidth);
  to.position = with_bias(q, p.position_bias + place.head * kWidth);
  SegmentDots dots[2];
  if (p.segment_embedding != nullptr) segment_dots(dots, q, p, place.head);
  to.rows.columns = query_columns(p, dots, place.example, warp_query);
  Tile<kWidth>::load_rows(dcontext, outs, warp_of() * kWarpQueries);
  row_deltas(to.rows.delta, dcontext, b.context + place.q_row(p, kWidth), int64_t{p.heads} * kWidth,
             warp_query, p.q_len);
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int query = warp_query + lane_of() / 4 + 8 * row;
    to.rows.normaliser[row] = INFINITY;
    if (query >= p.q_len) continue;
    const int64_t at = place.statistic(p) + query;
    to.rows.normaliser[row] = b.log_normaliser[at] * kLog2E;
    if (lane_of() % 4 == 0) {
      write_statistics(b.statistics, at, to.rows.normaliser[row], to.rows.delta[row], dots[row]);
    }
  }
}

// The sums of a warp's queries.
template <int kWidth>
struct QueryGradients {
  float content[kWidth / 8][4] = {}, position[kWidth / 8][4] = {}, columns[4] = {};
};

// Adds what a tile of keys sends back, given the gradients of its scores.
template <int kWidth, int kShift>
__device__ inline void add_tile(QueryGradients<kWidth>& sum, float (&d)[8][4], const Problem& p,
                                const ScoreTile<kWidth>& tile, BFloat16* band) {
  using L = Layout<kWidth, kShift>;
  uint32_t a[4][4];
#pragma unroll
  for (int step = 0; step < 4; ++step) to_operand(a[step], d[2 * step], d[2 * step + 1]);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t columns[4];
    ptx::load_transposed(columns, tile.key_columns + (32 * half + lane_of()) * kKeyColumns * 2);
    ptx::multiply_add(sum.columns, a[2 * half], columns[0], columns[1]);
    ptx::multiply_add(sum.columns, a[2 * half + 1], columns[2], columns[3]);
  }
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    add_weighted_rows<kWidth>(sum.content, a[step], tile.keys, 16 * step);
  }
  if (p.cls_mask) clear_cls(d, tile.first_query, tile.first_key);
  write_band<kShift>(d, band, L::kBandPitch);
  __syncwarp();
  const uint32_t band_row =
      ptx::shared_address(band) + (lane_of() & 15) * L::kBandPitch * 2 + (lane_of() >> 4) * 16;
#pragma unroll
  for (int step = 0; step < L::kBandColumns / 16; ++step) {
    uint32_t x[4];
    ptx::load_matrices(x, band_row + 32 * step);
    const int row = first_window_row<kShift>() + 16 * step;
    add_weighted_rows<kWidth>(sum.position, x, tile.table.tile(row / kTile), row % kTile);
  }
}

// dq in place of sum.content; the sums over the warp's queries of all parts to `sums`
// [kParts, kWidth].
template <int kWidth>
__device__ inline void finish(QueryGradients<kWidth>& sum, const Problem& p, Place place,
                              int warp_query, const unsigned char* queries, float* sums) {
  SegmentDots ddots[2];
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const int query = warp_query + lane_of() / 4 + 8 * row;
    const bool relative = p.segment_embedding != nullptr && !(p.cls_mask && query == 0);
    ddots[row] = segment_gradients(sum.columns, row, query_segment(p, place.example, query),
                                   relative, p.scale);
  }
  const int g = lane_of() / 4, column = 2 * (lane_of() % 4);
#pragma unroll
  for (int i = 0; i < kWidth / 8 * 2; ++i) {
    const int c = i / 2, e = i % 2, at = 8 * c + column + e;
    float bias = 0, different = 0, same = 0;
    if (p.segment_embedding != nullptr) {
      const int of_head = place.head * kWidth + at;
      bias = p.segment_bias[of_head];
      different = p.segment_embedding[of_head];
      same = p.segment_embedding[p.heads * kWidth + of_head];
    }
    float parts[kParts] = {};
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const int tile_row = warp_of() * kWarpQueries + g + 8 * row;
      const float q = *reinterpret_cast<const BFloat16*>(
          queries + Tile<kWidth>::place(tile_row, c) + 2 * (column + e));
      const float content = p.scale * sum.content[c][2 * row + e];
      const float position = p.scale * sum.position[c][2 * row + e];
      const float segment = ddots[row].different * different + ddots[row].same * same;
      sum.content[c][2 * row + e] = content + position + segment;
      parts[0] += content;
      parts[1] += position;
      parts[2] += segment;
      parts[3] += ddots[row].different * (q + bias);
      parts[4] += ddots[row].same * (q + bias);
    }
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const float all = sum_of_rows(parts[part]);
      if (g == 0) sums[part * kWidth + at] = all;
    }
  }
}

template <int kWidth, int kShift>
__global__ void __launch_bounds__(kThreads) query_kernel(const Problem p, const Backward b) {
  using L = Layout<kWidth, kShift>;
  using T = Tile<kWidth>;
  extern __shared__ __align__(128) unsigned char memory[];
  const uint32_t shared = ptx::shared_address(memory);
  const Place place{static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y)};
  const int first_query = static_cast<int>(blockIdx.x) * kTile;
  const int64_t stride = int64_t{p.heads} * kWidth, queries = place.q_row(p, kWidth);
  const KeyTiles<kWidth, kShift> tiles(p, place, first_query, memory + L::kKeys);
  T::copy(shared + L::kQuery, p.q + queries, stride, first_query, p.q_len);
  T::copy(shared + L::kOut, b.dcontext + queries, stride, first_query, p.q_len);
  tiles.start();
  ptx::commit_copies();
  BFloat16* band = reinterpret_cast<BFloat16*>(memory + L::kBand + warp_of() * L::kBandBytes);
  clear_band(band, L::kBandPitch);
  ptx::wait_for_copies();
  __syncthreads();

  WarpQueries<kWidth> warp;
  set_queries(warp, p, b, place, tiles.warp_query(), shared + L::kQuery, shared + L::kOut);
  QueryGradients<kWidth> sum;
  for (int n = 0; n < tiles.count(); ++n) {
    const ScoreTile<kWidth> tile = tiles.take(n);
    float prob[8][4], d[8][4];
    set_position_scores<kWidth, kShift>(prob, p, warp.position, tile);
    add_content_scores(prob, warp.content, warp.rows.columns, tile);
    {
      Rows<kWidth> dcontext;  // not kept: there are no registers left
      T::load_rows(dcontext, shared + L::kOut, warp_of() * kWarpQueries);
      set_gradients(prob, d, p, dcontext, warp.rows, tile);
    }
    add_tile<kWidth, kShift>(sum, d, p, tile, band);
  }

  __syncthreads();  // the keys' tiles are free
  float* sums = reinterpret_cast<float*>(memory + L::kSums);
  finish(sum, p, place, tiles.warp_query(), memory + L::kQuery, sums + warp_of() * kParts * kWidth);
  write_rows<kWidth>(sum.content, memory + L::kQuery, warp_of() * kWarpQueries, b.dq + queries,
                     stride, tiles.warp_query(), p.q_len);
  __syncthreads();
  const int64_t blocks = int64_t{p.batch} * gridDim.x;
  const int64_t block = int64_t{place.example} * gridDim.x + blockIdx.x;
  for (int i = threadIdx.x; i < kParts * kWidth; i += kThreads) {
    float of_block = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) of_block += sums[w * kParts * kWidth + i];
    const int64_t row = (i / kWidth * blocks + block) * p.heads + place.head;
    b.parts[row * kWidth + i % kWidth] = of_block;
  }
}

template <int kWidth, int kShift>
void launch(CUstream_st* stream, const Problem& p, const Backward& b) {
  const auto kernel = query_kernel<kWidth, kShift>;
  constexpr int kBytes = Layout<kWidth, kShift>::kBytes;
  cuda::check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
              "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(tiles_of(p.q_len)), static_cast<unsigned>(p.heads),
                  static_cast<unsigned>(p.batch));
  kernel<<<grid, kThreads, kBytes, stream>>>(p, b);
  cuda::check_launch();
}

}  // namespace

void backward_queries(CUstream_st* stream, const Problem& problem, const Backward& backward) {
  if (problem.shift == 1) return launch<64, 1>(stream, problem, backward);
  launch<64, 2>(stream, problem, backward);
}

}  // namespace funnel::fused
