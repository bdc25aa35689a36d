// SPDX-License-Identifier: Apache-2.0
#include "core/backend/cuda/launch.cuh"
#include "core/backend/cuda/runtime.h"
#include "core/base/host_device.h"

namespace funnel::cuda {
namespace {

template <class T>
struct AddElement {
  const T* from;
  T* to;

  FUNNEL_HD void operator()(int64_t i) const { to[i] += from[i]; }
};

}  // namespace

void add(Stream stream, const ConstTensor& from, const Tensor& to) {
  with_float_type(to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each(stream, to.elements(), AddElement<T>{from.as<T>(), to.as<T>()});
  });
}

}  // namespace funnel::cuda
