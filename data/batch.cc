// SPDX-License-Identifier: Apache-2.0
#include "data/batch.h"

namespace funnel {

void Batch::resize(int64_t new_examples, int64_t new_seq_len, int64_t new_predictions) {
  examples = new_examples;
  seq_len = new_seq_len;
  predictions = new_predictions;
  samples.resize(static_cast<size_t>(examples));
  const Shape tokens{examples, seq_len}, guesses{examples, predictions};
  struct Part {
    Tensor* tensor;
    Shape shape;
    DType dtype;
    int64_t bytes() const { return align_up(shape.elements() * size_of(dtype)); }
  };
  const Part parts[] = {{&input_ids, tokens, DType::i32},  {&masked_ids, tokens, DType::i32},
                        {&segments, tokens, DType::u8},    {&padded, tokens, DType::u8},
                        {&positions, guesses, DType::i32}, {&targets, guesses, DType::i32}};
  int64_t bytes = 0;
  for (const Part& part : parts) bytes += part.bytes();
  if (bytes > memory_.bytes()) memory_ = Buffer(Device::cpu, bytes);
  char* at = memory_.data();
  for (const Part& part : parts) {
    *part.tensor = Tensor(at, part.shape, part.dtype);
    at += part.bytes();
  }
}

}  // namespace funnel
