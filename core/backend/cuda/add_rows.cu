// SPDX-License-Identifier: Apache-2.0
#include "core/backend/cuda/add_rows.h"

#include "core/backend/cuda/launch.cuh"
#include "core/base/host_device.h"

namespace funnel::cuda {
namespace {

template <class T>
struct BiasElement {
  const T* bias;
  int64_t m, n, ldc, stride_c;
  bool accumulate;
  T* c;

  FUNNEL_HD void operator()(int64_t i) const {
    const int64_t column = i % n, row = i / n % m, matrix = i / n / m;
    T& element = c[matrix * stride_c + row * ldc + column];
    using C = Compute<T>;
    element = (accumulate ? C(element) : C(0)) + (bias == nullptr ? C(0) : C(bias[column]));
  }
};

}  // namespace

void set_or_add_bias(Stream stream, const Matmul& args) {
  with_storage_type(args.c_dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(stream, args.batch * args.m * args.n,
             BiasElement<T>{static_cast<const T*>(args.bias), args.m, args.n, args.ldc,
                            args.stride_c, args.accumulate, static_cast<T*>(args.c)});
  });
}

}  // namespace funnel::cuda
