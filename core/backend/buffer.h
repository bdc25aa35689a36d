// SPDX-License-Identifier: Apache-2.0
// Buffer owns bytes on one device. It is the only thing that allocates.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/error.h"
#include "core/base/tensor.h"

namespace funnel {

// Every piece of memory handed out starts on such a boundary.
inline constexpr int64_t kAlignment = 256;

constexpr int64_t align_up(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// A CUDA device has no more memory.
class OutOfDeviceMemory : public Error {
 public:
  // obtainable: what this process holds of the device and what is free.
  OutOfDeviceMemory(const std::string& message, int64_t obtainable)
      : Error(message), obtainable_(obtainable) {}
  int64_t obtainable() const { return obtainable_; }

 private:
  int64_t obtainable_;
};

class Buffer {
 public:
  Buffer() = default;
  // Uninitialised bytes. Throws an error that names `purpose` and the sizes when the memory is not
  // there: an OutOfDeviceMemory on a CUDA device.
  Buffer(Device device, int64_t bytes, const char* purpose = "a buffer");
  // Host memory for transfers to and from a device: where that is a CUDA device, its copies need
  // no detour and may run beside other work.
  static Buffer for_transfer(Device peer, int64_t bytes);
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Buffer();

  char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  // The first elements of the buffer as a tensor.
  Tensor tensor(Shape shape, DType dtype) const;

  // How many buffers this process has allocated so far; a test asserts that steps add none.
  static int64_t allocations();
  // How many of them a CUDA device had a part in, its memory or memory for transfers.
  static int64_t device_allocations();

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(device_, other.device_);
    std::swap(pinned_, other.pinned_);
  }

  char* data_ = nullptr;
  int64_t bytes_ = 0;
  Device device_ = Device::cpu;
  bool pinned_ = false;  // host memory that the CUDA runtime allocated
};

}  // namespace funnel
