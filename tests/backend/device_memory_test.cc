// SPDX-License-Identifier: Apache-2.0
// What a CUDA device says of itself and of its memory. Oracle: the contracts of device.h and
// buffer.h.
#include <gtest/gtest.h>

#include <functional>

#include "core/backend/device.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(DeviceMemory, RunningOutNamesTheSizes) {
  const OwnedTensor held({1000}, DType::f32);
  const std::string message = message_of([] { Buffer(Device::cuda, int64_t{1} << 50); });
  EXPECT_NE(message.find("1125899906842624 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("out of device memory"), std::string::npos) << message;
  EXPECT_EQ(held.values().size(), 1000u);  // what was held before is still there
}

TEST(DeviceMemory, TheDeviceIsDescribed) {
  EXPECT_EQ(why_no_cuda(), "");
  EXPECT_NE(describe_cuda_device().find("CUDA device 0, "), std::string::npos);
  const std::string message = message_of([] { select_cuda_device(cuda_devices()); });
  EXPECT_NE(message.find("this process sees"), std::string::npos) << message;
}

}  // namespace
}  // namespace funnel::testing
