// SPDX-License-Identifier: Apache-2.0
// What a norm's outlet asks of the tensors on its two sides, and the place of a row among them.
// Included only by the residual norm's sources.
#pragma once

#include <limits>

#include "core/base/host_device.h"
#include "core/base/tensor.h"
#include "core/ops/upsample.h"

namespace funnel {

// Row `row` of all is row `inner` of an example. Rows number less than 2^31, which is checked: a
// division of 64 bits is a call on a device, around which held rows do not fit the registers.
struct ExampleRow {
  int64_t example, inner;

  FUNNEL_HD ExampleRow(int64_t row, int64_t rows_of_example) {
    const auto dividend = static_cast<uint32_t>(row),
               divisor = static_cast<uint32_t>(rows_of_example);
    example = dividend / divisor;
    inner = dividend % divisor;
  }
};

inline void check_rows(const char* name, int64_t rows) {
  FUNNEL_CHECK(rows <= std::numeric_limits<int32_t>::max(), name,
               ": expected less than 2^31 rows, found ", rows);
}

// Examples of which rows are all rows.
inline int64_t whole_examples(const char* name, ConstTensor rows, int64_t seq) {
  FUNNEL_CHECK(seq >= 1 && rows.rows() % seq == 0, name, ": expected whole examples of ", seq,
               " rows, found ", rows.rows());
  check_rows(name, rows.rows());
  return rows.rows() / seq;
}

// Rows of y in an example whose positions are those of full [batch, seq, cols].
inline int64_t check_upsample(const char* name, const Upsample& upsample, ConstTensor y,
                              ConstTensor full) {
  FUNNEL_CHECK(upsample.stride >= 1, name, ": expected a stride of at least 1, found ",
               upsample.stride);
  FUNNEL_CHECK(full.shape().rank() == 3 && full.shape()[0] >= 1, name,
               ": expected [batch, seq, width], found ", full.shape());
  check_rows(name, full.rows());
  const int64_t batch = full.shape()[0];
  FUNNEL_CHECK(y.rows() % batch == 0 && full.cols() == y.cols(), name, ": expected ", batch,
               " examples of width ", full.cols(), ", found ", y.shape());
  return y.rows() / batch;
}

}  // namespace funnel
