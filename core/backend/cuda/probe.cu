// SPDX-License-Identifier: Apache-2.0
// Whether the selected device runs this program's code: asked once, before anything else is.
#include <cuda_runtime.h>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/runtime.h"
#include "core/base/error.h"

namespace funnel::cuda {
namespace {

__global__ void probe_kernel() {}

}  // namespace

void check_code_runs() {
  probe_kernel<<<1, 1>>>();
  cudaError_t status = cudaGetLastError();
  if (status == cudaSuccess) status = cudaDeviceSynchronize();
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorUnsupportedPtxVersion ||
      status == cudaErrorInvalidDeviceFunction) {
    static_cast<void>(cudaGetLastError());
    int device = 0, major = 0, minor = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
          "cudaDeviceGetAttribute");
    throw_usage("cannot compute on ", device_name(), ": it is sm_", major, minor,
                ", and this program was built for " FUNNEL_CUDA_ARCHITECTURES
                "; build with -DCMAKE_CUDA_ARCHITECTURES=",
                major, minor);
  }
  check(status, "a first kernel");
}

}  // namespace funnel::cuda
