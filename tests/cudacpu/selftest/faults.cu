// SPDX-License-Identifier: Apache-2.0
// One small kernel for each fault class, `Planted` or not.
#include <cstring>

#include "tests/cudacpu/selftest/kernels.h"

#undef NDEBUG  // one of the faults is a failed assertion
#include <cassert>

namespace funnel::cudacpu::selftest {
namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

template <bool Planted>
__global__ void missing_barrier(Buffers b) {
  __shared__ float s[128];
  s[threadIdx.x] = 0;
  __syncthreads();
  s[threadIdx.x] = b.floats[threadIdx.x];
  if (!Planted) __syncthreads();
  b.floats[threadIdx.x] = s[127 - threadIdx.x];
}

template <bool Planted>
__global__ void missing_barrier_in_loop(Buffers b) {
  __shared__ float s[128];
  s[threadIdx.x] = b.floats[threadIdx.x];
  __syncthreads();
  for (int by = 64; by > 0; by /= 2) {
    if (threadIdx.x < by) s[threadIdx.x] += s[threadIdx.x + by];
    if (!Planted || by <= 2) __syncthreads();
  }
  if (threadIdx.x == 0) b.floats[0] = s[0];
}

template <bool Planted>
__global__ void scratch_reused(Buffers b) {
  __shared__ float s[4];
  float sum = b.floats[threadIdx.x];
  for (int round = 0; round < 2; ++round) {
    if (threadIdx.x % 32 == 0) s[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = s[0] + s[1] + s[2] + s[3];
    if (!Planted) __syncthreads();
  }
  b.floats[threadIdx.x] = sum;
}

__device__ void copy4(float* to, const float* from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(to))),
               "l"(from));
}
__device__ void commit() {
  asm volatile("cp.async.commit_group;");
}

template <bool Planted>
__global__ void stage_refilled(Buffers b) {
  __shared__ float s[128];
  float sum = 0;
  for (int step = 0; step < 3; ++step) {
    copy4(&s[threadIdx.x], &b.floats[128 * step + threadIdx.x]);
    commit();
    asm volatile("cp.async.wait_group 0;");
    __syncthreads();
    sum += s[127 - threadIdx.x];
    if (!Planted) __syncthreads();
  }
  b.floats[512 + threadIdx.x] = sum;
}

template <bool Planted>
__global__ void copy_not_awaited(Buffers b) {
  __shared__ float s[2][128];
  copy4(&s[0][threadIdx.x], &b.floats[threadIdx.x]);
  commit();
  copy4(&s[1][threadIdx.x], &b.floats[128 + threadIdx.x]);
  commit();
  if (Planted)
    asm volatile("cp.async.wait_group 1;");
  else
    asm volatile("cp.async.wait_group 0;");
  __syncthreads();
  b.floats[512 + threadIdx.x] = s[1][threadIdx.x];
}

template <bool Planted>
__global__ void plain_add_across_blocks(Buffers b) {
  if (Planted)
    b.floats[threadIdx.x] += 1;
  else
    atomicAdd(&b.floats[threadIdx.x], 1.0f);
}

template <bool Planted>
__global__ void blocks_write_one_element(Buffers b) {
  if (threadIdx.x == 0) b.floats[Planted ? 0 : blockIdx.x] = 1;
}

template <bool Planted>
__global__ void missing_fences(Buffers b) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    b.floats[blockIdx.x] = static_cast<float>(blockIdx.x);
    if (!Planted) __threadfence();
    last = atomicInc(b.counter, gridDim.x - 1) == gridDim.x - 1;
    if (!Planted) __threadfence();
  }
  __syncthreads();
  if (last && threadIdx.x < gridDim.x) b.floats[512 + threadIdx.x] = b.floats[threadIdx.x];
}

template <bool Planted>
__global__ void missing_warp_sync(Buffers b) {
  __shared__ float s[32];
  s[threadIdx.x] = b.floats[threadIdx.x];
  if (!Planted) __syncwarp();
  b.floats[threadIdx.x] = s[31 - threadIdx.x];
}

template <bool Planted>
__global__ void shuffle_as_fence(Buffers b) {
  __shared__ float s[32];
  s[threadIdx.x] = b.floats[threadIdx.x];
  const float other = __shfl_xor_sync(kAll, b.floats[threadIdx.x], 1);
  if (!Planted) __syncwarp();
  b.floats[threadIdx.x] = s[31 - threadIdx.x] + other;
}

template <bool Planted>
__global__ void lanes_write_differently(Buffers b) {
  b.floats[Planted ? 0 : threadIdx.x] = static_cast<float>(threadIdx.x);
}

