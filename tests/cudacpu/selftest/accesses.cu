// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/selftest/accesses.h"

#include <cuda_runtime.h>

namespace funnel::cudacpu::selftest {
namespace {

constexpr unsigned kLanes = 32;
constexpr int kSharedBytes = 32 * 1024;

template <class T>
__global__ void global_copy(const T* from, T* to, int offset, int stride) {
  const int at = offset + stride * static_cast<int>(threadIdx.x);
  to[at] = from[at];
}

template <class T>
__global__ void shared_access(int pitch) {
  __shared__ __align__(16) char memory[kSharedBytes];
  volatile auto* mine = reinterpret_cast<T*>(memory + pitch * threadIdx.x);
  *mine = T(threadIdx.x);
  static_cast<void>(T(*mine));
}

__global__ void shared_vector_access(int pitch) {
  __shared__ __align__(16) char memory[kSharedBytes];
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(memory)) + pitch * threadIdx.x;
  unsigned a = threadIdx.x, b = a, c = a, d = a;
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(a), "r"(b), "r"(c),
               "r"(d));
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
               : "r"(at));
}

__global__ void matrix_rows(int pitch) {
  __shared__ __align__(16) char memory[kSharedBytes];
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(memory)) + pitch * threadIdx.x;
  for (int word = 0; word < 4; ++word) {
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(at + 4 * word), "r"(word));
  }
  __syncwarp();
  unsigned a = 0, b = 0, c = 0, d = 0;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
               : "r"(at));
  static_cast<void>(a + b + c + d);
}

__global__ void async_copy(const float4* from, float4* to) {
  __shared__ float4 memory[kLanes];
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(memory + threadIdx.x));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from + threadIdx.x));
  asm volatile("cp.async.commit_group;");
  asm volatile("cp.async.wait_group 0;");
  to[threadIdx.x] = memory[threadIdx.x];
}

__global__ void fused(float* x, int times) {
  float y = x[threadIdx.x];
  for (int i = 0; i < times; ++i) y = __fmaf_rn(y, y, y);
  x[threadIdx.x] = y;
}

template <class T>
void copy_of(const void* from, void* to, int offset, int stride) {
  global_copy<<<1, kLanes>>>(static_cast<const T*>(from), static_cast<T*>(to), offset, stride);
}

}  // namespace

void launch_global_copy(const void* from, void* to, int bytes, int offset, int stride) {
  if (bytes == 2) copy_of<unsigned short>(from, to, offset, stride);
  if (bytes == 4) copy_of<unsigned>(from, to, offset, stride);
  if (bytes == 8) copy_of<uint64_t>(from, to, offset, stride);
  if (bytes == 16) copy_of<float4>(from, to, offset, stride);
}

void launch_shared_access(int bytes, int pitch) {
  if (bytes == 2) shared_access<unsigned short><<<1, kLanes>>>(pitch);
  if (bytes == 4) shared_access<unsigned><<<1, kLanes>>>(pitch);
  if (bytes == 8) shared_access<uint64_t><<<1, kLanes>>>(pitch);
  if (bytes == 16) shared_vector_access<<<1, kLanes>>>(pitch);
}

void launch_matrix_rows(int pitch) {
  matrix_rows<<<1, kLanes>>>(pitch);
}

void launch_async_copy(const void* from, void* to) {
  async_copy<<<1, kLanes>>>(static_cast<const float4*>(from), static_cast<float4*>(to));
}

void launch_fused(float* x, int times) {
  fused<<<1, kLanes>>>(x, times);
}

}  // namespace funnel::cudacpu::selftest
