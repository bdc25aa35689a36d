// SPDX-License-Identifier: Apache-2.0
// The device that a test program puts to the test: FUNNEL_TEST_DEVICE=cpu, which is the default, or
// cuda. Tensors of tests lie there and one context works there, so that the same tests hold every
// device to the same oracles. "cuda" is the host runtime of tests/cudacpu unless CMake was told
// FUNNEL_TEST_RUNTIME=cuda.
#pragma once

#include <cstdlib>
#include <string>

#include "core/backend/context.h"
#include "core/backend/device.h"

namespace funnel::testing {

inline Device device_under_test() {
  static const Device device = [] {
    const char* text = std::getenv("FUNNEL_TEST_DEVICE");
    const std::string name = text == nullptr ? "cpu" : text;
    FUNNEL_CHECK_INPUT(name == "cpu" || name == "cuda",
                       "FUNNEL_TEST_DEVICE: expected cpu or cuda, found ", name);
    if (name == "cuda") select_cuda_device(0);
    return name == "cuda" ? Device::cuda : Device::cpu;
  }();
  return device;
}

// One context for a whole test program, so that all its work is in one order.
inline Context& context_under_test() {
  static Context context(device_under_test());
  return context;
}

}  // namespace funnel::testing
