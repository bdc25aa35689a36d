// SPDX-License-Identifier: Apache-2.0
// Forward: a block of threads owns 64 queries of one head, and goes through the keys with a running
// maximum and sum of each row. While a tile of keys is worked on, the next is on its way.
#include "core/backend/cuda/check.h"
#include "core/backend/cuda/runtime.h"
#include "core/ops/fused_attention/key_tiles.cuh"

namespace funnel::fused {
namespace {

// Running maximum (of scaled scores in units of log 2) and sum of rows g and g + 8.
template <int kWidth>
struct Online {
  float top[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};  // of this lane's columns
  float out[kWidth / 8][4] = {};

  // Turns scores into exponentials relative to the new maximum.
  __device__ void update(float (&s)[8][4], float scale) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float most = -INFINITY;
#pragma unroll
      for (int t = 0; t < 8; ++t) most = fmaxf(most, fmaxf(s[t][2 * row], s[t][2 * row + 1]));
      const float next = fmaxf(top[row], max_of_quad(most) * scale);
      const float shrink = ptx::exp2_approximate(top[row] - next);
      top[row] = next;
      sum[row] *= shrink;
#pragma unroll
      for (int t = 0; t < 8; ++t) {
#pragma unroll
        for (int e = 2 * row; e < 2 * row + 2; ++e) {
          s[t][e] = ptx::exp2_approximate(s[t][e] * scale - next);
          sum[row] += s[t][e];
        }
      }
#pragma unroll
      for (int c = 0; c < kWidth / 8; ++c) {
        out[c][2 * row] *= shrink;
        out[c][2 * row + 1] *= shrink;
      }
    }
  }
};

// Divides by the sums, and writes the context and normalisers of the warp's queries by way of its
// rows of the tile.
template <int kWidth>
__device__ inline void write_context(Online<kWidth>& online, const Problem& p, Place place,
                                     int warp_query, unsigned char* tile, BFloat16* context,
                                     float* log_normaliser) {
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const float sum = sum_of_quad(online.sum[row]);
    const int query = warp_query + lane_of() / 4 + 8 * row;
    if (lane_of() % 4 == 0 && query < p.q_len) {
      log_normaliser[place.statistic(p) + query] = online.top[row] * kLn2 + logf(sum);
    }
    const float factor = p.dropout.scale / sum;
#pragma unroll
    for (int c = 0; c < kWidth / 8; ++c) {
      online.out[c][2 * row] *= factor;
      online.out[c][2 * row + 1] *= factor;
    }
  }
  write_rows<kWidth>(online.out, tile, warp_of() * kWarpQueries, context + place.q_row(p, kWidth),
                     int64_t{p.heads} * kWidth, warp_query, p.q_len);
}

template <int kWidth>
__device__ inline void drop(float (&s)[8][4], const Problem& p, const ScoreTile<kWidth>& tile) {
  if (!p.dropout.active()) return;
  KeepMask keep;
  keep.draw(p.dropout, tile.first, p.k_len, tile.stage);
#pragma unroll
  for (int t = 0; t < 8; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i) s[t][i] = keep.keeps(t, i) ? s[t][i] : 0.0f;
  }
}

template <int kWidth, int kShift>
constexpr int kSharedBytes = Tile<kWidth>::kBytes + KeyTiles<kWidth, kShift>::kBytes;

template <int kWidth, int kShift>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(const Problem p, BFloat16* context, float* log_normaliser) {
  using T = Tile<kWidth>;
  extern __shared__ __align__(128) unsigned char memory[];
  const Place place{static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y)};
  const int first_query = static_cast<int>(blockIdx.x) * kTile;
  const KeyTiles<kWidth, kShift> tiles(p, place, first_query, memory + T::kBytes);
  T::copy(ptx::shared_address(memory), p.q + place.q_row(p, kWidth), int64_t{p.heads} * kWidth,
          first_query, p.q_len);
  tiles.start();
  ptx::commit_copies();
  ptx::wait_for_copies();
  __syncthreads();

  Rows<kWidth> q;
  T::load_rows(q, ptx::shared_address(memory), warp_of() * kWarpQueries);
  const Rows<kWidth> content = with_bias(q, p.content_bias + place.head * kWidth);
  const Rows<kWidth> position = with_bias(q, p.position_bias + place.head * kWidth);
  SegmentDots dots[2];
  if (p.segment_embedding != nullptr) segment_dots(dots, q, p, place.head);
  const QueryColumns columns = query_columns(p, dots, place.example, tiles.warp_query());

  Online<kWidth> online;
  for (int n = 0; n < tiles.count(); ++n) {
    const ScoreTile<kWidth> tile = tiles.take(n);
    float s[8][4];
    set_position_scores<kWidth, kShift>(s, p, position, tile);
    add_content_scores(s, content, columns, tile);
    online.update(s, p.scale * kLog2E);
    drop(s, p, tile);
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      uint32_t a[4];
      to_operand(a, s[2 * step], s[2 * step + 1]);
      add_weighted_rows<kWidth>(online.out, a, tile.values, 16 * step);
    }
  }
  write_context(online, p, place, tiles.warp_query(), memory, context, log_normaliser);
}

// One block of threads an example.
__global__ void __launch_bounds__(kThreads) key_columns_kernel(const Problem p) {
  const int64_t first = int64_t{blockIdx.x} * p.k_len;
  const int padded = static_cast<int>(tiles_of(p.k_len)) * kTile;
  bool seen = false;
  for (int j = threadIdx.x; j < p.k_len; j += kThreads) {
    seen |= p.hidden == nullptr || p.hidden[first + j] == 0;
  }
  const bool any_seen = __syncthreads_or(seen) != 0;
  const uint32_t one = pack(1.0f, 0.0f), upper_one = pack(0.0f, 1.0f);
  uint4* columns = reinterpret_cast<uint4*>(p.key_columns) + int64_t{blockIdx.x} * padded;
  for (int j = threadIdx.x; j < padded; j += kThreads) {
    const bool there = j < p.k_len;
    const bool segments = there && p.k_segments != nullptr && !(p.cls_mask && j == 0);
    const int segment = segments ? p.k_segments[first + j] : -1;
    const bool hidden = !there || (any_seen && p.hidden != nullptr && p.hidden[first + j] != 0);
    const uint32_t ab = segment == 0 ? one : segment == 1 ? upper_one : 0u;
    const uint32_t cls = segment == kClsSegment ? one : 0u;
    columns[j] = make_uint4(ab, cls | (hidden ? upper_one : 0u), ab, cls);
  }
}

template <int kWidth, int kShift>
void launch(CUstream_st* stream, const Problem& p, BFloat16* context, float* log_normaliser) {
  const auto kernel = forward_kernel<kWidth, kShift>;
  constexpr int kBytes = kSharedBytes<kWidth, kShift>;
  cuda::check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
              "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(tiles_of(p.q_len)), static_cast<unsigned>(p.heads),
                  static_cast<unsigned>(p.batch));
  kernel<<<grid, kThreads, kBytes, stream>>>(p, context, log_normaliser);
  cuda::check_launch();
}

}  // namespace

void prepare_keys(CUstream_st* stream, const Problem& problem) {
  key_columns_kernel<<<static_cast<unsigned>(problem.batch), kThreads, 0, stream>>>(problem);
  cuda::check_launch();
}

void forward(CUstream_st* stream, const Problem& problem, BFloat16* context,
             float* log_normaliser) {
  if (problem.shift == 1) return launch<64, 1>(stream, problem, context, log_normaliser);
  launch<64, 2>(stream, problem, context, log_normaliser);
}

}  // namespace funnel::fused
