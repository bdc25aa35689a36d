// SPDX-License-Identifier: Apache-2.0
// What is timed once it has been found right.
#pragma once

#include <functional>
#include <vector>

#include "core/backend/context.h"
#include "tools/funnel_bench/measurement.h"

namespace funnel {

struct CheckedCase {
  Measurement row;              // named, with its floor and tolerance
  std::vector<Tensor> outputs;  // poisoned before each checked run, unless `begin` is set
  std::function<void()> begin;  // makes inputs and outputs what they are before a run; or null
  std::function<void()> work;
  std::function<double()> error;  // of the outputs after a run
};

// Runs it twice, comparing bits, and times it if it is right.
Measurement measure(Context& context, const CheckedCase& one, int repeats);

}  // namespace funnel
