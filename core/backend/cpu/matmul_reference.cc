// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "core/backend/matmul.h"

namespace funnel {
namespace {

// A and B of In are multiplied and added as Sum; C and the bias are of Out.
template <class In, class Out>
void multiply(const Matmul& args, const In* a, const In* b, Out* c) {
  using Sum = Compute<In>;
  const Out* bias = static_cast<const Out*>(args.bias);
  std::vector<Sum> row(args.n);
  for (int64_t i = 0; i < args.m; ++i) {
    for (int64_t j = 0; j < args.n; ++j) row[j] = bias == nullptr ? Sum(0) : Sum(bias[j]);
    for (int64_t p = 0; p < args.k; ++p) {
      const Sum x = args.transpose_a ? a[p * args.lda + i] : a[i * args.lda + p];
      const In* column = args.transpose_b ? b + p : b + p * args.ldb;
      const int64_t step = args.transpose_b ? args.ldb : 1;
      for (int64_t j = 0; j < args.n; ++j) row[j] += x * column[j * step];
    }
    Out* out = c + i * args.ldc;
    for (int64_t j = 0; j < args.n; ++j) out[j] = args.accumulate ? out[j] + row[j] : row[j];
  }
}

template <class In, class Out>
void multiply_all(const Matmul& args) {
  for (int64_t i = 0; i < args.batch; ++i) {
    multiply(args, static_cast<const In*>(args.a) + i * args.stride_a,
             static_cast<const In*>(args.b) + i * args.stride_b,
             static_cast<Out*>(args.c) + i * args.stride_c);
  }
}

}  // namespace

void matmul_reference(const Matmul& args) {
  with_storage_type(args.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (args.c_dtype == args.dtype) return multiply_all<T, T>(args);
    multiply_all<T, Compute<T>>(args);
  });
}

bool fuses(Context& context, const Matmul& args) {
  return context.matmul_primitives().fuses(args);
}

void matmul(Context& context, const Matmul& args) {
  if (args.m == 0 || args.n == 0 || args.batch == 0) return;
  FUNNEL_CHECK(args.lda >= (args.transpose_a ? args.m : args.k) &&
                   args.ldb >= (args.transpose_b ? args.k : args.n) && args.ldc >= args.n,
               "matmul: rows are longer than their distance: m ", args.m, ", n ", args.n, ", k ",
               args.k, ", lda ", args.lda, ", ldb ", args.ldb, ", ldc ", args.ldc);
  FUNNEL_CHECK(args.c_dtype == args.dtype || args.c_dtype == compute_dtype(args.dtype),
               "matmul: a product of ", name_of(args.dtype), " cannot be stored as ",
               name_of(args.c_dtype));
  FUNNEL_CHECK(args.epilogue == Epilogue::none || fuses(context, args),
               "matmul: an epilogue that this backend does not join to this product");
  context.matmul_primitives().run(args);
}

}  // namespace funnel
