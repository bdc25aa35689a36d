// SPDX-License-Identifier: Apache-2.0
// The table of allocations and the calls that allocate, copy and fill: what they promise and what
// they refuse. The oracle is CUDA's documentation of each call.
#include "tests/cudacpu/memory.h"

#include <csignal>
#include <cstring>

#include "tests/cudacpu/device_memory.h"

namespace funnel::testing {
namespace {

using namespace cudacpu;

class HostRuntimeMemory : public HostRuntimeTest {};

std::vector<int> counted(int n) {
  std::vector<int> values(n);
  for (int i = 0; i < n; ++i) values[i] = 7 * i + 1;
  return values;
}

TEST_F(HostRuntimeMemory, CopiesInEveryDirection) {
  const std::vector<int> values = counted(1001);
  DeviceArray<int> first(values), second(1001);
  ASSERT_EQ(cudaMemcpy(second.data(), first.data(), first.bytes(), cudaMemcpyDeviceToDevice), 0);
  EXPECT_EQ(second.host(), values);
  std::vector<int> other(1001);
  ASSERT_EQ(cudaMemcpy(other.data(), values.data(), first.bytes(), cudaMemcpyHostToHost), 0);
  EXPECT_EQ(other, values);
  ASSERT_EQ(cudaMemset(second.data() + 1, 0, 4), 0);
  ASSERT_EQ(cudaMemcpy(other.data(), second.data(), second.bytes(), cudaMemcpyDefault), 0);
  EXPECT_EQ(other[0], values[0]);
  EXPECT_EQ(other[1], 0);
  EXPECT_EQ(other[2], values[2]);
}

TEST_F(HostRuntimeMemory, PinnedMemoryIsHostMemory) {
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&pinned), 400), 0);
  for (int i = 0; i < 100; ++i) pinned[i] = i;
  DeviceArray<int> device(100);
  ASSERT_EQ(cudaMemcpy(device.data(), pinned, 400, cudaMemcpyHostToDevice), 0);
  EXPECT_EQ(device.host()[99], 99);
  cudaPointerAttributes attributes;
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, pinned), 0);
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, device.data()), 0);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  ASSERT_EQ(cudaFreeHost(pinned), 0);
}

TEST_F(HostRuntimeMemory, NewMemoryIsPoisonAndAligned) {
  const Allocation* made = allocate(MemoryKind::device, 33, 0);
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->begin % 256, 0u);
  EXPECT_NE(made->begin % 512, 0u);
  for (int i = 0; i < 33; ++i) EXPECT_EQ(static_cast<unsigned char>(made->storage[i]), kPoison);
  ASSERT_TRUE(release(reinterpret_cast<void*>(made->begin)));
}

TEST_F(HostRuntimeMemory, FindsAllocationsByAnyByteAndKnowsFreedOnes) {
  const Allocation* one = allocate(MemoryKind::device, 100, 0);
  const Allocation* two = allocate(MemoryKind::device, 100, 0);
  const auto* in_one = reinterpret_cast<const char*>(one->begin);
  EXPECT_EQ(find_allocation(in_one), one);
  EXPECT_EQ(find_allocation(in_one + 99), one);
  EXPECT_EQ(find_allocation(in_one + 100), nullptr);
  EXPECT_EQ(find_allocation(in_one - 1), nullptr);
  EXPECT_EQ(find_allocation(reinterpret_cast<const char*>(two->begin)), two);
  EXPECT_TRUE(one->holds(in_one + 90, 10));
  EXPECT_FALSE(one->holds(in_one + 91, 10));
  EXPECT_FALSE(release(in_one + 1));
  EXPECT_TRUE(release(in_one));
  EXPECT_FALSE(release(in_one));
  EXPECT_EQ(find_allocation(in_one), nullptr);
  EXPECT_NE(describe_address(in_one + 5).find("byte 5 of the freed device allocation"),
            std::string::npos);
  EXPECT_TRUE(release(reinterpret_cast<const char*>(two->begin)));
}

TEST_F(HostRuntimeMemory, ListsLeaks) {
  const size_t before = live_allocations().size();
  void* leak = nullptr;
  ASSERT_EQ(cudaMalloc(&leak, 12), 0);
  ASSERT_EQ(live_allocations().size(), before + 1);
  EXPECT_EQ(live_allocations().back()->bytes, 12);
  ASSERT_EQ(cudaFree(leak), 0);
  EXPECT_EQ(live_allocations().size(), before);
}

TEST_F(HostRuntimeMemory, RunsOutOfDeviceMemoryAtTheLimit) {
  const int64_t limit = device_memory_limit();
  const int64_t in_use = device_bytes_in_use(0);
  set_device_memory_limit(in_use + 1000);
  size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), 0);
  EXPECT_EQ(free, 1000u);
  EXPECT_EQ(total, static_cast<size_t>(in_use + 1000));
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 1001), cudaErrorMemoryAllocation);
  EXPECT_EQ(memory, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  ASSERT_EQ(cudaMalloc(&memory, 1000), 0);
  ASSERT_EQ(cudaFree(memory), 0);
  set_device_memory_limit(limit);
}

