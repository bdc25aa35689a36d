// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/gemm.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace funnel::cudacpu {
namespace {

float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

// Rounds to nearest, ties to even; a NaN stays one.
uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// A product in the arithmetic of R: operands are converted on loading, results on storing.
template <class R>
class Product {
 public:
  explicit Product(const Gemm& gemm)
      : g_(gemm), m_(gemm.d.rows), n_(gemm.d.cols), k_(gemm.a.cols), padded_(round_up(n_)) {}

  void run() {
    pack();
    std::vector<R> sums(kRows * padded_);
    std::vector<R> row(n_);
    for (int64_t first = 0; first < m_; first += kRows) {
      multiply_rows(first, sums.data());
      for (int64_t i = first; i < std::min(m_, first + kRows); ++i) {
        finish_row(i, sums.data() + (i - first) * padded_);
      }
    }
    input_gradients();
  }

 private:
  static constexpr int64_t kRows = 4;
  static constexpr int64_t kCols = 64 / sizeof(R);
  static int64_t round_up(int64_t n) { return (n + kCols - 1) / kCols * kCols; }

  static R load(const Matrix& matrix, int64_t row, int64_t col) {
    const int64_t at = row * matrix.row_step + col * matrix.col_step;
    switch (matrix.type) {
      case Type::bf16:
        return from_bf16(static_cast<const uint16_t*>(matrix.data)[at]);
      case Type::f32:
        return static_cast<R>(static_cast<const float*>(matrix.data)[at]);
      case Type::f64:
        return static_cast<R>(static_cast<const double*>(matrix.data)[at]);
    }
    return 0;
  }

  static void store(const Matrix& matrix, int64_t row, int64_t col, R value) {
    const int64_t at = row * matrix.row_step + col * matrix.col_step;
    switch (matrix.type) {
      case Type::bf16:
        static_cast<uint16_t*>(matrix.data)[at] = to_bf16(static_cast<float>(value));
        break;
      case Type::f32:
        static_cast<float*>(matrix.data)[at] = static_cast<float>(value);
        break;
      case Type::f64:
        static_cast<double*>(matrix.data)[at] = static_cast<double>(value);
        break;
    }
  }

  // A as [m rounded up, k], B as [k, n rounded up], zeros in the margins.
  void pack() {
    a_.assign((m_ + kRows - 1) / kRows * kRows * k_, 0);
    b_.assign(k_ * padded_, 0);
    for (int64_t i = 0; i < m_; ++i) {
      for (int64_t p = 0; p < k_; ++p) a_[i * k_ + p] = load(g_.a, i, p);
    }
    for (int64_t j = 0; j < n_; ++j) {
      for (int64_t p = 0; p < k_; ++p) b_[p * padded_ + j] = load(g_.b, p, j);
    }
  }

  // Rows [first, first + kRows) of A B. With plain arrays the compiler does not keep the sums in
  // registers: vectors of its own extension are several times as fast.
  void multiply_rows(int64_t first, R* out) const {
    constexpr int64_t kHalf = kCols / 2;
    using Vector [[gnu::vector_size(kHalf * sizeof(R)), gnu::may_alias, gnu::aligned(sizeof(R))]] =
        R;
    for (int64_t j = 0; j < padded_; j += kCols) {
      Vector sum[kRows][2] = {};
      const R* a = a_.data() + first * k_;
      const R* b = b_.data() + j;
      for (int64_t p = 0; p < k_; ++p, b += padded_) {
        const Vector low = *reinterpret_cast<const Vector*>(b);
        const Vector high = *reinterpret_cast<const Vector*>(b + kHalf);
        for (int64_t i = 0; i < kRows; ++i) {
          sum[i][0] += a[i * k_ + p] * low;
          sum[i][1] += a[i * k_ + p] * high;
        }
      }
      for (int64_t i = 0; i < kRows; ++i) {
        std::memcpy(out + i * padded_ + j, sum[i], sizeof(sum[i]));
      }
    }
  }

  void finish_row(int64_t i, const R* sums) const {
    const R alpha = static_cast<R>(g_.alpha), beta = static_cast<R>(g_.beta);
    R gradient = 0;
    for (int64_t j = 0; j < n_; ++j) {
      R value = alpha * sums[j];
      if (g_.beta != 0) value += beta * load(g_.c, i, j);
      if (g_.bias.data != nullptr) value += load(g_.bias, i, 0);
      value = activate(value, i, j);
      gradient += value;
      store(g_.d, i, j, value);
    }
    if (g_.bias_gradient == BiasGradient::of_result) store(g_.gradient, i, 0, gradient);
  }

  R activate(R value, int64_t i, int64_t j) const {
    constexpr R kScale = static_cast<R>(0.7978845608028654);  // sqrt(2 / pi)
    constexpr R kCubic = static_cast<R>(0.044715);
    if (g_.activation == Activation::none) return value;
    if (g_.activation == Activation::gelu) {
      if (g_.aux.data != nullptr) store(g_.aux, i, j, value);
      return R(0.5) * value * (1 + std::tanh(kScale * (value + kCubic * value * value * value)));
    }
    const R x = load(g_.aux, i, j);
    const R t = std::tanh(kScale * (x + kCubic * x * x * x));
    const R slope = R(0.5) * (1 + t) + R(0.5) * x * (1 - t * t) * kScale * (1 + 3 * kCubic * x * x);
    return value * slope;
  }

  void input_gradients() const {
    const bool of_a = g_.bias_gradient == BiasGradient::of_a;
    if (!of_a && g_.bias_gradient != BiasGradient::of_b) return;
    for (int64_t i = 0; i < (of_a ? m_ : n_); ++i) {
      R sum = 0;
      for (int64_t p = 0; p < k_; ++p) sum += of_a ? a_[i * k_ + p] : b_[p * padded_ + i];
      store(g_.gradient, i, 0, sum);
    }
  }

  const Gemm& g_;
  int64_t m_, n_, k_, padded_;
  std::vector<R> a_, b_;
};

}  // namespace

int64_t bytes_of(Type type) {
  switch (type) {
    case Type::bf16:
      return 2;
    case Type::f32:
      return 4;
    case Type::f64:
      return 8;
  }
  return 0;
}

void compute(const Gemm& gemm) {
  if (gemm.d.type == Type::f64) {
    Product<double>(gemm).run();
  } else {
    Product<float>(gemm).run();
  }
}

}  // namespace funnel::cudacpu
