// SPDX-License-Identifier: Apache-2.0
// For the host runtime's tests of streams: two streams, two events and page-locked memory.
#pragma once

#include <vector>

#include "tests/cudacpu/device_memory.h"

namespace funnel::testing {

inline constexpr const char* kOrders[] = {"eager", "lazy", "newest"};
inline constexpr int kCount = 64;

class HostRuntimeStreams : public HostRuntimeTest {
 protected:
  void SetUp() override {
    HostRuntimeTest::SetUp();
    for (cudaStream_t* stream : {&first, &second}) {
      ASSERT_EQ(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), 0);
    }
    ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), 0);
    ASSERT_EQ(cudaEventCreateWithFlags(&other_event, cudaEventDisableTiming), 0);
    ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&pinned), kCount), 0);
  }
  void TearDown() override {
    cudacpu::set_option("streams", "eager");
    ASSERT_EQ(cudaDeviceSynchronize(), 0);
    ASSERT_EQ(cudaFreeHost(pinned), 0);
    for (cudaEvent_t one : {event, other_event}) ASSERT_EQ(cudaEventDestroy(one), 0);
    for (cudaStream_t stream : {first, second}) ASSERT_EQ(cudaStreamDestroy(stream), 0);
    HostRuntimeTest::TearDown();
  }

  void set(DeviceArray<char>& array, int value, cudaStream_t stream) {
    ASSERT_EQ(cudaMemsetAsync(array.data(), value, array.bytes(), stream), 0);
  }
  void copy(DeviceArray<char>& to, const DeviceArray<char>& from, cudaStream_t stream) {
    ASSERT_EQ(cudaMemcpyAsync(to.data(), from.data(), to.bytes(), cudaMemcpyDeviceToDevice, stream),
              0);
  }
  void download(const DeviceArray<char>& from, cudaStream_t stream) {
    ASSERT_EQ(cudaMemcpyAsync(pinned, from.data(), kCount, cudaMemcpyDeviceToHost, stream), 0);
  }
  void wait(cudaStream_t waiting, cudaStream_t awaited) {
    ASSERT_EQ(cudaEventRecord(event, awaited), 0);
    ASSERT_EQ(cudaStreamWaitEvent(waiting, event, 0), 0);
  }

  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr, other_event = nullptr;
  char* pinned = nullptr;
};

}  // namespace funnel::testing
