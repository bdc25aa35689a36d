// SPDX-License-Identifier: Apache-2.0
// Context is where work happens: the device, its matmul primitives and a scratch arena. It is
// passed explicitly; there is no current device. One context serves one thread of one rank.
#pragma once

#include <memory>

#include "core/backend/arena.h"

namespace funnel {

class MatmulPrimitives;  // a backend's own: prepared matmuls by shape

class Context {
 public:
  explicit Context(Device device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Device device() const { return device_; }
  Arena& scratch() { return scratch_; }
  MatmulPrimitives& matmul_primitives() { return *matmul_primitives_; }

  // Zeroes a tensor; copies between tensors of one shape and dtype. A null tensor throws.
  void fill_zero(Tensor tensor);
  void copy(ConstTensor from, Tensor to);

 private:
  Device device_;
  Arena scratch_;
  std::unique_ptr<MatmulPrimitives> matmul_primitives_;
};

}  // namespace funnel
