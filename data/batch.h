// SPDX-License-Identifier: Apache-2.0
// What a step trains on, on the host. A batch keeps its memory when it is filled again.
#pragma once

#include <cstdint>
#include <vector>

#include "core/backend/buffer.h"

namespace funnel {

struct Sample {
  int64_t set = 0;
  int64_t epoch = 0;    // of the data set
  int64_t example = 0;  // in the data set
  friend bool operator==(const Sample&, const Sample&) = default;
};

struct Batch {
  int64_t examples = 0;
  int64_t seq_len = 0;
  int64_t predictions = 0;

  int64_t step = 0;
  int64_t first_lane = 0;
  int64_t first_sample = 0;     // step * global_batch + first_lane
  std::vector<Sample> samples;  // [examples] where each comes from

  Tensor input_ids;            // i32 [examples, seq_len]      the text
  Tensor masked_ids;           // i32 [examples, seq_len]      the text as the generator sees it
  Tensor segments;             // u8  [examples, seq_len]      A = 0, B = 1, <cls> = 2
  Tensor padded;               // u8  [examples, seq_len]      1 where there is padding
  Tensor positions;            // i32 [examples, predictions]  what is to be guessed, ascending
  Tensor targets;              // i32 [examples, predictions]  the tokens there, or kNoTarget
  int64_t absent_targets = 0;  // how many targets are kNoTarget

  // Sets sizes and makes the tensors; allocates only when it has to hold more than ever before.
  void resize(int64_t new_examples, int64_t new_seq_len, int64_t new_predictions);

 private:
  Buffer memory_;
};

}  // namespace funnel
