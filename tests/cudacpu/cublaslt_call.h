// SPDX-License-Identifier: Apache-2.0
// What the calls of the cuBLASLt stand-in share. It implements exactly those that the engine makes:
// cublaslt_descriptors.cc keeps descriptors as given, cublaslt_matmul.cc checks them when they are
// used. The heuristic returns two algorithms at the most, bound to their problem, alignments and
// workspace; whoever does not forbid it gets one that adds up in an order of its own. It shows
// whether the engine passes the right transposes, strides and epilogues, not whether a device's
// library supports the combination.
#pragma once

#include <cublasLt.h>

#include <bit>
#include <string>

#include "core/base/error.h"
#include "tests/cudacpu/cublaslt_problem.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {

[[noreturn]] inline void lt_misuse(cublasStatus_t status, const std::string& text) {
  misuse(static_cast<cudaError_t>(status), text);
}

// NVIDIA's opaque structs hold a pointer to ours in their first word.
template <class Ours, class Opaque>
Ours* ours(const Opaque* opaque) {
  if (opaque == nullptr) {
    lt_misuse(CUBLAS_STATUS_INVALID_VALUE, "a null descriptor");
  }
  return std::bit_cast<Ours*>(opaque->data[0]);
}

// The frame of every call: locks and turns refusals into a status.
template <class Body>
cublasStatus_t lt_call(const char* name, Body&& body) {
  if (driver_state() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  try {
    const Device& device = runtime.device(current_device());
    if (device.broken != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
    body(runtime);
    return device.broken == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
  } catch (const Refusal& refusal) {
    if (!refusal.misuse.empty()) report_misuse(name, refusal.misuse);
    const auto status = static_cast<int>(refusal.code);
    const bool of_cublas =
        status == CUBLAS_STATUS_INVALID_VALUE || status == CUBLAS_STATUS_NOT_SUPPORTED;
    return of_cublas ? static_cast<cublasStatus_t>(status) : CUBLAS_STATUS_INVALID_VALUE;
  }
}

}  // namespace funnel::cudacpu
