// SPDX-License-Identifier: Apache-2.0
#include "core/backend/buffer.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>

#include "core/backend/cuda/runtime.h"

namespace funnel {
namespace {

std::atomic<int64_t> allocation_count{0}, device_allocation_count{0};

char* allocate_host(int64_t bytes, const char* purpose) {
  // Large pages, where the kernel gives them on request, are 512 times fewer to touch first.
  constexpr int64_t kLargePage = int64_t{2} << 20;
  const int64_t alignment = bytes < 2 * kLargePage ? kAlignment : kLargePage;
  const int64_t whole = (bytes + alignment - 1) / alignment * alignment;
  auto* data = static_cast<char*>(std::aligned_alloc(alignment, whole));
  FUNNEL_CHECK(data != nullptr, "out of host memory: cannot allocate ", bytes, " bytes for ",
               purpose);
  if (alignment == kLargePage) madvise(data, whole, MADV_HUGEPAGE);
  return data;
}

}  // namespace

Buffer::Buffer(Device device, int64_t bytes, const char* purpose) : bytes_(bytes), device_(device) {
  FUNNEL_CHECK(bytes >= 0, "a buffer cannot hold ", bytes, " bytes");
  if (bytes == 0) return;
  data_ = device == Device::cpu ? allocate_host(bytes, purpose) : cuda::allocate(bytes, purpose);
  ++allocation_count;
  if (device == Device::cuda) ++device_allocation_count;
}

Buffer Buffer::for_transfer(Device peer, int64_t bytes) {
  if (peer == Device::cpu) return Buffer(Device::cpu, bytes);
  FUNNEL_CHECK(bytes >= 0, "a buffer cannot hold ", bytes, " bytes");
  Buffer buffer;
  if (bytes == 0) return buffer;
  buffer.data_ = cuda::allocate_pinned(align_up(bytes));
  buffer.bytes_ = bytes;
  buffer.pinned_ = true;
  ++allocation_count;
  ++device_allocation_count;
  return buffer;
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (pinned_) {
    cuda::release_pinned(data_);
  } else if (device_ == Device::cuda) {
    cuda::release(data_);
  } else {
    std::free(data_);
  }
}

Tensor Buffer::tensor(Shape shape, DType dtype) const {
  const Tensor view(data_, shape, dtype, device_);
  FUNNEL_CHECK(view.bytes() <= bytes_, "a buffer of ", bytes_, " bytes cannot hold ", shape, " of ",
               name_of(dtype));
  return view;
}

int64_t Buffer::allocations() {
  return allocation_count;
}

int64_t Buffer::device_allocations() {
  return device_allocation_count;
}

}  // namespace funnel
