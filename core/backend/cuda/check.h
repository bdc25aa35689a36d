// SPDX-License-Identifier: Apache-2.0
// How a failed call of the CUDA runtime becomes an Error. Private to core/backend/cuda.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

namespace funnel::cuda {

// "CUDA device 0 (NVIDIA H100 80GB HBM3)", or as much of it as the runtime still answers.
std::string device_name() noexcept;

// Throws Error("cudaMemcpyAsync failed on CUDA device 0 (...): cudaErrorIllegalAddress: an illegal
// memory access was encountered") unless the status is success. `call` names what was called.
void check(cudaError_t status, const char* call);

}  // namespace funnel::cuda
