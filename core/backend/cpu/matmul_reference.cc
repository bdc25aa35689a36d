// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "core/backend/matmul.h"

namespace funnel {
namespace {

template <class T>
void multiply(const Matmul& args, const T* a, const T* b, T* c) {
  const T* bias = static_cast<const T*>(args.bias);
  std::vector<T> row(args.n);
  for (int64_t i = 0; i < args.m; ++i) {
    for (int64_t j = 0; j < args.n; ++j) row[j] = bias == nullptr ? T(0) : bias[j];
    for (int64_t p = 0; p < args.k; ++p) {
      const T x = args.transpose_a ? a[p * args.lda + i] : a[i * args.lda + p];
      const T* column = args.transpose_b ? b + p : b + p * args.ldb;
      const int64_t step = args.transpose_b ? args.ldb : 1;
      for (int64_t j = 0; j < args.n; ++j) row[j] += x * column[j * step];
    }
    T* out = c + i * args.ldc;
    for (int64_t j = 0; j < args.n; ++j) out[j] = args.accumulate ? out[j] + row[j] : row[j];
  }
}

}  // namespace

void matmul_reference(const Matmul& args) {
  with_float_type(args.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < args.batch; ++i) {
      multiply(args, static_cast<const T*>(args.a) + i * args.stride_a,
               static_cast<const T*>(args.b) + i * args.stride_b,
               static_cast<T*>(args.c) + i * args.stride_c);
    }
  });
}

void matmul(Context& context, const Matmul& args) {
  if (args.m == 0 || args.n == 0 || args.batch == 0) return;
  FUNNEL_CHECK(args.lda >= (args.transpose_a ? args.m : args.k) &&
                   args.ldb >= (args.transpose_b ? args.k : args.n) && args.ldc >= args.n,
               "matmul: rows are longer than their distance: m ", args.m, ", n ", args.n, ", k ",
               args.k, ", lda ", args.lda, ", ldb ", args.ldb, ", ldc ", args.ldc);
  context.matmul_primitives().run(args);
}

}  // namespace funnel
