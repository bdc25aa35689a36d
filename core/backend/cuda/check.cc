// SPDX-License-Identifier: Apache-2.0
#include "core/backend/cuda/check.h"

#include "core/base/error.h"

namespace funnel::cuda {

std::string device_name() noexcept {
  int device = -1;
  cudaDeviceProp properties;
  if (cudaGetDevice(&device) != cudaSuccess) return "a CUDA device";
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) {
    return concat("CUDA device ", device);
  }
  return concat("CUDA device ", device, " (", properties.name, ")");
}

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  const std::string reason = concat(cudaGetErrorName(status), ": ", cudaGetErrorString(status));
  static_cast<void>(cudaGetLastError());  // an error that does not stick is told once
  throw Error(concat(call, " failed on ", device_name(), ": ", reason));
}

}  // namespace funnel::cuda
