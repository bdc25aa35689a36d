// SPDX-License-Identifier: Apache-2.0
// What a pretraining step is fed, and what it reports.
#pragma once

#include <array>
#include <cstdint>

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// Tensors on one device; the numbers that the host needs are plain members.
struct PretrainBatch {
  ConstTensor input_ids;   // [batch, seq] i32, the original text
  ConstTensor masked_ids;  // [batch, seq] i32, with selected positions corrupted
  ConstTensor segments;    // [batch, seq] u8; null: no segment term
  ConstTensor hidden;      // [batch, seq] u8, 1 = nobody attends to it; null: none
  ConstTensor padded;      // [batch, seq] u8, 1 = not a token of the text (no discriminator loss)
  ConstTensor positions;   // [batch, predictions] i32, the selected positions
  ConstTensor targets;     // [batch, predictions] i32, their original ids, or kNoTarget
  ConstTensor samples;  // [batch, predictions] i32 to replace them with; null: the generator draws
  int64_t tokens = 0;   // how many are not padded
  int64_t absent_targets = 0;  // how many targets are kNoTarget

  int64_t batch() const { return input_ids.shape()[0]; }
  int64_t seq() const { return input_ids.shape()[1]; }
  int64_t predictions() const { return positions.shape()[1]; }
  int64_t predicted() const { return positions.elements() - absent_targets; }
};

// Throws if an id of a batch on the CPU leaves the vocabulary or a position its sequence.
void check_batch(const PretrainBatch& batch, int64_t vocab);

// Carries batches to a device, each in one copy from memory that such copies can run from beside
// other work. Serves one batch at a time: the next may follow when the context has synchronised.
class BatchUpload {
 public:
  // The batch on the context's device, its tensors in `memory`: the very same where it lies there
  // already, else a copy of a batch on the CPU, which has been checked and may change at once.
  PretrainBatch to_device(Context& context, Arena& memory, const PretrainBatch& batch,
                          int64_t vocab);

 private:
  Buffer staging_;
};

// Losses are means; counts are of this micro-batch.
struct PretrainMetrics {
  double loss = 0;                   // what is trained on
  double mlm_loss = 0;               // of the generator, or of the MLM network
  double mlm_correct = 0;            // selected positions where no logit exceeds the target's
  double predictions = 0;            // selected positions
  double discriminator_loss = 0;     // before its weight
  double discriminator_correct = 0;  // tokens judged right
  double original_tokens = 0;        // tokens equal to the original
  double tokens = 0;                 // tokens judged

  static constexpr int kCount = 8;
  std::array<double, kCount> to_array() const {
    return {loss,
            mlm_loss,
            mlm_correct,
            predictions,
            discriminator_loss,
            discriminator_correct,
            original_tokens,
            tokens};
  }
  static PretrainMetrics from_array(const std::array<double, kCount>& a) {
    return {a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]};
  }
};

// Metrics are measured where the step computes, as a tensor [kCount] f64 in the order of
// to_array(). These are places in it.
enum class Metric : int64_t {
  loss,
  mlm_loss,
  mlm_correct,
  predictions,
  discriminator_loss,
  discriminator_correct,
  original_tokens,
  tokens
};
inline Tensor place_of(Metric metric, Tensor metrics) {
  return metrics.slice(static_cast<int64_t>(metric), {1});
}

// Reads measured metrics [kCount]; waits for them.
PretrainMetrics read_metrics(Context& context, ConstTensor metrics);

}  // namespace funnel
