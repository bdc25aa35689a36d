// SPDX-License-Identifier: Apache-2.0
// Events that note when they come to pass. Like core/backend/cuda/runtime.h, in plain C++.
#pragma once

#include "core/backend/cuda/runtime.h"

namespace funnel::cuda {

Event make_timing_event();

// Between two recorded timing events that have both come to pass.
double milliseconds_between(Event start, Event end);

}  // namespace funnel::cuda
