// SPDX-License-Identifier: Apache-2.0
// Reference of softmax and the two losses: cross-entropy over the vocabulary, binary cross-entropy
// over tokens. Losses are given per row; the caller sums and normalises.
#pragma once

#include <algorithm>
#include <cmath>

#include "tests/reference/matrix.h"

namespace funnel::ref {

// log(sum(exp(row))) of each row of x [rows, cols].
inline Vector logsumexp(const Vector& x, int64_t rows, int64_t cols) {
  Vector result(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const double peak = *std::max_element(x.begin() + r * cols, x.begin() + (r + 1) * cols);
    double total = 0;
    for (int64_t c = 0; c < cols; ++c) total += std::exp(x.at(r * cols + c) - peak);
    result.at(r) = peak + std::log(total);
  }
  return result;
}

inline Vector softmax_forward(const Vector& x, int64_t rows, int64_t cols) {
  const Vector lse = logsumexp(x, rows, cols);
  Vector y(rows * cols);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      y.at(r * cols + c) = std::exp(x.at(r * cols + c) - lse.at(r));
    }
  }
  return y;
}

//     dx = y (dy - sum(dy y)),  y the softmax's output
inline Vector softmax_backward(const Vector& dy, const Vector& y, int64_t rows, int64_t cols) {
  Vector dx(rows * cols);
  for (int64_t r = 0; r < rows; ++r) {
    double dot = 0;
    for (int64_t c = 0; c < cols; ++c) dot += dy.at(r * cols + c) * y.at(r * cols + c);
    for (int64_t c = 0; c < cols; ++c) {
      dx.at(r * cols + c) = y.at(r * cols + c) * (dy.at(r * cols + c) - dot);
    }
  }
  return dx;
}

struct CrossEntropy {
  Vector loss;                // [rows]
  Vector logsumexp;           // [rows]
  std::vector<bool> correct;  // [rows]: no logit exceeds the target's
};

inline CrossEntropy cross_entropy_forward(const Vector& logits, const Integers& targets,
                                          int64_t rows, int64_t vocab) {
  CrossEntropy out{.loss = {}, .logsumexp = logsumexp(logits, rows, vocab), .correct = {}};
  for (int64_t r = 0; r < rows; ++r) {
    const double target = logits.at(r * vocab + targets.at(r));
    out.loss.push_back(out.logsumexp.at(r) - target);
    bool exceeded = false;
    for (int64_t v = 0; v < vocab; ++v) exceeded = exceeded || logits.at(r * vocab + v) > target;
    out.correct.push_back(!exceeded);
  }
  return out;
}

//     dlogits = factor (softmax - onehot),  factor = d loss / d row loss
inline Vector cross_entropy_backward(const Vector& logits, const Integers& targets, int64_t rows,
                                     int64_t vocab, double factor) {
  Vector dlogits = softmax_forward(logits, rows, vocab);
  for (int64_t r = 0; r < rows; ++r) dlogits.at(r * vocab + targets.at(r)) -= 1.0;
  for (double& v : dlogits) v *= factor;
  return dlogits;
}

inline double sigmoid(double z) {
  return z >= 0 ? 1.0 / (1.0 + std::exp(-z)) : std::exp(z) / (1.0 + std::exp(z));
}

struct BinaryCrossEntropy {
  Vector loss;                // [n]: 0 where hidden
  std::vector<bool> correct;  // [n]: not hidden and (z > 0) == label
};

// -label log(sigmoid(z)) - (1 - label) log(1 - sigmoid(z)), each logarithm in its stable form.
inline BinaryCrossEntropy binary_cross_entropy_forward(const Vector& logits, const Integers& labels,
                                                       const Integers& hidden) {
  BinaryCrossEntropy out;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double z = labels.at(i) != 0 ? logits[i] : -logits[i];
    const double minus_log_sigmoid = z > 0 ? std::log1p(std::exp(-z)) : std::log1p(std::exp(z)) - z;
    out.loss.push_back(hidden.at(i) != 0 ? 0.0 : minus_log_sigmoid);
    out.correct.push_back(hidden.at(i) == 0 && (logits[i] > 0) == (labels.at(i) != 0));
  }
  return out;
}

//     dz = factor (sigmoid(z) - label), 0 where hidden
inline Vector binary_cross_entropy_backward(const Vector& logits, const Integers& labels,
                                            const Integers& hidden, double factor) {
  Vector dlogits;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double gradient = factor * (sigmoid(logits[i]) - (labels.at(i) != 0 ? 1.0 : 0.0));
    dlogits.push_back(hidden.at(i) != 0 ? 0.0 : gradient);
  }
  return dlogits;
}

}  // namespace funnel::ref
