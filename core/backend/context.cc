// SPDX-License-Identifier: Apache-2.0
#include "core/backend/context.h"

#include <cstring>
#include <thread>

#include "core/backend/cuda/runtime.h"
#include "core/backend/matmul.h"
#include "core/base/add_into.h"

namespace funnel {
namespace {

void check_like(const char* what, const ConstTensor& from, const ConstTensor& to) {
  FUNNEL_CHECK(from.shape() == to.shape() && from.dtype() == to.dtype(), what, ": from ",
               from.shape(), " of ", name_of(from.dtype()), " to ", to.shape(), " of ",
               name_of(to.dtype()));
  FUNNEL_CHECK((from && to) || from.bytes() == 0, what, ": expected tensors, found a null one");
}

}  // namespace

Context::Context(Device device) : device_(device), scratch_(device, "scratch") {
  if (device == Device::cpu) {
    matmul_primitives_ = make_matmul_primitives();
  } else {
    stream_ = cuda::make_stream();
    matmul_primitives_ = cuda::make_matmul_primitives(stream_);
  }
}

Context::~Context() {
  if (stream_ == nullptr) return;
  matmul_primitives_.reset();
  cuda::destroy(stream_);
}

void Context::check_device(const char* what, const ConstTensor& tensor, Device expected) const {
  FUNNEL_CHECK(tensor.bytes() == 0 || tensor.device() == expected, what, ": expected memory of ",
               name_of(expected), ", found ", name_of(tensor.device()));
}

void Context::copy_bytes(const ConstTensor& from, const Tensor& to) {
  if (from.bytes() == 0) return;
  if (device_ == Device::cpu) {
    std::memcpy(to.data(), from.data(), from.bytes());
  } else {
    cuda::copy(stream_, to.data(), from.data(), from.bytes());
  }
}

void Context::fill_zero(Tensor tensor) {
  FUNNEL_CHECK(tensor || tensor.bytes() == 0, "fill_zero: expected a tensor, found a null one");
  check_device("fill_zero", tensor, device_);
  if (tensor.bytes() == 0) return;
  if (device_ == Device::cpu) {
    std::memset(tensor.data(), 0, tensor.bytes());
  } else {
    cuda::fill_zero(stream_, tensor.data(), tensor.bytes());
  }
}

void Context::copy(ConstTensor from, Tensor to) {
  check_like("copy", from, to);
  check_device("copy: from", from, device_);
  check_device("copy: to", to, device_);
  copy_bytes(from, to);
}

void Context::upload(ConstTensor host, Tensor to) {
  check_like("upload", host, to);
  check_device("upload: from", host, Device::cpu);
  check_device("upload: to", to, device_);
  copy_bytes(host, to);
}

void Context::download(ConstTensor from, Tensor host) {
  check_like("download", from, host);
  check_device("download: from", from, device_);
  check_device("download: to", host, Device::cpu);
  check_may_wait("download");
  copy_bytes(from, host);
  synchronize();
}

void Context::add(ConstTensor from, Tensor to) {
  check_like("add", from, to);
  check_device("add: from", from, device_);
  check_device("add: to", to, device_);
  if (to.bytes() == 0) return;
  if (device_ == Device::cuda) return cuda::add(stream_, from, to);
  with_float_type(to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    add_into(to.as<T>(), from.as<T>(), to.elements());
  });
}

void Context::synchronize() {
  if (device_ == Device::cpu) return;
  check_may_wait("synchronize");
  if (const std::shared_ptr<Watch> watch = watch_.lock()) return wait_under(*watch);
  cuda::synchronize(stream_);
}

void Context::check_may_wait(const char* what) const {
  if (device_ == Device::cpu) return;
  FUNNEL_CHECK(!cuda::is_recording(stream_), what, ": work that is recorded cannot be waited for");
}

// Asks often while an answer may come at once, then leaves the core to others.
void Context::wait_under(Watch& watch) {
  constexpr int kQuickly = 2000;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  for (int asked = 0; !cuda::is_done(stream_); ++asked) {
    watch.while_waiting(
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin));
    if (asked > kQuickly) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace funnel
