// SPDX-License-Identifier: Apache-2.0
// Backward by rows of the position table. Tiles of queries and keys on one diagonal read the same
// rows, so a block of threads owns a diagonal of one head and goes through its tiles in a group of
// examples, with the sums of up to 192 rows in registers. A second kernel adds what the blocks have
// made, in a fixed order.
#include <algorithm>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/launch.cuh"
#include "core/ops/fused_attention/gradients.cuh"

namespace funnel::fused {
namespace {

// Blocks of threads that a launch should have, if examples can be split so far: four a
// multiprocessor of the largest devices. A constant, so that sums never depend on the device.
constexpr int64_t kBlocks = 528;

template <int kWidth, int kShift>
struct Layout {
  static constexpr int kRows = kTile * (1 + kShift);  // of the table
  static constexpr int kBandPitch = kRows + 8;        // 8 rows of 16 bytes meet no bank twice
  static constexpr int kTable = 0;
  static constexpr int kQuery = kTable + (1 + kShift) * Tile<kWidth>::kBytes;
  static constexpr int kOut = kQuery + Tile<kWidth>::kBytes;
  static constexpr int kKey = kOut + Tile<kWidth>::kBytes;
  static constexpr int kValue = kKey + Tile<kWidth>::kBytes;
  static constexpr int kColumns = kValue + Tile<kWidth>::kBytes;
  static constexpr int kStage = kColumns + kKeyColumnBytes;
  static constexpr int kBand = kStage + kWarps * kStageBytes;
  static constexpr int kBytes = kBand + kTile * kBandPitch * 2;
};

// The n-th diagonal to work on, of `count`: the longest, those in the middle, come first.
__device__ inline int diagonal_of(int n, int count) {
  return n % 2 == 0 ? count / 2 + n / 2 : count / 2 - (n + 1) / 2;
}

// Sums of a warp: rows 64 n + 16 warp + (g or g + 8) of the block's part of the table.
template <int kWidth, int kShift>
struct TableSums {
  float part[1 + kShift][kWidth / 8][4] = {};
};

// The gradients of a warp's scores to the band, by rows of the table; and the queries with the
// position bias, in place of the queries.
template <int kWidth, int kShift>
__device__ inline void write_gradients(const Problem& p, const Backward& b, Place place, int query,
                                       const ScoreTile<kWidth>& tile, unsigned char* memory,
                                       BFloat16* band) {
  using L = Layout<kWidth, kShift>;
  using T = Tile<kWidth>;
  const int warp_row = warp_of() * kWarpQueries;
  float prob[8][4], d[8][4];
  Rows<kWidth> q, with;
  T::load_rows(q, ptx::shared_address(memory + L::kQuery), warp_row);
  with = with_bias(q, p.position_bias + place.head * kWidth);
  set_position_scores<kWidth, kShift>(prob, p, with, tile);
  T::store_rows(with, memory + L::kQuery, warp_row);
  with = with_bias(q, p.content_bias + place.head * kWidth);
  const QueryRows rows = read_statistics(p, b.statistics, place, query);
  add_content_scores(prob, with, rows.columns, tile);
  T::load_rows(q, ptx::shared_address(memory + L::kOut), warp_row);
  set_gradients(prob, d, p, q, rows, tile);
  if (p.cls_mask) clear_cls(d, tile.first_query, tile.first_key);
  write_band<kShift>(d, band + first_window_row<kShift>(), L::kBandPitch);
}

// Adds (the band of all warps)^T (the queries), sixteen rows of the table at a time, from those
// warps whose windows hold some of them.
template <int kWidth, int kShift>
__device__ inline void add_band(TableSums<kWidth, kShift>& sum, uint32_t band, uint32_t queries) {
  constexpr int kPitch = Layout<kWidth, kShift>::kBandPitch;
#pragma unroll
  for (int part = 0; part <= kShift; ++part) {
    const int column = kTile * part + 16 * warp_of();
#pragma unroll
    for (int other = 0; other < kWarps; ++other) {
      const int window = 16 * kShift * (kWarps - 1 - other);
      if (column < window || column >= window + kTile + 16 * kShift) continue;
      const int row = 16 * other + (lane_of() & 7) + ((lane_of() >> 4) << 3);
      uint32_t a[4];
      ptx::load_transposed(a, band + row * kPitch * 2 + column * 2 + ((lane_of() >> 3) & 1) * 16);
      add_weighted_rows<kWidth>(sum.part[part], a, queries, 16 * other);
    }
  }
}

template <int kWidth, int kShift>
__device__ inline void write_sums(const TableSums<kWidth, kShift>& sum, float* to) {
#pragma unroll
  for (int part = 0; part <= kShift; ++part) {
    const int row = kTile * part + 16 * warp_of() + lane_of() / 4;
#pragma unroll
    for (int c = 0; c < kWidth / 8; ++c) {
      float* pair = to + row * kWidth + 8 * c + 2 * (lane_of() % 4);
      const float(&x)[4] = sum.part[part][c];
      *reinterpret_cast<float2*>(pair) = make_float2(x[0], x[1]);
      *reinterpret_cast<float2*>(pair + 8 * kWidth) = make_float2(x[2], x[3]);
    }
  }
}

// Copies what a tile of queries and a tile of keys need, and waits for it.
template <int kWidth, int kShift>
__device__ inline void copy_tile(const Problem& p, const BFloat16* dcontext, Place place,
                                 int query_tile, int key_tile, uint32_t shared) {
  using L = Layout<kWidth, kShift>;
  using T = Tile<kWidth>;
  const int64_t stride = int64_t{p.heads} * kWidth;
  const int64_t queries = place.q_row(p, kWidth), keys = place.k_row(p, kWidth);
  T::copy(shared + L::kQuery, p.q + queries, stride, query_tile * kTile, p.q_len);
  T::copy(shared + L::kOut, dcontext + queries, stride, query_tile * kTile, p.q_len);
  T::copy(shared + L::kKey, p.k + keys, stride, key_tile * kTile, p.k_len);
  T::copy(shared + L::kValue, p.v + keys, stride, key_tile * kTile, p.k_len);
  copy_key_columns(shared + L::kColumns, p, place.example, key_tile);
  ptx::commit_copies();
  ptx::wait_for_copies();
  __syncthreads();
}

template <int kWidth, int kShift>
__global__ void __launch_bounds__(kThreads) table_kernel(const Problem p, const Backward b) {
  using L = Layout<kWidth, kShift>;
  using T = Tile<kWidth>;
  extern __shared__ __align__(128) unsigned char memory[];
  const uint32_t shared = ptx::shared_address(memory);
  const int head = static_cast<int>(blockIdx.y), warp_row = warp_of() * kWarpQueries;
  const int diagonals = static_cast<int>(gridDim.x);
  const int diagonal = diagonal_of(static_cast<int>(blockIdx.x), diagonals);
  const int query_tiles = static_cast<int>(tiles_of(p.q_len));
  const int key_tiles = static_cast<int>(tiles_of(p.k_len));
  // Key tile = shift * query tile + step.
  const int step = diagonal - kShift * (query_tiles - 1);
#pragma unroll
  for (int n = 0; n <= kShift; ++n) {
    const int row = kShift * (p.q_len - (kTile - 1)) + (step + n) * kTile;
    T::copy(shared + L::kTable + n * T::kBytes, p.r + head * kWidth, int64_t{p.heads} * kWidth, row,
            p.positions);
  }
  BFloat16* band = reinterpret_cast<BFloat16*>(memory + L::kBand) + warp_row * L::kBandPitch;
  clear_band(band, L::kBandPitch);

  TableSums<kWidth, kShift> sum;
  const int first_example = static_cast<int>(int64_t{p.batch} * blockIdx.z / gridDim.z);
  const int last_example = static_cast<int>(int64_t{p.batch} * (blockIdx.z + 1) / gridDim.z);
  for (int example = first_example; example < last_example; ++example) {
    const Place place{example, head};
    for (int m = 0; m < query_tiles; ++m) {
      const int key_tile = kShift * m + step, query = m * kTile + warp_row;
      if (key_tile < 0 || key_tile >= key_tiles) continue;
      copy_tile<kWidth, kShift>(p, b.dcontext, place, m, key_tile, shared);
      const ScoreTile<kWidth> tile{
          .keys = shared + L::kKey,
          .values = shared + L::kValue,
          .key_columns = shared + L::kColumns,
          .table = {shared + L::kTable, 1 + kShift, 0},
          .stage = reinterpret_cast<uint32_t*>(memory + L::kStage + warp_of() * kStageBytes),
          .first = (place.statistic(p) + query) * p.k_len + key_tile * kTile,
          .first_query = query == 0,
          .first_key = key_tile == 0};
      write_gradients<kWidth, kShift>(p, b, place, query, tile, memory, band);
      __syncthreads();
      add_band(sum, shared + L::kBand, shared + L::kQuery);
      __syncthreads();
    }
  }
  const int64_t at = (int64_t{blockIdx.z} * p.heads + head) * diagonals + diagonal;
  write_sums(sum, b.table_parts + at * L::kRows * kWidth);
}

// An element of dr: the sum of the parts that hold its row.
struct TableElement {
  const float* parts;
  int heads, width, shift, q_len, groups, diagonals;
  float scale;
  BFloat16* dr;

