// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/selftest/kernels.h"

namespace funnel::cudacpu::selftest {
namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

__device__ float warp_sum(float v) {
  for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(kAll, v, by);
  return v;
}
__device__ float warp_max(float v) {
  for (int by = 16; by > 0; by /= 2) v = fmaxf(v, __shfl_xor_sync(kAll, v, by));
  return v;
}

// `scratch` has 32 elements; usable again when this returns.
template <class Reduce>
__device__ float block_reduce(float v, float empty, float* scratch, Reduce reduce) {
  v = reduce(v);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  v = reduce(threadIdx.x % 32 < blockDim.x / 32 ? scratch[threadIdx.x % 32] : empty);
  __syncthreads();
  return v;
}

template <class T>
__global__ void elementwise(const T* __restrict__ x, T* y, int64_t n, float a) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (i < n) y[i] = T(erff(float(x[i]) * a) + tanhf(float(x[i])));
}

__global__ void layer_norm(const __nv_bfloat16* x, const float* gamma, const float* beta,
                           __nv_bfloat16* y, int rows, int cols) {
  const int row = static_cast<int>(blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (row >= rows) return;
  x += static_cast<int64_t>(row) * cols;
  y += static_cast<int64_t>(row) * cols;
  float sum = 0, squares = 0;
  for (int i = lane; i < cols; i += 32) sum += __bfloat162float(x[i]);
  const float mean = warp_sum(sum) / cols;
  for (int i = lane; i < cols; i += 32) {
    const float d = __bfloat162float(x[i]) - mean;
    squares += d * d;
  }
  const float scale = rsqrtf(warp_sum(squares) / cols + 1e-5f);
  for (int i = lane; i < cols; i += 32) {
    y[i] = __float2bfloat16((__bfloat162float(x[i]) - mean) * scale * gamma[i] + beta[i]);
  }
}

__global__ void softmax(const float* x, float* y, int cols, int length) {
  __shared__ float scratch[32];
  x += static_cast<int64_t>(blockIdx.x) * cols;
  y += static_cast<int64_t>(blockIdx.x) * cols;
  float most = -INFINITY, total = 0;
  for (int i = threadIdx.x; i < length; i += blockDim.x) most = fmaxf(most, x[i]);
  most = block_reduce(most, -INFINITY, scratch, warp_max);
  for (int i = threadIdx.x; i < length; i += blockDim.x) total += expf(x[i] - most);
  total = block_reduce(total, 0.0f, scratch, warp_sum);
  for (int i = threadIdx.x; i < cols; i += blockDim.x) {
    y[i] = i < length ? expf(x[i] - most) / total : 0.0f;
  }
}

__global__ void square_sum(const float* x, float* partial, unsigned* counter, float* out, int n) {
  __shared__ float scratch[32];
  __shared__ bool last;
  float v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
    v += x[i] * x[i];
  }
  v = block_reduce(v, 0.0f, scratch, warp_sum);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = v;
    __threadfence();
    last = atomicInc(counter, gridDim.x - 1) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (!last) return;
  v = 0;
  for (int i = threadIdx.x; i < gridDim.x; i += blockDim.x) v += partial[i];
  v = block_reduce(v, 0.0f, scratch, warp_sum);
  if (threadIdx.x == 0) *out = v;
}

// Tiles of 64 x 64 x 32, two stages, four warps of 32 x 32.
constexpr int kTile = 64, kDepth = 32, kPitchA = kDepth + 8, kPitchB = kTile + 8;
struct Stage {
  __nv_bfloat16 a[kTile][kPitchA], b[kDepth][kPitchB];
};

__device__ void copy16(void* to, const void* from, bool there) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
               "r"(there ? 16 : 0));
}

__device__ void fill(Stage& stage, const __nv_bfloat16* a, const __nv_bfloat16* b, int m, int n,
                     int k, int row, int column, int depth) {
  for (int i = threadIdx.x; i < kTile * kDepth / 8; i += blockDim.x) {
    const int r = i / (kDepth / 8), c = i % (kDepth / 8) * 8;
    const bool there = row + r < m && depth + c < k;
    copy16(&stage.a[r][c], there ? a + static_cast<int64_t>(row + r) * k + depth + c : a, there);
  }
  for (int i = threadIdx.x; i < kTile * kDepth / 8; i += blockDim.x) {
    const int r = i / (kTile / 8), c = i % (kTile / 8) * 8;
    const bool there = depth + r < k && column + c < n;
    copy16(&stage.b[r][c], there ? b + static_cast<int64_t>(depth + r) * n + column + c : b, there);
  }
  asm volatile("cp.async.commit_group;");
}

