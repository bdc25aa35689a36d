// SPDX-License-Identifier: Apache-2.0
// Hands the learner this rank's logical shards in order, from the prefetcher's batches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/model/pretrain_batch.h"
#include "data/loader.h"
#include "data/mixture.h"
#include "data/prefetcher.h"
#include "launch/config.h"
#include "parallel/shard_tree.h"

namespace funnel {

class ShardFeed {
 public:
  // Starts reading at the given step. The data must outlive this.
  ShardFeed(const Mixture& data, const RunConfig& config, ShardRange shards, int64_t first_step);

  // From now on adds a line to the file for every sequence handed out: step, lane, data set, epoch
  // and example. Throws an input error when the file cannot be opened.
  void log_samples(const std::filesystem::path& file);

  // The next shard; valid until the next call.
  const PretrainBatch& next();

  // How long next() has waited for data so far.
  double waited_seconds() const { return prefetcher_.waited_seconds(); }

 private:
  // Which keys attention must not see: padding, and for MLM the mask tokens if the objective says
  // so.
  ConstTensor hidden_keys(const Batch& batch);

  void write_samples(const Batch& batch);

  Loader loader_;
  Prefetcher prefetcher_;
  bool hide_mask_tokens_;
  int32_t mask_id_;
  std::vector<uint8_t> hidden_;  // [examples, seq]
  PretrainBatch current_;
  std::ofstream samples_;
};

}  // namespace funnel
