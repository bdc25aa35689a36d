// SPDX-License-Identifier: Apache-2.0
// Kernels found in the objects of this program, and their execution. The registration functions
// that nvcc's host code calls before main (fatbin.cc) fill the tables behind these functions.
//
// All functions may be called from any thread; kernels run one at a time, on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/cudacpu/fault.h"

namespace funnel::cudacpu {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
};

struct Kernel;

// The kernel of a __global__ function's host address, or of the handle __cudaGetKernel gave; null
// if there is none.
const Kernel* find_kernel(const void* host_function_or_handle);

struct KernelAttributes {
  std::string name;  // the mangled name
  int64_t static_shared_bytes = 0;
  int64_t constant_bytes = 0;
  int64_t local_bytes = 0;           // each thread's stack
  int max_threads_per_block = 1024;  // __launch_bounds__
  int64_t max_dynamic_shared_bytes = 0;
};
KernelAttributes attributes(const Kernel& kernel);
// cudaFuncAttributeMaxDynamicSharedMemorySize; until set, static and dynamic shared memory together
// may take 48 KiB.
void set_max_dynamic_shared_bytes(const Kernel& kernel, int64_t bytes);

// A launch with its own copy of the arguments, to run now or later.
struct Launch {
  const Kernel* kernel = nullptr;
  Dim3 grid, block;
  int64_t dynamic_shared_bytes = 0;
  std::vector<char> arguments;
};
// Checks the configuration and copies the arguments, `arguments[i]` pointing to the i-th. Throws
// Fault of kind launch.
Launch prepare_launch(const Kernel& kernel, Dim3 grid, Dim3 block, void* const* arguments,
                      int64_t dynamic_shared_bytes);
// Runs it to its end. Throws Fault; device memory then holds what the kernel had written.
void run(const Launch& launch);

// prepare_launch and run.
void run_kernel(const Kernel& kernel, Dim3 grid, Dim3 block, void* const* arguments,
                int64_t dynamic_shared_bytes);

// The device address of a __device__ or __constant__ variable, given its host shadow; null if there
// is none.
struct Variable {
  void* address = nullptr;
  int64_t bytes = 0;
};
const Variable* find_variable(const void* host_variable);

}  // namespace funnel::cudacpu
