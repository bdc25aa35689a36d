// SPDX-License-Identifier: Apache-2.0
// Binary cross-entropy over tokens. Losses are f32 where logits are bf16.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

struct BinaryCrossEntropyForward {
  ConstTensor logits;  // [n]
  ConstTensor labels;  // [n] u8: 0 or 1
  ConstTensor hidden;  // [n] u8: 1 where a token does not count (padding)
  Tensor loss;     // [n], overwritten: 0 where hidden, else max(z,0) - z label + log(1 + e^-|z|)
  Tensor correct;  // [n] u8, overwritten: not hidden and (z > 0) == label
};
void binary_cross_entropy_forward(Context& context, const BinaryCrossEntropyForward& args);

struct BinaryCrossEntropyBackward {
  ConstTensor logits, labels, hidden;
  double factor = 1.0;  // d loss / d token loss
  Tensor dlogits;       // [n], overwritten: factor (sigmoid(z) - label), 0 where hidden
};
void binary_cross_entropy_backward(Context& context, const BinaryCrossEntropyBackward& args);

}  // namespace funnel
