// SPDX-License-Identifier: Apache-2.0
// For the host runtime's tests: an array in device memory, filled from and read to host vectors,
// and the check that a call is refused with a report.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/cudacpu/options.h"
#include "tests/cudacpu/reports.h"

namespace funnel::testing {

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(int64_t count) : count_(count) {
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, sizeof(T) * static_cast<size_t>(count)), cudaSuccess);
    data_ = static_cast<T*>(memory);
  }
  explicit DeviceArray(const std::vector<T>& host)
      : DeviceArray(static_cast<int64_t>(host.size())) {
    EXPECT_EQ(cudaMemcpy(data_, host.data(), sizeof(T) * host.size(), cudaMemcpyHostToDevice),
              cudaSuccess);
  }
  ~DeviceArray() { EXPECT_EQ(cudaFree(data_), cudaSuccess); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  int64_t count() const { return count_; }
  size_t bytes() const { return sizeof(T) * static_cast<size_t>(count_); }
  std::vector<T> host() const {
    std::vector<T> copy(static_cast<size_t>(count_));
    EXPECT_EQ(cudaMemcpy(copy.data(), data_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return copy;
  }

 private:
  int64_t count_;
  T* data_ = nullptr;
};

// Every test of the host runtime starts and ends with no report, no fault, no leak. Faults that a
// test plants are expected with expect_report.
class HostRuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cudacpu::set_option("reports", "quiet");
    cudacpu::set_option("streams", "eager");
  }
  void TearDown() override {
    cudacpu::clear_faults();  // one test's fault must not fail the next
    for (const std::string& text : cudacpu::take_reports()) ADD_FAILURE() << text;
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }

  // Exactly one report since the last check, with this text in it; forgets the last error.
  static void expect_report(const std::string& part) {
    const std::vector<std::string> reports = cudacpu::take_reports();
    ASSERT_EQ(reports.size(), 1u) << "expected a report with: " << part;
    EXPECT_NE(reports[0].find(part), std::string::npos) << reports[0];
    static_cast<void>(cudaGetLastError());
  }
};

}  // namespace funnel::testing
