// SPDX-License-Identifier: Apache-2.0
// Launches, through the runtime's calls: configurations that no device accepts, shared memory, what
// is known about kernels, faults of kernels as errors of later calls, and the order of streams.
// The oracle is CUDA's documentation of each call.
#include <array>
#include <string>

#include "tests/cudacpu/device_memory.h"
#include "tests/cudacpu/launch_kernels.h"

namespace funnel::testing {
namespace {

using cudacpu::clear_faults;
using cudacpu::set_option;

class HostRuntimeLaunch : public HostRuntimeTest {};

cudaError_t fill(int* out, int count, int value, unsigned blocks, unsigned threads,
                 cudaStream_t stream = nullptr) {
  std::array<void*, 3> arguments = {&out, &count, &value};
  return cudaLaunchKernel(fill_kernel(), dim3(blocks), dim3(threads), arguments.data(), 0, stream);
}

cudaError_t reverse(int* out, unsigned threads, size_t shared_bytes) {
  void* arguments[] = {&out};
  return cudaLaunchKernel(reverse_kernel(), dim3(1), dim3(threads), arguments, shared_bytes,
                          nullptr);
}

TEST_F(HostRuntimeLaunch, RunsBothFormsOfLaunch) {
  DeviceArray<int> out(100);
  ASSERT_EQ(fill(out.data(), 100, 3, 4, 32), 0);
  EXPECT_EQ(out.host(), std::vector<int>(100, 3));
  launch_fill(out.data(), 100, 4, nullptr);
  ASSERT_EQ(cudaGetLastError(), 0);
  EXPECT_EQ(out.host(), std::vector<int>(100, 4));
  int* data = out.data();
  int count = 100, value = 5;
  void* arguments[] = {&data, &count, &value};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(4);
  config.blockDim = dim3(32);
  ASSERT_EQ(cudaLaunchKernelExC(&config, fill_kernel(), arguments), 0);
  EXPECT_EQ(out.host(), std::vector<int>(100, 5));
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  config.attrs = &cluster;
  config.numAttrs = 1;
  EXPECT_EQ(cudaLaunchKernelExC(&config, fill_kernel(), arguments), cudaErrorNotSupported);
  expect_report("is not simulated");
}

TEST_F(HostRuntimeLaunch, ArgumentsAreCopiedWhenIssued) {
  DeviceArray<int> out(10);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), 0);
  set_option("streams", "lazy");
  {
    int value = 6, count = 10;
    int* data = out.data();
    void* arguments[] = {&data, &count, &value};
    ASSERT_EQ(cudaLaunchKernel(fill_kernel(), dim3(1), dim3(32), arguments, 0, stream), 0);
    value = count = 0;
  }
  ASSERT_EQ(cudaStreamSynchronize(stream), 0);
  EXPECT_EQ(out.host(), std::vector<int>(10, 6));
  ASSERT_EQ(cudaStreamDestroy(stream), 0);
}

TEST_F(HostRuntimeLaunch, RefusesWhatNoDeviceRuns) {
  DeviceArray<int> out(10);
  EXPECT_NE(fill(out.data(), 10, 1, 1, 1025), 0);
  expect_report("1025");
  EXPECT_NE(fill(out.data(), 10, 1, 0, 32), 0);
  expect_report("cudaLaunchKernel");
  EXPECT_EQ(cudaLaunchKernel(&out, dim3(1), dim3(1), nullptr, 0, nullptr),
            cudaErrorInvalidDeviceFunction);
  expect_report("no kernel has this address");
  // A refused launch leaves the device in order.
  ASSERT_EQ(fill(out.data(), 10, 1, 1, 32), 0);
  EXPECT_EQ(out.host(), std::vector<int>(10, 1));
}

TEST_F(HostRuntimeLaunch, SharedMemoryBeyondTheDefaultNeedsOptIn) {
  DeviceArray<int> out(64);
  const size_t much = 100 << 10;
  ASSERT_EQ(reverse(out.data(), 64, 256), 0);
  EXPECT_EQ(out.host().front(), 63);
  EXPECT_NE(reverse(out.data(), 64, much), 0);
  expect_report("shared");
  ASSERT_EQ(cudaFuncSetAttribute(reverse_kernel(), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(much)),
            0);
  ASSERT_EQ(reverse(out.data(), 64, much), 0);
  EXPECT_EQ(out.host().front(), 63);
  EXPECT_EQ(cudaFuncSetAttribute(reverse_kernel(), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 (227 << 10) + 1),
            cudaErrorInvalidValue);
  expect_report("expected at most 232448 bytes, found 232449");
}

TEST_F(HostRuntimeLaunch, KnowsItsKernels) {
  cudaFuncAttributes attributes;
  ASSERT_EQ(cudaFuncGetAttributes(&attributes, static_shared_kernel()), 0);
  EXPECT_EQ(attributes.sharedSizeBytes, 32768u);
  EXPECT_EQ(attributes.maxThreadsPerBlock, 1024);
  EXPECT_EQ(attributes.binaryVersion, 90);
  int blocks = 0;
  // 228 KiB of shared memory, of which a block takes 32 KiB and 1 KiB of the system's.
  ASSERT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, static_shared_kernel(), 128, 0),
            0);
  EXPECT_EQ(blocks, 6);
  ASSERT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill_kernel(), 1024, 0), 0);
  EXPECT_EQ(blocks, 2);
}

TEST_F(HostRuntimeLaunch, AForeignArchitectureHasNoKernels) {
  DeviceArray<int> out(10);
  set_option("capability", "75");
  EXPECT_EQ(fill(out.data(), 10, 1, 1, 32), cudaErrorNoKernelImageForDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNoKernelImageForDevice);
  launch_fill(out.data(), 10, 1, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNoKernelImageForDevice);
  set_option("capability", "90");
}

TEST_F(HostRuntimeLaunch, AFaultSticksToTheDevice) {
  DeviceArray<int> out(10);
  set_option("streams", "lazy");
  ASSERT_EQ(fill(out.data(), 11, 1, 1, 32), cudaSuccess);  // one past the end, later
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorIllegalAddress);
  EXPECT_EQ(fill(out.data(), 10, 1, 1, 32), cudaErrorIllegalAddress);
  clear_faults();
  expect_report("fill");
}

TEST_F(HostRuntimeLaunch, AMissingEventBetweenKernelsShows) {
  set_option("race", "off");  // which would report it
  cudaStream_t first = nullptr, second = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking), 0);
  ASSERT_EQ(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), 0);
  std::vector<int> seen(10);
  for (const char* order : {"eager", "lazy", "newest"}) {
    set_option("streams", order);
    DeviceArray<int> out(std::vector<int>(10, 0));
    ASSERT_EQ(fill(out.data(), 10, 1, 1, 32, first), 0);
    ASSERT_EQ(fill(out.data(), 10, 2, 1, 32, second), 0);
    ASSERT_EQ(cudaDeviceSynchronize(), 0);
    // In program order the second stream's value stays; newest first, the first stream's.
    EXPECT_EQ(out.host()[0], std::string(order) == "eager" ? 2 : 1) << order;
  }
  for (cudaStream_t stream : {first, second}) ASSERT_EQ(cudaStreamDestroy(stream), 0);
  set_option("race", "on");
}

}  // namespace
}  // namespace funnel::testing
