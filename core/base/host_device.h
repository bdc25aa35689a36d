// SPDX-License-Identifier: Apache-2.0
// FUNNEL_HD marks code that runs on the host and on the device: op bodies and the math they call.
#pragma once

#ifdef __CUDACC__
#define FUNNEL_HD __host__ __device__
#else
#define FUNNEL_HD
#endif

// The instructions that device forms of such code are made of.
#ifdef __CUDACC__
#include "core/base/ptx.cuh"
#endif
