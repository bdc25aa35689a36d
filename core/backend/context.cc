// SPDX-License-Identifier: Apache-2.0
#include "core/backend/context.h"

#include <cstring>

#include "core/backend/matmul.h"

namespace funnel {

Context::Context(Device device)
    : device_(device), scratch_(device), matmul_primitives_(make_matmul_primitives(device)) {}

Context::~Context() = default;

void Context::fill_zero(Tensor tensor) {
  FUNNEL_CHECK(tensor || tensor.bytes() == 0, "fill_zero: expected a tensor, found a null one");
  if (tensor.bytes() > 0) std::memset(tensor.data(), 0, tensor.bytes());
}

void Context::copy(ConstTensor from, Tensor to) {
  FUNNEL_CHECK(from.shape() == to.shape() && from.dtype() == to.dtype(), "copy: from ",
               from.shape(), " of ", name_of(from.dtype()), " to ", to.shape(), " of ",
               name_of(to.dtype()));
  FUNNEL_CHECK((from && to) || from.bytes() == 0, "copy: expected tensors, found a null one");
  if (from.bytes() > 0) std::memcpy(to.data(), from.data(), from.bytes());
}

}  // namespace funnel
