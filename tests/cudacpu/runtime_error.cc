// SPDX-License-Identifier: Apache-2.0
// Errors and versions: cudaGetLastError and its kin.
#include <utility>

#include "core/base/error.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/reports.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {
namespace {

thread_local cudaError_t last_error = cudaSuccess;

struct Text {
  cudaError_t code;
  const char* name;
  const char* text;
};

// Names are the enumerators' own, as NVIDIA's runtime gives them.
#define FUNNEL_CUDA_ERROR(code, text) \
  Text {                              \
    code, #code, text                 \
  }
constexpr Text kTexts[] = {
    FUNNEL_CUDA_ERROR(cudaSuccess, "no error"),
    FUNNEL_CUDA_ERROR(cudaErrorInvalidValue, "invalid argument"),
    FUNNEL_CUDA_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    FUNNEL_CUDA_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    FUNNEL_CUDA_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    FUNNEL_CUDA_ERROR(cudaErrorInsufficientDriver,
                      "CUDA driver version is insufficient for CUDA runtime version"),
    FUNNEL_CUDA_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    FUNNEL_CUDA_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    FUNNEL_CUDA_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    FUNNEL_CUDA_ERROR(cudaErrorNoKernelImageForDevice,
                      "no kernel image is available for execution on the device"),
    FUNNEL_CUDA_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    FUNNEL_CUDA_ERROR(cudaErrorIllegalState,
                      "the operation cannot be performed in the present state"),
    FUNNEL_CUDA_ERROR(cudaErrorNotReady, "device not ready"),
    FUNNEL_CUDA_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    FUNNEL_CUDA_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    FUNNEL_CUDA_ERROR(cudaErrorAssert, "device-side assert triggered"),
    FUNNEL_CUDA_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    FUNNEL_CUDA_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    FUNNEL_CUDA_ERROR(cudaErrorNotSupported, "operation not supported"),
    FUNNEL_CUDA_ERROR(cudaErrorStreamCaptureUnsupported,
                      "operation not permitted when stream is capturing"),
    FUNNEL_CUDA_ERROR(cudaErrorStreamCaptureInvalidated,
                      "operation failed due to a previous error during capture"),
    FUNNEL_CUDA_ERROR(cudaErrorStreamCaptureUnmatched,
                      "operation would have ended a capture that began elsewhere"),
    FUNNEL_CUDA_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    FUNNEL_CUDA_ERROR(cudaErrorStreamCaptureIsolation,
                      "dependency created on uncaptured work in another stream"),
    FUNNEL_CUDA_ERROR(cudaErrorStreamCaptureImplicit,
                      "operation would make the legacy stream depend on a capturing stream"),
    FUNNEL_CUDA_ERROR(cudaErrorCapturedEvent,
                      "operation not permitted on an event last recorded in a capturing stream"),
};
#undef FUNNEL_CUDA_ERROR

const Text& text_of(cudaError_t code) {
  static constexpr Text kUnknown{cudaErrorUnknown, "unrecognized error code",
                                 "unrecognized error code"};
  for (const Text& text : kTexts) {
    if (text.code == code) return text;
  }
  return kUnknown;
}

}  // namespace

cudaError_t set_last_error(cudaError_t code) {
  if (code != cudaSuccess) last_error = code;
  return code;
}

void report_misuse(const char* call, const std::string& text) {
  report(concat(call, ": ", text));
}

cudaError_t driver_state() {
  if (option_number("driver") < CUDART_VERSION / 1000 * 1000) return cudaErrorInsufficientDriver;
  return option_number("devices") == 0 ? cudaErrorNoDevice : cudaSuccess;
}

}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

// A broken device's error comes back for ever; any other only once.
cudaError_t cudaGetLastError() {
  return std::exchange(last_error, cudaSuccess);
}

cudaError_t cudaPeekAtLastError() {
  return last_error;
}

const char* cudaGetErrorName(cudaError_t error) {
  return text_of(error).name;
}

const char* cudaGetErrorString(cudaError_t error) {
  return text_of(error).text;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = static_cast<int>(option_number("driver"));
  return cudaSuccess;
}

}  // extern "C"
