// SPDX-License-Identifier: Apache-2.0
#include "core/model/model_memory.h"

#include <algorithm>

#include "core/backend/buffer.h"
#include "core/layers/params.h"
#include "core/model/pretrain_task.h"

namespace funnel {

namespace {

int64_t piece(int64_t elements, DType dtype) {
  return align_up(std::max<int64_t>(elements * size_of(dtype), 1));
}

// Counts what one network keeps for a micro-batch.
class Counter {
 public:
  Counter(const FunnelConfig& config, const MicroBatch& batch) : config_(config), batch_(batch) {}

  NetworkMemory network() const {
    NetworkMemory memory;
    memory.embedding = embedding();
    memory.plans = plans();
    if (config_.embedding_width != config_.width) {
      memory.input_projection = piece(tokens() * config_.width);
    }
    const std::vector<int64_t> lengths = block_lengths(config_, batch_.seq);
    for (size_t b = 1; b < lengths.size(); ++b) {
      memory.pooling += piece(batch_.batch * lengths[b] * config_.width);
    }
    for (const LayerRun& run : layer_runs(config_, batch_.seq, PositionScores::shifted)) {
      memory.layers.push_back({run, layer(run)});
    }
    if (config_.has_decoder()) memory.upsampling = piece(tokens() * config_.width);
    return memory;
  }

  int64_t mlm_head() const {
    const int64_t n = batch_.batch * batch_.predictions;
    const int64_t dense = 3 * piece(n * config_.embedding_width);  // before and after GELU, normed
    const int64_t gradient = piece(n * config_.embedding_width);   // of normed
    return piece(n, DType::i32) + piece(n * config_.width) + dense + norm(n) + gradient;
  }

  int64_t discriminator_head() const {
    return piece(tokens() * config_.width) + statistics(tokens());
  }

  int64_t replacement() const {
    return piece(batch_.batch * batch_.predictions, DType::i32) + piece(tokens(), DType::i32) +
           piece(tokens(), DType::u8);
  }

 private:
  int64_t tokens() const { return batch_.batch * batch_.seq; }
  int64_t piece(int64_t elements) const { return piece(elements, batch_.dtype); }
  static int64_t piece(int64_t elements, DType dtype) { return funnel::piece(elements, dtype); }

  // Mean and reciprocal deviation of each row.
  int64_t norm(int64_t rows) const { return 2 * statistics(rows); }
  int64_t statistics(int64_t n) const { return piece(n, compute_dtype(batch_.dtype)); }

  int64_t embedding() const {
    return 2 * piece(tokens() * config_.embedding_width) + norm(tokens());
  }

  int64_t position_table(int64_t rows) const {
    return batch_.training && config_.hidden_dropout > 0 ? piece(rows * config_.width) : 0;
  }

  int64_t plans() const {
    const std::vector<int64_t> lengths = block_lengths(config_, batch_.seq);
    int64_t bytes = 0;
    for (size_t b = 0; b < lengths.size(); ++b) {
      bytes += position_table(2 * lengths[b]);
      if (b == 0) continue;
      const int64_t flags = piece(batch_.batch * lengths[b], DType::u8);
      bytes += (batch_.has_segments ? flags : 0) + (batch_.has_hidden ? flags : 0);
      if (config_.pool_query_only) bytes += position_table(2 * lengths[b] + lengths[b - 1]);
    }
    const bool decoder_draws = config_.position_dropout == PositionDropout::by_distance;
    if (config_.has_decoder() && decoder_draws) bytes += position_table(2 * batch_.seq);
    return bytes;
  }

  int64_t layer(const LayerRun& run) const {
    const int64_t rows = batch_.batch * run.queries;
    const int64_t projected = config_.projection_width();
    const bool sees_unpooled = run.is_pooling && config_.pool_query_only;
    const int64_t distances = (sees_unpooled ? 2 : 1) * run.queries + run.keys;
    const int64_t attention = 2 * piece(rows * projected) +                     // q, context
                              2 * piece(batch_.batch * run.keys * projected) +  // k, v
                              piece(distances * projected) +                    // r
                              statistics(rows * config_.heads) +                // normaliser
                              2 * piece(rows * config_.width) + norm(rows);     // sum, output
    const int64_t feed_forward = 2 * piece(rows * config_.inner) +              // around GELU
                                 2 * piece(rows * config_.width) + norm(rows);  // sum, output
    return attention + feed_forward;
  }

  const FunnelConfig& config_;
  const MicroBatch& batch_;
};

}  // namespace

int64_t NetworkMemory::total() const {
  int64_t bytes = embedding + input_projection + plans + pooling + upsampling;
  for (const LayerMemory& layer : layers) bytes += layer.total();
  return bytes;
}

int64_t SavedMemory::total() const {
  return network.total() + head + generator.total() + generator_head + replacement;
}

SavedMemory saved_memory(const PretrainConfig& config, const MicroBatch& batch) {
  const Counter network(config.model, batch);
  SavedMemory memory;
  memory.network = network.network();
  if (config.objective == Objective::mlm) {
    memory.head = network.mlm_head();
    return memory;
  }
  const FunnelConfig small = generator_config(config);
  const Counter generator(small, batch);
  memory.head = network.discriminator_head();
  memory.generator = generator.network();
  memory.generator_head = generator.mlm_head();
  memory.replacement = network.replacement();
  return memory;
}

int64_t flat_elements(const PretrainConfig& config) {
  // Registering parameters takes no memory for their values.
  Params params(DType::f32);
  PretrainTask task(params, config);
  return params.flat_elements();
}

}  // namespace funnel
