// SPDX-License-Identifier: Apache-2.0
// Which device this process computes on. A process drives at most one CUDA device; it is chosen
// once, before anything is allocated on it.
#pragma once

#include <string>

#include "core/base/types.h"

namespace funnel {

// Why this process cannot compute on a CUDA device, as a sentence that ends another one ("this
// build has no CUDA backend", "the driver ... is older than ..."); empty if it can.
std::string why_no_cuda();

// How many CUDA devices this process sees; 0 if it can compute on none.
int cuda_devices();

// Makes CUDA device `index` the calling thread's for good. Error if it is not there or if this
// program holds no code for it.
void select_cuda_device(int index);

// The selected device for a log: "CUDA device 0, NVIDIA H100 80GB HBM3, sm_90, 79.2 GiB, driver
// 13.0, runtime 13.0".
std::string describe_cuda_device();

// The place of the selected device in this machine, by which ranks see that they share one.
std::string cuda_device_address();

}  // namespace funnel
