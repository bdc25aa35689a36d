// SPDX-License-Identifier: Apache-2.0
// A small learner fed from memory, on any number of ranks that are threads.
#pragma once

#include <cstring>
#include <vector>

#include "launch/learner.h"
#include "parallel/solo_comm.h"
#include "tests/model/random_batch.h"
#include "tests/support/thread_comm.h"

namespace funnel::testing {

// Three blocks, one of them repeating its layer, every dropout on, four logical shards, fp32.
inline RunConfig small_run(Objective objective) {
  RunConfig config;
  FunnelConfig& model = config.pretrain.model;
  model.vocab = 40;
  model.embedding_width = 16;
  model.width = 16;
  model.heads = 2;
  model.head_width = 8;
  model.inner = 32;
  model.blocks = {{1, 1}, {1, 2}, {1, 1}};
  model.decoder = {1, 1};
  model.activation_dropout = 0.1;
  config.pretrain.objective = objective;
  config.pretrain.generator_width_ratio = 0.5;
  config.vocab_is_set = true;
  config.data.seq_len = 16;
  config.corruption.predictions = 3;
  config.optimizer.learning_rate = 2e-3;
  config.optimizer.warmup_steps = 2;
  config.optimizer.weight_decay = 0.01;
  config.train.steps = 20;
  config.train.global_batch = 8;
  config.train.logical_shards = 4;
  config.precision = Precision::fp32;
  validate(config);
  return config;
}

// Global batches 0, 1, ... in memory, cut into the shards of a rank.
class MemoryFeed {
 public:
  MemoryFeed(const RunConfig& config, ShardRange shards, int64_t batches)
      : shards_(shards), shard_batch_(config.train.shard_batch()) {
    const BatchSizes sizes{.vocab = config.pretrain.model.vocab,
                           .batch = config.train.global_batch,
                           .seq = config.data.seq_len,
                           .predictions = config.corruption.predictions,
                           .hide_masked = config.pretrain.objective == Objective::mlm};
    for (int64_t i = 0; i < batches; ++i) batches_.emplace_back(sizes, 100 + i);
  }

  void seek(int64_t batch) { taken_ = batch * shards_.count; }

  const PretrainBatch& next() {
    const int64_t shard = shards_.first + taken_ % shards_.count;
    const RandomBatch& batch = batches_.at(taken_++ / shards_.count % batches_.size());
    current_ = batch.examples(shard * shard_batch_, shard_batch_);
    if (!gives_samples) current_.samples = {};
    return current_;
  }
  Learner::NextShard source() {
    return [this]() -> const PretrainBatch& { return next(); };
  }

  bool gives_samples = false;  // otherwise the generator draws

 private:
  ShardRange shards_;
  int64_t shard_batch_;
  std::vector<RandomBatch> batches_;
  int64_t taken_ = 0;
  PretrainBatch current_;
};

// A learner on a device with its feed of three batches.
struct LearnerRun {
  LearnerRun(const RunConfig& config, Device device, bool records = true)
      : learner(solo, config, device, records), feed(config, learner.shards(), 3) {}

  StepReport step(int64_t number) { return learner.train_step(number, feed.source(), false); }
  HostState state() {
    learner.download_state();
    return learner.host_state();
  }
  // Goes on from where another run is, with the next step.
  void resume(LearnerRun& other, int64_t step) {
    const HostState from = other.state(), to = learner.host_state();
    std::memcpy(to.values.data(), from.values.data(), from.values.bytes());
    std::memcpy(to.moment1.data(), from.moment1.data(), from.moment1.bytes());
    std::memcpy(to.moment2.data(), from.moment2.data(), from.moment2.bytes());
    learner.upload_state();
    feed.seek(step);
  }

  SoloComm solo;
  Learner learner;
  MemoryFeed feed;
};

// All that learning leaves behind, for comparison bit by bit.
struct Learnt {
  std::vector<double> reports;
  std::vector<float> values, moment1, moment2;

  void add(const StepReport& report) {
    add(report.metrics);
    reports.insert(reports.end(), {report.gradient_norm, report.learning_rate,
                                   report.skipped ? 1.0 : 0.0, report.stop ? 1.0 : 0.0});
  }
  void add(const PretrainMetrics& metrics) {
    const auto array = metrics.to_array();
    reports.insert(reports.end(), array.begin(), array.end());
  }
  void take_state(const Learner& learner) {
    const auto copy = [](const Tensor& tensor) {
      return std::vector<float>(tensor.as<float>(), tensor.as<float>() + tensor.elements());
    };
    values = copy(learner.params().values());
    moment1 = copy(learner.moment1());
    moment2 = copy(learner.moment2());
  }
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

inline bool same_bits(const HostState& a, const HostState& b) {
  return same_bits(a.values, b.values) && same_bits(a.moment1, b.moment1) &&
         same_bits(a.moment2, b.moment2);
}

inline bool same_bits(const Learnt& a, const Learnt& b) {
  return same_bits(a.reports, b.reports) && same_bits(a.values, b.values) &&
         same_bits(a.moment1, b.moment1) && same_bits(a.moment2, b.moment2);
}

}  // namespace funnel::testing
