// SPDX-License-Identifier: Apache-2.0
// Sums in a fixed order: the same bits for the same input, on any team.
#pragma once

#include <span>

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// sums [cols] += the sum of x [rows, cols] over rows, accumulated; sums is f32 where x is bf16.
void sum_rows(Context& context, ConstTensor x, Tensor sums);

// The same of up to five matrices at once, for the price of one: sums[i] [cols] += the sum of x[i]
// over rows, of x [parts, rows, cols].
void sum_parts(Context& context, ConstTensor x, std::span<const Tensor> sums);

// total [1] = factor * the sum of all elements of x, overwritten; x is f32, f64 or u8, total f32 or
// f64 (f64 if x is f64; for u8 either).
void sum_all(Context& context, ConstTensor x, double factor, Tensor total);

// total [1] (f64) = the sum of squares of all elements, accumulated in double, overwritten.
void sum_squares(Context& context, ConstTensor x, Tensor total);

}  // namespace funnel
