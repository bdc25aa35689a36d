// SPDX-License-Identifier: Apache-2.0
// Context is where work happens: the device, its stream, its matmul primitives and a scratch arena.
// It is passed explicitly; there is no current device. One context serves one thread of one rank.
//
// On the CPU work is done when a call returns. On a CUDA device it is done in the order of the
// context's stream, later; only download() and synchronize() wait for it.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "core/backend/arena.h"

struct CUstream_st;  // what CUDA's stream handles point to

namespace funnel {

class MatmulPrimitives;  // a backend's own: prepared matmuls by shape

class Context {
 public:
  // Looks after what a wait hangs on beside the device, such as other ranks.
  class Watch {
   public:
    virtual ~Watch() = default;
    // Called again and again while a context waits, with how long it has. May throw.
    virtual void while_waiting(std::chrono::milliseconds waited) = 0;
  };

  explicit Context(Device device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Device device() const { return device_; }
  Arena& scratch() { return scratch_; }
  MatmulPrimitives& matmul_primitives() { return *matmul_primitives_; }
  CUstream_st* stream() const { return stream_; }  // null on the CPU

  // Zeroes a tensor of this device; copies between two of them, of one shape and dtype. A null
  // tensor throws.
  void fill_zero(Tensor tensor);
  void copy(ConstTensor from, Tensor to);

  // Copies between host memory and this device's (on the CPU: like copy). An upload's host tensor
  // must not change before the context has synchronised; a download's is there on return.
  void upload(ConstTensor host, Tensor to);
  void download(ConstTensor from, Tensor host);

  // to += from, element by element, for tensors of this device of one shape, f32 or f64. Every
  // device rounds alike.
  void add(ConstTensor from, Tensor to);

  // Waits for everything that was asked of this context. Throws while its work is recorded
  // (core/backend/recorded_work.h).
  void synchronize();

  // From now on waits are watched, as long as the watch lives.
  void set_watch(std::weak_ptr<Watch> watch) { watch_ = std::move(watch); }

 private:
  void check_device(const char* what, const ConstTensor& tensor, Device expected) const;
  void check_may_wait(const char* what) const;
  void wait_under(Watch& watch);
  void copy_bytes(const ConstTensor& from, const Tensor& to);

  Device device_;
  CUstream_st* stream_ = nullptr;
  Arena scratch_;
  std::unique_ptr<MatmulPrimitives> matmul_primitives_;
  std::weak_ptr<Watch> watch_;
};

}  // namespace funnel
