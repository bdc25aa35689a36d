// SPDX-License-Identifier: Apache-2.0
// Products of whole tensors: the three faces of a linear layer y = x W + b, with W stored [in,
// out]. Tensors of higher rank count as matrices [rows, last extent]. All have one dtype, but that
// gradients of weights and biases are f32 where the rest is bf16.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"
#include "core/ops/dropout.h"

namespace funnel {

// y [rows, out] = x [rows, in] w [in, out] (+ bias [out]); y is overwritten. A null bias is none.
void linear_forward(Context& context, ConstTensor x, ConstTensor w, ConstTensor bias, Tensor y);

// dx [rows, in] = dy [rows, out] w^T; overwritten, or accumulated if asked.
void linear_backward_input(Context& context, ConstTensor dy, ConstTensor w, Tensor dx,
                           bool accumulate = false);

// dw [in, out] += x^T dy, and dbias [out] += the column sums of dy unless it is null.
void linear_backward_weight(Context& context, ConstTensor x, ConstTensor dy, Tensor dw,
                            Tensor dbias);

// A linear layer and the dropped-out GELU behind it, as one product where the backend can.
struct LinearGeluForward {
  ConstTensor x, w, bias;  // as in linear_forward
  Dropout dropout;
  Tensor pre;  // [rows, out], overwritten: x w (+ bias), which backward needs
  Tensor y;    // [rows, out], overwritten: dropout(gelu(pre))
};
void linear_gelu_forward(Context& context, const LinearGeluForward& args);

// From the gradient behind the next linear layer to the gradient before the GELU in front of it.
struct LinearGeluBackward {
  ConstTensor dy;   // [rows, out]
  ConstTensor w;    // [in, out], of the layer behind the GELU
  ConstTensor pre;  // [rows, in]
  Dropout dropout;
  Tensor dpre;  // [rows, in], overwritten: dy w^T * dropout' * gelu'(pre)
};
void linear_gelu_backward(Context& context, const LinearGeluBackward& args);

// y [rows, vocab] = x [rows, width] table^T [vocab, width] + bias [vocab]; y is overwritten.
void tied_forward(Context& context, ConstTensor x, ConstTensor table, ConstTensor bias, Tensor y);

// dx [rows, width] = dy table (overwritten); dtable += dy^T x and dbias += column sums
// (accumulated).
void tied_backward(Context& context, ConstTensor x, ConstTensor table, ConstTensor dy, Tensor dx,
                   Tensor dtable, Tensor dbias);

}  // namespace funnel
