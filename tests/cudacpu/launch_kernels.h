// SPDX-License-Identifier: Apache-2.0
// Kernels for the tests of launches, and their addresses for the runtime's calls.
#pragma once

#include <cuda_runtime_api.h>

namespace funnel::testing {

// (int* out, int count, int value): out[i] = value.
const void* fill_kernel();
// (int* out): needs 4 * blockDim.x bytes of dynamic shared memory; out[i] = blockDim.x - 1 - i.
const void* reverse_kernel();
// (int* out): has 32 KiB of static shared memory; out[0] = 1.
const void* static_shared_kernel();

// fill_kernel by <<<>>>, in blocks of 32.
void launch_fill(int* out, int count, int value, cudaStream_t stream);
// to[i] = from[i] for i < count.
void launch_copy(int* to, const int* from, int count, cudaStream_t stream);

}  // namespace funnel::testing
