// SPDX-License-Identifier: Apache-2.0
// What a CUDA device says of itself and of its memory. Oracle: the contracts of device.h and
// buffer.h.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/backend/device.h"
#include "core/model/pretrain_batch.h"
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
  const std::string message = message_of([] { Buffer(Device::cuda, int64_t{1} << 50, "a test"); });
  EXPECT_NE(message.find("1125899906842624 bytes for a test on CUDA device 0"), std::string::npos)
      << message;
  EXPECT_NE(message.find("out of device memory"), std::string::npos) << message;
  EXPECT_EQ(held.values().size(), 1000u);  // what was held before is still there
}

cudaMemoryType kind_of(const Buffer& buffer) {
  cudaPointerAttributes attributes{};
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, buffer.data()), cudaSuccess);
  return attributes.type;
}

TEST(DeviceMemory, MemoryForTransfersIsPageLocked) {
  EXPECT_EQ(kind_of(Buffer::for_transfer(Device::cuda, 1000)), cudaMemoryTypeHost);
  EXPECT_EQ(kind_of(Buffer::for_transfer(Device::cpu, 1000)), cudaMemoryTypeUnregistered);
  EXPECT_EQ(kind_of(Buffer(Device::cuda, 1000)), cudaMemoryTypeDevice);
}

// The prefetcher may fill a batch again while its copy is under way.
TEST(DeviceMemory, BatchesMayChangeAsSoonAsTheyAreUploaded) {
  Context& context = context_under_test();
  BatchUpload upload;
  Arena memory(context.device());
  std::vector<int32_t> ids(2 * 8), positions(2 * 3);
  std::vector<uint8_t> bytes(2 * 8);
  for (int round = 0; round < 3; ++round) {
    std::fill(ids.begin(), ids.end(), 5 + round);
    std::fill(positions.begin(), positions.end(), round);
    std::fill(bytes.begin(), bytes.end(), static_cast<uint8_t>(round));
    const ConstTensor id(ids.data(), {2, 8}, DType::i32), byte(bytes.data(), {2, 8}, DType::u8);
    const ConstTensor position(positions.data(), {2, 3}, DType::i32);
    memory.reset();
    const PretrainBatch moved = upload.to_device(context, memory,
                                                 {.input_ids = id,
                                                  .masked_ids = id,
                                                  .segments = byte,
                                                  .hidden = {},
                                                  .padded = byte,
                                                  .positions = position,
                                                  .targets = position,
                                                  .samples = {}},
                                                 40);
    std::fill(ids.begin(), ids.end(), -1);
    std::fill(positions.begin(), positions.end(), -1);
    std::fill(bytes.begin(), bytes.end(), uint8_t{255});
    EXPECT_FALSE(moved.hidden);
    EXPECT_EQ(moved.input_ids.device(), Device::cuda);
    std::vector<int32_t> found(2 * 8), found_targets(2 * 3);
    std::vector<uint8_t> found_bytes(2 * 8);
    context.download(moved.masked_ids, Tensor(found.data(), {2, 8}, DType::i32));
    context.download(moved.targets, Tensor(found_targets.data(), {2, 3}, DType::i32));
    context.download(moved.padded, Tensor(found_bytes.data(), {2, 8}, DType::u8));
    EXPECT_EQ(found, std::vector<int32_t>(2 * 8, 5 + round));
    EXPECT_EQ(found_targets, std::vector<int32_t>(2 * 3, round));
    EXPECT_EQ(found_bytes, std::vector<uint8_t>(2 * 8, static_cast<uint8_t>(round)));
  }
}

TEST(DeviceMemory, TheDeviceIsDescribed) {
  EXPECT_EQ(why_no_cuda(), "");
  EXPECT_NE(describe_cuda_device().find("CUDA device 0, "), std::string::npos);
  const std::string message = message_of([] { select_cuda_device(cuda_devices()); });
  EXPECT_NE(message.find("this process sees"), std::string::npos) << message;
}

}  // namespace
}  // namespace funnel::testing
