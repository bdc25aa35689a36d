// SPDX-License-Identifier: Apache-2.0
// How op bodies run on a CUDA device: the teams and kernels behind core/backend/launch.h, which
// alone includes this, where nvcc compiles. A row is worked on by a warp, or by a block of threads
// where rows are long; sums add in an order that depends on the kind of team and on n.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/backend/cuda/runtime.h"

namespace funnel::cuda {

inline constexpr unsigned kWarpThreads = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;
inline constexpr unsigned kBlockThreads = 256;
inline constexpr unsigned kBlockWarps = kBlockThreads / kWarpThreads;
// Blocks of a launch at most; the rest of the elements or rows comes round again.
inline constexpr int64_t kMaxBlocks = 1 << 16;
// Rows from this length on are worked on by a block, shorter ones by a warp.
inline constexpr int64_t kLongRow = 2048;

struct Add {
  template <class A>
  __device__ A operator()(A x, A y) const {
    return A(x + y);
  }
};

// A NaN never enters a maximum, so the order of joining does not show.
struct Larger {
  template <class A>
  __device__ A operator()(A x, A y) const {
    return y > x ? y : x;
  }
};

// Joins one value of each lane; every lane knows the result.
template <class A, class Join>
__device__ A join_lanes(A value, Join join) {
  for (unsigned distance = kWarpThreads / 2; distance > 0; distance /= 2) {
    value = join(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

// What the teams share: member m takes elements m, m + kMembers, ...
template <class Team, unsigned kCount>
class StridedTeam {
 public:
  static constexpr int kMembers = kCount;

  template <class F>
  __device__ void each(int64_t n, F f) const {
    for (int64_t i = team().member(); i < n; i += kMembers) f(i);
    team().barrier();
  }

  template <class F>
  __device__ auto sum(int64_t n, F f) const {
    using A = std::remove_cvref_t<decltype(f(int64_t{0}))>;
    return reduce<A>(n, f, A(0), Add());
  }

  template <class F>
  __device__ auto max(int64_t n, F f) const {
    using A = std::remove_cvref_t<decltype(f(int64_t{0}))>;
    return reduce<A>(n, f, -std::numeric_limits<A>::infinity(), Larger());
  }

  __device__ bool leader() const { return team().member() == 0; }

  __host__ __device__ static constexpr int64_t slots(int64_t most) {
    return (most + kMembers - 1) / kMembers;
  }

  // The loop over slots is unrolled, or an array of them could not live in registers.
  template <int64_t kMost, class F>
  __device__ void each_slot(int64_t n, F f) const {
    const auto width = static_cast<int>(n), member = static_cast<int>(team().member());
#pragma unroll
    for (int slot = 0; slot < slots(kMost); ++slot) {
      const int i = slot * kMembers + member;
      if (i < width) f(int64_t{i}, slot);
    }
    team().barrier();
  }

  template <int64_t kMost, class F>
  __device__ auto sum_slots(int64_t n, F f) const {
    using A = std::remove_cvref_t<decltype(f(int64_t{0}, 0))>;
    const auto width = static_cast<int>(n), member = static_cast<int>(team().member());
    A mine(0);
#pragma unroll
    for (int slot = 0; slot < slots(kMost); ++slot) {
      const int i = slot * kMembers + member;
      if (i < width) mine += f(int64_t{i}, slot);
    }
    return team().combine(mine, Add());
  }

 private:
  __device__ const Team& team() const {
    return static_cast<const Team&>(*this);
  }

  template <class A, class F, class Join>
  __device__ A reduce(int64_t n, F f, A identity, Join join) const {
    A mine = identity;
    for (int64_t i = team().member(); i < n; i += kMembers) mine = join(mine, A(f(i)));
    return team().combine(mine, join);
  }
};

class WarpTeam : public StridedTeam<WarpTeam, kWarpThreads> {
 public:
  __device__ unsigned member() const { return threadIdx.x % kWarpThreads; }
  __device__ void barrier() const { __syncwarp(); }

  template <class A, class Join>
  __device__ A combine(A mine, Join join) const {
    barrier();  // a shuffle orders no memory: what others have read may be overwritten after
    return join_lanes(mine, join);
  }
};

class BlockTeam : public StridedTeam<BlockTeam, kBlockThreads> {
 public:
  static constexpr unsigned kPartialBytes = kBlockWarps * sizeof(double);

  // partial: shared memory of kPartialBytes, aligned for a double.
  __device__ explicit BlockTeam(void* partial) : partial_(partial) {}

  __device__ unsigned member() const { return threadIdx.x; }
  __device__ void barrier() const { __syncthreads(); }

  template <class A, class Join>
  __device__ A combine(A mine, Join join) const {
    static_assert(sizeof(A) <= sizeof(double));
    A* partial = static_cast<A*>(partial_);
    const A of_warp = join_lanes(mine, join);
    if (threadIdx.x % kWarpThreads == 0) partial[threadIdx.x / kWarpThreads] = of_warp;
    barrier();
    A total = partial[0];
    for (unsigned warp = 1; warp < kBlockWarps; ++warp) total = join(total, partial[warp]);
    barrier();  // before the next sum overwrites
    return total;
  }

 private:
  void* partial_;
};

// Blocks that must fit a multiprocessor: a body says `static constexpr unsigned kMinBlocks = 1`
// where the assembler would otherwise spill registers to make more fit. 0 leaves it to the
// assembler.
template <class F>
constexpr unsigned min_blocks() {
  if constexpr (requires { F::kMinBlocks; }) return F::kMinBlocks;
  return 0;
}

template <class F>
__global__ void __launch_bounds__(kBlockThreads, min_blocks<F>()) each_kernel(int64_t n, F f) {
  const int64_t step = int64_t{gridDim.x} * kBlockThreads;
  for (int64_t i = int64_t{blockIdx.x} * kBlockThreads + threadIdx.x; i < n; i += step) f(i);
}

template <class F>
__global__ void __launch_bounds__(kBlockThreads, min_blocks<F>())
    warp_row_kernel(int64_t rows, F f) {
  const int64_t step = int64_t{gridDim.x} * kBlockWarps;
  const int64_t first = int64_t{blockIdx.x} * kBlockWarps + threadIdx.x / kWarpThreads;
  for (int64_t row = first; row < rows; row += step) f(row, WarpTeam());
}

template <class F>
__global__ void __launch_bounds__(kBlockThreads, min_blocks<F>())
    block_row_kernel(int64_t rows, F f) {
  __shared__ alignas(double) unsigned char partial[BlockTeam::kPartialBytes];
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) f(row, BlockTeam(partial));
}

// Blocks for `work` items of which a block takes `per_block` at a time.
inline unsigned blocks_for(int64_t work, int64_t per_block) {
  const int64_t blocks = (work + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

template <class F>
void for_each(Stream stream, int64_t n, const F& f) {
  if (n <= 0) return;
  each_kernel<<<blocks_for(n, kBlockThreads), kBlockThreads, 0, stream>>>(n, f);
  check_launch();
}

template <class F>
void by_warps(Stream stream, int64_t rows, const F& f) {
  warp_row_kernel<<<blocks_for(rows, kBlockWarps), kBlockThreads, 0, stream>>>(rows, f);
}

template <class F>
void by_blocks(Stream stream, int64_t rows, const F& f) {
  block_row_kernel<<<blocks_for(rows, 1), kBlockThreads, 0, stream>>>(rows, f);
}

template <class F>
void for_each_row(Stream stream, int64_t rows, const F& f, int64_t row_length) {
  if (rows <= 0) return;
  if constexpr (requires { typename F::Held; }) {
    if constexpr (F::Held::kByBlock) {
      by_blocks(stream, rows, f);
    } else {
      by_warps(stream, rows, f);
    }
  } else if (row_length < kLongRow) {
    by_warps(stream, rows, f);
  } else {
    by_blocks(stream, rows, f);
  }
  check_launch();
}

}  // namespace funnel::cuda
