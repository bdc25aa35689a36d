// SPDX-License-Identifier: Apache-2.0
// Reference of layer normalisation (Ba, Kiros and Hinton) over the last axis, with the biased
// variance: xhat = (x - mean) / sqrt(var + epsilon), y = gamma xhat + beta.
#pragma once

#include <cmath>

#include "tests/reference/pointwise.h"

namespace funnel::ref {

struct LayerNorm {
  Vector y;           // [rows, cols]
  Vector mean, rstd;  // [rows]
};

inline LayerNorm layer_norm_forward(const Vector& x, const Vector& gamma, const Vector& beta,
                                    int64_t rows, int64_t cols, double epsilon) {
  LayerNorm out{.y = Vector(rows * cols), .mean = Vector(rows), .rstd = Vector(rows)};
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < cols; ++c) mean += x.at(r * cols + c) / cols;
    for (int64_t c = 0; c < cols; ++c) variance += std::pow(x.at(r * cols + c) - mean, 2) / cols;
    const double rstd = 1.0 / std::sqrt(variance + epsilon);
    for (int64_t c = 0; c < cols; ++c) {
      out.y.at(r * cols + c) = gamma.at(c) * (x.at(r * cols + c) - mean) * rstd + beta.at(c);
    }
    out.mean.at(r) = mean;
    out.rstd.at(r) = rstd;
  }
  return out;
}

struct LayerNormGradient {
  Vector dx;             // [rows, cols]
  Vector dgamma, dbeta;  // [cols]
};

//     dx = rstd (g - mean(g) - xhat mean(g xhat)),  g = gamma dy
inline LayerNormGradient layer_norm_backward(const Vector& dy, const Vector& x, const Vector& gamma,
                                             int64_t rows, int64_t cols, double epsilon) {
  const LayerNorm plain =
      layer_norm_forward(x, Vector(cols, 1.0), Vector(cols, 0.0), rows, cols, epsilon);
  LayerNormGradient out{.dx = Vector(rows * cols), .dgamma = Vector(cols), .dbeta = Vector(cols)};
  for (int64_t r = 0; r < rows; ++r) {
    double mean_g = 0, mean_g_xhat = 0;
    for (int64_t c = 0; c < cols; ++c) {
      const double g = gamma.at(c) * dy.at(r * cols + c);
      mean_g += g / cols;
      mean_g_xhat += g * plain.y.at(r * cols + c) / cols;
    }
    for (int64_t c = 0; c < cols; ++c) {
      const double xhat = plain.y.at(r * cols + c), upstream = dy.at(r * cols + c);
      out.dx.at(r * cols + c) =
          plain.rstd.at(r) * (gamma.at(c) * upstream - mean_g - xhat * mean_g_xhat);
      out.dgamma.at(c) += upstream * xhat;
      out.dbeta.at(c) += upstream;
    }
  }
  return out;
}

struct ResidualNorm {
  Vector sum;  // [rows, cols]: residual + branch * factors
  LayerNorm norm;
};

// The post-norm step: the norm of residual + dropout(branch). Empty factors mean no dropout.
inline ResidualNorm residual_norm_forward(const Vector& residual, const Vector& branch,
                                          const Vector& factors, const Vector& gamma,
                                          const Vector& beta, int64_t rows, int64_t cols,
                                          double epsilon) {
  const Vector sum = add(residual, factors.empty() ? branch : multiply(branch, factors));
  return {.sum = sum, .norm = layer_norm_forward(sum, gamma, beta, rows, cols, epsilon)};
}

struct ResidualNormGradient {
  Vector dresidual, dbranch;  // [rows, cols]
  Vector dgamma, dbeta;       // [cols]
  Vector dbias;               // [cols]: of a bias that was added to branch
};

inline ResidualNormGradient residual_norm_backward(const Vector& dy, const Vector& sum,
                                                   const Vector& factors, const Vector& gamma,
                                                   int64_t rows, int64_t cols, double epsilon) {
  const LayerNormGradient norm = layer_norm_backward(dy, sum, gamma, rows, cols, epsilon);
  const Vector dbranch = factors.empty() ? norm.dx : multiply(norm.dx, factors);
  return {.dresidual = norm.dx,
          .dbranch = dbranch,
          .dgamma = norm.dgamma,
          .dbeta = norm.dbeta,
          .dbias = sum_rows(dbranch, rows, cols)};
}

}  // namespace funnel::ref
