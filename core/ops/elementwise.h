// SPDX-License-Identifier: Apache-2.0
// Operations on independent elements. Shapes and dtypes of all operands agree; f32, f64 or bf16.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/ops/dropout.h"

namespace funnel {

// y = x * factor [1] f64, which lies on the device, too; y is overwritten and may be x.
void scale(Context& context, ConstTensor x, ConstTensor factor, Tensor y);

// y = a + factor * b; y is overwritten and may be a or b.
void add_scaled(Context& context, ConstTensor a, ConstTensor b, double factor, Tensor y);

// Every element of y becomes the value.
void fill(Context& context, double value, Tensor y);

// y = dropout(gelu(x)), the tanh form; y is overwritten and must not be x (backward needs x).
void gelu_forward(Context& context, const Dropout& dropout, ConstTensor x, Tensor y);

// dx = dy * dropout' * gelu'(x); dx is overwritten and may be dy.
void gelu_backward(Context& context, const Dropout& dropout, ConstTensor x, ConstTensor dy,
                   Tensor dx);

// Converts between f32, f64 and bf16; y is overwritten.
void cast(Context& context, ConstTensor x, Tensor y);

}  // namespace funnel