template <bool Planted>
__global__ void shared_never_written(Buffers b) {
  __shared__ float s[64];
  if (threadIdx.x < (Planted ? 31 : 32)) s[threadIdx.x] = 1;
  __syncthreads();
  b.floats[threadIdx.x] = s[31 - threadIdx.x];
}

template <bool Planted>
__global__ void global_never_written(Buffers b) {
  b.floats[threadIdx.x] = (Planted ? b.unwritten : b.floats)[threadIdx.x];
}

template <bool Planted>
__global__ void reads_past_the_end(Buffers b) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (Planted ? i <= b.many : i < b.many) b.floats[i] = b.floats[i] * 2;
}

template <bool Planted>
__global__ void dynamic_shared_too_small(Buffers b) {
  extern __shared__ float dynamic[];
  dynamic[threadIdx.x] = b.floats[threadIdx.x];
  b.floats[threadIdx.x] = dynamic[threadIdx.x] + 1;
}

template <bool Planted>
__global__ void wild_pointer(Buffers b) {
  b.floats[threadIdx.x] = 1;
}

template <bool Planted>
__global__ void freed_pointer(Buffers b) {
  b.floats[threadIdx.x] = Planted ? *b.freed : 1;
}

template <bool Planted>
__global__ void static_array_overrun(Buffers b) {
  __shared__ float s[32];
  s[threadIdx.x + (Planted ? 1 : 0)] = b.floats[threadIdx.x];
  b.floats[threadIdx.x] = s[threadIdx.x + (Planted ? 1 : 0)];
}

template <bool Planted>
__global__ void stack_overrun(Buffers b) {
  float own[8];
  for (int i = 0; i < 8; ++i) own[i] = b.floats[i];
  const int last = static_cast<int>(threadIdx.x) % 8;
  b.floats[32 + threadIdx.x] = own[last + (Planted ? b.many / 128 : 0)];
}

template <bool Planted>
__global__ void misaligned_vector(Buffers b) {
  reinterpret_cast<float4*>(b.floats + (Planted ? 1 : 4))[threadIdx.x] = float4{1, 2, 3, 4};
}

template <bool Planted>
__global__ void misaligned_matrix_row(Buffers b) {
  __shared__ __align__(16) unsigned s[64];
  s[threadIdx.x] = s[threadIdx.x + 32] = threadIdx.x;
  __syncwarp();
  unsigned out;
  const auto row = static_cast<unsigned>(__cvta_generic_to_shared(s)) + threadIdx.x % 8 * 16 +
                   (Planted && threadIdx.x == 3 ? 4 : 0);
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(out) : "r"(row));
  b.floats[threadIdx.x] = static_cast<float>(out);
}

template <bool Planted>
__global__ void shuffle_in_a_branch(Buffers b) {
  float v = b.floats[threadIdx.x];
  if (!Planted || threadIdx.x % 2 == 0) v += __shfl_xor_sync(kAll, v, 2);
  b.floats[threadIdx.x] = v;
}

template <bool Planted>
__global__ void caller_outside_mask(Buffers b) {
  b.floats[threadIdx.x] = __shfl_xor_sync(Planted ? 0xFFFFu : kAll, b.floats[threadIdx.x], 1);
}

template <bool Planted>
__global__ void source_outside_mask(Buffers b) {
  if (threadIdx.x < 16) {
    b.floats[threadIdx.x] =
        __shfl_sync(0xFFFFu, b.floats[threadIdx.x], Planted ? 16 + threadIdx.x : 3);
  }
}

template <bool Planted>
__global__ void exited_lane_in_mask(Buffers b) {
  if (Planted && threadIdx.x == 31) return;
  b.floats[threadIdx.x] = __shfl_xor_sync(kAll, b.floats[threadIdx.x], 1);
}

template <bool Planted>
__global__ void asks_who_is_active(Buffers b) {
  b.floats[threadIdx.x] = static_cast<float>(Planted ? __activemask() : kAll);
}

template <bool Planted>
__global__ void two_barriers(Buffers b) {
  if (Planted && threadIdx.x < 32) {
    b.floats[threadIdx.x] = 1;
    asm volatile("bar.sync 0;");
    b.floats[threadIdx.x + 1] = 2;
  } else {
    b.floats[256 + threadIdx.x] = 1;
    asm volatile("bar.sync 0;");
  }
}

template <bool Planted>
__global__ void barrier_never_complete(Buffers b) {
  asm volatile("bar.sync 1, %0;" ::"r"(Planted ? 96 : 64));
  b.floats[threadIdx.x] = 1;
}

template <bool Planted>
__global__ void stops_itself(Buffers b) {
  if (Planted && b.floats[0] == 0) __trap();
  b.floats[threadIdx.x] = 1;
}

