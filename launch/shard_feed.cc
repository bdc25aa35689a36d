// SPDX-License-Identifier: Apache-2.0
#include "launch/shard_feed.h"

#include <algorithm>

namespace funnel {
namespace {

LoaderConfig loader_config(const RunConfig& config) {
  const FunnelConfig& model = config.pretrain.model;
  const bool truncates = model.separate_cls && model.truncate_seq;
  return {.seed = config.train.seed,
          .global_batch = config.train.global_batch,
          .predictions = config.corruption.predictions,
          .strategy = config.corruption.strategy,
          .min_span = config.corruption.min_span,
          .max_span = config.corruption.max_span,
          .leak_ratio = config.corruption.leak_ratio,
          .rand_ratio = config.corruption.random_ratio,
          .funnel_stride = truncates ? int64_t{1} << (model.blocks.size() - 1) : 1,
          .same_order_every_epoch = config.data.cached_order};
}

std::vector<LaneRange> lanes_of(const RunConfig& config, ShardRange shards) {
  std::vector<LaneRange> ranges;
  const int64_t lanes = config.train.shard_batch();
  for (int64_t shard = shards.first; shard < shards.first + shards.count; ++shard) {
    ranges.push_back({shard * lanes, lanes});
  }
  return ranges;
}

}  // namespace

ShardFeed::ShardFeed(const DataSet& data, const RunConfig& config, ShardRange shards,
                     int64_t first_step)
    : loader_(data, loader_config(config)),
      prefetcher_(loader_, first_step, lanes_of(config, shards),
                  std::max<int64_t>(2, config.data.prefetch_batches)),
      hide_mask_tokens_(config.pretrain.objective == Objective::mlm &&
                        config.pretrain.hide_mask_tokens),
      mask_id_(data.vocabulary().special().mask) {}

ConstTensor ShardFeed::hidden_keys(const Batch& batch) {
  if (!hide_mask_tokens_) return batch.padded;
  const uint8_t* padded = batch.padded.as<uint8_t>();
  const int32_t* ids = batch.masked_ids.as<int32_t>();
  hidden_.resize(batch.padded.elements());
  for (size_t i = 0; i < hidden_.size(); ++i) {
    hidden_[i] = padded[i] != 0 || ids[i] == mask_id_ ? 1 : 0;
  }
  return ConstTensor(hidden_.data(), batch.padded.shape(), DType::u8);
}

const PretrainBatch& ShardFeed::next() {
  const Batch& batch = prefetcher_.next();
  const uint8_t* padded = batch.padded.as<uint8_t>();
  const int64_t n = batch.padded.elements();
  current_ = {.input_ids = batch.input_ids,
              .masked_ids = batch.masked_ids,
              .segments = batch.segments,
              .hidden = hidden_keys(batch),
              .padded = batch.padded,
              .positions = batch.positions,
              .targets = batch.targets,
              .samples = {},
              .tokens = n - std::count(padded, padded + n, uint8_t{1}),
              .absent_targets = batch.absent_targets};
  return current_;
}

}  // namespace funnel
