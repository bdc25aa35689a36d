// SPDX-License-Identifier: Apache-2.0
// Kernels of the kinds the engine has, and kernels with one planted fault each beside their correct
// twins. Hosts launch them through these functions.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace funnel::cudacpu::selftest {

// --- correct kernels (kernels.cu) ---------------------------------------------------------------

// y = erf(a x) + tanh(x), elementwise.
void launch_elementwise(const float* x, float* y, int64_t n, float a);
void launch_elementwise(const __nv_bfloat16* x, __nv_bfloat16* y, int64_t n, float a);
// A warp a row.
void launch_layer_norm(const __nv_bfloat16* x, const float* gamma, const float* beta,
                       __nv_bfloat16* y, int rows, int cols);
// A block a row; columns at and beyond `length` get 0.
void launch_softmax(const float* x, float* y, int rows, int cols, int length);
// sum = Σ x²; the last block adds the partial sums. `counter` is 0 before and after.
void launch_square_sum(const float* x, float* partial, unsigned* counter, float* sum, int n,
                       int blocks);
// c[m, n] = a[m, k] b[k, n], row-major, any m; k and n multiples of 8.
void launch_matmul(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k);
// out[t] of a nest of loops and branches that differs for every thread.
void launch_diverging(int* out, int threads);
__host__ __device__ int diverging_value(int thread);

// --- planted faults (faults.cu) -----------------------------------------------------------------

struct Buffers {
  float* floats;      // 1024, all written
  float* unwritten;   // 1024, none written
  unsigned* counter;  // 0
  float* freed;       // of an array that is no longer
  int64_t many = 1024;
};
// Runs the case with that name; with `planted` false its correct twin. False if there is none.
bool launch_case(const char* name, bool planted, const Buffers& buffers);

}  // namespace funnel::cudacpu::selftest
