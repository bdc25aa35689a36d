// SPDX-License-Identifier: Apache-2.0
#include "core/model/model_config.h"

#include <cmath>

#include "core/base/error.h"
#include "core/ops/layer_norm.h"
#include "core/ops/pooling.h"

namespace funnel {

namespace {

// Far above any model, far below where a product of two extents overflows.
constexpr int64_t kLargestWidth = 1 << 20;
constexpr int64_t kMostLayers = 1000;
constexpr int64_t kLargestVocabulary = 1 << 30;

void check_range(const char* field, int64_t value, int64_t low, int64_t high) {
  FUNNEL_CHECK_INPUT(value >= low && value <= high, field, ": expected a number from ", low, " to ",
                     high, ", found ", value);
}

void check_positive(const char* field, double value) {
  FUNNEL_CHECK_INPUT(std::isfinite(value) && value > 0, field,
                     ": expected a number above 0, found ", value);
}

void check_dropout(const char* field, double value) {
  FUNNEL_CHECK_INPUT(value >= 0 && value < 1, field,
                     ": expected a probability from 0 to below 1, found ", value);
}

void check_blocks(const FunnelConfig& config) {
  FUNNEL_CHECK_INPUT(!config.blocks.empty(),
                     "model.blocks: expected at least one block such as "
                     "\"4\" or \"3x2\", found none");
  check_range("model.blocks (how many)", static_cast<int64_t>(config.blocks.size()), 1, 30);
  for (const BlockConfig& block : config.blocks) {
    check_range("model.blocks (layers)", block.layers, 1, kMostLayers);
    check_range("model.blocks (repeats)", block.repeats, 1, kMostLayers);
  }
  check_range("model.decoder (layers)", config.decoder.layers, 0, kMostLayers);
  check_range("model.decoder (repeats)", config.decoder.repeats, 1, kMostLayers);
  FUNNEL_CHECK_INPUT(config.blocks.size() > 1 || config.decoder.layers == 0,
                     "model.decoder: expected 0 layers, because a model of a single block has no "
                     "decoder; found ",
                     config.decoder.layers);
}

}  // namespace

FunnelConfig generator_config(const PretrainConfig& config) {
  FunnelConfig generator = config.model;
  const auto shrink = [&](int64_t extent) {
    return static_cast<int64_t>(static_cast<double>(extent) * config.generator_width_ratio);
  };
  generator.width = shrink(config.model.width);
  generator.inner = shrink(config.model.inner);
  generator.heads = shrink(config.model.heads);
  return generator;
}

void validate(const FunnelConfig& config) {
  check_range("model.vocab_size", config.vocab, 2, kLargestVocabulary);
  check_range("model.width", config.width, 2, kLongestNorm);
  FUNNEL_CHECK_INPUT(config.width % 2 == 0,
                     "model.width: expected an even number (half sines, half cosines), found ",
                     config.width);
  check_range("model.embedding_width", config.embedding_width, 1, kLongestNorm);
  check_range("model.head_width", config.head_width, 1, kLargestWidth);
  check_range("model.heads", config.heads, 1, kLargestWidth);
  check_range("model.heads * model.head_width", config.projection_width(), 1, kLargestWidth);
  check_range("model.inner", config.inner, 1, kLargestWidth);
  check_blocks(config);
  check_dropout("model.hidden_dropout", config.hidden_dropout);
  check_dropout("model.attention_dropout", config.attention_dropout);
  check_dropout("model.activation_dropout", config.activation_dropout);
  check_positive("model.layer_norm_epsilon", config.layer_norm_epsilon);
  check_positive("model.init_std", config.init_std);
}

void validate(const PretrainConfig& config) {
  validate(config.model);
  if (config.objective != Objective::electra) return;
  FUNNEL_CHECK_INPUT(config.generator_width_ratio > 0 && config.generator_width_ratio <= 1,
                     "objective.generator_width_ratio: expected a number above 0 and up to 1, "
                     "found ",
                     config.generator_width_ratio);
  FUNNEL_CHECK_INPUT(std::isfinite(config.discriminator_weight) && config.discriminator_weight >= 0,
                     "objective.discriminator_weight: expected a number of at least 0, found ",
                     config.discriminator_weight);
  const FunnelConfig generator = generator_config(config);
  FUNNEL_CHECK_INPUT(
      generator.heads >= 1 && generator.inner >= 1 && generator.width >= 2 &&
          generator.width % 2 == 0,
      "objective.generator_width_ratio: expected a share that leaves the generator at least one "
      "head and an even width; found ",
      config.generator_width_ratio, ", which leaves ", generator.heads, " of ", config.model.heads,
      " heads, width ", generator.width, " and inner ", generator.inner);
}

std::vector<int64_t> block_lengths(const FunnelConfig& config, int64_t seq) {
  std::vector<int64_t> lengths{seq};
  while (lengths.size() < config.blocks.size()) {
    lengths.push_back(
        PoolWindows{lengths.back(), config.separate_cls, config.truncate_seq}.pooled());
  }
  return lengths;
}

std::string block_text(const BlockConfig& block) {
  return block.repeats == 1 ? concat(block.layers) : concat(block.layers, 'x', block.repeats);
}

std::string layout_name(const FunnelConfig& config) {
  std::string name = config.blocks.size() == 1 ? "L" : "B";
  for (size_t b = 0; b < config.blocks.size(); ++b) {
    if (b > 0) name += '-';
    name += block_text(config.blocks[b]);
  }
  return name + concat('H', config.width);
}

}  // namespace funnel