template <bool Transposed>
__device__ void load_matrices(unsigned (&out)[4], const void* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if (Transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address));
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address));
}

__device__ void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__global__ void __launch_bounds__(128)
    matmul(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k) {
  __shared__ __align__(16) Stage stages[2];
  const int row = blockIdx.y * kTile, column = blockIdx.x * kTile;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  float sums[2][4][4] = {};
  const int steps = (k + kDepth - 1) / kDepth;
  fill(stages[0], a, b, m, n, k, row, column, 0);
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) {
      fill(stages[(step + 1) % 2], a, b, m, n, k, row, column, (step + 1) * kDepth);
      asm volatile("cp.async.wait_group 1;");
    } else {
      asm volatile("cp.async.wait_group 0;");
    }
    __syncthreads();
    const Stage& stage = stages[step % 2];
    for (int depth = 0; depth < kDepth; depth += 16) {
      unsigned fa[2][4], fb[2][4];
      for (int i = 0; i < 2; ++i) {
        load_matrices<false>(fa[i], &stage.a[warp_row + 16 * i + lane % 16][depth + lane / 16 * 8]);
        load_matrices<true>(fb[i],
                            &stage.b[depth + lane % 16][warp_column + 16 * i + lane / 16 * 8]);
      }
      for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 4; ++j) {
          multiply(sums[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 4; ++j) {
      for (int e = 0; e < 4; ++e) {
        const int r = row + warp_row + 16 * i + lane / 4 + e / 2 * 8;
        const int col = column + warp_column + 8 * j + lane % 4 * 2 + e % 2;
        if (r < m && col < n) c[static_cast<int64_t>(r) * n + col] = sums[i][j][e];
      }
    }
  }
}

__global__ void diverging(int* out) {
  out[threadIdx.x] = diverging_value(static_cast<int>(threadIdx.x));
}

int blocks_for(int64_t n, int threads) {
  return static_cast<int>((n + threads - 1) / threads);
}

}  // namespace

__host__ __device__ int diverging_value(int thread) {
  int sum = 0;
  for (int i = 0; i < thread; ++i) {
    if (i % 3 == 0) continue;
    for (int j = 0; j < i; ++j) {
      sum += j;
      if (sum > 10000) break;
    }
    if (sum % 7 == 5) ++sum;
  }
  switch (thread % 6) {
    case 0:
      return sum + 1;
    case 1:
      return sum * 2;
    case 2:
      return sum - 5;
    case 3:
      return sum ^ 77;
    case 4:
      return ~sum;
    default:
      return sum / 3;
  }
}

void launch_elementwise(const float* x, float* y, int64_t n, float a) {
  elementwise<<<blocks_for(n, 256), 256>>>(x, y, n, a);
}
void launch_elementwise(const __nv_bfloat16* x, __nv_bfloat16* y, int64_t n, float a) {
  elementwise<<<blocks_for(n, 256), 256>>>(x, y, n, a);
}
void launch_layer_norm(const __nv_bfloat16* x, const float* gamma, const float* beta,
                       __nv_bfloat16* y, int rows, int cols) {
  layer_norm<<<blocks_for(rows, 4), 128>>>(x, gamma, beta, y, rows, cols);
}
void launch_softmax(const float* x, float* y, int rows, int cols, int length) {
  softmax<<<rows, 128>>>(x, y, cols, length);
}
void launch_square_sum(const float* x, float* partial, unsigned* counter, float* sum, int n,
                       int blocks) {
  square_sum<<<blocks, 128>>>(x, partial, counter, sum, n);
}
void launch_matmul(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k) {
  matmul<<<dim3(blocks_for(n, kTile), blocks_for(m, kTile)), 128>>>(a, b, c, m, n, k);
}
void launch_diverging(int* out, int threads) {
  diverging<<<1, threads>>>(out);
}

}  // namespace funnel::cudacpu::selftest
