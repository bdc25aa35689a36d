// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the cuBLASLt stand-in: one strided matrix product with an epilogue. Knows
// nothing of devices; pointers are host addresses of the bytes.
#pragma once

#include <cstdint>

namespace funnel::cudacpu {

enum class Type { bf16, f32, f64 };

int64_t bytes_of(Type type);

// Element (row, col) lies at data[row * row_step + col * col_step], in elements of the type.
struct Matrix {
  void* data = nullptr;
  Type type = Type::f32;
  int64_t rows = 0, cols = 0;
  int64_t row_step = 1, col_step = 0;
};

enum class Activation { none, gelu, gelu_gradient };
enum class BiasGradient { none, of_result, of_a, of_b };

//     v = alpha A B + beta C;  v += bias[row];  then D = v, gelu(v) or v gelu'(aux)
// summed over k in order, in f64 if D is f64 and otherwise in f32, and rounded once. GELU is the
// tanh form; with it aux, if given, gets v, and with its gradient aux is read. The bias gradient is
// the sum of D's values before rounding over columns, of A's rows over k, or of B's columns over k.
struct Gemm {
  Matrix a, b;  // [m, k], [k, n]
  Matrix c, d;  // [m, n]; c is read only if beta is not 0
  double alpha = 1, beta = 0;
  Matrix aux;   // [m, n]
  Matrix bias;  // [m, 1]
  Activation activation = Activation::none;
  BiasGradient bias_gradient = BiasGradient::none;
  Matrix gradient;  // [m, 1], or [n, 1] for that of B
};

void compute(const Gemm& gemm);

}  // namespace funnel::cudacpu
