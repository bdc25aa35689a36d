// SPDX-License-Identifier: Apache-2.0
// Backward by keys: a block of threads owns 64 keys of one head and goes through the queries. Each
// warp makes the probabilities of 16 queries by all 64 keys and their gradients; through shared
// memory they become the left operands of the products over queries, of which each warp makes those
// of 16 keys.
#include "core/backend/cuda/check.h"
#include "core/backend/cuda/runtime.h"
#include "core/ops/fused_attention/gradients.cuh"

namespace funnel::fused {
namespace {

// What a warp passes on to the others: its rows of the probabilities and of the gradients of
// scores, 16 of 64 columns each, as those of tiles whose other rows lie elsewhere. Before, its
// stage.
constexpr int kPassedRows = kWarpQueries * kTile * 2;
static_assert(kStageBytes <= 2 * kPassedRows);

template <int kWidth, int kShift>
struct Layout {
  // Of the table: those in use, and the next tile of queries' further ones.
  static constexpr int kSlots = 1 + 2 * kShift;
  static constexpr int kKey = 0;
  static constexpr int kValue = kKey + Tile<kWidth>::kBytes;
  static constexpr int kQuery = kValue + Tile<kWidth>::kBytes;
  static constexpr int kOut = kQuery + 2 * Tile<kWidth>::kBytes;
  static constexpr int kTable = kOut + 2 * Tile<kWidth>::kBytes;
  static constexpr int kPassed = kTable + kSlots * Tile<kWidth>::kBytes;
  static constexpr int kColumns = kPassed + kWarps * 2 * kPassedRows;
  static constexpr int kBytes = kColumns + kKeyColumnBytes;
};

// The way of a block of threads that owns 64 keys of one head through tiles of 64 queries: while
// one tile is worked on, the next is copied.
template <int kWidth, int kShift>
class QueryTiles {
 public:
  using L = Layout<kWidth, kShift>;
  using T = Tile<kWidth>;

  __device__ QueryTiles(const Problem& problem, const BFloat16* dcontext, Place place,
                        int first_key, unsigned char* memory)
      : p_(problem),
        dcontext_(dcontext),
        place_(place),
        first_key_(first_key),
        memory_(memory),
        shared_(ptx::shared_address(memory)),
        count_(static_cast<int>(tiles_of(problem.q_len))) {}

  __device__ int count() const { return count_; }

  // Begins to copy the keys and tile 0.
  __device__ void start() const {
    const int64_t keys = place_.k_row(p_, kWidth), stride = int64_t{p_.heads} * kWidth;
    T::copy(shared_ + L::kKey, p_.k + keys, stride, first_key_, p_.k_len);
    T::copy(shared_ + L::kValue, p_.v + keys, stride, first_key_, p_.k_len);
    copy_key_columns(shared_ + L::kColumns, p_, place_.example, first_key_ / kTile);
    copy_queries(0);
#pragma unroll
    for (int n = 0; n <= kShift; ++n) copy_table(0, n);
    ptx::commit_copies();
  }

  // Waits for all copies and warps, and begins to copy tile m + 1. Returns tile m.
  __device__ ScoreTile<kWidth> take(int m) const {
    ptx::wait_for_copies();
    __syncthreads();
    if (m + 1 < count_) {
      copy_queries(m + 1);
#pragma unroll
      for (int n = 0; n < kShift; ++n) copy_table(m + 1, n);
      ptx::commit_copies();
    }
    const int query = m * kTile + warp_of() * kWarpQueries;
    return {.keys = shared_ + L::kKey,
            .values = shared_ + L::kValue,
            .key_columns = shared_ + L::kColumns,
            .table = {shared_ + L::kTable, L::kSlots, slot_of(m, 0)},
            .stage = reinterpret_cast<uint32_t*>(passed()),
            .first = (place_.statistic(p_) + query) * p_.k_len + first_key_,
            .first_query = query == 0,
            .first_key = first_key_ == 0};
  }

  __device__ static int query_offset(int m) {
    return L::kQuery + m % 2 * T::kBytes;
  }
  __device__ static int out_offset(int m) {
    return L::kOut + m % 2 * T::kBytes;
  }
  // What this warp passes on.
  __device__ unsigned char* passed() const {
    return memory_ + L::kPassed + warp_of() * 2 * kPassedRows;
  }

 private:
  __device__ void copy_queries(int m) const {
    const int64_t queries = place_.q_row(p_, kWidth), stride = int64_t{p_.heads} * kWidth;
    T::copy(shared_ + query_offset(m), p_.q + queries, stride, m * kTile, p_.q_len);
    T::copy(shared_ + out_offset(m), dcontext_ + queries, stride, m * kTile, p_.q_len);
  }
  // Tile n of the rows that query tile m meets is tile n - shift m of those that tile 0 meets, so
  // the ring turns backwards.
  __device__ static int slot_of(int m, int n) {
    return L::kSlots - 1 - (kShift * (m + 1) - n) % L::kSlots;
  }
  __device__ void copy_table(int m, int n) const {
    const int row = kShift * (p_.q_len - m * kTile - (kTile - 1)) + first_key_ + n * kTile;
    T::copy(shared_ + L::kTable + slot_of(m, n) * T::kBytes, p_.r + place_.head * kWidth,
            int64_t{p_.heads} * kWidth, row, p_.positions);
  }