TEST_F(HostRuntimeMemory, RefusesWrongPointersAndDirections) {
  const std::vector<int> values = counted(10);
  std::vector<int> host(20);
  DeviceArray<int> device(values);
  EXPECT_EQ(cudaMemcpy(host.data(), values.data(), 40, cudaMemcpyHostToDevice),
            cudaErrorInvalidValue);
  expect_report("wrong direction");
  EXPECT_EQ(cudaMemcpy(device.data(), values.data(), 40, cudaMemcpyDeviceToHost),
            cudaErrorInvalidValue);
  expect_report("wrong direction: a copy device to host");
  EXPECT_EQ(cudaMemcpy(device.data(), host.data(), 44, cudaMemcpyHostToDevice),
            cudaErrorInvalidValue);
  expect_report("leave the allocation");
  EXPECT_EQ(cudaMemcpy(host.data(), device.data() + 9, 8, cudaMemcpyDeviceToHost),
            cudaErrorInvalidValue);
  expect_report("source: 8 bytes from byte 36 of device allocation");
  EXPECT_EQ(cudaMemcpy(nullptr, device.data(), 8, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  expect_report("a null pointer");
  EXPECT_EQ(cudaMemcpy(device.data(), device.data() + 1, 8, cudaMemcpyDeviceToDevice),
            cudaErrorInvalidValue);
  expect_report("overlap");
  EXPECT_EQ(cudaMemset(host.data(), 0, 4), cudaErrorInvalidValue);
  expect_report("no device or pinned memory");
  EXPECT_EQ(cudaMemset(device.data(), 0, 41), cudaErrorInvalidValue);
  expect_report("expected 41 bytes of device memory");
  EXPECT_EQ(device.host(), values);
}

TEST_F(HostRuntimeMemory, RefusesFreedMemoryAndWrongFrees) {
  int* freed = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&freed), 16), 0);
  EXPECT_EQ(cudaFreeHost(freed), cudaErrorInvalidValue);
  expect_report("expected the begin of a live pinned allocation");
  EXPECT_EQ(cudaFree(freed + 1), cudaErrorInvalidValue);
  expect_report("found byte 4 of device allocation");
  ASSERT_EQ(cudaFree(freed), 0);
  EXPECT_EQ(cudaFree(freed), cudaErrorInvalidValue);
  expect_report("of the freed device allocation");
  EXPECT_EQ(cudaMemset(freed, 0, 4), cudaErrorInvalidValue);
  expect_report("of the freed device allocation");
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
}

TEST_F(HostRuntimeMemory, CopyOfBytesThatNobodyHasWrittenIsAFault) {
  DeviceArray<int> device(2);
  int host[2];
  ASSERT_EQ(cudaMemset(device.data(), 0, 4), 0);
  EXPECT_NE(cudaMemcpy(host, device.data(), 8, cudaMemcpyDeviceToHost), cudaSuccess);
  clear_faults();
  expect_report("reads byte 4 of device allocation");
  EXPECT_EQ(cudaMemcpy(host, device.data(), 4, cudaMemcpyDeviceToHost), cudaSuccess);
}

using HostRuntimeMemoryDeathTest = HostRuntimeMemory;

TEST_F(HostRuntimeMemoryDeathTest, HostCodeCannotTouchDeviceMemory) {
  DeviceArray<int> device(counted(4));
  volatile int* touched = device.data();
  EXPECT_EXIT(static_cast<void>(touched[0]), ::testing::KilledBySignal(SIGSEGV), "");
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&pinned), 16), 0);
  touched = pinned;
  touched[0] = 1;
  ASSERT_EQ(cudaFreeHost(pinned), 0);
  EXPECT_EXIT(static_cast<void>(touched[0]), ::testing::KilledBySignal(SIGSEGV), "");
}

TEST_F(HostRuntimeMemoryDeathTest, ReportsThatNobodyTakesFailTheProcess) {
  const auto misuse_and_exit = [] {
    static_cast<void>(cudaMemset(nullptr, 0, 4));
    std::exit(0);
  };
  EXPECT_EXIT(misuse_and_exit(), ::testing::ExitedWithCode(kUntakenReports),
              "1 reports, the first of them: cudaMemset");
}

TEST_F(HostRuntimeMemoryDeathTest, MisspeltOptionsEndTheProcess) {
  EXPECT_EXIT(set_option("stream", "lazy"), ::testing::ExitedWithCode(2),
              "no option is called 'stream'");
}

}  // namespace
}  // namespace funnel::testing
