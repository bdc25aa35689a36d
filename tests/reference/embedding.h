// SPDX-License-Identifier: Apache-2.0
// Reference of row gathering (embedding lookup, selected positions) and its transpose.
#pragma once

#include "tests/reference/matrix.h"

namespace funnel::ref {

// y [n, cols] = table [rows, cols] at indices [n].
inline Vector gather_rows(const Vector& table, const Integers& indices, int64_t cols) {
  Vector y;
  for (int64_t index : indices) {
    for (int64_t c = 0; c < cols; ++c) y.push_back(table.at(index * cols + c));
  }
  return y;
}

// The table's gradient [rows, cols]: dy [n, cols] added at indices [n].
inline Vector scatter_add_rows(const Vector& dy, const Integers& indices, int64_t rows,
                               int64_t cols) {
  Vector dtable(rows * cols);
  for (size_t i = 0; i < indices.size(); ++i) {
    for (int64_t c = 0; c < cols; ++c) dtable.at(indices[i] * cols + c) += dy.at(i * cols + c);
  }
  return dtable;
}

// Row numbers in [batch * seq, width] of the positions [batch, k] within each example.
inline Integers flatten_positions(const Integers& positions, int64_t batch, int64_t k,
                                  int64_t seq) {
  Integers rows;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < k; ++i) rows.push_back(b * seq + positions.at(b * k + i));
  }
  return rows;
}

}  // namespace funnel::ref
