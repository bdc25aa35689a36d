// SPDX-License-Identifier: Apache-2.0
// Kernel launches and what is known about kernels.
#include <algorithm>

#include "core/base/error.h"
#include "tests/cudacpu/kernel.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {
namespace {

const Kernel& kernel_of(const void* function) {
  const Kernel* found = find_kernel(function);
  if (found == nullptr) misuse(cudaErrorInvalidDeviceFunction, "no kernel has this address");
  if (option_number("capability") < 80) refuse(cudaErrorNoKernelImageForDevice);
  return *found;
}

int property(cudaDeviceAttr which) {
  int value = 0;
  cudaDeviceGetAttribute(&value, which, current_device());
  return value;
}

Dim3 dim(dim3 from) {
  return {from.x, from.y, from.z};
}

void launch(Runtime& runtime, const void* function, dim3 grid, dim3 block, void* const* arguments,
            size_t shared_bytes, cudaStream_t handle) {
  const Kernel& kernel = kernel_of(function);
  Stream& stream = runtime.stream(handle);
  if (stream.device != current_device()) {
    misuse(cudaErrorInvalidResourceHandle, "the stream belongs to another device");
  }
  auto prepared =
      prepare_launch(kernel, dim(grid), dim(block), arguments, static_cast<int64_t>(shared_bytes));
  runtime.enqueue(stream, [prepared = std::move(prepared)] {
    run(prepared);
    return true;
  });
}

void check_launch_attributes(const cudaLaunchConfig_t& config) {
  for (unsigned int i = 0; i < config.numAttrs; ++i) {
    const cudaLaunchAttribute& one = config.attrs[i];
    if (one.id == cudaLaunchAttributeProgrammaticStreamSerialization) continue;
    misuse(cudaErrorNotSupported,
           concat("launch attribute ", static_cast<int>(one.id), " is not simulated"));
  }
}

// Blocks that fit a multiprocessor side by side by threads and shared memory; registers are not
// known here.
int resident_blocks(int64_t shared, int threads, int64_t shared_per_multiprocessor,
                    int64_t reserved) {
  if (threads < 1 || threads > 1024) return 0;
  const int64_t warps = (threads + 31) / 32;
  return static_cast<int>(
      std::min({int64_t{32}, 64 / warps, shared_per_multiprocessor / (shared + reserved)}));
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  return api_call("cudaLaunchKernel", [&](Runtime& runtime) {
    launch(runtime, function, grid, block, arguments, shared_bytes, stream);
  });
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** arguments) {
  return api_call("cudaLaunchKernelExC", [&](Runtime& runtime) {
    check_launch_attributes(*config);
    launch(runtime, function, config->gridDim, config->blockDim, arguments,
           config->dynamicSmemBytes, config->stream);
  });
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  const int most = property(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return api_call("cudaFuncSetAttribute", [&](Runtime&) {
    const Kernel& kernel = kernel_of(function);
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) {
      misuse(cudaErrorInvalidValue, "an attribute that is not simulated");
    }
    const int64_t room = most - attributes(kernel).static_shared_bytes;
    if (value < 0 || value > room) {
      misuse(cudaErrorInvalidValue, funnel::concat("dynamic shared memory: expected at most ", room,
                                                   " bytes, found ", value));
    }
    set_max_dynamic_shared_bytes(kernel, value);
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* out, const void* function) {
  return api_call("cudaFuncGetAttributes", [&](Runtime&) {
    const KernelAttributes found = attributes(kernel_of(function));
    *out = {};
    out->sharedSizeBytes = static_cast<size_t>(found.static_shared_bytes);
    out->constSizeBytes = static_cast<size_t>(found.constant_bytes);
    out->localSizeBytes = static_cast<size_t>(found.local_bytes);
    out->maxThreadsPerBlock = found.max_threads_per_block;
    out->maxDynamicSharedSizeBytes = static_cast<int>(found.max_dynamic_shared_bytes);
    out->binaryVersion = static_cast<int>(option_number("capability"));
    out->ptxVersion = 80;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function,
                                                          int threads, size_t shared_bytes) {
  const int64_t shared = property(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  const int64_t reserved = property(cudaDevAttrReservedSharedMemoryPerBlock);
  return api_call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", [&](Runtime&) {
    const KernelAttributes of = attributes(kernel_of(function));
    *blocks = resident_blocks(of.static_shared_bytes + static_cast<int64_t>(shared_bytes), threads,
                              shared, reserved);
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                   const void* function,
                                                                   int threads, size_t shared_bytes,
                                                                   unsigned int) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, shared_bytes);
}

cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
  return api_call("cudaGetSymbolAddress", [&](Runtime&) {
    const Variable* found = find_variable(symbol);
    if (found == nullptr) misuse(cudaErrorInvalidSymbol, "no variable has this address");
    *address = found->address;
  });
}

}  // extern "C"
