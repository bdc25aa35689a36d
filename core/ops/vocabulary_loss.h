// SPDX-License-Identifier: Apache-2.0
// Everything that is asked of logits over a vocabulary, in one visit: softmax cross-entropy, a draw
// from the softmax, and the loss's gradient in their place. A row is worked on while it is in
// cache, so memory sees each logit read once and written once.
#pragma once

#include "core/backend/context.h"
#include "core/base/random.h"
#include "core/base/tensor.h"

namespace funnel {

struct VocabularyLoss {
  Tensor logits;  // [rows, vocab]; changed only if gradients are asked for
  // [rows] i32; the loss, "correct" and gradient of kNoTarget are 0. One that leaves the vocabulary
  // throws on the CPU; on a device its loss is NaN.
  ConstTensor targets;
  Tensor loss;     // [rows], overwritten: logsumexp(logits) - logits[target]; f32 for bf16 logits
  Tensor correct;  // [rows] u8, overwritten: 1 if no logit exceeds the target's

  bool wants_gradient = false;  // logits become factor * (softmax - onehot(target))
  double factor = 1.0;          // d total / d row loss

  // [rows] i32, overwritten: argmax(logits - log(-log(u + 1e-9) + 1e-9)), computed in f32 whatever
  // the logits; the smallest of equals. A NaN is drawn only from a row of nothing else. Null: no
  // draws.
  Tensor samples = {};
  // Row r, token v draws word v % 4 of Philox call (first_row + r) * ceil(vocab / 4) + v / 4.
  RandomStream stream = {};
  int64_t first_row = 0;  // index of row 0 in the global batch
};
void vocabulary_loss(Context& context, const VocabularyLoss& args);

}  // namespace funnel
