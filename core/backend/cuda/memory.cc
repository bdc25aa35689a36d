// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <map>
#include <mutex>

#include "core/backend/buffer.h"
#include "core/backend/cuda/check.h"
#include "core/backend/cuda/runtime.h"
#include "core/base/error.h"

namespace funnel::cuda {
namespace {

// What this process holds on its device, for the message when there is no more.
class Ledger {
 public:
  void add(char* memory, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    pieces_[memory] = bytes;
    held_ += bytes;
  }
  void remove(char* memory) noexcept {
    const std::lock_guard lock(mutex_);
    const auto piece = pieces_.find(memory);
    if (piece == pieces_.end()) return;
    held_ -= piece->second;
    pieces_.erase(piece);
  }
  int64_t held() {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  std::mutex mutex_;
  std::map<char*, int64_t> pieces_;
  int64_t held_ = 0;
};

Ledger& ledger() {
  static auto* const the_ledger = new Ledger;  // buffers may outlive every static
  return *the_ledger;
}

[[noreturn]] void throw_out_of_memory(int64_t bytes, const char* purpose) {
  static_cast<void>(cudaGetLastError());
  size_t free = 0, total = 0;
  static_cast<void>(cudaMemGetInfo(&free, &total));
  const int64_t held = ledger().held();
  throw OutOfDeviceMemory(
      concat("out of device memory: cannot allocate ", bytes, " bytes for ", purpose, " on ",
             device_name(), ": this process holds ", held, " bytes, and of the device's ", total,
             " bytes ", free, " are free"),
      held + static_cast<int64_t>(free));
}

}  // namespace

char* allocate(int64_t bytes, const char* purpose) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) throw_out_of_memory(bytes, purpose);
  check(status, "cudaMalloc");
  ledger().add(static_cast<char*>(memory), bytes);
  return static_cast<char*>(memory);
}

void release(char* memory) noexcept {
  ledger().remove(memory);
  static_cast<void>(cudaFree(memory));
}

char* allocate_pinned(int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t status =
      cudaHostAlloc(&memory, static_cast<size_t>(bytes), cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw Error(concat("out of page-locked host memory: cannot allocate ", bytes, " bytes"));
  }
  check(status, "cudaHostAlloc");
  return static_cast<char*>(memory);
}

void release_pinned(char* memory) noexcept {
  static_cast<void>(cudaFreeHost(memory));
}

}  // namespace funnel::cuda
