// SPDX-License-Identifier: Apache-2.0
// Reference of the elementwise functions: the tanh form of GELU (Hendrycks and Gimpel) and inverted
// dropout by a given mask.
#pragma once

#include <cmath>

#include "tests/reference/matrix.h"

namespace funnel::ref {

inline double gelu(double x) {
  const double c = std::sqrt(2.0 / std::acos(-1.0));
  return 0.5 * x * (1.0 + std::tanh(c * (x + 0.044715 * x * x * x)));
}

// dy/dx with t = tanh(c (x + a x^3)): (1 + t) / 2 + x/2 (1 - t^2) c (1 + 3 a x^2).
inline double gelu_derivative(double x) {
  const double c = std::sqrt(2.0 / std::acos(-1.0));
  const double a = 0.044715;
  const double t = std::tanh(c * (x + a * x * x * x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * a * x * x);
}

inline Vector gelu_forward(const Vector& x) {
  Vector y;
  for (double v : x) y.push_back(gelu(v));
  return y;
}

inline Vector gelu_backward(const Vector& dy, const Vector& x) {
  Vector dx;
  for (size_t i = 0; i < x.size(); ++i) dx.push_back(dy.at(i) * gelu_derivative(x[i]));
  return dx;
}

inline Vector add(const Vector& a, const Vector& b) {
  Vector y;
  for (size_t i = 0; i < a.size(); ++i) y.push_back(a[i] + b.at(i));
  return y;
}

// Elementwise product: dropout, with `factors` of 0 and 1 / (1 - p), and its gradient.
inline Vector multiply(const Vector& a, const Vector& factors) {
  Vector y;
  for (size_t i = 0; i < a.size(); ++i) y.push_back(a[i] * factors.at(i));
  return y;
}

// factors[i] = 1 / (1 - p) where kept[i], else 0.
inline Vector dropout_factors(const std::vector<bool>& kept, double p) {
  Vector factors;
  for (bool keep : kept) factors.push_back(keep ? 1.0 / (1.0 - p) : 0.0);
  return factors;
}

inline double sum_all(const Vector& x) {
  double total = 0;
  for (double v : x) total += v;
  return total;
}

inline double sum_squares(const Vector& x) {
  double total = 0;
  for (double v : x) total += v * v;
  return total;
}

}  // namespace funnel::ref