template <bool Planted>
__global__ void fails_an_assertion(Buffers b) {
  assert(!Planted || b.floats[threadIdx.x] != 0);
  b.floats[threadIdx.x] = 1;
}

template <bool Planted>
__global__ void never_ends(Buffers b) {
  const volatile float* flag = b.floats;  // nobody sets it
  for (int i = 0; flag[0] == 0 && (i < 100 || Planted); ++i) {
  }
  b.floats[32 + threadIdx.x] = 1;
}

template <bool Planted>
__global__ void sleeps(Buffers b) {
  unsigned value = 0;
  if (Planted) asm volatile("mov.u32 %0, %%clock;" : "=r"(value));
  b.floats[threadIdx.x] = static_cast<float>(value);
}

template <bool Planted>
__global__ void __launch_bounds__(64) too_large_block(Buffers b) {
  b.floats[threadIdx.x] = 1;
}

template <bool Planted>
__global__ void shared_without_opt_in(Buffers b) {
  extern __shared__ float dynamic[];
  dynamic[threadIdx.x] = 1;
  b.floats[threadIdx.x] = dynamic[threadIdx.x];
}

template <bool Planted>
bool launch(const char* name, const Buffers& b) {
  const auto is = [&](const char* one) { return std::strcmp(name, one) == 0; };
#define FUNNEL_CASE(kernel, blocks, threads) \
  if (is(#kernel)) return kernel<Planted><<<blocks, threads>>>(b), true
  FUNNEL_CASE(missing_barrier, 1, 128);
  FUNNEL_CASE(missing_barrier_in_loop, 1, 128);
  FUNNEL_CASE(scratch_reused, 1, 128);
  FUNNEL_CASE(stage_refilled, 1, 128);
  FUNNEL_CASE(copy_not_awaited, 1, 128);
  FUNNEL_CASE(plain_add_across_blocks, 2, 32);
  FUNNEL_CASE(blocks_write_one_element, 2, 32);
  FUNNEL_CASE(missing_fences, 4, 32);
  FUNNEL_CASE(missing_warp_sync, 1, 32);
  FUNNEL_CASE(shuffle_as_fence, 1, 32);
  FUNNEL_CASE(lanes_write_differently, 1, 32);
  FUNNEL_CASE(shared_never_written, 1, 32);
  FUNNEL_CASE(global_never_written, 1, 32);
  FUNNEL_CASE(reads_past_the_end, 5, 256);
  FUNNEL_CASE(freed_pointer, 1, 32);
  FUNNEL_CASE(static_array_overrun, 1, 32);
  FUNNEL_CASE(stack_overrun, 1, 32);
  FUNNEL_CASE(misaligned_vector, 1, 32);
  FUNNEL_CASE(misaligned_matrix_row, 1, 32);
  FUNNEL_CASE(shuffle_in_a_branch, 1, 32);
  FUNNEL_CASE(caller_outside_mask, 1, 32);
  FUNNEL_CASE(source_outside_mask, 1, 32);
  FUNNEL_CASE(exited_lane_in_mask, 1, 32);
  FUNNEL_CASE(asks_who_is_active, 1, 32);
  FUNNEL_CASE(two_barriers, 1, 64);
  FUNNEL_CASE(barrier_never_complete, 1, 64);
  FUNNEL_CASE(stops_itself, 1, 32);
  FUNNEL_CASE(fails_an_assertion, 1, 32);
  FUNNEL_CASE(never_ends, 1, 32);
  FUNNEL_CASE(sleeps, 1, 32);
  FUNNEL_CASE(too_large_block, 1, Planted ? 96 : 64);
#undef FUNNEL_CASE
  if (is("dynamic_shared_too_small")) {
    dynamic_shared_too_small<Planted><<<1, 32, Planted ? 64 : 128>>>(b);
    return true;
  }
  if (is("wild_pointer")) {
    static float on_the_host[32];
    Buffers wild = b;
    if (Planted) wild.floats = on_the_host;
    wild_pointer<Planted><<<1, 32>>>(wild);
    return true;
  }
  if (is("shared_without_opt_in")) {
    if (!Planted) {
      cudaFuncSetAttribute(shared_without_opt_in<Planted>,
                           cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10);
    }
    shared_without_opt_in<Planted><<<1, 32, 64 << 10>>>(b);
    return true;
  }
  return false;
}

}  // namespace

bool launch_case(const char* name, bool planted, const Buffers& buffers) {
  return planted ? launch<true>(name, buffers) : launch<false>(name, buffers);
}

}  // namespace funnel::cudacpu::selftest
