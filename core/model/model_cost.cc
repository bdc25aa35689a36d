// SPDX-License-Identifier: Apache-2.0
#include "core/model/model_cost.h"

#include <cmath>

namespace funnel {

namespace {

int64_t count_layer(const FunnelConfig& config) {
  const int64_t width = config.width;
  const int64_t projected = config.projection_width();
  const int64_t inner = config.inner;
  const int64_t qkvor = 5 * width * projected + 2 * projected + width;  // biases: k, v, o
  const int64_t relative = 3 * projected + 2 * projected;  // r_w, r_r, r_s; two segment rows
  const int64_t feed_forward = 2 * width * inner + inner + width;
  const int64_t norms = 2 * 2 * width;
  return qkvor + relative + feed_forward + norms;
}

int64_t count_layers(const std::vector<BlockConfig>& blocks) {
  int64_t layers = 0;
  for (const BlockConfig& block : blocks) layers += block.layers;
  return layers;
}

LayerFlops layer_flops(const FunnelConfig& config, int64_t queries, int64_t keys, bool is_pooling,
                       PositionScores position) {
  const int64_t width = config.width;
  const int64_t projected = config.projection_width();
  LayerFlops flops;
  flops.projections = 2 * width * projected * (2 * queries + 2 * keys);
  flops.content = 2 * (2 * queries * keys * projected);
  flops.segment = 2 * queries * 2 * projected;
  flops.feed_forward = 2 * (2 * queries * width * config.inner);
  if (position == PositionScores::shifted) {
    const int64_t distances = (is_pooling ? 2 : 1) * queries + keys;
    flops.position = 2 * queries * distances * projected;
  } else if (position == PositionScores::factorized) {
    // The query against W_r, then one product with the keys' sines and one with their cosines.
    flops.position =
        2 * queries * projected * width + 2 * (2 * queries * keys * width * config.heads);
  }
  return flops;
}

int64_t mlm_head_flops(const FunnelConfig& config, int64_t predictions) {
  return 2 * predictions * config.embedding_width * (config.width + config.vocab);
}

}  // namespace

ParameterCounts count_parameters(const FunnelConfig& config) {
  const int64_t width = config.width;
  const int64_t embedding_width = config.embedding_width;
  ParameterCounts counts;
  counts.embedding = config.vocab * embedding_width + 2 * embedding_width;
  counts.input_projection = embedding_width == width ? 0 : embedding_width * width + width;
  counts.layer = count_layer(config);
  counts.encoder_layers = count_layers(config.blocks) * counts.layer;
  counts.decoder_layers = config.decoder.layers * counts.layer;
  counts.mlm_head = width * embedding_width + embedding_width + 2 * embedding_width + config.vocab;
  counts.discriminator_head = width * width + width + width + 1;
  return counts;
}

PretrainParameterCounts count_parameters(const PretrainConfig& config) {
  const ParameterCounts counts = count_parameters(config.model);
  PretrainParameterCounts trained;
  trained.network = counts.network();
  if (config.objective == Objective::mlm) {
    trained.head = counts.mlm_head;
    return trained;
  }
  const ParameterCounts generator = count_parameters(generator_config(config));
  trained.head = counts.discriminator_head;
  trained.generator = generator.network() - generator.embedding + generator.mlm_head;
  return trained;
}

std::vector<LayerRun> layer_runs(const FunnelConfig& config, int64_t seq, PositionScores position) {
  std::vector<LayerRun> runs;
  const auto add = [&](LayerRun run) {
    if (run.applications == 0) return;
    run.flops = layer_flops(config, run.queries, run.keys, run.is_pooling && config.pool_query_only,
                            position);
    runs.push_back(run);
  };
  const std::vector<int64_t> lengths = block_lengths(config, seq);
  for (size_t b = 0; b < config.blocks.size(); ++b) {
    const int64_t length = lengths[b];
    int64_t applications = config.blocks[b].applications();
    LayerRun run{.block = static_cast<int64_t>(b), .queries = length, .keys = length};
    if (b > 0) {
      LayerRun pooling = run;
      pooling.is_pooling = true;
      pooling.applications = 1;
      if (config.pool_query_only) pooling.keys = lengths[b - 1];
      add(pooling);
      --applications;
    }
    run.applications = applications;
    add(run);
  }
  add({.is_decoder = true,
       .applications = config.decoder.applications(),
       .queries = seq,
       .keys = seq});
  return runs;
}

NetworkFlops network_flops(const FunnelConfig& config, int64_t seq, PositionScores position) {
  NetworkFlops flops;
  if (config.embedding_width != config.width) {
    flops.input_projection = 2 * seq * config.embedding_width * config.width;
  }
  for (const LayerRun& run : layer_runs(config, seq, position)) {
    (run.is_decoder ? flops.decoder_layers : flops.encoder_layers) += run.total();
  }
  return flops;
}

StepFlops step_flops(const PretrainConfig& config, int64_t seq, int64_t predictions,
                     PositionScores position) {
  StepFlops flops;
  flops.network = network_flops(config.model, seq, position).total();
  if (config.objective == Objective::mlm) {
    flops.head = mlm_head_flops(config.model, predictions);
    return flops;
  }
  const FunnelConfig generator = generator_config(config);
  flops.head = 2 * seq * config.model.width * (config.model.width + 1);
  flops.generator = network_flops(generator, seq, position).total();
  flops.generator_head = mlm_head_flops(generator, predictions);
  return flops;
}

double weighted_depth(const FunnelConfig& config) {
  double depth = 0;
  for (size_t b = 0; b < config.blocks.size(); ++b) {
    depth += std::ldexp(static_cast<double>(config.blocks[b].applications()), -static_cast<int>(b));
  }
  return depth;
}

double relative_cost(const FunnelConfig& config) {
  const double widths = static_cast<double>(config.width) / 768.0;
  return weighted_depth(config) / 12.0 * widths * widths;
}

}  // namespace funnel
