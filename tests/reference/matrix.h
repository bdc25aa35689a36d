// SPDX-License-Identifier: Apache-2.0
// Naive double-precision references, written from the formulas with plain loops. They share no code
// with core/, so agreement with them means something. All arrays are row-major std::vector<double>;
// every function returns fresh arrays and checks sizes by `.at()`.
//
// This header: matrix products and the linear layer. See also attention.h, embedding.h,
// layer_norm.h, losses.h, optimizer.h, pooling.h, pointwise.h, positions.h, sampling.h.
#pragma once

#include <cstdint>
#include <vector>

namespace funnel::ref {

using Vector = std::vector<double>;
using Integers = std::vector<int64_t>;

// [cols, rows] from [rows, cols].
inline Vector transpose(const Vector& x, int64_t rows, int64_t cols) {
  Vector y(rows * cols);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) y.at(c * rows + r) = x.at(r * cols + c);
  }
  return y;
}

// C [m, n] = A [m, k] B [k, n].
inline Vector matmul(const Vector& a, const Vector& b, int64_t m, int64_t n, int64_t k) {
  Vector c(m * n);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) c.at(i * n + j) += a.at(i * k + l) * b.at(l * n + j);
    }
  }
  return c;
}

// Sums over rows: [cols] from [rows, cols].
inline Vector sum_rows(const Vector& x, int64_t rows, int64_t cols) {
  Vector sums(cols);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) sums.at(c) += x.at(r * cols + c);
  }
  return sums;
}

// y [rows, out] = x [rows, in] kernel [in, out] + bias [out]; an empty bias means none.
inline Vector linear_forward(const Vector& x, const Vector& kernel, const Vector& bias,
                             int64_t rows, int64_t in, int64_t out) {
  Vector y = matmul(x, kernel, rows, out, in);
  if (bias.empty()) return y;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < out; ++c) y.at(r * out + c) += bias.at(c);
  }
  return y;
}

struct LinearGradient {
  Vector dx;       // [rows, in]
  Vector dkernel;  // [in, out]
  Vector dbias;    // [out]
};

inline LinearGradient linear_backward(const Vector& dy, const Vector& x, const Vector& kernel,
                                      int64_t rows, int64_t in, int64_t out) {
  return {.dx = matmul(dy, transpose(kernel, in, out), rows, in, out),
          .dkernel = matmul(transpose(x, rows, in), dy, in, out, rows),
          .dbias = sum_rows(dy, rows, out)};
}

}  // namespace funnel::ref
