// SPDX-License-Identifier: Apache-2.0
#include "core/backend/cuda/timing.h"

#include "core/backend/cuda/check.h"

namespace funnel::cuda {

Event make_timing_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDefault), "cudaEventCreateWithFlags");
  return event;
}

double milliseconds_between(Event start, Event end) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, start, end), "cudaEventElapsedTime");
  return milliseconds;
}

}  // namespace funnel::cuda
