// SPDX-License-Identifier: Apache-2.0
// Rows picked by index, and the transpose: rows added where they came from. Indices are i32. An
// index that leaves its table throws on the CPU ("embedding: index 31 of row 4 leaves a table of
// 30"); on a device, gathered rows become NaN and scattered rows are left out.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// y [n, cols] = table [rows, cols] at indices [n]; y is overwritten.
void gather_rows(Context& context, ConstTensor table, ConstTensor indices, Tensor y);

// dtable [rows, cols] += dy [n, cols] at indices [n], accumulated; in dy's dtype, or in f32 where
// dy is bf16. Rows with one index are added in the order of n, by 64: the first 64 one by one, then
// the sum of each next 64. So what an index gets depends on its rows alone, with the same bits on
// every team and device.
void scatter_add_rows(Context& context, ConstTensor dy, ConstTensor indices, Tensor dtable);

// rows [batch * k] i32 = b * seq + positions [batch, k] i32: positions within each example become
// row numbers of a [batch * seq, width] tensor.
void flatten_positions(Context& context, ConstTensor positions, int64_t seq, Tensor rows);

}  // namespace funnel
