// SPDX-License-Identifier: Apache-2.0
// Devices, errors and versions of the simulated runtime, and the states of a machine that programs
// must answer with a clear sentence: no device, an old driver, a foreign architecture.
#include <string>

#include "tests/cudacpu/device_memory.h"

namespace funnel::testing {
namespace {

using cudacpu::set_option;

class HostRuntimeDevices : public HostRuntimeTest {
 protected:
  void TearDown() override {
    set_option("devices", "1");
    set_option("driver", "13000");
    set_option("capability", "90");
    ASSERT_EQ(cudaSetDevice(0), 0);
    HostRuntimeTest::TearDown();
  }
};

TEST_F(HostRuntimeDevices, SaysWhatItIs) {
  cudaDeviceProp properties;
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), 0);
  EXPECT_EQ(std::string(properties.name), "funnel host runtime (no GPU)");
  EXPECT_EQ(properties.major * 10 + properties.minor, 90);
  EXPECT_EQ(properties.sharedMemPerBlockOptin, 227u * 1024);
  int value = 0;
  ASSERT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), 0);
  EXPECT_EQ(value, 227 * 1024);
  set_option("capability", "80");
  ASSERT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), 0);
  EXPECT_EQ(value, 163 * 1024);
  ASSERT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0), 0);
  EXPECT_EQ(value, 8);
  EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSurface1DWidth, 0), cudaErrorInvalidValue);
  expect_report("is not simulated");
}

TEST_F(HostRuntimeDevices, EachThreadHasItsDevice) {
  set_option("devices", "2");
  int count = 0, device = -1;
  ASSERT_EQ(cudaGetDeviceCount(&count), 0);
  EXPECT_EQ(count, 2);
  ASSERT_EQ(cudaSetDevice(1), 0);
  ASSERT_EQ(cudaGetDevice(&device), 0);
  EXPECT_EQ(device, 1);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(HostRuntimeDevices, NoDevice) {
  set_option("devices", "0");
  int count = -1;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorNoDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNoDevice);
  EXPECT_EQ(std::string(cudaGetErrorString(cudaErrorNoDevice)),
            "no CUDA-capable device is detected");
}

TEST_F(HostRuntimeDevices, OldDriver) {
  set_option("driver", "12080");
  int version = 0, count = -1;
  ASSERT_EQ(cudaDriverGetVersion(&version), 0);
  EXPECT_EQ(version, 12080);
  ASSERT_EQ(cudaRuntimeGetVersion(&version), 0);
  EXPECT_EQ(version, CUDART_VERSION);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInsufficientDriver);
  EXPECT_EQ(std::string(cudaGetErrorName(cudaErrorInsufficientDriver)),
            "cudaErrorInsufficientDriver");
}

TEST_F(HostRuntimeDevices, UnknownHandlesAreRefused) {
  const auto no_stream = reinterpret_cast<cudaStream_t>(16);
  EXPECT_EQ(cudaStreamSynchronize(no_stream), cudaErrorInvalidResourceHandle);
  expect_report("no such stream");
  EXPECT_EQ(cudaEventRecord(nullptr, nullptr), cudaErrorInvalidResourceHandle);
  expect_report("no such event");
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), 0);
  ASSERT_EQ(cudaStreamDestroy(stream), 0);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
  expect_report("no such stream");
}

}  // namespace
}  // namespace funnel::testing
