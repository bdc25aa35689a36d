// SPDX-License-Identifier: Apache-2.0
// Reference of the positions that tokens carry through the blocks and of the sinusoids of their
// differences (laiguokun/Funnel-Transformer, tensorflow/modeling.py).
#pragma once

#include <cmath>

#include "tests/reference/pooling.h"

namespace funnel::ref {

// E_delta [width]: all sines, then all cosines, of delta 10000^(-k / (width / 2)).
inline Vector sinusoid(double delta, int64_t width) {
  const int64_t half = width / 2;
  Vector e(width);
  for (int64_t k = 0; k < half; ++k) {
    const double angle = delta * std::pow(10000.0, -static_cast<double>(k) / half);
    e.at(k) = std::sin(angle);
    e.at(half + k) = std::cos(angle);
  }
  return e;
}

// [rows, width]: the sinusoids of first, first - step, first - 2 step, ...
inline Vector sinusoid_table(int64_t first, int64_t step, int64_t rows, int64_t width) {
  Vector table;
  for (int64_t c = 0; c < rows; ++c) {
    const Vector e = sinusoid(static_cast<double>(first - c * step), width);
    table.insert(table.end(), e.begin(), e.end());
  }
  return table;
}

// Positions of the tokens inside `block`. A pooled token keeps the position of its window's first
// member; with separate_cls, CLS moves to 1 - 2^block, one stride before the first real token.
inline Integers block_positions(int64_t seq, int64_t block, bool separate_cls, bool truncate) {
  Integers positions;
  for (int64_t t = 0; t < seq; ++t) positions.push_back(t);
  for (int64_t b = 1; b <= block; ++b) {
    const int64_t length = positions.size();
    positions = pool_first(positions, pool_windows(length, separate_cls, truncate), 1, length);
    if (separate_cls) positions.front() = 1 - (int64_t{1} << b);
  }
  return positions;
}

}  // namespace funnel::ref
