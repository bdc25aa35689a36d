// SPDX-License-Identifier: Apache-2.0
// Sinusoids of relative distances: row c of the table is
//     [ sin(d f_0) .. sin(d f_{h-1}) | cos(d f_0) .. cos(d f_{h-1}) ],  f_k = 10000^(-k / h),  h =
//     width / 2
// for d = first_distance - c * step.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/ops/dropout.h"

namespace funnel {

struct SinusoidTable {
  int64_t first_distance = 0;
  int64_t step = 1;
  Tensor table;  // [rows, width], overwritten; width is even; angles are computed in double
};
void sinusoid_table(Context& context, const SinusoidTable& args);

// Drops entries of a table by distance: entry (d, k) uses element (d + distance_offset) * width + k
// of the dropout, so that tables of different blocks share one mask. In place.
void drop_by_distance(Context& context, const Dropout& dropout, const SinusoidTable& args,
                      int64_t distance_offset);

}  // namespace funnel
