// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/launch_kernels.h"

namespace funnel::testing {
namespace {

__global__ void fill(int* out, int count, int value) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = value;
}

__global__ void copy(int* to, const int* from, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) to[i] = from[i];
}

__global__ void reverse(int* out) {
  extern __shared__ int place[];
  place[threadIdx.x] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = place[blockDim.x - 1 - threadIdx.x];
}

__global__ void static_shared(int* out) {
  __shared__ int place[8192];
  place[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 0) out[0] = place[blockDim.x - 1];
}

}  // namespace

const void* fill_kernel() {
  return reinterpret_cast<const void*>(&fill);
}

const void* reverse_kernel() {
  return reinterpret_cast<const void*>(&reverse);
}

const void* static_shared_kernel() {
  return reinterpret_cast<const void*>(&static_shared);
}

void launch_fill(int* out, int count, int value, cudaStream_t stream) {
  fill<<<(count + 31) / 32, 32, 0, stream>>>(out, count, value);
}

void launch_copy(int* to, const int* from, int count, cudaStream_t stream) {
  copy<<<(count + 31) / 32, 32, 0, stream>>>(to, from, count);
}

}  // namespace funnel::testing
