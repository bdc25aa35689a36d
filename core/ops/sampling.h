// SPDX-License-Identifier: Apache-2.0
// ELECTRA's middle: put the tokens that the generator drew (core/ops/vocabulary_loss.h) into the
// text, and say which tokens are original.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

struct ReplaceTokens {
  ConstTensor input_ids;  // [batch, seq] i32, the original text
  // [n] i32, distinct flat positions that are replaced (see flatten_positions). One that leaves the
  // text throws on the CPU and is passed over on a device.
  ConstTensor rows;
  ConstTensor samples;  // [n] i32
  ConstTensor targets;  // [n] i32: where it is kNoTarget nothing is replaced; null: all are
  bool label_one_is_original = true;
  Tensor replaced_ids;  // [batch, seq] i32, overwritten
  Tensor labels;        // [batch, seq] u8, overwritten: replaced == original, or its negation
};
void replace_tokens(Context& context, const ReplaceTokens& args);

// counted [n] u8 = 1 where labels [n] u8 equals value and padded [n] u8 is 0; overwritten.
void count_labels(Context& context, ConstTensor labels, ConstTensor padded, uint8_t value,
                  Tensor counted);

}  // namespace funnel
