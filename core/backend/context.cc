// SPDX-License-Identifier: Apache-2.0
#include "core/backend/context.h"

#include <cstring>

#include "core/backend/matmul.h"

namespace funnel {

Context::Context(Device device)
    : device_(device), scratch_(device), matmul_primitives_(make_matmul_primitives(device)) {}

Context::~Context() = default;

void Context::fill_zero(Tensor tensor) {
  if (tensor.bytes() > 0) std::memset(tensor.data(), 0, tensor.bytes());
}

void Context::copy(ConstTensor from, Tensor to) {
  FUNNEL_CHECK(from.shape() == to.shape() && from.dtype() == to.dtype(), "copy: from ",
               from.shape(), " of ", name_of(from.dtype()), " to ", to.shape(), " of ",
               name_of(to.dtype()));
  if (from.bytes() > 0) std::memcpy(to.data(), from.data(), from.bytes());
}

}  // namespace funnel
