// SPDX-License-Identifier: Apache-2.0
#include "core/backend/buffer.h"

#include <atomic>
#include <cstdlib>

namespace funnel {
namespace {

std::atomic<int64_t> allocation_count{0};

}  // namespace

Buffer::Buffer(Device device, int64_t bytes) : bytes_(bytes), device_(device) {
  FUNNEL_CHECK(device == Device::cpu, "this build has no CUDA backend");
  FUNNEL_CHECK(bytes >= 0, "a buffer cannot hold ", bytes, " bytes");
  if (bytes == 0) return;
  data_ = static_cast<char*>(std::aligned_alloc(kAlignment, align_up(bytes)));
  FUNNEL_CHECK(data_ != nullptr, "out of host memory: cannot allocate ", bytes, " bytes");
  ++allocation_count;
}

Buffer::~Buffer() {
  std::free(data_);
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

}  // namespace funnel
