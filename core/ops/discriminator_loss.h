// SPDX-License-Identifier: Apache-2.0
// Everything behind the discriminator's hidden layer in one visit: GELU, the product with a single
// column, binary cross-entropy, and the gradient of all of it in the place of what came in. A row
// is read once and written once, and no activation is kept.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

//     z = gelu(pre) . weight + bias
// What is summed or measured is f32 where pre is bf16.
struct DiscriminatorLoss {
  Tensor pre;          // [rows, width]; becomes the gradient of itself if gradients are asked for
  ConstTensor weight;  // [width]
  ConstTensor bias;    // [1]
  ConstTensor labels;  // [rows] u8: 0 or 1
  ConstTensor hidden;  // [rows] u8: 1 where a token does not count (padding)
  Tensor logits;       // [rows], overwritten: z
  Tensor loss;     // [rows], overwritten: 0 where hidden, else max(z,0) - z label + log(1 + e^-|z|)
  Tensor correct;  // [rows] u8, overwritten: not hidden and (z > 0) == label

  bool wants_gradient = false;
  double factor = 1.0;  // d total / d row loss
  // Accumulated if gradients are asked for: those of weight, of bias, and the column sums of pre's,
  // which are the gradient of the bias of the linear layer that pre came from.
  Tensor dweight = {}, dbias = {}, dpre_bias = {};  // [width], [1], [width]
};
void discriminator_loss(Context& context, const DiscriminatorLoss& args);

}  // namespace funnel
