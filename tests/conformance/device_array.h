// SPDX-License-Identifier: Apache-2.0
// Memory of the device for one section, poisoned where a kernel is to write.
#pragma once

#include <cuda_runtime_api.h>

#include <bit>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "tests/conformance/primitives.h"

namespace funnel::conformance {

inline void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw Error(concat(call, ": ", cudaGetErrorString(status)));
}

template <class T>
class DeviceArray {
 public:
  // n elements whose bytes are all 0xFF.
  explicit DeviceArray(size_t n) : n_(n) {
    check(cudaMalloc(&data_, n * sizeof(T)), "cudaMalloc");
    check(cudaMemset(data_, 0xFF, n * sizeof(T)), "cudaMemset");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    check(cudaMemcpy(data_, values.data(), n_ * sizeof(T), cudaMemcpyDefault), "cudaMemcpy");
  }
  ~DeviceArray() { static_cast<void>(cudaFree(data_)); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }

  // Waits for the kernel before.
  Section section(const std::string& name, Format format) const {
    check(cudaGetLastError(), name.c_str());
    std::vector<T> values(n_);
    check(cudaMemcpy(values.data(), data_, n_ * sizeof(T), cudaMemcpyDefault), name.c_str());
    Section out{name, format, {}};
    for (const T& value : values) {
      uint64_t bits = 0;
      std::memcpy(&bits, &value, sizeof(T));
      out.bits.push_back(bits);
    }
    return out;
  }

 private:
  T* data_ = nullptr;
  size_t n_;
};

}  // namespace funnel::conformance
