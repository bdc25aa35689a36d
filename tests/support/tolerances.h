// SPDX-License-Identifier: Apache-2.0
// How closely an op must agree with its reference: one table by dtype and kind of computation, and
// the comparison that uses it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/base/types.h"

namespace funnel::testing {

enum class Kind {
  elementwise,  // a few roundings per element
  row,          // statistics of a row: norms, softmax, losses
  product,      // sums of many products: matmul, attention, gradients of weights
};

// An error may reach `relative` times the element, plus `absolute` times the largest element of
// the expected tensor: sums lose digits where their terms cancel.
struct Tolerance {
  double relative, absolute;
};

// bf16 is held to its one rounding, half of 2^-7 of a number, and a margin for those within; inputs
// of the reference are the rounded ones.
inline Tolerance tolerance_of(DType dtype, Kind kind) {
  if (dtype == DType::bf16) {
    return kind == Kind::elementwise ? Tolerance{4.5e-3, 1e-4} : Tolerance{5e-3, 5e-3};
  }
  const bool f32 = dtype == DType::f32;
  switch (kind) {
    case Kind::elementwise:
      return f32 ? Tolerance{1e-6, 1e-7} : Tolerance{2e-15, 1e-15};
    case Kind::row:
      return f32 ? Tolerance{4e-6, 2e-6} : Tolerance{1e-14, 1e-14};
    case Kind::product:
      return f32 ? Tolerance{4e-6, 4e-6} : Tolerance{1e-13, 1e-13};
  }
  return {0, 0};
}

// Expects every element of `actual` within the tolerance of `expected`; names the first misses.
// Infinities must be equal, and NaN is a miss.
inline void expect_close(const std::string& what, const std::vector<double>& actual,
                         const std::vector<double>& expected, Tolerance tolerance) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 0;
  for (double value : expected) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  int misses = 0;
  for (size_t i = 0; i < expected.size() && misses < 5; ++i) {
    const double bound = tolerance.relative * std::abs(expected[i]) + tolerance.absolute * largest;
    if (actual[i] == expected[i] || std::abs(actual[i] - expected[i]) <= bound) continue;
    ++misses;
    ADD_FAILURE() << what << "[" << i << "] of " << expected.size() << ": expected "
                  << ::testing::PrintToString(expected[i]) << " to within " << bound << ", found "
                  << ::testing::PrintToString(actual[i]);
  }
}

}  // namespace funnel::testing