  const Problem& p_;
  const BFloat16* const dcontext_;
  const Place place_;
  const int first_key_;
  unsigned char* const memory_;
  const uint32_t shared_;
  const int count_;
};

// Writes this warp's 16 x 64 results as bf16 to rows that it passes on.
__device__ inline void pass_on(const float (&x)[8][4], unsigned char* rows) {
  Rows<kTile> packed;
#pragma unroll
  for (int step = 0; step < 4; ++step) to_operand(packed.step[step], x[2 * step], x[2 * step + 1]);
  Tile<kTile>::store_rows(packed, rows, 0);
}

// sum [16 keys of this warp, kWidth] += (what all warps pass on)^T (a tile of queries).
template <int kWidth>
__device__ inline void add_over_queries(float (&sum)[kWidth / 8][4], uint32_t passed,
                                        uint32_t queries) {
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    uint32_t a[4];
    Tile<kTile>::load_rows_across(a, passed + warp * 2 * kPassedRows, 0, 2 * warp_of());
    add_weighted_rows<kWidth>(sum, a, queries, warp * kWarpQueries);
  }
}

// The probabilities and gradients of a tile, passed on; and the queries with the content bias, in
// place of the queries.
template <int kWidth, int kShift>
__device__ inline void pass_tile(const Problem& p, const Backward& b, Place place, int query,
                                 const ScoreTile<kWidth>& tile, unsigned char* queries,
                                 uint32_t outs, unsigned char* passed) {
  using T = Tile<kWidth>;
  const int warp_row = warp_of() * kWarpQueries;
  float weights[8][4], d[8][4];
  const QueryRows rows = read_statistics(p, b.statistics, place, query);
  Rows<kWidth> q, with;
  T::load_rows(q, ptx::shared_address(queries), warp_row);
  with = with_bias(q, p.position_bias + place.head * kWidth);
  set_position_scores<kWidth, kShift>(weights, p, with, tile);
  with = with_bias(q, p.content_bias + place.head * kWidth);
  T::store_rows(with, queries, warp_row);
  add_content_scores(weights, with, rows.columns, tile);
  T::load_rows(q, outs, warp_row);
  set_gradients(weights, d, p, q, rows, tile);
  __syncwarp();  // the stage, which lies there, has been read
  pass_on(weights, passed);
  pass_on(d, passed + kPassedRows);
}

template <int kWidth, int kShift>
__global__ void __launch_bounds__(kThreads) key_kernel(const Problem p, const Backward b) {
  using L = Layout<kWidth, kShift>;
  extern __shared__ __align__(128) unsigned char memory[];
  const uint32_t shared = ptx::shared_address(memory);
  const Place place{static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y)};
  const int first_key = static_cast<int>(blockIdx.x) * kTile;
  const int warp_row = warp_of() * kWarpQueries;
  const QueryTiles<kWidth, kShift> tiles(p, b.dcontext, place, first_key, memory);
  tiles.start();

  float dk[kWidth / 8][4] = {}, dv[kWidth / 8][4] = {};
  for (int m = 0; m < tiles.count(); ++m) {
    const ScoreTile<kWidth> tile = tiles.take(m);
    pass_tile<kWidth, kShift>(p, b, place, m * kTile + warp_row, tile,
                              memory + tiles.query_offset(m), shared + tiles.out_offset(m),
                              tiles.passed());
    __syncthreads();
    add_over_queries<kWidth>(dv, shared + L::kPassed, shared + tiles.out_offset(m));
    add_over_queries<kWidth>(dk, shared + L::kPassed + kPassedRows, shared + tiles.query_offset(m));
  }

#pragma unroll
  for (int c = 0; c < kWidth / 8; ++c) {
#pragma unroll
    for (int i = 0; i < 4; ++i) dk[c][i] *= p.scale;
  }
  // All warps have read the keys and values: they were before the last barrier.
  const int64_t keys = place.k_row(p, kWidth), stride = int64_t{p.heads} * kWidth;
  const int key = first_key + warp_row;
  write_rows<kWidth>(dk, memory + L::kKey, warp_row, b.dk + keys, stride, key, p.k_len);
  write_rows<kWidth>(dv, memory + L::kValue, warp_row, b.dv + keys, stride, key, p.k_len);
}

template <int kWidth, int kShift>
void launch(CUstream_st* stream, const Problem& p, const Backward& b) {
  const auto kernel = key_kernel<kWidth, kShift>;
  constexpr int kBytes = Layout<kWidth, kShift>::kBytes;
  cuda::check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
              "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(tiles_of(p.k_len)), static_cast<unsigned>(p.heads),
                  static_cast<unsigned>(p.batch));
  kernel<<<grid, kThreads, kBytes, stream>>>(p, b);
  cuda::check_launch();
}

}  // namespace

void backward_keys(CUstream_st* stream, const Problem& problem, const Backward& backward) {
  if (problem.shift == 1) return launch<64, 1>(stream, problem, backward);
  launch<64, 2>(stream, problem, backward);
}

}  // namespace funnel::fused
