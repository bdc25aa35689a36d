// SPDX-License-Identifier: Apache-2.0
#include "core/backend/device.h"

#include <cuda_runtime_api.h>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/runtime.h"
#include "core/base/error.h"

namespace funnel {
namespace {

// 13000 -> "13.0"
std::string version_text(int version) {
  return concat(version / 1000, ".", version % 1000 / 10);
}

std::string why_no_devices(cudaError_t status) {
  static_cast<void>(cudaGetLastError());
  int runtime = 0, driver = 0;
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  static_cast<void>(cudaDriverGetVersion(&driver));
  if (driver == 0) return "this machine has no NVIDIA driver";
  if (status == cudaErrorInsufficientDriver) {
    return concat("the NVIDIA driver serves CUDA up to ", version_text(driver),
                  ", this program needs ", version_text(runtime));
  }
  if (status == cudaErrorNoDevice) return "no CUDA device is visible on this machine";
  return concat("CUDA devices cannot be counted: ", cudaGetErrorName(status), ": ",
                cudaGetErrorString(status));
}

}  // namespace

std::string why_no_cuda() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    return why_no_devices(status == cudaSuccess ? cudaErrorNoDevice : status);
  }
  return "";
}

int cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  return 0;
}

void select_cuda_device(int index) {
  const std::string why = why_no_cuda();
  FUNNEL_CHECK_INPUT(why.empty(), "cannot compute on a CUDA device: ", why);
  const int count = cuda_devices();
  FUNNEL_CHECK_INPUT(index >= 0 && index < count, "cannot compute on CUDA device ", index,
                     ": this process sees ", count);
  cuda::check(cudaSetDevice(index), "cudaSetDevice");
  cuda::check_code_runs();
}

std::string cuda_device_address() {
  int device = 0;
  char address[32] = "";
  cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  cuda::check(cudaDeviceGetPCIBusId(address, sizeof(address), device), "cudaDeviceGetPCIBusId");
  return address;
}

std::string describe_cuda_device() {
  int device = 0, driver = 0, runtime = 0;
  cudaDeviceProp properties;
  cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  cuda::check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  cuda::check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  cuda::check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  return concat("CUDA device ", device, ", ", properties.name, ", sm_", properties.major,
                properties.minor, ", ", properties.totalGlobalMem >> 20, " MiB, driver ",
                version_text(driver), ", runtime ", version_text(runtime));
}

}  // namespace funnel
