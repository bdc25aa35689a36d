// SPDX-License-Identifier: Apache-2.0
// A made-up pretraining batch: two segments after CLS, every second example padded at its end, and
// selected positions whose input is masked.
#pragma once

#include <vector>

#include "core/model/pretrain_batch.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {

struct BatchSizes {
  int64_t vocab = 11, batch = 2, seq = 9, predictions = 3;
  bool padding = true;
  bool hide_masked = false;  // masked tokens cannot be attended to, as in MLM
};

class RandomBatch {
 public:
  RandomBatch(const BatchSizes& sizes, uint64_t seed, Device device = device_under_test());

  // Examples [first, first + count).
  PretrainBatch examples(int64_t first, int64_t count) const;
  PretrainBatch all() const { return examples(0, sizes_.batch); }

  const OwnedTensor& segments() const { return segments_; }

 private:
  BatchSizes sizes_;
  OwnedTensor input_ids_, masked_ids_, segments_, hidden_, padded_;  // [batch, seq]
  OwnedTensor positions_, targets_, samples_;                        // [batch, predictions]
};

}  // namespace funnel::testing
