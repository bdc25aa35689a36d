// SPDX-License-Identifier: Apache-2.0
#include "launch/shard_feed.h"

#include <algorithm>

#include "core/base/error.h"

namespace funnel {
namespace {

LoaderConfig loader_config(const RunConfig& config, ShardRange shards) {
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
          .same_order_every_epoch = config.data.cached_order,
          .lanes = shards.count * config.train.shard_batch()};
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

ShardFeed::ShardFeed(const Mixture& data, const RunConfig& config, ShardRange shards,
                     int64_t first_step)
    : loader_(data, loader_config(config, shards)),
      prefetcher_(loader_, first_step, lanes_of(config, shards),
                  std::max(config.data.num_readers + 1, config.data.prefetch_batches),
                  static_cast<int>(config.data.num_readers)),
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

void ShardFeed::log_samples(const std::filesystem::path& file) {
  samples_.open(file, std::ios::app);
  FUNNEL_CHECK_INPUT(samples_.is_open(), "cannot open ", file.string(), " for writing");
}

void ShardFeed::write_samples(const Batch& batch) {
  for (int64_t row = 0; row < batch.examples; ++row) {
    const Sample& sample = batch.samples[static_cast<size_t>(row)];
    samples_ << batch.step << ' ' << batch.first_lane + row << ' ' << sample.set << ' '
             << sample.epoch << ' ' << sample.example << '\n';
  }
  samples_.flush();
  // A full disk must not end a run.
  samples_.clear();
}

const PretrainBatch& ShardFeed::next() {
  const Batch& batch = prefetcher_.next();
  if (samples_.is_open()) write_samples(batch);
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
