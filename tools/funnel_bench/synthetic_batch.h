// SPDX-License-Identifier: Apache-2.0
// A batch of random text of the right shape, for timing: nothing about speed depends on what it
// says.
#pragma once

#include "core/backend/arena.h"
#include "core/model/pretrain_batch.h"
#include "launch/config.h"

namespace funnel {

class SyntheticBatch {
 public:
  // One logical shard of the configuration: CLS first, two segments, no padding, predictions spread
  // evenly.
  explicit SyntheticBatch(const RunConfig& config);
  const PretrainBatch& batch() const { return batch_; }

 private:
  Arena memory_;
  PretrainBatch batch_;
};

}  // namespace funnel
