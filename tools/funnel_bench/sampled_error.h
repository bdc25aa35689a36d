// SPDX-License-Identifier: Apache-2.0
// How far a matrix on a device is from what it should be, by a sample of its elements.
#pragma once

#include <functional>

#include "core/backend/context.h"

namespace funnel {

// Adds up differences: their size beside that of what was expected. NaN if any was.
class Deviation {
 public:
  void add(double found, double expected);
  double relative() const;

 private:
  double difference_ = 0, size_ = 0;
};

// Of the larger of two errors; NaN wins.
double larger_error(double a, double b);

// `count` row numbers below `rows`, the first and the last among them; some may be the same.
std::vector<int64_t> sampled_rows(int64_t rows, int64_t count);

// Over 64 elements of `found` [rows, cols], first and last among them.
double sampled_error(Context& context, const ConstTensor& found,
                     const std::function<double(int64_t row, int64_t column)>& expected);

}  // namespace funnel