  __device__ void operator()(int64_t i) const {
    const int c = static_cast<int>(i % width), head = static_cast<int>(i / width % heads);
    const int row = static_cast<int>(i / width / heads);
    const int rows = kTile * (1 + shift);
    const int query_tiles = static_cast<int>(tiles_of(q_len));
    // The row as diagonal 0 counts; diagonal n holds [64 n, 64 n + rows).
    const int at = row - shift * (q_len - (kTile - 1)) + kTile * shift * (query_tiles - 1);
    float sum = 0;
    for (int group = 0; group < groups; ++group) {
      for (int n = max(0, (at - rows) / kTile); n < diagonals && n * kTile <= at; ++n) {
        const int inner = at - n * kTile;
        if (inner >= rows) continue;
        const int64_t part = (int64_t{group} * heads + head) * diagonals + n;
        sum += parts[(part * rows + inner) * width + c];
      }
    }
    dr[i] = scale * sum;
  }
};

template <int kWidth, int kShift>
void launch(CUstream_st* stream, const Problem& p, const Backward& b) {
  const auto kernel = table_kernel<kWidth, kShift>;
  constexpr int kBytes = Layout<kWidth, kShift>::kBytes;
  cuda::check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
              "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(diagonals_of(p)), static_cast<unsigned>(p.heads),
                  static_cast<unsigned>(table_groups_of(p)));
  kernel<<<grid, kThreads, kBytes, stream>>>(p, b);
  cuda::check_launch();
}

}  // namespace

int diagonals_of(const Problem& p) {
  return static_cast<int>(tiles_of(p.k_len) + p.shift * (tiles_of(p.q_len) - 1));
}

int table_groups_of(const Problem& p) {
  if (p.table_group > 0) return (p.batch + p.table_group - 1) / p.table_group;
  const int64_t blocks = int64_t{diagonals_of(p)} * p.heads;
  return static_cast<int>(std::clamp<int64_t>((kBlocks + blocks - 1) / blocks, 1, p.batch));
}

int64_t table_parts_of(const Problem& p) {
  return int64_t{table_groups_of(p)} * p.heads * diagonals_of(p) * kTile * (1 + p.shift) *
         p.head_width;
}

void backward_table(CUstream_st* stream, const Problem& p, const Backward& b) {
  if (p.shift == 1)
    launch<64, 1>(stream, p, b);
  else
    launch<64, 2>(stream, p, b);
  cuda::for_each(stream, int64_t{p.positions} * p.heads * p.head_width,
                 TableElement{b.table_parts, p.heads, p.head_width, p.shift, p.q_len,
                              table_groups_of(p), diagonals_of(p), p.scale, b.dr});
}

}  // namespace funnel::fused
