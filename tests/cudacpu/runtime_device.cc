// SPDX-License-Identifier: Apache-2.0
// Devices: how many, which one, and what each can do.
#include <algorithm>
#include <cstdio>

#include "core/base/error.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {
namespace {

struct Limits {
  int major, minor, shared_per_multiprocessor, shared_optin, l2_bytes;
};

// The figures of the CUDA programming guide for compute capability 8.0 and 9.0.
Limits limits() {
  const int capability = static_cast<int>(option_number("capability"));
  if (capability < 90) return {capability / 10, capability % 10, 164 << 10, 163 << 10, 40 << 20};
  return {capability / 10, capability % 10, 228 << 10, 227 << 10, 50 << 20};
}

int multiprocessors() {
  return static_cast<int>(option_number("multiprocessors"));
}

int device_count() {
  return static_cast<int>(std::min<int64_t>(option_number("devices"), kMaxDevices));
}

void check_device(int device) {
  if (device < 0 || device >= device_count()) refuse(cudaErrorInvalidDevice);
}

cudaDeviceProp properties(int device) {
  const Limits of = limits();
  cudaDeviceProp p{};
  std::snprintf(p.name, sizeof(p.name), "funnel host runtime (no GPU)");
  p.uuid.bytes[0] = static_cast<char>(device);
  p.totalGlobalMem = static_cast<size_t>(device_memory_limit());
  p.sharedMemPerBlock = 48 << 10;
  p.sharedMemPerBlockOptin = static_cast<size_t>(of.shared_optin);
  p.sharedMemPerMultiprocessor = static_cast<size_t>(of.shared_per_multiprocessor);
  p.reservedSharedMemPerBlock = 1 << 10;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.warpSize = 32;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.totalConstMem = 64 << 10;
  p.major = of.major;
  p.minor = of.minor;
  p.multiProcessorCount = multiprocessors();
  p.maxThreadsPerMultiProcessor = 2048;
  p.maxBlocksPerMultiProcessor = 32;
  p.l2CacheSize = of.l2_bytes;
  p.memoryBusWidth = 5120;
  p.concurrentKernels = p.unifiedAddressing = p.canMapHostMemory = 1;
  p.streamPrioritiesSupported = p.asyncEngineCount = 1;
  p.pciDeviceID = device;
  return p;
}

int attribute(const cudaDeviceProp& p, cudaDeviceAttr which) {
  switch (which) {
    case cudaDevAttrMaxThreadsPerBlock:
      return p.maxThreadsPerBlock;
    case cudaDevAttrMaxBlockDimX:
      return p.maxThreadsDim[0];
    case cudaDevAttrMaxBlockDimY:
      return p.maxThreadsDim[1];
    case cudaDevAttrMaxBlockDimZ:
      return p.maxThreadsDim[2];
    case cudaDevAttrMaxGridDimX:
      return p.maxGridSize[0];
    case cudaDevAttrMaxGridDimY:
      return p.maxGridSize[1];
    case cudaDevAttrMaxGridDimZ:
      return p.maxGridSize[2];
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return static_cast<int>(p.sharedMemPerBlock);
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return static_cast<int>(p.sharedMemPerBlockOptin);
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return static_cast<int>(p.sharedMemPerMultiprocessor);
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return static_cast<int>(p.reservedSharedMemPerBlock);
    case cudaDevAttrTotalConstantMemory:
      return static_cast<int>(p.totalConstMem);
    case cudaDevAttrWarpSize:
      return p.warpSize;
    case cudaDevAttrMaxRegistersPerBlock:
      return p.regsPerBlock;
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return p.regsPerMultiprocessor;
    case cudaDevAttrMultiProcessorCount:
      return p.multiProcessorCount;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return p.maxThreadsPerMultiProcessor;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return p.maxBlocksPerMultiProcessor;
    case cudaDevAttrComputeCapabilityMajor:
      return p.major;
    case cudaDevAttrComputeCapabilityMinor:
      return p.minor;
    case cudaDevAttrL2CacheSize:
      return p.l2CacheSize;
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrStreamPrioritiesSupported:
      return 1;
    case cudaDevAttrClockRate:
      return 1'000'000;  // kHz; nothing is timed here
    case cudaDevAttrMemoryClockRate:
      return 1'000'000;
    case cudaDevAttrGlobalMemoryBusWidth:
      return p.memoryBusWidth;
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrClusterLaunch:
    case cudaDevAttrIntegrated:
      return 0;
    default:
      misuse(cudaErrorInvalidValue,
             funnel::concat("attribute ", static_cast<int>(which), " is not simulated"));
  }
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return api_call("cudaGetDeviceCount", [&](Runtime&) { *count = device_count(); });
}

cudaError_t cudaGetDevice(int* device) {
  return api_call("cudaGetDevice", [&](Runtime&) { *device = current_device(); });
}

cudaError_t cudaSetDevice(int device) {
  return api_call("cudaSetDevice", [&](Runtime&) {
    check_device(device);
    current_device() = device;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device) {
  return api_call("cudaGetDeviceProperties", [&](Runtime&) {
    check_device(device);
    *prop = properties(device);
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device) {
  return api_call("cudaDeviceGetAttribute", [&](Runtime&) {
    check_device(device);
    *value = attribute(properties(device), attr);
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  return api_call("cudaDeviceGetPCIBusId", [&](Runtime&) {
    check_device(device);
    std::snprintf(id, static_cast<size_t>(length), "0000:00:%02x.0", device);
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return api_call("cudaDeviceGetStreamPriorityRange", [&](Runtime&) {
    *least = 0;
    *greatest = -5;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return api_call("cudaDeviceSynchronize", [](Runtime& runtime) {
    runtime.check_no_capture();
    runtime.wait_all(current_device());
  });
}

}  // extern "C"
